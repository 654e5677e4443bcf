use std::{
    fmt, mem,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response, Uri, header::AUTHORIZATION};
use tower::Service;

use super::future::{AttachFuture, Parked};
use crate::{
    challenge::{ByErrorCode, Classify},
    error::BoxError,
    refresh::{Granted, OriginId, Snapshot, TokenHandle},
    service::{AllowedOrigins, Error, Repeat, origins::Destination, policy::Again, rejected::Sent},
};

/// The service of [`AttachLayer`](super::AttachLayer).
#[derive(Clone, Debug)]
pub struct Attach<S> {
    inner: S,
    settings: Arc<Settings>,
}

/// What all services of a layer share.
#[derive(Clone)]
pub(in crate::service) struct Settings {
    pub(in crate::service) handle: TokenHandle,
    pub(in crate::service) origins: AllowedOrigins,
    pub(in crate::service) classify: Arc<dyn Classify>,
    pub(in crate::service) replace: bool,
}

/// How a request comes here.
pub(in crate::service) struct Ticket {
    /// Leave to send this very token.
    pub(in crate::service) granted: Option<Granted>,
    /// It is the second send.
    pub(in crate::service) again: bool,
    /// The policy above is ours and deals with a rejection: it knows the body.
    pub(in crate::service) policy: bool,
    /// It can't be sent again.
    pub(in crate::service) once: bool,
}

/// What a response is judged by.
pub(super) struct Judged {
    pub(super) sent: Sent,
    /// Where the request went, if the list of origins doesn't tell.
    pub(super) unlisted: Option<Uri>,
    /// What was asked for: a follower of redirects below tells where it ended.
    #[cfg(feature = "tower-http")]
    pub(super) uri: Uri,
    pub(super) policy: bool,
    pub(super) settings: Arc<Settings>,
}

impl Settings {
    pub(in crate::service) fn new(handle: TokenHandle, origins: AllowedOrigins) -> Self {
        Self {
            handle,
            origins,
            classify: Arc::new(ByErrorCode),
            replace: false,
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("handle", &self.handle)
            .field("origins", &self.origins)
            .field("replace", &self.replace)
            .finish_non_exhaustive()
    }
}

impl<S> Attach<S> {
    pub(in crate::service) fn new(inner: S, settings: Arc<Settings>) -> Self {
        Self { inner, settings }
    }

    /// The service inside.
    pub fn get_ref(&self) -> &S {
        &self.inner
    }

    pub(in crate::service) fn settings(&self) -> &Settings {
        &self.settings
    }

    pub(in crate::service) fn poll_inner<B, R>(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Error>>
    where
        S: Service<Request<B>, Response = Response<R>>,
        S::Error: Into<BoxError>,
    {
        self.inner
            .poll_ready(cx)
            .map_err(|error| Error::Inner(error.into()))
    }

    pub(in crate::service) fn send<B, R>(
        &mut self,
        request: Request<B>,
        ticket: Ticket,
    ) -> AttachFuture<S, B>
    where
        S: Service<Request<B>, Response = Response<R>> + Clone,
        S::Error: Into<BoxError>,
    {
        let settings = &*self.settings;
        let origin = match settings.origins.check(request.uri(), request.headers()) {
            Ok(Destination::Allowed(origin)) => origin,
            Ok(Destination::Elsewhere) => {
                return AttachFuture::sending(self.inner.call(request), None);
            }
            Err(error) => return AttachFuture::failed(error.into()),
        };
        if request.headers().contains_key(AUTHORIZATION) && !settings.replace {
            return AttachFuture::sending(self.inner.call(request), None);
        }
        let passage = Passage {
            origin,
            waited: false,
            again: ticket.again,
            once: ticket.once,
            policy: ticket.policy,
        };
        if let Some(granted) = &ticket.granted {
            let passage = passage.granted(granted);
            return passage.send(&mut self.inner, &self.settings, request, &granted.snapshot);
        }
        match settings.handle.current(ticket.once) {
            Ok(snapshot) => passage.send(&mut self.inner, &self.settings, request, &snapshot),
            Err(wait) => {
                // The service that was polled ready goes along with the wait, and a clone stays.
                let clone = self.inner.clone();
                let inner = mem::replace(&mut self.inner, clone);
                let settings = Arc::clone(&self.settings);
                AttachFuture::waiting(wait, Parked::new(inner, request, passage, settings))
            }
        }
    }
}

impl<S, B, R> Service<Request<B>> for Attach<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    S::Error: Into<BoxError>,
{
    type Response = Response<R>;
    type Error = Error;
    type Future = AttachFuture<S, B>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.poll_inner(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let again = request.extensions_mut().remove::<Again>();
        let ticket = match again.map(Again::outcome) {
            None => Ticket {
                granted: None,
                again: false,
                policy: false,
                once: Repeat::is_forbidden(request.extensions()),
            },
            Some(Ok(granted)) => Ticket {
                granted: Some(granted),
                again: true,
                policy: false,
                once: true,
            },
            Some(Err(error)) => return AttachFuture::failed(error),
        };
        self.send(request, ticket)
    }
}

/// How one request goes out.
#[derive(Clone, Copy)]
pub(super) struct Passage {
    origin: OriginId,
    waited: bool,
    again: bool,
    once: bool,
    policy: bool,
}

impl Passage {
    /// The same, after the wait that ended so.
    pub(super) fn granted(self, granted: &Granted) -> Self {
        Self {
            waited: granted.waited,
            ..self
        }
    }

    /// Sends the request with this token.
    pub(super) fn send<S, B, R>(
        self,
        inner: &mut S,
        settings: &Arc<Settings>,
        mut request: Request<B>,
        snapshot: &Snapshot,
    ) -> AttachFuture<S, B>
    where
        S: Service<Request<B>, Response = Response<R>>,
    {
        let credential = snapshot.authorization();
        request
            .headers_mut()
            .insert(AUTHORIZATION, credential.clone());
        if let Some(shown) = snapshot.shown() {
            request.extensions_mut().insert(shown);
        }
        let judged = Judged {
            sent: Sent {
                generation: snapshot.generation,
                origin: self.origin,
                received: snapshot.received,
                waited: self.waited,
                again: self.again,
                once: self.once,
                forbidden: Repeat::is_forbidden(request.extensions()),
                redirected: false,
                credential,
            },
            unlisted: settings.origins.unlisted(request.uri()),
            #[cfg(feature = "tower-http")]
            uri: request.uri().clone(),
            policy: self.policy,
            settings: Arc::clone(settings),
        };
        AttachFuture::sending(inner.call(request), Some(judged))
    }
}

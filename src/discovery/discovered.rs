use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{Discovery, Endpoints, fetch};
use crate::{
    clock::{Clock, Deadline},
    error::TokenError,
    events::{Event, Observer},
    protocol::{Issuer, Metadata},
    transport::{HttpClient, TransportLimits},
};

/// How long it is from one renewal to the next at least, whatever becomes of them.
const PAUSE: Duration = Duration::from_secs(60);

/// What is known of a server: nothing at first, then the last metadata that was good.
pub(crate) struct Discovered {
    issuer: Issuer,
    settings: Discovery,
    mtls: bool,
    state: Mutex<State>,
    /// Whoever fetches when nothing is known yet. The others wait, and find it known.
    first: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    known: Option<Known>,
    renewing: bool,
}

struct Known {
    endpoints: Arc<Endpoints>,
    unlisted: Vec<Unlisted>,
    /// Old enough to be renewed.
    renew_at: Deadline,
    /// The renewal before isn't just over.
    not_before: Deadline,
}

/// The name of a list in the metadata, and what isn't in it.
pub(crate) type Unlisted = (&'static str, &'static str);

/// Who wants to know, and by which means.
#[derive(Clone)]
pub(crate) struct Asking {
    pub(crate) client: HttpClient,
    pub(crate) limits: TransportLimits,
    pub(crate) clock: Clock,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) method: &'static str,
    pub(crate) algorithm: Option<&'static str>,
}

impl Discovered {
    /// `mtls`: who asks shows a certificate to the server.
    pub(crate) fn new(issuer: Issuer, settings: Discovery, mtls: bool) -> Self {
        Self {
            issuer,
            settings,
            mtls,
            state: Mutex::default(),
            first: tokio::sync::Mutex::default(),
        }
    }

    pub(crate) fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// Where the server is: as it was found out before, or as is found out now.
    ///
    /// When what is known is old, it is renewed in a task of its own, and nobody waits for that.
    pub(crate) async fn endpoints(
        self: &Arc<Self>,
        asking: &Asking,
    ) -> Result<Arc<Endpoints>, TokenError> {
        if let Some(endpoints) = self.known(asking) {
            return Ok(endpoints);
        }
        let _turn = self.first.lock().await;
        if let Some(endpoints) = self.known(asking) {
            return Ok(endpoints);
        }
        let (metadata, endpoints) = self.fetch(asking).await?;
        Ok(self.keep(asking, &metadata, endpoints))
    }

    /// What is used and not listed by the server, which may be why it refuses a credential.
    pub(crate) fn unlisted(&self) -> Vec<Unlisted> {
        let state = self.lock();
        state
            .known
            .as_ref()
            .map_or(Vec::new(), |known| known.unlisted.clone())
    }

    /// The endpoint doesn't answer as one does: it may have moved.
    pub(crate) fn doubt(&self) {
        if let Some(known) = &mut self.lock().known {
            known.renew_at = known.not_before;
        }
    }

    fn known(self: &Arc<Self>, asking: &Asking) -> Option<Arc<Endpoints>> {
        let now = asking.clock.now();
        let mut state = self.lock();
        let known = state.known.as_ref()?;
        let endpoints = Arc::clone(&known.endpoints);
        let due = known.renew_at.has_come(now) && known.not_before.has_come(now);
        if due && !state.renewing {
            state.renewing = true;
            let renewal = Renewal(Arc::clone(self));
            tokio::spawn(renewal.run(asking.clone()));
        }
        Some(endpoints)
    }

    async fn fetch(&self, asking: &Asking) -> Result<(Metadata, Endpoints), TokenError> {
        fetch::metadata(&self.issuer, &self.settings, self.mtls, asking).await
    }

    fn keep(&self, asking: &Asking, metadata: &Metadata, endpoints: Endpoints) -> Arc<Endpoints> {
        let unlisted: Vec<_> = metadata.missing(asking.method, asking.algorithm).collect();
        let endpoints = Arc::new(endpoints);
        let now = asking.clock.now();
        self.lock().known = Some(Known {
            endpoints: Arc::clone(&endpoints),
            unlisted: unlisted.clone(),
            renew_at: now.deadline(self.settings.renew_after),
            not_before: now.deadline(PAUSE),
        });
        // It may work all the same: lists are often incomplete.
        for (list, value) in unlisted {
            asking.observer.event(&Event::NotAdvertised {
                issuer: self.issuer.as_str(),
                list,
                value,
            });
        }
        endpoints
    }

    /// What is known stays, and is looked at again after this time.
    fn postpone(&self, asking: &Asking, after: Duration) {
        let now = asking.clock.now();
        if let Some(known) = &mut self.lock().known {
            known.renew_at = now.deadline(after);
            known.not_before = now.deadline(PAUSE);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// ===== impl Renewal =====

/// A renewal under way, to its end or to that of its runtime.
struct Renewal(Arc<Discovered>);

impl Renewal {
    async fn run(self, asking: Asking) {
        let server = &*self.0;
        let issuer = server.issuer.as_str();
        let found = server.fetch(&asking).await;
        let kept = server
            .lock()
            .known
            .as_ref()
            .map(|it| Arc::clone(&it.endpoints));
        let kept = kept.expect("only what is known is renewed");
        match found {
            Ok((metadata, endpoints)) if endpoints.same_hosts(&kept) => {
                server.keep(&asking, &metadata, endpoints);
            }
            Ok((_, endpoints)) => {
                server.postpone(&asking, server.settings.renew_after);
                asking.observer.event(&Event::EndpointMoved {
                    issuer,
                    kept: kept.called.origin(),
                    named: endpoints.called.origin(),
                });
            }
            Err(error) => {
                server.postpone(&asking, PAUSE);
                let error = &error;
                asking
                    .observer
                    .event(&Event::MetadataNotRenewed { issuer, error });
            }
        }
    }
}

impl Drop for Renewal {
    fn drop(&mut self) {
        self.0.lock().renewing = false;
    }
}

//! The gateway: who may call what, and with which token.

#![allow(clippy::print_stderr, reason = "a gateway logs why a call failed")]

use std::{
    collections::{HashMap, hash_map::Entry},
    path::Path,
    sync::Arc,
};

use axum::{
    Router,
    body::Body,
    extract::{ConnectInfo, Request, State},
    http::{StatusCode, Uri, header::HOST, uri::Authority},
    response::{IntoResponse, Response},
};
use tower::{ServiceBuilder, ServiceExt};
use tower_oauth::{
    ManualClock, OAuth, OAuthLayer,
    events::{Event, Observer},
    profile::{ApiClient, HotProfile, Profile, ProfileError},
    server::{
        StripInboundCredentials, StripInboundCredentialsLayer, Stripped, UpstreamErrors,
        UpstreamErrorsLayer, remove_hop_by_hop,
    },
    service::Error as CallError,
};

use super::{Failure, inbound::Caller};

/// The way to the upstreams of a profile.
type Upstream = UpstreamErrors<StripInboundCredentials<OAuth<ApiClient<Stripped<Body>>>>>;

/// A caller may call this host, and the token of this profile goes there.
pub(crate) struct Grant<'a> {
    pub(crate) caller: Caller,
    /// With its port, unless that is 443.
    pub(crate) host: Authority,
    pub(crate) profile: &'a str,
}

pub(crate) struct Gateway {
    profiles: HashMap<String, HotProfile<Upstream>>,
    /// The caller **and** the host decide. By the host alone, or a path, any caller could have this
    /// gateway use a token that was meant for another: a confused deputy. By the caller alone, a token
    /// would go wherever the caller says.
    grants: HashMap<(Caller, Authority), HotProfile<Upstream>>,
}

impl Gateway {
    /// Loads the profiles that the grants name from one file, and again whenever it has changed.
    pub(crate) fn open(
        file: &Path,
        grants: impl IntoIterator<Item = Grant<'static>>,
        clock: &ManualClock,
        observer: &Arc<impl Observer>,
    ) -> Result<Self, Failure> {
        let mut this = Self {
            profiles: HashMap::new(),
            grants: HashMap::new(),
        };
        for grant in grants {
            let profile = match this.profiles.entry(grant.profile.to_owned()) {
                Entry::Occupied(profile) => profile.into_mut(),
                Entry::Vacant(profile) => {
                    let observer = Arc::clone(observer);
                    let hot = HotProfile::builder(file)
                        .name(grant.profile)
                        // A program that isn't a story leaves these two alone.
                        .clock(clock.clone())
                        .observer(move |event: &Event<'_>| observer.event(event))
                        .build(upstream)?;
                    profile.insert(hot)
                }
            };
            let pair = (grant.caller, grant.host);
            this.grants.insert(pair, profile.clone());
        }
        Ok(this)
    }

    /// Calls of a profile.
    pub(crate) fn profile(&self, name: &str) -> Option<&HotProfile<Upstream>> {
        self.profiles.get(name)
    }

    pub(crate) fn router(self: &Arc<Self>) -> Router {
        Router::new()
            .fallback(Self::call)
            .with_state(Arc::clone(self))
    }

    async fn call(
        State(gateway): State<Arc<Self>>,
        ConnectInfo(caller): ConnectInfo<Caller>,
        request: Request,
    ) -> Response {
        let Some((upstream, request)) = gateway.route(caller, request) else {
            return StatusCode::FORBIDDEN.into_response();
        };
        match upstream.oneshot(request).await {
            Ok(mut response) => {
                // What the caller isn't told is for the log.
                if let Some(error) = response.extensions().get::<Arc<CallError>>() {
                    eprintln!("gateway: {error}");
                }
                remove_hop_by_hop(response.headers_mut());
                response.map(Body::new)
            }
            Err(error) => {
                eprintln!("gateway: the upstream failed: {error}");
                StatusCode::BAD_GATEWAY.into_response()
            }
        }
    }

    /// Where the request goes, and as what. The host that is looked up is the one that is called.
    fn route(&self, caller: Caller, request: Request) -> Option<(HotProfile<Upstream>, Request)> {
        let (mut head, body) = request.into_parts();
        let host = match head.uri.authority() {
            Some(host) => host.clone(),
            None => Authority::try_from(head.headers.get(HOST)?.as_bytes()).ok()?,
        };
        let uri = Uri::builder()
            .scheme("https")
            .authority(host.clone())
            .path_and_query(head.uri.path_and_query()?.clone());
        let upstream = self.grants.get(&(caller, host))?;

        remove_hop_by_hop(&mut head.headers);
        head.headers.remove(HOST);
        // A new request, because neither the version nor the extensions of the caller's connection
        // are the upstream's.
        let mut up = Request::new(body);
        *up.method_mut() = head.method;
        *up.uri_mut() = uri.build().ok()?;
        *up.headers_mut() = head.headers;
        Some((upstream.clone(), up))
    }
}

/// Its layer keeps the token to `api.allowed_origins`, whatever the grants say.
fn upstream(profile: &Profile, layer: OAuthLayer) -> Result<Upstream, ProfileError> {
    Ok(ServiceBuilder::new()
        .layer(UpstreamErrorsLayer::new())
        .layer(StripInboundCredentialsLayer::new())
        .layer(layer)
        .service(profile.api_client()?))
}

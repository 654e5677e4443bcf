use std::time::Duration;

use crate::protocol::WellKnown;

/// Which server it is, and how its metadata is found and believed.
///
/// ```
/// use tower_oauth::discovery::{Discovery, WellKnown};
///
/// let server = Discovery::new("https://login.example/tenant/v2.0")
///     .well_known([WellKnown::OpenId])
///     .endpoint_host("mtls.login.example");
/// # let _ = server;
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Discovery {
    pub(super) issuer: String,
    pub(super) well_known: Vec<WellKnown>,
    pub(super) endpoint_hosts: Vec<String>,
    pub(super) next_on_client_errors: bool,
    pub(super) renew_after: Duration,
}

impl Discovery {
    /// The server with this issuer identifier, exactly as it writes it: a slash too many makes it
    /// another.
    pub fn new(issuer: impl Into<String>) -> Self {
        Self {
            issuer: issuer.into(),
            well_known: vec![
                WellKnown::OAuth,
                WellKnown::OpenId,
                WellKnown::OpenIdInserted,
            ],
            endpoint_hosts: Vec::new(),
            next_on_client_errors: false,
            renew_after: Duration::from_secs(24 * 60 * 60),
        }
    }

    /// Where to look for the metadata, in this order; the next place is tried when there is nothing
    /// (404) at the one before. Default: [`OAuth`](WellKnown::OAuth), [`OpenId`](WellKnown::OpenId),
    /// [`OpenIdInserted`](WellKnown::OpenIdInserted).
    pub fn well_known(mut self, places: impl IntoIterator<Item = WellKnown>) -> Self {
        self.well_known = places.into_iter().collect();
        self
    }

    /// Tries the next place on any 4xx, for gateways that refuse what they don't know. Default: on
    /// 404 only.
    pub fn next_on_client_errors(mut self) -> Self {
        self.next_on_client_errors = true;
        self
    }

    /// Believes the metadata when it names an endpoint on this host; may be called several times.
    /// Default: endpoints are on the issuer's own host, on whatever port.
    ///
    /// Known by themselves: `oauth2.googleapis.com` for `https://accounts.google.com`. An address
    /// (`10.0.0.1`) or `localhost` is believed only of an issuer that is one.
    pub fn endpoint_host(mut self, host: impl Into<String>) -> Self {
        self.endpoint_hosts.push(host.into());
        self
    }

    /// How old the metadata may become before it is fetched again, in the background of the next
    /// token request. Default: 24 h.
    pub fn renew_after(mut self, age: Duration) -> Self {
        self.renew_after = age;
        self
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.issuer
    }

    pub(crate) fn looks_somewhere(&self) -> bool {
        !self.well_known.is_empty()
    }
}

impl From<&str> for Discovery {
    fn from(issuer: &str) -> Self {
        Self::new(issuer)
    }
}

impl From<String> for Discovery {
    fn from(issuer: String) -> Self {
        Self::new(issuer)
    }
}

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[cfg(feature = "hyper")]
use crate::tls::TlsConfig;
use crate::{
    error::TokenError,
    keystore::{Change, ClientIdentity, IdentityNumber, RotatingIdentity, Watch},
    transport::HttpClient,
};

/// The identities of a source, the set of them that it works with, and the news of them.
pub(super) struct Keys {
    /// Whose certificate is shown in the TLS handshake.
    shown: Option<RotatingIdentity>,
    /// Whose key the client authentication works with.
    of_auth: Option<RotatingIdentity>,
    clients: Clients,
    working: Mutex<Working>,
    watches: tokio::sync::Mutex<Vec<Watch>>,
}

/// Where clients of the authorization server come from.
#[derive(Clone)]
pub(super) struct Clients {
    pub(super) origin: Origin,
    /// What is made of each.
    pub(super) map: Option<Arc<MapClient>>,
}

#[derive(Clone)]
pub(super) enum Origin {
    /// From elsewhere, and it stays the same.
    Given(HttpClient),
    /// One for each identity, from elsewhere.
    Made(Arc<MakeClient>),
    /// One for each identity: a client that swapped its certificate inside would go on with old
    /// connections, and resume old sessions, of which the server keeps the old certificate.
    #[cfg(feature = "hyper")]
    Own(TlsConfig),
}

pub(super) type MakeClient =
    dyn Fn(Option<&ClientIdentity>) -> Result<HttpClient, TokenError> + Send + Sync;

pub(super) type MapClient = dyn Fn(HttpClient) -> HttpClient + Send + Sync;

/// What one token request works with.
#[derive(Clone)]
pub(super) struct Set {
    shown: Option<ClientIdentity>,
    pub(super) of_auth: Option<ClientIdentity>,
    pub(super) client: HttpClient,
}

struct Working {
    set: Set,
    /// The server gave a token to it.
    proven: bool,
}

impl Keys {
    pub(super) fn new(
        shown: Option<RotatingIdentity>,
        of_auth: Option<RotatingIdentity>,
        clients: Clients,
    ) -> Result<Self, TokenError> {
        let current = shown.as_ref().map(RotatingIdentity::current);
        let set = Set {
            client: clients.client(current.as_ref())?,
            shown: current,
            of_auth: of_auth.as_ref().map(RotatingIdentity::current),
        };
        Ok(Self::working_with(set, shown, of_auth, clients))
    }

    fn working_with(
        set: Set,
        shown: Option<RotatingIdentity>,
        of_auth: Option<RotatingIdentity>,
        clients: Clients,
    ) -> Self {
        let both = match (&shown, &of_auth) {
            (Some(shown), Some(of_auth)) if shown.is(of_auth) => [Some(shown), None],
            (shown, of_auth) => [shown.as_ref(), of_auth.as_ref()],
        };
        let watches = both.into_iter().flatten().map(RotatingIdentity::watch);
        Self {
            watches: tokio::sync::Mutex::new(watches.collect()),
            shown,
            of_auth,
            clients,
            working: Mutex::new(Working { set, proven: false }),
        }
    }

    /// The set to work with. Until it is proven, that of others who share the identity is better.
    pub(super) fn current(&self) -> Result<Set, TokenError> {
        let (set, proven) = {
            let working = self.working();
            (working.set.clone(), working.proven)
        };
        if proven {
            return Ok(set);
        }
        self.set_of(RotatingIdentity::current, &set)
    }

    /// The set to be tried.
    pub(super) fn latest(&self) -> Result<Set, TokenError> {
        let set = self.working().set.clone();
        self.set_of(RotatingIdentity::latest, &set)
    }

    /// The server gave a token to this set.
    pub(super) fn adopt(&self, set: Set) {
        for (identity, taken) in [(&self.shown, &set.shown), (&self.of_auth, &set.of_auth)] {
            if let (Some(identity), Some(taken)) = (identity, taken) {
                identity.adopt(taken);
            }
        }
        *self.working() = Working { set, proven: true };
    }

    pub(super) async fn changed(&self) -> Change {
        match self.watches.lock().await.as_mut_slice() {
            [one] => one.changed().await,
            [one, other] => tokio::select! {
                change = one.changed() => change,
                change = other.changed() => change,
            },
            _ => std::future::pending().await,
        }
    }

    pub(super) fn reload(&self) {
        for identity in [&self.shown, &self.of_auth].into_iter().flatten() {
            identity.reload();
        }
    }

    /// Whether a certificate is shown in the TLS handshake.
    pub(super) fn are_shown(&self) -> bool {
        self.working().set.client.identity().is_some()
    }

    /// The set of these identities; the client of `working`, if it shows the same one.
    fn set_of(
        &self,
        which: impl Fn(&RotatingIdentity) -> ClientIdentity,
        working: &Set,
    ) -> Result<Set, TokenError> {
        let shown = self.shown.as_ref().map(&which);
        let client = if number(shown.as_ref()) == number(working.shown.as_ref()) {
            working.client.clone()
        } else {
            self.clients.client(shown.as_ref())?
        };
        Ok(Set {
            shown,
            of_auth: self.of_auth.as_ref().map(which),
            client,
        })
    }

    fn working(&self) -> MutexGuard<'_, Working> {
        self.working.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A clone is another source: it hears the news by itself, and has proven nothing yet.
impl Clone for Keys {
    fn clone(&self) -> Self {
        Self::working_with(
            self.working().set.clone(),
            self.shown.clone(),
            self.of_auth.clone(),
            self.clients.clone(),
        )
    }
}

impl Clients {
    fn client(&self, shown: Option<&ClientIdentity>) -> Result<HttpClient, TokenError> {
        let client = match &self.origin {
            Origin::Given(client) => client.clone(),
            Origin::Made(make) => presenting(make(shown)?, shown),
            #[cfg(feature = "hyper")]
            Origin::Own(tls) => HttpClient::hyper(tls.clone(), shown.cloned())?,
        };
        Ok(match &self.map {
            Some(map) => {
                let identity = client.identity().cloned();
                presenting(map(client), identity.as_ref())
            }
            None => client,
        })
    }
}

fn presenting(client: HttpClient, identity: Option<&ClientIdentity>) -> HttpClient {
    match identity {
        Some(identity) => client.presents(identity.clone()),
        None => client,
    }
}

fn number(identity: Option<&ClientIdentity>) -> Option<IdentityNumber> {
    identity.map(ClientIdentity::number)
}

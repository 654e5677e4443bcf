//! The embedded authorization server.

mod assertion;
mod client;
mod credentials;
mod endpoint;
mod fault;
mod metadata;
mod record;

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    fmt, io,
    iter::repeat_n,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::Uri;

pub use self::{
    client::{AuthMethod, Client},
    record::{AuthorizationServerCounters, TokenRequest},
};
use super::{
    answer::Answer,
    gate::Gate,
    handshake::Handshake,
    lock,
    net::{Bound, Serving},
    pki::{Pki, Terms},
    tokens::TokenSet,
};
use crate::{clock::Clock, secret::SecretString};

/// An authorization server on a loopback port, which verifies what it is sent and does what a
/// test tells it.
///
/// It has a token endpoint for `client_credentials` ([RFC 6749 section 4.4]), endpoints for
/// introspection ([RFC 7662]) and revocation ([RFC 7009]), and metadata, both as an authorization
/// server ([RFC 8414]) and as an OpenID provider. Every method here works at once and from any thread, while requests are
/// served. When this is dropped, the listener and all its connections end.
///
/// What is refused: another method than POST, content that is no form, a parameter sent twice,
/// more than one method of client authentication, and a proof that isn't the registered client's.
/// A client assertion is good once, for five minutes at most, with `iss` and `sub` naming the
/// client, `aud` being exactly the [`issuer`](Self::issuer) as one string, integers as times,
/// and `typ`, if any, `client-authentication+jwt` ([RFC 7523 section 3], RFC 10070).
///
/// [RFC 6749 section 4.4]: https://www.rfc-editor.org/rfc/rfc6749#section-4.4
/// [RFC 7009]: https://www.rfc-editor.org/rfc/rfc7009
/// [RFC 7523 section 3]: https://www.rfc-editor.org/rfc/rfc7523#section-3
/// [RFC 7662]: https://www.rfc-editor.org/rfc/rfc7662
/// [RFC 8414]: https://www.rfc-editor.org/rfc/rfc8414
pub struct FakeAuthorizationServer {
    shared: Arc<Shared>,
    serving: Serving,
}

/// What the handle and the requests under way share.
struct Shared {
    issuer: String,
    tokens: Arc<TokenSet>,
    gate: Gate,
    state: Mutex<State>,
}

struct State {
    clients: HashMap<String, Arc<Client>>,
    /// Client and `jti` of the assertions that were accepted.
    used: HashSet<(String, String)>,
    lifetime: Option<Duration>,
    latency: Duration,
    one_token: bool,
    hostile: bool,
    scripted: VecDeque<Answer>,
    requests: Vec<TokenRequest>,
    /// What is answered to requests for metadata, by path.
    metadata: BTreeMap<String, Answer>,
    metadata_requests: Vec<Uri>,
    /// What is answered to revocations, in place of what they come to.
    revocation: Option<Answer>,
    revocation_requests: Vec<TokenRequest>,
    counters: AuthorizationServerCounters,
}

impl FakeAuthorizationServer {
    /// A server with a certificate of this authority, which accepts client certificates of it.
    pub fn builder(pki: &Pki) -> FakeAuthorizationServerBuilder<'_> {
        FakeAuthorizationServerBuilder {
            pki,
            terms: Terms::default(),
            clients: Vec::new(),
            clock: Clock::system(),
        }
    }

    /// The issuer identifier: `https://127.0.0.1:` and the port.
    pub fn issuer(&self) -> &str {
        &self.shared.issuer
    }

    /// The URL of the token endpoint.
    pub fn token_endpoint(&self) -> String {
        self.shared.issuer.clone() + endpoint::TOKEN
    }

    /// The URL of the introspection endpoint, open to every registered client.
    pub fn introspection_endpoint(&self) -> String {
        self.shared.issuer.clone() + endpoint::INTROSPECTION
    }

    /// The URL of the revocation endpoint, open to every registered client for its own tokens.
    pub fn revocation_endpoint(&self) -> String {
        self.shared.issuer.clone() + endpoint::REVOCATION
    }

    /// Adds a client, or replaces the one with its identifier.
    pub fn register(&self, client: Client) {
        let mut state = lock(&self.shared.state);
        state.clients.insert(client.id.clone(), Arc::new(client));
    }

    /// Sets how long tokens issued from now on live. `None`: until they are revoked, and the
    /// answers have no `expires_in`. Default: an hour. `expires_in` is in whole seconds, rounded
    /// down; the resource goes by the exact time.
    pub fn set_token_lifetime(&self, lifetime: Option<Duration>) {
        lock(&self.shared.state).lifetime = lifetime;
    }

    /// Sets how long token requests that arrive from now on take. Default: zero.
    pub fn set_latency(&self, latency: Duration) {
        lock(&self.shared.state).latency = latency;
    }

    /// Keeps one active token per client from now on: to issue one revokes those before it, as some
    /// servers do. Default: `false`.
    pub fn keep_one_token_per_client(&self, one: bool) {
        lock(&self.shared.state).one_token = one;
    }

    /// Sends every credential that came with a token request back with its answer, good or bad:
    /// in `WWW-Authenticate`, `Location`, `error_description` and the body. Default: `false`.
    pub fn set_hostile(&self, hostile: bool) {
        lock(&self.shared.state).hostile = hostile;
    }

    /// Answers the next `count` token requests like this, whatever they ask for, after any that
    /// were scripted before.
    pub fn answer_next(&self, count: usize, answer: Answer) {
        let mut state = lock(&self.shared.state);
        state.scripted.extend(repeat_n(answer, count));
    }

    /// Answers requests for metadata at this path like this from now on, in place of the server's own
    /// document, until another answer is set. Paths have `/.well-known/` in them.
    pub fn set_metadata(&self, path: impl Into<String>, answer: Answer) {
        lock(&self.shared.state)
            .metadata
            .insert(path.into(), answer);
    }

    /// The metadata as the server publishes it by itself: JSON text, to be altered and given to
    /// [`set_metadata`](Self::set_metadata).
    pub fn metadata(&self) -> String {
        self.shared.document().to_string()
    }

    /// The targets of the requests for metadata so far, in the order of their arrival.
    pub fn metadata_requests(&self) -> Vec<Uri> {
        lock(&self.shared.state).metadata_requests.clone()
    }

    /// Answers revocations like this from now on, and revokes nothing.
    pub fn set_revocation(&self, answer: Answer) {
        lock(&self.shared.state).revocation = Some(answer);
    }

    /// The revocations so far, in the order of their arrival.
    pub fn revocation_requests(&self) -> Vec<TokenRequest> {
        lock(&self.shared.state).revocation_requests.clone()
    }

    /// Revokes every token issued so far, as a server that lost its state does.
    pub fn rollover(&self) {
        self.shared.tokens.revoke_all();
    }

    /// Issues a token without a request, for tests of a resource alone. It counts nowhere and
    /// lives as long as others issued now.
    ///
    /// # Errors
    ///
    /// When the system has no randomness.
    pub fn mint(&self, client_id: &str, scope: &str) -> io::Result<SecretString> {
        let lifetime = lock(&self.shared.state).lifetime;
        let token = self.shared.tokens.mint(client_id, scope, None, lifetime)?;
        Ok(token.into())
    }

    /// Whether this token was issued here and is neither expired nor revoked.
    pub fn is_active(&self, token: &str) -> bool {
        self.shared.tokens.find(token).is_some()
    }

    /// Holds requests for tokens and metadata and revocations: who has arrived waits, before anything
    /// is verified, issued or revoked, until [`release`](Self::release).
    pub fn hold(&self) {
        self.shared.gate.shut();
    }

    /// Lets all held requests go on, and new ones pass.
    pub fn release(&self) {
        self.shared.gate.open();
    }

    /// Waits until at least `count` requests are held.
    ///
    /// # Cancel safety
    ///
    /// It only looks on: dropping it changes nothing.
    pub async fn wait_until_held(&self, count: usize) {
        self.shared.gate.holds(count).await;
    }

    /// Goes away: all connections break, with the requests on them unanswered, and new ones break
    /// before the TLS handshake. The port stays taken, so that it comes back at the same address.
    pub fn take_down(&self) {
        self.serving.take_down();
    }

    /// Comes back after [`take_down`](Self::take_down), with all its state.
    pub fn bring_up(&self) {
        self.serving.bring_up();
    }

    /// The TLS handshakes so far, in the order in which they ended.
    pub fn handshakes(&self) -> Vec<Handshake> {
        self.serving.connections().handshakes()
    }

    /// What was counted so far.
    pub fn counters(&self) -> AuthorizationServerCounters {
        AuthorizationServerCounters {
            connections: self.serving.connections().total(),
            open_connections: self.serving.connections().open(),
            ..lock(&self.shared.state).counters
        }
    }

    /// The token requests so far, in the order of their arrival.
    pub fn requests(&self) -> Vec<TokenRequest> {
        lock(&self.shared.state).requests.clone()
    }

    /// Forgets the token requests and handshakes so far, whose record grows with every one. Tokens
    /// and what was counted stay.
    pub fn forget(&self) {
        lock(&self.shared.state).requests = Vec::new();
        self.serving.connections().forget_handshakes();
    }

    /// Ends the server, as dropping it does, and waits for the port to be free.
    ///
    /// # Cancel safety
    ///
    /// The server ends even when this is dropped.
    pub async fn shutdown(self) {
        self.serving.shutdown().await;
    }

    pub(super) fn tokens(&self) -> Arc<TokenSet> {
        Arc::clone(&self.shared.tokens)
    }
}

impl fmt::Debug for FakeAuthorizationServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeAuthorizationServer")
            .field("issuer", &self.shared.issuer)
            .field("counters", &self.counters())
            .finish_non_exhaustive()
    }
}

// ===== impl FakeAuthorizationServerBuilder =====

/// Sets up a [`FakeAuthorizationServer`].
#[derive(Debug)]
pub struct FakeAuthorizationServerBuilder<'a> {
    pki: &'a Pki,
    terms: Terms,
    clients: Vec<Client>,
    clock: Clock,
}

impl FakeAuthorizationServerBuilder<'_> {
    /// Adds a client. Default: none; [`register`](FakeAuthorizationServer::register) adds more
    /// while the server runs.
    #[must_use]
    pub fn client(mut self, client: Client) -> Self {
        self.clients.push(client);
        self
    }

    /// Sets where the server reads the time. Default: the machine's clocks.
    #[must_use]
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = clock.into();
        self
    }

    /// Takes client certificates in the TLS handshake that no authority has issued, too. Default: the
    /// handshake ends.
    #[must_use]
    pub fn allow_self_signed(mut self) -> Self {
        self.terms.self_signed = true;
        self
    }

    /// Asks nobody for a certificate, as a server behind a proxy that ends TLS. Default: everybody
    /// is asked, and may do without.
    #[must_use]
    pub fn certificate_unasked(mut self) -> Self {
        self.terms.certificate_unasked = true;
        self
    }

    /// Has a certificate for `elsewhere.example`. Default: for `127.0.0.1` and `localhost`.
    #[must_use]
    pub fn misnamed(mut self) -> Self {
        self.terms.misnamed = true;
        self
    }

    /// Speaks TLS 1.2 at most. Default: TLS 1.3 and 1.2.
    #[must_use]
    pub fn tls12_only(mut self) -> Self {
        self.terms.tls12_only = true;
        self
    }

    /// Takes a port and serves it on the current runtime.
    ///
    /// # Errors
    ///
    /// When there is no port or the certificate can't be made.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime with I/O enabled.
    pub async fn start(self) -> io::Result<FakeAuthorizationServer> {
        let tls = self.pki.server(self.terms)?;
        let bound = Bound::new()?;
        let shared = Arc::new(Shared {
            issuer: bound.origin(),
            tokens: Arc::new(TokenSet::new(self.clock)),
            gate: Gate::new(),
            state: Mutex::new(State {
                clients: HashMap::new(),
                used: HashSet::new(),
                lifetime: Some(Duration::from_secs(60 * 60)),
                latency: Duration::ZERO,
                one_token: false,
                hostile: false,
                scripted: VecDeque::new(),
                requests: Vec::new(),
                metadata: BTreeMap::new(),
                metadata_requests: Vec::new(),
                revocation: None,
                revocation_requests: Vec::new(),
                counters: AuthorizationServerCounters::default(),
            }),
        });
        let server = FakeAuthorizationServer {
            serving: bound.serve(tls, Arc::clone(&shared)),
            shared,
        };
        for client in self.clients {
            server.register(client);
        }
        Ok(server)
    }
}

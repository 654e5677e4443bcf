//! The embedded protected resource.

mod record;
mod refusal;

use std::{
    fmt, io,
    sync::{Arc, Mutex},
};

use http::{HeaderMap, Request, Response, StatusCode, Uri, header};
use hyper::body::Incoming;

pub use self::{
    record::{ReceivedBody, ReceivedCall, ResourceCounters},
    refusal::Refusal,
};
use super::{
    answer::{Answer, AnswerBody},
    authorization_server::FakeAuthorizationServer,
    echo,
    gate::Gate,
    handshake::Handshake,
    lock,
    log::Log,
    net::{Bound, Handler, Peer, Serving},
    pki::{Pki, Terms},
    tokens::{Issued, TokenSet},
};

/// A protected resource on a loopback port, which accepts the tokens of one
/// [`FakeAuthorizationServer`] and says no in the way a test tells it.
///
/// A call is accepted when it has exactly one `Authorization: Bearer` with a token that is
/// neither expired nor revoked at that moment and, if the token is bound to a certificate, came
/// over a connection with that certificate ([RFC 8705 section 3]). Every path is served, over
/// HTTP/1.1 and HTTP/2. When this is dropped, the listener and all its connections end.
///
/// [RFC 8705 section 3]: https://www.rfc-editor.org/rfc/rfc8705#section-3
pub struct FakeResource {
    shared: Arc<Shared>,
    serving: Serving,
}

/// What the handle and the calls under way share.
struct Shared {
    origin: String,
    tokens: Option<Arc<TokenSet>>,
    calls_gate: Gate,
    bodies_gate: Gate,
    state: Mutex<State>,
}

struct State {
    acceptance: Answer,
    refusal: Refusal,
    refuse_all: bool,
    refuse_early: bool,
    hostile: bool,
    calls: Log<ReceivedCall>,
    counters: ResourceCounters,
}

impl FakeResource {
    /// A resource with a certificate of this authority.
    pub fn builder(pki: &Pki) -> FakeResourceBuilder<'_> {
        FakeResourceBuilder {
            pki,
            tokens: None,
            terms: Terms::default(),
        }
    }

    /// The origin: `https://127.0.0.1:` and the port.
    pub fn origin(&self) -> &str {
        &self.shared.origin
    }

    /// The address of something here, such as `/orders`.
    ///
    /// # Panics
    ///
    /// When the path doesn't begin with a slash or isn't a path.
    pub fn uri(&self, path: &str) -> Uri {
        assert!(path.starts_with('/'), "a path begins with a slash");
        let uri = self.shared.origin.clone() + path;
        uri.parse().expect("a path in a URI")
    }

    /// Sets the answer to accepted calls. Default: 200 with a short text.
    pub fn set_acceptance(&self, answer: Answer) {
        lock(&self.shared.state).acceptance = answer;
    }

    /// Sets the answer to refused calls. Default: [`Refusal::InvalidToken401`].
    pub fn set_refusal(&self, refusal: Refusal) {
        lock(&self.shared.state).refusal = refusal;
    }

    /// Refuses every call, whatever its token. Default: `false`.
    pub fn refuse_all(&self, refuse: bool) {
        lock(&self.shared.state).refuse_all = refuse;
    }

    /// Refuses without reading the body first, as a gateway does. Default: `false`.
    pub fn refuse_early(&self, early: bool) {
        lock(&self.shared.state).refuse_early = early;
    }

    /// Sends the token of a call back with its answer, good or bad: in `WWW-Authenticate`,
    /// `Location` and the body. Default: `false`.
    pub fn set_hostile(&self, hostile: bool) {
        lock(&self.shared.state).hostile = hostile;
    }

    /// Holds calls: who has arrived waits, before the token is looked at and before the body is
    /// read, until [`release`](Self::release).
    pub fn hold(&self) {
        self.shared.calls_gate.shut();
    }

    /// Lets all held calls go on, and new ones pass.
    pub fn release(&self) {
        self.shared.calls_gate.open();
    }

    /// Waits until at least `count` calls are held.
    ///
    /// # Cancel safety
    ///
    /// It only looks on: dropping it changes nothing.
    pub async fn wait_until_held(&self, count: usize) {
        self.shared.calls_gate.holds(count).await;
    }

    /// Sends the head and half of the body of refusals, and the rest after
    /// [`release_refusal_bodies`](Self::release_refusal_bodies): a slow body without a clock.
    pub fn hold_refusal_bodies(&self) {
        self.shared.bodies_gate.shut();
    }

    /// Sends the rest of all held bodies.
    pub fn release_refusal_bodies(&self) {
        self.shared.bodies_gate.open();
    }

    /// Goes away: all connections break, with the calls on them unanswered, and new ones break
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
    pub fn counters(&self) -> ResourceCounters {
        ResourceCounters {
            connections: self.serving.connections().total(),
            open_connections: self.serving.connections().open(),
            ..lock(&self.shared.state).counters
        }
    }

    /// The calls so far, in the order of their arrival.
    pub fn calls(&self) -> Vec<ReceivedCall> {
        lock(&self.shared.state).calls.kept()
    }

    /// Forgets the calls and handshakes so far, whose record grows with every one. What was counted
    /// stays.
    pub fn forget(&self) {
        lock(&self.shared.state).calls.forget();
        self.serving.connections().forget_handshakes();
    }

    /// Ends the resource, as dropping it does, and waits for the port to be free.
    ///
    /// # Cancel safety
    ///
    /// The resource ends even when this is dropped.
    pub async fn shutdown(self) {
        self.serving.shutdown().await;
    }
}

impl fmt::Debug for FakeResource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FakeResource")
            .field("origin", &self.shared.origin)
            .field("counters", &self.counters())
            .finish_non_exhaustive()
    }
}

// ===== impl FakeResourceBuilder =====

/// Sets up a [`FakeResource`].
#[derive(Debug)]
pub struct FakeResourceBuilder<'a> {
    pki: &'a Pki,
    tokens: Option<Arc<TokenSet>>,
    terms: Terms,
}

impl FakeResourceBuilder<'_> {
    /// Accepts the tokens of this server. Default: no token is accepted.
    #[must_use]
    pub fn trusting(mut self, server: &FakeAuthorizationServer) -> Self {
        self.tokens = Some(server.tokens());
        self
    }

    /// Ends the TLS handshake of clients without a certificate of the authority. Default: a
    /// certificate is asked for and may be missing.
    #[must_use]
    pub fn require_client_certificate(mut self) -> Self {
        self.terms.certificate_required = true;
        self
    }

    /// Takes client certificates in the TLS handshake that no authority has issued, too. Default: the
    /// handshake ends.
    #[must_use]
    pub fn allow_self_signed(mut self) -> Self {
        self.terms.self_signed = true;
        self
    }

    /// Speaks TLS 1.2 and nothing newer. Default: TLS 1.3 as well.
    #[must_use]
    pub fn tls12_only(mut self) -> Self {
        self.terms.tls12_only = true;
        self
    }

    /// Speaks HTTP/1.1 and nothing newer. Default: HTTP/2 as well.
    #[must_use]
    pub fn http1_only(mut self) -> Self {
        self.terms.http1_only = true;
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
    pub async fn start(self) -> io::Result<FakeResource> {
        let tls = self.pki.server(self.terms)?;
        let bound = Bound::new()?;
        let shared = Arc::new(Shared {
            origin: bound.origin(),
            tokens: self.tokens,
            calls_gate: Gate::new(),
            bodies_gate: Gate::new(),
            state: Mutex::new(State {
                acceptance: Answer::new(StatusCode::OK)
                    .header("content-type", "text/plain")
                    .body("ok\n"),
                refusal: Refusal::default(),
                refuse_all: false,
                refuse_early: false,
                hostile: false,
                calls: Log::default(),
                counters: ResourceCounters::default(),
            }),
        });
        Ok(FakeResource {
            serving: bound.serve(tls, Arc::clone(&shared)),
            shared,
        })
    }
}

// ===== impl Shared =====

impl Handler for Shared {
    async fn handle(&self, request: Request<Incoming>, peer: &Peer) -> Response<AnswerBody> {
        let (head, body) = request.into_parts();
        let number = lock(&self.state).arrived(ReceivedCall::new(&head, peer));
        self.calls_gate.pass().await;

        let early = lock(&self.state).refuse_early;
        let refused = early && self.refuses(&head.headers, peer) || {
            let body = ReceivedBody::read(body).await;
            if let Some(call) = lock(&self.state).calls.get_mut(number) {
                call.body = Some(body);
            }
            self.refuses(&head.headers, peer)
        };

        let mismatched = refused && self.is_misbound(&head.headers, peer);
        let mut state = lock(&self.state);
        state.counters.mismatched += u64::from(mismatched);
        let mut answer = state.decide(number, refused);
        if state.hostile {
            answer = echo::into(answer, &echo::credentials(&head.headers, &[]));
        }
        if refused {
            answer.into_held_response(self.bodies_gate.clone())
        } else {
            answer.into_response()
        }
    }
}

impl Shared {
    fn refuses(&self, headers: &HeaderMap, peer: &Peer) -> bool {
        lock(&self.state).refuse_all || !self.is_good(headers, peer)
    }

    fn is_good(&self, headers: &HeaderMap, peer: &Peer) -> bool {
        let issued = self.issued(headers);
        issued.is_some_and(|issued| !issued.is_misbound(peer.thumbprint.as_deref()))
    }

    fn is_misbound(&self, headers: &HeaderMap, peer: &Peer) -> bool {
        let issued = self.issued(headers);
        issued.is_some_and(|issued| issued.is_misbound(peer.thumbprint.as_deref()))
    }

    fn issued(&self, headers: &HeaderMap) -> Option<Issued> {
        let (tokens, token) = self.tokens.as_ref().zip(bearer_token(headers))?;
        tokens.find(token)
    }
}

impl State {
    /// Counts and records a call; returns its number.
    fn arrived(&mut self, call: ReceivedCall) -> usize {
        self.counters.calls += 1;
        self.calls.push(call)
    }

    fn decide(&mut self, number: usize, refused: bool) -> Answer {
        if let Some(call) = self.calls.get_mut(number) {
            call.accepted = Some(!refused);
        }
        if refused {
            self.counters.refused += 1;
            self.refusal.answer()
        } else {
            self.counters.accepted += 1;
            self.acceptance.clone()
        }
    }
}

fn bearer_token(headers: &HeaderMap) -> Option<&str> {
    let mut fields = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(field), None) = (fields.next(), fields.next()) else {
        return None;
    };
    let (scheme, token) = field.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

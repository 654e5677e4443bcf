//! The authorization server and the resources.

use std::{
    collections::BTreeMap,
    future::pending,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderMap, Request, Response, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tower_oauth::BoxError;

use crate::{
    network,
    scenario::{APIS, ApiMood, AsMood, Dice, Scenario},
    trace::{Recorder, Seen},
};

/// The headers by which the servers know what is what.
pub(crate) const CLIENT: &str = "x-client";
pub(crate) const CALL: &str = "x-call";
pub(crate) const FETCH: &str = "x-fetch";

/// What the servers know. The resources ask the authorization server about tokens, by a way that
/// doesn't lead through the simulated network.
#[derive(Clone)]
pub(crate) struct Backend(Arc<Mutex<State>>);

pub(crate) struct State {
    /// Until when each token is good.
    tokens: BTreeMap<String, Duration>,
    /// The last one of each client, and until when it is handed out again by a server that caches:
    /// even when it isn't good any more.
    last: BTreeMap<usize, (String, Duration)>,
    minted: u64,
    dice: Dice,
    pub(crate) lifetime: Duration,
    refresh_in: Option<u32>,
    pub(crate) mood: AsMood,
    pub(crate) moods: [ApiMood; APIS],
}

impl Backend {
    pub(crate) fn new(scenario: &Scenario) -> Self {
        Self(Arc::new(Mutex::new(State {
            tokens: BTreeMap::new(),
            last: BTreeMap::new(),
            minted: 0,
            dice: Dice::new(!scenario.seed),
            lifetime: scenario.lifetime,
            refresh_in: scenario.refresh_in,
            mood: AsMood::Well,
            moods: [ApiMood::Well; APIS],
        })))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// A rollover: no token of before is good any more.
    pub(crate) fn forget(&mut self) {
        self.tokens.clear();
    }

    fn grant(&mut self, client: usize) -> Response<Full<Bytes>> {
        let now = now();
        let cached = self.last.get(&client).cloned().filter(|(_, until)| {
            self.mood == AsMood::Caching && *until > now + Duration::from_secs(2)
        });
        let (token, until) = cached.unwrap_or_else(|| {
            self.minted += 1;
            let token = format!("token-{}", self.minted);
            let until = now + self.lifetime;
            self.tokens.insert(token.clone(), until);
            (token, until)
        });
        self.last.insert(client, (token.clone(), until));
        let lifetime = (until - now).as_secs();
        let refresh_in = self
            .refresh_in
            .map(|part| lifetime * u64::from(part) / 100)
            .map(|seconds| format!(r#","refresh_in":{seconds}"#))
            .unwrap_or_default();
        json(
            StatusCode::OK,
            format!(
                r#"{{"access_token":"{token}","token_type":"Bearer","expires_in":{lifetime}{refresh_in}}}"#
            ),
        )
    }

    fn accepts(&self, api: usize, token: &str) -> bool {
        self.moods[api] != ApiMood::Refusing
            && self.tokens.get(token).is_some_and(|until| *until > now())
    }
}

/// The authorization server. A start forgets what was before it.
pub(crate) async fn authorization_server(backend: Backend, recorder: Recorder) -> turmoil::Result {
    backend.lock().forget();
    network::serve(move |request: Request<Incoming>| {
        let backend = backend.clone();
        let client = number(request.headers(), CLIENT);
        recorder.saw(client, Seen::Asked(number(request.headers(), FETCH)));
        async move {
            let mood = backend.lock().mood;
            match mood {
                AsMood::Slow(delay) => tokio::time::sleep(delay).await,
                AsMood::Mute => pending().await,
                AsMood::Torn => return Err("torn".into()),
                _ => {}
            }
            request.into_body().collect().await?;
            Ok(match mood {
                AsMood::Status(status, retry_after) => refusal(status, retry_after),
                AsMood::Html => Response::new("<h1>Hello</h1>".into()),
                AsMood::InvalidClient => json(
                    StatusCode::UNAUTHORIZED,
                    r#"{"error":"invalid_client"}"#.to_owned(),
                ),
                _ => backend.lock().grant(client),
            })
        }
    })
    .await
}

/// A resource.
pub(crate) async fn api(api: usize, backend: Backend, recorder: Recorder) -> turmoil::Result {
    network::serve(move |request: Request<Incoming>| {
        let (backend, recorder) = (backend.clone(), recorder.clone());
        async move {
            let (head, body) = request.into_parts();
            let (client, call) = (number(&head.headers, CLIENT), number(&head.headers, CALL));
            let token = bearer(&head.headers).to_owned();
            let seen = Seen::Arrived {
                call,
                token: token.clone(),
            };
            recorder.saw(client, seen);
            let mood = backend.lock().moods[api];
            match mood {
                ApiMood::Torn => return Err("torn".into()),
                ApiMood::Failing => return Ok(refusal(503, None)),
                _ => {}
            }
            // Judged first, answered late.
            let accepted = backend.lock().accepts(api, &token);
            if let ApiMood::Slow(most) = mood {
                let delay = backend.lock().dice.between(0, most.as_millis() as u64);
                tokio::time::sleep(delay).await;
            }
            let whole = body.collect().await?.to_bytes() == call.to_string();
            Ok::<_, BoxError>(match (accepted, whole) {
                (true, true) => Response::default(),
                (true, false) => refusal(400, None),
                (false, _) => {
                    let mut response = refusal(401, None);
                    let challenge =
                        r#"Bearer error="invalid_token""#.parse().expect("a header value");
                    response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
                    response
                }
            })
        }
    })
    .await
}

fn now() -> Duration {
    turmoil::sim_elapsed().expect("on a host")
}

fn number(headers: &HeaderMap, name: &str) -> usize {
    let value = headers.get(name).and_then(|it| it.to_str().ok());
    value
        .and_then(|it| it.parse().ok())
        .expect("the client says who it is")
}

/// The token that a request carries.
pub(crate) fn bearer(headers: &HeaderMap) -> &str {
    let value = headers.get(AUTHORIZATION).and_then(|it| it.to_str().ok());
    value
        .and_then(|it| it.strip_prefix("Bearer "))
        .unwrap_or_default()
}

fn json(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    Response::builder()
        .status(status)
        .header(CONTENT_TYPE, "application/json")
        .body(body.into())
        .expect("a response")
}

fn refusal(status: u16, retry_after: Option<u64>) -> Response<Full<Bytes>> {
    let mut response = Response::builder().status(status);
    if let Some(seconds) = retry_after {
        response = response.header(RETRY_AFTER, seconds);
    }
    response.body(Full::default()).expect("a response")
}

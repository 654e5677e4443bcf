//! The token request as it is sent, without what is secret in it.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Method, Request, Response, header};
use serde_json::{Map, Value};
use tower_oauth::{
    BoxError,
    transport::{HttpClient, TokenTransport},
};

/// A client of the authorization server that remembers the outline of the last request.
pub(crate) struct Tap {
    pub(crate) inner: HttpClient,
    pub(crate) sent: Sent,
}

#[derive(Clone, Default)]
pub(crate) struct Sent(Arc<Mutex<Option<Outline>>>);

/// What of a token request may be shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outline {
    method: Method,
    pub(crate) url: String,
    authorization: Option<String>,
    parameters: Vec<(String, String)>,
    /// Header and claims of the assertion.
    assertion: Map<String, Value>,
}

/// Parameters whose values are no secret.
const SHOWN: [&str; 6] = [
    "grant_type",
    "client_id",
    "scope",
    "resource",
    "audience",
    "client_assertion_type",
];

/// What of an assertion a server compares. A `jti` is good once, and `exp` follows from `iat`.
const COMPARED: [&str; 8] = ["alg", "typ", "kid", "x5t#S256", "iss", "sub", "aud", "iat"];

impl Sent {
    pub(crate) fn last(&self) -> Option<Outline> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl TokenTransport for Tap {
    async fn send(
        &self,
        request: Request<Bytes>,
        max_answer: usize,
    ) -> Result<Response<Bytes>, BoxError> {
        let outline = Outline::of(&request);
        *self.sent.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(outline);
        TokenTransport::send(&self.inner, request, max_answer).await
    }
}

impl Outline {
    fn of(request: &Request<Bytes>) -> Self {
        // A query may hold anything.
        let address = request.uri().to_string();
        let address = address.split('?').next().unwrap_or_default();
        let mut outline = Self {
            method: request.method().clone(),
            url: address.to_owned(),
            ..Self::default()
        };
        let authorization = request.headers().get(header::AUTHORIZATION);
        outline.authorization = authorization
            .and_then(|value| value.to_str().ok()?.split(' ').next())
            .map(str::to_owned);
        for (name, value) in form_urlencoded::parse(request.body()) {
            if name == "client_assertion" {
                outline.assertion = compared(&value);
            }
            let shown = SHOWN.contains(&&*name);
            let value = if shown {
                value.into_owned()
            } else {
                "***".to_owned()
            };
            outline.parameters.push((name.into_owned(), value));
        }
        outline
    }

    /// What isn't asks for metadata.
    pub(crate) fn is_token_request(&self) -> bool {
        self.method == Method::POST
    }

    /// What stands in the assertion, for people.
    pub(crate) fn assertion(&self) -> Option<String> {
        let fields = self.assertion.iter().map(|(name, value)| match value {
            Value::String(text) => format!("{name}={text}"),
            other => format!("{name}={other}"),
        });
        let fields: Vec<_> = fields.collect();
        (!fields.is_empty()).then(|| fields.join(" "))
    }
}

impl fmt::Display for Outline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.url)?;
        if let Some(scheme) = &self.authorization {
            write!(f, ", Authorization: {scheme} ***")?;
        }
        for (at, (name, value)) in self.parameters.iter().enumerate() {
            let between = if at == 0 { ", " } else { "&" };
            write!(f, "{between}{name}={value}")?;
        }
        match self.assertion() {
            Some(fields) => write!(f, " (the assertion says {fields})"),
            None => Ok(()),
        }
    }
}

fn compared(assertion: &str) -> Map<String, Value> {
    let mut all = Map::new();
    for part in assertion.split('.').take(2) {
        let json = URL_SAFE_NO_PAD.decode(part).unwrap_or_default();
        all.extend(serde_json::from_slice::<Map<String, Value>>(&json).unwrap_or_default());
    }
    all.retain(|name, _| COMPARED.contains(&name.as_str()));
    all
}

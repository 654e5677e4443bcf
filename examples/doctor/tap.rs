//! The token request as it is sent, without what is secret in it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Request, header};
use http_body_util::Full;
use serde_json::Value;
use tower::Service;

/// A client of the authorization server that remembers the last request in words.
#[derive(Clone)]
pub(crate) struct Tap<S> {
    pub(crate) inner: S,
    pub(crate) sent: Sent,
}

#[derive(Clone, Default)]
pub(crate) struct Sent(Arc<Mutex<Option<Outline>>>);

/// What of a token request may be shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outline {
    address: String,
    authorization: Option<String>,
    parameters: Vec<(String, String)>,
    /// Header and claims of the assertion.
    pub(crate) assertion: BTreeMap<String, String>,
}

/// Whose values say nothing that must not be known.
const SHOWN: [&str; 7] = [
    "grant_type",
    "client_id",
    "scope",
    "resource",
    "audience",
    "client_assertion_type",
    "requested_token_type",
];

impl Sent {
    pub(crate) fn last(&self) -> Option<Outline> {
        let sent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sent.clone()
    }
}

impl<S: Service<Request<Full<Bytes>>>> Service<Request<Full<Bytes>>> for Tap<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        let outline = Outline::of(&request);
        *self.sent.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(outline);
        self.inner.call(request)
    }
}

impl Outline {
    fn of(request: &Request<Full<Bytes>>) -> Self {
        let mut outline = Self {
            address: format!("{} {}", request.method(), without_query(request.uri())),
            ..Self::default()
        };
        let scheme = request.headers().get(header::AUTHORIZATION);
        let scheme = scheme.and_then(|value| value.to_str().ok()?.split(' ').next());
        outline.authorization = scheme.map(str::to_owned);
        for (name, value) in form_urlencoded::parse(&content(request)) {
            if name == "client_assertion" {
                outline.assertion = claims(&value);
            }
            let shown = SHOWN.contains(&&*name);
            let value = if shown { value.into_owned() } else { "***".into() };
            outline.parameters.push((name.into_owned(), value));
        }
        outline
    }
}

impl std::fmt::Display for Outline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.address)?;
        if let Some(scheme) = &self.authorization {
            write!(f, " Authorization: {scheme} ***")?;
        }
        for (name, value) in &self.parameters {
            write!(f, " {name}={value}")?;
        }
        if !self.assertion.is_empty() {
            let fields: Vec<_> = self.assertion.iter().map(|(k, v)| format!("{k}={v}")).collect();
            write!(f, " (assertion: {})", fields.join(" "))?;
        }
        Ok(())
    }
}

fn without_query(uri: &http::Uri) -> String {
    let whole = uri.to_string();
    whole.split('?').next().unwrap_or_default().to_owned()
}

/// It is in memory as a whole.
fn content(request: &Request<Full<Bytes>>) -> Bytes {
    use http_body_util::BodyExt;
    let collected = futures_now(request.body().clone().collect());
    collected.map(|it| it.to_bytes()).unwrap_or_default()
}

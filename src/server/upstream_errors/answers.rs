use std::{error::Error as StdError, iter, sync::Arc, time::UNIX_EPOCH};

use http::{
    HeaderName, HeaderValue, Response, StatusCode,
    header::{PROXY_AUTHENTICATE, RETRY_AFTER, WWW_AUTHENTICATE},
};

use super::UpstreamBody;
use crate::{
    clock::Clock,
    error::{BoxError, TokenError},
    server::{Stripped, fields::Fields},
    service::{Error, Rejected},
};

/// What callers are answered.
#[derive(Clone, Debug)]
pub(super) struct Answers {
    fields: Fields,
    clock: Clock,
}

impl Answers {
    pub(super) fn new() -> Self {
        Self {
            fields: Fields::new([
                WWW_AUTHENTICATE,
                PROXY_AUTHENTICATE,
                HeaderName::from_static("authentication-info"),
                HeaderName::from_static("proxy-authentication-info"),
                HeaderName::from_static("dpop-nonce"),
            ]),
            clock: Clock::system(),
        }
    }

    /// The same, by another clock.
    pub(super) fn by(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// What becomes of an error: an answer, if it is ours.
    pub(super) fn on_error<B>(
        &self,
        error: BoxError,
    ) -> Result<Response<UpstreamBody<B>>, BoxError> {
        match find_ours(&*error) {
            Some(error) => Ok(self.answer(error)),
            None => Err(error),
        }
    }

    /// What becomes of a response.
    pub(super) fn on_response<B>(&self, mut response: Response<B>) -> Response<UpstreamBody<B>> {
        if let Some(rejected) = response.extensions_mut().remove::<Rejected>() {
            return self.answer(Error::Rejected(Box::new(rejected)));
        }
        let status = response.status();
        if status == StatusCode::UNAUTHORIZED
            || status == StatusCode::PROXY_AUTHENTICATION_REQUIRED
            || status.is_client_error() && response.headers().contains_key(WWW_AUTHENTICATE)
        {
            return empty(StatusCode::BAD_GATEWAY);
        }
        self.fields.strip(response.headers_mut());
        response.map(|body| UpstreamBody::of(Stripped::new(body, self.fields.clone())))
    }

    fn answer<B>(&self, error: Error) -> Response<UpstreamBody<B>> {
        let mut response = match &error {
            Error::Token(error) => {
                let mut response = empty(StatusCode::SERVICE_UNAVAILABLE);
                let seconds = self.seconds_until_retry(error);
                response
                    .headers_mut()
                    .insert(RETRY_AFTER, HeaderValue::from(seconds));
                response
            }
            _ => empty(StatusCode::BAD_GATEWAY),
        };
        response.extensions_mut().insert(Arc::new(error));
        response
    }

    /// Whole seconds, rounded up: a caller that comes too early is turned away again.
    fn seconds_until_retry(&self, error: &TokenError) -> u64 {
        let now = UNIX_EPOCH + self.clock.now().wall;
        let left = error
            .retry_at()
            .and_then(|at| at.duration_since(now).ok())
            .unwrap_or_default();
        (left.as_secs() + u64::from(left.subsec_nanos() > 0)).max(1)
    }
}

/// What is ours in an error's chain, with nothing of ours around it: a layer may stand around
/// another.
fn find_ours(error: &(dyn StdError + 'static)) -> Option<Error> {
    iter::successors(Some(error), |error| (*error).source())
        .filter_map(|error| error.downcast_ref::<Error>())
        .find_map(|error| match error {
            Error::Token(error) => Some(Error::Token(error.clone())),
            Error::Rejected(rejected) => Some(Error::Rejected(rejected.clone())),
            Error::Origin(error) => Some(Error::Origin(error.clone())),
            Error::Inner(_) => None,
        })
}

fn empty<B>(status: StatusCode) -> Response<UpstreamBody<B>> {
    let mut response = Response::new(UpstreamBody::empty());
    *response.status_mut() = status;
    response
}

//! The layer over services that are functions, with tokio's clock paused.

mod by_hand;
mod callers;
mod meanings;
mod originals;
mod origins;
mod readiness;
mod repeats;
mod rollovers;
mod streams;
mod threads;
mod types;

use http::Response;
use tower_oauth::service::{Rejected, RejectedReason};

use crate::support::refusal;

/// What was told to the caller of a rejected request.
fn told<B>(response: &Response<B>) -> &Rejected {
    response.extensions().get().expect("it was rejected")
}

#[track_caller]
fn assert_reason<B>(response: &Response<B>, is: fn(&RejectedReason) -> bool) {
    assert!(is(told(response).reason()), "{:?}", told(response));
}

/// The caller has the response that [`refusal`] is, for this reason.
#[track_caller]
fn assert_original(response: &Response<&str>, is: fn(&RejectedReason) -> bool) {
    let original = refusal();
    assert_eq!(response.status(), original.status());
    assert_eq!(response.headers(), original.headers());
    assert_eq!(response.body(), original.body());
    assert_reason(response, is);
}

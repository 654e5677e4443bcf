//! The layer: a token on every request, and one retry after it was refused.
//!
//! [`OAuthLayer`] is what most users want. It is [`AttachLayer`] inside of [`tower::retry`] with
//! the policy [`RetryOnUnauthorized`], and keeps what the policy alone can't: the original 401 when
//! no newer token could be had. The parts can be put together by hand as well.
//!
//! A token problem belongs to one request and is an error of its call; it never comes out of
//! `poll_ready`, where an error means that the service is finished.
//!
//! ```
//! # use std::convert::Infallible;
//! # use http_body_util::Full;
//! # use bytes::Bytes;
//! use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
//! use tower_oauth::{grant::{Fetched, source_fn}, service::{AllowedOrigins, OAuthLayer}, token::AccessToken};
//!
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
//! let source = source_fn(|_cause| async { Ok(Fetched::new(AccessToken::new("a-token")?)) });
//! let origins = AllowedOrigins::new(["https://api.example"])?;
//! let mut api = ServiceBuilder::new()
//!     .layer(OAuthLayer::new(source, origins))
//!     .service(service_fn(|request: http::Request<Full<Bytes>>| async move {
//!         assert_eq!(request.headers()["authorization"], "Bearer a-token");
//!         Ok::<_, Infallible>(http::Response::new(String::from("fine")))
//!     }));
//!
//! let request = http::Request::get("https://api.example/orders").body(Full::default())?;
//! let response = api.ready().await?.call(request).await?;
//! assert_eq!(response.body(), "fine");
//! # Ok::<_, tower_oauth::BoxError>(()) }).unwrap();
//! ```

mod attach;
mod attempt;
mod error;
mod future;
mod layer;
mod oauth;
mod origins;
mod policy;
mod rejected;
mod repeat;
#[cfg(test)]
mod tests;

#[cfg(feature = "reqwest013")]
pub(crate) use self::attach::Redirected;
pub use self::{
    attach::{Attach, AttachFuture, AttachLayer},
    error::Error,
    future::ResponseFuture,
    layer::OAuthLayer,
    oauth::OAuth,
    origins::{AllowedOrigins, ForeignOrigin, OriginError},
    policy::{Pending, RetryOnUnauthorized},
    rejected::{Rejected, RejectedReason},
    repeat::Repeat,
};

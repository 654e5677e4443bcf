//! Layers for servers that call on: a gateway, or a service that calls others to answer.
//!
//! Two credentials meet in such a server, the caller's and its own, and must not be taken for each
//! other. Going up, [`StripInboundCredentialsLayer`] removes the caller's. Coming down,
//! [`UpstreamErrorsLayer`] answers for what went wrong with the server's own: a 401 of the
//! upstream, passed on, would make callers renew a credential that was never in question.
//! [`Readiness`] tells a probe how the token is doing. All of them stand around the outbound client,
//! in this order, and none looks at whether the caller may call: checking inbound tokens is not here.
//! A gateway also needs [`remove_hop_by_hop`], in both directions.
//!
//! ```
//! use tower::ServiceBuilder;
//! use tower_oauth::{
//!     OAuthLayer,
//!     server::{StripInboundCredentialsLayer, Stripped, UpstreamErrorsLayer},
//! };
//! # use bytes::Bytes;
//! # use http::{Request, Response, StatusCode};
//! # use http_body_util::Full;
//! # use tower::{ServiceExt, service_fn};
//! # use tower_oauth::{BoxError, ErrorKind, TokenError, grant::source_fn, service::AllowedOrigins};
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), BoxError> {
//! # let source = source_fn(|_| async { Err(TokenError::new(ErrorKind::Transport, "nobody answers")) });
//! # let origins = AllowedOrigins::new(["https://api.example"])?;
//! # let client = service_fn(async |_: Request<Stripped<Full<Bytes>>>| {
//! #     Ok::<_, BoxError>(Response::new(Full::<Bytes>::default()))
//! # });
//!
//! let upstream = ServiceBuilder::new()
//!     .layer(UpstreamErrorsLayer::new())
//!     .layer(StripInboundCredentialsLayer::new())
//!     .layer(OAuthLayer::new(source, origins))
//!     .service(client);
//!
//! // No token can be had: the caller is told when to come again, and nothing else.
//! let request = Request::get("https://api.example/orders").body(Full::default())?;
//! let response = upstream.oneshot(request).await?;
//! assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
//! assert!(response.headers().contains_key("retry-after"));
//! # Ok(())
//! # }
//! ```

mod fields;
mod hop_by_hop;
mod readiness;
mod strip;
mod stripped;
mod upstream_errors;

pub use self::{
    hop_by_hop::remove_hop_by_hop,
    readiness::Readiness,
    strip::{StripInboundCredentials, StripInboundCredentialsLayer},
    stripped::{Stripped, StrippedSpare},
    upstream_errors::{UpstreamBody, UpstreamErrors, UpstreamErrorsFuture, UpstreamErrorsLayer},
};

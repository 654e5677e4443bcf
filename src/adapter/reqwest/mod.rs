//! For reqwest 0.13 and reqwest-middleware 0.5.
//!
//! `reqwest::Client` is no service over [`http::Request`], so no layer can be put around it.
//! [`OAuthMiddleware`] is the layer for a `ClientWithMiddleware`: the same token handle, settings
//! and decisions. [`reqwest::Body`] is a [`RetryBody`](crate::body::RetryBody): one in memory is
//! sent again whatever its length, a stream up to the limit. A client can be made with this crate's
//! [TLS settings](tls_backend), and can carry requests to the authorization server:
//! [`HttpClient::from`](crate::transport::HttpClient).
//!
//! ```no_run
//! # #[cfg(all(feature = "hyper", feature = "jwt"))] {
//! use tower_oauth::{
//!     BoxError, OAuthLayer,
//!     adapter::reqwest::{OAuthMiddleware, tls_backend},
//!     client_auth::PrivateKeyJwt,
//!     grant::ClientCredentials,
//!     keystore::RotatingIdentity,
//!     service::{AllowedOrigins, Rejected},
//!     tls::{TlsConfig, TrustAnchors},
//! };
//!
//! # async fn example() -> Result<(), BoxError> {
//! let identity = RotatingIdentity::from_pem_files("client.crt", "client.key")?;
//! let trust = TrustAnchors::from_pem_file("ca.crt")?;
//! let source = ClientCredentials::builder("https://as.example/oauth2/token")
//!     .client_id("orders-service")
//!     .auth(PrivateKeyJwt::from_identity(&identity).issuer("https://as.example"))
//!     .trust(trust.clone())
//!     .build()?;
//! let layer = OAuthLayer::new(source, AllowedOrigins::new(["https://api.example"])?);
//!
//! // Any client will do; this one trusts the same authority.
//! let client = reqwest::Client::builder()
//!     .tls_backend_preconfigured(tls_backend(&TlsConfig::new(trust))?)
//!     .build()?;
//! let api = reqwest_middleware::ClientBuilder::new(client)
//!     .with(OAuthMiddleware::new(layer)?)
//!     .build();
//!
//! let response = api.post("https://api.example/orders").body("tea").send().await?;
//! if let Some(rejected) = response.extensions().get::<Rejected>() {
//!     println!("{rejected}");
//! }
//! # Ok(()) }
//! # }
//! ```
//!
//! # What stands where
//!
//! A chain runs from the first middleware to the last, and then the client. One that repeats failed
//! calls, such as that of `reqwest-retry`, stands before [`OAuthMiddleware`], and each of its calls
//! gets the token of that moment; one that signs or logs what is sent stands after it.
//!
//! The client's default headers are not seen from here. An `Authorization` among them gives way to
//! the token, where one of the request itself is left alone; a `Host` among them is not compared
//! with the origins that the token may go to: have none.

mod body;
mod exchange;
mod middleware;
#[cfg(feature = "hyper")]
mod tls;
mod transport;

#[cfg(feature = "hyper")]
#[cfg_attr(docsrs, doc(cfg(feature = "hyper")))]
pub use self::tls::tls_backend;
pub use self::{body::BodySpare, middleware::OAuthMiddleware};

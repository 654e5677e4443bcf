//! OAuth 2.0 for calls from machine to machine, as one tower layer: a token without a client secret,
//! shared by all calls, renewed before it expires, and replaced when the server has forgotten it.
//!
//! - [`OAuthLayer`] wraps any tower service over [`http::Request`] and is the paved road.
//! - [`grant::ClientCredentials`] gets tokens, authenticated by one of [`client_auth`];
//!   [`grant::source_fn`] makes a source of anything else.
//! - [`TokenHandle`] is the token itself, for clients that no layer can be put around, and for
//!   health pages.
//! - [`keystore::RotatingIdentity`] is the client's key and certificate, which may change at any time
//!   without a call noticing.
//! - [`service`] has the parts of the layer, to be put together by hand.
//! - [`testing`](https://docs.rs/tower-oauth/latest/tower_oauth/testing/) has an authorization
//!   server and a resource for tests.
//!
//! # How a token lives
//!
//! The first call that needs a token starts a fetch, and all that come meanwhile wait for its
//! outcome. The fetch runs in a task of its own. From then on calls take the token from a snapshot
//! without a lock, and a background task renews it: a minute before it expires (a quarter of the
//! lifetime for short ones), with jitter. While a renewal fails, the token is used to its real end;
//! after that calls fail at once with the last error, and say when the next attempt is made.
//!
//! A response that refuses the token (a 401 without another reason, or `invalid_token` at 400, 401
//! or 403, or `grpc-status: 16`) starts one fetch for all who were refused, and each is sent once
//! more. If no newer token can be had, or the request's body can't be sent again, or it is refused
//! again, the caller gets the resource's response with [`service::Rejected`] in its extensions. An
//! origin that refuses new tokens again and again starts fewer and fewer fetches: a second apart,
//! doubling to five minutes.
//!
//! # Features
//!
//! | feature | default | what it brings |
//! | --- | --- | --- |
//! | `hyper` | yes | the transport to the authorization server: hyper-util, hyper-rustls, rustls with aws-lc-rs |
//! | `jwt` | yes | the signer for `private_key_jwt` with a key of your own: aws-lc-rs |
//! | `tracing` | yes | events go to the `tracing` crate |
//! | `http2` | no | HTTP/2 in [`tls::hyper_client`](https://docs.rs/tower-oauth/latest/tower_oauth/tls/fn.hyper_client.html) |
//! | `legacy-ciphers` | no | keystores of old, encrypted with Triple DES or RC2: the crates `des` and `rc2` |
//! | `platform-roots` | no | the operating system's certificate authorities vouch for the authorization server |
//! | `tower-http` | no | a 401 that `FollowRedirect` brings from another origin is no rejection |
//! | `profile` | no | one declarative file in TOML or JSON in place of code |
//! | `axum08`, `tonic014`, `reqwest013` | no | `adapter`: bodies, a middleware and a status for the clients of these versions |
//! | `metrics` | no | events as metrics, on the facade of the crate `metrics` |
//! | `testing` | no | embedded servers for tests |
//!
//! Turning one on changes nothing that worked before. Without `hyper`, give
//! [`transport::HttpClient::service`] a tower service; without `jwt`, implement [`jose::Signer`].
#![cfg_attr(docsrs, feature(doc_cfg))]
// What only one feature uses would otherwise be reported as dead in a build without it.
#![cfg_attr(not(all(feature = "hyper", feature = "jwt")), allow(dead_code))]

mod clock;
mod error;
mod secret;

#[cfg(any(feature = "axum08", feature = "reqwest013", feature = "tonic014"))]
#[cfg_attr(
    docsrs,
    doc(cfg(any(feature = "axum08", feature = "reqwest013", feature = "tonic014")))
)]
pub mod adapter;
pub mod body;
pub mod challenge;
pub mod client_auth;
pub mod discovery;
pub mod events;
pub mod grant;
pub mod jose;
pub mod keystore;
#[cfg(any(doc, doctest))]
pub mod manual;
#[cfg(feature = "profile")]
#[cfg_attr(docsrs, doc(cfg(feature = "profile")))]
pub mod profile;
pub mod protocol;
pub mod refresh;
pub mod server;
pub mod service;
#[cfg(feature = "testing")]
#[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
pub mod testing;
#[cfg(feature = "hyper")]
#[cfg_attr(docsrs, doc(cfg(feature = "hyper")))]
pub mod tls;
pub mod token;
pub mod transport;

pub use self::{
    clock::{Clock, ManualClock},
    error::{BoxError, ErrorKind, TokenError},
    refresh::TokenHandle,
    secret::SecretString,
    service::{Error, OAuth, OAuthLayer},
};

/// The README's program compiles.
#[cfg(all(doctest, feature = "hyper", feature = "jwt"))]
#[doc = include_str!("../README.md")]
struct Readme;

//! For axum 0.8: its request bodies can be sent again.
//!
//! That makes a gateway of a few lines: what axum has received goes through
//! [`OAuthLayer`](crate::OAuthLayer) to a client of axum's bodies, and is kept while it streams.
//!
//! ```
//! use axum::body::Body;
//! use http::{Request, Response};
//! use tower::{Layer, Service};
//! use tower_oauth::{BoxError, OAuthLayer};
//!
//! fn upstream<C>(
//!     layer: &OAuthLayer,
//!     client: C,
//! ) -> impl Service<Request<Body>, Response = Response<Body>, Error = tower_oauth::Error> + Clone
//! where
//!     C: Service<Request<Body>, Response = Response<Body>> + Clone,
//!     C::Error: Into<BoxError>,
//! {
//!     layer.layer(client)
//! }
//! ```

use axum_core::body::Body;

use crate::body::{Allowance, BoxedSpare, RetryBody};

impl RetryBody for Body {
    type Spare = BoxedSpare<Self>;

    fn arm(self, allowance: &Allowance) -> (Self, Self::Spare) {
        BoxedSpare::arm(self, allowance, Self::new)
    }
}

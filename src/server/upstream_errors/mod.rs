//! What callers are answered when the server's own credential was the trouble.

mod answers;
mod body;
mod layer;
mod service;

pub use self::{
    body::UpstreamBody,
    layer::UpstreamErrorsLayer,
    service::{UpstreamErrors, UpstreamErrorsFuture},
};

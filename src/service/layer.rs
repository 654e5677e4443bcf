use std::sync::Arc;

use tower::Layer;

use super::{AllowedOrigins, OAuth, attach::Settings};
use crate::{
    body::{Allowance, Budget},
    challenge::Classify,
    refresh::TokenHandle,
};

/// Puts a token on every request, and sends a request once more, with a newer token, when the
/// resource refused it.
///
/// One layer, one token: services made by clones of a layer, and layers made of clones of one
/// [`TokenHandle`], share it. Building needs neither network nor runtime.
///
/// The request's body must be able to be sent again ([`RetryBody`](crate::body::RetryBody)): wrap
/// any other in [`ReplayBody`](crate::body::ReplayBody).
#[derive(Clone, Debug)]
pub struct OAuthLayer {
    settings: Settings,
    limits: Limits,
}

/// How `OAuth` retries.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    pub(super) allowance: Allowance,
    pub(super) rejection_as_error: bool,
}

impl OAuthLayer {
    /// A layer that gets its token from this source or handle and sends it to these origins.
    pub fn new(token: impl Into<TokenHandle>, origins: AllowedOrigins) -> Self {
        Self {
            settings: Settings::new(token.into(), origins),
            limits: Limits {
                allowance: Allowance::new(64 * 1024).out_of(Budget::new(32 * 1024 * 1024)),
                rejection_as_error: false,
            },
        }
    }

    /// The handle of this layer's token.
    pub fn handle(&self) -> &TokenHandle {
        &self.settings.handle
    }

    /// What a response means for the token. Default: [`ByErrorCode`](crate::challenge::ByErrorCode).
    #[must_use]
    pub fn classify(mut self, classify: impl Classify + 'static) -> Self {
        self.settings.classify = Arc::new(classify);
        self
    }

    /// Replaces an `Authorization` header that a request already has: for an outbound gateway.
    /// Default: such a request is left alone, and its response too.
    #[must_use]
    pub fn replace_authorization(mut self) -> Self {
        self.settings.replace = true;
        self
    }

    /// How many octets of a streaming body are kept for a second send. A longer body is sent on,
    /// but only once. Default: 64 KiB. Zero: bodies that can't be cloned are never sent again. For
    /// one request: [`Repeat::Within`](super::Repeat::Within).
    #[must_use]
    pub fn replay_limit(mut self, octets: usize) -> Self {
        self.limits.allowance = self.limits.allowance.with_octets(octets);
        self
    }

    /// How many octets of streaming bodies are kept for all requests of this layer together: a
    /// number, or a [`Budget`] that several layers share. A body that would exceed it is sent on,
    /// but only once. What is kept of a body is free again as soon as its token was accepted.
    /// Default: 32 MiB for each layer and its clones.
    #[must_use]
    pub fn replay_budget(mut self, budget: impl Into<Budget>) -> Self {
        self.limits.allowance = self.limits.allowance.out_of(budget.into());
        self
    }

    /// A refused token that could not be replaced is an
    /// [`Error::Rejected`](super::Error::Rejected), which says what to change. Default: the caller
    /// gets the resource's response, with [`Rejected`](super::Rejected) in its extensions.
    #[must_use]
    pub fn rejection_as_error(mut self) -> Self {
        self.limits.rejection_as_error = true;
        self
    }
}

impl<S> Layer<S> for OAuthLayer {
    type Service = OAuth<S>;

    fn layer(&self, inner: S) -> Self::Service {
        OAuth::new(inner, self.settings.clone(), self.limits.clone())
    }
}

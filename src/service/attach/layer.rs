use std::sync::Arc;

use tower::Layer;

use super::{Attach, Settings};
use crate::{challenge::Classify, refresh::TokenHandle, service::AllowedOrigins};

/// Puts a token on every request, and reports refused ones; doesn't retry.
///
/// [`OAuthLayer`](crate::service::OAuthLayer) does both. This one is for stacks put together by
/// hand, below `tower::retry` with [`RetryOnUnauthorized`](crate::service::RetryOnUnauthorized).
#[derive(Clone, Debug)]
pub struct AttachLayer {
    settings: Settings,
}

impl AttachLayer {
    /// Puts this token on requests to these origins.
    pub fn new(token: impl Into<TokenHandle>, origins: AllowedOrigins) -> Self {
        Self {
            settings: Settings::new(token.into(), origins),
        }
    }

    /// What a response means for the token. Default: [`ByErrorCode`](crate::challenge::ByErrorCode).
    #[must_use]
    pub fn classify(mut self, classify: impl Classify + 'static) -> Self {
        self.settings.classify = Arc::new(classify);
        self
    }

    /// Replaces an `Authorization` header that a request already has. Default: such a request is
    /// left alone, and its response too.
    #[must_use]
    pub fn replace_authorization(mut self) -> Self {
        self.settings.replace = true;
        self
    }
}

impl<S> Layer<S> for AttachLayer {
    type Service = Attach<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Attach::new(inner, Arc::new(self.settings.clone()))
    }
}

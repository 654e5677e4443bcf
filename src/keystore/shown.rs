use std::sync::Arc;

use super::ClientIdentity;

/// In a request's extensions: over whose connections the request must go.
///
/// Nobody outside of this crate can get at it there. It also says that the identity is still
/// needed, so that its connections stay.
#[derive(Clone)]
pub(crate) struct Shown(Arc<ClientIdentity>);

impl Shown {
    /// With a reference count of its own: one that all threads fight over would be the slowest
    /// part of a request.
    pub(crate) fn new(identity: &ClientIdentity) -> Self {
        Self(Arc::new(identity.clone()))
    }

    pub(crate) fn identity(&self) -> &ClientIdentity {
        &self.0
    }
}

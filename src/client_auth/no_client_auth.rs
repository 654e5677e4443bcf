use std::borrow::Cow;

use super::{AuthContext, ClientAuth};
use crate::{error::TokenError, protocol::TokenRequest};

/// `none`: the client only says who it is, and proves nothing (RFC 6749 section 3.2.1).
///
/// A server must not give a client like this a token for client credentials (section 4.4). It is
/// for where something else proves it: a gateway in front of the server, or the network.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct NoClientAuth;

impl NoClientAuth {
    /// Sends the client_id and nothing else.
    pub fn new() -> Self {
        Self
    }
}

impl ClientAuth for NoClientAuth {
    fn method(&self) -> &'static str {
        "none"
    }

    async fn authenticate(
        &self,
        context: &AuthContext<'_>,
        request: &mut TokenRequest,
    ) -> Result<(), TokenError> {
        request.set("client_id", context.client_id());
        Ok(())
    }

    fn hint(&self, _: &AuthContext<'_>) -> Option<Cow<'static, str>> {
        let hint = "the server wants the client to prove who it is, and `NoClientAuth` proves nothing: \
             use the method that the client is registered for";
        Some(hint.into())
    }
}

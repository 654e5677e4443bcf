use std::borrow::Cow;

use super::{AuthContext, ClientAuth, ClientSecret, Refused};
use crate::{error::TokenError, protocol::TokenRequest};

/// `client_secret_post`: client_id and secret in the form (RFC 6749 section 2.3.1).
///
/// As with [`ClientSecretBasic`](super::ClientSecretBasic), the secret is shared with the server
/// and goes over the wire each time; but there is no second encoding that servers could disagree
/// about.
#[derive(Clone, Debug)]
pub struct ClientSecretPost {
    secret: ClientSecret,
}

impl ClientSecretPost {
    /// Authenticates with this secret; a [`ClientSecret`] may change.
    pub fn new(secret: impl Into<ClientSecret>) -> Self {
        Self {
            secret: secret.into(),
        }
    }
}

impl ClientAuth for ClientSecretPost {
    fn method(&self) -> &'static str {
        "client_secret_post"
    }

    async fn authenticate(
        &self,
        context: &AuthContext<'_>,
        request: &mut TokenRequest,
    ) -> Result<(), TokenError> {
        request.set("client_id", context.client_id());
        let secret = self.secret.read().await?;
        request.set_secret("client_secret", secret.expose());
        Ok(())
    }

    fn hint(&self, _: &AuthContext<'_>) -> Option<Cow<'static, str>> {
        let hint = "client_id or secret is wrong, or the client is registered for another method: \
             servers that offer secrets in the header only want `ClientSecretBasic`";
        Some(hint.into())
    }

    async fn reconsider(&self, refused: &Refused<'_>) -> bool {
        self.secret.has_changed(refused).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_is_never_formatted() {
        let auth = ClientSecretPost::new("correct horse");
        assert!(!format!("{auth:?}").contains("horse"));
    }
}

use std::time::{Duration, UNIX_EPOCH};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::Serialize;

use super::{Audience, AuthContext};
use crate::{
    error::{ErrorKind, TokenError},
    protocol::TokenRequest,
};

pub(super) const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What an assertion says, whatever it is signed with.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    pub(super) audience: Audience,
    pub(super) typ: Option<String>,
    pub(super) lifetime: Duration,
}

/// RFC 7523 section 3. No `nbf`: a server whose clock is behind would refuse the assertion.
#[derive(Serialize)]
pub(super) struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    iat: u64,
    exp: u64,
    jti: String,
}

impl Terms {
    pub(super) fn claims<'a>(
        &'a self,
        context: &'a AuthContext<'_>,
    ) -> Result<Claims<'a>, TokenError> {
        let now = context.server_time();
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        Ok(Claims {
            iss: context.client_id(),
            sub: context.client_id(),
            aud: self.audience.of(context)?,
            iat: now.as_secs(),
            exp: now.as_secs().saturating_add(self.lifetime.as_secs()),
            jti: fresh_jti()?,
        })
    }

    pub(super) fn validate(&self) -> Result<(), TokenError> {
        let wrong = |message| Err(TokenError::new(ErrorKind::Configuration, message));
        if self.audience == Audience::Exact(String::new()) {
            return wrong(
                "the audience of an assertion is empty: set `issuer` to the server's issuer \
                 identifier",
            );
        }
        if self.lifetime < Duration::from_secs(1) {
            return wrong("an assertion must live for a second at least: set `lifetime`");
        }
        Ok(())
    }
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            audience: Audience::Issuer,
            typ: Some("client-authentication+jwt".to_owned()),
            lifetime: Duration::from_secs(60),
        }
    }
}

/// Puts an assertion into a request (RFC 7521 section 4.2).
pub(super) fn put(assertion: &str, context: &AuthContext<'_>, request: &mut TokenRequest) {
    request.set("client_id", context.client_id());
    request.set("client_assertion_type", JWT_BEARER);
    request.set_secret("client_assertion", assertion);
}

/// 128 random bits, in 22 characters: some servers take no more than 64.
fn fresh_jti() -> Result<String, TokenError> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| {
        TokenError::new(ErrorKind::Internal, "the system has no random numbers").with_source(error)
    })?;
    Ok(URL_SAFE_NO_PAD.encode(random))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_number_comes_twice() {
        let all: HashSet<_> = (0..10_000).map(|_| fresh_jti().unwrap()).collect();
        assert_eq!(all.len(), 10_000);
    }
}

//! What the server says about itself (RFC 8414, OpenID Connect Discovery).

use http::{Method, StatusCode, request};
use serde_json::{Value, json};

use super::{Shared, endpoint};
use crate::testing::{answer::Answer, lock};

const WELL_KNOWN: &str = "/.well-known/";
const OAUTH: &str = "/.well-known/oauth-authorization-server";
const OPENID: &str = "/.well-known/openid-configuration";

pub(super) fn is_asked_for(path: &str) -> bool {
    path.contains(WELL_KNOWN)
}

impl Shared {
    pub(super) async fn metadata(&self, head: &request::Parts) -> Answer {
        let path = head.uri.path();
        let scripted = {
            let mut state = lock(&self.state);
            state.counters.metadata_requests += 1;
            state.metadata_requests.push(head.uri.clone());
            state.metadata.get(path).cloned()
        };
        self.gate.pass().await;
        match scripted {
            Some(answer) => answer,
            None if head.method != Method::GET => Answer::new(StatusCode::METHOD_NOT_ALLOWED),
            None if matches!(path, OAUTH | OPENID) => {
                Answer::json(StatusCode::OK, self.document().to_string())
            }
            None => Answer::new(StatusCode::NOT_FOUND),
        }
    }

    pub(super) fn document(&self) -> Value {
        let at = |path: &str| format!("{}{path}", self.issuer);
        json!({
            "issuer": self.issuer,
            "token_endpoint": at(endpoint::TOKEN),
            "introspection_endpoint": at(endpoint::INTROSPECTION),
            "revocation_endpoint": at(endpoint::REVOCATION),
            "response_types_supported": [],
            "grant_types_supported": ["client_credentials"],
            "token_endpoint_auth_methods_supported": [
                "client_secret_basic",
                "client_secret_post",
                "client_secret_jwt",
                "private_key_jwt",
                "tls_client_auth",
                "self_signed_tls_client_auth",
                "none",
            ],
            "token_endpoint_auth_signing_alg_values_supported": [
                "ES256", "ES384", "EdDSA", "Ed25519", "PS256", "PS384", "PS512", "RS256", "RS384",
                "RS512", "HS256",
            ],
            "tls_client_certificate_bound_access_tokens": true,
        })
    }
}

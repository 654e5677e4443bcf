//! How the client proves who it is.

use super::Check;
use crate::profile::{
    file::{AssertionTable, Method, ProfileTable},
    secret::SecretPlace,
    settings::{Auth, BySecret},
};

impl Check<'_, '_> {
    pub(super) fn auth(&mut self, file: &ProfileTable) -> Option<Auth> {
        let Some(method) = file.token_endpoint_auth_method else {
            self.fault(
                "token_endpoint_auth_method",
                "no method of client authentication: set it, for instance to \"private_key_jwt\"",
            );
            return None;
        };
        self.superfluous(method, file);
        let usual = AssertionTable::default();
        let assertion = file.assertion.as_ref().unwrap_or(&usual);
        match method {
            Method::TlsClientAuth => Some(Auth::Tls),
            Method::SelfSignedTlsClientAuth => Some(Auth::SelfSignedTls),
            Method::PrivateKeyJwt => self.private_key_jwt(file, assertion),
            Method::SpiffeJwt => self.spiffe_jwt(assertion),
            Method::ClientSecretBasic => {
                let form_encoding = file.client_secret_form_encoding.unwrap_or(true);
                let by = BySecret::Basic { form_encoding };
                Some(Auth::Secret(self.client_secret(file)?, by))
            }
            Method::ClientSecretPost => {
                Some(Auth::Secret(self.client_secret(file)?, BySecret::Post))
            }
            Method::ClientSecretJwt => {
                let place = self.client_secret(file);
                let terms = self.client_secret_jwt(file, assertion);
                Some(Auth::Secret(place?, BySecret::Jwt(terms?)))
            }
            Method::None => Some(Auth::None),
        }
    }

    /// What the method has no use for.
    fn superfluous(&mut self, method: Method, file: &ProfileTable) {
        if !method.has_secret() {
            let keys = [
                ("client_secret_file", file.client_secret_file.is_some()),
                ("client_secret_env", file.client_secret_env.is_some()),
            ];
            let message = "this method needs no client secret: remove it, or set \
                           `token_endpoint_auth_method` to the one that does";
            self.in_vain("", &keys, message);
        }
        if method != Method::ClientSecretBasic && file.client_secret_form_encoding.is_some() {
            let message = "it is of use to client_secret_basic only: remove it";
            self.fault("client_secret_form_encoding", message);
        }
        let has_assertion = matches!(
            method,
            Method::PrivateKeyJwt | Method::SpiffeJwt | Method::ClientSecretJwt
        );
        if file.assertion.is_some() && !has_assertion {
            let message = "this method has no assertion: remove it, or set \
                           `token_endpoint_auth_method` to \"private_key_jwt\"";
            self.fault("assertion", message);
        }
    }

    fn client_secret(&mut self, file: &ProfileTable) -> Option<SecretPlace> {
        if file.client_secret_file.is_none() && file.client_secret_env.is_none() {
            let message = "this method needs a client secret: name its file here, or its \
                           environment variable by `client_secret_env`";
            self.fault("client_secret_file", message);
        }
        self.secret(
            "client_secret",
            file.client_secret_file.as_deref(),
            file.client_secret_env.as_deref(),
        )
    }
}

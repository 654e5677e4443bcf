//! A profile that can be meant: what the file says, in the types of the code that it becomes.

use std::{path::PathBuf, time::Duration};

use super::secret::SecretPlace;
use crate::{
    client_auth::{Audience, FileAssertion},
    discovery::Discovery,
    jose::Algorithm,
    keystore::KeyStore,
    protocol::{Endpoint, Scope},
    service::AllowedOrigins,
    token::LifetimeConfig,
    transport::TransportLimits,
};

#[derive(Debug)]
pub(super) struct Settings {
    pub(super) issuer: Option<String>,
    pub(super) server: Server,
    pub(super) mtls_token_endpoint: Option<String>,
    pub(super) revocation_endpoint: Option<String>,
    pub(super) revoke_on_shutdown: bool,
    pub(super) allow_plain_http: bool,
    /// The server does without TLS.
    pub(super) is_plain_http: bool,
    pub(super) client_id: String,
    pub(super) auth: Auth,
    pub(super) keystore: Option<Keystore>,
    /// The certificate is shown whatever the method is.
    pub(super) bound_tokens: bool,
    pub(super) require_bound_tokens: bool,
    pub(super) scope: Scope,
    pub(super) resources: Vec<String>,
    pub(super) audiences: Vec<String>,
    pub(super) extra_parameters: Vec<(String, SecretPlace)>,
    pub(super) extra_headers: Vec<(String, SecretPlace)>,
    pub(super) trust: Option<Trust>,
    pub(super) proxy: Option<ProxySettings>,
    pub(super) api: Api,
    pub(super) lifetime: LifetimeConfig,
    pub(super) limits: TransportLimits,
    pub(super) fetch_deadline: Option<Duration>,
}

/// Which authorization server it is.
#[derive(Debug)]
pub(super) enum Server {
    Endpoint(Endpoint),
    /// The rest is in its metadata.
    Issuer(Discovery),
}

#[derive(Debug)]
pub(super) enum Auth {
    Tls,
    SelfSignedTls,
    Assertion(Assertion),
    File(FileAssertion),
    Secret(SecretPlace, BySecret),
    None,
}

/// What is done with a client secret.
#[derive(Debug)]
pub(super) enum BySecret {
    Basic { form_encoding: bool },
    Post,
    Jwt(AssertionTerms),
}

/// An HTTP proxy.
#[derive(Debug)]
pub(super) struct ProxySettings {
    /// Else the environment is asked.
    pub(super) url: Option<String>,
    pub(super) user: Option<(String, SecretPlace)>,
    pub(super) no_proxy: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Assertion {
    /// A key without a certificate; else it is that of the keystore.
    pub(super) key_file: Option<PathBuf>,
    pub(super) header: AssertionHeader,
    pub(super) terms: AssertionTerms,
}

/// What any assertion says that is made here.
#[derive(Debug)]
pub(super) struct AssertionTerms {
    pub(super) audience: Audience,
    pub(super) typ: Choice,
    pub(super) lifetime: Option<Duration>,
}

#[derive(Clone, Debug)]
pub(super) struct AssertionHeader {
    pub(super) algorithm: Option<Algorithm>,
    pub(super) key_id: Choice,
    pub(super) x5t_s256: bool,
    pub(super) x5c: bool,
}

/// What is sent: what is usual, something else, or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    Usual,
    This(String),
    Nothing,
}

pub(super) struct Keystore {
    pub(super) store: KeyStore,
    pub(super) files: Vec<PathBuf>,
    pub(super) poll_interval: Option<Duration>,
    pub(super) expiry_notices: Option<Vec<Duration>>,
}

impl std::fmt::Debug for Keystore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keystore")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

/// Whom to trust.
pub(super) enum Trust {
    Store { store: KeyStore, path: PathBuf },
    Platform,
}

impl std::fmt::Debug for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Store { path, .. } => f.debug_tuple("Store").field(path).finish(),
            Self::Platform => f.write_str("Platform"),
        }
    }
}

#[derive(Debug)]
pub(super) struct Api {
    pub(super) origins: Option<AllowedOrigins>,
    pub(super) replace_authorization: bool,
    pub(super) replay_limit: Option<usize>,
    pub(super) rejection_as_error: bool,
    pub(super) trust: Option<Trust>,
    pub(super) proxy: Option<ProxySettings>,
}

impl Settings {
    /// Whether the client shows its certificate.
    pub(super) fn shows_certificate(&self) -> bool {
        self.bound_tokens || matches!(self.auth, Auth::Tls | Auth::SelfSignedTls)
    }

    pub(super) fn method(&self) -> &'static str {
        match &self.auth {
            Auth::Tls => "tls_client_auth",
            Auth::SelfSignedTls => "self_signed_tls_client_auth",
            Auth::Assertion(_) => "private_key_jwt",
            Auth::File(file) => crate::client_auth::ClientAuth::method(file),
            Auth::Secret(_, BySecret::Basic { .. }) => "client_secret_basic",
            Auth::Secret(_, BySecret::Post) => "client_secret_post",
            Auth::Secret(_, BySecret::Jwt(_)) => "client_secret_jwt",
            Auth::None => "none",
        }
    }
}

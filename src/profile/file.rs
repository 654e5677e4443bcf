//! What may stand in a profile: the types that serde fills, and that the JSON Schema is made of.
//! Their documentation is what an editor shows.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::quantity::{Size, Span};
use crate::{client_auth::Audience, discovery::WellKnown, jose::Algorithm};

/// How a client gets its tokens, and where they may go.
///
/// Texts may hold ${NAME}, which stands for an environment variable ($${ stands for itself). Paths
/// are relative to the directory of the file.
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(extend(
    "required" = ["client_id", "token_endpoint_auth_method"],
    "anyOf" = [{ "required": ["issuer"] }, { "required": ["token_endpoint"] }],
    "if" = { "properties": { "token_endpoint_auth_method": { "pattern": "^client_secret" } } },
    "then" = { "oneOf": [
        { "required": ["client_secret_file"] },
        { "required": ["client_secret_env"] },
    ] },
    "else" = { "properties": {
        "client_secret_file": false,
        "client_secret_env": false,
        "client_secret_form_encoding": false,
    } },
)))]
#[serde(deny_unknown_fields, default)]
pub(super) struct ProfileTable {
    /// The address of this schema, for editors. It has no effect.
    #[serde(rename = "$schema")]
    _schema: Option<String>,
    /// The issuer identifier of the authorization server, exactly as it writes it: whom assertions
    /// are for. Without `token_endpoint`, the rest is in its metadata (RFC 8414).
    pub(super) issuer: Option<String>,
    /// The address of the token endpoint: https. Default: what the metadata of `issuer` says.
    pub(super) token_endpoint: Option<String>,
    /// The address of the token endpoint for clients that show a certificate: the `token_endpoint`
    /// of `mtls_endpoint_aliases` in the server's metadata (RFC 8705 section 5). Default: there is
    /// only one address.
    pub(super) mtls_token_endpoint: Option<String>,
    /// The address where tokens are revoked (RFC 7009), for the client as it is. Default: what the
    /// metadata of `issuer` says.
    pub(super) revocation_endpoint: Option<String>,
    /// Whether the token is revoked when the program shuts its handle down. Default: false.
    pub(super) revoke_on_shutdown: bool,
    /// How the metadata of `issuer` is found and believed.
    pub(super) discovery: Option<DiscoveryTable>,
    /// Accepts a server without TLS if it is on this machine: for tests and sidecars.
    /// Default: false.
    pub(super) allow_plain_http: bool,
    /// Who the client is.
    pub(super) client_id: Option<String>,
    /// How the client proves it.
    pub(super) token_endpoint_auth_method: Option<Method>,
    /// The file that holds the client secret. It is read anew for each token request.
    pub(super) client_secret_file: Option<String>,
    /// The environment variable that holds the client secret.
    pub(super) client_secret_env: Option<String>,
    /// Whether client_secret_basic form-encodes client_id and secret (RFC 6749 section 2.3.1). A few servers skip the decoding. Default: true.
    pub(super) client_secret_form_encoding: Option<bool>,
    /// The client's key and certificate.
    pub(super) keystore: Option<KeystoreTable>,
    /// The assertion of private_key_jwt, client_secret_jwt and spiffe_jwt.
    pub(super) assertion: Option<AssertionTable>,
    /// Shows the certificate of the keystore to the authorization server and to the API whatever
    /// the method is, so that tokens can be bound to it (RFC 8705 section 3). Default: it is shown
    /// when mutual TLS is the method.
    pub(super) tls_client_certificate_bound_access_tokens: bool,
    /// Takes no token that says itself that it isn't bound to the certificate shown. Default:
    /// false.
    pub(super) require_bound_tokens: bool,
    /// The scopes to ask for, with spaces between them. Default: none, and the server falls back to
    /// its own default.
    pub(super) scope: Option<String>,
    /// The resources to ask a token for (RFC 8707). Default: none.
    pub(super) resource: Vec<String>,
    /// The audiences to ask a token for, which some servers want in place of resources. Default:
    /// none.
    pub(super) audience: Vec<String>,
    /// Other parameters of the token request, by their names. Default: none.
    pub(super) extra_parameters: BTreeMap<String, String>,
    /// The same, with values that stand in files. Default: none.
    pub(super) extra_parameter_files: BTreeMap<String, String>,
    /// Other header fields of the token request, by their names. Default: none.
    pub(super) extra_headers: BTreeMap<String, String>,
    /// The same, with values that stand in files. Default: none.
    pub(super) extra_header_files: BTreeMap<String, String>,
    /// How the authorization server is reached.
    pub(super) authorization_server: ServerTable,
    /// Where tokens go, and how.
    pub(super) api: ApiTable,
    /// How a token's lifetime becomes a schedule.
    pub(super) lifetime: LifetimeTable,
    /// What a token request may cost.
    pub(super) limits: LimitsTable,
}

/// A method of client authentication by its registered name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(super) enum Method {
    /// A TLS client certificate that an authority issued (RFC 8705 section 2.1).
    TlsClientAuth,
    /// A TLS client certificate that the server knows itself (RFC 8705 section 2.2).
    SelfSignedTlsClientAuth,
    /// An assertion signed with the client's key, or one that the platform writes to a file (RFC
    /// 7523 section 2.2).
    PrivateKeyJwt,
    /// A SPIFFE JWT-SVID that the platform writes to a file.
    SpiffeJwt,
    /// A secret that the server knows too, in the header (RFC 6749 section 2.3.1). Prefer those
    /// above.
    ClientSecretBasic,
    /// A secret that the server knows too, in the form (RFC 6749 section 2.3.1).
    ClientSecretPost,
    /// An assertion made with a secret that the server knows too (RFC 7523 section 2.2).
    ClientSecretJwt,
    /// None: something else proves it, a gateway or the network.
    None,
}

impl Method {
    /// Whether it takes a client secret.
    pub(super) fn has_secret(self) -> bool {
        matches!(
            self,
            Self::ClientSecretBasic | Self::ClientSecretPost | Self::ClientSecretJwt
        )
    }
}

/// How the metadata of an issuer is found and believed (RFC 8414).
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(super) struct DiscoveryTable {
    /// Where to look for it, in this order. Default: oauth, open_id, open_id_inserted.
    pub(super) well_known: Option<Vec<Place>>,
    /// Tries the next place on any 4xx, for gateways that refuse what they don't know. Default:
    /// false, on 404 only.
    pub(super) next_on_client_errors: bool,
    /// Hosts whose endpoints are believed beside those of the issuer's own host. Default: none.
    pub(super) endpoint_hosts: Vec<String>,
    /// How old it may become before it is fetched again. Default: 24h.
    pub(super) renew_after: Option<Span>,
}

/// A place where servers publish metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(super) enum Place {
    /// HOST/.well-known/oauth-authorization-server/PATH, the form of RFC 8414.
    Oauth,
    /// HOST/PATH/.well-known/openid-configuration, the form of OpenID Connect.
    OpenId,
    /// HOST/.well-known/openid-configuration/PATH.
    OpenIdInserted,
    /// HOST/PATH/.well-known/oauth-authorization-server.
    OauthAppended,
}

impl From<Place> for WellKnown {
    fn from(place: Place) -> Self {
        match place {
            Place::Oauth => Self::OAuth,
            Place::OpenId => Self::OpenId,
            Place::OpenIdInserted => Self::OpenIdInserted,
            Place::OauthAppended => Self::OAuthAppended,
        }
    }
}

/// A key with its certificates: one file with both, or two PEM files.
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(extend(
    "oneOf" = [{ "required": ["path"] }, { "required": ["certificate_file", "key_file"] }],
    "allOf" = [
        { "not": { "required": ["password_file", "password_env"] } },
        { "not": { "required": ["key_password_file", "key_password_env"] } },
    ],
)))]
#[serde(deny_unknown_fields, default)]
pub(super) struct KeystoreTable {
    /// A file with key and certificates: PKCS#12, JKS or PEM.
    pub(super) path: Option<String>,
    /// A PEM file with the certificates, the client's own first.
    pub(super) certificate_file: Option<String>,
    /// A PEM file with the key.
    pub(super) key_file: Option<String>,
    /// The name of the key in a store with several. Default: the only one.
    pub(super) alias: Option<String>,
    /// The file that holds the password of the store, or of an encrypted PEM key.
    pub(super) password_file: Option<String>,
    /// The environment variable that holds the password of the store, or of an encrypted PEM key.
    pub(super) password_env: Option<String>,
    /// The file that holds the password of the key. Default: that of the store.
    pub(super) key_password_file: Option<String>,
    /// The environment variable that holds the password of the key. Default: that of the store.
    pub(super) key_password_env: Option<String>,
    /// Takes a PKCS#12 store without a MAC: whoever can write to it can change it unnoticed.
    /// Default: false.
    pub(super) allow_unverified: bool,
    /// How often the files are looked at for a renewed certificate: at least a second. Default:
    /// 60s.
    pub(super) poll_interval: Option<Span>,
    /// How long before the end of the certificate its owner is told. Default: 30d, 7d and 1d.
    pub(super) expiry_notices: Option<Vec<Span>>,
}

/// An assertion: one that is signed here, or one that the platform writes to a file.
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(extend("allOf" = [
    { "not": { "required": ["file", "key_file"] } },
    { "not": { "required": ["aud", "aud_from"] } },
    { "not": { "required": ["kid", "without_kid"], "properties": { "without_kid": { "const": true } } } },
    { "not": { "required": ["typ", "without_typ"], "properties": { "without_typ": { "const": true } } } },
])))]
#[serde(deny_unknown_fields, default)]
pub(super) struct AssertionTable {
    /// The file that the platform writes the assertion to: a projected service account token, a
    /// federated credential, a JWT-SVID. It is read anew for each token request.
    pub(super) file: Option<String>,
    /// Sends no client_id beside the assertion of `file`. Default: false.
    pub(super) without_client_id: bool,
    /// A PEM file with a key that has no certificate. It is read once. Default: the key of the
    /// keystore.
    pub(super) key_file: Option<String>,
    /// The audience, exactly as it is written here, for servers that want another one than the
    /// issuer. Default: see `aud_from`.
    pub(super) aud: Option<String>,
    /// Where the audience comes from. Default: issuer.
    pub(super) aud_from: Option<AudienceFrom>,
    /// The signature algorithm. Default: it follows from the key.
    pub(super) alg: Option<Alg>,
    /// The number of the key at the server. Default: the key's SHA-256 thumbprint (RFC 7638).
    pub(super) kid: Option<String>,
    /// Sends no `kid`. Default: false.
    pub(super) without_kid: bool,
    /// The type in the header. Default: client-authentication+jwt; a few old servers take only
    /// JWT.
    pub(super) typ: Option<String>,
    /// Sends no `typ`. Default: false.
    pub(super) without_typ: bool,
    /// Sends the thumbprint of the certificate, `x5t#S256`. Default: false.
    pub(super) x5t_s256: bool,
    /// Sends the certificates, `x5c`. Default: false.
    pub(super) x5c: bool,
    /// How long an assertion is valid, in whole seconds. Default: 60s.
    pub(super) lifetime: Option<Span>,
}

/// Where the audience of an assertion comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(super) enum AudienceFrom {
    /// It is the issuer identifier of the server.
    Issuer,
    /// It is the address of the token endpoint, and not its alias for clients that show a
    /// certificate.
    TokenEndpoint,
    /// It is the address that the request goes to, whichever it is.
    CalledUrl,
}

impl From<AudienceFrom> for Audience {
    fn from(from: AudienceFrom) -> Self {
        match from {
            AudienceFrom::Issuer => Self::Issuer,
            AudienceFrom::TokenEndpoint => Self::TokenEndpoint,
            AudienceFrom::CalledUrl => Self::CalledUrl,
        }
    }
}

/// A signature algorithm by its registered name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[allow(clippy::upper_case_acronyms, reason = "the registry's names")]
pub(super) enum Alg {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    ES512,
    EdDSA,
    Ed25519,
}

impl From<Alg> for Algorithm {
    fn from(alg: Alg) -> Self {
        match alg {
            Alg::RS256 => Self::RS256,
            Alg::RS384 => Self::RS384,
            Alg::RS512 => Self::RS512,
            Alg::PS256 => Self::PS256,
            Alg::PS384 => Self::PS384,
            Alg::PS512 => Self::PS512,
            Alg::ES256 => Self::ES256,
            Alg::ES384 => Self::ES384,
            Alg::ES512 => Self::ES512,
            Alg::EdDSA => Self::EdDSA,
            Alg::Ed25519 => Self::Ed25519,
        }
    }
}

/// How the authorization server is reached.
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(super) struct ServerTable {
    /// Who vouches for the authorization server. Default: what the operating system trusts, in a
    /// build with the feature `platform-roots`.
    pub(super) truststore: Option<TruststoreTable>,
    /// The HTTP proxy on the way to it. Default: none, whatever the environment says.
    pub(super) proxy: Option<ProxyTable>,
}

/// An HTTP proxy on the way to https servers.
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(extend(
    "oneOf" = [
        { "required": ["url"] },
        { "required": ["from_environment"], "properties": { "from_environment": { "const": true } } },
    ],
    "not" = { "required": ["password_file", "password_env"] },
)))]
#[serde(deny_unknown_fields, default)]
pub(super) struct ProxyTable {
    /// The address at which it takes CONNECT over plain http, such as http://proxy.example:3128.
    pub(super) url: Option<String>,
    /// Takes the proxy that HTTPS_PROXY or ALL_PROXY names, but not for the hosts in NO_PROXY.
    /// Default: false.
    pub(super) from_environment: bool,
    /// The user name at the proxy.
    pub(super) username: Option<String>,
    /// The file that holds the password at the proxy.
    pub(super) password_file: Option<String>,
    /// The environment variable that holds the password at the proxy.
    pub(super) password_env: Option<String>,
    /// Hosts that are reached directly: names, which stand for all names below them as well, IP
    /// addresses, networks such as 10.0.0.0/8. Default: none.
    pub(super) no_proxy: Vec<String>,
}

/// Certificates of authorities that are trusted, and no others.
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(extend(
    "oneOf" = [
        { "required": ["path"] },
        { "required": ["platform"], "properties": { "platform": { "const": true } } },
    ],
    "not" = { "required": ["password_file", "password_env"] },
)))]
#[serde(deny_unknown_fields, default)]
pub(super) struct TruststoreTable {
    /// A file with the certificates: PEM, PKCS#12 or JKS.
    pub(super) path: Option<String>,
    /// Trusts what the operating system trusts, in a build with the feature `platform-roots`.
    /// Default: false.
    pub(super) platform: bool,
    /// The file that holds the password of the store.
    pub(super) password_file: Option<String>,
    /// The environment variable that holds the password of the store.
    pub(super) password_env: Option<String>,
    /// Takes a store without a MAC, or without its password: whoever can write to it can add
    /// certificates unnoticed. Default: false.
    pub(super) allow_unverified: bool,
}

/// Where tokens go, and how.
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(extend("not" = {
    "required": ["allowed_origins", "any_https"],
    "properties": { "any_https": { "const": true } },
})))]
#[serde(deny_unknown_fields, default)]
pub(super) struct ApiTable {
    /// The origins that get the token, such as https://api.example:8443.
    pub(super) allowed_origins: Option<Vec<String>>,
    /// Sends the token to every https origin: whoever decides where requests go then gets it.
    /// Default: false.
    pub(super) any_https: bool,
    /// Sends the token in the clear to the allowed origins that are http: for a mesh whose sidecar
    /// speaks TLS. Default: false; http on this machine is allowed.
    pub(super) allow_plain_http: bool,
    /// What happens to a request for another origin. Default: refuse.
    pub(super) foreign_origins: Option<Foreign>,
    /// Where requests go whose URI has no host. Default: they are refused.
    pub(super) origin_without_authority: Option<String>,
    /// Replaces an Authorization header that a request already has. Default: false, and such a
    /// request is left alone.
    pub(super) replace_authorization: bool,
    /// How much of a streaming body is kept for a second send. Default: 64KiB.
    pub(super) replay_limit: Option<Size>,
    /// A refused token that could not be replaced is an error. Default: false, and the caller gets
    /// the API's response.
    pub(super) rejection_as_error: bool,
    /// Who vouches for the API. Default: what the operating system trusts, in a build with the
    /// feature `platform-roots`.
    pub(super) truststore: Option<TruststoreTable>,
    /// The HTTP proxy on the way to it. Default: none, whatever the environment says.
    pub(super) proxy: Option<ProxyTable>,
}

/// What happens to a request for an origin that isn't allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(super) enum Foreign {
    /// The call fails and nothing is sent.
    Refuse,
    /// The request is sent without a token.
    SendWithout,
}

/// How a token's lifetime becomes a schedule.
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(super) struct LifetimeTable {
    /// How long before its end a token is renewed, at most a quarter of its lifetime. Default: 60s.
    pub(super) margin: Option<Span>,
    /// After how long a token is renewed whose lifetime the server didn't name. Default: 300s.
    pub(super) assumed: Option<Span>,
    /// Caps a lifetime that the server makes too long. Default: none.
    pub(super) max_token_age: Option<Span>,
}

/// What a token request may cost.
#[derive(Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub(super) struct LimitsTable {
    /// How long the exchange with the authorization server may take, from connecting to the last
    /// octet. Default: 10s.
    pub(super) deadline: Option<Span>,
    /// How large the answer may be. Default: 1MiB.
    pub(super) max_answer: Option<Size>,
    /// How long a fetch may take as a whole: signing, files and transport. Default: 30s.
    pub(super) fetch_deadline: Option<Span>,
}

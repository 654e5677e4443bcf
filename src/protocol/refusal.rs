use std::{
    fmt::{self, Write as _},
    time::Duration,
};

use http::StatusCode;

use crate::error::{ErrorKind, TokenError};

/// Why an answer holds no token. Texts in it are the server's, and fit to be repeated.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) fault: Fault,
    /// The origin of the endpoint.
    pub(crate) from: String,
    pub(crate) status: StatusCode,
    pub(crate) retry_after: Option<Duration>,
}

/// What is wrong with an answer.
#[derive(Debug)]
pub(crate) enum Fault {
    /// It leads elsewhere, to this origin.
    Redirect {
        origin: Option<String>,
    },
    /// It is an error as RFC 6749 section 5.2 wants it.
    OAuth {
        code: String,
        description: Option<String>,
        uri: Option<String>,
    },
    /// Nothing but the status tells what is wrong.
    Status,
    /// Its `error` is no text, but something of the server's own.
    ForeignError,
    Html,
    Empty,
    NotAnObject,
    NotJson,
    Truncated,
    DuplicateMember,
    MissingAccessToken,
    InvalidAccessToken,
    MissingTokenType,
    UnsupportedTokenType {
        token_type: String,
    },
    /// `DPoP`, which wasn't asked for (RFC 9449 section 5).
    SenderConstrained,
    /// `N_A` (RFC 8693 section 2.2.1).
    NotAnAccessToken,
}

const WHICH_ENDPOINT: &str =
    "is this the token endpoint? compare it with `token_endpoint` in the server's metadata";
const TOKEN_TYPE: &str = "have the server issue bearer tokens (`token_type` Bearer) to this client";
const DPOP: &str = "the server wants DPoP-bound tokens, which aren't set up here: turn DPoP off \
                    for this client at the server";

/// Error codes and what to change.
const CODES: &[(&str, &str)] = &[
    (
        "invalid_request",
        "a parameter is missing, unknown or malformed: compare scope, resource, audience and \
         extra parameters with what the server documents",
    ),
    (
        "invalid_client",
        "the server doesn't know this client_id with this credential: compare client_id, \
         credential and method with the client's registration",
    ),
    (
        "invalid_grant",
        "the server refuses the grant; some servers say so when no client certificate reached them",
    ),
    (
        "unauthorized_client",
        "the client is known but may not use this grant: allow it in the client's registration",
    ),
    (
        "unsupported_grant_type",
        "the server doesn't offer this grant: turn it on there, and check that this is its token \
         endpoint",
    ),
    (
        "invalid_scope",
        "a scope is unknown, missing, or not granted to this client: compare scope(..) with the \
         client's registration",
    ),
    (
        "invalid_target",
        "the server doesn't know the resource or audience: compare resource(..) and audience(..) \
         with the names of APIs at the server",
    ),
    (
        "access_denied",
        "the client may not have this token: grant it access to the API at the server, and \
         compare audience(..), resource(..) and scope(..)",
    ),
    (
        "unsupported_token_type",
        "the server doesn't revoke access tokens (RFC 7009 section 2.2.1)",
    ),
    ("use_dpop_nonce", DPOP),
    ("invalid_dpop_proof", DPOP),
];

/// Error codes that are no verdict.
const TROUBLES: &[&str] = &["server_error", "temporarily_unavailable"];

impl Refusal {
    /// Whether this is a code that has a meaning here.
    pub(super) fn is_known(code: &str) -> bool {
        TROUBLES.contains(&code) || CODES.iter().any(|(known, _)| *known == code)
    }

    /// Whether the server failed, rather than judged: a code inside a 5xx is no verdict.
    fn is_temporary(&self) -> bool {
        let trouble = match &self.fault {
            Fault::OAuth { code, .. } => TROUBLES.contains(&code.as_str()),
            fault => matches!(fault, Fault::Truncated),
        };
        let status = self.status;
        trouble
            || status.is_server_error()
            || status == StatusCode::TOO_MANY_REQUESTS
            || status == StatusCode::REQUEST_TIMEOUT
    }

    fn kind(&self) -> ErrorKind {
        match self.fault {
            Fault::OAuth { .. } | Fault::Status | Fault::ForeignError => ErrorKind::Rejected,
            _ => ErrorKind::Malformed,
        }
    }

    fn hint(&self) -> Option<&'static str> {
        Some(match &self.fault {
            Fault::Redirect { .. } => {
                "redirects are never followed, because they would repeat the credential: set the \
                 token endpoint to the address that this one leads to"
            }
            _ if self.status == StatusCode::TOO_MANY_REQUESTS => {
                "too many token requests: it is asked again later"
            }
            _ if self.is_temporary() => {
                "the server is in trouble, or the connection was cut: it is asked again later"
            }
            Fault::OAuth { code, .. } => CODES.iter().find(|(known, _)| known == code)?.1,
            Fault::ForeignError => "look into the log of the server or its gateway",
            Fault::Status => match self.status.as_u16() {
                400 | 401 | 403 => {
                    "the server gives no reason: compare client_id, credential and method with \
                     the client's registration, and look into the server's or its gateway's log"
                }
                200..=299 | 404 | 405 | 410 => WHICH_ENDPOINT,
                _ => return None,
            },
            Fault::Html | Fault::Empty | Fault::NotAnObject | Fault::NotJson | Fault::Truncated => {
                WHICH_ENDPOINT
            }
            Fault::DuplicateMember | Fault::MissingAccessToken | Fault::InvalidAccessToken => {
                "the server breaks RFC 6749 section 5.1: report it there"
            }
            Fault::MissingTokenType | Fault::UnsupportedTokenType { .. } => TOKEN_TYPE,
            Fault::SenderConstrained => DPOP,
            Fault::NotAnAccessToken => "ask for `requested_token_type` access_token",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Redirect { origin: None } => ", a redirect",
            Self::Redirect {
                origin: Some(origin),
            } => return write!(f, ", a redirect to {origin}"),
            Self::OAuth {
                code,
                description,
                uri,
            } => {
                write!(f, " {code}")?;
                if let Some(description) = description {
                    write!(f, ": {description}")?;
                }
                return uri.as_ref().map_or(Ok(()), |uri| write!(f, ", see {uri}"));
            }
            Self::Status => " without an OAuth error code",
            Self::ForeignError => " with an `error` that is no OAuth error code",
            Self::Html => " with a page for people",
            Self::Empty => " with nothing",
            Self::NotAnObject => " with JSON that is not an object",
            Self::NotJson => " with something that is not JSON",
            Self::Truncated => " with JSON that ends too early",
            Self::DuplicateMember => " with a member that is there twice",
            Self::MissingAccessToken => " without `access_token`, or with an empty one",
            Self::InvalidAccessToken => {
                " with an `access_token` of characters that can't stand in a header"
            }
            Self::MissingTokenType => " without `token_type`",
            Self::UnsupportedTokenType { token_type } => {
                return write!(f, " with the unknown `token_type` {token_type}");
            }
            Self::SenderConstrained => " with a DPoP-bound token, which wasn't asked for",
            Self::NotAnAccessToken => " with a token that is no access token (`token_type` N_A)",
        })
    }
}

impl From<Refusal> for TokenError {
    fn from(refusal: Refusal) -> Self {
        let mut message = format!("{} answered {}", refusal.from, refusal.status.as_u16());
        write!(message, "{}", refusal.fault).expect("a String takes everything");
        let mut error = Self::new(refusal.kind(), message)
            .with_status(refusal.status)
            .temporary(refusal.is_temporary());
        if let Some(hint) = refusal.hint() {
            error = error.with_hint(hint);
        }
        if let Some(delay) = refusal.retry_after {
            error = error.with_retry_after(delay);
        }
        if let Fault::OAuth { code, .. } = refusal.fault {
            error = error.with_oauth_error(code);
        }
        error
    }
}

use std::{fmt, time::Duration};

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use http::{
    HeaderMap, StatusCode,
    header::{HeaderName, HeaderValue},
};

use super::{Challenge, parse};

static GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
static DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// Tells what a resource's answer means for the token it was sent.
///
/// It is asked about every response, with status and headers only. A closure will do:
///
/// ```
/// use http::{HeaderMap, StatusCode};
/// use tower_oauth::challenge::{ByErrorCode, Classify, Meaning};
///
/// // A gateway that refuses an expired token by a bare 403.
/// let gateway = |status: StatusCode, headers: &HeaderMap| {
///     match ByErrorCode.classify(status, headers) {
///         Meaning::Other if status == StatusCode::FORBIDDEN => Meaning::TokenRejected,
///         meaning => meaning,
///     }
/// };
/// assert_eq!(
///     gateway.classify(StatusCode::FORBIDDEN, &HeaderMap::new()),
///     Meaning::TokenRejected
/// );
/// ```
pub trait Classify: Send + Sync {
    /// What this response means for the token.
    fn classify(&self, status: StatusCode, headers: &HeaderMap) -> Meaning;
}

impl<F> Classify for F
where
    F: Fn(StatusCode, &HeaderMap) -> Meaning + Send + Sync,
{
    fn classify(&self, status: StatusCode, headers: &HeaderMap) -> Meaning {
        self(status, headers)
    }
}

/// What a response means for the token it was sent.
///
/// The texts in it are the server's and may echo a credential: `Debug` doesn't show them.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Meaning {
    /// The resource took the token.
    Accepted,
    /// The resource refused the token: another one may do (RFC 6750 section 3.1).
    TokenRejected,
    /// A 401 with challenges, none of which says what is wrong. A bearer token counts as rejected.
    /// Of a token sent with a DPoP proof the resource took no notice at all, and another one of
    /// its kind fares no better (RFC 9449 section 7.2).
    Challenged,
    /// The token is good but too weak, and another one with the same scope would be no stronger.
    InsufficientScope {
        /// The scope asked for.
        scope: Option<String>,
    },
    /// The resource gave a nonce that it wants in the DPoP proof (RFC 9449 section 9).
    UseDpopNonce,
    /// The DPoP proof was refused, the token was not (RFC 9449 section 7.1).
    InvalidDpopProof,
    /// The resource wants a token that was asked for with these claims.
    Claims {
        /// The claims request, decoded: a JSON text (OpenID Connect Core section 5.5).
        claims: String,
    },
    /// The resource wants a user who has authenticated better or later (RFC 9470 section 3).
    StepUp {
        /// The authentication context classes asked for, separated by spaces.
        acr_values: Option<String>,
        /// The greatest age of the authentication.
        max_age: Option<Duration>,
    },
    /// Nothing about the token.
    Other,
}

impl Meaning {
    pub(crate) fn is_accepted(&self) -> bool {
        matches!(self, Self::Accepted)
    }
}

impl fmt::Debug for Meaning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Accepted => "Accepted",
            Self::TokenRejected => "TokenRejected",
            Self::Challenged => "Challenged",
            Self::InsufficientScope { .. } => "InsufficientScope",
            Self::UseDpopNonce => "UseDpopNonce",
            Self::InvalidDpopProof => "InvalidDpopProof",
            Self::Claims { .. } => "Claims",
            Self::StepUp { .. } => "StepUp",
            Self::Other => "Other",
        })
    }
}

/// The built-in [`Classify`]: the error code counts first, the status second.
///
/// - The code is the `error` of a Bearer or DPoP challenge, at status 400, 401 or 403.
///   `invalid_token` in any of them is a rejection; else the first code counts.
/// - A 401 without a code is a rejection too, whatever schemes it names: many gateways and
///   frameworks say no more. Any other code at a 401 is none.
/// - `grpc-status: 16` in the headers (a trailers-only answer) counts as a 401.
/// - Success is success, whatever challenge comes with it.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "it has nothing to hold")]
pub struct ByErrorCode;

impl Classify for ByErrorCode {
    fn classify(&self, status: StatusCode, headers: &HeaderMap) -> Meaning {
        // Every response comes by here: nothing is parsed before this says that it must be.
        let status = match headers.get(&GRPC_STATUS).map(HeaderValue::as_bytes) {
            Some(b"16") => StatusCode::UNAUTHORIZED,
            None | Some(b"0") if status.is_success() => return Meaning::Accepted,
            _ => status,
        };
        if !matches!(
            status,
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
        ) {
            return Meaning::Other;
        }

        let challenges = parse(headers);
        if let Some((challenge, code)) = telling(&challenges) {
            return by_code(code, challenge, headers);
        }
        match status {
            StatusCode::UNAUTHORIZED if challenges.is_empty() => Meaning::TokenRejected,
            StatusCode::UNAUTHORIZED => Meaning::Challenged,
            _ => Meaning::Other,
        }
    }
}

fn by_code(code: &str, challenge: &Challenge, headers: &HeaderMap) -> Meaning {
    let owned = |name| challenge.param(name).map(str::to_owned);
    // The registered codes are all lower case; servers that write them otherwise mean the same.
    match code.to_ascii_lowercase().as_str() {
        "invalid_token" => Meaning::TokenRejected,
        "insufficient_scope" => Meaning::InsufficientScope {
            scope: owned("scope"),
        },
        // Without the nonce there is nothing to do about it (RFC 9449 section 8).
        "use_dpop_nonce" if headers.get(&DPOP_NONCE).is_some_and(|it| !it.is_empty()) => {
            Meaning::UseDpopNonce
        }
        "invalid_dpop_proof" => Meaning::InvalidDpopProof,
        "insufficient_claims" => match challenge.param("claims").and_then(decode_claims) {
            Some(claims) => Meaning::Claims { claims },
            None => Meaning::Other,
        },
        "insufficient_user_authentication" => Meaning::StepUp {
            acr_values: owned("acr_values"),
            max_age: challenge
                .param("max_age")
                .and_then(|seconds| seconds.parse().ok())
                .map(Duration::from_secs),
        },
        _ => Meaning::Other,
    }
}

/// The challenge that tells most about the token, with its error code.
pub(super) fn telling(challenges: &[Challenge]) -> Option<(&Challenge, &str)> {
    let coded = || {
        challenges
            .iter()
            .filter(|challenge| matches!(challenge.scheme(), "bearer" | "dpop"))
            .filter_map(|challenge| Some((challenge, challenge.param("error")?)))
            .filter(|(_, code)| !code.is_empty())
    };
    coded()
        .find(|(_, code)| code.eq_ignore_ascii_case("invalid_token"))
        .or_else(|| coded().next())
}

/// Entra ID sends the claims in base64, with padding or without.
fn decode_claims(encoded: &str) -> Option<String> {
    const LENIENT: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let alphabet = if encoded.contains(['-', '_']) {
        alphabet::URL_SAFE
    } else {
        alphabet::STANDARD
    };
    let octets = GeneralPurpose::new(&alphabet, LENIENT)
        .decode(encoded)
        .ok()?;
    String::from_utf8(octets)
        .ok()
        .filter(|claims| !claims.is_empty())
}

#[cfg(test)]
mod tests {
    use http::header::WWW_AUTHENTICATE;

    use super::*;

    fn classify(status: u16, headers: &[(&HeaderName, &str)]) -> Meaning {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        ByErrorCode.classify(StatusCode::from_u16(status).unwrap(), &map)
    }

    fn challenged(status: u16, challenge: &str) -> Meaning {
        classify(status, &[(&WWW_AUTHENTICATE, challenge)])
    }

    #[test]
    fn only_success_means_that_the_token_was_taken() {
        assert_eq!(classify(200, &[]), Meaning::Accepted);
        assert_eq!(classify(204, &[]), Meaning::Accepted);
        // A redirect may lead to a log-in page, an error may come from before the check.
        for status in [101, 302, 400, 403, 404, 407, 500, 503] {
            assert_eq!(classify(status, &[]), Meaning::Other, "{status}");
        }
        assert_eq!(
            challenged(407, "Bearer error=invalid_token"),
            Meaning::Other
        );
    }

    #[test]
    fn a_refusal_in_grpc_headers_counts_as_a_401() {
        let grpc = |status, code| classify(status, &[(&GRPC_STATUS, code)]);
        assert_eq!(grpc(200, "16"), Meaning::TokenRejected);
        assert_eq!(grpc(503, "16"), Meaning::TokenRejected);
        assert_eq!(grpc(200, "0"), Meaning::Accepted);
        assert_eq!(grpc(200, "7"), Meaning::Other);
        assert_eq!(grpc(200, "160"), Meaning::Other);
        assert_eq!(
            classify(
                200,
                &[
                    (&GRPC_STATUS, "16"),
                    (&WWW_AUTHENTICATE, "Bearer error=insufficient_scope"),
                ]
            ),
            Meaning::InsufficientScope { scope: None }
        );
    }

    #[test]
    fn a_401_without_a_code_says_no_more_than_that() {
        assert_eq!(classify(401, &[]), Meaning::TokenRejected);
        for challenge in [
            "Bearer",
            "Token",
            "Basic realm=x",
            "Bearer error=\"\"",
            "Newauth error=insufficient_scope",
            "Basic realm=\"Bearer error=insufficient_scope\"",
        ] {
            assert_eq!(challenged(401, challenge), Meaning::Challenged);
            assert_eq!(challenged(403, challenge), Meaning::Other);
        }
        assert_eq!(challenged(401, "Bearer error=temporarily"), Meaning::Other);
    }

    #[test]
    fn an_invalid_token_in_any_challenge_is_a_rejection() {
        for challenge in [
            "bEARER error=Invalid_Token",
            "DPoP error=use_dpop_nonce, Bearer error=INVALID_TOKEN",
            "Bearer error=invalid_request, DPoP error=\"invalid_token\"",
        ] {
            for status in [400, 401, 403] {
                assert_eq!(challenged(status, challenge), Meaning::TokenRejected);
            }
            assert_eq!(challenged(404, challenge), Meaning::Other);
        }
    }

    #[test]
    fn a_nonce_is_asked_for_only_with_a_nonce_at_hand() {
        let challenge = (&WWW_AUTHENTICATE, "DPoP error=use_dpop_nonce");
        assert_eq!(classify(401, &[challenge]), Meaning::Other);
        assert_eq!(
            classify(401, &[challenge, (&DPOP_NONCE, "")]),
            Meaning::Other
        );
        assert_eq!(
            classify(401, &[challenge, (&DPOP_NONCE, "n-1")]),
            Meaning::UseDpopNonce
        );
        assert_eq!(
            challenged(401, "DPoP error=invalid_dpop_proof"),
            Meaning::InvalidDpopProof
        );
    }

    #[test]
    fn claims_are_decoded_in_every_base64() {
        let claims = |claims: &str| {
            challenged(
                401,
                &format!("Bearer error=insufficient_claims, claims=\"{claims}\""),
            )
        };
        let decoded = |claims: &str| Meaning::Claims {
            claims: claims.into(),
        };
        assert_eq!(claims("eyJhIjp7fX0="), decoded(r#"{"a":{}}"#));
        assert_eq!(claims("eyJhIjp7fX0"), decoded(r#"{"a":{}}"#));
        assert_eq!(claims("eyJhIjoi8J-YgCJ9"), decoded(r#"{"a":"😀"}"#));
        assert_eq!(claims("eyJhIjoi8J+YgCJ9"), decoded(r#"{"a":"😀"}"#));
        for odd in ["", "%", "/w==", "{}"] {
            assert_eq!(claims(odd), Meaning::Other, "{odd}");
        }
    }

    #[test]
    fn a_step_up_challenge_says_what_it_asks_for() {
        let asked = |more: &str| {
            challenged(
                401,
                &format!("Bearer error=insufficient_user_authentication{more}"),
            )
        };
        let step_up = |acr_values: Option<&str>, max_age: Option<u64>| Meaning::StepUp {
            acr_values: acr_values.map(str::to_owned),
            max_age: max_age.map(Duration::from_secs),
        };
        assert_eq!(asked(", acr_values=\"a b\""), step_up(Some("a b"), None));
        assert_eq!(asked(", max_age=\"5\""), step_up(None, Some(5)));
        assert_eq!(asked(", max_age=0"), step_up(None, Some(0)));
        for odd in ["-1", "x", "\"\"", "99999999999999999999999"] {
            assert_eq!(asked(&format!(", max_age={odd}")), step_up(None, None));
        }
    }

    #[test]
    fn a_servers_text_is_never_formatted() {
        let meaning = challenged(403, "Bearer error=insufficient_scope, scope=s3cr3t");
        assert_eq!(format!("{meaning:?}"), "InsufficientScope");
    }
}

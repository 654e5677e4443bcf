use http::StatusCode;

use crate::testing::answer::Answer;

/// How a [`FakeResource`](super::FakeResource) says no: the shapes met in the wild.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Refusal {
    /// 401 with `error="invalid_token"`, as [RFC 6750 section 3.1] has it.
    ///
    /// [RFC 6750 section 3.1]: https://www.rfc-editor.org/rfc/rfc6750#section-3.1
    #[default]
    InvalidToken401,
    /// 401 with a challenge that has no error code.
    Bare401,
    /// 401 without a challenge, frequent behind gateways.
    Bare401NoHeader,
    /// 403 with `error="invalid_token"`, as some gateways send it.
    InvalidToken403,
    /// 403 with `error="insufficient_scope"`: another token of the same kind wouldn't help.
    InsufficientScope403,
    /// 200 with `grpc-status: 16` in the header: gRPC's UNAUTHENTICATED.
    GrpcUnauthenticated,
    /// Anything else.
    Custom(Answer),
}

impl Refusal {
    pub(super) fn answer(&self) -> Answer {
        let text = |status: StatusCode| {
            Answer::new(status)
                .header("content-type", "text/plain")
                .body("The access token is refused.\n")
        };
        let challenge =
            |status, challenge: &str| text(status).header("www-authenticate", challenge);
        match self {
            Self::InvalidToken401 => challenge(
                StatusCode::UNAUTHORIZED,
                "Bearer realm=\"fake\", error=\"invalid_token\"",
            ),
            Self::Bare401 => challenge(StatusCode::UNAUTHORIZED, "Bearer realm=\"fake\""),
            Self::Bare401NoHeader => text(StatusCode::UNAUTHORIZED),
            Self::InvalidToken403 => challenge(
                StatusCode::FORBIDDEN,
                "Bearer realm=\"fake\", error=\"invalid_token\"",
            ),
            Self::InsufficientScope403 => challenge(
                StatusCode::FORBIDDEN,
                "Bearer realm=\"fake\", error=\"insufficient_scope\", scope=\"orders.write\"",
            ),
            Self::GrpcUnauthenticated => Answer::new(StatusCode::OK)
                .header("content-type", "application/grpc")
                .header("grpc-status", "16"),
            Self::Custom(answer) => answer.clone(),
        }
    }
}

use http::StatusCode;
use serde_json::json;

use crate::testing::answer::Answer;

/// Why a request is refused (RFC 6749 section 5.2).
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    status: StatusCode,
    error: &'static str,
    description: &'static str,
    challenge: bool,
}

impl Fault {
    pub(super) fn new(error: &'static str, description: &'static str) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            error,
            description,
            challenge: false,
        }
    }

    pub(super) fn invalid_request(description: &'static str) -> Self {
        Self::new("invalid_request", description)
    }

    pub(super) fn invalid_client(description: &'static str) -> Self {
        Self::new("invalid_client", description)
    }

    /// Who authenticated by the `Authorization` field is answered with 401 and a challenge.
    pub(super) fn challenging(self) -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            challenge: true,
            ..self
        }
    }

    pub(super) fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    pub(super) fn into_answer(self) -> Answer {
        let body = json!({ "error": self.error, "error_description": self.description });
        let answer =
            Answer::json(self.status, body.to_string()).header("cache-control", "no-store");
        if self.challenge {
            answer.header("www-authenticate", "Basic realm=\"fake\"")
        } else {
            answer
        }
    }
}

use super::Meaning;

/// What is to be known of a request to judge its response.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Facts {
    /// The token was sent with a DPoP proof.
    pub(crate) dpop: bool,
    /// The request can be sent again: the spare of its body can be claimed.
    pub(crate) repeatable: bool,
    /// It was sent again already with another token.
    pub(crate) retried_for_token: bool,
    /// It was sent again already with another DPoP proof.
    pub(crate) retried_for_proof: bool,
    /// The request had waited for the very fetch that brought its token. Never a matter of age.
    pub(crate) waited_for_token: bool,
    /// The caller had set `Authorization`: the token in question is not ours.
    pub(crate) authorized_by_caller: bool,
    /// The response comes from another origin than the token was sent to.
    pub(crate) origin_changed: bool,
}

/// What is to be done about a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum Verdict {
    /// The caller gets the response.
    PassThrough,
    /// Another token is fetched and the request sent once more.
    RefreshAndRetry,
    /// Another token is fetched for those who come next; the caller gets the response.
    RefreshAndPassThrough,
    /// A token with the claims asked for is fetched and the request sent once more.
    RefreshWithClaims,
    /// The request is sent once more: same token, new proof, with the nonce of the response.
    RetryWithNonce,
    /// The request is sent once more: same token, new proof.
    RetryWithFreshProof,
}

/// What to do about a response of this meaning (RFC 6750 section 3.1, RFC 9449 sections 7 and 9).
///
/// A retry for the token and one for the proof have a budget of one each. A token that this very
/// request waited for and that is refused all the same is not worth another: the resource refuses
/// every token. The method plays no part: a 401 says that the request was not applied (RFC 9110
/// section 15.5.2).
pub(crate) fn decide(meaning: &Meaning, facts: Facts) -> Verdict {
    if facts.authorized_by_caller || facts.origin_changed {
        return Verdict::PassThrough;
    }
    let for_token = facts.repeatable && !facts.retried_for_token;
    let for_proof = facts.repeatable && !facts.retried_for_proof && facts.dpop;
    match meaning {
        Meaning::Challenged if facts.dpop => Verdict::PassThrough,
        Meaning::TokenRejected | Meaning::Challenged => match for_token {
            _ if facts.waited_for_token => Verdict::PassThrough,
            true => Verdict::RefreshAndRetry,
            false => Verdict::RefreshAndPassThrough,
        },
        Meaning::Claims { .. } if for_token => Verdict::RefreshWithClaims,
        Meaning::UseDpopNonce if for_proof => Verdict::RetryWithNonce,
        Meaning::InvalidDpopProof if for_proof => Verdict::RetryWithFreshProof,
        _ => Verdict::PassThrough,
    }
}

#[cfg(test)]
mod tests {
    use http::{
        HeaderMap, StatusCode,
        header::{HeaderName, WWW_AUTHENTICATE},
    };
    use serde_json::Value;

    use super::*;
    use crate::challenge::{ByErrorCode, Classify};

    const FIRST_SEND: Facts = Facts {
        dpop: false,
        repeatable: true,
        retried_for_token: false,
        retried_for_proof: false,
        waited_for_token: false,
        authorized_by_caller: false,
        origin_changed: false,
    };

    fn facts_of(request: &Value) -> Facts {
        let mut facts = FIRST_SEND;
        for (name, value) in request.as_object().into_iter().flatten() {
            match name.as_str() {
                "dpop" => facts.dpop = value.as_bool().unwrap(),
                "body" => facts.repeatable = value == "buffered",
                "token_age_seconds" => facts.waited_for_token = value == 0,
                "already_retried_for_nonce" => facts.retried_for_proof = value.as_bool().unwrap(),
                "authorization_set_by_caller" => {
                    facts.authorized_by_caller = value.as_bool().unwrap();
                }
                "origin_changed" => facts.origin_changed = value.as_bool().unwrap(),
                "method" => {}
                unknown => panic!("the corpus says {unknown} of a request"),
            }
        }
        facts
    }

    fn headers_of(case: &Value) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in case["www_authenticate"].as_array().unwrap() {
            headers.append(WWW_AUTHENTICATE, line.as_str().unwrap().parse().unwrap());
        }
        for (name, value) in case["headers"].as_object().into_iter().flatten() {
            let name: HeaderName = name.parse().unwrap();
            headers.append(name, value.as_str().unwrap().parse().unwrap());
        }
        headers
    }

    #[test]
    fn every_row_of_the_corpus_is_decided_as_expected() {
        let corpus = include_str!("../../tests/vectors/challenge-decisions.json");
        let corpus: Value = serde_json::from_str(corpus).unwrap();
        let cases = corpus["cases"].as_array().unwrap();
        for case in cases {
            let status = u16::try_from(case["status"].as_u64().unwrap()).unwrap();
            let status = StatusCode::from_u16(status).unwrap();
            let meaning = ByErrorCode.classify(status, &headers_of(case));
            let action = match decide(&meaning, facts_of(&case["request"])) {
                Verdict::PassThrough => "pass-through",
                Verdict::RefreshAndRetry => "refresh-and-retry-once",
                Verdict::RefreshAndPassThrough => "refresh-and-pass-through",
                Verdict::RefreshWithClaims => "refresh-with-claims-or-pass-through",
                Verdict::RetryWithNonce => "retry-once-with-nonce",
                Verdict::RetryWithFreshProof => "retry-once-with-fresh-proof",
            };
            assert!(corpus["actions"].get(action).is_some());
            assert_eq!(action, case["expected"], "{}", case["id"]);
        }
        assert_eq!(cases.len(), 24);
    }

    #[test]
    fn each_budget_is_one() {
        let dpop = Facts {
            dpop: true,
            ..FIRST_SEND
        };
        let for_token = Facts {
            retried_for_token: true,
            ..dpop
        };
        let for_proof = Facts {
            retried_for_proof: true,
            ..dpop
        };
        let claims = Meaning::Claims {
            claims: "{}".into(),
        };
        for (meaning, facts, verdict) in [
            (
                &Meaning::TokenRejected,
                for_token,
                Verdict::RefreshAndPassThrough,
            ),
            (&Meaning::TokenRejected, for_proof, Verdict::RefreshAndRetry),
            (&claims, for_token, Verdict::PassThrough),
            (&claims, for_proof, Verdict::RefreshWithClaims),
            (&Meaning::UseDpopNonce, for_token, Verdict::RetryWithNonce),
            (&Meaning::UseDpopNonce, for_proof, Verdict::PassThrough),
            (
                &Meaning::InvalidDpopProof,
                for_token,
                Verdict::RetryWithFreshProof,
            ),
            (&Meaning::InvalidDpopProof, for_proof, Verdict::PassThrough),
        ] {
            assert_eq!(decide(meaning, facts), verdict, "{meaning:?}, {facts:?}");
        }
    }

    #[test]
    fn a_request_that_cannot_be_repeated_is_never_repeated() {
        let once = Facts {
            dpop: true,
            repeatable: false,
            ..FIRST_SEND
        };
        for meaning in [Meaning::UseDpopNonce, Meaning::InvalidDpopProof] {
            assert_eq!(decide(&meaning, once), Verdict::PassThrough);
        }
        assert_eq!(
            decide(&Meaning::TokenRejected, once),
            Verdict::RefreshAndPassThrough
        );
    }

    #[test]
    fn a_proof_is_never_renewed_for_a_bearer_token() {
        for meaning in [Meaning::UseDpopNonce, Meaning::InvalidDpopProof] {
            assert_eq!(decide(&meaning, FIRST_SEND), Verdict::PassThrough);
        }
    }
}

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{
    HeaderValue, Request, Response, StatusCode, Uri,
    header::{ACCEPT, LOCATION},
};

use super::{Asking, Discovery, Endpoints};
use crate::{
    error::{ErrorKind, TokenError},
    protocol::{Endpoint, InvalidMetadata, Issuer, Metadata, origin, retry_after},
    secret::quote,
};

/// Many times what the largest document known has.
const MAX_DOCUMENT: usize = 256 * 1024;

const NO_SERVER: &str = "is this the issuer of an authorization server?";

/// What was found at one place, when it wasn't the metadata.
struct Miss {
    /// As it follows the address in a sentence.
    said: String,
    error: TokenError,
    /// There is nothing: the next place may be better.
    next: bool,
}

/// Fetches the metadata from the first place that has it, and what may be believed of it.
///
/// The next place is tried only when there is nothing at the one before: a server that answers
/// something else is asked no further.
pub(super) async fn metadata(
    issuer: &Issuer,
    settings: &Discovery,
    mtls: bool,
    asking: &Asking,
) -> Result<(Metadata, Endpoints), TokenError> {
    let mut urls: Vec<String> = Vec::new();
    let mut said: Vec<String> = Vec::new();
    let mut last = TokenError::new(ErrorKind::Configuration, "there is no place to look at");
    for &place in &settings.well_known {
        let url = issuer.well_known(place);
        // Without a path, two places are the same.
        if urls.contains(&url) {
            continue;
        }
        let miss = match ask(&url, issuer, asking).await {
            Ok(answer) if answer.status() == StatusCode::OK => {
                match believed(&answer, issuer, settings, mtls) {
                    Ok(found) => return Ok(found),
                    Err(miss) => miss,
                }
            }
            Ok(answer) => {
                let now = asking.clock.now().wall_after(Duration::ZERO);
                missed(&answer, settings, now)
            }
            Err(error) => unanswered(error),
        };
        said.push(format!("{url}{}", miss.said));
        last = miss.error;
        if !miss.next {
            break;
        }
        urls.push(url);
    }
    let (issuer, said) = (issuer.as_str(), said.join("; "));
    Err(last.with_message(format!("no metadata of {issuer}: {said}")))
}

async fn ask(url: &str, issuer: &Issuer, asking: &Asking) -> Result<Response<Bytes>, TokenError> {
    let endpoint = if issuer.is_plain_http() {
        Endpoint::allow_plain_http(url)
    } else {
        Endpoint::new(url)
    };
    let endpoint = endpoint
        .map_err(|invalid| TokenError::new(ErrorKind::Configuration, invalid.to_string()))?;
    let mut request = Request::new(Bytes::new());
    *request.uri_mut() = endpoint.uri().clone();
    let json = HeaderValue::from_static("application/json");
    request.headers_mut().insert(ACCEPT, json);
    let limits = asking.limits.clone().at_most(MAX_DOCUMENT);
    asking.client.send(request, &endpoint, &limits).await
}

/// There is a document: what may be believed of it.
fn believed(
    answer: &Response<Bytes>,
    issuer: &Issuer,
    settings: &Discovery,
    mtls: bool,
) -> Result<(Metadata, Endpoints), Miss> {
    let malformed = |said: String, hint: String| Miss {
        error: TokenError::new(ErrorKind::Malformed, "").with_hint(hint),
        said: format!(" {said}"),
        next: false,
    };
    let metadata = Metadata::read(answer.body(), issuer).map_err(|invalid| {
        let hint = match &invalid {
            InvalidMetadata::OtherIssuer { .. } => {
                "if that is the server meant, set the issuer to exactly this, slash by slash; if \
                 not, something answers in its place"
            }
            InvalidMetadata::NotAnObject => NO_SERVER,
            _ => "the server breaks RFC 8414 section 2: report it there",
        };
        malformed(invalid.to_string(), hint.to_owned())
    })?;
    let endpoints = Endpoints::of(&metadata, issuer, &settings.endpoint_hosts, mtls)
        .map_err(|refused| malformed(refused.to_string(), refused.hint()))?;
    Ok((metadata, endpoints))
}

/// There is an answer, and no document.
fn missed(answer: &Response<Bytes>, settings: &Discovery, now: SystemTime) -> Miss {
    let status = answer.status();
    let mut said = format!(" answered {}", status.as_u16());
    let error = |kind| TokenError::new(kind, "").with_status(status);
    if status.is_redirection() {
        if let Some(origin) = leads_to(answer) {
            said = format!("{said}, a redirect to {origin}");
        }
        let hint = "redirects are never followed, because they would let another server speak for \
                    this one: set the issuer to the address that the server names itself by";
        return Miss {
            said,
            error: error(ErrorKind::Malformed).with_hint(hint),
            next: false,
        };
    }
    let error = error(ErrorKind::Rejected);
    let later = status.is_server_error()
        || status == StatusCode::TOO_MANY_REQUESTS
        || status == StatusCode::REQUEST_TIMEOUT;
    if later {
        let error = error.temporary(true);
        let error = match retry_after(answer.headers(), now) {
            Some(delay) => error.with_retry_after(delay),
            None => error,
        };
        return Miss {
            said,
            error: error.with_hint("the server is in trouble: it is asked again later"),
            next: false,
        };
    }
    let any = settings.next_on_client_errors;
    let next = status == StatusCode::NOT_FOUND || (any && status.is_client_error());
    let hint = if next {
        "compare the issuer with the server's documentation; `Discovery::well_known` sets other \
         places, and `ClientCredentials::builder` does without metadata"
    } else if status.is_client_error() {
        "if that is how it says that there is nothing, say `Discovery::next_on_client_errors`"
    } else {
        NO_SERVER
    };
    Miss {
        said,
        error: error.with_hint(hint),
        next,
    }
}

/// There is no answer, or too much of one.
fn unanswered(error: TokenError) -> Miss {
    let said = format!(": {}", error.message());
    // What it says of token endpoints is out of place here.
    let error = match error.kind() {
        ErrorKind::Malformed => error.with_hint(NO_SERVER),
        _ => error,
    };
    Miss {
        said,
        error,
        next: false,
    }
}

/// Where a redirect leads to: its origin.
fn leads_to(answer: &Response<Bytes>) -> Option<String> {
    let location = answer.headers().get(LOCATION)?;
    let origin = origin(&Uri::try_from(location.as_bytes()).ok()?)?;
    Some(quote(&origin, &[]))
}

use std::{fmt::Write as _, time::SystemTime};

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

/// Fetches the metadata from the first place that has it, and what may be believed of it.
///
/// The next place is tried only when there is nothing at the one before: a server that answers
/// something else is asked no further.
pub(super) async fn metadata(
    issuer: &Issuer,
    settings: &Discovery,
    mtls: bool,
    asking: &Asking,
    now: SystemTime,
) -> Result<(Metadata, Endpoints), TokenError> {
    let mut tried: Vec<String> = Vec::new();
    let mut said = String::new();
    for &place in &settings.well_known {
        let url = issuer.well_known(place);
        // Without a path, two places are the same.
        if tried.contains(&url) {
            continue;
        }
        let separator = if tried.is_empty() { "" } else { "; " };
        write!(said, "{separator}{url} ").expect("a String takes everything");
        let failed = |kind, said: &str| {
            TokenError::new(kind, format!("no metadata of {}: {said}", issuer.as_str()))
        };
        let answer = match ask(&url, issuer, asking).await {
            Ok(answer) => answer,
            Err(error) => {
                said.push_str("has no answer");
                return Err(failed(error.kind(), &said)
                    .temporary(error.is_temporary())
                    .with_hint("the cause says more")
                    .with_source(error));
            }
        };
        let status = answer.status();
        if status == StatusCode::OK {
            let metadata = Metadata::read(answer.body(), issuer).map_err(|invalid| {
                let error = failed(ErrorKind::Malformed, &format!("{said}{invalid}"));
                error.with_hint(hint(&invalid))
            })?;
            let listed = &settings.endpoint_hosts;
            let endpoints = Endpoints::of(&metadata, issuer, listed, mtls);
            let endpoints = endpoints.map_err(|refused| {
                let error = failed(ErrorKind::Malformed, &format!("{said}{refused}"));
                error.with_hint(refused.hint())
            })?;
            return Ok((metadata, endpoints));
        }
        write!(said, "answered {}", status.as_u16()).expect("a String takes everything");
        if status.is_redirection() {
            if let Some(origin) = leads_to(&answer) {
                write!(said, ", a redirect to {origin}").expect("a String takes everything");
            }
            return Err(failed(ErrorKind::Malformed, &said)
                .with_status(status)
                .with_hint(
                    "redirects are never followed, because they would let another server speak for \
                     this one: set the issuer to the address that the server names itself by",
                ));
        }
        let nothing_there = status == StatusCode::NOT_FOUND
            || (settings.next_on_client_errors && status.is_client_error());
        if !nothing_there {
            return Err(refused(failed(ErrorKind::Rejected, &said), &answer, now));
        }
        tried.push(url);
    }
    Err(TokenError::new(
        ErrorKind::Rejected,
        format!("no metadata of {}: {said}", issuer.as_str()),
    )
    .with_status(StatusCode::NOT_FOUND)
    .with_hint(
        "compare the issuer with the server's documentation; `Discovery::well_known` sets other \
         places, and `ClientCredentials::builder` does without metadata",
    ))
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

/// The server has something else to say than that there is nothing.
fn refused(error: TokenError, answer: &Response<Bytes>, now: SystemTime) -> TokenError {
    let status = answer.status();
    let temporary = status.is_server_error()
        || status == StatusCode::TOO_MANY_REQUESTS
        || status == StatusCode::REQUEST_TIMEOUT;
    let error = error.with_status(status).temporary(temporary);
    let error = match retry_after(answer.headers(), now) {
        Some(delay) if temporary => error.with_retry_after(delay),
        _ => error,
    };
    error.with_hint(if temporary {
        "the server is in trouble: it is asked again later"
    } else if status.is_client_error() {
        "if that is how it says that there is nothing, say `Discovery::next_on_client_errors`"
    } else {
        "is this the issuer of an authorization server?"
    })
}

fn hint(invalid: &InvalidMetadata) -> &'static str {
    match invalid {
        InvalidMetadata::OtherIssuer { .. } => {
            "if that is the server meant, set the issuer to exactly this, slash by slash; if not, \
             something answers in its place"
        }
        _ => "the server breaks RFC 8414 section 2, or this isn't its metadata: report it there",
    }
}

/// Where a redirect leads to: its origin.
fn leads_to(answer: &Response<Bytes>) -> Option<String> {
    let location = answer.headers().get(LOCATION)?;
    let origin = origin(&Uri::try_from(location.as_bytes()).ok()?)?;
    Some(quote(&origin, &[]))
}

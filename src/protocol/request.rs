use std::{borrow::Cow, fmt};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE},
};
use zeroize::Zeroizing;

use super::Endpoint;

/// A token request being put together (RFC 6749 section 3.2).
///
/// A grant starts it, a [`ClientAuth`](crate::client_auth::ClientAuth) adds its credential. Each
/// parameter stands in it at most once, and one without a value is left out. `Debug` shows names
/// only, and all values are wiped from memory when they are dropped.
pub struct TokenRequest {
    parameters: Vec<(Cow<'static, str>, Zeroizing<String>)>,
    authorization: Option<HeaderValue>,
    extra_headers: HeaderMap,
    credentials: Vec<Zeroizing<Vec<u8>>>,
}

impl TokenRequest {
    pub(crate) fn new(grant_type: &str) -> Self {
        let mut request = Self::empty();
        request.set("grant_type", grant_type);
        request
    }

    /// To revoke this token (RFC 7009 section 2.1).
    pub(crate) fn revocation(token: &str) -> Self {
        let mut request = Self::empty();
        request.set_secret("token", token);
        request.set("token_type_hint", "access_token");
        request
    }

    fn empty() -> Self {
        Self {
            parameters: Vec::new(),
            authorization: None,
            extra_headers: HeaderMap::new(),
            credentials: Vec::new(),
        }
    }

    /// Sets a parameter, in place of an earlier one of this name. An empty value leaves it out.
    pub fn set(&mut self, name: impl Into<Cow<'static, str>>, value: &str) {
        let name = name.into();
        self.parameters.retain(|(present, _)| *present != name);
        self.append(name, value);
    }

    /// Sets a parameter whose value is a credential: if the server echoes it, it is cut out of
    /// every error.
    pub fn set_secret(&mut self, name: impl Into<Cow<'static, str>>, value: &str) {
        self.set(name, value);
        self.hide(value);
    }

    /// Sets the `Authorization` header, which is marked sensitive and treated as a credential.
    pub fn set_authorization(&mut self, mut value: HeaderValue) {
        value.set_sensitive(true);
        self.hide_bytes(value.as_bytes());
        self.authorization = Some(value);
    }

    /// Cuts this credential out of whatever the server says about the request, as it is and
    /// form-encoded.
    pub fn hide(&mut self, credential: &str) {
        self.hide_bytes(credential.as_bytes());
        let encoded = form_encode(credential);
        if *encoded != credential {
            self.hide_bytes(encoded.as_bytes());
        }
    }

    /// Adds a parameter that may stand in the request several times: only `resource` (RFC 8707
    /// section 2) and `audience` (RFC 8693 section 2.1) may.
    pub(crate) fn append(&mut self, name: impl Into<Cow<'static, str>>, value: &str) {
        if !value.is_empty() {
            let value = Zeroizing::new(value.to_owned());
            self.parameters.push((name.into(), value));
        }
    }

    /// Sends these header fields, too. What they hold may be a credential.
    pub(crate) fn add_headers(&mut self, headers: &HeaderMap) {
        for value in headers.values() {
            self.hide_bytes(value.as_bytes());
        }
        self.extra_headers.extend(headers.clone());
    }

    /// Whether this very text is one of its credentials.
    pub(crate) fn tells(&self, credential: &str) -> bool {
        let mut credentials = self.credentials.iter();
        credentials.any(|it| it.as_slice() == credential.as_bytes())
    }

    /// What the server was told in confidence and may echo.
    pub(crate) fn credentials(&self) -> Vec<&[u8]> {
        self.credentials.iter().map(|c| c.as_slice()).collect()
    }

    pub(crate) fn to_http(&self, endpoint: &Endpoint) -> Request<Bytes> {
        let mut request = Request::new(self.body());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = endpoint.uri().clone();
        let headers = request.headers_mut();
        headers.clone_from(&self.extra_headers);
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(authorization) = &self.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        request
    }

    fn body(&self) -> Bytes {
        // An octet becomes three at most. Room for all of them, so that the text never moves and
        // leaves a copy of a secret behind.
        let room = |(name, value): &(Cow<'_, str>, Zeroizing<String>)| {
            3 * (name.len() + value.len()) + "&=".len()
        };
        let capacity = self.parameters.iter().map(room).sum();
        let mut form = form_urlencoded::Serializer::new(String::with_capacity(capacity));
        for (name, value) in &self.parameters {
            form.append_pair(name, value);
        }
        Bytes::from_owner(Zeroizing::new(form.finish().into_bytes()))
    }

    fn hide_bytes(&mut self, credential: &[u8]) {
        self.credentials.push(Zeroizing::new(credential.to_vec()));
    }
}

impl fmt::Debug for TokenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.parameters.iter().map(|(name, _)| name).collect();
        f.debug_struct("TokenRequest")
            .field("parameters", &names)
            .finish_non_exhaustive()
    }
}

/// One value of a form (RFC 6749 appendix B).
pub(crate) fn form_encode(value: &str) -> Zeroizing<String> {
    let mut encoded = Zeroizing::new(String::with_capacity(3 * value.len()));
    encoded.extend(form_urlencoded::byte_serialize(value.as_bytes()));
    encoded
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn decoded(request: &TokenRequest) -> Vec<(String, String)> {
        form_urlencoded::parse(&request.body())
            .into_owned()
            .collect()
    }

    #[test]
    fn every_value_of_the_vectors_is_encoded_and_survives() {
        let vectors: Value =
            serde_json::from_str(include_str!("../../tests/vectors/form-urlencoding.json"))
                .unwrap();
        let cases = vectors["cases"].as_array().unwrap();
        assert_eq!(cases.len(), 14);
        for case in cases {
            let value = case["value"].as_str().unwrap();
            assert_eq!(*form_encode(value), case["encoded"].as_str().unwrap());
            let mut request = TokenRequest::new("g");
            request.set("näme &=", value);
            assert_eq!(
                decoded(&request),
                [
                    ("grant_type".to_owned(), "g".to_owned()),
                    ("näme &=".to_owned(), value.to_owned()),
                ]
            );
        }
    }

    #[test]
    fn a_parameter_stands_in_it_once_and_never_empty() {
        let mut request = TokenRequest::new("g");
        request.set("a", "1");
        request.set("a", "2");
        request.set("b", "1");
        request.set("b", "");
        request.append("resource", "x");
        request.append("resource", "");
        request.append("resource", "y");
        assert_eq!(request.body(), "grant_type=g&a=2&resource=x&resource=y");
    }

    #[test]
    fn nothing_but_names_is_formatted() {
        let mut request = TokenRequest::new("g");
        request.set_secret("client_secret", "correct horse");
        request.set_authorization(HeaderValue::from_static("Basic Zm9v"));
        assert_eq!(
            format!("{request:?}"),
            "TokenRequest { parameters: [\"grant_type\", \"client_secret\"], .. }"
        );
        let endpoint = Endpoint::new("https://as.example/token?tenant=a").unwrap();
        let sent = format!("{:?}", request.to_http(&endpoint).headers());
        assert!(!sent.contains("Zm9v"), "{sent}");
    }

    #[test]
    fn a_credential_is_hidden_as_it_is_and_encoded() {
        let mut request = TokenRequest::new("g");
        request.set_secret("client_secret", "a b~c");
        request.set_authorization(HeaderValue::from_static("Basic Zm9v"));
        assert_eq!(
            request.credentials(),
            [&b"a b~c"[..], b"a+b%7Ec", b"Basic Zm9v"]
        );
    }
}

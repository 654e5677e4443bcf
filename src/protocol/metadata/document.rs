use std::fmt;

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{error::Category, value::RawValue};

use super::Issuer;
use crate::secret::quote;

/// What is read of a server's metadata. Of a document of another issuer nothing is.
#[derive(Debug)]
pub(crate) struct Metadata {
    pub(crate) token_endpoint: String,
    /// That of `mtls_endpoint_aliases` (RFC 8705 section 5).
    pub(crate) mtls_token_endpoint: Option<String>,
    /// RFC 8414 section 2.
    pub(crate) revocation_endpoint: Option<String>,
    /// That of `mtls_endpoint_aliases`.
    pub(crate) mtls_revocation_endpoint: Option<String>,
    /// `None`: what is there can't be understood.
    auth_methods: Option<Vec<String>>,
    /// `None`: the server doesn't say.
    signing_algorithms: Option<Vec<String>>,
}

/// The members that are read. Others are passed over, a second one of these is an error.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Members<'a> {
    #[serde(borrow)]
    issuer: Option<&'a RawValue>,
    #[serde(borrow)]
    token_endpoint: Option<&'a RawValue>,
    #[serde(borrow)]
    revocation_endpoint: Option<&'a RawValue>,
    #[serde(borrow)]
    mtls_endpoint_aliases: Option<&'a RawValue>,
    #[serde(borrow)]
    token_endpoint_auth_methods_supported: Option<&'a RawValue>,
    #[serde(borrow)]
    token_endpoint_auth_signing_alg_values_supported: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Aliases<'a> {
    #[serde(borrow)]
    token_endpoint: Option<&'a RawValue>,
    #[serde(borrow)]
    revocation_endpoint: Option<&'a RawValue>,
}

impl Metadata {
    /// Reads the document of this issuer.
    pub(crate) fn read(body: &[u8], issuer: &Issuer) -> Result<Self, InvalidMetadata> {
        let text = std::str::from_utf8(body).map_err(|_| InvalidMetadata::NotAnObject)?;
        let members: Members<'_> = object(text.trim_start_matches('\u{feff}').trim())?;
        // First of all: code point by code point, after JSON's escapes, and nothing else.
        match members.issuer.and_then(typed::<String>) {
            None => return Err(InvalidMetadata::MissingIssuer),
            Some(other) if other != issuer.as_str() => {
                let found = quote(&other, &[]);
                return Err(InvalidMetadata::OtherIssuer { found });
            }
            Some(_) => {}
        }
        let aliases = match members.mtls_endpoint_aliases.map(RawValue::get) {
            Some(aliases) if aliases.starts_with('{') => object(aliases)?,
            _ => Aliases::default(),
        };
        Ok(Self {
            token_endpoint: members
                .token_endpoint
                .and_then(typed)
                .ok_or(InvalidMetadata::MissingTokenEndpoint)?,
            mtls_token_endpoint: aliases.token_endpoint.and_then(typed),
            revocation_endpoint: members.revocation_endpoint.and_then(typed),
            mtls_revocation_endpoint: aliases.revocation_endpoint.and_then(typed),
            auth_methods: match members.token_endpoint_auth_methods_supported {
                Some(methods) => typed(methods),
                // RFC 8414 section 2.
                None => Some(vec!["client_secret_basic".to_owned()]),
            },
            signing_algorithms: members
                .token_endpoint_auth_signing_alg_values_supported
                .and_then(typed),
        })
    }

    /// Which of the two the server doesn't offer, as far as it says: the name of the list, and what
    /// isn't in it.
    pub(crate) fn missing<'a>(
        &self,
        method: &'a str,
        algorithm: Option<&'a str>,
    ) -> impl Iterator<Item = (&'static str, &'a str)> {
        let lacks = |list: &Option<Vec<String>>, value: &str| {
            list.as_ref()
                .is_some_and(|list| !list.iter().any(|it| it == value))
        };
        let methods = lacks(&self.auth_methods, method)
            .then_some(("token_endpoint_auth_methods_supported", method));
        let algorithms = algorithm
            .filter(|algorithm| lacks(&self.signing_algorithms, algorithm))
            .map(|it| ("token_endpoint_auth_signing_alg_values_supported", it));
        methods.into_iter().chain(algorithms)
    }
}

/// Why a document isn't the metadata of the server. Texts in it are fit to be repeated.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum InvalidMetadata {
    NotAnObject,
    DuplicateMember,
    MissingIssuer,
    OtherIssuer { found: String },
    MissingTokenEndpoint,
}

impl fmt::Display for InvalidMetadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAnObject => "has something that isn't a JSON object",
            Self::DuplicateMember => "has a document with a member that is there twice",
            Self::MissingIssuer => "has a document without `issuer`",
            Self::OtherIssuer { found } => {
                return write!(f, "has the metadata of another issuer, {found}");
            }
            Self::MissingTokenEndpoint => "has a document without `token_endpoint`",
        })
    }
}

fn object<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, InvalidMetadata> {
    // A list would be taken for the members in their order.
    if !text.starts_with('{') {
        return Err(InvalidMetadata::NotAnObject);
    }
    serde_json::from_str(text).map_err(|error| match error.classify() {
        // Every member takes any value: what is left is a member that is there twice.
        Category::Data => InvalidMetadata::DuplicateMember,
        _ => InvalidMetadata::NotAnObject,
    })
}

fn typed<T: DeserializeOwned>(value: &RawValue) -> Option<T> {
    serde_json::from_str(value.get()).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn issuer(issuer: &str) -> Issuer {
        Issuer::parse(issuer, false).unwrap()
    }

    fn read(document: &str) -> Result<Metadata, InvalidMetadata> {
        Metadata::read(document.as_bytes(), &issuer("https://as.example"))
    }

    #[test]
    fn an_issuer_is_compared_as_the_vectors_say() {
        let vectors = include_str!("../../../tests/vectors/well-known.json");
        let vectors: Value = serde_json::from_str(vectors).unwrap();
        let cases = vectors["issuer_comparison"]["cases"].as_array().unwrap();
        assert_eq!(cases.len(), 16);
        for case in cases {
            let document = case["metadata_json"].as_str().unwrap();
            let issuer = issuer(case["configured"].as_str().unwrap());
            let error = Metadata::read(document.as_bytes(), &issuer).unwrap_err();
            // The documents have nothing else: what was accepted is missed next.
            let accepted = error == InvalidMetadata::MissingTokenEndpoint;
            assert_eq!(accepted, case["accept"] == true, "{}: {error}", case["id"]);
        }
    }

    #[test]
    fn unknown_members_are_passed_over_and_doubled_ones_are_not() {
        let metadata = read(
            "\u{feff} {\"x\":{\"issuer\":1},\"issuer\":\"https://as.example\",\"x\":[1e999],\
             \"token_endpoint\":\"https://as.example/token\",\"mtls_endpoint_aliases\":\
             {\"y\":1,\"token_endpoint\":\"https://mtls.as.example/token\"}}\n",
        )
        .unwrap();
        assert_eq!(metadata.token_endpoint, "https://as.example/token");
        let alias = metadata.mtls_token_endpoint.unwrap();
        assert_eq!(alias, "https://mtls.as.example/token");
        for doubled in [
            r#"{"issuer":"https://as.example","issuer":"https://as.example"}"#,
            r#"{"issuer":"https://as.example","token_endpoint":"a","token_endpoint":"a"}"#,
            r#"{"issuer":"https://as.example","token_endpoint":"a",
                "mtls_endpoint_aliases":{"token_endpoint":"a","token_endpoint":"b"}}"#,
        ] {
            let error = read(doubled).unwrap_err();
            assert_eq!(error, InvalidMetadata::DuplicateMember, "{doubled}");
        }
    }

    #[test]
    fn what_is_no_metadata_is_refused() {
        for nothing in ["", "[]", "null", "{", "<html>", "\"{}\"", "{} {}"] {
            let error = read(nothing).unwrap_err();
            assert_eq!(error, InvalidMetadata::NotAnObject, "{nothing}");
        }
        let invalid = Metadata::read(b"{\"issuer\":\"\xff\"}", &issuer("https://as.example"));
        assert_eq!(invalid.unwrap_err(), InvalidMetadata::NotAnObject);
        for endpoint in [json!(null), json!(["https://as.example/token"]), json!(1)] {
            let document = json!({"issuer": "https://as.example", "token_endpoint": endpoint});
            let error = read(&document.to_string()).unwrap_err();
            assert_eq!(error, InvalidMetadata::MissingTokenEndpoint);
        }
    }

    #[test]
    fn what_the_server_does_not_offer_is_named() {
        let methods = "token_endpoint_auth_methods_supported";
        let algorithms = "token_endpoint_auth_signing_alg_values_supported";
        for (lists, missing) in [
            // Without a list it is Basic.
            (json!({}), vec![(methods, "private_key_jwt")]),
            (json!({methods: ["private_key_jwt"]}), vec![]),
            (json!({methods: "private_key_jwt"}), vec![]),
            (
                json!({methods: [], algorithms: ["PS256"]}),
                vec![(methods, "private_key_jwt"), (algorithms, "ES256")],
            ),
            (
                json!({methods: ["private_key_jwt"], algorithms: ["ES256"]}),
                vec![],
            ),
        ] {
            let mut document = lists;
            document["issuer"] = "https://as.example".into();
            document["token_endpoint"] = "https://as.example/token".into();
            let metadata = read(&document.to_string()).unwrap();
            let found: Vec<_> = metadata.missing("private_key_jwt", Some("ES256")).collect();
            assert_eq!(found, missing, "{document}");
        }
        let nothing = r#"{"issuer":"https://as.example","token_endpoint":"https://as.example/t"}"#;
        let metadata = read(nothing).unwrap();
        assert_eq!(metadata.missing("client_secret_basic", None).count(), 0);
    }

    proptest! {
        #[test]
        fn any_octets_are_read_without_a_panic(
            octets in proptest::collection::vec(any::<u8>(), 0..200),
            at in 0..160_usize,
        ) {
            let issuer = issuer("https://as.example");
            let _ = Metadata::read(&octets, &issuer);
            let mut document = br#"{"issuer":"https://as.example","token_endpoint":"https://as.example/token","mtls_endpoint_aliases":{"token_endpoint":"https://mtls.as.example/token"}}"#.to_vec();
            let at = at.min(document.len());
            document.splice(at..at, octets);
            let _ = Metadata::read(&document, &issuer);
        }
    }
}

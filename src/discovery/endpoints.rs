use std::{fmt, net::IpAddr};

use crate::protocol::{Endpoint, InvalidEndpoint, Issuer, Metadata};

/// Hosts of providers whose endpoints are elsewhere than their issuer.
const PRESETS: &[(&str, &str)] = &[("https://accounts.google.com", "oauth2.googleapis.com")];

/// The addresses of a server's endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoints {
    /// For clients that show no certificate.
    pub(crate) conventional: Endpoint,
    /// For this client.
    pub(crate) called: Endpoint,
    /// Where this client revokes tokens (RFC 7009).
    pub(crate) revocation: Option<Endpoint>,
}

impl Endpoints {
    /// Takes them from the metadata, if they may be believed. `mtls`: the client shows a
    /// certificate, and goes to the alias if there is one (RFC 8705 section 5).
    pub(super) fn of(
        metadata: &Metadata,
        issuer: &Issuer,
        listed: &[String],
        mtls: bool,
    ) -> Result<Self, RefusedEndpoint> {
        let check = |url: &str| endpoint(url, issuer, listed);
        let conventional = check(&metadata.token_endpoint)?;
        let alias = metadata.mtls_token_endpoint.as_deref().filter(|_| mtls);
        let revocation = metadata.mtls_revocation_endpoint.as_ref();
        let revocation = revocation
            .filter(|_| mtls)
            .or(metadata.revocation_endpoint.as_ref());
        Ok(Self {
            // Tokens come without it: one that can't be believed is none.
            revocation: revocation.and_then(|url| check(url).ok()),
            called: match alias {
                Some(alias) => check(alias)?,
                None => conventional.clone(),
            },
            conventional,
        })
    }

    pub(super) fn same_hosts(&self, other: &Self) -> bool {
        let same = |a: &Endpoint, b: &Endpoint| host(a).eq_ignore_ascii_case(host(b));
        same(&self.conventional, &other.conventional) && same(&self.called, &other.called)
    }
}

fn endpoint(url: &str, issuer: &Issuer, listed: &[String]) -> Result<Endpoint, RefusedEndpoint> {
    // Only a server that was allowed to do without TLS has endpoints without.
    let endpoint = if issuer.is_plain_http() {
        Endpoint::allow_plain_http(url)
    } else {
        Endpoint::new(url)
    };
    let endpoint = endpoint.map_err(RefusedEndpoint::Invalid)?;
    let host = host(&endpoint);
    let same = |other: &str| host.eq_ignore_ascii_case(other);
    let preset = |(of, other): &(&str, &str)| *of == issuer.as_str() && same(other);
    if same(issuer.host()) {
        return Ok(endpoint);
    }
    // What listens there is another program on every machine.
    if is_address(host) && !is_address(issuer.host()) {
        return Err(RefusedEndpoint::Address {
            host: host.to_owned(),
        });
    }
    if listed.iter().any(|it| same(it)) || PRESETS.iter().any(preset) {
        return Ok(endpoint);
    }
    Err(RefusedEndpoint::ForeignHost {
        host: host.to_owned(),
    })
}

fn host(endpoint: &Endpoint) -> &str {
    endpoint.uri().host().expect("an endpoint has a host")
}

/// Whether it is no name, but an address in any notation that a resolver may take, or this machine.
fn is_address(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let last = host.rsplit('.').next().unwrap_or_default();
    let number = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
    bare.parse::<IpAddr>().is_ok() || last == "localhost" || number || last.starts_with("0x")
}

/// Why an endpoint of the metadata isn't believed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RefusedEndpoint {
    Invalid(InvalidEndpoint),
    ForeignHost { host: String },
    Address { host: String },
}

impl RefusedEndpoint {
    pub(super) fn hint(&self) -> String {
        match self {
            Self::ForeignHost { host } => format!(
                "credentials would go to a host that nobody vouched for: if it belongs to the \
                 server, say `Discovery::endpoint_host(\"{host}\")`"
            ),
            Self::Invalid(_) | Self::Address { .. } => {
                "have the server name an https address that can be reached from here, or begin \
                 with `builder` and the token endpoint"
                    .to_owned()
            }
        }
    }
}

impl fmt::Display for RefusedEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(error) => write!(f, "names a token endpoint that can't be used: {error}"),
            Self::ForeignHost { host } => {
                write!(f, "names a token endpoint on another host, {host}")
            }
            Self::Address { host } => write!(
                f,
                "names a token endpoint at {host}, which isn't the name of a host"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn endpoints(
        document: &Value,
        listed: &[&str],
        mtls: bool,
    ) -> Result<Endpoints, RefusedEndpoint> {
        let issuer = Issuer::parse(document["issuer"].as_str().unwrap(), true).unwrap();
        let metadata = Metadata::read(document.to_string().as_bytes(), &issuer).unwrap();
        let listed: Vec<_> = listed.iter().map(|&it| it.to_owned()).collect();
        Endpoints::of(&metadata, &issuer, &listed, mtls)
    }

    fn with(issuer: &str, endpoint: &str, listed: &[&str]) -> Result<Endpoints, RefusedEndpoint> {
        let document = json!({"issuer": issuer, "token_endpoint": endpoint});
        endpoints(&document, listed, false)
    }

    #[test]
    fn the_alias_is_picked_as_the_vectors_say() {
        let vectors = include_str!("../../tests/vectors/mtls-endpoints.json");
        let vectors: Value = serde_json::from_str(vectors).unwrap();
        let cases = vectors["cases"].as_array().unwrap();
        assert_eq!(cases.len(), 7);
        let (mut other_endpoints, mut revocations) = (0, 0);
        for case in cases {
            if case["endpoint"] != "token_endpoint" {
                other_endpoints += 1;
                continue;
            }
            let metadata = match case["metadata"].as_str() {
                Some(document) => &vectors["documents"][document],
                None => &case["metadata"],
            };
            let mtls = case["client_uses_mtls"].as_bool().unwrap();
            let endpoints = endpoints(metadata, &["mtls.example.com"], mtls).unwrap();
            let expected = case["expected"].as_str().unwrap();
            assert_eq!(endpoints.called.url(), expected, "{}", case["id"]);
            // The documents have the two side by side, in one place or the other.
            let revocation = endpoints.revocation.map(|it| it.url().to_owned());
            if expected.ends_with("/token") && revocation.is_some() {
                let own = metadata["mtls_endpoint_aliases"]["revocation_endpoint"].is_string();
                let place = if mtls && own { "mtls" } else { "server" };
                let revo = format!("https://{place}.example.com/revo");
                assert_eq!(revocation, Some(revo), "{}", case["id"]);
                revocations += 1;
            }
            assert_eq!(
                endpoints.conventional.url(),
                metadata["token_endpoint"].as_str().unwrap()
            );
        }
        assert_eq!(other_endpoints, 1);
        assert!(revocations >= 4, "{revocations}");
    }

    #[test]
    fn an_endpoint_is_believed_on_hosts_that_somebody_vouched_for() {
        for (issuer, endpoint, listed) in [
            (
                "https://as.example/t",
                "https://as.example:8443/token",
                &[][..],
            ),
            ("https://as.example", "https://AS.example/token", &[]),
            (
                "https://as.example",
                "https://mtls.example/t",
                &["MTLS.example"],
            ),
            (
                "https://accounts.google.com",
                "https://oauth2.googleapis.com/token",
                &[],
            ),
            ("https://127.0.0.1:1", "https://127.0.0.1:2/token", &[]),
            (
                "https://127.0.0.1:1",
                "https://localhost/token",
                &["localhost"],
            ),
            ("http://127.0.0.1:1", "http://127.0.0.1:2/token", &[]),
        ] {
            let found = with(issuer, endpoint, listed).unwrap();
            assert_eq!(found.called.url(), endpoint);
        }
    }

    #[test]
    fn a_revocation_endpoint_elsewhere_is_none_and_costs_no_token() {
        for (url, believed) in [
            ("https://as.example/revoke", true),
            ("https://evil.example/revoke", false),
            ("http://as.example/revoke", false),
            ("nonsense", false),
        ] {
            let document = json!({
                "issuer": "https://as.example",
                "token_endpoint": "https://as.example/token",
                "revocation_endpoint": url,
            });
            let found = endpoints(&document, &[], false).unwrap();
            assert_eq!(found.revocation.is_some(), believed, "{url}");
        }
    }

    #[test]
    fn an_endpoint_elsewhere_is_not() {
        let foreign = |host: &str| RefusedEndpoint::ForeignHost { host: host.into() };
        let address = |host: &str| RefusedEndpoint::Address { host: host.into() };
        for (issuer, host, listed, refused) in [
            (
                "https://as.example",
                "evil.example",
                &[][..],
                foreign("evil.example"),
            ),
            (
                "https://as.example",
                "sub.as.example",
                &[],
                foreign("sub.as.example"),
            ),
            (
                "https://as.example",
                "as.example.",
                &[],
                foreign("as.example."),
            ),
            (
                "https://as.example",
                "oauth2.googleapis.com",
                &[],
                foreign("oauth2.googleapis.com"),
            ),
            (
                "https://as.example",
                "10.0.0.1",
                &["10.0.0.1"],
                address("10.0.0.1"),
            ),
            ("https://as.example", "[::1]", &["[::1]"], address("[::1]")),
            (
                "https://as.example",
                "localhost",
                &["localhost"],
                address("localhost"),
            ),
            (
                "https://as.example",
                "a.localhost.",
                &["a.localhost."],
                address("a.localhost."),
            ),
            (
                "https://as.example",
                "2130706433",
                &["2130706433"],
                address("2130706433"),
            ),
            (
                "https://as.example",
                "0x7f.1",
                &["0x7f.1"],
                address("0x7f.1"),
            ),
            ("https://127.0.0.1", "127.0.0.2", &[], foreign("127.0.0.2")),
        ] {
            let found = with(issuer, &format!("https://{host}/token"), listed);
            assert_eq!(found, Err(refused), "{host}");
        }
        for (issuer, endpoint) in [
            ("https://as.example", "http://as.example/token"),
            ("https://127.0.0.1", "http://127.0.0.1/token"),
            ("https://as.example", "https://as.example/token#x"),
            ("https://as.example", "https://as.example@evil.example/"),
            ("https://as.example", "/token"),
        ] {
            let found = with(issuer, endpoint, &[]);
            assert!(
                matches!(found, Err(RefusedEndpoint::Invalid(_))),
                "{found:?}"
            );
        }
    }

    #[test]
    fn the_alias_is_held_to_the_same_and_only_looked_at_when_it_is_used() {
        let document = json!({
            "issuer": "https://as.example",
            "token_endpoint": "https://as.example/token",
            "mtls_endpoint_aliases": {"token_endpoint": "https://evil.example/token"},
        });
        assert!(endpoints(&document, &[], false).is_ok());
        assert!(endpoints(&document, &[], true).is_err());
    }
}

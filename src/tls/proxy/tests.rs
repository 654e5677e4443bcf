use std::{collections::HashMap, ffi::OsString};

use super::*;

fn uri(text: &str) -> Uri {
    text.parse().unwrap()
}

fn credentials(proxy: &Proxy) -> Option<String> {
    let field = proxy.server.as_ref()?.credentials.as_ref()?;
    assert!(field.is_sensitive());
    let encoded = field.to_str().unwrap().strip_prefix("Basic ").unwrap();
    Some(String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap())
}

fn environment(variables: &[(&str, &str)]) -> Result<Proxy, InvalidProxy> {
    let variables: HashMap<_, OsString> = variables
        .iter()
        .map(|&(name, value)| (name, value.into()))
        .collect();
    environment::read(|name| variables.get(name).cloned())
}

#[test]
fn an_address_is_taken_apart() {
    for (address, origin, pair) in [
        ("http://proxy:3128", "http://proxy:3128", None),
        ("HTTP://proxy:3128/", "http://proxy:3128", None),
        ("proxy:3128", "http://proxy:3128", None),
        (" http://proxy ", "http://proxy:80", None),
        ("http://[::1]:3128", "http://[::1]:3128", None),
        ("http://u:p@proxy:81", "http://proxy:81", Some("u:p")),
        ("u:p@proxy:81", "http://proxy:81", Some("u:p")),
        ("http://u@proxy:81", "http://proxy:81", Some("u:")),
        (
            "http://us%65r:p%40ss%3a@proxy:81",
            "http://proxy:81",
            Some("user:p@ss:"),
        ),
    ] {
        let proxy = Proxy::http(address).unwrap();
        let target = uri("https://as.example/token");
        assert_eq!(proxy.server_for(&target), Some(origin), "{address}");
        assert_eq!(credentials(&proxy).as_deref(), pair, "{address}");
    }
}

#[test]
fn an_address_that_cannot_be_used_is_refused_and_never_repeated() {
    let scheme = |scheme: &str| InvalidProxy::Scheme {
        scheme: scheme.into(),
    };
    for (address, error) in [
        ("", InvalidProxy::NotAnAddress),
        ("http://", InvalidProxy::NotAnAddress),
        ("http://:3128", InvalidProxy::NotAnAddress),
        ("http://hidden:99999", InvalidProxy::NotAnAddress),
        ("http://hid den:1", InvalidProxy::NotAnAddress),
        ("http://u:hid@den@proxy:1", InvalidProxy::NotAnAddress),
        ("http://u:hid/den@proxy:1", InvalidProxy::NotAnAddress),
        ("https://u:hidden@proxy:1", scheme("https")),
        ("socks5://u:hidden@proxy:1", scheme("socks5")),
        ("ftp://hidden", scheme("ftp")),
    ] {
        let refused = Proxy::http(address).unwrap_err();
        assert_eq!(refused, error, "{address}");
        assert!(!refused.to_string().contains("hid"), "{refused}");
    }
}

#[test]
fn credentials_are_sent_as_basic_and_never_shown() {
    let proxy = Proxy::http("http://u:first@proxy:1").unwrap();
    let proxy = proxy.basic_auth("user", "pä55:word").unwrap();
    assert_eq!(credentials(&proxy).unwrap(), "user:pä55:word");
    let proxy = proxy.no_proxy("localhost");
    assert_eq!(credentials(&proxy).unwrap(), "user:pä55:word");
    assert_eq!(
        format!("{proxy:?}"),
        r#"Proxy { server: Some("http://proxy:1"), no_proxy: "localhost", .. }"#
    );
    for (user, password) in [("us:er", "p"), ("us\ner", "p"), ("user", "p\r\nX: y")] {
        let refused = proxy.clone().basic_auth(user, password);
        assert_eq!(refused.unwrap_err(), InvalidProxy::UserName);
    }
}

#[test]
fn hosts_are_left_out() {
    let proxy = Proxy::http("http://proxy:3128").unwrap();
    let proxy = proxy.no_proxy("localhost, .a.example,*.b.example ,");
    let proxy = proxy.no_proxy("10.0.0.0/8,192.168.1.1,::1,c.example");
    for (host, direct) in [
        ("localhost", true),
        ("LOCALHOST:8443", true),
        ("a.example", true),
        ("x.A.example", true),
        ("b.example", true),
        ("x.b.example", true),
        ("c.example", true),
        ("x.c.example", true),
        ("xc.example", false),
        ("example", false),
        ("10.1.2.3", true),
        ("11.1.2.3", false),
        ("192.168.1.1:443", true),
        ("192.168.1.2", false),
        ("[::1]:443", true),
        ("[::2]", false),
    ] {
        let server = proxy.server_for(&uri(&format!("https://{host}/token")));
        assert_eq!(server.is_none(), direct, "{host}");
    }
    let none = proxy.clone().no_proxy("*");
    for host in ["as.example", "172.16.1.2:8443", "[2001:db8::1]"] {
        let target = uri(&format!("https://{host}/token"));
        assert!(proxy.server_for(&target).is_some(), "{host}");
        assert!(none.server_for(&target).is_none(), "{host}");
    }
}

#[test]
fn the_environment_names_the_proxy_of_https() {
    let (one, other) = ("http://one:1", "http://other:2");
    for (variables, server) in [
        (&[][..], None),
        (&[("HTTPS_PROXY", one)], Some(one)),
        (&[("https_proxy", one)], Some(one)),
        (&[("HTTPS_PROXY", one), ("https_proxy", other)], Some(one)),
        (&[("HTTPS_PROXY", ""), ("https_proxy", other)], Some(other)),
        (&[("ALL_PROXY", one)], Some(one)),
        (&[("all_proxy", one)], Some(one)),
        (&[("ALL_PROXY", one), ("https_proxy", other)], Some(other)),
        (&[("HTTPS_PROXY", ""), ("ALL_PROXY", "")], None),
        (&[("HTTP_PROXY", one), ("http_proxy", one)], None),
        (&[("HTTP_PROXY", one), ("REQUEST_METHOD", "GET")], None),
        (&[("HTTPS_PROXY", one), ("NO_PROXY", "as.example")], None),
        (&[("HTTPS_PROXY", one), ("no_proxy", ".example")], None),
        (&[("HTTPS_PROXY", one), ("NO_PROXY", "*")], None),
        (
            &[("HTTPS_PROXY", one), ("NO_PROXY", "b.example")],
            Some(one),
        ),
        (&[("NO_PROXY", "b.example")], None),
    ] {
        let proxy = environment(variables).unwrap();
        let found = proxy.server_for(&uri("https://as.example/token"));
        assert_eq!(found, server, "{variables:?}");
        let plain = proxy.server_for(&uri("http://as.example/token"));
        assert_eq!(plain, None, "{variables:?}");
    }
    let proxy = environment(&[("ALL_PROXY", "http://u:p@one:1")]).unwrap();
    assert_eq!(credentials(&proxy).unwrap(), "u:p");
}

#[test]
fn a_wrong_variable_is_named() {
    let error = environment(&[("https_proxy", "socks5://u:hidden@proxy")]).unwrap_err();
    let error = error.to_string();
    assert!(error.starts_with("`https_proxy`: "), "{error}");
    assert!(
        error.contains("`socks5`") && !error.contains("hidden"),
        "{error}"
    );
}

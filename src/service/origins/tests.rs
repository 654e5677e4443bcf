use super::*;

fn check(origins: &AllowedOrigins, uri: &str, host: Option<&str>) -> Result<bool, String> {
    let mut headers = HeaderMap::new();
    if let Some(host) = host {
        headers.insert(HOST, host.parse().unwrap());
    }
    match origins.check(&uri.parse().unwrap(), &headers) {
        Ok(destination) => Ok(destination != Destination::Elsewhere),
        Err(error) => Err(error.to_string()),
    }
}

#[test]
fn a_token_goes_to_the_origins_on_the_list_only() {
    let origins = AllowedOrigins::new(["https://API.example/", "https://b.example:8443"]).unwrap();
    for fine in [
        "https://api.example/orders?x=1",
        "https://api.example:443/",
        "HTTPS://Api.Example/",
        "https://b.example:8443/",
    ] {
        assert_eq!(check(&origins, fine, None), Ok(true), "{fine}");
    }
    for foreign in [
        "https://api.example:444/",
        "http://api.example/",
        "https://b.example/",
        "https://api.example.evil/",
        "https://evil/api.example",
        "https://api.example@evil/",
        "ftp://api.example/",
        "/orders",
    ] {
        assert!(check(&origins, foreign, None).is_err(), "{foreign}");
    }
    let without = origins.foreign(ForeignOrigin::SendWithout);
    assert_eq!(check(&without, "https://evil/", None), Ok(false));
    // Where it goes is unknown, so it can't be said that it goes elsewhere.
    assert!(check(&without, "/orders", None).is_err());
}

#[test]
fn plain_http_needs_a_loopback_host_or_a_word() {
    let origins = AllowedOrigins::new([
        "http://127.0.0.1:8080",
        "http://[::1]:8080",
        "http://localhost",
        "http://api.example",
    ])
    .unwrap();
    for fine in [
        "http://127.0.0.1:8080/",
        "http://[::1]:8080/",
        "http://localhost/",
    ] {
        assert_eq!(check(&origins, fine, None), Ok(true), "{fine}");
    }
    let refused = check(&origins, "http://api.example/", None).unwrap_err();
    assert!(refused.contains("allow_plain_http"), "{refused}");
    let origins = origins.allow_plain_http();
    assert_eq!(check(&origins, "http://api.example/", None), Ok(true));

    let any = AllowedOrigins::any_https();
    assert_eq!(check(&any, "https://whoever.example/", None), Ok(true));
    assert!(check(&any, "http://whoever.example/", None).is_err());
}

#[test]
fn a_host_header_must_mean_the_same_origin() {
    let origins = AllowedOrigins::new(["https://api.example"]).unwrap();
    let uri = "https://api.example/";
    for fine in ["api.example", "API.example:443"] {
        assert_eq!(check(&origins, uri, Some(fine)), Ok(true), "{fine}");
    }
    for odd in [
        "evil",
        "api.example:444",
        "api.example.evil",
        "api.exampl",
        "",
        "api.example:",
    ] {
        assert!(check(&origins, uri, Some(odd)).is_err(), "{odd}");
    }
}

#[test]
fn a_uri_without_a_host_needs_a_fixed_origin() {
    let origins = AllowedOrigins::new(["https://api.example"]).unwrap();
    let refused = check(&origins, "/orders", None).unwrap_err();
    assert!(refused.contains("without_authority"), "{refused}");
    let origins = origins.without_authority("https://grpc.example").unwrap();
    assert_eq!(check(&origins, "/orders", None), Ok(true));
    assert_eq!(check(&origins, "/orders", Some("grpc.example")), Ok(true));
    assert!(check(&origins, "/orders", Some("api.example")).is_err());
    let Ok(Destination::Allowed(id)) = origins.check(&Uri::from_static("/x"), &HeaderMap::new())
    else {
        panic!("it was allowed just now");
    };
    assert_eq!(origins.name(id, None), "https://grpc.example");
}

#[test]
fn a_text_that_is_no_origin_is_refused() {
    for odd in [
        "",
        "api.example",
        "https://",
        "https://api.example/path",
        "https://api.example?x",
        "https://user@api.example",
        "https://api.example#x",
        "https://api.example:99999",
        "ftp://api.example",
        "https://api example",
    ] {
        assert!(AllowedOrigins::new([odd]).is_err(), "{odd}");
    }
    assert!(AllowedOrigins::new(Vec::<String>::new()).is_err());
}

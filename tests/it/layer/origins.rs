//! Where the token goes.

use std::sync::{Arc, Mutex};

use http::{
    Request,
    header::{AUTHORIZATION, HOST},
};
use http_body_util::Full;
use tower::{Layer, ServiceExt};
use tower_oauth::service::{AllowedOrigins, Error, ForeignOrigin, OAuthLayer};

use crate::support::{World, refusal, request_to};

/// Whether the token went out with this request, or why nothing went out.
async fn call(origins: &AllowedOrigins, uri: &str, hosts: &[&str]) -> Result<bool, String> {
    let world = World::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let layer = OAuthLayer::new(world.clone(), origins.clone());
    let api = layer.layer(world.resource_that({
        let seen = Arc::clone(&seen);
        move |request| {
            let with = request.headers().contains_key(AUTHORIZATION);
            seen.lock().unwrap().push(with);
            refusal()
        }
    }));
    let mut request = match uri.starts_with(|first: char| first.is_alphabetic()) {
        true => request_to(uri),
        false => Request::get(uri).body(Full::default()).unwrap(),
    };
    for host in hosts {
        request.headers_mut().append(HOST, host.parse().unwrap());
    }
    let result = api.oneshot(request).await;
    let seen = seen.lock().unwrap();
    match result {
        Ok(_) => Ok(seen[0]),
        Err(error) => {
            assert!(matches!(error, Error::Origin(_)), "{error:?}");
            assert!(seen.is_empty(), "it was sent");
            assert_eq!(world.fetches(), 0);
            Err(error.to_string())
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_to_a_foreign_origin() {
    let origins = AllowedOrigins::new(["https://api.example"]).unwrap();
    assert_eq!(call(&origins, "https://api.example/a", &[]).await, Ok(true));
    for foreign in [
        "https://evil.example/a",
        "https://api.example:444/a",
        "https://api.example.evil.example/a",
        "https://api.example@evil.example/a",
    ] {
        let error = call(&origins, foreign, &[]).await.unwrap_err();
        assert!(error.contains("AllowedOrigins"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_in_the_clear() {
    let origins = AllowedOrigins::new(["http://api.example", "http://127.0.0.1:80"]).unwrap();
    let error = call(&origins, "http://api.example/a", &[])
        .await
        .unwrap_err();
    assert!(error.contains("allow_plain_http"), "{error}");
    assert_eq!(call(&origins, "http://127.0.0.1/a", &[]).await, Ok(true));
    let origins = origins.allow_plain_http();
    assert_eq!(call(&origins, "http://api.example/a", &[]).await, Ok(true));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_when_any_host_header_names_another_origin() {
    let origins = AllowedOrigins::new(["https://api.example"]).unwrap();
    let uri = "https://api.example/a";
    assert_eq!(call(&origins, uri, &["API.example"]).await, Ok(true));
    for hosts in [
        &["evil.example"][..],
        &["api.example:444"],
        &["api.example", "evil.example"],
        &[""],
    ] {
        let error = call(&origins, uri, hosts).await.unwrap_err();
        assert!(error.contains("Host"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_follower_of_redirects_goes_elsewhere_without_the_token() {
    let origins = AllowedOrigins::new(["https://api.example"])
        .unwrap()
        .foreign(ForeignOrigin::SendWithout);
    assert_eq!(
        call(&origins, "https://evil.example/", &[]).await,
        Ok(false)
    );
    assert_eq!(call(&origins, "http://api.example/", &[]).await, Ok(false));
    assert_eq!(call(&origins, "https://api.example/", &[]).await, Ok(true));
}

#[tokio::test(start_paused = true)]
async fn a_uri_without_a_host_goes_where_the_layer_was_told() {
    let origins = AllowedOrigins::new(["https://api.example"]).unwrap();
    let error = call(&origins, "/orders", &[]).await.unwrap_err();
    assert!(error.contains("without_authority"), "{error}");
    let origins = origins.without_authority("https://grpc.example").unwrap();
    assert_eq!(call(&origins, "/orders", &[]).await, Ok(true));
    assert_eq!(call(&origins, "/orders", &["grpc.example"]).await, Ok(true));
    call(&origins, "/orders", &["evil.example"])
        .await
        .unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_uri_with_an_odd_host_never_passes_for_one_without() {
    let origins = AllowedOrigins::new(["https://api.example"])
        .unwrap()
        .without_authority("https://api.example")
        .unwrap();
    for odd in [
        "https://evil.example:/orders",
        "https://evil.example:99999/orders",
        "ftp://evil.example/orders",
        "evil.example:443",
        "https://api.example:/orders",
    ] {
        let error = call(&origins, odd, &[]).await.unwrap_err();
        assert!(error.contains("nothing was sent"), "{error}");
    }
}

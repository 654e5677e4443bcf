//! What the authorization server grants and refuses.

use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::json;
use tower_oauth::testing::{Client, Pki};

use super::{Kit, SECRET, Wire, wire};

const CLIENT_CREDENTIALS: (&str, &str) = ("grant_type", "client_credentials");

#[tokio::test]
async fn a_token_is_granted_and_accepted() {
    let kit = Kit::new().await;
    let reply = kit.ask_for(&[("scope", "orders.read orders.write")]).await;

    let token = reply.token();
    assert!(token.len() >= 43);
    assert_eq!(reply.header("cache-control"), "no-store");
    assert_eq!(reply.header("content-type"), "application/json");
    assert_eq!(
        reply.json(),
        json!({
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": 3600,
            "scope": "orders.read orders.write",
        })
    );
    assert_eq!(
        kit.call(&format!("Bearer {token}")).await.status,
        StatusCode::OK
    );
    assert_ne!(kit.ask().await.token(), token, "each token is new");
}

#[tokio::test]
async fn a_secret_in_the_form_is_accepted_from_its_client() {
    let kit = Kit::new().await;
    kit.server
        .register(Client::client_secret_post("poster", "hunter22"));
    let form = |secret| {
        [
            CLIENT_CREDENTIALS,
            ("client_id", "poster"),
            ("client_secret", secret),
        ]
    };
    let endpoint = kit.server.token_endpoint();

    let reply = kit.wire.post(&endpoint, &[], &form("hunter22")).await;
    reply.unwrap().token();
    let reply = kit.wire.post(&endpoint, &[], &form("hunter23")).await;
    let (status, error, _) = reply.unwrap().fault();
    assert_eq!((status, error.as_str()), (400, "invalid_client"));
}

#[tokio::test]
async fn a_wrong_secret_is_refused_with_a_challenge() {
    let kit = Kit::new().await;
    kit.server
        .register(Client::client_secret_basic("slash", "with/slash"));
    for credential in [
        wire::basic("orders", "wrong"),
        wire::basic("nobody", SECRET),
        // Without the form-encoding that RFC 6749 asks for.
        wire::raw_basic("orders", SECRET),
        wire::raw_basic("slash", "with/slash"),
        "Basic !!".to_owned(),
        "Bearer abc".to_owned(),
    ] {
        let headers = [("authorization", credential.as_str())];
        let reply = kit
            .wire
            .post(
                &kit.server.token_endpoint(),
                &headers,
                &[CLIENT_CREDENTIALS],
            )
            .await
            .unwrap();
        let (status, error, _) = reply.fault();
        assert_eq!(
            (status, error.as_str()),
            (401, "invalid_client"),
            "{credential}"
        );
        assert!(reply.header("www-authenticate").starts_with("Basic"));
    }
    assert_eq!(kit.server.counters().rejected, 6);
    assert_eq!(kit.server.counters().issued, 0);
}

#[tokio::test]
async fn only_a_form_that_is_posted_is_read() {
    let kit = Kit::new().await;
    let credential = wire::basic("orders", SECRET);
    let endpoint = kit.server.token_endpoint();
    let send = async |method, content_type, uri: &str| {
        let headers = [
            ("authorization", credential.as_str()),
            ("content-type", content_type),
        ];
        let body = "grant_type=client_credentials".to_owned();
        let reply = kit.wire.send(method, uri, &headers, body).await;
        reply.unwrap().status.as_u16()
    };

    let form = "application/x-www-form-urlencoded";
    assert_eq!(send(Method::POST, form, &endpoint).await, 200);
    let charset = "Application/X-WWW-Form-URLencoded; charset=UTF-8";
    assert_eq!(send(Method::POST, charset, &endpoint).await, 200);
    assert_eq!(send(Method::PUT, form, &endpoint).await, 405);
    assert_eq!(send(Method::POST, "application/json", &endpoint).await, 400);
    assert_eq!(send(Method::POST, "", &endpoint).await, 400);
    let elsewhere = format!("{}/elsewhere", kit.server.issuer());
    assert_eq!(send(Method::POST, form, &elsewhere).await, 404);
}

#[tokio::test]
async fn a_grant_other_than_client_credentials_is_refused() {
    let kit = Kit::new().await;
    let headers = [("authorization", &*wire::basic("orders", SECRET))];
    for (form, code) in [
        (&[("grant_type", "password")][..], "unsupported_grant_type"),
        (&[("grant_type", "")][..], "invalid_request"),
        (&[][..], "invalid_request"),
    ] {
        let endpoint = kit.server.token_endpoint();
        let reply = kit.wire.post(&endpoint, &headers, form).await.unwrap();
        assert_eq!(reply.fault().1, code, "{form:?}");
    }
}

#[tokio::test]
async fn a_parameter_sent_twice_is_refused() {
    let kit = Kit::new().await;
    let reply = kit.ask_for(&[("scope", "a"), ("scope", "a")]).await;
    let (status, error, _) = reply.fault();
    assert_eq!((status, error.as_str()), (400, "invalid_request"));

    // These two may repeat.
    let resources = [
        ("resource", "https://a.example"),
        ("resource", "https://b.example"),
    ];
    kit.ask_for(&resources).await.token();
    kit.ask_for(&[("audience", "a"), ("audience", "b")])
        .await
        .token();
}

#[tokio::test]
async fn two_methods_at_once_are_refused() {
    let kit = Kit::new().await;
    let basic = [("authorization", &*wire::basic("orders", SECRET))];
    let secret = ("client_secret", SECRET);
    let assertion = ("client_assertion", "a.b.c");
    for (headers, form) in [
        (&basic[..], vec![CLIENT_CREDENTIALS, secret]),
        (&basic[..], vec![CLIENT_CREDENTIALS, assertion]),
        (&[][..], vec![CLIENT_CREDENTIALS, secret, assertion]),
    ] {
        let endpoint = kit.server.token_endpoint();
        let reply = kit.wire.post(&endpoint, headers, &form).await.unwrap();
        let (status, error, description) = reply.fault();
        assert_eq!((status, error.as_str()), (400, "invalid_request"));
        assert!(
            description.contains("more than one method"),
            "{description}"
        );
    }
}

#[tokio::test]
async fn the_form_may_not_name_another_client_than_the_credential() {
    let kit = Kit::new().await;
    let (status, error, _) = kit.ask_for(&[("client_id", "other")]).await.fault();
    assert_eq!((status, error.as_str()), (400, "invalid_request"));
    kit.ask_for(&[("client_id", "orders")]).await.token();
}

#[tokio::test]
async fn a_client_is_held_to_its_method() {
    let kit = Kit::new().await;
    let form = [
        CLIENT_CREDENTIALS,
        ("client_id", "orders"),
        ("client_secret", SECRET),
    ];
    let endpoint = kit.server.token_endpoint();
    let reply = kit.wire.post(&endpoint, &[], &form).await.unwrap();
    let (status, error, description) = reply.fault();
    assert_eq!((status, error.as_str()), (400, "invalid_client"));
    assert!(description.contains("another method"), "{description}");
}

#[tokio::test]
async fn a_client_certificate_proves_the_client_it_is_registered_for() {
    let kit = Kit::new().await;
    let pem = kit.pki.client("orders-service").unwrap();
    let other = kit.pki.client("orders-service").unwrap();
    let client = Client::tls_client_auth("mtls", pem.certificate_pem()).unwrap();
    kit.server.register(client);
    let endpoint = kit.server.token_endpoint();
    let form = [CLIENT_CREDENTIALS, ("client_id", "mtls")];
    let ask = async |identity, form| {
        let wire = Wire::new(&kit.pki, identity);
        wire.post(&endpoint, &[], form).await.unwrap()
    };

    ask(Some(&pem), &form[..]).await.token();
    let request = kit.server.requests().pop().unwrap();
    assert_eq!(request.certificate_thumbprint(), Some(pem.thumbprint()));

    for (identity, form, why) in [
        (Some(&other), &form[..], "not the registered one"),
        (None, &form[..], "no client authentication"),
        (Some(&pem), &form[..1], "client_id is missing"),
    ] {
        let (status, error, description) = ask(identity, form).await.fault();
        assert_eq!((status, error.as_str()), (400, "invalid_client"));
        assert!(description.contains(why), "{description}");
    }
    assert_eq!(kit.server.counters().tls_client_auth, 3);
}

#[tokio::test]
async fn a_certificate_of_a_foreign_authority_ends_the_handshake() {
    let kit = Kit::new().await;
    let foreign = Pki::new().unwrap().client("orders-service").unwrap();
    let wire = Wire::new(&kit.pki, Some(&foreign));
    let endpoint = kit.server.token_endpoint();
    wire.post(&endpoint, &[], &[CLIENT_CREDENTIALS])
        .await
        .unwrap_err();
    assert_eq!(kit.server.counters().token_requests, 0);
}

#[tokio::test]
async fn a_chain_without_its_intermediate_ends_the_handshake() {
    let kit = Kit::new().await;
    let pem = kit.pki.client("orders-service").unwrap();
    let endpoint = kit.server.token_endpoint();
    let leaf_alone = Wire::with_leaf_alone(&kit.pki, &pem);
    leaf_alone.get(&endpoint, &[]).await.unwrap_err();
    let whole = Wire::new(&kit.pki, Some(&pem));
    whole.get(&endpoint, &[]).await.unwrap();
}

#[tokio::test]
async fn a_client_that_trusts_another_authority_refuses_the_server() {
    let kit = Kit::new().await;
    let wire = Wire::new(&Pki::new().unwrap(), None);
    wire.get(kit.server.issuer(), &[]).await.unwrap_err();
}

#[tokio::test]
async fn scopes_are_granted_from_the_clients_list() {
    let kit = Kit::new().await;
    kit.server.register(
        Client::client_secret_basic("orders", SECRET).allow_scopes(["orders.read", "orders.write"]),
    );
    let granted = async |asked| kit.ask_for(&[("scope", asked)]).await.json()["scope"].clone();

    assert_eq!(granted("orders.write").await, "orders.write");
    assert_eq!(granted("").await, "orders.read orders.write");
    let (status, error, _) = kit.ask_for(&[("scope", "orders.read admin")]).await.fault();
    assert_eq!((status, error.as_str()), (400, "invalid_scope"));
}

#[tokio::test]
async fn a_token_is_good_until_its_lifetime_is_over() {
    let kit = Kit::new().await;
    kit.server.set_token_lifetime(Some(Duration::from_secs(60)));
    let reply = kit.ask().await;
    assert_eq!(reply.json()["expires_in"], 60);
    let authorization = format!("Bearer {}", reply.token());

    kit.clock.suspend(Duration::from_secs(50));
    assert_eq!(kit.call(&authorization).await.status, StatusCode::OK);
    kit.clock.suspend(Duration::from_secs(10));
    assert_eq!(
        kit.call(&authorization).await.status,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn a_token_without_lifetime_has_no_expiry() {
    let kit = Kit::new().await;
    kit.server.set_token_lifetime(None);
    let reply = kit.ask().await;
    assert_eq!(reply.json().get("expires_in"), None);
    kit.clock
        .suspend(Duration::from_secs(10 * 365 * 24 * 60 * 60));
    assert!(kit.server.is_active(&reply.token()));
}

#[tokio::test]
async fn a_rollover_revokes_the_tokens_so_far() {
    let kit = Kit::new().await;
    let before = format!("Bearer {}", kit.ask().await.token());
    assert_eq!(kit.call(&before).await.status, StatusCode::OK);

    kit.server.rollover();
    assert_eq!(kit.call(&before).await.status, StatusCode::UNAUTHORIZED);
    let after = format!("Bearer {}", kit.ask().await.token());
    assert_eq!(kit.call(&after).await.status, StatusCode::OK);
}

#[tokio::test]
async fn introspection_tells_live_tokens_from_dead_ones_to_clients_only() {
    let kit = Kit::new().await;
    let token = kit.ask_for(&[("scope", "orders.read")]).await.token();
    let credential = wire::basic("orders", SECRET);
    let ask = async |headers: &[(&str, &str)]| {
        let endpoint = kit.server.introspection_endpoint();
        let reply = kit
            .wire
            .post(&endpoint, headers, &[("token", &token)])
            .await;
        reply.unwrap()
    };
    let headers = [("authorization", credential.as_str())];

    let answer = ask(&headers).await.json();
    assert_eq!(answer["active"], true);
    assert_eq!(answer["client_id"], "orders");
    assert_eq!(answer["scope"], "orders.read");
    assert!(answer["exp"].as_u64().unwrap() >= super::NOW + 3600);
    kit.server.rollover();
    assert_eq!(ask(&headers).await.json(), json!({ "active": false }));
    assert_eq!(ask(&[]).await.fault().1, "invalid_client");
    assert_eq!(kit.server.counters().token_requests, 1);
}

#[tokio::test]
async fn requests_are_recorded_as_they_were_on_the_wire() {
    let kit = Kit::new().await;
    let credential = wire::basic("orders", SECRET);
    let endpoint = kit.server.token_endpoint() + "?tenant=a";
    let headers = [
        ("authorization", &*credential),
        ("accept", "application/json"),
    ];
    let form = [CLIENT_CREDENTIALS, ("scope", "naïve & +50%")];
    kit.wire
        .post(&endpoint, &headers, &form)
        .await
        .unwrap()
        .token();

    let [request] = &kit.server.requests()[..] else {
        panic!("one request");
    };
    assert_eq!(request.method(), Method::POST);
    assert_eq!(request.uri().query(), Some("tenant=a"));
    assert_eq!(request.headers()["authorization"], credential);
    assert_eq!(request.headers()["accept"], "application/json");
    assert_eq!(request.parameter("scope"), Some("naïve & +50%"));
    assert_eq!(request.parameters().len(), 2);
    assert_eq!(request.certificate_thumbprint(), None);
    assert_eq!(request.connection(), 1);
    let counters = kit.server.counters();
    assert_eq!((counters.token_requests, counters.issued), (1, 1));
    assert_eq!(counters.client_secret_basic, 1);
    assert_eq!((counters.rejected, counters.connections), (0, 1));
}

#[tokio::test]
async fn nothing_secret_is_formatted() {
    let kit = Kit::new().await;
    let token = kit.ask().await.token();
    kit.call(&format!("Bearer {token}")).await;
    let pem = kit.pki.client("orders-service").unwrap();
    let client = Client::client_secret_basic("orders", SECRET);

    let all = format!(
        "{:?} {:?} {:?} {:?} {:?} {pem:?} {client:?} {:?}",
        kit.pki,
        kit.server,
        kit.server.requests(),
        kit.resource,
        kit.resource.calls(),
        kit.server.mint("orders", "").unwrap(),
    );
    assert!(all.contains("127.0.0.1"), "{all}");
    assert!(all.contains("authorization"), "{all}");
    assert!(!all.contains(&token));
    assert!(!all.contains(SECRET));
    assert!(!all.contains(&wire::basic("orders", SECRET)[6..]));
    assert!(!all.contains("PRIVATE KEY"));
}

#[tokio::test]
async fn revocation_takes_a_clients_own_tokens_and_any_that_is_unknown() {
    let kit = Kit::new().await;
    let [own, foreign] = ["orders", "others"].map(|it| kit.server.mint(it, "").unwrap());
    let credential = wire::basic("orders", SECRET);
    let revoke = async |credential: Option<&str>, token: &str| {
        let headers: Vec<_> = credential
            .map(|it| ("authorization", it))
            .into_iter()
            .collect();
        let form = [("token", token), ("token_type_hint", "access_token")];
        let endpoint = kit.server.revocation_endpoint();
        let reply = kit.wire.post(&endpoint, &headers, &form).await;
        reply.unwrap()
    };

    let reply = revoke(None, own.expose()).await;
    assert_eq!(reply.fault().1, "invalid_client");
    assert!(kit.server.is_active(own.expose()));
    for _ in 0..2 {
        // The second time it is unknown.
        let reply = revoke(Some(&credential), own.expose()).await;
        assert_eq!((reply.status, reply.text()), (StatusCode::OK, ""));
        assert!(!kit.server.is_active(own.expose()));
    }
    let reply = revoke(Some(&credential), foreign.expose()).await;
    assert_eq!(reply.fault().1, "unauthorized_client");
    assert!(kit.server.is_active(foreign.expose()));
    let reply = revoke(Some(&credential), "").await;
    assert_eq!(reply.fault().1, "invalid_request");
    assert_eq!(kit.server.revocation_requests().len(), 5);
    assert_eq!(kit.server.counters().token_requests, 0);
}

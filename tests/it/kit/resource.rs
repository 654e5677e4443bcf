//! What the resource accepts, refuses and records.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Version};
use http_body::Frame;
use http_body_util::BodyExt;
use tokio::{sync::mpsc, task::JoinSet};
use tower_oauth::testing::{Answer, Client, FakeResource, Refusal};

use super::{Kit, Wire, wire};

/// A body whose frames come from a channel. It breaks off when told to.
struct Frames(mpsc::UnboundedReceiver<Result<Frame<Bytes>, &'static str>>);

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        self.0.poll_recv(cx)
    }
}

fn frames() -> (
    mpsc::UnboundedSender<Result<Frame<Bytes>, &'static str>>,
    Frames,
) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (sender, Frames(receiver))
}

#[tokio::test]
async fn only_one_live_bearer_token_is_accepted() {
    let kit = Kit::new().await;
    let good = kit.minted();
    let token = &good["Bearer ".len()..];
    assert_eq!(kit.call(&good).await.text(), "ok\n");
    assert_eq!(
        kit.call(&format!("bearer {token}")).await.status,
        StatusCode::OK
    );

    let uri = kit.resource.uri("/orders").to_string();
    let other = kit.minted();
    for headers in [
        vec![],
        vec![("authorization", "Bearer unknown")],
        vec![("authorization", "Bearer")],
        vec![("authorization", token)],
        vec![("authorization", &good[..]), ("authorization", &other[..])],
    ] {
        let reply = kit.wire.get(&uri, &headers).await.unwrap();
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{headers:?}");
    }
    let counters = kit.resource.counters();
    assert_eq!(
        (counters.calls, counters.accepted, counters.refused),
        (7, 2, 5)
    );
}

#[tokio::test]
async fn a_resource_that_trusts_nobody_accepts_nothing() {
    let kit = Kit::new().await;
    let lonely = FakeResource::builder(&kit.pki).start().await.unwrap();
    let headers = [("authorization", &*kit.minted())];
    let reply = kit.wire.get(lonely.origin(), &headers).await.unwrap();
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_refusal_has_the_shape_it_is_told() {
    let kit = Kit::new().await;
    kit.resource.refuse_all(true);
    let authorization = kit.minted();
    let custom = Answer::new(StatusCode::IM_A_TEAPOT)
        .header("www-authenticate", "DPoP error=\"use_dpop_nonce\"")
        .header("www-authenticate", "Basic")
        .body("short and stout");
    for (refusal, status, code) in [
        (
            Refusal::InvalidToken401,
            401,
            Some("error=\"invalid_token\""),
        ),
        (Refusal::Bare401, 401, Some("Bearer realm=\"fake\"")),
        (Refusal::Bare401NoHeader, 401, None),
        (
            Refusal::InvalidToken403,
            403,
            Some("error=\"invalid_token\""),
        ),
        (
            Refusal::InsufficientScope403,
            403,
            Some("error=\"insufficient_scope\""),
        ),
        (Refusal::GrpcUnauthenticated, 200, None),
        (Refusal::Custom(custom), 418, Some("use_dpop_nonce")),
    ] {
        let told = format!("{refusal:?}");
        kit.resource.set_refusal(refusal);
        let reply = kit.call(&authorization).await;
        assert_eq!(reply.status.as_u16(), status, "{told}");
        let challenge = reply.headers.get("www-authenticate");
        let challenge = challenge.map(|value| value.to_str().unwrap());
        assert_eq!(challenge.is_some(), code.is_some(), "{told}");
        assert!(
            challenge
                .unwrap_or_default()
                .contains(code.unwrap_or_default()),
            "{told}"
        );
        assert_eq!(reply.header("grpc-status") == "16", status == 200, "{told}");
    }
    kit.resource.refuse_all(false);
    assert_eq!(kit.call(&authorization).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_grpc_refusal_is_a_head_alone() {
    let kit = Kit::new().await;
    kit.resource.set_refusal(Refusal::GrpcUnauthenticated);
    let connector = wire::connector(&kit.pki, None).enable_http2().build();
    let request = Request::get(kit.resource.uri("/")).version(Version::HTTP_2);
    let request = request.body(String::new()).unwrap();
    let response = wire::over(connector).request(request).await.unwrap();
    assert_eq!(response.headers()["grpc-status"], "16");
    assert!(http_body::Body::is_end_stream(response.body()));
}

#[tokio::test]
async fn an_accepted_call_is_answered_as_told() {
    let kit = Kit::new().await;
    let created = Answer::json(StatusCode::CREATED, "{\"id\":1}");
    kit.resource.set_acceptance(created);
    let reply = kit.call(&kit.minted()).await;
    assert_eq!((reply.status.as_u16(), reply.text()), (201, "{\"id\":1}"));
}

#[tokio::test]
async fn a_bound_token_is_good_over_its_own_certificate_only() {
    let kit = Kit::new().await;
    let pem = kit.pki.client("bound").unwrap();
    let other = kit.pki.client("bound").unwrap();
    let client = Client::tls_client_auth("bound", pem.certificate_pem()).unwrap();
    kit.server.register(client.bind_tokens());
    let wire = Wire::new(&kit.pki, Some(&pem));
    let form = [("grant_type", "client_credentials"), ("client_id", "bound")];
    let reply = wire
        .post(&kit.server.token_endpoint(), &[], &form)
        .await
        .unwrap();
    let authorization = format!("Bearer {}", reply.token());
    let headers = [("authorization", authorization.as_str())];

    for (identity, status) in [(Some(&pem), 200), (Some(&other), 401), (None, 401)] {
        let wire = Wire::http2(&kit.pki, identity);
        let reply = wire.get(kit.resource.origin(), &headers).await.unwrap();
        assert_eq!(reply.status.as_u16(), status);
        let call = kit.resource.calls().pop().unwrap();
        assert_eq!(
            call.certificate_thumbprint(),
            identity.map(|pem| pem.thumbprint())
        );
    }
}

#[tokio::test]
async fn a_resource_can_insist_on_a_client_certificate() {
    let kit = Kit::new().await;
    let resource = FakeResource::builder(&kit.pki)
        .trusting(&kit.server)
        .require_client_certificate()
        .start()
        .await
        .unwrap();
    let headers = [("authorization", &*kit.minted())];
    kit.wire.get(resource.origin(), &headers).await.unwrap_err();
    assert_eq!(resource.counters().connections, 0);

    let pem = kit.pki.client("anybody").unwrap();
    let wire = Wire::new(&kit.pki, Some(&pem));
    let reply = wire.get(resource.origin(), &headers).await.unwrap();
    assert_eq!(reply.status, StatusCode::OK);
}

#[tokio::test]
async fn a_call_is_recorded_with_its_body() {
    let kit = Kit::new().await;
    let authorization = kit.minted();
    let body = "0123456789".repeat(50_000);
    for wire in [Wire::new(&kit.pki, None), Wire::http2(&kit.pki, None)] {
        let uri = kit.resource.uri("/orders?page=2").to_string();
        let headers = [("authorization", authorization.as_str())];
        let reply = wire
            .send(Method::PUT, &uri, &headers, body.clone())
            .await
            .unwrap();

        let call = kit.resource.calls().pop().unwrap();
        assert_eq!(call.method(), Method::PUT);
        assert_eq!(call.uri().path_and_query().unwrap(), "/orders?page=2");
        assert_eq!(call.version(), reply.version);
        assert_eq!(call.authorization(), Some(authorization.as_str()));
        assert_eq!(call.accepted(), Some(true));
        let received = call.body().unwrap();
        assert_eq!(received.length(), 500_000);
        assert!(received.is(body.as_bytes()));
        assert!(!received.is(&body.as_bytes()[1..]));
        assert!(received.is_complete());
        assert_eq!(received.trailers(), None);
    }
    let calls = kit.resource.calls();
    assert_eq!(calls[0].version(), Version::HTTP_11);
    assert_eq!(calls[1].version(), Version::HTTP_2);
    assert_ne!(calls[0].connection(), calls[1].connection());
}

#[tokio::test]
async fn trailers_are_recorded_and_a_broken_body_is_not_taken_for_a_whole_one() {
    let kit = Kit::new().await;
    let connector = wire::connector(&kit.pki, None).enable_http2().build();
    let client = wire::over::<Frames>(connector);
    let post = |body| {
        let request = Request::post(kit.resource.uri("/")).version(Version::HTTP_2);
        client.request(
            request
                .header("authorization", kit.minted())
                .body(body)
                .unwrap(),
        )
    };

    let (sender, body) = frames();
    let trailers = HeaderMap::from_iter([("x-sum".parse().unwrap(), HeaderValue::from(42))]);
    sender.send(Ok(Frame::data("half".into()))).unwrap();
    sender.send(Ok(Frame::trailers(trailers.clone()))).unwrap();
    drop(sender);
    assert_eq!(post(body).await.unwrap().status(), StatusCode::OK);
    let calls = kit.resource.calls();
    assert_eq!(calls[0].body().unwrap().trailers(), Some(&trailers));
    assert!(calls[0].body().unwrap().is(b"half"));

    let (sender, body) = frames();
    sender.send(Ok(Frame::data("half".into()))).unwrap();
    sender.send(Err("broken off")).unwrap();
    post(body).await.unwrap_err();
    // The next answer on the connection says that the server has seen the end of that stream.
    let (sender, body) = frames();
    drop(sender);
    post(body).await.unwrap();
    let broken = kit.resource.calls()[1].clone();
    assert!(
        broken
            .body()
            .is_none_or(|body| !body.is_complete() && !body.is(b"half"))
    );
}

#[tokio::test]
async fn an_early_refusal_does_not_wait_for_the_body() {
    let kit = Kit::new().await;
    kit.resource.refuse_early(true);
    kit.resource.refuse_all(true);
    let client = wire::over::<Frames>(wire::connector(&kit.pki, None).enable_http1().build());
    let (sender, body) = frames();
    sender
        .send(Ok(Frame::data("the first half".into())))
        .unwrap();
    let request = Request::post(kit.resource.uri("/")).body(body).unwrap();
    let response = client.request(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert!(kit.resource.calls()[0].body().is_none());

    kit.resource.refuse_all(false);
    assert_eq!(kit.call(&kit.minted()).await.status, StatusCode::OK);
    assert!(kit.resource.calls()[1].body().is_some());
}

#[tokio::test]
async fn a_refusals_body_can_be_slow() {
    let kit = Kit::new().await;
    let text = Answer::new(StatusCode::UNAUTHORIZED).body("first half|second half");
    kit.resource.set_refusal(Refusal::Custom(text));
    kit.resource.hold_refusal_bodies();
    for http2 in [false, true] {
        let connector = wire::connector(&kit.pki, None);
        let connector = match http2 {
            true => connector.enable_http2().build(),
            false => connector.enable_http1().build(),
        };
        let client = wire::over::<String>(connector);
        let version = [Version::HTTP_11, Version::HTTP_2][usize::from(http2)];
        let request = Request::get(kit.resource.uri("/")).version(version);
        let response = client
            .request(request.body(String::new()).unwrap())
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        let mut body = response.into_body();
        let half = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(half, "first half|");

        kit.resource.release_refusal_bodies();
        let rest = body.collect().await.unwrap().to_bytes();
        assert_eq!(rest, "second half");
        kit.resource.hold_refusal_bodies();
    }
}

#[tokio::test]
async fn ten_held_calls_are_judged_when_they_are_released() {
    let kit = Arc::new(Kit::new().await);
    let authorization = kit.minted();
    kit.resource.hold();
    let mut calls = JoinSet::new();
    for _ in 0..10 {
        let (kit, authorization) = (Arc::clone(&kit), authorization.clone());
        calls.spawn(async move { kit.call(&authorization).await.status });
    }
    kit.resource.wait_until_held(10).await;
    assert_eq!(kit.resource.counters().calls, 10);
    assert_eq!(kit.resource.counters().accepted, 0);

    kit.server.rollover();
    kit.resource.release();
    let answers = calls.join_all().await;
    assert_eq!(answers, [StatusCode::UNAUTHORIZED; 10]);
    assert_eq!(kit.resource.counters().refused, 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_streams_run_on_one_connection_at_once() {
    let kit = Kit::new().await;
    let wire = Arc::new(Wire::http2(&kit.pki, None));
    let authorization: Arc<str> = kit.minted().into();
    let uri: Arc<str> = kit.resource.uri("/").to_string().into();
    let call = |wire: Arc<Wire>, uri: Arc<str>, authorization: Arc<str>| async move {
        let headers = [("authorization", &*authorization)];
        wire.get(&uri, &headers).await.unwrap().status
    };
    // The first call brings the connection's settings.
    call(
        Arc::clone(&wire),
        Arc::clone(&uri),
        Arc::clone(&authorization),
    )
    .await;

    kit.resource.hold();
    let mut calls = JoinSet::new();
    for _ in 0..2000 {
        calls.spawn(call(
            Arc::clone(&wire),
            Arc::clone(&uri),
            Arc::clone(&authorization),
        ));
    }
    kit.resource.wait_until_held(2000).await;
    assert_eq!(kit.resource.counters().connections, 1);
    kit.resource.release();
    assert!(
        calls
            .join_all()
            .await
            .into_iter()
            .all(|status| status == StatusCode::OK)
    );
    assert_eq!(kit.resource.counters().accepted, 2001);
    assert!(
        kit.resource
            .calls()
            .iter()
            .all(|call| call.version() == Version::HTTP_2)
    );
}

#[tokio::test]
async fn a_crowd_of_dropped_callers_leaves_the_connection_alone() {
    let kit = Kit::new().await;
    let wire = Arc::new(Wire::http2(&kit.pki, None));
    let uri = kit.resource.uri("/").to_string();
    let call = |wire: Arc<Wire>, uri: String| async move { wire.get(&uri, &[]).await };
    call(Arc::clone(&wire), uri.clone()).await.unwrap();

    let mut calls = JoinSet::new();
    for _ in 0..100 {
        calls.spawn(call(Arc::clone(&wire), uri.clone()));
    }
    // Long enough to be sent, too short to be answered.
    for _ in 0..2 {
        tokio::task::yield_now().await;
    }
    calls.shutdown().await;
    call(wire, uri).await.unwrap();
    assert_eq!(kit.resource.counters().connections, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_connections_are_accepted_at_once() {
    let kit = Kit::new().await;
    let kit = Arc::new(kit);
    let authorization: Arc<str> = kit.minted().into();
    kit.resource.hold();
    let mut calls = JoinSet::new();
    for _ in 0..500 {
        let (kit, authorization) = (Arc::clone(&kit), Arc::clone(&authorization));
        calls.spawn(async move { kit.call(&authorization).await.status });
    }
    kit.resource.wait_until_held(500).await;
    kit.resource.release();
    assert!(
        calls
            .join_all()
            .await
            .into_iter()
            .all(|status| status == StatusCode::OK)
    );
    assert_eq!(kit.resource.counters().connections, 500);
}

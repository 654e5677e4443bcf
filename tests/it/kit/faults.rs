//! What the authorization server does when a test tells it to misbehave.

use std::time::Duration;

use http::StatusCode;
use tower_oauth::testing::{Answer, Client, Refusal};

use super::{Kit, SECRET, wire};

#[tokio::test]
async fn scripted_answers_come_first_and_in_order() {
    let kit = Kit::new().await;
    let busy = Answer::json(StatusCode::SERVICE_UNAVAILABLE, "{}").header("retry-after", "7");
    kit.server.answer_next(2, busy);
    kit.server
        .answer_next(1, Answer::new(StatusCode::OK).body("<html>"));

    for _ in 0..2 {
        let reply = kit.ask().await;
        assert_eq!(reply.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(reply.header("retry-after"), "7");
    }
    assert_eq!(kit.ask().await.text(), "<html>");
    kit.ask().await.token();
    let counters = kit.server.counters();
    assert_eq!((counters.token_requests, counters.scripted), (4, 3));
    assert_eq!((counters.issued, counters.rejected), (1, 0));
}

#[test]
#[should_panic(expected = "the value of a header field")]
fn a_scripted_header_is_one_that_http_allows() {
    let _ = Answer::new(StatusCode::OK).header("x-bad", "a\r\nb");
}

#[tokio::test(start_paused = true)]
async fn an_answer_takes_as_long_as_it_is_told() {
    let kit = Kit::new().await;
    kit.server.set_latency(Duration::from_secs(3600));
    let mut ask = std::pin::pin!(kit.ask());
    tokio::select! {
        biased;
        _ = &mut ask => panic!("an hour has not passed"),
        () = tokio::time::sleep(Duration::from_secs(3599)) => {}
    }
    ask.await.token();
}

#[tokio::test]
async fn held_requests_wait_for_their_release() {
    let kit = Kit::new().await;
    kit.server.hold();
    let asking = async {
        let (a, b, c) = tokio::join!(kit.ask(), kit.ask(), kit.ask());
        [a, b, c].map(|reply| reply.token())
    };
    let releasing = async {
        kit.server.wait_until_held(3).await;
        assert_eq!(kit.server.counters().token_requests, 3);
        assert_eq!(kit.server.counters().issued, 0);
        // Nobody slips through, and nobody is left behind when it shuts again at once.
        kit.server.release();
        kit.server.hold();
    };
    tokio::join!(asking, releasing);
    assert_eq!(kit.server.counters().issued, 3);

    // Nobody is held now.
    tokio::select! {
        biased;
        () = kit.server.wait_until_held(1) => panic!("a held request was forgotten"),
        () = std::future::ready(()) => {}
    }
    kit.server.release();
    kit.ask().await.token();
}

#[tokio::test]
async fn nothing_is_answered_once_the_server_was_taken_down() {
    let kit = Kit::new().await;
    let endpoint = kit.server.token_endpoint();
    let headers = [("authorization", &*wire::basic("orders", SECRET))];
    let form = [("grant_type", "client_credentials")];
    kit.server.hold();
    let asking = kit.wire.post(&endpoint, &headers, &form);
    let outage = async {
        kit.server.wait_until_held(1).await;
        // The request may go on before the connections are broken.
        kit.server.release();
        kit.server.take_down();
    };
    let (unanswered, ()) = tokio::join!(asking, outage);
    unanswered.unwrap_err();
}

#[tokio::test]
async fn a_server_that_is_down_breaks_connections_and_comes_back() {
    let kit = Kit::new().await;
    let endpoint = kit.server.token_endpoint();
    let headers = [("authorization", &*wire::basic("orders", SECRET))];
    let form = [("grant_type", "client_credentials")];
    let token = kit.ask().await.token();

    kit.server.hold();
    let under_way = kit.wire.post(&endpoint, &headers, &form);
    let outage = async {
        kit.server.wait_until_held(1).await;
        kit.server.take_down();
        kit.server.release();
    };
    let (broken, ()) = tokio::join!(under_way, outage);
    broken.expect_err("the connection broke");
    for _ in 0..3 {
        let refused = kit.wire.post(&endpoint, &headers, &form).await;
        refused.expect_err("the server is down");
    }
    assert_eq!(kit.server.counters().issued, 1);

    // A second outage that is over before anybody looked.
    kit.server.bring_up();
    kit.server.take_down();
    kit.server.bring_up();
    kit.ask().await.token();
    assert!(kit.server.is_active(&token), "the outage revoked nothing");
}

/// All the places of a reply that end up in logs.
fn places(reply: &wire::Reply) -> [&str; 3] {
    let places = ["www-authenticate", "location"].map(|name| reply.header(name));
    [places[0], places[1], reply.text()]
}

#[tokio::test]
async fn a_hostile_authorization_server_echoes_every_credential() {
    const PLAIN: &str = "0123456789abcdefghijklmnop";
    let kit = Kit::new().await;
    kit.server
        .register(Client::client_secret_basic("plain", PLAIN));
    kit.server.set_hostile(true);
    let endpoint = kit.server.token_endpoint();
    let grant = ("grant_type", "client_credentials");

    for id in ["plain", "unknown"] {
        let credential = wire::basic(id, PLAIN);
        let headers = [("authorization", credential.as_str())];
        let reply = kit.wire.post(&endpoint, &headers, &[grant]).await.unwrap();
        for place in places(&reply) {
            assert!(place.contains(PLAIN), "{place}");
            assert!(place.contains(&credential[6..20]), "{place}");
        }
        assert!(reply.fault().2.contains(PLAIN));
    }
    for name in ["client_secret", "client_assertion"] {
        let reply = kit
            .wire
            .post(&endpoint, &[], &[grant, (name, PLAIN)])
            .await
            .unwrap();
        for place in places(&reply) {
            assert!(place.contains(PLAIN), "{place}");
        }
    }

    kit.server.set_hostile(false);
    let reply = kit
        .wire
        .post(&endpoint, &[], &[grant, ("client_secret", PLAIN)])
        .await
        .unwrap();
    assert!(places(&reply).iter().all(|place| !place.contains(PLAIN)));
}

#[tokio::test]
async fn a_hostile_resource_echoes_the_token_and_keeps_its_verdict() {
    let kit = Kit::new().await;
    kit.resource.set_hostile(true);
    kit.resource.set_refusal(Refusal::InsufficientScope403);
    let authorization = kit.minted();
    let token = &authorization["Bearer ".len()..];

    for refuse in [false, true] {
        kit.resource.refuse_all(refuse);
        let reply = kit.call(&authorization).await;
        for place in places(&reply) {
            assert!(place.contains(token), "{place}");
        }
        let challenge = reply.header("www-authenticate");
        assert_eq!(
            challenge.contains("insufficient_scope"),
            refuse,
            "{challenge}"
        );
    }
}

//! How long things last, and how long they may take.

use std::time::{Duration, UNIX_EPOCH};

use http::StatusCode;
use tokio::sync::mpsc;
use tower_oauth::{
    ErrorKind, ManualClock, TokenHandle, events::Event, refresh::Status, testing::Answer,
};

use super::world::{World, token};

/// How the token of a profile with these lines is doing, after the server gave it with this answer.
async fn status(world: &World, lines: &str, answer: Answer) -> Status {
    let profile = world.load(&(world.with_secret() + lines)).unwrap();
    world.server.answer_next(1, answer);
    let clock = ManualClock::new(UNIX_EPOCH + Duration::from_secs(1_800_000_000));
    let handle = profile.handle_builder().unwrap().clock(clock).build();
    handle.ready().await.unwrap();
    handle.status()
}

fn seconds(range: std::ops::RangeInclusive<u64>, span: Option<Duration>) -> bool {
    range.contains(&span.unwrap().as_secs())
}

// A token lives for an hour; a tenth of that, 5 min at most, is jitter.

pub(crate) async fn margin(world: &World) {
    let usual = status(world, "", token("a")).await;
    assert!(seconds(3000..=3540, usual.refresh_in), "{usual:?}");
    let earlier = status(world, "lifetime.margin = \"15m\"\n", token("a")).await;
    assert!(seconds(2200..=2700, earlier.refresh_in), "{earlier:?}");
}

pub(crate) async fn assumed(world: &World) {
    let endless = || {
        let body = r#"{"access_token":"a","token_type":"Bearer"}"#;
        Answer::json(StatusCode::OK, body)
    };
    let usual = status(world, "", endless()).await;
    assert!(seconds(200..=300, usual.refresh_in), "{usual:?}");
    let later = status(world, "lifetime.assumed = \"20m\"\n", endless()).await;
    assert!(seconds(1000..=1200, later.refresh_in), "{later:?}");
}

pub(crate) async fn max_token_age(world: &World) {
    let capped = status(world, "lifetime.max_token_age = \"10m\"\n", token("a")).await;
    assert!(seconds(500..=600, capped.usable_for), "{capped:?}");
}

pub(crate) async fn deadline(world: &World) {
    world.server.hold();
    let text = world.with_secret() + "limits.deadline = \"20ms\"\n";
    let error = world.fetch(&text).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    world.server.release();
}

pub(crate) async fn fetch_deadline(world: &World) {
    world.server.hold();
    let text = world.with_secret() + "limits.fetch_deadline = \"20ms\"\n";
    let handle: TokenHandle = world.load(&text).unwrap().handle().unwrap();
    let error = handle.ready().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    world.server.release();
}

pub(crate) async fn max_answer(world: &World) {
    world.server.answer_next(1, token("a"));
    let text = world.with_secret() + "limits.max_answer = \"16B\"\n";
    let error = world.fetch(&text).await.err().unwrap();
    assert!(error.to_string().contains("16"), "{error}");
}

pub(crate) async fn poll_interval(world: &World) {
    let with = |interval: &str| {
        world.with_certificate() + &format!("keystore.poll_interval = \"{interval}\"\n")
    };
    let error = world.refusal(&with("999ms"));
    assert_eq!(error.faults()[0].key(), "keystore.poll_interval");
    world.request(&with("1s")).await;
}

pub(crate) async fn expiry_notices(world: &World) {
    let days = |days: u64| Duration::from_secs(days * 24 * 60 * 60);
    let now = now();
    let client = world
        .pki
        .client_valid("late", now - days(100), now + days(40));
    let client = client.unwrap();
    world.write("late.crt", client.certificate_pem());
    world.write("late.key", client.key_pem());
    let text = world.with_certificate();
    let text = text
        .replace("client.crt", "late.crt")
        .replace("client.key", "late.key");
    // 40 days before the end: told by 50 days' notice, and not by the usual 30.
    let text = text + "keystore.expiry_notices = [\"50d\"]\n";
    let profile = world.load(&text).unwrap();
    let (told, mut events) = mpsc::unbounded_channel();
    let handle = profile.handle_builder().unwrap();
    let handle = handle.observer(move |event: &Event<'_>| {
        if let Event::CertificateExpiring { .. } = event {
            let _ = told.send(());
        }
    });
    let handle = handle.build();
    world.server.answer_next(1, token("a"));
    handle.ready().await.unwrap();
    events.recv().await.expect("the handle is there");
}

#[allow(
    clippy::disallowed_methods,
    reason = "certificates are made for the wall clock"
)]
fn now() -> std::time::SystemTime {
    std::time::SystemTime::now()
}

//! An authorization server that keeps one active token per client.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::StatusCode;
use http_body_util::Full;
use tower::{Layer, ServiceExt};
use tower_oauth::{
    events::{AlarmCause, Event},
    refresh::TokenHandle,
    service::{Error, OAuthLayer, Repeat},
};

use super::{Api, By, Version, World, client};

/// What the events of refusals advise.
type Hints = Arc<Mutex<Vec<String>>>;

fn handle(world: &World, hints: &Hints) -> TokenHandle {
    let hints = Arc::clone(hints);
    TokenHandle::builder(world.source(By::Secret).build().unwrap())
        .clock(world.clock.clone())
        .observer(move |event: &Event<'_>| {
            if let Event::Rejected { hint, .. } = event {
                hints.lock().unwrap().push((*hint).to_owned());
            }
        })
        .build()
}

fn api(world: &World, layer: &OAuthLayer) -> Api<Full<Bytes>> {
    layer.layer(client::https(&world.pki, None, Version::Http1))
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_revoke_each_others_tokens_are_told_where_the_refusal_is() {
    let (world, hints) = (World::new().await, Hints::default());
    world.server.keep_one_token_per_client(true);
    let (ours, theirs) = (handle(&world, &hints), handle(&world, &hints));
    let to_us = api(&world, &world.layer(ours.clone()).rejection_as_error());
    let to_them = api(&world, &world.layer(theirs.clone()));

    // Each heals at the price of the other's token.
    for round in 1..=4 {
        for api in [&to_us, &to_them] {
            let response = world.call(api).await.unwrap();
            assert_eq!(response.status(), StatusCode::OK, "round {round}");
            world.clock.advance(Duration::from_secs(5));
        }
    }
    assert_eq!(world.token_requests(), 2 * 4);
    for handle in [&ours, &theirs] {
        assert_eq!(handle.status().alarm, Some(AlarmCause::OneActiveToken));
    }
    assert_eq!(*hints.lock().unwrap(), [""; 0]);

    // One that can't be healed says what to change, the error as well as the event.
    let mut order = world.order();
    order.extensions_mut().insert(Repeat::Never);
    let Err(Error::Rejected(told)) = to_us.oneshot(order).await else {
        panic!("the token was revoked");
    };
    let advice = AlarmCause::OneActiveToken.hint();
    assert!(told.to_string().contains(advice), "{told}");
    assert_eq!(*hints.lock().unwrap(), [told.hint()]);
}

//! Servers that break off in place of an answer, or right behind it: the call is healed or fails
//! with a clear status, and nothing is taken for whole that isn't.

use bytes::Bytes;
use tonic::{Code, Status};

use super::{Digest, Refuse, Scene, fed, message};

const KIB: usize = 1024;

/// A stream of requests that holds at 10 KiB until the server has said no.
async fn import(scene: &Scene) -> Result<Bytes, Status> {
    let before = scene.server.counters().refused;
    let mut api = scene.api();
    let (feed, stream) = fed();
    let call = tokio::spawn(async move { api.import(stream).await });
    let orders = orders();
    feed.send(orders[0].clone()).unwrap();
    scene.server.wait_until(|it| it.refused > before).await;
    // Who failed has dropped its stream.
    let _ = feed.send(orders[1].clone());
    drop(feed);
    call.await.unwrap()
}

fn orders() -> [Bytes; 2] {
    [message(10 * KIB), message(30 * KIB)]
}

#[tokio::test]
async fn a_call_that_is_broken_off_fails_once_and_clearly() {
    for refuse in [
        Refuse::Reset(0),
        Refuse::Reset(10 * KIB),
        Refuse::Cut(0),
        Refuse::Cut(10 * KIB),
    ] {
        let scene = Scene::after_a_rollover(refuse).await;
        let broken = import(&scene).await.unwrap_err();
        assert_ne!(broken.code(), Code::Ok, "{refuse:?}");
        assert!(!broken.message().is_empty(), "{refuse:?} {broken:?}");
        // Nobody said that it was the token.
        assert_eq!(scene.counted(), (1, 0, 1), "{refuse:?}");

        scene.server.refuse(Refuse::After(10 * KIB));
        let answer = import(&scene).await.unwrap();
        let digest = Digest::of(&orders());
        assert_eq!(answer, digest.to_string(), "{refuse:?}");
        assert_eq!(scene.server.whole(), [digest], "{refuse:?}");
        assert_eq!(scene.counted(), (2, 1, 2), "{refuse:?}");
    }
}

#[tokio::test]
async fn a_refusal_with_goaway_is_healed_or_fails_clearly() {
    for _ in 0..20 {
        let scene = Scene::after_a_rollover(Refuse::GoAway).await;
        let digest = Digest::of(&orders());
        match import(&scene).await {
            Ok(answer) => assert_eq!(answer, digest.to_string()),
            // The connection went away under the second send.
            Err(status) => {
                assert!(!status.message().is_empty(), "{status:?}");
                assert_eq!(scene.server.whole(), []);
                import(&scene).await.unwrap();
            }
        }
        assert_eq!(scene.server.whole(), [digest]);
        assert_eq!(scene.world.fetches(), 2);
    }
}

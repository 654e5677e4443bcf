//! Servers that refuse before they have the whole body, and close the connection at once.

use std::io;

use bytes::Bytes;
use http::{Request, StatusCode, Version};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use reqwest::Client;
use tower_oauth::{Error, service::Rejected};

use super::{
    plain::{self, Answer, Plain, refusal},
    stream::stream,
    world::{api, layer},
};
use crate::support::World;

const KIB: usize = 1024;

/// What a server does with a token that it doesn't know.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Refuses {
    BeforeReading,
    AfterTenKib,
    /// And with the answer the connection is over.
    AndCloses,
    /// Without an answer.
    ByCutting,
}

async fn server(world: &World, how: Refuses) -> Plain {
    let world = world.clone();
    Plain::start(move |request: Request<Incoming>| {
        let accepted = world.accepts(&request);
        async move {
            if accepted {
                return echo(request).await;
            }
            let close = request.version() == Version::HTTP_11;
            let mut body = request.into_body();
            let mut read = 0;
            while how != Refuses::BeforeReading && read < 10 * KIB {
                let frame = body.frame().await.expect("there is more").unwrap();
                read += frame.data_ref().map_or(0, Bytes::len);
            }
            match how {
                Refuses::ByCutting => Err(io::ErrorKind::ConnectionReset.into()),
                Refuses::AndCloses if close => {
                    let mut refusal = refusal();
                    let close = "close".parse().unwrap();
                    refusal.headers_mut().insert("connection", close);
                    Ok(refusal)
                }
                _ => Ok(refusal()),
            }
        }
    })
    .await
}

/// Gives back what came, if it came whole.
async fn echo(request: Request<Incoming>) -> io::Result<Answer> {
    let body = request.into_body().collect().await;
    let body = body.map_err(io::Error::other)?;
    let mut answer = plain::answer(StatusCode::OK);
    *answer.body_mut() = body.to_bytes().into();
    Ok(answer)
}

fn client(version: Version) -> Client {
    let client = Client::builder()
        .no_proxy()
        .tls_backend_preconfigured(super::world::backend());
    let client = match version {
        Version::HTTP_2 => client.http2_prior_knowledge(),
        _ => client.http1_only(),
    };
    client.build().unwrap()
}

fn content(length: usize) -> Bytes {
    (0..length).map(|at| (at * 7) as u8).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_healed_or_fails_in_so_many_words_and_never_arrives_in_part() {
    for version in [Version::HTTP_11, Version::HTTP_2] {
        for how in [
            Refuses::BeforeReading,
            Refuses::AfterTenKib,
            Refuses::AndCloses,
            Refuses::ByCutting,
        ] {
            for length in [20 * KIB, 60 * KIB, 4000 * KIB] {
                for streamed in [false, true] {
                    let case = (version, how, length, streamed);
                    call(case).await;
                }
            }
        }
    }
}

async fn call(case: (Version, Refuses, usize, bool)) {
    let (version, how, length, streamed) = case;
    let world = World::new();
    world.latency(std::time::Duration::ZERO);
    let server = server(&world, how).await;
    let handle = world.handle();
    handle.ready().await.unwrap();
    world.rollover();
    let api = api(client(version), layer(handle, &server.origin()));

    let content = content(length);
    let request = api.post(server.url("/orders"));
    let request = if streamed {
        let (feed, body) = stream();
        feed.data(&content);
        request.body(body)
    } else {
        request.body(content.clone())
    };
    match request.send().await {
        Ok(response) if response.status() == StatusCode::OK => {
            assert!(how != Refuses::ByCutting, "{case:?}");
            assert_eq!(response.bytes().await.unwrap(), content, "{case:?}");
        }
        // What was sent by then is more than is kept of a stream.
        Ok(response) => {
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{case:?}");
            assert!(response.extensions().get::<Rejected>().is_some());
            assert!(streamed && length > 64 * KIB, "{case:?}");
        }
        Err(reqwest_middleware::Error::Reqwest(error)) => {
            // A connection that is cut with octets unread takes the answer on it along.
            let cut = how == Refuses::ByCutting || version == Version::HTTP_11;
            assert!(cut && error.is_request(), "{case:?} {error:?}");
        }
        Err(error) => panic!("{case:?} {error:?}"),
    }
    assert!(server.paths().len() <= 2, "{case:?}");
    assert!(world.fetches() <= 2, "{case:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_holds_after_ten_kib_is_healed_even_when_the_connection_is_closed() {
    for version in [Version::HTTP_11, Version::HTTP_2] {
        for how in [
            Refuses::BeforeReading,
            Refuses::AfterTenKib,
            Refuses::AndCloses,
        ] {
            let world = World::new();
            let server = server(&world, how).await;
            let handle = world.handle();
            handle.ready().await.unwrap();
            world.rollover();
            let api = api(client(version), layer(handle.clone(), &server.origin()));
            let content = content(100 * KIB);
            let (feed, body) = stream();
            let mut rest = content.clone();
            feed.data(&rest.split_to(10 * KIB));
            let call = tokio::spawn(api.post(server.url("/orders")).body(body).send());
            while world.fetches() < 2 {
                tokio::task::yield_now().await;
            }
            feed.data(&rest);
            drop(feed);
            let response = call.await.unwrap().unwrap();
            assert_eq!(response.status(), StatusCode::OK, "{version:?} {how:?}");
            assert_eq!(response.bytes().await.unwrap(), content);
            assert_eq!((world.fetches(), server.paths().len()), (2, 2));
        }
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_an_error_of_reqwest() {
    let world = World::new();
    world.latency(std::time::Duration::ZERO);
    let server = Plain::start(|_| async { Ok(refusal()) }).await;
    let origin = server.origin();
    drop(server);
    let api = api(client(Version::HTTP_11), layer(world.handle(), &origin));
    let error = api.get(&origin).send().await.unwrap_err();
    assert!(
        error.is_connect() && Error::find_in(&error).is_none(),
        "{error:?}"
    );
}

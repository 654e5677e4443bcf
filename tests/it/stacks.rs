//! The layer among other layers: each test is a row of the table in the manual.

mod balancing;
mod headers;
mod limits;
mod redirects;

use std::{collections::BTreeSet, time::Duration};

use http::{HeaderValue, Request, Response, StatusCode, header::AUTHORIZATION};
use tokio::time::{sleep, timeout};
use tower::{BoxError, Service, ServiceExt, service_fn};

use crate::support::{Body, World, request};

#[test]
fn the_rows_of_the_manual_are_these_tests() {
    let tests = [
        include_str!("stacks/balancing.rs"),
        include_str!("stacks/headers.rs"),
        include_str!("stacks/limits.rs"),
        include_str!("stacks/redirects.rs"),
    ];
    let tests: Vec<&str> = tests
        .iter()
        .flat_map(|source| source.split("#[tokio::test").skip(1))
        .filter_map(|test| test.split_once("async fn ")?.1.split('(').next())
        .collect();
    let manual = include_str!("../../src/manual/stacks.md");
    let rows: Vec<&str> = manual
        .lines()
        .filter_map(|line| line.strip_suffix("` |")?.rsplit_once("| `"))
        .map(|(_, test)| test)
        .collect();
    assert!(rows.len() > 15, "{rows:?}");
    assert_eq!(
        rows.iter().collect::<BTreeSet<_>>().len(),
        rows.len(),
        "a test twice"
    );
    assert_eq!(
        rows.iter().collect::<BTreeSet<_>>(),
        tests.iter().collect::<BTreeSet<_>>()
    );
}

/// The world's resource, which takes its time.
fn slow(
    world: &World,
    takes: Duration,
) -> impl Service<
    Request<Body>,
    Response = Response<&'static str>,
    Error = BoxError,
    Future: Send + 'static,
> + Clone
+ Send
+ use<> {
    let resource = world.resource();
    service_fn(move |request| {
        let resource = resource.clone();
        async move {
            sleep(takes).await;
            Ok(resource.oneshot(request).await?)
        }
    })
}

/// A request that needs no token, because it has a credential of its own: what the token's
/// troubles keep waiting only if a layer does.
fn own() -> Request<Body> {
    let mut request = request();
    let own = HeaderValue::from_static("Basic own");
    request.headers_mut().insert(AUTHORIZATION, own);
    request
}

/// Whether this call is answered within a second.
async fn goes_through<S, E>(stack: &S, request: Request<Body>) -> bool
where
    S: Service<Request<Body>, Response = Response<&'static str>, Error = E> + Clone,
    E: std::fmt::Debug,
{
    let answer = timeout(Duration::from_secs(1), stack.clone().oneshot(request)).await;
    answer.is_ok_and(|answer| {
        answer.unwrap();
        true
    })
}

/// Makes a call in a task.
fn begin<S>(
    stack: &S,
    request: Request<Body>,
) -> tokio::task::JoinHandle<Result<StatusCode, S::Error>>
where
    S: Service<Request<Body>, Response = Response<&'static str>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
{
    let call = stack.clone().oneshot(request);
    tokio::spawn(async move { Ok(call.await?.status()) })
}

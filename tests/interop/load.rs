//! Calls that go on all the time.

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use tokio::{sync::watch, task::JoinHandle};
use tower::ServiceExt;
use tower_oauth::{
    service::OAuth,
    tls::{HyperClient, RotatingClient},
};

pub(crate) type Body = Empty<Bytes>;
pub(crate) type Api = OAuth<RotatingClient<HyperClient<Body>>>;

/// Callers of which each makes one call after the other, until one fails.
pub(crate) struct Load(Vec<Caller>);

struct Caller {
    /// How many of its calls have ended.
    ended: watch::Receiver<u64>,
    task: JoinHandle<Result<u64, String>>,
}

impl Load {
    /// Starts a caller for each of these requests, which it repeats.
    pub(crate) fn start(api: &Api, requests: impl IntoIterator<Item = Request<Body>>) -> Self {
        let caller = |request| {
            let (count, ended) = watch::channel(0);
            let task = tokio::spawn(repeat(api.clone(), request, count));
            Caller { ended, task }
        };
        Self(requests.into_iter().map(caller).collect())
    }

    /// Waits until each call that has begun by now has ended.
    pub(crate) async fn turn(&mut self) {
        for caller in &mut self.0 {
            let before = *caller.ended.borrow();
            // Why a caller has stopped is told at the end.
            let _ = caller.ended.wait_for(|ended| *ended > before).await;
        }
    }

    /// Ends the load; returns how many calls there were, or what went wrong with the first one.
    pub(crate) async fn end(self) -> Result<u64, String> {
        let tasks: Vec<_> = self.0.into_iter().map(|caller| caller.task).collect();
        let mut calls = 0;
        for task in tasks {
            calls += task.await.map_err(|error| error.to_string())??;
        }
        Ok(calls)
    }
}

/// Calls until nobody waits for the count any more.
async fn repeat(
    api: Api,
    request: Request<Body>,
    count: watch::Sender<u64>,
) -> Result<u64, String> {
    let mut ended = 0;
    while !count.is_closed() {
        let response = api.clone().oneshot(request.clone()).await;
        let response = response.map_err(|error| format!("{error:?}"))?;
        let status = response.status();
        let body = response.into_body().collect().await;
        body.map_err(|error| format!("{error:?}"))?;
        if status != StatusCode::OK {
            return Err(format!("a call was answered {status}"));
        }
        ended += 1;
        count.send_replace(ended);
    }
    Ok(ended)
}

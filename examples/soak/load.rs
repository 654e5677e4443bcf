//! Callers: a call after the other, of all kinds, some of which nobody waits for.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Method, Request, StatusCode, Uri};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Empty, Full};
use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use tower::{Service, ServiceExt};
use tower_oauth::{
    BoxError,
    service::{Error as CallError, Rejected, Repeat},
};

use super::{
    Failure,
    dice::Dice,
    ledger::{Ledger, Sends, Why},
    world::{Stream, Whole, World},
};

/// Callers of each kind at each API.
const CALLERS: usize = 2;

/// How large a piece of a stream is.
const CHUNK: usize = 1024;

pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    callers: JoinSet<()>,
}

impl Load {
    pub(crate) fn start(
        world: &World,
        ledger: &Arc<Ledger>,
        dice: &mut Dice,
    ) -> Result<Self, Failure> {
        let mut load = Self {
            stop: Arc::new(AtomicBool::new(false)),
            callers: JoinSet::new(),
        };
        for api in world.apis.iter().flat_map(|it| [it; CALLERS]) {
            let uri = api.uri("/orders");
            load.caller(
                ledger,
                dice.split(),
                &uri,
                world.client.whole.clone(),
                whole,
            );
            load.caller(
                ledger,
                dice.split(),
                &uri,
                world.client.stream.clone(),
                stream,
            );
        }
        Ok(load)
    }

    fn caller<B, S, R>(
        &mut self,
        ledger: &Arc<Ledger>,
        mut dice: Dice,
        uri: &Uri,
        api: S,
        order: fn(&mut Dice) -> (Request<B>, Sends),
    ) where
        B: Send + 'static,
        S: Service<Request<B>, Response = http::Response<R>, Error = CallError>,
        S: Clone + Send + 'static,
        S::Future: Send,
        R: Body<Error: Into<BoxError>> + Send + 'static,
        R::Data: Send,
    {
        let (ledger, stop, uri) = (Arc::clone(ledger), Arc::clone(&self.stop), uri.clone());
        self.callers.spawn(async move {
            while !stop.load(SeqCst) {
                let (mut request, sends) = order(&mut dice);
                *request.uri_mut() = uri.clone();
                let call = call(api.clone(), request);
                let call = async {
                    let began = ledger.now();
                    let result = call.await;
                    ledger.call_ends(began, &uri, sends, result);
                };
                if dice.once_in(12) {
                    if timeout(dice.millis(0..4), call).await.is_err() {
                        ledger.caller_dropped();
                    }
                } else {
                    call.await;
                }
                sleep(dice.millis(0..5)).await;
            }
        });
    }

    pub(crate) async fn end(mut self) {
        self.stop.store(true, SeqCst);
        while self.callers.join_next().await.is_some() {}
    }
}

/// A call of each kind to each API.
pub(crate) async fn each_once(world: &World) -> Result<(), Failure> {
    let mut dice = Dice::new(0);
    for api in &world.apis {
        let ((mut a, _), (mut b, _)) = (whole(&mut dice), stream(&mut dice));
        *a.uri_mut() = api.uri("/orders");
        *b.uri_mut() = api.uri("/orders");
        let results = [
            call(world.client.whole.clone(), a).await,
            call(world.client.stream.clone(), b).await,
        ];
        for result in results {
            result.map_err(|why| why.to_string())?;
        }
    }
    Ok(())
}

async fn call<B, S, R>(api: S, request: Request<B>) -> Result<(), Why>
where
    S: Service<Request<B>, Response = http::Response<R>, Error = CallError>,
    R: Body<Error: Into<BoxError>>,
{
    let mut response = api.oneshot(request).await.map_err(|error| match error {
        CallError::Token(error) => Why::NoToken(error),
        CallError::Rejected(rejected) => Why::Rejected(rejected),
        other => Why::Broken(other.into()),
    })?;
    if let Some(rejected) = response.extensions_mut().remove::<Rejected>() {
        return Err(Why::Rejected(Box::new(rejected)));
    }
    match response.status() {
        StatusCode::OK => {}
        status => return Err(Why::Status(status)),
    }
    let body = response.into_body().collect().await;
    body.map_err(|error| Why::Broken(error.into()))?;
    Ok(())
}

fn whole(dice: &mut Dice) -> (Request<Whole>, Sends) {
    let size = *dice.one_of(&[0, 20, 2_000, 100_000]);
    let mut request = Request::new(Full::from(vec![b'.'; size]));
    if size > 0 {
        *request.method_mut() = Method::POST;
    }
    if dice.once_in(10) {
        request.extensions_mut().insert(Repeat::Never);
        return (request, Sends::OnceByWish);
    }
    (request, Sends::Twice)
}

/// Nobody knows how long it is, and not all of them can be sent again.
fn stream(dice: &mut Dice) -> (Request<Stream>, Sends) {
    let chunks = dice.within(0..100) as usize;
    let body = match chunks {
        0 => Empty::new().map_err(|never| match never {}).boxed(),
        _ => Chunks(chunks).boxed(),
    };
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    let mut kept = 64 * 1024;
    if dice.once_in(10) {
        kept = 4_000;
        request.extensions_mut().insert(Repeat::Within(kept));
    }
    if chunks * CHUNK > kept {
        return (request, Sends::Once);
    }
    (request, Sends::Twice)
}

/// So many of them.
struct Chunks(usize);

impl Body for Chunks {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Poll::Ready(self.0.checked_sub(1).map(|left| {
            self.0 = left;
            Ok(Frame::data(Bytes::from_static(&[b'.'; CHUNK])))
        }))
    }
}

//! What the types promise.

use std::{
    cell::Cell,
    convert::Infallible,
    future::Future,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use axum_core::body::Body as AxumBody;
use http::{Request, Response, StatusCode};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_oauth::{
    body::ReplayBody,
    refresh::TokenHandle,
    service::{
        Attach, AttachFuture, AttachLayer, OAuth, OAuthLayer, ResponseFuture, RetryOnUnauthorized,
    },
};

use crate::support::{World, origins, request};

type Streaming = ReplayBody<AxumBody>;

/// A client of streams.
#[derive(Clone)]
struct Client(World);

impl Service<Request<Streaming>> for Client {
    type Response = Response<AxumBody>;
    type Error = Infallible;
    type Future =
        Pin<Box<dyn Future<Output = Result<Response<AxumBody>, Infallible>> + Send + Sync>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Streaming>) -> Self::Future {
        let status = match self.0.accepts(&request) {
            true => StatusCode::OK,
            false => StatusCode::UNAUTHORIZED,
        };
        Box::pin(async move {
            let mut response = Response::new(AxumBody::empty());
            *response.status_mut() = status;
            Ok(response)
        })
    }
}

const fn shared<T: Clone + Send + Sync + 'static>() {}
const fn sync<T: Send + Sync + 'static>() {}

const _: () = {
    shared::<OAuth<Client>>();
    shared::<Attach<Client>>();
    shared::<OAuthLayer>();
    shared::<AttachLayer>();
    shared::<RetryOnUnauthorized>();
    shared::<TokenHandle>();
    sync::<ResponseFuture<Client, Streaming, AxumBody>>();
    sync::<AttachFuture<Client, Streaming>>();
};

#[tokio::test(start_paused = true)]
async fn a_stack_of_streams_fits_a_box_that_can_be_shared() {
    let world = World::new();
    let layer = world.layer();
    layer.handle().ready().await.unwrap();
    world.rollover();
    let api = ServiceBuilder::new()
        .boxed_clone_sync()
        .layer(layer)
        .service(Client(world.clone()));
    let body = ReplayBody::new(AxumBody::from("an order"));
    let response = api.oneshot(request().map(|_| body)).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(world.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_service_need_be_neither_send_nor_static() {
    let world = World::new();
    let calls = Cell::new(0);
    let (calls, unsendable) = (&calls, Rc::new("fine"));
    let service = service_fn(move |request: Request<String>| {
        let (unsendable, fine) = (Rc::clone(&unsendable), calls.get() != 1);
        calls.set(calls.get() + 1);
        assert!(request.headers().contains_key("authorization"));
        async move {
            let mut response = Response::new(Rc::clone(&unsendable));
            if !fine {
                *response.status_mut() = StatusCode::UNAUTHORIZED;
            }
            Ok::<_, Infallible>(response)
        }
    });
    let mut api = world.layer().layer(service.clone());
    for _ in 0..2 {
        let request = request().map(|_| String::from("an order"));
        let response = api.ready().await.unwrap().call(request).await.unwrap();
        assert_eq!(**response.body(), "fine");
    }
    assert_eq!(calls.get(), 3);
    let mut attach = AttachLayer::new(world.handle(), origins()).layer(service);
    let request = request().map(|_| String::from("an order"));
    attach.ready().await.unwrap().call(request).await.unwrap();
}

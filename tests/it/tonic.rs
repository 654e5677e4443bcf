//! Generated clients over a tonic channel, with the layer between: what is claimed is counted at
//! the server, whose every frame is the test's.

mod breaks;
mod client;
mod crowd;
mod deadlines;
mod example;
mod healed;
mod secure;
mod server;
mod statuses;

use bytes::Bytes;
use tokio::sync::mpsc;
use tonic::{
    codegen::tokio_stream::{Stream, wrappers::UnboundedReceiverStream},
    transport::{Channel, Endpoint},
};
use tower::ServiceBuilder;
use tower_oauth::{
    OAuth, OAuthLayer,
    adapter::tonic::{StatusLayer, WithStatus},
    refresh::TokenHandle,
    service::AllowedOrigins,
};

use self::{
    client::Orders,
    server::{Digest, Refuse, Server},
};
use crate::support::World;

type Api = Orders<WithStatus<OAuth<Channel>>>;

/// A gRPC server, and a token that it knows.
struct Scene {
    world: World,
    server: Server,
    handle: TokenHandle,
    channel: Channel,
}

impl Scene {
    async fn new() -> Self {
        let world = World::new();
        world.latency(std::time::Duration::ZERO);
        let server = Server::start(&world).await;
        let handle = world.handle();
        let endpoint = Endpoint::from_shared(server.origin().to_owned()).unwrap();
        Self {
            channel: endpoint.connect_lazy(),
            world,
            server,
            handle,
        }
    }

    /// The token is there, and has just been forgotten.
    async fn after_a_rollover(refuse: Refuse) -> Self {
        let scene = Self::new().await;
        scene.handle.ready().await.unwrap();
        scene.world.rollover();
        scene.server.refuse(refuse);
        scene
    }

    fn layer(&self) -> OAuthLayer {
        OAuthLayer::new(self.handle.clone(), origins(self)).rejection_as_error()
    }

    fn api(&self) -> Api {
        self.api_with(self.layer())
    }

    fn api_with(&self, layer: OAuthLayer) -> Api {
        let service = ServiceBuilder::new()
            .layer(StatusLayer::new())
            .layer(layer)
            .service(self.channel.clone());
        Orders::new(service)
    }

    /// Waits until there is the token with this number.
    async fn renewed(&self, generation: u64) {
        while self.handle.status().generation.map(u64::from) != Some(generation) {
            tokio::task::yield_now().await;
        }
    }

    /// Calls refused, calls accepted, tokens fetched.
    fn counted(&self) -> (usize, usize, usize) {
        let counters = self.server.counters();
        (counters.refused, counters.accepted, self.world.fetches())
    }
}

fn origins(scene: &Scene) -> AllowedOrigins {
    let origin = scene.server.origin();
    let origins = AllowedOrigins::new([origin]).unwrap();
    origins.without_authority(origin).unwrap()
}

fn message(octets: usize) -> Bytes {
    let numbers = (0..octets).map(|at| u8::try_from(at % 251).unwrap());
    numbers.collect::<Vec<_>>().into()
}

/// A stream that is fed by the test until the sender is dropped.
fn fed() -> (
    mpsc::UnboundedSender<Bytes>,
    impl Stream<Item = Bytes> + Send + 'static,
) {
    let (feed, stream) = mpsc::unbounded_channel();
    (feed, UnboundedReceiverStream::new(stream))
}

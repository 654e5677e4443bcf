//! gRPC on embedded servers: a tonic client whose stream of requests outlives its token, and what
//! the caller is told when no token can be had.
//!
//! `cargo run --example tonic_client` prints what happens, and fails if that is not as told.

use std::{
    io::{self, Write},
    sync::Arc,
};

use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tonic::{
    Code, Request, Response, Status, Streaming,
    codegen::tokio_stream::{
        iter,
        wrappers::{TcpListenerStream, UnboundedReceiverStream},
    },
    transport::{Channel, Endpoint, Server},
};
use tower::ServiceBuilder;
use tower_oauth::{
    BoxError, Error, OAuth, OAuthLayer,
    adapter::tonic::{StatusLayer, WithStatus},
    client_auth::PrivateKeyJwt,
    grant::ClientCredentials,
    jose::LocalSigner,
    refresh::TokenHandle,
    service::AllowedOrigins,
    testing::{Client, ClientPem, FakeAuthorizationServer, Pki},
    tls::TrustAnchors,
};

use self::generated::{Orders, OrdersClient, OrdersServer};

/// What a generated client calls through.
type Service = WithStatus<OAuth<Channel>>;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    run(&mut io::stdout()).await
}

pub(crate) async fn run(out: &mut impl Write) -> Result<(), BoxError> {
    let story = Story::begin().await?;

    let mut client = story.client()?;
    let receipt = client
        .import(Request::new(iter(texts(["tea", "milk"]))))
        .await?;
    writeln!(out, "the first call gets a token: {}", receipt.get_ref())?;
    story.expect(1, 0)?;

    story.tokens.rollover();
    let (orders, stream) = mpsc::unbounded_channel();
    let stream = UnboundedReceiverStream::new(stream);
    let call = tokio::spawn(async move { client.import(Request::new(stream)).await });
    orders.send("bread".to_owned())?;
    story.refused.subscribe().wait_for(|it| *it == 1).await?;
    orders.send("jam".to_owned())?;
    drop(orders);
    let receipt = call.await??;
    writeln!(
        out,
        "a stream is refused while it is sent, and sent again: {}",
        receipt.get_ref()
    )?;
    story.expect(2, 1)?;

    story.tokens.take_down();
    let mut another = story.client()?;
    let Err(status) = another.import(Request::new(iter(texts(["tea"])))).await else {
        return Err("a call without a token was accepted".into());
    };
    writeln!(
        out,
        "no token can be had: {:?}, {}",
        status.code(),
        status.message()
    )?;
    match Error::find_in(&status) {
        Some(Error::Token(error)) if status.code() == Code::Unavailable => {
            writeln!(out, "as told, by an error of kind {}", error.kind())?;
        }
        _ => return Err(status.into()),
    }
    story.expect(2, 1)
}

fn texts<const N: usize>(texts: [&str; N]) -> [String; N] {
    texts.map(str::to_owned)
}

/// The servers, and the client's key.
struct Story {
    pki: Pki,
    keystore: ClientPem,
    tokens: Arc<FakeAuthorizationServer>,
    /// Where the API is.
    origin: String,
    /// How many calls it has refused.
    refused: watch::Sender<u32>,
    api: JoinHandle<Result<(), tonic::transport::Error>>,
}

impl Story {
    async fn begin() -> Result<Self, BoxError> {
        let pki = Pki::new()?;
        let keystore = pki.client("orders")?;
        let registered = Client::private_key_jwt("orders", keystore.public_key_pem())?;
        let server = FakeAuthorizationServer::builder(&pki).client(registered);
        let tokens = Arc::new(server.start().await?);

        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let origin = format!("http://{}", listener.local_addr()?);
        let refused = watch::Sender::new(0);
        let orders = OrdersServer(Api {
            tokens: Arc::clone(&tokens),
            refused: refused.clone(),
        });
        let api = Server::builder()
            .add_service(orders)
            .serve_with_incoming(TcpListenerStream::new(listener));
        Ok(Self {
            pki,
            keystore,
            tokens,
            origin,
            refused,
            api: tokio::spawn(api),
        })
    }

    /// A generated client with a token of its own.
    fn client(&self) -> Result<OrdersClient<Service>, BoxError> {
        let signer = LocalSigner::from_identity(&self.keystore.identity()?)?;
        let source = ClientCredentials::builder(self.tokens.token_endpoint())
            .client_id("orders")
            .auth(PrivateKeyJwt::new(signer).issuer(self.tokens.issuer()))
            .trust(TrustAnchors::from_pem(self.pki.ca_pem().as_bytes())?)
            .build()?;
        let origin = self.origin.as_str();
        let origins = AllowedOrigins::new([origin])?.without_authority(origin)?;
        let service = ServiceBuilder::new()
            .layer(StatusLayer::new())
            .layer(OAuthLayer::new(TokenHandle::new(source), origins).rejection_as_error())
            .service(Endpoint::from_shared(self.origin.clone())?.connect_lazy());
        Ok(OrdersClient::new(service))
    }

    /// What the servers must have counted.
    fn expect(&self, token_requests: u64, refused: u32) -> Result<(), BoxError> {
        let counted = (
            self.tokens.counters().token_requests,
            *self.refused.borrow(),
        );
        if counted == (token_requests, refused) {
            return Ok(());
        }
        Err(format!(
            "{token_requests} token requests and {refused} refusals should have been counted, not {counted:?}"
        )
        .into())
    }
}

impl Drop for Story {
    fn drop(&mut self) {
        self.api.abort();
    }
}

/// The API: takes the tokens that the authorization server remembers.
#[derive(Clone)]
struct Api {
    tokens: Arc<FakeAuthorizationServer>,
    refused: watch::Sender<u32>,
}

impl Orders for Api {
    async fn import(
        &self,
        request: Request<Streaming<String>>,
    ) -> Result<Response<String>, Status> {
        let token = request
            .metadata()
            .get("authorization")
            .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        if !token.is_some_and(|token| self.tokens.is_active(token)) {
            self.refused.send_modify(|refused| *refused += 1);
            return Err(Status::unauthenticated("who are you?"));
        }
        let mut orders = request.into_inner();
        let mut receipt = Vec::new();
        while let Some(order) = orders.message().await? {
            receipt.push(order);
        }
        Ok(Response::new(receipt.join(", ")))
    }
}

/// What tonic's code generator makes of
///
/// ```proto
/// service Orders {
///   rpc Import (stream Order) returns (Receipt);
/// }
/// ```
///
/// with texts in place of messages.
mod generated {
    use std::{convert::Infallible, sync::Arc};

    use bytes::{Buf, BufMut};
    use http::uri::PathAndQuery;
    use tonic::{
        Request, Response, Status, Streaming,
        body::Body,
        client::GrpcService,
        codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
        codegen::{
            Body as HttpBody, BoxFuture, Bytes, Context, Poll, Service, StdError,
            tokio_stream::Stream,
        },
        server::{ClientStreamingService, NamedService},
    };

    #[derive(Clone)]
    pub(super) struct OrdersClient<T>(tonic::client::Grpc<T>);

    impl<T> OrdersClient<T>
    where
        T: GrpcService<Body>,
        T::ResponseBody: HttpBody<Data = Bytes> + Send + 'static,
        <T::ResponseBody as HttpBody>::Error: Into<StdError> + Send,
    {
        pub(super) fn new(inner: T) -> Self {
            Self(tonic::client::Grpc::new(inner))
        }

        pub(super) async fn import(
            &mut self,
            request: Request<impl Stream<Item = String> + Send + 'static>,
        ) -> Result<Response<String>, Status> {
            let ready = self.0.ready().await;
            ready.map_err(|error| Status::from_error(error.into()))?;
            let path = PathAndQuery::from_static("/Orders/Import");
            self.0.client_streaming(request, path, Texts).await
        }
    }

    pub(super) trait Orders: Clone + Send + Sync + 'static {
        fn import(
            &self,
            request: Request<Streaming<String>>,
        ) -> impl Future<Output = Result<Response<String>, Status>> + Send;
    }

    #[derive(Clone)]
    pub(super) struct OrdersServer<T>(pub(super) T);

    impl<T> NamedService for OrdersServer<T> {
        const NAME: &'static str = "Orders";
    }

    impl<T: Orders> Service<http::Request<Body>> for OrdersServer<T> {
        type Response = http::Response<Body>;
        type Error = Infallible;
        type Future = BoxFuture<Self::Response, Infallible>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, request: http::Request<Body>) -> Self::Future {
            let import = Import(Arc::new(self.0.clone()));
            Box::pin(async move {
                let mut grpc = tonic::server::Grpc::new(Texts);
                Ok(grpc.client_streaming(import, request).await)
            })
        }
    }

    struct Import<T>(Arc<T>);

    impl<T: Orders> ClientStreamingService<String> for Import<T> {
        type Response = String;
        type Future = BoxFuture<Response<String>, Status>;

        fn call(&mut self, request: Request<Streaming<String>>) -> Self::Future {
            let orders = Arc::clone(&self.0);
            Box::pin(async move { orders.import(request).await })
        }
    }

    #[derive(Clone, Copy)]
    struct Texts;

    impl Codec for Texts {
        type Encode = String;
        type Decode = String;
        type Encoder = Self;
        type Decoder = Self;

        fn encoder(&mut self) -> Self {
            *self
        }

        fn decoder(&mut self) -> Self {
            *self
        }
    }

    impl Encoder for Texts {
        type Item = String;
        type Error = Status;

        fn encode(&mut self, text: String, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
            buffer.put(text.as_bytes());
            Ok(())
        }
    }

    impl Decoder for Texts {
        type Item = String;
        type Error = Status;

        fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<String>, Status> {
            let octets = buffer.copy_to_bytes(buffer.remaining());
            let text = String::from_utf8(octets.into());
            text.map(Some)
                .map_err(|_| Status::internal("a text that isn't UTF-8"))
        }
    }
}

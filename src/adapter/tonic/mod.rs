//! For tonic 0.14: calls through the layer, and errors as a [`Status`].
//!
//! [`OAuthLayer`] goes around a `Channel`, below a generated client. A refused token, which is
//! `grpc-status: 16` in the headers or a gateway's HTTP 401, is replaced, and the call is sent once
//! more; [`StatusLayer`] makes the caller see what happened when that didn't help:
//!
//! ```
//! # mod generated {
//! #     use tonic::{Request, Response, Status, body::Body, client::GrpcService, codegen::{Body as HttpBody, Bytes, StdError}};
//! #     pub struct Order;
//! #     pub struct OrdersClient<T>(T);
//! #     impl<T> OrdersClient<T>
//! #     where
//! #         T: GrpcService<Body> + Clone,
//! #         T::Error: Into<StdError>,
//! #         T::ResponseBody: HttpBody<Data = Bytes> + Send + 'static,
//! #         <T::ResponseBody as HttpBody>::Error: Into<StdError> + Send,
//! #     {
//! #         pub fn new(inner: T) -> Self { Self(inner) }
//! #         pub async fn place(&mut self, _: Order) -> Result<Response<()>, Status> {
//! #             let uri = http::Uri::from_static("/Orders/Place");
//! #             let mut request = http::Request::new(Body::empty());
//! #             *request.uri_mut() = uri;
//! #             match self.0.call(request).await {
//! #                 Ok(_) => Ok(Response::new(())),
//! #                 Err(error) => Err(Status::from_error(error.into())),
//! #             }
//! #         }
//! #     }
//! # }
//! # use generated::{Order, OrdersClient};
//! use tonic::{Code, transport::Endpoint};
//! use tower::ServiceBuilder;
//! use tower_oauth::{
//!     ErrorKind, OAuthLayer, TokenError, adapter::tonic::StatusLayer, grant::source_fn,
//!     service::AllowedOrigins,
//! };
//!
//! const API: &str = "https://orders.example";
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), tower_oauth::BoxError> {
//! // In earnest, a grant; this one is out of order.
//! let source = source_fn(|_cause| async {
//!     Err(TokenError::new(ErrorKind::Transport, "nobody answers").with_hint("plug it in"))
//! });
//! // The requests of a generated client name no host: it is said here where the channel leads.
//! let origins = AllowedOrigins::new([API])?.without_authority(API)?;
//!
//! let service = ServiceBuilder::new()
//!     .layer(StatusLayer::new())
//!     .layer(OAuthLayer::new(source, origins).rejection_as_error())
//!     .service(Endpoint::from_static(API).connect_lazy());
//! let mut client = OrdersClient::new(service);
//!
//! let status = client.place(Order).await.unwrap_err();
//! assert_eq!(status.code(), Code::Unavailable);
//! assert_eq!(status.message(), "no access token: nobody answers (plug it in)");
//! # Ok(())
//! # }
//! ```
//!
//! Without [`StatusLayer`], tonic makes an `UNKNOWN` of a token that can't be had, or whatever it
//! finds among the causes; without [`rejection_as_error`], a refusal is the server's own status, and
//! nothing in it says why it wasn't healed. The type of the stack is `WithStatus<OAuth<Channel>>`.
//!
//! # Where the channel leads
//!
//! The requests of a client made with `new` name no host, and
//! [`AllowedOrigins::without_authority`] says where they go. Those of one made with `with_origin`
//! name one, and it is checked like any other. Either way the channel goes to its endpoint whatever
//! they name: write the endpoint's address in both places. Plain `http` gets the token on
//! loopback only.
//!
//! # What is sent again
//!
//! All four kinds of call are, as long as the refusal is in the headers, in place of the response:
//! then no message of a response was there yet. Messages that were sent are kept, up to
//! [`replay_limit`], and a stream that is still open goes on behind them, so a bidirectional call
//! heals like a unary one. With more than that sent, the caller gets the refusal, while a new
//! token is fetched for the calls that come next. A call that must never be sent twice has a [`Repeat`]
//! in its extensions: `request.extensions_mut().insert(Repeat::Never)` on the [`tonic::Request`]. A
//! layer with `replay_limit(0)` never sends any twice.
//!
//! A stream of responses that has begun is never repeated. A server that refuses the token in the
//! *trailers* of such a stream, because it expired on the way, isn't heard here either: it would
//! take a second look at each frame of each response, and what it brings comes one call later
//! anyway, because that call is refused in its headers and healed. Where a server answers even
//! new calls so, say it by hand: [`TokenHandle::invalidate`].
//!
//! # Deadlines
//!
//! [`StatusLayer`] holds a call to its `grpc-timeout` from its beginning to the head of the response.
//! Without it, and for the endpoint's own timeout, the channel counts for each send by itself and
//! not while a token is waited for. The server is told the whole time on the second send as well.
//! Dropping a call ends its streams; a fetch that it had started goes on for the others.
//!
//! [`AllowedOrigins::without_authority`]: crate::service::AllowedOrigins::without_authority
//! [`OAuthLayer`]: crate::service::OAuthLayer
//! [`Repeat`]: crate::service::Repeat
//! [`Status`]: tonic::Status
//! [`TokenHandle::invalidate`]: crate::refresh::TokenHandle::invalidate
//! [`rejection_as_error`]: crate::service::OAuthLayer::rejection_as_error
//! [`replay_limit`]: crate::service::OAuthLayer::replay_limit

mod body;
mod layer;
mod retry_info;
mod status;
mod timeout;

pub use self::{
    layer::{StatusFuture, StatusLayer, WithStatus},
    status::status,
};

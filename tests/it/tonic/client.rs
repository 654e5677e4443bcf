//! A client such as tonic's code generator makes them, for messages that are mere octets.

use bytes::{Buf, BufMut, Bytes};
use http::uri::PathAndQuery;
use tonic::{
    IntoRequest, Request, Status,
    body::Body,
    client::{Grpc, GrpcService},
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder, Streaming},
    codegen::{Body as HttpBody, StdError, tokio_stream::Stream},
};

#[derive(Clone, Copy)]
struct Octets;

impl Codec for Octets {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for Octets {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, dst: &mut EncodeBuf<'_>) -> Result<(), Status> {
        dst.put(item);
        Ok(())
    }
}

impl Decoder for Octets {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, src: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(src.copy_to_bytes(src.remaining())))
    }
}

#[derive(Clone)]
pub(crate) struct Orders<T>(Grpc<T>);

impl<T> Orders<T>
where
    T: GrpcService<Body>,
    T::ResponseBody: HttpBody<Data = Bytes> + Send + 'static,
    <T::ResponseBody as HttpBody>::Error: Into<StdError> + Send,
{
    pub(crate) fn new(inner: T) -> Self {
        Self(Grpc::new(inner))
    }

    pub(crate) fn with_origin(inner: T, origin: http::Uri) -> Self {
        Self(Grpc::with_origin(inner, origin))
    }

    /// One message there, one back.
    pub(crate) async fn place(&mut self, message: impl IntoRequest<Bytes>) -> Answer<Bytes> {
        self.ready().await?;
        let path = PathAndQuery::from_static("/Orders/Place");
        let response = self.0.unary(message.into_request(), path, Octets).await?;
        Ok(response.into_inner())
    }

    /// Many messages there, one back.
    pub(crate) async fn import(
        &mut self,
        messages: impl Stream<Item = Bytes> + Send + 'static,
    ) -> Answer<Bytes> {
        self.ready().await?;
        let path = PathAndQuery::from_static("/Orders/Import");
        let request = Request::new(messages);
        let response = self.0.client_streaming(request, path, Octets).await?;
        Ok(response.into_inner())
    }

    /// One message there, many back.
    pub(crate) async fn watch(&mut self, message: Bytes) -> Answer<Streaming<Bytes>> {
        self.ready().await?;
        let path = PathAndQuery::from_static("/Orders/Watch");
        let request = Request::new(message);
        let response = self.0.server_streaming(request, path, Octets).await?;
        Ok(response.into_inner())
    }

    /// Many messages there, and one back for each.
    pub(crate) async fn trade(
        &mut self,
        messages: impl Stream<Item = Bytes> + Send + 'static,
    ) -> Answer<Streaming<Bytes>> {
        self.ready().await?;
        let path = PathAndQuery::from_static("/Orders/Trade");
        let request = Request::new(messages);
        let response = self.0.streaming(request, path, Octets).await?;
        Ok(response.into_inner())
    }

    async fn ready(&mut self) -> Answer<()> {
        let ready = self.0.ready().await;
        ready.map_err(|error| Status::from_error(error.into()))
    }
}

pub(crate) type Answer<T> = Result<T, Status>;

use std::pin::pin;

use bytes::{Buf, BufMut, Bytes};
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use tower::{Service, ServiceExt};
use zeroize::Zeroizing;

use super::{AnswerTooLarge, TokenTransport};
use crate::error::BoxError;

/// A tower service as a transport.
pub(super) struct ServiceTransport<S>(pub(super) S);

impl<S, B> TokenTransport for ServiceTransport<S>
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: Body + Send,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    async fn send(
        &self,
        request: Request<Bytes>,
        max_answer: usize,
    ) -> Result<Response<Bytes>, BoxError> {
        let service = self.0.clone();
        let answer = service.oneshot(request.map(Full::new)).await;
        let (head, body) = answer.map_err(Into::into)?.into_parts();
        let body = read(body, max_answer).await?;
        Ok(Response::from_parts(head, body))
    }
}

/// Reads a body up to a limit, whatever length it claims to have.
async fn read<B>(body: B, limit: usize) -> Result<Bytes, BoxError>
where
    B: Body,
    B::Error: Into<BoxError>,
{
    // A body that tells its length isn't moved while it grows, which would leave a copy of the
    // token behind.
    let expected = usize::try_from(body.size_hint().lower()).unwrap_or(limit);
    let mut answer = Zeroizing::new(Vec::with_capacity(expected.min(limit)));
    let mut body = pin!(body);
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.map_err(Into::into)?.into_data() {
            if data.remaining() > limit - answer.len() {
                return Err(AnswerTooLarge::new(limit).into());
            }
            answer.put(data);
        }
    }
    Ok(Bytes::from_owner(answer))
}

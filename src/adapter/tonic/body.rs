use tonic::body::Body;

use crate::body::{Allowance, BoxedSpare, RetryBody};

impl RetryBody for Body {
    type Spare = BoxedSpare<Self>;

    fn arm(self, allowance: &Allowance) -> (Self, Self::Spare) {
        BoxedSpare::arm(self, allowance, Self::new)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body::{Body as _, Frame};
    use http_body_util::{BodyExt, Full, StreamBody};
    use tonic::{Code, Status, codegen::tokio_stream::once};

    use super::*;
    use crate::body::Spare;

    #[tokio::test]
    async fn a_body_is_sent_again_whole_and_the_first_send_fails() {
        let (mut first, spare) =
            Body::new(Full::new(Bytes::from("an order"))).arm(&Allowance::new(8));
        first.frame().await.unwrap().unwrap();
        assert!(spare.claim());
        let second = spare.take().unwrap();
        assert_eq!(second.size_hint().exact(), Some(8));
        assert_eq!(second.collect().await.unwrap().to_bytes(), "an order");
        assert!(first.frame().await.unwrap().is_err());
    }

    #[tokio::test]
    async fn an_empty_body_stays_one() {
        let (first, spare) = Body::empty().arm(&Allowance::new(8));
        assert!(first.is_end_stream());
        assert!(spare.claim());
        assert!(spare.take().unwrap().is_end_stream());
    }

    #[tokio::test]
    async fn the_status_of_a_failed_body_goes_through() {
        let failing = once(Err::<Frame<Bytes>, _>(Status::out_of_range("no more")));
        let failing = StreamBody::new(failing);
        let (mut first, _spare) = Body::new(failing).arm(&Allowance::new(8));
        let status = first.frame().await.unwrap().unwrap_err();
        assert_eq!(status.code(), Code::OutOfRange);
    }
}

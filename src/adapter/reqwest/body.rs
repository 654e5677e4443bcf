use std::{
    fmt,
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use http_body_util::BodyExt;
use reqwest::Body;

use crate::body::{Allowance, BoxedSpare, RetryBody, Spare};

/// The spare of a [`reqwest::Body`].
///
/// A body in memory is sent again as it is, whatever its length, and without a copy of its octets.
/// A stream is kept while it is sent, up to the limit.
#[derive(Clone)]
pub struct BodySpare(Kept);

#[derive(Clone)]
enum Kept {
    InMemory(Bytes),
    Stream(BoxedSpare<Body>),
}

impl RetryBody for Body {
    type Spare = BodySpare;

    fn arm(self, allowance: &Allowance) -> (Self, Self::Spare) {
        if self.as_bytes().is_some() {
            let octets = octets(self);
            return (octets.clone().into(), BodySpare(Kept::InMemory(octets)));
        }
        let (body, spare) = BoxedSpare::arm(self, allowance, Self::wrap);
        (body, BodySpare(Kept::Stream(spare)))
    }
}

impl Spare<Body> for BodySpare {
    fn claim(&self) -> bool {
        match &self.0 {
            // Each send has a body of its own: nothing need be parked.
            Kept::InMemory(_) => true,
            Kept::Stream(spare) => spare.claim(),
        }
    }

    fn take(&self) -> Option<Body> {
        match &self.0 {
            Kept::InMemory(octets) => Some(octets.clone().into()),
            Kept::Stream(spare) => spare.take(),
        }
    }

    fn release(&self) {
        if let Kept::Stream(spare) = &self.0 {
            spare.release();
        }
    }

    fn is_retryable(&self) -> bool {
        match &self.0 {
            Kept::InMemory(_) => true,
            Kept::Stream(spare) => spare.is_retryable(),
        }
    }

    fn is_crowded_out(&self) -> bool {
        match &self.0 {
            Kept::InMemory(_) => false,
            Kept::Stream(spare) => spare.is_crowded_out(),
        }
    }
}

impl fmt::Debug for BodySpare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodySpare").finish_non_exhaustive()
    }
}

/// The octets of a body in memory. It lends them only as a slice, which would have to be copied;
/// read as a body, it gives away what it holds.
fn octets(body: Body) -> Bytes {
    let mut cx = Context::from_waker(Waker::noop());
    match pin!(body.collect()).poll(&mut cx) {
        Poll::Ready(Ok(whole)) => whole.to_bytes(),
        _ => unreachable!("what is in memory is there at once and can't fail"),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body::Body as _;
    use http_body_util::{Empty, Full};

    use super::*;
    use crate::body::Budget;

    async fn read(body: Body) -> Bytes {
        body.collect().await.unwrap().to_bytes()
    }

    #[tokio::test]
    async fn a_body_in_memory_is_kept_without_a_copy_and_stays_in_memory() {
        let order = Bytes::from(vec![b'o'; 1 << 20]);
        let (first, spare) = Body::from(order.clone()).arm(&Allowance::new(0));
        // Whoever is below can still clone it.
        assert_eq!(first.as_bytes().unwrap().as_ptr(), order.as_ptr());
        assert_eq!(read(first).await, order);
        for _ in 0..2 {
            assert!(spare.is_retryable() && spare.claim());
            let again = spare.take().unwrap();
            assert_eq!(again.as_bytes().unwrap().as_ptr(), order.as_ptr());
            assert_eq!(read(again).await, order);
        }
    }

    #[tokio::test]
    async fn an_empty_body_stays_empty() {
        for body in [
            Body::default(),
            Body::from(""),
            Body::wrap(Empty::<Bytes>::new()),
        ] {
            let (first, spare) = body.arm(&Allowance::new(1));
            assert!(first.is_end_stream());
            assert_eq!(first.size_hint().exact(), Some(0));
            assert!(spare.claim());
            assert!(spare.take().unwrap().is_end_stream());
        }
    }

    #[tokio::test]
    async fn a_stream_within_the_limit_is_sent_again() {
        let (first, spare) = Body::wrap(Full::new(Bytes::from("an order"))).arm(&Allowance::new(8));
        assert_eq!(first.size_hint().exact(), Some(8));
        assert_eq!(read(first).await, "an order");
        assert!(spare.claim());
        assert_eq!(read(spare.take().unwrap()).await, "an order");
    }

    #[tokio::test]
    async fn a_stream_over_the_limit_is_not() {
        let (first, spare) = Body::wrap(Full::new(Bytes::from("an order"))).arm(&Allowance::new(7));
        assert_eq!(read(first).await, "an order");
        assert!(!spare.is_retryable());
        assert!(!spare.claim());
    }

    #[tokio::test]
    async fn nor_is_one_over_the_budget() {
        let budget = Budget::new(7);
        let allowance = Allowance::new(8).out_of(budget.clone());
        let (first, spare) = Body::wrap(Full::new(Bytes::from("an order"))).arm(&allowance);
        assert_eq!(read(first).await, "an order");
        assert!(spare.is_crowded_out() && !spare.claim());

        // What was in memory anyway costs nothing.
        let (first, spare) = Body::from("an order").arm(&allowance);
        assert_eq!(read(first).await, "an order");
        assert!(!spare.is_crowded_out() && spare.claim());
        assert_eq!(budget.used(), 0);
    }
}

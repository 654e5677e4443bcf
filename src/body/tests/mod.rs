use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use bytes::{Buf, Bytes};
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{
    BodyExt, Empty, Full,
    combinators::{BoxBody, UnsyncBoxBody},
};

use super::{Allowance, Budget, ReplayBody, ReplaySpare, RetryBody, Spare};
use crate::error::BoxError;

mod budget;
mod property;

const LIMIT: usize = 64 * 1024;
const ALLOWANCE: Allowance = Allowance::new(LIMIT);

// ===== the body under test is made of these =====

/// A body that gives its frames one by one, as the test lets it.
struct Source(Arc<Mutex<Script>>);

/// The test's end of a `Source`.
struct Gate(Arc<Mutex<Script>>);

struct Script {
    frames: VecDeque<Result<Frame<Bytes>, BoxError>>,
    /// How many frames may be read.
    open: usize,
    polls: usize,
    /// What the frames that were read are counted as.
    given: usize,
    waker: Option<Waker>,
}

fn source(frames: impl IntoIterator<Item = Frame<Bytes>>) -> (Gate, ReplayBody<Source>) {
    scripted(frames.into_iter().map(Ok))
}

fn scripted(
    frames: impl IntoIterator<Item = Result<Frame<Bytes>, BoxError>>,
) -> (Gate, ReplayBody<Source>) {
    let script = Arc::new(Mutex::new(Script {
        frames: frames.into_iter().collect(),
        open: 0,
        polls: 0,
        given: 0,
        waker: None,
    }));
    let gate = Gate(Arc::clone(&script));
    (gate, ReplayBody::new(Source(script)))
}

impl Gate {
    /// Lets `frames` more frames through; the end needs no permit.
    fn open(&self, frames: usize) {
        let mut script = self.0.lock().unwrap();
        script.open = script.open.saturating_add(frames);
        if let Some(waker) = script.waker.take() {
            waker.wake();
        }
    }

    fn polls(&self) -> usize {
        self.0.lock().unwrap().polls
    }
}

impl Body for Source {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut script = self.0.lock().unwrap();
        script.polls += 1;
        if script.open == 0 && !script.frames.is_empty() {
            script.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        script.open = script.open.saturating_sub(1);
        let frame = script.frames.pop_front();
        if let Some(Ok(frame)) = &frame {
            script.given += frame.data_ref().map_or(8, Bytes::len);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.0.lock().unwrap().frames.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let script = self.0.lock().unwrap();
        let frames = script.frames.iter().flatten();
        SizeHint::with_exact(
            frames
                .filter_map(Frame::data_ref)
                .map(|data| data.len() as u64)
                .sum(),
        )
    }
}

/// A handle with a task's waker, polled by hand.
struct Sender<B> {
    body: B,
    wakes: Arc<Wakes>,
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// What one poll of a handle gave.
#[derive(Debug, PartialEq)]
enum Polled {
    Pending,
    Data(Bytes),
    Trailers(HeaderMap),
    Error(String),
    End,
}

impl<B: Body<Data = Bytes, Error = BoxError> + Unpin> Sender<B> {
    fn new(body: B) -> Self {
        Self {
            body,
            wakes: Arc::default(),
        }
    }

    fn poll(&mut self) -> Polled {
        let waker = Waker::from(Arc::clone(&self.wakes));
        let polled = Pin::new(&mut self.body).poll_frame(&mut Context::from_waker(&waker));
        match polled {
            Poll::Pending => Polled::Pending,
            Poll::Ready(None) => Polled::End,
            Poll::Ready(Some(Err(error))) => Polled::Error(error.to_string()),
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => Polled::Data(data),
                Err(frame) => Polled::Trailers(frame.into_trailers().ok().unwrap()),
            },
        }
    }

    /// Polls until the body gives no more frames; gives the data, the trailers and the last poll.
    fn drain(&mut self) -> (Vec<u8>, Option<HeaderMap>, Polled) {
        let mut data = Vec::new();
        let mut trailers = None;
        loop {
            match self.poll() {
                Polled::Data(frame) => data.extend_from_slice(&frame),
                Polled::Trailers(frame) => trailers = Some(frame),
                last => return (data, trailers, last),
            }
        }
    }

    fn wakes(&self) -> usize {
        self.wakes.0.load(Ordering::Relaxed)
    }

    fn exact(&self) -> Option<u64> {
        self.body.size_hint().exact()
    }
}

fn data(data: &'static str) -> Frame<Bytes> {
    Frame::data(Bytes::from_static(data.as_bytes()))
}

fn trailers() -> HeaderMap {
    HeaderMap::from_iter([("digest".parse().unwrap(), HeaderValue::from_static("42"))])
}

fn arm(
    body: ReplayBody<Source>,
    limit: usize,
) -> (Sender<ReplayBody<Source>>, ReplaySpare<Source>) {
    let (body, spare) = body.arm(&Allowance::new(limit));
    (Sender::new(body), spare)
}

fn second(spare: &impl Spare<ReplayBody<Source>>) -> Sender<ReplayBody<Source>> {
    assert!(spare.claim());
    Sender::new(spare.take().unwrap())
}

fn ended(body: &str) -> (Vec<u8>, Option<HeaderMap>, Polled) {
    (body.into(), None, Polled::End)
}

fn is_taken(polled: Polled) -> bool {
    polled == Polled::Error("the body was taken for a second send".into())
}

// ===== claim, take, release =====

#[test]
fn a_claim_parks_the_first_send_and_nothing_more_is_read() {
    let (gate, body) = source([data("one"), data("two")]);
    let (mut first, spare) = arm(body, LIMIT);
    gate.open(2);
    assert_eq!(first.poll(), Polled::Data("one".into()));

    assert!(spare.claim());
    let polls = gate.polls();
    assert_eq!(first.poll(), Polled::Pending);
    assert_eq!(first.poll(), Polled::Pending);
    assert_eq!(gate.polls(), polls);
}

#[test]
fn a_taken_body_fails_and_never_ends() {
    let (gate, body) = source([data("one"), data("two")]);
    let (mut first, spare) = arm(body, LIMIT);
    gate.open(2);
    first.poll();
    let mut second = second(&spare);
    for _ in 0..3 {
        assert!(is_taken(first.poll()));
        assert!(!first.body.is_end_stream());
    }
    assert_eq!(second.drain(), ended("onetwo"));
    assert!(is_taken(first.poll()));
    assert!(!first.body.is_end_stream());
}

#[test]
fn a_claim_given_back_wakes_the_first_send_which_goes_on_to_the_end() {
    let (gate, body) = source([data("one"), data("two")]);
    let (mut first, spare) = arm(body, LIMIT);
    gate.open(2);
    first.poll();
    assert!(spare.claim());
    assert_eq!(first.poll(), Polled::Pending);

    spare.release();
    assert_eq!(first.wakes(), 1);
    assert_eq!(first.drain(), ended("two"));
}

#[test]
fn a_take_wakes_the_parked_send_to_its_error() {
    let (_gate, body) = source([data("one")]);
    let (mut first, spare) = arm(body, LIMIT);
    assert!(spare.claim());
    assert_eq!(first.poll(), Polled::Pending);
    assert!(spare.take().is_some());
    assert_eq!(first.wakes(), 1);
    assert!(is_taken(first.poll()));
}

#[test]
fn a_take_wakes_a_send_that_waits_for_the_stream() {
    let (gate, body) = source([data("one")]);
    let (mut first, spare) = arm(body, LIMIT);
    assert_eq!(first.poll(), Polled::Pending);
    let mut second = second(&spare);
    assert_eq!(first.wakes(), 1);
    assert!(is_taken(first.poll()));

    assert_eq!(second.poll(), Polled::Pending);
    gate.open(1);
    assert_eq!((first.wakes(), second.wakes()), (1, 1));
    assert_eq!(second.drain(), ended("one"));
}

/// As of a task whose last handle is the waker, and that ends with it.
struct Owning(#[allow(dead_code, reason = "it is dropped")] ReplaySpare<Source>);

impl Wake for Owning {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn a_waker_that_owns_the_spare_may_go_when_another_comes() {
    let (_gate, body) = source([data("one")]);
    let (mut first, spare) = arm(body, LIMIT);
    let waker = Waker::from(Arc::new(Owning(spare.clone())));
    let polled = Pin::new(&mut first.body).poll_frame(&mut Context::from_waker(&waker));
    assert!(polled.is_pending());
    drop(waker);
    assert_eq!(first.poll(), Polled::Pending);
    assert!(spare.is_retryable());
}

#[test]
fn a_frame_that_comes_during_a_claim_is_not_lost() {
    let (gate, body) = source([data("one")]);
    let (mut first, spare) = arm(body, LIMIT);
    assert_eq!(first.poll(), Polled::Pending);
    assert!(spare.claim());
    gate.open(1);
    assert_eq!(first.wakes(), 1);
    assert_eq!(first.poll(), Polled::Pending);
    spare.release();
    assert_eq!(first.wakes(), 2);
    assert_eq!(first.drain(), ended("one"));
}

#[test]
fn the_newest_take_owns_the_stream() {
    let (gate, body) = source([data("one"), data("two"), data("three")]);
    let (mut first, spare) = arm(body, LIMIT);
    gate.open(1);
    first.poll();
    let mut second_send = second(&spare);
    gate.open(1);
    assert_eq!(
        second_send.drain(),
        (b"onetwo".to_vec(), None, Polled::Pending)
    );
    let mut third_send = second(&spare);
    gate.open(1);
    assert!(is_taken(first.poll()));
    assert!(is_taken(second_send.poll()));
    assert_eq!(third_send.drain(), ended("onetwothree"));
}

#[test]
fn there_is_one_claim_at_a_time_and_one_take_for_each() {
    let (_gate, body) = source([data("one")]);
    let (_first, spare) = arm(body, LIMIT);
    assert!(spare.take().is_none());
    assert!(spare.claim());
    assert!(!spare.clone().claim());
    assert!(spare.is_retryable());
    assert!(spare.clone().take().is_some());
    assert!(spare.take().is_none());
    spare.release();
    assert!(spare.claim());
}

#[test]
fn a_body_whose_first_send_was_dropped_is_read_on_by_the_second() {
    let (gate, body) = source([data("one"), data("two")]);
    let (mut first, spare) = arm(body, LIMIT);
    gate.open(2);
    first.poll();
    drop(first);
    assert_eq!(second(&spare).drain(), ended("onetwo"));
}

#[test]
fn a_body_that_was_sent_to_its_end_is_sent_again() {
    let (gate, body) = source([data("one"), data("two")]);
    let (mut first, spare) = arm(body, LIMIT);
    gate.open(2);
    assert_eq!(first.drain(), ended("onetwo"));
    assert_eq!(first.poll(), Polled::End);
    let mut second = second(&spare);
    assert_eq!(second.drain(), ended("onetwo"));
    assert_eq!(second.poll(), Polled::End);
}

#[test]
fn a_body_that_failed_is_not_sent_again() {
    let (gate, body) = scripted([Ok(data("one")), Err("disk on fire".into()), Ok(data("two"))]);
    let (mut first, spare) = arm(body, LIMIT);
    gate.open(3);
    assert!(spare.is_retryable());
    first.poll();
    assert_eq!(first.poll(), Polled::Error("disk on fire".into()));
    assert!(!spare.is_retryable());
    assert!(!spare.claim());
    assert!(matches!(first.poll(), Polled::Error(_)));
    assert!(!first.body.is_end_stream());
}

#[test]
fn a_body_that_panicked_is_not_sent_again() {
    struct Panics;
    impl Body for Panics {
        type Data = Bytes;
        type Error = BoxError;
        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
            panic!("at the inner body")
        }
    }
    let (body, spare) = ReplayBody::new(Panics).arm(&ALLOWANCE);
    let mut first = Sender::new(body);
    catch_unwind(AssertUnwindSafe(|| first.poll())).unwrap_err();
    assert!(!spare.claim());
    assert!(matches!(first.poll(), Polled::Error(_)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn sends_on_several_threads_are_whole_or_broken_and_never_hang() {
    for round in 0..300 {
        let frames = 20;
        let (gate, body) = source((0..frames).map(|_| data("data")));
        let whole = "data".repeat(frames);
        let (body, spare) = body.arm(&ALLOWANCE);
        let first = tokio::spawn(body.collect());
        let feed = tokio::spawn(async move {
            for _ in 0..frames {
                gate.open(1);
                tokio::task::yield_now().await;
            }
        });
        for _ in 0..round % 10 {
            tokio::task::yield_now().await;
        }
        assert!(spare.claim());
        let taken = round % 3 > 0;
        if taken {
            let second = spare.take().unwrap().collect().await.unwrap();
            assert_eq!(second.to_bytes(), whole);
        } else {
            spare.release();
        }
        match first.await.unwrap() {
            Ok(first) => assert_eq!(first.to_bytes(), whole),
            Err(error) => assert!(taken, "{error}"),
        }
        feed.await.unwrap();
    }
}

// ===== the limit and the life of the buffer =====

#[test]
fn past_the_limit_a_body_streams_on_and_cannot_be_claimed() {
    let (gate, body) = source([data("one"), data("two"), data("three")]);
    let (mut first, spare) = arm(body, 6);
    gate.open(2);
    first.poll();
    first.poll();
    assert!(spare.is_retryable(), "just within the limit");
    gate.open(1);
    assert_eq!(first.drain(), ended("three"));
    assert!(!spare.is_retryable());
    assert!(!spare.claim());
    assert!(spare.take().is_none());
}

#[test]
fn an_early_claim_succeeds_however_long_the_body_is() {
    let big = Bytes::from(vec![7; 10 * LIMIT]);
    let (gate, body) = source([data("one"), Frame::data(big.clone())]);
    let (mut first, spare) = arm(body, LIMIT);
    gate.open(1);
    first.poll();
    let mut second = second(&spare);
    assert_eq!(second.exact(), Some(3 + big.len() as u64));
    gate.open(1);
    let (sent, _, last) = second.drain();
    assert_eq!((sent.len(), last), (3 + big.len(), Polled::End));
    assert!(!spare.claim());
}

#[test]
fn a_body_with_no_limit_to_keep_is_never_sent_again() {
    let (gate, body) = source([data("one")]);
    let (mut first, spare) = arm(body, 0);
    assert!(!spare.is_retryable());
    assert!(!spare.claim());
    gate.open(1);
    assert_eq!(first.drain(), ended("one"));
}

/// A frame of 1,000 octets and a count of who holds them, the frame included.
fn tracked() -> (Frame<Bytes>, Arc<()>) {
    struct Tracked(Vec<u8>, #[expect(dead_code, reason = "counts")] Arc<()>);
    impl AsRef<[u8]> for Tracked {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }
    let holders = Arc::new(());
    let tracked = Tracked(vec![7; 1000], Arc::clone(&holders));
    (Frame::data(Bytes::from_owner(tracked)), holders)
}

#[test]
fn past_the_limit_the_buffer_is_freed() {
    let (frame, holders) = tracked();
    let (gate, body) = source([frame, data("two")]);
    let (mut first, _spare) = arm(body, 1002);
    gate.open(2);
    drop(first.poll());
    assert_eq!(Arc::strong_count(&holders), 2, "kept");
    first.poll();
    assert_eq!(Arc::strong_count(&holders), 1, "freed");
}

#[test]
fn when_the_last_spare_is_gone_buffering_stops_and_the_buffer_is_freed() {
    let (frame, holders) = tracked();
    let (later_frame, later_holders) = tracked();
    let (gate, body) = source([frame, later_frame, data("two")]);
    let (mut first, spare) = arm(body, LIMIT);
    let clone = spare.clone();
    gate.open(3);
    drop(first.poll());
    drop(spare);
    assert_eq!(Arc::strong_count(&holders), 2, "kept for the clone");
    drop(clone);
    assert_eq!(Arc::strong_count(&holders), 1, "freed");
    drop(first.poll());
    assert_eq!(Arc::strong_count(&later_holders), 1, "never kept");
    assert_eq!(first.drain(), ended("two"));
}

#[test]
fn a_second_send_without_a_spare_frees_each_frame_as_it_is_sent() {
    let (frame, holders) = tracked();
    let (later_frame, later_holders) = tracked();
    let (gate, body) = source([frame, later_frame]);
    let (mut first, spare) = arm(body, LIMIT);
    gate.open(2);
    drop(first.poll());
    drop(first.poll());
    let mut second = second(&spare);
    drop(spare);
    let holders = |expected: [usize; 2]| {
        let counts = [
            Arc::strong_count(&holders),
            Arc::strong_count(&later_holders),
        ];
        assert_eq!(counts, expected);
    };
    holders([2, 2]);
    assert_eq!(second.exact(), Some(2000));
    drop(second.poll());
    holders([1, 2]);
    assert_eq!(second.exact(), Some(1000));
    drop(second.poll());
    holders([1, 1]);
    assert_eq!(second.poll(), Polled::End);
}

#[test]
fn a_dropped_spare_gives_its_claim_back() {
    let (gate, body) = source([data("one"), data("two")]);
    let (mut first, spare) = arm(body, LIMIT);
    gate.open(2);
    first.poll();
    assert!(spare.claim());
    assert_eq!(first.poll(), Polled::Pending);
    drop(spare);
    assert_eq!(first.wakes(), 1);
    assert_eq!(first.drain(), ended("two"));
}

#[test]
fn an_unarmed_body_passes_through_and_keeps_nothing() {
    let (frame, holders) = tracked();
    let (gate, body) = source([frame, data("two"), Frame::trailers(trailers())]);
    let mut only = Sender::new(body);
    assert_eq!(only.poll(), Polled::Pending);
    gate.open(3);
    drop(only.poll());
    assert_eq!(Arc::strong_count(&holders), 1);
    assert_eq!(
        only.drain(),
        (b"two".to_vec(), Some(trailers()), Polled::End)
    );

    let (gate, body) = source([Frame::trailers(HeaderMap::new())]);
    let mut only = Sender::new(body);
    gate.open(1);
    assert_eq!(only.poll(), Polled::Trailers(HeaderMap::new()));
    assert_eq!(only.poll(), Polled::End);
}

#[test]
fn a_body_that_lost_a_part_is_not_sent_again_when_armed_anew() {
    type Lose = fn(ReplayBody<Source>) -> ReplayBody<Source>;
    let unarmed: Lose = |body| {
        let mut early = Sender::new(body);
        early.poll();
        early.body
    };
    let spare_gone: Lose = |body| {
        let (mut first, _spare) = arm(body, LIMIT);
        first.poll();
        first.body
    };
    let freed_while_sent_again: Lose = |body| {
        let (mut first, spare) = arm(body, LIMIT);
        first.poll();
        let mut second = second(&spare);
        drop(spare);
        second.poll();
        second.body
    };
    for lose in [unarmed, spare_gone, freed_while_sent_again] {
        for lost in [data("one"), Frame::data(Bytes::from(vec![7; 1000]))] {
            let (frame, holders) = tracked();
            let (gate, body) = source([lost, frame, data("two")]);
            gate.open(3);
            let (mut first, spare) = arm(lose(body), LIMIT);
            assert!(!spare.claim());
            drop(first.poll());
            assert_eq!(Arc::strong_count(&holders), 1, "kept in vain");
            assert!(!spare.claim());
            assert_eq!(first.drain(), ended("two"));
        }
    }
}

#[test]
fn a_body_that_lost_nothing_is_sent_again_when_armed_anew() {
    let (gate, body) = source([data("one"), data("two")]);
    let (mut first, spare) = arm(body, LIMIT);
    gate.open(2);
    first.poll();
    let second_send = second(&spare);
    drop(spare);
    let (mut second_send, spare) = arm(second_send.body, LIMIT);
    assert_eq!(second_send.drain(), ended("onetwo"));
    assert_eq!(second(&spare).drain(), ended("onetwo"));
}

#[test]
fn a_body_armed_twice_is_kept_once_and_claimed_by_either() {
    let (gate, body) = source([data("one"), data("two")]);
    let (body, outer) = body.arm(&ALLOWANCE);
    let (mut first, inner) = arm(body, 3);
    gate.open(2);
    first.poll();
    let mut second_send = second(&inner);
    drop(inner);
    assert_eq!(second_send.drain(), ended("onetwo"));
    assert_eq!(second(&outer).drain(), ended("onetwo"));
    assert!(is_taken(second_send.poll()));
}

#[test]
fn a_spare_keeps_to_its_own_limit() {
    let (gate, body) = source([data("one"), data("two")]);
    let (body, outer) = body.arm(&ALLOWANCE);
    let (mut first, inner) = arm(body, 3);
    gate.open(2);
    first.drain();
    assert!(!inner.is_retryable());
    assert!(!inner.claim());
    assert!(outer.claim());
}

#[test]
fn a_stale_body_armed_anew_has_no_say() {
    let (gate, body) = source([data("one")]);
    let (first, spare) = arm(body, LIMIT);
    let mut second = second(&spare);
    let (_stale, late) = first.body.arm(&ALLOWANCE);
    assert!(!late.claim());
    gate.open(1);
    assert_eq!(second.drain(), ended("one"));
}

#[test]
fn small_frames_are_kept_joined() {
    let octets: Vec<u8> = (0..2000).map(|n| n as u8).collect();
    let frames = octets
        .iter()
        .map(|octet| Frame::data(Bytes::copy_from_slice(&[*octet])));
    let (gate, body) = source(frames);
    let (mut first, spare) = arm(body, 2000);
    gate.open(usize::MAX);
    first.drain();
    let mut second = second(&spare);
    assert_eq!(second.poll(), Polled::Data(octets.into()));
    assert_eq!(second.poll(), Polled::End);
}

// ===== frames of every kind, and what is told of them =====

#[test]
fn trailers_are_sent_again_and_count_towards_the_limit() {
    // "two" and 6 + 2 octets of trailers.
    for (limit, fits) in [(11, true), (10, false)] {
        let (gate, body) = source([data("two"), Frame::trailers(trailers())]);
        let (mut first, spare) = arm(body, limit);
        gate.open(2);
        let whole = (b"two".to_vec(), Some(trailers()), Polled::End);
        assert_eq!(first.drain(), whole);
        assert_eq!(spare.is_retryable(), fits);
        if fits {
            assert_eq!(second(&spare).drain(), whole);
        }
    }
}

#[test]
fn a_body_of_trailers_alone_is_sent_again() {
    let (gate, body) = source([Frame::trailers(trailers())]);
    let (mut first, spare) = arm(body, LIMIT);
    gate.open(1);
    first.drain();
    let mut second = second(&spare);
    assert!(!second.body.is_end_stream());
    assert_eq!(second.exact(), Some(0));
    assert_eq!(second.drain(), (vec![], Some(trailers()), Polled::End));
}

#[test]
fn empty_frames_pass_and_cost_nothing() {
    let (gate, body) = source([data(""), data("one"), data(""), data("")]);
    let (mut first, spare) = arm(body, 3);
    gate.open(4);
    assert_eq!(first.poll(), Polled::Data(Bytes::new()));
    assert_eq!(first.drain(), ended("one"));
    assert_eq!(second(&spare).drain(), ended("one"));
}

#[test]
fn data_in_several_pieces_is_passed_on_whole() {
    type Pieces = bytes::buf::Chain<Bytes, Bytes>;
    let pieces: Pieces = Bytes::from("one").chain(Bytes::from("two"));
    let (body, spare) = ReplayBody::new(Full::new(pieces)).arm(&ALLOWANCE);
    assert_eq!(Sender::new(body).drain(), ended("onetwo"));
    assert!(spare.claim());
    assert_eq!(Sender::new(spare.take().unwrap()).drain(), ended("onetwo"));
}

#[test]
fn size_and_end_are_exact_on_every_handle() {
    let (gate, body) = source([data("one"), data("three"), Frame::trailers(trailers())]);
    let (mut first, spare) = arm(body, LIMIT);
    let told = |sender: &Sender<ReplayBody<Source>>| (sender.exact(), sender.body.is_end_stream());
    gate.open(1);
    assert_eq!(told(&first), (Some(8), false));
    first.poll();
    assert_eq!(told(&first), (Some(5), false));
    assert!(spare.claim());
    assert_eq!(
        told(&first),
        (Some(5), false),
        "as it will be when the claim is given back"
    );

    let mut second_send = Sender::new(spare.take().unwrap());
    assert_eq!(told(&second_send), (Some(8), false));
    second_send.poll();
    assert_eq!(told(&second_send), (Some(5), false));
    gate.open(2);
    second_send.poll();
    assert_eq!(
        told(&second_send),
        (Some(0), false),
        "the trailers are missing"
    );
    second_send.poll();
    assert_eq!(told(&second_send), (Some(0), true));

    let mut third_send = second(&spare);
    assert_eq!(told(&third_send), (Some(8), false));
    third_send.poll();
    third_send.poll();
    assert_eq!(
        told(&third_send),
        (Some(0), false),
        "the trailers are missing"
    );
    third_send.poll();
    assert_eq!(told(&third_send), (Some(0), true));
    assert_eq!(third_send.poll(), Polled::End);
    assert_eq!(told(&third_send), (Some(0), true));
}

#[test]
fn a_taken_body_does_not_look_like_an_empty_one() {
    for frames in [vec![], vec![data("one")]] {
        let (gate, body) = source(frames);
        let (mut first, spare) = arm(body, LIMIT);
        gate.open(1);
        first.drain();
        assert!(first.body.is_end_stream());
        let _second = second(&spare);
        assert!(!first.body.is_end_stream());
        assert_eq!(first.exact(), None);
    }
}

#[test]
fn an_unknown_size_stays_unknown() {
    struct Unsized(Full<Bytes>);
    impl Body for Unsized {
        type Data = Bytes;
        type Error = BoxError;
        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
            Pin::new(&mut self.0).poll_frame(cx).map_err(Into::into)
        }
    }
    let (body, spare) = ReplayBody::new(Unsized(Full::from("one"))).arm(&ALLOWANCE);
    let mut first = Sender::new(body);
    first.poll();
    assert!(spare.claim());
    let mut second = Sender::new(spare.take().unwrap());
    assert_eq!((second.body.size_hint().lower(), second.exact()), (3, None));
    assert!(!second.body.is_end_stream(), "more may come");
    assert_eq!(second.drain(), ended("one"));
    assert!(second.body.is_end_stream());
    assert_eq!(second.exact(), Some(0));
}

// ===== the other bodies =====

async fn sends_twice<B>(body: B, expected: &str)
where
    B: RetryBody,
    B::Error: std::fmt::Debug,
{
    let (first, spare) = body.arm(&ALLOWANCE);
    assert!(spare.is_retryable());
    let spare = spare.clone();
    assert_eq!(first.collect().await.unwrap().to_bytes(), expected);
    for _ in 0..2 {
        assert!(spare.claim());
        spare.release();
        assert!(spare.claim());
        let again = spare.take().unwrap();
        assert_eq!(again.size_hint().exact(), Some(expected.len() as u64));
        assert_eq!(again.collect().await.unwrap().to_bytes(), expected);
    }
}

#[tokio::test]
async fn well_known_bodies_can_be_sent_again() {
    sends_twice(Full::<Bytes>::from("order"), "order").await;
    sends_twice(Full::<&[u8]>::new(b"order"), "order").await;
    sends_twice(Empty::<Bytes>::new(), "").await;
    sends_twice(String::from("order"), "order").await;
    let boxed = || ReplayBody::new(Full::<Bytes>::from("order"));
    sends_twice(boxed(), "order").await;
    sends_twice(BoxBody::new(boxed()), "order").await;
    sends_twice(UnsyncBoxBody::new(boxed()), "order").await;
}

#[test]
fn a_boxed_body_is_parked_and_fails_like_any_other() {
    let (gate, body) = source([data("one"), data("two")]);
    let (body, spare) = UnsyncBoxBody::new(body).arm(&ALLOWANCE);
    let mut first = Sender::new(body);
    gate.open(2);
    first.poll();
    assert!(spare.claim());
    assert_eq!(first.poll(), Polled::Pending);
    let second = spare.take().unwrap();
    assert!(is_taken(first.poll()));
    assert_eq!(Sender::new(second).drain(), ended("onetwo"));
}

#[test]
fn a_body_that_is_not_sync_is_shared_all_the_same() {
    fn is_send_and_sync<T: Send + Sync + Unpin>() {}
    fn is_shared<B: RetryBody<Spare: Send + Sync>>() {}
    type NotSync = UnsyncBoxBody<Bytes, BoxError>;
    is_send_and_sync::<ReplayBody<axum_core::body::Body>>();
    is_send_and_sync::<ReplaySpare<axum_core::body::Body>>();
    is_shared::<ReplayBody<axum_core::body::Body>>();
    is_shared::<ReplayBody<NotSync>>();
    is_shared::<NotSync>();
    is_shared::<Full<Bytes>>();
    is_shared::<String>();
    // A body that can't leave its thread is still a body.
    fn is_body<B: RetryBody>() {}
    is_body::<ReplayBody<http_body_util::combinators::MapErr<Full<Bytes>, LocalMap>>>();
    type LocalMap = Box<dyn FnMut(std::convert::Infallible) -> BoxError>;
}

#[test]
fn no_body_shows_in_debug_output() {
    let secret = "hunter2";
    let (full, full_spare) = Full::<Bytes>::from(secret).arm(&ALLOWANCE);
    let (body, spare) = ReplayBody::new(full).arm(&ALLOWANCE);
    let mut first = Sender::new(body);
    first.poll();
    let (boxed, boxed_spare) = UnsyncBoxBody::new(first.body).arm(&ALLOWANCE);
    let (_, string_spare) = String::from(secret).arm(&ALLOWANCE);
    let shown = format!("{full_spare:?} {spare:?} {boxed:?} {boxed_spare:?} {string_spare:?}");
    assert!(!shown.contains(secret), "{shown}");
}

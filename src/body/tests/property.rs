//! Random bodies, random moments: a second send is whole or refused, a first one whole or broken.

use proptest::{collection::vec, prelude::*};

use super::*;

#[derive(Clone, Debug)]
enum Op {
    /// The stream has one more frame to give.
    Open,
    /// The newest handle is polled.
    Poll,
    /// A handle that may be stale is polled.
    PollAny(usize),
    DropAny(usize),
    Claim,
    Release,
    Take,
    CloneSpare,
    DropSpare,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        6 => Just(Op::Open),
        8 => Just(Op::Poll),
        2 => (0..4_usize).prop_map(Op::PollAny),
        1 => (0..4_usize).prop_map(Op::DropAny),
        3 => Just(Op::Claim),
        1 => Just(Op::Release),
        2 => Just(Op::Take),
        1 => Just(Op::CloneSpare),
        1 => Just(Op::DropSpare),
    ];
    vec(op, 0..60)
}

#[derive(Clone, Debug)]
struct Plan {
    frames: Vec<Vec<u8>>,
    trailers: bool,
    fails: bool,
}

fn plan() -> impl Strategy<Value = Plan> {
    let frame = prop_oneof![vec(any::<u8>(), 0..8), vec(any::<u8>(), 500..600)];
    (vec(frame, 0..8), any::<bool>(), prop::bool::weighted(0.2)).prop_map(
        |(frames, trailers, fails)| Plan {
            frames,
            trailers,
            fails,
        },
    )
}

impl Plan {
    fn script(&self) -> Vec<Result<Frame<Bytes>, BoxError>> {
        let data = self.frames.iter().cloned();
        let mut script: Vec<_> = data.map(|data| Ok(Frame::data(data.into()))).collect();
        script.extend(self.trailers.then(|| Ok(Frame::trailers(trailers()))));
        script.extend(self.fails.then(|| Err("disk on fire".into())));
        script
    }

    /// What the first `read` frames cost in the buffer; `None` when the last of them failed.
    fn cost(&self, read: usize) -> Option<usize> {
        let frames = self.script().into_iter().take(read);
        frames
            .map(|frame| {
                let frame = frame.ok()?;
                Some(frame.data_ref().map_or(8, Bytes::len))
            })
            .sum()
    }
}

/// A handle and what it has given so far.
struct Sent {
    sender: Option<Sender<ReplayBody<Source>>>,
    data: Vec<u8>,
    trailers: Option<HeaderMap>,
    /// Whether it has told its end, and then which.
    last: Option<Polled>,
}

impl Sent {
    fn new(body: ReplayBody<Source>) -> Self {
        Self {
            sender: Some(Sender::new(body)),
            data: Vec::new(),
            trailers: None,
            last: None,
        }
    }

    /// Polls the handle as a transport does; gives whether it went forward.
    fn poll(&mut self) -> bool {
        let Some(sender) = &mut self.sender else {
            return false;
        };
        let polled = sender.poll();
        match polled {
            Polled::Pending => return false,
            Polled::Data(data) => self.data.extend_from_slice(&data),
            Polled::Trailers(trailers) => self.trailers = Some(trailers),
            last => {
                let failed = matches!(self.last, Some(Polled::Error(_)));
                assert!(last != Polled::End || !failed && sender.body.is_end_stream());
                self.last = Some(last);
                return false;
            }
        }
        assert_eq!(self.last, None, "nothing comes after the end or an error");
        true
    }
}

proptest! {
    #[test]
    fn a_second_send_is_whole_or_refused_and_a_first_one_whole_or_broken(
        plan in plan(),
        limit in prop_oneof![Just(0), 1..40_usize, 500..3000_usize],
        ops in ops(),
    ) {
        let whole = plan.frames.concat();
        let (gate, body) = scripted(plan.script());
        let total = plan.script().len();
        let read = || total - gate.0.lock().unwrap().frames.len();
        let (body, spare) = body.arm(&Allowance::new(limit));
        let mut spares = vec![spare];
        let mut sends = vec![Sent::new(body)];
        let mut claimed = false;
        // The spares were all gone, for good.
        let mut gone = false;

        for op in ops {
            match op {
                Op::Open => gate.open(1),
                Op::Poll => {
                    let before = gate.polls();
                    sends.last_mut().unwrap().poll();
                    prop_assert!(!claimed || gate.polls() == before);
                }
                Op::PollAny(n) => {
                    let before = gate.polls();
                    let n = n % sends.len();
                    let newest = n == sends.len() - 1;
                    sends[n].poll();
                    prop_assert!(newest && !claimed || gate.polls() == before);
                }
                Op::DropAny(n) => {
                    let n = n % sends.len();
                    sends[n].sender = None;
                }
                Op::Claim => if let Some(spare) = spares.last() {
                    let fits = limit > 0 && plan.cost(read()).is_some_and(|cost| cost <= limit);
                    prop_assert_eq!(spare.is_retryable(), fits);
                    prop_assert_eq!(spare.claim(), fits && !claimed);
                    claimed |= fits;
                },
                Op::Release => if let Some(spare) = spares.last() {
                    spare.release();
                    claimed = false;
                },
                Op::Take => if let Some(spare) = spares.last() {
                    let body = spare.take();
                    prop_assert_eq!(body.is_some(), claimed);
                    sends.extend(body.map(Sent::new));
                    claimed = false;
                },
                Op::CloneSpare => {
                    let clone = spares.last().cloned();
                    spares.extend(clone);
                }
                Op::DropSpare => {
                    spares.pop();
                    gone |= spares.is_empty();
                    claimed &= !gone;
                }
            }
            let newest = sends.last().unwrap();
            if let (Some(sender), None | Some(Polled::End)) = (&newest.sender, &newest.last) {
                let left = (whole.len() - newest.data.len()) as u64;
                prop_assert_eq!(sender.exact(), Some(left));
                let complete = left == 0
                    && newest.trailers.is_some() == plan.trailers
                    && !plan.fails
                    && read() == total;
                prop_assert_eq!(sender.body.is_end_stream(), complete);
            }
        }

        drop(spares);
        gate.open(total);
        let newest = sends.len() - 1;
        for (n, sent) in sends.iter_mut().enumerate() {
            while sent.poll() {}
            if sent.sender.is_none() {
                prop_assert!(whole.starts_with(&sent.data));
            } else if n == newest && !plan.fails {
                prop_assert_eq!(&sent.last, &Some(Polled::End));
                prop_assert_eq!(&sent.data, &whole);
                prop_assert_eq!(sent.trailers.is_some(), plan.trailers);
            } else {
                prop_assert!(matches!(&sent.last, Some(Polled::Error(_))));
                prop_assert!(whole.starts_with(&sent.data));
            }
        }
    }
}

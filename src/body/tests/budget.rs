//! What the bodies of many requests take up together.

use proptest::{collection::vec, prelude::*};

use super::*;

fn out_of(budget: &Budget) -> Allowance {
    Allowance::new(LIMIT).out_of(budget.clone())
}

/// A body that is armed with this budget and has been read to its end.
fn kept(body: &'static str, budget: &Budget) -> (Sender<ReplayBody<Source>>, ReplaySpare<Source>) {
    let (gate, source) = source([data(body)]);
    let (source, spare) = source.arm(&out_of(budget));
    let mut first = Sender::new(source);
    gate.open(1);
    assert_eq!(first.drain(), ended(body));
    (first, spare)
}

#[test]
fn a_body_that_would_exceed_the_budget_streams_on_and_says_why_it_can_not_be_sent_again() {
    let budget = Budget::new(5);
    let (_one, one) = kept("one", &budget);
    let (_two, two) = kept("two", &budget);
    assert_eq!(budget.used(), 3);
    assert!(one.is_retryable() && !one.is_crowded_out());
    assert!(!two.claim());
    assert!(two.is_crowded_out());
    // The rest is for others.
    let (_third, third) = kept("2", &budget);
    assert!(third.is_retryable());
    assert_eq!(budget.used(), 4);
}

#[test]
fn a_body_over_its_own_limit_is_not_crowded_out() {
    let budget = Budget::new(2);
    let (gate, body) = source([data("two")]);
    let (body, spare) = body.arm(&out_of(&budget).with_octets(2));
    gate.open(1);
    assert_eq!(Sender::new(body).drain(), ended("two"));
    assert!(!spare.is_retryable() && !spare.is_crowded_out());
    assert_eq!(budget.used(), 0);
}

#[test]
fn what_a_body_takes_up_is_free_when_its_spare_is_gone() {
    let budget = Budget::new(LIMIT);
    let (_first, spare) = kept("one", &budget);
    let clone = spare.clone();
    drop(spare);
    assert_eq!(budget.used(), 3);
    drop(clone);
    assert_eq!(budget.used(), 0);
}

#[test]
fn a_second_send_without_a_spare_gives_back_as_it_goes() {
    let budget = Budget::new(LIMIT);
    let long = || Frame::data(Bytes::from(vec![7; 600]));
    let (gate, body) = source([long(), long()]);
    let (body, spare) = body.arm(&out_of(&budget));
    gate.open(2);
    Sender::new(body).drain();
    let mut second = second(&spare);
    drop(spare);
    for left in [1200, 600, 0] {
        assert_eq!(budget.used(), left);
        second.poll();
    }
    assert_eq!(budget.used(), 0);
}

#[test]
fn a_body_that_is_dropped_or_fails_takes_up_nothing() {
    let budget = Budget::new(LIMIT);
    let (gate, body) = scripted([Ok(data("one")), Err("disk on fire".into())]);
    let (body, _spare) = body.arm(&out_of(&budget));
    let mut first = Sender::new(body);
    gate.open(1);
    first.poll();
    assert_eq!(budget.used(), 3);
    gate.open(1);
    first.poll();
    assert_eq!(budget.used(), 0);

    drop(kept("one", &budget));
    assert_eq!(budget.used(), 0);
}

#[test]
fn a_body_armed_twice_is_counted_once() {
    let (outer_budget, inner_budget) = (Budget::new(LIMIT), Budget::new(LIMIT));
    let (gate, body) = source([data("one"), data("two")]);
    let (body, outer) = body.arm(&out_of(&outer_budget));
    let (body, inner) = body.arm(&out_of(&inner_budget));
    gate.open(2);
    Sender::new(body).drain();
    assert_eq!((outer_budget.used(), inner_budget.used()), (6, 0));
    drop(outer);
    assert_eq!(outer_budget.used(), 6);
    drop(inner);
    assert_eq!(outer_budget.used(), 0);
}

#[test]
fn a_body_with_no_allowance_leaves_the_budget_to_the_layer_below() {
    let (outer_budget, inner_budget) = (Budget::new(LIMIT), Budget::new(LIMIT));
    let (gate, body) = source([data("one")]);
    let (body, outer) = body.arm(&out_of(&outer_budget).with_octets(0));
    let (body, inner) = body.arm(&out_of(&inner_budget));
    gate.open(1);
    Sender::new(body).drain();
    assert_eq!((outer_budget.used(), inner_budget.used()), (0, 3));
    assert!(inner.is_retryable() && !outer.is_retryable());
}

#[derive(Clone, Debug)]
enum Op {
    Arm { octets: usize },
    Read { frames: usize },
    Claim,
    Take,
    Release,
    CloneSpare,
    DropSpare,
    DropHandle,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        2 => (0..2000_usize).prop_map(|octets| Op::Arm { octets }),
        8 => (1..4_usize).prop_map(|frames| Op::Read { frames }),
        3 => Just(Op::Claim),
        2 => Just(Op::Take),
        1 => Just(Op::Release),
        1 => Just(Op::CloneSpare),
        2 => Just(Op::DropSpare),
        1 => Just(Op::DropHandle),
    ]
}

/// One of the requests that share a budget.
struct Request {
    gate: Gate,
    handles: Vec<Sender<ReplayBody<Source>>>,
    spares: Vec<ReplaySpare<Source>>,
}

impl Request {
    fn new(frames: &[usize], fails: bool) -> Self {
        let frames = frames
            .iter()
            .map(|octets| Ok(Frame::data(Bytes::from(vec![7; *octets]))));
        let end = match fails {
            true => Err("disk on fire".into()),
            false => Ok(Frame::trailers(trailers())),
        };
        let (gate, body) = scripted(frames.chain([end]));
        Self {
            gate,
            handles: vec![Sender::new(body)],
            spares: Vec::new(),
        }
    }

    fn apply(&mut self, op: &Op, budget: &Budget) {
        let spare = self.spares.last();
        match op {
            Op::Arm { octets } => {
                if let Some(handle) = self.handles.pop() {
                    let allowance = Allowance::new(*octets).out_of(budget.clone());
                    let (body, spare) = handle.body.arm(&allowance);
                    self.handles.push(Sender::new(body));
                    self.spares.push(spare);
                }
            }
            Op::Read { frames } => {
                self.gate.open(*frames);
                if let Some(handle) = self.handles.last_mut() {
                    handle.drain();
                }
            }
            Op::Claim => {
                spare.map(Spare::claim);
            }
            Op::Take => {
                let taken = spare.and_then(Spare::take);
                self.handles.extend(taken.map(Sender::new));
            }
            Op::Release => {
                spare.map(Spare::release);
            }
            Op::CloneSpare => {
                let clone = spare.cloned();
                self.spares.extend(clone);
            }
            Op::DropSpare => {
                self.spares.pop();
            }
            Op::DropHandle => {
                self.handles.pop();
            }
        }
    }

    /// How many octets there are to keep.
    fn whole(&self) -> usize {
        let script = self.gate.0.lock().unwrap();
        script.given
    }

    fn is_retryable(&self) -> bool {
        self.spares.iter().any(Spare::is_retryable)
    }
}

proptest! {
    #[test]
    fn after_whatever_happened_to_the_bodies_the_budget_is_whole_again(
        octets in 0..4000_usize,
        bodies in vec((vec(0..900_usize, 0..6), any::<bool>()), 1..5),
        ops in vec((0..5_usize, op()), 0..120),
    ) {
        let budget = Budget::new(octets);
        let mut requests: Vec<_> = bodies
            .iter()
            .map(|(frames, fails)| Request::new(frames, *fails))
            .collect();
        for (n, op) in &ops {
            let n = n % requests.len();
            requests[n].apply(op, &budget);
            prop_assert!(budget.used() <= octets);
            // What can be sent again is there, and was paid for.
            let needed: usize = requests
                .iter()
                .filter(|it| it.is_retryable())
                .map(Request::whole)
                .sum();
            prop_assert!(budget.used() >= needed);
            if requests.iter().all(|it| it.handles.is_empty() && it.spares.is_empty()) {
                prop_assert_eq!(budget.used(), 0);
            }
        }
        // Without spares only what a second send has yet to play is kept.
        for request in &mut requests {
            request.spares.clear();
            request.gate.open(usize::MAX);
            request.handles.iter_mut().for_each(|it| { it.drain(); });
            if let Some(last) = request.handles.pop() {
                drop(last);
                request.handles.clear();
            }
        }
        prop_assert_eq!(budget.used(), 0);
    }
}

#[test]
fn threads_that_share_a_budget_leave_it_whole() {
    let budget = Budget::new(10);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..500 {
                    let kept = [kept("one", &budget), kept("four", &budget)];
                    assert!(budget.used() <= 10);
                    drop(kept);
                }
            });
        }
    });
    assert_eq!(budget.used(), 0);
}

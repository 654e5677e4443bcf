//! The rules one by one, by their numbers in the comments of the code. `model` has them all at once.

use super::*;

const A: OriginId = OriginId(0);
const B: OriginId = OriginId(1);

/// A block, a clock, and tokens whose bytes are numbers.
struct Table {
    control: Control,
    now: Timestamp,
    print: u64,
}

impl Table {
    fn cold() -> Self {
        Self {
            control: Control::new(),
            now: Timestamp {
                mono: seconds(1_000.0),
                wall: seconds(1_000_000.0),
            },
            print: 0,
        }
    }

    /// With token 1, ten seconds old, renewed at 60 s and usable for 80 s.
    fn warm() -> Self {
        let mut table = Self::cold();
        let (_, start) = table.control.demand(table.now);
        table.lands_new(start);
        table.pass(10.0);
        table
    }

    fn pass(&mut self, span: f64) {
        self.now.mono += seconds(span);
        self.now.wall += seconds(span);
    }

    fn in_(&self, span: f64) -> Duration {
        self.now.mono + seconds(span)
    }

    fn new_bytes(&mut self) -> Landed {
        self.print += 1;
        self.bytes(80.0)
    }

    fn bytes(&self, usable: f64) -> Landed {
        let deadline = |span| self.now.deadline(seconds(span));
        Landed::Token {
            print: self.print,
            schedule: Schedule {
                refresh_at: deadline(usable * 0.75),
                usable_until: deadline(usable),
            },
        }
    }

    fn lands(&mut self, start: Option<Start>, landed: Landed) -> (Outcome, Option<Start>) {
        let no = start.expect("a flight").no;
        let result = self.control.landed(self.now, no, landed);
        result.expect("the flight under way")
    }

    fn lands_new(&mut self, start: Option<Start>) -> Outcome {
        let landed = self.new_bytes();
        self.lands(start, landed).0
    }

    fn demand(&mut self) -> (Demand, Option<Start>) {
        self.control.demand(self.now)
    }

    fn tick(&mut self) -> Option<Cause> {
        self.control.tick(self.now).map(|start| start.cause)
    }

    fn rejected(&mut self, generation: u64, origin: OriginId) -> (Answer, Option<Start>) {
        self.control
            .rejected(self.now, rejection(generation, origin))
    }

    /// A rejection starts a flight, which brings new bytes.
    fn heal(&mut self, origin: OriginId) {
        let current = self.control.generation().0;
        let (_, start) = self.rejected(current, origin);
        self.lands_new(start);
    }

    fn next_tick_in(&self) -> Option<f64> {
        let at = self.control.next_tick()?;
        Some(at.saturating_sub(self.now.mono).as_secs_f64())
    }
}

fn seconds(span: f64) -> Duration {
    Duration::from_secs_f64(span)
}

fn rejection(generation: u64, origin: OriginId) -> Rejection {
    Rejection {
        generation: Generation(generation),
        origin,
        waited: false,
        retryable: true,
    }
}

/// A first failure, after which half a second is waited.
const FAILED: Landed = Landed::Failed {
    fault: Fault::Temporary,
    retry_after: None,
    draw: u8::MAX,
};

/// A first failure that somebody has to mend, after which half a minute is waited.
const WRONG: Landed = Landed::Failed {
    fault: Fault::Permanent,
    retry_after: None,
    draw: u8::MAX,
};

fn busy(seconds: u64) -> Landed {
    Landed::Failed {
        fault: Fault::Temporary,
        retry_after: Some(Duration::from_secs(seconds)),
        draw: u8::MAX,
    }
}

fn cause(start: Option<Start>) -> Option<Cause> {
    start.map(|start| start.cause)
}

fn held(answer: Answer) -> FlightNo {
    let Answer::Hold(no) = answer else {
        panic!("{answer:?}");
    };
    no
}

// ----- calls -----

#[test]
fn t1_a_usable_token_is_used_and_a_due_one_renewed_behind_it() {
    let mut table = Table::warm();
    assert_eq!(table.demand(), (Demand::Use, None));
    table.pass(50.0);
    let (demand, start) = table.demand();
    assert_eq!(
        (demand, cause(start)),
        (Demand::Use, Some(Cause::Scheduled))
    );
    assert_eq!(table.demand(), (Demand::Use, None));
}

#[test]
fn t2_a_closed_handle_fails_and_so_does_a_back_off_without_a_flight() {
    let mut table = Table::cold();
    let (_, start) = table.demand();
    table.lands(start, FAILED);
    let retry_at = Some(table.in_(0.5));
    assert_eq!(table.demand(), (Demand::Fail { retry_at }, None));

    let mut table = Table::warm();
    table.control.close();
    assert_eq!(table.demand(), (Demand::Fail { retry_at: None }, None));
}

#[test]
fn t3_the_first_call_starts_a_flight_and_the_others_join_it() {
    let mut table = Table::cold();
    let (demand, start) = table.demand();
    let start = start.expect("a flight");
    assert_eq!(start.cause, Cause::Cold);
    assert_eq!(demand, Demand::Wait(start.no));
    assert_eq!(table.demand(), (Demand::Wait(start.no), None));
}

#[test]
fn t3_less_than_a_second_after_a_receipt_the_flight_is_booked() {
    let mut table = Table::cold();
    let (_, start) = table.demand();
    table.print += 1;
    let landed = table.bytes(0.0);
    table.lands(start, landed);

    let (demand, start) = table.demand();
    let Demand::Wait(no) = demand else {
        panic!("{demand:?}");
    };
    assert_eq!(start, None);
    assert_eq!(table.demand(), (demand, None));
    assert_eq!(table.next_tick_in(), Some(1.0));
    assert_eq!(table.tick(), None);
    table.pass(1.0);
    let start = table.control.tick(table.now).expect("the booking");
    assert_eq!((start.no, start.cause), (no, Cause::Cold));
}

#[test]
fn t3_the_flight_works_with_a_new_identity_when_there_is_one() {
    let mut table = Table::cold();
    assert_eq!(table.control.identity_changed(table.now), None);
    let (_, start) = table.demand();
    assert_eq!(cause(start), Some(Cause::Rotation));
}

#[test]
fn t4_a_token_is_renewed_when_due_but_not_sooner_than_five_seconds_after_the_last() {
    let mut table = Table::warm();
    assert_eq!(table.next_tick_in(), Some(50.0));
    assert_eq!(table.tick(), None);
    table.pass(50.0);
    let start = table.control.tick(table.now);
    assert_eq!(cause(start), Some(Cause::Scheduled));
    table.print += 1;
    let landed = table.bytes(0.0);
    assert_eq!(table.lands(start, landed).1, None);
    assert_eq!(table.next_tick_in(), Some(5.0));
    table.pass(4.9);
    assert_eq!(table.tick(), None);
    table.pass(0.1);
    assert_eq!(table.tick(), Some(Cause::Scheduled));
}

#[test]
fn t4_a_cold_start_that_failed_is_tried_again_without_traffic() {
    let mut table = Table::cold();
    assert_eq!(table.next_tick_in(), None);
    let (_, start) = table.demand();
    table.lands(start, FAILED);
    assert_eq!(table.next_tick_in(), Some(0.5));
    table.pass(0.5);
    assert_eq!(table.tick(), Some(Cause::Scheduled));
}

#[test]
fn t4_a_token_that_ended_while_the_machine_slept_is_renewed() {
    let mut table = Table::warm();
    table.now.wall += seconds(3_600.0);
    assert_eq!(table.tick(), Some(Cause::Scheduled));
}

// ----- rejections -----

#[test]
fn t5_who_was_refused_an_old_token_goes_on_with_the_current_one() {
    let mut table = Table::warm();
    table.heal(A);
    assert_eq!(table.rejected(1, B), (Answer::Resend, None));
    // Even when it had waited for the old one, and while a cool-down lasts.
    let waited = Rejection {
        waited: true,
        ..rejection(1, A)
    };
    let answer = table.control.rejected(table.now, waited);
    assert_eq!(answer, (Answer::Resend, None));
}

#[test]
fn t5_who_was_refused_an_old_token_waits_when_the_current_one_has_expired() {
    let mut table = Table::warm();
    table.heal(A);
    table.pass(80.0);
    let (answer, start) = table.rejected(1, A);
    assert_eq!(cause(start), Some(Cause::Cold));
    table.lands(start, FAILED);
    assert_eq!(start.map(|it| it.no), Some(held(answer)));
    let until = table.in_(0.5);
    let answer = Answer::Original(Why::BackOff(until));
    assert_eq!(table.rejected(1, A), (answer, None));
    table.control.close();
    let answer = Answer::Original(Why::Closed);
    assert_eq!(table.rejected(1, A), (answer, None));
}

#[test]
fn t5_the_same_bytes_under_an_old_number_are_not_an_old_token() {
    let mut table = Table::warm();
    table.heal(A);
    table.control.accepted(A, Generation(2));
    table.pass(1.0);
    let (_, start) = table.rejected(2, A);
    table.print = 1;
    let landed = table.bytes(80.0);
    let told = table.lands(start, landed).0;
    assert_eq!(told, Outcome::Token(Generation(3)));
    assert!(table.control.supersedes(Generation(2)));
    assert!(!table.control.supersedes(Generation(1)));
    table.pass(2.0);
    let (_, start) = table.rejected(1, B);
    assert_eq!(start, None, "refused, and fresh: its origin cools down");
    table.pass(1.0);
    let (_, start) = table.rejected(1, B);
    assert_eq!(cause(start), Some(Cause::Rejected(Generation(3))));
}

#[test]
fn t6_a_rejection_joins_what_flies_or_is_booked() {
    let mut table = Table::warm();
    table.pass(50.0);
    let start = table.control.tick(table.now).expect("a flight");
    assert_eq!(table.rejected(1, A), (Answer::Hold(start.no), None));

    let mut table = Table::cold();
    let (_, start) = table.demand();
    table.print += 1;
    let landed = table.bytes(0.0);
    table.lands(start, landed);
    let (Demand::Wait(no), None) = table.demand() else {
        panic!("not booked");
    };
    assert_eq!(table.rejected(1, A), (Answer::Hold(no), None));
    table.pass(1.0);
    let start = table.control.tick(table.now);
    let landed = table.bytes(80.0);
    table.lands(start, landed);
    let answer = Answer::Original(Why::CoolDown(table.in_(1.0)));
    assert_eq!(
        table.rejected(1, B),
        (answer, None),
        "a holder was answered"
    );
}

#[test]
fn t7_nothing_is_fetched_when_closed_in_back_off_or_in_a_cool_down() {
    let mut table = Table::warm();
    table.heal(A);
    table.control.accepted(B, Generation(2));
    let until = table.in_(1.0);
    let answer = Answer::Original(Why::CoolDown(until));
    assert_eq!(table.rejected(2, B), (answer, None));
    table.pass(1.0);
    let (_, start) = table.rejected(2, B);
    assert_eq!(cause(start), Some(Cause::Rejected(Generation(2))));

    table.lands(start, FAILED);
    let answer = Answer::Original(Why::BackOff(table.in_(0.5)));
    assert_eq!(table.rejected(2, B), (answer, None));

    table.control.close();
    let answer = Answer::Original(Why::Closed);
    assert_eq!(table.rejected(2, B), (answer, None));
}

#[test]
fn t7_an_origin_that_refuses_what_was_fetched_for_it_does_not_stop_the_other() {
    let mut table = Table::warm();
    table.control.accepted(B, Generation(1));
    table.heal(A);
    table.control.accepted(B, Generation(2));
    table.pass(1.0);
    let until = table.in_(1.0);
    let answer = Answer::Original(Why::CoolDown(until));
    assert_eq!(table.rejected(2, A), (answer, None));
    let (_, start) = table.rejected(2, B);
    assert_eq!(cause(start), Some(Cause::Rejected(Generation(2))));
}

#[test]
fn t8_a_rejection_of_the_current_token_starts_a_flight_and_waits() {
    let mut table = Table::warm();
    let (answer, start) = table.rejected(1, A);
    let start = start.expect("a flight");
    assert_eq!(start.cause, Cause::Rejected(Generation(1)));
    assert_eq!(answer, Answer::Hold(start.no));
    // The refused token stays in use for others.
    assert_eq!(table.demand(), (Demand::Use, None));
}

#[test]
fn t9_what_cannot_be_repeated_starts_the_flight_but_does_not_wait() {
    let unrepeatable = |generation| Rejection {
        retryable: false,
        ..rejection(generation, A)
    };
    let original = Answer::Original(Why::NotRepeatable);

    let mut table = Table::warm();
    let (answer, start) = table.control.rejected(table.now, unrepeatable(1));
    assert_eq!(answer, original);
    assert_eq!(cause(start), Some(Cause::Rejected(Generation(1))));
    let answer = table.control.rejected(table.now, unrepeatable(1));
    assert_eq!(answer, (original, None), "one flies");
    table.lands_new(start);
    for generation in [1, 2] {
        let answer = table.control.rejected(table.now, unrepeatable(generation));
        assert_eq!(answer, (original, None), "old, or in the cool-down");
    }
}

#[test]
fn t9b_nothing_is_fetched_for_whom_the_refused_token_was_fetched() {
    let mut table = Table::warm();
    let waited = Rejection {
        waited: true,
        ..rejection(1, A)
    };
    let answer = table.control.rejected(table.now, waited);
    assert_eq!(answer, (Answer::Original(Why::Fresh), None));
}

#[test]
fn an_origin_cools_down_longer_for_each_token_fetched_in_vain() {
    let mut table = Table::warm();
    table.control.accepted(A, Generation(1));
    for (generation, cooldown) in [(1, 1.0), (2, 2.0), (3, 4.0)] {
        let (_, start) = table.rejected(generation, A);
        assert_eq!(cause(start), Some(Cause::Rejected(Generation(generation))));
        table.lands_new(start);
        for _caller in 0..100 {
            let again = Rejection {
                waited: true,
                retryable: false,
                ..rejection(generation + 1, A)
            };
            let (_, start) = table.control.rejected(table.now, again);
            assert_eq!(start, None);
        }
        let answer = Answer::Original(Why::CoolDown(table.in_(cooldown)));
        assert_eq!(table.rejected(generation + 1, A), (answer, None));
        table.pass(cooldown);
    }
    table.control.accepted(A, Generation(4));
    table.heal(A);
}

// ----- ends of flights -----

#[test]
fn t10_new_bytes_are_a_new_token_and_end_the_back_off() {
    let mut table = Table::warm();
    let (_, start) = table.rejected(1, A);
    table.lands(start, FAILED);
    let start = table.control.force(table.now);
    let told = table.lands_new(start);
    assert_eq!(told, Outcome::Token(Generation(2)));
    assert_eq!(table.control.backing_off(table.now), None);
    assert!(table.control.supersedes(Generation(1)));
}

#[test]
fn t10_an_identity_is_done_unless_a_newer_one_waits() {
    let mut table = Table::warm();
    let start = table.control.identity_changed(table.now);
    assert_eq!(cause(start), Some(Cause::Rotation));
    assert_eq!(table.control.identity_changed(table.now), None);
    table.lands_new(start);
    assert_eq!(table.next_tick_in(), Some(1.0));
    table.pass(1.0);
    let start = table.control.tick(table.now);
    assert_eq!(cause(start), Some(Cause::Rotation));
    table.lands_new(start);
    table.pass(1.0);
    assert_eq!(table.tick(), None);
}

#[test]
fn t11_the_same_bytes_renew_the_deadlines_and_send_holders_home() {
    let mut table = Table::warm();
    table.pass(50.0);
    let start = table.control.tick(table.now);
    let (answer, _) = table.rejected(1, A);
    assert_eq!(start.map(|it| it.no), Some(held(answer)));
    let landed = table.bytes(80.0);
    let told = table.lands(start, landed).0;
    assert_eq!(told, Outcome::Token(Generation(1)));
    assert!(!table.control.supersedes(Generation(1)));
    assert_eq!(table.next_tick_in(), Some(60.0));
    let answer = Answer::Original(Why::CoolDown(table.in_(1.0)));
    assert_eq!(
        table.rejected(1, B),
        (answer, None),
        "a holder was answered"
    );
}

#[test]
fn t11_the_same_bytes_after_a_rejection_are_a_step_for_its_origin() {
    let mut table = Table::warm();
    for cooldown in [1.0, 2.0, 4.0] {
        let (_, start) = table.rejected(1, A);
        let landed = table.bytes(80.0);
        table.lands(start, landed);
        let answer = Answer::Original(Why::CoolDown(table.in_(cooldown)));
        assert_eq!(table.rejected(1, A), (answer, None));
        table.pass(cooldown);
    }
}

#[test]
fn t12_a_failure_leaves_the_token_and_doubles_the_wait() {
    let mut table = Table::warm();
    table.pass(50.0);
    for wait in [0.5, 1.0, 2.0] {
        let start = table.control.tick(table.now);
        assert_eq!(cause(start), Some(Cause::Scheduled));
        assert_eq!(table.lands(start, FAILED), (Outcome::Failed, None));
        assert_eq!(table.next_tick_in(), Some(wait));
        assert_eq!(table.demand(), (Demand::Use, None));
        table.pass(wait);
    }
}

#[test]
fn t12_a_refused_identity_is_not_the_old_ones_failure() {
    let mut table = Table::warm();
    let start = table.control.identity_changed(table.now);
    let (answer, _) = table.rejected(1, A);
    assert_eq!(start.map(|it| it.no), Some(held(answer)));
    assert_eq!(table.lands(start, FAILED), (Outcome::StartOver, None));
    let (_, start) = table.rejected(1, A);
    assert_eq!(cause(start), Some(Cause::Rejected(Generation(1))));
    table.lands_new(start);
    // It has a wait of its own, and a second after the last of its kind.
    assert_eq!(table.next_tick_in(), Some(1.0));
    table.pass(1.0);
    assert_eq!(table.tick(), Some(Cause::Rotation));
}

#[test]
fn t12_a_refused_identity_does_not_delay_a_newer_one() {
    let mut table = Table::warm();
    let start = table.control.identity_changed(table.now);
    table.lands(start, WRONG);
    assert_eq!(table.next_tick_in(), Some(30.0));
    assert_eq!(table.control.identity_changed(table.now), None);
    table.pass(1.0);
    let start = table.control.tick(table.now);
    assert_eq!(cause(start), Some(Cause::Rotation));
    // Nor does it when it fails only after the newer one came.
    assert_eq!(table.control.identity_changed(table.now), None);
    table.lands(start, WRONG);
    assert_eq!(table.next_tick_in(), Some(1.0));
}

#[test]
fn t12_the_servers_wish_binds_everybody_but_is_nobodys_failure() {
    let mut table = Table::warm();
    let start = table.control.identity_changed(table.now);
    table.lands(start, busy(20));
    let answer = Answer::Original(Why::BackOff(table.in_(20.0)));
    assert_eq!(table.rejected(1, A), (answer, None));
    assert_eq!(table.control.force(table.now), None);
    assert_eq!(table.control.identity_changed(table.now), None);

    table.pass(20.0);
    let start = table.control.tick(table.now);
    assert_eq!(cause(start), Some(Cause::Rotation));
    table.lands(start, FAILED);
    let (_, start) = table.rejected(1, A);
    table.lands(start, FAILED);
    let first = Some(table.in_(0.5));
    assert_eq!(table.control.backing_off(table.now), first);
}

#[test]
fn t12_a_short_wish_of_the_server_does_not_make_a_long_wait_its_own() {
    let mut table = Table::warm();
    table.pass(50.0);
    let start = table.control.tick(table.now);
    table.lands(start, WRONG);
    // A new identity is the cure; the server is busy just now.
    let start = table.control.identity_changed(table.now);
    table.lands(start, busy(3));
    assert_eq!(table.control.backing_off(table.now), Some(table.in_(30.0)));
    assert_eq!(table.next_tick_in(), Some(3.0));
    table.pass(3.0);
    assert_eq!(table.tick(), Some(Cause::Rotation));
}

#[test]
fn t13_a_flight_whose_runtime_is_gone_is_started_anew_by_the_next_call() {
    let mut table = Table::cold();
    let (_, start) = table.demand();
    let no = start.expect("a flight").no;
    table.control.flight_lost(table.now, no);
    assert_eq!(cause(table.demand().1), Some(Cause::Cold));

    let mut table = Table::warm();
    let start = table.control.identity_changed(table.now);
    table
        .control
        .flight_lost(table.now, start.expect("a flight").no);
    let schedule = table.control.schedule().expect("a token");
    assert_eq!(schedule.age(table.now), Age::Due);
    assert_eq!(cause(table.demand().1), Some(Cause::Rotation));

    let mut table = Table::warm();
    let start = table.control.force(table.now);
    table
        .control
        .flight_lost(table.now, start.expect("a flight").no);
    assert_eq!(cause(table.demand().1), Some(Cause::Forced));
}

#[test]
fn t13_a_booking_whose_timer_is_gone_is_booked_anew() {
    let mut table = Table::cold();
    let (_, start) = table.demand();
    table.print += 1;
    let landed = table.bytes(0.0);
    table.lands(start, landed);
    let (before, _) = table.demand();
    table.control.timer_lost(table.now);
    let (after, start) = table.demand();
    assert_eq!(start, None);
    assert_ne!(before, after);
    assert_eq!(table.next_tick_in(), Some(1.0));
}

#[test]
fn an_unknown_flight_that_ends_changes_nothing() {
    let mut table = Table::warm();
    let before = table.control.clone();
    let landed = table.new_bytes();
    assert_eq!(table.control.landed(table.now, 77, landed), None);
    table.control.flight_lost(table.now, 77);
    assert_eq!(table.control, before);
}

// ----- identity, by hand, close -----

#[test]
fn t15_a_wish_by_hand_or_an_identity_is_noted_until_a_token_is_wanted() {
    let mut table = Table::cold();
    assert_eq!(table.control.force(table.now), None);
    assert_eq!(table.next_tick_in(), None);
    assert_eq!(cause(table.demand().1), Some(Cause::Forced));
}

#[test]
fn t15_it_starts_at_once_even_in_a_back_off_or_cool_down() {
    let mut table = Table::warm();
    let (_, start) = table.rejected(1, A);
    table.lands(start, FAILED);
    let start = table.control.force(table.now);
    assert_eq!(cause(start), Some(Cause::Forced));
    table.lands_new(start);
    // A second apart.
    assert_eq!(table.control.force(table.now), None);
    assert_eq!(table.next_tick_in(), Some(1.0));
    table.pass(1.0);
    assert_eq!(table.tick(), Some(Cause::Forced));
}

#[test]
fn t15_it_starts_right_after_the_flight_under_way() {
    let mut table = Table::warm();
    let (_, start) = table.rejected(1, A);
    assert_eq!(table.control.identity_changed(table.now), None);
    let landed = table.new_bytes();
    let (_, next) = table.lands(start, landed);
    assert_eq!(cause(next), Some(Cause::Rotation));
}

#[test]
fn t15_with_nothing_to_lose_the_back_off_is_cleared_but_not_the_servers_wish() {
    let mut table = Table::cold();
    let (_, start) = table.demand();
    table.lands(start, WRONG);
    let start = table.control.force(table.now);
    assert_eq!(cause(start), Some(Cause::Forced));
    table.lands(start, FAILED);
    assert_eq!(table.control.backing_off(table.now), Some(table.in_(0.5)));

    let mut table = Table::cold();
    let (_, start) = table.demand();
    table.lands(start, busy(20));
    assert_eq!(table.control.identity_changed(table.now), None);
    assert_eq!(table.control.backing_off(table.now), Some(table.in_(20.0)));
    assert_eq!(table.next_tick_in(), Some(20.0));
    table.pass(20.0);
    assert_eq!(table.tick(), Some(Cause::Rotation));
}

#[test]
fn t16_nothing_starts_or_lands_after_the_close() {
    let mut table = Table::warm();
    let (_, start) = table.rejected(1, A);
    table.control.close();
    let landed = table.new_bytes();
    let no = start.expect("a flight").no;
    assert_eq!(table.control.landed(table.now, no, landed), None);
    assert_eq!(table.control.identity_changed(table.now), None);
    assert_eq!(table.control.force(table.now), None);
    table.pass(1_000.0);
    assert_eq!(table.tick(), None);
    assert_eq!(table.control.next_tick(), None);
    let answer = Answer::Original(Why::Closed);
    assert_eq!(table.rejected(1, A), (answer, None));
}

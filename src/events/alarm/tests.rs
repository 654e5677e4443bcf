use proptest::prelude::*;

use super::*;

const CONFIG: (u16, u64) = (3, 600);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn alarm() -> Alarm {
    let (threshold, window) = CONFIG;
    Alarm::new(
        AlarmConfig::new()
            .threshold(threshold)
            .window(seconds(window)),
    )
}

/// A token that origin 1 had accepted for five minutes.
fn lasting(generation: u64) -> Wanted {
    Wanted {
        generation: Generation(generation),
        origin: 1,
        starts: true,
        accepted: true,
        age: seconds(300),
    }
}

fn soon(generation: u64) -> Wanted {
    Wanted {
        age: seconds(59),
        ..lasting(generation)
    }
}

fn new(generation: u64) -> Wanted {
    Wanted {
        accepted: false,
        ..lasting(generation)
    }
}

fn at(wanted: Wanted, origin: u64) -> Wanted {
    Wanted { origin, ..wanted }
}

fn kept_back(wanted: Wanted) -> Wanted {
    Wanted {
        starts: false,
        ..wanted
    }
}

/// The turns that come of these refusals, one a second.
fn turns(alarm: &mut Alarm, refusals: impl IntoIterator<Item = Wanted>) -> Vec<Turn> {
    let turn = |(now, wanted)| {
        alarm.wanted(seconds(now), wanted);
        alarm.turn(seconds(now))
    };
    (0..).zip(refusals).filter_map(turn).collect()
}

fn causes(turns: &[Turn]) -> Vec<AlarmCause> {
    let cause = |turn: &Turn| match turn {
        Turn::Raised { cause, .. } => Some(*cause),
        Turn::Cleared { .. } => None,
    };
    turns.iter().filter_map(cause).collect()
}

#[test]
fn the_cause_is_what_there_is_most_of() {
    use AlarmCause::*;
    for (refusals, expected) in [
        (vec![], vec![]),
        (vec![lasting(1), lasting(2)], vec![]),
        (vec![lasting(1), lasting(2), lasting(3)], vec![Rollovers]),
        // A server may crash three times in ten minutes, but not six times.
        ((1..=5).map(lasting).collect(), vec![Rollovers]),
        ((1..=6).map(lasting).collect(), vec![Rollovers, Revocations]),
        (
            (1..=40).map(lasting).collect(),
            vec![Rollovers, Revocations],
        ),
        (vec![soon(1), soon(2), soon(3)], vec![OneActiveToken]),
        ((1..=40).map(soon).collect(), vec![OneActiveToken]),
        (vec![lasting(1), soon(2), soon(3)], vec![OneActiveToken]),
        (vec![new(1), new(2), new(3)], vec![Upstream]),
        // The same token, again after a cool-down.
        (vec![kept_back(new(1)), new(1), new(2)], vec![Upstream]),
        (vec![lasting(1), new(2), new(2)], vec![Upstream]),
        (vec![new(1), at(new(2), 2), new(3)], vec![Tokens]),
        // What another origin says of a token that is counted already shows whose fault it is.
        (
            vec![new(1), kept_back(at(new(1), 2)), new(2), new(3)],
            vec![Tokens],
        ),
        (vec![new(1), lasting(2), soon(3)], vec![Upstream]),
    ] {
        let turns = turns(&mut alarm(), refusals.iter().copied());
        assert_eq!(causes(&turns), expected, "{refusals:?}");
    }
}

#[test]
fn a_token_is_counted_once_until_its_refusal_starts_a_fetch_again() {
    let mut alarm = alarm();
    let hundred = std::iter::repeat_n(kept_back(new(1)), 100);
    assert_eq!(turns(&mut alarm, hundred), []);
    assert_eq!(turns(&mut alarm, [new(1)]), []);
    // An older one is none of our business.
    assert_eq!(turns(&mut alarm, [kept_back(new(0))]), []);
    assert_eq!(turns(&mut alarm, [kept_back(new(2))]).len(), 1);
}

#[test]
fn a_token_that_comes_again_is_the_servers_fault() {
    let mut alarm = alarm();
    assert_eq!(turns(&mut alarm, [lasting(1)]), []);
    alarm.came_again(Generation(1));
    let turns = turns(&mut alarm, [soon(1), soon(1)]);
    assert_eq!(causes(&turns), [AlarmCause::SameToken]);
}

#[test]
fn the_counts_and_the_origin_are_told() {
    let raised = turns(&mut alarm(), [lasting(1), new(2), new(3)]);
    let [Turn::Raised { counts, origin, .. }] = raised[..] else {
        panic!("{raised:?}");
    };
    assert_eq!(origin, Some(1));
    assert_eq!(
        counts.to_string(),
        "3 refreshes wanted, of tokens (1 accepted for a minute or longer, 2 never accepted) \
         refused by 1 origin"
    );
    let raised = turns(&mut alarm(), [lasting(1), at(soon(2), 2), soon(3)]);
    let [Turn::Raised { counts, origin, .. }] = raised[..] else {
        panic!("{raised:?}");
    };
    assert_eq!(origin, None);
    assert!(counts.to_string().ends_with(" by 2 origins"), "{counts}");
}

#[test]
fn three_in_longer_than_the_window_are_no_alarm() {
    let mut alarm = alarm();
    for number in 1..100 {
        let now = seconds(300 * number);
        alarm.wanted(now, lasting(number));
        assert_eq!(alarm.turn(now), None);
    }
}

#[test]
fn it_is_cleared_when_nothing_was_refused_for_the_window() {
    let mut alarm = alarm();
    let raised = turns(&mut alarm, (1..=3).map(lasting));
    assert_eq!(raised.len(), 1);
    assert_eq!(alarm.next_turn(), Some(seconds(602)));
    // One more keeps it up.
    alarm.wanted(seconds(400), lasting(4));
    assert_eq!(alarm.turn(seconds(602)), None);
    assert_eq!(alarm.next_turn(), Some(seconds(1000)));
    assert_eq!(alarm.turn(seconds(999)), None);
    let cleared = Turn::Cleared {
        cause: AlarmCause::Rollovers,
        lasted: seconds(998),
    };
    assert_eq!(alarm.turn(seconds(1000)), Some(cleared));
    assert_eq!((alarm.next_turn(), alarm.cause()), (None, None));
}

#[test]
fn it_can_be_turned_off() {
    for config in [AlarmConfig::off(), AlarmConfig::new().threshold(0)] {
        let mut alarm = Alarm::new(config);
        assert_eq!(turns(&mut alarm, (1..100).map(new)), []);
        assert!(alarm.wishes.is_empty());
    }
}

#[test]
fn the_smallest_and_the_greatest_settings_do_as_they_say() {
    let mut nervous = Alarm::new(AlarmConfig::new().threshold(1).window(Duration::ZERO));
    nervous.wanted(seconds(1), lasting(1));
    assert_eq!(nervous.turn(seconds(1)), None);

    let mut patient = Alarm::new(AlarmConfig::new().threshold(100).window(Duration::MAX));
    assert_eq!(turns(&mut patient, (1..100).map(lasting)), []);
    assert_eq!(turns(&mut patient, [lasting(100)]).len(), 1);
    assert_eq!(patient.next_turn(), Some(Duration::MAX));

    let mut endless = Alarm::new(AlarmConfig::new().threshold(u16::MAX));
    assert_eq!(turns(&mut endless, (1..1000).map(lasting)), []);
}

#[test]
fn the_names_of_the_causes_differ() {
    let mut names = AlarmCause::ALL.map(AlarmCause::name);
    names.sort_unstable();
    assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "{names:?}");
}

proptest! {
    /// Against a bookkeeper who forgets nothing.
    #[test]
    fn it_is_raised_exactly_while_it_must_be(
        refusals in prop::collection::vec(
            (0..400_u64, 0..2_u64, 0..4_u64, any::<bool>(), any::<bool>(), 0..120_u64),
            0..200,
        ),
    ) {
        let (threshold, window) = (usize::from(CONFIG.0), CONFIG.1);
        let mut alarm = alarm();
        let (mut now, mut generation) = (0, 1);
        let mut counted = Vec::new();
        let mut seen = 0;
        let mut raised = false;
        for (pause, step, origin, starts, accepted, age) in refusals {
            let quiet_until = counted.last().map(|last| last + window);
            if raised && quiet_until.is_some_and(|at| now + pause >= at) {
                // The timer rings before anything else happens.
                prop_assert_eq!(alarm.next_turn(), quiet_until.map(seconds));
                let turn = alarm.turn(seconds(quiet_until.unwrap()));
                prop_assert!(matches!(turn, Some(Turn::Cleared { .. })), "{:?}", turn);
                raised = false;
            }
            now += pause;
            generation += step;
            let wanted = Wanted {
                generation: Generation(generation),
                origin,
                starts,
                accepted,
                age: seconds(age),
            };
            alarm.wanted(seconds(now), wanted);
            if starts || generation > seen {
                counted.push(now);
                seen = generation;
            }
            let within = counted.iter().filter(|at| **at + window > now).count();
            let before = alarm.cause();
            let turn = alarm.turn(seconds(now));
            match turn {
                Some(Turn::Raised { cause, counts, origin }) => {
                    prop_assert!(within >= threshold);
                    prop_assert_ne!(before, Some(cause));
                    prop_assert_eq!(counts.wanted(), within.min(REMEMBERED));
                    prop_assert_eq!(origin.is_some(), counts.origins == 1);
                }
                Some(Turn::Cleared { .. }) => prop_assert!(false, "cleared at {now}"),
                None => {}
            }
            raised |= within >= threshold;
            prop_assert_eq!(alarm.cause().is_some(), raised);
            prop_assert_eq!(alarm.next_turn().is_some(), raised);
            prop_assert!(alarm.wishes.len() <= REMEMBERED);
        }
    }
}

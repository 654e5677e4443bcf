//! A soak: calls of all kinds for a while, over real sockets, while everything goes wrong that can, as
//! dice have it. Time goes by thirty times as fast for tokens, certificates and back-offs.
//!
//! `cargo run --release --example soak -- --seconds 30 --seed 1` prints what was done and what came of
//! it, and fails if a call failed that no fault explains, or if a task is left when the client is gone.
//! A call's failure is explained by a fault that leads to just this error and was there, or had left a
//! back-off or a revoked token behind that was still there, while the call was under way; `ledger.rs` has
//! the rules. What the dice say is the seed's; when it meets which call is the machine's.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it prints a table"
)]

use std::{
    error::Error,
    io::{self, Write},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use tokio::{runtime, time::sleep};

use self::{dice::Dice, faults::Faults, ledger::Ledger, load::Load, time::Time, world::World};

mod dice;
mod faults;
mod ledger;
mod load;
mod time;
mod world;

pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// When it has gone on for long enough.
#[derive(Clone, Copy)]
pub(crate) enum Until {
    Passed(Duration),
    /// So many calls have ended.
    #[allow(dead_code, reason = "for the test of it")]
    Called(u64),
}

fn main() -> Result<ExitCode, Failure> {
    let (mut seconds, mut seed) = (5, 1);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let number = match argument.as_str() {
            "--seconds" => &mut seconds,
            "--seed" => &mut seed,
            _ => return Err("soak [--seconds 5] [--seed 1]".into()),
        };
        let value = arguments.next().ok_or("a number is missing")?;
        *number = value.parse()?;
    }
    let until = Until::Passed(Duration::from_secs(seconds));
    Ok(match run(&mut io::stdout(), seed, until)? {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// Whether it went well. The servers have a runtime of their own, so that all tasks on the other one
/// are the client's.
pub(crate) fn run(out: &mut impl Write, seed: u64, until: Until) -> Result<bool, Failure> {
    let runtime = |threads| {
        let mut builder = runtime::Builder::new_multi_thread();
        builder.worker_threads(threads).enable_all().build()
    };
    let (servers, client) = (runtime(1)?, runtime(2)?);
    let time = Arc::new(Time::begin());
    let ledger = Arc::new(Ledger::new(Arc::clone(&time)));
    let world = servers.block_on(World::start(&time, &ledger))?;

    let unhealed = client.block_on(async {
        let mut dice = Dice::new(seed);
        let load = Load::start(&world, &ledger, &mut dice)?;
        let mut faults = Faults::new(dice);
        while !until.is_over(&time, &ledger) {
            time.go_on();
            faults.turn(&world, &ledger, &time)?;
            sleep(Duration::from_millis(2)).await;
        }
        faults.end(&world, &ledger);
        load.end().await;
        heal(&world).await
    })?;
    let token_requests = world.server.counters().token_requests;
    let origins = world.apis.each_ref().map(|it| it.origin().to_owned());
    let closed = world.drop_client();
    let tasks_left = client.block_on(async {
        for _ in 0..500 {
            if client.metrics().num_alive_tasks() == 0 {
                break;
            }
            sleep(Duration::from_millis(10)).await;
        }
        client.metrics().num_alive_tasks()
    });
    servers.block_on(closed);

    let verdict = ledger.verdict(&origins);
    write!(out, "{verdict}")?;
    if let Some(error) = &unhealed {
        writeln!(out, "unexpected: not healed after the last fault: {error}")?;
    }
    let failed_unexpectedly = verdict.unexpected() + u64::from(unhealed.is_some());
    writeln!(
        out,
        "calls={} healed={} failed_with_cause={} failed_unexpectedly={failed_unexpectedly} \
         token_requests={token_requests} tasks_left={tasks_left}",
        verdict.calls, verdict.healed, verdict.with_cause,
    )?;
    Ok(failed_unexpectedly == 0 && tasks_left == 0)
}

/// After the last fault every kind of call is answered again, as soon as back-off and cool-down have
/// ended. Returns why not.
async fn heal(world: &World) -> Result<Option<Failure>, Failure> {
    let mut last = None;
    for _ in 0..10 {
        // The longest of both.
        world.clock.advance(Duration::from_secs(5 * 60));
        match load::each_once(world).await {
            Ok(()) => return Ok(None),
            Err(error) => last = Some(error),
        }
    }
    Ok(last)
}

impl Until {
    fn is_over(self, time: &Time, ledger: &Ledger) -> bool {
        match self {
            Self::Passed(span) => time.real() >= span,
            Self::Called(count) => ledger.calls() >= count,
        }
    }
}

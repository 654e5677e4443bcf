//! Runs a scenario to its end and hands back what was seen.

use std::{
    future::pending,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tokio::time::{sleep, timeout};
use tower_oauth::{Error, ErrorKind, ManualClock, service::Rejected};
use turmoil::Sim;

use crate::{
    client::{Answer, Client, Make, Parts},
    scenario::{
        APIS, ApiMood, AsMood, CLIENTS, Callers, Dice, END, Host, Order, QUIET, Scenario, Trouble,
    },
    servers::{self, Backend, CALL},
    trace::{Entry, Outcome, Recorder, Seen, Witness},
};

/// How exact the simulated network is. Inside of a host time is exact.
const TICK: Duration = Duration::from_millis(40);

/// Plays a scenario with this client.
pub(crate) fn play(scenario: &Scenario, make: Make) -> Vec<Entry> {
    let recorder = Recorder::default();
    let backend = Backend::new(scenario);
    let mut sim = turmoil::Builder::new()
        .rng_seed(scenario.seed)
        .tick_duration(TICK)
        .simulation_duration(END * 2)
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(scenario.latency)
        .enable_random_order()
        .build();

    sim.host(Host::AuthorizationServer.name(), {
        let (backend, recorder) = (backend.clone(), recorder.clone());
        move || servers::authorization_server(backend.clone(), recorder.clone())
    });
    for api in 0..APIS {
        let (backend, recorder) = (backend.clone(), recorder.clone());
        sim.host(Host::Api(api).name(), move || {
            servers::api(api, backend.clone(), recorder.clone())
        });
    }
    for (host, callers) in scenario.callers.iter().enumerate() {
        let (callers, recorder) = (callers.clone(), recorder.clone());
        let dice = Dice::new(scenario.seed ^ (host as u64 + 1));
        sim.host(Host::Client(host).name(), move || {
            program(recorder.begin(host), callers.clone(), dice.clone(), make)
        });
    }

    let mut troubles = scenario.troubles.iter().peekable();
    let mut calm = false;
    while sim.elapsed() < END {
        while let Some((_, trouble)) = troubles.next_if(|(at, _)| *at <= sim.elapsed()) {
            strike(&mut sim, *trouble, &backend, &recorder);
        }
        if !calm && sim.elapsed() >= QUIET {
            calm = true;
            calm_down(&mut sim, &backend);
        }
        sim.step().expect("no host fails");
    }
    recorder.finish()
}

fn strike(sim: &mut Sim<'_>, trouble: Trouble, backend: &Backend, recorder: &Recorder) {
    match trouble {
        Trouble::Partition(a, b) => sim.partition(a.name(), b.name()),
        Trouble::Repair(a, b) => sim.repair(a.name(), b.name()),
        Trouble::Hold(a, b) => sim.hold(a.name(), b.name()),
        Trouble::Release(a, b) => sim.release(a.name(), b.name()),
        Trouble::Latency(most) => sim.set_max_message_latency(most),
        Trouble::As(mood) => backend.lock().mood = mood,
        Trouble::Api(api, mood) => backend.lock().moods[api] = mood,
        Trouble::Crash => {
            sim.crash(Host::AuthorizationServer.name());
            backend.lock().forget();
        }
        Trouble::Start => start(sim),
        Trouble::Lifetime(lifetime) => backend.lock().lifetime = lifetime,
        Trouble::RestartClient(host) => {
            recorder.crash(host);
            sim.bounce(Host::Client(host).name());
        }
    }
}

/// Whatever went wrong is right again.
fn calm_down(sim: &mut Sim<'_>, backend: &Backend) {
    for client in 0..CLIENTS {
        let servers = (0..APIS).map(Host::Api).chain([Host::AuthorizationServer]);
        for server in servers {
            let (client, server) = (Host::Client(client).name(), server.name());
            sim.release(client.as_str(), server.as_str());
            sim.repair(client, server);
        }
    }
    sim.set_max_message_latency(Duration::from_millis(100));
    {
        let mut backend = backend.lock();
        backend.mood = AsMood::Well;
        backend.moods = [ApiMood::Well; APIS];
    }
    start(sim);
}

/// Starts the authorization server, unless it is up.
fn start(sim: &mut Sim<'_>) {
    if !sim.is_host_running(Host::AuthorizationServer.name()) {
        sim.bounce(Host::AuthorizationServer.name());
    }
}

/// A program that makes calls until it is ended.
async fn program(witness: Witness, callers: Callers, dice: Dice, make: Make) -> turmoil::Result {
    let clock = ManualClock::new(UNIX_EPOCH + Duration::from_secs(1_800_000_000));
    let parts = Parts::new(witness.clone(), clock.clone());
    let client = make(&parts);
    for caller in 0..callers.number {
        let mut dice = dice.clone();
        for _ in 0..=caller {
            dice = Dice::new(dice.below(u64::MAX));
        }
        let caller = Caller {
            no: caller,
            witness: witness.clone(),
            client: Arc::clone(&client),
            callers: callers.clone(),
            dice,
        };
        tokio::spawn(caller.run());
    }
    for (at, order) in callers.orders {
        let Some(left) = at.checked_sub(now()) else {
            continue;
        };
        sleep(left).await;
        // What starts at this very moment has read the clock by then.
        for _ in 0..16 {
            tokio::task::yield_now().await;
        }
        match order {
            Order::Refresh => {
                witness.saw(Seen::Refresh);
                client.refresh();
            }
            Order::Close => {
                witness.saw(Seen::Closed);
                client.close();
            }
            Order::Suspend(span) => {
                witness.saw(Seen::Clock(milliseconds(span)));
                clock.suspend(span);
            }
            Order::StepBack(span) => {
                witness.saw(Seen::Clock(-milliseconds(span)));
                clock.step_back(span);
            }
        }
    }
    pending().await
}

struct Caller {
    no: usize,
    witness: Witness,
    client: Arc<dyn Client>,
    callers: Callers,
    dice: Dice,
}

impl Caller {
    async fn run(mut self) {
        for round in 0.. {
            let pace = milliseconds(self.callers.pace).unsigned_abs();
            let pause = if self.callers.together {
                let pace = self.callers.pace;
                let next = now().as_millis() / pace.as_millis() + 1;
                pace * u32::try_from(next).expect("the simulation is short") - now()
            } else {
                self.dice.between(0, pace)
            };
            sleep(pause).await;
            self.call(round * 100 + self.no).await;
        }
    }

    async fn call(&mut self, call: usize) {
        let api = usize::from(self.dice.percent(50));
        let patience = self
            .dice
            .percent(self.callers.impatient)
            .then(|| self.dice.between(0, 1500));
        let request = Request::post(format!("https://{}/", Host::Api(api).name()))
            .header(CALL, call)
            .body(Full::new(Bytes::from(call.to_string())))
            .expect("a request");

        self.witness.saw(Seen::Call { call, api });
        let guard = self.witness.until_dropped(Seen::Dropped { call });
        let calling = self.client.call(request);
        let result = match patience {
            Some(patience) => match timeout(patience, calling).await {
                Ok(result) => result,
                Err(_gone) => return,
            },
            None => calling.await,
        };
        let outcome = outcome(result);
        guard.ended(Seen::Done { call, outcome });
    }
}

fn outcome(result: Result<Answer, Error>) -> Outcome {
    match result {
        Ok(answer) => Outcome::Answer {
            status: answer.status().as_u16(),
            reason: answer
                .extensions()
                .get()
                .map(|rejected: &Rejected| rejected.reason().name()),
        },
        Err(Error::Token(error)) => Outcome::NoToken {
            closed: error.kind() == ErrorKind::Closed,
        },
        Err(_) => Outcome::Broken,
    }
}

fn now() -> Duration {
    turmoil::sim_elapsed().expect("on a host")
}

fn milliseconds(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).expect("the simulation is short")
}

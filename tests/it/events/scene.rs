//! A world under observation, with the clock paused.

use std::{
    collections::BTreeMap,
    fmt::{self, Write},
    future::Future,
    sync::{Arc, Mutex, atomic::Ordering::SeqCst},
    time::UNIX_EPOCH,
};

use http::{Response, StatusCode};
use metrics::{Key, KeyName, Metadata, Recorder, SharedString, Unit};
use metrics_util::registry::{AtomicStorage, Registry};
use tower::{Layer, ServiceExt};
use tower_oauth::{
    ManualClock,
    events::{Event, MetricsObserver, Observer, TracingObserver},
    refresh::{TokenHandle, TokenHandleBuilder},
};
use tracing::{
    Level, Subscriber,
    field::{Field, Visit},
    span,
};
use tracing_subscriber::{
    Registry as Spans,
    layer::{Context, Layer as Listener, SubscriberExt},
    registry::LookupSpan,
};

use crate::support::{Resource, World, layer, request_to};

/// Plays a scene, with a log and a recorder of its own.
pub(super) fn play<F: Future<Output = ()>>(scene: impl FnOnce(Scene) -> F) {
    let log = Log::default();
    let numbers = Arc::new(Numbers(Registry::new(AtomicStorage)));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let subscriber = Spans::default().with(log.clone());
    let recorder = Arc::clone(&numbers);
    tracing::subscriber::with_default(subscriber, || {
        metrics::with_local_recorder(&*recorder, || {
            runtime.block_on(async { scene(Scene::new(log, numbers)).await });
        });
    });
}

pub(super) struct Scene {
    pub(super) world: World,
    pub(super) clock: ManualClock,
    pub(super) log: Log,
    events: Events,
    numbers: Arc<Numbers>,
}

impl Scene {
    fn new(log: Log, numbers: Arc<Numbers>) -> Self {
        Self {
            world: World::new(),
            clock: ManualClock::new(UNIX_EPOCH + super::minutes(1_000_000)),
            log,
            events: Events::default(),
            numbers,
        }
    }

    /// A handle that is observed in every way there is.
    pub(super) fn handle(&self) -> TokenHandle {
        self.builder().build()
    }

    pub(super) fn builder(&self) -> TokenHandleBuilder {
        self.world.builder().clock(self.clock.clone()).observer((
            TracingObserver::new(),
            MetricsObserver::new().label("token", "orders"),
            self.events.clone(),
        ))
    }

    /// The events so far whose names begin like this.
    pub(super) fn events(&self, beginning: &str) -> Vec<String> {
        let events = self.events.0.lock().unwrap();
        let wanted = |event: &&String| event.starts_with(beginning);
        events.iter().filter(wanted).cloned().collect()
    }

    /// What a counter or gauge shows, its own label left out: `tower_oauth_alarm{cause=upstream}`.
    pub(super) fn number(&self, series: &str) -> Option<f64> {
        self.numbers.all().get(series).copied()
    }

    /// What the alarm's gauges show, where they don't show zero.
    pub(super) fn alarms(&self) -> Vec<(String, f64)> {
        let all = self.numbers.all().into_iter();
        all.filter(|(series, value)| series.starts_with("tower_oauth_alarm") && *value != 0.0)
            .collect()
    }
}

/// One call; says whether it went well.
pub(super) async fn call(handle: &TokenHandle, resource: &Resource, origin: &str) -> bool {
    response(handle, resource, origin).await.status() == StatusCode::OK
}

pub(super) async fn response(
    handle: &TokenHandle,
    resource: &Resource,
    origin: &str,
) -> Response<&'static str> {
    let api = layer(handle.clone()).layer(resource.clone());
    let request = request_to(&format!("{origin}/orders"));
    api.oneshot(request).await.unwrap()
}

#[derive(Clone, Default)]
struct Events(Arc<Mutex<Vec<String>>>);

impl Observer for Events {
    fn event(&self, event: &Event<'_>) {
        self.0.lock().unwrap().push(format!("{event:?}"));
    }
}

// ===== impl Log =====

/// What this crate said.
#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<(Level, String)>>>);

impl Log {
    /// The lines of this level since they were last taken. Spans, and what is recorded of them
    /// later, are on level `TRACE`.
    pub(super) fn take(&self, level: Level) -> Vec<String> {
        let mut lines = self.0.lock().unwrap();
        let taken = lines.extract_if(.., |(it, _)| *it == level);
        taken.map(|(_, line)| line).collect()
    }

    /// All lines that a careful reader sees: warnings and errors.
    pub(super) fn take_loud(&self) -> Vec<String> {
        let mut lines = self.take(Level::ERROR);
        lines.extend(self.take(Level::WARN));
        lines
    }

    fn push(&self, level: Level, line: Line) {
        self.0.lock().unwrap().push((level, line.0));
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Listener<S> for Log {
    fn on_event(&self, event: &tracing::Event<'_>, context: Context<'_, S>) {
        if event.metadata().target() == "tower_oauth" {
            let mut line = Line::default();
            event.record(&mut line);
            for span in context.event_scope(event).into_iter().flatten() {
                write!(line.0, " in {}", span.name()).unwrap();
            }
            self.push(*event.metadata().level(), line);
        }
    }

    fn on_new_span(&self, span: &span::Attributes<'_>, _: &span::Id, _: Context<'_, S>) {
        let mut line = Line(span.metadata().name().to_owned());
        span.record(&mut line);
        self.push(Level::TRACE, line);
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, context: Context<'_, S>) {
        let mut line = Line(context.metadata(id).unwrap().name().to_owned());
        values.record(&mut line);
        self.push(Level::TRACE, line);
    }
}

/// Message first, then the fields.
#[derive(Default)]
struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.0.insert_str(0, &format!("{value:?}")),
            name => write!(self.0, " {name}={value:?}").unwrap(),
        }
    }
}

// ===== impl Numbers =====

/// A recorder that can be read without changing what it shows.
struct Numbers(Registry<Key, AtomicStorage>);

impl Numbers {
    fn all(&self) -> BTreeMap<String, f64> {
        let counters = self.0.get_counter_handles().into_iter();
        let counters = counters.map(|(key, it)| (series(&key), it.load(SeqCst) as f64));
        let gauges = self.0.get_gauge_handles().into_iter();
        let gauges = gauges.map(|(key, it)| (series(&key), f64::from_bits(it.load(SeqCst))));
        counters.chain(gauges).collect()
    }
}

fn series(key: &Key) -> String {
    let (own, given): (Vec<_>, Vec<_>) = key.labels().partition(|label| label.key() != "token");
    assert_eq!(given.len(), 1, "{key}");
    let own: Vec<String> = own
        .iter()
        .map(|label| format!("{}={}", label.key(), label.value()))
        .collect();
    format!("{}{{{}}}", key.name(), own.join(","))
}

impl Recorder for Numbers {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> metrics::Counter {
        self.0
            .get_or_create_counter(key, |it| Arc::clone(it).into())
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> metrics::Gauge {
        self.0.get_or_create_gauge(key, |it| Arc::clone(it).into())
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> metrics::Histogram {
        self.0
            .get_or_create_histogram(key, |it| Arc::clone(it).into())
    }
}

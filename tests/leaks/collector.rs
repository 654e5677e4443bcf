//! Sees all that a log could: what every crate of the build says, and what is formatted for it.

use std::{
    collections::BTreeSet,
    error::Error,
    fmt::{self, Debug, Write},
    panic,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

use tracing::{
    Subscriber,
    field::{Field, Visit},
    span,
};
use tracing_subscriber::{
    layer::{Context, Layer, SubscriberExt},
    registry::LookupSpan,
};

/// One text, and where it was seen.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Record {
    pub(crate) from: String,
    pub(crate) text: String,
}

/// All texts so far, each once, of all tests: the process has one collector.
pub(crate) struct Collector(Mutex<BTreeSet<Record>>);

impl Collector {
    /// The collector, listening from its first mention on.
    pub(crate) fn listening() -> &'static Self {
        static COLLECTOR: Collector = Collector(Mutex::new(BTreeSet::new()));
        static LISTENING: OnceLock<()> = OnceLock::new();
        LISTENING.get_or_init(|| {
            let subscriber = tracing_subscriber::registry().with(Spans(&COLLECTOR));
            tracing::subscriber::set_global_default(subscriber).expect("there is no other");
            log::set_logger(&COLLECTOR).expect("there is no other");
            log::set_max_level(log::LevelFilter::Trace);
            let report = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                COLLECTOR.push("panic", info.to_string());
                report(info);
            }));
        });
        &COLLECTOR
    }

    /// Sees how a value is formatted.
    pub(crate) fn debug(&self, value: &dyn Debug) {
        self.push("Debug", format!("{value:?}\n{value:#?}"));
    }

    /// Sees how an error and its chain are formatted.
    pub(crate) fn error(&self, error: &(dyn Error + 'static)) {
        let mut next = Some(error);
        while let Some(error) = next {
            self.debug(&error);
            self.push("Display", error.to_string());
            next = error.source();
        }
    }

    pub(crate) fn push(&self, from: &str, text: String) {
        let from = from.to_owned();
        self.records().insert(Record { from, text });
    }

    pub(crate) fn records(&self) -> MutexGuard<'_, BTreeSet<Record>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The crates that said something.
    pub(crate) fn crates(&self) -> BTreeSet<String> {
        let name = |record: &Record| record.from.split("::").next().map(str::to_owned);
        self.records().iter().filter_map(name).collect()
    }
}

impl log::Log for Collector {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        self.push(record.target(), record.args().to_string());
    }

    fn flush(&self) {}
}

/// Listens to `tracing`: events, spans, and what is added to spans.
struct Spans(&'static Collector);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans {
    fn on_new_span(&self, span: &span::Attributes<'_>, _: &span::Id, _: Context<'_, S>) {
        let mut fields = Fields(span.metadata().name().to_owned());
        span.record(&mut fields);
        self.0.push(span.metadata().target(), fields.0);
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, context: Context<'_, S>) {
        let mut fields = Fields(String::new());
        values.record(&mut fields);
        let target = context.metadata(id).map_or("", |span| span.target());
        self.0.push(target, fields.0);
    }

    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields(String::new());
        event.record(&mut fields);
        self.0.push(event.metadata().target(), fields.0);
    }
}

struct Fields(String);

impl Fields {
    fn push(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        write!(self.0, " {field}={value}").expect("a String takes everything");
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.push(field, format_args!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.push(field, format_args!("{value}"));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut next = Some(value);
        while let Some(error) = next {
            self.push(field, format_args!("{error} {error:?}"));
            next = error.source();
        }
    }
}

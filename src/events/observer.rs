use std::sync::Arc;

use super::Event;

/// Is told what happens.
///
/// Called synchronously, sometimes on a request's path: it must be quick and must not block. A
/// panic in it harms nothing but its own report.
///
/// A closure is an observer, and `()` is the one that ignores everything. So are tuples, vectors
/// and `Arc`s of observers: each member is told, in order.
///
/// ```
/// use std::sync::{Arc, atomic::{AtomicU64, Ordering}};
/// use tower_oauth::events::{Event, Observer};
///
/// #[derive(Default)]
/// struct Failures(AtomicU64);
///
/// impl Observer for Failures {
///     fn event(&self, event: &Event<'_>) {
///         if let Event::FetchFailed { .. } = event {
///             self.0.fetch_add(1, Ordering::Relaxed);
///         }
///     }
/// }
///
/// let failures = Arc::new(Failures::default());
/// // For `TokenHandleBuilder::observer`, while `failures` stays at hand.
/// let observer = (failures.clone(), |event: &Event<'_>| println!("{event:?}"));
/// # fn is_observer(_: impl Observer) {}
/// # is_observer(observer);
/// ```
pub trait Observer: Send + Sync + 'static {
    /// Something happened.
    fn event(&self, event: &Event<'_>);
}

impl Observer for () {
    fn event(&self, _event: &Event<'_>) {}
}

impl<F: Fn(&Event<'_>) + Send + Sync + 'static> Observer for F {
    fn event(&self, event: &Event<'_>) {
        self(event);
    }
}

impl<O: Observer + ?Sized> Observer for Arc<O> {
    fn event(&self, event: &Event<'_>) {
        O::event(self, event);
    }
}

impl<O: Observer> Observer for Vec<O> {
    fn event(&self, event: &Event<'_>) {
        for observer in self {
            observer.event(event);
        }
    }
}

impl<A: Observer, B: Observer> Observer for (A, B) {
    fn event(&self, event: &Event<'_>) {
        self.0.event(event);
        self.1.event(event);
    }
}

impl<A: Observer, B: Observer, C: Observer> Observer for (A, B, C) {
    fn event(&self, event: &Event<'_>) {
        self.0.event(event);
        self.1.event(event);
        self.2.event(event);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn each_member_of_a_tuple_a_vector_or_an_arc_is_told_in_order() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let member = |name: &'static str| {
            let told = Arc::clone(&told);
            move |_: &Event<'_>| told.lock().unwrap().push(name)
        };
        let shared: Arc<dyn Observer> = Arc::new(member("shared"));
        let vector: Vec<Arc<dyn Observer>> = vec![shared, Arc::new((member("a"), member("b")))];
        (member("first"), (), vector).event(&Event::Closed);
        assert_eq!(*told.lock().unwrap(), ["first", "shared", "a", "b"]);
    }
}

use std::sync::{Arc, Mutex};

use tower_oauth::events::{Event, Observer};

/// An observer that keeps what it was told of rejections.
#[derive(Clone, Default)]
pub(crate) struct Watcher(Arc<Mutex<Vec<(bool, String)>>>);

impl Watcher {
    /// The hints of the loud events so far.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let told = self.0.lock().unwrap();
        told.iter()
            .filter(|(first, _)| *first)
            .map(|(_, hint)| hint.clone())
            .collect()
    }

    /// How many rejections were told in all.
    pub(crate) fn rejections(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

impl Observer for Watcher {
    fn event(&self, event: &Event<'_>) {
        if let Event::Rejected { hint, first, .. } = event {
            self.0.lock().unwrap().push((*first, (*hint).to_owned()));
        }
    }
}

//! What a server remembers of what it saw, until it is told to forget.

#[derive(Debug)]
pub(super) struct Log<T> {
    forgotten: usize,
    kept: Vec<T>,
}

impl<T> Log<T> {
    /// Adds an entry; returns its number, from 0 on.
    pub(super) fn push(&mut self, entry: T) -> usize {
        self.kept.push(entry);
        self.total() - 1
    }

    /// An entry that may have been forgotten.
    pub(super) fn get_mut(&mut self, number: usize) -> Option<&mut T> {
        self.kept.get_mut(number.checked_sub(self.forgotten)?)
    }

    /// How many entries there were, forgotten ones included.
    pub(super) fn total(&self) -> usize {
        self.forgotten + self.kept.len()
    }

    pub(super) fn forget(&mut self) {
        self.forgotten = self.total();
        self.kept = Vec::new();
    }
}

impl<T: Clone> Log<T> {
    pub(super) fn kept(&self) -> Vec<T> {
        self.kept.clone()
    }
}

impl<T> Default for Log<T> {
    fn default() -> Self {
        Self {
            forgotten: 0,
            kept: Vec::new(),
        }
    }
}

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

/// A number of octets that the bodies of many requests may take up together while they are kept.
///
/// Clones are the same budget. A body that would exceed it is sent on, and can't be sent again;
/// what it had taken is free at once.
#[derive(Clone)]
pub struct Budget(Arc<Inner>);

struct Inner {
    octets: usize,
    used: AtomicUsize,
}

impl Budget {
    /// A budget of so many octets.
    pub fn new(octets: usize) -> Self {
        Self(Arc::new(Inner {
            octets,
            used: AtomicUsize::new(0),
        }))
    }

    /// How many octets it has in all.
    pub fn octets(&self) -> usize {
        self.0.octets
    }

    /// How many octets are kept right now.
    pub fn used(&self) -> usize {
        self.0.used.load(Relaxed)
    }

    // The counter guards no other memory, so that no ordering is asked of it.
    fn take(&self, octets: usize) -> bool {
        let taken = |used: usize| used.checked_add(octets).filter(|it| *it <= self.0.octets);
        self.0.used.fetch_update(Relaxed, Relaxed, taken).is_ok()
    }

    fn give_back(&self, octets: usize) {
        self.0.used.fetch_sub(octets, Relaxed);
    }
}

impl From<usize> for Budget {
    /// A budget of so many octets.
    fn from(octets: usize) -> Self {
        Self::new(octets)
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget")
            .field("octets", &self.octets())
            .field("used", &self.used())
            .finish()
    }
}

// ===== impl Allowance =====

/// How much of one body may be kept for a second send.
#[derive(Clone, Debug)]
pub struct Allowance {
    octets: usize,
    budget: Option<Budget>,
}

impl Allowance {
    /// So many octets, and none out of a budget. Zero: the body is never kept.
    pub const fn new(octets: usize) -> Self {
        Self {
            octets,
            budget: None,
        }
    }

    /// What is kept is taken out of this budget, too. Default: out of none.
    #[must_use]
    pub fn out_of(mut self, budget: Budget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// The same, of so many octets.
    pub(crate) fn with_octets(self, octets: usize) -> Self {
        Self { octets, ..self }
    }

    /// How many octets of the body may be kept.
    pub fn octets(&self) -> usize {
        self.octets
    }

    pub(super) fn budget(&self) -> Option<&Budget> {
        self.budget.as_ref()
    }
}

// ===== impl Share =====

/// What one body takes up, and has taken out of its budget. It goes back when this is dropped.
#[derive(Default)]
pub(super) struct Share {
    octets: usize,
    budget: Option<Budget>,
}

impl Share {
    /// Nothing yet, to be taken out of this budget.
    pub(super) fn of(budget: Option<&Budget>) -> Self {
        Self {
            octets: 0,
            budget: budget.cloned(),
        }
    }

    pub(super) fn octets(&self) -> usize {
        self.octets
    }

    /// Takes so many more; `false`, and nothing is taken, when the budget hasn't got them.
    pub(super) fn grow(&mut self, octets: usize) -> bool {
        let granted = self.budget.as_ref().is_none_or(|it| it.take(octets));
        if granted {
            self.octets += octets;
        }
        granted
    }

    pub(super) fn shrink(&mut self, octets: usize) {
        self.octets -= octets;
        if let Some(budget) = &self.budget {
            budget.give_back(octets);
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.shrink(self.octets);
    }
}

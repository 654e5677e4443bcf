//! How long things last, how long they may take, and how much there may be.

use std::time::Duration;

use super::Check;
use crate::{
    profile::{
        file::{LifetimeTable, LimitsTable},
        quantity::Span,
    },
    token::LifetimeConfig,
    transport::TransportLimits,
};

impl Check<'_, '_> {
    /// A span that must not be nothing.
    fn positive(&mut self, key: &str, span: Option<Span>) -> Option<Duration> {
        let Span(span) = span?;
        if span.is_zero() {
            self.fault(key, "it can't be zero");
        }
        Some(span)
    }

    pub(super) fn lifetime(&mut self, table: &LifetimeTable) -> LifetimeConfig {
        let mut lifetime = LifetimeConfig::new();
        if let Some(Span(margin)) = table.margin {
            lifetime = lifetime.margin(margin);
        }
        if let Some(assumed) = self.positive("lifetime.assumed", table.assumed) {
            lifetime = lifetime.assumed_lifetime(assumed);
        }
        if let Some(max_age) = self.positive("lifetime.max_token_age", table.max_token_age) {
            lifetime = lifetime.max_token_age(max_age);
        }
        lifetime
    }

    pub(super) fn limits(&mut self, table: &LimitsTable) -> (TransportLimits, Option<Duration>) {
        let mut limits = TransportLimits::new();
        if let Some(deadline) = self.positive("limits.deadline", table.deadline) {
            limits = limits.deadline(deadline);
        }
        if let Some(size) = table.max_answer {
            if size.0 == 0 {
                self.fault("limits.max_answer", "it can't be zero");
            }
            limits = limits.max_answer(size.0);
        }
        let fetch_deadline = self.positive("limits.fetch_deadline", table.fetch_deadline);
        (limits, fetch_deadline)
    }
}

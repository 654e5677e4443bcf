use std::time::Duration;

/// What an exchange with the authorization server may cost.
#[derive(Clone, Debug)]
pub struct TransportLimits {
    pub(super) deadline: Duration,
    pub(super) max_answer: usize,
}

impl TransportLimits {
    /// The defaults: 10 s and 1 MiB.
    pub fn new() -> Self {
        Self {
            deadline: Duration::from_secs(10),
            max_answer: 1024 * 1024,
        }
    }

    /// How long the whole exchange may take, from connecting to the last octet of the answer.
    /// Default: 10 s.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// How many octets the body of an answer may have; reading stops there. Default: 1 MiB.
    #[must_use]
    pub fn max_answer(mut self, octets: usize) -> Self {
        self.max_answer = octets;
        self
    }

    /// The same, for answers that have less to say.
    pub(crate) fn at_most(mut self, octets: usize) -> Self {
        self.max_answer = self.max_answer.min(octets);
        self
    }
}

impl Default for TransportLimits {
    fn default() -> Self {
        Self::new()
    }
}

use std::time::Duration;

/// Notices when the authorization server gives tokens that live much shorter than before: a typo
/// there, or a policy that nobody told us of, multiplies the load of every client.
#[derive(Debug, Default)]
pub(crate) struct Lifetimes {
    last: Option<Duration>,
}

impl Lifetimes {
    /// A new token lives for so long, as the server says. Returns what the one before had, if this
    /// is a tenth of it at most.
    pub(crate) fn next(&mut self, expires_in: Option<Duration>) -> Option<Duration> {
        let last = std::mem::replace(&mut self.last, expires_in)?;
        let expires_in = expires_in?;
        (expires_in < last && expires_in <= last / 10).then_some(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_that_collapses_is_noticed_once() {
        let mut lifetimes = Lifetimes::default();
        for (expires_in, from) in [
            (Some(3600), None),
            (Some(3600), None),
            (Some(900), None),
            (Some(3600), None),
            (Some(60), Some(3600)),
            (Some(60), None),
            (Some(6), Some(60)),
            (Some(0), Some(6)),
            (Some(0), None),
            (Some(3600), None),
            (None, None),
            (Some(60), None),
            (Some(3600), None),
            (Some(360), Some(3600)),
        ] {
            let seconds = Duration::from_secs;
            let noticed = lifetimes.next(expires_in.map(seconds));
            assert_eq!(noticed, from.map(seconds), "{expires_in:?}");
        }
    }
}

use std::{collections::HashMap, fmt, io, sync::Mutex, time::Duration};

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use super::lock;
use crate::clock::{Clock, Deadline};

/// The tokens that an authorization server has issued and not revoked, shared with the resources
/// that trust it.
pub(super) struct TokenSet {
    clock: Clock,
    issued: Mutex<HashMap<String, Issued>>,
}

/// What a token stands for.
#[derive(Clone, Debug)]
pub(super) struct Issued {
    pub(super) client_id: String,
    pub(super) scope: String,
    /// The certificate that the token is bound to (RFC 8705 section 3).
    pub(super) bound_to: Option<String>,
    /// In seconds since the Unix epoch.
    pub(super) expires_at: Option<u64>,
    deadline: Option<Deadline>,
}

impl Issued {
    /// Whether it is bound to another certificate than this one.
    pub(super) fn is_misbound(&self, thumbprint: Option<&str>) -> bool {
        self.bound_to.is_some() && self.bound_to.as_deref() != thumbprint
    }
}

impl TokenSet {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            issued: Mutex::default(),
        }
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Issues a token: 43 characters that say nothing.
    pub(super) fn mint(
        &self,
        client_id: &str,
        scope: &str,
        bound_to: Option<String>,
        lifetime: Option<Duration>,
    ) -> io::Result<String> {
        let mut random = [0; 32];
        aws_lc_rs::rand::fill(&mut random).map_err(io::Error::other)?;
        let token = BASE64_URL_SAFE_NO_PAD.encode(random);

        let now = self.clock.now();
        let issued = Issued {
            client_id: client_id.to_owned(),
            scope: scope.to_owned(),
            bound_to,
            expires_at: lifetime.map(|lifetime| now.wall.saturating_add(lifetime).as_secs()),
            deadline: lifetime.map(|lifetime| now.deadline(lifetime)),
        };
        lock(&self.issued).insert(token.clone(), issued);
        Ok(token)
    }

    /// What this token stands for, while it is neither expired nor revoked.
    pub(super) fn find(&self, token: &str) -> Option<Issued> {
        let now = self.clock.now();
        let issued = lock(&self.issued).get(token).cloned()?;
        let expired = issued
            .deadline
            .is_some_and(|deadline| deadline.has_come(now));
        (!expired).then_some(issued)
    }

    /// Revokes this token, if it is of this client. Says whether it may: one that isn't known is
    /// nobody's.
    pub(super) fn revoke(&self, token: &str, client_id: &str) -> bool {
        let mut issued = lock(&self.issued);
        let own = issued
            .get(token)
            .is_none_or(|issued| issued.client_id == client_id);
        if own {
            issued.remove(token);
        }
        own
    }

    pub(super) fn revoke_all_of(&self, client_id: &str) {
        lock(&self.issued).retain(|_, issued| issued.client_id != client_id);
    }

    pub(super) fn revoke_all(&self) {
        lock(&self.issued).clear();
    }
}

impl fmt::Debug for TokenSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSet").finish_non_exhaustive()
    }
}

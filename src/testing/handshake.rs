use std::{
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{lock, log::Log};

/// A TLS handshake as a server saw it.
#[derive(Clone, PartialEq, Eq)]
pub struct Handshake {
    arrival: u64,
    certificate_thumbprint: Option<String>,
    resumed: bool,
}

impl Handshake {
    /// The number of its connection, from 1, in the order in which they arrived: handshakes don't
    /// end in that order.
    pub fn arrival(&self) -> u64 {
        self.arrival
    }

    /// The `x5t#S256` of the client's certificate. That of a resumed session is the one that the
    /// session began with, whatever the client would show now.
    pub fn certificate_thumbprint(&self) -> Option<&str> {
        self.certificate_thumbprint.as_deref()
    }

    /// Whether it resumed an earlier session.
    pub fn is_resumed(&self) -> bool {
        self.resumed
    }
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake")
            .field("arrival", &self.arrival)
            .field("certificate_thumbprint", &self.certificate_thumbprint)
            .field("resumed", &self.resumed)
            .finish()
    }
}

// ===== impl Connections =====

/// The connections of one server, so far and right now.
#[derive(Debug, Default)]
pub(super) struct Connections {
    arrived: AtomicU64,
    open: AtomicU64,
    handshakes: Mutex<Log<Handshake>>,
}

/// A connection, while it lives.
#[derive(Debug)]
pub(super) struct Arrival {
    number: u64,
    connections: Arc<Connections>,
}

impl Connections {
    pub(super) fn arrived(self: &Arc<Self>) -> Arrival {
        self.open.fetch_add(1, Ordering::Relaxed);
        Arrival {
            number: self.arrived.fetch_add(1, Ordering::Relaxed) + 1,
            connections: Arc::clone(self),
        }
    }

    /// TLS connections so far.
    pub(super) fn total(&self) -> u64 {
        lock(&self.handshakes).total() as u64
    }

    /// Connections right now.
    pub(super) fn open(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }

    pub(super) fn handshakes(&self) -> Vec<Handshake> {
        lock(&self.handshakes).kept()
    }

    pub(super) fn forget_handshakes(&self) {
        lock(&self.handshakes).forget();
    }
}

impl Arrival {
    /// Records the handshake; returns its number.
    pub(super) fn shook_hands(&self, thumbprint: Option<String>, resumed: bool) -> u64 {
        let mut handshakes = lock(&self.connections.handshakes);
        handshakes.push(Handshake {
            arrival: self.number,
            certificate_thumbprint: thumbprint,
            resumed,
        });
        handshakes.total() as u64
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        self.connections.open.fetch_sub(1, Ordering::Relaxed);
    }
}

use std::sync::Arc;

use tokio::sync::watch;

/// A gate that a test shuts to hold requests where they are, all at the same moment.
#[derive(Clone, Debug)]
pub(super) struct Gate(Arc<Channels>);

/// Two channels, so that another arrival doesn't wake all who are held.
#[derive(Debug)]
struct Channels {
    position: watch::Sender<Position>,
    held: watch::Sender<usize>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Position {
    shut: bool,
    /// How often it was opened: who is held goes on at the next opening, even when the gate was
    /// shut again before the task ran.
    openings: u64,
}

impl Gate {
    pub(super) fn new() -> Self {
        Self(Arc::new(Channels {
            position: watch::Sender::default(),
            held: watch::Sender::default(),
        }))
    }

    pub(super) fn shut(&self) {
        self.0.position.send_modify(|position| position.shut = true);
    }

    pub(super) fn open(&self) {
        self.0.position.send_modify(|position| {
            position.shut = false;
            position.openings += 1;
        });
    }

    /// Waits while the gate is shut.
    pub(super) async fn pass(&self) {
        let mut position = self.0.position.subscribe();
        let arrival = *position.borrow_and_update();
        if arrival.shut {
            let _place = Place::taken(&self.0.held);
            // It fails only when the sender is gone, and `self` holds it.
            let _ = position
                .wait_for(|position| position.openings != arrival.openings)
                .await;
        }
    }

    /// Waits until at least `count` are held.
    pub(super) async fn holds(&self, count: usize) {
        // As above.
        let _ = self
            .0
            .held
            .subscribe()
            .wait_for(|held| *held >= count)
            .await;
    }
}

/// One who is held; counted out when let go or dropped.
struct Place<'a>(&'a watch::Sender<usize>);

impl<'a> Place<'a> {
    fn taken(held: &'a watch::Sender<usize>) -> Self {
        held.send_modify(|held| *held += 1);
        Self(held)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|held| *held -= 1);
    }
}

use http_body::Body;

use super::Allowance;

/// A body that can be sent once more.
///
/// There is no implementation for every body that is `Clone`: it would shut out the bodies of
/// other crates, and a clone of a stream is seldom a copy of it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a body that can be sent once more",
    label = "this body can't be kept for a second send",
    note = "wrap the body: `tower_oauth::body::ReplayBody::new(body)` keeps a bounded copy of any body while it is sent",
    note = "between two services, `tower_http`'s `MapRequestBodyLayer::new(ReplayBody::new)` above the OAuth layer wraps the body, and a second `MapRequestBodyLayer` below it turns it into the type the inner service takes"
)]
pub trait RetryBody: Body + Sized {
    /// What is kept for the second send.
    type Spare: Spare<Self>;

    /// Arms the body: gives the body to send now and what is kept of it.
    ///
    /// `allowance` is how much may be kept for this request; a body that outgrows it is sent on,
    /// but not again. Bodies that are sent again by clone have no use for it.
    fn arm(self, allowance: &Allowance) -> (Self, Self::Spare);
}

/// What is kept of a body for a second send.
///
/// A claim has two steps. [`claim`](Self::claim), at the moment of the rejection, parks the first
/// send. Then either [`take`](Self::take) begins the second send, or [`release`](Self::release)
/// lets the first one go on.
///
/// Clones stand for the same body: what one has claimed, another may take. A clone must be cheap.
/// When the last clone is dropped, the body can't be claimed any more, nothing is kept any longer,
/// and a claim that is still open is given back.
pub trait Spare<B>: Clone {
    /// Claims the body. From then on the first send is parked: its body is pending, and nothing
    /// more is read of it.
    ///
    /// `false` when the body can't be sent again whole (it outgrew its limit, or failed), or while
    /// another claim is open.
    fn claim(&self) -> bool;

    /// Takes the claimed body for the second send, whole and from its start. The first send's body
    /// fails from now on; it never just ends.
    ///
    /// `None` when no claim is open. After a take, the body that was taken can be claimed in turn.
    fn take(&self) -> Option<B>;

    /// Gives an open claim back: the first send wakes and goes on.
    fn release(&self);

    /// Whether the body could still be sent again. Once `false`, it stays `false`.
    fn is_retryable(&self) -> bool;

    /// Whether it can't be sent again because the [`Budget`](super::Budget) was spent. Default:
    /// `false`, as for bodies that take nothing out of it.
    fn is_crowded_out(&self) -> bool {
        false
    }
}

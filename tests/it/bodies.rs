//! Bodies of all kinds and lengths on their way through the layer.

mod abort;
mod budget;
pub(crate) mod order;
mod repeat;
pub(crate) mod rollover;

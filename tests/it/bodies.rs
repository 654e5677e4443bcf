//! Bodies of all kinds and lengths on their way through the layer.

mod budget;
mod repeat;

//! Whole paths, and the house they run through.

mod architecture;
mod body;
mod events;
mod kit;
mod layer;
mod life;
mod over_tls;
mod rotation;
mod support;

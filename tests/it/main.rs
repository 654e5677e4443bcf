//! Whole paths, and the house they run through.

mod architecture;
mod bodies;
mod body;
mod gateway;
mod kit;
mod layer;
mod life;
mod over_tls;
mod reqwest;
mod rotation;
mod support;

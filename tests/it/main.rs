//! Whole paths, and the house they run through.

mod architecture;
mod bodies;
mod body;
mod discovery;
mod doctor;
mod events;
mod examples;
mod gateway;
mod hot_profile;
mod kit;
mod layer;
mod life;
mod over_tls;
mod pitfalls;
mod profile;
mod proxy;
mod reqwest;
mod rotation;
mod server;
mod stacks;
mod support;
mod tonic;

//! Whole paths, and the house they run through.

mod architecture;
mod body;
mod discovery;
mod doctor;
mod hot_profile;
mod kit;
mod layer;
mod life;
mod over_tls;
mod profile;
mod proxy;
mod rotation;
mod support;

//! Whole paths, and the house they run through.

mod architecture;
mod body;
mod doctor;
mod hot_profile;
mod discovery;
mod kit;
mod layer;
mod life;
mod over_tls;
mod profile;
mod proxy;
mod rotation;
mod support;

//! Whole paths, and the house they run through.

mod architecture;
mod body;
mod kit;
mod layer;
mod life;
mod over_tls;
mod rotation;
mod support;
#[cfg(feature = "tonic014")]
mod tonic;

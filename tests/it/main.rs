//! Whole paths, and the house they run through.

mod architecture;
mod body;
mod in_memory;
mod kit;
mod over_tls;

//! The whole path over real sockets and TLS, on a runtime with several threads: what is claimed is
//! counted at the servers.

mod bad_input;
pub(crate) mod client;
mod credentials;
mod crowd;
mod one_token;
mod original;
mod origins;
mod outage;
mod revocation;
mod second_attempt;
mod stream;
pub(crate) mod world;

use self::{
    client::Version,
    world::{Api, By, SECRET, World, identity},
};

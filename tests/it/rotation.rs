//! Certificates that change while calls go on, over TLS that checks every token against the
//! certificate of its connection.

mod binding;
mod control;
mod expiry;
mod half;
mod hammer;
mod refused;
pub(crate) mod world;

use self::world::{Seen, World};

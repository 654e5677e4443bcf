//! Certificates that change while calls go on, over TLS that checks every token against the
//! certificate of its connection.

mod control;
mod half;
mod hammer;
mod refused;
mod world;

use self::world::{Seen, World};

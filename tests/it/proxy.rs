//! A proxy on the way to both servers: what it sees, what it refuses, and what it breaks.

mod api;
mod faults;
mod tokens;
mod world;

use self::world::World;

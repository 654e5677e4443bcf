//! From an issuer to a token: what is believed of a server's metadata, and for how long.

mod methods;
mod refusals;
mod renewals;
mod world;

use self::world::{OAUTH, OPENID, SECRET, World};

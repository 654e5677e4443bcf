//! What an access token is here: an opaque secret with a number and a schedule.

mod access_token;
mod cause;
#[cfg(test)]
mod fleet;
mod lifetime;

pub(crate) use self::lifetime::{Age, Schedule};
pub use self::{
    access_token::{AccessToken, InvalidAccessToken},
    cause::{Cause, Generation},
    lifetime::LifetimeConfig,
};

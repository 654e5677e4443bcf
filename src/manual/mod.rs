//! The manual: pages that tell how, where the other pages tell what.

#[cfg(feature = "profile")]
#[doc = include_str!("profile.md")]
pub mod profile {}
#[doc = include_str!("proxies.md")]
pub mod proxies {}

//! The manual: pages that tell how, where the other pages tell what.

#[doc = include_str!("first_token.md")]
pub mod first_token {}
#[doc = include_str!("settings.md")]
pub mod settings {}
#[cfg(feature = "profile")]
#[doc = include_str!("profile.md")]
pub mod profile {}
#[doc = include_str!("proxies.md")]
pub mod proxies {}
#[doc = include_str!("stacks.md")]
pub mod stacks {}
#[doc = include_str!("discovery.md")]
pub mod discovery {}
#[doc = include_str!("observability.md")]
#[doc = ""]
#[doc = include_str!("dashboard.svg")]
pub mod observability {}

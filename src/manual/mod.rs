//! The manual: pages that tell how, where the other pages tell what.

#[doc = include_str!("observability.md")]
pub mod observability {}

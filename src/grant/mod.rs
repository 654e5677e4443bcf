//! Where tokens come from: the [`TokenSource`] trait and one file for each grant.

mod source;

pub(crate) use self::source::DynTokenSource;
pub use self::source::{Fetched, SourceFn, TokenSource, source_fn};

//! A token that is always there: fetched once, renewed in the background, replaced when refused.

mod backoff;
mod control;

//! Whole paths over real connections.

mod body;

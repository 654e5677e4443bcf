//! Whole paths, over real sockets.

mod kit;

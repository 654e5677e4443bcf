//! The middleware, through reqwest, over real sockets.

mod cancel;
mod chain;
mod early;
mod errors;
mod example;
mod plain;
mod redirects;
mod rollover;
mod rotation;
mod stream;
mod transport;
mod world;

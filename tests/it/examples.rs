//! The examples do as they say.

mod axum_gateway;
mod axum_service;
mod hyper_client;
mod soak;

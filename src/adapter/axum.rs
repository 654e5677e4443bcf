//! For axum 0.8.

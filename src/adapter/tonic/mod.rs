//! For tonic 0.14.

//! Layers for servers that call on.

//! Whole paths, and the house they run through.

mod architecture;

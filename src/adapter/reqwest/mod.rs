//! For reqwest 0.13 and reqwest-middleware 0.5.

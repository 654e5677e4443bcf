//! One declarative file in place of code.

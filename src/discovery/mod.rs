//! From an issuer to its metadata (RFC 8414).

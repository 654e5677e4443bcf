//! One declarative file in place of code.
//!
//! A [`Profile`] says who the client is, how it proves it, whom it trusts, and where its tokens
//! may go: in TOML or JSON, without a secret in it. It becomes calls of the builders that code
//! calls. What is wrong with it is a [`ProfileError`], which names file, line, key and cure of every
//! fault.
//!
//! ```
//! use tower_oauth::profile::Profile;
//!
//! let text = r#"
//!     issuer = "https://as.example"
//!     token_endpoint = "https://as.example/oauth2/token"
//!     client_id = "orders-service"
//!     token_endpoint_auth_method = "private_key_jwt"
//!     scope = "orders.read"
//!
//!     [keystore]
//!     path = "orders.p12"
//!     password_file = "orders.password"
//!
//!     [authorization_server.truststore]
//!     path = "as-ca.pem"
//!
//!     [api]
//!     allowed_origins = ["https://api.example"]
//!     truststore.path = "api-ca.pem"
//! "#;
//! let profile = Profile::parse(text, "/etc/orders")?;
//! assert_eq!(profile.client_id(), "orders-service");
//!
//! let error = Profile::parse("client_secret = 'hunter2'", "/etc/orders").unwrap_err();
//! assert!(error.to_string().contains("name that by `client_secret_file`"));
//! # Ok::<(), tower_oauth::profile::ProfileError>(())
//! ```
//!
//! The manual's page on [profiles](https://docs.rs/tower-oauth/latest/tower_oauth/manual/profile/)
//! has a complete example and all keys.

mod api_client;
mod build;
mod check;
mod decode;
mod document;
mod fault;
mod file;
mod hot;
mod load;
mod quantity;
mod schema;
mod secret;
mod settings;
mod tree;
mod variables;

pub use self::{
    api_client::{ApiClient, ApiFuture},
    fault::{Fault, ProfileError, Stage},
    hot::{HotProfile, HotProfileBuilder},
    load::Profile,
    schema::JSON_SCHEMA,
};

#[cfg(test)]
mod tests;

//! One declarative file in place of code.

mod api_client;
mod build;
mod check;
mod decode;
mod document;
mod fault;
mod file;
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
    load::Profile,
    schema::JSON_SCHEMA,
};

#[cfg(test)]
mod tests;

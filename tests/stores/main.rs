//! Stores that keytool and openssl made, and what becomes of them when they are damaged.
//!
//! A binary of its own, because it counts what the process allocates.
#![cfg(all(any(feature = "hyper", feature = "jwt"), feature = "legacy-ciphers"))]

mod damage;
mod zoo;

use std::path::PathBuf;

use peak_alloc::PeakAlloc;
use tower_oauth::keystore::KeyStore;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

const PASSWORD: &str = "changeit";

fn path(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/stores", name]
        .iter()
        .collect()
}

fn store(name: &str) -> KeyStore {
    KeyStore::file(path(name)).password(PASSWORD)
}

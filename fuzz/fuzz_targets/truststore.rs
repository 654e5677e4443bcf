#![no_main]

use libfuzzer_sys::fuzz_target;
use tower_oauth::{keystore::KeyStore, tls::TrustAnchors};

fuzz_target!(|content: &[u8]| {
    let store = KeyStore::bytes(content).allow_unverified();
    if let Err(error) = TrustAnchors::load_blocking(&store) {
        assert!(error.to_string().len() < 16 * 1024);
    }
});

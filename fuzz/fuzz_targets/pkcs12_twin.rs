#![no_main]

use libfuzzer_sys::fuzz_target;
use p12_keystore::{KeyStore as Twin, Pkcs12ImportPolicy, error::Error};
use tower_oauth::keystore::KeyStore;

const PASSWORD: &str = "changeit";

fuzz_target!(|content: &[u8]| {
    // The twin reads what stands in front and leaves the rest; PEM and JKS are none of its.
    if content.first() != Some(&0x30) {
        return;
    }
    let store = KeyStore::bytes(content).password(PASSWORD);
    if store.load_blocking().is_ok() {
        let twin = Twin::from_pkcs12(content, PASSWORD, Pkcs12ImportPolicy::Relaxed);
        // It doesn't know RC2 with 128 bits.
        if let Err(error) = twin
            && !matches!(error, Error::UnsupportedEncryptionScheme)
        {
            panic!("{error:?}");
        }
    }
});

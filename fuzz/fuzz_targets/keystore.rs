#![no_main]

use libfuzzer_sys::fuzz_target;
use tower_oauth::keystore::KeyStore;

fuzz_target!(|content: &[u8]| {
    let store = KeyStore::bytes(content).allow_unverified();
    let with_password = store.clone().password("changeit");
    // Without a password the change of an octet reaches further: no MAC stands in the way.
    for store in [store, with_password] {
        if let Err(error) = store.load_blocking() {
            assert!(error.to_string().len() < 16 * 1024);
        }
    }
});

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tower_oauth::{
    ErrorKind, TokenError,
    keystore::{KeyStore, KeystoreError, Password},
};

use crate::{PASSWORD, path, store};

fn refused(store: &KeyStore) -> KeystoreError {
    store.load_blocking().unwrap_err()
}

fn certificate(name: &str) -> String {
    format!("../keys/{name}-client.pem")
}

#[test]
fn every_store_of_one_key_is_read() {
    for name in [
        "keytool-rsa.jks",
        "keytool-p256.jks",
        "keytool-ed25519.jks",
        "keytool-chain.jks",
        "keytool-rsa.p12",
        "keytool-p256.p12",
        "keytool-p384.p12",
        "keytool-ed25519.p12",
        "keytool-legacy.p12",
        "keytool-chain.p12",
        "openssl-rsa.p12",
        "openssl-p256.p12",
        "openssl-p384.p12",
        "openssl-ed25519.p12",
        "openssl-legacy.p12",
        "openssl-rc2-128.p12",
        "openssl-3des.p12",
        "openssl-aes-128.p12",
        "openssl-no-name.p12",
        "openssl-no-encryption.p12",
        "openssl-chain.p12",
        "openssl-combined.pem",
    ] {
        let identity = store(name).load_blocking();
        let identity = identity.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(
            identity.subject().contains("CN=orders-service"),
            "{name}: {}",
            identity.subject()
        );
    }
}

#[test]
fn every_encryption_of_a_pem_key_is_read() {
    for name in [
        "openssl-aes-256.pem",
        "openssl-aes-128-sha1.pem",
        "openssl-aes-192-sha512.pem",
        "openssl-pbes2-3des.pem",
        "openssl-pbes1-3des.pem",
    ] {
        let store = KeyStore::pem_files(path(&certificate("p256")), path(name)).password(PASSWORD);
        store
            .load_blocking()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let error = refused(&store.password("wrong"));
        assert!(
            matches!(error, KeystoreError::WrongPassword { .. }),
            "{name}: {error}"
        );
    }
}

#[test]
fn what_cannot_be_decrypted_is_named() {
    for (name, algorithm) in [
        ("openssl-scrypt.pem", "scrypt"),
        ("openssl-md5-des.pem", "DES with MD5"),
        ("../keys/rsa-encrypted-pkcs1.pem", "old PEM"),
    ] {
        let error =
            refused(&KeyStore::pem_files(path(&certificate("rsa")), path(name)).password(PASSWORD));
        assert!(
            matches!(error, KeystoreError::UnsupportedAlgorithm { .. }),
            "{name}: {error}"
        );
        assert!(error.to_string().contains(algorithm), "{error}");
        assert!(error.to_string().contains("openssl pkcs8"), "{error}");
    }
}

#[test]
fn an_empty_password_is_one() {
    for name in [
        "openssl-empty-password.p12",
        "openssl-empty-password-3des.p12",
    ] {
        store(name).password("").load_blocking().unwrap();
        let error = refused(&store(name));
        assert!(
            matches!(error, KeystoreError::WrongPassword { .. }),
            "{name}: {error}"
        );
        let error = refused(&KeyStore::file(path(name)));
        assert!(
            matches!(error, KeystoreError::MissingPassword { .. }),
            "{name}: {error}"
        );
        assert!(error.to_string().contains("even if it is empty"), "{error}");
    }
}

#[test]
fn a_password_beyond_ascii_is_right_in_both_of_its_encodings() {
    let store = store("openssl-utf8-password.p12").password("schlüssel🔑");
    store.load_blocking().unwrap();
}

#[test]
fn a_password_comes_from_a_file_too() {
    let file = std::env::temp_dir().join(format!("tower-oauth-password-{}", std::process::id()));
    for text in ["changeit", "changeit\n", "changeit\r\n"] {
        std::fs::write(&file, text).unwrap();
        let store = store("keytool-p256.p12").password(Password::file(&file));
        store.load_blocking().unwrap();
    }
    // Only one line break belongs to the file and not to the password.
    std::fs::write(&file, "changeit\n\n").unwrap();
    let store = store("keytool-p256.p12").password(Password::file(&file));
    assert!(matches!(
        refused(&store),
        KeystoreError::WrongPassword { .. }
    ));
    std::fs::remove_file(&file).unwrap();
    let error = refused(&store);
    assert!(error.to_string().contains("password file"), "{error}");
}

#[test]
fn a_password_comes_from_the_environment_too() {
    // Cargo sets it for the tests.
    let store = |variable: &str| store("keytool-p256.p12").password(Password::env(variable));
    assert!(matches!(
        refused(&store("CARGO_MANIFEST_DIR")),
        KeystoreError::WrongPassword { .. }
    ));
    let error = refused(&store("TOWER_OAUTH_NO_SUCH_VARIABLE"));
    assert!(
        matches!(error, KeystoreError::NoPassword { unset: true, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("TOWER_OAUTH_NO_SUCH_VARIABLE"));
}

#[test]
fn several_keys_and_no_alias_is_an_error_that_lists_them() {
    for name in ["keytool-two-keys.jks", "keytool-two-keys.p12"] {
        let error = refused(&store(name));
        assert!(
            matches!(error, KeystoreError::SeveralKeys { count: 2, .. }),
            "{error}"
        );
        let text = error.to_string();
        assert!(
            text.contains("`orders`") && text.contains("`billing`"),
            "{text}"
        );

        let error = refused(&store(name).alias("shipping"));
        assert!(
            matches!(error, KeystoreError::UnknownAlias { .. }),
            "{error}"
        );
        let text = error.to_string();
        assert!(
            text.contains("`shipping`") && text.contains("`billing`"),
            "{text}"
        );
    }
}

#[cfg(feature = "jwt")]
#[test]
fn the_alias_chooses_and_the_algorithm_follows_from_the_key() {
    use tower_oauth::jose::{Algorithm, LocalSigner, Signer};

    for name in ["keytool-two-keys.jks", "keytool-two-keys.p12"] {
        for (alias, algorithm) in [
            ("orders", Algorithm::ES256),
            ("billing", Algorithm::ES384),
            ("ORDERS", Algorithm::ES256),
        ] {
            let identity = store(name).alias(alias).load_blocking().unwrap();
            let signer = LocalSigner::from_identity(&identity).unwrap();
            assert_eq!(Signer::algorithm(&signer), algorithm, "{name} {alias}");
        }
    }
}

#[test]
fn a_key_may_have_a_password_of_its_own() {
    let store = store("keytool-key-password.jks");
    store
        .clone()
        .key_password("keypass1")
        .load_blocking()
        .unwrap();
    let error = refused(&store);
    assert!(
        matches!(error, KeystoreError::WrongKeyPassword { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("key_password"), "{error}");
    let error = refused(&store.password("wrong").key_password("keypass1"));
    assert!(
        matches!(error, KeystoreError::WrongPassword { .. }),
        "{error}"
    );
}

#[test]
fn a_wrong_password_is_told_from_damage() {
    for name in [
        "keytool-rsa.jks",
        "keytool-p256.p12",
        "keytool-legacy.p12",
        "openssl-p256.p12",
        "openssl-no-encryption.p12",
    ] {
        let error = refused(&store(name).password("changeme"));
        assert!(
            matches!(error, KeystoreError::WrongPassword { .. }),
            "{name}: {error}"
        );
        assert!(error.to_string().contains(name), "{error}");
        let error = refused(&KeyStore::file(path(name)));
        assert!(
            matches!(error, KeystoreError::MissingPassword { .. }),
            "{name}: {error}"
        );
    }
}

#[test]
fn a_store_without_mac_is_read_only_on_request() {
    for name in ["keytool-no-mac.p12", "openssl-no-mac.p12"] {
        let error = refused(&store(name));
        assert!(
            matches!(error, KeystoreError::Unverified { .. }),
            "{name}: {error}"
        );
        assert!(error.to_string().contains("allow_unverified"), "{error}");
        let store = store(name).allow_unverified();
        store.load_blocking().unwrap();
        // Nobody has said yet that the password is right.
        let error = refused(&store.password("changeme"));
        assert!(
            matches!(error, KeystoreError::WrongPassword { .. }),
            "{name}: {error}"
        );
    }
}

#[test]
fn jceks_is_refused_with_the_command_that_converts_it() {
    let error = refused(&store("keytool.jceks"));
    assert!(
        matches!(error, KeystoreError::UnsupportedFormat { .. }),
        "{error}"
    );
    let text = error.to_string();
    assert!(text.contains("keytool -importkeystore"), "{text}");
    assert!(text.contains("-srcstoretype JCEKS"), "{text}");
}

#[test]
fn what_is_no_store_is_named() {
    for (content, says) in [
        (&b""[..], "empty"),
        (b"hello", "neither PEM nor PKCS#12 nor JKS"),
        (b"\xfe\xed\xfe\xee", "neither PEM nor PKCS#12 nor JKS"),
        (&[0x30, 3, 2, 1, 0], "openssl x509 -inform der"),
    ] {
        let error = refused(&KeyStore::bytes(content).password(PASSWORD));
        assert!(
            matches!(error, KeystoreError::UnsupportedFormat { .. }),
            "{error}"
        );
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[test]
fn lengths_left_open_are_named() {
    let error = refused(&KeyStore::bytes([0x30, 0x80, 2, 1, 3, 0, 0]).password(PASSWORD));
    assert!(error.to_string().contains("BER"), "{error}");
}

#[test]
fn dates_are_checked_and_told() {
    let error = refused(&store("keytool-expired.p12"));
    assert!(matches!(error, KeystoreError::Expired { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("Fri, 31 Jan 2020 00:00:00 GMT"), "{text}");
    assert!(text.contains("CN=orders-service"), "{text}");
    assert_eq!(TokenError::from(error).kind(), ErrorKind::Key);

    let error = refused(&store("keytool-not-yet-valid.p12"));
    assert!(
        matches!(error, KeystoreError::NotYetValid { .. }),
        "{error}"
    );
    let text = error.to_string();
    assert!(text.contains("Mon, 01 Jan 2120 00:00:00 GMT"), "{text}");
}

#[test]
fn an_identity_says_when_it_expires() {
    let clock = tower_oauth::ManualClock::new(at(1_578_000_000));
    let identity = store("keytool-expired.p12")
        .clock(clock)
        .load_blocking()
        .unwrap();
    assert_eq!(identity.not_before(), at(1_577_836_800));
    assert_eq!(identity.not_after(), at(1_580_428_800));
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

#[test]
fn too_many_rounds_are_refused_before_the_first() {
    let error = refused(&store("openssl-many-rounds.p12"));
    assert!(
        matches!(
            error,
            KeystoreError::TooMuchWork {
                rounds: 6_000_000,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn what_is_missing_is_said() {
    let error = refused(&store("openssl-no-certificate.p12"));
    assert!(
        matches!(error, KeystoreError::NoCertificate { .. }),
        "{error}"
    );
    for name in [
        "openssl-no-key.p12",
        "keytool-trust.jks",
        "keytool-trust.p12",
    ] {
        let error = refused(&store(name).alias("root"));
        assert!(
            matches!(error, KeystoreError::NoPrivateKey { .. }),
            "{name}: {error}"
        );
    }
    let key_alone = KeyStore::file(path("openssl-aes-256.pem")).password(PASSWORD);
    assert!(matches!(
        refused(&key_alone),
        KeystoreError::NoCertificate { .. }
    ));
}

#[test]
fn a_key_and_a_certificate_of_another_are_refused() {
    let store = KeyStore::pem_files(path(&certificate("rsa")), path("openssl-aes-256.pem"));
    let error = refused(&store.password(PASSWORD));
    assert!(matches!(error, KeystoreError::Mismatch { .. }), "{error}");
    assert!(error.to_string().contains("rsa-client.pem"), "{error}");
}

#[test]
fn an_alias_for_pem_is_an_error_that_says_so() {
    let error = refused(&store("openssl-combined.pem").alias("orders"));
    assert!(
        matches!(error, KeystoreError::UnknownAlias { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("have no names"), "{error}");
}

#[tokio::test]
async fn loading_leaves_the_async_thread_free() {
    let store = store("keytool-p256.p12");
    store.load().await.unwrap();
    let error = store.password("wrong").load().await.unwrap_err();
    assert!(matches!(error, KeystoreError::WrongPassword { .. }));
}

#[test]
fn no_password_and_no_key_is_in_debug() {
    let store = store("keytool-p256.p12");
    let shown = format!("{store:?}");
    assert!(!shown.contains(PASSWORD), "{shown}");
    assert!(shown.contains("keytool-p256.p12"), "{shown}");
}

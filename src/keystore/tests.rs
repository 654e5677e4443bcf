use std::{error::Error as _, path::PathBuf};

use super::*;
use crate::error::{ErrorKind, TokenError};

macro_rules! key {
    ($name:literal) => {
        include_bytes!(concat!("../../tests/keys/", $name))
    };
}

const CERTIFICATE: &[u8] = key!("p256-client.pem");
const KEY: &[u8] = key!("p256-pkcs8.pem");

fn path(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/keys", name]
        .iter()
        .collect()
}

fn refused(certificates: &[u8], key: &[u8]) -> KeystoreError {
    ClientIdentity::from_pem(certificates, key).unwrap_err()
}

#[test]
fn every_form_and_kind_of_key_is_read() {
    for (certificate, key) in [
        (&key!("rsa-client.pem")[..], &key!("rsa-pkcs8.pem")[..]),
        (key!("rsa-client.pem"), key!("rsa-pkcs1.pem")),
        (key!("p256-client.pem"), key!("p256-pkcs8.pem")),
        (key!("p256-client.pem"), key!("p256-sec1.pem")),
        (key!("p384-client.pem"), key!("p384-pkcs8.pem")),
        (key!("p384-client.pem"), key!("p384-sec1.pem")),
        (key!("p521-client.pem"), key!("p521-pkcs8.pem")),
        (key!("ed25519-client.pem"), key!("ed25519-pkcs8.pem")),
    ] {
        ClientIdentity::from_pem(certificate, key).unwrap();
    }
}

#[test]
fn files_may_be_separate_swapped_or_one() {
    let separate = ClientIdentity::from_pem_files(path("p256-client.pem"), path("p256-sec1.pem"));
    let swapped = ClientIdentity::from_pem_files(path("p256-sec1.pem"), path("p256-client.pem"));
    let both = [KEY, CERTIFICATE].concat();
    let one = ClientIdentity::from_pem(&both, &both);
    for identity in [separate, swapped, one] {
        assert_eq!(identity.unwrap().chain().len(), 1);
    }
}

#[test]
fn the_chain_keeps_its_order() {
    let chain = [CERTIFICATE, key!("ca.pem")].concat();
    let identity = ClientIdentity::from_pem(&chain, KEY).unwrap();
    let alone = ClientIdentity::from_pem(CERTIFICATE, KEY).unwrap();
    assert_eq!(identity.chain().len(), 2);
    assert_eq!(identity.chain()[0], alone.chain()[0]);
}

#[cfg(any(feature = "hyper", feature = "jwt"))]
#[test]
fn a_chain_in_another_order_is_put_right() {
    let straight = [CERTIFICATE, key!("ca.pem")].concat();
    let straight = ClientIdentity::from_pem(&straight, KEY).unwrap();
    let upside_down = [key!("ca.pem"), &key!("rsa-client.pem")[..], CERTIFICATE].concat();
    let put_right = ClientIdentity::from_pem(&upside_down, KEY).unwrap();
    assert_eq!(put_right.chain(), straight.chain());
}

#[test]
fn text_around_the_sections_a_mark_and_crlf_do_no_harm() {
    let text = String::from_utf8(CERTIFICATE.to_vec()).unwrap();
    let text = format!("\u{feff}{}\r\n", text.replace('\n', "\r\n"));
    ClientIdentity::from_pem(text.as_bytes(), KEY).unwrap();
    let text = [b"Bag Attributes: <none>\n", CERTIFICATE, b"\nthe end"].concat();
    ClientIdentity::from_pem(&text, KEY).unwrap();
}

#[test]
fn each_loading_is_another_identity_and_a_clone_is_not() {
    let first = ClientIdentity::from_pem(CERTIFICATE, KEY).unwrap();
    let second = ClientIdentity::from_pem(CERTIFICATE, KEY).unwrap();
    assert_ne!(first.number(), second.number());
    assert_eq!(first.number(), first.clone().number());
}

#[test]
fn a_missing_file_is_named() {
    let error =
        ClientIdentity::from_pem_files(path("absent.crt"), path("p256-sec1.pem")).unwrap_err();
    assert!(matches!(error, KeystoreError::Unreadable { .. }));
    assert!(error.to_string().contains("absent.crt"), "{error}");
    assert!(error.source().is_some());

    let error: TokenError = error.into();
    assert_eq!(error.kind(), ErrorKind::Key);
    assert!(error.to_string().contains("absent.crt"), "{error}");
}

#[test]
fn what_is_missing_is_said() {
    assert!(matches!(
        refused(b"", b""),
        KeystoreError::NoCertificate { .. }
    ));
    assert!(matches!(
        refused(CERTIFICATE, CERTIFICATE),
        KeystoreError::NoPrivateKey { .. }
    ));
    assert!(matches!(
        refused(KEY, KEY),
        KeystoreError::NoCertificate { .. }
    ));
}

#[test]
fn an_encrypted_key_is_named_as_the_cause() {
    for key in [
        &key!("p256-encrypted.pem")[..],
        key!("rsa-encrypted-pkcs1.pem"),
    ] {
        let error = refused(CERTIFICATE, key);
        assert!(
            matches!(error, KeystoreError::EncryptedKey { .. }),
            "{error}"
        );
        assert!(error.to_string().contains("openssl pkey"), "{error}");
        let both = [key, CERTIFICATE].concat();
        let error = refused(&both, &both);
        assert!(
            matches!(error, KeystoreError::EncryptedKey { .. }),
            "{error}"
        );
    }
}

#[test]
fn several_keys_are_refused_with_their_number() {
    let keys = [KEY, key!("rsa-pkcs8.pem")].concat();
    let error = refused(CERTIFICATE, &keys);
    assert!(
        matches!(error, KeystoreError::SeveralKeys { count: 2, .. }),
        "{error}"
    );
}

#[cfg(any(feature = "hyper", feature = "jwt"))]
#[test]
fn a_key_of_another_certificate_is_refused() {
    for (certificates, key) in [
        (CERTIFICATE.to_vec(), &key!("rsa-pkcs8.pem")[..]),
        (key!("rsa-client.pem").to_vec(), KEY),
        // That of an issuer alone.
        (key!("ca.pem").to_vec(), KEY),
    ] {
        let error = refused(&certificates, key);
        assert!(matches!(error, KeystoreError::Mismatch { .. }), "{error}");
    }
}

#[cfg(any(feature = "hyper", feature = "jwt"))]
#[test]
fn a_short_rsa_key_is_refused() {
    let error = refused(key!("rsa-client.pem"), key!("rsa-1024.pem"));
    assert!(
        matches!(error, KeystoreError::UnsupportedKey { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("2048"), "{error}");
}

#[test]
fn no_part_of_the_key_is_in_an_error_or_in_debug() {
    let text = str::from_utf8(KEY).unwrap();
    let secret: String = text.lines().filter(|line| !line.contains('-')).collect();
    let runs: Vec<&str> = (0..secret.len() - 15)
        .map(|at| &secret[at..at + 16])
        .collect();

    let one_line = text.replace('\n', "");
    let open = text.replace("-----END", "----END");
    let bad_base64 = text.replacen("MI", "M!", 1);
    let no_dashes = text.replace("BEGIN PRIVATE KEY-----\n", "BEGIN PRIVATE KEY---");
    for damaged in [one_line, open, bad_base64, no_dashes] {
        let error = refused(CERTIFICATE, damaged.as_bytes());
        assert!(matches!(error, KeystoreError::Malformed { .. }), "{error}");
        let shown = format!("{error} {error:?}");
        let shown = format!("{shown} {:?}", TokenError::from(error));
        for run in &runs {
            assert!(!shown.contains(run), "{shown}");
        }
    }

    let identity = ClientIdentity::from_pem(CERTIFICATE, KEY).unwrap();
    assert_eq!(format!("{identity:?}"), "ClientIdentity { .. }");
}

#[cfg(all(
    any(feature = "hyper", feature = "jwt"),
    not(feature = "legacy-ciphers")
))]
#[test]
fn a_store_that_needs_a_feature_names_it() {
    for name in [
        "openssl-legacy.p12",
        "openssl-3des.p12",
        "keytool-legacy.p12",
    ] {
        let store = KeyStore::file(path("../stores").join(name)).password("changeit");
        let error = store.load_blocking().unwrap_err();
        assert!(
            matches!(error, KeystoreError::UnsupportedAlgorithm { .. }),
            "{error}"
        );
        assert!(error.to_string().contains("`legacy-ciphers`"), "{error}");
    }
    let key = path("../stores/openssl-pbes2-3des.pem");
    let store = KeyStore::pem_files(path("p256-client.pem"), key).password("changeit");
    let error = store.load_blocking().unwrap_err();
    assert!(error.to_string().contains("Triple DES"), "{error}");
}

//! A damaged store is an error: never a panic, and never more memory than its own size explains.

use std::fs;

use proptest::{prelude::*, sample::Index};
use tower_oauth::keystore::{KeyStore, KeystoreError};

use crate::{ALLOCATED, PASSWORD, path};

/// All that loading a store may have allocated at any time, together with everything else in
/// this process.
const MEMORY: usize = 64 * 1024 * 1024;

/// Binary stores that something vouches for: no change goes unnoticed.
const SEALED: [&str; 6] = [
    "keytool-p256.jks",
    "keytool-key-password.jks",
    "keytool-two-keys.jks",
    "openssl-p256.p12",
    "openssl-legacy.p12",
    "openssl-chain.p12",
];

/// Stores whose inside a change reaches: nothing vouches for it, or nothing needs to.
const OPEN: [&str; 7] = [
    "keytool-p256.jks",
    "keytool-trust.jks",
    "keytool-no-mac.p12",
    "openssl-no-mac.p12",
    "openssl-no-encryption.p12",
    "openssl-aes-256.pem",
    "openssl-combined.pem",
];

fn content(name: &str) -> Vec<u8> {
    fs::read(path(name)).unwrap()
}

fn given(content: impl Into<Vec<u8>>) -> KeyStore {
    KeyStore::bytes(content).password(PASSWORD)
}

fn refused(content: &[u8], what: &str) -> KeystoreError {
    match given(content).load_blocking() {
        Ok(_) => panic!("{what} was taken"),
        Err(error) => error,
    }
}

#[test]
fn a_store_cut_anywhere_is_damaged_and_not_its_password() {
    for name in fs::read_dir(path("")).unwrap() {
        let name = name.unwrap().file_name().into_string().unwrap();
        if !name.ends_with(".jks") && !name.ends_with(".p12") {
            continue;
        }
        let content = content(&name);
        for end in 0..content.len() {
            let error = refused(&content[..end], &format!("{name} cut at {end}"));
            let is_said = match error {
                KeystoreError::Malformed { .. } => true,
                // Too short to be told from anything.
                KeystoreError::UnsupportedFormat { .. } => end < 4,
                _ => false,
            };
            assert!(is_said, "{name} cut at {end}: {error}");
        }
    }
    assert!(ALLOCATED.peak_usage() < MEMORY);
}

#[test]
fn a_pem_file_cut_anywhere_is_an_error() {
    let content = content("openssl-combined.pem");
    let end = content.trim_ascii_end().len();
    for end in 0..end {
        refused(&content[..end], &format!("PEM cut at {end}"));
    }
    given(&content[..end]).load_blocking().unwrap();
}

#[test]
fn a_length_of_four_times_ff_anywhere_is_an_error() {
    for name in SEALED {
        let content = content(name);
        // In DER the length follows its own length.
        let length: &[u8] = match name.ends_with(".jks") {
            true => &[0xff; 4],
            false => &[0x84, 0xff, 0xff, 0xff, 0xff],
        };
        for at in 0..=content.len() - length.len() {
            let mut damaged = content.clone();
            damaged[at..at + length.len()].copy_from_slice(length);
            refused(&damaged, &format!("{name} damaged at {at}"));
        }
    }
    assert!(ALLOCATED.peak_usage() < MEMORY);
}

#[test]
fn one_octet_changed_anywhere_is_an_error() {
    for name in SEALED {
        let content = content(name);
        for at in 0..content.len() {
            let mut damaged = content.clone();
            damaged[at] ^= 0x55;
            refused(&damaged, &format!("{name} changed at {at}"));
        }
    }
}

#[test]
fn a_key_is_vouched_for_by_itself_where_its_store_is_not() {
    let mut content = content("keytool-p256.jks");
    let load = |content: &[u8]| {
        let store = KeyStore::bytes(content).allow_unverified();
        store.key_password(PASSWORD).load_blocking()
    };
    load(&content).unwrap();
    // Magic, version, count, kind, the alias of six letters, the date; then the key.
    let key = 12 + 4 + 8 + 8;
    let length: [u8; 4] = content[key..key + 4].try_into().unwrap();
    let check = key + 4 + usize::try_from(u32::from_be_bytes(length)).unwrap() - 20;
    content[check - 1] ^= 1;
    let error = load(&content).unwrap_err();
    assert!(
        matches!(error, KeystoreError::WrongPassword { .. }),
        "{error}"
    );
}

#[test]
fn something_behind_the_end_is_an_error() {
    for name in SEALED {
        let mut content = content(name);
        content.push(0);
        let error = refused(&content, name);
        assert!(
            matches!(error, KeystoreError::Malformed { .. }),
            "{name}: {error}"
        );
    }
}

#[test]
fn the_worst_store_of_the_size_allowed_stays_in_its_memory() {
    // Entries without key, chain and alias take least for what they make.
    let mut worst = vec![0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2, 0xff, 0xff, 0xff, 0xff];
    let entry = [&[0, 0, 0, 1][..], &[0; 2], &[0; 8], &[0; 4], &[0; 4]].concat();
    while worst.len() + entry.len() <= 4 * 1024 * 1024 {
        worst.extend_from_slice(&entry);
    }
    let error = refused(&worst, "a store of nothing");
    assert!(error.to_string().contains("10,000 entries"), "{error}");

    // The same with the chain of one entry, whose certificates are empty.
    let mut worst = vec![0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 1, 0, 0, 0, 1];
    worst.extend_from_slice(&entry[..entry.len() - 4]);
    worst.resize(4 * 1024 * 1024, 0);
    worst[30..34].copy_from_slice(&u32::MAX.to_be_bytes());
    let error = refused(&worst, "a chain of nothing");
    assert!(error.to_string().contains("10,000 entries"), "{error}");
    assert!(
        ALLOCATED.peak_usage() < MEMORY,
        "{}",
        ALLOCATED.peak_usage()
    );
}

#[test]
fn a_list_of_aliases_is_cut() {
    let mut many = vec![0xfe, 0xed, 0xfe, 0xed, 0, 0, 0, 2, 0, 0, 0x20, 0];
    for _ in 0..0x2000 {
        let entry = [&[0, 0, 0, 1][..], &[0, 1, b'a'], &[0; 16]].concat();
        many.extend_from_slice(&entry);
    }
    many.extend_from_slice(&[0; 20]);
    let store = KeyStore::bytes(many).allow_unverified();
    let error = store.load_blocking().unwrap_err();
    assert!(
        matches!(error, KeystoreError::SeveralKeys { count: 0x2000, .. }),
        "{error}"
    );
    assert!(error.to_string().ends_with("`a` and 8172 more"), "{error}");
}

#[test]
fn a_file_without_end_is_not_read_to_its_end() {
    let error = KeyStore::file("/dev/zero").load_blocking().unwrap_err();
    assert!(error.to_string().contains("larger than 4 MiB"), "{error}");
    assert!(ALLOCATED.peak_usage() < MEMORY);
}

#[derive(Clone, Debug)]
enum Change {
    Set(Index, u8),
    Length(Index),
    Cut(Index),
    Remove(Index),
    Insert(Index, Vec<u8>),
}

impl Change {
    fn any() -> impl Strategy<Value = Self> {
        prop_oneof![
            (any::<Index>(), any::<u8>()).prop_map(|(at, octet)| Self::Set(at, octet)),
            any::<Index>().prop_map(Self::Length),
            any::<Index>().prop_map(Self::Cut),
            any::<Index>().prop_map(Self::Remove),
            (any::<Index>(), prop::collection::vec(any::<u8>(), 1..8))
                .prop_map(|(at, octets)| Self::Insert(at, octets)),
        ]
    }

    fn apply(&self, content: &mut Vec<u8>) {
        if content.is_empty() {
            return;
        }
        let length = content.len();
        match self {
            Self::Set(at, octet) => content[at.index(length)] = *octet,
            Self::Length(at) => {
                for octet in content.iter_mut().skip(at.index(length)).take(4) {
                    *octet = 0xff;
                }
            }
            Self::Cut(at) => content.truncate(at.index(length)),
            Self::Remove(at) => {
                content.remove(at.index(length));
            }
            Self::Insert(at, octets) => {
                let at = at.index(length);
                content.splice(at..at, octets.iter().copied());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn no_change_to_a_store_causes_a_panic(
        name in prop::sample::select(&OPEN[..]),
        changes in prop::collection::vec(Change::any(), 1..4),
        password in any::<bool>(),
    ) {
        let mut content = content(name);
        for change in &changes {
            change.apply(&mut content);
        }
        let store = KeyStore::bytes(content).allow_unverified();
        let store = if password { store.password(PASSWORD) } else { store };
        if let Err(error) = store.load_blocking() {
            let _ = (error.to_string(), format!("{error:?}"));
        }
        prop_assert!(ALLOCATED.peak_usage() < MEMORY);
    }
}

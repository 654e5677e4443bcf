//! PKCS#12 (RFC 7292), read-only, as keytool and openssl write it.
//!
//! A PFX holds a MAC and a list of contents, most of them encrypted; each content is a list of
//! bags with attributes. A key's certificate is found by a common `localKeyID`.

use aws_lc_rs::{digest, hmac};

use super::{
    certificate::bmp_string,
    der::{
        self, BMP_STRING, CONTEXT_0, CONTEXT_0_STRING, OCTET_STRING, OID, SEQUENCE, SET, elements,
    },
    derive::{self, Purpose, Work},
    entries::{CertificateEntry, Entries, KeyEntry, StoredKey},
    fault::Fault,
    sealed,
};

const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1];
const ENCRYPTED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 6];
const KEY_BAG: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 12, 10, 1, 1];
const SEALED_KEY_BAG: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 12, 10, 1, 2];
const CERTIFICATE_BAG: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 12, 10, 1, 3];
const X509: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 22, 1];
const FRIENDLY_NAME: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 20];
const LOCAL_KEY_ID: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 21];
/// Java's mark of a trusted certificate: Oracle's `trustedKeyUsage`.
const TRUSTED: &[u8] = &[
    0x60, 0x86, 0x48, 1, 0x86, 0xf9, 0x66, 0xad, 0xca, 0x7b, 1, 1,
];
const SHA1: &[u8] = &[0x2b, 14, 3, 2, 26];
const SHA256: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1];
const SHA384: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 2];
const SHA512: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 3];

const DAMAGED: Fault = Fault::Damaged("it isn't built as PKCS#12 is, or a length in it is wrong");

/// Reads all entries; keys that are sealed on their own stay so.
///
/// Without a MAC, or without the password for it, nothing vouches for them, and that must be
/// allowed.
pub(super) fn read(
    store: &[u8],
    password: Option<&str>,
    allow_unverified: bool,
    work: &mut Work,
) -> Result<Entries, Fault> {
    if store.get(1) == Some(&0x80) {
        return Err(Fault::Damaged(
            "it is BER with lengths left open, and only DER is read: write it anew with `openssl \
             pkcs12`",
        ));
    }
    let (fields, rest) = der::expect(SEQUENCE, store).ok_or(DAMAGED)?;
    if !rest.is_empty() {
        return Err(Fault::Damaged("something follows its end"));
    }
    let (version, fields) = der::number(fields).ok_or(DAMAGED)?;
    if version != 3 {
        return Err(Fault::Damaged("its version isn't 3"));
    }
    let (content, fields) = der::expect(SEQUENCE, fields).ok_or(DAMAGED)?;
    let (kind, content) = der::expect(OID, content).ok_or(DAMAGED)?;
    if kind != DATA {
        return Err(sealed::unsupported(kind));
    }
    let content = data(content).ok_or(DAMAGED)?;

    let mut entries = Entries::default();
    match (der::expect(SEQUENCE, fields), password) {
        (Some((mac, _)), Some(password)) => {
            verify(mac, content, password, work)?;
            entries.verified = true;
        }
        _ if allow_unverified => {}
        (Some(_), None) => return Err(Fault::MissingPassword),
        (None, _) => return Err(Fault::Unverified),
    }

    let (contents, _) = der::expect(SEQUENCE, content).ok_or(DAMAGED)?;
    for content in elements(contents) {
        let (_, content) = content.ok_or(DAMAGED)?;
        let (kind, content) = der::expect(OID, content).ok_or(DAMAGED)?;
        match kind {
            DATA => bags(data(content).ok_or(DAMAGED)?, &mut entries)?,
            ENCRYPTED_DATA => {
                let (algorithm, text) = encrypted_data(content).ok_or(DAMAGED)?;
                let password = password.ok_or(Fault::MissingPassword)?;
                bags(
                    &sealed::open(algorithm, text, password, work)?,
                    &mut entries,
                )?;
            }
            kind => return Err(sealed::unsupported(kind)),
        }
    }
    // Only Java marks what is trusted. A store without keys, made by another tool, can only be
    // meant as one of trusted certificates.
    if entries.keys.is_empty() && !entries.certificates.iter().any(|it| it.trusted) {
        for entry in &mut entries.certificates {
            entry.trusted = true;
        }
    }
    Ok(entries)
}

/// The octets in a ContentInfo of kind data.
fn data(content: &[u8]) -> Option<&[u8]> {
    let (content, _) = der::expect(CONTEXT_0, content)?;
    Some(der::expect(OCTET_STRING, content)?.0)
}

/// Algorithm and text of an EncryptedData (RFC 5652 section 8).
fn encrypted_data(content: &[u8]) -> Option<(&[u8], &[u8])> {
    let (content, _) = der::expect(CONTEXT_0, content)?;
    let (fields, _) = der::expect(SEQUENCE, content)?;
    let (_version, fields) = der::number(fields)?;
    let (info, _) = der::expect(SEQUENCE, fields)?;
    let (_kind, info) = der::expect(OID, info)?;
    let (algorithm, info) = der::expect(SEQUENCE, info)?;
    let (text, _) = der::expect(CONTEXT_0_STRING, info)?;
    Some((algorithm, text))
}

/// Checks the MAC (RFC 7292 section 4).
fn verify(mac: &[u8], content: &[u8], password: &str, work: &mut Work) -> Result<(), Fault> {
    let (info, fields) = der::expect(SEQUENCE, mac).ok_or(DAMAGED)?;
    let (algorithm, info) = der::expect(SEQUENCE, info).ok_or(DAMAGED)?;
    let (algorithm, parameters) = der::expect(OID, algorithm).ok_or(DAMAGED)?;
    // A hash has none, which is written as NULL or not at all.
    let is_hash = matches!(parameters, [] | [5, 0]);
    let (expected, _) = der::expect(OCTET_STRING, info).ok_or(DAMAGED)?;
    let (salt, fields) = der::expect(OCTET_STRING, fields).ok_or(DAMAGED)?;
    let rounds = if fields.is_empty() {
        1
    } else {
        der::number(fields).ok_or(DAMAGED)?.0
    };
    let (hash, algorithm) = match algorithm {
        SHA1 if is_hash => (
            &digest::SHA1_FOR_LEGACY_USE_ONLY,
            hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        ),
        SHA256 if is_hash => (&digest::SHA256, hmac::HMAC_SHA256),
        SHA384 if is_hash => (&digest::SHA384, hmac::HMAC_SHA384),
        SHA512 if is_hash => (&digest::SHA512, hmac::HMAC_SHA512),
        algorithm => return Err(sealed::unsupported(algorithm)),
    };
    let mut is_right = |password: &[u8]| {
        let length = hash.output_len();
        let key = derive::pkcs12(hash, Purpose::Mac, password, salt, rounds, length, work)?;
        let key = hmac::Key::new(algorithm, &key);
        Ok(hmac::verify(&key, content, expected).is_ok())
    };
    // Some tools take an empty password for no octets at all.
    if is_right(&derive::utf16_zero(password))? || (password.is_empty() && is_right(&[])?) {
        return Ok(());
    }
    Err(Fault::WrongPassword)
}

/// Reads a SafeContents. Revocation lists, other secrets and nested contents are left out.
fn bags(contents: &[u8], entries: &mut Entries) -> Result<(), Fault> {
    let (bags, rest) = der::expect(SEQUENCE, contents).ok_or(DAMAGED)?;
    if !rest.is_empty() {
        return Err(DAMAGED);
    }
    for bag in elements(bags) {
        entries.count()?;
        let (_, bag) = bag.ok_or(DAMAGED)?;
        let (kind, bag) = der::expect(OID, bag).ok_or(DAMAGED)?;
        let (value, attributes) = der::expect(CONTEXT_0, bag).ok_or(DAMAGED)?;
        let Attributes { alias, id, trusted } = Attributes::read(attributes);
        match kind {
            KEY_BAG | SEALED_KEY_BAG => entries.keys.push(KeyEntry {
                alias,
                key: if kind == KEY_BAG {
                    StoredKey::plain(value.to_vec())
                } else {
                    StoredKey::Sealed(value.to_vec())
                },
                id,
                chain: Vec::new(),
            }),
            CERTIFICATE_BAG => {
                if let Some(certificate) = x509(value).ok_or(DAMAGED)? {
                    entries.certificates.push(CertificateEntry {
                        certificate: certificate.to_vec().into(),
                        id,
                        trusted,
                    });
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// The certificate in its bag, if it is of that kind.
fn x509(bag: &[u8]) -> Option<Option<&[u8]>> {
    let (bag, _) = der::expect(SEQUENCE, bag)?;
    let (kind, bag) = der::expect(OID, bag)?;
    if kind != X509 {
        return Some(None);
    }
    Some(Some(data(bag)?))
}

#[derive(Default)]
struct Attributes {
    alias: Option<String>,
    id: Option<Vec<u8>>,
    trusted: bool,
}

impl Attributes {
    /// What can't be read is left out: no bag depends on its attributes.
    fn read(attributes: &[u8]) -> Self {
        let mut read = Self::default();
        let attributes = der::optional(SET, attributes).0.unwrap_or_default();
        for (_, attribute) in elements(attributes).flatten() {
            let Some((kind, values)) = der::expect(OID, attribute) else {
                continue;
            };
            let value = der::expect(SET, values).map_or(&[][..], |(values, _)| values);
            match kind {
                FRIENDLY_NAME => {
                    read.alias = der::expect(BMP_STRING, value).map(|(name, _)| bmp_string(name));
                }
                LOCAL_KEY_ID => read.id = der::expect(OCTET_STRING, value).map(|(id, _)| id.into()),
                TRUSTED => read.trusted = true,
                _ => {}
            }
        }
        read
    }
}

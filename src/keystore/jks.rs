//! Java's own format, JKS, read-only.
//!
//! A magic number, a version and a number of entries, all big-endian; then the entries, each with
//! its alias and date: a sealed private key with its chain, or a trusted certificate. At the end
//! stands a SHA-1 digest over the password, a constant and all that precedes. Only the keys are
//! encrypted. Nothing is allocated by a length that the file merely claims.

use aws_lc_rs::{
    constant_time,
    digest::{self, SHA1_FOR_LEGACY_USE_ONLY},
};

use super::{
    derive,
    entries::{CertificateEntry, Entries, KeyEntry, StoredKey},
    fault::Fault,
};

pub(super) const MAGIC: [u8; 4] = [0xfe, 0xed, 0xfe, 0xed];
const DIGEST: usize = 20;

/// Reads all entries. Without a password nothing vouches for them, and that must be allowed.
pub(super) fn read(
    store: &[u8],
    password: Option<&str>,
    allow_unverified: bool,
) -> Result<Entries, Fault> {
    let (content, digest) = store
        .len()
        .checked_sub(DIGEST)
        .map(|at| store.split_at(at))
        .ok_or(Fault::Damaged("it is too short"))?;
    let mut entries = Reader(content).entries()?;
    match password {
        Some(password) => {
            verify(content, digest, password)?;
            entries.verified = true;
        }
        None if allow_unverified => {}
        None => return Err(Fault::MissingPassword),
    }
    Ok(entries)
}

fn verify(content: &[u8], expected: &[u8], password: &str) -> Result<(), Fault> {
    let mut hash = digest::Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    hash.update(&derive::utf16(password));
    hash.update(b"Mighty Aphrodite");
    hash.update(content);
    constant_time::verify_slices_are_equal(hash.finish().as_ref(), expected)
        .map_err(|_| Fault::WrongPassword)
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn entries(mut self) -> Result<Entries, Fault> {
        if self.array()? != MAGIC {
            return Err(Fault::Damaged("it doesn't begin as JKS does"));
        }
        let version = self.length()?;
        if !matches!(version, 1 | 2) {
            return Err(Fault::Damaged("its version is neither 1 nor 2"));
        }
        let mut entries = Entries::default();
        for _ in 0..self.length()? {
            entries.count()?;
            let kind = self.length()?;
            let alias = Some(self.text()?);
            let _created: [u8; 8] = self.array()?;
            match kind {
                1 => {
                    let length = self.length()?;
                    let key = StoredKey::Sealed(self.take(length)?.to_vec());
                    let mut chain = Vec::new();
                    for _ in 0..self.length()? {
                        entries.count()?;
                        chain.push(self.certificate(version)?.to_vec().into());
                    }
                    entries.keys.push(KeyEntry {
                        alias,
                        key,
                        id: None,
                        chain,
                    });
                }
                2 => entries.certificates.push(CertificateEntry {
                    certificate: self.certificate(version)?.to_vec().into(),
                    id: None,
                    trusted: true,
                }),
                _ => return Err(Fault::Damaged("it has an entry of unknown kind")),
            }
        }
        if !self.0.is_empty() {
            return Err(Fault::Damaged("something follows its last entry"));
        }
        Ok(entries)
    }

    fn certificate(&mut self, version: usize) -> Result<&'a [u8], Fault> {
        if version == 2 && self.text()? != "X.509" {
            return Err(Fault::Damaged("it has a certificate that isn't X.509"));
        }
        let length = self.length()?;
        self.take(length)
    }

    /// Java's UTF-8 differs in what nobody has in an alias: zero, and what lies beyond U+FFFF.
    fn text(&mut self) -> Result<String, Fault> {
        let length = u16::from_be_bytes(self.array()?);
        let text = self.take(length.into())?;
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    fn length(&mut self) -> Result<usize, Fault> {
        let length = u32::from_be_bytes(self.array()?);
        usize::try_from(length).map_err(|_| Self::SHORT)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (octets, rest) = self.0.split_first_chunk().ok_or(Self::SHORT)?;
        self.0 = rest;
        Ok(*octets)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Fault> {
        let (octets, rest) = self.0.split_at_checked(length).ok_or(Self::SHORT)?;
        self.0 = rest;
        Ok(octets)
    }

    const SHORT: Fault = Fault::Damaged("it ends too early, or a length in it is wrong");
}

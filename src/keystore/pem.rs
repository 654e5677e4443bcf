use std::path::Path;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls_pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{Error as PemError, PemObject, SectionKind},
};
use zeroize::Zeroizing;

use super::{KeystoreError, file};

/// The certificates and private keys in one PEM text, and what to call it in errors.
pub(crate) struct Pem {
    input: String,
    certificates: Vec<CertificateDer<'static>>,
    keys: Vec<Zeroizing<PrivateKeyDer<'static>>>,
    /// Encrypted ones: EncryptedPrivateKeyInfo.
    sealed: Vec<Vec<u8>>,
    /// Whether there is one that is encrypted in the way of old, which can't be opened.
    outdated: bool,
}

const BEGIN_SEALED: &[u8] = b"-----BEGIN ENCRYPTED PRIVATE KEY-----";
const END_SEALED: &[u8] = b"-----END ENCRYPTED PRIVATE KEY-----";

impl Pem {
    /// Reads a file. Blocks.
    pub(crate) fn read(path: &Path) -> Result<Self, KeystoreError> {
        let input = path.display().to_string();
        let text = file::read(path)?;
        Self::parse(&text, input)
    }

    pub(crate) fn parse(text: &[u8], input: String) -> Result<Self, KeystoreError> {
        // Some editors put a byte order mark before the first line.
        let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
        let mut pem = Self {
            input,
            certificates: Vec::new(),
            keys: Vec::new(),
            sealed: Vec::new(),
            // It keeps the usual label and says so in a header, which is no base64.
            outdated: find(text, b"Proc-Type: 4,ENCRYPTED").is_some(),
        };
        if pem.outdated {
            return Ok(pem);
        }

        // The PEM reader leaves sections that it doesn't know out, and an encrypted key is one.
        let mut rest = text;
        while let Some(at) = find(rest, BEGIN_SEALED) {
            rest = &rest[at + BEGIN_SEALED.len()..];
            let end = find(rest, END_SEALED).unwrap_or(rest.len());
            match base64(&rest[..end]) {
                Some(sealed) if end < rest.len() => pem.sealed.push(sealed),
                _ => {
                    return Err(KeystoreError::Malformed {
                        input: pem.input,
                        reason: "its encrypted key isn't base64, or has no `-----END` line",
                    });
                }
            }
            rest = &rest[end..];
        }

        for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(text) {
            let (kind, der) = match section {
                Ok(section) => section,
                Err(error) => {
                    return Err(KeystoreError::Malformed {
                        input: pem.input,
                        reason: reason(&error),
                    });
                }
            };
            if kind == SectionKind::Certificate {
                pem.certificates.push(der.into());
            } else if let Some(key) = PrivateKeyDer::from_pem(kind, der) {
                pem.keys.push(Zeroizing::new(key));
            }
        }
        Ok(pem)
    }

    /// What to call it in errors.
    pub(crate) fn input(&self) -> &str {
        &self.input
    }

    pub(crate) fn has_certificates(&self) -> bool {
        !self.certificates.is_empty()
    }

    /// Whether there is a private key, be it one that can't be used.
    pub(crate) fn has_key(&self) -> bool {
        self.outdated || !self.keys.is_empty() || !self.sealed.is_empty()
    }

    /// The certificates: at least one.
    pub(crate) fn certificates(&self) -> Result<&[CertificateDer<'static>], KeystoreError> {
        let input = || self.input.clone();
        if self.certificates.is_empty() {
            // Nothing is read of a file with such a key.
            return Err(if self.outdated {
                KeystoreError::EncryptedKey { input: input() }
            } else {
                KeystoreError::NoCertificate { input: input() }
            });
        }
        Ok(&self.certificates)
    }

    /// The only private key, which isn't encrypted.
    pub(crate) fn key(&self) -> Result<&Zeroizing<PrivateKeyDer<'static>>, KeystoreError> {
        let input = || self.input.clone();
        match (self.keys.as_slice(), self.sealed.as_slice()) {
            ([key], []) => Ok(key),
            ([], [_]) => Err(KeystoreError::EncryptedKey { input: input() }),
            ([], []) if self.outdated => Err(KeystoreError::EncryptedKey { input: input() }),
            ([], []) => Err(KeystoreError::NoPrivateKey { input: input() }),
            (keys, sealed) => Err(KeystoreError::SeveralKeys {
                input: input(),
                count: keys.len() + sealed.len(),
                aliases: Vec::new(),
            }),
        }
    }

    /// The only private key, opened with the password if it is encrypted.
    #[cfg(any(feature = "hyper", feature = "jwt"))]
    pub(super) fn open(
        &self,
        password: Option<&str>,
    ) -> Result<Zeroizing<PrivateKeyDer<'static>>, KeystoreError> {
        use super::{derive::Work, entries::StoredKey, fault::Fault};

        let Some(password) = password else {
            return self.key().map(|key| Zeroizing::new(key.clone_key()));
        };
        if self.outdated {
            let fault = Fault::Unsupported {
                algorithm: "the encryption of old PEM (`Proc-Type: 4,ENCRYPTED`)".into(),
                cure: "encrypt it anew, as `openssl pkcs8 -topk8 -v2 aes-256-cbc` does",
            };
            return Err(fault.at(&self.input));
        }
        match (self.keys.as_slice(), self.sealed.as_slice()) {
            ([], [sealed]) => StoredKey::Sealed(sealed.clone())
                .open(Some(password), &mut Work::new())
                .map_err(|fault| fault.at(&self.input)),
            _ => self.key().map(|key| Zeroizing::new(key.clone_key())),
        }
    }
}

fn base64(lines: &[u8]) -> Option<Vec<u8>> {
    let text: Vec<u8> = lines
        .iter()
        .copied()
        .filter(|octet| !octet.is_ascii_whitespace())
        .collect();
    STANDARD.decode(text).ok()
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

/// The reader's own words quote the text, which may be a key.
fn reason(error: &PemError) -> &'static str {
    match error {
        PemError::MissingSectionEnd { .. } => "a section has no `-----END` line",
        PemError::IllegalSectionStart { .. } => "a `-----BEGIN` line doesn't end in five dashes",
        PemError::Base64Decode(_) => "a section isn't base64",
        _ => "it can't be parsed",
    }
}

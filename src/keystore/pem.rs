use std::{fs, path::Path};

use rustls_pki_types::{
    CertificateDer, PrivateKeyDer,
    pem::{Error as PemError, PemObject, SectionKind},
};
use zeroize::Zeroizing;

use super::KeystoreError;

/// The certificates and private keys in one PEM text, and what to call it in errors.
pub(crate) struct Pem {
    input: String,
    certificates: Vec<CertificateDer<'static>>,
    keys: Vec<Zeroizing<PrivateKeyDer<'static>>>,
    encrypted: bool,
}

impl Pem {
    /// Reads a file. Blocks.
    pub(crate) fn read(path: &Path) -> Result<Self, KeystoreError> {
        let input = path.display().to_string();
        match fs::read(path).map(Zeroizing::new) {
            Ok(text) => Self::parse(&text, input),
            Err(source) => Err(KeystoreError::Unreadable { input, source }),
        }
    }

    pub(crate) fn parse(text: &[u8], input: String) -> Result<Self, KeystoreError> {
        // Some editors put a byte order mark before the first line.
        let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
        // The PEM reader leaves sections that it doesn't know out, and an encrypted key is one.
        let mut pem = Self {
            input,
            certificates: Vec::new(),
            keys: Vec::new(),
            encrypted: contains(text, b"-----BEGIN ENCRYPTED PRIVATE KEY-----"),
        };
        // An older form keeps the usual label and says so in a header, which is no base64.
        if contains(text, b"Proc-Type: 4,ENCRYPTED") {
            return Err(KeystoreError::EncryptedKey { input: pem.input });
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
        self.encrypted || !self.keys.is_empty()
    }

    /// The certificates: at least one.
    pub(crate) fn certificates(&self) -> Result<&[CertificateDer<'static>], KeystoreError> {
        if self.certificates.is_empty() {
            return Err(KeystoreError::NoCertificate {
                input: self.input.clone(),
            });
        }
        Ok(&self.certificates)
    }

    /// The only private key.
    pub(crate) fn key(&self) -> Result<&Zeroizing<PrivateKeyDer<'static>>, KeystoreError> {
        let input = || self.input.clone();
        match self.keys.as_slice() {
            [key] => Ok(key),
            [] if self.encrypted => Err(KeystoreError::EncryptedKey { input: input() }),
            [] => Err(KeystoreError::NoPrivateKey { input: input() }),
            keys => Err(KeystoreError::SeveralKeys {
                input: input(),
                count: keys.len(),
            }),
        }
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
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

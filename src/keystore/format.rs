use super::{
    der::{self, OID, SEQUENCE},
    jks,
};

/// The format of a store, found by its content: names of files say nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Pem,
    Pkcs12,
    Jks,
}

impl Format {
    /// An error says what it is instead, and what to do.
    pub(super) fn of(content: &[u8]) -> Result<Self, &'static str> {
        const JCEKS: [u8; 4] = [0xce; 4];
        if content.starts_with(&jks::MAGIC) {
            return Ok(Self::Jks);
        }
        if content.starts_with(&JCEKS) {
            return Err(
                "it is a JCEKS store, which only Java reads: convert it by `keytool \
                 -importkeystore -srckeystore <file> -srcstoretype JCEKS -destkeystore <new \
                 file>.p12 -deststoretype PKCS12`",
            );
        }
        if content.first() == Some(&SEQUENCE) {
            return match der::expect(SEQUENCE, content) {
                Some((fields, _)) if !begins_as_pfx(fields) => Err(
                    "it is DER, but no PKCS#12: write a certificate as PEM by `openssl x509 \
                     -inform der`, a key by `openssl pkey -inform der`",
                ),
                // What is damaged is told by the reader.
                _ => Ok(Self::Pkcs12),
            };
        }
        if content.windows(11).any(|window| window == b"-----BEGIN ") {
            return Ok(Self::Pem);
        }
        if content.is_empty() {
            return Err("it is empty");
        }
        Err("it is neither PEM nor PKCS#12 nor JKS")
    }
}

/// A version and a content, where a certificate has a sequence first, and a key no object
/// identifier in what is second.
fn begins_as_pfx(fields: &[u8]) -> bool {
    der::number(fields)
        .and_then(|(_version, fields)| der::expect(SEQUENCE, fields))
        .is_some_and(|(content, _)| {
            der::expect(OID, content)
                // A key names its algorithm here, which has no content of its own.
                .is_some_and(|(_, rest)| rest.first() == Some(&der::CONTEXT_0))
        })
}

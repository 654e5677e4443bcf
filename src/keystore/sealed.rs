//! What is encrypted with a password: private keys of every format, and the contents of PKCS#12.

use aws_lc_rs::{
    cipher::{
        AES_128, AES_192, AES_256, Algorithm as Aes, DecryptionContext, PaddedBlockDecryptingKey,
        UnboundCipherKey,
    },
    constant_time,
    digest::{self, SHA1_FOR_LEGACY_USE_ONLY},
    pbkdf2::{PBKDF2_HMAC_SHA1, PBKDF2_HMAC_SHA256, PBKDF2_HMAC_SHA384, PBKDF2_HMAC_SHA512},
};
use zeroize::Zeroizing;

use super::{
    der::{self, OCTET_STRING, OID, SEQUENCE},
    derive::{self, Work},
    fault::Fault,
};

const PBES2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 5, 13];
const PBKDF2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 5, 12];
const HMAC_SHA1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 2, 7];
const HMAC_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 2, 9];
const HMAC_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 2, 10];
const HMAC_SHA512: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 2, 11];
const AES_128_CBC: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 2];
const AES_192_CBC: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 22];
const AES_256_CBC: &[u8] = &[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 1, 42];
const TRIPLE_DES_CBC: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 3, 7];
const PKCS12_TRIPLE_DES: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 12, 1, 3];
const PKCS12_RC2_128: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 12, 1, 5];
const PKCS12_RC2_40: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 12, 1, 6];
const JKS: &[u8] = &[0x2b, 6, 1, 4, 1, 42, 2, 17, 1, 1];
const SCRYPT: &[u8] = &[0x2b, 6, 1, 4, 1, 0xda, 0x47, 4, 11];
const PBE_MD5_DES: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 5, 3];

const RE_ENCRYPT: &str = "encrypt it anew: `openssl pkcs8 -topk8 -v2 aes-256-cbc` for a key, \
                          `openssl pkcs12 -export` or `keytool -importkeystore -deststoretype \
                          PKCS12` for a store";
#[cfg(not(feature = "legacy-ciphers"))]
const TURN_ON: &str = "turn the feature `legacy-ciphers` of tower-oauth on, or encrypt it anew, as \
                       `openssl pkcs8 -topk8 -v2 aes-256-cbc` does for a key and `keytool \
                       -importkeystore -deststoretype PKCS12` for a store";

/// Opens an EncryptedPrivateKeyInfo (RFC 5958 section 3): the PKCS#8 key in it.
///
/// PEM, PKCS#12 and JKS all keep their keys in this form, and differ in the algorithm.
pub(super) fn open_key(
    sealed: &[u8],
    password: &str,
    work: &mut Work,
) -> Result<Zeroizing<Vec<u8>>, Fault> {
    const DAMAGED: Fault = Fault::Damaged("the form of an encrypted key isn't kept");
    let (fields, _) = der::expect(SEQUENCE, sealed).ok_or(DAMAGED)?;
    let (algorithm, fields) = der::expect(SEQUENCE, fields).ok_or(DAMAGED)?;
    let (text, _) = der::expect(OCTET_STRING, fields).ok_or(DAMAGED)?;
    let key = open(algorithm, text, password, work)?;
    // Padding comes out right by chance for one wrong password in 256.
    let is_key = der::expect(SEQUENCE, &key)
        .is_some_and(|(fields, rest)| rest.is_empty() && der::number(fields).is_some());
    if !is_key {
        return Err(Fault::WrongPassword);
    }
    Ok(key)
}

/// Decrypts with the algorithm that this AlgorithmIdentifier's content names.
pub(super) fn open(
    algorithm: &[u8],
    text: &[u8],
    password: &str,
    work: &mut Work,
) -> Result<Zeroizing<Vec<u8>>, Fault> {
    const DAMAGED: Fault = Fault::Damaged("the parameters of its encryption can't be read");
    let (id, parameters) = der::expect(OID, algorithm).ok_or(DAMAGED)?;
    match id {
        PBES2 => {
            let scheme = Pbes2::parse(parameters).ok_or(DAMAGED)?;
            scheme.open(text, password, work)
        }
        PKCS12_TRIPLE_DES | PKCS12_RC2_128 | PKCS12_RC2_40 => {
            let (parameters, _) = der::expect(SEQUENCE, parameters).ok_or(DAMAGED)?;
            let (salt, parameters) = der::expect(OCTET_STRING, parameters).ok_or(DAMAGED)?;
            let (rounds, _) = der::number(parameters).ok_or(DAMAGED)?;
            legacy(id, salt, rounds, text, password, work)
        }
        JKS => open_jks(text, password),
        _ => Err(unsupported(id)),
    }
}

// ===== PBES2 (RFC 8018 section 6.2) =====

struct Pbes2<'a> {
    derivation: &'a [u8],
    derivation_parameters: &'a [u8],
    cipher: &'a [u8],
    iv: &'a [u8],
}

impl<'a> Pbes2<'a> {
    fn parse(parameters: &'a [u8]) -> Option<Self> {
        let (parameters, _) = der::expect(SEQUENCE, parameters)?;
        let (derivation, parameters) = der::expect(SEQUENCE, parameters)?;
        let (derivation, derivation_parameters) = der::expect(OID, derivation)?;
        let (cipher, _) = der::expect(SEQUENCE, parameters)?;
        let (cipher, iv) = der::expect(OID, cipher)?;
        // Other ciphers have other parameters, and aren't supported anyway.
        let iv = der::expect(OCTET_STRING, iv).map_or(&[][..], |(iv, _)| iv);
        Some(Self {
            derivation,
            derivation_parameters,
            cipher,
            iv,
        })
    }

    fn open(
        &self,
        text: &[u8],
        password: &str,
        work: &mut Work,
    ) -> Result<Zeroizing<Vec<u8>>, Fault> {
        if self.derivation != PBKDF2 {
            return Err(unsupported(self.derivation));
        }
        let cipher = match self.cipher {
            AES_128_CBC => Cipher::Aes(&AES_128, 16),
            AES_192_CBC => Cipher::Aes(&AES_192, 24),
            AES_256_CBC => Cipher::Aes(&AES_256, 32),
            TRIPLE_DES_CBC => Cipher::TripleDes,
            cipher => return Err(unsupported(cipher)),
        };
        let key = self.derive(cipher.key_length(), password, work)?;
        cipher
            .decrypt(&key, self.iv, text)?
            .ok_or(Fault::WrongPassword)
    }

    fn derive(
        &self,
        length: usize,
        password: &str,
        work: &mut Work,
    ) -> Result<Zeroizing<Vec<u8>>, Fault> {
        const DAMAGED: Fault = Fault::Damaged("the parameters of its key derivation can't be read");
        let (fields, _) = der::expect(SEQUENCE, self.derivation_parameters).ok_or(DAMAGED)?;
        let (salt, fields) = der::expect(OCTET_STRING, fields).ok_or(DAMAGED)?;
        let (rounds, mut fields) = der::number(fields).ok_or(DAMAGED)?;
        // The length of the key follows from the cipher.
        if let Some((_, rest)) = der::number(fields) {
            fields = rest;
        }
        let function = match der::optional(SEQUENCE, fields).0 {
            Some(function) => der::expect(OID, function).ok_or(DAMAGED)?.0,
            None => HMAC_SHA1,
        };
        let function = match function {
            HMAC_SHA1 => (PBKDF2_HMAC_SHA1, 20),
            HMAC_SHA256 => (PBKDF2_HMAC_SHA256, 32),
            HMAC_SHA384 => (PBKDF2_HMAC_SHA384, 48),
            HMAC_SHA512 => (PBKDF2_HMAC_SHA512, 64),
            function => return Err(unsupported(function)),
        };
        derive::pbkdf2(function, password.as_bytes(), salt, rounds, length, work)
    }
}

enum Cipher {
    /// With the length of its key.
    Aes(&'static Aes, usize),
    TripleDes,
}

impl Cipher {
    fn key_length(&self) -> usize {
        match self {
            Self::Aes(_, length) => *length,
            Self::TripleDes => 24,
        }
    }

    /// CBC with PKCS#7 padding. `None`: the padding is wrong, and so may be the key.
    fn decrypt(
        &self,
        key: &[u8],
        iv: &[u8],
        text: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>, Fault> {
        match self {
            Self::Aes(algorithm, _) => {
                let iv: [u8; 16] = iv
                    .try_into()
                    .map_err(|_| Fault::Damaged("its initialization vector has a wrong length"))?;
                Ok(aes(algorithm, key, iv, text))
            }
            #[cfg(feature = "legacy-ciphers")]
            Self::TripleDes => Ok(super::legacy::triple_des(key, iv, text)),
            #[cfg(not(feature = "legacy-ciphers"))]
            Self::TripleDes => Err(Fault::Unsupported {
                algorithm: "Triple DES".into(),
                cure: TURN_ON,
            }),
        }
    }
}

fn aes(
    algorithm: &'static Aes,
    key: &[u8],
    iv: [u8; 16],
    text: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let key = UnboundCipherKey::new(algorithm, key).ok()?;
    let key = PaddedBlockDecryptingKey::cbc_pkcs7(key).ok()?;
    let mut out = Zeroizing::new(text.to_vec());
    let context = DecryptionContext::Iv128(iv.into());
    let length = key.decrypt(&mut out, context).ok()?.len();
    out.truncate(length);
    Some(out)
}

// ===== the schemes of PKCS#12 (RFC 7292 appendix C) =====

#[cfg(feature = "legacy-ciphers")]
fn legacy(
    id: &[u8],
    salt: &[u8],
    rounds: u64,
    text: &[u8],
    password: &str,
    work: &mut Work,
) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let attempt = |password: &[u8], work: &mut Work| {
        let mut derive = |purpose, length| {
            let hash = &SHA1_FOR_LEGACY_USE_ONLY;
            derive::pkcs12(hash, purpose, password, salt, rounds, length, work)
        };
        let length = match id {
            PKCS12_TRIPLE_DES => 24,
            PKCS12_RC2_128 => 16,
            _ => 5,
        };
        let key = derive(derive::Purpose::Key, length)?;
        let iv = derive(derive::Purpose::Iv, 8)?;
        Ok(match id {
            PKCS12_TRIPLE_DES => super::legacy::triple_des(&key, &iv, text),
            _ => super::legacy::rc2(&key, &iv, text),
        })
    };
    if let Some(plain) = attempt(&derive::utf16_zero(password), work)? {
        return Ok(plain);
    }
    // Some tools take an empty password for no octets at all.
    if password.is_empty()
        && let Some(plain) = attempt(&[], work)?
    {
        return Ok(plain);
    }
    Err(Fault::WrongPassword)
}

#[cfg(not(feature = "legacy-ciphers"))]
fn legacy(
    id: &[u8],
    _: &[u8],
    _: u64,
    _: &[u8],
    _: &str,
    _: &mut Work,
) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let algorithm = match id {
        PKCS12_TRIPLE_DES => "Triple DES",
        _ => "RC2",
    };
    Err(Fault::Unsupported {
        algorithm: algorithm.into(),
        cure: TURN_ON,
    })
}

// ===== JKS =====

/// Sun's own key protector: a salt, the key under a keystream of SHA-1, and a check value.
fn open_jks(text: &[u8], password: &str) -> Result<Zeroizing<Vec<u8>>, Fault> {
    const HASH: usize = 20;
    let damaged = || Fault::Damaged("an encrypted key is too short");
    let (salt, rest) = text.split_at_checked(HASH).ok_or_else(damaged)?;
    let at = rest.len().checked_sub(HASH).ok_or_else(damaged)?;
    let (text, check) = rest.split_at(at);

    let password = derive::utf16(password);
    let hash = |part: &[u8]| {
        let mut hash = digest::Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
        hash.update(&password);
        hash.update(part);
        hash.finish()
    };
    let mut key = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut stream = hash(salt);
    for block in text.chunks(HASH) {
        key.extend(
            block
                .iter()
                .zip(stream.as_ref())
                .map(|(text, mask)| text ^ mask),
        );
        stream = hash(stream.as_ref());
    }
    constant_time::verify_slices_are_equal(hash(&key).as_ref(), check)
        .map_err(|_| Fault::WrongPassword)?;
    Ok(key)
}

// ===== what is not supported =====

pub(super) fn unsupported(id: &[u8]) -> Fault {
    let algorithm = match id {
        SCRYPT => "scrypt".into(),
        PBE_MD5_DES => "DES with MD5".into(),
        _ => dotted(id),
    };
    Fault::Unsupported {
        algorithm,
        cure: RE_ENCRYPT,
    }
}

/// An object identifier as people write it. What is too long to be one is cut.
fn dotted(id: &[u8]) -> String {
    let mut out = String::from("algorithm ");
    let mut arc = 0_u64;
    let mut first = true;
    for octet in id.iter().take(32) {
        arc = (arc & (u64::MAX >> 7)) << 7 | u64::from(octet & 0x7f);
        if octet & 0x80 != 0 {
            continue;
        }
        if first {
            let root = (arc / 40).min(2);
            out += &format!("{root}.{}", arc - 40 * root);
            first = false;
        } else {
            out += &format!(".{arc}");
        }
        arc = 0;
    }
    out
}

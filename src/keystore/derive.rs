//! From a password to key material. Deriving is slow by design, so the amount is capped first.

use std::num::NonZeroU32;

use aws_lc_rs::{digest, pbkdf2};
use zeroize::Zeroizing;

use super::fault::Fault;

/// How many rounds of key derivation loading a store may still take, all of them together.
///
/// A file says itself how many it wants. keytool writes 10,000 and openssl 2,048 for each of two
/// or three derivations; 600,000 are advised for passwords that people make up. This many take a
/// second or two.
#[derive(Debug)]
pub(super) struct Work(u64);

impl Work {
    pub(super) const LIMIT: u64 = 5_000_000;

    pub(super) fn new() -> Self {
        Self(Self::LIMIT)
    }

    /// Takes this many rounds for each of so many blocks, before they are worked off.
    fn spend(&mut self, rounds: u64, blocks: usize) -> Result<NonZeroU32, Fault> {
        let wanted = rounds.saturating_mul(blocks as u64);
        self.0 = self
            .0
            .checked_sub(wanted)
            .ok_or(Fault::TooMuchWork(rounds))?;
        u32::try_from(rounds)
            .ok()
            .and_then(NonZeroU32::new)
            .ok_or(Fault::Damaged("its number of rounds is none"))
    }
}

/// PBKDF2 (RFC 8018 section 5.2), with the length of its hash.
pub(super) fn pbkdf2(
    (algorithm, block): (pbkdf2::Algorithm, usize),
    password: &[u8],
    salt: &[u8],
    rounds: u64,
    length: usize,
    work: &mut Work,
) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let rounds = work.spend(rounds, length.div_ceil(block))?;
    let mut out = Zeroizing::new(vec![0; length]);
    pbkdf2::derive(algorithm, rounds, salt, password, &mut out);
    Ok(out)
}

/// What the material of [`pkcs12`] is for (RFC 7292 appendix B.3).
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    #[cfg_attr(not(feature = "legacy-ciphers"), allow(dead_code))]
    Key = 1,
    #[cfg_attr(not(feature = "legacy-ciphers"), allow(dead_code))]
    Iv = 2,
    Mac = 3,
}

/// The key derivation of PKCS#12 (RFC 7292 appendix B.2), for a password as [`utf16`] gives it.
pub(super) fn pkcs12(
    algorithm: &'static digest::Algorithm,
    purpose: Purpose,
    password: &[u8],
    salt: &[u8],
    rounds: u64,
    length: usize,
    work: &mut Work,
) -> Result<Zeroizing<Vec<u8>>, Fault> {
    let rounds = work.spend(rounds, length.div_ceil(algorithm.output_len()))?;
    let block = algorithm.block_len();
    let diversifier = vec![purpose as u8; block];
    let mut input = Zeroizing::new(Vec::with_capacity(
        salt.len().next_multiple_of(block) + password.len().next_multiple_of(block),
    ));
    for part in [salt, password] {
        input.extend(part.iter().cycle().take(part.len().next_multiple_of(block)));
    }

    let mut out = Zeroizing::new(Vec::with_capacity(length));
    while out.len() < length {
        let mut hash = digest::Context::new(algorithm);
        hash.update(&diversifier);
        hash.update(&input);
        let mut hash = hash.finish();
        for _ in 1..rounds.get() {
            hash = digest::digest(algorithm, hash.as_ref());
        }
        let hash = hash.as_ref();
        let missing = length - out.len();
        out.extend(hash.iter().take(missing));

        // Each block of the input, as a number, grows by the hash and one.
        let addend: Zeroizing<Vec<u8>> =
            Zeroizing::new(hash.iter().copied().cycle().take(block).collect());
        for number in input.chunks_exact_mut(block) {
            let mut carry = 1_u16;
            for (octet, addend) in number.iter_mut().zip(addend.iter()).rev() {
                carry += u16::from(*octet) + u16::from(*addend);
                [_, *octet] = carry.to_be_bytes();
                carry >>= 8;
            }
        }
    }
    Ok(out)
}

/// A password in UTF-16, the higher octet first, as Java and PKCS#12 count it.
pub(super) fn utf16(password: &str) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(2 * password.len() + 2));
    for unit in password.encode_utf16() {
        out.extend(unit.to_be_bytes());
    }
    out
}

/// The same with the zero at its end that PKCS#12 wants (RFC 7292 appendix B.1).
pub(super) fn utf16_zero(password: &str) -> Zeroizing<Vec<u8>> {
    let mut out = utf16(password);
    out.extend([0, 0]);
    out
}

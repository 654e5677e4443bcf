//! Ciphers that nobody should choose any more, and that old stores are encrypted with.

use des::{
    TdesEde3,
    cipher::{Array, BlockCipherDecrypt, KeyInit},
};
use rc2::Rc2;
use zeroize::Zeroizing;

/// Triple DES with three keys, in CBC mode with PKCS#7 padding.
pub(super) fn triple_des(key: &[u8], iv: &[u8], text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    cbc(&TdesEde3::new_from_slice(key).ok()?, iv, text)
}

/// RC2, whose effective key is as long as the key, in CBC mode with PKCS#7 padding.
pub(super) fn rc2(key: &[u8], iv: &[u8], text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    cbc(&Rc2::new_from_slice(key).ok()?, iv, text)
}

/// Both ciphers have blocks of eight octets.
fn cbc(
    cipher: &impl BlockCipherDecrypt<BlockSize = des::cipher::consts::U8>,
    iv: &[u8],
    text: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let (blocks, []) = text.as_chunks::<8>() else {
        return None;
    };
    let mut before: [u8; 8] = iv.try_into().ok()?;
    let mut out = Zeroizing::new(Vec::with_capacity(text.len()));
    for block in blocks {
        let mut plain = Array::from(*block);
        cipher.decrypt_block(&mut plain);
        out.extend(
            plain
                .iter()
                .zip(before)
                .map(|(plain, before)| plain ^ before),
        );
        before = *block;
    }
    let padding = *out.last()?;
    let length = out.len().checked_sub(usize::from(padding))?;
    if !(1..=8).contains(&padding) || out[length..].iter().any(|octet| *octet != padding) {
        return None;
    }
    out.truncate(length);
    Some(out)
}

//! As much of DER as it takes to find a public key.

/// Reads one element: its tag, its content, and what follows it.
pub(crate) fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (octets, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let length = octets.iter().try_fold(0_usize, |length, &octet| {
                length.checked_mul(256)?.checked_add(usize::from(octet))
            })?;
            (length, rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

/// Reads one element that must have this tag: its content, and what follows it.
pub(crate) fn expect(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    element(der)
        .filter(|(found, ..)| *found == tag)
        .map(|(_, content, rest)| (content, rest))
}

pub(crate) const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
pub(crate) const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;

/// The `subjectPublicKey` bits of an X.509 certificate (RFC 5280 section 4.1).
pub(super) fn subject_public_key(certificate: &[u8]) -> Option<&[u8]> {
    let (certificate, _) = expect(SEQUENCE, certificate)?;
    let (mut fields, _) = expect(SEQUENCE, certificate)?;
    if let Some((_, rest)) = expect(VERSION, fields) {
        fields = rest;
    }
    // serialNumber, signature, issuer, validity, subject
    for _ in 0..5 {
        (_, _, fields) = element(fields)?;
    }
    let (info, _) = expect(SEQUENCE, fields)?;
    let (_algorithm, info) = expect(SEQUENCE, info)?;
    let (bits, _) = expect(BIT_STRING, info)?;
    let (&unused, key) = bits.split_first()?;
    (unused == 0).then_some(key)
}

#[cfg(test)]
mod tests {
    use rustls_pki_types::{CertificateDer, pem::PemObject};

    use super::*;

    #[test]
    fn a_damaged_certificate_has_no_key_and_causes_no_panic() {
        let pem = include_bytes!("../../tests/keys/p256-client.pem");
        let certificate = CertificateDer::from_pem_slice(pem).unwrap();
        assert_eq!(subject_public_key(&certificate).unwrap().len(), 65);

        for end in 0..certificate.len() {
            assert_eq!(subject_public_key(&certificate[..end]), None);
        }
        for at in 0..certificate.len() {
            for octet in [0x00, 0x30, 0x7f, 0x80, 0x84, 0xff] {
                let mut damaged = certificate.to_vec();
                damaged[at] = octet;
                let _ = subject_public_key(&damaged);
            }
        }
    }

    #[test]
    fn a_length_beyond_the_input_is_refused() {
        assert_eq!(element(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 0]), None);
        assert_eq!(element(&[0x30, 0x80, 0, 0]), None);
        assert_eq!(element(&[0x30, 0x85, 0, 0, 0, 0, 1, 0]), None);
        assert_eq!(element(&[0x02, 0x01, 7, 9]), Some((2, &[7][..], &[9][..])));
    }
}

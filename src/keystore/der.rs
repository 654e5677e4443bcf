//! As much of DER as it takes to read keys, certificates and stores.
//!
//! Every length is checked against what is there before anything is sliced, and nothing is
//! allocated: a damaged file costs no more than its own size.

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

/// Reads one element that may be left out: its content if it is there, and what follows.
pub(super) fn optional(tag: u8, der: &[u8]) -> (Option<&[u8]>, &[u8]) {
    match expect(tag, der) {
        Some((content, rest)) => (Some(content), rest),
        None => (None, der),
    }
}

/// Reads an INTEGER that is not negative and fits.
pub(super) fn number(der: &[u8]) -> Option<(u64, &[u8])> {
    let (content, rest) = expect(INTEGER, der)?;
    let octets = match content {
        [0, octets @ ..] => octets,
        [first, ..] if *first < 0x80 => content,
        _ => return None,
    };
    if octets.len() > 8 {
        return None;
    }
    let number = octets
        .iter()
        .fold(0, |number, &octet| number << 8 | u64::from(octet));
    Some((number, rest))
}

/// Walks the elements of a SEQUENCE OF or SET OF. `None` marks the end of what can be read.
pub(super) fn elements(mut der: &[u8]) -> impl Iterator<Item = Option<(u8, &[u8])>> {
    std::iter::from_fn(move || {
        if der.is_empty() {
            return None;
        }
        let Some((tag, content, rest)) = element(der) else {
            der = &[];
            return Some(None);
        };
        der = rest;
        Some(Some((tag, content)))
    })
}

pub(super) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTET_STRING: u8 = 0x04;
pub(super) const OID: u8 = 0x06;
pub(super) const BMP_STRING: u8 = 0x1e;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;
/// `[0]`, explicit or constructed.
pub(super) const CONTEXT_0: u8 = 0xa0;
/// `[3]`, explicit.
pub(super) const CONTEXT_3: u8 = 0xa3;
/// `[0] IMPLICIT` of a string.
pub(super) const CONTEXT_0_STRING: u8 = 0x80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_beyond_the_input_is_refused() {
        assert_eq!(element(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 0]), None);
        assert_eq!(element(&[0x30, 0x80, 0, 0]), None);
        assert_eq!(element(&[0x30, 0x85, 0, 0, 0, 0, 1, 0]), None);
        assert_eq!(element(&[0x02, 0x01, 7, 9]), Some((2, &[7][..], &[9][..])));
    }

    #[test]
    fn a_number_is_neither_negative_nor_too_large() {
        let read = |der: &[u8]| number(der).map(|(number, _)| number);
        assert_eq!(read(&[2, 2, 0x08, 0x00]), Some(2048));
        assert_eq!(read(&[2, 2, 0x00, 0xff]), Some(255));
        assert_eq!(read(&[2, 1, 0]), Some(0));
        assert_eq!(read(&[2, 1, 0xff]), None);
        assert_eq!(read(&[2, 0]), None);
        let most = [2, 9, 0, 255, 255, 255, 255, 255, 255, 255, 255];
        assert_eq!(read(&most), Some(u64::MAX));
        assert_eq!(read(&[2, 9, 1, 0, 0, 0, 0, 0, 0, 0, 0]), None);
    }

    #[test]
    fn a_damaged_list_ends_with_its_damage() {
        let list: Vec<_> = elements(&[2, 1, 7, 4, 9, 0]).collect();
        assert_eq!(list, [Some((2, &[7][..])), None]);
    }
}

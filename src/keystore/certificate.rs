//! What a certificate says, as far as its holder needs to know.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::der::{self, BIT_STRING, BOOLEAN, CONTEXT_0, CONTEXT_3, OCTET_STRING, OID, SEQUENCE};
use crate::secret::quote;

/// The parts of an X.509 certificate (RFC 5280 section 4.1) that are looked at here.
///
/// Reading proves nothing: signatures are the business of whoever trusts somebody.
#[derive(Debug)]
pub(crate) struct Certificate<'a> {
    /// 1, 2 or 3.
    pub(crate) version: u8,
    /// The object identifier of the signature's algorithm.
    pub(crate) signature: &'a [u8],
    issuer: &'a [u8],
    subject: &'a [u8],
    pub(crate) not_before: SystemTime,
    pub(crate) not_after: SystemTime,
    /// The bits of `subjectPublicKey`.
    pub(crate) public_key: &'a [u8],
    /// Empty when there are none.
    extensions: &'a [u8],
}

impl<'a> Certificate<'a> {
    /// `None`: it is damaged, or not X.509.
    pub(crate) fn parse(certificate: &'a [u8]) -> Option<Self> {
        let (certificate, _) = der::expect(SEQUENCE, certificate)?;
        let (fields, _) = der::expect(SEQUENCE, certificate)?;
        let (version, fields) = der::optional(CONTEXT_0, fields);
        let version = match version {
            Some(version) => u8::try_from(der::number(version)?.0).ok()?.checked_add(1)?,
            None => 1,
        };
        let (_serial_number, fields) = der::expect(der::INTEGER, fields)?;
        let (signature, fields) = der::expect(SEQUENCE, fields)?;
        let (signature, _) = der::expect(OID, signature)?;
        let (issuer, fields) = der::expect(SEQUENCE, fields)?;
        let (validity, fields) = der::expect(SEQUENCE, fields)?;
        let (not_before, validity) = time(validity)?;
        let (not_after, _) = time(validity)?;
        let (subject, fields) = der::expect(SEQUENCE, fields)?;
        let (info, fields) = der::expect(SEQUENCE, fields)?;
        let (_algorithm, info) = der::expect(SEQUENCE, info)?;
        let (bits, _) = der::expect(BIT_STRING, info)?;
        let (&unused, public_key) = bits.split_first()?;
        if unused != 0 {
            return None;
        }
        let extensions = der::elements(fields)
            .flatten()
            .find(|(tag, _)| *tag == CONTEXT_3);
        let extensions = match extensions {
            Some((_, list)) => der::expect(SEQUENCE, list)?.0,
            None => &[],
        };
        Some(Self {
            version,
            signature,
            issuer,
            subject,
            not_before,
            not_after,
            public_key,
            extensions,
        })
    }

    /// The subject's name for people: `CN=orders, O=Example`.
    pub(crate) fn subject(&self) -> String {
        name(self.subject)
    }

    /// The issuer's name for people.
    pub(crate) fn issuer(&self) -> String {
        name(self.issuer)
    }

    /// Whether issuer and subject have the same name.
    pub(crate) fn is_self_issued(&self) -> bool {
        self.issuer == self.subject
    }

    /// Whether the other one has the name of this one's issuer.
    pub(crate) fn may_be_issued_by(&self, other: &Certificate<'_>) -> bool {
        self.issuer == other.subject
    }

    /// Whether it says of itself that it may issue others (RFC 5280 section 4.2.1.9).
    pub(crate) fn is_authority(&self) -> bool {
        const BASIC_CONSTRAINTS: &[u8] = &[0x55, 0x1d, 0x13];
        self.extension(BASIC_CONSTRAINTS)
            .and_then(|value| der::expect(SEQUENCE, value))
            .and_then(|(fields, _)| der::expect(BOOLEAN, fields))
            .is_some_and(|(authority, _)| authority != [0])
    }

    /// Whether it names hosts in the only way that still counts (RFC 9110 section 4.3.4).
    pub(crate) fn has_alternative_names(&self) -> bool {
        const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
        self.extension(SUBJECT_ALT_NAME).is_some()
    }

    /// Whether its key may sign, as both a TLS handshake and an assertion do (RFC 5280 section
    /// 4.2.1.3). Without the extension it may do anything.
    pub(crate) fn may_sign(&self) -> bool {
        const KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x0f];
        const DIGITAL_SIGNATURE: u8 = 0x80;
        self.extension(KEY_USAGE).is_none_or(|value| {
            der::expect(BIT_STRING, value)
                .and_then(|(bits, _)| bits.get(1))
                .is_some_and(|bits| bits & DIGITAL_SIGNATURE != 0)
        })
    }

    /// Whether it may be shown by a TLS client (RFC 5280 section 4.2.1.12). Without the extension
    /// it may be used for anything.
    pub(crate) fn may_authenticate_client(&self) -> bool {
        const EXTENDED_KEY_USAGE: &[u8] = &[0x55, 0x1d, 0x25];
        const CLIENT_AUTH: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 2];
        const ANY: &[u8] = &[0x55, 0x1d, 0x25, 0];
        self.extension(EXTENDED_KEY_USAGE).is_none_or(|value| {
            der::expect(SEQUENCE, value).is_some_and(|(purposes, _)| {
                der::elements(purposes)
                    .flatten()
                    .any(|(_, purpose)| purpose == CLIENT_AUTH || purpose == ANY)
            })
        })
    }

    fn extension(&self, wanted: &[u8]) -> Option<&'a [u8]> {
        der::elements(self.extensions)
            .flatten()
            .find_map(|(_, extension)| {
                let (id, rest) = der::expect(OID, extension)?;
                let (_critical, rest) = der::optional(BOOLEAN, rest);
                let (value, _) = der::expect(OCTET_STRING, rest)?;
                (id == wanted).then_some(value)
            })
    }
}

/// Reads a UTCTime or GeneralizedTime, in the only forms that RFC 5280 section 4.1.2.5 allows.
fn time(validity: &[u8]) -> Option<(SystemTime, &[u8])> {
    const UTC_TIME: u8 = 0x17;
    const GENERALIZED_TIME: u8 = 0x18;
    let (tag, text, rest) = der::element(validity)?;
    let digits = text.strip_suffix(b"Z")?;
    let pair = |at: usize| -> Option<i64> {
        match digits.get(at..at + 2)? {
            [tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => {
                Some(i64::from(tens - b'0') * 10 + i64::from(ones - b'0'))
            }
            _ => None,
        }
    };
    let (year, at) = match (tag, digits.len()) {
        // Two digits mean 1950 to 2049.
        (UTC_TIME, 12) => match pair(0)? {
            year @ 50.. => (1900 + year, 2),
            year => (2000 + year, 2),
        },
        (GENERALIZED_TIME, 14) => (pair(0)? * 100 + pair(2)?, 4),
        _ => return None,
    };
    let (month, day) = (pair(at)?, pair(at + 2)?);
    let (hour, minute, second) = (pair(at + 4)?, pair(at + 6)?, pair(at + 8)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let seconds = days_since_1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    let span = Duration::from_secs(seconds.unsigned_abs());
    let time = if seconds < 0 {
        UNIX_EPOCH.checked_sub(span)?
    } else {
        UNIX_EPOCH.checked_add(span)?
    };
    Some((time, rest))
}

/// In the Gregorian calendar. A year that begins in March has its leap day at the end, so that
/// the days before a month are a straight line: 153 days in any five months from March on.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    const DAYS_FROM_MARCH_0000_TO_1970: i64 = 719_468;
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + (153 * month + 2) / 5 + day - 1 - DAYS_FROM_MARCH_0000_TO_1970
}

/// A distinguished name in DER, for people.
#[cfg(feature = "hyper")]
pub(crate) fn distinguished_name(der: &[u8]) -> String {
    name(der::expect(SEQUENCE, der).map_or(&[], |(content, _)| content))
}

/// The content of a distinguished name, for people. It comes from a file or a peer: fit to be repeated.
fn name(distinguished: &[u8]) -> String {
    let mut out = String::new();
    for (_, relative) in der::elements(distinguished).flatten() {
        for (_, attribute) in der::elements(relative).flatten() {
            let Some((kind, value)) = der::expect(OID, attribute) else {
                continue;
            };
            let Some((tag, value, _)) = der::element(value) else {
                continue;
            };
            let label = match kind {
                [0x55, 0x04, 0x03] => "CN",
                [0x55, 0x04, 0x06] => "C",
                [0x55, 0x04, 0x07] => "L",
                [0x55, 0x04, 0x08] => "ST",
                [0x55, 0x04, 0x0a] => "O",
                [0x55, 0x04, 0x0b] => "OU",
                _ => continue,
            };
            if !out.is_empty() {
                out.push_str(", ");
            }
            out.push_str(label);
            out.push('=');
            out.push_str(&match tag {
                der::BMP_STRING => bmp_string(value),
                _ => String::from_utf8_lossy(value).into_owned(),
            });
        }
    }
    if out.is_empty() {
        return "(no name)".into();
    }
    quote(&out, &[])
}

/// Two octets a character, the higher one first.
pub(super) fn bmp_string(octets: &[u8]) -> String {
    let (pairs, _) = octets.as_chunks();
    let units: Vec<u16> = pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
    String::from_utf16_lossy(&units)
}

#[cfg(test)]
mod tests {
    use rustls_pki_types::{CertificateDer, pem::PemObject};

    use super::*;

    fn certificate() -> CertificateDer<'static> {
        let pem = include_bytes!("../../tests/keys/p256-client.pem");
        CertificateDer::from_pem_slice(pem).unwrap()
    }

    fn seconds(tag: u8, text: &str) -> Option<i64> {
        let mut der = vec![tag, u8::try_from(text.len()).unwrap()];
        der.extend_from_slice(text.as_bytes());
        let (time, _) = time(&der)?;
        Some(match time.duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_secs()).unwrap(),
            Err(before) => -i64::try_from(before.duration().as_secs()).unwrap(),
        })
    }

    #[test]
    fn both_forms_of_time_are_read() {
        for (tag, text, expected) in [
            (0x17, "700101000000Z", 0),
            (0x17, "491231235959Z", 2_524_607_999),
            (0x17, "500101000000Z", -631_152_000),
            (0x17, "240229120000Z", 1_709_208_000),
            (0x18, "20000301000000Z", 951_868_800),
            (0x18, "21000301000000Z", 4_107_542_400),
            (0x18, "99991231235959Z", 253_402_300_799),
        ] {
            assert_eq!(seconds(tag, text), Some(expected), "{text}");
        }
    }

    #[test]
    fn a_time_that_is_none_is_refused() {
        for (tag, text) in [
            (0x17, "700101000000"),
            (0x17, "7001010000Z"),
            (0x17, "701301000000Z"),
            (0x17, "700100000000Z"),
            (0x17, "700101240000Z"),
            (0x17, "7O0101000000Z"),
            (0x17, "20000301000000Z"),
            (0x18, "700101000000Z"),
            (0x18, "20000301000000.5Z"),
            (0x0c, "700101000000Z"),
        ] {
            assert_eq!(seconds(tag, text), None, "{text}");
        }
    }

    #[test]
    fn a_certificate_is_read_as_openssl_shows_it() {
        let der = certificate();
        let certificate = Certificate::parse(&der).unwrap();
        assert_eq!(certificate.version, 3);
        assert_eq!(
            certificate.subject(),
            "O=tower-oauth tests, CN=orders-service"
        );
        assert_eq!(certificate.public_key.len(), 65);
        assert!(!certificate.is_authority());
        assert!(!certificate.is_self_issued());
        assert!(!certificate.has_alternative_names());

        let authority = include_bytes!("../../tests/keys/ca.pem");
        let authority = CertificateDer::from_pem_slice(authority).unwrap();
        let authority = Certificate::parse(&authority).unwrap();
        assert!(authority.is_authority());
        assert!(authority.is_self_issued());
        assert!(certificate.may_be_issued_by(&authority));

        let server = include_bytes!("../../tests/keys/server.pem");
        let server = CertificateDer::from_pem_slice(server).unwrap();
        assert!(Certificate::parse(&server).unwrap().has_alternative_names());
    }

    #[cfg(feature = "testing")]
    #[test]
    fn what_a_key_may_be_used_for_is_read() {
        use rcgen::{
            CertificateParams, ExtendedKeyUsagePurpose as Purpose, KeyPair,
            KeyUsagePurpose as Usage,
        };

        for (usages, purposes, signs, authenticates) in [
            (vec![], vec![], true, true),
            (
                vec![Usage::DigitalSignature],
                vec![Purpose::ClientAuth],
                true,
                true,
            ),
            (
                vec![Usage::KeyAgreement],
                vec![Purpose::ServerAuth],
                false,
                false,
            ),
            (
                vec![Usage::KeyEncipherment, Usage::DigitalSignature],
                vec![Purpose::ServerAuth, Purpose::ClientAuth],
                true,
                true,
            ),
            (vec![Usage::DecipherOnly], vec![Purpose::Any], false, true),
        ] {
            let mut params = CertificateParams::default();
            params.key_usages = usages.clone();
            params.extended_key_usages = purposes;
            let made = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
            let read = Certificate::parse(made.der()).unwrap();
            assert_eq!(read.may_sign(), signs, "{usages:?}");
            assert_eq!(read.may_authenticate_client(), authenticates, "{usages:?}");
        }
    }

    #[test]
    fn a_damaged_certificate_causes_no_panic() {
        let certificate = certificate();
        for end in 0..certificate.len() {
            assert!(Certificate::parse(&certificate[..end]).is_none());
        }
        for at in 0..certificate.len() {
            for octet in [0x00, 0x30, 0x7f, 0x80, 0x84, 0xff] {
                let mut damaged = certificate.to_vec();
                damaged[at] = octet;
                if let Some(read) = Certificate::parse(&damaged) {
                    let _ = (read.subject(), read.issuer(), read.is_authority());
                    let _ = (read.may_sign(), read.may_authenticate_client());
                }
            }
        }
    }
}

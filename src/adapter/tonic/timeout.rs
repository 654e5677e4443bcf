//! The deadline that a call carries.

use std::time::Duration;

use http::{HeaderMap, HeaderName};

static GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// How long the call may take: at most eight digits and a unit. What is written otherwise is no
/// deadline.
pub(super) fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let (unit, digits) = headers.get(&GRPC_TIMEOUT)?.as_bytes().split_last()?;
    if !(1..=8).contains(&digits.len()) {
        return None;
    }
    let value = digits.iter().try_fold(0, |value: u64, digit| {
        let digit = char::from(*digit).to_digit(10)?;
        Some(value * 10 + u64::from(digit))
    })?;
    match unit {
        b'H' => Some(Duration::from_secs(value * 60 * 60)),
        b'M' => Some(Duration::from_secs(value * 60)),
        b'S' => Some(Duration::from_secs(value)),
        b'm' => Some(Duration::from_millis(value)),
        b'u' => Some(Duration::from_micros(value)),
        b'n' => Some(Duration::from_nanos(value)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        headers.insert(&GRPC_TIMEOUT, text.parse().unwrap());
        timeout(&headers)
    }

    #[test]
    fn every_unit_is_read() {
        assert_eq!(of("99999999H"), Some(Duration::from_secs(359_999_996_400)));
        assert_eq!(of("2M"), Some(Duration::from_secs(120)));
        assert_eq!(of("3S"), Some(Duration::from_secs(3)));
        assert_eq!(of("04m"), Some(Duration::from_millis(4)));
        assert_eq!(of("5u"), Some(Duration::from_micros(5)));
        assert_eq!(of("0n"), Some(Duration::ZERO));
    }

    #[test]
    fn what_is_written_otherwise_is_no_deadline() {
        for odd in [
            "",
            "S",
            "1",
            "1s",
            "1 S",
            "-1S",
            "+1S",
            "1.5S",
            "123456789S",
            "1SS",
            "ſS",
        ] {
            assert_eq!(of(odd), None, "{odd}");
        }
        assert_eq!(timeout(&HeaderMap::new()), None);
    }
}

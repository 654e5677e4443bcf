//! Lifetimes as servers write them.

use std::time::Duration;

use serde_json::value::RawValue;

/// The longest lifetime believed.
pub(super) const MAX_LIFETIME: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Reads a number of seconds (`expires_in`, `refresh_in`): rounded down, at least zero, at most
/// [`MAX_LIFETIME`].
///
/// Several servers write a string where RFC 6749 section 5.1 asks for a number. What makes no
/// sense at all is as good as missing: the token beside it is still a token.
pub(super) fn seconds(value: &RawValue) -> Option<Duration> {
    let text: String;
    let number = if value.get().starts_with('"') {
        text = serde_json::from_str(value.get()).ok()?;
        text.trim()
    } else {
        value.get()
    };
    // `f64` also reads "inf" and "nan".
    let numeric = |byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E');
    if !number.bytes().all(numeric) {
        return None;
    }
    // What is too large for an `f64` becomes infinite, and so the maximum.
    let seconds: f64 = number.parse().ok()?;
    let seconds = seconds.clamp(0.0, MAX_LIFETIME.as_secs_f64()).floor();
    Some(Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_lifetimes_are_read_or_ignored() {
        const YEAR: u64 = MAX_LIFETIME.as_secs();
        for (written, expected) in [
            ("3600", Some(3600)),
            ("0", Some(0)),
            ("-0", Some(0)),
            ("-0.5", Some(0)),
            ("-1e400", Some(0)),
            ("0.999", Some(0)),
            ("3.6e3", Some(3600)),
            ("3.6E+3", Some(3600)),
            ("1e-400", Some(0)),
            ("1e400", Some(YEAR)),
            ("18446744073709551616", Some(YEAR)),
            ("\"3600\"", Some(3600)),
            ("\"\\u0033600\"", Some(3600)),
            ("\" 3600\\n\"", Some(3600)),
            ("\"3600.5\"", Some(3600)),
            ("\"-1\"", Some(0)),
            ("\"\"", None),
            ("\"inf\"", None),
            ("\"NaN\"", None),
            ("\"infinity\"", None),
            ("\"1_000\"", None),
            ("\"0x10\"", None),
            ("\"e\"", None),
            ("\"PT1H\"", None),
            ("\"2026-11-23T00:00:00Z\"", None),
            ("true", None),
            ("{\"seconds\":3600}", None),
            ("[3600]", None),
        ] {
            let value: &RawValue = serde_json::from_str(written).unwrap();
            assert_eq!(seconds(value).map(|d| d.as_secs()), expected, "{written}");
        }
    }
}

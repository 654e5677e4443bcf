use std::time::{Duration, SystemTime};

use http::{HeaderMap, header::RETRY_AFTER};

/// A server can't silence a client for longer.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(5 * 60);

/// How long the server asks to wait (RFC 9110 section 10.2.3): seconds or any of the three forms
/// of a date, at most five minutes. Anything else is ignored.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let delay = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are more seconds than are granted.
        value.parse().map_or(Duration::MAX, Duration::from_secs)
    } else {
        let date = httpdate::parse_http_date(value).ok()?;
        date.duration_since(now).unwrap_or_default()
    };
    Some(delay.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn every_form_of_the_vectors_is_read() {
        let vectors: Value =
            serde_json::from_str(include_str!("../../tests/vectors/retry-after.json")).unwrap();
        // 1999-12-31T23:57:59Z, the `now` of the file.
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(946_684_679);
        let cases = vectors["cases"].as_array().unwrap();
        assert_eq!(cases.len(), 8);
        for case in cases {
            let mut headers = HeaderMap::new();
            headers.insert(
                RETRY_AFTER,
                case["value"].as_str().unwrap().parse().unwrap(),
            );
            let expected = match &case["delay_seconds"] {
                Value::String(capped) if capped == "capped" => Some(MAX_RETRY_AFTER),
                seconds => seconds.as_u64().map(Duration::from_secs),
            };
            assert_eq!(retry_after(&headers, now), expected, "{}", case["id"]);
        }
    }

    #[test]
    fn what_is_no_delay_is_ignored() {
        let mut headers = HeaderMap::new();
        let now = SystemTime::UNIX_EPOCH;
        assert_eq!(retry_after(&headers, now), None);
        for odd in ["", " ", "1.5", "+1", "1 2", "Mon, 99 Foo"] {
            headers.insert(RETRY_AFTER, odd.parse().unwrap());
            assert_eq!(retry_after(&headers, now), None, "{odd:?}");
        }
        let far = "Fri, 31 Dec 9999 23:59:59 GMT";
        headers.insert(RETRY_AFTER, far.parse().unwrap());
        assert_eq!(retry_after(&headers, now), Some(MAX_RETRY_AFTER));
    }
}

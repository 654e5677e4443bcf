//! Time spans and sizes. Each is a number with its unit in one text, so that nobody takes seconds
//! for minutes.

use std::{fmt, marker::PhantomData, time::Duration};

use serde::{Deserialize, Deserializer, de};

/// A time span, such as `"500ms"`, `"60s"`, `"5m"`, `"12h"` or `"30d"`: at most 3650 days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(
    test,
    schemars(inline, extend("pattern" = r"^[0-9]+(ms|s|m|h|d)$|\$\{"))
)]
pub(super) struct Span(#[cfg_attr(test, schemars(with = "String"))] pub(super) Duration);

/// A size, such as `"512B"`, `"64KiB"` or `"1MiB"`: at most 1 GiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(
    test,
    schemars(inline, extend("pattern" = r"^[0-9]+ ?(B|KiB|MiB|GiB)$|\$\{"))
)]
pub(super) struct Size(#[cfg_attr(test, schemars(with = "String"))] pub(super) usize);

/// A number and a unit become a value.
trait Quantity: Sized {
    /// What it is, with examples.
    const EXPECTED: &'static str;

    fn of(number: u64, unit: &str) -> Option<Self>;
}

impl Quantity for Span {
    const EXPECTED: &'static str =
        "a time span of at most 3650 days with its unit (ms, s, m, h or d), such as \"60s\"";

    fn of(number: u64, unit: &str) -> Option<Self> {
        let milliseconds = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60 * 1_000,
            "h" => 60 * 60 * 1_000,
            "d" => 24 * 60 * 60 * 1_000,
            _ => return None,
        };
        let span = Duration::from_millis(number.checked_mul(milliseconds)?);
        (span <= Duration::from_secs(3650 * 24 * 60 * 60)).then_some(Self(span))
    }
}

impl Quantity for Size {
    const EXPECTED: &'static str =
        "a size of at most 1 GiB with its unit (B, KiB, MiB or GiB), such as \"64KiB\"";

    fn of(number: u64, unit: &str) -> Option<Self> {
        let octets = match unit {
            "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return None,
        };
        let size = number.checked_mul(octets)?;
        (size <= 1 << 30).then(|| usize::try_from(size).ok().map(Self))?
    }
}

fn parse<T: Quantity>(text: &str) -> Option<T> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    T::of(number.parse().ok()?, unit.strip_prefix(' ').unwrap_or(unit))
}

struct Visitor<T>(PhantomData<T>);

impl<T: Quantity> de::Visitor<'_> for Visitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        parse(text).ok_or_else(|| E::custom(format_args!("{text:?} isn't {}", T::EXPECTED)))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Visitor(PhantomData))
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Visitor(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_a_number_and_a_unit_and_an_end() {
        for (text, expected) in [
            ("500ms", Some(500)),
            ("60s", Some(60_000)),
            ("0s", Some(0)),
            ("5 m", Some(300_000)),
            ("12h", Some(43_200_000)),
            ("3650d", Some(315_360_000_000)),
            ("3651d", None),
            ("60", None),
            ("s", None),
            ("", None),
            ("-1s", None),
            ("+1s", None),
            ("1.5s", None),
            ("1m30s", None),
            ("60 seconds", None),
            ("60S", None),
            ("5  m", None),
            (" 5m", None),
            ("18446744073709551615d", None),
            ("18446744073709551616ms", None),
            ("٣s", None),
        ] {
            let read = parse::<Span>(text).map(|span| span.0.as_millis());
            assert_eq!(read, expected, "{text}");
        }
    }

    #[test]
    fn a_size_has_a_number_and_a_unit_and_an_end() {
        for (text, expected) in [
            ("0B", Some(0)),
            ("512B", Some(512)),
            ("64 KiB", Some(65_536)),
            ("1MiB", Some(1_048_576)),
            ("1GiB", Some(1 << 30)),
            ("2GiB", None),
            ("64KB", None),
            ("64k", None),
            ("65536", None),
            ("18446744073709551615GiB", None),
        ] {
            let read = parse::<Size>(text).map(|size| size.0);
            assert_eq!(read, expected, "{text}");
        }
    }
}

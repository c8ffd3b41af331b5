//! How far two values may be apart.
//!
//! Numbers are reckoned with in decimal, exactly: `0.1` and `0.3` are `0.2` apart and no more.
//! Numbers that take more than [`DIGITS`] digits to write out are within no tolerance.

use std::str::FromStr;

use bigdecimal::{BigDecimal, Signed};

use super::RuleError;

/// Digits, before the point and after it together, of numbers that are reckoned with.
const DIGITS: i64 = 1_000;

/// Bytes of a text that may be a timestamp.
const TIMESTAMP_BYTES: usize = 64;

/// How far two values may be apart: numbers by either bound, timestamps by theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tolerance {
    absolute: Option<BigDecimal>,
    /// Of the primary's value.
    relative: Option<BigDecimal>,
    within_ms: Option<u64>,
}

impl Tolerance {
    /// With these bounds, numbers as they are written; at least one is needed.
    ///
    /// # Errors
    /// A bound is no number or below zero, or there is none.
    pub fn new(
        absolute: Option<&str>,
        relative: Option<&str>,
        within_ms: Option<u64>,
    ) -> Result<Self, RuleError> {
        if absolute.is_none() && relative.is_none() && within_ms.is_none() {
            return Err(RuleError::NoBound);
        }
        Ok(Self {
            absolute: absolute.map(|text| bound("absolute", text)).transpose()?,
            relative: relative.map(|text| bound("relative", text)).transpose()?,
            within_ms,
        })
    }

    /// How far numbers may be apart.
    #[must_use]
    pub fn absolute(&self) -> Option<String> {
        self.absolute.as_ref().map(BigDecimal::to_plain_string)
    }

    /// The same, as a part of the primary's number.
    #[must_use]
    pub fn relative(&self) -> Option<String> {
        self.relative.as_ref().map(BigDecimal::to_plain_string)
    }

    /// How far timestamps may be apart.
    #[must_use]
    pub const fn within_ms(&self) -> Option<u64> {
        self.within_ms
    }

    /// Whether the values are numbers or timestamps that are no farther apart.
    pub(super) fn holds(&self, primary: &[u8], shadow: &[u8]) -> bool {
        self.holds_for_numbers(primary, shadow).unwrap_or(false)
            || self.holds_for_times(primary, shadow).unwrap_or(false)
    }

    fn holds_for_numbers(&self, primary: &[u8], shadow: &[u8]) -> Option<bool> {
        if self.absolute.is_none() && self.relative.is_none() {
            return None;
        }
        let (ours, theirs) = (number(primary)?, number(shadow)?);
        let apart = (&ours - theirs).abs();
        let within = |bound: &BigDecimal| apart <= *bound;
        let relative = self.relative.as_ref().map(|part| part * ours.abs());
        Some(self.absolute.as_ref().is_some_and(within) || relative.as_ref().is_some_and(within))
    }

    /// Timestamps of two forms are never within it: another form is another answer.
    fn holds_for_times(&self, primary: &[u8], shadow: &[u8]) -> Option<bool> {
        let within = BigDecimal::from(self.within_ms?);
        let ((form, ours), (other, theirs)) = (time(primary)?, time(shadow)?);
        Some(form == other && (ours - theirs).abs() <= within)
    }
}

fn bound(key: &'static str, text: &str) -> Result<BigDecimal, RuleError> {
    match number(text.as_bytes()) {
        Some(number) if !number.is_negative() => Ok(number),
        _ => Err(RuleError::BadBound { key, text: text.to_owned() }),
    }
}

/// A number in decimal digits; `None` for all else, and for what is too long to write out.
fn number(text: &[u8]) -> Option<BigDecimal> {
    let is_part = |b: &u8| b.is_ascii_digit() || b"+-.eE".contains(b);
    if text.len() > usize::try_from(DIGITS).ok()? || !text.iter().all(is_part) {
        return None;
    }
    let number = BigDecimal::from_str(std::str::from_utf8(text).ok()?).ok()?;
    (number.fractional_digit_count().abs() <= DIGITS).then_some(number)
}

/// What a timestamp is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TimeForm {
    Rfc3339,
    HttpDate,
    /// Since 1970, in parts of a second that have so many digits.
    Epoch(i64),
}

/// A timestamp: its form, and milliseconds since 1970.
fn time(text: &[u8]) -> Option<(TimeForm, BigDecimal)> {
    if text.len() > TIMESTAMP_BYTES {
        return None;
    }
    if let Some(number) = number(text) {
        // Ours: from 1973 to 5138 the digits before the point tell seconds from thousandths,
        // millionths and billionths.
        let unit = match number.abs().with_scale(0).digits() {
            9..=11 => 0,
            12..=14 => 3,
            15..=17 => 6,
            18..=20 => 9,
            _ => return None,
        };
        let ms = number * BigDecimal::new(1.into(), unit - 3);
        return Some((TimeForm::Epoch(unit), ms));
    }
    let text = std::str::from_utf8(text).ok()?;
    let ms = |time: jiff::Timestamp| BigDecimal::new(time.as_nanosecond().into(), 6);
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Some((TimeForm::Rfc3339, ms(time)));
    }
    // RFC 9110 §5.6.7: an HTTP-date is a subset of what RFC 5322 writes.
    let time = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    Some((TimeForm::HttpDate, ms(time)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn holds(absolute: &str, relative: &str, primary: &str, shadow: &str) -> bool {
        let given = |text| Some(text).filter(|text: &&str| !text.is_empty());
        Tolerance::new(given(absolute), given(relative), None)
            .unwrap()
            .holds(primary.as_bytes(), shadow.as_bytes())
    }

    fn within(ms: u64, primary: &str, shadow: &str) -> bool {
        Tolerance::new(None, None, Some(ms)).unwrap().holds(primary.as_bytes(), shadow.as_bytes())
    }

    #[test]
    fn numbers_are_reckoned_with_in_decimal() {
        assert!(
            holds("0.2", "", "0.1", "0.3") && !holds("0.1999999999999999999", "", "0.1", "0.3")
        );
        assert!(holds("1", "", "12345678901234567890123", "12345678901234567890124"));
        assert!(!holds("0.9", "", "12345678901234567890123", "12345678901234567890124"));
        assert!(holds("0.01", "", "1e2", "100.01") && holds("0", "", "1", "1.0"));
        assert!(
            !holds("1", "", "a", "a1") && !holds("1", "", "1", "") && !holds("1", "", "1_0", "10")
        );
    }

    #[test]
    fn a_relative_bound_is_a_part_of_the_primary_s_number_and_either_bound_is_enough() {
        assert!(holds("", "0.01", "100", "101") && !holds("", "0.01", "100", "101.01"));
        assert!(holds("", "0.01", "-100", "-99") && !holds("", "0.01", "0", "0.001"));
        assert!(holds("5", "0.01", "100", "105") && holds("5", "0.01", "1000", "1010"));
    }

    #[test]
    fn numbers_too_long_to_write_out_are_within_nothing() {
        assert!(!holds("1e900", "", "1e1000000000", "2e1000000000"));
        assert!(!holds("1", "", "1e-1000000000", "2e-1000000000"));
        assert!(!holds("1", "", &"9".repeat(2_000), "1"));
        assert!(!holds("1", "", "1e99999999999999999999", "1"));
    }

    #[test]
    fn times_of_one_form_may_be_apart() {
        assert!(within(1_000, "2026-11-21T10:00:00Z", "2026-11-21T10:00:01.000+00:00"));
        assert!(!within(999, "2026-11-21T10:00:00Z", "2026-11-21T10:00:01Z"));
        assert!(within(0, "2026-11-21T10:00:00Z", "2026-11-21T11:00:00+01:00"));
        let date = |second| format!("Sat, 21 Nov 2026 10:00:0{second} GMT");
        assert!(within(2_000, &date(1), &date(3)) && !within(1_999, &date(1), &date(3)));
        assert!(
            within(1_000, "1795246953", "1795246954") && !within(999, "1795246953", "1795246954")
        );
        assert!(within(1, "1795246953686", "1795246953687"));
        assert!(within(1, "1795246953.686", "1795246953.687"));
        assert!(within(1, "1795246953686152167", "1795246953685577370"));
        assert!(!within(1_000_000, "1795246953", "1795246953000"));
        assert!(!within(u64::MAX, "2026-11-21T10:00:00Z", &date(1)));
        assert!(!within(u64::MAX, "12", "13") && !within(u64::MAX, "a", "b"));
    }

    #[test]
    fn a_bound_is_a_number_from_zero_on() {
        let error = |text| Tolerance::new(Some(text), None, None).unwrap_err().to_string();
        for text in ["-0.1", "nan", "inf", "", "one"] {
            assert_eq!(
                error(text),
                format!("absolute = {text}: a tolerance is a number, zero or above")
            );
        }
        assert!(Tolerance::new(None, None, None).is_err());
    }

    proptest! {
        #[test]
        fn it_is_the_distance_that_counts(a in -1000_i64..1000, b in -1000_i64..1000, d in 0_i64..50) {
            let text = |n: i64| format!("{}{}.{:02}", if n < 0 { "-" } else { "" }, n.abs() / 100, n.abs() % 100);
            prop_assert_eq!(holds(&text(d), "", &text(a), &text(b)), (a - b).abs() <= d);
        }

        #[test]
        fn any_bytes_are_taken(one in prop::collection::vec(any::<u8>(), 0..30), other in "[-+.e0-9TZ: ]{0,30}") {
            let tolerance = Tolerance::new(Some("1"), Some("1"), Some(1)).unwrap();
            tolerance.holds(&one, other.as_bytes());
            tolerance.holds(other.as_bytes(), &one);
        }
    }
}

//! Numbers compared by value, exactly: `1`, `1.0` and `10e-1` are one number, and digits beyond a
//! double's are not lost.

/// Digits of an exponent that are reckoned with. Numbers with longer ones are equal only if they
/// are written alike.
const EXPONENT_DIGITS: usize = 15;

/// Whether two JSON numbers (RFC 8259 §6) have the same value. Minus zero is zero.
pub(super) fn same_number(one: &[u8], other: &[u8]) -> bool {
    if one == other {
        return true;
    }
    // RFC 8259 §6: no leading zeros. So two numbers of digits alone are equal only if written alike.
    if is_digits(one) && is_digits(other) {
        return false;
    }
    match (Decimal::parse(one), Decimal::parse(other)) {
        (Some(one), Some(other)) => one.same(&other),
        _ => false,
    }
}

/// Writes a JSON number so that numbers of one value are written alike, and no others.
pub(super) fn write_canonical(number: &[u8], out: &mut Vec<u8>) {
    let Some(decimal) = Decimal::parse(number) else {
        return out.extend_from_slice(number);
    };
    out.push(if decimal.negative { b'-' } else { b'+' });
    out.extend_from_slice(&decimal.exponent.to_le_bytes());
    out.extend_from_slice(decimal.whole);
    out.extend_from_slice(decimal.fraction);
}

fn is_digits(number: &[u8]) -> bool {
    // To the end in any case: so many are looked at at once.
    number.iter().fold(true, |all, byte| all & byte.is_ascii_digit())
}

/// `±0.DIGITS × 10^exponent`, where the digits neither begin nor end with a zero.
struct Decimal<'n> {
    negative: bool,
    /// Of the digits: those before the point, and those after it.
    whole: &'n [u8],
    fraction: &'n [u8],
    exponent: i64,
}

impl<'n> Decimal<'n> {
    /// `None` where the exponent is too long.
    fn parse(text: &'n [u8]) -> Option<Self> {
        let (negative, text) = match text.strip_prefix(b"-") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (mantissa, exponent) = match text.iter().position(|b| matches!(b, b'e' | b'E')) {
            Some(at) => (&text[..at], exponent(&text[at + 1..])?),
            None => (text, 0),
        };
        let (mut whole, mut fraction) = match memchr::memchr(b'.', mantissa) {
            Some(at) => (&mantissa[..at], &mantissa[at + 1..]),
            None => (mantissa, &mantissa[mantissa.len()..]),
        };
        whole = trim_start(whole);
        let mut exponent = exponent + i64::try_from(whole.len()).ok()?;
        if whole.is_empty() {
            let digits = trim_start(fraction);
            exponent -= i64::try_from(fraction.len() - digits.len()).ok()?;
            fraction = digits;
        }
        fraction = trim_end(fraction);
        if fraction.is_empty() {
            whole = trim_end(whole);
        }
        if whole.is_empty() && fraction.is_empty() {
            return Some(Self { negative: false, whole, fraction, exponent: 0 });
        }
        Some(Self { negative, whole, fraction, exponent })
    }

    fn same(&self, other: &Self) -> bool {
        let digits = |n: &Self| n.whole.len() + n.fraction.len();
        self.negative == other.negative
            && self.exponent == other.exponent
            && digits(self) == digits(other)
            && self.whole.iter().chain(self.fraction).eq(other.whole.iter().chain(other.fraction))
    }
}

fn exponent(text: &[u8]) -> Option<i64> {
    let (sign, digits) = match text {
        [b'-', rest @ ..] => (-1, rest),
        [b'+', rest @ ..] | rest => (1, rest),
    };
    let digits = trim_start(digits);
    if digits.len() > EXPONENT_DIGITS {
        return None;
    }
    Some(sign * digits.iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0')))
}

fn trim_start(digits: &[u8]) -> &[u8] {
    &digits[digits.iter().take_while(|&&b| b == b'0').count()..]
}

fn trim_end(digits: &[u8]) -> &[u8] {
    &digits[..digits.len() - digits.iter().rev().take_while(|&&b| b == b'0').count()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn same(one: &str, other: &str) -> bool {
        let forth = same_number(one.as_bytes(), other.as_bytes());
        assert_eq!(forth, same_number(other.as_bytes(), one.as_bytes()));
        forth
    }

    #[test]
    fn one_value_has_many_forms() {
        for form in ["1", "1.0", "1e0", "1.000e+0", "10e-1", "0.1e1", "0.001E3", "1e-0"] {
            assert!(same("1", form), "{form}");
        }
        for zero in ["0", "-0", "0.0", "0e9", "-0.00e-7"] {
            assert!(same("0", zero), "{zero}");
        }
        assert!(same("1200", "12e2") && same("120.50", "1205e-1") && same("0.0012", "12e-4"));
    }

    #[test]
    fn digits_beyond_a_double_count() {
        assert!(!same("12345678901234567890123", "12345678901234567890124"));
        assert!(!same("0.1", "0.10000000000000000000001"));
        assert!(!same("1", "-1") && !same("1", "10") && !same("1e1", "1e2") && !same("10", "100"));
        assert!(!same("101", "11") && !same("1.01", "10.1"));
    }

    #[test]
    fn exponents_of_any_length_are_no_danger() {
        let huge = "9".repeat(1000);
        assert!(same(&format!("1e{huge}"), &format!("1e{huge}")));
        assert!(!same(&format!("1e{huge}"), &format!("1e{huge}9")));
        assert!(same("1e0000000000000000000001", "10"));
    }

    proptest! {
        #[test]
        fn the_canonical_form_is_that_of_the_value(
            one in "-?(0|[1-9][0-9]{0,3})([.][0-9]{1,3})?(e-?[0-9]{1,2})?",
            other in "-?(0|[1-9][0-9]{0,3})([.][0-9]{1,3})?(e-?[0-9]{1,2})?",
        ) {
            let canonical = |number: &str| {
                let mut out = Vec::new();
                write_canonical(number.as_bytes(), &mut out);
                out
            };
            prop_assert_eq!(same(&one, &other), canonical(&one) == canonical(&other));
            prop_assert_eq!(canonical(&one), canonical(&format!("{one}{}", if one.contains('e') { "" } else { "e0" })));
        }

        #[test]
        fn equality_is_that_of_the_value(
            a in -2000_i64..2000, scale_a in 0_u32..4, b in -2000_i64..2000, scale_b in 0_u32..4,
        ) {
            let text = |n: i64, scale: u32| format!("{n}e-{scale}");
            let value = |n: i64, scale: u32| n * 10_i64.pow(4 - scale);
            prop_assert_eq!(
                same(&text(a, scale_a), &text(b, scale_b)),
                value(a, scale_a) == value(b, scale_b)
            );
        }

        #[test]
        fn a_point_can_be_written_as_an_exponent(n in 0_u64..1_000_000, places in 1_usize..9) {
            let digits = format!("{n:0>width$}", width = places + 1);
            let (whole, fraction) = digits.split_at(digits.len() - places);
            let (pointed, powered) = (format!("{whole}.{fraction}"), format!("{n}e-{places}"));
            prop_assert!(same(&pointed, &powered));
        }
    }
}

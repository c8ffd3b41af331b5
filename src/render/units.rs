//! Numbers for people.

/// A count with thousands apart: `1,234,567`.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A count with its noun: `1 pair`, `2 pairs`.
pub(crate) fn counted(n: u64, noun: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", count(n))
}

/// A time in the unit that suits: `850 µs`, `12.3 ms`, `1.20 s`.
pub(crate) fn micros(us: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let value = us as f64;
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..1_000_000 => format!("{:.1} ms", value / 1e3),
        _ => format!("{:.2} s", value / 1e6),
    }
}

/// A share of a whole: `6.7 %`; a share too small to show is never shown as none.
pub(crate) fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "-".to_owned();
    }
    #[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
    let percent = part as f64 * 100.0 / whole as f64;
    match percent {
        p if part > 0 && p < 0.01 => "< 0.01 %".to_owned(),
        p if part < whole && p > 99.99 => "> 99.99 %".to_owned(),
        p if p < 1.0 && part > 0 => format!("{p:.2} %"),
        p => format!("{p:.1} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_apart() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn a_noun_agrees_with_its_count() {
        assert_eq!([0, 1, 2_000].map(|n| counted(n, "pair")), ["0 pairs", "1 pair", "2,000 pairs"]);
    }

    #[test]
    fn a_small_share_is_never_none_and_a_large_one_never_all() {
        assert_eq!(share(0, 1_000_000), "0.0 %");
        assert_eq!(share(1, 1_000_000), "< 0.01 %");
        assert_eq!(share(999_999, 1_000_000), "> 99.99 %");
        assert_eq!(share(1_000_000, 1_000_000), "100.0 %");
        assert_eq!(share(1, 0), "-");
    }

    #[test]
    fn times_have_the_unit_that_suits() {
        assert_eq!([7, 12_340, 1_200_000].map(micros), ["7 µs", "12.3 ms", "1.20 s"]);
    }
}

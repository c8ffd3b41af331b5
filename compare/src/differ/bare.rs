//! Values as rules read them.

use std::borrow::Cow;

use super::scan::Scanner;

/// What a JSON string stands for; all else as it is. What looks like one in a form or a text is
/// read in the same way, so that a stored value, which does not say where it came from, is too.
pub(super) fn bare(value: &[u8]) -> Cow<'_, [u8]> {
    if value.first() != Some(&b'"') || std::str::from_utf8(value).is_err() {
        return Cow::Borrowed(value);
    }
    let mut scanner = Scanner::new(value);
    match scanner.string() {
        Ok(string) if scanner.at == value.len() => string.unescaped(),
        _ => Cow::Borrowed(value),
    }
}

/// As [`bare`], and a number without a fraction that is nought: one value in one form, however it is
/// written.
pub(super) fn plain(value: &[u8]) -> Cow<'_, [u8]> {
    let bare = bare(value);
    let digits = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    match bare.iter().position(|&b| b == b'.') {
        Some(point)
            if digits(bare[..point].strip_prefix(b"-").unwrap_or(&bare[..point]))
                && bare.len() > point + 1
                && bare[point + 1..].iter().all(|&b| b == b'0') =>
        {
            match bare {
                Cow::Borrowed(bare) => Cow::Borrowed(&bare[..point]),
                Cow::Owned(mut bare) => {
                    bare.truncate(point);
                    Cow::Owned(bare)
                }
            }
        }
        _ => bare,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_loses_a_fraction_that_is_nought() {
        for (value, expected) in [
            ("12.0", "12"),
            ("-3.000", "-3"),
            (r#""7.0""#, "7"),
            ("1.50", "1.50"),
            ("1.", "1."),
            (".0", ".0"),
            ("1.0.0", "1.0.0"),
            ("v1.0", "v1.0"),
        ] {
            assert_eq!(&*plain(value.as_bytes()), expected.as_bytes(), "{value}");
        }
    }

    #[test]
    fn a_json_string_loses_its_quotes_and_escapes_and_all_else_stays() {
        for (value, expected) in [
            (r#""a""#, "a"),
            (r#""\u0041\n""#, "A\n"),
            ("1", "1"),
            (r#"["a"]"#, r#"["a"]"#),
            (r#""a" "#, r#""a" "#),
            (r#""a"#, r#""a"#),
            ("", ""),
        ] {
            assert_eq!(&*bare(value.as_bytes()), expected.as_bytes(), "{value}");
        }
    }
}

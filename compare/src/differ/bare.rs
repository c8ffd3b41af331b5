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

#[cfg(test)]
mod tests {
    use super::*;

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

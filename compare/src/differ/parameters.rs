//! The parameters of a field value: `text/plain; charset="utf-8"`.
//!
//! Read as RFC 9110 §5.6.6 has them, and any bytes are taken: what is no parameter is passed over.

use std::borrow::Cow;

/// What stands before the parameters, e.g. the media type.
pub(super) fn before(value: &[u8]) -> &[u8] {
    let end = memchr::memchr(b';', value).unwrap_or(value.len());
    value[..end].trim_ascii()
}

/// The first parameter of this name in `value`, compared without regard to case.
pub(super) fn get<'v>(value: &'v [u8], name: &str) -> Option<Cow<'v, [u8]>> {
    Parameters::of(value)
        .find(|(sent, _)| sent.eq_ignore_ascii_case(name.as_bytes()))
        .map(|(_, value)| value)
}

/// Names as sent, and values without quotes, in the order sent.
#[derive(Clone, Debug)]
pub(super) struct Parameters<'v>(&'v [u8]);

impl<'v> Parameters<'v> {
    pub(super) fn of(value: &'v [u8]) -> Self {
        let start = memchr::memchr(b';', value).unwrap_or(value.len());
        Self(&value[start..])
    }
}

impl<'v> Iterator for Parameters<'v> {
    type Item = (&'v [u8], Cow<'v, [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            // Behind a `;`, or at the end.
            let (_, rest) = self.0.split_first()?;
            let end = memchr::memchr2(b';', b'=', rest).unwrap_or(rest.len());
            let name = rest[..end].trim_ascii();
            let Some(value) = rest[end..].strip_prefix(b"=") else {
                self.0 = &rest[end..];
                continue;
            };
            let value = value.trim_ascii_start();
            let (value, rest) = match value.strip_prefix(b"\"") {
                Some(quoted) => unquoted(quoted),
                None => {
                    let end = memchr::memchr(b';', value).unwrap_or(value.len());
                    (Cow::Borrowed(value[..end].trim_ascii_end()), &value[end..])
                }
            };
            let next = memchr::memchr(b';', rest).unwrap_or(rest.len());
            self.0 = &rest[next..];
            return Some((name, value));
        }
    }
}

/// A quoted string whose opening quote was read, and what is behind it.
fn unquoted(quoted: &[u8]) -> (Cow<'_, [u8]>, &[u8]) {
    let mut value = Cow::Borrowed(&b""[..]);
    let mut rest = quoted;
    loop {
        let Some(at) = memchr::memchr2(b'"', b'\\', rest) else {
            // Nothing closes it.
            return (with(value, rest), b"");
        };
        value = with(value, &rest[..at]);
        // RFC 9110 §5.6.4: a backslash stands for what is behind it.
        match (rest[at], rest.get(at + 1)) {
            (b'\\', Some(_)) => {
                value = with(value, &rest[at + 1..at + 2]);
                rest = &rest[at + 2..];
            }
            _ => return (value, &rest[at + 1..]),
        }
    }
}

fn with<'v>(mut value: Cow<'v, [u8]>, more: &'v [u8]) -> Cow<'v, [u8]> {
    if value.is_empty() {
        return Cow::Borrowed(more);
    }
    if !more.is_empty() {
        value.to_mut().extend_from_slice(more);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(value: &[u8]) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Parameters::of(value).map(|(name, value)| (text(name), text(&value))).collect()
    }

    #[test]
    fn parameters_are_read_quoted_or_not() {
        for (value, expected) in [
            ("a/b", &[][..]),
            ("a/b;c=d", &[("c", "d")]),
            ("a/b ; C = d ; e=f", &[("C", "d"), ("e", "f")]),
            (r#"a/b; c="d;e=\"f\\"; g=h"#, &[("c", r#"d;e="f\"#), ("g", "h")]),
            (r#"a/b; c="d"#, &[("c", "d")]),
            (r#"a/b; c="d"x; e=f"#, &[("c", "d"), ("e", "f")]),
            ("a/b;;c; =d; e=", &[("", "d"), ("e", "")]),
            (r#"a/b; c="";d="\"#, &[("c", ""), ("d", "")]),
        ] {
            let expected: Vec<_> =
                expected.iter().map(|&(name, value)| (name.into(), value.into())).collect();
            assert_eq!(all(value.as_bytes()), expected, "{value}");
        }
        assert_eq!(before(b" a/b ; c=d"), b"a/b");
        assert_eq!(get(b"a/b; X=1; x=2", "x").as_deref(), Some(&b"1"[..]));
        assert_eq!(get(b"a/b; X=1", "y"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(
            value in prop::collection::vec(prop::sample::select(&b"a;= \"\\\xff"[..]), 0..20),
        ) {
            prop_assert!(Parameters::of(&value).count() <= value.len());
        }
    }
}

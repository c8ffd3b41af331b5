//! JSON texts, redacted in place: everything that is no secret stays byte for byte.
//!
//! A scanner over the text, not a tree: it reads what parsers may refuse (duplicate names, a text
//! cut at its end) and refuses what it cannot follow.

use std::borrow::Cow;

use super::Redactor;

/// Nesting that is followed. Deeper texts are refused.
const DEPTH: usize = 128;
/// JSON texts inside strings of JSON texts that are followed.
const NESTED_TEXTS: usize = 3;

/// `text` redacted: one JSON text or several after another, or where `cut`, the beginning of one.
/// `None` where it is none.
pub(super) fn redact(
    redactor: &Redactor,
    text: &str,
    cut: bool,
    nested_in: usize,
) -> Option<String> {
    let out = String::with_capacity(text.len());
    let mut scan = Scan { redactor, text, at: 0, out, nested_in };
    loop {
        scan.space();
        if scan.at == text.len() {
            return Some(scan.out);
        }
        match scan.value(0) {
            Ok(()) => {}
            Err(Stop::End) if cut => return Some(scan.out),
            Err(_) => return None,
        }
    }
}

/// Why the scan stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// The text ended inside a value.
    End,
    /// This is no JSON.
    Invalid,
}

struct Scan<'a> {
    redactor: &'a Redactor,
    text: &'a str,
    at: usize,
    out: String,
    nested_in: usize,
}

impl<'a> Scan<'a> {
    fn value(&mut self, depth: usize) -> Result<(), Stop> {
        if depth > DEPTH {
            return Err(Stop::Invalid);
        }
        match self.peek()? {
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'"' => {
                let string = self.string()?;
                self.write_string(&string)
            }
            b'-' | b'0'..=b'9' => {
                let number =
                    self.run(|b| matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'));
                let redacted = self.redactor.text(number);
                if redacted == number {
                    self.out.push_str(number);
                } else {
                    self.quote(&redacted);
                }
                Ok(())
            }
            _ => {
                let word = self.run(|b| b.is_ascii_alphabetic());
                if matches!(word, "true" | "false" | "null") {
                    self.out.push_str(word);
                    return Ok(());
                }
                let begins = !word.is_empty()
                    && ["true", "false", "null"].iter().any(|known| known.starts_with(word));
                Err(if begins && self.at == self.text.len() { Stop::End } else { Stop::Invalid })
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<(), Stop> {
        self.copy(1);
        self.space();
        if self.peek()? == b'}' {
            self.copy(1);
            return Ok(());
        }
        loop {
            self.space();
            if self.peek()? != b'"' {
                return Err(Stop::Invalid);
            }
            let name = self.string()?;
            let secret = self.redactor.is_secret_member(&name.content);
            self.write_string(&name)?;
            self.space();
            if self.peek()? != b':' {
                return Err(Stop::Invalid);
            }
            self.copy(1);
            self.space();
            if secret {
                self.secret(depth + 1)?
            } else {
                self.value(depth + 1)?
            }
            if self.more(b'}')? {
                continue;
            }
            return Ok(());
        }
    }

    fn array(&mut self, depth: usize) -> Result<(), Stop> {
        self.copy(1);
        self.space();
        if self.peek()? == b']' {
            self.copy(1);
            return Ok(());
        }
        loop {
            self.space();
            self.value(depth + 1)?;
            if self.more(b']')? {
                continue;
            }
            return Ok(());
        }
    }

    /// After an element: whether a comma follows, rather than `close`.
    fn more(&mut self, close: u8) -> Result<bool, Stop> {
        self.space();
        let next = self.peek()?;
        if next != b',' && next != close {
            return Err(Stop::Invalid);
        }
        self.copy(1);
        Ok(next == b',')
    }

    /// A value that is secret as a whole, whatever it is. `null`, `true` and `false` tell nothing
    /// and stay.
    fn secret(&mut self, depth: usize) -> Result<(), Stop> {
        let (start, written) = (self.at, self.out.len());
        if self.peek()? == b'"' {
            let string = self.string()?;
            let mask = self.redactor.mask(&string.content);
            self.quote(&mask);
            return string.closed.ended();
        }
        let ended = self.value(depth);
        let raw = &self.text[start..self.at];
        if !matches!(raw, "null" | "true" | "false") {
            let mask = self.redactor.mask(raw);
            self.out.truncate(written);
            self.quote(&mask);
        }
        ended
    }

    fn string(&mut self) -> Result<StringToken<'a>, Stop> {
        let start = self.at + 1;
        let bytes = self.text.as_bytes();
        let mut at = start;
        while let Some(&byte) = bytes.get(at) {
            match byte {
                b'"' => break,
                b'\\' => at += 2,
                _ => at += 1,
            }
        }
        let closed = if at < bytes.len() { Closed::Yes } else { Closed::No };
        // An escape that the cut went through moves past the end.
        let end = at.min(bytes.len());
        self.at = if closed == Closed::Yes { end + 1 } else { end };
        let raw = &self.text[start..end];
        if !raw.contains('\\') {
            return Ok(StringToken { raw, content: Cow::Borrowed(raw), closed });
        }
        let unescape = |raw: &str| serde_json::from_str::<String>(&format!("\"{raw}\"")).ok();
        let content = match closed {
            Closed::Yes => unescape(raw),
            // The cut may have gone through an escape, of at most 12 bytes with its surrogate.
            Closed::No => (0..=12.min(raw.len()))
                .filter_map(|shorter| raw.get(..raw.len() - shorter))
                .find_map(unescape),
        };
        let content = content.map(Cow::Owned).ok_or(Stop::Invalid)?;
        Ok(StringToken { raw, content, closed })
    }

    fn write_string(&mut self, string: &StringToken<'_>) -> Result<(), Stop> {
        let StringToken { raw, content, closed } = string;
        let nested = (self.nested_in < NESTED_TEXTS && content.starts_with(['{', '[']))
            .then(|| redact(self.redactor, content, *closed == Closed::No, self.nested_in + 1))
            .flatten();
        let redacted = nested.map_or_else(|| self.redactor.text(content), Cow::Owned);
        if redacted == *content && *closed == Closed::Yes {
            self.out.push('"');
            self.out.push_str(raw);
            self.out.push('"');
        } else {
            self.quote(&redacted);
        }
        closed.ended()
    }

    /// Appends `content` as a JSON string.
    fn quote(&mut self, content: &str) {
        self.out.push_str(&serde_json::Value::from(content).to_string());
    }

    fn space(&mut self) {
        let space = self.run(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n'));
        self.out.push_str(space);
    }

    fn run(&mut self, within: impl Fn(u8) -> bool) -> &'a str {
        let rest = &self.text[self.at..];
        let len = rest.bytes().position(|b| !within(b)).unwrap_or(rest.len());
        self.at += len;
        &rest[..len]
    }

    fn peek(&self) -> Result<u8, Stop> {
        self.text.as_bytes().get(self.at).copied().ok_or(Stop::End)
    }

    /// Copies `n` ASCII bytes.
    fn copy(&mut self, n: usize) {
        self.out.push_str(&self.text[self.at..self.at + n]);
        self.at += n;
    }
}

struct StringToken<'a> {
    /// Between the quotes.
    raw: &'a str,
    /// Unescaped.
    content: Cow<'a, str>,
    closed: Closed,
}

/// Whether a string's closing quote was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closed {
    Yes,
    No,
}

impl Closed {
    const fn ended(self) -> Result<(), Stop> {
        match self {
            Self::Yes => Ok(()),
            Self::No => Err(Stop::End),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;
    use crate::redact::{RedactionKey, SecretNames};

    fn redactor() -> &'static Redactor {
        static REDACTOR: LazyLock<Redactor> =
            LazyLock::new(|| Redactor::new(RedactionKey::new([1; 32]), &SecretNames::default()));
        &REDACTOR
    }

    #[test]
    fn secret_members_are_masked_at_any_depth_and_the_rest_stays() {
        let r = redactor();
        let text =
            r#"{"a": [1.50, {"Access_Token":"hunter2"}], "password" :{"x":"hunter2"},"b":null}"#;
        let mask = r.mask("hunter2");
        let inner = r.mask(r#"{"x":"hunter2"}"#);
        let expected = format!(
            r#"{{"a": [1.50, {{"Access_Token":"{mask}"}}], "password" :"{inner}","b":null}}"#
        );
        assert_eq!(r.json(text, false).unwrap(), expected);
    }

    #[test]
    fn escapes_do_not_hide_a_secret() {
        let r = redactor();
        for text in [
            r#"{"pass\u0077ord":"hunter2"}"#,
            r#"{"to":"hunter2\u0040example.com"}"#,
            r#"{"inner":"{\"password\":\"hunter2\"}"}"#,
            r#"{"inner":"{\"a\":\"{\\\"cvv\\\":\\\"hunter2\\\"}\"}"}"#,
            r#"{"hunter2@example.com":1}"#,
            "{\"token\":\"hunter2\"}\n{\"token\":\"hunter2\"}",
            r#"{"note":"\"password\": \"hunter2\""}"#,
        ] {
            let redacted = r.json(text, false).unwrap();
            assert!(!redacted.contains("hunter2"), "{text} → {redacted}");
        }
        assert!(!r.json("[4111111111111111]", false).unwrap().contains("4111"));
    }

    #[test]
    fn what_is_no_json_is_refused_and_only_a_cut_text_may_end_early() {
        let r = redactor();
        for text in ["{", "{\"a\"", "[1,", "hello", "{a:1}", "[1 2]", "\"open", "{\"a\":tru"] {
            assert_eq!(r.json(text, false), None, "{text}");
        }
        for text in ["{a:1}", "hello", "[1 2]"] {
            assert_eq!(r.json(text, true), None, "{text}");
        }
        assert_eq!(r.json(r#"{"a":tru"#, true).unwrap(), r#"{"a":"#);
        let deep = "[".repeat(100_000);
        assert_eq!(r.json(&deep, true), None);
    }

    #[test]
    fn no_cut_of_a_text_brings_its_secret_out() {
        let r = redactor();
        let text = r#"{"n":"ä\u00e4","password":"hunter2 \u0068unter2","x":{"token":{"y":["hunter2"]}},"z":1}"#;
        for end in (0..=text.len()).filter(|&end| text.is_char_boundary(end)) {
            let redacted = r.json(&text[..end], true).unwrap();
            assert!(!redacted.contains("hun"), "{} → {redacted}", &text[..end]);
        }
    }

    proptest! {
        #[test]
        fn a_text_without_secrets_keeps_its_meaning(text in "[a-h ,:\\[\\]{}\"0-9.\\\\n-]{0,40}") {
            let r = redactor();
            if let Ok(value) = serde_json::from_str::<serde_json::Value>(&text) {
                let redacted = r.json(&text, false);
                let read: Option<serde_json::Value> =
                    redacted.and_then(|redacted| serde_json::from_str(&redacted).ok());
                prop_assert_eq!(read, Some(value));
            }
        }

        #[test]
        fn any_text_ends_without_a_panic(text in any::<String>(), cut in any::<bool>()) {
            let _ = redactor().json(&text, cut);
        }
    }
}

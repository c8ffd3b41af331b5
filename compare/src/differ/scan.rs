//! A JSON text (RFC 8259), token by token, without building anything.
//!
//! The scanner takes UTF-8 that was checked before. It refuses what the grammar refuses, escapes of
//! lone surrogates (RFC 8259 §8.2 calls their meaning unpredictable), and values nested deeper
//! than [`DEPTH`].

use std::borrow::Cow;
use std::ops::Range;

/// How deep values may be nested. Deeper texts are compared as text.
pub(super) const DEPTH: usize = 512;

/// The text is no JSON, or nested too deep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotJson;

/// A position in a JSON text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scanner<'t> {
    pub(super) text: &'t [u8],
    pub(super) at: usize,
}

/// What a value is, by its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Object,
    Array,
    String,
    Number,
    Bool,
    Null,
}

/// The inside of a string, quotes taken off, escapes still in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct RawString<'t> {
    raw: &'t [u8],
    escaped: bool,
}

impl<'t> RawString<'t> {
    /// The string that it stands for, in UTF-8.
    pub(super) fn unescaped(self) -> Cow<'t, [u8]> {
        if self.escaped { Cow::Owned(unescape(self.raw)) } else { Cow::Borrowed(self.raw) }
    }

    /// Whether both stand for the same string.
    pub(super) fn same(self, other: Self) -> bool {
        self.raw == other.raw
            || ((self.escaped || other.escaped) && self.unescaped() == other.unescaped())
    }
}

impl<'t> Scanner<'t> {
    pub(super) fn new(text: &'t [u8]) -> Self {
        Self { text, at: 0 }
    }

    /// The next byte; an error at the end.
    pub(super) fn peek(&self) -> Result<u8, NotJson> {
        self.text.get(self.at).copied().ok_or(NotJson)
    }

    /// Whether nothing but white space is left.
    pub(super) fn at_end(&mut self) -> bool {
        self.white_space();
        self.at == self.text.len()
    }

    /// The text between two positions.
    pub(super) fn slice(&self, range: Range<usize>) -> &'t [u8] {
        &self.text[range]
    }

    /// Skips white space.
    pub(super) fn white_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.text.get(self.at) {
            self.at += 1;
        }
    }

    /// Skips `expected`.
    pub(super) fn byte(&mut self, expected: u8) -> Result<(), NotJson> {
        if self.peek()? != expected {
            return Err(NotJson);
        }
        self.at += 1;
        Ok(())
    }

    /// Skips the colon after a member's name, and white space around it.
    pub(super) fn colon(&mut self) -> Result<(), NotJson> {
        self.white_space();
        self.byte(b':')?;
        self.white_space();
        Ok(())
    }

    /// Skips the opening bracket; true if a member or an element follows, false if `close` did,
    /// which is skipped too.
    pub(super) fn open(&mut self, close: u8) -> Result<bool, NotJson> {
        self.at += 1;
        self.white_space();
        if self.peek()? == close {
            self.at += 1;
            return Ok(false);
        }
        Ok(true)
    }

    /// Skips what follows a member or an element: true after a comma, false after `close`.
    pub(super) fn next(&mut self, close: u8) -> Result<bool, NotJson> {
        self.white_space();
        match self.peek()? {
            b',' => {
                self.at += 1;
                self.white_space();
                Ok(true)
            }
            found if found == close => {
                self.at += 1;
                Ok(false)
            }
            _ => Err(NotJson),
        }
    }

    /// What the value here is.
    pub(super) fn type_here(&self) -> Result<Type, NotJson> {
        match self.peek()? {
            b'{' => Ok(Type::Object),
            b'[' => Ok(Type::Array),
            b'"' => Ok(Type::String),
            b'-' | b'0'..=b'9' => Ok(Type::Number),
            b't' | b'f' => Ok(Type::Bool),
            b'n' => Ok(Type::Null),
            _ => Err(NotJson),
        }
    }

    /// Skips a value that is neither object nor array.
    pub(super) fn scalar(&mut self) -> Result<(), NotJson> {
        match self.peek()? {
            b'"' => self.string().map(drop),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.literal(b"true"),
            b'f' => self.literal(b"false"),
            b'n' => self.literal(b"null"),
            _ => Err(NotJson),
        }
    }

    /// Skips a value, `depth` levels below the root, and gives its place.
    pub(super) fn value(&mut self, depth: usize) -> Result<Range<usize>, NotJson> {
        let start = self.at;
        match self.peek()? {
            open @ (b'{' | b'[') => {
                if depth >= DEPTH {
                    return Err(NotJson);
                }
                // In ASCII the closing bracket is two after the opening one.
                let close = open + 2;
                let mut more = self.open(close)?;
                while more {
                    if open == b'{' {
                        self.string()?;
                        self.colon()?;
                    }
                    self.value(depth + 1)?;
                    more = self.next(close)?;
                }
            }
            _ => self.scalar()?,
        }
        Ok(start..self.at)
    }

    /// Skips a string.
    pub(super) fn string(&mut self) -> Result<RawString<'t>, NotJson> {
        self.byte(b'"')?;
        let start = self.at;
        let mut escaped = false;
        loop {
            self.plain_bytes();
            match self.peek()? {
                b'"' => {
                    let raw = &self.text[start..self.at];
                    self.at += 1;
                    return Ok(RawString { raw, escaped });
                }
                b'\\' => {
                    escaped = true;
                    self.escape()?;
                }
                // RFC 8259 §7: control characters must be escaped.
                0..=0x1f => return Err(NotJson),
                _ => self.at += 1,
            }
        }
    }

    /// Skips bytes that stand for themselves, eight at a time; up to seven may be left.
    fn plain_bytes(&mut self) {
        const ONES: u64 = u64::from_le_bytes([1; 8]);
        const HIGH: u64 = u64::from_le_bytes([0x80; 8]);
        while let Some(eight) = self.text.get(self.at..).and_then(|rest| rest.first_chunk::<8>()) {
            let word = u64::from_le_bytes(*eight);
            // The high bit of each byte that is a quote, a backslash or below 0x20; bytes above a
            // real one may be marked too, never one below.
            let quote = word ^ (ONES * u64::from(b'"'));
            let backslash = word ^ (ONES * u64::from(b'\\'));
            let special = ((quote.wrapping_sub(ONES) & !quote)
                | (backslash.wrapping_sub(ONES) & !backslash)
                | (word.wrapping_sub(ONES * 0x20) & !word))
                & HIGH;
            if special != 0 {
                self.at += special.trailing_zeros() as usize / 8;
                return;
            }
            self.at += 8;
        }
    }

    fn escape(&mut self) -> Result<(), NotJson> {
        self.at += 1;
        let kind = self.peek()?;
        self.at += 1;
        match kind {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Ok(()),
            b'u' => match self.hex4()? {
                0xD800..=0xDBFF => {
                    self.byte(b'\\')?;
                    self.byte(b'u')?;
                    let low = self.hex4()?;
                    if (0xDC00..=0xDFFF).contains(&low) { Ok(()) } else { Err(NotJson) }
                }
                0xDC00..=0xDFFF => Err(NotJson),
                _ => Ok(()),
            },
            _ => Err(NotJson),
        }
    }

    fn hex4(&mut self) -> Result<u16, NotJson> {
        let digits = self.text.get(self.at..self.at + 4).ok_or(NotJson)?;
        self.at += 4;
        hex4(digits).ok_or(NotJson)
    }

    fn number(&mut self) -> Result<(), NotJson> {
        if self.peek()? == b'-' {
            self.at += 1;
        }
        // RFC 8259 §6: no leading zeros.
        if self.peek()? == b'0' {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.text.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.text.get(self.at) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    /// Skips at least one digit.
    fn digits(&mut self) -> Result<(), NotJson> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.text.get(self.at) {
            self.at += 1;
        }
        if self.at == start { Err(NotJson) } else { Ok(()) }
    }

    fn literal(&mut self, word: &[u8]) -> Result<(), NotJson> {
        if !self.text[self.at..].starts_with(word) {
            return Err(NotJson);
        }
        self.at += word.len();
        Ok(())
    }
}

fn hex4(digits: &[u8]) -> Option<u16> {
    digits.iter().try_fold(0, |sum: u16, &digit| {
        let value = char::from(digit).to_digit(16)?;
        Some(sum << 4 | u16::try_from(value).ok()?)
    })
}

/// The UTF-8 that a string's inside stands for. Its escapes were found valid.
fn unescape(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let mut used = at + 2;
        match rest.get(at + 1) {
            Some(b'b') => out.push(8),
            Some(b'f') => out.push(12),
            Some(b'n') => out.push(b'\n'),
            Some(b'r') => out.push(b'\r'),
            Some(b't') => out.push(b'\t'),
            Some(b'u') => {
                let unit = |from: usize| rest.get(from..from + 4).and_then(hex4);
                used = at + 6;
                // A high surrogate is followed by the escape of its low one.
                let units = match unit(at + 2) {
                    Some(high @ 0xD800..=0xDBFF) => {
                        used = at + 12;
                        [Some(high), unit(at + 8)]
                    }
                    single => [single, None],
                };
                for c in char::decode_utf16(units.into_iter().flatten()) {
                    let c = c.unwrap_or(char::REPLACEMENT_CHARACTER);
                    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                }
            }
            Some(&other) => out.push(other),
            None => {}
        }
        rest = rest.get(used..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn valid(text: &[u8]) -> bool {
        let mut scanner = Scanner::new(text);
        scanner.white_space();
        std::str::from_utf8(text).is_ok() && scanner.value(0).is_ok() && scanner.at_end()
    }

    fn string(text: &str) -> Result<Vec<u8>, NotJson> {
        Scanner::new(text.as_bytes()).string().map(|raw| raw.unescaped().into_owned())
    }

    #[test]
    fn escapes_stand_for_what_rfc_8259_says() {
        for (text, expected) in [
            (r#""plain""#, "plain"),
            (r#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
            (r#""\u0041\u00e9\u20ac""#, "Aé€"),
            (r#""x\ud83d\ude00y""#, "x😀y"),
            (
                r#""long enough for eight at a time \u0022 and on and on""#,
                "long enough for eight at a time \" and on and on",
            ),
            (r#""é€😀""#, "é€😀"),
        ] {
            assert_eq!(string(text).unwrap(), expected.as_bytes(), "{text}");
        }
        for lone in [r#""\ud800""#, r#""\udc00""#, r#""\ud800\u0041""#, r#""\ud800x""#, r#""\x""#] {
            assert_eq!(string(lone), Err(NotJson), "{lone}");
        }
    }

    #[test]
    fn what_the_grammar_refuses_is_refused() {
        for text in [
            "",
            " ",
            "{",
            "[1,]",
            "{\"a\":1,}",
            "[1 2]",
            "{\"a\" 1}",
            "{a:1}",
            "01",
            "-",
            "1.",
            ".5",
            "1e",
            "+1",
            "tru",
            "nul",
            "\"a",
            "\"a\nb\"",
            "[1]x",
            "{\"a\":}",
            "NaN",
            "]",
            "{]",
            "[}",
        ] {
            assert!(!valid(text.as_bytes()), "{text:?}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |n: usize| "[".repeat(n) + &"]".repeat(n);
        assert!(valid(nested(DEPTH).as_bytes()));
        assert!(!valid(nested(DEPTH + 1).as_bytes()));
        assert!(!valid(nested(1_000_000).as_bytes()));
    }

    /// Texts that are JSON, nearly JSON or not at all.
    fn texts() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            "\"",
            "\"a\"",
            "\"\\u00e9\"",
            "\"\\ud83d\\ude00\"",
            "\\",
            "1",
            "-0",
            "1.5e3",
            "0",
            "e",
            ".",
            "true",
            "null",
            "false",
            " ",
            "\n",
            "é",
            "\u{1}",
        ]);
        prop_oneof![
            prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat()),
            json().prop_map(|value| value.to_string()),
            (json(), any::<prop::sample::Index>(), any::<char>()).prop_map(|(value, at, c)| {
                let mut chars: Vec<char> = value.to_string().chars().collect();
                let at = at.index(chars.len());
                chars[at] = c;
                chars.into_iter().collect()
            }),
        ]
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<String>().prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                prop::collection::hash_map(any::<String>(), inner, 0..4)
                    .prop_map(|map| map.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_text_is_valid_if_serde_json_reads_it(text in texts()) {
            let oracle = serde_json::from_str::<serde_json::Value>(&text);
            // It refuses numbers beyond a double, which the grammar and we do not.
            let out_of_range = |e: &serde_json::Error| e.to_string().starts_with("number out of");
            prop_assume!(!oracle.as_ref().is_err_and(out_of_range));
            prop_assert_eq!(valid(text.as_bytes()), oracle.is_ok(), "{:?}", text);
        }

        #[test]
        fn a_string_means_what_serde_json_reads(s in any::<String>(), escape_all in any::<bool>()) {
            let text = if escape_all {
                let units: String = s.encode_utf16().map(|u| format!("\\u{u:04x}")).collect();
                format!("\"{units}\"")
            } else {
                serde_json::Value::from(s.clone()).to_string()
            };
            prop_assert_eq!(string(&text).unwrap(), s.as_bytes());
        }
    }
}

//! What makes a text no JSON.

use std::fmt;

use crate::differ::scan::{DEPTH, Scanner};

/// Where a text stops being JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::differ) struct Fault {
    at: usize,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Empty,
    Ends,
    Unexpected(char),
    NotUtf8,
    TooDeep,
}

/// The first fault of `text`; `None` where it is JSON.
pub(in crate::differ) fn find(text: &[u8]) -> Option<Fault> {
    if text.trim_ascii().is_empty() {
        return Some(Fault { at: 0, what: What::Empty });
    }
    let valid = match std::str::from_utf8(text) {
        Ok(_) => text,
        Err(why) => &text[..why.valid_up_to()],
    };
    let mut scanner = Scanner::new(valid);
    scanner.white_space();
    if scanner.value(0).is_ok() && scanner.at_end() && valid.len() == text.len() {
        return None;
    }
    let at = scanner.at;
    let what = match valid[at.min(valid.len())..].utf8_chunks().next() {
        None if valid.len() < text.len() => What::NotUtf8,
        None => What::Ends,
        Some(_) if matches!(valid[at], b'[' | b'{') && depth(&valid[..at]) >= DEPTH => {
            What::TooDeep
        }
        Some(chunk) => What::Unexpected(chunk.valid().chars().next().unwrap_or_default()),
    };
    Some(Fault { at, what })
}

/// How many objects and arrays are open after `text`.
fn depth(text: &[u8]) -> usize {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => depth += 1,
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    depth
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, what } = self;
        match what {
            What::Empty => write!(f, "not JSON: empty"),
            What::Ends => write!(f, "not JSON: ends at byte {at}"),
            What::Unexpected(c) => {
                write!(f, "not JSON: unexpected '{}' at byte {at}", c.escape_default())
            }
            What::NotUtf8 => write!(f, "not JSON: not UTF-8 at byte {at}"),
            What::TooDeep => write!(f, "not read as JSON: nested deeper than {DEPTH} at byte {at}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_says_where_and_what() {
        let deep = "[".repeat(DEPTH + 1);
        for (text, expected) in [
            (&b"{\"a\": 1,}"[..], "not JSON: unexpected '}' at byte 8"),
            (b"[1,,2]", "not JSON: unexpected ',' at byte 3"),
            (b"{\"a\": 1", "not JSON: ends at byte 7"),
            (b"[1] x", "not JSON: unexpected 'x' at byte 4"),
            (b" <html>", "not JSON: unexpected '<' at byte 1"),
            (b"[\"a\nb\"]", "not JSON: unexpected '\\n' at byte 3"),
            (b"[1 2]", "not JSON: unexpected '2' at byte 3"),
            (b" \n", "not JSON: empty"),
            (b"[\"a\xff\"]", "not JSON: not UTF-8 at byte 3"),
            (deep.as_bytes(), "not read as JSON: nested deeper than 512 at byte 512"),
        ] {
            assert_eq!(find(text).unwrap().to_string(), expected);
        }
        assert_eq!(find(b" {\"a\": [1]} "), None);
    }
}

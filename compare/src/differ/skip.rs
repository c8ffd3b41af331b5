//! What both texts of a comparison begin and end with, read for its structure alone.
//!
//! Where two JSON texts differ first is found by comparing bytes. To say where that is, one of them
//! is read up to there: which objects and arrays are open, and which member or element of each.
//! Strings are jumped over, numbers and literals are passed by: nothing else decides the place.
//!
//! Refuses texts whose brackets do not close as they opened: they are walked from their beginning.
//! What is no JSON in another way, the same on both sides, is not noticed here: it is no difference.

use memchr::memchr2;

use super::scan::DEPTH;

/// An object or array that is open where the texts differ first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) kind: FrameKind,
    /// Behind the last comma in it, or behind its bracket: where a member or element begins.
    pub(super) from: usize,
    /// Members or elements before that.
    pub(super) len: usize,
    /// Behind the colon of that member.
    pub(super) value: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameKind {
    Object,
    Array,
}

/// What is open after the first `len` bytes of `text`, the outermost first, without what was
/// opened and has nothing in it yet. `None` where nothing is, or the brackets do not match.
pub(super) fn open_after(text: &[u8], len: usize) -> Option<Vec<Frame>> {
    let text = text.get(..len)?;
    let mut frames: Vec<Frame> = Vec::with_capacity(8);
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        at += 1;
        match CLASS[byte as usize] {
            Class::Passed => {}
            Class::Quote => match string_end(text, at) {
                Some(end) => at = end,
                None => break,
            },
            Class::Open => {
                if frames.len() == DEPTH {
                    return None;
                }
                let kind = if byte == b'{' { FrameKind::Object } else { FrameKind::Array };
                frames.push(Frame { kind, from: at, len: 0, value: None });
            }
            Class::Close => {
                let kind = if byte == b'}' { FrameKind::Object } else { FrameKind::Array };
                if frames.pop()?.kind != kind {
                    return None;
                }
            }
            Class::Comma => {
                let frame = frames.last_mut()?;
                *frame = Frame { kind: frame.kind, from: at, len: frame.len + 1, value: None };
            }
            Class::Colon => {
                let frame = frames.last_mut()?;
                if frame.kind == FrameKind::Array || frame.value.is_some() {
                    return None;
                }
                frame.value = Some(at);
            }
        }
    }
    while frames.last().is_some_and(|frame| frame.len == 0 && frame.value.is_none()) {
        frames.pop();
    }
    (!frames.is_empty()).then_some(frames)
}

/// Whether what is open, the outermost first, is closed in `text` as it was opened, with nothing
/// behind it. `text` begins before a member or an element; each comma and colon has one behind it.
pub(super) fn closes(text: &[u8], open: impl Iterator<Item = FrameKind>) -> bool {
    let mut open: Vec<FrameKind> = open.collect();
    let mut at = 0;
    // Whether a member, an element or a value has to come, and whether one is there.
    let (mut is_due, mut is_there) = (true, false);
    while let Some(&byte) = text.get(at) {
        at += 1;
        match CLASS[byte as usize] {
            Class::Passed => is_there |= byte > b' ',
            Class::Comma | Class::Colon if !is_there => return false,
            Class::Comma | Class::Colon => (is_due, is_there) = (true, false),
            Class::Quote => match string_end(text, at) {
                Some(end) => (at, is_there) = (end, true),
                None => return false,
            },
            Class::Open if open.len() == DEPTH => return false,
            Class::Open => {
                open.push(if byte == b'{' { FrameKind::Object } else { FrameKind::Array });
                (is_due, is_there) = (false, false);
            }
            Class::Close if is_due && !is_there => return false,
            Class::Close => {
                (is_due, is_there) = (false, true);
                let kind = if byte == b'}' { FrameKind::Object } else { FrameKind::Array };
                if open.pop() != Some(kind) {
                    return false;
                }
                if open.is_empty() {
                    return text[at..].iter().all(|b| b" \t\n\r".contains(b));
                }
            }
        }
    }
    false
}

/// Behind the quote that ends the string whose inside begins at `at`.
fn string_end(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let rest = text.get(at..)?;
        let found = quote_or_backslash(rest)?;
        if rest[found] == b'"' {
            return Some(at + found + 1);
        }
        at += found + 2;
    }
}

/// Words of eight bytes that are looked at in place: most names and values end within them, where a
/// call costs more than the search.
const NEAR_WORDS: usize = 2;

/// The first quote or backslash in `text`.
fn quote_or_backslash(text: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGH: u64 = u64::from_le_bytes([0x80; 8]);
    let words = text.as_chunks::<8>().0;
    let near = &words[..words.len().min(NEAR_WORDS)];
    for (index, word) in near.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        // The high bit of each byte that is one of them; bytes above a real one may be marked too,
        // never one below.
        let quote = word ^ (ONES * u64::from(b'"'));
        let backslash = word ^ (ONES * u64::from(b'\\'));
        let special = ((quote.wrapping_sub(ONES) & !quote)
            | (backslash.wrapping_sub(ONES) & !backslash))
            & HIGH;
        if special != 0 {
            return Some(index * 8 + special.trailing_zeros() as usize / 8);
        }
    }
    let seen = near.len() * 8;
    memchr2(b'"', b'\\', &text[seen..]).map(|found| seen + found)
}

#[derive(Clone, Copy)]
enum Class {
    Passed,
    Quote,
    Open,
    Close,
    Comma,
    Colon,
}

const CLASS: [Class; 256] = {
    let mut table = [Class::Passed; 256];
    table[b'"' as usize] = Class::Quote;
    table[b'{' as usize] = Class::Open;
    table[b'[' as usize] = Class::Open;
    table[b'}' as usize] = Class::Close;
    table[b']' as usize] = Class::Close;
    table[b',' as usize] = Class::Comma;
    table[b':' as usize] = Class::Colon;
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    /// Bracket, `from`, `len` and `value`.
    type Open = (char, usize, usize, Option<usize>);

    fn open(text: &str) -> Option<Vec<Open>> {
        let frames = open_after(text.as_bytes(), text.len())?;
        let bracket = |kind| if kind == FrameKind::Object { '{' } else { '[' };
        Some(frames.iter().map(|f| (bracket(f.kind), f.from, f.len, f.value)).collect())
    }

    #[test]
    fn open_objects_and_arrays_are_told_with_the_member_or_element_in_them() {
        for (text, expected) in [
            (r#"{"a":1"#, vec![('{', 1, 0, Some(5))]),
            (r#"{"a":1,"b"#, vec![('{', 7, 1, None)]),
            (r#"[1,[2,3],4"#, vec![('[', 9, 2, None)]),
            (
                r#"{"a":[{"b":[]},{"c":tr"#,
                vec![('{', 1, 0, Some(5)), ('[', 15, 1, None), ('{', 16, 0, Some(20))],
            ),
            (r#"{"a":{"b":[[{"#, vec![('{', 1, 0, Some(5)), ('{', 6, 0, Some(10))]),
        ] {
            assert_eq!(open(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn brackets_commas_and_quotes_inside_strings_are_no_structure() {
        let text = r#"{"a\"]":"{[,:\\","b":"x\"#;
        assert_eq!(open(text), Some(vec![('{', 17, 1, Some(21))]));
    }

    #[test]
    fn what_is_open_closes_once_and_in_turn() {
        let kind = |bracket| if bracket == '{' { FrameKind::Object } else { FrameKind::Array };
        let is_closed = |open: &str, text: &str| closes(text.as_bytes(), open.chars().map(kind));
        assert!(is_closed("{[", r#"1,"]}",{"a":[]}]} "#));
        assert!(is_closed("{", "1}\n"));
        for (open, text) in [
            ("{", ""),
            ("{", "}"),
            ("{", "1]"),
            ("{[", "1]"),
            ("{", "1}}"),
            ("{", "1},1"),
            ("{", r#""}"#),
            ("{", r#""a":1,}"#),
            ("{", r#""a":}"#),
            ("{", r#""a":1,,"b":1}"#),
            ("{", ",1}"),
        ] {
            assert!(!is_closed(open, text), "{open} {text}");
        }
        assert!(!is_closed("{", &"[".repeat(DEPTH)));
    }

    #[test]
    fn the_first_quote_or_backslash_is_found_near_and_far() {
        for len in 0..40 {
            for special in [b'"', b'\\'] {
                let mut text = vec![b'!'; len];
                assert_eq!(quote_or_backslash(&text), None, "{len}");
                text.extend([special, b'#', b'"', b'\\']);
                text.extend([b']'; 20]);
                assert_eq!(quote_or_backslash(&text), Some(len), "{len}");
            }
        }
    }

    #[test]
    fn what_does_not_close_as_it_opened_is_refused() {
        for text in ["", "1", "[", "{}", "[}", "]", "[1:", r#"{"a":1:"#, ",", ":"] {
            assert_eq!(open(text), None, "{text}");
        }
        assert_eq!(open(&"[1,".repeat(DEPTH)).map(|frames| frames.len()), Some(DEPTH));
        assert_eq!(open(&"[1,".repeat(DEPTH + 1)), None);
    }
}

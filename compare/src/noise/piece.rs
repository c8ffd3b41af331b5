//! A value read as words, marks, points in time and UUIDs.

use super::stamp::{Stamp, stamp};

/// A part of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece<'v> {
    /// Letters and digits.
    Word(&'v [u8]),
    /// A byte that is neither.
    Mark(u8),
    /// A point in time, and how it is written.
    Stamp(Stamp, &'v [u8]),
    /// RFC 9562 §4: 8-4-4-4-12 hexadecimal digits.
    Uuid(&'v [u8]),
}

impl<'v> Piece<'v> {
    /// Its bytes; none of a mark, which is the same wherever it is.
    pub(super) fn bytes(self) -> &'v [u8] {
        match self {
            Self::Word(bytes) | Self::Stamp(_, bytes) | Self::Uuid(bytes) => bytes,
            Self::Mark(_) => b"",
        }
    }

    /// Whether both are words, points in time, or UUIDs. A time that is a number may be a word, by
    /// accident.
    pub(super) fn is_like(self, other: Self) -> bool {
        let kind = |piece| match piece {
            Self::Word(_) => Some(0),
            Self::Stamp(stamp, _) => Some(u8::from(!stamp.form.is_number())),
            Self::Uuid(_) => Some(2),
            Self::Mark(_) => None,
        };
        kind(self).is_some() && kind(self) == kind(other)
    }
}

/// How far a word goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Letters and digits.
    Word,
    /// As far as base64 (RFC 4648 §4 and §5) goes, where that is long. Numbers are words: tokens
    /// may look like times.
    Token,
}

/// Bytes from which a run of the letters of base64 is one token.
pub(super) const TOKEN_BYTES: usize = 16;

const UUID_BYTES: usize = 36;

/// The pieces of a value, in order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pieces<'v> {
    rest: &'v [u8],
    reach: Reach,
}

impl<'v> Pieces<'v> {
    pub(super) fn new(value: &'v [u8], reach: Reach) -> Self {
        Self { rest: value, reach }
    }

    /// Bytes that are left.
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    fn take(&mut self, len: usize) -> &'v [u8] {
        let (taken, rest) = self.rest.split_at(len);
        self.rest = rest;
        taken
    }
}

impl<'v> Iterator for Pieces<'v> {
    type Item = Piece<'v>;

    fn next(&mut self) -> Option<Piece<'v>> {
        let &first = self.rest.first()?;
        if !is_letter(first) {
            self.rest = &self.rest[1..];
            return Some(Piece::Mark(first));
        }
        if let Some(stamp) = stamp(self.rest)
            && (self.reach == Reach::Word || !stamp.form.is_number())
        {
            return Some(Piece::Stamp(stamp, self.take(stamp.len)));
        }
        if is_uuid(self.rest) {
            return Some(Piece::Uuid(self.take(UUID_BYTES)));
        }
        if self.reach == Reach::Token {
            let len = run(self.rest, |b| is_letter(b) || b"-_+/=".contains(&b));
            if len >= TOKEN_BYTES {
                return Some(Piece::Word(self.take(len)));
            }
        }
        let len = run(self.rest, is_letter);
        Some(Piece::Word(self.take(len)))
    }
}

fn run(bytes: &[u8], is_in: impl Fn(u8) -> bool) -> usize {
    bytes.iter().position(|&b| !is_in(b)).unwrap_or(bytes.len())
}

/// Letters and digits, and all that UTF-8 writes with several bytes.
fn is_letter(b: u8) -> bool {
    b.is_ascii_alphanumeric() || !b.is_ascii()
}

fn is_uuid(text: &[u8]) -> bool {
    let Some(head) = text.get(..UUID_BYTES) else { return false };
    let sound = |(at, b): (usize, &u8)| match at {
        8 | 13 | 18 | 23 => *b == b'-',
        _ => b.is_ascii_hexdigit(),
    };
    head.iter().enumerate().all(sound) && text.get(UUID_BYTES).is_none_or(|&b| !is_letter(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(value: &str, reach: Reach) -> Vec<String> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Pieces::new(value.as_bytes(), reach)
            .map(|piece| match piece {
                Piece::Word(word) => format!("word {}", text(word)),
                Piece::Mark(mark) => format!("mark {}", char::from(mark)),
                Piece::Stamp(_, bytes) => format!("stamp {}", text(bytes)),
                Piece::Uuid(bytes) => format!("uuid {}", text(bytes)),
            })
            .collect()
    }

    #[test]
    fn a_value_is_read_piece_by_piece() {
        assert_eq!(
            pieces("a-1 2026-11-21T07:42:33Z, é", Reach::Word),
            [
                "word a",
                "mark -",
                "word 1",
                "mark  ",
                "stamp 2026-11-21T07:42:33Z",
                "mark ,",
                "mark  ",
                "word é"
            ]
        );
        let uuid = "123e4567-e89b-12d3-a456-426614174000";
        assert_eq!(pieces(&format!("\"{uuid}\""), Reach::Word)[1], format!("uuid {uuid}"));
        assert_ne!(pieces(&format!("{uuid}a"), Reach::Word)[0], format!("uuid {uuid}"));
    }

    #[test]
    fn a_token_is_one_piece_where_it_is_long() {
        let token = "dGhp_cyBp-cyBh/G+kb2tlbg==";
        assert_eq!(pieces(token, Reach::Token), [format!("word {token}")]);
        assert!(pieces(token, Reach::Word).len() > 1);
        assert_eq!(pieces("a-b", Reach::Token), ["word a", "mark -", "word b"]);
    }
}

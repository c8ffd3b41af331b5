//! What the values at a place look like on the primary, without any value: so that what varies
//! there may vary, and what it never looks like is still seen.
//!
//! A value's shape is the row of its pieces: marks as they are, words by the kinds of their letters
//! and their length, points in time by how they are written; or, for a number, whether it has a
//! sign, a fraction, an exponent. Learned shapes grow: a word takes in the letters and lengths that
//! are seen; one without digits stays the same word until another is seen. What comes in more than [`SHAPES`] rows of pieces has no shape, and nothing is foreign
//! to it; so has what still grows.

use std::fmt::Write;
use std::ops::RangeInclusive;

use twox_hash::XxHash3_128;

use super::piece::{Piece, Pieces, Reach};

/// Rows of pieces that are told apart at one place.
const SHAPES: usize = 8;

/// Pieces of a row: what follows is not looked at.
const PIECES: usize = 24;

/// Bytes of a value that are read.
const READ_BYTES: usize = 512;

/// Values without anything new before the next may be called foreign: then, by Good and Turing's
/// estimate, fewer than one in so many of the primary's own would be.
const SETTLED: u32 = 24;

/// Values before a length that never varied is taken for the only one.
const SETTLED_LENGTH: u32 = 128;

/// Digits of a number that may always come: a counter grows.
const FREE_DIGITS: u16 = 9;

/// Letters of a word that is short for having no fixed length.
const SHORT_WORD: u16 = 8;

/// The shapes of a place.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Shapes {
    known: Vec<Shape>,
    /// Values of the primary that were seen.
    values: u32,
    /// How many of them when something new was last seen.
    grown_at: u32,
    /// They come in too many rows of pieces.
    free: bool,
}

#[derive(Clone, Debug, PartialEq)]
enum Shape {
    Number(Number),
    Row(Vec<Part>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Number {
    negative: bool,
    fraction: bool,
    exponent: bool,
    /// Digits before the point.
    fewest: u16,
    most: u16,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Part {
    Mark(u8),
    Word(Word),
    /// With the kinds of its letters: upper or lower case.
    Uuid(u8),
    Stamp(u32),
    /// Whatever follows.
    Rest,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Word {
    letters: u8,
    shortest: u16,
    longest: u16,
    /// Of a word without digits that is always the same, a hash too short to tell it by; else 0.
    /// Digits count up: that they have not yet says little.
    same: u16,
}

/// Kinds of letters.
const DIGIT: u8 = 1;
const LOWER_HEX: u8 = 2;
const UPPER_HEX: u8 = 4;
const LOWER: u8 = 8;
const UPPER: u8 = 16;
const JOINT: u8 = 32;
const OTHER: u8 = 64;

fn letters(word: &[u8]) -> u8 {
    word.iter().fold(0, |kinds, b| {
        kinds
            | match b {
                b'0'..=b'9' => DIGIT,
                b'a'..=b'f' => LOWER_HEX,
                b'A'..=b'F' => UPPER_HEX,
                b'g'..=b'z' => LOWER,
                b'G'..=b'Z' => UPPER,
                b'-' | b'_' | b'+' | b'/' | b'=' => JOINT,
                _ => OTHER,
            }
    })
}

/// Never 0.
fn short_hash(word: &[u8]) -> u16 {
    XxHash3_128::oneshot(word) as u16 | 1
}

/// Whether `word` is one that nobody writes by hand: long, and hexadecimal or with digits among its
/// letters.
pub(super) fn is_random(word: &[u8]) -> bool {
    let kinds = letters(word);
    word.len() >= super::piece::TOKEN_BYTES && kinds & DIGIT != 0 && kinds & OTHER == 0
}

/// Whether two random words are of one kind: both hexadecimal or both not, in the same case.
pub(super) fn same_kind(one: &[u8], other: &[u8]) -> bool {
    let (one, other) = (letters(one), letters(other));
    let beyond_hex = LOWER | UPPER | JOINT;
    let either = one | other;
    if either & beyond_hex == 0 {
        // Hexadecimal: not one in upper case and one in lower.
        return either & (LOWER_HEX | UPPER_HEX) != LOWER_HEX | UPPER_HEX || one == other;
    }
    one & beyond_hex != 0
        && other & beyond_hex != 0
        && (one & (UPPER | UPPER_HEX) == 0) == (other & (UPPER | UPPER_HEX) == 0)
}

impl Shapes {
    /// Takes in a value of the primary.
    pub(super) fn learn(&mut self, value: &[u8]) {
        self.values = self.values.saturating_add(1);
        if self.free {
            return;
        }
        let settled = self.values >= SETTLED_LENGTH;
        let readings = Shape::readings(value);
        let covering = self.known.iter_mut().find_map(|known| {
            let seen = readings.iter().flatten().find(|seen| known.covers(seen, settled))?;
            Some((known, seen))
        });
        if let Some((known, seen)) = covering {
            return known.grow(seen);
        }
        self.grown_at = self.values;
        let like = self.known.iter_mut().find_map(|known| {
            let seen = readings.iter().flatten().find(|seen| known.is_like(seen))?;
            Some((known, seen))
        });
        match like {
            Some((known, seen)) => known.grow(seen),
            None => self.known.extend(readings.into_iter().flatten().next()),
        }
        if self.known.len() > SHAPES {
            (self.known, self.free) = (Vec::new(), true);
        }
    }

    /// Whether the primary would not write `value`, as far as it is known.
    pub(super) fn is_foreign(&self, value: &[u8]) -> bool {
        if self.free || self.values < self.grown_at.saturating_add(SETTLED) {
            return false;
        }
        let settled = self.values >= SETTLED_LENGTH;
        let readings = Shape::readings(value);
        let covers = |known: &Shape| readings.iter().flatten().any(|s| known.covers(s, settled));
        !self.known.iter().any(covers)
    }

    /// How many values were taken in.
    pub(super) fn values(&self) -> u32 {
        self.values
    }

    /// Written down, without any value: [`Shapes::read`] takes it back.
    pub(super) fn write(&self, out: &mut String) {
        let _ = write!(out, "{} {} {}", self.values, self.grown_at, u8::from(self.free));
        for shape in &self.known {
            match shape {
                Shape::Number(Number { negative, fraction, exponent, fewest, most }) => {
                    let flags = [negative, fraction, exponent].map(|&is| u8::from(is));
                    let [negative, fraction, exponent] = flags;
                    let _ = write!(out, " n{negative}.{fraction}.{exponent}.{fewest}.{most}");
                }
                Shape::Row(parts) => {
                    out.push_str(" r");
                    for part in parts {
                        let _ = match part {
                            Part::Mark(mark) => write!(out, "m{mark}"),
                            Part::Word(Word { letters, shortest, longest, same }) => {
                                write!(out, "w{letters}.{shortest}.{longest}.{same}")
                            }
                            Part::Uuid(letters) => write!(out, "u{letters}"),
                            Part::Stamp(code) => write!(out, "s{code}"),
                            Part::Rest => write!(out, "e0"),
                        };
                    }
                }
            }
        }
    }

    /// Reads what [`Shapes::write`] wrote; `None` where it is something else.
    pub(super) fn read<'t>(mut words: impl Iterator<Item = &'t str>) -> Option<Self> {
        let mut number = || words.next()?.parse().ok();
        let (values, grown_at, free) = (number()?, number()?, number()? != 0);
        let known: Option<Vec<_>> = words.map(Shape::read).collect();
        let known = known?;
        (known.len() <= SHAPES).then_some(Self { known, values, grown_at, free })
    }
}

impl Shape {
    /// As a number, if it is one, and as a row: a token may be digits only, or have one `e`.
    fn readings(value: &[u8]) -> [Option<Self>; 2] {
        let read = &value[..value.len().min(READ_BYTES)];
        [Number::of(read).map(Self::Number), Some(Self::row(read))]
    }

    fn row(read: &[u8]) -> Self {
        let mut row = Vec::new();
        for piece in Pieces::new(read, Reach::Token) {
            if row.len() == PIECES {
                row.push(Part::Rest);
                break;
            }
            row.push(match piece {
                Piece::Mark(mark) => Part::Mark(mark),
                Piece::Uuid(bytes) => Part::Uuid(letters(bytes) & (LOWER_HEX | UPPER_HEX)),
                Piece::Stamp(stamp, _) => Part::Stamp(stamp.form.code()),
                Piece::Word(word) => {
                    let (letters, len) = (letters(word), word.len() as u16);
                    let same = if letters & DIGIT == 0 { short_hash(word) } else { 0 };
                    Part::Word(Word { letters, shortest: len, longest: len, same })
                }
            });
        }
        Self::Row(row)
    }

    /// Whether both are rows of the same pieces, or numbers.
    fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Number(_), Self::Number(_)) => true,
            (Self::Row(one), Self::Row(other)) => {
                one.len() == other.len() && one.iter().zip(other).all(|(a, b)| a.is_like(*b))
            }
            _ => false,
        }
    }

    /// Takes in one that is like it.
    fn grow(&mut self, seen: &Self) {
        match (self, seen) {
            (Self::Number(known), Self::Number(seen)) => {
                known.negative |= seen.negative;
                known.fraction |= seen.fraction;
                known.exponent |= seen.exponent;
                known.fewest = known.fewest.min(seen.fewest);
                known.most = known.most.max(seen.most);
            }
            (Self::Row(known), Self::Row(seen)) => {
                for (known, seen) in known.iter_mut().zip(seen) {
                    known.grow(*seen);
                }
            }
            _ => {}
        }
    }

    /// Whether it is like `seen` and allows for it.
    fn covers(&self, seen: &Self, settled_length: bool) -> bool {
        match (self, seen) {
            (Self::Number(known), Self::Number(seen)) => known.covers(*seen),
            (Self::Row(known), Self::Row(row)) => {
                self.is_like(seen)
                    && known
                        .iter()
                        .zip(row)
                        .all(|(known, seen)| known.covers(*seen, settled_length))
            }
            _ => false,
        }
    }

    fn read(text: &str) -> Option<Self> {
        let numbers = |text: &str| -> Option<Vec<u32>> {
            text.split('.').map(|number| number.parse().ok()).collect()
        };
        let (kind, rest) = text.split_at_checked(1)?;
        if kind == "n" {
            let &[negative, fraction, exponent, fewest, most] = &numbers(rest)?[..] else {
                return None;
            };
            let (fewest, most) = (u16::try_from(fewest).ok()?, u16::try_from(most).ok()?);
            let [negative, fraction, exponent] = [negative, fraction, exponent].map(|is| is != 0);
            return Some(Self::Number(Number { negative, fraction, exponent, fewest, most }));
        }
        let mut row = Vec::new();
        let mut rest = (kind == "r").then_some(rest)?;
        while let Some((kind, behind)) = rest.split_at_checked(1).filter(|_| !rest.is_empty()) {
            let end = behind.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(behind.len());
            let told = numbers(&behind[..end])?;
            row.push(match (kind, &told[..]) {
                ("m", &[mark]) => Part::Mark(u8::try_from(mark).ok()?),
                ("u", &[letters]) => Part::Uuid(u8::try_from(letters).ok()?),
                ("s", &[code]) => Part::Stamp(code),
                ("e", _) => Part::Rest,
                ("w", &[letters, shortest, longest, same]) => Part::Word(Word {
                    letters: u8::try_from(letters).ok()?,
                    shortest: u16::try_from(shortest).ok()?,
                    longest: u16::try_from(longest).ok()?,
                    same: u16::try_from(same).ok()?,
                }),
                _ => return None,
            });
            rest = &behind[end..];
        }
        (row.len() <= PIECES + 1).then_some(Self::Row(row))
    }
}

impl Number {
    /// RFC 8259 §6; `None` for all else.
    fn of(text: &[u8]) -> Option<Self> {
        let negative = text.first() == Some(&b'-');
        let mut rest = &text[usize::from(negative)..];
        let mut digits = || {
            let len = rest.iter().take_while(|b| b.is_ascii_digit()).count();
            let next = rest.get(len).copied();
            rest = rest.get(len + 1..).unwrap_or_default();
            (len, next)
        };
        let (whole, mut next) = digits();
        let whole = u16::try_from(whole).ok().filter(|&whole| whole > 0)?;
        let (fraction, exponent) = (false, false);
        let mut number = Self { negative, fraction, exponent, fewest: whole, most: whole };
        if next == Some(b'.') {
            let (len, after) = digits();
            (number.fraction, next) = (len > 0, after);
            if len == 0 {
                return None;
            }
        }
        if matches!(next, Some(b'e' | b'E')) {
            if let Some(b'+' | b'-') = rest.first() {
                rest = &rest[1..];
            }
            let sound = !rest.is_empty() && rest.iter().all(u8::is_ascii_digit);
            number.exponent = true;
            return sound.then_some(number);
        }
        next.is_none().then_some(number)
    }

    fn covers(self, seen: Self) -> bool {
        (self.negative || !seen.negative)
            && (self.fraction || self.exponent || !seen.fraction)
            // A fraction near zero is often written with one.
            && (self.exponent || self.fraction || !seen.exponent)
            && digits(self.fewest, self.most).contains(&seen.most)
    }
}

/// How many digits may come where there were so many: a counter may start again and grow, but not
/// become one of the large numbers in one step, nor one of those small.
fn digits(fewest: u16, most: u16) -> RangeInclusive<u16> {
    let from = if fewest > FREE_DIGITS { fewest - 2 } else { 1 };
    from..=FREE_DIGITS.max(most.saturating_add(2))
}

impl Part {
    fn is_like(self, other: Self) -> bool {
        match (self, other) {
            (Self::Word(_), Self::Word(_)) | (Self::Uuid(_), Self::Uuid(_)) => true,
            (one, other) => one == other,
        }
    }

    fn grow(&mut self, seen: Self) {
        match (self, seen) {
            (Self::Word(known), Self::Word(seen)) => {
                known.letters |= seen.letters;
                known.shortest = known.shortest.min(seen.shortest);
                known.longest = known.longest.max(seen.longest);
                known.same = if known.same == seen.same { known.same } else { 0 };
            }
            (Self::Uuid(known), Self::Uuid(seen)) => *known |= seen,
            _ => {}
        }
    }

    fn covers(self, seen: Self, settled_length: bool) -> bool {
        match (self, seen) {
            (Self::Word(known), Self::Word(seen)) => known.covers(seen, settled_length),
            (Self::Uuid(known), Self::Uuid(seen)) => known | seen == known,
            _ => true,
        }
    }
}

impl Word {
    /// Whether it allows for a word with the letters and the length of `seen`.
    fn covers(self, seen: Self, settled_length: bool) -> bool {
        if self.same != 0 {
            return self.same == seen.same;
        }
        let (shortest, longest) = if self.letters | seen.letters == DIGIT {
            digits(self.shortest, self.longest).into_inner()
        } else if self.shortest == self.longest && self.longest >= SHORT_WORD {
            let slack = if settled_length { 0 } else { 2 };
            (self.shortest - slack, self.longest.saturating_add(slack))
        } else {
            (1, self.longest.saturating_mul(2).saturating_add(SHORT_WORD))
        };
        self.letters | seen.letters == self.letters && (shortest..=longest).contains(&seen.shortest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Shapes that have settled on these values.
    fn learned(values: &[&str]) -> Shapes {
        let mut shapes = Shapes::default();
        for at in 0..200.max(values.len()) {
            shapes.learn(values[at % values.len()].as_bytes());
        }
        shapes
    }

    fn foreign(known: &[&str], value: &str) -> bool {
        learned(known).is_foreign(value.as_bytes())
    }

    #[test]
    fn another_form_is_foreign_and_another_value_is_not() {
        let uuids = [
            "\"123e4567-e89b-12d3-a456-426614174000\"",
            "\"00f067aa-0ba9-02b7-8000-abcdefabcdef\"",
        ];
        assert!(!foreign(&uuids, "\"ffffffff-e89b-12d3-a456-426614174fff\""));
        assert!(foreign(&uuids, "\"FFFFFFFF-e89b-12d3-a456-426614174fff\""));
        assert!(foreign(&uuids, "\"123e4567e89b12d3a456426614174000\""));
        assert!(foreign(&uuids, "\"\"") && foreign(&uuids, "17"));

        let etags = ["\"0123456789abcdef\"", "\"fedcba9876543210\""];
        assert!(!foreign(&etags, "\"00000000000000aa\""));
        for other in [
            "W/\"0123456789abcdef\"",
            "\"0123456789abcde\"",
            "\"0123456789ABCDEF\"",
            "0123456789abcdef",
        ] {
            assert!(foreign(&etags, other), "{other}");
        }
        let days = ["\"2026-11-21T07:42:33Z\"", "\"2026-11-22T07:42:33Z\""];
        assert!(!foreign(&days, "\"2027-01-01T00:00:00Z\""));
        assert!(
            foreign(&days, "\"2027-01-01T00:00:00+01:00\"") && foreign(&days, "\"2027-01-01\"")
        );
    }

    #[test]
    fn a_token_that_looks_like_a_number_is_a_token() {
        let tokens = ["0123456789abcdef", "fedcba9876543210"];
        for token in ["1234567890123456", "1795246953000000", "12345678901234e5"] {
            assert!(!foreign(&tokens, token), "{token}");
        }
        assert!(foreign(&["1795246953000", "1795246953001"], "1795246953"));
    }

    #[test]
    fn words_that_never_vary_are_part_of_the_form() {
        let said = ["\"request a1 took 12 ms\"", "\"request b2 took 9 ms\""];
        assert!(!foreign(&said, "\"request c3 took 1000 ms\""));
        assert!(foreign(&said, "\"request c3 lost 1000 ms\""));
        assert!(!foreign(&["\"red\"", "\"green\""], "\"blue\""));
    }

    #[test]
    fn numbers_may_grow_and_shrink_but_not_become_others() {
        let counts = ["997", "998", "999"];
        for more in ["1000", "1", "0", "123456789"] {
            assert!(!foreign(&counts, more), "{more}");
        }
        for other in ["-1", "1.5", "1e3", "1795246953", "\"1000\"", "null"] {
            assert!(foreign(&counts, other), "{other}");
        }
        assert!(!foreign(&["0.25", "0.5"], "1") && !foreign(&["0.25", "0.5"], "5e-324"));
        assert!(!foreign(&["\"n-12\"", "\"n-99\""], "\"n-100\""));
    }

    #[test]
    fn what_has_many_forms_or_few_values_has_no_foreign_ones() {
        let many: Vec<String> = (0..20).map(|at| "a ".repeat(at + 1)).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert!(!foreign(&many, "!!!"));
        let mut few = Shapes::default();
        for _ in 0..SETTLED {
            few.learn(b"1");
            assert!(!few.is_foreign(b"x"));
        }
        few.learn(b"1");
        assert!(few.is_foreign(b"x"));
        few.learn(b"y");
        assert!(!few.is_foreign(b"!"), "what still grows has no foreign values");
    }

    #[test]
    fn random_words_are_of_one_kind_or_another() {
        assert!(is_random(b"0123456789abcdef") && is_random(b"01ARZ3NDEKTSV4RRFFQ69G5FAV"));
        assert!(!is_random(b"0123456789abcde") && !is_random(b"internationalization"));
        assert!(same_kind(b"0123456789abcdef", b"11111111aaaaaaaa"));
        assert!(!same_kind(b"0123456789abcdef", b"0123456789ABCDEF"));
        assert!(!same_kind(b"0123456789abcdef", b"01ARZ3NDEKTSV4RR"));
        assert!(same_kind(b"01ARZ3NDEKTSV4RRFFQ69G5FAV", b"01BX5ZZKBKACTAV9WEVGEMMVS0"));
    }

    proptest! {
        #[test]
        fn what_was_learned_is_not_foreign_and_survives_being_written(
            values in prop::collection::vec("[ -~é]{0,40}|-?[0-9]{1,12}(\\.[0-9]{1,9})?|[0-9a-f]{16}", 1..60),
            other in "[ -~]{0,30}",
        ) {
            let mut shapes = Shapes::default();
            for value in &values {
                shapes.learn(value.as_bytes());
            }
            for value in &values {
                prop_assert!(!shapes.is_foreign(value.as_bytes()), "{}", value);
            }
            let mut text = String::new();
            shapes.write(&mut text);
            let back = Shapes::read(text.split(' '));
            prop_assert_eq!(back.as_ref(), Some(&shapes));
            prop_assert_eq!(back.unwrap().is_foreign(other.as_bytes()), shapes.is_foreign(other.as_bytes()));
        }

        #[test]
        fn whatever_is_read_is_bounded(text in "[nrmwuse0-9. ]{0,80}") {
            if let Some(shapes) = Shapes::read(text.split(' ')) {
                prop_assert!(shapes.known.len() <= SHAPES);
                shapes.is_foreign(b"x");
            }
        }
    }
}

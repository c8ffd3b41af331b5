//! Texts in which `*` stands for any text.

/// A text with stars, cut at them when it is read: matching is a search for each piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextPattern {
    /// What is between the stars; one piece more than there are stars.
    pieces: Box<[Box<str>]>,
}

impl TextPattern {
    /// Of a text in which every `*` is a star.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self { pieces: text.split('*').map(Into::into).collect() }
    }

    /// Of the texts between the stars, in which a `*` is one.
    pub(super) fn of_pieces(pieces: Vec<String>) -> Self {
        Self { pieces: pieces.into_iter().map(Into::into).collect() }
    }

    /// Whether `text` is as it says. Work is at most linear in the text for each star.
    pub(crate) fn matches(&self, text: &[u8]) -> bool {
        let [first, rest @ ..] = &*self.pieces else { return false };
        let [between @ .., last] = rest else { return text == first.as_bytes() };
        let Some(text) = text.strip_prefix(first.as_bytes()) else { return false };
        let Some(mut text) = text.strip_suffix(last.as_bytes()) else { return false };
        for piece in between {
            // The earliest place leaves the most room for what follows.
            let Some(at) = memchr::memmem::find(text, piece.as_bytes()) else { return false };
            text = &text[at + piece.len()..];
        }
        true
    }

    /// Whether every text that matches `other` surely matches this one: a star of the other one
    /// has to lie within a star of this one.
    pub(super) fn covers(&self, other: &Self) -> bool {
        // No text has this byte in it (RFC 3629 §3): it stands for a star of the other.
        const STAR: u8 = 0xff;
        let mut text = Vec::new();
        for (i, piece) in other.pieces.iter().enumerate() {
            text.extend((i > 0).then_some(STAR));
            text.extend_from_slice(piece.as_bytes());
        }
        self.matches(&text)
    }

    /// The texts between the stars.
    pub(super) fn pieces(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().map(|piece| &**piece)
    }
}

impl std::fmt::Display for TextPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.pieces.join("*"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(pattern: &str, text: &str) -> bool {
        TextPattern::new(pattern).matches(text.as_bytes())
    }

    #[test]
    fn a_star_stands_for_any_text_and_for_none() {
        for (pattern, yes, no) in [
            ("x-*", &["x-", "x-a"][..], &["x", "ax-"][..]),
            ("*_at", &["_at", "made_at"], &["at", "_at_"]),
            ("a*b*c", &["abc", "a1b2c", "abbc"], &["ac", "abcd", "acb"]),
            ("ab*ba", &["abba", "ab1ba"], &["aba", "ab"]),
            ("*", &["", "a"], &[]),
            ("", &[""], &["a"]),
        ] {
            for text in yes {
                assert!(matches(pattern, text), "'{pattern}' '{text}'");
            }
            for text in no {
                assert!(!matches(pattern, text), "'{pattern}' '{text}'");
            }
        }
    }

    #[test]
    fn a_pattern_covers_the_narrower_one() {
        let covers = |one: &str, other| TextPattern::new(one).covers(&TextPattern::new(other));
        assert!(covers("x-*", "x-debug-*") && covers("*", "*") && covers("a*", "ab"));
        assert!(!covers("x-debug-*", "x-*") && !covers("ab", "a*") && !covers("a*b", "a*"));
    }

    /// What a star means, said as plainly as possible.
    fn plainly(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), _) => (0..=text.len()).any(|n| plainly(rest, &text[n..])),
            (Some((p, pattern)), Some((t, text))) => p == t && plainly(pattern, text),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn matching_agrees_with_the_definition(pattern in "[ab*]{0,7}", text in "[ab]{0,8}") {
            prop_assert_eq!(
                matches(&pattern, &text), plainly(pattern.as_bytes(), text.as_bytes())
            );
        }

        #[test]
        fn what_is_covered_matches(one in "[ab*]{0,5}", other in "[ab*]{0,5}", text in "[ab]{0,6}") {
            let (one, other) = (TextPattern::new(&one), TextPattern::new(&other));
            if one.covers(&other) && other.matches(text.as_bytes()) {
                prop_assert!(one.matches(text.as_bytes()));
            }
        }
    }
}

//! Lines compared by word.
//!
//! A word is what stands between white space, quotes, brackets and the signs `,;=&|`: so a value in
//! XML, CSV or `key=value` is one, and so are timestamps, numbers and paths.

use std::ops::Range;

use similar::{Algorithm, DiffOp, capture_diff_slices};

use super::here::TextBudget;

/// Words of a line that differ, with what is between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// The number of the first of them in the primary, from 1 on.
    pub(super) word: usize,
    /// Where they are in the primary's line and in the shadow's.
    pub(super) primary: Range<usize>,
    pub(super) shadow: Range<usize>,
}

/// Runs of words that differ. `None` where the lines have no word in common, differ in something
/// else than words, or are too long.
pub(super) fn runs(primary: &[u8], shadow: &[u8], budget: &mut TextBudget) -> Option<Vec<Run>> {
    let (ours, theirs) = (tokens(primary), tokens(shadow));
    let is_word = |token: &&[u8]| token.first().is_some_and(|&b| !separates(b));
    let mut has_common = false;
    let mut changed: Vec<(Range<usize>, Range<usize>)> = Vec::new();
    // Changes with nothing but white space between them are one.
    let mut apart = true;
    for op in differences(&ours, &theirs, budget)? {
        let (old, new) = (op.old_range(), op.new_range());
        if let DiffOp::Equal { .. } = op {
            let tokens = &ours[old];
            has_common |= tokens.iter().any(is_word);
            apart |= !tokens.iter().all(|token| token.trim_ascii().is_empty());
        } else {
            match changed.last_mut().filter(|_| !apart) {
                Some(last) => (last.0.end, last.1.end) = (old.end, new.end),
                None => changed.push((old, new)),
            }
            apart = false;
        }
    }
    let has_word = |tokens: &[&[u8]]| tokens.iter().any(is_word);
    let words = |(old, new): &(Range<usize>, Range<usize>)| {
        has_word(&ours[old.clone()]) || has_word(&theirs[new.clone()])
    };
    if !has_common || !changed.iter().all(words) {
        return None;
    }
    let bytes = |tokens: &[&[u8]], range: &Range<usize>| {
        let start: usize = tokens[..range.start].iter().map(|token| token.len()).sum();
        start..start + tokens[range.clone()].iter().map(|token| token.len()).sum::<usize>()
    };
    let run = |(old, new): &(Range<usize>, Range<usize>)| Run {
        word: ours[..old.start].iter().filter(|token| is_word(token)).count() + 1,
        primary: bytes(&ours, old),
        shadow: bytes(&theirs, new),
    };
    Some(changed.iter().map(run).collect())
}

fn differences(ours: &[&[u8]], theirs: &[&[u8]], budget: &mut TextBudget) -> Option<Vec<DiffOp>> {
    let in_step = ours.len() == theirs.len()
        && ours.iter().zip(theirs).all(|(a, b)| a == b || (!separates(a[0]) && !separates(b[0])));
    if in_step {
        let op = |(at, (a, b)): (usize, (&&[u8], &&[u8]))| match a == b {
            true => DiffOp::Equal { old_index: at, new_index: at, len: 1 },
            false => DiffOp::Replace { old_index: at, old_len: 1, new_index: at, new_len: 1 },
        };
        return Some(ours.iter().zip(theirs).enumerate().map(op).collect());
    }
    let work = ours.len().saturating_mul(theirs.len());
    budget.take_words(work).then(|| capture_diff_slices(Algorithm::Myers, ours, theirs))
}

/// Words, stretches of white space, and each other sign between words.
fn tokens(line: &[u8]) -> Vec<&[u8]> {
    line.chunk_by(|&a, &b| match (separates(a), separates(b)) {
        (false, false) => true,
        (true, true) => a.is_ascii_whitespace() && b.is_ascii_whitespace(),
        _ => false,
    })
    .collect()
}

fn separates(byte: u8) -> bool {
    byte.is_ascii_whitespace() || b"<>\"'()[]{},;=&|".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(primary: &str, shadow: &str) -> Option<Vec<(usize, String, String)>> {
        let runs = runs(primary.as_bytes(), shadow.as_bytes(), &mut TextBudget::default())?;
        let run =
            |run: Run| (run.word, primary[run.primary].to_owned(), shadow[run.shadow].to_owned());
        Some(runs.into_iter().map(run).collect())
    }

    fn run(word: usize, primary: &str, shadow: &str) -> (usize, String, String) {
        (word, primary.to_owned(), shadow.to_owned())
    }

    #[test]
    fn words_that_differ_are_told_with_their_number() {
        for (primary, shadow, expected) in [
            ("took 17 ms", "took 18 ms", vec![run(2, "17", "18")]),
            ("<price>1.00</price>", "<price>1.01</price>", vec![run(2, "1.00", "1.01")]),
            ("a=1;b=2", "a=1;b=3", vec![run(4, "2", "3")]),
            ("a b c d", "a X Y d", vec![run(2, "b c", "X Y")]),
            ("a b c d", "X b Y d", vec![run(1, "a", "X"), run(3, "c", "Y")]),
            ("a b c", "a new b c", vec![run(2, "", "new ")]),
            ("a,b,c", "a,c", vec![run(2, "b,", "")]),
        ] {
            assert_eq!(found(primary, shadow), Some(expected), "{primary}");
        }
    }

    #[test]
    fn lines_without_a_common_word_or_with_other_signs_only_are_not_taken_apart() {
        for (primary, shadow) in [("a b", "c d"), ("a,b", "a;b"), ("a  b", "a b"), ("<a>", "<b>")] {
            assert_eq!(found(primary, shadow), None, "{primary}");
        }
        let long = "a b ".repeat(2_000);
        assert_eq!(found(&format!("{long}x"), &format!("b {long}")), None);
        assert_eq!(found(&format!("{long}x"), &format!("{long}y")).unwrap()[0].0, 4_001);
    }

    proptest! {
        #[test]
        fn putting_the_shadow_s_words_into_the_primary_s_line_gives_the_shadow_s(
            primary in "[ab ,=]{0,12}", shadow in "[ab ,=]{0,12}",
        ) {
            let mut budget = TextBudget::default();
            if let Some(runs) = runs(primary.as_bytes(), shadow.as_bytes(), &mut budget) {
                let mut line = primary.clone();
                for run in runs.iter().rev() {
                    line.replace_range(run.primary.clone(), &shadow[run.shadow.clone()]);
                }
                prop_assert_eq!(line, shadow);
            }
        }
    }
}

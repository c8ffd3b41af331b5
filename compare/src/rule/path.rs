//! Places in bodies, as rules name them.

use std::fmt;
use std::str::FromStr;

use super::{ParseRuleError, TextPattern};

/// A JSON Pointer (RFC 6901) in which `*` stands for any text within a segment (`/items/*/tmp_*`)
/// and a segment `**` for any number of levels. It covers everything below what it names; the empty
/// pattern covers the whole body. A `*` that is meant is written `~2`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern(Box<[Step]>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Name(Box<str>),
    Like(TextPattern),
    AnyOne,
    AnyDepth,
}

/// One level of a place in a body.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Level<'a> {
    /// Member of an object, by its unescaped name.
    Member(&'a [u8]),
    /// Element of an array.
    Element(usize),
}

/// What of a place has to be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// The place or one that holds it.
    Below,
    /// The place itself.
    Exactly,
}

impl PathPattern {
    /// Whether the place with these levels, or one that holds it, is named. `level(i)` is asked
    /// for `i < depth` only.
    ///
    /// Work is at most `depth` times the pattern's length.
    pub(crate) fn covers<'a>(&self, depth: usize, level: impl Fn(usize) -> Level<'a>) -> bool {
        self.reaches(Reach::Below, depth, |step, at| step.is(level(at)))
    }

    /// Whether the place with these levels itself is named.
    pub(crate) fn names<'a>(&self, depth: usize, level: impl Fn(usize) -> Level<'a>) -> bool {
        self.reaches(Reach::Exactly, depth, |step, at| step.is(level(at)))
    }

    /// Whether every place that `other` covers is surely covered.
    pub(super) fn covers_all_of(&self, other: &Self) -> bool {
        self.reaches(Reach::Below, other.0.len(), |step, at| step.holds(&other.0[at]))
    }

    /// Whether every place that `other` names is surely named.
    pub(super) fn names_all_of(&self, other: &Self) -> bool {
        self.reaches(Reach::Exactly, other.0.len(), |step, at| step.holds(&other.0[at]))
    }

    /// Whether it covers every place there is.
    pub(super) fn is_everything(&self) -> bool {
        self.0.iter().all(|step| *step == Step::AnyDepth)
    }

    fn reaches(&self, reach: Reach, depth: usize, is: impl Fn(&Step, usize) -> bool) -> bool {
        let Self(steps) = self;
        let (mut step, mut at) = (0, 0);
        // Where to go on when what follows the last `**` does not match: one level deeper.
        let mut retry = None;
        loop {
            match steps.get(step) {
                None if at == depth || reach == Reach::Below => return true,
                Some(Step::AnyDepth) => {
                    step += 1;
                    retry = Some((step, at));
                    continue;
                }
                Some(here) if at < depth && is(here, at) => {}
                _ => match retry {
                    Some((after, from)) if from < depth => {
                        (step, at) = (after, from + 1);
                        retry = Some((after, from + 1));
                        continue;
                    }
                    _ => return false,
                },
            }
            step += 1;
            at += 1;
        }
    }
}

impl Step {
    fn is(&self, level: Level<'_>) -> bool {
        let mut digits = [0; 20];
        let text = match level {
            Level::Member(name) => name,
            Level::Element(index) => decimal(index, &mut digits),
        };
        match self {
            Self::Name(name) => name.as_bytes() == text,
            Self::Like(pattern) => pattern.matches(text),
            Self::AnyOne | Self::AnyDepth => true,
        }
    }

    /// Whether every level that `other` stands for is one that this stands for.
    fn holds(&self, other: &Self) -> bool {
        match (self, other) {
            (_, Self::AnyDepth) => *self == Self::AnyDepth,
            (Self::AnyOne | Self::AnyDepth, _) => true,
            (Self::Name(one), Self::Name(other)) => one == other,
            (Self::Like(pattern), Self::Name(name)) => pattern.matches(name.as_bytes()),
            (Self::Like(one), Self::Like(other)) => one.covers(other),
            (Self::Name(_) | Self::Like(_), _) => false,
        }
    }
}

/// An index in decimal digits: a rule must cost no allocation where it is asked.
fn decimal(mut index: usize, digits: &mut [u8; 20]) -> &[u8] {
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(index % 10).unwrap_or_default();
        index /= 10;
        if index == 0 || at == 0 {
            return &digits[at..];
        }
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.0 {
            f.write_str("/")?;
            match step {
                Step::AnyOne => f.write_str("*")?,
                Step::AnyDepth => f.write_str("**")?,
                Step::Name(name) => f.write_str(&escaped(name))?,
                Step::Like(pattern) => {
                    for (i, piece) in pattern.pieces().enumerate() {
                        f.write_str(if i > 0 { "*" } else { "" })?;
                        f.write_str(&escaped(piece))?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1").replace('*', "~2")
}

impl FromStr for PathPattern {
    type Err = ParseRuleError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Ok(Self(Box::default()));
        }
        let rest = text
            .strip_prefix('/')
            .ok_or_else(|| ParseRuleError::PathWithoutSlash(text.to_owned()))?;
        rest.split('/').map(step).collect::<Result<_, _>>().map(Self)
    }
}

fn step(segment: &str) -> Result<Step, ParseRuleError> {
    if segment == "*" {
        return Ok(Step::AnyOne);
    }
    if segment == "**" {
        return Ok(Step::AnyDepth);
    }
    if segment.contains("**") {
        return Err(ParseRuleError::StarsInside(segment.to_owned()));
    }
    let pieces: Option<Vec<String>> = segment.split('*').map(unescaped_piece).collect();
    let mut pieces = pieces.ok_or_else(|| ParseRuleError::BadEscape(segment.to_owned()))?;
    Ok(match pieces.len() {
        1 => Step::Name(pieces.remove(0).into()),
        _ => Step::Like(TextPattern::of_pieces(pieces)),
    })
}

/// As [`unescape_pointer`], with `~2` for a star.
fn unescaped_piece(piece: &str) -> Option<String> {
    let parts: Option<Vec<String>> = piece.split("~2").map(unescape_pointer).collect();
    parts.map(|parts| parts.join("*"))
}

/// A pointer segment without its escapes; `None` where `~` is not followed by 0 or 1.
pub(crate) fn unescape_pointer(segment: &str) -> Option<String> {
    let mut name = String::with_capacity(segment.len());
    let mut rest = segment.chars();
    while let Some(c) = rest.next() {
        name.push(match c {
            // RFC 6901 §3: ~0 is ~, ~1 is /.
            '~' => match rest.next()? {
                '0' => '~',
                '1' => '/',
                _ => return None,
            },
            c => c,
        });
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn asked(pattern: &str, path: &str, ask: Reach) -> bool {
        let levels: Vec<&str> = path.split('/').skip(1).collect();
        let level = |i: usize| {
            let level: &str = levels[i];
            match level.parse() {
                Ok(index) if level == format!("{index}") => Level::Element(index),
                _ => Level::Member(level.as_bytes()),
            }
        };
        let pattern = pattern.parse::<PathPattern>().unwrap();
        match ask {
            Reach::Below => pattern.covers(levels.len(), level),
            Reach::Exactly => pattern.names(levels.len(), level),
        }
    }

    #[test]
    fn every_written_form_is_written_back() {
        for text in ["", "/a", "/**/a", "/*/server", "/~0~1~2", "/tmp_*/*_at", "/a~2*~2b", "/"] {
            assert_eq!(text.parse::<PathPattern>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_pattern_covers_what_it_names_and_what_is_inside() {
        for (pattern, covered, not) in [
            ("/meta", &["/meta", "/meta/a", "/meta/0/b"][..], &["", "/metal", "/a/meta"][..]),
            ("/*/server", &["/a/server", "/0/server/x"], &["/server", "/a/b/server"]),
            ("/**/at", &["/at", "/a/at", "/a/0/b/at/c"], &["", "/a", "/a/bat"]),
            ("/a/**/b/*/c", &["/a/b/0/c", "/a/x/b/b/1/c"], &["/a/b/c", "/a/b/0/d", "/b/0/c"]),
            ("/items/0", &["/items/0"], &["/items/1", "/items/00"]),
            ("/items/*/tmp_*", &["/items/0/tmp_", "/items/12/tmp_a/b"], &["/items/0/temp"]),
            ("/items/1*", &["/items/1", "/items/10/a"], &["/items/21"]),
            ("/a~2", &["/a*", "/a*/b"], &["/a", "/ab"]),
            ("", &["", "/a"], &[]),
            ("/**", &["", "/a"], &[]),
            ("/*", &["/a", "/a/b"], &[""]),
        ] {
            for path in covered {
                assert!(asked(pattern, path, Reach::Below), "'{pattern}' covers '{path}'");
            }
            for path in not {
                assert!(!asked(pattern, path, Reach::Below), "'{pattern}' does not cover '{path}'");
            }
        }
    }

    #[test]
    fn a_pattern_names_one_level_and_not_what_is_inside() {
        for (pattern, named, not) in [
            ("/tags", &["/tags"][..], &["", "/tags/0", "/a/tags"][..]),
            ("/**/tags", &["/tags", "/tags/tags", "/a/0/tags"], &["/tags/0"]),
            ("/**", &["", "/a", "/a/b"], &[]),
            ("", &[""], &["/a"]),
        ] {
            for path in named {
                assert!(asked(pattern, path, Reach::Exactly), "'{pattern}' names '{path}'");
            }
            for path in not {
                assert!(!asked(pattern, path, Reach::Exactly), "'{pattern}' names not '{path}'");
            }
        }
    }

    #[test]
    fn what_is_no_path_says_why() {
        let error = |text: &str| text.parse::<PathPattern>().unwrap_err().to_string();
        assert_eq!(error("a"), "'a' is no path; did you mean '/a'?");
        assert!(error("/a~3").starts_with("'~' in 'a~3' is none of '~0' (for '~')"));
        assert!(error("/a**").contains("'**' stands for any number of levels"));
    }

    /// What `**` and `*` mean, said as plainly as possible.
    fn plainly(steps: &[Step], path: &[&str], reach: Reach) -> bool {
        match (steps.split_first(), path.split_first()) {
            (None, below) => below.is_none() || reach == Reach::Below,
            (Some((Step::AnyDepth, rest)), _) => {
                (0..=path.len()).any(|n| plainly(rest, &path[n..], reach))
            }
            (Some((step, rest)), Some((level, below))) => {
                step.is(Level::Member(level.as_bytes())) && plainly(rest, below, reach)
            }
            (Some(_), None) => false,
        }
    }

    fn pattern() -> impl Strategy<Value = PathPattern> {
        let segment = prop::sample::select(vec!["a", "b", "a*", "*", "**"]);
        prop::collection::vec(segment, 0..6).prop_map(|all| {
            all.iter().map(|s| format!("/{s}")).collect::<String>().parse().unwrap()
        })
    }

    fn path() -> impl Strategy<Value = Vec<&'static str>> {
        prop::collection::vec(prop::sample::select(vec!["a", "b", "ab"]), 0..7)
    }

    proptest! {
        #[test]
        fn matching_without_recursion_agrees_with_the_definition(
            pattern in pattern(), path in path(),
        ) {
            let level = |i: usize| Level::Member(path[i].as_bytes());
            prop_assert_eq!(
                pattern.covers(path.len(), level), plainly(&pattern.0, &path, Reach::Below)
            );
            prop_assert_eq!(
                pattern.names(path.len(), level), plainly(&pattern.0, &path, Reach::Exactly)
            );
        }

        #[test]
        fn what_is_said_to_be_covered_is(one in pattern(), other in pattern(), path in path()) {
            let level = |i: usize| Level::Member(path[i].as_bytes());
            if one.covers_all_of(&other) && other.covers(path.len(), level) {
                prop_assert!(one.covers(path.len(), level), "{} {}", one, other);
            }
            if one.names_all_of(&other) && other.names(path.len(), level) {
                prop_assert!(one.names(path.len(), level), "{} {}", one, other);
            }
        }
    }
}

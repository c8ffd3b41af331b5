//! What a rule does with a difference that it covers.

use std::borrow::Cow;

use regex::bytes::{Regex, RegexBuilder};

use super::path::unescape_pointer;
use super::{RuleError, Tolerance};
use crate::{Change, Kind};

/// Bytes of a compiled pattern.
const PATTERN_BYTES: usize = 1 << 20;

/// What a rule does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Every difference is expected.
    Ignore,
    /// This change of the status is expected: of HTTP's, or of gRPC's.
    IgnoreStatus {
        /// The primary's.
        primary: u16,
        /// The shadow's.
        shadow: u16,
    },
    /// Both values are rewritten; what is the same then is expected.
    Normalise(Normaliser),
    /// Values that are near each other are expected.
    Tolerate(Tolerance),
    /// An array is compared as a multiset, a header's list as a set: another order is expected.
    Sort,
    /// The elements of an array are those of one key; another order is expected.
    Key(ElementKey),
}

impl Action {
    /// The key that it is written with.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Ignore | Self::IgnoreStatus { .. } => "ignore",
            Self::Normalise(_) => "normalise",
            Self::Tolerate(_) => "tolerate",
            Self::Sort => "sort",
            Self::Key(_) => "key",
        }
    }

    /// Whether it is about the array that the scope names, not about all that is below it.
    pub(crate) const fn is_of_arrays(&self) -> bool {
        matches!(self, Self::Sort | Self::Key(_))
    }

    /// Whether it makes the difference between two values, strings without quotes and escapes, an
    /// expected one. What `Sort` and `Key` mean for an array is for who compares it.
    pub(crate) fn explains(
        &self,
        kind: Kind,
        change: Change,
        primary: Option<&[u8]>,
        shadow: Option<&[u8]>,
    ) -> bool {
        let both = match change {
            Change::Value | Change::Text => primary.zip(shadow),
            _ => None,
        };
        match (self, both) {
            (Self::Ignore, _) => true,
            (Self::IgnoreStatus { primary, shadow }, Some((ours, theirs))) => {
                let is = |status: &u16, text: &[u8]| status.to_string().as_bytes() == text;
                is(primary, ours) && is(shadow, theirs)
            }
            (Self::Normalise(normaliser), Some((ours, theirs))) => {
                normaliser.rewritten(ours) == normaliser.rewritten(theirs)
            }
            (Self::Tolerate(tolerance), Some((ours, theirs))) => tolerance.holds(ours, theirs),
            (Self::Sort, Some((ours, theirs))) => {
                kind != Kind::Body && set_of(ours) == set_of(theirs)
            }
            _ => false,
        }
    }
}

/// The members of a comma-separated list (RFC 9110 §5.6.1), sorted, each once. A comma between
/// quotes separates nothing.
fn set_of(list: &[u8]) -> Vec<&[u8]> {
    let (mut quoted, mut escaped) = (false, false);
    let mut members: Vec<&[u8]> = list
        .split(|&b| {
            let is_comma = b == b',' && !quoted;
            if escaped {
                escaped = false;
            } else if b == b'\\' {
                escaped = quoted;
            } else if b == b'"' {
                quoted = !quoted;
            }
            is_comma
        })
        .map(<[u8]>::trim_ascii)
        .filter(|member| !member.is_empty())
        .collect();
    members.sort_unstable();
    members.dedup();
    members
}

/// A pattern and what is put where it matches.
#[derive(Clone, Debug)]
pub struct Normaliser {
    pattern: Regex,
    replace: Box<str>,
}

impl Normaliser {
    /// What `pattern` matches becomes `replace`, in which `$1` or `${name}` is what a group matched.
    ///
    /// # Errors
    /// The pattern is no regular expression of the `regex` crate, or too large compiled.
    pub fn new(pattern: &str, replace: &str) -> Result<Self, RuleError> {
        let compiled = RegexBuilder::new(pattern).size_limit(PATTERN_BYTES).build();
        let pattern = compiled.map_err(|why| RuleError::BadPattern(one_line(&why)))?;
        Ok(Self { pattern, replace: replace.into() })
    }

    /// The pattern as it is written.
    #[must_use]
    pub fn pattern(&self) -> &str {
        self.pattern.as_str()
    }

    /// What is put where it matches.
    #[must_use]
    pub const fn replace(&self) -> &str {
        &self.replace
    }

    /// `value` with every match replaced. Work is linear in it.
    pub(crate) fn rewritten<'v>(&self, value: &'v [u8]) -> Cow<'v, [u8]> {
        self.pattern.replace_all(value, self.replace.as_bytes())
    }
}

impl PartialEq for Normaliser {
    fn eq(&self, other: &Self) -> bool {
        (self.pattern(), self.replace()) == (other.pattern(), other.replace())
    }
}

impl Eq for Normaliser {}

/// What is wrong with a pattern, without the drawing that shows where.
fn one_line(why: &regex::Error) -> String {
    match why {
        regex::Error::CompiledTooBig(bytes) => format!("it takes more than {bytes} bytes compiled"),
        _ => {
            let text = why.to_string();
            let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
            last.trim().trim_start_matches("error: ").to_owned()
        }
    }
}

/// Where in an element its key is: the values at these JSON Pointers (RFC 6901) together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ElementKey {
    pointers: Box<[Box<str>]>,
    /// Each without its escapes, level by level.
    paths: Box<[Vec<String>]>,
}

impl ElementKey {
    /// A key of these pointers, at least one.
    ///
    /// # Errors
    /// There is none, or one is no pointer.
    pub fn new<'t>(pointers: impl IntoIterator<Item = &'t str>) -> Result<Self, RuleError> {
        let pointers: Box<[Box<str>]> = pointers.into_iter().map(Into::into).collect();
        let paths: Option<Box<[Vec<String>]>> = pointers.iter().map(|text| path(text)).collect();
        match paths {
            Some(paths) if !paths.is_empty() => Ok(Self { pointers, paths }),
            _ => Err(RuleError::BadKey(pointers.join(", "))),
        }
    }

    /// The pointers as they are written.
    pub fn pointers(&self) -> impl Iterator<Item = &str> {
        self.pointers.iter().map(|pointer| &**pointer)
    }

    /// The names and indices on the way to each of the values.
    pub(crate) fn paths(&self) -> &[Vec<String>] {
        &self.paths
    }
}

fn path(pointer: &str) -> Option<Vec<String>> {
    if pointer.is_empty() {
        return Some(Vec::new());
    }
    pointer.strip_prefix('/')?.split('/').map(unescape_pointer).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_that_is_none_says_why_in_one_line() {
        let error = |pattern| Normaliser::new(pattern, "").unwrap_err().to_string();
        assert_eq!(error("a(b"), "the pattern is no regular expression: unclosed group");
        assert!(error(r"\w{1000}{1000}").contains("bytes compiled"));
    }

    #[test]
    fn what_is_the_same_once_rewritten_is_explained() {
        let normalise = Action::Normalise(Normaliser::new(r"v(\d+)\.\d+", "v$1").unwrap());
        let explains = |change, ours: &str, theirs: &str| {
            let sides = (Some(ours.as_bytes()), Some(theirs.as_bytes()));
            normalise.explains(Kind::Body, change, sides.0, sides.1)
        };
        assert!(explains(Change::Value, "at v1.2", "at v1.3"));
        assert!(!explains(Change::Value, "at v1.2", "at v2.2"));
        assert!(!explains(Change::Type, "at v1.2", "at v1.3"));
        assert!(!normalise.explains(Kind::Body, Change::Missing, Some(b"v1.2"), None));
    }

    #[test]
    fn a_list_is_a_set_and_what_is_quoted_is_not_cut() {
        assert_eq!(set_of(b"b, a ,,a"), set_of(b"a,b"));
        assert_ne!(set_of(br#""a,b""#), set_of(b"a,b"));
        assert_eq!(set_of(br#""x\",y", z"#), [&br#""x\",y""#[..], b"z"]);
    }
}

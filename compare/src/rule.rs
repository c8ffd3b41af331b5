//! Differences that are expected, by place.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::field_name::is_field_name;

/// A place where a difference is expected. It is counted under the rule's name instead of being
/// reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What it is counted as.
    pub name: Arc<str>,
    /// The endpoints it holds for, e.g. `GET /api/v1/*`; `*` stands for any text. `None`: all.
    pub endpoint: Option<Box<str>>,
    /// The place.
    pub scope: Scope,
}

impl Rule {
    /// Whether it holds for `endpoint`.
    pub(crate) fn holds_for(&self, endpoint: &str) -> bool {
        self.endpoint
            .as_ref()
            .is_none_or(|pattern| text_matches(pattern.as_bytes(), endpoint.as_bytes()))
    }
}

impl FromStr for Rule {
    type Err = ParseRuleError;

    /// A rule for all endpoints, named as its scope is written.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self { name: text.into(), endpoint: None, scope: text.parse()? })
    }
}

/// Part of a response.
///
/// Written `header:x-backend` (trailers of that name too), `body:/generated_at`,
/// `body:/**/generated_at`, `body:/*/server`, or `body:/doc/@filename` for a field of the header of
/// a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The header and trailer fields of this name.
    Header(Box<str>),
    /// The part of the body that the pattern names, and everything inside it.
    Body(PathPattern),
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Body(pattern) => write!(f, "body:{pattern}"),
        }
    }
}

impl FromStr for Scope {
    type Err = ParseRuleError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some(("header", name)) if is_field_name(name) && !name.contains('*') => {
                Ok(Self::Header(name.to_ascii_lowercase().into()))
            }
            Some(("header", name)) => Err(ParseRuleError::HeaderInvalid(name.to_owned())),
            Some(("body", pattern)) => Ok(Self::Body(pattern.parse()?)),
            _ => Err(ParseRuleError::Unknown(text.to_owned())),
        }
    }
}

/// A JSON Pointer (RFC 6901) in which a segment `*` stands for any one member or element and `**`
/// for any number of levels. It covers everything below what it names; the empty pattern covers
/// the whole body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern(Box<[Step]>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Name(Box<str>),
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

impl PathPattern {
    /// Whether the place with these levels, or one that holds it, is named. `level(i)` is asked
    /// for `i < depth` only.
    ///
    /// Work is at most `depth` times the pattern's length.
    pub(crate) fn covers<'a>(&self, depth: usize, level: impl Fn(usize) -> Level<'a>) -> bool {
        let Self(steps) = self;
        let (mut step, mut at) = (0, 0);
        // Where to go on when what follows the last `**` does not match: one level deeper.
        let mut retry = None;
        loop {
            match steps.get(step) {
                None => return true,
                Some(Step::AnyDepth) => {
                    step += 1;
                    retry = Some((step, at));
                    continue;
                }
                Some(Step::AnyOne) if at < depth => {}
                Some(Step::Name(name)) if at < depth && name_is(name, level(at)) => {}
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

fn name_is(name: &str, level: Level<'_>) -> bool {
    match level {
        Level::Member(member) => member == name.as_bytes(),
        Level::Element(index) => name.parse() == Ok(index),
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.0 {
            match step {
                Step::AnyOne => f.write_str("/*")?,
                Step::AnyDepth => f.write_str("/**")?,
                Step::Name(name) => {
                    write!(f, "/{}", name.replace('~', "~0").replace('/', "~1"))?;
                }
            }
        }
        Ok(())
    }
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
        rest.split('/')
            .map(|segment| match segment {
                "*" => Ok(Step::AnyOne),
                "**" => Ok(Step::AnyDepth),
                _ if segment.contains('*') => {
                    Err(ParseRuleError::WildcardInside(segment.to_owned()))
                }
                _ => unescape_pointer(segment)
                    .map(|name| Step::Name(name.into()))
                    .ok_or_else(|| ParseRuleError::BadEscape(segment.to_owned())),
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }
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

/// Whether `text` is as `pattern` says, in which `*` stands for any text. Work is at most the
/// product of the lengths.
pub(crate) fn text_matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut retry = None;
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            p += 1;
            retry = Some((p, t));
        } else if pattern.get(p) == Some(&text[t]) {
            p += 1;
            t += 1;
        } else if let Some((after, from)) = retry {
            (p, t) = (after, from + 1);
            retry = Some((after, from + 1));
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|&b| b == b'*')
}

/// Why a text is no rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParseRuleError {
    /// It begins neither with `header:` nor with `body:`.
    Unknown(String),
    /// No header name.
    HeaderInvalid(String),
    /// A body path that does not begin with `/`.
    PathWithoutSlash(String),
    /// A `*` that is only part of a segment.
    WildcardInside(String),
    /// A `~` in a segment that is neither `~0` nor `~1`.
    BadEscape(String),
}

impl fmt::Display for ParseRuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(text) => {
                write!(f, "'{text}' is no rule; ")?;
                if text.starts_with('/') {
                    write!(f, "did you mean 'body:{text}'?")
                } else if is_field_name(text) {
                    write!(f, "did you mean 'header:{text}' or 'body:/**/{text}'?")
                } else {
                    write!(f, "write header:NAME or body:/PATH")
                }
            }
            Self::HeaderInvalid(name) => write!(f, "'{name}' is no header name"),
            Self::PathWithoutSlash(path) => {
                write!(f, "'{path}' is no path; did you mean '/{path}'?")
            }
            Self::WildcardInside(segment) => {
                write!(f, "'*' stands for a whole segment, not for part of one as in '{segment}'")
            }
            Self::BadEscape(segment) => {
                write!(f, "'~' in '{segment}' is neither '~0' (for '~') nor '~1' (for '/')")
            }
        }
    }
}

impl std::error::Error for ParseRuleError {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn covers(pattern: &str, path: &str) -> bool {
        let levels: Vec<&str> = path.split('/').skip(1).collect();
        pattern.parse::<PathPattern>().unwrap().covers(levels.len(), |i| {
            levels[i].parse().map_or(Level::Member(levels[i].as_bytes()), Level::Element)
        })
    }

    #[test]
    fn every_written_form_is_read_and_written_back() {
        for text in
            ["header:x-backend", "body:", "body:/a", "body:/**/a", "body:/*/server", "body:/~0~1"]
        {
            assert_eq!(text.parse::<Scope>().unwrap().to_string(), text);
        }
        let rule: Rule = "header:X-Backend".parse().unwrap();
        assert_eq!(&*rule.name, "header:X-Backend");
        assert_eq!(rule.scope, Scope::Header("x-backend".into()));
    }

    #[test]
    fn a_pattern_covers_what_it_names_and_what_is_inside() {
        for (pattern, covered, not) in [
            ("/meta", &["/meta", "/meta/a", "/meta/0/b"][..], &["", "/metal", "/a/meta"][..]),
            ("/*/server", &["/a/server", "/0/server/x"], &["/server", "/a/b/server"]),
            ("/**/at", &["/at", "/a/at", "/a/0/b/at/c"], &["", "/a", "/a/bat"]),
            ("/a/**/b/*/c", &["/a/b/0/c", "/a/x/b/b/1/c"], &["/a/b/c", "/a/b/0/d", "/b/0/c"]),
            ("/items/0", &["/items/0"], &["/items/1"]),
            ("", &["", "/a"], &[]),
            ("/**", &["", "/a"], &[]),
            ("/*", &["/a", "/a/b"], &[""]),
        ] {
            for path in covered {
                assert!(covers(pattern, path), "'{pattern}' covers '{path}'");
            }
            for path in not {
                assert!(!covers(pattern, path), "'{pattern}' does not cover '{path}'");
            }
        }
    }

    #[test]
    fn a_rule_holds_for_the_endpoints_its_pattern_names() {
        let rule = |endpoint: &str| Rule {
            endpoint: Some(endpoint.into()),
            ..Rule::from_str("header:etag").unwrap()
        };
        assert!(rule("GET /api/*").holds_for("GET /api/v1/items/{id}"));
        assert!(rule("* /api/*/{id}").holds_for("PUT /api/v1/items/{id}"));
        assert!(!rule("GET /api/*").holds_for("POST /api/v1"));
        assert!(!rule("GET /api").holds_for("GET /api/v1"));
    }

    #[test]
    fn a_wrong_rule_says_what_was_probably_meant() {
        let error = |text: &str| text.parse::<Scope>().unwrap_err().to_string();
        assert_eq!(error("/a"), "'/a' is no rule; did you mean 'body:/a'?");
        assert_eq!(error("at"), "'at' is no rule; did you mean 'header:at' or 'body:/**/at'?");
        assert_eq!(error("path:/a"), "'path:/a' is no rule; write header:NAME or body:/PATH");
        assert_eq!(error("header:"), "'' is no header name");
        assert_eq!(error("body:a"), "'a' is no path; did you mean '/a'?");
        assert_eq!(
            error("body:/x_*"),
            "'*' stands for a whole segment, not for part of one as in 'x_*'"
        );
        assert_eq!(error("body:/a~2"), "'~' in 'a~2' is neither '~0' (for '~') nor '~1' (for '/')");
    }

    /// What `**` and `*` mean, said as plainly as possible.
    fn named(steps: &[Step], path: &[&str]) -> bool {
        match (steps.split_first(), path.split_first()) {
            (None, _) => true,
            (Some((Step::AnyDepth, rest)), _) => (0..=path.len()).any(|n| named(rest, &path[n..])),
            (Some((Step::AnyOne, rest)), Some((_, below))) => named(rest, below),
            (Some((Step::Name(name), rest)), Some((level, below))) => {
                **name == **level && named(rest, below)
            }
            (Some(_), None) => false,
        }
    }

    proptest! {
        #[test]
        fn matching_without_recursion_agrees_with_the_definition(
            pattern in prop::collection::vec(prop::sample::select(vec!["a", "b", "*", "**"]), 0..7),
            path in prop::collection::vec(prop::sample::select(vec!["a", "b", "c"]), 0..7),
        ) {
            let text: String = pattern.iter().map(|s| format!("/{s}")).collect();
            let parsed: PathPattern = text.parse().unwrap();
            prop_assert_eq!(
                parsed.covers(path.len(), |i| Level::Member(path[i].as_bytes())),
                named(&parsed.0, &path)
            );
        }
    }
}

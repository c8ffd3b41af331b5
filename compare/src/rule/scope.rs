//! Which part of a response a rule is about.

use std::fmt;
use std::str::FromStr;

use super::{Level, ParseRuleError, PathPattern, TextPattern};
use crate::Kind;
use crate::field_name::is_field_name;

/// Part of a response.
///
/// Written `header:x-backend` (trailers of that name too), `trailer:x-sum`, `status`,
/// `body:/generated_at`, `body:/**/generated_at`, `body:/*/server`, or `body:/doc/@filename` for a
/// field of the header of a part. In names of fields, too, `*` stands for any text: `header:x-*`;
/// `header:set-cookie/NAME` is one cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The header and trailer fields of these names, in lower case.
    Header(TextPattern),
    /// The trailer fields of these names, in lower case.
    Trailer(TextPattern),
    /// The status code.
    Status,
    /// The part of the body that the pattern names, and everything inside it.
    Body(PathPattern),
}

impl Scope {
    /// Whether it covers the header or trailer field of this lower-case name, which is reported at
    /// `path`: the name, or `set-cookie/NAME`.
    pub(crate) fn covers_field(&self, kind: Kind, name: &[u8], path: &[u8]) -> bool {
        let matches =
            |of: &TextPattern| of.matches(name) || (name.len() < path.len() && of.matches(path));
        match self {
            Self::Header(of) => matches(of),
            Self::Trailer(of) => kind == Kind::Trailer && matches(of),
            Self::Status | Self::Body(_) => false,
        }
    }

    /// Whether it covers the place in the body with these levels.
    pub(crate) fn covers_place<'a>(
        &self,
        depth: usize,
        level: impl Fn(usize) -> Level<'a>,
    ) -> bool {
        matches!(self, Self::Body(of) if of.covers(depth, level))
    }

    /// Whether it names the place in the body with these levels, not only one that holds it.
    pub(crate) fn names_place<'a>(&self, depth: usize, level: impl Fn(usize) -> Level<'a>) -> bool {
        matches!(self, Self::Body(of) if of.names(depth, level))
    }

    /// Whether everything that `other` covers is surely covered.
    pub(super) fn covers_all_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Header(one), Self::Header(other) | Self::Trailer(other))
            | (Self::Trailer(one), Self::Trailer(other)) => one.covers(other),
            (Self::Body(one), Self::Body(other)) => one.covers_all_of(other),
            (Self::Status, Self::Status) => true,
            _ => false,
        }
    }

    /// As [`Scope::covers_all_of`], for what only the named place itself is about.
    pub(super) fn names_all_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Body(one), Self::Body(other)) => one.names_all_of(other),
            _ => self.covers_all_of(other),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Trailer(name) => write!(f, "trailer:{name}"),
            Self::Status => f.write_str("status"),
            Self::Body(pattern) => write!(f, "body:{pattern}"),
        }
    }
}

impl FromStr for Scope {
    type Err = ParseRuleError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some(("header", name)) => field(name).map(Self::Header),
            Some(("trailer", name)) => field(name).map(Self::Trailer),
            Some(("body", pattern)) => Ok(Self::Body(pattern.parse()?)),
            None if text == "status" => Ok(Self::Status),
            _ => Err(ParseRuleError::Unknown(text.to_owned())),
        }
    }
}

/// The name of a field, `*` in it a star: no name that is sent has one in earnest.
fn field(name: &str) -> Result<TextPattern, ParseRuleError> {
    let (field, cookie) = match name.split_once('/') {
        Some((field, cookie)) => (field, Some(cookie)),
        None => (name, None),
    };
    let lower = field.to_ascii_lowercase();
    match cookie {
        _ if !is_field_name(field) => {}
        None => return Ok(TextPattern::new(&lower)),
        // Cookies are told apart by case (RFC 6265 §5.3).
        Some(cookie) if lower == "set-cookie" && !cookie.is_empty() => {
            return Ok(TextPattern::new(&format!("{lower}/{cookie}")));
        }
        Some(_) => {}
    }
    Err(ParseRuleError::HeaderInvalid(name.to_owned()))
}

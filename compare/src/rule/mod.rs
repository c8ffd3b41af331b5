//! Differences that are expected: rules.
//!
//! Owns the written forms of scopes, what a rule does with a difference that it covers, and what is
//! wrong with a list of them ([`audit()`]). Everything is compiled when a rule is read; a list is
//! looked at only where something differs. Of several rules that explain a difference the first is
//! counted, by its name.

mod action;
mod audit;
mod path;
mod scope;
mod text_pattern;
mod tolerance;

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::sync::Arc;

use capture::Timestamp;

use crate::field_name::is_field_name;

pub use action::{Action, ElementKey, Normaliser};
pub use audit::{RuleFault, RuleFaultKind, audit};
pub use path::PathPattern;
pub(crate) use path::{Level, unescape_pointer};
pub use scope::Scope;
pub use text_pattern::TextPattern;
pub use tolerance::Tolerance;

/// What HTTP's status can be: three digits (RFC 9112 §4).
const HTTP_STATUSES: RangeInclusive<u16> = 100..=999;

/// What a gRPC status is (grpc/doc/statuscodes.md).
const GRPC_STATUSES: RangeInclusive<u16> = 0..=16;

/// Differences that are expected. They are counted under the rule's name instead of being reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What they are counted as.
    pub name: Arc<str>,
    /// The endpoints it holds for, e.g. `GET /api/v1/*`. `None`: all.
    pub endpoint: Option<TextPattern>,
    /// The moment after which it no longer holds, by the start of the pair.
    pub until: Option<Timestamp>,
    scope: Scope,
    action: Action,
}

impl Rule {
    /// A rule for all endpoints and all times.
    ///
    /// # Errors
    /// The action is not for such a scope.
    pub fn new(name: &str, scope: Scope, action: Action) -> Result<Self, RuleError> {
        let fits = match (&scope, &action) {
            (Scope::Status, Action::Ignore) => return Err(RuleError::StatusWithoutCodes),
            (Scope::Status, &Action::IgnoreStatus { primary, shadow }) => {
                let are =
                    |all: RangeInclusive<u16>| all.contains(&primary) && all.contains(&shadow);
                if !are(HTTP_STATUSES) && !are(GRPC_STATUSES) {
                    return Err(RuleError::BadCodes(primary, shadow));
                }
                true
            }
            (Scope::Status, _) => false,
            (_, Action::IgnoreStatus { .. }) => return Err(RuleError::CodesWithoutStatus),
            (Scope::Header(_) | Scope::Trailer(_), Action::Key(_)) => false,
            _ => true,
        };
        if !fits {
            let action = action.as_str();
            return Err(RuleError::ScopeOfAction { action, scope: scope.to_string() });
        }
        Ok(Self { name: name.into(), endpoint: None, until: None, scope, action })
    }

    /// Which part of the response it is about.
    #[must_use]
    pub const fn scope(&self) -> &Scope {
        &self.scope
    }

    /// What it does.
    #[must_use]
    pub const fn action(&self) -> &Action {
        &self.action
    }

    /// Whether it holds for `endpoint` in a pair that began at `start`.
    pub(crate) fn holds_for(&self, endpoint: &str, start: Timestamp) -> bool {
        self.until.is_none_or(|until| start <= until)
            && self.endpoint.as_ref().is_none_or(|of| of.matches(endpoint.as_bytes()))
    }
}

impl FromStr for Rule {
    type Err = ParseRuleError;

    /// A rule that ignores a scope, named as that is written.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let scope: Scope = text.parse()?;
        Self::new(text, scope, Action::Ignore).map_err(|_| ParseRuleError::StatusAlone)
    }
}

/// Why a text is no scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParseRuleError {
    /// It begins with nothing that a scope begins with.
    Unknown(String),
    /// `status`, where the codes cannot be said.
    StatusAlone,
    /// No header name.
    HeaderInvalid(String),
    /// A body path that does not begin with `/`.
    PathWithoutSlash(String),
    /// A `**` that is only part of a segment.
    StarsInside(String),
    /// A `~` in a segment that is none of `~0`, `~1` and `~2`.
    BadEscape(String),
}

impl fmt::Display for ParseRuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(text) => {
                write!(f, "'{text}' is no place; ")?;
                if text.starts_with('/') {
                    write!(f, "did you mean 'body:{text}'?")
                } else if is_field_name(text) {
                    write!(f, "did you mean 'header:{text}' or 'body:/**/{text}'?")
                } else {
                    write!(f, "write header:NAME, trailer:NAME, body:/PATH or status")
                }
            }
            Self::StatusAlone => write!(f, "{}", RuleError::StatusWithoutCodes),
            Self::HeaderInvalid(name) => write!(f, "'{name}' is no header name"),
            Self::PathWithoutSlash(path) => {
                write!(f, "'{path}' is no path; did you mean '/{path}'?")
            }
            Self::StarsInside(segment) => write!(
                f,
                "'**' stands for any number of levels and is a segment of its own, not part of \
                 one as in '{segment}'; a '*' that is meant is written '~2'"
            ),
            Self::BadEscape(segment) => write!(
                f,
                "'~' in '{segment}' is none of '~0' (for '~'), '~1' (for '/') and '~2' (for '*')"
            ),
        }
    }
}

impl std::error::Error for ParseRuleError {}

/// Why a rule is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleError {
    /// An action for a scope that it is not for.
    ScopeOfAction {
        /// The action's key.
        action: &'static str,
        /// The scope as written.
        scope: String,
    },
    /// `status` is ignored without the two codes.
    StatusWithoutCodes,
    /// Codes that are neither both HTTP's nor both gRPC's: the primary's and the shadow's.
    BadCodes(u16, u16),
    /// Codes for a scope that is not `status`.
    CodesWithoutStatus,
    /// The pattern is no regular expression; why.
    BadPattern(String),
    /// A tolerance without a bound.
    NoBound,
    /// A bound that is no number, or below zero.
    BadBound {
        /// Its key.
        key: &'static str,
        /// As written.
        text: String,
    },
    /// What should name the key of elements does not.
    BadKey(String),
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ScopeOfAction { action, scope } => {
                write!(f, "'{action}' is not for '{scope}': ")?;
                match *action {
                    "key" => write!(f, "write key = \"body:/PATH\" for an array"),
                    _ => write!(f, "a status can be ignored, with primary = 200, shadow = 204"),
                }
            }
            Self::StatusWithoutCodes => write!(
                f,
                "say which change of the status is expected, in a [[service.rule]]: \
                 ignore = \"status\", primary = 200, shadow = 204"
            ),
            Self::BadCodes(primary, shadow) => write!(
                f,
                "primary = {primary}, shadow = {shadow}: statuses are both HTTP's, 100 to 999, or \
                 both gRPC's, 0 to 16"
            ),
            Self::CodesWithoutStatus => {
                write!(
                    f,
                    "'primary' and 'shadow' are status codes: they go with ignore = \"status\""
                )
            }
            Self::BadPattern(why) => write!(f, "the pattern is no regular expression: {why}"),
            Self::NoBound => {
                write!(f, "say how far values may be apart: absolute, relative or within_ms")
            }
            Self::BadBound { key, text } => {
                write!(f, "{key} = {text}: a tolerance is a number, zero or above")
            }
            Self::BadKey(text) => write!(
                f,
                "by = '{text}': name where in an element its key is, as a JSON Pointer: by = \"/id\""
            ),
        }
    }
}

impl std::error::Error for RuleError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_written_form_is_read_and_written_back() {
        for text in [
            "header:x-backend",
            "header:x-debug-*",
            "header:set-cookie/Session*",
            "trailer:x-sum",
            "status",
            "body:",
            "body:/a",
            "body:/**/a",
            "body:/*/server",
            "body:/~0~1~2/tmp_*",
        ] {
            assert_eq!(text.parse::<Scope>().unwrap().to_string(), text);
        }
        let rule: Rule = "header:X-Backend".parse().unwrap();
        assert_eq!(&*rule.name, "header:X-Backend");
        assert_eq!(rule.scope, Scope::Header(TextPattern::new("x-backend")));
    }

    #[test]
    fn a_rule_holds_for_the_endpoints_its_pattern_names_until_its_time_is_over() {
        let holds = |of: &str, endpoint: &str| {
            let mut rule = Rule::from_str("header:etag").unwrap();
            rule.endpoint = Some(TextPattern::new(of));
            rule.holds_for(endpoint, Timestamp::ZERO)
        };
        assert!(holds("GET /api/*", "GET /api/v1/items/{id}"));
        assert!(holds("* /api/*/{id}", "PUT /api/v1/items/{id}"));
        assert!(!holds("GET /api/*", "POST /api/v1") && !holds("GET /api", "GET /api/v1"));

        let mut rule = Rule::from_str("header:etag").unwrap();
        rule.until = Some(Timestamp::from_nanos(5));
        assert!(rule.holds_for("GET /", Timestamp::from_nanos(5)));
        assert!(!rule.holds_for("GET /", Timestamp::from_nanos(6)));
    }

    #[test]
    fn a_wrong_scope_says_what_was_probably_meant() {
        let error = |text: &str| text.parse::<Scope>().unwrap_err().to_string();
        assert_eq!(error("/a"), "'/a' is no place; did you mean 'body:/a'?");
        assert_eq!(error("at"), "'at' is no place; did you mean 'header:at' or 'body:/**/at'?");
        assert!(
            error("path:/a").ends_with("write header:NAME, trailer:NAME, body:/PATH or status")
        );
        assert_eq!(error("header:"), "'' is no header name");
        assert_eq!(error("header:etag/a"), "'etag/a' is no header name");
        assert_eq!(error("body:a"), "'a' is no path; did you mean '/a'?");
        assert!("status".parse::<Rule>().unwrap_err().to_string().contains("primary = 200"));
    }

    #[test]
    fn an_action_is_refused_where_it_says_nothing() {
        let error = |scope: &str, action| {
            Rule::new("x", scope.parse().unwrap(), action).unwrap_err().to_string()
        };
        let key = Action::Key(ElementKey::new(["/id"]).unwrap());
        assert!(error("header:a", key).contains("key = \"body:/PATH\""));
        assert!(error("status", Action::Sort).contains("a status can be ignored"));
        assert!(error("status", Action::Ignore).contains("primary = 200, shadow = 204"));
        let codes = Action::IgnoreStatus { primary: 200, shadow: 204 };
        assert!(error("body:/a", codes).contains("status codes"));
        for (primary, shadow) in [(0, 200), (200, 13), (0, 17), (99, 200), (200, 1000)] {
            let codes = Action::IgnoreStatus { primary, shadow };
            assert!(error("status", codes).contains("both gRPC's, 0 to 16"), "{primary} {shadow}");
        }
        assert!(ElementKey::new(["id"]).unwrap_err().to_string().contains("by = \"/id\""));
    }
}

//! What is wrong with a list of rules as a whole.

use std::fmt;

use capture::Timestamp;

use super::{Action, Rule, Scope};

/// Something about the rule of this index that its author did not mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleFault {
    /// Which rule of the list.
    pub rule: usize,
    /// What it is.
    pub what: RuleFaultKind,
    /// The names that it is told with: this rule's, and the other's where there is one.
    names: (Box<str>, Box<str>),
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RuleFaultKind {
    /// An earlier rule has its name.
    SameName,
    /// It and an earlier rule say two things of the same arrays.
    Contradiction,
    /// An earlier rule explains all that it could.
    NeverReached,
    /// Its time is over.
    Expired,
    /// It ignores the whole body.
    WholeBody,
}

impl RuleFaultKind {
    /// Whether the list must not be used; else it is worth a warning.
    #[must_use]
    pub const fn is_error(self) -> bool {
        matches!(self, Self::SameName | Self::Contradiction)
    }
}

impl fmt::Display for RuleFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, other) = &self.names;
        match self.what {
            RuleFaultKind::SameName => write!(
                f,
                "two rules are named '{name}': counts are kept by name, so give one another"
            ),
            RuleFaultKind::Contradiction => write!(
                f,
                "the rule '{name}' contradicts '{other}' before it: both say how the same arrays \
                 are compared; keep one, or give them other endpoints"
            ),
            RuleFaultKind::NeverReached => {
                write!(f, "the rule '{name}' is never reached: '{other}' before it covers the same")
            }
            RuleFaultKind::Expired => write!(
                f,
                "the rule '{name}' no longer holds: its time is over; remove it, or move its 'until'"
            ),
            RuleFaultKind::WholeBody => write!(
                f,
                "the rule '{name}' ignores whole bodies: no difference in one will be reported; \
                 name the places that differ"
            ),
        }
    }
}

/// What is wrong with these rules at the time `now`, in their order.
///
/// Work grows with the square of their number.
#[must_use]
pub fn audit(rules: &[Rule], now: Timestamp) -> Vec<RuleFault> {
    let mut faults = Vec::new();
    for (at, rule) in rules.iter().enumerate() {
        let earlier = &rules[..at];
        let mut fault = |what, other: &Rule| {
            faults.push(RuleFault {
                rule: at,
                what,
                names: ((&*rule.name).into(), (&*other.name).into()),
            });
        };
        // What is written twice is counted under one name rightly.
        let same_name = |other: &&Rule| other.name == rule.name && *other != rule;
        if let Some(other) = earlier.iter().find(same_name) {
            fault(RuleFaultKind::SameName, other);
        }
        if let Some(other) = earlier.iter().find(|other| contradict(other, rule)) {
            fault(RuleFaultKind::Contradiction, other);
        } else if let Some(other) = earlier.iter().find(|other| covers_all_of(other, rule)) {
            fault(RuleFaultKind::NeverReached, other);
        }
        if rule.until.is_some_and(|until| until < now) {
            fault(RuleFaultKind::Expired, rule);
        }
        let whole = matches!(rule.scope(), Scope::Body(pattern) if pattern.is_everything());
        if whole && *rule.action() == Action::Ignore {
            fault(RuleFaultKind::WholeBody, rule);
        }
    }
    faults
}

/// Whether both say how the same arrays are compared, and not the same.
fn contradict(one: &Rule, other: &Rule) -> bool {
    one.action().is_of_arrays()
        && other.action().is_of_arrays()
        && one.action() != other.action()
        && one.scope() == other.scope()
        && one.endpoint == other.endpoint
}

/// Whether `one`, which comes first, explains all that `other` could, for as long.
fn covers_all_of(one: &Rule, other: &Rule) -> bool {
    let endpoints = match (&one.endpoint, &other.endpoint) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(one), Some(other)) => one.covers(other),
    };
    let as_long = match (one.until, other.until) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(one), Some(other)) => one >= other,
    };
    let scopes = match one.action() {
        Action::Ignore => one.scope().covers_all_of(other.scope()),
        action if action.is_of_arrays() => {
            other.action().is_of_arrays() && one.scope().names_all_of(other.scope())
        }
        action => action == other.action() && one.scope().covers_all_of(other.scope()),
    };
    endpoints && as_long && scopes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ElementKey, TextPattern};

    fn rule(name: &str, endpoint: Option<&str>, scope: &str, action: Action) -> Rule {
        let mut rule = Rule::new(name, scope.parse().unwrap(), action).unwrap();
        rule.endpoint = endpoint.map(TextPattern::new);
        rule
    }

    fn ignore(scope: &str) -> Rule {
        scope.parse().unwrap()
    }

    fn audited(rules: &[Rule]) -> Vec<(usize, RuleFaultKind)> {
        let now = Timestamp::from_nanos(1_000);
        audit(rules, now).iter().map(|fault| (fault.rule, fault.what)).collect()
    }

    #[test]
    fn rules_that_say_different_things_of_different_places_are_good() {
        let key = Action::Key(ElementKey::new(["/id"]).unwrap());
        assert_eq!(
            audited(&[
                ignore("header:x-a"),
                ignore("header:x-b*"),
                ignore("body:/a"),
                ignore("body:/**/at"),
                rule("tags", None, "body:/tags", Action::Sort),
                rule("items", None, "body:/items", key),
                rule("tags of items", None, "body:/items/*/tags", Action::Sort),
            ]),
            []
        );
    }

    #[test]
    fn a_rule_that_an_earlier_one_covers_is_never_reached() {
        for (first, second) in [
            ("header:x-*", "header:x-debug-*"),
            ("header:x-a", "trailer:x-a"),
            ("body:/a", "body:/a/b"),
            ("body:/**/at", "body:/items/*/at"),
        ] {
            assert_eq!(
                audited(&[ignore(first), ignore(second)]),
                [(1, RuleFaultKind::NeverReached)]
            );
            assert_eq!(audited(&[ignore(second), ignore(first)]), [], "{first}");
        }
        let some = |endpoint| rule("some", Some(endpoint), "body:/a", Action::Ignore);
        assert_eq!(
            audited(&[ignore("body:/a"), some("GET /x")]),
            [(1, RuleFaultKind::NeverReached)]
        );
        assert_eq!(audited(&[some("GET /x"), ignore("body:/a")]), []);
        let sort = rule("sort", None, "body:/a", Action::Sort);
        assert_eq!(audited(&[sort.clone(), ignore("body:/a")]), []);
        assert_eq!(audited(&[ignore("body:/a"), sort]), [(1, RuleFaultKind::NeverReached)]);
        let mut soon_over = ignore("body:/a");
        soon_over.until = Some(Timestamp::from_nanos(2_000));
        assert_eq!(audited(&[soon_over, ignore("body:/a/b")]), []);
    }

    #[test]
    fn each_other_fault_is_told_by_name() {
        let key = Action::Key(ElementKey::new(["/id"]).unwrap());
        let sort = rule("sort", None, "body:/items", Action::Sort);
        let keyed = rule("key", None, "body:/items", key);
        let faults = audit(&[sort, keyed], Timestamp::ZERO);
        assert!(faults[0].what.is_error() && faults[0].what == RuleFaultKind::Contradiction);
        assert!(faults[0].to_string().starts_with("the rule 'key' contradicts 'sort' before it"));

        let same = rule("header:x-a", None, "body:/b", Action::Ignore);
        assert_eq!(audited(&[ignore("header:x-a"), same]), [(1, RuleFaultKind::SameName)]);

        let mut over = ignore("body:/a");
        over.until = Some(Timestamp::from_nanos(999));
        assert_eq!(audited(&[over]), [(0, RuleFaultKind::Expired)]);

        for whole in ["body:", "body:/**"] {
            assert_eq!(audited(&[ignore(whole)]), [(0, RuleFaultKind::WholeBody)]);
        }
    }
}

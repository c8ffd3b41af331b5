//! Claims about pairs that are judged again.

use super::*;
use crate::sample::{Sample, written};
use crate::{Mirror, Normaliser, Tolerance};

const ENDPOINT: &str = "GET /";

fn policy(rules: &[Rule]) -> ServicePolicy {
    let mut policy = ServicePolicy::new("shop");
    policy.mirror = Mirror::None;
    policy.rules = rules.to_vec();
    policy
}

fn rule(scope: &str, action: Action) -> Rule {
    Rule::new(&format!("{} {scope}", action.as_str()), scope.parse().unwrap(), action).unwrap()
}

fn json(body: &str) -> Sample {
    Sample::new("1").content("application/json", body)
}

/// What becomes of a pair that was judged without rules, with its messages and without, beside what
/// a comparison under the rules finds.
fn tried(rules: &[Rule], primary: Sample, shadow: Sample) -> (Tried, Tried, Vec<String>) {
    let (primary, shadow) = (primary.primary(), shadow.shadow());
    let judged = |rules: &[Rule]| {
        Differ::default().compare(&policy(rules), ENDPOINT, &primary, &shadow).divergences
    };
    let stored = judged(&[]);
    let stored: Vec<StoredDivergence<'_>> = stored.iter().map(Into::into).collect();
    let mut trial = Trial::new(policy(rules), HashSet::new());
    let mut of = |messages| {
        let start = primary.timing.start();
        trial.judge(&JudgedPair { endpoint: ENDPOINT, start, divergences: &stored, messages })
    };
    let with = of(Some((&primary, &shadow)));
    (with, of(None), written(&judged(rules)))
}

#[test]
fn what_a_rule_says_of_values_is_told_with_messages_and_without() {
    let rules = [
        rule("body:/at", Action::Ignore),
        rule("body:/n", Action::Tolerate(Tolerance::new(Some("1"), None, None).unwrap())),
    ];
    let (with, without, fresh) =
        tried(&rules, json(r#"{"at":"a","n":1,"x":"a"}"#), json(r#"{"at":"b","n":2,"x":"b"}"#));
    assert_eq!(with.fates, [Fate::Explained(0), Fate::Explained(1), Fate::Left]);
    assert_eq!((with.fates, with.new), (without.fates, without.new));
    assert_eq!(fresh, [r#"body /x value: "a" -> "b""#]);
}

#[test]
fn an_order_that_is_expected_needs_the_messages() {
    let rules = [rule("body:/tags", Action::Sort)];
    let (ours, theirs) = (json(r#"{"tags":["a","b","c"]}"#), json(r#"{"tags":["c","a","b"]}"#));
    let (with, without, fresh) = tried(&rules, ours, theirs);
    assert_eq!(fresh, [""; 0]);
    assert!(with.fates.iter().all(|fate| *fate == Fate::Explained(0)), "{with:?}");
    assert!(with.new.is_empty());
    assert_eq!(without.fates[0], Fate::Undecided(Undecided::NotKept));
}

#[test]
fn what_is_found_only_under_the_rules_is_new() {
    let key = Action::Key(crate::ElementKey::new(["/sku"]).unwrap());
    let rules = [rule("body:/lines", key)];
    // By place these are other elements altogether.
    let ours = json(r#"{"lines":[{"sku":"a","id":1,"q":1},{"sku":"b","id":2,"q":2}]}"#);
    let theirs = json(r#"{"lines":[{"sku":"b","id":1,"q":3},{"sku":"a","id":2,"q":1}]}"#);
    let (with, _, fresh) = tried(&rules, ours, theirs);
    let left = with.fates.iter().filter(|fate| **fate == Fate::Left).count();
    assert_eq!(left + with.new.len(), fresh.len(), "{with:?} {fresh:?}");
    for line in written(&with.new) {
        assert!(fresh.contains(&line), "{line} in {fresh:?}");
    }
}

#[test]
fn what_was_not_reported_stays_so() {
    // The judge of then took /at for noise: only /x is stored.
    let (primary, shadow) = (json(r#"{"at":1,"x":1}"#), json(r#"{"at":2,"x":2}"#));
    let (primary, shadow) = (primary.primary(), shadow.shadow());
    let x = StoredDivergence {
        kind: Kind::Body,
        path: "/x",
        change: Change::Value,
        primary: Some("1"),
        shadow: Some("2"),
    };
    let pair = JudgedPair {
        endpoint: ENDPOINT,
        start: primary.timing.start(),
        divergences: &[x],
        messages: Some((&primary, &shadow)),
    };
    let mut trial = Trial::new(policy(&[rule("body:/x", Action::Ignore)]), HashSet::new());
    assert_eq!(trial.judge(&pair), Tried { fates: vec![Fate::Explained(0)], new: Vec::new() });
}

#[test]
fn messages_that_do_not_show_what_was_found_are_not_trusted() {
    let (primary, shadow) = (json(r#"{"x":1}"#).primary(), json(r#"{"x":2}"#).shadow());
    let gone = StoredDivergence {
        kind: Kind::Body,
        path: "/gone",
        change: Change::Value,
        primary: Some("1"),
        shadow: Some("2"),
    };
    let pair = JudgedPair {
        endpoint: ENDPOINT,
        start: primary.timing.start(),
        divergences: &[gone],
        messages: Some((&primary, &shadow)),
    };
    let mut trial = Trial::new(policy(&[rule("body:/x", Action::Ignore)]), HashSet::new());
    assert_eq!(trial.judge(&pair).fates, [Fate::Left]);
}

#[test]
fn a_rule_that_reads_what_is_redacted_decides_nothing_and_one_that_does_not_does() {
    let normalise = Action::Normalise(Normaliser::new("[0-9a-f]+", "N").unwrap());
    let near = Action::Tolerate(Tolerance::new(Some("1"), None, None).unwrap());
    let masked = |digest: &str| json(&format!(r#"{{"token":"«redacted:{digest}»"}}"#));
    for action in [normalise, near] {
        let rules = [rule("body:/token", action)];
        let (with, without, _) = tried(&rules, masked("00000001"), masked("00000002"));
        assert_eq!(with.fates, [Fate::Undecided(Undecided::Redacted)]);
        assert_eq!(with.fates, without.fates);
    }
    let rules = [rule("body:/token", Action::Ignore)];
    let (with, without, _) = tried(&rules, masked("00000001"), masked("00000002"));
    assert_eq!((with.fates, without.fates), (vec![Fate::Explained(0)], vec![Fate::Explained(0)]));
}

#[test]
fn behind_a_status_that_is_expected_the_rest_is_looked_at_where_it_is_kept() {
    let status = Action::IgnoreStatus { primary: 200, shadow: 201 };
    let rules = [rule("status", status)];
    let (ours, theirs) = (json(r#"{"a":1}"#).status(200), json(r#"{"a":2}"#).status(201));
    let (with, without, fresh) = tried(&rules, ours, theirs);
    assert_eq!(with.fates, [Fate::Explained(0)]);
    assert_eq!(written(&with.new), fresh);
    assert_eq!(fresh, ["body /a value: 1 -> 2"]);
    assert_eq!(without.fates, [Fate::Undecided(Undecided::NotKept)]);
    let empty = Action::IgnoreStatus { primary: 200, shadow: 204 };
    let (_, without, fresh) =
        tried(&[rule("status", empty)], json("{}").status(200), json("").status(204));
    assert_eq!((without.fates, fresh.len()), (vec![Fate::Explained(0)], 0));
}

#[test]
fn a_pair_with_more_than_was_listed_is_decided_where_all_of_it_is_explained() {
    let many = |add: usize| {
        let members: Vec<String> = (0..200).map(|n| format!(r#""m{n}":{}"#, n + add)).collect();
        json(&format!(r#"{{"all":{{{}}},"x":{add}}}"#, members.join(",")))
    };
    let (with, without, fresh) = tried(
        &[rule("body:/", Action::Ignore), rule("body:/all", Action::Ignore)],
        many(0),
        many(1),
    );
    assert!(!fresh.is_empty());
    assert_eq!(with.fates.last(), Some(&Fate::Undecided(Undecided::NotListed)));
    assert_eq!(without.fates.last(), Some(&Fate::Undecided(Undecided::NotKept)));
    let all = [rule("body:/all", Action::Ignore), rule("body:/x", Action::Ignore)];
    let (with, _, fresh) = tried(&all, many(0), many(1));
    assert_eq!(fresh, [""; 0]);
    assert!(with.fates.iter().all(|fate| matches!(fate, Fate::Explained(_))), "{with:?}");
}

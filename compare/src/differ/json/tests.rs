//! Claims about comparing JSON, with `serde_json` as the oracle.

mod arrays;
mod edits;
mod large;

use super::*;
use crate::differ::findings::ReasonNames;
use crate::sample::{Sample, written};
use crate::{Mirror, ServicePolicy, Suppressed};
use capture::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

/// What differs between two texts under these rules, and what the rules explained.
fn compared(
    primary: &str,
    shadow: &str,
    rules: &[&str],
) -> Result<(Vec<String>, Vec<Suppressed>), NotJson> {
    let mut policy = ServicePolicy::new("shop");
    policy.rules = rules.iter().map(|rule| rule.parse().unwrap()).collect();
    with_policy(&policy, primary, shadow)
}

fn with_policy(
    policy: &ServicePolicy,
    primary: &str,
    shadow: &str,
) -> Result<(Vec<String>, Vec<Suppressed>), NotJson> {
    let request = Sample::new("1").primary().request.unwrap();
    let echo = Echo::new(Mirror::None, &request, &request);
    let mut reasons = Vec::new();
    let mut findings = Findings::new(policy, "GET /", Timestamp::ZERO, &mut reasons);
    compare_skipping(
        primary.as_bytes(),
        shadow.as_bytes(),
        &Place::default(),
        0,
        &echo,
        &mut findings,
    )?;
    let (divergences, suppressed) = findings.finish(&ReasonNames::default());
    Ok((written(&divergences), suppressed))
}

/// As above, walked from the beginning: what skipping must come to.
fn compared_by_walking(primary: &str, shadow: &str) -> Result<Vec<String>, NotJson> {
    let policy = ServicePolicy::new("shop");
    let request = Sample::new("1").primary().request.unwrap();
    let echo = Echo::new(Mirror::None, &request, &request);
    let mut reasons = Vec::new();
    let mut findings = Findings::new(&policy, "GET /", Timestamp::ZERO, &mut reasons);
    let never = usize::MAX;
    compare_skipping(
        primary.as_bytes(),
        shadow.as_bytes(),
        &Place::default(),
        never,
        &echo,
        &mut findings,
    )?;
    Ok(written(&findings.finish(&ReasonNames::default()).0))
}

fn differences(primary: &str, shadow: &str) -> Vec<String> {
    compared(primary, shadow, &[]).unwrap().0
}

#[test]
fn values_are_reported_where_they_differ() {
    for (primary, shadow, expected) in [
        (r#"{"a":1,"b":2}"#, r#"{"a":1,"b":3}"#, "body /b value: 2 -> 3"),
        (r#"{"a":{"b":[1,"x"]}}"#, r#"{"a":{"b":[1,"y"]}}"#, r#"body /a/b/1 value: "x" -> "y""#),
        (r#"{"a":true}"#, r#"{"a":false}"#, "body /a value: true -> false"),
        (r#"{"a":null}"#, r#"{"a":0}"#, "body /a type: null -> 0"),
        (r#"{"a":"1"}"#, r#"{"a":1}"#, r#"body /a type: "1" -> 1"#),
        (r#"{"a":{"b":1}}"#, r#"{"a":[1]}"#, r#"body /a type: {"b":1} -> [1]"#),
        (r#"{"a":-1}"#, r#"{"a":1}"#, "body /a value: -1 -> 1"),
        ("1", "2", "body  value: 1 -> 2"),
        ("[1,12]", "[1,123]", "body /1 value: 12 -> 123"),
        (r#"["ab"]"#, r#"["abc"]"#, r#"body /0 value: "ab" -> "abc""#),
        (r#"{"a/b":{"~":1}}"#, r#"{"a/b":{"~":2}}"#, "body /a~1b/~0 value: 1 -> 2"),
    ] {
        assert_eq!(differences(primary, shadow), [expected], "{primary} {shadow}");
    }
}

#[test]
fn members_that_are_missing_or_added_are_reported_and_null_is_neither() {
    for (primary, shadow, expected) in [
        (r#"{"a":1,"b":2,"c":3}"#, r#"{"a":1,"c":3}"#, &["body /b missing: 2 -> none"][..]),
        (r#"{"a":1,"c":3}"#, r#"{"a":1,"b":2,"c":3}"#, &["body /b added: none -> 2"]),
        (r#"{"a":1,"b":[1]}"#, r#"{"a":1}"#, &["body /b missing: [1] -> none"]),
        (r#"{}"#, r#"{"a":1}"#, &["body /a added: none -> 1"]),
        (r#"{"a":1}"#, r#"{}"#, &["body /a missing: 1 -> none"]),
        (r#"{"a":null}"#, r#"{}"#, &["body /a missing: null -> none"]),
        (
            r#"{"a":1,"b":2}"#,
            r#"{"c":1,"b":3}"#,
            &["body /a missing: 1 -> none", "body /b value: 2 -> 3", "body /c added: none -> 1"],
        ),
    ] {
        assert_eq!(differences(primary, shadow), expected, "{primary} {shadow}");
    }
}

#[test]
fn form_is_no_difference() {
    for (primary, shadow) in [
        (r#"{"a":1,"b":[2,{"c":3}]}"#, "{ \"b\" : [ 2 , { \"c\" : 3 } ] ,\n\"a\":1 }"),
        ("[1, 1.0, 1e0]", "[1.0,1,10e-1]"),
        (r#"["\u0041é/"]"#, r#"["A\u00e9\/"]"#),
        (r#"{"\u0061":1}"#, r#"{"a":1.0}"#),
        (r#"{"x":1,"\u0061":1}"#, r#"{"a":1,"x":1}"#),
        (" {} ", "{\n}"),
        ("[]", "[ ]"),
        ("12", "12 "),
    ] {
        assert_eq!(differences(primary, shadow), [""; 0], "{primary} {shadow}");
    }
}

#[test]
fn members_of_one_name_are_compared_by_occurrence() {
    assert_eq!(differences(r#"{"a":1,"a":2}"#, r#"{"a":1,"a":2}"#), [""; 0]);
    assert_eq!(differences(r#"{"a":1,"b":0,"a":2}"#, r#"{"b":0,"a":1,"a":2}"#), [""; 0]);
    assert_eq!(
        differences(r#"{"a":1,"b":0,"a":2}"#, r#"{"b":0,"a":2,"a":1}"#),
        ["body /a value: 1 -> 2", "body /a value: 2 -> 1"]
    );
    assert_eq!(differences(r#"{"a":1,"a":2}"#, r#"{"a":1}"#), ["body /a missing: 2 -> none"]);
}

#[test]
fn indices_are_stars_in_the_pattern() {
    let policy = ServicePolicy::new("shop");
    let request = Sample::new("1").primary().request.unwrap();
    let echo = Echo::new(Mirror::None, &request, &request);
    let mut reasons = Vec::new();
    let mut findings = Findings::new(&policy, "GET /", Timestamp::ZERO, &mut reasons);
    let texts = (br#"{"a":[{"b":1},{"b":1}]}"#, br#"{"a":[{"b":2},{"b":3}]}"#);
    compare(texts.0, texts.1, &Place::default(), &echo, &mut findings).unwrap();
    let (found, _) = findings.finish(&ReasonNames::default());
    assert_eq!([&*found[0].path, &*found[1].path], ["/a/0/b", "/a/1/b"]);
    assert_eq!([&*found[0].pattern, &*found[1].pattern], ["/a/*/b"; 2]);
    assert_eq!(found[0].signature, found[1].signature);
}

#[test]
fn a_rule_explains_what_it_covers_and_is_counted() {
    let primary = r#"{"at":1,"meta":{"x":1,"y":{"z":1}},"items":[{"at":1},{"at":1}],"b":1}"#;
    let shadow = r#"{"at":2,"meta":{"x":2,"y":{"z":"2"}},"items":[{"at":2},{}],"b":2}"#;
    let rules = ["body:/**/at", "body:/meta"];
    let (found, suppressed) = compared(primary, shadow, &rules).unwrap();
    assert_eq!(found, ["body /b value: 1 -> 2"]);
    let counts: Vec<_> = suppressed.iter().map(|s| (&*s.rule, s.count)).collect();
    assert_eq!(counts, [("body:/**/at", 3), ("body:/meta", 2)]);
}

#[test]
fn what_is_no_json_on_either_side_gives_no_finding() {
    for (primary, shadow) in [
        (r#"{"a":1,"b":2}"#, r#"{"a":2,"b":}"#),
        (r#"{"a":1,"b":}"#, r#"{"a":2,"b":2}"#),
        ("[1,2]", "[1,2"),
        ("[1,2]x", "[1,3]x"),
        ("[1]", "[1]]"),
        ("", "[1]"),
        ("[\"\u{1}\"]", "[\"\u{1}\"]"),
    ] {
        assert_eq!(compared(primary, shadow, &[]).unwrap_err(), NotJson, "{primary} {shadow}");
    }
    let deep = "[".repeat(DEPTH + 1) + &"]".repeat(DEPTH + 1);
    assert_eq!(compared(&deep, &deep, &[]).unwrap_err(), NotJson);
}

#[test]
fn what_is_no_json_the_same_on_both_sides_before_the_first_difference_is_none() {
    assert_eq!(
        differences(r#"{"a":NaN,"b":[.5,1]}"#, r#"{"a":NaN,"b":[.5,2]}"#),
        ["body /b/1 value: 1 -> 2"]
    );
    for (primary, shadow) in [("[1}{,2]", "[1}{,3]"), ("{\"a\":[1:2]}", "{\"a\":[1:3]}")] {
        assert_eq!(compared(primary, shadow, &[]).unwrap_err(), NotJson, "{primary} {shadow}");
    }
}

#[test]
fn the_deepest_nesting_is_walked() {
    let nested = |inner: &str| "[".repeat(DEPTH) + inner + &"]".repeat(DEPTH);
    let found = differences(&nested("1"), &nested("2"));
    assert!(found[0].ends_with("value: 1 -> 2"), "{found:?}");
    let object = |inner: &str| r#"{"x":0,"a":"#.repeat(DEPTH - 1) + inner + &"}".repeat(DEPTH - 1);
    let reordered =
        |inner: &str| r#"{"a":"#.repeat(DEPTH - 1) + inner + &r#","x":0}"#.repeat(DEPTH - 1);
    assert!(!differences(&object("1"), &reordered("2")).is_empty());
}

#[test]
fn more_differences_than_are_listed_are_counted() {
    let texts = (json!(vec![1; 100]).to_string(), json!(vec![2; 100]).to_string());
    let found = differences(&texts.0, &texts.1);
    assert_eq!(found.len(), 65);
    assert_eq!(found[63], "body /63 value: 1 -> 2");
    assert_eq!(found[64], "body  more: 36 more -> none");
}

/// Each level is reordered, so each is read again by the one above it.
#[test]
fn nested_reordering_ends_in_a_coarser_answer_instead_of_endless_work() {
    let filler = "f".repeat(200);
    let (mut primary, mut shadow) = ("1".to_owned(), "2".to_owned());
    for _ in 0..200 {
        primary = format!(r#"{{"a":{primary},"b":"{filler}"}}"#);
        shadow = format!(r#"{{"b":"{filler}","a":{shadow}}}"#);
    }
    let found = differences(&primary, &shadow);
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("body /a/a/a") && found[0].contains(" coarse: "), "{found:?}");
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3_i64..3).prop_map(Value::from),
        prop::sample::select(vec!["", "a", "é", "a\"b", "\u{1}", "long enough to be skipped"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(
                prop::sample::select(vec!["a", "b", "c", "é", "d/e"]).prop_map(String::from),
                inner,
                0..5
            )
            .prop_map(Value::from_iter),
        ]
    })
}

/// The same value with members in another order and another layout.
fn rewritten(value: &Value, turn: usize) -> String {
    match value {
        Value::Array(elements) => {
            let all: Vec<_> = elements.iter().map(|e| rewritten(e, turn)).collect();
            format!("[ {} ]", all.join(" ,"))
        }
        Value::Object(members) => {
            let mut all: Vec<_> = members
                .iter()
                .map(|(k, v)| format!("{}:\t{}", Value::from(k.as_str()), rewritten(v, turn)))
                .collect();
            if !all.is_empty() {
                let by = turn % all.len();
                all.rotate_left(by);
            }
            format!("{{{}\n}}", all.join(", "))
        }
        scalar => scalar.to_string(),
    }
}

proptest! {
    #[test]
    fn values_are_equal_if_serde_json_finds_them_equal(
        one in value(), other in value(), turn in 0_usize..5,
    ) {
        let texts = (one.to_string(), rewritten(&other, turn));
        prop_assert_eq!(differences(&texts.0, &texts.1).is_empty(), one == other);
        prop_assert_eq!(differences(&texts.1, &texts.0).is_empty(), one == other);
        prop_assert!(differences(&texts.0, &rewritten(&one, turn)).is_empty());
    }

    #[test]
    fn one_changed_leaf_is_the_one_difference(
        whole in value(), turn in 0_usize..5, at in any::<prop::sample::Index>(),
    ) {
        let mut leaves = Vec::new();
        collect_leaves(&whole, String::new(), &mut leaves);
        prop_assume!(!leaves.is_empty());
        let pointer = &leaves[at.index(leaves.len())];
        let mut changed = whole.clone();
        *changed.pointer_mut(pointer).unwrap() = Value::from("changed");
        prop_assume!(changed != whole);
        let texts = (whole.to_string(), rewritten(&changed, turn));
        let found = differences(&texts.0, &texts.1);
        prop_assert_eq!(found.len(), 1, "{:?}", found);
        prop_assert!(found[0].starts_with(&format!("body {pointer} ")), "{:?}", found);
    }

    #[test]
    fn skipping_what_both_begin_with_changes_nothing(
        whole in value(), other in value(), turn in 0_usize..5, at in any::<prop::sample::Index>(),
    ) {
        let text = whole.to_string();
        prop_assert_eq!(compared_by_walking(&text, &other.to_string()), Ok(differences(&text, &other.to_string())));
        let mut leaves = Vec::new();
        collect_leaves(&whole, String::new(), &mut leaves);
        prop_assume!(!leaves.is_empty());
        let mut changed = whole.clone();
        *changed.pointer_mut(&leaves[at.index(leaves.len())]).unwrap() = other;
        for changed in [changed.to_string(), rewritten(&changed, turn)] {
            prop_assert_eq!(compared_by_walking(&text, &changed), Ok(differences(&text, &changed)));
            prop_assert_eq!(compared_by_walking(&changed, &text), Ok(differences(&changed, &text)));
        }
    }

    #[test]
    fn two_texts_are_refused_if_serde_json_refuses_one(
        one in value(), other in value(), cut in any::<prop::sample::Index>(), first: bool,
    ) {
        let mut texts = [one.to_string(), other.to_string()];
        let text = &mut texts[usize::from(first)];
        let end = cut.index(text.len());
        prop_assume!(text.is_char_boundary(end));
        text.truncate(end);
        let valid = texts.iter().all(|text| serde_json::from_str::<Value>(text).is_ok());
        prop_assert_eq!(compared(&texts[0], &texts[1], &[]).is_ok(), valid);
    }
}

fn collect_leaves(value: &Value, at: String, leaves: &mut Vec<String>) {
    let escaped = |name: &str| name.replace('~', "~0").replace('/', "~1");
    match value {
        Value::Array(elements) => {
            for (i, element) in elements.iter().enumerate() {
                collect_leaves(element, format!("{at}/{i}"), leaves);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                collect_leaves(member, format!("{at}/{}", escaped(name)), leaves);
            }
        }
        _ => leaves.push(at),
    }
}

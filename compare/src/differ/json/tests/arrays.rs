//! Claims about arrays that are not alike in their places.

use super::*;
use crate::{Action, ElementKey, Rule};

fn under(rule: Rule, primary: &str, shadow: &str) -> (Vec<String>, Vec<Suppressed>) {
    let mut policy = ServicePolicy::new("shop");
    policy.rules = vec![rule];
    with_policy(&policy, primary, shadow).unwrap()
}

fn counts(suppressed: &[Suppressed]) -> Vec<(&str, u32)> {
    suppressed.iter().map(|s| (&*s.rule, s.count)).collect()
}

/// `[{"id":ID,"n":N}, …]`
fn items(all: &[(u32, &str)]) -> String {
    let each: Vec<String> =
        all.iter().map(|(id, n)| format!(r#"{{"id":{id},"n":"{n}"}}"#)).collect();
    format!("[{}]", each.join(","))
}

#[test]
fn the_same_elements_in_another_order_are_one_difference() {
    for (primary, shadow, expected) in [
        ("[1,2,3]", "[3,1,2]", "body  order: order 0 1 2 -> order 2 0 1"),
        ("[1,2,3,4]", "[1,3,2,4]", "body  order: order 1 2 -> order 2 1"),
        ("[1,1,2]", "[2.0,1,1e0]", "body  order: order 0 1 2 -> order 2 0 1"),
        (
            r#"{"a":[{"x":1,"y":[2]},{"x":2}]}"#,
            r#"{"a":[{"x":2},{"y":[2.0],"x":1}]}"#,
            "body /a order: order 0 1 -> order 1 0",
        ),
        (r#"[{"t":["a","b"]}]"#, r#"[{"t":["b","a"]}]"#, "body /0/t order: order 0 1 -> order 1 0"),
    ] {
        assert_eq!(differences(primary, shadow), [expected], "{primary} {shadow}");
    }
    let turned = |by: usize| json!((0..40).map(|i| (i + by) % 40).collect::<Vec<_>>()).to_string();
    let found = differences(&turned(0), &turned(1));
    assert!(found.len() == 1 && found[0].ends_with("31 32 …"), "{found:?}");
}

#[test]
fn a_key_tells_which_elements_belong_together() {
    let whole = items(&[(1, "a"), (2, "b"), (3, "c"), (4, "d")]);
    for (shadow, expected) in [
        (
            &[(2, "b"), (1, "a"), (3, "X"), (4, "d")][..],
            &["body  order: order 0 1 -> order 1 0", r#"body /2/n value: "c" -> "X""#][..],
        ),
        (
            &[(4, "d"), (3, "c"), (1, "Y")],
            &[
                "body  order: order 0 2 3 -> order 3 2 0",
                r#"body /0/n value: "a" -> "Y""#,
                r#"body /1 missing: {"id":2,"n":"b"} -> none"#,
            ],
        ),
        (
            &[(9, "z"), (1, "a"), (2, "X"), (3, "c"), (4, "d")],
            &[r#"body /1/n value: "b" -> "X""#, r#"body /0 added: none -> {"id":9,"n":"z"}"#],
        ),
        // One key has changed, and every other element is in its place.
        (
            &[(1, "a"), (9, "b"), (3, "c"), (4, "X")],
            &["body /1/id value: 2 -> 9", r#"body /3/n value: "d" -> "X""#],
        ),
    ] {
        assert_eq!(differences(&whole, &items(shadow)), expected);
    }
}

#[test]
fn a_volatile_member_beside_the_key_does_not_hide_an_order() {
    assert_eq!(
        differences(
            &items(&[(1, "t1"), (2, "t2"), (3, "t3")]),
            &items(&[(3, "t4"), (1, "t5"), (2, "t6")])
        ),
        [
            "body  order: order 0 1 2 -> order 2 0 1",
            r#"body /0/n value: "t1" -> "t5""#,
            r#"body /1/n value: "t2" -> "t6""#,
            r#"body /2/n value: "t3" -> "t4""#,
        ]
    );
    let rules = ["body:/*/n"];
    let texts = (items(&[(1, "t1"), (2, "t2")]), items(&[(2, "t4"), (1, "t5")]));
    let (found, suppressed) = compared(&texts.0, &texts.1, &rules).unwrap();
    assert_eq!(found, ["body  order: order 0 1 -> order 1 0"]);
    assert_eq!(counts(&suppressed), [("body:/*/n", 2)]);
}

#[test]
fn a_member_of_another_name_is_the_key_if_elements_share_it() {
    assert_eq!(
        differences(
            r#"[{"count":1,"city":"x"},{"count":2,"city":"y"}]"#,
            r#"[{"count":2,"city":"x"},{"count":1,"city":"y"}]"#
        ),
        ["body /0/count value: 1 -> 2", "body /1/count value: 2 -> 1"]
    );
    assert_eq!(
        differences(
            r#"[{"count":1,"city":"x"},{"count":2,"city":"y"}]"#,
            r#"[{"count":5,"city":"y"},{"count":6,"city":"x"}]"#
        ),
        [
            "body  order: order 0 1 -> order 1 0",
            "body /0/count value: 1 -> 6",
            "body /1/count value: 2 -> 5"
        ]
    );
}

#[test]
fn elements_without_a_key_are_aligned() {
    for (primary, shadow, expected) in [
        ("[1,2,3]", "[1,3]", &["body /1 missing: 2 -> none"][..]),
        ("[1,2,3]", "[1,2,9,3]", &["body /2 added: none -> 9"]),
        ("[1,2,3]", "[1,2,3,4,5]", &["body /3 added: none -> 4", "body /4 added: none -> 5"]),
        ("[1,2,3,4]", "[9,1,2,7,4]", &["body /0 added: none -> 9", "body /2 value: 3 -> 7"]),
        ("[0,0,1,0,0]", "[0,0,1,0,0,0]", &["body /5 added: none -> 0"]),
        ("[1,1,2,1]", "[2,1]", &["body /0 missing: 1 -> none", "body /1 missing: 1 -> none"]),
        ("[1,2,3,4]", "[2,3,4,5]", &["body /0 missing: 1 -> none", "body /3 added: none -> 5"]),
        ("[1,2]", "[2,3]", &["body /0 value: 1 -> 2", "body /1 value: 2 -> 3"]),
        (
            "[1,2,3,4,5]",
            "[5,4,2,1]",
            &["body  order: order 0 1 3 4 -> order 4 3 1 0", "body /2 missing: 3 -> none"],
        ),
        (
            r#"[{"p":1},{"p":2},{"p":3}]"#,
            r#"[{"p":1},{"p":9},{"p":3},{"p":4}]"#,
            &["body /1/p value: 2 -> 9", r#"body /3 added: none -> {"p":4}"#],
        ),
        (
            r#"[{"p":1},{"p":2},{"p":3}]"#,
            r#"[{"p":0},{"p":1},{"p":2},{"p":3}]"#,
            &[r#"body /0 added: none -> {"p":0}"#],
        ),
        (
            "[[1],[1,2],3]",
            "[[2],[1],4]",
            &["body /0/0 value: 1 -> 2", "body /1/1 missing: 2 -> none", "body /2 value: 3 -> 4"],
        ),
    ] {
        assert_eq!(differences(primary, shadow), expected, "{primary} {shadow}");
    }
}

#[test]
fn arrays_of_two_lengths_with_nothing_in_common_are_one_difference() {
    for (primary, shadow, expected) in [
        ("[1,2,3]", "[9,8]", "body  length: len 3 -> len 2"),
        ("[]", "[[1,2]]", "body  length: len 0 -> len 1"),
        ("[1,2]", "[]", "body  length: len 2 -> len 0"),
    ] {
        assert_eq!(differences(primary, shadow), [expected], "{primary} {shadow}");
    }
}

#[test]
fn arrays_inside_are_looked_into_once_it_is_known_where_they_belong() {
    assert_eq!(
        differences(r#"[{"t":[1,2]},{"t":[3,4]},5]"#, r#"[{"t":[2,1]},{"t":[4,3]},5]"#),
        ["body /0/t order: order 0 1 -> order 1 0", "body /1/t order: order 0 1 -> order 1 0"]
    );
    assert_eq!(
        differences(
            r#"[{"id":1,"t":[1,2]},{"id":2,"t":[3,4]}]"#,
            r#"[{"id":2,"t":[4,3]},{"id":1,"t":[1]}]"#
        ),
        [
            "body  order: order 0 1 -> order 1 0",
            "body /0/t/1 missing: 2 -> none",
            "body /1/t order: order 0 1 -> order 1 0"
        ]
    );
}

#[test]
fn a_sort_rule_makes_a_multiset_of_the_array_that_it_names() {
    let rule = || Rule::new("any order", "body:/**/t".parse().unwrap(), Action::Sort).unwrap();
    let (found, suppressed) =
        under(rule(), r#"{"t":[1,2,2],"u":[1,2]}"#, r#"{"t":[2,1,2.0],"u":[2,1]}"#);
    assert_eq!(found, ["body /u order: order 0 1 -> order 1 0"]);
    assert_eq!(counts(&suppressed), [("any order", 1)]);
    let (found, suppressed) =
        under(rule(), r#"[{"t":[1,2,3]},{"t":[4,5]}]"#, r#"[{"t":[3,1,7]},{"t":[5,4]}]"#);
    assert_eq!(found, ["body /0/t/1 missing: 2 -> none", "body /0/t/2 added: none -> 7"]);
    assert_eq!(counts(&suppressed), [("any order", 2)]);
    let (found, _) = under(rule(), r#"{"t":[1,2]}"#, r#"{"t":[1,3]}"#);
    assert_eq!(found, ["body /t/1 missing: 2 -> none", "body /t/1 added: none -> 3"]);
    let (found, _) = under(rule(), r#"{"t":[[1,2],3]}"#, r#"{"t":[[2,1],3]}"#);
    assert_eq!(found, ["body /t/0 missing: [1,2] -> none", "body /t/0 added: none -> [2,1]"]);
}

#[test]
fn a_key_rule_tells_the_key() {
    let by = |pointers: &[&str]| {
        let key = Action::Key(ElementKey::new(pointers.iter().copied()).unwrap());
        Rule::new("by key", "body:/v".parse().unwrap(), key).unwrap()
    };
    let texts = (
        r#"{"v":[{"k":{"a":1},"b":1,"n":1},{"k":{"a":1},"b":2,"n":2},{"n":0}]}"#,
        r#"{"v":[{"k":{"a":1},"b":2,"n":2},{"k":{"a":1.0},"b":1,"n":9}]}"#,
    );
    let (found, suppressed) = under(by(&["/k/a", "/b"]), texts.0, texts.1);
    assert_eq!(found, ["body /v/0/n value: 1 -> 9", r#"body /v/2 missing: {"n":0} -> none"#]);
    assert_eq!(counts(&suppressed), [("by key", 1)]);
    // Of several with one key, the first is the first.
    let (found, _) = under(by(&["/k"]), texts.0, texts.1);
    assert_eq!(
        found,
        [
            "body /v/0/b value: 1 -> 2",
            "body /v/0/n value: 1 -> 2",
            "body /v/1/b value: 2 -> 1",
            "body /v/1/n value: 2 -> 9",
            r#"body /v/2 missing: {"n":0} -> none"#,
        ]
    );
}

#[test]
fn large_arrays_end_in_an_answer_within_bounded_work() {
    let mut random = fastrand::Rng::with_seed(7);
    let list = |all: &[String]| format!("[{}]", all.join(","));
    let shuffled = |all: &[String], random: &mut fastrand::Rng| {
        let mut all = all.to_vec();
        random.shuffle(&mut all);
        all
    };
    // Strings that are all different; in another order; one missing.
    let strings: Vec<String> = (0..20_000).map(|i| format!("\"s{i}\"")).collect();
    let mut other = shuffled(&strings, &mut random);
    let found = differences(&list(&strings), &list(&other));
    assert!(found.len() == 1 && found[0].starts_with("body  order: "), "{found:?}");
    let gone = other.pop().unwrap();
    let at = strings.iter().position(|s| *s == gone).unwrap();
    let found = differences(&list(&strings), &list(&other));
    assert_eq!(found.len(), 2);
    assert_eq!(found[1], format!("body /{at} missing: {gone} -> none"));
    // Few values, shuffled: no order to be found in bounded work, one is missing.
    let few: Vec<String> = (0..20_000).map(|i| format!("{}", i % 5)).collect();
    let mut other = shuffled(&few, &mut random);
    other.pop();
    assert_eq!(differences(&list(&few), &list(&other)), ["body  length: len 20000 -> len 19999"]);
    // Objects with a key, shuffled, each changed in a nested array.
    let objects = |salt: u32| -> Vec<String> {
        (0..3_000).map(|i| format!(r#"{{"id":{i},"t":[[{salt},1],[2,{i}]]}}"#)).collect()
    };
    let found = differences(&list(&objects(1)), &list(&shuffled(&objects(2), &mut random)));
    assert!(found[0].starts_with("body  order: ") && found.len() == 65, "{}", found[0]);
    assert_eq!(found[64], "body  more: 2937 more -> none");
}

/// Each level is an array in another order, so that none is alike in its places.
#[test]
fn nested_arrays_in_other_orders_are_looked_into_as_far_as_the_work_goes() {
    let (mut primary, mut shadow) = ("1".to_owned(), "2".to_owned());
    for level in 0..250 {
        primary = format!(r#"[{{"id":"{level}","v":{primary}}},{{"id":"x","v":[1,2]}}]"#);
        shadow = format!(r#"[{{"id":"x","v":[2,1]}},{{"id":"{level}","v":{shadow}}}]"#);
    }
    let found = differences(&primary, &shadow);
    assert!(found[0].starts_with("body  order: "), "{found:?}");
    assert!(found.iter().any(|line| line.contains(" coarse: ")), "{found:?}");
}

#[test]
fn of_other_members_the_one_that_most_elements_share_is_the_key() {
    assert_eq!(
        differences(
            r#"[{"b":7,"a":1},{"b":8,"a":2},{"b":9,"a":3}]"#,
            r#"[{"b":7,"a":2},{"b":8,"a":3},{"b":5,"a":1}]"#
        ),
        [
            "body  order: order 0 1 2 -> order 1 2 0",
            "body /0/b value: 7 -> 5",
            "body /1/b value: 8 -> 7",
            "body /2/b value: 9 -> 8",
        ]
    );
}

proptest! {
    #[test]
    fn values_have_one_digest_if_they_are_equal(
        one in value(), other in value(), turn in 0_usize..5,
    ) {
        let digest = |text: &str| {
            digest::Digester::default().value(&mut Scanner::new(text.as_bytes()), 0).unwrap()
        };
        let (text, again) = (digest(&one.to_string()), digest(&rewritten(&one, turn)));
        prop_assert_eq!(text, again);
        prop_assert_eq!(text == digest(&rewritten(&other, turn)), one == other);
    }
}

#[test]
fn members_of_one_name_count_by_occurrence_in_digests_too() {
    let (one, other) = (r#"{"a":1,"b":0,"a":2}"#, r#"{"a":2,"a":1,"b":0}"#);
    let again = r#"{"b":0,"a":1,"a":2.0}"#;
    assert_eq!(
        differences(&format!("[{one},5]"), &format!("[5,{again}]")),
        ["body  order: order 0 1 -> order 1 0"]
    );
    assert_eq!(differences(&format!("[{one},5]"), &format!("[5,{other}]")).len(), 2);
}

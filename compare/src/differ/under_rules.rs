//! Claims about comparing under rules, and about rules held against what was stored.

use capture::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::sample::{Sample, written};
use crate::{Action, ElementKey, Mirror, Normaliser, Rule, TextPattern, Tolerance};

const ENDPOINT: &str = "GET /";

fn compared(primary: Sample, shadow: Sample, rules: &[Rule]) -> Found {
    let mut policy = ServicePolicy::new("shop");
    policy.mirror = Mirror::None;
    policy.rules = rules.to_vec();
    Differ::default().compare(&policy, ENDPOINT, &primary.primary(), &shadow.shadow())
}

/// What is found under one rule, and how often the rule explains.
fn under(rule: &Rule, primary: Sample, shadow: Sample) -> (Vec<String>, u32) {
    let found = compared(primary, shadow, std::slice::from_ref(rule));
    let by_rule = found.suppressed.iter().filter(|s| s.rule == rule.name);
    (written(&found.divergences), by_rule.map(|s| s.count).sum())
}

fn rule(scope: &str, action: Action) -> Rule {
    Rule::new("the rule", scope.parse().unwrap(), action).unwrap()
}

fn normalise(scope: &str, pattern: &str, replace: &str) -> Rule {
    rule(scope, Action::Normalise(Normaliser::new(pattern, replace).unwrap()))
}

fn tolerate(scope: &str, absolute: &str) -> Rule {
    rule(scope, Action::Tolerate(Tolerance::new(Some(absolute), None, None).unwrap()))
}

fn json(body: &str) -> Sample {
    Sample::new("1").content("application/json", body)
}

fn text(body: &str) -> Sample {
    Sample::new("1").content("text/plain", body)
}

#[test]
fn a_known_change_of_the_status_is_expected_and_no_other_is() {
    let rule = rule("status", Action::IgnoreStatus { primary: 200, shadow: 201 });
    let status = |status: u16, body: &str| json(body).status(status);
    assert_eq!(under(&rule, status(200, "{}"), status(201, "{}")), (vec![], 1));
    // Both are answers of one kind: what they say still counts.
    let found = under(&rule, status(200, r#"{"a":1}"#), status(201, r#"{"a":2}"#));
    assert_eq!(found, (vec!["body /a value: 1 -> 2".to_owned()], 1));
    for (ours, theirs) in [(201, 200), (200, 202), (404, 201)] {
        let found = under(&rule, status(ours, "{}"), status(theirs, "{}"));
        assert_eq!(found, (vec![format!("status  value: {ours} -> {theirs}")], 0));
    }
    let empty = self::rule("status", Action::IgnoreStatus { primary: 200, shadow: 204 });
    assert_eq!(under(&empty, status(200, "{}"), status(204, "")), (vec![], 1));
}

#[test]
fn a_known_change_of_a_grpc_status_is_expected_and_no_other_is() {
    let call = |code: &str, message: &str| {
        let call = Sample::new("1").method("POST").content("application/grpc", "");
        call.trailer("grpc-status", code).trailer("grpc-message", message)
    };
    // An answer and a failure have nothing else in common, as with HTTP.
    let fails = rule("status", Action::IgnoreStatus { primary: 0, shadow: 5 });
    assert_eq!(under(&fails, call("0", "a"), call("5", "b")), (vec![], 1));
    let found = under(&fails, call("0", "a"), call("13", "b"));
    assert_eq!(found, (vec!["status grpc value: 0 OK -> 13 INTERNAL".to_owned()], 0));
    let stored = |shadow: &str| {
        let found = compared(call("0", "a"), call(shadow, "b"), &[]);
        fails.explains(ENDPOINT, (&found.divergences[0]).into(), Timestamp::ZERO)
    };
    assert_eq!((stored("5"), stored("13")), (Explained::Yes, Explained::No));
    // Two failures do, and what they say still counts.
    let other = rule("status", Action::IgnoreStatus { primary: 5, shadow: 13 });
    assert_eq!(under(&other, call("5", "a"), call("13", "a")), (vec![], 1));
    let found = under(&other, call("5", "a"), call("13", "b"));
    assert_eq!(found, (vec!["trailer grpc-message value: a -> b".to_owned()], 1));
    let only = Sample::new("1").method("POST").content("application/grpc", "");
    let only = only.response_header("grpc-status", "13").response_header("grpc-message", "a");
    assert_eq!(under(&other, call("5", "a"), only), (vec![], 1));
}

#[test]
fn names_of_fields_may_have_stars_and_trailers_are_told_from_headers() {
    let with = |value: &str| {
        Sample::new("1").response_header("x-debug-a", value).trailer("x-debug-b", value)
    };
    let (ours, theirs) = (|| with("1"), || with("2"));
    assert_eq!(under(&rule("header:x-debug-*", Action::Ignore), ours(), theirs()), (vec![], 2));
    assert_eq!(
        under(&rule("trailer:x-*", Action::Ignore), ours(), theirs()),
        (vec!["header x-debug-a value: 1 -> 2".to_owned()], 1)
    );
    let cookies = |a: &str, b: &str| {
        Sample::new("1")
            .response_header("set-cookie", &format!("Sid={a}"))
            .response_header("set-cookie", &format!("lang={b}"))
    };
    let found = under(
        &rule("header:set-cookie/Sid", Action::Ignore),
        cookies("1", "de"),
        cookies("2", "en"),
    );
    assert_eq!(found, (vec!["header set-cookie/lang value: lang=de -> lang=en".to_owned()], 1));
}

#[test]
fn what_differs_only_in_what_is_rewritten_is_expected_and_values_are_shown_as_sent() {
    let rule = normalise("body:/**/url", r"//[^/]+/", "//HOST/");
    let url = |url: &str| json(&format!(r#"{{"url":"{url}"}}"#));
    assert_eq!(under(&rule, url("http://a/x"), url("http:\\/\\/b/x")), (vec![], 1));
    assert_eq!(
        under(&rule, url("http://a/x"), url("http://b/y")),
        (vec![r#"body /url value: "http://a/x" -> "http://b/y""#.to_owned()], 0)
    );
    // A value of another type, or none, is no rewritten one.
    let other = normalise("body:/url", ".*", "");
    assert_eq!(under(&other, json(r#"{"url":"1"}"#), json(r#"{"url":1}"#)).1, 0);
    assert_eq!(under(&other, json(r#"{"url":"1"}"#), json("{}")).1, 0);
    let etag = normalise("header:etag", r"^W/", "");
    let with = |value: &str| Sample::new("1").response_header("etag", value);
    assert_eq!(under(&etag, with(r#"W/"a""#), with(r#""a""#)), (vec![], 1));
}

#[test]
fn near_numbers_are_expected_wherever_they_are_written() {
    let price = tolerate("body:/price", "0.01");
    let of = |value: &str| json(&format!(r#"{{"price":{value}}}"#));
    assert_eq!(under(&price, of("1.10"), of("1.11")), (vec![], 1));
    assert_eq!(under(&price, of(r#""1.10""#), of(r#""1.1\u0031""#)), (vec![], 1));
    assert_eq!(under(&price, of("1.10"), of("1.12")).1, 0);
    assert_eq!(under(&price, of("1.10"), of(r#""1.10""#)).1, 0);
    let form = |value: &str| {
        Sample::new("1").content("application/x-www-form-urlencoded", format!("price={value}"))
    };
    assert_eq!(under(&price, form("1.10"), form("1.11")), (vec![], 1));
    let took = tolerate("header:x-took", "5");
    let with = |value: &str| Sample::new("1").response_header("x-took", value);
    assert_eq!(under(&took, with("17"), with("20")), (vec![], 1));
    let words = tolerate("body:", "5");
    assert_eq!(
        under(&words, text("took 17 ms\nsaw 1"), text("took 20 ms\nsaw 9")),
        (vec!["body line 2 word 2 text: 1 -> 9".to_owned()], 1)
    );
}

#[test]
fn a_list_in_a_header_is_a_set_where_a_rule_says_so() {
    let with = |value: &str| Sample::new("1").response_header("vary", value);
    let sort = rule("header:vary", Action::Sort);
    assert_eq!(under(&sort, with("a, b"), with("b,a")), (vec![], 1));
    assert_eq!(under(&sort, with("a, b"), with("b,c")).1, 0);
}

#[test]
fn lines_are_matched_as_they_are_rewritten() {
    let times = normalise("body:", r"\d\d:\d\d", "TIME");
    let ours = text("10:00 start\n10:01 a\n10:02 b\n10:03 the end\n");
    let theirs = text("10:05 start\n10:06 a\n10:07 new\n10:08 b\n10:09 the END\n");
    let (found, count) = under(&times, ours, theirs);
    assert_eq!(
        found,
        ["body line 3 text: none -> 10:07 new", "body line 4 word 3 text: end -> END"]
    );
    assert_eq!(count, 4);
}

#[test]
fn a_rule_holds_until_its_time_is_over_by_the_start_of_the_pair() {
    let mut rule = rule("body:/a", Action::Ignore);
    let found = |rule: &Rule| {
        let at = |body: &str| json(body).at_us(1_000, 10);
        under(rule, at(r#"{"a":1}"#), at(r#"{"a":2}"#)).1
    };
    rule.until = Some(Timestamp::from_nanos(1_000_000));
    assert_eq!(found(&rule), 1);
    rule.until = Some(Timestamp::from_nanos(999_999));
    assert_eq!(found(&rule), 0);
}

#[test]
fn the_first_rule_that_explains_is_counted() {
    let mut near = tolerate("body:/a", "1");
    near.name = "near".into();
    let mut all = rule("body:", Action::Ignore);
    all.name = "all".into();
    let found = compared(json(r#"{"a":1,"b":1}"#), json(r#"{"a":2,"b":9}"#), &[near, all]);
    let counts: Vec<_> = found.suppressed.iter().map(|s| (&*s.rule, s.count)).collect();
    assert_eq!(counts, [("near", 1), ("all", 1)]);
}

#[test]
fn stored_values_that_do_not_tell_ask_for_the_bodies() {
    let explains = |rule: &Rule, primary: Sample, shadow: Sample| {
        let found = compared(primary, shadow, &[]);
        let divergence = &found.divergences[0];
        rule.explains(ENDPOINT, divergence.into(), Timestamp::ZERO)
    };
    let long = |end: &str| json(&format!(r#"{{"a":"{}{end}"}}"#, "x".repeat(2_000)));
    let cut = normalise("body:/a", "[yz]", "");
    assert_eq!(explains(&cut, long("y"), long("z")), Explained::NeedsBodies);
    assert_eq!(explains(&rule("body:/a", Action::Ignore), long("y"), long("z")), Explained::Yes);
    let sort = rule("body:/t", Action::Sort);
    let of = |t: &str| json(&format!(r#"{{"t":{t},"u":1}}"#));
    assert_eq!(explains(&sort, of("[1,2]"), of("[2,1]")), Explained::NeedsBodies);
    assert_eq!(explains(&sort, of("[1,2]"), of("[1,3]")), Explained::NeedsBodies);
    let u = |u: &str| json(&format!(r#"{{"t":[],"u":{u}}}"#));
    assert_eq!(explains(&sort, u("1"), u("2")), Explained::No);
    let key = rule("body:/t", Action::Key(ElementKey::new(["/id"]).unwrap()));
    assert_eq!(explains(&key, of("[1,2]"), of("[1]")), Explained::NeedsBodies);
    let lines = normalise("body:", "[0-9]", "");
    assert_eq!(explains(&lines, text("a 1"), text("a 2")), Explained::NeedsBodies);
    let mut elsewhere = rule("body:", Action::Ignore);
    elsewhere.endpoint = Some(TextPattern::new("PUT *"));
    assert_eq!(explains(&elsewhere, of("1"), of("2")), Explained::No);
}

fn rules() -> impl Strategy<Value = Rule> {
    prop::sample::select(vec![
        rule("body:/a", Action::Ignore),
        rule("body:/**/b*", Action::Ignore),
        rule("header:x-*", Action::Ignore),
        rule("header:x-list", Action::Sort),
        rule("header:set-cookie/a", Action::Ignore),
        rule("trailer:x-sum", Action::Ignore),
        rule("status", Action::IgnoreStatus { primary: 200, shadow: 404 }),
        normalise("body:/**", "[0-9]+", "N"),
        normalise("header:x-a", "[0-9]+", "N"),
        tolerate("body:/a", "2"),
        tolerate("body:", "1"),
        tolerate("header:x-a", "1"),
    ])
}

fn answer() -> impl Strategy<Value = Sample> {
    let value = prop::sample::select(vec![
        "1",
        "2",
        "4",
        "\"a1\"",
        "\"a2\"",
        "\"2\"",
        "null",
        "{\"b1\":1}",
    ]);
    let word = || prop::sample::select(vec!["1", "2", "9", "a1", "a, b", "b, a"]);
    let members =
        prop::collection::btree_map(prop::sample::select(vec!["a", "b", "bc"]), value, 0..3);
    let body = prop_oneof![
        members.prop_map(|members| {
            let all: Vec<String> = members.iter().map(|(k, v)| format!("\"{k}\":{v}")).collect();
            ("application/json", format!("{{{}}}", all.join(",")))
        }),
        (word(), word())
            .prop_map(|(a, b)| { ("application/x-www-form-urlencoded", format!("a={a}&b={b}")) }),
    ];
    (body, word(), word(), word(), prop::sample::select(vec![200_u16, 200, 200, 404])).prop_map(
        |((media_type, body), a, list, sum, status)| {
            Sample::new("1")
                .content(media_type, body)
                .response_header("x-a", a)
                .response_header("x-list", list)
                .response_header("set-cookie", &format!("a={a}"))
                .response_header("set-cookie", &format!("b={list}"))
                .trailer("x-sum", sum)
                .status(status)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_rule_makes_of_stored_divergences_what_a_comparison_under_it_makes(
        rule in rules(), primary in answer(), shadow in answer(),
    ) {
        let all = compared(primary.clone(), shadow.clone(), &[]).divergences;
        let left = compared(primary, shadow, std::slice::from_ref(&rule)).divergences;
        for divergence in &all {
            let explained = rule.explains(ENDPOINT, divergence.into(), Timestamp::ZERO);
            let expected = if left.contains(divergence) { Explained::No } else { Explained::Yes };
            prop_assert_eq!(explained, expected, "{:?} {:?}", rule, divergence);
        }
    }

    #[test]
    fn any_bytes_are_compared_under_any_rule(
        rule in rules(),
        media_type in prop::sample::select(vec![
            "application/json", "text/html", "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=b", "application/json; charset=utf-16", "",
        ]),
        one in prop_oneof![prop::collection::vec(any::<u8>(), 0..60), "[\\[\\]{},:\"a1 \n]{0,60}".prop_map(String::into_bytes)],
        other in prop_oneof![prop::collection::vec(any::<u8>(), 0..60), "[\\[\\]{},:\"a1 \n]{0,60}".prop_map(String::into_bytes)],
    ) {
        let of = |body: &[u8]| Sample::new("1").content(media_type, body);
        let same = compared(of(&one), of(&one), std::slice::from_ref(&rule));
        prop_assert_eq!(same.verdict, Verdict::Matched);
        let found = compared(of(&one), of(&other), std::slice::from_ref(&rule));
        for divergence in &found.divergences {
            let _ = rule.explains(ENDPOINT, divergence.into(), Timestamp::ZERO);
        }
    }
}

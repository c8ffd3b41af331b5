//! Claims about comparing forms.

use super::*;
use crate::differ::echo::Echo;
use crate::differ::findings::{Findings, ReasonNames};
use crate::differ::here::TextBudget;
use crate::differ::place::Place;
use crate::sample::{Sample, written};
use crate::{Divergence, Mirror, ServicePolicy, Suppressed};
use capture::Timestamp;
use proptest::prelude::*;

/// What differs between two forms under these rules, and what the rules explained.
fn compared(
    primary: &[u8],
    shadow: &[u8],
    rules: &[&str],
) -> Result<(Vec<Divergence>, Vec<Suppressed>), NotForm> {
    let mut policy = ServicePolicy::new("shop");
    policy.rules = rules.iter().map(|rule| rule.parse().unwrap()).collect();
    let ours = Sample::new("1").header("x-forwarded-for", "192.0.2.7").primary();
    let theirs = Sample::new("1")
        .header("x-forwarded-for", "192.0.2.7,10.0.0.1")
        .header("x-envoy-internal", "true")
        .shadow();
    let requests = (ours.request.unwrap(), theirs.request.unwrap());
    let echo = Echo::new(Mirror::Envoy, &requests.0, &requests.1);
    let mut reasons = Vec::new();
    let mut findings = Findings::new(&policy, "GET /", Timestamp::ZERO, &mut reasons);
    let mut texts = TextBudget::default();
    let place = Place::default();
    let mut here =
        Here { place, echo: &echo, findings: &mut findings, texts: &mut texts, nested: 0 };
    let (ours, theirs) =
        [primary, shadow].map(|bytes| Content { content_type: None, bytes }).into();
    compare(ours, theirs, &mut here)?;
    Ok(findings.finish(&ReasonNames::default()))
}

fn differences(primary: &str, shadow: &str) -> Vec<String> {
    written(&compared(primary.as_bytes(), shadow.as_bytes(), &[]).unwrap().0)
}

#[test]
fn fields_are_reported_by_name_where_they_differ() {
    for (primary, shadow, expected) in [
        ("a=1&b=2", "a=1&b=3", &["body /b value: 2 -> 3"][..]),
        ("a=1&b=2", "a=1", &["body /b missing: 2 -> none"]),
        ("", "a=1", &["body /a added: none -> 1"]),
        ("a=1&b", "a=1", &["body /b missing:  -> none"]),
        ("x%2Fy~=1", "x%2Fy~=2", &["body /x~1y~0 value: 1 -> 2"]),
        ("a+b=c+d", "a+b=c%2bd", &["body /a b value: c d -> c+d"]),
        ("a=%4", "a=%zz", &["body /a value: %4 -> %zz"]),
        ("a=1=2", "a=1=3", &["body /a value: 1=2 -> 1=3"]),
        (
            "a=1&b=2",
            "b=3&c=4",
            &["body /a missing: 1 -> none", "body /b value: 2 -> 3", "body /c added: none -> 4"],
        ),
    ] {
        assert_eq!(differences(primary, shadow), expected, "{primary} {shadow}");
    }
}

#[test]
fn how_a_field_is_encoded_and_the_order_of_names_are_no_difference() {
    for (primary, shadow) in [
        ("a=1&b=2", "b=2&a=1"),
        ("a=%C3%A9", "a=é"),
        ("a=b+c", "a=b%20c"),
        ("a=%7e", "%61=~"),
        ("a=1&&b=2&", "&a=1&b=2"),
        ("a=1&b", "a=1&b="),
        ("k=1&x=0&k=2", "x=0&k=1&k=2"),
    ] {
        assert_eq!(differences(primary, shadow), [""; 0], "{primary} {shadow}");
    }
}

#[test]
fn several_values_of_one_name_are_elements_in_order() {
    assert_eq!(differences("k=1&k=2", "k=1&k=3"), ["body /k/1 value: 2 -> 3"]);
    assert_eq!(differences("k=1&k=2", "k=1"), ["body /k length: len 2 -> len 1"]);
    assert_eq!(
        differences("k=1&k=2&k=3", "k=1&k=9&k=3&k=4"),
        ["body /k/1 value: 2 -> 9", "body /k length: len 3 -> len 4"]
    );
    assert_eq!(differences("k=1&k=2&k=3", "k=2&k=3"), ["body /k length: len 3 -> len 2"]);
    assert_eq!(
        differences("k=1&k=2", "a=1"),
        ["body /k missing: 1, 2 -> none", "body /a added: none -> 1"]
    );
    let (found, _) = compared(b"k=1&k=2", b"k=1&k=3", &[]).unwrap();
    assert_eq!(&*found[0].pattern, "/k/*");
}

#[test]
fn rules_and_the_mirror_explain_fields() {
    for (rule, explained) in [("body:/a", 1), ("body:/**/k", 2), ("body:/k/1", 1), ("body:", 3)] {
        let (found, suppressed) = compared(b"a=1&k=1&k=2", b"a=2&k=3&k=4", &[rule]).unwrap();
        assert_eq!((found.len(), suppressed[0].count), (3 - explained, explained as u32), "{rule}");
    }
    let (found, suppressed) =
        compared(b"from=192.0.2.7", b"from=192.0.2.7%2C10.0.0.1&X-Envoy-Internal=true", &[])
            .unwrap();
    assert_eq!(written(&found), [""; 0]);
    assert_eq!((&*suppressed[0].rule, suppressed[0].count), ("profile:envoy", 2));
}

#[test]
fn what_has_no_values_or_has_control_characters_is_no_form() {
    for text in ["out of order", "a=1\nb=2", "a=1\0"] {
        assert_eq!(compared(text.as_bytes(), b"a=1", &[]).unwrap_err(), NotForm, "{text}");
        assert_eq!(compared(b"a=1", text.as_bytes(), &[]).unwrap_err(), NotForm, "{text}");
    }
}

#[test]
fn forms_with_too_many_fields_differ_as_a_whole() {
    let most = "a&".repeat(FIELDS - 1);
    assert_eq!(
        differences(&(most.clone() + "b=1"), &(most.clone() + "b=2")),
        ["body /b value: 1 -> 2"]
    );
    assert_eq!(
        differences(&(most + "a&b=1"), "a=1"),
        [format!("body  coarse: more than {FIELDS} fields -> 1 fields")]
    );
}

/// Fields as a form has them, each byte that means something percent-encoded, and others if `all`.
fn encoded(fields: &[(Vec<u8>, Vec<u8>)], all: bool) -> Vec<u8> {
    let mut out = Vec::new();
    let write = |bytes: &[u8], out: &mut Vec<u8>| {
        for &byte in bytes {
            match byte {
                b' ' => out.push(b'+'),
                b if !all && (b.is_ascii_alphanumeric() || b >= 0x80) => out.push(b),
                b => out.extend_from_slice(format!("%{b:02X}").as_bytes()),
            }
        }
    };
    for (name, value) in fields {
        if !out.is_empty() {
            out.push(b'&');
        }
        write(name, &mut out);
        out.push(b'=');
        write(value, &mut out);
    }
    out
}

proptest! {
    #[test]
    fn planted_differences_are_found_at_their_paths_and_nothing_else(
        values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..6), 1..12),
        changes in prop::collection::vec(0_u8..4, 12),
        turn in any::<usize>(),
    ) {
        let mut primary: Vec<_> = values
            .iter()
            .enumerate()
            .map(|(at, value)| (format!("f/{at}").into_bytes(), value.clone()))
            .collect();
        let (mut shadow, mut expected) = (Vec::new(), Vec::new());
        for (at, ((name, value), change)) in primary.clone().into_iter().zip(changes).enumerate() {
            match change {
                0 => expected.push(format!("/f~1{at} missing")),
                1 => {
                    expected.push(format!("/f~1{at} value"));
                    shadow.push((name, [&value[..], b"x"].concat()));
                }
                _ => shadow.push((name, value)),
            }
        }
        primary.push((b"last".to_vec(), Vec::new()));
        shadow.push((b"last".to_vec(), Vec::new()));
        let by = turn % shadow.len();
        shadow.rotate_left(by);
        let (found, suppressed) =
            compared(&encoded(&primary, false), &encoded(&shadow, true), &[]).unwrap();
        let found: Vec<_> =
            found.iter().map(|d| format!("{} {}", d.path, d.change.as_str())).collect();
        prop_assert_eq!(found, expected);
        prop_assert!(suppressed.is_empty());
    }

    #[test]
    fn any_bytes_are_taken(
        one in prop::collection::vec(prop::sample::select(&b"a=&%+4\xff\n"[..]), 0..30),
        other in prop::collection::vec(prop::sample::select(&b"a=&%+4\xff\n"[..]), 0..30),
    ) {
        let there = compared(&one, &other, &[]).map(|(found, _)| found.is_empty());
        let back = compared(&other, &one, &[]).map(|(found, _)| found.is_empty());
        prop_assert_eq!(there, back);
        if let Ok((found, _)) = compared(&one, &one, &[]) {
            prop_assert!(found.is_empty());
        }
    }
}

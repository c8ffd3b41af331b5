//! Claims about comparing multipart contents.

use super::*;
use crate::differ::body;
use crate::differ::echo::Echo;
use crate::differ::findings::{Findings, ReasonNames};
use crate::differ::here::TextBudget;
use crate::differ::place::Place;
use crate::sample::{Sample, written};
use crate::{Divergence, Mirror, ServicePolicy, Suppressed};
use capture::Timestamp;
use proptest::prelude::*;

/// What differs between two contents of these types under these rules, and what the rules
/// explained.
fn compared_as(
    types: (&str, &str),
    primary: &[u8],
    shadow: &[u8],
    rules: &[&str],
) -> Result<(Vec<Divergence>, Vec<Suppressed>), Malformed> {
    let mut policy = ServicePolicy::new("shop");
    policy.rules = rules.iter().map(|rule| rule.parse().unwrap()).collect();
    let ours = Sample::new("1").host("shop.example.com:80").primary().request.unwrap();
    let theirs = Sample::new("1").host("shop.example.com-shadow:80").shadow().request.unwrap();
    let echo = Echo::new(Mirror::Envoy, &ours, &theirs);
    let mut reasons = Vec::new();
    let mut findings = Findings::new(&policy, "GET /", Timestamp::ZERO, &mut reasons);
    let mut texts = TextBudget::default();
    let mut here = Here {
        place: Place::default(),
        echo: &echo,
        findings: &mut findings,
        texts: &mut texts,
        nested: 0,
    };
    let ours = Content { content_type: Some(types.0.as_bytes()), bytes: primary };
    let theirs = Content { content_type: Some(types.1.as_bytes()), bytes: shadow };
    compare(ours, theirs, body::contents, &mut here)?;
    Ok(findings.finish(&ReasonNames::default()))
}

const FORM: &str = "multipart/form-data; boundary=X";
const MIXED: &str = "multipart/mixed; boundary=X";

/// A content with the boundary `X`; each part is its head's lines, an empty line, its body's.
fn content(parts: &[&str]) -> String {
    let parts: String =
        parts.iter().map(|part| format!("--X\r\n{}\r\n", part.replace('\n', "\r\n"))).collect();
    parts + "--X--\r\n"
}

/// A field of form data.
fn field(name: &str, more: &str, body: &str) -> String {
    format!("Content-Disposition: form-data; name=\"{name}\"{more}\n\n{body}")
}

fn json(name: &str, body: &str) -> String {
    field(name, "\nContent-Type: application/json", body)
}

fn differences_as(content_type: &str, primary: &str, shadow: &str) -> Vec<String> {
    let types = (content_type, content_type);
    written(&compared_as(types, primary.as_bytes(), shadow.as_bytes(), &[]).unwrap().0)
}

fn differences(primary: &[&str], shadow: &[&str]) -> Vec<String> {
    differences_as(FORM, &content(primary), &content(shadow))
}

#[test]
fn parts_of_form_data_are_found_by_name() {
    let (a, b) = (field("a", "", "1"), field("b", "", "2"));
    assert_eq!(differences(&[&a, &b], &[&b, &a]), [""; 0]);
    assert_eq!(differences(&[&a, &b], &[&b, &field("a", "", "3")]), ["body /a value: 1 -> 3"]);
    assert_eq!(differences(&[&a, &b], &[&a]), ["body /b missing: 2 -> none"]);
    assert_eq!(differences(&[&a], &[&b, &a]), ["body /b added: none -> 2"]);
    assert_eq!(differences(&[], &[&a]), ["body /a added: none -> 1"]);
    let (first, second) = (field("k", "", "1"), field("k", "", "2"));
    assert_eq!(
        differences(&[&first, &second, &a], &[&first, &a, &first]),
        ["body /k/1 value: 2 -> 1"]
    );
    assert_eq!(differences(&[&first, &second], &[&first]), ["body /k length: len 2 -> len 1"]);
}

#[test]
fn parts_without_names_are_found_by_order() {
    let part = |body: &str| format!("Content-Type: application/json\n\n{body}");
    let (one, other) = (part(r#"{"n":1}"#), part(r#"{"n":2}"#));
    let mixed = |primary: &[&str], shadow: &[&str]| {
        differences_as(MIXED, &content(primary), &content(shadow))
    };
    assert_eq!(mixed(&[&one, &one], &[&one, &other]), ["body /1/n value: 1 -> 2"]);
    assert_eq!(mixed(&[&one, &one], &[&one]), ["body  length: len 2 -> len 1"]);
    assert_eq!(
        mixed(&[&field("a", "", "1")], &[&field("b", "", "1")]),
        ["body /0/@content-disposition value: form-data; name=\"a\" -> form-data; name=\"b\""]
    );
}

#[test]
fn a_part_is_compared_by_its_own_type_at_its_place() {
    let binary = |body: &str| {
        field("f", "; filename=\"a.bin\"\nContent-Type: application/octet-stream", body)
    };
    let form = |body: &str| field("f", "\nContent-Type: application/x-www-form-urlencoded", body);
    for (primary, shadow, expected) in [
        (json("f", r#"{"a":[1]}"#), json("f", r#"{ "a": [2] }"#), "body /f/a/0 value: 1 -> 2"),
        (json("f", "{}"), json("f", "{ }"), ""),
        (json("f", "{a\nb"), json("f", "{a\nc"), "body /f/line 2 text: b -> c"),
        (form("a=1&b=2"), form("b=2&a=3"), "body /f/a value: 1 -> 3"),
        (field("f", "", "a\nb"), field("f", "", "a\nc"), "body /f/line 2 text: b -> c"),
        (field("f", "", r#"{"a":1}"#), field("f", "", r#"{"a":2}"#), "body /f/a value: 1 -> 2"),
        (
            binary("ab"),
            binary("ac"),
            "body /f binary: len 2, first difference at 1 -> len 2, first difference at 1",
        ),
    ] {
        let found = differences(&[&primary], &[&shadow]).join("; ");
        assert_eq!(found, expected, "{primary} {shadow}");
    }
}

#[test]
fn the_fields_of_a_part_are_below_it() {
    let file = |name: &str, more: &str| {
        field("f", &format!("; filename=\"{name}\"\nContent-Type: text/plain{more}"), "x")
    };
    assert_eq!(
        differences(&[&file("a.txt", "")], &[&file("b.txt", "; charset=utf-8")]),
        [
            "body /f/@filename value: a.txt -> b.txt",
            "body /f/@content-type value: text/plain -> text/plain; charset=utf-8",
        ]
    );
    assert_eq!(
        differences(&[&file("a", "\nX-A: 1\nContent-Length: 1")], &[&file("a", "")]),
        ["body /f/@x-a missing: 1 -> none"]
    );
    assert_eq!(
        differences(&[&file("a", "\nX-A: 1\n  2")], &[&file("a", "\nx-a:1  3")]),
        ["body /f/@x-a value: 1  2 -> 1  3"]
    );
    assert_eq!(
        differences(&[&json("f", "{}")], &[&field("f", "\nContent-Type: text/html", "x")]),
        [
            "body /f/@content-type value: application/json -> text/html",
            "body /f content_type: application/json -> text/html",
        ]
    );
}

#[test]
fn boundary_preamble_epilogue_and_how_fields_are_written_are_no_difference() {
    let ours = content(&[&field("a", "", "1"), &field("b", "", "2")]);
    let theirs = "ignore\r\nthis\r\n--Y \t\r\ncontent-disposition:form-data;NAME=a\r\n\r\n1\r\n\
                  --Y\r\nCONTENT-DISPOSITION: form-data;\r\n name=b\r\n\r\n2\r\n--Y-- and this";
    let types = (FORM, "Multipart/Form-Data; Boundary=\"Y\"");
    let found = compared_as(types, ours.as_bytes(), theirs.as_bytes(), &[]).unwrap();
    assert_eq!(written(&found.0), [""; 0]);
    let theirs = theirs.replace("\r\n2\r\n", "\r\n3\r\n");
    let found = compared_as(types, ours.as_bytes(), theirs.as_bytes(), &[]).unwrap();
    assert_eq!(written(&found.0), ["body /b value: 2 -> 3"]);
    assert!(same_but_for_boundary(types.0.as_bytes(), types.1.as_bytes()));
    for other in ["multipart/mixed; boundary=X", "multipart/form-data; boundary=X; a=b", "a/b"] {
        assert!(!same_but_for_boundary(FORM.as_bytes(), other.as_bytes()), "{other}");
    }
    assert!(!same_but_for_boundary(b"a/b; boundary=X", b"a/b; boundary=Y"));
}

#[test]
fn contents_are_nested_up_to_a_depth() {
    let nested = |levels: usize, value: &str| {
        let mut content_type = "text/plain".to_owned();
        let mut body = value.to_owned();
        for level in 0..levels {
            body = format!(
                "--X{level}-\r\nContent-Type: {content_type}\r\n\r\n{body}\r\n--X{level}---"
            );
            content_type = format!("multipart/mixed; boundary=X{level}-");
        }
        (content_type, body)
    };
    for (levels, expected) in [
        (2, "body /0/0 value: 1 -> 2"),
        (8, "body /0/0/0/0/0/0/0/0 value: 1 -> 2"),
        (9, "body /0/0/0/0/0/0/0/0 coarse: nested too deep -> nested too deep"),
    ] {
        let ((content_type, ours), (_, theirs)) = (nested(levels, "1"), nested(levels, "2"));
        assert_eq!(differences_as(&content_type, &ours, &theirs), [expected]);
    }
}

#[test]
fn a_boundary_is_no_difference_of_a_nested_content() {
    let nested = |inner: &str, value: &str, more: &str| {
        let head = format!("Content-Type: multipart/mixed; boundary={inner}{more}");
        content(&[&format!("{head}\n\n--{inner}\n\n{value}\n--{inner}--")])
    };
    let mixed = |ours: &str, theirs: &str| differences_as(MIXED, ours, theirs);
    assert_eq!(mixed(&nested("a", "1", ""), &nested("b", "1", "")), [""; 0]);
    assert_eq!(
        mixed(&nested("a", "1", ""), &nested("b", "2", "; c=d")),
        [
            "body /0/@content-type value: multipart/mixed -> multipart/mixed; c=\"d\"",
            "body /0/0 value: 1 -> 2",
        ]
    );
}

#[test]
fn each_part_is_read_in_its_own_charset() {
    let of = |charset: &str, value: &[u8]| {
        let part = field("a", &format!("\nContent-Type: text/plain; charset={charset}"), "VALUE");
        let content = content(&[&part]);
        let (head, tail) = content.split_once("VALUE").unwrap();
        [head.as_bytes(), value, tail.as_bytes()].concat()
    };
    let rules = &["body:/a/@content-type"];
    let found = |ours: &[u8], theirs: &[u8]| {
        written(&compared_as((FORM, FORM), ours, theirs, rules).unwrap().0)
    };
    let latin = of("latin1", b"\xe9");
    assert_eq!(found(&latin, &of("utf-8", "é".as_bytes())), [""; 0]);
    assert_eq!(found(&latin, &of("utf-8", "è".as_bytes())), ["body /a value: é -> è"]);
}

#[test]
fn what_is_not_put_together_rightly_is_refused() {
    let good = content(&[&field("a", "", "1")]);
    for bad in [
        "",
        "a",
        "--X\r\n\r\n1",
        "--X\r\n\r\n1\r\n--X",
        "--X\n\n1\n--X--",
        "--Xa\r\n\r\n1\r\n--Xa--",
        "--X\r\nno field\r\n\r\n1\r\n--X--",
        "--X\r\n folded: 1\r\n\r\n1\r\n--X--",
    ] {
        let of = |a: &str, b: &str| compared_as((FORM, FORM), a.as_bytes(), b.as_bytes(), &[]);
        assert_eq!(of(bad, &good).unwrap_err(), Malformed, "{bad}");
        assert_eq!(of(&good, bad).unwrap_err(), Malformed, "{bad}");
    }
    for content_type in ["multipart/form-data", "multipart/form-data; boundary="] {
        let types = (content_type, content_type);
        assert_eq!(
            compared_as(types, good.as_bytes(), b"", &[]).unwrap_err(),
            Malformed,
            "{content_type}"
        );
    }
}

#[test]
fn a_boundary_is_70_bytes_at_most() {
    let with = |bytes: usize| {
        let boundary = "X".repeat(bytes);
        let content_type = format!("multipart/mixed; boundary={boundary}");
        let content = |value| format!("--{boundary}\r\n\r\n{value}\r\n--{boundary}--");
        let types = (&*content_type, &*content_type);
        compared_as(types, content("1").as_bytes(), content("2").as_bytes(), &[])
            .map(|(found, _)| written(&found))
    };
    assert_eq!(with(70).unwrap(), ["body /0 value: 1 -> 2"]);
    assert_eq!(with(71), Err(Malformed));
}

#[test]
fn a_part_may_lack_fields_or_body_and_hold_what_looks_like_a_delimiter() {
    let ours = "--X\r\n\r\n\r\n--X\r\nA: b\r\n--X\r\n\r\n--X a\r\n--Xa\r\n-X\r\n--X--";
    let theirs = "--X\r\n\r\n\r\n--X\r\nA: c\r\n--X\r\n\r\n--X a\r\n--Xa\r\n-Y\r\n--X--";
    assert_eq!(
        differences_as(MIXED, ours, theirs),
        ["body /1/@a value: b -> c", "body /2/line 3 text: -X -> -Y",]
    );
}

#[test]
fn what_has_too_many_parts_or_too_large_a_head_differs_as_a_whole() {
    let parts = |count: usize, last: &str| {
        "--X\r\n\r\n1\r\n".repeat(count - 1) + "--X\r\n\r\n" + last + "\r\n--X--"
    };
    assert_eq!(
        differences_as(MIXED, &parts(PARTS, "1"), &parts(PARTS, "2")),
        [format!("body /{} value: 1 -> 2", PARTS - 1)]
    );
    assert_eq!(
        differences_as(MIXED, &parts(PARTS + 1, "1"), &parts(1, "2")),
        ["body  coarse: more parts than are compared -> 1 parts"]
    );
    let fields = |count| format!("--X\r\n{}\r\n1\r\n--X--", "a: b\r\n".repeat(count));
    assert_eq!(
        differences_as(MIXED, &fields(HEAD_LINES), &fields(HEAD_LINES - 1)),
        [format!("body /0/@a length: len {HEAD_LINES} -> len {}", HEAD_LINES - 1)]
    );
    assert_eq!(
        differences_as(MIXED, &fields(HEAD_LINES), &fields(HEAD_LINES + 1)),
        ["body  coarse: 1 parts -> more lines or bytes of a head than are compared"]
    );
    let folded = |count| format!("--X\r\na: b\r\n{}\r\n1\r\n--X--", " c\r\n".repeat(count));
    assert_eq!(
        differences_as(MIXED, &folded(1), &folded(HEAD_LINES)),
        ["body  coarse: 1 parts -> more lines or bytes of a head than are compared"]
    );
    let large = |bytes| format!("--X\r\na: {}\r\n\r\n1\r\n--X--", "b".repeat(bytes - 3));
    assert_eq!(
        differences_as(MIXED, &large(HEAD_BYTES), &large(HEAD_BYTES + 1)),
        ["body  coarse: 1 parts -> more lines or bytes of a head than are compared"]
    );
}

#[test]
fn texts_of_all_parts_together_are_compared_by_all_their_lines_up_to_a_bound() {
    let text = |changed: &str| {
        let lines = format!("{changed}\n{}{changed}", "same\n".repeat(900));
        format!("Content-Type: text/plain\n\n{lines}")
    };
    let all = |changed: &str| content(&[&text(changed), &text(changed), &text(changed)]);
    assert_eq!(
        differences_as(MIXED, &all("a"), &all("b")),
        [
            "body /0/line 1 text: a -> b",
            "body /0/line 902 text: a -> b",
            "body /1/line 1 text: a -> b",
            "body /1/line 902 text: a -> b",
            "body /2/line 1 text: a -> b",
        ]
    );
}

#[test]
fn rules_and_the_mirror_explain_what_is_in_parts() {
    let all = |n: &str| {
        let file = field("f", &format!("; filename={n}"), &format!("a\n{n}"));
        content(&[&json("doc", &format!(r#"{{"n":{n},"m":[{n}]}}"#)), &file])
    };
    for (rule, explained) in [
        ("body:/doc/n", 1),
        ("body:/doc", 2),
        ("body:/*/@filename", 1),
        ("body:/f", 2),
        ("body:/**/0", 1),
        ("body:", 4),
    ] {
        let found = compared_as((FORM, FORM), all("1").as_bytes(), all("2").as_bytes(), &[rule]);
        let (found, suppressed) = found.unwrap();
        assert_eq!((found.len(), suppressed[0].count), (4 - explained, explained as u32), "{rule}");
    }
    let host = |host: &str| {
        content(&[&json("doc", &format!(r#"{{"at":"http://{host}/"}}"#)), &field("at", "", host)])
    };
    let (ours, theirs) = (host("shop.example.com:80"), host("shop.example.com-shadow:80"));
    let (found, suppressed) =
        compared_as((FORM, FORM), ours.as_bytes(), theirs.as_bytes(), &[]).unwrap();
    assert_eq!(written(&found), [""; 0]);
    assert_eq!((&*suppressed[0].rule, suppressed[0].count), ("profile:envoy", 2));
}

proptest! {
    #[test]
    fn planted_differences_are_found_at_their_paths_and_nothing_else(
        values in prop::collection::vec("[a-z \r\n-]{0,8}", 1..10),
        changes in prop::collection::vec(0_u8..6, 10),
        turn in any::<usize>(),
    ) {
        let (mut ours, mut theirs, mut expected) = (Vec::new(), Vec::new(), Vec::new());
        for (at, (value, change)) in values.iter().zip(changes).enumerate() {
            let name = format!("p{at}");
            let as_json = serde_json::json!({ "v": value, "n": 1 }).to_string();
            let changed = serde_json::json!({ "n": 1, "v": format!("{value}x") }).to_string();
            ours.push(json(&name, &as_json));
            match change {
                0 => expected.push(format!("/{name} missing")),
                1 => {
                    expected.push(format!("/{name}/v value"));
                    theirs.push(json(&name, &changed));
                }
                2 => {
                    expected.push(format!("/{name}/@filename added"));
                    let more = "; filename=f\nContent-Type: application/json";
                    theirs.push(field(&name, more, &as_json));
                }
                _ => theirs.push(json(&name, &as_json)),
            }
        }
        if !theirs.is_empty() {
            let by = turn % theirs.len();
            theirs.rotate_left(by);
        }
        let written = |parts: &[String]| {
            content(&parts.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let theirs = written(&theirs).replace("--X", "--other");
        let types = (FORM, "multipart/form-data; boundary=other");
        let (found, suppressed) =
            compared_as(types, written(&ours).as_bytes(), theirs.as_bytes(), &[]).unwrap();
        let found: Vec<_> =
            found.iter().map(|d| format!("{} {}", d.path, d.change.as_str())).collect();
        prop_assert_eq!(found, expected);
        prop_assert!(suppressed.is_empty());
    }

    #[test]
    fn any_bytes_are_taken(
        one in prop::collection::vec(prop::sample::select(PIECES), 0..20),
        other in prop::collection::vec(prop::sample::select(PIECES), 0..20),
    ) {
        let (one, other) = (one.concat(), other.concat());
        let same = |a: &str, b: &str| {
            compared_as((FORM, FORM), a.as_bytes(), b.as_bytes(), &[])
                .map(|(found, _)| found.is_empty())
        };
        prop_assert_eq!(same(&one, &other), same(&other, &one));
        if let Ok(same) = same(&one, &one) {
            prop_assert!(same);
        }
    }
}

const PIECES: &[&str] =
    &["--X", "\r\n", "--X\r\n", "--X--", "\r\n\r\n", "content-type:", ";", "name=a", " ", "{", "b"];

//! Messages made by another implementation, and bytes made by hand.

use std::sync::Arc;

use proptest::prelude::*;

use super::text::{Fault, Seen, Writer};
use crate::differ::{Differ, Found};
use crate::sample::{Sample, written};
use crate::schema::{descriptors, encoded};
use crate::{MessageRule, ServicePolicy, Verdict};

const ORDER: &str = "application/x-protobuf; messageType=shop.Order";

fn compared(content_type: &str, ours: &[u8], theirs: &[u8], rules: &[&str]) -> Found {
    let mut policy = ServicePolicy::new("shop");
    policy.descriptors = Some(descriptors());
    policy.rules = rules.iter().map(|rule| rule.parse().unwrap()).collect();
    with(&policy, content_type, ours, theirs)
}

fn with(policy: &ServicePolicy, content_type: &str, ours: &[u8], theirs: &[u8]) -> Found {
    let answer = |body: &[u8]| Sample::new("1").content(content_type, body);
    let (primary, shadow) = (answer(ours).primary(), answer(theirs).shadow());
    Differ::default().compare(policy, "GET /orders/{id}", &primary, &shadow)
}

fn differences(ours: &[u8], theirs: &[u8]) -> Vec<String> {
    written(&compared(ORDER, ours, theirs, &[]).divergences)
}

/// What differs between two orders given as protobuf's JSON.
fn orders(ours: &str, theirs: &str) -> Vec<String> {
    differences(&encoded("shop.Order", ours), &encoded("shop.Order", theirs))
}

fn notes(found: &Found) -> Vec<(&str, u32)> {
    found.suppressed.iter().map(|s| (&*s.rule, s.count)).collect()
}

#[test]
fn each_field_is_compared_at_its_path_and_in_its_type() {
    for (ours, theirs, expected) in [
        (r#"{"number":"1"}"#, r#"{"number":"2"}"#, "body /number value: 1 -> 2"),
        (
            r#"{"number":"9007199254740993"}"#,
            r#"{"number":"9007199254740992"}"#,
            "body /number value: 9007199254740993 -> 9007199254740992",
        ),
        (
            r#"{"big":"18446744073709551615"}"#,
            r#"{"big":"18446744073709551614"}"#,
            "body /big value: 18446744073709551615 -> 18446744073709551614",
        ),
        (r#"{"delta":"-3"}"#, r#"{"delta":"3"}"#, "body /delta value: -3 -> 3"),
        (r#"{"small":-1}"#, r#"{"small":-2}"#, "body /small value: -1 -> -2"),
        (r#"{"mark":"1"}"#, r#"{"mark":"2"}"#, "body /mark value: 1 -> 2"),
        (r#"{"offset":-1}"#, r#"{"offset":1}"#, "body /offset value: -1 -> 1"),
        (r#"{"state":"OPEN"}"#, r#"{"state":"DONE"}"#, r#"body /state value: "OPEN" -> "DONE""#),
        (r#"{"state":"OPEN"}"#, r#"{"state":7}"#, r#"body /state value: "OPEN" -> "7""#),
        (r#"{"blob":"AAE="}"#, r#"{"blob":"AAI="}"#, r#"body /blob value: "AAE=" -> "AAI=""#),
        (r#"{"ratio":0.1}"#, r#"{"ratio":0.2}"#, "body /ratio value: 0.1 -> 0.2"),
        (r#"{"weight":1e300}"#, r#"{"weight":"NaN"}"#, r#"body /weight type: 1e300 -> "NaN""#),
        (
            r#"{"weight":"Infinity"}"#,
            r#"{"weight":"-Infinity"}"#,
            r#"body /weight value: "Infinity" -> "-Infinity""#,
        ),
        (
            r#"{"items":[{"name":"a"},{"price":{"amount":"5"}}]}"#,
            r#"{"items":[{"name":"a"},{"price":{"amount":"6"}}]}"#,
            "body /items/1/price/amount value: 5 -> 6",
        ),
        (
            r#"{"prices":{"EUR":{"amount":"1"},"USD":{}}}"#,
            r#"{"prices":{"EUR":{"amount":"2"},"USD":{}}}"#,
            "body /prices/EUR/amount value: 1 -> 2",
        ),
        (
            r#"{"names":{"-7":"a"}}"#,
            r#"{"names":{"-7":"b"}}"#,
            r#"body /names/-7 value: "a" -> "b""#,
        ),
        (
            r#"{"flags":{"true":"OPEN"}}"#,
            r#"{"flags":{"true":"DONE"}}"#,
            r#"body /flags/true value: "OPEN" -> "DONE""#,
        ),
        (
            r#"{"at":"2026-11-21T10:00:00Z"}"#,
            r#"{"at":"2026-11-21T10:00:00.000000001Z"}"#,
            r#"body /at value: "2026-11-21T10:00:00Z" -> "2026-11-21T10:00:00.000000001Z""#,
        ),
        (
            r#"{"took":"1s"}"#,
            r#"{"took":"-1.5s"}"#,
            r#"body /took value: "1.000000000s" -> "-1.500000000s""#,
        ),
        (
            r#"{"extra":{"@type":"t.io/shop.Price","amount":"1"}}"#,
            r#"{"extra":{"@type":"t.io/shop.Price","amount":"2"}}"#,
            "body /extra/value/amount value: 1 -> 2",
        ),
        (r#"{"thing":{"count":1}}"#, r#"{"thing":{"count":2}}"#, "body /thing/count value: 1 -> 2"),
        (
            r#"{"thing":{"[old.label]":"a"}}"#,
            r#"{"thing":{"[old.label]":"b"}}"#,
            r#"body /thing/[old.label] value: "a" -> "b""#,
        ),
        (
            r#"{"thing":{"part":[{"name":"a"}]}}"#,
            r#"{"thing":{"part":[{"name":"b"}]}}"#,
            r#"body /thing/part/0/name value: "a" -> "b""#,
        ),
        (
            r#"{"next":{"next":{"paid":true}}}"#,
            r#"{"next":{"next":{}}}"#,
            "body /next/next/paid value: true -> false",
        ),
    ] {
        assert_eq!(orders(ours, theirs), [expected]);
        assert_eq!(orders(ours, ours), [""; 0]);
    }
}

#[test]
fn a_default_is_its_absence_where_there_is_no_presence() {
    assert_eq!(orders(r#"{"number":"5"}"#, r#"{}"#), ["body /number value: 5 -> 0"]);
    assert_eq!(orders(r#"{}"#, r#"{"state":"OPEN"}"#), [r#"body /state value: "NONE" -> "OPEN""#]);
    assert_eq!(orders(r#"{}"#, r#"{"card":""}"#), [r#"body /card added: none -> """#]);
    assert_eq!(orders(r#"{"discount":0}"#, r#"{}"#), ["body /discount missing: 0 -> none"]);
    assert_eq!(orders(r#"{"cash":{}}"#, r#"{}"#), ["body /cash missing: {} -> none"]);
    assert_eq!(
        orders(r#"{"thing":{"count":5}}"#, r#"{"thing":{}}"#),
        ["body /thing/count missing: 5 -> none"]
    );
    // number 1 sent as its default, which this implementation leaves out.
    assert_eq!(differences(&[0x08, 0x00], b""), [""; 0]);
    assert_eq!(differences(&[0x08, 0x00, 0x58, 0x01], &[0x58, 0x01]), [""; 0]);
}

#[test]
fn one_message_in_two_encodings_is_no_difference() {
    // In another order; a list packed and not; a message in pieces; a value that was overwritten.
    let order = |bytes: &[&[u8]]| bytes.concat();
    let (number, paid) = (&[0x08, 7][..], &[0x58, 1][..]);
    assert_eq!(differences(&order(&[number, paid]), &order(&[paid, number])), [""; 0]);
    let (packed, apart) = (&[0x52, 3, 1, 2, 3][..], &[0x50, 1, 0x52, 1, 2, 0x50, 3][..]);
    assert_eq!(differences(packed, apart), [""; 0]);
    let fixed = (&[0xc2, 1, 4, 1, 0, 0, 0][..], &[0xc5, 1, 1, 0, 0, 0][..]);
    assert_eq!(differences(fixed.0, fixed.1), [""; 0]);
    let whole = &[0x32, 5, 0x08, 1, 0x12, 1, b'E'][..];
    let pieces = &[0x32, 2, 0x08, 1, 0x32, 3, 0x12, 1, b'E'][..];
    assert_eq!(differences(whole, pieces), [""; 0]);
    assert_eq!(differences(&order(&[&[0x08, 1], number]), number), [""; 0]);
    // Of a oneof the last member counts, and what came before it is gone, merged or not.
    let (card, cash) = (&[0x2a, 1, b'c'][..], &[0x32, 2, 0x08, 1][..]);
    assert_eq!(differences(&order(&[cash, card]), card), [""; 0]);
    assert_eq!(differences(&order(&[&[0x32, 3, 0x12, 1, b'E'], card, cash]), cash), [""; 0]);
    assert_eq!(differences(card, cash).len(), 2);
    // A map's entries in another order; the last of one key; a value that is its default.
    let (one, other) =
        (&[0x22, 5, 0x08, 1, 0x12, 1, b'a'][..], &[0x22, 5, 0x08, 2, 0x12, 1, b'b'][..]);
    assert_eq!(differences(&order(&[one, other]), &order(&[other, one])), [""; 0]);
    let early = &[0x22, 5, 0x08, 1, 0x12, 1, b'x'][..];
    assert_eq!(differences(&order(&[early, one]), one), [""; 0]);
    assert_eq!(differences(&[0x22, 4, 0x08, 1, 0x12, 0], &[0x22, 2, 0x08, 1]), [""; 0]);
    // A NaN in another form.
    let nan = |low| [0x65, low, 0, 0xc0, 0x7f];
    assert_eq!(differences(&nan(0), &nan(1)), [""; 0]);
}

#[test]
fn what_the_set_does_not_know_is_compared_by_number() {
    // Number 500 as a varint, then with another wire type.
    let varint = |n| [0xa0, 0x1f, n];
    assert_eq!(differences(&varint(1), &varint(2)), ["body /[unknown 500] value: 1 -> 2"]);
    assert_eq!(differences(&varint(1), b""), ["body /[unknown 500] missing: 1 -> none"]);
    assert_eq!(
        differences(&varint(1), &[0xa5, 0x1f, 1, 0, 0, 0]),
        [r#"body /[unknown 500] type: 1 -> "fixed32 0x1""#]
    );
    assert_eq!(
        differences(&[varint(1), varint(2)].concat(), &[varint(1), varint(3)].concat()),
        ["body /[unknown 500]/1 value: 2 -> 3"]
    );
    // A known one with a wire type that is not its own: its readers do not read it either.
    assert_eq!(
        differences(&[0x0d, 1, 0, 0, 0], &[0x0d, 2, 0, 0, 0]),
        [r#"body /[unknown 1] value: "fixed32 0x1" -> "fixed32 0x2""#]
    );
    let group = |n| [0xa3, 0x1f, 0x08, n, 0xa4, 0x1f];
    assert_eq!(
        differences(&group(1), &group(2)),
        [r#"body /[unknown 500] value: "group CAE=" -> "group CAI=""#]
    );
}

#[test]
fn long_bytes_are_told_by_length_and_digest() {
    let blob = |last| {
        let mut bytes = vec![0x42, 100];
        bytes.extend([7; 99]);
        bytes.push(last);
        bytes
    };
    let said = differences(&blob(1), &blob(2));
    assert!(said[0].starts_with("body /blob value: \"100 bytes, blake3 "), "{said:?}");
    assert_eq!(said.len(), 1);
}

#[test]
fn rules_name_fields_as_they_name_members() {
    let order =
        |name: &str| encoded("shop.Order", &format!(r#"{{"items":[{{"name":"{name}"}}]}}"#));
    let found = compared(ORDER, &order("a"), &order("b"), &["body:/items/*/name"]);
    assert_eq!((found.verdict, notes(&found)), (Verdict::Matched, vec![("body:/items/*/name", 1)]));
}

#[test]
fn the_message_is_named_by_the_type_or_by_the_endpoint() {
    let (ours, theirs) =
        (encoded("shop.Price", r#"{"amount":"1"}"#), encoded("shop.Price", r#"{"amount":"2"}"#));
    let expected = ["body /amount value: 1 -> 2"];
    for content_type in [
        "application/protobuf; messageType=\"shop.Price\"",
        "application/vnd.google.protobuf; proto=shop.Price",
    ] {
        assert_eq!(written(&compared(content_type, &ours, &theirs, &[]).divergences), expected);
    }
    let mut policy = ServicePolicy::new("shop");
    policy.descriptors = Some(descriptors());
    let rule = |endpoint: &str, of: &str| MessageRule {
        endpoint: Some(crate::TextPattern::new(endpoint)),
        response: of.into(),
    };
    policy.messages = vec![rule("GET /items*", "shop.Item"), rule("GET /orders/*", "shop.Price")];
    let found = with(&policy, "application/protobuf", &ours, &theirs);
    assert_eq!(written(&found.divergences), expected);
    // Prometheus: each behind its length.
    let found = compared(
        "application/vnd.google.protobuf; proto=shop.Price; encoding=delimited",
        &[0, 2, 0x08, 1],
        &[0, 2, 0x08, 2],
        &[],
    );
    assert_eq!(written(&found.divergences), ["body /1/amount value: 1 -> 2"]);
}

#[test]
fn what_no_set_describes_is_compared_as_bytes_and_counted() {
    let bytes = "body  binary: len 2, first difference at 1 -> len 2, first difference at 1";
    for content_type in ["application/protobuf", "application/x-protobuf; messageType=shop.Nothing"]
    {
        let found = compared(content_type, &[8, 1], &[8, 2], &[]);
        assert_eq!(written(&found.divergences), [bytes]);
        assert_eq!(notes(&found), [("note:protobuf-undescribed", 1)]);
    }
    let found = with(&ServicePolicy::new("shop"), ORDER, &[8, 1], &[8, 2]);
    assert_eq!(notes(&found), [("note:protobuf-undescribed", 1)]);
}

#[test]
fn what_is_no_protobuf_is_told() {
    let found = compared(ORDER, b"\xff\x01", b"\xff\x02", &[]);
    assert_eq!(
        written(&found.divergences),
        ["body  binary: len 2, first difference at 1 -> len 2, first difference at 1"]
    );
    assert_eq!(notes(&found), [("note:protobuf-undecodable", 1)]);
    // Trailing garbage, and a string that is none.
    for bytes in [&[0x08, 1, 0xff][..], &[0x2a, 1, 0xff]] {
        assert_eq!(differences(&[0x08, 1], bytes), ["body  format: shop.Order -> not shop.Order"]);
    }
}

#[test]
fn messages_too_deep_or_too_large_get_a_coarse_answer() {
    let nested = |depth: usize, leaf: u8| {
        let mut bytes = vec![0x08, leaf];
        for _ in 0..depth {
            let mut outer = vec![0xb2, 0x01];
            let mut len = bytes.len();
            while len > 127 {
                outer.push((len & 0x7f) as u8 | 0x80);
                len >>= 7;
            }
            outer.push(len as u8);
            outer.append(&mut bytes);
            bytes = outer;
        }
        bytes
    };
    let deep = differences(&nested(99, 1), &nested(99, 2));
    assert!(deep[0].ends_with("/next/number value: 1 -> 2"), "{deep:?}");
    let found = compared(ORDER, &nested(100, 1), &nested(100, 2), &[]);
    assert_eq!(notes(&found), [("note:protobuf-undecodable", 1)]);
    let zeros = |len: usize, last: u8| {
        let mut bytes = [0x08, 0x00].repeat(len / 2);
        bytes.extend([0x08, last]);
        bytes
    };
    let large = differences(&zeros(super::BYTES, 1), &zeros(super::BYTES, 2));
    assert_eq!(large, ["body  coarse: len 4194306 -> len 4194306"]);
}

#[test]
fn a_text_that_would_be_too_large_is_not_written() {
    // An item that has everything, and many that have nothing: each gets all defaults.
    let of = descriptors().message("shop.Order").unwrap();
    let all = encoded("shop.Item", r#"{"id":"a","name":"b","tags":["c"]}"#);
    let mut bytes = vec![0x12, all.len() as u8];
    bytes.extend(all);
    bytes.extend([0x12, 0x00].repeat(1 << 21));
    let descriptors = descriptors();
    let mut writer = Writer::new(&descriptors, Seen::new());
    assert_eq!(writer.texts(&[&bytes], of, false), Err(Fault::TooLarge));
}

/// A value of an order: what to say of it in JSON, by a number.
fn leaf(path: &str, n: u32) -> Option<String> {
    Some(match path {
        "/number" | "/delta" | "/big" | "/mark" => format!("\"{n}\""),
        "/small" | "/offset" | "/discount" => n.to_string(),
        "/ratio" | "/weight" => format!("{n}.5"),
        "/card" | "/names/1" | "/items/0/name" | "/items/1/id" | "/next/items/0/name" => {
            format!("\"text {n}\"")
        }
        "/blob" => format!("\"{:04}\"", n % 10_000),
        "/prices/EUR/amount" | "/items/1/price/amount" => format!("\"{n}\""),
        _ => return None,
    })
}

const LEAVES: [&str; 16] = [
    "/number",
    "/delta",
    "/big",
    "/mark",
    "/small",
    "/offset",
    "/discount",
    "/ratio",
    "/weight",
    "/card",
    "/names/1",
    "/items/0/name",
    "/items/1/id",
    "/next/items/0/name",
    "/blob",
    "/prices/EUR/amount",
];

/// An order in which the leaf `i` says `values[i]`.
fn order(values: &[u32]) -> Vec<u8> {
    let mut json = serde_json::json!({
        "items": [{"tags": ["x"]}, {"price": {"currency": "EUR"}}], "paid": true,
        "states": ["OPEN", "DONE"], "at": "2026-11-21T10:00:00Z",
    });
    for (path, &value) in LEAVES.iter().zip(values) {
        let value = serde_json::from_str(&leaf(path, value).unwrap()).unwrap();
        let mut at = &mut json;
        for step in path.split('/').skip(1) {
            at = match step.parse::<usize>() {
                Ok(index) if step != "1" || at.is_array() => {
                    if at.is_null() {
                        *at = serde_json::json!([]);
                    }
                    let all = at.as_array_mut().unwrap();
                    while all.len() <= index {
                        all.push(serde_json::json!({}));
                    }
                    &mut all[index]
                }
                _ => {
                    if at.is_null() {
                        *at = serde_json::json!({});
                    }
                    &mut at[step]
                }
            };
        }
        *at = value;
    }
    encoded("shop.Order", &json.to_string())
}

proptest! {
    #[test]
    fn exactly_the_fields_that_differ_are_found(
        values in prop::collection::vec(1_u32..1000, LEAVES.len()),
        edits in prop::collection::btree_map(0..LEAVES.len(), 1_u32..1000, 0..6),
    ) {
        let mut edited = values.clone();
        for (&at, &by) in &edits {
            edited[at] += by;
        }
        let found = compared(ORDER, &order(&values), &order(&edited), &[]);
        let mut paths: Vec<_> = found.divergences.iter().map(|d| d.path.to_string()).collect();
        let mut expected: Vec<_> = edits.keys().map(|&at| LEAVES[at].to_owned()).collect();
        paths.sort();
        expected.sort();
        prop_assert_eq!(paths, expected);
    }

    /// Whatever comes: nothing panics, and what is the same is the same.
    #[test]
    fn any_bytes_are_taken(
        ours in prop::collection::vec(any::<u8>(), 0..200),
        theirs in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        compared(ORDER, &ours, &theirs, &[]);
        prop_assert_eq!(compared(ORDER, &ours, &ours, &[]).verdict, Verdict::Matched);
    }

    /// A valid message with a byte changed: whatever comes of it is told, and texts are JSON.
    #[test]
    fn damaged_messages_are_taken(
        values in prop::collection::vec(1_u32..1000, LEAVES.len()),
        at in any::<prop::sample::Index>(),
        to in any::<u8>(),
    ) {
        let whole = order(&values);
        let mut damaged = whole.clone();
        let at = at.index(whole.len());
        damaged[at] = to;
        compared(ORDER, &whole, &damaged, &[]);
        let descriptors: Arc<_> = descriptors();
        let of = descriptors.message("shop.Order").unwrap();
        if let Ok(text) = Writer::new(&descriptors, Seen::new()).texts(&[&damaged], of, true) {
            prop_assert!(serde_json::from_slice::<serde_json::Value>(&text).is_ok());
        }
    }
}

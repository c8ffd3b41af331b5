//! gRPC answers as they are on the wire.

use std::io::Write;

use capture::body::DecodeError;
use proptest::prelude::*;

use super::*;
use crate::differ::{Differ, Found};
use crate::sample::{Sample, written};
use crate::schema::{descriptors, encoded};
use crate::{ServicePolicy, Verdict};

const GET: &str = "/shop.Shop/Get";
const WATCH: &str = "/shop.Shop/Watch";

fn frame(flags: u8, content: &[u8]) -> Vec<u8> {
    let len = u32::try_from(content.len()).unwrap().to_be_bytes();
    [&[flags][..], &len, content].concat()
}

fn order(number: u32) -> Vec<u8> {
    frame(0, &encoded("shop.Order", &format!(r#"{{"number":"{number}"}}"#)))
}

fn item(name: &str) -> Vec<u8> {
    frame(0, &encoded("shop.Item", &format!(r#"{{"name":"{name}"}}"#)))
}

/// An answer to `path` that went well.
fn ok(path: &str, body: impl Into<Vec<u8>>) -> Sample {
    answer(path, body).trailer("grpc-status", "0")
}

fn answer(path: &str, body: impl Into<Vec<u8>>) -> Sample {
    Sample::new("1").method("POST").target(path).content("application/grpc", body)
}

fn web(content_type: &str, body: impl Into<Vec<u8>>) -> Sample {
    Sample::new("1").method("POST").target(GET).content(content_type, body)
}

fn compared(described: bool, primary: Sample, shadow: Sample, rules: &[&str]) -> Found {
    let mut policy = ServicePolicy::new("shop");
    policy.descriptors = described.then(descriptors);
    policy.rules = rules.iter().map(|rule| rule.parse().unwrap()).collect();
    Differ::default().compare(&policy, "POST /shop", &primary.primary(), &shadow.shadow())
}

fn differences(primary: Sample, shadow: Sample) -> Vec<String> {
    written(&compared(true, primary, shadow, &[]).divergences)
}

fn notes(found: &Found) -> Vec<(&str, u32)> {
    found.suppressed.iter().map(|s| (&*s.rule, s.count)).collect()
}

#[test]
fn the_message_of_a_unary_method_is_compared_by_field_without_an_index() {
    assert_eq!(differences(ok(GET, order(1)), ok(GET, order(2))), ["body /number value: 1 -> 2"]);
    assert_eq!(differences(ok(GET, order(1)), ok(GET, order(1))), [""; 0]);
    // Another type on one leg: no gRPC on both, and said so.
    let other = Sample::new("1").method("POST").target(GET).content("text/plain", order(2));
    assert_eq!(
        differences(answer(GET, order(1)), other),
        [
            "header content-type value: application/grpc -> text/plain",
            "body  content_type: application/grpc -> text/plain"
        ]
    );
}

#[test]
fn the_messages_of_a_stream_are_elements() {
    let stream = |names: &[&str]| ok(WATCH, names.iter().flat_map(|n| item(n)).collect::<Vec<_>>());
    assert_eq!(
        differences(stream(&["a", "b", "c"]), stream(&["a", "x", "c"])),
        [r#"body /1/name value: "b" -> "x""#]
    );
    assert_eq!(differences(stream(&["a"]), stream(&["b"])), [r#"body /0/name value: "a" -> "b""#]);
    let shorter = differences(stream(&["a", "b"]), stream(&["a"]));
    assert_eq!(shorter.len(), 1, "{shorter:?}");
    assert_eq!(differences(stream(&[]), stream(&[])), [""; 0]);
}

#[test]
fn another_grpc_status_is_the_only_finding() {
    let failed = |code: &str| {
        answer(GET, "").trailer("grpc-status", code).trailer("grpc-message", "out of order")
    };
    assert_eq!(
        differences(ok(GET, order(1)).response_header("x-a", "1"), failed("13")),
        ["status grpc value: 0 OK -> 13 INTERNAL"]
    );
    // Trailers-only: the status is in the header.
    let only = answer(GET, "").response_header("grpc-status", "5");
    assert_eq!(
        differences(ok(GET, order(1)), only.clone()),
        ["status grpc value: 0 OK -> 5 NOT_FOUND"]
    );
    assert_eq!(differences(only.clone(), failed("5").clone()).len(), 1);
    assert_eq!(differences(only, answer(GET, "").trailer("grpc-status", "5")), [""; 0]);
    assert_eq!(
        differences(ok(GET, order(1)), answer(GET, order(1))),
        ["status grpc missing: 0 OK -> none"]
    );
    assert_eq!(
        differences(failed("13"), failed("13").trailer("x", "y")),
        ["trailer x added: none -> y"]
    );
}

#[test]
fn details_of_a_status_are_compared_by_what_they_hold() {
    let details = |message: &str, reason: &str| {
        // google.rpc.Status: code 5, a message, and an Any with a shop.Price inside.
        let price = encoded("shop.Price", &format!(r#"{{"currency":"{reason}"}}"#));
        let any = [&[0x0a, 12][..], b"t/shop.Price", &[0x12, price.len() as u8], &price].concat();
        let status = [
            &[0x08, 5, 0x12, message.len() as u8],
            message.as_bytes(),
            &[0x1a, any.len() as u8],
            &any,
        ];
        let text = data_encoding::BASE64_NOPAD.encode(&status.concat());
        answer(GET, "").trailer("grpc-status", "5").trailer("grpc-status-details-bin", &text)
    };
    assert_eq!(
        differences(details("none", "a"), details("none", "b")),
        [r#"body /@grpc-status-details-bin/details/0/value/currency value: "a" -> "b""#]
    );
    let undescribed = compared(false, details("none", "a"), details("gone", "a"), &[]);
    assert_eq!(
        written(&undescribed.divergences),
        [r#"body /@grpc-status-details-bin/message value: "none" -> "gone""#]
    );
    for rule in ["header:grpc-status-details-bin", "body:/@grpc-status-details-bin"] {
        let found = compared(true, details("none", "a"), details("none", "b"), &[rule]);
        assert_eq!((found.verdict, notes(&found)), (Verdict::Matched, vec![(rule, 1)]));
    }
    let junk = |text: &str| {
        answer(GET, "").trailer("grpc-status", "5").trailer("grpc-status-details-bin", text)
    };
    assert_eq!(
        differences(junk("!"), junk("?")),
        ["trailer grpc-status-details-bin value: ! -> ?"]
    );
    assert_eq!(
        differences(junk("/w"), junk("/g")),
        ["trailer grpc-status-details-bin value: /w -> /g"]
    );
}

#[test]
fn compression_is_no_difference_and_is_bounded() {
    let gzip = |content: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    };
    let zipped = |number: u32| {
        ok(GET, frame(1, &gzip(&order(number)[5..]))).response_header("grpc-encoding", "gzip")
    };
    let plain = |number: u32| ok(GET, order(number)).response_header("grpc-encoding", "gzip");
    assert_eq!(differences(zipped(1), plain(1)), [""; 0]);
    // A server that compresses nothing names no coding, or `identity`.
    let unzipped = ok(GET, order(1));
    let found = compared(true, zipped(1), unzipped.clone(), &[]);
    assert_eq!(
        (found.verdict, notes(&found)),
        (Verdict::Matched, vec![("builtin:content-encoding", 1)])
    );
    let identity = unzipped.response_header("grpc-encoding", "identity");
    assert_eq!(differences(identity, zipped(1)), [""; 0]);
    assert_eq!(differences(zipped(1), plain(2)), ["body /number value: 1 -> 2"]);
    let verdict = |one: Sample, other: Sample| compared(true, one, other, &[]).verdict;
    let with = |body: Vec<u8>, coding: &str| ok(GET, body).response_header("grpc-encoding", coding);
    assert_eq!(
        verdict(with(frame(1, b"nothing"), "gzip"), plain(1)),
        Verdict::Incomparable(Incomparable::Undecodable)
    );
    // Two bombs, each of which would fit alone.
    let bomb = gzip(&vec![0; 9 << 20]);
    let bombs = [frame(1, &bomb), frame(1, &bomb)].concat();
    assert_eq!(
        verdict(with(bombs, "gzip"), plain(1)),
        Verdict::Incomparable(Incomparable::BodyOverCap)
    );
    let unknown = |content: &[u8]| with(frame(1, content), "snappy");
    assert_eq!(
        differences(unknown(b"a"), unknown(b"b")),
        ["body  binary: len 6, first difference at 5 -> len 6, first difference at 5"]
    );
    assert_eq!(decode(b"x", Some(b"snappy"), 1), Err(DecodeError::Unknown));
}

#[test]
fn without_a_description_messages_are_compared_as_bytes_one_by_one() {
    let two = |second: &[u8]| ok(GET, [frame(0, b"a"), frame(0, second)].concat());
    let found = compared(false, two(b"b"), two(b"c"), &[]);
    assert_eq!(
        written(&found.divergences),
        ["body /1 binary: len 1, first difference at 0 -> len 1, first difference at 0"]
    );
    assert_eq!(notes(&found), [("note:protobuf-undescribed", 1)]);
    let found =
        compared(true, ok("/shop.Shop/Other", order(1)), ok("/shop.Shop/Other", order(2)), &[]);
    assert_eq!(
        written(&found.divergences),
        ["body  binary: len 2, first difference at 1 -> len 2, first difference at 1"]
    );
    assert_eq!(notes(&found), [("note:protobuf-undescribed", 1)]);
    let found = compared(true, ok(GET, frame(0, b"\xff")), ok(GET, frame(0, b"\xfe")), &[]);
    assert_eq!(notes(&found), [("note:protobuf-undecodable", 1)]);
    assert_eq!(
        differences(ok(GET, order(1)), ok(GET, frame(0, b"\xff"))),
        ["body  format: shop.Order -> not shop.Order"]
    );
}

#[test]
fn what_is_not_framed_is_told() {
    let cut = |number: u32| order(number)[..6].to_vec();
    assert_eq!(
        differences(ok(GET, order(1)), ok(GET, cut(1))),
        ["body  format: gRPC messages -> not gRPC messages"]
    );
    let found = compared(true, ok(GET, &b"abc"[..]), ok(GET, &b"abd"[..]), &[]);
    assert_eq!(notes(&found), [("note:protobuf-undecodable", 1)]);
    assert_eq!(
        written(&found.divergences),
        ["body  binary: len 3, first difference at 2 -> len 3, first difference at 2"]
    );
    let many = |last: u8| ok(GET, [&[0; 60_000][..], &frame(0, &[last])].concat());
    assert_eq!(differences(many(1), many(2)), ["body  coarse: len 60006 -> len 60006"]);
}

#[test]
fn other_formats_of_messages_are_what_they_say() {
    let json = |body: &str| {
        Sample::new("1")
            .target(GET)
            .content("application/grpc+json", frame(0, body.as_bytes()))
            .trailer("grpc-status", "0")
    };
    assert_eq!(
        differences(json(r#"{"a":1,"b":1}"#), json(r#"{"b":1,"a":2}"#)),
        ["body /a value: 1 -> 2"]
    );
}

#[test]
fn grpc_web_has_its_trailers_in_the_body() {
    let trailers = |code: &str| frame(0x80, format!("grpc-status: {code}\r\nx-a:1\r\n").as_bytes());
    let body = |number: u32, code: &str| [order(number), trailers(code)].concat();
    let proto = |number, code: &str| web("application/grpc-web+proto", body(number, code));
    assert_eq!(differences(proto(1, "0"), proto(2, "0")), ["body /number value: 1 -> 2"]);
    assert_eq!(
        differences(proto(1, "0"), proto(1, "14")),
        ["status grpc value: 0 OK -> 14 UNAVAILABLE"]
    );
    let text = |number: u32, code: &str| {
        let pieces =
            [order(number), trailers(code)].map(|part| data_encoding::BASE64.encode(&part));
        web("application/grpc-web-text", pieces.concat())
    };
    assert_eq!(differences(text(1, "0"), text(2, "0")), ["body /number value: 1 -> 2"]);
    let with = web(
        "application/grpc-web",
        [order(1), frame(0x80, b"grpc-status:0\r\nX-A: 2\r\n")].concat(),
    );
    assert_eq!(
        differences(web("application/grpc-web", body(1, "0")), with),
        ["trailer x-a value: 1 -> 2"]
    );
}

#[test]
fn errors_are_those_of_servers() {
    let is_error = |sample: Sample| answer_is_error(&sample.primary().response.unwrap());
    assert!(is_error(Sample::new("1").status(503)));
    assert!(!is_error(Sample::new("1").status(404)));
    assert!(!is_error(Sample::new("1").trailer("grpc-status", "13")));
    assert!(is_error(answer(GET, "").trailer("grpc-status", "13")));
    assert!(is_error(answer(GET, "").response_header("grpc-status", "14")));
    assert!(!is_error(answer(GET, "").trailer("grpc-status", "5")));
    assert!(is_error(web("application/grpc-web", frame(0x80, b"grpc-status:2\r\n"))));
    assert!(!is_error(web("application/grpc-web", frame(0x80, b"grpc-status:0\r\n"))));
}

proptest! {
    #[test]
    fn any_bodies_are_taken(
        ours in prop::collection::vec(any::<u8>(), 0..60),
        theirs in prop::collection::vec(any::<u8>(), 0..60),
        kind in prop::sample::select(vec!["", "-web", "-web-text", "+json", "-web+proto"]),
        framed in any::<bool>(),
    ) {
        let answer = |bytes: &[u8]| {
            let body = if framed { frame(bytes.first().copied().unwrap_or(0) & 0x81, bytes) } else { bytes.to_vec() };
            web(&format!("application/grpc{kind}"), body).response_header("grpc-encoding", "gzip")
        };
        let _ = compared(true, answer(&ours), answer(&theirs), &[]);
        prop_assert_eq!(compared(true, answer(&ours), answer(&ours), &[]).verdict, Verdict::Matched);
    }
}

//! Diverged pairs as they are given back: in order, of those that are asked for, and with messages
//! that can be compared once more.

use crate::traffic::*;
use capture::{Exchange, Leg};
use compare::Comparison;
use std::io::Write;
use store::{EXAMPLE_BODY_BYTES, Limits, PairDetail, Query, SqliteStore, Store};

/// What the store gives back of these.
fn given_back(pairs: &[Comparison], limits: Limits, query: &Query) -> Vec<PairDetail> {
    let folder = tempfile::tempdir().unwrap();
    let mut store = SqliteStore::create_or_open(&folder.path().join("s.db")).unwrap();
    let mut batcher = batcher_within(limits);
    pairs.iter().for_each(|pair| batcher.add(pair));
    store.write(&batcher.take()).unwrap();
    let mut all = Vec::new();
    store.diverged(query, &mut |pair| all.push(pair)).unwrap();
    all
}

/// A pair with these answers.
fn answered(ours: (&[(&str, &str)], &[u8]), theirs: (&[(&str, &str)], &[u8])) -> Comparison {
    let mut pair = diverged(0, vec![price("1", "2")]);
    let of = |leg, (fields, body): (&[(&str, &str)], &[u8])| {
        let request: (&[(&str, &str)], &[u8]) = (&[("host", "shop")], b"");
        Box::new(exchange(leg, at(0), "/api/v1/items/1?a=b c", request, (200, fields, body)))
    };
    (pair.primary, pair.shadow) = (of(Leg::Primary, ours), of(Leg::Shadow, theirs));
    pair
}

fn rebuilt(pair: Comparison) -> Option<(Exchange, Exchange)> {
    given_back(&[pair], Limits::default(), &Query::default())[0].messages()
}

fn body(exchange: &Exchange) -> String {
    String::from_utf8(exchange.response.as_ref().unwrap().body.kept().to_vec()).unwrap()
}

const JSON: &[(&str, &str)] = &[("content-type", "application/json")];

#[test]
fn pairs_that_diverged_come_in_order_of_time_and_matched_ones_do_not() {
    let pairs =
        [diverged(2, vec![price("1", "2")]), matched(1), diverged(0, vec![price("1", "3")])];
    let all = given_back(&pairs, Limits::default(), &Query::default());
    let ids: Vec<&str> = all.iter().map(|pair| pair.id.as_str()).collect();
    assert_eq!(ids, [pairs[2].id.to_string(), pairs[0].id.to_string()]);
    assert_eq!(all[0].began(), Some(pairs[2].start()));
    let stored = all[0].divergences[0].stored().unwrap();
    let was = &pairs[2].divergences[0];
    assert_eq!((stored.kind, stored.path, stored.change), (was.kind, &*was.path, was.change));
    let other = Query { service: Some("other".into()), ..Query::default() };
    assert!(given_back(&pairs, Limits::default(), &other).is_empty());
    let later = Query { from: Some(at(86_400_000)), ..Query::default() };
    assert!(given_back(&pairs, Limits::default(), &later).is_empty());
}

#[test]
fn messages_are_what_they_were_but_for_secrets_and_content_coding() {
    let mut coder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    coder.write_all(br#"{"price":1}"#).unwrap();
    let coded = coder.finish().unwrap();
    let gzip = [JSON[0], ("content-encoding", "gzip")];
    let theirs = br#"{"price":2,"password":"x"}"#;
    let (primary, shadow) = rebuilt(answered((&gzip, &coded), (JSON, theirs))).unwrap();
    assert_eq!(body(&primary), r#"{"price":1}"#);
    assert!(body(&shadow).starts_with(r#"{"price":2,"password":"«redacted:"#));
    let response = primary.response.as_ref().unwrap();
    assert_eq!(response.fields.get(b"content-encoding"), None);
    assert_eq!(response.fields.get(b"Content-Type"), Some(&b"application/json"[..]));
    let request = primary.request.as_ref().unwrap();
    assert_eq!(request.method(), b"GET");
    assert_eq!(request.target(), b"/api/v1/items/1?a=b c");
    assert_eq!(shadow.origin.unwrap().leg, Leg::Shadow);
    assert_eq!(primary.timing.start(), at(0));
}

#[test]
fn bodies_that_were_not_kept_whole_are_the_same_or_not_there() {
    let image: &[(&str, &str)] = &[("content-type", "image/png")];
    let (primary, shadow) = rebuilt(answered((image, b"\xff\x00"), (image, b"\xff\x00"))).unwrap();
    assert_eq!(body(&primary), body(&shadow));
    assert!(rebuilt(answered((image, b"\xff\x00"), (image, b"\xff\x01"))).is_none());
    let long = |end: &str| format!("\"{}{end}\"", "x ".repeat(EXAMPLE_BODY_BYTES));
    let (ours, theirs) = (long("1"), long("2"));
    assert!(rebuilt(answered((JSON, ours.as_bytes()), (JSON, theirs.as_bytes()))).is_none());
    assert!(rebuilt(answered((JSON, b""), (JSON, b"{}"))).is_some());
    let none = Limits { examples_per_signature: 0, ..Limits::default() };
    let pair = answered((JSON, b"1"), (JSON, b"2"));
    assert!(given_back(&[pair], none, &Query::default())[0].messages().is_none());
}

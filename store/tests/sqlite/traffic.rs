//! Judged traffic made by hand: what the tests write.

use std::sync::Arc;
use std::time::Duration;

use capture::{
    Body, Evidence, Exchange, Fields, FieldsBuilder, Leg, Origin, Protocol, Request, Response,
    ServiceId, Timestamp, Timing, Version,
};
use compare::{
    Change, Comparison, Divergence, EndpointRollup, Kind, Latency, Outcome, PairId, Releases,
    Rollup, SignatureId, Verdict,
};
use hdrhistogram::Histogram;
use store::{Batcher, Limits, RedactionKey, Redactor, Run, SecretNames, Settings};

/// 2023-11-14T22:14:00Z, a whole minute.
pub(crate) const START: u64 = 1_700_000_040_000_000_000;

pub(crate) const ITEMS: &str = "GET /api/v1/items/{id}";

/// The moment `ms` milliseconds after [`START`].
pub(crate) fn at(ms: u64) -> Timestamp {
    Timestamp::from_nanos(START) + Duration::from_millis(ms)
}

pub(crate) fn run() -> Run {
    Run {
        started: at(0),
        host: "edge-1".into(),
        version: "0.1.0".into(),
        config_digest: "c0ffee".into(),
        services: vec!["shop".into(), "idle".into()],
        settings: Settings::default(),
    }
}

pub(crate) fn batcher() -> Batcher {
    batcher_within(Limits::default())
}

pub(crate) fn batcher_within(limits: Limits) -> Batcher {
    let redactor = Redactor::new(RedactionKey::new([7; 32]), &SecretNames::default());
    Batcher::new(run(), redactor, limits)
}

pub(crate) fn fields(first_line: &[&str], fields: &[(&str, &str)]) -> Fields {
    let mut builder = FieldsBuilder::new();
    for (part, value) in first_line.iter().enumerate() {
        builder.first_line(part, value.as_bytes());
    }
    for (name, value) in fields {
        builder.field(name.as_bytes(), value.as_bytes());
    }
    builder.build()
}

/// An exchange that began at `start`, whose response began 4 ms and ended 5 ms later.
pub(crate) fn exchange(
    leg: Leg,
    start: Timestamp,
    target: &str,
    request: (&[(&str, &str)], &[u8]),
    response: (u16, &[(&str, &str)], &[u8]),
) -> Exchange {
    let (request_fields, request_body) = request;
    let (status, response_fields, response_body) = response;
    let server = if leg == Leg::Primary { "10.9.1.11:8080" } else { "10.9.1.12:8080" };
    Exchange {
        origin: Some(Origin { service: ServiceId(0), leg }),
        client: "10.9.1.1:40000".parse().unwrap(),
        server: server.parse().unwrap(),
        protocol: Protocol::Http1,
        stream_id: None,
        request: Some(Request {
            version: Version::Http11,
            fields: fields(&["GET", target], request_fields),
            body: Body::from_bytes(request_body),
            trailers: Fields::default(),
        }),
        response: Some(Response {
            version: Version::Http11,
            status,
            fields: fields(&["OK"], response_fields),
            body: Body::from_bytes(response_body),
            trailers: Fields::default(),
        }),
        interim: Vec::new(),
        upgrade: None,
        timing: Timing {
            request_first: Some(start),
            request_head: Some(start),
            request_last: Some(start),
            response_first: Some(start + Duration::from_millis(4)),
            response_head: Some(start + Duration::from_millis(4)),
            response_last: Some(start + Duration::from_millis(5)),
        },
        evidence: Evidence::Complete,
    }
}

/// Pair number `n`, begun `n` milliseconds after [`START`], with nothing that differs.
pub(crate) fn matched(n: u64) -> Comparison {
    let leg = |leg| {
        exchange(
            leg,
            at(n),
            &format!("/api/v1/items/{n}"),
            (&[("x-request-id", "r")], b""),
            (200, &[("content-type", "application/json")], b"{\"price\":10}"),
        )
    };
    Comparison {
        id: PairId(0xabc0_0000_0000_0000 + n),
        service: ServiceId(0),
        endpoint: ITEMS.into(),
        releases: Arc::default(),
        key: format!("00000000-0000-4000-8000-{n:012x}").into(),
        primary: leg(Leg::Primary).into(),
        shadow: leg(Leg::Shadow).into(),
        verdict: Verdict::Matched,
        divergences: Vec::new(),
        suppressed: Vec::new(),
    }
}

/// Pair number `n` with these divergences.
pub(crate) fn diverged(n: u64, divergences: Vec<Divergence>) -> Comparison {
    Comparison { verdict: Verdict::Diverged, divergences, ..matched(n) }
}

pub(crate) fn price(primary: &str, shadow: &str) -> Divergence {
    Divergence {
        signature: SignatureId(0x51),
        kind: Kind::Body,
        path: "/price".into(),
        pattern: "/price".into(),
        change: Change::Value,
        primary: Some(primary.into()),
        shadow: Some(shadow.into()),
    }
}

pub(crate) fn tag_missing(n: u32) -> Divergence {
    Divergence {
        signature: SignatureId(0x52),
        kind: Kind::Body,
        path: format!("/tags/{n}").into(),
        pattern: "/tags/*".into(),
        change: Change::Missing,
        primary: Some("\"new\"".into()),
        shadow: None,
    }
}

/// The versions that answered.
pub(crate) fn releases(primary: &str, shadow: &str) -> Arc<Releases> {
    Arc::new(Releases::new(primary, shadow))
}

/// A rollup of the minute `minute` minutes after [`START`].
pub(crate) fn rollup(minute: u64, endpoint: &str, counts: EndpointRollup) -> Rollup {
    let endpoint: Arc<str> = endpoint.into();
    let (minute, service, releases) = (at(minute * 60_000), ServiceId(0), Arc::default());
    Rollup { minute, service, endpoint, releases, counts }
}

/// Counts of `matched` + `diverged` pairs, compared on both legs, and `unmirrored` primaries;
/// `micros` are the total times of both legs, the shadow's twice as long.
pub(crate) fn counts(
    matched: u64,
    diverged: u64,
    unmirrored: u64,
    micros: &[u64],
) -> EndpointRollup {
    let mut counts = EndpointRollup { matched, diverged, ..EndpointRollup::default() };
    for leg in [Leg::Primary, Leg::Shadow] {
        let account = &mut counts.legs[leg as usize];
        account.outcomes[Outcome::Compared.index()] = matched + diverged;
        account.paired = latency(micros.iter().map(|us| us * (leg as u64 + 1)));
    }
    counts.legs[Leg::Primary as usize].outcomes[Outcome::Unmirrored.index()] = unmirrored;
    counts
}

fn latency(micros: impl Iterator<Item = u64>) -> Latency {
    let mut histogram = Histogram::new_with_bounds(1, 3_600_000_000, 2).unwrap();
    for us in micros {
        histogram.record(us).unwrap();
    }
    let total_us = Some(histogram).filter(|histogram| !histogram.is_empty());
    Latency { first_byte_us: None, total_us }
}

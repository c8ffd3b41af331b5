//! What the gate says, word for word: a golden file, since people and programs rely on it.

use std::fmt::Write as _;
use std::path::Path;

use compare::gate::{
    Decision, EndpointSample, ErrorTable, Evidence, LatencyLimit, Limits, Missing, Policy, Sample,
    SizeBlock, Span, decide,
};
use hdrhistogram::Histogram;

use crate::traffic::{alike, times};

/// Times spread evenly over `from_us..to_us`.
fn spread(count: u64, from_us: u64, to_us: u64) -> Option<Histogram<u64>> {
    let mut times = times();
    for at in 0..count {
        times.record(from_us + (to_us - from_us) * at / count).unwrap();
    }
    Some(times)
}

/// Both legs with times from 8 to 12 ms, the shadow's `slower` times as long.
fn timed(mut evidence: Evidence, slower: f64) -> Evidence {
    let pairs = evidence.service.compared;
    let slowed = |time: f64| (time * slower) as u64;
    evidence.service.primary.total_us = spread(pairs, 8_000, 12_000);
    evidence.service.shadow.total_us = spread(pairs, slowed(8_000.0), slowed(12_000.0));
    evidence
}

fn endpoint(evidence: &mut Evidence, name: &str, pairs: u64, diverged: u64) {
    let errors = ErrorTable { neither: pairs, ..ErrorTable::default() };
    let legs = timed(alike(pairs), 1.0).service;
    let (primary, shadow) = (legs.primary, legs.shadow);
    let (compared, sizes, acknowledged) = (pairs, Vec::new(), 0);
    let sample = Sample { compared, diverged, acknowledged, errors, primary, shadow, sizes };
    evidence.endpoints.push(EndpointSample { endpoint: name.into(), sample });
}

/// Each piece of evidence with what it is.
fn cases() -> Vec<(&'static str, Policy, Evidence)> {
    let default = Policy::default;
    let mut cases = Vec::new();
    let mut case = |title, policy, evidence| cases.push((title, policy, evidence));

    case("nothing seen", default(), alike(0));
    case("few pairs, all alike", default(), timed(alike(200), 1.0));
    case("many pairs, all alike", default(), timed(alike(20_000), 1.0));

    let mut evidence = timed(alike(10_000), 1.0);
    (evidence.service.diverged, evidence.service.acknowledged) = (120, 31);
    case("one in a hundred diverges", default(), evidence);

    let mut evidence = timed(alike(10_000), 1.0);
    evidence.service.diverged = 12;
    case("divergence near its limit", default(), evidence);

    let mut evidence = timed(alike(20_000), 1.0);
    evidence.service.errors =
        ErrorTable { neither: 19_840, primary_only: 20, shadow_only: 120, both: 20 };
    case("half a percent more errors", default(), evidence);

    let mut evidence = timed(alike(20_000), 1.0);
    evidence.service.errors =
        ErrorTable { neither: 19_860, primary_only: 80, shadow_only: 40, both: 20 };
    case("fewer errors", default(), evidence);

    case("a third slower", default(), timed(alike(20_000), 1.33));
    case("slower by just the limit", default(), timed(alike(20_000), 1.1));

    let latency = vec![LatencyLimit { span: Span::FirstByte, quantile: 0.999, ratio: 1.5 }];
    let policy = Policy { service: Limits { latency, ..Limits::default() }, ..default() };
    let mut evidence = alike(2_000);
    evidence.service.primary.first_byte_us = spread(2_000, 900, 1_500);
    evidence.service.shadow.first_byte_us = spread(2_000, 900, 1_600);
    evidence.sample_rate = 0.1;
    case("too few for p99.9 of a tenth of the traffic", policy, evidence);

    let mut evidence = timed(alike(20_000), 1.0);
    for block in &mut evidence.service.sizes {
        block.shadow_bytes = block.shadow_bytes * 13 / 10;
    }
    case("bodies a third larger", default(), evidence);

    let mut evidence = timed(alike(20_000), 1.0);
    evidence.service.sizes = vec![SizeBlock { primary_bytes: 700, shadow_bytes: 710 }; 4];
    case("few blocks of bodies", default(), evidence);

    let mut evidence = timed(alike(20_000), 1.0);
    endpoint(&mut evidence, "GET /items/{id}", 9_000, 0);
    endpoint(&mut evidence, "POST /orders", 60, 0);
    endpoint(&mut evidence, "GET /prices", 300, 40);
    endpoint(&mut evidence, "GET /rare", 3, 1);
    let required = ["GET /items/{id}", "POST /orders", "DELETE /items/{id}"];
    let required_endpoints = required.into_iter().map(Into::into).collect();
    case("endpoints", Policy { required_endpoints, ..default() }, evidence);

    let mut evidence = timed(alike(20_000), 1.0);
    let accounts = &mut evidence.accounts;
    accounts.packets_lost = 20_000;
    accounts.incomparable = 1_200;
    accounts.unmirrored = 3_000;
    accounts.primary_missing = 1_001;
    accounts.shed = 10_000;
    case("much that was not seen", default(), evidence);

    let service = Limits { error_increase: Some(1.5), ..Limits::default() };
    let policy = Policy { alpha: f64::NAN, service, ..default() };
    case("a policy that cannot be meant", policy, timed(alike(20_000), 1.0));

    cases
}

#[test]
fn reasons_are_said_as_they_were() {
    let mut said = String::new();
    for (title, policy, evidence) in cases() {
        let ruling = decide(&policy, &evidence);
        writeln!(said, "{title}: {}", ruling.decision.as_str()).unwrap();
        for reason in &ruling.reasons {
            let (code, decision) = (reason.check.code(), reason.decision.as_str());
            writeln!(said, "  {decision} {code}\n    {reason}").unwrap();
        }
    }
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gate/reasons.txt");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&golden, &said).unwrap();
    }
    let expected = std::fs::read_to_string(&golden).unwrap();
    assert_eq!(said, expected, "if that is meant, run again with UPDATE_GOLDEN=1");
}

#[test]
fn the_pairs_that_are_missing_would_tell() {
    let divergence_rate = Some(0.001);
    let service = Limits { divergence_rate, ..Limits::default() };
    let policy = Policy { service, ..Policy::default() };
    for (compared, diverged, decision) in
        [(2_000, 0, Decision::Pass), (4_000, 1, Decision::Pass), (4_000, 10, Decision::Fail)]
    {
        let told = |times: f64| {
            let scaled = |count: u64| (count as f64 * times).round() as u64;
            let mut evidence = alike(scaled(compared));
            evidence.service.diverged = scaled(diverged);
            decide(&policy, &evidence)
        };
        let ruling = told(1.0);
        let Some(Missing::Pairs(missing)) = ruling.reasons[0].missing else {
            panic!("{ruling:?}");
        };
        let enough = 1.0 + missing.pairs as f64 / compared as f64;
        assert_eq!(told(1.05 * enough).decision, decision, "{missing:?}");
        assert_eq!(told(0.85 * enough).decision, Decision::Inconclusive, "{missing:?}");
    }
}

#[test]
fn the_same_evidence_gets_the_same_ruling() {
    for (_, policy, evidence) in cases() {
        let (once, again) = (decide(&policy, &evidence), decide(&policy, &evidence.clone()));
        assert_eq!(format!("{once:?}"), format!("{again:?}"));
    }
}

//! Envoy speaks h2c with both backends: many streams on few connections, HPACK, trailers, resets of
//! single streams.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use crate::routes;
use crate::support::backend::{Behaviour, Speaks};
use crate::support::client::{Ask, Payload};
use crate::support::expected;
use crate::support::report;
use crate::support::stage::{Stage, requests};

/// All of this traffic fits: a machine whose processors are busy with something else drops nothing.
const SETTINGS: &str = "kernel_buffer_bytes = 268435456\n";

fn stage() -> Stage {
    Stage::on_loopback_speaking(Speaks::H2c, SETTINGS, Duration::from_secs(30))
}

/// The `n`th body of this many bytes: no other has the same content.
fn body(n: usize, size: usize) -> Bytes {
    (0..size).map(|i| (i * 31 + n * 7 + i / 256) as u8).collect()
}

#[test]
fn three_routes_over_h2c_are_reported_as_they_were_mirrored() {
    routes::play_and_check(stage());
}

#[test]
fn posted_bodies_and_trailers_over_h2c_are_equal_where_nothing_was_injected() {
    let sizes = [0, 1, 100, 16_383, 16_384, 16_385, 65_535, 65_536, 300_000];
    let mut asks = Vec::new();
    for (index, size) in sizes.into_iter().enumerate() {
        for round in 0..12 {
            // No multiple of 50 and none of 1 or 2 more: nothing is injected here.
            let n = 3 + index * 50 + round;
            let content = body(n, size);
            asks.push(Ask::post(format!("/api/v1/echo/{n}"), Payload::Sized(content.clone())));
            asks.push(Ask::post(format!("/api/v1/rpc/{n}"), Payload::Chunked(content)));
        }
    }
    let mut stage = stage();
    let answers = stage.play(&asks);
    for (ask, answer) in asks.iter().zip(&answers) {
        let (Payload::Sized(sent) | Payload::Chunked(sent)) = &ask.payload else { continue };
        assert!(answer.status == 200 && answer.body == sent, "{} is not echoed", ask.path);
    }
    let finished = stage.finish();
    let incomparable = report::counts(&report::service(&finished.report)["pairs"]["incomparable"]);
    assert_eq!(
        incomparable,
        BTreeMap::new(),
        "{:#?}",
        report::service(&finished.report)["capture"]
    );
    let all = asks.len() as u64;
    for leg in ["primary", "shadow"] {
        let compared = BTreeMap::from([("compared".into(), all)]);
        assert_eq!(report::outcomes(&finished.report, leg), compared);
    }
    assert_eq!(report::number(&finished.report, "/pairs/matched"), all);
    assert_eq!(report::signatures(&finished.report), BTreeMap::new());
    assert_eq!(
        report::counts(&report::service(&finished.report)["capture"]["anomalies"]),
        BTreeMap::new()
    );
    report::assert_reconciled(&finished.report, all, all);
}

#[test]
fn a_status_behind_a_body_that_differs_is_found_and_nothing_else() {
    let ask = |n: usize| Ask::post(format!("/api/v1/rpc/{n}"), Payload::Sized(body(n, 500)));
    let asks: Vec<_> = (3..=400).filter(|n| n % 200 != 2).map(ask).collect();
    let mut stage = stage();
    stage.play(&asks);
    let finished = stage.finish();
    let report = &finished.report;
    let incomparable = report::counts(&report::service(report)["pairs"]["incomparable"]);
    assert_eq!(incomparable, BTreeMap::new(), "{:#?}", report::service(report)["capture"]);
    let all = BTreeMap::from([("compared".into(), asks.len() as u64)]);
    assert_eq!(report::outcomes(report, "primary"), all);
    assert_eq!(report::outcomes(report, "shadow"), all);
    let expected = expected::signatures(requests(&finished.shadow));
    assert_eq!(expected.len(), 1, "{expected:?}");
    assert_eq!(expected.values().sum::<u64>(), 8, "50 to 400");
    assert_eq!(report::signatures(report), expected);
    assert_eq!(report::number(report, "/pairs/diverged"), 8);
    assert_eq!(report::number(report, "/pairs/matched"), asks.len() as u64 - 8);
}

#[test]
fn a_shadow_that_resets_streams_is_counted_and_the_connection_stays_in_step() {
    let mut stage = stage();
    play(&mut stage, "healthy", 60);
    stage.shadow.behave(Behaviour::ResetBeforeAnswer);
    play(&mut stage, "reset", 25);
    stage.shadow.behave(Behaviour::ResetInAnswer);
    play(&mut stage, "broken", 20);
    stage.shadow.behave(Behaviour::Prompt);
    play(&mut stage, "back", 70);
    let finished = stage.finish();
    let report = &finished.report;
    let both = BTreeMap::from([("compared".to_owned(), 130), ("incomparable".to_owned(), 45)]);
    assert_eq!(report::outcomes(report, "primary"), both);
    assert_eq!(report::outcomes(report, "shadow"), both);
    assert_eq!(
        report::counts(&report::service(report)["pairs"]["incomparable"]),
        BTreeMap::from([("reset".to_owned(), 45)])
    );
    assert_eq!(report::signatures(report), BTreeMap::new());
    assert_eq!(report::number(report, "/pairs/matched"), 130);
    // The streams ended, and not the connections.
    let ended = finished.stats.cluster("shadow_shop", "upstream_cx_destroy_remote_with_active_rq");
    assert_eq!(ended, 0);
    report::assert_reconciled(report, 175, 175);
}

/// Plays `count` requests for items that do not differ; every one must be answered with 200.
fn play(stage: &mut Stage, phase: &str, count: usize) {
    let numbers = (3..).filter(|n| n % 50 > 2).take(count);
    let asks: Vec<_> = numbers.map(|n| Ask::get(format!("/api/v1/{phase}/{n}"))).collect();
    let answers = stage.play(&asks);
    assert!(answers.iter().all(|answer| answer.status == 200), "{phase}");
}

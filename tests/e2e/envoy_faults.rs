//! The shadow slow, given up, resetting, down, and back: the primary is not affected, every outcome
//! is counted by its reason, and none of it is taken for a difference.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::support::backend::Behaviour;
use crate::support::client::{Answer, Ask};
use crate::support::report;
use crate::support::stage::Stage;

/// After this long Envoy gives a request up.
const ENVOY_TIMEOUT: Duration = Duration::from_secs(4);
/// Slow, but within what Envoy waits for.
const SLOW: Duration = Duration::from_secs(2);
/// Longer than Envoy waits.
const TOO_SLOW: Duration = Duration::from_secs(60);

#[test]
fn a_failing_shadow_is_counted_by_reason_and_never_reported_as_a_divergence() {
    let mut stage = Stage::on_loopback(ENVOY_TIMEOUT);

    play(&mut stage, "healthy", 60);

    stage.shadow.behave(Behaviour::Slow(SLOW));
    let answers = play(&mut stage, "slow", 40);
    let slowest = answers.iter().map(|a| a.latency).max().unwrap();
    assert!(slowest < SLOW, "the primary's {slowest:?} waited for the shadow's {SLOW:?}");

    stage.shadow.behave(Behaviour::Slow(TOO_SLOW));
    play(&mut stage, "stuck", 30);

    stage.shadow.behave(Behaviour::ResetBeforeAnswer);
    play(&mut stage, "reset", 25);

    stage.shadow.behave(Behaviour::ResetInAnswer);
    play(&mut stage, "broken", 20);

    stage.shadow.behave(Behaviour::Prompt);
    stage.shadow.go_down();
    play(&mut stage, "down", 50);

    stage.shadow.come_back();
    play(&mut stage, "back", 70);

    let finished = stage.finish();
    let report = &finished.report;

    // The shadow's own word first: all but the copies sent while it was down reached it.
    assert_eq!(finished.shadow.len(), 60 + 40 + 30 + 25 + 20 + 70);

    let both_legs = [("compared".to_owned(), 60 + 40 + 70), ("incomparable".to_owned(), 75)];
    assert_eq!(report::outcomes(report, "shadow"), BTreeMap::from(both_legs.clone()));
    let mut primary = BTreeMap::from(both_legs);
    primary.insert("unmirrored".to_owned(), 50);
    assert_eq!(report::outcomes(report, "primary"), primary);

    // Stuck: Envoy gave up. Reset and broken: the shadow did.
    assert_eq!(
        report::counts(&report::service(report)["pairs"]["incomparable"]),
        BTreeMap::from([("proxy_aborted".to_owned(), 30), ("reset".to_owned(), 25 + 20)])
    );
    assert_eq!(report::signatures(report), BTreeMap::new());
    assert_eq!(report::number(report, "/pairs/matched"), 60 + 40 + 70);

    // Phase by phase, as the report has it by endpoint.
    let compared = BTreeMap::from([
        ("healthy", 60),
        ("slow", 40),
        ("stuck", 0),
        ("reset", 0),
        ("broken", 0),
        ("down", 0),
        ("back", 70),
    ]);
    for (phase, compared) in compared {
        assert_eq!(endpoint(report, phase)["compared"], compared, "{phase}");
    }

    // Envoy's counters say the same: it counts an upstream request when a connection takes it, so
    // a refused connection is a request for neither of the two.
    let shadow = |name: &str| finished.stats.cluster("shadow_shop", name);
    assert_eq!(shadow("upstream_rq_timeout"), 30);
    assert_eq!(shadow("upstream_rq_pending_failure_eject"), 50);
    assert_eq!(shadow("upstream_cx_destroy_remote_with_active_rq"), 25 + 20);
    report::assert_reconciled(report, finished.primary.len() as u64, finished.shadow.len() as u64);
}

#[test]
fn a_shadow_slower_than_the_tap_waits_is_timed_out_and_the_connection_stays_in_step() {
    let mut stage =
        Stage::on_loopback_with("response_timeout_ms = 1000\n", Duration::from_secs(30));
    play(&mut stage, "healthy", 20);
    stage.shadow.behave(Behaviour::Slow(Duration::from_secs(4)));
    play(&mut stage, "late", 16);
    stage.shadow.behave(Behaviour::Prompt);
    play(&mut stage, "back", 40);

    let finished = stage.finish();
    let report = &finished.report;
    let expected = BTreeMap::from([("compared".into(), 60), ("incomparable".into(), 16)]);
    assert_eq!(report::outcomes(report, "primary"), expected);
    assert_eq!(report::outcomes(report, "shadow"), expected);
    assert_eq!(
        report::counts(&report::service(report)["pairs"]["incomparable"]),
        BTreeMap::from([("timed_out".to_owned(), 16)])
    );
    // The answers came after all, and were not taken for those of the requests that followed.
    assert_eq!(report::number(report, "/capture/anomalies/late_response"), 16);
    assert_eq!(report::signatures(report), BTreeMap::new());
    report::assert_reconciled(report, 76, 76);
}

/// Plays `count` requests for items that do not differ; every one must be answered with 200.
fn play(stage: &mut Stage, phase: &str, count: u64) -> Vec<Answer> {
    let numbers = (3..).filter(|n| n % 50 > 2).take(usize::try_from(count).unwrap());
    let asks: Vec<_> = numbers.map(|n| Ask::get(format!("/api/v1/{phase}/{n}"))).collect();
    let answers = stage.play(&asks);
    assert!(answers.iter().all(|answer| answer.status == 200), "{phase}");
    answers
}

fn endpoint<'a>(report: &'a serde_json::Value, phase: &str) -> &'a serde_json::Value {
    let name = format!("GET /api/v1/{phase}/{{id}}");
    let endpoints = report::service(report)["endpoints"].as_array().unwrap();
    endpoints
        .iter()
        .find(|e| e["endpoint"] == name.as_str())
        .unwrap_or_else(|| panic!("no {name} in {endpoints:#?}"))
}

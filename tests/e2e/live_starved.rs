//! A tap that is kept from its work loses packets or exchanges: it says so, closes its accounts,
//! and takes nothing of it for a divergence.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::client::{Ask, Payload};
use crate::support::place::Place;
use crate::support::process::Process;
use crate::support::report::{self, number, outcomes, signatures};
use crate::support::stage::{Finished, Stage};
use crate::support::wait_for;

/// Numbers at which the shadow answers as the primary does: every divergence would be a false one.
fn alike(from: u64) -> impl Iterator<Item = u64> {
    (from..).filter(|n| (3..50).contains(&(n % 50)))
}

fn pairs_of(report: &Value, endpoint: &str) -> u64 {
    let endpoints = report::service(report)["endpoints"].as_array().expect("an array");
    let found = endpoints.iter().find(|e| e["endpoint"] == endpoint);
    found.and_then(|e| e["pairs"].as_u64()).unwrap_or(0)
}

/// No pair was found to differ, whatever was lost.
fn assert_no_false_divergence(finished: &Finished) {
    let report = &finished.report;
    assert_eq!(number(report, "/pairs/diverged"), 0, "{}", finished.text);
    assert!(signatures(report).is_empty(), "{}", finished.text);
}

#[test]
fn a_tap_without_a_processor_counts_what_the_kernel_dropped_and_invents_no_divergence() {
    // The smallest buffer, and while the tap stands still several times what fits in it.
    let settings = "kernel_buffer_bytes = 1048576\nresponse_timeout_ms = 2000\n";
    let mut stage = Stage::on_loopback_with(settings, Duration::from_secs(30));
    let before: Vec<Ask> =
        alike(1).take(200).map(|n| Ask::get(format!("/api/v1/items/{n}"))).collect();
    let body = vec![b'x'; 20_000];
    let meanwhile: Vec<Ask> = alike(10_000)
        .take(400)
        .map(|n| Ask::post(format!("/api/v1/echo/{n}"), Payload::Sized(body.clone().into())))
        .collect();
    let after: Vec<Ask> =
        alike(20_000).take(400).map(|n| Ask::get(format!("/api/v1/chunked/{n}"))).collect();
    stage.play(&before);
    stage.daemon.freeze();
    stage.play(&meanwhile);
    stage.daemon.thaw();
    stage.play(&after);
    let finished = stage.finish_starved();

    let report = &finished.report;
    assert_no_false_divergence(&finished);
    assert!(number(report, "/capture/kernel_drops") > 0, "{}", finished.text);
    let asked = (before.len() + meanwhile.len() + after.len()) as u64;
    let compared = number(report, "/pairs/compared");
    assert!(compared < asked, "what was dropped was not compared: {}", finished.text);
    assert_eq!(pairs_of(report, "GET /api/v1/items/{id}"), before.len() as u64);
    let recovered = pairs_of(report, "GET /api/v1/chunked/{id}");
    assert!(recovered > 0, "the tap goes on where it is let: {}", finished.text);
    // Of the connections cut into by the loss at least one message shows it.
    let labelled: u64 = report::counts(&report::service(report)["pairs"]["incomparable"])
        .values()
        .chain(
            outcomes(report, "primary")
                .iter()
                .filter(|(name, _)| *name != "compared")
                .map(|(_, n)| n),
        )
        .sum();
    assert!(labelled > 0 || number(report, "/capture/gaps") > 0, "{}", finished.text);
}

/// Holds the store's write lock until it is dropped, as a long transaction of another program would.
fn lock(store: &std::path::Path) -> Process {
    let script = "import signal, sqlite3, sys\n\
                  connection = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)\n\
                  connection.execute('BEGIN IMMEDIATE')\n\
                  print('locked', file=sys.stderr, flush=True)\n\
                  signal.pause()\n";
    let mut locker =
        Process::start("python3", Place::Host.command("python3").args(["-c", script]).arg(store));
    locker.wait_for_line("locked");
    locker
}

#[test]
fn a_judge_that_waits_for_its_store_makes_capture_shed_whole_pairs_and_count_them() {
    let settings = "queue_exchanges = 64\n";
    let mut stage = Stage::on_loopback_with(settings, Duration::from_secs(30));
    let mut numbers = alike(1);
    let mut asked = 0;
    let mut play = |stage: &mut Stage| {
        let asks: Vec<Ask> =
            (&mut numbers).take(200).map(|n| Ask::get(format!("/api/v1/items/{n}"))).collect();
        asked += asks.len() as u64;
        stage.play(&asks);
    };
    play(&mut stage);
    let locker = lock(stage.daemon.store());
    play(&mut stage);
    stage.daemon.wait_for_line("what was judged is kept in memory");
    // A few batches, one a second, still fit before the judge has to wait.
    let waiting_since = Instant::now();
    wait_for("the batches to fill", || {
        play(&mut stage);
        (waiting_since.elapsed() > Duration::from_secs(8)).then_some(())
    });
    drop(locker);
    let finished = stage.finish_starved();

    let report = &finished.report;
    assert_no_false_divergence(&finished);
    for leg in ["primary", "shadow"] {
        let outcomes = outcomes(report, leg);
        let shed: u64 =
            outcomes.iter().filter(|(name, _)| name.starts_with("shed")).map(|(_, n)| n).sum();
        assert!(shed > 0, "{}", finished.text);
        let compared = number(report, "/pairs/compared");
        assert_eq!(shed + compared, asked, "{leg}: nothing else came of them: {outcomes:?}");
    }
}

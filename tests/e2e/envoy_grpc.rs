//! gRPC through Envoy: unary calls and streams from a client that speaks h2c, mirrored to a backend
//! whose answers are wrong in known ways.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::support::backend::Speaks;
use crate::support::client::Ask;
use crate::support::expected::Signature;
use crate::support::grpc::{self, Fault, GET, WATCH};
use crate::support::report;
use crate::support::stage::{Finished, Stage};

/// All of this traffic fits: a machine whose processors are busy with something else drops nothing.
const SETTINGS: &str = "kernel_buffer_bytes = 268435456\n";

/// Calls of each method: so many turns of ten, each with one of every fault.
const TURNS: u64 = 12;

/// What is to be found of the calls of `path`, by signature.
fn expected(path: &str) -> Vec<(&'static str, &'static str, &'static str)> {
    let of_stream = path == WATCH;
    vec![
        ("body", if of_stream { "/*/price/cents" } else { "/price/cents" }, "value"),
        ("body", if of_stream { "/*/tags/*" } else { "/tags/*" }, "missing"),
        ("status", "grpc", "value"),
        ("trailer", "x-sum", "value"),
    ]
}

#[test]
fn what_a_grpc_service_gets_wrong_is_found_where_it_is_and_nothing_else() {
    let numbers: Vec<u64> = (0..TURNS * 10).collect();
    let asks: Vec<Ask> = numbers
        .iter()
        .flat_map(|&n| [Ask::grpc(GET, grpc::ask(n)), Ask::grpc(WATCH, grpc::ask(n))])
        .collect();
    let set = grpc::descriptor_set();
    let timeout = Duration::from_secs(30);
    let mut stage = Stage::on_loopback_described(Speaks::H2c, SETTINGS, set, timeout);
    let answers = stage.play_over(Speaks::H2c, &asks);
    for (answer, n) in answers.iter().zip(numbers.iter().flat_map(|n| [n, n])) {
        assert_eq!(answer.grpc_status.as_deref(), Some(Fault::of(*n).primary_status()), "{n}");
    }
    let finished = stage.finish();
    let report = &finished.report;

    let all = asks.len() as u64;
    let retried = 2 * TURNS;
    assert_eq!(
        report::outcomes(report, "primary"),
        BTreeMap::from([("compared".into(), all), ("retried".into(), retried)])
    );
    assert_eq!(report::outcomes(report, "shadow"), BTreeMap::from([("compared".into(), all)]));
    let mut signatures = BTreeMap::new();
    for path in [GET, WATCH] {
        for (kind, place, change) in expected(path) {
            let signature = Signature {
                endpoint: format!("POST {path}"),
                kind: kind.into(),
                path: place.into(),
                change: change.into(),
            };
            // Two of the faults are another status.
            let count = if kind == "status" { 2 * TURNS } else { TURNS };
            signatures.insert(signature, count);
        }
    }
    assert_eq!(report::signatures(report), signatures);
    let diverging = numbers.iter().filter(|&&n| {
        !matches!(Fault::of(n), Fault::None | Fault::StatusElsewhere | Fault::Gzip | Fault::Retried)
    });
    assert_eq!(report::number(report, "/pairs/diverged"), 2 * diverging.count() as u64);
    let zipped = report::suppressed(report)["builtin:content-encoding"];
    assert_eq!(zipped, 2 * TURNS, "the field that says how messages are compressed");
    report::assert_reconciled(report, all + retried, all);

    // The signatures' paths are patterns; the places are those of single messages.
    let found = |path: &str| places(&finished, path);
    assert_eq!(found("/price/cents"), BTreeSet::from(["/price/cents".to_owned()]));
    assert_eq!(found("/*/price/cents"), BTreeSet::from(["/1/price/cents".to_owned()]));
    assert_eq!(found("/tags/*"), BTreeSet::from(["/tags/1".to_owned()]));
    assert_eq!(found("/*/tags/*"), BTreeSet::from(["/0/tags/1".to_owned()]));
}

/// Where the examples of the signature at the pattern `path` differ, each place once.
fn places(finished: &Finished, path: &str) -> BTreeSet<String> {
    let signatures = report::service(&finished.report)["signatures"].as_array().unwrap();
    let signature = signatures.iter().find(|s| s["path"] == path).expect("it was found");
    let shown = finished.store.show(signature["id"].as_str().unwrap());
    let examples = shown["examples"].as_array().unwrap().iter();
    let places = examples.flat_map(|pair| pair["divergences"].as_array().unwrap());
    places.map(|place| place["path"].as_str().unwrap().to_owned()).collect()
}

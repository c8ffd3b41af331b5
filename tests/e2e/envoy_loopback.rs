//! Envoy, both backends and the client on `lo`, the tap with them.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use crate::routes;
use crate::support::client::{Ask, Payload};
use crate::support::report;
use crate::support::stage::Stage;

#[test]
fn three_routes_on_loopback_are_reported_as_they_were_mirrored() {
    routes::play_and_check(Stage::on_loopback(Duration::from_secs(15)));
}

#[test]
fn posted_bodies_of_every_size_are_verified_equal_on_both_legs() {
    let small = [1, 2, 100, 1_447, 1_448, 1_449, 4_095, 4_096, 16_384];
    let large = [65_535, 65_536, 100_000, 262_144, 1_000_000];
    let sizes = small.iter().map(|&size| (size, 30)).chain(large.iter().map(|&size| (size, 6)));
    let mut asks = Vec::new();
    for (index, (size, rounds)) in sizes.enumerate() {
        for round in 0..rounds {
            // No multiple of 50 and none of 1 or 2 more: nothing is injected here.
            let n = 3 + index * 50 + round;
            // Distinct content, so that a body given to the wrong request would differ.
            let body: Bytes = (0..size).map(|i| (i * 31 + n * 7) as u8).collect();
            let path = format!("/api/v1/echo/{n}");
            asks.push(Ask::post(&path, Payload::Sized(body.clone())));
            asks.push(Ask::post(path, Payload::Chunked(body)));
        }
    }
    // All of this traffic fits: a machine whose processors are busy with something else drops
    // nothing.
    let settings = "kernel_buffer_bytes = 268435456\n";
    let mut stage = Stage::on_loopback_with(settings, Duration::from_secs(30));
    let answers = stage.play(&asks);
    for (ask, answer) in asks.iter().zip(&answers) {
        let (Payload::Sized(sent) | Payload::Chunked(sent)) = &ask.payload else { continue };
        assert!(answer.status == 200 && answer.body == sent, "{} is not echoed", ask.path);
    }
    let finished = stage.finish();

    let all = asks.len() as u64;
    assert!(all >= 500, "{all}");
    assert_eq!(finished.shadow.len() as u64, all, "Envoy copies every body up to 1 MB");
    for leg in ["primary", "shadow"] {
        assert_eq!(
            report::outcomes(&finished.report, leg),
            BTreeMap::from([("compared".into(), all)])
        );
    }
    assert_eq!(report::number(&finished.report, "/pairs/request_bodies_equal"), all);
    assert_eq!(report::number(&finished.report, "/pairs/matched"), all);
    assert_eq!(report::signatures(&finished.report), BTreeMap::new());
    report::assert_reconciled(&finished.report, all, all);
}

//! What has to hold of the three routes, wherever the parts run: the core of the loopback and the
//! namespace tests.

use std::collections::BTreeMap;

use crate::support::client::Ask;
use crate::support::expected::{self, binomial_interval};
use crate::support::report;
use crate::support::stage::{Stage, requests};

const V1_REQUESTS: u64 = 600;
const V2_REQUESTS: u64 = 1_000;
const V3_REQUESTS: u64 = 500;

/// Plays all three routes and checks what is reported of each.
pub(crate) fn play_and_check(mut stage: Stage) {
    let (v1, v2, v3) = (mirrored(), half_mirrored(), not_mirrored());
    for asks in [&v1, &v2, &v3] {
        stage.play(asks);
    }
    let finished = stage.finish();
    let report = &finished.report;

    // The backends' own word for what was asked of them.
    let v2_mirrored =
        finished.shadow.iter().filter(|(_, path)| path.starts_with("/api/v2/")).count() as u64;
    assert_eq!(finished.primary.len() as u64, V1_REQUESTS + V2_REQUESTS + V3_REQUESTS);
    assert_eq!(finished.shadow.len() as u64, V1_REQUESTS + v2_mirrored);

    // Every mirrored request is a compared pair, every other one is unmirrored, nothing else.
    let compared = V1_REQUESTS + v2_mirrored;
    let unmirrored = V2_REQUESTS - v2_mirrored + V3_REQUESTS;
    assert_eq!(
        report::outcomes(report, "primary"),
        BTreeMap::from([("compared".into(), compared), ("unmirrored".into(), unmirrored)])
    );
    assert_eq!(report::outcomes(report, "shadow"), BTreeMap::from([("compared".into(), compared)]));

    // By route.
    assert_eq!(route(report, "/api/v1/"), Route { seen: 600, pairs: 600, unmirrored: 0 });
    let half = route(report, "/api/v2/");
    assert_eq!(half.seen, V2_REQUESTS);
    assert_eq!(half.pairs, v2_mirrored);
    assert_eq!(half.unmirrored, V2_REQUESTS - v2_mirrored);
    let interval = binomial_interval(V2_REQUESTS, 0.5, 0.999);
    assert!(interval.contains(&half.pairs), "{} of {V2_REQUESTS} mirrored", half.pairs);
    assert_eq!(route(report, "/api/v3/"), Route { seen: 500, pairs: 0, unmirrored: 500 });

    // Every injected difference by its place and number, and not one more.
    assert_eq!(report::signatures(report), expected::signatures(requests(&finished.shadow)));
    let diverged = expected::diverged(requests(&finished.shadow));
    assert_eq!(report::number(report, "/pairs/diverged"), diverged);
    assert_eq!(report::number(report, "/pairs/matched"), compared - diverged);

    // The noise was seen and silenced by the rules that were given for it.
    let suppressed = report::suppressed(report);
    for rule in crate::support::shop::IGNORE {
        assert!(suppressed.get(rule).is_some_and(|&n| n > 0), "{rule} in {suppressed:?}");
    }

    // Envoy counted the same.
    assert_eq!(finished.stats.primary_requests(), finished.primary.len() as u64);
    assert_eq!(finished.stats.shadow_requests(), finished.shadow.len() as u64);
    report::assert_reconciled(
        report,
        finished.stats.primary_requests(),
        finished.stats.shadow_requests(),
    );
    for cluster in ["primary_shop", "shadow_shop"] {
        assert!(finished.text.contains(cluster), "no {cluster} in:\n{}", finished.text);
    }
}

/// Every kind of resource, all copied.
fn mirrored() -> Vec<Ask> {
    let ask = |n: u64| match (n / 10 + n) % 10 {
        0 | 1 => Ask::get(format!("/api/v1/gz/{n}")),
        2 => Ask::get(format!("/api/v1/chunked/{n}")),
        3 => Ask::get(format!("/api/v1/nocontent/{n}")),
        4 => Ask::head(format!("/api/v1/items/{n}")),
        5 => Ask::get(format!("/api/v1/fail/{n}")),
        _ => Ask::get(format!("/api/v1/items/{n}")),
    };
    (1..=V1_REQUESTS).map(ask).collect()
}

/// Items with ids of the client's own. Envoy draws whether to copy from the request id, so the
/// same ids make the same share in every run.
fn half_mirrored() -> Vec<Ask> {
    let ask = |n: u64| Ask::get(format!("/api/v2/items/{n}")).with_id(request_id(n));
    (1..=V2_REQUESTS).map(ask).collect()
}

fn not_mirrored() -> Vec<Ask> {
    (1..=V3_REQUESTS).map(|n| Ask::get(format!("/api/v3/items/{n}"))).collect()
}

/// The `n`th UUID of a fixed sequence (splitmix64).
fn request_id(n: u64) -> String {
    let draw = |state: u64| {
        let state = state.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        state ^ (state >> 31)
    };
    let (a, b) = (draw(2 * n), draw(2 * n + 1));
    format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        a >> 32,
        a >> 16 & 0xffff,
        a & 0xfff,
        b >> 48 & 0xfff,
        b & 0xffff_ffff_ffff
    )
}

#[derive(Debug, PartialEq, Eq)]
struct Route {
    seen: u64,
    pairs: u64,
    unmirrored: u64,
}

/// The sums over the endpoints below `prefix`.
fn route(report: &serde_json::Value, prefix: &str) -> Route {
    let endpoints = report::service(report)["endpoints"].as_array().expect("an array");
    let below = |endpoint: &&serde_json::Value| {
        endpoint["endpoint"].as_str().is_some_and(|name| name.contains(prefix))
    };
    let sum = |key: &str| {
        endpoints
            .iter()
            .filter(below)
            .map(|e| e[key].as_u64().unwrap_or_else(|| panic!("no number at {key}: {e:#}")))
            .sum()
    };
    Route { seen: sum("primary_seen"), pairs: sum("compared"), unmirrored: sum("unmirrored") }
}

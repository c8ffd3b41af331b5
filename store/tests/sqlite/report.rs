//! The same questions have the same answers.

use std::path::Path;

use crate::traffic::*;
use capture::{Evidence, Leg};
use compare::{Incomparable, Outcome, PairId, ShedReason, SignatureId, Verdict};
use store::{AgentCounters, Limits, Query, Report, SqliteStore, Store};

/// A store with two minutes of known traffic in it, written in two batches.
fn filled() -> SqliteStore {
    let mut store = SqliteStore::in_memory().unwrap();
    fill(&mut store);
    store
}

fn fill(store: &mut SqliteStore) {
    let mut batcher = batcher();
    for n in 0..7 {
        batcher.add(&matched(n));
    }
    batcher.add(&diverged(7, vec![price("10", "10.01"), tag_missing(0), tag_missing(1)]));
    let mut first = counts(7, 1, 2, &[5_000; 8]);
    first.request_bodies_equal = 3;
    first.suppressed = vec![("builtin:date".into(), 8), ("ignore-0".into(), 9)];
    batcher.add_rollups(vec![rollup(0, ITEMS, first)]);
    batcher.set_agent(AgentCounters { packets: 50, ..AgentCounters::default() });
    store.write(&batcher.take()).unwrap();

    batcher.add(&diverged(60_001, vec![price("20", "20.01")]));
    batcher.add(&diverged(60_002, vec![price("30", "30.01")]));
    let mut gap = matched(60_003);
    gap.verdict = Verdict::Incomparable(Incomparable::Evidence(Evidence::Gap));
    batcher.add(&gap);
    let mut second = counts(0, 2, 0, &[9_000; 3]);
    second.incomparable = vec![(Incomparable::Evidence(Evidence::Gap), 1)];
    for leg in [Leg::Primary, Leg::Shadow] {
        second.legs[leg as usize].outcomes[Outcome::Incomparable.index()] = 1;
    }
    let shed = Outcome::Shed(ShedReason::QueueFull).index();
    second.legs[Leg::Primary as usize].outcomes[shed] = 1;
    // Both in one minute and endpoint: they are added, not replaced.
    let more = counts(0, 0, 1, &[]);
    batcher.add_rollups(vec![rollup(1, ITEMS, second), rollup(1, ITEMS, more)]);
    batcher.add_rollups(vec![rollup(1, "POST /api/v3/items", counts(0, 0, 4, &[]))]);
    let mut agent = AgentCounters { packets: 90, kernel_drops: 2, gaps: 1, ..Default::default() };
    agent.anomalies.insert("bare_lf".into(), 3);
    batcher.set_agent(agent);
    store.write(&batcher.take()).unwrap();
}

#[test]
fn the_report_is_the_golden_one() {
    let report = filled().report(&Query::default()).unwrap();
    let json = serde_json::to_string_pretty(&report).unwrap() + "\n";
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sqlite/golden/report.json");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&golden, &json).unwrap();
    }
    let expected = std::fs::read_to_string(&golden).unwrap();
    assert_eq!(json, expected, "if that is meant, run again with UPDATE_GOLDEN=1");
    let read: Report = serde_json::from_str(&json).unwrap();
    assert_eq!(read, report);
}

#[test]
fn a_file_answers_as_memory_does() {
    let folder = tempfile::tempdir().unwrap();
    let mut file = SqliteStore::create_or_open(&folder.path().join("s.db")).unwrap();
    fill(&mut file);
    for service in [None, Some("shop".to_owned()), Some("no such".to_owned())] {
        let query = Query { service, ..Query::default() };
        assert_eq!(file.report(&query).unwrap(), filled().report(&query).unwrap());
    }
}

#[test]
fn the_sums_hold() {
    let report = filled().report(&Query::default()).unwrap();
    let shop = report.services.iter().find(|service| service.service == "shop").unwrap();
    for leg in [&shop.accounts.primary, &shop.accounts.shadow] {
        assert_eq!(leg.seen, leg.outcomes.values().sum::<u64>());
        assert_eq!(leg.outcomes["compared"], shop.pairs.compared);
    }
    assert_eq!(shop.pairs.compared, shop.pairs.matched + shop.pairs.diverged);
    // 10 compared, 7 unmirrored, 1 incomparable, 1 shed.
    assert_eq!(shop.accounts.primary.seen, 19);
    assert!((report.sample_rate - 18.0 / 19.0).abs() < 1e-6);
}

#[test]
fn a_window_is_whole_minutes_and_shows_only_what_lies_in_it() {
    let store = filled();
    let query = Query { from: Some(at(30_000)), to: Some(at(59_999)), ..Query::default() };
    let report = store.report(&query).unwrap();
    let at_text = |text: &Option<String>| text.clone().unwrap();
    assert_eq!(at_text(&report.from), "2023-11-14T22:14:00Z");
    assert_eq!(at_text(&report.to), "2023-11-14T22:15:00Z");
    let shop = &report.services[1];
    assert_eq!((shop.pairs.matched, shop.pairs.diverged), (7, 1));
    let counts: Vec<_> = shop.signatures.iter().map(|s| (s.count, s.pairs)).collect();
    assert_eq!(counts, [(2, 1), (1, 1)]);
    let whole_minute = Query { from: Some(at(0)), to: Some(at(60_000)), ..Query::default() };
    assert_eq!(store.report(&whole_minute).unwrap(), report);
    let late = Query { from: Some(at(60_000)), ..Query::default() };
    let shop = &store.report(&late).unwrap().services[1];
    assert_eq!(shop.signatures.len(), 1);
    assert_eq!(shop.signatures[0].first_seen, "2023-11-14T22:15:00.001Z");
    assert_eq!(shop.endpoints[0].latency.primary.total.count, 3);
}

#[test]
fn an_endpoint_is_shown_alone() {
    let endpoint = Some("POST /api/v3/items".to_owned());
    let report = filled().report(&Query { endpoint, ..Query::default() }).unwrap();
    let shop = &report.services[1];
    assert_eq!(shop.endpoints.len(), 1);
    assert_eq!(shop.accounts.primary.outcomes["unmirrored"], 4);
    assert!(shop.signatures.is_empty());
}

#[test]
fn an_empty_store_reports_nothing_and_fails_nothing() {
    let store = SqliteStore::in_memory().unwrap();
    let report = store.report(&Query::default()).unwrap();
    assert!(report.services.is_empty() && report.from.is_none() && report.to.is_none());
    assert!(store.pair(PairId(1)).unwrap().is_none());
    assert!(store.signature(SignatureId(1), None).unwrap().is_none());
}

#[test]
fn a_pair_is_shown_whether_it_matched_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = SqliteStore::create_or_open(&folder.path().join("s.db")).unwrap();
    fill(&mut store);
    let pair = store.pair(matched(3).id).unwrap().unwrap();
    assert_eq!((pair.verdict.as_str(), pair.service.as_str()), ("matched", "shop"));
    assert_eq!(pair.endpoint, ITEMS);
    assert_eq!(pair.key, "00000000-0000-4000-8000-000000000003");
    assert_eq!(pair.start, "2023-11-14T22:14:00.003Z");
    assert_eq!((pair.primary.status, pair.primary.first_byte_us), (Some(200), Some(4_000)));
    assert_eq!(pair.shadow.total_us, Some(5_000));

    let pair = store.pair(matched(7).id).unwrap().unwrap();
    assert_eq!(pair.verdict, "diverged");
    let paths: Vec<_> = pair.divergences.iter().map(|d| d.path.as_str()).collect();
    assert_eq!(paths, ["/price", "/tags/0", "/tags/1"]);
    assert_eq!(pair.divergences[1].shadow, None);
    let shadow = pair.shadow.exchange.unwrap();
    assert_eq!(shadow.server, "10.9.1.12:8080");
    assert_eq!(shadow.request.unwrap().start_line, "GET /api/v1/items/7 HTTP/1.1");
    assert_eq!(shadow.response.unwrap().body.text.unwrap(), "{\"price\":10}");

    let pair = store.pair(matched(60_003).id).unwrap().unwrap();
    assert_eq!((pair.verdict.as_str(), pair.reason.as_deref()), ("incomparable", Some("gap")));
}

#[test]
fn a_signature_is_shown_with_its_examples() {
    let detail = filled().signature(SignatureId(0x51), None).unwrap().unwrap();
    assert_eq!((detail.service.as_str(), detail.signature.count), ("shop", 3));
    let ids: Vec<_> = detail.examples.iter().map(|pair| pair.id.clone()).collect();
    assert_eq!(ids, detail.signature.examples);
    assert_eq!(ids.len(), 3);
    assert!(detail.examples.iter().all(|pair| pair.primary.exchange.is_some()));
}

#[test]
fn caps_fold_and_leave_out_but_count() {
    let mut store = SqliteStore::in_memory().unwrap();
    let limits = Limits { signatures: 1, example_bytes: 1, ..Limits::default() };
    let mut batcher = batcher_within(limits);
    for n in 0..4 {
        let mut other = price("1", "2");
        other.signature = SignatureId(100 + n);
        batcher.add(&diverged(n, vec![other]));
    }
    batcher.add_rollups(vec![rollup(0, ITEMS, counts(0, 4, 0, &[]))]);
    store.write(&batcher.take()).unwrap();
    let report = store.report(&Query::default()).unwrap();
    let shop = &report.services[1];
    let signatures: Vec<_> = shop.signatures.iter().map(|s| (s.path.as_str(), s.count)).collect();
    assert_eq!(signatures, [("{other}", 3), ("/price", 1)]);
    assert_eq!(report.left_out.signatures_folded, 3);
    assert_eq!(report.left_out.examples, 3);
    assert_eq!(shop.signatures[1].examples.len(), 1);
}

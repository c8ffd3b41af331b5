//! What was counted of one release is told apart from what was counted of another.

use crate::traffic::*;
use compare::{Comparison, Rollup, SignatureId};
use store::{Query, ReleaseNames, ReleaseQuery, Report, ServiceReport, SqliteStore, Store};

/// Two releases of the shadow, the second with one difference of its own.
fn fill(store: &mut SqliteStore) {
    let mut batcher = batcher();
    for (minute, shadow, diverging) in [(0, "v2", 1), (1, "v3", 2)] {
        let releases = releases("v1", shadow);
        let first = minute * 60_000;
        for n in 0..diverging {
            let pair = diverged(first + n, vec![price("1", "2")]);
            batcher.add(&Comparison { releases: releases.clone(), ..pair });
        }
        if shadow == "v3" {
            let pair = diverged(first + 90, vec![tag_missing(0)]);
            batcher.add(&Comparison { releases: releases.clone(), ..pair });
        }
        batcher.add(&Comparison { releases: releases.clone(), ..matched(first + 99) });
        let extra = u64::from(shadow == "v3");
        let counts = counts(10 * (minute + 1), diverging + extra, 1, &[1_000 * (minute + 1)]);
        batcher.add_rollups(vec![Rollup { releases, ..rollup(minute, ITEMS, counts) }]);
    }
    store.write(&batcher.take()).unwrap();
}

fn asked(store: &SqliteStore, release: &str) -> Report {
    let release = Some(ReleaseQuery::parse(release));
    store.report(&Query { release, ..Query::default() }).unwrap()
}

fn shop(report: &Report) -> &ServiceReport {
    report.services.iter().find(|service| service.service == "shop").unwrap()
}

#[test]
fn a_release_is_reported_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = SqliteStore::create_or_open(&folder.path().join("s.db")).unwrap();
    fill(&mut store);
    let report = asked(&store, "v3");
    let only = shop(&report);
    assert_eq!((only.pairs.compared, only.pairs.diverged), (23, 3));
    assert_eq!(only.accounts.primary.seen, 24);
    assert_eq!(only.endpoints.len(), 1);
    assert_eq!(only.endpoints[0].latency.primary.total.count, 1);
    let signatures: Vec<_> = only.signatures.iter().map(|s| (&*s.path, s.count)).collect();
    assert_eq!(signatures, [("/price", 2), ("/tags/*", 1)]);
    assert!(
        only.signatures.iter().all(|s| s.releases.len() == 1 && s.examples.len() as u64 == s.pairs)
    );
    assert_eq!(asked(&store, "v1..v3").services, report.services);
    assert!(shop(&asked(&store, "v2..v3")).endpoints.is_empty());
}

#[test]
fn all_releases_are_listed_and_add_up() {
    let mut store = SqliteStore::in_memory().unwrap();
    fill(&mut store);
    let report = store.report(&Query::default()).unwrap();
    let all = shop(&report);
    let listed: Vec<_> =
        all.releases.iter().map(|r| (r.names.to_string(), r.compared, r.diverged)).collect();
    assert_eq!(listed, [("v1..v2".to_owned(), 11, 1), ("v1..v3".to_owned(), 23, 3)]);
    assert_eq!(all.releases[0].first_seen, "2023-11-14T22:14:00Z");
    assert_eq!(all.releases[0].last_seen, "2023-11-14T22:15:00Z");
    assert_eq!(all.releases.iter().map(|r| r.compared).sum::<u64>(), all.pairs.compared);
    let seen_in = |path: &str| {
        let signature = all.signatures.iter().find(|s| s.path == path).unwrap();
        signature.releases.iter().map(|r| r.shadow.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(seen_in("/price"), ["v2", "v3"]);
    assert_eq!(seen_in("/tags/*"), ["v3"]);
}

#[test]
fn a_pair_names_its_releases_whether_it_matched_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = SqliteStore::create_or_open(&folder.path().join("s.db")).unwrap();
    fill(&mut store);
    let names = |shadow: &str| ReleaseNames { primary: "v1".into(), shadow: shadow.into() };
    for (n, shadow) in [(0, "v2"), (99, "v2"), (60_000, "v3"), (60_099, "v3")] {
        assert_eq!(store.pair(matched(n).id).unwrap().unwrap().releases, names(shadow), "{n}");
    }
    let detail = store.signature(SignatureId(0x52), None).unwrap().unwrap();
    assert_eq!(detail.signature.releases, [names("v3")]);
}

#[test]
fn a_secret_in_a_releases_name_is_not_stored() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    let mut store = SqliteStore::create_or_open(&path).unwrap();
    let mut batcher = batcher();
    let releases = releases("bob@example.org", "bob@example.com");
    batcher.add(&Comparison { releases, ..matched(1) });
    store.write(&batcher.take()).unwrap();
    drop(store);
    let bytes = std::fs::read(&path).unwrap();
    assert!(!bytes.windows(7).any(|window| window == b"bob@exa"));
}

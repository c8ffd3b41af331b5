//! What a verdict rests on: counted, acknowledged, noise.

use std::sync::Arc;

use crate::traffic::*;
use capture::{Leg, ServiceId, Timestamp};
use compare::gate::ErrorTable;
use compare::{
    Change, Comparison, EndpointRollup, Kind, LearnedTemplate, NoiseCause, NoiseNews, Outcome,
    Rollup, SignatureId, Takes,
};
use store::{
    Acknowledged, Acknowledgement, AgentCounters, Query, ReleaseQuery, ServiceEvidence,
    SqliteStore, Store,
};

const PRICE: SignatureId = SignatureId(0x51);
const TAGS: SignatureId = SignatureId(0x52);

fn file() -> (tempfile::TempDir, SqliteStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::create_or_open(&folder.path().join("s.db")).unwrap();
    (folder, store)
}

/// Ten pairs, of which four diverge: two in the price, one in the tags, one in both.
fn fill(store: &mut SqliteStore) {
    let mut batcher = batcher();
    batcher.add(&diverged(1, vec![price("1", "2")]));
    batcher.add(&diverged(2, vec![price("1", "2")]));
    batcher.add(&diverged(3, vec![tag_missing(0), tag_missing(1)]));
    batcher.add(&diverged(4, vec![price("1", "2"), tag_missing(0)]));
    let mut all = counts(6, 4, 3, &[1_000; 10]);
    all.errors = ErrorTable { neither: 7, primary_only: 1, shadow_only: 2, both: 0 };
    (all.sizes.primary_bytes, all.sizes.shadow_bytes) = (100, 300);
    batcher.add_rollups(vec![rollup(0, ITEMS, all)]);
    let mut agent = AgentCounters { packets: 90, kernel_drops: 2, gaps: 5, ..Default::default() };
    agent.interface_drops = 1;
    batcher.set_agent(agent);
    store.write(&batcher.take()).unwrap();
}

fn said(signature: SignatureId, until: Option<u64>) -> Acknowledgement {
    let (reason, by) = ("new prices".into(), "alice".into());
    Acknowledgement { signature, reason, by, at: at(0), until: until.map(at) }
}

fn noise(signature: SignatureId, cause: Option<NoiseCause>) -> NoiseNews {
    NoiseNews {
        signature,
        service: ServiceId(0),
        endpoint: ITEMS.into(),
        kind: Kind::Body,
        pattern: "/tags/*".into(),
        change: Change::Missing,
        cause,
        at: at(7),
        memory: "d2 h16".into(),
    }
}

fn evidence(store: &SqliteStore, query: Query) -> ServiceEvidence {
    let mut found = store.evidence(&query).unwrap();
    assert_eq!(found.len(), 1);
    found.remove(0)
}

/// Compared, diverged, acknowledged.
fn pairs(store: &SqliteStore, as_of: Option<Timestamp>) -> (u64, u64, u64) {
    let sample = evidence(store, Query { as_of, ..Query::default() }).evidence.service;
    (sample.compared, sample.diverged, sample.acknowledged)
}

#[test]
fn evidence_is_what_was_counted_of_pairs() {
    let (_folder, mut store) = file();
    fill(&mut store);
    let found = evidence(&store, Query::default());
    assert_eq!((found.service.as_str(), found.config_digest.as_str()), ("shop", "c0ffee"));
    assert_eq!(found.from.as_deref(), Some("2023-11-14T22:14:00Z"));
    let all = &found.evidence;
    assert_eq!(
        all.service.errors,
        ErrorTable { neither: 7, primary_only: 1, shadow_only: 2, both: 0 }
    );
    assert_eq!(all.service.sizes.len(), 1);
    assert_eq!((all.service.sizes[0].primary_bytes, all.service.sizes[0].shadow_bytes), (100, 300));
    assert_eq!(all.service.primary.total_us.as_ref().unwrap().len(), 10);
    assert_eq!(all.endpoints.len(), 1);
    assert_eq!(all.endpoints[0].sample.compared, 10);
    assert_eq!((all.accounts.packets, all.accounts.packets_lost), (90, 5));
    assert_eq!((all.accounts.primary_seen, all.accounts.unmirrored), (13, 3));
    assert_eq!((all.accounts.pairs, all.accounts.incomparable), (10, 0));
    assert_eq!(pairs(&store, None), (10, 4, 0));
}

#[test]
fn pairs_whose_differences_are_all_acknowledged_do_not_diverge() {
    let (_folder, mut store) = file();
    fill(&mut store);
    assert_eq!(store.acknowledge(&said(PRICE, None)).unwrap(), Acknowledged::Stored);
    assert_eq!(pairs(&store, None), (10, 2, 2));
    store.acknowledge(&said(TAGS, None)).unwrap();
    assert_eq!(pairs(&store, None), (10, 0, 4));
    assert!(store.take_back(PRICE).unwrap());
    assert!(!store.take_back(PRICE).unwrap());
    assert_eq!(pairs(&store, None), (10, 3, 1));
}

#[test]
fn an_acknowledgement_counts_until_it_expires() {
    let (_folder, mut store) = file();
    fill(&mut store);
    store.acknowledge(&said(PRICE, Some(5_000))).unwrap();
    assert_eq!(pairs(&store, Some(at(4_999))), (10, 2, 2));
    assert_eq!(pairs(&store, Some(at(5_000))), (10, 4, 0));
    for (now, expired) in [(4_999, false), (5_000, true)] {
        let detail = store.signature(PRICE, Some(at(now))).unwrap().unwrap();
        let said = detail.signature.acknowledgement.unwrap();
        assert_eq!((detail.signature.acknowledged, said.expired), (!expired, expired));
        assert_eq!((said.reason.as_str(), said.by.as_str()), ("new prices", "alice"));
        assert_eq!(said.until.as_deref(), Some("2023-11-14T22:14:05Z"));
    }
    let again = store.acknowledge(&said(PRICE, None)).unwrap();
    assert_eq!(again, Acknowledged::Replaced(said(PRICE, Some(5_000))));
    assert_eq!(store.acknowledgements().unwrap(), [said(PRICE, None)]);
    let report = store.report(&Query::default()).unwrap();
    let shop = report.services.iter().find(|s| s.service == "shop").unwrap();
    let acknowledged: Vec<_> = shop.signatures.iter().map(|s| s.acknowledged).collect();
    assert_eq!(acknowledged.iter().filter(|&&a| a).count(), 1);
}

#[test]
fn what_was_not_seen_or_is_not_listed_is_not_acknowledged() {
    let (_folder, mut store) = file();
    fill(&mut store);
    let unseen = store.acknowledge(&said(SignatureId(9), None)).unwrap();
    assert_eq!(unseen, Acknowledged::NotSeen);
    let mut more = price("1", "2");
    (more.signature, more.change) = (SignatureId(0x60), Change::More);
    let mut batcher = batcher();
    batcher.add(&diverged(5, vec![price("1", "2"), more]));
    batcher.add_rollups(vec![rollup(0, ITEMS, counts(0, 1, 0, &[]))]);
    store.write(&batcher.take()).unwrap();
    let unlisted = store.acknowledge(&said(SignatureId(0x60), None)).unwrap();
    assert_eq!(unlisted, Acknowledged::NotListed);
    // The pair has differences that nobody saw: that of the price explains not all of it.
    store.acknowledge(&said(PRICE, None)).unwrap();
    assert_eq!(pairs(&store, None), (11, 3, 2));
    let mut batcher = crate::traffic::batcher();
    batcher.add_noise(&noise(SignatureId(0x60), Some(NoiseCause::Itself)));
    store.write(&batcher.take()).unwrap();
    assert_eq!(pairs(&store, None), (11, 3, 2));
}

#[test]
fn noise_is_no_divergence_and_no_acknowledgement() {
    let (_folder, mut store) = file();
    fill(&mut store);
    let mut batcher = batcher();
    batcher.add_noise(&noise(TAGS, Some(NoiseCause::Itself)));
    store.write(&batcher.take()).unwrap();
    assert_eq!(pairs(&store, None), (10, 3, 0));
    let report = store.report(&Query::default()).unwrap();
    let shop = report.services.iter().find(|s| s.service == "shop").unwrap();
    let tags = shop.signatures.iter().find(|s| s.path == "/tags/*").unwrap();
    assert_eq!(tags.noise.as_deref(), Some("self"));
    store.acknowledge(&said(PRICE, None)).unwrap();
    assert_eq!(pairs(&store, None), (10, 0, 3));
    batcher.add_noise(&noise(TAGS, None));
    store.write(&batcher.take()).unwrap();
    assert_eq!(pairs(&store, None), (10, 2, 2));
}

#[test]
fn what_is_known_of_noise_comes_back_after_a_restart() {
    let (_folder, mut store) = file();
    let mut batcher = batcher();
    batcher.add_noise(&noise(PRICE, None));
    batcher.add_noise(&noise(TAGS, Some(NoiseCause::Class)));
    let later = NoiseNews { at: at(8), ..noise(PRICE, Some(NoiseCause::Secondary)) };
    batcher.add_noise(&later);
    store.write(&batcher.take()).unwrap();
    let expected = [noise(TAGS, Some(NoiseCause::Class)), later];
    assert_eq!(store.noise(&run().services).unwrap(), expected);
    // Another order of services, and one that is not configured any more.
    let moved: Vec<Arc<str>> = vec!["new".into(), "shop".into()];
    let back = store.noise(&moved).unwrap();
    assert!(back.iter().all(|news| news.service == ServiceId(1)) && back.len() == 2);
    assert!(store.noise(&["new".into()]).unwrap().is_empty());
    let mut batcher = batcher_within(store::Limits::default());
    batcher.add_noise(&NoiseNews { memory: "x".repeat(100_000).into(), ..noise(PRICE, None) });
    store.write(&batcher.take()).unwrap();
    let back = store.noise(&run().services).unwrap();
    assert!(back.iter().find(|news| news.signature == PRICE).unwrap().memory.is_empty());
}

#[test]
fn a_verdict_speaks_of_one_pair_of_releases_the_one_that_answered_last() {
    let (_folder, mut store) = file();
    let mut batcher = batcher();
    for (minute, shadow, endpoint) in
        [(0, "v2", "GET /b"), (1, "v3", "GET /b"), (1, "v3", "GET /a")]
    {
        let counts = EndpointRollup { matched: minute + 1, ..EndpointRollup::default() };
        let releases = releases("v1", shadow);
        batcher.add_rollups(vec![Rollup { releases, ..rollup(minute, endpoint, counts) }]);
    }
    // Later, but alone: it had no partner that would name a release.
    let mut alone = EndpointRollup::default();
    alone.legs[Leg::Primary as usize].outcomes[Outcome::Unmirrored.index()] = 1;
    let releases = releases("v1", "v9");
    batcher.add_rollups(vec![Rollup { releases, ..rollup(2, "GET /b", alone) }]);
    store.write(&batcher.take()).unwrap();

    let latest = evidence(&store, Query::default());
    assert_eq!(latest.releases.to_string(), "v1..v3");
    assert_eq!(latest.evidence.service.compared, 4);
    let order: Vec<_> = latest.evidence.endpoints.iter().map(|e| &*e.endpoint).collect();
    assert_eq!(order, ["GET /b", "GET /a"], "as they were first seen");
    let release = Some(ReleaseQuery::parse("v2"));
    let earlier = evidence(&store, Query { release, ..Query::default() });
    assert_eq!(earlier.evidence.service.compared, 1);
    let window = Query { to: Some(at(60_000)), ..Query::default() };
    assert_eq!(evidence(&store, window).releases.to_string(), "v1..v2");
    let release = Some(ReleaseQuery::parse("v7"));
    assert!(store.evidence(&Query { release, ..Query::default() }).unwrap().is_empty());
}

#[test]
fn acknowledgements_are_written_beside_the_daemon() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    let mut daemon = SqliteStore::create_or_open(&path).unwrap();
    fill(&mut daemon);
    let mut beside = SqliteStore::open_beside(&path).unwrap();
    assert_eq!(beside.acknowledge(&said(PRICE, None)).unwrap(), Acknowledged::Stored);
    let mut batcher = batcher();
    let pair = diverged(60_000, vec![price("1", "2")]);
    batcher.add(&Comparison { ..pair });
    batcher.add_rollups(vec![rollup(1, ITEMS, counts(0, 1, 0, &[]))]);
    daemon.write(&batcher.take()).unwrap();
    assert_eq!(pairs(&daemon, None), (11, 2, 3));
    assert!(SqliteStore::open_beside(&folder.path().join("no.db")).is_err());
}

#[test]
fn templates_come_back_and_none_that_is_redacted() {
    let (_folder, mut store) = file();
    let template = |service, template: &str, ms| LearnedTemplate {
        service: ServiceId(service),
        template: template.into(),
        takes: Takes::Slugs,
        since: at(ms),
    };
    let learned = [
        template(0, "GET /posts/{slug}", 7),
        template(1, "GET /img/{slug}.png", 3),
        template(0, "GET /mail/bob@example.com/{slug}", 5),
    ];
    let mut batcher = batcher();
    for template in &learned {
        batcher.add_template(template);
    }
    let batch = batcher.take();
    assert!(!batch.is_empty());
    store.write(&batch).unwrap();
    store.write(&batch).unwrap();
    let back = |services: &[Arc<str>]| store.templates(services).unwrap();
    let renumbered = LearnedTemplate { service: ServiceId(0), ..learned[1].clone() };
    assert_eq!(back(&["idle".into(), "new".into()]), [renumbered]);
    assert_eq!(back(&["shop".into(), "idle".into()]), [learned[1].clone(), learned[0].clone()]);
}

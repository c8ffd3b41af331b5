//! What the configuration says, against what was seen: the mirror's share, and rules.

use crate::traffic::*;
use capture::Leg;
use compare::{Incomparable, Outcome};
use store::{
    Alarm, Batcher, Limits, MirrorShare, Query, RedactionKey, Redactor, RuleSetting, Run,
    SecretNames, ServiceReport, Settings, SqliteStore, Store,
};

fn reported(settings: Settings, seen: &[(&str, u64, u64)]) -> ServiceReport {
    let redactor = Redactor::new(RedactionKey::new([7; 32]), &SecretNames::default());
    let mut batcher = Batcher::new(Run { settings, ..run() }, redactor, Limits::default());
    for &(endpoint, pairs, unmirrored) in seen {
        let mut counts = counts(pairs, 0, unmirrored, &[]);
        counts.suppressed = vec![("dates".into(), 3)];
        batcher.add_rollups(vec![rollup(0, endpoint, counts)]);
    }
    let mut store = SqliteStore::in_memory().unwrap();
    store.write(&batcher.take()).unwrap();
    let query = Query { as_of: Some(at(3_600_000)), ..Query::default() };
    let report = store.report(&query).unwrap();
    report.services.into_iter().find(|service| service.service == "shop").unwrap()
}

fn share(endpoint: Option<&str>, share: f64) -> MirrorShare {
    MirrorShare { service: "shop".into(), endpoint: endpoint.map(Into::into), share }
}

fn rule(name: &str, endpoint: Option<&str>, scope: &str, until: Option<&str>) -> RuleSetting {
    RuleSetting {
        service: "shop".into(),
        rule: name.into(),
        endpoint: endpoint.map(Into::into),
        action: "ignore".into(),
        scope: scope.into(),
        until: until.map(Into::into),
    }
}

#[test]
fn a_share_is_held_against_the_one_seen_by_endpoint() {
    let shares = vec![share(Some("GET /search*"), 0.1), share(None, 0.5)];
    let other = MirrorShare { service: "idle".into(), ..share(None, 0.9) };
    let settings =
        Settings { mirror_shares: [shares, vec![other]].concat(), ..Settings::default() };
    let shop =
        reported(settings, &[("GET /search", 100, 900), ("GET /a", 480, 520), ("GET /b", 20, 80)]);
    let all = shop.mirror.unwrap();
    assert_eq!((all.configured, all.mirrored, all.of), (0.5, 500, 1_100));
    assert_eq!((all.seen, all.agrees), (Some(0.454545), Some(false)));
    let of = |name: &str| {
        let endpoint = shop.endpoints.iter().find(|e| e.endpoint == name).unwrap();
        let audit = endpoint.mirror.clone().unwrap();
        (audit.configured, audit.agrees)
    };
    assert_eq!(of("GET /search"), (0.1, Some(true)));
    assert_eq!(of("GET /a"), (0.5, Some(true)));
    assert_eq!(of("GET /b"), (0.5, Some(false)));
    let shop = reported(Settings::default(), &[("GET /a", 1, 1)]);
    assert!(shop.mirror.is_none() && shop.endpoints[0].mirror.is_none());
}

#[test]
fn a_copy_that_came_late_was_mirrored() {
    let settings = Settings { mirror_shares: vec![share(None, 1.0)], ..Settings::default() };
    let mut late = counts(5, 0, 4, &[]);
    late.legs[Leg::Shadow as usize].outcomes[Outcome::Late.index()] = 3;
    late.legs[Leg::Primary as usize].outcomes[Outcome::Late.index()] = 2;
    let redactor = Redactor::new(RedactionKey::new([7; 32]), &SecretNames::default());
    let mut batcher = Batcher::new(Run { settings, ..run() }, redactor, Limits::default());
    batcher.add_rollups(vec![rollup(0, ITEMS, late)]);
    let mut store = SqliteStore::in_memory().unwrap();
    store.write(&batcher.take()).unwrap();
    let report = store.report(&Query::default()).unwrap();
    let audit = report.services[1].mirror.clone().unwrap();
    // Five pairs, three copies and two originals that came late; one has none.
    assert_eq!((audit.mirrored, audit.of), (10, 11));
}

#[test]
fn copies_that_ask_for_something_else_are_counted() {
    let mut batcher = batcher();
    let mut differs = counts(5, 0, 0, &[]);
    differs.incomparable = vec![(Incomparable::RequestDiffers, 4)];
    differs.legs[Leg::Primary as usize].outcomes[Outcome::Incomparable.index()] = 4;
    batcher.add_rollups(vec![rollup(0, ITEMS, differs)]);
    let mut store = SqliteStore::in_memory().unwrap();
    store.write(&batcher.take()).unwrap();
    let report = store.report(&Query::default()).unwrap();
    assert_eq!(report.services[1].endpoints[0].request_differs, 4);
}

#[test]
fn rules_without_effect_expired_ones_and_silent_bodies_raise_alarms() {
    let rules = vec![
        rule("dates", None, "header:date", None),
        rule("ids", None, "body:/id", None),
        rule("old", None, "body:/x", Some("2023-11-14T22:15:00Z")),
        rule("young", None, "body:/y", Some("2099-01-01T00:00:00Z")),
        rule("elsewhere", Some("POST *"), "body:/z", None),
        rule("all", Some("GET *"), "body:/**", None),
        RuleSetting { action: "sort".into(), ..rule("dates", None, "body:", None) },
    ];
    let shop = reported(Settings { rules, ..Settings::default() }, &[("GET /a", 9, 0)]);
    let alarm = |rule: &str, why: &str| Alarm { rule: rule.into(), why: why.into() };
    let expected = [
        alarm("ids", "never_fired"),
        alarm("old", "expired"),
        alarm("young", "never_fired"),
        alarm("all", "never_fired"),
        alarm("all", "silences_body"),
    ];
    assert_eq!(shop.alarms, expected);
    // Nothing was compared: nobody can tell whether they would have fired.
    let rules = vec![rule("ids", None, "body:/id", None)];
    let shop = reported(Settings { rules, ..Settings::default() }, &[("GET /a", 0, 9)]);
    assert!(shop.alarms.is_empty());
}

//! Reading the JSON report.

use std::collections::BTreeMap;

use serde_json::Value;

use super::expected::Signature;

/// The only service's part of a report.
pub(crate) fn service(report: &Value) -> &Value {
    let services = report["services"].as_array().expect("services is an array");
    assert_eq!(services.len(), 1, "one service is configured: {report:#}");
    &services[0]
}

/// Counts of an object such as `outcomes`: those that are not zero.
pub(crate) fn counts(object: &Value) -> BTreeMap<String, u64> {
    let object = object.as_object().unwrap_or_else(|| panic!("no object of counts: {object}"));
    let counts = object.iter().map(|(name, n)| {
        (name.clone(), n.as_u64().unwrap_or_else(|| panic!("{name} is no count: {n}")))
    });
    counts.filter(|&(_, n)| n > 0).collect()
}

/// How the exchanges of `leg` ended.
pub(crate) fn outcomes(report: &Value, leg: &str) -> BTreeMap<String, u64> {
    counts(&service(report)["accounts"][leg]["outcomes"])
}

/// One number of the report, by JSON Pointer below the service.
pub(crate) fn number(report: &Value, pointer: &str) -> u64 {
    let value = service(report).pointer(pointer);
    value
        .and_then(Value::as_u64)
        .unwrap_or_else(|| panic!("no number at {pointer}: {:#}", service(report)))
}

/// The signatures with their counts, without ids.
pub(crate) fn signatures(report: &Value) -> BTreeMap<Signature, u64> {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let signatures = service(report)["signatures"].as_array().expect("signatures is an array");
    let pairs = signatures.iter().map(|s| {
        let signature = Signature {
            endpoint: text(&s["endpoint"]),
            kind: text(&s["kind"]),
            path: text(&s["path"]),
            change: text(&s["change"]),
        };
        (signature, s["count"].as_u64().expect("a count"))
    });
    pairs.collect()
}

/// How often rules fired.
pub(crate) fn suppressed(report: &Value) -> BTreeMap<String, u64> {
    let rules = service(report)["suppressed"].as_array().expect("suppressed is an array");
    let pairs = rules.iter().map(|rule| {
        let name = rule["rule"].as_str().expect("a rule's name").to_owned();
        (name, rule["count"].as_u64().expect("a count"))
    });
    pairs.collect()
}

/// Every exchange seen has exactly one outcome, on either leg, and what was paired was judged.
pub(crate) fn assert_accounts_close(report: &Value) {
    let incomparable: u64 = counts(&service(report)["pairs"]["incomparable"]).values().sum();
    let compared = number(report, "/pairs/compared");
    assert_eq!(
        compared,
        number(report, "/pairs/matched") + number(report, "/pairs/diverged"),
        "compared = matched + diverged"
    );
    for leg in ["primary", "shadow"] {
        let outcomes = outcomes(report, leg);
        let seen = number(report, &format!("/accounts/{leg}/seen"));
        assert_eq!(seen, outcomes.values().sum::<u64>(), "{leg}: seen is the sum of {outcomes:?}");
        let outcome = |name: &str| outcomes.get(name).copied().unwrap_or(0);
        assert_eq!(outcome("compared"), compared, "{leg}: compared exchanges make the pairs");
        assert_eq!(outcome("incomparable"), incomparable, "{leg}: incomparable, by reason");
    }
}

/// The tap lost nothing: no kernel drop, no gap, nothing shed.
pub(crate) fn assert_nothing_lost(report: &Value) {
    let capture = &service(report)["capture"];
    assert_eq!(capture["kernel_drops"], 0, "{capture:#}");
    assert_eq!(capture["gaps"], 0, "{capture:#}");
    for leg in ["primary", "shadow"] {
        let shed: Vec<_> =
            outcomes(report, leg).into_keys().filter(|name| name.starts_with("shed")).collect();
        assert!(shed.is_empty(), "{leg}: {shed:?}");
    }
}

/// The report's reconciliation with Envoy holds for both clusters, and with `requests` on each.
pub(crate) fn assert_reconciled(report: &Value, primary: u64, shadow: u64) {
    let lines = report["reconciliation"].as_array().expect("reconciliation is an array");
    let found: Vec<_> = lines
        .iter()
        .map(|line| {
            let count = |key: &str| line[key].as_u64().expect("a count");
            let text = |key: &str| line[key].as_str().expect("text").to_owned();
            (
                text("cluster"),
                text("leg"),
                count("envoy_rq_total"),
                count("tap_exchanges"),
                line["equal"].as_bool().expect("true or false"),
            )
        })
        .collect();
    let line = |cluster: &str, leg: &str, n| (cluster.to_owned(), leg.to_owned(), n, n, true);
    assert_eq!(
        found,
        [line("primary_shop", "primary", primary), line("shadow_shop", "shadow", shadow)]
    );
}

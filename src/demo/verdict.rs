//! Whether a report says what was played: all of it, and nothing else.

use serde_json::Value;

use super::plan::{Injected, Played};

/// What the report misses, miscounts or makes up; empty when it names exactly what was played.
///
/// `report` is the report as JSON, of the demo's traffic alone.
pub(crate) fn verdict(report: &Value, played: &Played) -> Vec<String> {
    let services = array(&report["services"]);
    let [service] = services else {
        return vec![format!("{} services reported, 1 played", services.len())];
    };
    let mut faults = Vec::new();
    check_accounts(service, played, &mut faults);
    check_signatures(array(&service["signatures"]), &played.injected, &mut faults);
    check_latency(array(&service["endpoints"]), played, &mut faults);
    faults
}

/// Every request is one compared pair.
fn check_accounts(service: &Value, played: &Played, faults: &mut Vec<String>) {
    let mut expect = |what: &str, found: &Value, expected: u64| {
        if found.as_u64() != Some(expected) {
            faults.push(format!("{what}: {found} reported, {expected} played"));
        }
    };
    for leg in ["primary", "shadow"] {
        let account = &service["accounts"][leg];
        expect(&format!("exchanges on the {leg} leg"), &account["seen"], played.requests);
        let compared = &account["outcomes"]["compared"];
        expect(&format!("compared on the {leg} leg"), compared, played.requests);
    }
    // No call has more than one twist.
    let diverged = played.injected.iter().map(|injected| injected.count).sum();
    expect("compared pairs", &service["pairs"]["compared"], played.requests);
    expect("diverged pairs", &service["pairs"]["diverged"], diverged);
}

/// Every injected difference is a signature with its count, and every signature was injected.
fn check_signatures(signatures: &[Value], injected: &[Injected], faults: &mut Vec<String>) {
    let is = |signature: &Value, injected: &Injected| {
        signature["endpoint"] == injected.endpoint
            && signature["kind"] == injected.kind
            && signature["path"] == injected.path
            && signature["change"] == injected.change
    };
    for expected in injected {
        let Injected { endpoint, kind, path, change, count } = expected;
        let found: u64 = signatures
            .iter()
            .filter(|signature| is(signature, expected))
            .filter_map(|signature| signature["count"].as_u64())
            .sum();
        if found != *count {
            faults.push(format!(
                "{endpoint} {kind} {path} {change}: {found} reported, {count} played"
            ));
        }
    }
    for signature in signatures {
        if !injected.iter().any(|injected| is(signature, injected)) {
            faults.push(format!(
                "{} {} {} {}: {} reported, none played",
                text(&signature["endpoint"]),
                text(&signature["kind"]),
                text(&signature["path"]),
                text(&signature["change"]),
                signature["count"],
            ));
        }
    }
}

/// The slower endpoint's median shows at least half of the delay. Half, so that a machine that is
/// busy with other things does not fail the check.
fn check_latency(endpoints: &[Value], played: &Played, faults: &mut Vec<String>) {
    let (slow, delay) = played.slower;
    let Some(endpoint) = endpoints.iter().find(|endpoint| endpoint["endpoint"] == slow) else {
        faults.push(format!("{slow}: not reported"));
        return;
    };
    let median_us = |leg: &str| endpoint["latency"][leg]["p50_us"].as_f64();
    let (Some(primary), Some(shadow)) = (median_us("primary"), median_us("shadow")) else {
        faults.push(format!("{slow}: no latency reported"));
        return;
    };
    if shadow - primary < delay.as_secs_f64() * 1e6 / 2.0 {
        faults.push(format!(
            "{slow}: medians of {primary} us and {shadow} us reported, {} ms apart played",
            delay.as_millis()
        ));
    }
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;

    fn played() -> Played {
        Played {
            requests: 10,
            injected: vec![Injected {
                endpoint: "GET /a",
                kind: "body",
                path: "/price",
                change: "value",
                count: 3,
            }],
            slower: ("GET /b", Duration::from_millis(30)),
        }
    }

    fn report() -> Value {
        let account = json!({ "seen": 10, "outcomes": { "compared": 10 } });
        let price = json!({
            "endpoint": "GET /a", "kind": "body", "path": "/price", "change": "value", "count": 3
        });
        json!({ "services": [{
            "accounts": { "primary": account, "shadow": account },
            "pairs": { "compared": 10, "matched": 7, "diverged": 3 },
            "endpoints": [{
                "endpoint": "GET /b",
                "latency": { "primary": { "p50_us": 2_000 }, "shadow": { "p50_us": 32_000 } }
            }],
            "signatures": [price],
        }] })
    }

    #[test]
    fn a_report_of_exactly_what_was_played_has_no_faults() {
        assert_eq!(verdict(&report(), &played()), Vec::<String>::new());
    }

    #[test]
    fn each_fault_is_named() {
        let with = |pointer: &str, value: Value| {
            let mut report = report();
            *report.pointer_mut(&format!("/services/0{pointer}")).unwrap() = value;
            verdict(&report, &played())
        };
        let noise = json!([
            { "endpoint": "GET /a", "kind": "body", "path": "/price", "change": "value", "count": 3 },
            { "endpoint": "GET /a", "kind": "header", "path": "etag", "change": "value", "count": 9 },
        ]);
        assert_eq!(
            with("/signatures", noise),
            ["GET /a header etag value: 9 reported, none played"]
        );
        assert_eq!(
            with("/signatures/0/count", json!(2)),
            ["GET /a body /price value: 2 reported, 3 played"]
        );
        assert_eq!(
            with("/signatures", json!([])),
            ["GET /a body /price value: 0 reported, 3 played"]
        );
        assert_eq!(
            with("/accounts/shadow/seen", json!(9)),
            ["exchanges on the shadow leg: 9 reported, 10 played"]
        );
        assert_eq!(with("/pairs/diverged", json!(4)), ["diverged pairs: 4 reported, 3 played"]);
        assert_eq!(
            with("/endpoints/0/latency/shadow/p50_us", json!(2_100)),
            ["GET /b: medians of 2000 us and 2100 us reported, 30 ms apart played"]
        );
        assert_eq!(with("/endpoints", json!([])), ["GET /b: not reported"]);
        assert_eq!(verdict(&json!({}), &played()), ["0 services reported, 1 played"]);
    }
}

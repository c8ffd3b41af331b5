//! Claims about rules that are proposed.

use super::*;
use crate::{Action, Tolerance};

const SHARE: f64 = 0.5;

/// A place that differs in all of 20 pairs, or is known as noise.
#[derive(Clone)]
struct Seen {
    endpoint: &'static str,
    kind: Kind,
    pattern: &'static str,
    change: Change,
    values: Vec<(String, String)>,
    pairs: u64,
    learned: Option<NoiseCause>,
}

fn body(
    endpoint: &'static str,
    pattern: &'static str,
    of: impl Fn(u64) -> (String, String),
) -> Seen {
    let values = (0..20).map(of).collect();
    let (kind, change) = (Kind::Body, Change::Value);
    Seen { endpoint, kind, pattern, change, values, pairs: 20, learned: None }
}

fn suggestions(seen: &[Seen]) -> Vec<Suggestion> {
    let mut suggester = Suggester::default();
    let mut places = Vec::new();
    for (n, seen) in (0..).zip(seen) {
        let signature = SignatureId(n);
        for (ours, theirs) in &seen.values {
            let path = seen.pattern.replace('*', "0");
            let of = StoredDivergence {
                kind: seen.kind,
                path: &path,
                change: seen.change,
                primary: Some(ours),
                shadow: Some(theirs),
            };
            suggester.push(signature, &of, None);
        }
        places.push(Place {
            signature,
            endpoint: seen.endpoint.to_owned(),
            kind: seen.kind,
            pattern: seen.pattern.to_owned(),
            change: seen.change,
            pairs: seen.pairs,
            of: 20,
            learned: seen.learned,
        });
    }
    suggester.finish(places, SHARE)
}

fn written(seen: &[Seen]) -> Vec<String> {
    let of = |one: &Suggestion| {
        let more = match one.rule.action() {
            Action::Normalise(of) => format!(" {} {}", of.pattern(), of.replace()),
            Action::Tolerate(of) => {
                format!(" {:?} {:?}", of.within_ms(), of.relative())
            }
            Action::Key(key) => format!(" {}", key.pointers().collect::<Vec<_>>().join(",")),
            _ => String::new(),
        };
        let endpoint = one.rule.endpoint.as_ref().map_or("all".to_owned(), ToString::to_string);
        format!("{endpoint}: {} {}{more}", one.rule.action().as_str(), one.rule.scope())
    };
    suggestions(seen).iter().map(of).collect()
}

fn time(n: u64) -> (String, String) {
    (format!("\"2026-11-21T10:00:{n:02}Z\""), format!("\"2026-11-21T10:01:{n:02}Z\""))
}

/// Eight hexadecimal digits, other ones for each.
fn hex(n: u64) -> String {
    format!("{:08x}", (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32)
}

#[test]
fn the_narrowest_action_is_proposed_for_each_class_of_values() {
    let near = |n: u64| {
        let (a, b) = (100.0 + n as f64, 100.5 + n as f64);
        if n.is_multiple_of(2) {
            (a.to_string(), b.to_string())
        } else {
            (b.to_string(), a.to_string())
        }
    };
    let build = |n| (format!("\"v1.2+{}\"", hex(n)), format!("\"v1.2+{}\"", hex(n + 90)));
    let url = |n: u64| {
        let of = |host: String| format!("\"http://{host}.local/{}\"", n / 2);
        (of(hex(n)), of(hex(n + 90)))
    };
    let host = |n: u64| (format!("\"a{}\"", n % 2), format!("\"b{}\"", n % 2));
    for (seen, expected) in [
        (body("GET /", "/at", time), "GET /: tolerate body:/at Some(60000) None"),
        (body("GET /", "/load", near), "GET /: tolerate body:/load None Some(\"0.005\")"),
        (
            body("GET /", "/build", build),
            r"GET /: normalise body:/build ^v1\.2\+[0-9a-f]{8}$ v1.2+*",
        ),
        (
            body("GET /", "/id", |n| {
                (
                    format!("\"\\u{:04x}{}\"", u32::from('r'), hex(n)),
                    format!("\"r{}\"", hex(n + 90)),
                )
            }),
            "GET /: normalise body:/id ^[0-9A-Za-z_-]{9}$ *",
        ),
        (
            body("GET /", "/*/url", url),
            r"GET /: normalise body:/*/url ^http://[0-9a-f]{8}\.local/ http://*.local/",
        ),
        (body("GET /", "/hostname", host), "GET /: ignore body:/hostname"),
    ] {
        assert_eq!(written(&[seen]), [expected]);
    }
}

#[test]
fn quotes_in_a_field_are_part_of_its_value() {
    let mut etag =
        body("GET /", "etag", |n| (format!("\"{}\"", hex(n)), format!("\"{}\"", hex(n + 90))));
    etag.kind = Kind::Header;
    assert_eq!(written(&[etag]), [r#"GET /: normalise header:etag ^"[0-9a-f]{8}"$ "*""#]);
}

#[test]
fn what_may_be_a_fault_is_not_proposed() {
    let shifted = |n: u64| (n.to_string() + "00", n.to_string() + "01");
    let words = |n: u64| {
        let of = |n: u64| ["\"red\"", "\"blue\"", "\"green\""][(n % 3) as usize].to_owned();
        (of(n), of(n + 1))
    };
    let mut status = body("GET /", "", |_| ("200".into(), "500".into()));
    status.kind = Kind::Status;
    let mut whole = body("GET /", "", time);
    let mut typed = body("GET /", "/at", time);
    typed.change = Change::Type;
    let mut rare = body("GET /", "/at", time);
    (rare.pairs, whole.learned) = (9, Some(NoiseCause::Itself));
    for seen in [
        body("GET /", "/price", shifted),
        body("GET /", "/colour", words),
        // One leg's name for what is no machine.
        body("GET /", "/currency", |_| ("\"EUR\"".into(), "\"USD\"".into())),
        status,
        whole,
        typed,
        rare,
    ] {
        assert_eq!(written(std::slice::from_ref(&seen)), [""; 0], "{}", seen.pattern);
    }
}

#[test]
fn what_is_known_to_vary_loses_its_values_and_nothing_else() {
    let mut seen = body("GET /", "/colour", |n| (format!("\"{n}\""), "\"x\"".into()));
    (seen.pairs, seen.learned) = (1, Some(NoiseCause::Itself));
    assert_eq!(written(&[seen]), ["GET /: normalise body:/colour (?s).+ "]);
}

#[test]
fn one_place_at_several_endpoints_is_one_rule_with_the_widest_bound() {
    let near = |n: u64| {
        (format!("\"2026-11-21T10:00:{n:02}Z\""), format!("\"2026-11-21T10:00:{n:02}.5Z\""))
    };
    let seen = [
        body("GET /api/a", "/at", time),
        body("GET /api/b", "/meta/at", near),
        body("GET /api/c/{id}", "/at", near),
    ];
    assert_eq!(written(&seen), ["GET /api/*: tolerate body:/**/at Some(60000) None"]);
    let other_method = [seen[0].clone(), body("POST /x", "/at", time)];
    assert_eq!(written(&other_method), ["all: tolerate body:/at Some(60000) None"]);
}

#[test]
fn a_rule_for_several_places_explains_none_that_was_not_looked_at() {
    let mut rare = body("GET /api/c", "/x/at", time);
    rare.pairs = 1;
    let seen = [body("GET /api/a", "/at", time), body("GET /api/b", "/meta/at", time), rare];
    assert_eq!(
        written(&seen),
        [
            "GET /api/a: tolerate body:/at Some(60000) None",
            "GET /api/b: tolerate body:/meta/at Some(60000) None"
        ]
    );
}

#[test]
fn a_fault_among_the_noise_stays_reported() {
    let with = |wrong: u64| {
        body("GET /", "/id", move |n| {
            let theirs =
                if n < wrong { "\"none\"".to_owned() } else { format!("\"{}\"", hex(n + 90)) };
            (format!("\"{}\"", hex(n)), theirs)
        })
    };
    assert_eq!(written(&[with(1)]), ["GET /: normalise body:/id ^[0-9a-f]{8}$ *"]);
    assert_eq!(written(&[with(2)]), [""; 0]);
}

#[test]
fn a_place_that_was_seen_rarely_comes_along_where_it_is_the_same_elsewhere() {
    let host = |endpoint| body(endpoint, "/host", |_| ("\"a\"".into(), "\"b\"".into()));
    let mut few = host("GET /api/c");
    few.values.truncate(2);
    assert_eq!(written(&[few.clone()]), [""; 0]);
    let all = [host("GET /api/a"), few.clone()];
    // Two pairs, which are all that the endpoint has.
    let places = suggestions(&all).len();
    assert_eq!(places, 1);
    assert_eq!(written(&all), ["GET /api/*: ignore body:/host"]);
    few.values = vec![("\"a\"".into(), "\"b\"".into())];
    (few.pairs, few.change) = (20, Change::Missing);
    assert_eq!(written(&[host("GET /api/a"), few]), ["GET /api/a: ignore body:/host"]);
}

#[test]
fn a_rule_that_would_hide_what_is_missing_is_not_proposed() {
    let host = body("GET /", "/hostname", |_| ("\"a\"".into(), "\"b\"".into()));
    let mut gone = host.clone();
    (gone.change, gone.pairs) = (Change::Missing, 1);
    assert_eq!(written(std::slice::from_ref(&host)).len(), 1);
    assert_eq!(written(&[host, gone]), [""; 0]);
}

#[test]
fn arrays_are_told_apart_by_the_likeliest_key_that_all_have() {
    let keys = |body: &str| class::keys(body.as_bytes(), "/a").unwrap_or_default();
    let found = keys(r#"{"a":[{"name":"x","sku":1,"n":1},{"name":"x","sku":2,"n":2}]}"#);
    assert_eq!(found.iter().map(|key| &**key).collect::<Vec<_>>(), ["n", "sku"]);
    let by = |keys: Option<&[Box<str>]>| match class::of_order(keys).0 {
        Action::Key(key) => key.pointers().collect::<Vec<_>>().join(","),
        action => action.as_str().to_owned(),
    };
    assert_eq!(by(Some(&found)), "/sku");
    assert_eq!(by(Some(&[])), "sort");
    assert_eq!(by(None), "sort");
    assert!(keys("[1,2]").is_empty() && keys(r#"{"a":["x","y"]}"#).is_empty());
}

#[test]
fn every_rule_has_a_name_of_its_own_and_a_bound_that_holds() {
    let seen = [
        body("GET /a", "/at", time),
        body("POST /b", "/at", |n| {
            let (ours, _) = time(n);
            (ours, format!("\"2026-11-21T10:{:02}:00Z\"", n % 60))
        }),
    ];
    let all = suggestions(&seen);
    assert!(all.iter().all(|one| one.rule.name.starts_with("times near each other: body:/at")));
    let widest = Tolerance::new(None, None, Some(3_600_000)).unwrap();
    assert_eq!(all[0].rule.action(), &Action::Tolerate(widest));
}

#[test]
fn values_are_held_within_a_bound() {
    let mut suggester = Suggester::default();
    let value = "x".repeat(1 << 20);
    let of = StoredDivergence {
        kind: Kind::Body,
        path: "/a",
        change: Change::Value,
        primary: Some(&value),
        shadow: Some(&value),
    };
    for n in 0..100 {
        suggester.push(SignatureId(n), &of, None);
    }
    let held: usize = suggester.seen.values().map(|values| values.pairs.len()).sum();
    assert_eq!(held, 32);
}

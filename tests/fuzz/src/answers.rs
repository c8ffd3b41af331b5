//! Two answers to one request, as a fuzzer sees them: compared by content, under every kind of rule.
//!
//! ```text
//! byte 0      content type, see CONTENT_TYPES
//! byte 1      bit 0: gzip on the shadow's field; bit 1: rules; bit 2: gRPC's trailers; bit 3: POST
//! bytes 2, 3  length of the primary's body, little-endian
//! rest        the primary's body, then the shadow's
//! ```
//!
//! The pair comes several times, and with a second copy, so that what varies by itself is learned.
//! Promises that are asserted:
//! - the same exchanges are judged in the same way;
//! - equal answers match;
//! - what is reported of a pair is bounded, in number and in length.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use capture::{
    Body, Evidence, Exchange, Fields, FieldsBuilder, Leg, Origin, Protocol, Request, Response,
    ServiceId, Timestamp, Timing, Version,
};
use compare::{
    Action, Descriptors, ElementKey, Judge, Judged, MessageRule, Normaliser, Policy, Rule, Scope,
    ServicePolicy, Tolerance, Verdict, Window,
};

const CONTENT_TYPES: [&str; 14] = [
    "application/json",
    "text/plain; charset=utf-8",
    "text/html; charset=shift_jis",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=b",
    "multipart/mixed; boundary=b",
    "application/octet-stream",
    "application/x-protobuf",
    "application/grpc",
    "application/grpc-web+proto",
    "application/grpc-web-text",
    "application/problem+json; charset=utf-16le",
    "application/xml",
    "",
];

/// A `FileDescriptorSet` with `shop.Item { int32 id = 1; string name = 2; repeated Item parts = 3;
/// bytes sum = 4; double price = 5; }` and the service `shop.Shop` with `Get` and, streaming, `All`.
const DESCRIBED: &[u8] = include_bytes!("../shop.pb");

/// Divergences listed for a pair, and one for those beyond.
const LISTED: usize = 65;

/// Bytes of a path and of a value, with room for how they are cut.
const TEXT_BYTES: usize = 1_100;

static POLICIES: LazyLock<[Arc<Policy>; 2]> = LazyLock::new(|| {
    [false, true].map(|has_rules| {
        let mut service = ServicePolicy::new("shop");
        service.descriptors = Descriptors::read(DESCRIBED).ok().map(Arc::new);
        assert!(service.descriptors.is_some(), "the set is read");
        service.messages = vec![MessageRule { endpoint: None, response: "shop.Item".into() }];
        if has_rules {
            service.rules = rules();
        }
        Arc::new(Policy { services: vec![service], window: Window::default() })
    })
});

fn rules() -> Vec<Rule> {
    let scope = |text: &str| -> Scope { text.parse().expect("it is a scope") };
    let normaliser = Normaliser::new("[0-9a-f]{4}", "x").expect("it is a pattern");
    let tolerance = Tolerance::new(Some("0.5"), Some("0.1"), Some(1_000));
    let key = ElementKey::new(["/id"]).expect("it is a key");
    let rule =
        |name: &str, of: &str, action| Rule::new(name, scope(of), action).expect("it is a rule");
    vec![
        rule("names", "body:/**/name", Action::Normalise(normaliser.clone())),
        rule("all", "body:", Action::Normalise(normaliser)),
        rule("prices", "body:/**/price", Action::Tolerate(tolerance.expect("it is one"))),
        rule("tags", "body:/**/tags", Action::Sort),
        rule("parts", "body:/parts", Action::Key(key)),
        rule("ids", "body:/*/id", Action::Ignore),
    ]
}

/// Judges two answers that are read from `data`.
///
/// # Panics
///
/// Where a promise of the module doc is broken.
pub fn answers(data: &[u8]) {
    let [kind, flags, low, high, bodies @ ..] = data else { return };
    let len = usize::from(u16::from_le_bytes([*low, *high])).min(bodies.len());
    let (primary, shadow) = bodies.split_at(len);
    let first = judged(*kind, *flags, primary, shadow);
    assert_eq!(first, judged(*kind, *flags, primary, shadow), "judged in the same way");
    let same = judged(*kind, *flags & !1, primary, primary);
    assert!(same.iter().all(|pair| pair.ends_with("Matched")), "equal answers match: {same:?}");
}

/// What came of the pairs, in words.
fn judged(kind: u8, flags: u8, primary: &[u8], shadow: &[u8]) -> Vec<String> {
    let policy = &POLICIES[usize::from(flags >> 1 & 1)];
    let mut judge = Judge::new(Arc::clone(policy));
    let mut told = Vec::new();
    for n in 0..4 {
        // The primary gives either answer, so that what differs varies by itself in the end.
        let ours = if n == 1 || n == 3 { shadow } else { primary };
        judge.push(exchange(n, Leg::Primary, kind, flags & !1, if n < 2 { primary } else { ours }));
        judge.push(exchange(n, Leg::Secondary, kind, flags & !1, ours));
        judge.push(exchange(n, Leg::Shadow, kind, flags, shadow));
        while let Some(judged) = judge.poll() {
            let Judged::Pair(pair) = judged else { continue };
            assert!(pair.divergences.len() <= LISTED, "{}", pair.divergences.len());
            for divergence in &pair.divergences {
                let texts = [Some(&divergence.path), Some(&divergence.pattern)];
                let values = [divergence.primary.as_ref(), divergence.shadow.as_ref()];
                for text in texts.into_iter().chain(values).flatten() {
                    assert!(text.len() <= TEXT_BYTES, "{} bytes", text.len());
                }
            }
            assert_eq!(pair.verdict == Verdict::Diverged, !pair.divergences.is_empty());
            let (found, quiet) = (&pair.divergences, &pair.suppressed);
            told.push(format!("{found:?} {quiet:?} {:?}", pair.verdict));
        }
    }
    told
}

fn exchange(n: u64, leg: Leg, kind: u8, flags: u8, body: &[u8]) -> Exchange {
    let start = Timestamp::from_nanos(1_760_000_000_000_000_000) + Duration::from_millis(n);
    let content_type = CONTENT_TYPES[usize::from(kind) % CONTENT_TYPES.len()];
    let mut response = vec![("content-type", content_type)];
    if flags & 1 == 1 {
        response.push(("content-encoding", "gzip"));
    }
    let trailers: &[(&str, &str)] =
        if flags & 4 == 4 { &[("grpc-status", "13"), ("grpc-message", "no")] } else { &[] };
    let target = ["/shop.Shop/Get", "/shop.Shop/All"][usize::from(kind & 1)];
    let method = if flags & 8 == 8 { "POST" } else { "GET" };
    let millis = |ms| Some(start + Duration::from_millis(ms));
    Exchange {
        origin: Some(Origin { service: ServiceId(0), leg }),
        client: ([127, 0, 0, 1], 40_000).into(),
        server: ([127, 0, 0, 1], 8_080).into(),
        protocol: Protocol::Http1,
        stream_id: None,
        request: Some(Request {
            version: Version::Http11,
            fields: fields(&[method, target], &[("x-request-id", &n.to_string())]),
            body: Body::from_bytes(b""),
            trailers: Fields::default(),
        }),
        response: Some(Response {
            version: Version::Http11,
            status: 200,
            fields: fields(&["OK"], &response),
            body: Body::from_bytes(body),
            trailers: fields(&[], trailers),
        }),
        interim: Vec::new(),
        upgrade: None,
        timing: Timing {
            request_first: Some(start),
            request_head: Some(start),
            request_last: Some(start),
            response_first: millis(2),
            response_head: millis(2),
            response_last: millis(3),
        },
        evidence: Evidence::Complete,
    }
}

fn fields(first_line: &[&str], fields: &[(&str, &str)]) -> Fields {
    let mut builder = FieldsBuilder::new();
    for (part, value) in first_line.iter().enumerate() {
        builder.first_line(part, value.as_bytes());
    }
    for (name, value) in fields {
        builder.field(name.as_bytes(), value.as_bytes());
    }
    builder.build()
}

//! No byte of a planted secret gets into the store's files.

use std::io::Write;

use crate::traffic::*;
use capture::{Body, Leg, Timestamp};
use compare::{Change, Comparison, Divergence, Kind, Verdict};
use flate2::Compression;
use flate2::write::GzEncoder;
use store::{Query, SqliteStore, Store};

/// Every secret holds this, or is listed by itself.
const PLANTED: &str = "hunter2";
const FORMS: &[&str] =
    &["4111 1111 1111 1111", "4111111111111111", "eyJhbGciOiJIUzI1NiJ9", "bob@example.com"];

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// A diverged pair whose shadow answered with `body`.
fn pair_with(n: u64, content_type: &str, coding: Option<&str>, body: &[u8]) -> Comparison {
    let mut pair = diverged(n, vec![]);
    let mut response = vec![
        ("content-type", content_type),
        ("set-cookie", "sid=hunter2; Path=/"),
        ("location", "https://u:hunter2@h/cb?code=hunter2"),
        ("www-authenticate", "Bearer hunter2hunter2hunter2"),
    ];
    response.extend(coding.map(|coding| ("content-encoding", coding)));
    let mut request = vec![
        ("content-type", content_type),
        ("authorization", "Basic hunter2"),
        ("cookie", "sid=hunter2"),
        ("x-api-key", "hunter2"),
        ("x-user", "bob@example.com"),
        ("x-forwarded-client-cert", "hunter2"),
    ];
    request.extend(coding.map(|coding| ("content-encoding", coding)));
    let target = "/u/bob@example.com/x?token=hunter2&password=hunter2&q=4111111111111111";
    let leg = |leg| {
        exchange(
            leg,
            Timestamp::from_nanos(START + n),
            target,
            (&request, body),
            (200, &response, body),
        )
    };
    pair.primary = leg(Leg::Primary).into();
    pair.shadow = leg(Leg::Shadow).into();
    pair.endpoint = "GET /u/bob@example.com/x".into();
    pair.key = format!("bob@example.com-{n}").into();
    pair.divergences = vec![price("1", "2")];
    // Each pair is an example of a signature of its own.
    pair.divergences[0].signature.0 += n;
    pair
}

fn divergence(n: u64, kind: Kind, path: &str, value: &str) -> Divergence {
    Divergence {
        signature: compare::SignatureId(0x1_000 + n),
        kind,
        path: path.into(),
        pattern: path.into(),
        change: Change::Value,
        primary: Some(value.into()),
        shadow: Some(format!("{value}x").into()),
    }
}

#[test]
fn no_byte_of_a_planted_secret_is_stored() {
    let json = r#"{"user":{"password":"hunter2","Card-Number":["hunter2"],"mail":"bob@example.com"},
        "refreshToken":"hunter2","n":4111111111111111,"jwt":"eyJhbGciOiJIUzI1NiJ9.e30.hunter2",
        "inner":"{\"client_secret\":\"hunter2\"}","esc\u0061ped_p\u0061ssword":"hunter2"}"#;
    let form = "user=x&password=hunter2&api%5Fkey=hunter2&card=4111+1111+1111+1111";
    let text = "login bob@example.com password=hunter2 card 4111 1111 1111 1111";
    let xml = "<u><password>hunter2</password><Token a='b'>hunter2</Token></u>";
    let cut_json = format!("{{\"password\":\"{}", "hunter2".repeat(40));
    let utf16 = "password=hunter2".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let bodies: [(&str, Option<&str>, Vec<u8>); 12] = [
        ("application/json", None, json.into()),
        ("application/json", Some("gzip"), gzip(json)),
        ("application/problem+json; charset=utf-8", None, json.into()),
        ("text/plain", None, json.into()),
        ("application/x-www-form-urlencoded", None, form.into()),
        ("text/plain", None, text.into()),
        ("application/xml", None, xml.into()),
        // What redaction cannot read is not kept at all.
        ("application/json", None, cut_json.into_bytes()),
        ("application/octet-stream", None, b"hunter2".to_vec()),
        ("multipart/form-data; boundary=x", None, b"--x\r\n\r\nhunter2\r\n--x--".to_vec()),
        ("application/json", Some("gzip"), b"hunter2".to_vec()),
        ("text/plain", None, utf16),
    ];

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    let mut store = SqliteStore::create_or_open(&path).unwrap();
    let mut batcher = batcher();
    for (n, (content_type, coding, body)) in (0..).zip(&bodies) {
        batcher.add(&pair_with(n, content_type, *coding, body));
    }
    let divergences = vec![
        divergence(0, Kind::Header, "set-cookie", "sid=hunter2"),
        divergence(1, Kind::Header, "x-mail", "bob@example.com"),
        divergence(2, Kind::Body, "/user/password", "\"hunter2\""),
        divergence(3, Kind::Body, "/user", r#"{"password":"hunter2"}"#),
        divergence(4, Kind::Body, "/bob@example.com/price", "1"),
        divergence(5, Kind::Body, "line 3", "Authorization: Bearer hunter2hunter2"),
        divergence(6, Kind::Trailer, "x-auth-token", "hunter2"),
        divergence(7, Kind::Body, "/note", "\"to bob@example.com by 4111 1111 1111 1111\""),
    ];
    batcher.add(&Comparison { divergences, ..pair_with(20, "text/plain", None, text.as_bytes()) });
    let mut matched = pair_with(21, "text/plain", None, b"");
    matched.verdict = Verdict::Matched;
    batcher.add(&matched);
    batcher.add_rollups(vec![rollup(0, "GET /u/bob@example.com/x", counts(1, 12, 0, &[]))]);
    let written = store.write(&batcher.take()).unwrap();
    assert_eq!((written.pairs, written.examples), (14, 13));

    let mut bytes = Vec::new();
    for suffix in ["", "-wal"] {
        let mut file = path.clone().into_os_string();
        file.push(suffix);
        bytes.extend(std::fs::read(file).unwrap());
    }
    assert!(bytes.len() > 50_000, "the batch lies in the files: {} bytes", bytes.len());
    for secret in FORMS.iter().chain([&PLANTED]) {
        let found = bytes.windows(secret.len()).position(|window| window == secret.as_bytes());
        let around =
            found.map(|at| String::from_utf8_lossy(&bytes[at.saturating_sub(80)..at + 40]));
        assert_eq!(around, None, "{secret} is in the store");
    }

    let report = store.report(&Query::default()).unwrap();
    assert_eq!(report.services[1].endpoints[0].endpoint, "GET /u/{redacted}/x");
    let first = store.pair(matched_id(0)).unwrap().unwrap();
    let body = first.primary.exchange.unwrap().response.unwrap().body;
    assert!(body.text.unwrap().contains("\"password\":\"«redacted:"));
    for n in [7_usize, 8, 9, 10, 11] {
        let pair = store.pair(matched_id(n as u64)).unwrap().unwrap();
        let body = pair.primary.exchange.unwrap().response.unwrap().body;
        assert_eq!((body.text, body.bytes), (None, bodies[n].2.len() as u64), "{n}");
    }
}

fn matched_id(n: u64) -> compare::PairId {
    matched(n).id
}

#[test]
fn equal_secrets_stay_equal_on_both_legs() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = SqliteStore::create_or_open(&folder.path().join("s.db")).unwrap();
    let mut batcher = batcher();
    let mut pair = pair_with(0, "application/json", None, br#"{"token":"hunter2"}"#);
    pair.shadow.response.as_mut().unwrap().body = Body::from_bytes(br#"{"token":"hunter3"}"#);
    batcher.add(&pair);
    store.write(&batcher.take()).unwrap();
    let pair = store.pair(pair.id).unwrap().unwrap();
    let (primary, shadow) = (pair.primary.exchange.unwrap(), pair.shadow.exchange.unwrap());
    let cookie = |request: &store::MessageText| request.headers[2].1.clone();
    assert_eq!(cookie(&primary.request.unwrap()), cookie(&shadow.request.unwrap()));
    assert_ne!(primary.response.unwrap().body.text, shadow.response.unwrap().body.text);
}

#[test]
fn a_long_body_is_cut_after_it_was_redacted() {
    let mut body = "x, ".repeat((store::EXAMPLE_BODY_BYTES - 20) / 3);
    body.push_str("password=hunter2hunter2hunter2 and the rest");
    let folder = tempfile::tempdir().unwrap();
    let mut store = SqliteStore::create_or_open(&folder.path().join("s.db")).unwrap();
    let mut batcher = batcher();
    batcher.add(&pair_with(0, "text/plain", None, body.as_bytes()));
    store.write(&batcher.take()).unwrap();
    let pair = store.pair(matched_id(0)).unwrap().unwrap();
    let body = pair.shadow.exchange.unwrap().response.unwrap().body;
    assert!(body.cut);
    let text = body.text.unwrap();
    assert!(text.len() <= store::EXAMPLE_BODY_BYTES && !text.contains("hunter"));
}

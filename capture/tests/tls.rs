//! Real TLS traffic (`tests/pcaps/envoy`), read through the whole tap with keys early, late and
//! not at all.

#![expect(clippy::unwrap_used, reason = "in a test a failed unwrap is a failed test")]

use std::path::{Path, PathBuf};
use std::time::Duration;

use capture::source::file::Reader;
use capture::{Anomaly, Counters, Evidence, Exchange, Limits, Tap, Timestamp};

const FILES: [&str; 4] = ["tls12_h1", "tls13_h1", "tls12_h2", "tls13_h2"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/pcaps/envoy/pcaps")
}

fn keys(file: &str) -> Vec<u8> {
    std::fs::read_to_string(folder().join(format!("{file}.keys.log"))).unwrap().into_bytes()
}

/// Reads a capture; `before` acts before each packet, given its number, and once more at the end.
fn read(
    file: &str,
    limits: &Limits,
    mut before: impl FnMut(usize, &mut Tap),
) -> (Vec<Summary>, Counters) {
    let mut reader = Reader::open(folder().join(format!("{file}.pcap"))).unwrap();
    let mut tap = Tap::new(limits.clone(), Vec::new());
    let mut exchanges = Vec::new();
    let mut number = 0;
    while let Some(packet) = reader.next().unwrap() {
        before(number, &mut tap);
        tap.push(&packet);
        tap.expire(packet.at);
        exchanges.extend(std::iter::from_fn(|| tap.poll()).map(|e| Summary::of(&e)));
        number += 1;
    }
    before(usize::MAX, &mut tap);
    tap.finish();
    exchanges.extend(std::iter::from_fn(|| tap.poll()).map(|e| Summary::of(&e)));
    exchanges.sort();
    (exchanges, tap.counters().clone())
}

/// What tells one exchange from another.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Summary {
    port: u16,
    head: Option<Timestamp>,
    stream: Option<u32>,
    target: Vec<u8>,
    status: Option<u16>,
    response_head: Option<Timestamp>,
    body: Option<u64>,
    evidence: Evidence,
}

impl Summary {
    fn of(exchange: &Exchange) -> Self {
        Self {
            port: exchange.client.port(),
            head: exchange.timing.request_head,
            stream: exchange.stream_id,
            target: exchange.request.as_ref().map_or(Vec::new(), |r| r.target().to_vec()),
            status: exchange.response.as_ref().map(|response| response.status),
            response_head: exchange.timing.response_head,
            body: exchange.response.as_ref().map(|response| response.body.len()),
            evidence: exchange.evidence,
        }
    }
}

fn early(file: &str) -> Vec<Summary> {
    let text = keys(file);
    let (exchanges, counters) = read(file, &Limits::default(), |number, tap| {
        if number == 0 {
            tap.push_keys(&text);
        }
    });
    assert!(exchanges.len() > 150, "{file}: {}", exchanges.len());
    assert!(exchanges.iter().all(|exchange| exchange.evidence == Evidence::Complete));
    assert_eq!(counters.unread.total(), 0);
    exchanges
}

#[test]
fn keys_after_the_last_packet_give_the_same_exchanges_though_connections_have_closed() {
    let limits = Limits { tls_key_wait: Duration::from_secs(3_600), ..Limits::default() };
    for file in FILES {
        let text = keys(file);
        let (late, counters) = read(file, &limits, |number, tap| match number {
            0 => tap.push_keys(b""),
            usize::MAX => tap.push_keys(&text),
            _ => {}
        });
        assert_eq!(late, early(file), "{file}");
        assert_eq!(counters.unread.total(), 0);
    }
}

#[test]
fn keys_that_come_in_pieces_along_the_way_give_the_same_exchanges() {
    let limits = Limits { tls_key_wait: Duration::from_secs(3_600), ..Limits::default() };
    for file in FILES {
        let text = keys(file);
        let mut pieces = text.chunks(61);
        let (late, _) = read(file, &limits, |number, tap| {
            if number % 10 == 0 {
                tap.push_keys(pieces.next().unwrap_or_default());
            } else if number == usize::MAX {
                pieces.by_ref().for_each(|piece| tap.push_keys(piece));
            }
        });
        assert_eq!(late, early(file), "{file}");
    }
}

#[test]
fn without_keys_every_connection_is_counted_with_its_server_and_nothing_is_reported() {
    for file in FILES {
        let (exchanges, counters) = read(file, &Limits::default(), |_, _| {});
        assert_eq!(exchanges, []);
        let unread: Vec<_> = counters.unread.iter().collect();
        assert!(!unread.is_empty());
        for (kind, connections) in unread {
            assert_eq!((kind.server.port(), kind.why), (8443, Anomaly::TlsWithoutKeys));
            assert!(connections > 0);
        }
        assert_eq!(counters.unread.total(), counters.anomalies.count(Anomaly::TlsWithoutKeys));
    }
}

#[test]
fn keys_of_other_sessions_leave_connections_opaque_once_they_have_waited() {
    let limits = Limits { tls_key_wait: Duration::ZERO, ..Limits::default() };
    let other = keys("tls12_h2");
    let (exchanges, counters) = read("tls13_h1", &limits, |number, tap| {
        if number == 0 {
            tap.push_keys(&other);
        }
    });
    assert_eq!(exchanges, []);
    assert!(counters.anomalies.count(Anomaly::TlsWaitTooLong) > 0);
    assert_eq!(counters.unread.total(), counters.flows);
}

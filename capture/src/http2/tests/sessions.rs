//! How a connection comes to speak HTTP/2: by prior knowledge, by an upgrade, found in its middle.

use std::collections::VecDeque;

use super::*;
use crate::Anomalies;
use crate::keylog::KeyLog;
use crate::session::Session;

/// What a session makes of these packets, as `stream target status evidence`.
fn left(late_join: bool, packets: &[(Direction, Vec<u8>)]) -> (Vec<String>, Anomalies) {
    let mut session = Session::new(info(late_join));
    let (limits, mut anomalies) = (Limits::default(), Anomalies::default());
    let (mut body_bytes, mut out, mut sent) = (0, VecDeque::new(), [0, 0]);
    let mut cx = Context {
        keys: &KeyLog::default(),
        limits: &limits,
        anomalies: &mut anomalies,
        body_bytes: &mut body_bytes,
        spans: &mut crate::message::FieldSpans::default(),
        out: &mut out,
    };
    for (n, (direction, bytes)) in packets.iter().enumerate() {
        let at = Timestamp::from_nanos(1_000 * (n as u64 + 1));
        let offset = sent[*direction as usize];
        sent[*direction as usize] += bytes.len() as u64;
        let peer_offset = sent[direction.reverse() as usize];
        session.push(*direction, Chunk { offset, bytes, at, peer_offset }, &mut cx);
        session.expire(at, &mut cx);
    }
    session.finish(&mut cx);
    let left = out.iter().map(|exchange| {
        let upgrade = exchange.upgrade.as_deref().unwrap_or("-");
        let stream = exchange.stream_id.map_or("-".into(), |id| id.to_string());
        let target = exchange
            .request
            .as_ref()
            .map_or("-".into(), |r| String::from_utf8_lossy(r.target()).into_owned());
        let status = exchange.response.as_ref().map_or(0, |r| r.status);
        let evidence = exchange.evidence.as_str();
        format!("{stream} {target} {status} {upgrade} {:?} {evidence}", exchange.interim)
    });
    (left.collect(), anomalies)
}

fn upgrade_request() -> Vec<u8> {
    b"GET /up HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
      HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n"
        .to_vec()
}

fn switching() -> Vec<u8> {
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n".to_vec()
}

#[test]
fn by_prior_knowledge_in_pieces_and_whoever_speaks_first() {
    let client = [PREFACE, &settings(&[]), &get(1, "/")].concat();
    let server = [settings(&[]), ok_empty(1)].concat();
    let expected = ["1 / 200 - [] complete"];
    let packets = [(ToServer, client.clone()), (ToClient, server.clone())];
    assert_eq!(left(false, &packets).0, expected);
    let bytes =
        |direction, all: &[u8]| all.iter().map(|b| (direction, vec![*b])).collect::<Vec<_>>();
    let packets = [bytes(ToServer, &client), bytes(ToClient, &server)].concat();
    assert_eq!(left(false, &packets).0, expected);
    // A server may send its settings before it has heard anything.
    let packets = [(ToClient, settings(&[])), (ToServer, client), (ToClient, ok_empty(1))];
    let (exchanges, anomalies) = left(false, &packets);
    assert_eq!((exchanges, anomalies.iter().count()), (expected.map(str::to_owned).to_vec(), 0));
}

#[test]
fn after_an_upgrade_the_request_is_answered_on_stream_1() {
    let next = [PREFACE, &settings(&[]), &get(3, "/next")].concat();
    let packets = [
        (ToServer, upgrade_request()),
        (ToClient, [switching(), settings(&[]), ok(1)].concat()),
        (ToServer, next),
        (ToClient, [last_data(1, "up"), ok_empty(3)].concat()),
    ];
    let (exchanges, anomalies) = left(false, &packets);
    assert_eq!(exchanges, ["1 /up 200 h2c [101] complete", "3 /next 200 - [] complete"]);
    assert_eq!(anomalies.iter().collect::<Vec<_>>(), []);
}

#[test]
fn an_upgrade_whose_request_was_not_seen_is_a_half_and_the_rest_is_complete() {
    let packets = [
        (ToClient, switching()),
        (ToServer, [PREFACE, &settings(&[]), &get(3, "/next")].concat()),
        (ToClient, [settings(&[]), ok_empty(1), ok_empty(3)].concat()),
    ];
    let expected = ["1 - 200 h2c [101] late_join", "3 /next 200 - [] complete"];
    assert_eq!(left(true, &packets).0, expected);
}

#[test]
fn in_the_middle_frames_are_found_and_http_1_stays_what_it_is() {
    let packets = [
        (ToServer, b"the end of some body".to_vec()),
        (ToClient, data(7, "a part of another")),
        (ToServer, get(9, "/9")),
        (ToClient, ok_empty(9)),
    ];
    assert_eq!(left(true, &packets).0, ["9 /9 200 - [] complete"]);
    let packets = [
        (ToServer, b"\0\0\0 the end of some body".to_vec()),
        (ToServer, b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n".to_vec()),
        (ToClient, [&b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n"[..], &ok_empty(9)].concat()),
    ];
    let (exchanges, _) = left(true, &packets);
    assert!(exchanges.iter().all(|exchange| exchange.starts_with("- ")), "{exchanges:?}");
}

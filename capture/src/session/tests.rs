//! Which parser a connection gets, however its first bytes are cut.

use std::collections::VecDeque;

use super::*;
use crate::flow::Direction::{ToClient, ToServer};
use crate::keylog::KeyLog;
use crate::{Anomalies, Exchange};

/// A session, and both ends of it.
struct Wire {
    session: Session,
    anomalies: Anomalies,
    body_bytes: usize,
    out: VecDeque<Box<Exchange>>,
    sent: [u64; 2],
    now: u64,
}

impl Wire {
    fn new(late_join: bool) -> Self {
        let info = FlowInfo {
            origin: None,
            client: "10.0.0.1:40000".parse().unwrap(),
            server: "10.0.0.2:8080".parse().unwrap(),
            late_join,
        };
        Self {
            session: Session::new(info),
            anomalies: Anomalies::default(),
            body_bytes: 0,
            out: VecDeque::new(),
            sent: [0; 2],
            now: 0,
        }
    }

    fn run(&mut self, act: impl FnOnce(&mut Session, &mut Context<'_>)) {
        let mut cx = Context {
            limits: &Limits::default(),
            anomalies: &mut self.anomalies,
            keys: &KeyLog::default(),
            body_bytes: &mut self.body_bytes,
            spans: &mut crate::message::FieldSpans::default(),
            out: &mut self.out,
        };
        act(&mut self.session, &mut cx);
    }

    /// Says `bytes` in packets of `size`.
    fn say(&mut self, direction: Direction, bytes: impl AsRef<[u8]>, size: usize) -> &mut Self {
        for bytes in bytes.as_ref().chunks(size) {
            self.now += 1_000;
            let at = Timestamp::from_nanos(self.now);
            let offset = self.sent[direction as usize];
            let peer_offset = self.sent[direction.reverse() as usize];
            self.sent[direction as usize] += bytes.len() as u64;
            self.run(|session, cx| {
                session.push(direction, Chunk { offset, bytes, at, peer_offset }, cx);
            });
        }
        self
    }

    /// What has left, as `target status evidence`.
    fn left(&mut self) -> Vec<String> {
        self.run(Session::finish);
        let text = |exchange: Box<Exchange>| {
            let target = exchange.request.as_ref().map_or("-".into(), |request| {
                String::from_utf8_lossy(request.target()).into_owned()
            });
            let status = exchange.response.as_ref().map_or("-".into(), |r| r.status.to_string());
            format!("{target} {status} {}", exchange.evidence.as_str())
        };
        self.out.drain(..).map(text).collect()
    }

    fn count(&self, anomaly: Anomaly) -> u64 {
        self.anomalies.count(anomaly)
    }
}

const GET: &str = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn http_behind_a_proxy_header_is_read_however_it_is_cut() {
    let v1: &[u8] = b"PROXY TCP4 192.0.2.1 192.0.2.2 4000 80\r\n";
    let v2: &[u8] =
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x01\x02\x03\x04\x05\x06\x07\x08\x0f\xa0\0\x50";
    for header in [v1, v2] {
        for size in [1, 2, 13, 1000] {
            let mut wire = Wire::new(false);
            wire.say(ToServer, [header, GET.as_bytes()].concat(), size).say(ToClient, OK, size);
            wire.say(ToServer, GET, size).say(ToClient, OK, size);
            assert_eq!(wire.left(), ["/a 200 complete", "/a 200 complete"], "{size}");
            let counted = (wire.count(Anomaly::ProxyHeader), wire.anomalies.iter().count());
            assert_eq!(counted, (1, 1), "{size}");
        }
    }
}

#[test]
fn http_through_socks_is_read_however_it_is_cut() {
    let dialogues: [[&[u8]; 4]; 3] = [
        [b"\x04\x01\0\x50\x01\x02\x03\x04me\0", b"\0\x5a\0\0\0\0\0\0", b"", b""],
        [b"\x05\x01\0", b"\x05\0", b"\x05\x01\0\x03\x01a\0\x50", b"\x05\0\0\x01\0\0\0\0\0\0"],
        [
            b"\x05\x02\0\x02",
            b"\x05\x02",
            b"\x01\x01a\x01b\x05\x01\0\x01\x01\x02\x03\x04\0\x50",
            b"\x01\0\x05\0\0\x01\0\0\0\0\0\0",
        ],
    ];
    for [greeting, choice, request, reply] in dialogues {
        for size in [1, 3, 1000] {
            let mut wire = Wire::new(false);
            wire.say(ToServer, greeting, size).say(ToClient, choice, size);
            wire.say(ToServer, request, size).say(ToClient, reply, size);
            wire.say(ToServer, GET, size).say(ToClient, OK, size);
            assert_eq!(wire.left(), ["/a 200 complete"], "{greeting:x?} {size}");
            assert_eq!(wire.count(Anomaly::Socks), 1);
        }
    }
}

#[test]
fn a_client_that_does_not_wait_for_the_socks_reply_is_understood() {
    let mut wire = Wire::new(false);
    let early = [&b"\x04\x01\0\x50\x01\x02\x03\x04me\0"[..], GET.as_bytes()].concat();
    wire.say(ToServer, early, 5).say(ToClient, b"\0\x5a\0\0\0\0\0\0", 3).say(ToClient, OK, 5);
    assert_eq!(wire.left(), ["/a 200 complete"]);
}

#[test]
fn what_a_proxy_refuses_leads_to_no_exchange() {
    let mut wire = Wire::new(false);
    wire.say(ToServer, b"\x04\x01\0\x50\x01\x02\x03\x04me\0", 100);
    wire.say(ToClient, b"\0\x5b\0\0\0\0\0\0", 100);
    assert_eq!((wire.left().len(), wire.count(Anomaly::NotHttp)), (0, 1));
}

#[test]
fn a_second_proxy_header_is_no_header() {
    let header = "PROXY UNKNOWN\r\n";
    let mut wire = Wire::new(false);
    wire.say(ToServer, header.repeat(5_000), 60_000).say(ToClient, OK, 100);
    assert_eq!(wire.count(Anomaly::ProxyHeader), 1);
}

#[test]
fn methods_that_begin_as_a_proxy_header_does_are_read() {
    for method in ["PROPFIND", "PROPPATCH", "PUT", "P"] {
        for size in [1, 3, 1000] {
            let mut wire = Wire::new(false);
            let said = format!("{method} /a HTTP/1.1\r\n\r\n");
            wire.say(ToServer, said, size).say(ToClient, OK, size);
            assert_eq!(wire.left(), ["/a 200 complete"], "{method} {size}");
        }
    }
}

#[test]
fn a_server_that_speaks_first_is_answered_nothing() {
    let mut wire = Wire::new(false);
    wire.say(ToClient, "220 mail ready\r\n", 1).say(ToServer, "EHLO a\r\n", 1);
    assert_eq!((wire.left().len(), wire.count(Anomaly::NotHttp)), (0, 1));
    let mut wire = Wire::new(false);
    wire.say(ToClient, "HTTP/1.1 408 Timeout\r\nContent-Length: 0\r\n\r\n", 1);
    wire.say(ToServer, GET, 1).say(ToClient, OK, 1);
    assert_eq!(wire.left(), ["/a 200 complete"]);
    assert_eq!(wire.count(Anomaly::UnexpectedResponse), 1);
}

#[test]
fn a_connection_joined_late_is_recognised_when_a_turn_can_be_shown() {
    for size in [7, 1000] {
        let mut wire = Wire::new(true);
        wire.say(ToClient, "the end of a body", size);
        wire.say(ToServer, GET, 1000).say(ToClient, OK, size);
        wire.say(ToServer, GET, 1000).say(ToClient, OK, size);
        assert_eq!(wire.left().last().unwrap(), "/a 200 complete", "{size}");
    }
}

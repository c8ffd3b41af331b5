//! One rule each, by what is said on the wire. `losses` has what happens when bytes are missing,
//! `dialogues` the properties.

mod dialogues;
mod losses;

use std::collections::VecDeque;

use super::*;
use crate::keylog::KeyLog;
use crate::{Anomalies, Anomaly, Body, Response, Version};

/// A connection under test, and both ends of it: keeps offsets and acknowledgements as TCP would.
struct Wire {
    connection: Connection,
    limits: Limits,
    anomalies: Anomalies,
    body_bytes: usize,
    out: VecDeque<Box<Exchange>>,
    /// Bytes sent so far, by direction.
    sent: [u64; 2],
    now: Timestamp,
}

use Direction::{ToClient, ToServer};

impl Wire {
    fn new() -> Self {
        Self::with(Limits::default(), false)
    }

    fn late() -> Self {
        Self::with(Limits::default(), true)
    }

    fn with(limits: Limits, late_join: bool) -> Self {
        let info = FlowInfo {
            origin: None,
            client: "10.0.0.1:40000".parse().unwrap(),
            server: "10.0.0.2:8080".parse().unwrap(),
            late_join,
        };
        Self {
            connection: Connection::new(info),
            limits,
            anomalies: Anomalies::default(),
            body_bytes: 0,
            out: VecDeque::new(),
            sent: [0; 2],
            now: Timestamp::from_nanos(1_000_000_000),
        }
    }

    fn run(&mut self, act: impl FnOnce(&mut Connection, &mut Context<'_>)) {
        let mut cx = Context {
            keys: &KeyLog::default(),
            limits: &self.limits,
            anomalies: &mut self.anomalies,
            body_bytes: &mut self.body_bytes,
            spans: &mut crate::message::FieldSpans::default(),
            out: &mut self.out,
        };
        act(&mut self.connection, &mut cx);
    }

    /// One packet that acknowledges all that the other side has sent.
    fn say(&mut self, direction: Direction, bytes: impl AsRef<[u8]>) -> &mut Self {
        let acked = self.sent[direction.reverse() as usize];
        self.say_acking(direction, bytes, acked)
    }

    fn say_acking(
        &mut self,
        direction: Direction,
        bytes: impl AsRef<[u8]>,
        peer_offset: u64,
    ) -> &mut Self {
        let bytes = bytes.as_ref();
        self.now = self.now + std::time::Duration::from_micros(10);
        let (offset, at) = (self.sent[direction as usize], self.now);
        self.sent[direction as usize] += bytes.len() as u64;
        self.run(|c, cx| {
            let _ = c.push(direction, Chunk { offset, bytes, at, peer_offset }, cx);
        });
        self
    }

    fn client(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.say(ToServer, bytes)
    }

    fn server(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.say(ToClient, bytes)
    }

    fn lose(&mut self, direction: Direction, len: u64, cause: GapCause) -> &mut Self {
        let (offset, at) = (self.sent[direction as usize], self.now);
        self.sent[direction as usize] += len;
        self.run(|c, cx| {
            c.gap(direction, Gap { offset, len, at, cause, extent: Extent::Exact }, cx)
        });
        self
    }

    fn miss(&mut self, direction: Direction, len: u64) -> &mut Self {
        self.lose(direction, len, GapCause::Missing)
    }

    fn fin(&mut self, direction: Direction) -> &mut Self {
        let at = self.now;
        self.run(|c, cx| c.fin(direction, at, cx));
        self
    }

    fn reset(&mut self, from: Direction) -> &mut Self {
        let at = self.now;
        self.run(|c, cx| c.reset(from, at, cx));
        self
    }

    fn wait(&mut self, seconds: u64) -> &mut Self {
        self.now = self.now + std::time::Duration::from_secs(seconds);
        let now = self.now;
        self.run(|c, cx| c.expire(now, cx));
        self
    }

    fn finish(&mut self) -> &mut Self {
        self.run(Connection::finish);
        assert_eq!(self.body_bytes, 0, "the budget is given back");
        self
    }

    fn next(&mut self) -> Exchange {
        *self.out.pop_front().expect("an exchange has left")
    }

    /// What has left, as `target status evidence`, `-` for what is not there.
    fn left(&mut self) -> Vec<String> {
        self.out.drain(..).map(|exchange| summary(&exchange)).collect()
    }

    fn count(&self, anomaly: Anomaly) -> u64 {
        self.anomalies.count(anomaly)
    }
}

fn summary(exchange: &Exchange) -> String {
    let target = exchange
        .request
        .as_ref()
        .map_or("-".into(), |request| String::from_utf8_lossy(request.target()).into_owned());
    let status = exchange.response.as_ref().map_or("-".into(), |r| r.status.to_string());
    format!("{target} {status} {}", exchange.evidence.as_str())
}

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// The response that a GET gets when the server says `bytes`, and its label.
fn answer_to_get(bytes: &[u8]) -> (Response, Evidence) {
    let mut wire = Wire::new();
    wire.client(get("/")).server(bytes).finish();
    let exchange = wire.next();
    (exchange.response.unwrap(), exchange.evidence)
}

fn body_of(exchange: &Exchange) -> &Body {
    &exchange.response.as_ref().unwrap().body
}

#[test]
fn a_request_and_its_response_leave_as_they_were_sent_with_their_times() {
    let mut wire = Wire::new();
    wire.client(b"POST /a?b=c HTTP/1.1\r\nHost: shop:80\r\nContent-")
        .client(b"Length: 5\r\nX-Empty:\r\nx-two:  spaced out \t\r\n\r\nhel")
        .client(b"lo")
        .server(b"HTTP/1.1 201 Not Only OK\r\nContent-Length: 3\r\n")
        .server(b"A: 1\r\na: 2\r\n\r\nab")
        .server(b"c");
    let exchange = wire.next();
    assert_eq!(exchange.evidence, Evidence::Complete);
    let request = exchange.request.as_ref().unwrap();
    assert_eq!((request.method(), request.target()), (&b"POST"[..], &b"/a?b=c"[..]));
    assert_eq!(request.host(), Some(&b"shop:80"[..]));
    assert_eq!(request.body.kept(), b"hello");
    let fields: Vec<_> = request.fields.iter().collect();
    assert_eq!(
        fields,
        [
            (&b"Host"[..], &b"shop:80"[..]),
            (b"Content-Length", b"5"),
            (b"X-Empty", b""),
            (b"x-two", b"spaced out"),
        ]
    );
    let response = exchange.response.as_ref().unwrap();
    assert_eq!((response.status, response.body.kept()), (201, &b"abc"[..]));
    assert_eq!(response.fields.get_all(b"A").collect::<Vec<_>>(), [b"1", b"2"]);

    let at = |packet: u64| Some(Timestamp::from_nanos(1_000_000_000 + packet * 10_000));
    let timing = exchange.timing;
    assert_eq!((timing.request_first, timing.request_head), (at(1), at(2)));
    assert_eq!((timing.request_last, timing.response_first), (at(3), at(4)));
    assert_eq!((timing.response_head, timing.response_last), (at(5), at(6)));
    assert_eq!(wire.anomalies.iter().count(), 0);
}

#[test]
fn keep_alive_and_pipelined_requests_get_their_responses_in_order() {
    let mut wire = Wire::new();
    wire.client(get("/1")).server(ok("1")).client(get("/2") + &get("/3") + &get("/4"));
    wire.server(ok("22") + &ok("333")).server(ok("4444"));
    let lengths: Vec<_> = wire.out.iter().map(|exchange| body_of(exchange).len()).collect();
    assert_eq!(lengths, [1, 2, 3, 4]);
    assert_eq!(
        wire.left(),
        ["/1 200 complete", "/2 200 complete", "/3 200 complete", "/4 200 complete"]
    );
}

#[test]
fn chunks_extensions_and_trailers_are_taken_off() {
    let (response, evidence) = answer_to_get(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
          5\r\nhello\r\n0006;name=\"va;lue\"\r\n world\r\n1 \r\n!\r\n00\r\nDigest: x\r\nEnd:\r\n\r\n",
    );
    assert_eq!(evidence, Evidence::Complete);
    assert_eq!(response.body.kept(), b"hello world!");
    let trailers: Vec<_> = response.trailers.iter().collect();
    assert_eq!(trailers, [(&b"Digest"[..], &b"x"[..]), (b"End", b"")]);
}

#[test]
fn a_broken_chunk_is_malformed_and_the_next_response_is_found_again() {
    for (body, anomaly) in [
        ("5\r\nhelloX0\r\n\r\n", Anomaly::BadChunkEnd),
        ("xyz\r\n", Anomaly::BadChunkSize),
        ("\r\n", Anomaly::BadChunkSize),
        ("fffffffffffffffff\r\n", Anomaly::BadChunkSize),
    ] {
        let mut wire = Wire::new();
        wire.client(get("/1"))
            .server(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}"))
            .client(get("/2"))
            .server(ok("2"));
        assert_eq!(wire.left(), ["/1 200 malformed", "/2 200 complete"], "{body:?}");
        assert_eq!(wire.count(anomaly), 1, "{body:?}");
    }
}

#[test]
fn responses_without_a_body_end_with_their_head() {
    let mut wire = Wire::new();
    wire.client("HEAD /h HTTP/1.1\r\n\r\n").server("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n");
    wire.client(get("/204")).server("HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n");
    wire.client(get("/304"))
        .server("HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n");
    wire.client(get("/0")).server("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(
        wire.left(),
        ["/h 200 complete", "/204 204 complete", "/304 304 complete", "/0 200 complete"]
    );
}

#[test]
fn a_response_without_a_length_ends_with_the_connection() {
    let mut wire = Wire::new();
    wire.client(get("/")).server("HTTP/1.0 200 OK\r\n\r\nabc").server("def");
    assert_eq!(wire.out.len(), 0);
    wire.fin(ToClient);
    let exchange = wire.next();
    assert_eq!(
        (summary(&exchange).as_str(), body_of(&exchange).kept()),
        ("/ 200 complete", &b"abcdef"[..])
    );

    let mut wire = Wire::new();
    wire.client(get("/")).server("HTTP/1.0 200 OK\r\n\r\nabc").reset(ToClient);
    assert_eq!(wire.left(), ["/ 200 reset"]);
    let mut wire = Wire::new();
    wire.client(get("/")).server("HTTP/1.0 200 OK\r\n\r\nabc").finish();
    assert_eq!(wire.left(), ["/ 200 truncated"]);
}

#[test]
fn transfer_encoding_wins_over_content_length() {
    let mut wire = Wire::new();
    wire.client(get("/")).server(
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\ntransfer-encoding: Chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    );
    assert_eq!(wire.count(Anomaly::LengthAndTransferEncoding), 1);
    let exchange = wire.next();
    assert_eq!((exchange.evidence, body_of(&exchange).kept()), (Evidence::Complete, &b"hi"[..]));
}

#[test]
fn equal_content_lengths_are_one_and_differing_ones_are_none() {
    let (response, evidence) =
        answer_to_get(b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\nContent-Length: 2\r\n\r\nhi");
    assert_eq!((evidence, response.body.kept()), (Evidence::Complete, &b"hi"[..]));
    for length in ["2\r\nContent-Length: 3", "2, 3", "-1", "", "0x2", "99999999999999999999"] {
        let mut wire = Wire::new();
        wire.client(get("/"))
            .server(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\nhi"));
        assert_eq!(wire.left(), ["/ 200 malformed"], "{length}");
        assert_eq!(wire.count(Anomaly::BadContentLength), 1, "{length}");
    }
}

#[test]
fn a_body_under_an_unknown_transfer_coding_is_not_complete() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding:";
    let mut wire = Wire::new();
    wire.client(get("/1")).server(format!("{head} gzip, chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"));
    wire.client(get("/2")).server(format!("{head} gzip\r\n\r\nxyz")).fin(ToClient);
    assert_eq!(wire.left(), ["/1 200 malformed", "/2 200 malformed"]);
    assert_eq!(wire.count(Anomaly::UnknownTransferEncoding), 2);
}

#[test]
fn interim_responses_are_collected() {
    let mut wire = Wire::new();
    wire.client("PUT / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        .server("HTTP/1.1 100 Continue\r\n\r\n")
        .client("hi")
        .server("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let exchange = wire.next();
    assert_eq!(exchange.interim, [100, 103]);
    assert_eq!(summary(&exchange), "/ 200 complete");
    assert_eq!(exchange.request.unwrap().body.kept(), b"hi");
}

#[test]
fn a_response_before_the_end_of_its_request_waits_for_it() {
    let mut wire = Wire::new();
    wire.client("POST /big HTTP/1.1\r\nContent-Length: 10\r\n\r\n12345").server(ok("early"));
    assert_eq!(wire.out.len(), 0);
    wire.client("67890").client(get("/next")).server(ok("next"));
    assert_eq!(wire.left(), ["/big 200 complete", "/next 200 complete"]);

    let mut wire = Wire::new();
    wire.client("POST /big HTTP/1.1\r\nContent-Length: 10\r\n\r\n12345").server(ok("early"));
    wire.fin(ToClient);
    assert_eq!(wire.left(), ["/big 200 reset"]);
}

#[test]
fn after_an_upgrade_the_connection_is_opaque() {
    let mut wire = Wire::new();
    wire.client("GET /ws HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n")
        .server("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x05\x01hello")
        .client("\x01\x02")
        .server(ok("no HTTP any more"))
        .finish();
    let exchange = wire.next();
    assert_eq!(exchange.upgrade.as_deref(), Some("websocket"));
    assert_eq!(summary(&exchange), "/ws 101 complete");
    assert_eq!((wire.left().len(), wire.count(Anomaly::Upgraded)), (0, 1));

    let mut wire = Wire::new();
    wire.client("CONNECT b:443 HTTP/1.1\r\n\r\n").client("\x16\x03\x01");
    wire.server("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n\x16\x03").finish();
    let exchange = wire.next();
    assert_eq!(exchange.upgrade.as_deref(), Some("CONNECT"));
    assert_eq!(summary(&exchange), "b:443 200 complete");
    assert_eq!((wire.left().len(), wire.count(Anomaly::BadRequestLine)), (0, 0));
}

#[test]
fn oddities_of_syntax_are_read_and_counted() {
    let mut wire = Wire::new();
    wire.client("\r\n\r\nGET /odd HTTP/1.1\nHost : a\nX-Fold: one\n\t two\r\n\r\n")
        .server("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n");
    let exchange = wire.next();
    assert_eq!(summary(&exchange), "/odd 200 complete");
    let request = exchange.request.unwrap();
    assert_eq!(request.host(), Some(&b"a"[..]));
    assert_eq!(request.fields.get(b"x-fold"), Some(&b"one two"[..]));
    for (anomaly, count) in [
        (Anomaly::LeadingEmptyLine, 2),
        (Anomaly::BareLf, 1),
        (Anomaly::SpaceBeforeColon, 1),
        (Anomaly::ObsFold, 1),
        (Anomaly::BadFieldLine, 0),
    ] {
        assert_eq!(wire.count(anomaly), count, "{anomaly:?}");
    }

    let mut wire = Wire::new();
    wire.client("get / http/1.1\r\nHost: a\r\n\r\n").server(ok(""));
    assert_eq!(
        (wire.left(), wire.count(Anomaly::BadRequestLine)),
        (vec!["/ 200 complete".into()], 1)
    );
}

#[test]
fn a_folded_content_length_counts_and_is_not_relied_on() {
    let folded = "HTTP/1.1 200 OK\r\nContent-Length:\r\n 2\r\nX: y\r\n\r\nhi";
    let (response, evidence) = answer_to_get(folded.as_bytes());
    assert_eq!((evidence, response.body.kept()), (Evidence::Malformed, &b"hi"[..]));
    // What a pipelining client gets after it may begin elsewhere.
    let mut wire = Wire::new();
    wire.client(get("/1") + &get("/2")).server(folded).server(ok("2")).finish();
    assert_eq!(wire.left(), ["/1 200 malformed", "/2 - malformed"]);
    // A client that waits has said where its next response begins.
    let mut wire = Wire::new();
    wire.client(get("/1")).server(folded).client(get("/2")).server(ok("2"));
    assert_eq!(wire.left(), ["/1 200 malformed", "/2 200 complete"]);
}

#[test]
fn a_cr_alone_in_its_line_ends_a_head_that_is_not_relied_on() {
    for size in [1, 2, 3, 1000] {
        let mut wire = Wire::new();
        wire.client(get("/"));
        let said = b"HTTP/1.1 200 OK\r\nA: b\r\n\rContent-Length: 2\r\n\r\nhi";
        for piece in said.chunks(size) {
            wire.server(piece);
        }
        wire.fin(ToClient);
        let exchange = wire.next();
        assert_eq!(summary(&exchange), "/ 200 malformed", "in pieces of {size}");
        assert_eq!(body_of(&exchange).kept(), b"Content-Length: 2\r\n\r\nhi".as_slice());
        assert_eq!(exchange.response.unwrap().fields.len(), 1);
        assert_eq!(wire.count(Anomaly::BareCr), 1);
    }
}

#[test]
fn a_request_line_is_read_by_its_words() {
    for (line, target, version) in [
        ("GET   /a\t HTTP/1.1", "/a", Version::Http11),
        ("GET\t \t /\t  HTTP/1.0", "/", Version::Http10),
        ("GET /a after HTTP/1.1", "/a", Version::Unknown),
        ("CONNECT b:25 / HTTP/1.0", "b:25", Version::Unknown),
    ] {
        for size in [1, 5, 1000] {
            let mut wire = Wire::new();
            let said = format!("{line}\r\nHost: a\r\n\r\n");
            for piece in said.as_bytes().chunks(size) {
                wire.client(piece);
            }
            wire.server(ok(""));
            let exchange = wire.next();
            assert_eq!(exchange.evidence, Evidence::Complete, "{line}");
            let request = exchange.request.unwrap();
            assert_eq!(request.target(), target.as_bytes(), "{line}");
            assert_eq!(request.version, version, "{line}");
            assert_eq!(wire.count(Anomaly::BadRequestLine), 1, "{line}");
        }
    }
}

#[test]
fn a_first_line_without_a_version_is_a_request_if_it_is_answered_in_http() {
    for line in [
        "GET /",
        "GET / HTML/1.1",
        "GET /HTTP/1.1",
        "OPTIONS HTTP/1.1",
        "GET / HTTP/2.0",
        "OPTIONS",
    ] {
        let mut wire = Wire::new();
        wire.client(format!("{line}\nHost: a\n\n")).server("HTTP/1.0 400 Bad Request\r\n\r\n");
        wire.fin(ToClient);
        assert!(wire.left()[0].ends_with(" 400 malformed"), "{line}");
        // An answer in another protocol, or none at all.
        for answer in ["+OK\r\n", ""] {
            let mut wire = Wire::new();
            wire.client(format!("{line}\nHost: a\n\n"));
            if !answer.is_empty() {
                wire.server(answer);
            }
            wire.fin(ToClient).finish();
            assert_eq!(wire.left().len(), 0, "{line}");
        }
    }
    // Later on a connection there is none: it would swallow the request behind it.
    let mut wire = Wire::new();
    wire.client(get("/1")).server(ok("1")).client("GET /2\r\n").client(get("/3")).server(ok("3"));
    assert_eq!(wire.left(), ["/1 200 complete", "- 200 malformed"]);
}

#[test]
fn differing_lengths_of_a_request_frame_it_by_the_last_and_nothing_after_it() {
    let mut wire = Wire::new();
    wire.client("POST /1 HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 4\r\n\r\nabcd");
    wire.client(get("/hidden")).server(ok("1"));
    let exchange = wire.next();
    assert_eq!(summary(&exchange), "/1 200 malformed");
    assert_eq!(exchange.request.unwrap().body.kept(), b"abcd");
    wire.client(get("/2")).server(ok("2"));
    assert_eq!(wire.left(), ["/2 200 complete"]);
}

#[test]
fn a_response_whose_length_cannot_be_told_ends_with_the_connection_if_it_says_so() {
    for length in ["68.9", "2\r\nContent-Length: 3"] {
        let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}");
        let mut wire = Wire::new();
        wire.client(get("/")).server(format!("{head}\r\n\r\nall of it")).fin(ToClient);
        let exchange = wire.next();
        assert_eq!(summary(&exchange), "/ 200 malformed");
        assert_eq!(body_of(&exchange).kept(), b"all of it");
    }
}

#[test]
fn a_status_line_of_a_version_there_is_not_is_read_and_not_relied_on() {
    for version in ["HTTP/2.0", "HTTP/1.01", "http/0.9"] {
        let said = format!("{version} 200 ok\r\nContent-Length: 2\r\n\r\nhi");
        let (response, evidence) = answer_to_get(said.as_bytes());
        assert_eq!((evidence, response.body.kept()), (Evidence::Malformed, &b"hi"[..]));
        assert_eq!(response.version, Version::Unknown);
    }
    for line in ["HTTP/1\0.1 200 ok", "HTTP 200 ok", "HTTP/1. 200 ok", "ICY 200 OK"] {
        let mut wire = Wire::new();
        wire.client(get("/")).server(format!("{line}\r\n\r\n")).finish();
        assert_eq!(wire.left(), ["/ - malformed"], "{line}");
    }
}

#[test]
fn names_of_no_coding_do_not_hide_chunked() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: lalala, chunked, lalala\r\n";
    let (response, evidence) = answer_to_get(format!("{head}\r\n2\r\nhi\r\n0\r\n\r\n").as_bytes());
    assert_eq!((evidence, response.body.kept()), (Evidence::Malformed, &b"hi"[..]));
    // Of a request it is nothing to rely on: another reader may take its body for the next one.
    let mut wire = Wire::new();
    wire.client("POST / HTTP/1.1\r\nTransfer-Encoding: chunked, x\r\n\r\n0\r\n\r\n");
    wire.server(ok("")).finish();
    assert_eq!(wire.left(), ["/ 200 malformed"]);
}

#[test]
fn a_field_line_that_is_none_is_left_out_and_the_exchange_is_not_complete() {
    let mut wire = Wire::new();
    wire.client("GET / HTTP/1.1\r\nHost: a\r\nno colon here\r\n: no name\r\nX: y\r\n\r\n")
        .server(ok(""));
    let exchange = wire.next();
    assert_eq!(summary(&exchange), "/ 200 malformed");
    assert_eq!(exchange.request.unwrap().fields.len(), 2);
    assert_eq!(wire.count(Anomaly::BadFieldLine), 1);
}

#[test]
fn what_never_spoke_http_yields_no_exchange_and_one_note() {
    for bytes in
        [&b"\x16\x03\x01\x02\x00\x01"[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"SSH-2.0-x\r\n"]
    {
        let mut wire = Wire::new();
        wire.client(bytes).server(bytes).client(get("/")).server(ok("")).finish();
        assert_eq!((wire.left().len(), wire.count(Anomaly::NotHttp)), (0, 1), "{bytes:?}");
        let mut wire = Wire::new();
        for byte in bytes {
            wire.client([*byte]);
        }
        wire.server(bytes).finish();
        assert_eq!((wire.left().len(), wire.count(Anomaly::NotHttp)), (0, 1), "{bytes:?}");
    }
    let mut wire = Wire::new();
    wire.server("220 mail ready\r\n").client("EHLO a\r\n").finish();
    assert_eq!((wire.left().len(), wire.count(Anomaly::NotHttp)), (0, 1));
}

#[test]
fn a_head_costs_as_much_a_byte_however_long_it_is_and_however_it_is_cut() {
    let shapes: [fn(usize) -> String; 4] = [
        |len| format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(len)),
        |len| format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(len)),
        |len| format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(len / 6)),
        |len| format!("GET / HTTP/1.1\r\nX: y\r\n{}\r\n", " z\r\n".repeat(len / 4)),
    ];
    for shape in shapes {
        for size in [1, 2, 3, 100, 1_460] {
            for len in [2_000, 20_000, 200_000] {
                let limits = Limits { head_fields: 1 << 20, ..Limits::default() };
                let mut wire = Wire::with(limits, false);
                let said = shape(len);
                head::work::taken();
                for piece in said.as_bytes().chunks(size) {
                    wire.client(piece);
                }
                let looked = head::work::taken();
                // Once for its end, once to read it, and its beginning to tell whether it is one.
                assert!(looked <= 3 * said.len() + 20_000, "{looked} for {} by {size}", said.len());
                wire.server(ok(""));
                assert_eq!(wire.left().len(), 1);
            }
        }
    }
}

#[test]
fn caps_on_heads_hold_and_what_was_read_is_reported() {
    let limits = Limits { head_bytes: 200, head_fields: 3, ..Limits::default() };
    let large = format!("GET /large HTTP/1.1\r\nA: b\r\nX: {}\r\n\r\n", "y".repeat(300));
    for piece in [large.len(), 1, 50] {
        let mut wire = Wire::with(limits.clone(), false);
        for piece in large.as_bytes().chunks(piece) {
            wire.client(piece);
        }
        wire.server("HTTP/1.1 431 Too Large\r\nContent-Length: 0\r\n\r\n").finish();
        assert_eq!(wire.left(), ["/large 431 malformed"], "in pieces of {piece}");
        assert_eq!(wire.count(Anomaly::HeadTooLarge), 1);
    }
    let head = |len: usize| format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "y".repeat(len - 23));
    for (len, label) in [(200, "/ 200 complete"), (201, "/ 200 malformed")] {
        for piece in [len, 1] {
            let mut wire = Wire::with(limits.clone(), false);
            assert_eq!(head(len).len(), len);
            for piece in head(len).as_bytes().chunks(piece) {
                wire.client(piece);
            }
            wire.server(ok(""));
            assert_eq!(wire.left(), [label], "{len} bytes in pieces of {piece}");
        }
    }
    let mut wire = Wire::with(limits, false);
    wire.client("GET /many HTTP/1.1\r\na:1\r\nb:2\r\nc:3\r\nd:4\r\n\r\n").server(ok(""));
    assert_eq!(wire.next().request.unwrap().fields.len(), 3);
    assert_eq!(wire.count(Anomaly::TooManyFields), 1);
}

#[test]
fn too_deep_a_pipeline_gives_up_the_oldest_and_stays_in_sync() {
    let limits = Limits { pipelined: 2, ..Limits::default() };
    let mut wire = Wire::with(limits, false);
    wire.client(get("/1") + &get("/2") + &get("/3"));
    wire.server(ok("1") + &ok("2") + &ok("3"));
    assert_eq!(wire.left(), ["/1 - truncated", "/2 200 complete", "/3 200 complete"]);
    assert_eq!((wire.count(Anomaly::PipelineTooDeep), wire.count(Anomaly::LateResponse)), (1, 1));
}

#[test]
fn a_late_response_belongs_to_nobody_and_the_connection_stays_in_sync() {
    let mut wire = Wire::new();
    wire.client("HEAD /slow HTTP/1.1\r\n\r\n");
    let deadline = wire.connection.deadline(&wire.limits).unwrap();
    assert_eq!(deadline, wire.now + wire.limits.response_timeout);
    wire.wait(29);
    assert_eq!(wire.out.len(), 0);
    wire.wait(1);
    assert_eq!(wire.left(), ["/slow - timed_out"]);
    assert_eq!(wire.connection.deadline(&wire.limits), None);
    wire.server("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
    wire.client(get("/next")).server(ok("next"));
    assert_eq!(wire.left(), ["/next 200 complete"]);
    assert_eq!(wire.count(Anomaly::LateResponse), 1);
}

#[test]
fn a_message_that_stalls_times_out_with_what_came_of_it() {
    let mut wire = Wire::new();
    wire.client(get("/")).server("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc").wait(30);
    let exchange = wire.next();
    assert_eq!(
        (summary(&exchange).as_str(), body_of(&exchange).kept()),
        ("/ 200 timed_out", &b"abc"[..])
    );
    wire.server("def").client(get("/2")).server(ok(""));
    assert_eq!(wire.left(), ["/2 200 complete"]);

    let mut wire = Wire::new();
    wire.client("POST /up HTTP/1.1\r\nContent-Length: 6\r\n\r\nabc").wait(30).client("def");
    wire.server(ok("late")).client(get("/2")).server(ok(""));
    assert_eq!(wire.left(), ["/up - timed_out", "/2 200 complete"]);
}

#[test]
fn who_ended_the_connection_is_the_label() {
    let half = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc";
    let after = |act: fn(&mut Wire) -> &mut Wire| {
        let mut wire = Wire::new();
        wire.client(get("/")).server(half);
        act(&mut wire);
        wire.finish().left().remove(0)
    };
    assert_eq!(after(|wire| wire.reset(ToServer)), "/ 200 proxy_aborted");
    assert_eq!(after(|wire| wire.fin(ToServer).reset(ToServer)), "/ 200 proxy_aborted");
    assert_eq!(after(|wire| wire.fin(ToServer).fin(ToClient)), "/ 200 proxy_aborted");
    assert_eq!(after(|wire| wire.reset(ToClient)), "/ 200 reset");
    assert_eq!(after(|wire| wire.fin(ToClient)), "/ 200 reset");
    assert_eq!(after(|wire| wire), "/ 200 truncated");
    // nginx closes its side of the mirror leg after the head; the body may come nevertheless.
    assert_eq!(after(|wire| wire.fin(ToServer).server("defghi")), "/ 200 complete");

    let unanswered = |act: fn(&mut Wire) -> &mut Wire| {
        let mut wire = Wire::new();
        wire.client(get("/"));
        act(&mut wire);
        wire.finish().left().remove(0)
    };
    assert_eq!(unanswered(|wire| wire.fin(ToClient)), "/ - reset");
    assert_eq!(unanswered(|wire| wire.reset(ToClient)), "/ - reset");
    assert_eq!(unanswered(|wire| wire.reset(ToServer)), "/ - proxy_aborted");
    assert_eq!(unanswered(|wire| wire), "/ - truncated");
}

#[test]
fn a_request_that_crosses_the_servers_close_is_counted() {
    let mut wire = Wire::new();
    wire.client(get("/1")).server(ok("1")).fin(ToClient).client(get("/2")).finish();
    assert_eq!(wire.left(), ["/1 200 complete", "/2 - reset"]);
}

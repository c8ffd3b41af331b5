//! One rule each, by what is said on the wire. `losses` has what happens when bytes are missing or
//! the beginning was not seen, `sessions` how a connection comes to speak HTTP/2, `peers` what real
//! peers say, `hostile` what nobody should.

mod hostile;
mod losses;
mod peers;
mod sessions;

use std::collections::VecDeque;

use super::*;
use crate::keylog::KeyLog;
use crate::{Anomalies, Response};

use Direction::{ToClient, ToServer};
use flag::{END_HEADERS, END_STREAM, PADDED};

/// A connection under test, and both ends of it: keeps offsets as TCP would.
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

fn info(late_join: bool) -> FlowInfo {
    FlowInfo {
        origin: None,
        client: "10.0.0.1:40000".parse().unwrap(),
        server: "10.0.0.2:8080".parse().unwrap(),
        late_join,
    }
}

impl Wire {
    /// A connection whose preface and settings were exchanged.
    fn new() -> Self {
        Self::with(Limits::default())
    }

    fn with(limits: Limits) -> Self {
        let mut wire = Self::bare(limits, false);
        wire.client(PREFACE).client(settings(&[])).server(settings(&[]));
        wire
    }

    fn late() -> Self {
        Self::bare(Limits::default(), true)
    }

    fn bare(limits: Limits, late_join: bool) -> Self {
        Self {
            connection: Connection::new(info(late_join)),
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

    /// One packet.
    fn say(&mut self, direction: Direction, bytes: impl AsRef<[u8]>) -> &mut Self {
        let bytes = bytes.as_ref();
        self.now = self.now + std::time::Duration::from_micros(10);
        let (offset, at) = (self.sent[direction as usize], self.now);
        self.sent[direction as usize] += bytes.len() as u64;
        let peer_offset = self.sent[direction.reverse() as usize];
        self.run(|c, cx| c.push(direction, Chunk { offset, bytes, at, peer_offset }, cx));
        self
    }

    fn client(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.say(ToServer, bytes)
    }

    fn server(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.say(ToClient, bytes)
    }

    fn lose(&mut self, direction: Direction, len: usize, cause: GapCause) -> &mut Self {
        let (offset, at) = (self.sent[direction as usize], self.now);
        self.sent[direction as usize] += len as u64;
        let extent = Extent::Exact;
        let gap = Gap { offset, len: len as u64, at, cause, extent };
        self.run(|c, cx| c.gap(direction, gap, cx));
        self
    }

    fn miss(&mut self, direction: Direction, len: usize) -> &mut Self {
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

    /// What has left, as `stream target status evidence`, `-` for what is not there.
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
    let stream = exchange.stream_id.unwrap();
    format!("{stream} {target} {status} {}", exchange.evidence.as_str())
}

fn frame(kind: u8, flags: u8, stream: u32, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let len = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&[len[1], len[2], len[3], kind, flags][..], &stream.to_be_bytes(), payload].concat()
}

/// Fields as literals that need no table.
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    literals(0x00, fields)
}

/// Fields as literals that are inserted into the table.
fn inserting(fields: &[(&str, &str)]) -> Vec<u8> {
    literals(0x40, fields)
}

fn literals(first: u8, fields: &[(&str, &str)]) -> Vec<u8> {
    let string = |text: &str| {
        let prefix = match text.len() {
            len @ ..127 => vec![u8::try_from(len).unwrap()],
            len => {
                let rest = len - 127;
                vec![
                    127,
                    u8::try_from(rest % 128).unwrap() | 0x80,
                    u8::try_from(rest / 128).unwrap(),
                ]
            }
        };
        [prefix, text.as_bytes().to_vec()].concat()
    };
    fields
        .iter()
        .flat_map(|(name, value)| [vec![first], string(name), string(value)].concat())
        .collect()
}

/// `:method: GET`, `:scheme: http` and this path.
fn get_block(path: &str) -> Vec<u8> {
    [vec![0x82, 0x86], block(&[(":path", path), (":authority", "shop:80")])].concat()
}

fn get(stream: u32, path: &str) -> Vec<u8> {
    frame(kind::HEADERS, END_HEADERS | END_STREAM, stream, get_block(path))
}

fn post(stream: u32, path: &str) -> Vec<u8> {
    let fields = [vec![0x83, 0x86], block(&[(":path", path)])].concat();
    frame(kind::HEADERS, END_HEADERS, stream, fields)
}

/// The head of a 200.
fn ok(stream: u32) -> Vec<u8> {
    frame(kind::HEADERS, END_HEADERS, stream, [0x88])
}

/// A 200 without a body.
fn ok_empty(stream: u32) -> Vec<u8> {
    frame(kind::HEADERS, END_HEADERS | END_STREAM, stream, [0x88])
}

fn data(stream: u32, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    frame(kind::DATA, 0, stream, bytes)
}

fn last_data(stream: u32, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    frame(kind::DATA, END_STREAM, stream, bytes)
}

fn trailers(stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    frame(kind::HEADERS, END_HEADERS | END_STREAM, stream, block(fields))
}

fn rst(stream: u32, code: u32) -> Vec<u8> {
    frame(kind::RST_STREAM, 0, stream, code.to_be_bytes())
}

fn settings(values: &[(u16, u32)]) -> Vec<u8> {
    let payload: Vec<u8> = values
        .iter()
        .flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat())
        .collect();
    frame(kind::SETTINGS, 0, 0, payload)
}

fn go_away(last: u32) -> Vec<u8> {
    frame(kind::GOAWAY, 0, 0, [last.to_be_bytes(), [0; 4]].concat())
}

fn response(exchange: &Exchange) -> &Response {
    exchange.response.as_ref().unwrap()
}

fn fields(fields: &crate::Fields) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    fields.iter().map(|(name, value)| (text(name), text(value))).collect()
}

#[test]
fn a_request_and_its_response_leave_as_they_were_sent_with_their_times() {
    let mut wire = Wire::new();
    let head = [
        get_block("/a?b=c"),
        block(&[("cookie", "a=1"), ("cookie", "b=2"), ("content-length", "5")]),
    ]
    .concat();
    let start = wire.now.as_nanos();
    let (first, rest) = head.split_at(20);
    wire.client(frame(kind::HEADERS, 0, 1, first))
        .client(frame(kind::CONTINUATION, END_HEADERS, 1, rest))
        .client(data(1, "hel"))
        .client(last_data(1, "lo"))
        .server(frame(kind::HEADERS, END_HEADERS, 1, block(&[(":status", "100")])))
        .server(frame(kind::HEADERS, END_HEADERS, 1, block(&[(":status", "103"), ("link", "x")])))
        .server(frame(kind::HEADERS, END_HEADERS, 1, block(&[(":status", "201"), ("a", "1")])))
        .server(data(1, "ab"))
        .server(trailers(1, &[("grpc-status", "0")]));
    let exchange = wire.next();
    assert_eq!(summary(&exchange), "1 /a?b=c 201 complete");
    assert_eq!((exchange.protocol, exchange.stream_id), (Protocol::Http2, Some(1)));
    let request = exchange.request.as_ref().unwrap();
    assert_eq!(request.method(), b"GET");
    assert_eq!(request.host(), Some(&b"shop:80"[..]));
    assert_eq!(
        fields(&request.fields),
        [("cookie", "a=1"), ("cookie", "b=2"), ("content-length", "5")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
    assert_eq!(request.body.kept(), b"hello");
    assert_eq!(exchange.interim, [100, 103]);
    assert_eq!(fields(&response(&exchange).fields), [("a".to_owned(), "1".to_owned())]);
    assert_eq!(response(&exchange).body.kept(), b"ab");
    assert_eq!(fields(&response(&exchange).trailers), [("grpc-status".to_owned(), "0".to_owned())]);
    let times = exchange.timing;
    let micros = |at: Option<Timestamp>| (at.unwrap().as_nanos() - start) / 1_000;
    assert_eq!(micros(times.request_first), 10);
    assert_eq!(micros(times.request_head), 20);
    assert_eq!(micros(times.request_last), 40);
    assert_eq!(micros(times.response_first), 70);
    assert_eq!(micros(times.response_head), 70);
    assert_eq!(micros(times.response_last), 90);
    assert_eq!(wire.finish().anomalies.iter().count(), 0);
}

#[test]
fn streams_interleave_in_both_directions() {
    let mut wire = Wire::new();
    wire.client([post(1, "/1"), post(3, "/3"), data(1, "a"), last_data(3, "B")].concat())
        .server([ok(3), data(3, "C")].concat())
        .client(last_data(1, "c"))
        .server([ok(1), data(1, "x"), last_data(3, "D"), last_data(1, "y")].concat());
    let (three, one) = (wire.next(), wire.next());
    assert_eq!([summary(&three), summary(&one)], ["3 /3 200 complete", "1 /1 200 complete"]);
    assert_eq!(three.request.as_ref().unwrap().body.kept(), b"B");
    assert_eq!(response(&three).body.kept(), b"CD");
    assert_eq!(one.request.as_ref().unwrap().body.kept(), b"ac");
    assert_eq!(response(&one).body.kept(), b"xy");
}

#[test]
fn padding_and_priority_are_no_content() {
    let mut wire = Wire::new();
    let head = [&[3, 0, 0, 0, 0, 16][..], &get_block("/"), &[0; 3]].concat();
    let flags = END_HEADERS | PADDED | flag::PRIORITY;
    wire.client(frame(kind::HEADERS, flags, 1, head))
        .client(frame(kind::DATA, PADDED | END_STREAM, 1, b"\x02body\0\0"))
        .client(frame(kind::PRIORITY, 0, 3, [0; 5]))
        .server(ok(1))
        .server(frame(kind::DATA, PADDED | END_STREAM, 1, [0]));
    let exchange = wire.next();
    assert_eq!(summary(&exchange), "1 / 200 complete");
    assert_eq!(exchange.request.unwrap().body.kept(), b"body");
    assert_eq!(exchange.response.unwrap().body.len(), 0);
}

#[test]
fn frames_of_the_connection_and_of_unknown_types_are_passed_over() {
    let mut wire = Wire::new();
    wire.client(frame(kind::PING, 0, 0, [7; 8]))
        .client(get(1, "/"))
        .client(frame(kind::WINDOW_UPDATE, 0, 1, [0, 0, 1, 0]))
        .server(frame(kind::SETTINGS, flag::ACK, 0, []))
        .server(frame(0xfa, 0xff, 9, b"grease"))
        .server(ok_empty(1));
    assert_eq!(wire.left(), ["1 / 200 complete"]);
    assert_eq!(wire.anomalies.iter().count(), 0);
}

#[test]
fn without_an_authority_the_host_is_the_host_field() {
    let mut wire = Wire::new();
    let head = [&[0x82, 0x86, 0x84][..], &block(&[("host", "a")])].concat();
    wire.client(frame(kind::HEADERS, END_HEADERS | END_STREAM, 1, head)).server(ok_empty(1));
    let exchange = wire.next();
    let request = exchange.request.unwrap();
    assert_eq!((request.host(), request.target()), (Some(&b"a"[..]), &b"/"[..]));
}

#[test]
fn a_tunnel_ends_the_exchange_with_its_response_and_is_counted() {
    for (fields, target, name) in [
        (&[(":method", "CONNECT"), (":authority", "a:1")][..], "a:1", "CONNECT"),
        (
            &[
                (":method", "CONNECT"),
                (":protocol", "websocket"),
                (":scheme", "http"),
                (":path", "/chat"),
                (":authority", "a"),
            ],
            "/chat",
            "websocket",
        ),
    ] {
        let mut wire = Wire::new();
        wire.client(frame(kind::HEADERS, END_HEADERS, 1, block(fields)))
            .client(data(1, "tunnelled"))
            .server([ok(1), data(1, "too")].concat())
            .client(last_data(1, "more"));
        let exchange = wire.next();
        assert_eq!(summary(&exchange), format!("1 {target} 200 complete"));
        assert_eq!(exchange.upgrade.as_deref(), Some(name));
        assert_eq!(exchange.response.unwrap().body.len(), 0);
        assert_eq!(wire.count(Anomaly::Upgraded), 1);
        let mut refused = Wire::new();
        refused
            .client(frame(kind::HEADERS, END_HEADERS, 1, block(fields)))
            .server(frame(kind::HEADERS, END_HEADERS, 1, block(&[(":status", "403")])))
            .server(last_data(1, "no"));
        let exchange = refused.next();
        assert_eq!((exchange.upgrade.as_deref(), exchange.evidence), (None, Evidence::Complete));
        assert_eq!(exchange.response.unwrap().body.kept(), b"no");
    }
}

#[test]
fn an_upgraded_request_is_answered_on_stream_1() {
    let mut wire = Wire::bare(Limits::default(), false);
    let mut http1 = streams::blank_exchange(&info(false), 9);
    let mut fields = crate::FieldsBuilder::new();
    fields.first_line(0, b"GET");
    fields.first_line(1, b"/up");
    // A table of 8192 bytes and frames of 32768.
    fields.field(b"http2-settings", b"AAEAACAAAAUAAIAA");
    http1.request = Some(crate::Request {
        version: crate::Version::Http11,
        fields: fields.build(),
        body: crate::Body::default(),
        trailers: crate::Fields::default(),
    });
    http1.interim.push(101);
    wire.connection = Connection::upgraded(info(false), http1, wire.now);
    wire.server([settings(&[]), vec![0, 0, 4, 1, 4, 0, 0, 0, 1, 0x3f, 0xe1, 0x3f, 0x88]].concat())
        .client(PREFACE)
        .client([settings(&[]), get(3, "/next")].concat())
        .server(last_data(1, vec![b'x'; 30_000]))
        .server(ok_empty(3));
    assert_eq!(wire.left(), ["1 /up 200 complete", "3 /next 200 complete"]);
    assert_eq!(wire.anomalies.iter().count(), 0);
}

#[test]
fn a_stream_that_the_client_resets_was_given_up_by_it() {
    let mut wire = Wire::new();
    wire.client([get(1, "/1"), get(3, "/3")].concat())
        .server([ok(1), data(1, "x")].concat())
        .client([rst(1, 8), rst(3, 8)].concat())
        // What was under way still comes.
        .server([last_data(1, "y"), ok_empty(3)].concat());
    assert_eq!(wire.left(), ["1 /1 200 proxy_aborted", "3 /3 - proxy_aborted"]);
    assert_eq!(wire.finish().left(), [""; 0]);
}

#[test]
fn a_stream_that_the_server_resets_is_reset_unless_its_response_was_whole() {
    let mut wire = Wire::new();
    wire.client([get(1, "/1"), get(3, "/3"), post(5, "/5"), post(7, "/7")].concat())
        .server([rst(1, 7), ok(3), data(3, "x"), rst(3, 0)].concat())
        .client(data(5, "half"))
        .server([ok_empty(5), rst(5, 0), ok_empty(7), rst(7, 2)].concat());
    let left: Vec<_> = wire.out.iter().map(|exchange| summary(exchange)).collect();
    assert_eq!(left, ["1 /1 - reset", "3 /3 200 reset", "5 /5 200 complete", "7 /7 200 reset"]);
    assert_eq!(wire.out[2].request.as_ref().unwrap().body.kept(), b"half");
}

#[test]
fn streams_beyond_a_goaway_are_reset_and_the_others_are_answered() {
    let mut wire = Wire::new();
    wire.client([get(1, "/1"), get(3, "/3")].concat())
        .server(go_away(u32::MAX >> 1))
        .client(get(5, "/5"))
        .server(go_away(1))
        .client(get(7, "/7"))
        .server(ok_empty(1));
    assert_eq!(wire.left(), ["3 /3 - reset", "5 /5 - reset", "7 /7 - reset", "1 /1 200 complete"]);
}

#[test]
fn the_end_of_the_connection_labels_what_is_open() {
    let open = || {
        let mut wire = Wire::new();
        wire.client([get(1, "/1"), post(3, "/3"), data(3, "x")].concat())
            .server([ok(1), data(1, "x")].concat());
        wire
    };
    let by = |label: &str| vec![format!("1 /1 200 {label}"), format!("3 /3 - {label}")];
    assert_eq!(open().fin(ToClient).finish().left(), by("reset"));
    assert_eq!(open().reset(ToClient).left(), by("reset"));
    assert_eq!(open().reset(ToServer).left(), by("proxy_aborted"));
    assert_eq!(open().fin(ToServer).fin(ToClient).left(), by("proxy_aborted"));
    assert_eq!(open().finish().left(), by("truncated"));
    let mut half_closed = open();
    half_closed.fin(ToServer).server(last_data(1, "y"));
    assert_eq!(half_closed.left(), ["1 /1 200 complete"]);
}

#[test]
fn a_stream_times_out_on_its_own_and_a_late_answer_is_for_nobody() {
    let mut wire = Wire::new();
    wire.client(get(1, "/1")).wait(20).client([get(3, "/3"), post(5, "/5")].concat());
    let first = wire.connection.deadline(&wire.limits).unwrap();
    assert!(first <= wire.now + std::time::Duration::from_secs(11));
    wire.wait(11).client(data(5, "x"));
    assert_eq!(wire.left(), ["1 /1 - timed_out"]);
    wire.server(ok_empty(1)).wait(20);
    assert_eq!(wire.left(), ["3 /3 - timed_out"]);
    assert_eq!(wire.count(Anomaly::LateResponse), 1);
    wire.server(ok_empty(5)).client(last_data(5, "y"));
    assert_eq!(wire.left(), ["5 /5 200 complete"]);
    assert_eq!(wire.connection.deadline(&wire.limits), None);
}

#[test]
fn what_the_server_pushes_is_noted_and_the_table_stays_in_step() {
    let mut wire = Wire::new();
    let promise = [&[0, 0, 0, 2][..], &[0x82, 0x86, 0x84], &inserting(&[("x", "1")])].concat();
    let pushed = [&[0x88][..], &inserting(&[("y", "2")])].concat();
    wire.client(get(1, "/"))
        .server(frame(kind::PUSH_PROMISE, END_HEADERS, 1, promise))
        .server(frame(kind::HEADERS, END_HEADERS, 2, pushed))
        .server(last_data(2, "pushed"))
        .server(frame(kind::HEADERS, END_HEADERS | END_STREAM, 1, [0x88, 0xbf, 0xbe]));
    let exchange = wire.next();
    assert_eq!(summary(&exchange), "1 / 200 complete");
    let expected = [("x", "1"), ("y", "2")].map(|(n, v)| (n.to_owned(), v.to_owned()));
    assert_eq!(fields(&response(&exchange).fields), expected);
    assert_eq!(wire.finish().left(), [""; 0]);
    assert_eq!(wire.count(Anomaly::PushPromise), 1);
    assert_eq!(wire.anomalies.iter().count(), 1);
}

#[test]
fn a_content_length_that_is_not_what_came_is_noted() {
    let mut wire = Wire::new();
    let head = |stream, status| {
        let fields = block(&[(":status", status), ("content-length", "3")]);
        frame(kind::HEADERS, END_HEADERS, stream, fields)
    };
    wire.client([get(1, "/1"), get(3, "/3"), get(5, "/5")].concat())
        .server([head(1, "200"), last_data(1, "four")].concat())
        .server([head(3, "200"), last_data(3, "abc")].concat())
        .server([head(5, "304"), last_data(5, "")].concat());
    assert_eq!(wire.left().len(), 3);
    assert_eq!(wire.count(Anomaly::BadContentLength), 1);
}

#[test]
fn a_list_that_says_no_request_or_no_response_is_malformed() {
    let mut wire = Wire::new();
    let no_path = [0x82, 0x86];
    let two_methods = [&[0x82, 0x83, 0x86][..], &block(&[(":path", "/3")])].concat();
    let flags = END_HEADERS | END_STREAM;
    wire.client(frame(kind::HEADERS, flags, 1, no_path))
        .client(frame(kind::HEADERS, flags, 3, two_methods))
        .client(get(5, "/5"))
        .server([ok_empty(1), ok_empty(3)].concat())
        .server(frame(kind::HEADERS, flags, 5, block(&[("a", "1")])));
    assert_eq!(wire.left(), ["1 - 200 malformed", "3 /3 200 malformed", "5 /5 - malformed"]);
    assert_eq!(wire.count(Anomaly::BadFieldList), 3);
}

#[test]
fn frames_that_break_the_rules_of_their_type_are_noted_and_passed_over() {
    for bad in [
        frame(kind::PING, 0, 0, [0; 7]),
        frame(kind::SETTINGS, 0, 0, [0; 5]),
        frame(kind::SETTINGS, 0, 1, [0; 6]),
        frame(kind::RST_STREAM, 0, 1, [0; 5]),
        frame(kind::DATA, PADDED, 99, [9, 0, 0]),
        frame(kind::DATA, 0, 0, b"x"),
        frame(kind::CONTINUATION, END_HEADERS, 1, [0x82]),
    ] {
        let mut wire = Wire::new();
        wire.client(get(1, "/1")).client(&bad).client(get(3, "/3"));
        wire.server([ok_empty(1), ok_empty(3)].concat());
        assert_eq!(wire.left(), ["1 /1 200 complete", "3 /3 200 complete"], "{bad:?}");
        assert_eq!(wire.count(Anomaly::BadFrame), 1, "{bad:?}");
    }
}

#[test]
fn a_block_that_something_else_interrupts_is_malformed() {
    let mut wire = Wire::new();
    let head = get_block("/");
    wire.client(frame(kind::HEADERS, 0, 1, &head[..8]))
        .client(get(3, "/3"))
        .server([ok_empty(1), ok_empty(3)].concat());
    assert_eq!(wire.left(), ["1 - 200 malformed", "3 /3 200 complete"]);
    assert_eq!(wire.count(Anomaly::BadFrame), 1);
}

#[test]
fn a_frame_above_what_the_other_side_takes_ends_the_sync_and_one_below_does_not() {
    let large = vec![b'x'; 20_000];
    let mut wire = Wire::new();
    wire.client(get(1, "/")).server([ok(1), last_data(1, &large)].concat());
    assert_eq!(wire.left(), ["1 / 200 malformed"]);
    assert_eq!(wire.count(Anomaly::BadFrame), 1);
    let mut wire = Wire::new();
    wire.client([settings(&[(5, 32_768)]), get(1, "/")].concat());
    wire.server([ok(1), last_data(1, &large)].concat());
    assert_eq!(wire.left(), ["1 / 200 complete"]);
}

#[test]
fn a_block_that_does_not_decode_makes_its_stream_malformed_and_the_table_unknown() {
    let mut wire = Wire::new();
    let insert = [get_block("/1"), inserting(&[("x", "1")])].concat();
    let flags = END_HEADERS | END_STREAM;
    wire.client(frame(kind::HEADERS, flags, 1, insert))
        .client(frame(kind::HEADERS, flags, 3, [&get_block("/3")[..], &[0x80]].concat()))
        .client(frame(kind::HEADERS, flags, 5, [&get_block("/5")[..], &[0xbe]].concat()))
        .client(get(7, "/7"))
        .server([ok_empty(1), ok_empty(3), ok_empty(5), ok_empty(7)].concat());
    assert_eq!(
        wire.left(),
        ["1 /1 200 complete", "3 /3 200 malformed", "5 /5 200 malformed", "7 /7 200 complete"]
    );
    assert_eq!((wire.count(Anomaly::BadHeaderBlock), wire.count(Anomaly::UnknownField)), (1, 1));
}

//! Properties: dialogues are generated, cut into packets, some of which are lost, and what comes
//! out is held against what was said.

use std::ops::Range;

use proptest::prelude::*;

use super::*;

/// How a client takes its turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// Asks when it was answered.
    Waits,
    /// Asks three at once, then waits for all three.
    Bursts,
    /// Keeps two requests in flight.
    Slides,
    /// Asks again in the middle of each response.
    Hurries,
}

/// One request and what is answered.
#[derive(Clone)]
struct Said {
    request: Vec<u8>,
    request_body: Vec<u8>,
    response: Vec<u8>,
    response_body: Vec<u8>,
    interim: Vec<u16>,
}

impl std::fmt::Debug for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} -> {}", self.request.escape_ascii(), self.response.escape_ascii())
    }
}

/// What is said about one message's body.
#[derive(Clone, Debug)]
enum Shape {
    Empty,
    Length(usize),
    Chunked(Vec<usize>, bool),
}

fn shape() -> impl Strategy<Value = Shape> {
    prop_oneof![
        2 => Just(Shape::Empty),
        3 => (1_usize..600).prop_map(Shape::Length),
        2 => (prop::collection::vec(1_usize..90, 0..5), any::<bool>())
            .prop_map(|(chunks, trailers)| Shape::Chunked(chunks, trailers)),
    ]
}

/// Body bytes that look like anything, status and request lines included.
fn filler(seed: usize, len: usize) -> Vec<u8> {
    b"HTTP/1.1 200 OK\r\nX-Id: wrong\r\n\r\nGET /wrong HTTP/1.1\r\n\r\n0\r\n\r\n"
        .iter()
        .copied()
        .cycle()
        .skip(seed % 57)
        .take(len)
        .collect()
}

/// Framing fields, body as sent, body.
fn write_body(seed: usize, shape: &Shape) -> (String, Vec<u8>, Vec<u8>) {
    match shape {
        Shape::Empty => ("Content-Length: 0\r\n".into(), Vec::new(), Vec::new()),
        Shape::Length(len) => {
            let body = filler(seed, *len);
            (format!("Content-Length: {len}\r\n"), body.clone(), body)
        }
        Shape::Chunked(chunks, trailers) => {
            let (mut sent, mut body) = (Vec::new(), Vec::new());
            for (i, &len) in chunks.iter().enumerate() {
                let chunk = filler(seed + i, len);
                sent.extend_from_slice(format!("{len:x};ext=\"{i}\"\r\n").as_bytes());
                sent.extend_from_slice(&chunk);
                sent.extend_from_slice(b"\r\n");
                body.extend(chunk);
            }
            sent.extend_from_slice(if *trailers { b"0\r\nX-T: 1\r\n\r\n" } else { b"0\r\n\r\n" });
            ("Transfer-Encoding: chunked\r\n".into(), sent, body)
        }
    }
}

fn said(id: usize, asked: &Shape, answered: &Shape, kind: u8) -> Said {
    let (fields, sent, request_body) = write_body(id, asked);
    let method = if kind == 0 { "HEAD" } else { "POST" };
    let mut request = format!("{method} /{id} HTTP/1.1\r\nHost: a\r\n{fields}\r\n").into_bytes();
    request.extend(sent);

    let (fields, mut sent, mut response_body) = write_body(id + 7, answered);
    let status = if kind == 1 { 304 } else { 200 };
    if kind < 2 {
        sent.clear();
        response_body.clear();
    }
    let interim = if kind == 2 { vec![100, 103] } else { Vec::new() };
    let mut response = Vec::new();
    for status in &interim {
        response.extend_from_slice(format!("HTTP/1.1 {status} So\r\n\r\n").as_bytes());
    }
    response.extend_from_slice(
        format!("HTTP/1.1 {status} So\r\nX-Id: {id}\r\n{fields}\r\n").as_bytes(),
    );
    response.extend(sent);
    Said { request, request_body, response, response_body, interim }
}

fn dialogue() -> impl Strategy<Value = Vec<Said>> {
    prop::collection::vec((shape(), shape(), 0_u8..8), 1..9).prop_map(|turns| {
        let turn = |(id, (asked, answered, kind)): (usize, &(Shape, Shape, u8))| {
            said(id, asked, answered, *kind)
        };
        turns.iter().enumerate().map(turn).collect()
    })
}

/// A packet: which way, which bytes of that direction, and how much of the other one it
/// acknowledges.
#[derive(Clone, Debug)]
struct Packet {
    direction: Direction,
    bytes: Vec<u8>,
    offset: u64,
    peer_offset: u64,
    /// The messages that have bytes in it.
    turns: Range<usize>,
}

/// The dialogue as packets of at most `size` bytes. A packet holds several messages only where the
/// client sends them at once.
fn packets(dialogue: &[Said], manner: Manner, size: usize) -> Vec<Packet> {
    let mut packets = Vec::new();
    let mut sent = [0_u64; 2];
    let mut say = |direction: Direction, bytes: &[u8], turns: Range<usize>| {
        for bytes in bytes.chunks(size) {
            packets.push(Packet {
                direction,
                bytes: bytes.to_vec(),
                offset: sent[direction as usize],
                peer_offset: sent[direction.reverse() as usize],
                turns: turns.clone(),
            });
            sent[direction as usize] += bytes.len() as u64;
        }
    };
    match manner {
        Manner::Waits => {
            for (i, turn) in dialogue.iter().enumerate() {
                say(ToServer, &turn.request, i..i + 1);
                say(ToClient, &turn.response, i..i + 1);
            }
        }
        Manner::Bursts => {
            for (i, burst) in dialogue.chunks(3).enumerate() {
                let turns = 3 * i..3 * i + burst.len();
                let requests: Vec<u8> = burst.iter().flat_map(|t| t.request.clone()).collect();
                say(ToServer, &requests, turns.clone());
                let responses: Vec<u8> = burst.iter().flat_map(|t| t.response.clone()).collect();
                say(ToClient, &responses, turns);
            }
        }
        Manner::Slides => {
            say(ToServer, &dialogue[0].request, 0..1);
            for (i, turn) in dialogue.iter().enumerate() {
                if let Some(next) = dialogue.get(i + 1) {
                    say(ToServer, &next.request, i + 1..i + 2);
                }
                say(ToClient, &turn.response, i..i + 1);
            }
        }
        Manner::Hurries => {
            say(ToServer, &dialogue[0].request, 0..1);
            for (i, turn) in dialogue.iter().enumerate() {
                let (first, second) = turn.response.split_at(turn.response.len() / 2);
                say(ToClient, first, i..i + 1);
                if let Some(next) = dialogue.get(i + 1) {
                    say(ToServer, &next.request, i + 1..i + 2);
                }
                say(ToClient, second, i..i + 1);
            }
        }
    }
    packets
}

/// Plays packets to a connection; those that `lost` says become Gaps.
fn play(
    wire: &mut Wire,
    packets: &[Packet],
    lost: impl Fn(usize, &Packet) -> bool,
) -> Vec<Exchange> {
    for (i, packet) in packets.iter().enumerate() {
        if lost(i, packet) {
            wire.miss(packet.direction, packet.bytes.len());
        } else {
            wire.say_acking(packet.direction, &packet.bytes, packet.peer_offset);
        }
    }
    wire.fin(ToServer).fin(ToClient).finish();
    wire.out.drain(..).map(|exchange| *exchange).collect()
}

fn asked_id(exchange: &Exchange) -> Option<usize> {
    let target = exchange.request.as_ref()?.target();
    Some(std::str::from_utf8(&target[1..]).unwrap().parse().unwrap())
}

fn answered_id(exchange: &Exchange) -> Option<usize> {
    let id = exchange.response.as_ref()?.fields.get(b"x-id")?;
    // Joined in the middle of a body, its text may be taken for a response: to no request.
    Some(std::str::from_utf8(id).unwrap().parse().unwrap_or(usize::MAX))
}

fn assert_is_as_said(exchange: &Exchange, said: &Said) {
    let (request, response) =
        (exchange.request.as_ref().unwrap(), exchange.response.as_ref().unwrap());
    assert_eq!(request.body.kept(), said.request_body);
    assert_eq!(response.body.kept(), said.response_body);
    assert_eq!(exchange.interim, said.interim);
    let id = answered_id(exchange).unwrap();
    let head = format!("HTTP/1.1 {} So\r\nX-Id: {id}\r\n", response.status).into_bytes();
    assert!(said.response.windows(head.len()).any(|window| window == head));
}

/// Whatever was lost: nothing is complete that is not as it was said, and no response is another
/// request's.
fn assert_nothing_is_wrong(dialogue: &[Said], exchanges: &[Exchange]) {
    let mut asked: Vec<usize> = exchanges.iter().filter_map(asked_id).collect();
    asked.sort_unstable();
    assert!(asked.windows(2).all(|pair| pair[0] < pair[1]), "a request left twice: {asked:?}");
    for exchange in exchanges {
        if let (Some(asked), Some(answered)) = (asked_id(exchange), answered_id(exchange)) {
            assert_eq!(asked, answered, "a response went to another request");
        }
        if exchange.evidence == Evidence::Complete {
            let id = asked_id(exchange).expect("complete means that there is a request");
            assert_eq!(answered_id(exchange), Some(id));
            assert_is_as_said(exchange, &dialogue[id]);
        }
    }
}

/// Which packets are lost.
fn lost() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(0_usize..60, 0..12)
}

fn manner() -> impl Strategy<Value = Manner> {
    prop_oneof![
        Just(Manner::Waits),
        Just(Manner::Bursts),
        Just(Manner::Slides),
        Just(Manner::Hurries)
    ]
}

proptest! {
    #[test]
    fn any_dialogue_comes_out_as_it_was_said_however_it_is_cut(
        dialogue in dialogue(),
        manner in manner(),
        size in prop_oneof![Just(1), 2_usize..40, Just(100_000)],
    ) {
        let mut wire = Wire::new();
        let exchanges = play(&mut wire, &packets(&dialogue, manner, size), |_, _| false);
        prop_assert_eq!(exchanges.len(), dialogue.len());
        for (id, (exchange, said)) in exchanges.iter().zip(&dialogue).enumerate() {
            prop_assert_eq!(asked_id(exchange), Some(id));
            prop_assert_eq!(exchange.evidence, Evidence::Complete);
            assert_is_as_said(exchange, said);
        }
        prop_assert_eq!(wire.anomalies.iter().count(), 0);
    }

    #[test]
    fn whatever_is_lost_of_a_client_that_waits_nothing_wrong_comes_out(
        dialogue in dialogue(),
        size in prop_oneof![5_usize..80, Just(100_000)],
        late in 0_usize..12,
        lost in lost(),
    ) {
        let mut packets = packets(&dialogue, Manner::Waits, size);
        // Joined late: offsets count from what is seen first.
        packets.drain(..late.min(packets.len() - 1));
        // The first bytes seen are taken at their word.
        let first_asked = packets.iter().find(|packet| packet.direction == ToServer);
        let wrong = first_asked.is_some_and(|p| p.bytes.windows(6).any(|bytes| bytes == b"/wrong"));
        if wrong {
            return Ok(());
        }
        let mut base = [0; 2];
        base[packets[0].direction as usize] = packets[0].offset;
        base[packets[0].direction.reverse() as usize] = packets[0].peer_offset;
        for packet in &mut packets {
            packet.offset -= base[packet.direction as usize];
            packet.peer_offset -= base[packet.direction.reverse() as usize];
        }
        let mut wire = Wire::with(Limits::default(), late > 0);
        let exchanges = play(&mut wire, &packets, |i, _| lost.contains(&i));
        assert_nothing_is_wrong(&dialogue, &exchanges);
    }

    #[test]
    fn whatever_is_lost_of_a_pipeline_once_seen_no_response_goes_astray(
        dialogue in dialogue(),
        manner in manner(),
        size in prop_oneof![5_usize..80, Just(100_000)],
        lost in lost(),
    ) {
        // The first two turns show the client's manner.
        let packets = packets(&dialogue, manner, size);
        let mut wire = Wire::new();
        let exchanges =
            play(&mut wire, &packets, |i, p| p.turns.start >= 2 && lost.contains(&i));
        assert_nothing_is_wrong(&dialogue, &exchanges);
    }

    #[test]
    fn one_lost_packet_of_a_client_that_waits_costs_at_most_two_exchanges(
        dialogue in dialogue(),
        size in prop_oneof![5_usize..80, Just(100_000)],
        lost in any::<prop::sample::Index>(),
    ) {
        let packets = packets(&dialogue, Manner::Waits, size);
        let lost = lost.index(packets.len());
        let mut wire = Wire::new();
        let exchanges = play(&mut wire, &packets, |i, _| i == lost);
        assert_nothing_is_wrong(&dialogue, &exchanges);
        let whole = exchanges.iter().filter(|e| e.evidence == Evidence::Complete).count();
        prop_assert!(whole + 2 >= dialogue.len(), "{whole} of {}", dialogue.len());
    }

    #[test]
    fn arbitrary_bytes_gaps_and_ends_never_panic_and_hold_no_more_than_the_caps(
        steps in prop::collection::vec((0_u8..10, any::<bool>(), piece()), 0..60),
        late_join in any::<bool>(),
    ) {
        let limits = Limits {
            head_bytes: 256,
            head_fields: 4,
            pipelined: 3,
            body_bytes: 64,
            body_bytes_total: 512,
            sha256: true,
            ..Limits::default()
        };
        let mut wire = Wire::with(limits, late_join);
        for (step, to_server, bytes) in steps {
            let direction = if to_server { ToServer } else { ToClient };
            match step {
                0 => drop(wire.miss(direction, bytes.len() + 1)),
                1 if bytes.len() % 7 == 0 => drop(wire.fin(direction)),
                2 if bytes.len() % 11 == 0 => drop(wire.reset(direction)),
                3 => drop(wire.wait(bytes.len() as u64 % 40)),
                _ if !bytes.is_empty() => drop(wire.say(direction, bytes)),
                _ => {}
            }
            let connection = &wire.connection;
            prop_assert!(connection.waiting.len() <= 3 && connection.abandoned.len() <= 4);
            prop_assert_eq!(connection.held_bytes(), connection.held_bytes_recounted());
            prop_assert!(connection.requests.head.bytes().len() <= 257);
            prop_assert!(connection.responses.head.bytes().len() <= 257);
            // Bodies in progress may each hash a block beyond the budget, and decode.
            prop_assert!(wire.body_bytes <= 512 + 17 * (19 << 10), "{}", wire.body_bytes);
        }
        wire.finish();
    }
}

/// Pieces of HTTP and of anything else.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..80),
        Just(get("/").into_bytes()),
        Just(ok("hello").into_bytes()),
        Just(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec()),
        Just(b"POST / HTTP/1.1\r\nContent-Length: 300\r\n\r\n".to_vec()),
        Just(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec()),
        Just(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n".to_vec()),
        Just(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec()),
        Just(b"30\r\n".to_vec()),
        Just(b"0\r\n\r\n".to_vec()),
        Just(b"\r\n".to_vec()),
    ]
}

use std::time::Duration;

use etherparse::PacketBuilder;

use super::*;
use crate::{Anomaly, Evidence, Leg, LinkType, Origin, ServiceId};

const SECOND: u64 = 1_000_000_000;
const CLIENT: (u8, u16) = (1, 40_000);
const SERVER: (u8, u16) = (2, 8080);
const REQUEST: &str = "GET /a HTTP/1.1\r\nhost: a\r\n\r\n";
const RESPONSE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// A TCP segment between hosts of 10.0.0.0/24, as a raw IP packet.
#[derive(Clone, Copy)]
struct Frame<'a> {
    from: (u8, u16),
    to: (u8, u16),
    seq: u32,
    ack: Option<u32>,
    syn: bool,
    fin: bool,
    rst: bool,
    payload: &'a str,
}

fn frame(from: (u8, u16), to: (u8, u16), seq: u32, ack: u32) -> Frame<'static> {
    let (syn, fin, rst) = (false, false, false);
    Frame { from, to, seq, ack: Some(ack), syn, fin, rst, payload: "" }
}

impl<'a> Frame<'a> {
    fn data(self, payload: &'a str) -> Self {
        Self { payload, ..self }
    }

    fn bytes(self) -> Vec<u8> {
        let ip = PacketBuilder::ipv4([10, 0, 0, self.from.0], [10, 0, 0, self.to.0], 64);
        let mut tcp = ip.tcp(self.from.1, self.to.1, self.seq, 1_000);
        if let Some(ack) = self.ack {
            tcp = tcp.ack(ack);
        }
        if self.syn {
            tcp = tcp.syn();
        }
        if self.fin {
            tcp = tcp.fin();
        }
        if self.rst {
            tcp = tcp.rst();
        }
        let mut bytes = Vec::new();
        tcp.write(&mut bytes, self.payload.as_bytes()).unwrap();
        bytes
    }
}

fn syn(from: (u8, u16), to: (u8, u16), seq: u32) -> Frame<'static> {
    Frame { ack: None, syn: true, ..frame(from, to, seq, 0) }
}

fn push(tap: &mut Tap, at: u64, frame: Frame<'_>) {
    let data = frame.bytes();
    tap.push(&Packet {
        at: Timestamp::from_nanos(at),
        link: LinkType::RawIp,
        data: &data,
        original_len: u32::try_from(data.len()).unwrap(),
    });
}

fn tap(targets: &[&str]) -> Tap {
    let target = |(index, text): (usize, &&str)| Target {
        origin: Origin { service: ServiceId(0), leg: Leg::ALL[index % 3] },
        address: text.parse().unwrap(),
    };
    Tap::new(Limits::default(), targets.iter().enumerate().map(target).collect())
}

fn greet(tap: &mut Tap, at: u64, client: (u8, u16), server: (u8, u16)) {
    push(tap, at, syn(client, server, 99));
    push(tap, at, Frame { syn: true, ..frame(server, client, 499, 100) });
}

/// One request and its response on a connection that has greeted.
fn exchange(tap: &mut Tap, at: u64, client: (u8, u16), server: (u8, u16)) {
    let len = u32::try_from(REQUEST.len()).unwrap();
    push(tap, at, frame(client, server, 100, 500).data(REQUEST));
    push(tap, at, frame(server, client, 500, 100 + len).data(RESPONSE));
}

fn polled(tap: &mut Tap) -> Vec<Exchange> {
    std::iter::from_fn(|| tap.poll()).map(|exchange| *exchange).collect()
}

#[test]
fn an_exchange_leaves_with_the_origin_of_its_server() {
    let mut tap = tap(&["10.0.0.9:8080", "10.0.0.2:8080"]);
    greet(&mut tap, 1, CLIENT, SERVER);
    exchange(&mut tap, 2, CLIENT, SERVER);
    let exchanges = polled(&mut tap);
    assert_eq!(exchanges.len(), 1);
    assert_eq!(exchanges[0].evidence, Evidence::Complete);
    assert_eq!(exchanges[0].origin.unwrap().leg, Leg::Shadow);
    assert_eq!(exchanges[0].server, "10.0.0.2:8080".parse().unwrap());
    assert_eq!(tap.counters().exchanges[Evidence::Complete as usize], 1);
}

#[test]
fn the_first_configured_pattern_that_matches_gives_the_leg() {
    let mut tap = tap(&["10.0.0.2:9", "10.0.0.2:8080", ":8080"]);
    greet(&mut tap, 1, CLIENT, SERVER);
    exchange(&mut tap, 2, CLIENT, SERVER);
    assert_eq!(polled(&mut tap)[0].origin.unwrap().leg, Leg::Shadow);
}

#[test]
fn addresses_that_are_not_configured_are_counted_and_open_no_flow() {
    let mut tap = tap(&["10.0.0.9:8080"]);
    greet(&mut tap, 1, CLIENT, SERVER);
    exchange(&mut tap, 2, CLIENT, SERVER);
    assert_eq!(polled(&mut tap).len(), 0);
    assert_eq!((tap.counters().other_addresses, tap.counters().flows), (4, 0));
}

#[test]
fn without_targets_the_side_that_answers_is_the_server_however_the_capture_begins() {
    let (low, high) = ((1, 80), (2, 50_000));
    let len = u32::try_from(REQUEST.len()).unwrap();
    let request = frame(low, high, 100, 500).data(REQUEST);
    let response = frame(high, low, 500, 100 + len).data(RESPONSE);
    let beginnings: [&[Frame<'_>]; 4] = [
        &[syn(low, high, 99), request, response],
        &[Frame { syn: true, ..frame(high, low, 499, 100) }, request, response],
        &[request, response],
        // Late in the conversation: the response to what was not seen, then a whole exchange.
        &[frame(high, low, 500 - 40, 100).data(&RESPONSE[..40]), request, response],
    ];
    for (which, frames) in beginnings.into_iter().enumerate() {
        let mut tap = tap(&[]);
        for frame in frames {
            push(&mut tap, 1, *frame);
        }
        tap.finish();
        let exchanges = polled(&mut tap);
        assert!(exchanges.iter().any(|e| e.request.is_some() && e.response.is_some()));
        for exchange in exchanges {
            assert_eq!(exchange.server.port(), 50_000, "beginning {which}");
            assert_eq!(exchange.origin, None);
        }
    }
}

#[test]
fn acknowledgements_and_resets_of_unknown_connections_open_no_flow() {
    let mut tap = tap(&[]);
    push(&mut tap, 1, frame(CLIENT, SERVER, 1, 1));
    push(&mut tap, 1, Frame { rst: true, ..frame(CLIENT, SERVER, 1, 1) });
    push(&mut tap, 1, Frame { fin: true, ..frame(CLIENT, SERVER, 1, 1) });
    assert_eq!(tap.counters().flows, 0);
}

#[test]
fn retransmissions_after_the_close_open_no_ghost_until_the_flow_is_forgotten() {
    let mut tap = tap(&[]);
    greet(&mut tap, 1, CLIENT, SERVER);
    exchange(&mut tap, 2, CLIENT, SERVER);
    push(&mut tap, 3, Frame { rst: true, ..frame(CLIENT, SERVER, 128, 541) });
    exchange(&mut tap, 4, CLIENT, SERVER);
    assert_eq!((polled(&mut tap).len(), tap.counters().flows), (1, 1));
    let linger = u64::try_from(tap.connections.limits().flow_linger.as_nanos()).unwrap();
    tap.expire(Timestamp::from_nanos(2 + linger));
    assert_eq!(tap.connections.open_flows(), 1);
    tap.expire(Timestamp::from_nanos(3 + linger));
    assert_eq!(tap.connections.open_flows(), 0);
}

#[test]
fn a_port_used_again_is_a_new_flow_whether_the_old_one_was_closed_or_not() {
    for closed in [false, true] {
        let mut tap = tap(&[]);
        greet(&mut tap, 1, CLIENT, SERVER);
        exchange(&mut tap, 2, CLIENT, SERVER);
        if closed {
            push(&mut tap, 3, Frame { rst: true, ..frame(CLIENT, SERVER, 128, 541) });
        }
        push(&mut tap, 4, syn(CLIENT, SERVER, 70_000));
        push(&mut tap, 5, frame(CLIENT, SERVER, 70_001, 90_000).data(REQUEST));
        let len = u32::try_from(REQUEST.len()).unwrap();
        push(&mut tap, 6, frame(SERVER, CLIENT, 90_000, 70_001 + len).data(RESPONSE));
        let evidence: Vec<_> = polled(&mut tap).iter().map(|e| e.evidence).collect();
        assert_eq!(evidence, [Evidence::Complete; 2], "closed: {closed}");
        assert_eq!((tap.counters().flows, tap.connections.open_flows()), (2, 1));
    }
}

#[test]
fn above_the_cap_the_flow_idle_the_longest_leaves_with_its_open_exchange() {
    let mut tap = tap(&[]);
    tap.connections.limits_mut().flows = 2;
    let clients = [(3, 40_001), (4, 40_002), (5, 40_003)];
    for client in [clients[0], clients[1]] {
        greet(&mut tap, 1, client, SERVER);
        push(&mut tap, 2, frame(client, SERVER, 100, 500).data(REQUEST));
    }
    push(&mut tap, 3, frame(SERVER, clients[0], 500, 100));
    greet(&mut tap, 4, clients[2], SERVER);
    let left = polled(&mut tap);
    assert_eq!(left.len(), 1);
    assert_eq!((left[0].client.port(), left[0].evidence), (40_002, Evidence::Truncated));
    assert_eq!(tap.counters().anomalies.count(Anomaly::FlowTableFull), 1);
    assert_eq!(tap.connections.open_flows(), 2);
}

#[test]
fn an_idle_flow_is_forgotten_only_after_its_last_packet_has_aged() {
    let mut tap = tap(&[]);
    greet(&mut tap, 0, CLIENT, SERVER);
    exchange(&mut tap, 100 * SECOND, CLIENT, SERVER);
    let idle = tap.connections.limits().flow_idle_timeout.as_secs();
    tap.expire(Timestamp::from_nanos((idle + 99) * SECOND));
    assert_eq!(tap.connections.open_flows(), 1);
    tap.expire(Timestamp::from_nanos((idle + 100) * SECOND));
    assert_eq!(tap.connections.open_flows(), 0);
}

#[test]
fn at_the_end_of_time_nothing_is_due_for_ever() {
    let mut tap = tap(&[]);
    greet(&mut tap, u64::MAX, CLIENT, SERVER);
    push(&mut tap, u64::MAX, frame(CLIENT, SERVER, 100, 500).data(REQUEST));
    tap.expire(Timestamp::LAST);
    assert_eq!((polled(&mut tap).len(), tap.connections.open_flows()), (0, 1));
}

#[test]
fn a_request_that_is_never_answered_times_out() {
    let mut tap = tap(&[]);
    greet(&mut tap, 0, CLIENT, SERVER);
    push(&mut tap, SECOND, frame(CLIENT, SERVER, 100, 500).data(REQUEST));
    let timeout = tap.connections.limits().response_timeout;
    tap.expire(Timestamp::from_nanos(SECOND) + timeout - Duration::from_nanos(1));
    assert_eq!(polled(&mut tap).len(), 0);
    tap.expire(Timestamp::from_nanos(SECOND) + timeout + Duration::from_nanos(1));
    let left = polled(&mut tap);
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].evidence, Evidence::TimedOut);
}

#[test]
fn a_hole_in_a_silent_flow_is_declared_when_time_passes() {
    let mut tap = tap(&[]);
    greet(&mut tap, 0, CLIENT, SERVER);
    let len = u32::try_from(REQUEST.len()).unwrap();
    // The request is missing; the response acknowledges it.
    push(&mut tap, SECOND, frame(SERVER, CLIENT, 500, 100 + len).data(RESPONSE));
    assert_eq!(tap.counters().gaps, 0);
    tap.expire(Timestamp::from_nanos(SECOND) + tap.connections.limits().reorder_timeout);
    assert_eq!((tap.counters().gaps, tap.counters().gap_bytes), (1, u64::from(len)));
    let left = polled(&mut tap);
    assert_eq!(left.len(), 1);
    assert_eq!((left[0].request.is_none(), left[0].evidence), (true, Evidence::Gap));
}

#[test]
fn at_the_end_every_open_exchange_leaves_and_nothing_is_held() {
    let mut tap = tap(&[]);
    for port in 1..100 {
        greet(&mut tap, 1, (7, 40_000 + port), SERVER);
        push(&mut tap, 2, frame((7, 40_000 + port), SERVER, 100, 500).data(REQUEST));
        push(&mut tap, 3, frame(SERVER, (7, 40_000 + port), 500, 128).data(&RESPONSE[..39]));
        push(&mut tap, 4, frame(SERVER, (7, 40_000 + port), 560, 128).data("early"));
    }
    tap.finish();
    let left = polled(&mut tap);
    assert_eq!(left.len(), 99);
    assert!(left.iter().all(|exchange| exchange.evidence != Evidence::Complete));
    assert_eq!(tap.connections.held(), (0, 0, 0, 0));
}

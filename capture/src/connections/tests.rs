//! Memory under hostile traffic: whatever comes, what is held stays inside the budgets, what is
//! counted is what is held, and each cap that was reached has a name in the counters.

use std::net::{Ipv4Addr, SocketAddr};

use super::*;
use crate::Evidence;

/// A tap without links: segments in.
struct Bench {
    connections: Connections,
    counters: Counters,
    out: VecDeque<Box<Exchange>>,
    now: u64,
    /// Exchanges that have left.
    left: usize,
    /// The most that was held at any time: early bytes, bodies, state.
    most: [usize; 3],
}

fn server() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::new(10, 0, 0, 1), 80))
}

/// The `n`th client; none has the same address and port as another.
fn client(n: u32) -> SocketAddr {
    let address = Ipv4Addr::from(0x0b00_0000 + n / 60_000);
    SocketAddr::from((address, 1_024 + (n % 60_000) as u16))
}

impl Bench {
    fn new(limits: Limits) -> Self {
        Self {
            connections: Connections::new(limits, Vec::new()),
            counters: Counters::default(),
            out: VecDeque::new(),
            now: 1_000_000_000,
            left: 0,
            most: [0; 3],
        }
    }

    fn push(&mut self, segment: Segment<'_>) {
        self.now += 1_000;
        let segment = Segment { at: Timestamp::from_nanos(self.now), ..segment };
        let mut outlet = Outlet { counters: &mut self.counters, out: &mut self.out };
        self.connections.push(&segment, &mut outlet);
        self.connections.expire(segment.at, &mut outlet);
        self.left += self.out.len();
        self.out.clear();
        let (early, bodies, state, _) = self.connections.held();
        for (most, held) in self.most.iter_mut().zip([early, bodies, state]) {
            *most = held.max(*most);
        }
    }

    /// The client opens its connection.
    fn greet(&mut self, client: SocketAddr) {
        self.push(Segment { syn: true, ..segment(client, server(), 99, None) });
        self.push(Segment { syn: true, ..segment(server(), client, 499, Some(100)) });
    }

    /// The client says `payload` at `offset`.
    fn say(&mut self, client: SocketAddr, offset: u32, payload: &[u8]) {
        self.push(Segment { payload, ..segment(client, server(), 100 + offset, Some(500)) });
    }

    fn count(&self, anomaly: Anomaly) -> u64 {
        self.counters.anomalies.count(anomaly)
    }

    /// What is counted is what is held, and in the end nothing is.
    fn settle(mut self) {
        assert_eq!(self.connections.held().2, self.connections.state_recounted());
        let mut outlet = Outlet { counters: &mut self.counters, out: &mut self.out };
        self.connections.finish(&mut outlet);
        assert_eq!(self.connections.held(), (0, 0, 0, 0), "all is given back");
    }
}

fn segment(from: SocketAddr, to: SocketAddr, seq: u32, ack: Option<u32>) -> Segment<'static> {
    Segment {
        at: Timestamp::ZERO,
        source: from,
        destination: to,
        seq,
        ack,
        syn: false,
        fin: false,
        rst: false,
        payload: &[],
        cut: 0,
    }
}

#[test]
fn a_flow_that_says_nothing_costs_no_more_than_its_slot() {
    const { assert!(FlowTable::<Flow>::SLOT_BYTES <= 600) };
    let mut bench = Bench::new(Limits::default());
    for n in 0..1_000 {
        bench.greet(client(n));
    }
    let (early, bodies, state, flows) = bench.connections.held();
    assert_eq!((early, bodies, flows), (0, 0, 1_000));
    assert_eq!(state, 0);
    bench.settle();
}

#[test]
fn half_open_flows_are_as_many_as_the_cap_lets_be() {
    let mut bench = Bench::new(Limits { flows: 10_000, ..Limits::default() });
    for n in 0..200_000 {
        bench.push(Segment { syn: true, ..segment(client(n), server(), 99, None) });
    }
    assert_eq!(bench.connections.open_flows(), 10_000);
    assert_eq!(bench.count(Anomaly::FlowTableFull), 190_000);
    assert_eq!(bench.most, [0, 0, 0]);
    bench.settle();
}

#[test]
fn an_idle_connection_holds_little_after_its_exchanges() {
    let mut bench = Bench::new(Limits::default());
    let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let response = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    for n in 0..100 {
        bench.greet(client(n));
        // A head that comes in two pieces needs a buffer, and gives it back.
        bench.say(client(n), 0, &request[..7]);
        bench.say(client(n), 7, &request[7..]);
        let ack = Some(100 + request.len() as u32);
        bench.push(Segment { payload: response, ..segment(server(), client(n), 500, ack) });
    }
    assert_eq!(bench.left, 100);
    let (_, bodies, state, flows) = bench.connections.held();
    assert_eq!((bodies, flows), (0, 100));
    // All flows that there may be by default can wait for their next request.
    assert!(state / flows * Limits::default().flows <= Limits::default().state_bytes, "{state}");
    bench.settle();
}

#[test]
fn heads_that_drip_from_many_clients_stay_inside_the_budget() {
    let limits = Limits { state_bytes: 1 << 20, ..Limits::default() };
    let mut bench = Bench::new(limits);
    for n in 0..1_000 {
        bench.greet(client(n));
    }
    let line = format!("X-Slow: {}\r\n", "y".repeat(90));
    for round in 0..40 {
        for n in 0..1_000 {
            let start = if round == 0 { "GET / HTTP/1.1\r\n" } else { "" };
            let said = format!("{start}{line}");
            let before = if round == 0 { 0 } else { 16 + round * line.len() as u32 };
            bench.say(client(n), before, said.as_bytes());
        }
    }
    let most = bench.most[2];
    // One segment may take it past the cap before the oldest flow goes.
    assert!(most <= (1 << 20) + (16 << 10), "{most}");
    assert!(bench.count(Anomaly::StateBudgetReached) > 0);
    bench.settle();
}

#[test]
fn a_deep_pipeline_of_huge_heads_stays_inside_the_budget() {
    let limits = Limits { state_bytes: 1 << 20, ..Limits::default() };
    let mut bench = Bench::new(limits);
    bench.greet(client(0));
    let head = format!("GET / HTTP/1.1\r\nX: {}\r\n\r\n", "y".repeat(30_000));
    for n in 0..100 {
        bench.say(client(0), n * head.len() as u32, head.as_bytes());
    }
    assert!(bench.most[2] <= (1 << 20) + (64 << 10), "{}", bench.most[2]);
    assert!(bench.count(Anomaly::StateBudgetReached) > 0);
    bench.settle();
}

#[test]
fn uploads_that_wait_for_their_responses_stay_in_the_budget_of_bodies() {
    let limits = Limits { body_bytes_total: 4 << 20, ..Limits::default() };
    let mut bench = Bench::new(limits);
    let body = vec![b'x'; 50_000];
    let head = format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n", body.len());
    let said = [head.as_bytes(), &body].concat();
    for n in 0..200 {
        bench.greet(client(n));
        bench.say(client(n), 0, &said);
    }
    // Digests take room of their own beyond it.
    assert!(bench.most[1] <= 5 << 20, "{}", bench.most[1]);
    assert!(bench.count(Anomaly::BodyBudgetReached) > 0);
    let mut outlet = Outlet { counters: &mut bench.counters, out: &mut bench.out };
    bench.connections.finish(&mut outlet);
    assert_eq!(bench.out.len(), 200);
    let kept = |exchange: &Exchange| exchange.request.as_ref().unwrap().body.is_whole();
    assert!(bench.out.iter().any(|out| kept(out)) && !bench.out.iter().all(|out| kept(out)));
    bench.settle();
}

#[test]
fn large_bodies_on_many_connections_never_hold_more_than_their_budget() {
    let limits =
        Limits { body_bytes: 1_000, body_bytes_total: 1 << 20, sha256: true, ..Limits::default() };
    let mut bench = Bench::new(limits);
    let said = [&b"POST / HTTP/1.1\r\nContent-Length: 9000\r\n\r\n"[..], &[b'x'; 8_000]].concat();
    for n in 0..2_000 {
        bench.greet(client(n));
        bench.say(client(n), 0, &said);
    }
    assert!(bench.most[1] <= (1 << 20) + (512 << 10), "{}", bench.most[1]);
    for n in 0..2_000 {
        bench.say(client(n), said.len() as u32, &[b'x'; 1_040]);
    }
    let mut outlet = Outlet { counters: &mut bench.counters, out: &mut bench.out };
    bench.connections.finish(&mut outlet);
    // Where there was no room for a digest the exchange says that it was cut, and is not judged.
    let unknown = bench.out.iter().filter(|e| !e.request.as_ref().unwrap().body.is_known());
    assert!(unknown.clone().count() > 0);
    assert!(unknown.clone().all(|exchange| exchange.evidence == Evidence::Truncated));
    bench.settle();
}

#[test]
fn floods_of_early_bytes_stay_inside_their_budget() {
    let limits =
        Limits { reorder_bytes: 2 << 20, reorder_bytes_per_flow: 256 << 10, ..Limits::default() };
    let mut bench = Bench::new(limits);
    for n in 0..50 {
        bench.greet(client(n));
        // Every second byte, backwards: each costs what a held piece costs.
        for at in (1..1_500_u32).rev() {
            bench.say(client(n), 2 * at, b"x");
        }
    }
    assert!(bench.most[0] <= 2 << 20, "{}", bench.most[0]);
    assert!(bench.count(Anomaly::ReorderCapReached) > 0);
    bench.settle();
}

#[test]
fn a_reset_that_its_own_sender_outlives_was_none() {
    // A forged RST, or one whose signature (RFC 2385) the server refused.
    let request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let response = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    let answered = |first: &mut dyn FnMut(&mut Bench)| {
        let mut bench = Bench::new(Limits::default());
        first(&mut bench);
        bench.say(client(0), 0, request);
        let ack = Some(100 + request.len() as u32);
        bench.push(Segment { payload: response, ..segment(server(), client(0), 500, ack) });
        let left = bench.left;
        bench.settle();
        left
    };
    let reset = Segment { rst: true, ..segment(client(0), server(), 100, Some(500)) };
    let mut after_the_greeting = |bench: &mut Bench| {
        bench.greet(client(0));
        bench.push(reset);
    };
    assert_eq!(answered(&mut after_the_greeting), 1);
    // The server's RST comes before its own SYN.
    let refusal = Segment { rst: true, ..segment(server(), client(0), 0, Some(100)) };
    let mut before_the_greeting = |bench: &mut Bench| {
        bench.push(Segment { syn: true, ..segment(client(0), server(), 99, None) });
        bench.push(refusal);
        bench.push(Segment { syn: true, ..segment(server(), client(0), 499, Some(100)) });
    };
    assert_eq!(answered(&mut before_the_greeting), 1);
    // One that ends what was said stays one, whatever comes again.
    let mut bench = Bench::new(Limits::default());
    bench.greet(client(0));
    bench.say(client(0), 0, request);
    let seq = 100 + request.len() as u32;
    bench.push(Segment { rst: true, ..segment(client(0), server(), seq, Some(500)) });
    assert_eq!(bench.left, 1);
    bench.say(client(0), 0, request);
    bench.greet(client(0));
    bench.say(client(0), 0, request);
    assert_eq!(bench.left, 1);
    bench.settle();
}

#[test]
fn a_server_guessed_by_its_port_is_told_by_what_it_says() {
    // Joined in the middle; the server's port is the higher one.
    let (low, high) = ("10.0.0.1:80".parse().unwrap(), "10.0.0.2:50051".parse().unwrap());
    let mut bench = Bench::new(Limits::default());
    bench.push(Segment { payload: b"rest of a body", ..segment(high, low, 7, Some(100)) });
    let request = b"GET /a HTTP/1.1\r\n\r\n";
    bench.push(Segment { payload: request, ..segment(low, high, 100, Some(21)) });
    let response = b"HTTP/1.1 204 No Content\r\n\r\n";
    let ack = Some(100 + request.len() as u32);
    bench.push(Segment { payload: response, ..segment(high, low, 21, ack) });
    assert_eq!(bench.left, 1);
    bench.settle();
}

#[test]
fn a_packet_written_again_long_after_its_flow_was_forgotten_opens_none() {
    let mut bench = Bench::new(Limits::default());
    let old =
        Segment { payload: b"GET / HTTP/1.1\r\n\r\n", ..segment(client(1), server(), 1, None) };
    bench.now += 60_000_000_000;
    bench.greet(client(2));
    bench.now -= 30_000_000_000;
    bench.push(old);
    assert_eq!(bench.connections.open_flows(), 1);
    // After a clock was set back everything is old once, and then nothing is.
    bench.push(old);
    assert_eq!(bench.connections.open_flows(), 2);
    bench.settle();
}

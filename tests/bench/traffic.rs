//! Mirrored traffic as a capture file: what it holds, in time order.
//!
//! JSON answers on keep-alive connections, as a tap beside Envoy sees them: 25 connections to the
//! primary and 25 to the shadow, one request in flight on each, acknowledgements mostly carried by
//! data. What the answers are like is the recipe's [`Bodies`]. Unless they are large, every answer
//! differs in `server` and `generated_at`, and by the item's number some differ in what is to be
//! found (see [`Twist`]). The same recipe gives the same bytes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::wire::{CaptureWriter, Connection, Sender};

/// Where the primary listens.
pub(crate) const PRIMARY: &str = "10.9.1.11:8080";
/// Where the shadow listens.
pub(crate) const SHADOW: &str = "10.9.1.12:8080";

/// Connections to each leg.
const SLOTS: u16 = 25;
/// 2025-10-09T08:53:20Z.
const START_S: u64 = 1_760_000_000;
/// One in so many requests is acknowledged by a packet of its own.
const LONE_ACK_EVERY: u32 = 40;
/// One in so many answers comes in two segments, head and body.
const TWO_SEGMENTS_EVERY: u32 = 83;

/// What to generate.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recipe {
    /// Mirrored requests: each is two exchanges.
    pub(crate) pairs: u32,
    /// Decides request ids, sequence numbers and times.
    pub(crate) seed: u64,
    /// What the answers are like.
    pub(crate) bodies: Bodies,
}

/// What answers are like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bodies {
    /// About 0.8 KB.
    Small,
    /// About 24 KB of words, with `content-encoding: gzip`.
    Gzip,
    /// 100 KB to 1 MB of words, the same on both legs: above the cap of bytes kept.
    Large,
}

/// Bytes of a segment where an answer takes several: what Ethernet and the options leave.
const SEGMENT_BYTES: usize = 1_448;

/// How many pairs differ in what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Planted {
    /// Another price.
    pub(crate) prices: u64,
    /// No tags.
    pub(crate) tags: u64,
    /// Status 500.
    pub(crate) statuses: u64,
}

/// What was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Written {
    /// Packets.
    pub(crate) packets: u64,
    /// Size of the file.
    pub(crate) bytes: u64,
}

impl Recipe {
    /// What the shadow gets wrong.
    pub(crate) fn planted(self) -> Planted {
        let mut planted = Planted::default();
        for n in 0..self.pairs {
            match self.twist(n) {
                Some(Twist::Price) => planted.prices += 1,
                Some(Twist::Tags) => planted.tags += 1,
                Some(Twist::Status) => planted.statuses += 1,
                None => {}
            }
        }
        planted
    }

    /// Writes the capture, and each compressed body to `bodies`: its length (u32, little-endian)
    /// and its bytes.
    ///
    /// # Errors
    ///
    /// What `out` or `bodies` says.
    pub(crate) fn write(self, out: impl Write, bodies: impl Write) -> io::Result<Written> {
        let mut stage = Stage::new(self, CaptureWriter::new(out)?, bodies)?;
        // When each slot is free again: the next request goes to the first that is.
        let mut free: BinaryHeap<Reverse<(u64, u16)>> =
            (0..SLOTS).map(|slot| Reverse((10_000_000 + u64::from(slot) * 90_000, slot))).collect();
        for n in 0..self.pairs {
            let Some(Reverse((at_ns, slot))) = free.pop() else { break };
            stage.write_until(at_ns)?;
            let free_ns = stage.mirror(n, slot, at_ns);
            free.push(Reverse((free_ns, slot)));
        }
        stage.finish()
    }

    fn twist(self, n: u32) -> Option<Twist> {
        if self.bodies == Bodies::Large { None } else { Twist::of(n) }
    }
}

/// What the shadow gets wrong, by the item's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Twist {
    /// The price is a cent higher: one pair in 50.
    Price,
    /// There are no tags: one in 100.
    Tags,
    /// 500 in place of 200: one in 200.
    Status,
}

impl Twist {
    const fn of(n: u32) -> Option<Self> {
        match n {
            n if n % 50 == 0 => Some(Self::Price),
            n if n % 100 == 1 => Some(Self::Tags),
            n if n % 200 == 2 => Some(Self::Status),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leg {
    Primary,
    Shadow,
}

/// One packet to come. Ordered by time, then by the order in which it was planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Event {
    at_ns: u64,
    order: u64,
    connection: u16,
    n: u32,
    /// When the answer was made; it stands in the body.
    made_ns: u64,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Request,
    Ack,
    Answer,
    AnswerHead,
    AnswerBody,
}

struct Stage<W: Write, B: Write> {
    recipe: Recipe,
    random: fastrand::Rng,
    capture: CaptureWriter<W>,
    compressed: B,
    /// The primary's, then the shadow's.
    connections: Vec<Connection>,
    to_come: BinaryHeap<Reverse<Event>>,
    planned: u64,
    now_ns: u64,
    /// Time of the last packet: none is earlier than the one before it.
    last_ns: u64,
    body: Vec<u8>,
    payload: Vec<u8>,
}

impl<W: Write, B: Write> Stage<W, B> {
    /// Opens all connections.
    fn new(recipe: Recipe, mut capture: CaptureWriter<W>, compressed: B) -> io::Result<Self> {
        let mut random = fastrand::Rng::with_seed(recipe.seed);
        let mut connections = Vec::new();
        for i in 0..2 * SLOTS {
            let server = if i < SLOTS { [10, 9, 1, 11] } else { [10, 9, 1, 12] };
            let client = ([10, 9, 1, 1], 40_000 + i * 7);
            let (client_isn, server_isn) = (random.u32(..), random.u32(..));
            let mut connection = Connection::new(client, (server, 8080), client_isn, server_isn);
            connection.open(&mut capture, START_S * 1_000_000_000 + u64::from(i) * 50_000)?;
            connections.push(connection);
        }
        Ok(Self {
            recipe,
            random,
            capture,
            compressed,
            connections,
            to_come: BinaryHeap::new(),
            planned: 0,
            now_ns: 0,
            last_ns: 0,
            body: Vec::with_capacity(2_048),
            payload: Vec::with_capacity(4_096),
        })
    }

    /// Plans one request, its copy and both answers. Returns when the slot is free again.
    fn mirror(&mut self, n: u32, slot: u16, at_ns: u64) -> u64 {
        let copied_ns = at_ns + self.random.u64(30_000..700_000);
        let mut last_ns = 0;
        for (connection, asked_ns) in [(slot, at_ns), (slot + SLOTS, copied_ns)] {
            let made_ns = asked_ns + self.random.u64(500_000..3_000_000);
            let mut plan = |at_ns, what| {
                self.planned += 1;
                let order = self.planned;
                self.to_come.push(Reverse(Event { at_ns, order, connection, n, made_ns, what }));
            };
            plan(asked_ns, What::Request);
            if n.is_multiple_of(LONE_ACK_EVERY) {
                plan(asked_ns + 20_000, What::Ack);
            }
            if n.is_multiple_of(TWO_SEGMENTS_EVERY) {
                plan(made_ns, What::AnswerHead);
                plan(made_ns + 15_000, What::AnswerBody);
            } else {
                plan(made_ns, What::Answer);
            }
            last_ns = last_ns.max(made_ns + 15_000);
        }
        last_ns + self.random.u64(20_000..200_000)
    }

    /// Writes what is planned before `until_ns`.
    fn write_until(&mut self, until_ns: u64) -> io::Result<()> {
        while let Some(&Reverse(event)) = self.to_come.peek() {
            if event.at_ns >= until_ns {
                break;
            }
            self.to_come.pop();
            self.write(event)?;
        }
        Ok(())
    }

    fn write(&mut self, event: Event) -> io::Result<()> {
        let Event { at_ns, connection, n, made_ns, what, .. } = event;
        let leg = if connection < SLOTS { Leg::Primary } else { Leg::Shadow };
        let connection = &mut self.connections[usize::from(connection)];
        let at = (START_S * 1_000_000_000 + at_ns).max(self.last_ns);
        self.last_ns = at;
        self.now_ns = at_ns;
        self.payload.clear();
        let sender = if what == What::Request { Sender::Client } else { Sender::Server };
        match what {
            What::Ack => {}
            What::Request => request(&mut self.payload, self.recipe.seed, leg, n)?,
            What::Answer | What::AnswerHead | What::AnswerBody => {
                self.body.clear();
                let bodies = self.recipe.bodies;
                let twist = self.recipe.twist(n).filter(|_| leg == Leg::Shadow);
                let made = START_S * 1_000_000_000 + made_ns;
                match bodies {
                    Bodies::Small => body(&mut self.body, leg, n, twist, made, SENTENCES)?,
                    Bodies::Gzip => {
                        let mut plain = Vec::new();
                        body(&mut plain, leg, n, twist, made, &words(n, 24_000))?;
                        let mut encoder = GzEncoder::new(&mut self.body, Compression::default());
                        encoder.write_all(&plain)?;
                        encoder.finish()?;
                        if what != What::AnswerHead {
                            self.compressed.write_all(&(self.body.len() as u32).to_le_bytes())?;
                            self.compressed.write_all(&self.body)?;
                        }
                    }
                    Bodies::Large => {
                        let len = 100_000 + n as usize * 7_919 % 900_000;
                        body(&mut self.body, Leg::Primary, n, None, START_S, &words(n, len))?;
                    }
                }
                if what != What::AnswerBody {
                    head(&mut self.payload, leg, twist, made_ns, self.body.len(), bodies)?;
                }
                if what != What::AnswerHead {
                    self.payload.extend_from_slice(&self.body);
                }
            }
        }
        if self.payload.len() <= SEGMENT_BYTES {
            return connection.send(&mut self.capture, at, sender, &self.payload);
        }
        let segments = self.payload.chunks(SEGMENT_BYTES).zip(0_u64..);
        for (segment, i) in segments {
            self.last_ns = at + i * 1_000 + 500;
            connection.send(&mut self.capture, at + i * 1_000, sender, segment)?;
            // RFC 5681 §4.2: at least every second full segment is acknowledged.
            if i % 2 == 1 {
                connection.send(&mut self.capture, self.last_ns, Sender::Client, &[])?;
            }
        }
        Ok(())
    }

    fn finish(mut self) -> io::Result<Written> {
        self.write_until(u64::MAX)?;
        let mut at = (START_S * 1_000_000_000 + self.now_ns).max(self.last_ns);
        for connection in &mut self.connections {
            at += 1_000_000;
            connection.close(&mut self.capture, at)?;
        }
        self.compressed.flush()?;
        let (packets, bytes) = self.capture.finish()?;
        Ok(Written { packets, bytes })
    }
}

fn request(out: &mut Vec<u8>, seed: u64, leg: Leg, n: u32) -> io::Result<()> {
    // The same id on both legs.
    let id = fastrand::Rng::with_seed(seed ^ u64::from(n) << 20).u128(..);
    let suffix = if leg == Leg::Shadow { "-shadow" } else { "" };
    write!(
        out,
        "GET /api/v1/items/{n} HTTP/1.1\r\nhost: shop.example.com{suffix}\r\n\
         user-agent: bench/1\r\naccept: application/json\r\nx-forwarded-proto: http\r\n\
         x-envoy-external-address: 192.0.2.7\r\n\
         x-request-id: {:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}\r\n\
         x-envoy-expected-rq-timeout-ms: 15000\r\n",
        id as u32,
        (id >> 32) as u16,
        id >> 48 & 0xfff,
        id >> 60 & 0xfff,
        id >> 80,
    )?;
    out.extend_from_slice(match leg {
        Leg::Primary => b"x-forwarded-for: 192.0.2.7\r\n\r\n",
        Leg::Shadow => b"x-forwarded-for: 192.0.2.7,10.9.1.1\r\nx-envoy-internal: true\r\n\r\n",
    });
    Ok(())
}

fn head(
    out: &mut Vec<u8>,
    leg: Leg,
    twist: Option<Twist>,
    made_ns: u64,
    body_bytes: usize,
    bodies: Bodies,
) -> io::Result<()> {
    let status = if twist == Some(Twist::Status) { "500 Internal Server Error" } else { "200 OK" };
    // Seconds since midnight; captures end long before the next.
    let time_s = 8 * 3_600 + 53 * 60 + 20 + made_ns / 1_000_000_000;
    write!(
        out,
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nx-backend: {}\r\n\
         date: Thu, 09 Oct 2025 {:02}:{:02}:{:02} GMT\r\n{}content-length: {body_bytes}\r\n\r\n",
        name(leg),
        time_s / 3_600,
        time_s / 60 % 60,
        time_s % 60,
        if bodies == Bodies::Gzip { "content-encoding: gzip\r\n" } else { "" },
    )
}

/// The description of small answers.
const SENTENCES: &str = "the quick brown fox jumps over the lazy dog; \
    the quick brown fox jumps over the lazy dog; the quick brown fox jumps over the lazy dog; \
    the quick brown fox jumps over the lazy dog; the quick brown fox jumps over the lazy dog; \
    the quick brown fox jumps over the lazy dog; the quick brown fox jumps over the lazy dog; \
    the quick brown fox jumps over the lazy dog; the quick brown fox jumps over the lazy dog; \
    the quick brown fox jumps over the lazy dog; the quick brown fox jumps over the lazy dog; \
    the quick brown fox jumps over the lazy dog; ";

/// At least `bytes` of words that compress as prose does; the same for the same item.
fn words(n: u32, bytes: usize) -> String {
    const SYLLABLES: [&str; 16] = [
        "ba", "ce", "di", "fo", "gu", "ha", "je", "ki", "lo", "mu", "na", "pe", "ri", "so", "tu",
        "va",
    ];
    let mut random = fastrand::Rng::with_seed(u64::from(n));
    let mut text = String::with_capacity(bytes + 16);
    while text.len() < bytes {
        for _ in 0..random.u8(1..4) {
            text.push_str(SYLLABLES[random.usize(..16) & random.usize(..16)]);
        }
        text.push(' ');
    }
    text
}

fn body(
    out: &mut Vec<u8>,
    leg: Leg,
    n: u32,
    twist: Option<Twist>,
    made_ns: u64,
    description: &str,
) -> io::Result<()> {
    let server = name(leg);
    if twist == Some(Twist::Status) {
        return write!(
            out,
            "{{\"error\":\"injected\",\"id\":{n},\"server\":\"{server}\",\"generated_at\":{made_ns}}}"
        );
    }
    let cents = 100 + n + u32::from(twist == Some(Twist::Price));
    write!(
        out,
        "{{\"id\":{n},\"name\":\"item-{n}\",\"price\":{}.{:02},",
        cents / 100,
        cents % 100
    )?;
    if twist != Some(Twist::Tags) {
        out.extend_from_slice(b"\"tags\":[\"alpha\",\"beta\",\"gamma\"],");
    }
    write!(
        out,
        "\"attrs\":{{\"color\":\"c{}\",\"weight\":{},\"stock\":{},\
         \"nested\":{{\"a\":[1,2,3,{}],\"b\":null,\"c\":true}}}},\"description\":\"",
        n % 16,
        n % 97,
        n % 1_009,
        n % 7,
    )?;
    out.extend_from_slice(description.as_bytes());
    write!(out, "\",\"server\":\"{server}\",\"generated_at\":{made_ns}}}")
}

const fn name(leg: Leg) -> &'static str {
    match leg {
        Leg::Primary => "primary",
        Leg::Shadow => "shadow",
    }
}

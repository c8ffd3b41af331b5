//! Mirrored traffic as a capture file: what it holds, in time order.
//!
//! JSON answers on keep-alive connections, as a tap beside Envoy sees them: 25 connections to the
//! primary and 25 to the shadow, one request in flight on each, acknowledgements mostly carried by
//! data. What the answers are like is the recipe's [`Bodies`], what carries them its [`Carriage`].
//! Unless they are large, every answer differs in `server` and `generated_at`, and by the item's
//! number some differ in what is to be found (see [`Twist`]). The same recipe gives the same bytes,
//! where it has no TLS in it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::messages::{Answered, Asked, Leg, SENTENCES, Twist, body, words};
use crate::speech::{Carriage, Speech};
use crate::tls::Party;
use crate::unseal::Sealer;
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
    /// What carries them.
    pub(crate) carriage: Carriage,
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

    /// Writes the capture; to `coded` what a decoder or a cipher alone is tried on, each compressed
    /// body or record after its length (u32, little-endian); and to `key_log` the keys of TLS.
    ///
    /// # Errors
    ///
    /// What `out`, `coded` or `key_log` says.
    pub(crate) fn write(
        self,
        out: impl Write,
        coded: impl Write,
        mut key_log: impl Write,
    ) -> io::Result<Written> {
        let party = match self.carriage {
            Carriage::Tls(version) => Some(Party::new(version)?),
            Carriage::Http1 | Carriage::H2c => None,
        };
        let mut stage = Stage::new(self, CaptureWriter::new(out)?, coded, party.as_ref())?;
        if let Some(party) = &party {
            key_log.write_all(party.key_log().as_bytes())?;
            key_log.flush()?;
        }
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
    coded: B,
    sealer: Sealer,
    /// The primary's, then the shadow's.
    connections: Vec<(Connection, Speech)>,
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
    fn new(
        recipe: Recipe,
        mut capture: CaptureWriter<W>,
        coded: B,
        party: Option<&Party>,
    ) -> io::Result<Self> {
        let mut random = fastrand::Rng::with_seed(recipe.seed);
        let mut connections = Vec::new();
        for i in 0..2 * SLOTS {
            let server = if i < SLOTS { [10, 9, 1, 11] } else { [10, 9, 1, 12] };
            let client = ([10, 9, 1, 1], 40_000 + i * 7);
            let (client_isn, server_isn) = (random.u32(..), random.u32(..));
            let mut connection = Connection::new(client, (server, 8080), client_isn, server_isn);
            let mut at = START_S * 1_000_000_000 + u64::from(i) * 50_000;
            connection.open(&mut capture, at)?;
            at += 25_000;
            let (speech, flights) = Speech::open(recipe.carriage, party)?;
            for (sender, bytes) in flights {
                for segment in bytes.chunks(SEGMENT_BYTES) {
                    connection.send(&mut capture, at, sender, segment)?;
                    at += 1_000;
                }
            }
            connections.push((connection, speech));
        }
        Ok(Self {
            recipe,
            random,
            capture,
            coded,
            sealer: Sealer::new(),
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
        let at = (START_S * 1_000_000_000 + at_ns).max(self.last_ns);
        self.last_ns = at;
        self.now_ns = at_ns;
        self.payload.clear();
        let sender = if what == What::Request { Sender::Client } else { Sender::Server };
        let has_body = matches!(what, What::Answer | What::AnswerBody);
        let twist = self.recipe.twist(n).filter(|_| leg == Leg::Shadow);
        if has_body || what == What::AnswerHead {
            self.fill_body(leg, n, twist, made_ns, has_body)?;
        }
        let (connection, speech) = &mut self.connections[usize::from(connection)];
        match what {
            What::Ack => {}
            What::Request => {
                speech.request(Asked::new(self.recipe.seed, leg, n), &mut self.payload)?;
            }
            What::Answer | What::AnswerHead | What::AnswerBody => {
                let gzip = self.recipe.bodies == Bodies::Gzip;
                let head = (what != What::AnswerBody)
                    .then(|| Answered::new(leg, twist, made_ns, self.body.len(), gzip));
                let body = has_body.then_some(&self.body[..]);
                speech.answer(head, body, &mut self.payload)?;
            }
        }
        if let Some(text) = speech.sealed().filter(|_| what != What::Ack) {
            self.sealer.seal(text, &mut self.coded)?;
        }
        if self.payload.len() <= SEGMENT_BYTES {
            connection.send(&mut self.capture, at, sender, &self.payload)?;
        } else {
            let segments = self.payload.chunks(SEGMENT_BYTES).zip(0_u64..);
            for (segment, i) in segments {
                self.last_ns = at + i * 1_000 + 500;
                connection.send(&mut self.capture, at + i * 1_000, sender, segment)?;
                // RFC 5681 §4.2: at least every second full segment is acknowledged.
                if i % 2 == 1 {
                    connection.send(&mut self.capture, self.last_ns, Sender::Client, &[])?;
                }
            }
        }
        if has_body {
            self.payload.clear();
            speech.credit(&mut self.payload)?;
            if !self.payload.is_empty() {
                connection.send(&mut self.capture, self.last_ns, Sender::Client, &self.payload)?;
            }
        }
        Ok(())
    }

    /// Makes the body of an answer, and notes it for the decoder alone where it `is_sent` now.
    fn fill_body(
        &mut self,
        leg: Leg,
        n: u32,
        twist: Option<Twist>,
        made_ns: u64,
        is_sent: bool,
    ) -> io::Result<()> {
        self.body.clear();
        let made = START_S * 1_000_000_000 + made_ns;
        match self.recipe.bodies {
            Bodies::Small => body(&mut self.body, leg, n, twist, made, SENTENCES),
            Bodies::Gzip => {
                let mut plain = Vec::new();
                body(&mut plain, leg, n, twist, made, &words(n, 24_000))?;
                let mut encoder = GzEncoder::new(&mut self.body, Compression::default());
                encoder.write_all(&plain)?;
                encoder.finish()?;
                if is_sent {
                    self.coded.write_all(&(self.body.len() as u32).to_le_bytes())?;
                    self.coded.write_all(&self.body)?;
                }
                Ok(())
            }
            Bodies::Large => {
                let len = 100_000 + n as usize * 7_919 % 900_000;
                body(&mut self.body, Leg::Primary, n, None, START_S, &words(n, len))
            }
        }
    }

    fn finish(mut self) -> io::Result<Written> {
        self.write_until(u64::MAX)?;
        let mut at = (START_S * 1_000_000_000 + self.now_ns).max(self.last_ns);
        for (connection, _) in &mut self.connections {
            at += 1_000_000;
            connection.close(&mut self.capture, at)?;
        }
        self.coded.flush()?;
        let (packets, bytes) = self.capture.finish()?;
        Ok(Written { packets, bytes })
    }
}

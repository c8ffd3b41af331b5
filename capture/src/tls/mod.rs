//! TLS 1.0 to 1.3 on one connection: records become plaintext, where a key is known.
//!
//! Owns the handshake as far as it tells the keys, the epochs of both directions, and the records
//! that wait for a key. Refuses to give plaintext that its tag or MAC does not verify.
//!
//! | file | owns |
//! |---|---|
//! | `framing` | records: where they begin and end, also after a loss |
//! | `records` | what is in records, and what a loss costs |
//! | `hello`, `handshake` | handshake messages, and what they do to the keys |
//! | `suite`, `derive` | what a suite means, keys from secrets |
//! | `opener`, `cipher` | one record, its tag |
//! | `compression` | DEFLATE inside records |
//! | `half` | one direction: epoch, keys, offsets |
//!
//! Invariants:
//! - Plaintext has offsets of its own, without holes: what cannot be read is a Gap whose length is
//!   an estimate.
//! - A chunk of plaintext is one record. It has the time of the packet that completed it, and of
//!   what the packet with its first byte acknowledged, the records that were whole by then.
//! - Records that wait for their key are given in the order in which they came, both directions
//!   together, so plaintext is what it would have been had the key been there.
//! - What waits is bounded in bytes and in time ([`Limits::tls_held_bytes`],
//!   [`Limits::tls_key_wait`]). A record given up is a Gap to who reads the plaintext; a connection
//!   given up is opaque for good, and counted once.

mod cipher;
mod compression;
mod derive;
mod framing;
mod half;
mod handshake;
mod hello;
mod opener;
mod records;
mod suite;

use std::collections::VecDeque;

use framing::{Item, Record, Torn};
use half::{Epoch, Half};
use hello::Version;
use suite::Suite;

use crate::context::Context;
use crate::flow::Direction;
use crate::keylog::ClientRandom;
use crate::reassembly::{Chunk, Gap, GapCause};
use crate::{Anomaly, Limits, Timestamp};

/// Where plaintext goes: as if there had been no TLS, with offsets of its own.
pub(crate) trait Plaintext {
    /// The next bytes of a direction.
    fn chunk(&mut self, direction: Direction, chunk: Chunk<'_>, cx: &mut Context<'_>);
    /// Bytes of a direction that cannot be decrypted, or were not seen.
    fn gap(&mut self, direction: Direction, gap: Gap, cx: &mut Context<'_>);
    /// A direction has ended (close_notify, or the connection's own end).
    fn fin(&mut self, direction: Direction, at: Timestamp, cx: &mut Context<'_>);
    /// The connection was broken off by the side that sends in a direction.
    fn reset(&mut self, from: Direction, at: Timestamp, cx: &mut Context<'_>);
    /// The application protocol that the handshake settled on (ALPN), before any plaintext.
    fn protocol(&mut self, alpn: &[u8]);
}

/// A connection that could not be read, and what it said of itself in clear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Opaque {
    /// Why: one of the TLS anomalies.
    pub(crate) why: Anomaly,
    /// The host that the client asked for (SNI).
    pub(crate) server_name: Option<Box<str>>,
    /// The application protocol: the one chosen where that is in clear, else the client's first.
    pub(crate) alpn: Option<Box<[u8]>>,
}

/// One TLS connection: both directions.
#[derive(Debug, Default)]
pub(crate) struct Connection {
    halves: [Half; 2],
    settled: Settled,
    early: EarlyData,
    /// What came and waits for a key, in the order in which it came.
    waiting: VecDeque<(Direction, Event)>,
    /// Something of the server is among it.
    server_waits: bool,
    waiting_bytes: usize,
    waiting_since: Option<Timestamp>,
    is_opaque: bool,
    /// Until it is taken.
    opaque: Option<Box<Opaque>>,
}

/// What the hellos told.
#[derive(Debug, Default)]
struct Settled {
    client_random: Option<ClientRandom>,
    server_random: [u8; 32],
    /// With the suite; both once the ServerHello was seen.
    version: Option<(Version, Suite)>,
    encrypt_then_mac: bool,
    compressed: bool,
    server_name: Option<Box<str>>,
    alpn: Option<Box<[u8]>>,
}

/// The early data of TLS 1.3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum EarlyData {
    #[default]
    None,
    /// The client said that it sends some.
    Offered,
    /// The server has decided.
    Settled,
}

/// Something that came.
#[derive(Debug)]
enum Event {
    Item(Item),
    Fin(Timestamp),
    Reset(Timestamp),
}

/// What a waiting event costs besides its bytes.
const EVENT_OVERHEAD: usize = size_of::<(Direction, Event)>() + 32;

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

impl Connection {
    /// A connection of which nothing was seen yet.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes of a direction.
    pub(crate) fn push(
        &mut self,
        direction: Direction,
        chunk: Chunk<'_>,
        cx: &mut Context<'_>,
        out: &mut impl Plaintext,
    ) {
        let mut rest = Some(chunk);
        while !self.is_opaque
            && let Some(item) = self.halves[direction as usize].framer.next(&mut rest)
        {
            self.take(direction, Event::Item(item), cx, out);
            let half = &mut self.halves[direction as usize];
            if std::mem::take(&mut half.relook) {
                half.framer.lose();
            }
        }
        self.halves[direction as usize].framer.trim();
    }

    /// The next bytes of a direction will never come.
    pub(crate) fn gap(
        &mut self,
        direction: Direction,
        gap: Gap,
        cx: &mut Context<'_>,
        out: &mut impl Plaintext,
    ) {
        for item in self.halves[direction as usize].framer.gap(gap) {
            self.take(direction, Event::Item(item), cx, out);
        }
    }

    /// A direction has ended; all its bytes were given.
    pub(crate) fn fin(
        &mut self,
        direction: Direction,
        at: Timestamp,
        cx: &mut Context<'_>,
        out: &mut impl Plaintext,
    ) {
        self.take(direction, Event::Fin(at), cx, out);
    }

    /// The sender of `from` broke the connection off.
    pub(crate) fn reset(
        &mut self,
        from: Direction,
        at: Timestamp,
        cx: &mut Context<'_>,
        out: &mut impl Plaintext,
    ) {
        self.take(from, Event::Reset(at), cx, out);
    }

    /// Looks for keys that came meanwhile.
    pub(crate) fn retry(&mut self, cx: &mut Context<'_>, out: &mut impl Plaintext) {
        self.find_keys(cx.keys);
        self.drain(cx, out);
    }

    /// Lets time pass: what has waited too long for its key by `now` is given up.
    pub(crate) fn expire(
        &mut self,
        now: Timestamp,
        cx: &mut Context<'_>,
        out: &mut impl Plaintext,
    ) {
        if self.deadline(cx.limits).is_some_and(|deadline| deadline <= now) {
            self.retry(cx, out);
            if self.waits_for_keys() {
                self.give_up(Anomaly::TlsWaitTooLong, cx, out);
            }
        }
    }

    /// Nothing more will come: what waits for a key is given up.
    pub(crate) fn finish(&mut self, cx: &mut Context<'_>, out: &mut impl Plaintext) {
        self.retry(cx, out);
        if self.waits_for_keys() {
            self.give_up(Anomaly::TlsWithoutKeys, cx, out);
        }
    }

    /// When [`Connection::expire`] has something to do, at the earliest.
    pub(crate) fn deadline(&self, limits: &Limits) -> Option<Timestamp> {
        self.waiting_since.map(|since| since + limits.tls_key_wait)
    }

    /// Whether records wait for their key.
    pub(crate) fn waits_for_keys(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Tells once that the connection could not be read.
    pub(crate) fn take_opaque(&mut self) -> Option<Box<Opaque>> {
        self.opaque.take()
    }

    /// Bytes of memory held.
    pub(crate) fn held_bytes(&self) -> usize {
        size_of::<Self>()
            + self.waiting_bytes
            + self.halves.iter().map(Half::held_bytes).sum::<usize>()
    }

    /// Takes an event: it waits where it needs a key, or something before it does.
    fn take(
        &mut self,
        direction: Direction,
        event: Event,
        cx: &mut Context<'_>,
        out: &mut impl Plaintext,
    ) {
        let waits = match event {
            Event::Item(_) => self.must_wait(direction),
            Event::Fin(_) | Event::Reset(_) => self.waits_for_keys(),
        };
        if !waits || self.is_opaque {
            self.process(direction, event, cx, out);
            self.drain(cx, out);
        } else if !cx.keys.is_in_use() {
            self.give_up(Anomaly::TlsWithoutKeys, cx, out);
        } else {
            self.hold(direction, event);
            if self.waiting_bytes > cx.limits.tls_held_bytes {
                self.thin_out(cx);
                // So that this is not done for every record.
                if self.waiting_bytes > cx.limits.tls_held_bytes / 4 * 3 {
                    self.give_up(Anomaly::TlsWaitTooLong, cx, out);
                }
            }
        }
    }

    fn hold(&mut self, direction: Direction, mut event: Event) {
        if let Event::Item(Item::Record(Record { bytes, .. }) | Item::Begun { bytes, .. }) =
            &mut event
        {
            bytes.shrink_to_fit();
        }
        self.waiting_since.get_or_insert(event.at());
        self.waiting_bytes += event.held_bytes();
        self.server_waits |= direction == Direction::ToClient;
        self.waiting.push_back((direction, event));
    }

    /// Gives up the records that came last: what is left of them is that they were, so that those to
    /// come can be read. The first are kept: the handshake is among them.
    fn thin_out(&mut self, cx: &mut Context<'_>) {
        let (mut before, mut after) = (0, 0);
        for (_, event) in &mut self.waiting {
            before += event.held_bytes();
            if before > cx.limits.tls_held_bytes / 2
                && let Event::Item(Item::Record(record)) = event
                && let Some(torn) = record.torn(GapCause::SnapLen)
            {
                cx.anomalies.note(Anomaly::TlsRecordDropped);
                *event = Event::Item(Item::Torn(torn));
            }
            after += event.held_bytes();
        }
        self.waiting_bytes = after;
    }

    /// Processes what waits and need not: the first event whose direction has its key, as long as
    /// there is one.
    fn drain(&mut self, cx: &mut Context<'_>, out: &mut impl Plaintext) {
        while let Some(index) = self.first_ready()
            && let Some((direction, event)) = self.waiting.remove(index)
        {
            self.waiting_bytes -= event.held_bytes();
            self.process(direction, event, cx, out);
            // Of records framed while they waited none can be framed anew.
            self.halves[direction as usize].relook = false;
        }
        if self.waiting.is_empty() {
            self.waiting_since = None;
            self.server_waits = false;
        }
    }

    /// Whether a record that comes now must wait. Both directions wait together, so that no answer
    /// comes before what it answers.
    fn must_wait(&self, direction: Direction) -> bool {
        let passes = self.waiting.is_empty()
            || direction == Direction::ToClient && self.is_undecided() && !self.server_waits;
        self.halves[direction as usize].is_blocked() || !passes
    }

    /// Whether early data waits for the server to take it: what the server says passes it by.
    fn is_undecided(&self) -> bool {
        self.early == EarlyData::Offered
            && self.halves[Direction::ToServer as usize].epoch == Epoch::Early
    }

    fn first_ready(&self) -> Option<usize> {
        let undecided = self.is_undecided();
        for (index, (direction, event)) in self.waiting.iter().enumerate() {
            match event {
                Event::Fin(_) | Event::Reset(_) => return (index == 0).then_some(index),
                Event::Item(_) if !self.halves[*direction as usize].is_blocked() => {
                    return Some(index);
                }
                Event::Item(_) if undecided && *direction == Direction::ToServer => {}
                Event::Item(_) => return None,
            }
        }
        None
    }

    fn process(
        &mut self,
        direction: Direction,
        event: Event,
        cx: &mut Context<'_>,
        out: &mut impl Plaintext,
    ) {
        let half = &mut self.halves[direction as usize];
        match event {
            Event::Fin(at) => {
                half.over = true;
                if !std::mem::replace(&mut half.ended, true) {
                    out.fin(direction, at, cx);
                }
            }
            Event::Reset(at) => out.reset(direction, at, cx),
            Event::Item(_) if half.over || self.is_opaque => {}
            Event::Item(Item::Record(record)) => {
                half.last_at = record.at;
                match half.epoch {
                    Epoch::Clear => self.clear_record(direction, record, cx, out),
                    _ => self.sealed_record(direction, record, cx, out),
                }
            }
            Event::Item(Item::Begun { bytes, at }) => self.begun(direction, &bytes, at, cx, out),
            Event::Item(Item::Torn(torn)) => self.torn(direction, torn, cx, out),
            Event::Item(Item::Unframed { len, at, cause, end, damaged }) => {
                if damaged {
                    cx.anomalies.note(Anomaly::BadTlsRecord);
                }
                half.unsure += len;
                half.messages.lose();
                let plain = half.opener.as_ref().map_or(1, |o| o.plaintext_len(len as usize));
                if half.epoch.has_data() {
                    self.miss(direction, plain, at, cause, cx, out);
                }
                self.pass(direction, end);
                let half = &mut self.halves[direction as usize];
                if half.opener.as_ref().is_some_and(|opener| !opener.opens_out_of_turn()) {
                    // What is chained to bytes that were lost cannot be read again.
                    half.over = true;
                }
            }
        }
    }

    /// The connection cannot be read: it is opaque from here on.
    fn give_up(&mut self, why: Anomaly, cx: &mut Context<'_>, out: &mut impl Plaintext) {
        if std::mem::replace(&mut self.is_opaque, true) {
            return;
        }
        cx.anomalies.note(why);
        let (server_name, alpn) = (self.settled.server_name.take(), self.settled.alpn.take());
        self.opaque = Some(Box::new(Opaque { why, server_name, alpn }));
        let waiting = std::mem::take(&mut self.waiting);
        (self.server_waits, self.waiting_bytes, self.waiting_since) = (false, 0, None);
        for direction in Direction::BOTH {
            let half = &mut self.halves[direction as usize];
            let (given, at) = (half.plain_next > 0, half.last_at);
            half.framer = framing::Framer::default();
            half.opener = None;
            half.messages.lose();
            if given {
                self.miss(direction, 1, at, GapCause::Missing, cx, out);
            }
        }
        for (direction, event) in waiting {
            if !matches!(event, Event::Item(_)) {
                self.process(direction, event, cx, out);
            }
        }
    }

    fn reuse(&mut self, direction: Direction, record: Record) {
        self.halves[direction as usize].framer.reuse(record.bytes);
    }

    fn is_tls13(&self) -> bool {
        self.settled.version.is_some_and(|(version, _)| version == Version::Tls13)
    }
}

impl Event {
    fn at(&self) -> Timestamp {
        match self {
            Self::Item(
                Item::Record(Record { at, .. })
                | Item::Begun { at, .. }
                | Item::Torn(Torn { at, .. })
                | Item::Unframed { at, .. },
            )
            | Self::Fin(at)
            | Self::Reset(at) => *at,
        }
    }

    fn held_bytes(&self) -> usize {
        EVENT_OVERHEAD
            + match self {
                Self::Item(Item::Record(Record { bytes, .. }) | Item::Begun { bytes, .. }) => {
                    bytes.capacity()
                }
                _ => 0,
            }
    }
}

/// Whether `bytes` begin as TLS does, also in the middle of a connection; `None` where they are too
/// few to tell.
pub(crate) fn begins_record(bytes: &[u8]) -> Option<bool> {
    match bytes {
        // RFC 8446 §5.1: one of four content types, legacy_record_version 3.x.
        [20..=23, 0x03, ..] => Some(true),
        [] | [20..=23] => None,
        // RFC 5246 §E.2.
        [0x80..=0xff, _, 1, 3, _, ..] => Some(framing::is_old_hello(bytes)),
        [0x80..=0xff] | [0x80..=0xff, _] | [0x80..=0xff, _, 1] | [0x80..=0xff, _, 1, 3] => None,
        _ => Some(false),
    }
}

#[cfg(test)]
mod tests;

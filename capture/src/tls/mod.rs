//! TLS 1.0 to 1.3 on one connection: records become plaintext, where a key is known.
//!
//! Owns the handshake as far as it tells the keys, the epochs of both directions, and the records
//! that wait for a key. Refuses to give plaintext that its tag or MAC does not verify.
//!
//! | file | owns |
//! |---|---|
//! | `framing` | records: where they begin and end, also after a loss |
//! | `hello` | handshake messages |
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
//!   [`Limits::tls_key_wait`]). A connection given up is opaque for good, and counted once.

mod cipher;
mod compression;
mod derive;
mod framing;
mod half;
mod hello;
mod opener;
mod suite;

use std::collections::VecDeque;

use derive::Agreed;
use framing::{Item, Record, Torn};
use half::{Epoch, Half};
use hello::{ClientHello, EncryptedExtensions, Message, ServerHello, Version};
use opener::{Opened, Opener};
use suite::Suite;

use crate::context::Context;
use crate::flow::Direction;
use crate::keylog::{ClientRandom, KeyLog, Label, Secret};
use crate::reassembly::{Chunk, Extent, Gap, GapCause};
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

/// Tries at most to find out which of the records that may have been lost comes next.
const TRIES_MAX: u64 = 512;

/// Bytes at most that these tries may decrypt, all together.
const TRIED_BYTES_MAX: u64 = 2 << 20;

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
                self.give_up(Anomaly::TlsWaitTooLong, cx, out);
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
            Event::Item(Item::Unframed { len, at, cause, end }) => {
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

    /// A record without protection, or after a loss perhaps with one.
    fn clear_record(
        &mut self,
        direction: Direction,
        mut record: Record,
        cx: &mut Context<'_>,
        out: &mut impl Plaintext,
    ) {
        let content = record.bytes[0];
        if self.halves[direction as usize].unsure > 0
            && let Some((lost, opened)) = self.find(direction, &mut record, cx.keys)
        {
            self.deliver_found(direction, &record, lost, opened, cx, out);
            return;
        }
        match content {
            CHANGE_CIPHER_SPEC => self.change_cipher(direction, cx.keys),
            HANDSHAKE => {
                let messages = self.halves[direction as usize]
                    .messages
                    .push(&record.bytes[framing::HEADER_LEN..]);
                for message in messages {
                    self.handle(direction, message, record.at, cx, out);
                }
            }
            _ if framing::is_old_hello(&record.bytes) => {
                if let Some(hello) = hello::old_client_hello(&record.bytes[2..]) {
                    self.client_hello(hello);
                }
            }
            APPLICATION_DATA if self.early != EarlyData::Settled => {
                // The handshake, or what tells of its keys, was not seen.
                self.give_up(Anomaly::TlsWithoutKeys, cx, out);
            }
            // Alerts, heartbeats, and early data that the server refused with a retry.
            _ => {}
        }
        self.reuse(direction, record);
    }

    /// A record whose key is there.
    fn sealed_record(
        &mut self,
        direction: Direction,
        mut record: Record,
        cx: &mut Context<'_>,
        out: &mut impl Plaintext,
    ) {
        let is_tls13 = self.is_tls13();
        let half = &mut self.halves[direction as usize];
        // RFC 8446 §5: change_cipher_spec means nothing; what is protected is application data.
        if is_tls13 && record.bytes[0] != APPLICATION_DATA {
            return self.reuse(direction, record);
        }
        let Some(opener) = &mut half.opener else { return };
        let fragment_len = record.bytes.len() - framing::HEADER_LEN;
        if half.refused {
            if let Some((_, opened)) = opener.find(&mut record.bytes, 1) {
                half.refused = false;
                self.deliver(direction, &record, opened, cx, out);
            }
        } else if half.unsure == 0 || !opener.opens_out_of_turn() {
            if let Some(opened) = opener.open(&mut record.bytes) {
                half.unsure = 0;
                self.deliver(direction, &record, opened, cx, out);
            } else {
                cx.anomalies.note(Anomaly::BadTlsRecord);
                half.unsure = record.bytes.len() as u64;
                let plain = opener.plaintext_len(fragment_len);
                self.lose_record(direction, plain, record.at, record.end, cx, out);
            }
        } else if let Some((lost, opened)) = self.find(direction, &mut record, cx.keys) {
            self.deliver_found(direction, &record, lost, opened, cx, out);
        } else {
            cx.anomalies.note(Anomaly::BadTlsRecord);
            let half = &mut self.halves[direction as usize];
            half.unsure += record.bytes.len() as u64;
            half.relook = true;
            let plain = half.opener.as_ref().map_or(1, |o| o.plaintext_len(fragment_len));
            self.lose_record(direction, plain, record.at, record.end, cx, out);
        }
        self.reuse(direction, record);
    }

    /// A record that is there and cannot be read.
    fn lose_record(
        &mut self,
        direction: Direction,
        plain: usize,
        at: Timestamp,
        end: u64,
        cx: &mut Context<'_>,
        out: &mut impl Plaintext,
    ) {
        let half = &mut self.halves[direction as usize];
        half.messages.lose();
        if half.epoch.has_data() {
            self.miss(direction, plain, at, GapCause::Missing, cx, out);
        }
        self.pass(direction, end);
    }

    /// What ends at `end` has been told as lost.
    fn pass(&mut self, direction: Direction, end: u64) {
        let half = &mut self.halves[direction as usize];
        half.ends.push(end, half.plain_next);
        // What was compressed together with bytes that were lost cannot be read again.
        half.over |= half.inflater.is_some();
    }

    /// The beginning of a record whose end was lost. Of a hello it tells most of what matters.
    fn begun(
        &mut self,
        direction: Direction,
        bytes: &[u8],
        at: Timestamp,
        cx: &mut Context<'_>,
        out: &mut impl Plaintext,
    ) {
        let half = &mut self.halves[direction as usize];
        if half.epoch != Epoch::Clear || bytes[0] != HANDSHAKE {
            return;
        }
        let mut messages = half.messages.push(&bytes[framing::HEADER_LEN..]);
        messages.extend(half.messages.cut());
        for message in messages {
            self.handle(direction, message, at, cx, out);
        }
    }

    /// A record of which bytes are missing.
    fn torn(
        &mut self,
        direction: Direction,
        torn: Torn,
        cx: &mut Context<'_>,
        out: &mut impl Plaintext,
    ) {
        let is_tls13 = self.is_tls13();
        let half = &mut self.halves[direction as usize];
        let Torn { content, fragment_len, at, cause, end } = torn;
        match (half.epoch, content) {
            // What it says is known without its bytes.
            (Epoch::Clear, CHANGE_CIPHER_SPEC) => return self.change_cipher(direction, cx.keys),
            (Epoch::Clear, APPLICATION_DATA) if self.early != EarlyData::Settled => {
                return self.give_up(Anomaly::TlsWithoutKeys, cx, out);
            }
            (Epoch::Clear, _) => {
                half.unsure += fragment_len as u64;
                return half.messages.lose();
            }
            (_, content) if is_tls13 && content != APPLICATION_DATA => return,
            _ => {}
        }
        let Some(opener) = &mut half.opener else { return };
        opener.pass_over(fragment_len);
        let plain = opener.plaintext_len(fragment_len);
        // It may have been the one that changes the keys.
        half.unsure += (framing::HEADER_LEN + fragment_len) as u64;
        if content == APPLICATION_DATA {
            if half.epoch.has_data() {
                self.miss(direction, plain, at, cause, cx, out);
            }
        } else if content == CHANGE_CIPHER_SPEC {
            self.change_cipher(direction, cx.keys);
        }
        self.halves[direction as usize].messages.lose();
        self.pass(direction, end);
    }

    /// Plaintext that was not seen, about `len` bytes of it.
    fn miss(
        &mut self,
        direction: Direction,
        len: usize,
        at: Timestamp,
        cause: GapCause,
        cx: &mut Context<'_>,
        out: &mut impl Plaintext,
    ) {
        let half = &mut self.halves[direction as usize];
        let (offset, len) = (half.plain_next, len.max(1) as u64);
        half.plain_next += len;
        let extent = Extent::Estimated;
        out.gap(direction, Gap { offset, len, at, cause, extent }, cx);
    }

    /// Which of the records that may come next this one is: how many were lost before it in its
    /// epoch, and what is in it. Its epoch is the direction's from now on.
    fn find(
        &mut self,
        direction: Direction,
        record: &mut Record,
        keys: &KeyLog,
    ) -> Option<(u64, Opened)> {
        let half = &mut self.halves[direction as usize];
        let affordable = (TRIED_BYTES_MAX / record.bytes.len() as u64).clamp(8, TRIES_MAX);
        let unsure = half.unsure;
        if let Some(opener) = &mut half.opener {
            let tries = opener.records_in(unsure).min(affordable);
            if let Some(found) = opener.find(&mut record.bytes, tries) {
                half.unsure = 0;
                return Some(found);
            }
        }
        let mut at = (half.epoch, half.secret.clone());
        // The epochs that can come after this one: two at the most in a handshake.
        for _ in 0..2 {
            let (epoch, secret) = self.following(direction, at.0, at.1.as_ref(), keys)?;
            let mut opener = self.opener(direction, epoch, secret.as_ref(), keys)?;
            let tries = opener.records_in(unsure).min(affordable);
            if let Some(found) = opener.find(&mut record.bytes, tries) {
                let half = &mut self.halves[direction as usize];
                half.epoch = epoch;
                half.opener = Some(Box::new(opener));
                half.secret = secret;
                half.messages.reset();
                half.unsure = 0;
                half.refused = false;
                // Of what came before data nothing was missed; the first record that TLS 1.2
                // protects is Finished.
                let before_data = u64::from(epoch == Epoch::Master);
                return Some((found.0.saturating_sub(before_data), found.1));
            }
            at = (epoch, secret);
        }
        None
    }

    /// The epoch after `epoch`, and its secret.
    fn following(
        &self,
        direction: Direction,
        epoch: Epoch,
        secret: Option<&Secret>,
        keys: &KeyLog,
    ) -> Option<(Epoch, Option<Secret>)> {
        let (version, suite) = self.settled.version?;
        let next = match (version, epoch) {
            (Version::Tls13, Epoch::Clear | Epoch::Early) => Epoch::Handshake,
            (Version::Tls13, Epoch::Handshake) => Epoch::Traffic,
            (Version::Tls13, _) => {
                return Some((Epoch::Traffic, Some(derive::next_secret(suite, secret?)?)));
            }
            (_, Epoch::Clear) => return Some((Epoch::Master, None)),
            _ => return None,
        };
        Some((next, Some(self.secret(direction, next, keys)?.clone())))
    }

    /// Passes on what [`Connection::find`] found.
    fn deliver_found(
        &mut self,
        direction: Direction,
        record: &Record,
        lost: u64,
        opened: Opened,
        cx: &mut Context<'_>,
        out: &mut impl Plaintext,
    ) {
        // In an epoch with data, what was lost has been told as a Gap: unless the epoch began in
        // it.
        let half = &self.halves[direction as usize];
        if lost > 0 && half.epoch.has_data() && half.plain_next == 0 {
            self.miss(direction, 1, record.at, GapCause::Missing, cx, out);
        }
        self.deliver(direction, record, opened, cx, out);
    }

    /// Passes on what was in a record.
    fn deliver(
        &mut self,
        direction: Direction,
        record: &Record,
        opened: Opened,
        cx: &mut Context<'_>,
        out: &mut impl Plaintext,
    ) {
        let Opened { content, start, end } = opened;
        let mut bytes = &record.bytes[start..end];
        let peer_offset = self.halves[direction.reverse() as usize].ends.plain_at(record.acked);
        let half = &mut self.halves[direction as usize];
        let inflated;
        if let Some(inflater) = &mut half.inflater {
            let Some(whole) = inflater.inflate(bytes) else {
                cx.anomalies.note(Anomaly::BadTlsRecord);
                return self.lose_record(direction, end - start, record.at, record.end, cx, out);
            };
            inflated = whole;
            bytes = &inflated;
        }
        match content {
            APPLICATION_DATA if half.epoch.has_data() && !bytes.is_empty() => {
                let offset = half.plain_next;
                half.plain_next += bytes.len() as u64;
                half.ends.push(record.end, half.plain_next);
                out.chunk(direction, Chunk { offset, bytes, at: record.at, peer_offset }, cx);
            }
            HANDSHAKE => {
                for message in half.messages.push(bytes) {
                    self.handle(direction, message, record.at, cx, out);
                }
            }
            CHANGE_CIPHER_SPEC => self.change_cipher(direction, cx.keys),
            // RFC 8446 §6.1: close_notify. What comes after it is ignored.
            ALERT if bytes.get(1) == Some(&0) => {
                half.over = true;
                if !std::mem::replace(&mut half.ended, true) {
                    out.fin(direction, record.at, cx);
                }
            }
            _ => {}
        }
    }

    fn handle(
        &mut self,
        direction: Direction,
        message: Message,
        at: Timestamp,
        cx: &mut Context<'_>,
        out: &mut impl Plaintext,
    ) {
        let is_tls13 = self.is_tls13();
        let epoch = self.halves[direction as usize].epoch;
        match (message, direction) {
            (Message::ClientHello(hello), Direction::ToServer) => self.client_hello(hello),
            (Message::ServerHello(hello), Direction::ToClient) => self.server_hello(hello, cx, out),
            (Message::EncryptedExtensions(extensions), Direction::ToClient) if is_tls13 => {
                self.encrypted_extensions(extensions, at, cx, out);
            }
            (Message::EndOfEarlyData, Direction::ToServer) if epoch == Epoch::Early => {
                self.enter(direction, Epoch::Handshake, cx.keys);
            }
            (Message::Finished, _) if epoch == Epoch::Handshake => {
                self.enter(direction, Epoch::Traffic, cx.keys);
            }
            (Message::KeyUpdate, _) if is_tls13 && epoch == Epoch::Traffic => {
                let half = &self.halves[direction as usize];
                let next = self.following(direction, epoch, half.secret.as_ref(), cx.keys);
                if let Some((_, Some(secret))) = next {
                    self.install(direction, Some(secret), cx.keys);
                }
            }
            (Message::Malformed, _) => self.give_up(Anomaly::TlsUnsupported, cx, out),
            _ => {}
        }
    }

    fn client_hello(&mut self, hello: ClientHello) {
        let ClientHello { random, server_name, alpn, early_data } = hello;
        let half = &mut self.halves[Direction::ToServer as usize];
        if early_data && self.early == EarlyData::None && half.epoch == Epoch::Clear {
            self.early = EarlyData::Offered;
            half.epoch = Epoch::Early;
        }
        self.settled.client_random = Some(random);
        self.settled.server_name = server_name;
        self.settled.alpn = alpn;
    }

    fn server_hello(&mut self, hello: ServerHello, cx: &mut Context<'_>, out: &mut impl Plaintext) {
        if hello.retry {
            // RFC 8446 §4.1.2: another ClientHello comes, without early data.
            return self.refuse_early_data();
        }
        let Some(version) = hello.version.zip(Suite::of(hello.suite)) else {
            return self.give_up(Anomaly::TlsUnsupported, cx, out);
        };
        self.settled.version = Some(version);
        self.settled.server_random = hello.random;
        self.settled.encrypt_then_mac = hello.encrypt_then_mac;
        self.settled.compressed = hello.compressed;
        if version.0 == Version::Tls13 {
            self.enter(Direction::ToClient, Epoch::Handshake, cx.keys);
            if self.early != EarlyData::Offered {
                self.enter(Direction::ToServer, Epoch::Handshake, cx.keys);
            }
        } else {
            self.refuse_early_data();
            if let Some(alpn) = hello.alpn {
                out.protocol(&alpn);
                self.settled.alpn = Some(alpn);
            }
        }
    }

    fn refuse_early_data(&mut self) {
        if self.early == EarlyData::Offered {
            self.early = EarlyData::Settled;
            self.halves[Direction::ToServer as usize].epoch = Epoch::Clear;
        }
    }

    fn encrypted_extensions(
        &mut self,
        extensions: EncryptedExtensions,
        at: Timestamp,
        cx: &mut Context<'_>,
        out: &mut impl Plaintext,
    ) {
        if let Some(alpn) = extensions.alpn {
            out.protocol(&alpn);
            self.settled.alpn = Some(alpn);
        }
        if self.early != EarlyData::Offered {
            return;
        }
        self.early = EarlyData::Settled;
        if extensions.early_data {
            self.enter(Direction::ToServer, Epoch::Early, cx.keys);
            if self.halves[Direction::ToServer as usize].opener.is_some() {
                return;
            }
            // Its secret is not in the log, though others of the session are.
            self.miss(Direction::ToServer, 1, at, GapCause::Missing, cx, out);
        }
        self.enter(Direction::ToServer, Epoch::Handshake, cx.keys);
        self.halves[Direction::ToServer as usize].refused = true;
    }

    /// TLS 1.2 and before: the keys last settled are in use from here on.
    fn change_cipher(&mut self, direction: Direction, keys: &KeyLog) {
        if self.settled.version.is_some_and(|(version, _)| version != Version::Tls13) {
            self.enter(direction, Epoch::Master, keys);
            let inflater = self.settled.compressed.then(Box::default);
            self.halves[direction as usize].inflater = inflater;
        }
    }

    /// A direction goes on with other keys.
    fn enter(&mut self, direction: Direction, epoch: Epoch, keys: &KeyLog) {
        let half = &mut self.halves[direction as usize];
        half.epoch = epoch;
        half.opener = None;
        half.secret = None;
        half.messages.reset();
        let secret = self.secret(direction, epoch, keys).cloned();
        if secret.is_some() {
            self.install(direction, secret, keys);
        }
    }

    /// Directions that wait for a key look for it.
    fn find_keys(&mut self, keys: &KeyLog) {
        for direction in Direction::BOTH {
            let half = &self.halves[direction as usize];
            let undecided = half.epoch == Epoch::Early && self.early == EarlyData::Offered;
            if half.is_blocked() && !undecided {
                let secret = self.secret(direction, half.epoch, keys).cloned();
                if secret.is_some() {
                    self.install(direction, secret, keys);
                }
            }
        }
    }

    fn install(&mut self, direction: Direction, secret: Option<Secret>, keys: &KeyLog) {
        let epoch = self.halves[direction as usize].epoch;
        let opener = self.opener(direction, epoch, secret.as_ref(), keys);
        let half = &mut self.halves[direction as usize];
        half.opener = opener.map(Box::new);
        half.secret = secret;
        half.messages.reset();
    }

    fn opener(
        &self,
        direction: Direction,
        epoch: Epoch,
        secret: Option<&Secret>,
        keys: &KeyLog,
    ) -> Option<Opener> {
        let (version, suite) = self.settled.version?;
        let keys = match epoch {
            Epoch::Clear => return None,
            Epoch::Master => derive::master_keys(
                &Agreed {
                    version,
                    suite,
                    master: self.secret(direction, epoch, keys)?,
                    client_random: self.settled.client_random.as_ref()?,
                    server_random: &self.settled.server_random,
                },
                direction,
            ),
            Epoch::Early | Epoch::Handshake | Epoch::Traffic => {
                derive::traffic_keys(suite, secret?)
            }
        };
        Opener::new(version, suite, self.settled.encrypt_then_mac, &keys)
    }

    /// What the key log has for an epoch of a direction.
    fn secret<'k>(
        &self,
        direction: Direction,
        epoch: Epoch,
        keys: &'k KeyLog,
    ) -> Option<&'k Secret> {
        let label = match (epoch, direction) {
            (Epoch::Clear, _) => return None,
            (Epoch::Master, _) => Label::Master,
            (Epoch::Early, _) => Label::ClientEarly,
            (Epoch::Handshake, Direction::ToServer) => Label::ClientHandshake,
            (Epoch::Handshake, Direction::ToClient) => Label::ServerHandshake,
            (Epoch::Traffic, Direction::ToServer) => Label::ClientTraffic,
            (Epoch::Traffic, Direction::ToClient) => Label::ServerTraffic,
        };
        keys.secret(self.settled.client_random.as_ref()?, label)
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

/// Whether `bytes` begin as a TLS connection does; `None` where they are too few to tell.
pub(crate) fn begins_record(bytes: &[u8]) -> Option<bool> {
    match bytes {
        // RFC 8446 §5.1: handshake, legacy_record_version 3.x.
        [0x16, 0x03, ..] => Some(true),
        [] | [0x16] => None,
        // RFC 5246 §E.2.
        [0x80..=0xff, _, 1, 3, _, ..] => Some(framing::is_old_hello(bytes)),
        [0x80..=0xff] | [0x80..=0xff, _] | [0x80..=0xff, _, 1] | [0x80..=0xff, _, 1, 3] => None,
        _ => Some(false),
    }
}

#[cfg(test)]
mod tests;

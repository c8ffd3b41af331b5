//! TLS 1.2 and 1.3 on one connection: records become plaintext, where a key is known.

use crate::Timestamp;
use crate::context::Context;
use crate::flow::Direction;
use crate::reassembly::{Chunk, Gap};

/// Where plaintext goes: as if there had been no TLS, with offsets of its own.
pub(crate) trait Plaintext {
    /// The next bytes of a direction.
    fn chunk(&mut self, direction: Direction, chunk: Chunk<'_>, cx: &mut Context<'_>);
    /// Bytes of a direction that cannot be decrypted, or were not seen.
    fn gap(&mut self, direction: Direction, gap: Gap, cx: &mut Context<'_>);
    /// A direction has ended (close_notify, or the connection's own end).
    fn fin(&mut self, direction: Direction, at: Timestamp, cx: &mut Context<'_>);
    /// The application protocol that the handshake settled on (ALPN), before any plaintext.
    fn protocol(&mut self, alpn: &[u8]);
}

/// One TLS connection: both directions.
#[derive(Debug)]
pub(crate) struct Connection {}

impl Connection {
    /// A connection of which nothing was seen yet, or (`late_join`) not its beginning.
    pub(crate) fn new(_late_join: bool) -> Self {
        Self {}
    }

    /// Takes the next bytes of a direction.
    pub(crate) fn push(
        &mut self,
        _direction: Direction,
        _chunk: Chunk<'_>,
        _cx: &mut Context<'_>,
        _out: &mut impl Plaintext,
    ) {
    }

    /// The next bytes of a direction will never come.
    pub(crate) fn gap(
        &mut self,
        _direction: Direction,
        _gap: Gap,
        _cx: &mut Context<'_>,
        _out: &mut impl Plaintext,
    ) {
    }

    /// A direction has ended; all its bytes were given.
    pub(crate) fn fin(
        &mut self,
        direction: Direction,
        at: Timestamp,
        cx: &mut Context<'_>,
        out: &mut impl Plaintext,
    ) {
        out.fin(direction, at, cx);
    }

    /// Lets time pass, and looks for keys that came meanwhile.
    pub(crate) fn expire(
        &mut self,
        _now: Timestamp,
        _cx: &mut Context<'_>,
        _out: &mut impl Plaintext,
    ) {
    }

    /// Nothing more will come: what waits for a key is given up.
    pub(crate) fn finish(&mut self, _cx: &mut Context<'_>, _out: &mut impl Plaintext) {}

    /// When [`Connection::expire`] has something to do, at the earliest.
    pub(crate) fn deadline(&self, _limits: &crate::Limits) -> Option<Timestamp> {
        None
    }

    /// Bytes of memory held.
    pub(crate) fn held_bytes(&self) -> usize {
        size_of::<Self>()
    }
}

/// Whether `bytes` begin as a TLS record does; `None` where they are too few to tell.
pub(crate) fn begins_record(bytes: &[u8]) -> Option<bool> {
    match bytes {
        [] => None,
        // RFC 8446 §5.1: handshake, legacy_record_version 3.x.
        [0x16] => None,
        [0x16, 0x03, ..] => Some(true),
        _ => Some(false),
    }
}

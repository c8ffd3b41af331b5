//! HTTP/2 on one connection (RFC 9113, RFC 7541): frames become [`crate::Exchange`]s.

use crate::context::Context;
use crate::flow::{Direction, FlowInfo};
use crate::reassembly::{Chunk, Gap};
use crate::{Exchange, Limits, Timestamp};

/// RFC 9113 §3.4: what a client sends first.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// One connection: both directions and their streams.
#[derive(Debug)]
pub(crate) struct Connection {}

impl Connection {
    /// A connection of which nothing was seen yet, or (`info.late_join`) not its beginning.
    pub(crate) fn new(_info: FlowInfo) -> Self {
        Self {}
    }

    /// A connection that began as HTTP/1.1 and was upgraded: `exchange` waits for its response on
    /// stream 1. Both directions go on at these offsets.
    pub(crate) fn upgraded(_info: FlowInfo, _exchange: Exchange) -> Self {
        Self {}
    }

    /// Takes the next bytes of a direction.
    pub(crate) fn push(&mut self, _direction: Direction, _chunk: Chunk<'_>, _cx: &mut Context<'_>) {
    }

    /// The next bytes of a direction will never come.
    pub(crate) fn gap(&mut self, _direction: Direction, _gap: Gap, _cx: &mut Context<'_>) {}

    /// A direction has ended; all its bytes were given.
    pub(crate) fn fin(&mut self, _direction: Direction, _at: Timestamp, _cx: &mut Context<'_>) {}

    /// A direction was reset by the side that sends in it: nothing more comes in either.
    pub(crate) fn reset(&mut self, _from: Direction, _at: Timestamp, _cx: &mut Context<'_>) {}

    /// Gives up what has waited too long by `now`.
    pub(crate) fn expire(&mut self, _now: Timestamp, _cx: &mut Context<'_>) {}

    /// When [`Connection::expire`] has something to do, at the earliest.
    pub(crate) fn deadline(&self, _limits: &Limits) -> Option<Timestamp> {
        None
    }

    /// The capture has ended, or nobody remembers the connection any longer.
    pub(crate) fn finish(&mut self, _cx: &mut Context<'_>) {}

    /// Bytes of memory held, bodies left out: they have a budget of their own.
    pub(crate) fn held_bytes(&self) -> usize {
        size_of::<Self>()
    }
}

/// Whether a client's first bytes are those of HTTP/2; `None` where they are too few to tell.
pub(crate) fn begins_with_preface(bytes: &[u8]) -> Option<bool> {
    if bytes.len() >= PREFACE.len() {
        Some(bytes.starts_with(PREFACE))
    } else if PREFACE.starts_with(bytes) {
        None
    } else {
        Some(false)
    }
}

/// Whether `bytes`, somewhere in a connection, are certainly frames of HTTP/2 sent in `direction`;
/// `None` where they may be and are too few to tell.
pub(crate) fn begins_frames(_direction: Direction, _bytes: &[u8]) -> Option<bool> {
    Some(false)
}

//! One direction: sequence numbers become offsets, early bytes are held.

use std::collections::BTreeMap;

use super::{Caps, Chunk, Extent, Gap, GapCause, Sink};
use crate::flow::Direction;
use crate::{Anomaly, Timestamp};

/// One direction of a connection.
///
/// Offsets count from the first byte: 64 bits, so they do not wrap as sequence numbers do.
/// Positions are offsets that may lie before it (a probe, or bytes from before a late join).
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// Sequence number of offset 0.
    begin: Option<u32>,
    /// All before it was given.
    next: u64,
    /// All before it was acknowledged by the peer.
    acked: u64,
    /// By offset; they do not overlap.
    held: BTreeMap<u64, Held>,
    held_cost: usize,
    end: Option<End>,
    ended: bool,
}

/// Bytes that came early.
#[derive(Debug)]
struct Held {
    bytes: Box<[u8]>,
    cut: u64,
    at: Timestamp,
    peer_offset: u64,
}

/// The FIN.
#[derive(Clone, Copy, Debug)]
struct End {
    offset: u64,
    at: Timestamp,
    peer_offset: u64,
}

/// Payload of a segment, or a part of it: `bytes`, then `cut` bytes that the snap length cut off.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece<'a> {
    /// Position of the first byte.
    pub(super) start: i64,
    pub(super) bytes: &'a [u8],
    pub(super) cut: u64,
    pub(super) at: Timestamp,
    pub(super) peer_offset: u64,
}

/// Missing bytes before something that came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hole {
    /// Offset of what came.
    pub(super) end: u64,
    /// When it came.
    pub(super) since: Timestamp,
}

/// How far a segment may lie from what is known of its direction. Ours: Linux' largest default
/// receive buffer is 6 MiB (tcp_rmem); ten times that leaves room for tuned hosts.
const WINDOW: i64 = 64 << 20;

/// How far an acknowledgement may lie ahead of what was seen. RFC 7323 §2.3: no window is larger.
const ACK_WINDOW: i64 = 1 << 30;

/// What a held piece costs besides its bytes.
const HELD_OVERHEAD: usize = 128;

impl Stream {
    /// Learns where the stream begins, unless that is known.
    pub(super) fn begin_at(&mut self, first_byte: u32) {
        self.begin.get_or_insert(first_byte);
    }

    /// Whether it is known where the stream begins.
    pub(super) fn has_begun(&self) -> bool {
        self.begin.is_some()
    }

    /// Whether it began at another sequence number than `first_byte`.
    pub(super) fn began_elsewhere(&self, first_byte: u32) -> bool {
        self.begin.is_some_and(|begin| begin != first_byte)
    }

    /// Whether `ack` can acknowledge a SYN of this stream: nothing else, or data sent with the
    /// SYN (RFC 7413), which is at most a segment.
    pub(super) fn is_near_begin(&self, ack: u32) -> bool {
        self.begin.is_none_or(|begin| ack.wrapping_sub(begin) <= 0xffff)
    }

    /// Offset up to which all was given.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// The same as a position.
    pub(super) fn next_position(&self) -> i64 {
        self.next as i64
    }

    /// Offset up to which the peer has acknowledged bytes; the FIN is none.
    pub(super) fn acked(&self) -> u64 {
        self.without_fin(self.acked)
    }

    /// Whether all bytes before `offset` were given.
    pub(super) fn is_given_to(&self, offset: u64) -> bool {
        self.without_fin(offset) <= self.next
    }

    /// RFC 9293 §3.4: the FIN takes a sequence number, and acknowledgements count it.
    fn without_fin(&self, offset: u64) -> u64 {
        self.end.map_or(offset, |end| offset.min(end.offset))
    }

    /// The position of a sequence number; `None` where it lies outside any window.
    pub(super) fn position_of(&self, seq: u32) -> Option<i64> {
        let ahead = self.ahead(seq);
        let position = self.next_position() + ahead;
        let known = self.next_position().max(self.acked as i64);
        (ahead >= -WINDOW && position <= known + WINDOW).then_some(position)
    }

    /// Learns of an acknowledgement and returns its offset; `None` where it lies outside any
    /// window.
    pub(super) fn acknowledge(&mut self, ack: u32) -> Option<u64> {
        let ahead = self.ahead(ack);
        if !(-ACK_WINDOW..=ACK_WINDOW).contains(&ahead) {
            return None;
        }
        let offset = self.offset(self.next_position() + ahead);
        self.acked = self.acked.max(offset);
        Some(self.without_fin(offset))
    }

    /// How far `seq` is ahead of the next byte: the nearest of the places it can mean.
    fn ahead(&self, seq: u32) -> i64 {
        let begin = self.begin.unwrap_or(seq);
        let next = begin.wrapping_add(self.next as u32);
        i64::from(seq.wrapping_sub(next) as i32)
    }

    /// A position as an offset; before the beginning it is the beginning.
    pub(super) fn offset(&self, position: i64) -> u64 {
        u64::try_from(position).unwrap_or(0)
    }

    /// What of `piece` is new: not given, not past the FIN, not all held. What is not new is
    /// counted.
    pub(super) fn news<'a>(&self, piece: Piece<'a>, sink: &mut impl Sink) -> Option<Piece<'a>> {
        let mut piece = piece;
        if let Some(end) = self.end
            && piece.end() > end.offset as i64
        {
            sink.note(Anomaly::SequenceOutOfWindow);
            piece = piece.before(end.offset as i64)?;
        }
        if piece.start < self.next_position() {
            sink.retransmission();
            return piece.from(self.next_position());
        }
        if self.held.is_empty() {
            return Some(piece);
        }
        let mut covered = 0;
        let mut differs = false;
        for (offset, held) in self.overlapping(&piece) {
            let both = piece
                .from(offset as i64)
                .and_then(|piece| piece.before(held.end(offset) as i64))
                .map(|part| (part, part.start as u64 - offset));
            if let Some((part, skip)) = both {
                covered += part.len();
                let seen = held.bytes.get(skip as usize..).unwrap_or_default();
                differs |= part.bytes.iter().zip(seen).any(|(new, old)| new != old);
            }
        }
        if differs {
            sink.note(Anomaly::OverlapDiffers);
        }
        if covered > 0 {
            sink.retransmission();
        }
        (covered < piece.len()).then_some(piece)
    }

    /// Gives a piece that begins at or before the next byte, and what is held in its way. Where
    /// both have a byte, the one held came first. `peer_next`: what the other direction was given.
    pub(super) fn give_around_held(
        &mut self,
        piece: Piece<'_>,
        peer_next: u64,
        direction: Direction,
        caps: &mut Caps<'_>,
        sink: &mut impl Sink,
    ) {
        let mut rest = piece.from(self.next_position());
        while let Some(piece) = rest {
            let until = match self.held.first_key_value() {
                Some((&offset, _)) => piece.before(offset as i64),
                None => Some(piece),
            };
            match until {
                Some(piece) => self.give(piece, peer_next, direction, sink),
                None => self.give_ready(peer_next, direction, caps, sink),
            }
            rest = piece.from(self.next_position());
        }
    }

    /// Whether `piece` can be held within the caps.
    pub(super) fn has_room_for(&self, piece: &Piece<'_>, caps: &Caps<'_>) -> bool {
        // What is held already cuts it into one part more at most.
        let parts = 1 + self.overlapping(piece).count();
        let cost = piece.bytes.len() + parts * HELD_OVERHEAD;
        self.held_cost + cost <= caps.limits.reorder_bytes_per_flow
            && *caps.held + cost <= caps.limits.reorder_bytes
    }

    /// Keeps a piece until what precedes it has come: the parts of it that are not held already.
    pub(super) fn hold(&mut self, piece: Piece<'_>, caps: &mut Caps<'_>) {
        let taken: Vec<(u64, u64)> =
            self.overlapping(&piece).map(|(offset, held)| (offset, held.end(offset))).collect();
        let mut rest = Some(piece);
        for (from, to) in taken {
            let Some(piece) = rest else { break };
            if let Some(free) = piece.before(from as i64) {
                self.insert(free, caps);
            }
            rest = piece.from(to as i64);
        }
        if let Some(free) = rest {
            self.insert(free, caps);
        }
    }

    fn insert(&mut self, piece: Piece<'_>, caps: &mut Caps<'_>) {
        let Piece { start, bytes, cut, at, peer_offset } = piece;
        let held = Held { bytes: bytes.into(), cut, at, peer_offset };
        *caps.held += held.cost();
        self.held_cost += held.cost();
        self.held.insert(start as u64, held);
    }

    /// Held pieces that share bytes with `piece`, in order.
    fn overlapping(&self, piece: &Piece<'_>) -> impl Iterator<Item = (u64, &Held)> {
        let (start, end) = (self.offset(piece.start), self.offset(piece.end()));
        let before = self.held.range(..start).next_back();
        before
            .into_iter()
            .filter(move |&(&offset, held)| held.end(offset) > start)
            .chain(self.held.range(start..end))
            .map(|(&offset, held)| (offset, held))
    }

    /// If the next thing to give is here (bytes or the FIN): what it acknowledged.
    pub(super) fn ready(&self) -> Option<u64> {
        match self.held.first_key_value() {
            Some((&offset, held)) => (offset == self.next).then_some(held.peer_offset),
            None => self
                .end
                .filter(|end| !self.ended && end.offset == self.next)
                .map(|end| end.peer_offset),
        }
    }

    /// Gives what [`Stream::ready`] speaks of.
    pub(super) fn give_ready(
        &mut self,
        peer_next: u64,
        direction: Direction,
        caps: &mut Caps<'_>,
        sink: &mut impl Sink,
    ) {
        if let Some(first) = self.held.first_entry() {
            if *first.key() == self.next {
                let held = first.remove();
                *caps.held -= held.cost();
                self.held_cost -= held.cost();
                let piece = Piece {
                    start: self.next_position(),
                    bytes: &held.bytes,
                    cut: held.cut,
                    at: held.at,
                    peer_offset: held.peer_offset,
                };
                self.give(piece, peer_next, direction, sink);
            }
        } else if let Some(end) = self.end
            && end.offset == self.next
        {
            self.ended = true;
            sink.fin(direction, end.at);
        }
    }

    fn give(
        &mut self,
        piece: Piece<'_>,
        peer_next: u64,
        direction: Direction,
        sink: &mut impl Sink,
    ) {
        let Piece { bytes, cut, at, .. } = piece;
        // An acknowledgement counts the FIN too, which may have been unknown when it came.
        let peer_offset = piece.peer_offset.min(peer_next);
        if !bytes.is_empty() {
            let chunk = Chunk { offset: self.next, bytes, at, peer_offset };
            self.next += bytes.len() as u64;
            sink.chunk(direction, chunk);
        }
        if cut > 0 {
            let gap = Gap {
                offset: self.next,
                len: cut,
                at,
                cause: GapCause::SnapLen,
                extent: Extent::Exact,
            };
            self.next += cut;
            sink.gap(direction, gap);
        }
    }

    /// Declares the bytes from the next one up to `to`, or to what is held before it, a Gap.
    pub(super) fn skip(
        &mut self,
        to: u64,
        now: Timestamp,
        direction: Direction,
        sink: &mut impl Sink,
    ) {
        let to = self.without_fin(to);
        let to = self.held.first_key_value().map_or(to, |(&offset, _)| to.min(offset));
        if to > self.next {
            let len = to - self.next;
            let gap = Gap {
                offset: self.next,
                len,
                at: now,
                cause: GapCause::Missing,
                extent: Extent::Exact,
            };
            self.next = to;
            sink.gap(direction, gap);
        }
    }

    /// Learns of the FIN. The first one that can be meant counts.
    pub(super) fn end_at(&mut self, end: i64, at: Timestamp, peer_offset: u64) {
        if self.end.is_none() && end >= self.next_position().max(self.held_to() as i64) {
            self.end = Some(End { offset: end as u64, at, peer_offset });
        }
    }

    /// Whether the FIN was given.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether nothing waits in this direction.
    pub(super) fn is_at_rest(&self) -> bool {
        self.held.is_empty() && self.acked() <= self.next && (self.end.is_none() || self.ended)
    }

    /// The missing bytes at the next offset, if something after them came.
    pub(super) fn hole(&self) -> Option<Hole> {
        let hole = match self.held.first_key_value() {
            Some((&end, held)) => Hole { end, since: held.at },
            None => self.end.map(|end| Hole { end: end.offset, since: end.at })?,
        };
        (hole.end > self.next).then_some(hole)
    }

    /// Up to where anything is known of this direction.
    pub(super) fn seen_to(&self) -> u64 {
        self.acked().max(self.held_to()).max(self.end.map_or(0, |end| end.offset))
    }

    fn held_to(&self) -> u64 {
        self.held.last_key_value().map_or(0, |(&offset, held)| held.end(offset))
    }

    /// Drops what is held.
    pub(super) fn release(&mut self, caps: &mut Caps<'_>) {
        *caps.held -= std::mem::take(&mut self.held_cost);
        self.held = BTreeMap::new();
    }
}

impl Held {
    fn end(&self, offset: u64) -> u64 {
        offset + self.bytes.len() as u64 + self.cut
    }

    fn cost(&self) -> usize {
        self.bytes.len() + HELD_OVERHEAD
    }
}

impl Piece<'_> {
    /// Bytes it had on the wire.
    pub(super) fn len(&self) -> u64 {
        self.bytes.len() as u64 + self.cut
    }

    /// Position after its last byte.
    pub(super) fn end(&self) -> i64 {
        self.start + self.len() as i64
    }

    /// The part before `position`.
    fn before(self, position: i64) -> Option<Self> {
        let len =
            u64::try_from(position.min(self.end()) - self.start).ok().filter(|&len| len > 0)?;
        let seen = self.bytes.len().min(usize::try_from(len).unwrap_or(usize::MAX));
        Some(Self { bytes: &self.bytes[..seen], cut: len - seen as u64, ..self })
    }

    /// The part from `position` on.
    fn from(self, position: i64) -> Option<Self> {
        let len =
            u64::try_from(self.end() - position.max(self.start)).ok().filter(|&len| len > 0)?;
        let skip = self.len() - len;
        let seen =
            usize::try_from(skip).map_or(self.bytes.len(), |skip| skip.min(self.bytes.len()));
        Some(Self {
            start: self.start + skip as i64,
            bytes: &self.bytes[seen..],
            cut: self.cut - (skip - seen as u64),
            ..self
        })
    }
}

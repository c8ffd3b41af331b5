//! TCP byte streams: segments in any order become in-order bytes and declared Gaps.
//!
//! Owns both directions of one connection ([`Conversation`]): sequence numbers, retransmissions,
//! overlap, bytes that came early, the end of each direction. What comes out goes to a [`Sink`].
//!
//! The straight path copies nothing: a segment that comes in order is handed on as the packet's
//! own slice. Only what comes early is held.
//!
//! Invariants, per direction:
//! - Offsets given to the sink never go back and never skip: chunks and gaps lie end to end.
//! - A byte is given once. Where segments overlap, the first to come wins.
//! - A chunk is given only after the other direction was given (as bytes or as a Gap) up to what
//!   the chunk's packet acknowledged: no response comes before the request that it answers.
//! - A hole is a Gap when the peer acknowledged its bytes and a grace has passed, in time and in
//!   packets (they may only be late in the capture), or after `Limits::reorder_timeout`, or at a
//!   cap. Nothing waits for longer.

mod stream;

use self::stream::{Piece, Stream};
use crate::flow::Direction;
use crate::link::Segment;
use crate::{Anomaly, Limits, Timestamp};

/// In-order bytes of one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chunk<'a> {
    /// Offset of `bytes[0]` in the direction's stream.
    pub(crate) offset: u64,
    /// What was sent; never empty.
    pub(crate) bytes: &'a [u8],
    /// The time of the packet that carried them.
    pub(crate) at: Timestamp,
    /// Offset in the other direction that the packet acknowledged; never beyond what was given.
    pub(crate) peer_offset: u64,
}

impl<'a> Chunk<'a> {
    /// What of it lies after its first `used` bytes, if anything does.
    pub(crate) fn after(self, used: usize) -> Option<Chunk<'a>> {
        let bytes = self.bytes.get(used..).filter(|rest| !rest.is_empty())?;
        Some(Chunk { offset: self.offset + used as u64, bytes, ..self })
    }
}

/// Why bytes of a direction will never come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GapCause {
    /// They passed, but not the tap.
    Missing,
    /// The snap length cut them off their packet.
    SnapLen,
}

/// Bytes of one direction that will never come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gap {
    /// Offset of the first of them in the direction's stream.
    pub(crate) offset: u64,
    /// How many; never 0.
    pub(crate) len: u64,
    /// When it was known.
    pub(crate) at: Timestamp,
    /// Why.
    pub(crate) cause: GapCause,
    /// Whether `len` is known.
    pub(crate) extent: Extent,
}

/// How well the length of a [`Gap`] is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// To the byte: what follows it can be counted off.
    Exact,
    /// An estimate, from what was encrypted: what follows it has no known place in its message.
    Estimated,
}

/// Where a conversation's bytes and news go.
pub(crate) trait Sink {
    /// The next bytes of a direction.
    fn chunk(&mut self, direction: Direction, chunk: Chunk<'_>);
    /// The next bytes of a direction will never come.
    fn gap(&mut self, direction: Direction, gap: Gap);
    /// A direction has ended; all of it was given.
    fn fin(&mut self, direction: Direction, at: Timestamp);
    /// The sender of `from` broke the connection off.
    fn reset(&mut self, from: Direction, at: Timestamp);
    /// A segment's payload had been seen already, wholly or in part.
    fn retransmission(&mut self);
    /// A segment came before one that precedes it.
    fn out_of_order(&mut self);
    /// Something was odd, or a cap was reached.
    fn note(&mut self, anomaly: Anomaly);
}

/// What a conversation may hold, and what all of them together hold.
pub(crate) struct Caps<'a> {
    /// The configured caps and waits.
    pub(crate) limits: &'a Limits,
    /// Cost of out-of-order bytes held over all flows.
    pub(crate) held: &'a mut usize,
}

/// What became of a conversation with a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Course {
    /// It goes on.
    Open,
    /// Both directions have ended, or a reset ended it.
    Closed,
    /// The segment is of another connection between the same addresses.
    Superseded,
}

/// Both directions of one connection.
#[derive(Debug, Default)]
pub(crate) struct Conversation {
    streams: [Stream; 2],
    proofs: [Option<Proof>; 2],
    packets: u64,
    /// Segments in a row that lie outside any window.
    strays: u8,
    /// Whose RST ended it, and with which sequence number.
    reset: Option<(Direction, u32)>,
}

/// The peer has acknowledged bytes that the tap has not seen.
#[derive(Clone, Copy, Debug)]
struct Proof {
    /// Where the hole begins.
    next: u64,
    /// How far the peer had acknowledged when this was first seen.
    to: u64,
    at: Timestamp,
    packet: u64,
}

impl Proof {
    /// When the bytes are given up, if no more packets of the flow pass than `packets`.
    fn due_at(&self, packets: u64, limits: &Limits) -> Timestamp {
        let passed = packets - self.packet >= u64::from(limits.gap_grace_packets);
        self.at + if passed { limits.gap_grace } else { limits.reorder_timeout }
    }
}

/// Segments in a row outside any window after which they are taken for another connection whose
/// SYN was not seen. One or two come of damage or of an old duplicate.
const STRAYS: u8 = 8;

impl Conversation {
    /// Takes a segment that travels in `direction`.
    ///
    /// After [`Course::Superseded`] the segment was not taken: it opens a conversation anew.
    pub(crate) fn push(
        &mut self,
        direction: Direction,
        segment: &Segment<'_>,
        caps: &mut Caps<'_>,
        sink: &mut impl Sink,
    ) -> Course {
        if segment.syn && self.is_superseded_by(direction, segment) {
            return Course::Superseded;
        }
        self.packets += 1;
        let [mine, other] = self.both(direction);
        // RFC 9293 §3.4: the SYN takes the sequence number before the first byte.
        let first_byte = segment.seq.wrapping_add(u32::from(segment.syn));
        if segment.rst {
            return self.reset(direction, segment, caps, sink);
        }
        mine.begin_at(first_byte);
        let peer_offset = match segment.ack {
            Some(ack) => {
                other.begin_at(ack);
                other.acknowledge(ack)
            }
            None => Some(other.next()),
        };
        let (Some(start), Some(peer_offset)) = (mine.position_of(first_byte), peer_offset) else {
            return self.stray(sink);
        };
        self.strays = 0;

        let piece = Piece {
            start,
            bytes: segment.payload,
            cut: u64::from(segment.cut),
            at: segment.at,
            peer_offset,
        };
        let end = piece.end();
        if piece.len() > 0 {
            self.accept(direction, piece, caps, sink);
        }
        if segment.fin {
            self.streams[direction as usize].end_at(end, segment.at, peer_offset);
        }
        self.settle(segment.at, caps, sink)
    }

    /// Lets time pass: holes that have waited too long by `now` become Gaps.
    pub(crate) fn expire(
        &mut self,
        now: Timestamp,
        caps: &mut Caps<'_>,
        sink: &mut impl Sink,
    ) -> Course {
        self.settle(now, caps, sink)
    }

    /// When [`Conversation::expire`] has something to do, at the earliest.
    pub(crate) fn deadline(&self, limits: &Limits) -> Option<Timestamp> {
        let proven = self.proofs.iter().flatten().map(|proof| proof.due_at(self.packets, limits));
        let waiting = self.streams.iter().filter_map(Stream::hole).map(|hole| hole.since);
        proven.chain(waiting.map(|since| since + limits.reorder_timeout)).min()
    }

    /// The capture has ended, or the flow must go: what is held is given, with Gaps before it.
    pub(crate) fn finish(&mut self, now: Timestamp, caps: &mut Caps<'_>, sink: &mut impl Sink) {
        for direction in Direction::BOTH {
            let end = self.streams[direction as usize].seen_to();
            self.advance(direction, end, now, caps, sink);
        }
        self.pump(caps, sink);
    }

    /// Whether a SYN belongs to another connection than the one seen so far.
    pub(crate) fn is_superseded_by(&self, direction: Direction, segment: &Segment<'_>) -> bool {
        let mine = &self.streams[direction as usize];
        let other = &self.streams[direction.reverse() as usize];
        mine.began_elsewhere(segment.seq.wrapping_add(1))
            || segment.ack.is_some_and(|ack| !other.is_near_begin(ack))
    }

    /// Whether a segment after a RST shows that the RST was none: a forged one, or one that its
    /// receiver refused (RFC 5961 §3.2, RFC 2385 §2.0). Either nothing had been said and the
    /// handshake goes on, or who is said to have broken off speaks on, right where the RST stood.
    pub(crate) fn outlives_reset(&self, direction: Direction, segment: &Segment<'_>) -> bool {
        let Some((by, seq)) = self.reset else { return false };
        if segment.syn {
            return self.streams.iter().all(|stream| stream.next() == 0);
        }
        direction == by && segment.seq == seq && !segment.rst && !segment.payload.is_empty()
    }

    fn both(&mut self, direction: Direction) -> [&mut Stream; 2] {
        let [to_server, to_client] = &mut self.streams;
        match direction {
            Direction::ToServer => [to_server, to_client],
            Direction::ToClient => [to_client, to_server],
        }
    }

    /// A segment outside any window the peers can have agreed on.
    fn stray(&mut self, sink: &mut impl Sink) -> Course {
        sink.note(Anomaly::SequenceOutOfWindow);
        self.strays += 1;
        if self.strays < STRAYS { Course::Open } else { Course::Superseded }
    }

    /// Takes payload: in order it is given at once, early it is held, old it is dropped.
    fn accept(
        &mut self,
        direction: Direction,
        piece: Piece<'_>,
        caps: &mut Caps<'_>,
        sink: &mut impl Sink,
    ) {
        let [mine, other] = self.both(direction);
        // RFC 9293 §3.8.4: a keep-alive probe repeats the octet before the next one expected.
        if piece.len() == 1 && piece.end() == mine.next_position() {
            return;
        }
        let Some(piece) = mine.news(piece, sink) else {
            return;
        };
        if piece.start == mine.next_position() && other.is_given_to(piece.peer_offset) {
            mine.give_around_held(piece, other.next(), direction, caps, sink);
            return;
        }
        if piece.start > mine.next_position() {
            sink.out_of_order();
        }
        if mine.has_room_for(&piece, caps) {
            mine.hold(piece, caps);
            return;
        }
        sink.note(Anomaly::ReorderCapReached);
        let (start, at, peer_offset) = (mine.offset(piece.start), piece.at, piece.peer_offset);
        self.advance(direction, start, at, caps, sink);
        self.force(direction.reverse(), peer_offset, at, caps, sink);
        let [mine, other] = self.both(direction);
        mine.give_around_held(piece, other.next(), direction, caps, sink);
    }

    /// RST: what the peer is known to have is given, then nothing more comes.
    fn reset(
        &mut self,
        direction: Direction,
        segment: &Segment<'_>,
        caps: &mut Caps<'_>,
        sink: &mut impl Sink,
    ) -> Course {
        let [mine, other] = self.both(direction);
        let known = mine.has_begun();
        let mine_fits = known && mine.position_of(segment.seq).is_some();
        let other_fits = segment.ack.is_some_and(|ack| other.acknowledge(ack).is_some());
        // RFC 9293 §3.5.2: before it has sent anything, a host resets with sequence number 0 and
        // is known by what it acknowledges.
        if !(mine_fits || !known && other_fits) {
            return self.stray(sink);
        }
        for direction in Direction::BOTH {
            let acked = self.streams[direction as usize].acked();
            self.advance(direction, acked, segment.at, caps, sink);
        }
        self.pump(caps, sink);
        for stream in &mut self.streams {
            stream.release(caps);
        }
        self.proofs = [None; 2];
        self.reset = Some((direction, segment.seq));
        sink.reset(direction, segment.at);
        Course::Closed
    }

    /// Gives what has become ready and declares what has waited too long.
    fn settle(&mut self, now: Timestamp, caps: &mut Caps<'_>, sink: &mut impl Sink) -> Course {
        if self.streams.iter().all(Stream::is_at_rest) {
            self.proofs = [None; 2];
        } else {
            self.pump(caps, sink);
            while let Some((direction, to)) = self.first_due(now, caps.limits) {
                self.advance(direction, to, now, caps, sink);
                self.pump(caps, sink);
            }
        }
        if self.streams.iter().all(Stream::has_ended) { Course::Closed } else { Course::Open }
    }

    fn first_due(&mut self, now: Timestamp, limits: &Limits) -> Option<(Direction, u64)> {
        Direction::BOTH.into_iter().find_map(|d| self.due(d, now, limits).map(|to| (d, to)))
    }

    /// Up to where `direction` has waited long enough at `now`.
    fn due(&mut self, direction: Direction, now: Timestamp, limits: &Limits) -> Option<u64> {
        let stream = &self.streams[direction as usize];
        let proof = &mut self.proofs[direction as usize];
        if stream.acked() <= stream.next() {
            *proof = None;
        } else if proof.is_none_or(|proof| proof.next != stream.next()) {
            *proof = Some(Proof {
                next: stream.next(),
                to: stream.acked(),
                at: now,
                packet: self.packets,
            });
        }
        let packets = self.packets;
        let proven =
            proof.filter(|proof| now >= proof.due_at(packets, limits)).map(|proof| proof.to);
        proven.or_else(|| {
            stream
                .hole()
                .filter(|hole| now.since(hole.since) >= limits.reorder_timeout)
                .map(|hole| hole.end)
        })
    }

    /// Gives all that is in order in both directions, each as far as the other lets it.
    fn pump(&mut self, caps: &mut Caps<'_>, sink: &mut impl Sink) {
        loop {
            let mut moved = false;
            for direction in Direction::BOTH {
                let [mine, other] = self.both(direction);
                while mine.ready().is_some_and(|peer_offset| other.is_given_to(peer_offset)) {
                    mine.give_ready(other.next(), direction, caps, sink);
                    moved = true;
                }
            }
            if !moved {
                return;
            }
        }
    }

    /// Brings `direction` to `to`: what is held is given, what is not is a Gap. The other
    /// direction is brought to what the bytes given acknowledged.
    fn advance(
        &mut self,
        direction: Direction,
        to: u64,
        now: Timestamp,
        caps: &mut Caps<'_>,
        sink: &mut impl Sink,
    ) {
        loop {
            let [mine, other] = self.both(direction);
            if mine.is_given_to(to) {
                return;
            }
            match mine.ready() {
                Some(peer_offset) if !other.is_given_to(peer_offset) => {
                    self.force(direction.reverse(), peer_offset, now, caps, sink);
                }
                Some(_) => mine.give_ready(other.next(), direction, caps, sink),
                None => mine.skip(to, now, direction, sink),
            }
        }
    }

    /// Brings `direction` to `to` whatever its bytes acknowledged: each of two directions may wait
    /// for the other only where the capture is damaged.
    fn force(
        &mut self,
        direction: Direction,
        to: u64,
        now: Timestamp,
        caps: &mut Caps<'_>,
        sink: &mut impl Sink,
    ) {
        let [mine, other] = self.both(direction);
        while !mine.is_given_to(to) {
            match mine.ready() {
                Some(_) => mine.give_ready(other.next(), direction, caps, sink),
                None => mine.skip(to, now, direction, sink),
            }
        }
    }
}

#[cfg(test)]
mod tests;

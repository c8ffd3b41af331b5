//! Segments of one connection, in any order, with any flags.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::Input;
use crate::flow::Direction;
use crate::link::Segment;
use crate::reassembly::{Caps, Chunk, Conversation, Course, Gap, Sink};
use crate::{Anomaly, Limits, Timestamp};

const TO_CLIENT: u8 = 1;
const SYN: u8 = 2;
const FIN: u8 = 4;
const RST: u8 = 8;
const NO_ACK: u8 = 16;
const EXPIRE: u8 = 32;
/// The payload is not what the sender sent at this place before.
const OTHER_BYTES: u8 = 64;
const CUT: u8 = 128;

/// A script of segments: `flags u8, start i16, ack i16, len u16, wait u8`, after the two initial
/// sequence numbers' upper halves as `u16`. `start` and `ack` count from the end of what that side
/// has sent; `wait` is in milliseconds. Payload is made from its sequence numbers.
pub fn reassembly(data: &[u8]) {
    let mut input = Input(data);
    let limits = Limits {
        reorder_bytes_per_flow: 4_096,
        reorder_bytes: 6_000,
        reorder_timeout: Duration::from_millis(200),
        ..Limits::default()
    };
    let base = [u32::from(input.u16()) << 16, u32::from(input.u16()) << 16];
    let mut run = Run::new(&limits, base);
    while !input.is_empty() {
        run.step(&mut input);
    }
    run.finish();
    let (events, steps) = (run.events, run.steps);
    assert!(events <= 8 * steps + 16, "{events} events out of {steps} segments");
}

/// What the sender sends at `seq`.
fn content(seq: u32) -> u8 {
    (seq ^ seq >> 8 ^ seq >> 16) as u8
}

struct Run<'a> {
    limits: &'a Limits,
    conversation: Conversation,
    held: usize,
    given: Given,
    /// Sequence number after what each side has sent.
    sent: [u32; 2],
    now: Timestamp,
    steps: usize,
    events: usize,
}

/// What one conversation gave.
#[derive(Default)]
struct Given {
    /// Sequence numbers of the offsets 0.
    begin: [Option<u32>; 2],
    to: [u64; 2],
    ended: [bool; 2],
    /// Overlaps with other bytes have come: what wins is for the unit tests to say.
    conflicts: bool,
    events: usize,
}

impl<'a> Run<'a> {
    fn new(limits: &'a Limits, sent: [u32; 2]) -> Self {
        Self {
            limits,
            conversation: Conversation::default(),
            held: 0,
            given: Given::default(),
            sent,
            now: Timestamp::from_nanos(1_000_000_000),
            steps: 0,
            events: 0,
        }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        self.steps += 1;
        let flags = input.byte();
        let direction =
            if flags & TO_CLIENT != 0 { Direction::ToClient } else { Direction::ToServer };
        let (mine, other) = (direction as usize, direction.reverse() as usize);
        let seq = self.sent[mine].wrapping_add_signed(input.i16().into());
        let ack = self.sent[other].wrapping_add_signed(input.i16().into());
        let len = u32::from(input.u16() & 0x0fff);
        self.now = self.now + Duration::from_millis(input.byte().into());
        if flags & EXPIRE != 0 {
            self.expire();
            return;
        }
        let first = seq.wrapping_add(u32::from(flags & SYN != 0));
        let lie = if flags & OTHER_BYTES != 0 { 0xff } else { 0 };
        let payload: Vec<u8> = (0..len).map(|i| content(first.wrapping_add(i)) ^ lie).collect();
        let kept = if flags & CUT != 0 { payload.len() / 2 } else { payload.len() };
        if (first.wrapping_add(len).wrapping_sub(self.sent[mine])).cast_signed() > 0 {
            self.sent[mine] = first.wrapping_add(len);
        }
        let segment = Segment {
            at: self.now,
            source: SocketAddr::from((Ipv4Addr::LOCALHOST, 1 + mine as u16)),
            destination: SocketAddr::from((Ipv4Addr::LOCALHOST, 1 + other as u16)),
            seq,
            ack: (flags & NO_ACK == 0).then_some(ack),
            syn: flags & SYN != 0,
            fin: flags & FIN != 0,
            rst: flags & RST != 0,
            payload: &payload[..kept],
            cut: (payload.len() - kept) as u32,
        };
        self.given.conflicts |= lie != 0;
        if self.push(direction, &segment) == Course::Superseded {
            self.restart();
            self.given.conflicts = lie != 0;
            // What opens a conversation is never superseded by itself.
            assert_ne!(self.push(direction, &segment), Course::Superseded);
        }
    }

    fn push(&mut self, direction: Direction, segment: &Segment<'_>) -> Course {
        if !segment.rst {
            let first = segment.seq.wrapping_add(u32::from(segment.syn));
            let superseded = segment.syn && self.conversation.is_superseded_by(direction, segment);
            if !superseded {
                self.given.begin[direction as usize].get_or_insert(first);
                if let Some(ack) = segment.ack {
                    self.given.begin[direction.reverse() as usize].get_or_insert(ack);
                }
            }
        }
        let mut caps = Caps { limits: self.limits, held: &mut self.held };
        let course = self.conversation.push(direction, segment, &mut caps, &mut self.given);
        assert!(self.held <= self.limits.reorder_bytes, "{} bytes wait", self.held);
        if course == Course::Closed {
            self.restart();
        }
        course
    }

    fn expire(&mut self) {
        let mut caps = Caps { limits: self.limits, held: &mut self.held };
        let course = self.conversation.expire(self.now, &mut caps, &mut self.given);
        if course == Course::Closed {
            return self.restart();
        }
        let deadline = self.conversation.deadline(self.limits);
        assert!(
            deadline.is_none_or(|deadline| deadline > self.now),
            "what is due was seen to: {deadline:?} at {:?}",
            self.now
        );
    }

    fn restart(&mut self) {
        self.finish();
        self.conversation = Conversation::default();
        self.given = Given::default();
    }

    fn finish(&mut self) {
        let mut caps = Caps { limits: self.limits, held: &mut self.held };
        self.conversation.finish(self.now, &mut caps, &mut self.given);
        assert_eq!(self.held, 0, "what was held is given");
        self.events += std::mem::take(&mut self.given.events);
    }
}

impl Given {
    fn goes_on(&mut self, direction: Direction, offset: u64, len: u64) {
        assert!(len > 0);
        assert_eq!(offset, self.to[direction as usize], "chunks and gaps lie end to end");
        assert!(!self.ended[direction as usize], "nothing comes after the end");
        self.to[direction as usize] += len;
        self.events += 1;
    }
}

impl Sink for Given {
    fn chunk(&mut self, direction: Direction, chunk: Chunk<'_>) {
        let Chunk { offset, bytes, peer_offset, .. } = chunk;
        assert!(
            peer_offset <= self.to[direction.reverse() as usize],
            "what was acknowledged is given before"
        );
        self.goes_on(direction, offset, bytes.len() as u64);
        if self.conflicts {
            return;
        }
        let begin = self.begin[direction as usize].expect("a chunk has a sequence number");
        let first = begin.wrapping_add(offset as u32);
        for (i, &byte) in (0..).zip(bytes) {
            assert_eq!(byte, content(first.wrapping_add(i)), "a byte is given in its place");
        }
    }

    fn gap(&mut self, direction: Direction, gap: Gap) {
        self.goes_on(direction, gap.offset, gap.len);
    }

    fn fin(&mut self, direction: Direction, _at: Timestamp) {
        assert!(!self.ended[direction as usize], "a direction ends once");
        self.ended[direction as usize] = true;
    }

    fn reset(&mut self, _from: Direction, _at: Timestamp) {}

    fn retransmission(&mut self) {}

    fn out_of_order(&mut self) {}

    fn note(&mut self, _anomaly: Anomaly) {}
}

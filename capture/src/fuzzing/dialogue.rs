//! What two sides say to each other on one connection: in-order bytes, gaps, ends, time.
//!
//! A script is played twice: as it is written, and with every chunk cut into small pieces. What
//! leaves must be the same.

use std::collections::VecDeque;
use std::time::Duration;

use super::Input;
use crate::context::Context;
use crate::flow::{Direction, FlowInfo};
use crate::keylog::KeyLog;
use crate::message::FieldSpans;
use crate::reassembly::{Chunk, Extent, Gap, GapCause};
use crate::session::Session;
use crate::{Anomalies, Anomaly, Evidence, Exchange, Limits, Timestamp, http1, http2};

/// A script for HTTP/1: see [`Script`].
pub fn http1(data: &[u8]) {
    let script = Script::read(&mut Input(data));
    script.play_both(http1::Connection::new, &[], Place::LostAsNoted);
}

/// A script for HTTP/2: see [`Script`].
pub fn http2(data: &[u8]) {
    let script = Script::read(&mut Input(data));
    script.play_both(http2::Connection::new, &[], Place::LostAsNoted);
}

/// `len u16` and a key log of that many bytes, then a script for a connection that may begin with
/// TLS: see [`Script`].
pub fn tls(data: &[u8]) {
    let mut input = Input(data);
    let len = usize::from(input.u16());
    let keys = input.bytes(len);
    let script = Script::read(&mut input);
    let place = if script.is_records() { Place::LostInTime } else { Place::Lost };
    script.play_both(Session::new, keys, place);
}

/// Whether a parser that met what it cannot follow looks for the next message where packets begin:
/// then what it finds may depend on how the bytes were cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It always knows where it is.
    Kept,
    /// It says that it is lost, however the bytes were cut.
    LostAsNoted,
    /// It says so when it comes across it, which may be later in larger pieces.
    LostInTime,
    /// What is said makes no sense to it.
    Lost,
}

fn is_lost(anomalies: &Anomalies) -> bool {
    anomalies.iter().any(|(anomaly, _)| !TOLERATED.contains(&anomaly))
}

/// Oddities after which every parser knows where it is.
const TOLERATED: [Anomaly; 16] = [
    Anomaly::BareLf,
    Anomaly::SpaceBeforeColon,
    Anomaly::ObsFold,
    Anomaly::LeadingEmptyLine,
    Anomaly::LengthAndTransferEncoding,
    Anomaly::PipelineTooDeep,
    Anomaly::Upgraded,
    Anomaly::UnknownField,
    Anomaly::BadFieldList,
    Anomaly::TooManyStreams,
    Anomaly::PushPromise,
    Anomaly::TlsWithoutKeys,
    Anomaly::KeyLogFull,
    Anomaly::BadKeyLogLine,
    Anomaly::BadContentEncoding,
    Anomaly::UnknownContentEncoding,
];

/// What is said on a connection.
///
/// `config u8`, then steps. A step is `op u8` and what belongs to it: bit 0 is the direction, bits
/// 1 to 3 the kind: 0 to 4 bytes (`len u16, bytes`), 5 a gap (`len u16`), 6 time (`wait u8`, in
/// units of 500 ms), 7 an end (with bit 4 a reset). Bits 5 to 7 say how far behind the packet's
/// acknowledgement lies, in units of 16 bytes.
pub(super) struct Script<'a> {
    config: u8,
    steps: Vec<Step<'a>>,
}

/// The connection's beginning was not seen.
const LATE_JOIN: u8 = 1;
/// Caps are so small that any script reaches them.
const SMALL: u8 = 2;
/// Bodies are decoded and summed.
const SHA256: u8 = 4;
/// Keys come when all has been said.
const KEYS_LATE: u8 = 8;

enum Step<'a> {
    Bytes { direction: Direction, bytes: &'a [u8], behind: u64 },
    Gap { direction: Direction, len: u64, cause: GapCause, extent: Extent },
    Wait(Duration),
    Fin(Direction),
    Reset(Direction),
}

impl<'a> Script<'a> {
    pub(super) fn read(input: &mut Input<'a>) -> Self {
        let config = input.byte();
        let mut steps = Vec::new();
        while !input.is_empty() {
            let op = input.byte();
            let direction = if op & 1 == 0 { Direction::ToServer } else { Direction::ToClient };
            steps.push(match op >> 1 & 7 {
                5 => Step::Gap {
                    direction,
                    len: u64::from(input.u16()) + 1,
                    cause: if op & 16 == 0 { GapCause::Missing } else { GapCause::SnapLen },
                    extent: if op & 32 == 0 { Extent::Exact } else { Extent::Estimated },
                },
                6 => Step::Wait(Duration::from_millis(500) * u32::from(input.byte())),
                7 if op & 16 == 0 => Step::Fin(direction),
                7 => Step::Reset(direction),
                _ => {
                    let len = usize::from(input.u16());
                    let behind = u64::from(op >> 5) * 16;
                    Step::Bytes { direction, bytes: input.bytes(len), behind }
                }
            });
        }
        Self { config, steps }
    }

    /// Whether each side says TLS records and nothing else; the last may be cut.
    fn is_records(&self) -> bool {
        Direction::BOTH.iter().all(|side| {
            let said: Vec<u8> = self
                .steps
                .iter()
                .filter_map(|step| match step {
                    Step::Bytes { direction, bytes, .. } if direction == side => Some(*bytes),
                    _ => None,
                })
                .flatten()
                .copied()
                .collect();
            let mut rest = &said[..];
            // RFC 8446 §5.1 and §5.2: type, legacy version, length up to 2^14 + 256; RFC 5246
            // §6.2.3: + 2,048.
            while let [20..=23, 3, 0..=4, high, low, after @ ..] = rest {
                let len = usize::from(u16::from_be_bytes([*high, *low]));
                if len > (1 << 14) + 2_048 {
                    return false;
                }
                rest = after.get(len..).unwrap_or_default();
            }
            rest.len() < 5
        })
    }

    /// A dialogue of bytes alone.
    pub(super) fn of_bytes(config: u8, said: &'a [(Direction, Vec<u8>)]) -> Self {
        let step = |(direction, bytes): &'a (Direction, Vec<u8>)| Step::Bytes {
            direction: *direction,
            bytes,
            behind: 0,
        };
        Self { config, steps: said.iter().map(step).collect() }
    }

    /// Plays it whole and in pieces, and asserts that the same exchanges leave.
    pub(super) fn play_both<R: Room>(
        &self,
        open: impl Fn(FlowInfo) -> R,
        keys: &[u8],
        place: Place,
    ) {
        let (whole, anomalies) = self.play(&open, keys, usize::MAX);
        let lost = match place {
            Place::Kept => false,
            Place::LostAsNoted | Place::LostInTime => is_lost(&anomalies),
            Place::Lost => true,
        };
        let missing = self.steps.iter().any(|step| matches!(step, Step::Gap { .. }));
        if lost || missing || self.config & LATE_JOIN != 0 {
            return;
        }
        for piece in [1, 7] {
            let (pieces, anomalies) = self.play(&open, keys, piece);
            if place == Place::LostInTime && is_lost(&anomalies) {
                continue;
            }
            assert_eq!(whole, pieces, "cut into pieces of {piece}, the same bytes say the same");
        }
    }

    fn limits(&self) -> Limits {
        // Budgets over all flows are left as they are: what is charged may go by chunks.
        let limits = Limits { sha256: self.config & SHA256 != 0, ..Limits::default() };
        if self.config & SMALL == 0 {
            return limits;
        }
        Limits {
            head_bytes: 1_024,
            head_fields: 32,
            body_bytes: 64,
            pipelined: 4,
            streams: 4,
            hpack_table_bytes: 256,
            tls_held_bytes: 2_048,
            tls_sessions: 2,
            decoded_bytes: 4_096,
            ..limits
        }
    }

    /// What leaves, and what was odd.
    fn play<R: Room>(
        &self,
        open: impl Fn(FlowInfo) -> R,
        keys: &[u8],
        piece: usize,
    ) -> (Vec<String>, Anomalies) {
        let info = FlowInfo {
            origin: None,
            client: ([10, 0, 0, 1], 40_000).into(),
            server: ([10, 0, 0, 2], 80).into(),
            late_join: self.config & LATE_JOIN != 0,
        };
        let mut stage = Stage {
            room: open(info),
            limits: self.limits(),
            anomalies: Anomalies::default(),
            keys: KeyLog::default(),
            body_bytes: 0,
            spans: FieldSpans::default(),
            out: VecDeque::new(),
            to: [0; 2],
            ended: [false; 2],
            now: Timestamp::from_nanos(1_000_000_000),
        };
        let keys_late = self.config & KEYS_LATE != 0;
        if !keys_late {
            stage.keys(keys);
        }
        for step in &self.steps {
            if stage.take(step, piece) == Goes::Over {
                break;
            }
        }
        if keys_late {
            stage.keys(keys);
            stage.expire();
        }
        stage.finish(self.config & SMALL != 0)
    }
}

/// Whether more can be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goes {
    On,
    Over,
}

/// What reads one connection.
pub(super) trait Room {
    fn push(&mut self, direction: Direction, chunk: Chunk<'_>, cx: &mut Context<'_>) -> Goes;
    fn gap(&mut self, direction: Direction, gap: Gap, cx: &mut Context<'_>);
    fn fin(&mut self, direction: Direction, at: Timestamp, cx: &mut Context<'_>);
    fn reset(&mut self, from: Direction, at: Timestamp, cx: &mut Context<'_>);
    fn expire(&mut self, now: Timestamp, cx: &mut Context<'_>);
    fn deadline(&self, limits: &Limits) -> Option<Timestamp>;
    fn finish(&mut self, cx: &mut Context<'_>);
    fn held_bytes(&self) -> usize;
}

/// The same verbs for each parser of a connection.
macro_rules! room {
    ($room:ty, $self:ident, $direction:ident, $chunk:ident, $cx:ident => $push:expr) => {
        impl Room for $room {
            fn push(
                &mut $self,
                $direction: Direction,
                $chunk: Chunk<'_>,
                $cx: &mut Context<'_>,
            ) -> Goes {
                $push
            }

            fn gap(&mut self, direction: Direction, gap: Gap, cx: &mut Context<'_>) {
                <$room>::gap(self, direction, gap, cx);
            }

            fn fin(&mut self, direction: Direction, at: Timestamp, cx: &mut Context<'_>) {
                <$room>::fin(self, direction, at, cx);
            }

            fn reset(&mut self, from: Direction, at: Timestamp, cx: &mut Context<'_>) {
                <$room>::reset(self, from, at, cx);
            }

            fn expire(&mut self, now: Timestamp, cx: &mut Context<'_>) {
                <$room>::expire(self, now, cx);
            }

            fn deadline(&self, limits: &Limits) -> Option<Timestamp> {
                <$room>::deadline(self, limits)
            }

            fn finish(&mut self, cx: &mut Context<'_>) {
                <$room>::finish(self, cx);
            }

            fn held_bytes(&self) -> usize {
                <$room>::held_bytes(self)
            }
        }
    };
}

room!(http1::Connection, self, direction, chunk, cx => {
    match http1::Connection::push(self, direction, chunk, cx) {
        Some(handover) => {
            // Its response is for HTTP/2 to read. Of one whose request was not seen nothing is there.
            let mut exchange = handover.exchange;
            if exchange.request.is_some() {
                exchange.evidence = Evidence::Truncated;
                cx.out.push_back(exchange);
            }
            Goes::Over
        }
        None => Goes::On,
    }
});
room!(http2::Connection, self, direction, chunk, cx => {
    http2::Connection::push(self, direction, chunk, cx);
    Goes::On
});
room!(Session, self, direction, chunk, cx => {
    Session::push(self, direction, chunk, cx);
    Goes::On
});

/// A room, what it works with, and what was said so far.
struct Stage<R> {
    room: R,
    limits: Limits,
    anomalies: Anomalies,
    keys: KeyLog,
    body_bytes: usize,
    spans: FieldSpans,
    out: VecDeque<Box<Exchange>>,
    to: [u64; 2],
    ended: [bool; 2],
    now: Timestamp,
}

impl<R: Room> Stage<R> {
    fn keys(&mut self, text: &[u8]) {
        self.keys.push(text, &self.limits, &mut self.anomalies);
    }

    fn run<T>(&mut self, act: impl FnOnce(&mut R, &mut Context<'_>) -> T) -> T {
        let mut cx = Context {
            limits: &self.limits,
            anomalies: &mut self.anomalies,
            keys: &self.keys,
            body_bytes: &mut self.body_bytes,
            spans: &mut self.spans,
            out: &mut self.out,
        };
        act(&mut self.room, &mut cx)
    }

    fn take(&mut self, step: &Step<'_>, piece: usize) -> Goes {
        match *step {
            Step::Bytes { direction, bytes, behind } => {
                if self.ended[direction as usize] {
                    return Goes::On;
                }
                let peer_offset = self.to[direction.reverse() as usize].saturating_sub(behind);
                self.now = self.now + Duration::from_micros(100);
                for bytes in bytes.chunks(piece.min(bytes.len()).max(1)) {
                    let offset = self.to[direction as usize];
                    self.to[direction as usize] += bytes.len() as u64;
                    let chunk = Chunk { offset, bytes, at: self.now, peer_offset };
                    if self.run(|room, cx| room.push(direction, chunk, cx)) == Goes::Over {
                        return Goes::Over;
                    }
                }
            }
            Step::Gap { direction, len, cause, extent } => {
                if self.ended[direction as usize] {
                    return Goes::On;
                }
                let offset = self.to[direction as usize];
                self.to[direction as usize] += len;
                let gap = Gap { offset, len, at: self.now, cause, extent };
                self.run(|room, cx| room.gap(direction, gap, cx));
            }
            Step::Wait(wait) => {
                self.now = self.now + wait;
                self.expire();
            }
            Step::Fin(direction) => {
                if !std::mem::replace(&mut self.ended[direction as usize], true) {
                    let at = self.now;
                    self.run(|room, cx| room.fin(direction, at, cx));
                }
            }
            Step::Reset(direction) => {
                let at = self.now;
                self.run(|room, cx| room.reset(direction, at, cx));
                return Goes::Over;
            }
        }
        Goes::On
    }

    fn expire(&mut self) {
        let now = self.now;
        self.run(|room, cx| room.expire(now, cx));
        let deadline = self.room.deadline(&self.limits);
        assert!(
            deadline.is_none_or(|deadline| deadline > now),
            "what is due was seen to: {deadline:?} at {now:?}"
        );
    }

    /// Ends the connection, and gives what left it.
    fn finish(mut self, small: bool) -> (Vec<String>, Anomalies) {
        let (held, said) = (self.room.held_bytes(), self.to.iter().sum::<u64>());
        // State grows with what was said, by no more than a small message's bookkeeping.
        assert!(held as u64 <= (128 << 10) + 128 * said, "{held} bytes held after {said}");
        assert!(!small || held <= SMALL_STATE, "{held} bytes held under small caps");
        self.run(Room::finish);
        assert_eq!(self.body_bytes, 0, "the budget for bodies is given back");
        assert!(self.out.len() as u64 <= said + 1, "more exchanges than bytes");
        let noted: u64 = self.anomalies.iter().map(|(_, count)| count).sum();
        assert!(noted <= 16 * (said + 16), "{noted} oddities in {said} bytes");
        (self.out.iter().map(|exchange| summary(exchange)).collect(), self.anomalies)
    }
}

/// What a connection may hold under [`SMALL`] caps: heads, requests that wait, tables, records.
const SMALL_STATE: usize = 256 << 10;

/// All of an exchange that must not depend on how its bytes came.
fn summary(exchange: &Exchange) -> String {
    let Exchange { request, response, evidence, .. } = exchange;
    assert!(request.is_some() || response.is_some(), "an exchange of nothing");
    if *evidence == Evidence::Complete {
        assert!(request.is_some() && response.is_some(), "complete without both messages");
        let missing = request.as_ref().map(|r| r.body.missing()).into_iter();
        let missing = missing.chain(response.as_ref().map(|r| r.body.missing())).sum::<u64>();
        assert_eq!(missing, 0, "complete with missing bytes");
    }
    let body = |body: &crate::Body| {
        let sums = (body.len(), body.missing(), body.sent_sha256(), body.decoded_sum());
        format!("{:?} {sums:?}", body.kept())
    };
    let fields = |fields: &crate::Fields| format!("{:?}", fields.iter().collect::<Vec<_>>());
    let request = request.as_ref().map(|r| {
        let head = (r.method(), r.target(), r.host());
        format!("{head:?} {} {} {}", fields(&r.fields), body(&r.body), fields(&r.trailers))
    });
    let response = response.as_ref().map(|r| {
        format!("{} {} {} {}", r.status, fields(&r.fields), body(&r.body), fields(&r.trailers))
    });
    format!(
        "{evidence:?} {:?} {request:?} {response:?} {:?} {:?} {:?}",
        exchange.stream_id, exchange.interim, exchange.upgrade, exchange.timing
    )
}

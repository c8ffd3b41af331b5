//! HTTP/2 on one connection (RFC 9113): in-order bytes and Gaps become [`Exchange`]s.
//!
//! Owns frames, streams, and how an exchange ends when its stream or its connection does. Refuses to
//! read a clock, to guess at a field whose bytes were not seen, and to follow what a server pushes.
//!
//! | file | owns |
//! |---|---|
//! | `frame` | frame headers, settings |
//! | `half` | one direction: where in its frames it is |
//! | `hpack` | header blocks, and what is known of their table: `hpack/table.rs` has the proof |
//! | `head` | what the fields of a block say |
//! | `messages` | what blocks, DATA and ends do to a stream |
//! | `streams` | the exchanges that have not left yet |
//! | `resync` | where frames begin in bytes of which nothing is known |
//!
//! Invariants:
//! - An exchange leaves once: when both its messages are whole, or when no more can come of it.
//! - `Complete` needs every byte of both and every field; the first thing that speaks against it is
//!   the label.
//! - A message belongs to its stream by the identifier in its frames: no loss can attribute it to
//!   another. What a loss can do is to hide messages; so what was open then is not `Complete`.
//! - Memory is bounded by `Limits`: `streams` open exchanges with heads of `head_bytes`, a table and
//!   a block per direction. Bodies have their own budget, which [`Connection::finish`] gives back.

mod frame;
mod half;
mod head;
mod hpack;
mod messages;
mod resync;
mod streams;

use frame::{FrameHeader, flag, kind};
use half::{Block, Event, Half, Missed, State};
use streams::{Phase, Stream, Streams};

use crate::context::Context;
use crate::flow::{Direction, FlowInfo};
use crate::reassembly::{Chunk, Extent, Gap, GapCause};
use crate::{Anomaly, Evidence, Exchange, Limits, Protocol, Timestamp};

/// RFC 9113 §3.4: what a client sends first.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// One connection: both directions and their streams.
#[derive(Debug)]
pub(crate) struct Connection {
    info: FlowInfo,
    requests: Half,
    responses: Half,
    streams: Streams,
    /// The largest identifier of a stream that the client was seen to open.
    highest: u32,
    /// Streams with a larger identifier may have been opened without being seen.
    unseen_above: Option<u32>,
    /// What the server's GOAWAY named last.
    last_served: Option<u32>,
    client_closed: bool,
}

impl Connection {
    /// A connection of which nothing was seen yet, or (`info.late_join`) not its beginning.
    pub(crate) fn new(info: FlowInfo) -> Self {
        let (requests, responses) = if info.late_join {
            (Half::joined_late(), Half::joined_late())
        } else {
            (Half::new(State::Preface(0)), Half::new(State::Header))
        };
        Self {
            info,
            requests,
            responses,
            streams: Streams::default(),
            highest: 0,
            unseen_above: info.late_join.then_some(0),
            last_served: None,
            client_closed: false,
        }
    }

    /// A connection that began as HTTP/1.1 and was upgraded at `at`: `exchange` waits for its
    /// response on stream 1. Both directions go on at these offsets.
    pub(crate) fn upgraded(info: FlowInfo, mut exchange: Box<Exchange>, at: Timestamp) -> Self {
        let mut connection = Self::new(FlowInfo { late_join: false, ..info });
        let request = exchange.request.as_ref();
        match request.and_then(|request| request.fields.get(b"http2-settings")) {
            Some(settings) => {
                for (id, value) in frame::settings_in_field(settings) {
                    connection.responses.announce(id, value);
                }
            }
            None => connection.responses.forget_announced(),
        }
        let evidence = exchange.evidence;
        exchange.protocol = Protocol::Http2;
        exchange.stream_id = Some(1);
        let mut stream = Stream::new(exchange, at, 0);
        // RFC 7540 §3.2: the client has nothing more to send on it.
        stream.request.phase = Phase::Done;
        if evidence != Evidence::Complete {
            stream.blemish(evidence);
        }
        connection.highest = 1;
        connection.streams.insert(1, stream);
        connection
    }

    /// Takes the next bytes of a direction.
    pub(crate) fn push(&mut self, direction: Direction, chunk: Chunk<'_>, cx: &mut Context<'_>) {
        let at = chunk.at;
        if !self.half_mut(direction).find(direction, &chunk, cx.limits) {
            return;
        }
        let mut rest = chunk.bytes;
        loop {
            let (used, event) = self.half_mut(direction).next(rest, at);
            rest = &rest[used..];
            let is_idle = used == 0 && event == Event::Nothing;
            self.take(direction, event, at, cx);
            if is_idle || matches!(self.half_mut(direction).state, State::Lost { .. }) {
                return;
            }
        }
    }

    /// The next bytes of a direction will never come.
    pub(crate) fn gap(&mut self, direction: Direction, gap: Gap, cx: &mut Context<'_>) {
        let cause = match gap.cause {
            GapCause::Missing => Evidence::Gap,
            GapCause::SnapLen => Evidence::Truncated,
        };
        let missed = match gap.extent {
            Extent::Exact => self.half_mut(direction).miss(gap.len),
            Extent::Estimated => Missed::Lost,
        };
        let Missed::Inside { stream, content } = missed else {
            return self.lose(direction, cause, cx);
        };
        if let Some(stream) = stream.and_then(|id| self.streams.get_mut(id)) {
            let side = stream.side_mut(direction);
            if side.phase != Phase::Done {
                if let Some(body) = &mut side.body {
                    body.miss(content);
                }
                stream.blemish(cause);
            }
        }
        // The frame may have ended with them.
        if let (0, event @ Event::End { .. }) = self.half_mut(direction).next(&[], gap.at) {
            self.take(direction, event, gap.at, cx);
        }
    }

    /// A direction has ended; all its bytes were given.
    pub(crate) fn fin(&mut self, direction: Direction, at: Timestamp, cx: &mut Context<'_>) {
        match direction {
            Direction::ToServer => {
                // Half closed: responses may still come.
                self.client_closed = true;
                self.cut_block(direction, Evidence::ProxyAborted, at, cx);
                self.cut_bodies(direction, Evidence::ProxyAborted, cx);
                self.requests.state = State::Over;
            }
            Direction::ToClient => {
                let label = self.broken_off(Direction::ToClient);
                self.cut_block(direction, label, at, cx);
                self.end_all(label, cx);
                self.responses.state = State::Over;
            }
        }
    }

    /// A direction was reset by the side that sends in it: nothing more comes in either.
    pub(crate) fn reset(&mut self, from: Direction, at: Timestamp, cx: &mut Context<'_>) {
        self.close(self.broken_off(from), at, cx);
    }

    /// Gives up what has waited too long by `now`.
    pub(crate) fn expire(&mut self, now: Timestamp, cx: &mut Context<'_>) {
        let label = if self.client_closed { Evidence::ProxyAborted } else { Evidence::TimedOut };
        for id in self.streams.idle(now, cx.limits.response_timeout) {
            self.leave(id, label, cx);
        }
    }

    /// When [`Connection::expire`] has something to do, at the earliest.
    pub(crate) fn deadline(&self, limits: &Limits) -> Option<Timestamp> {
        self.streams.earliest().map(|earliest| earliest + limits.response_timeout)
    }

    /// The capture has ended, or nobody remembers the connection any longer.
    pub(crate) fn finish(&mut self, cx: &mut Context<'_>) {
        let at = self.requests.frame_at.max(self.responses.frame_at);
        self.close(Evidence::Truncated, at, cx);
    }

    /// Bytes of memory held, bodies left out: they have a budget of their own.
    pub(crate) fn held_bytes(&self) -> usize {
        size_of::<Self>()
            + self.requests.held_bytes()
            + self.responses.held_bytes()
            + self.streams.held_bytes()
    }

    fn half_mut(&mut self, direction: Direction) -> &mut Half {
        match direction {
            Direction::ToServer => &mut self.requests,
            Direction::ToClient => &mut self.responses,
        }
    }

    /// The label of what an end of the connection leaves unfinished. A client that closed before
    /// the response was whole has given up on it, whatever the server did after that.
    fn broken_off(&self, by: Direction) -> Evidence {
        if by == Direction::ToServer || self.client_closed {
            Evidence::ProxyAborted
        } else {
            Evidence::Reset
        }
    }

    fn take(
        &mut self,
        direction: Direction,
        event: Event<'_>,
        at: Timestamp,
        cx: &mut Context<'_>,
    ) {
        match event {
            Event::Nothing => {}
            Event::Preface => self.begin(),
            Event::NoPreface => {
                cx.anomalies.note(Anomaly::NotHttp);
                self.lose(direction, Evidence::Malformed, cx);
            }
            Event::Begun(header) => self.begin_frame(direction, &header, at, cx),
            Event::Bad(header) => {
                cx.anomalies.note(Anomaly::BadFrame);
                if header.carries_block() {
                    self.cut_block(direction, Evidence::Malformed, at, cx);
                    self.half_mut(direction).forget_table(Evidence::Malformed);
                }
                if (header.carries_block() || header.kind == kind::DATA)
                    && let Some(stream) = self.streams.get_mut(header.stream)
                {
                    stream.blemish(Evidence::Malformed);
                }
            }
            Event::TooLong => {
                cx.anomalies.note(Anomaly::BadFrame);
                self.lose(direction, Evidence::Malformed, cx);
            }
            Event::Content { header, bytes, whole } => match header.kind {
                kind::DATA => self.data(direction, header.stream, bytes, at, cx),
                _ if header.carries_block() => {
                    self.block_content(direction, &header, bytes, whole, at, cx);
                }
                _ => {}
            },
            Event::Setting(id, value) => self.half_mut(direction.reverse()).announce(id, value),
            Event::End { is_bad: true, .. } => {}
            Event::End { header, prefix, is_bad: false } => {
                self.end_frame(direction, &header, prefix, at, cx);
            }
        }
    }

    /// The client's preface was seen: nothing of the connection came before it but what the server
    /// may send unasked, which holds no header block.
    fn begin(&mut self) {
        if self.unseen_above.take().is_none() {
            return;
        }
        self.requests = Half::new(State::Header);
        if matches!(self.responses.state, State::Lost { .. }) {
            self.responses = Half::new(State::Lost { lenient: true });
        } else {
            self.responses.unknown = None;
            self.responses.hpack = hpack::Decoder::new();
        }
    }

    fn begin_frame(
        &mut self,
        direction: Direction,
        header: &FrameHeader,
        at: Timestamp,
        cx: &mut Context<'_>,
    ) {
        let half = self.half_mut(direction);
        let continues = half.block.as_ref().map(|block| block.stream);
        let is_continuation = header.kind == kind::CONTINUATION;
        // RFC 9113 §6.10: nothing comes between the parts of a block, and a part is of one.
        if is_continuation && continues == Some(header.stream) {
            return;
        }
        if continues.is_some() || is_continuation {
            cx.anomalies.note(Anomaly::BadFrame);
            self.cut_block(direction, Evidence::Malformed, at, cx);
            let half = self.half_mut(direction);
            half.forget_table(Evidence::Malformed);
            if is_continuation {
                return half.pass_over();
            }
        }
        if header.carries_block() {
            let half = self.half_mut(direction);
            half.block = Some(Block::new(header, half.frame_at));
        }
    }

    fn block_content(
        &mut self,
        direction: Direction,
        header: &FrameHeader,
        bytes: &[u8],
        whole: bool,
        at: Timestamp,
        cx: &mut Context<'_>,
    ) {
        let Some(mut block) = self.half_mut(direction).block.take() else { return };
        let alone = header.kind != kind::CONTINUATION && header.has(flag::END_HEADERS);
        if whole && alone {
            block.is_read = true;
            self.read_block(direction, &block, bytes, at, cx);
        } else {
            block.push(bytes, cx.limits);
        }
        self.half_mut(direction).block = Some(block);
    }

    fn end_frame(
        &mut self,
        direction: Direction,
        header: &FrameHeader,
        prefix: [u8; 8],
        at: Timestamp,
        cx: &mut Context<'_>,
    ) {
        let [p0, p1, p2, p3, ..] = prefix;
        let word = u32::from_be_bytes([p0, p1, p2, p3]);
        match header.kind {
            kind::DATA if header.has(flag::END_STREAM) => {
                self.end_message(direction, header.stream, at, cx);
            }
            kind::RST_STREAM => self.reset_stream(direction, header.stream, word, cx),
            // §6.8: the reserved bit is to be ignored.
            kind::GOAWAY if direction == Direction::ToClient => self.go_away(word & !(1 << 31), cx),
            _ if header.carries_block() && header.has(flag::END_HEADERS) => {
                let Some(block) = self.half_mut(direction).block.take() else { return };
                if block.is_too_large {
                    self.refuse_block(direction, &block, at, cx);
                } else if !block.is_read {
                    self.read_block(direction, &block, &block.pieces, at, cx);
                }
                if block.end_stream {
                    self.end_message(direction, block.stream, at, cx);
                }
            }
            _ => {}
        }
    }

    /// RFC 9113 §5.4.2: either side ends a stream at once.
    fn reset_stream(&mut self, from: Direction, id: u32, code: u32, cx: &mut Context<'_>) {
        let Some(stream) = self.streams.get_mut(id) else { return };
        let label = match from {
            Direction::ToServer => Evidence::ProxyAborted,
            // §8.1: NO_ERROR after a whole response asks the client to stop sending: what was sent
            // is the request, and the response counts.
            Direction::ToClient if stream.response.phase == Phase::Done && code == 0 => {
                stream.end(Direction::ToServer, true, cx);
                Evidence::Complete
            }
            Direction::ToClient => Evidence::Reset,
        };
        self.leave(id, label, cx);
    }

    /// RFC 9113 §6.8: streams after `last` were not and will not be acted on.
    fn go_away(&mut self, last: u32, cx: &mut Context<'_>) {
        self.last_served = Some(self.last_served.map_or(last, |before| before.min(last)));
        for id in self.streams.after(last) {
            let waits = |stream: &mut Stream| stream.response.phase == Phase::Head;
            if self.streams.get_mut(id).is_some_and(waits) {
                self.leave(id, Evidence::Reset, cx);
            }
        }
    }

    /// It is not known any more where a direction is.
    fn lose(&mut self, direction: Direction, cause: Evidence, cx: &mut Context<'_>) {
        let half = self.half_mut(direction);
        if matches!(half.state, State::Over) {
            return;
        }
        let at = half.frame_at;
        self.cut_block(direction, cause, at, cx);
        self.half_mut(direction).lose(cause);
        self.cut_bodies(direction, cause, cx);
        // What a side announces, it announces in the direction that was lost.
        self.half_mut(direction.reverse()).forget_announced();
        if direction == Direction::ToServer {
            self.unseen_above.get_or_insert(self.highest);
        }
    }

    /// Messages of a direction that are in their bodies get no more of it.
    fn cut_bodies(&mut self, direction: Direction, cause: Evidence, cx: &mut Context<'_>) {
        for id in self.streams.in_body(direction) {
            let Some(stream) = self.streams.get_mut(id) else { continue };
            stream.blemish(cause);
            stream.end(direction, false, cx);
            if stream.is_done() {
                self.leave(id, cause, cx);
            }
        }
    }

    /// An exchange leaves, with `label` where nothing else speaks against it.
    fn leave(&mut self, id: u32, label: Evidence, cx: &mut Context<'_>) {
        let Some(mut stream) = self.streams.remove(id) else { return };
        // Its response may be among what was not seen.
        if stream.response.phase == Phase::Head && stream.losses != self.responses.losses {
            stream.blemish(self.responses.loss);
        }
        stream.leave(label, cx);
    }

    fn close(&mut self, label: Evidence, at: Timestamp, cx: &mut Context<'_>) {
        for direction in Direction::BOTH {
            self.cut_block(direction, label, at, cx);
            self.half_mut(direction).state = State::Over;
        }
        self.end_all(label, cx);
    }

    fn end_all(&mut self, label: Evidence, cx: &mut Context<'_>) {
        while let Some(id) = self.streams.oldest() {
            self.leave(id, label, cx);
        }
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
pub(crate) fn begins_frames(direction: Direction, bytes: &[u8]) -> Option<bool> {
    match resync::looks(direction, bytes, &Limits::default()) {
        resync::Looks::No => Some(false),
        resync::Looks::Maybe => None,
        resync::Looks::Certain => Some(true),
    }
}

#[cfg(test)]
mod tests;

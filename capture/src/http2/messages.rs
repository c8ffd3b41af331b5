//! What header blocks, DATA and the ends of messages do to a stream.

use super::half::Block;
use super::head::{self, Faults, RequestHead, ResponseHead};
use super::hpack::{FieldList, Oddity};
use super::streams::{Phase, Stream, blank_exchange};
use super::{Connection, State, kind};
use crate::body::BodyBuilder;
use crate::context::Context;
use crate::flow::Direction;
use crate::{Anomaly, Body, Evidence, Fields, Request, Response, Timestamp, Version};

/// Interim responses noted per exchange; one with more is malformed.
const INTERIM_MAX: usize = 64;

/// A header block that was read.
struct Read<'b> {
    block: &'b Block,
    list: FieldList,
    /// Why not all of its fields are there.
    blemish: Option<Evidence>,
    at: Timestamp,
}

impl Read<'_> {
    /// When it was whole, if every field of it is known.
    fn whole_at(&self) -> Option<Timestamp> {
        self.blemish.is_none().then_some(self.at)
    }
}

impl Connection {
    /// A header block is whole.
    pub(super) fn read_block(
        &mut self,
        direction: Direction,
        block: &Block,
        bytes: &[u8],
        at: Timestamp,
        cx: &mut Context<'_>,
    ) {
        let half = self.half_mut(direction);
        let (expected_bytes, expected_fields) = half.expected;
        let mut list = FieldList::new(cx.limits, expected_bytes, expected_fields);
        let mut blemish = None;
        match half.hpack.decode(bytes, cx.limits.hpack_table_bytes, &mut list) {
            Ok(None) => {}
            Ok(Some(Oddity::TableTooLarge)) => cx.anomalies.note(Anomaly::HpackTableTooLarge),
            // RFC 9113 §4.3: an error of the connection, since the table is not to be trusted.
            Err(_) => {
                cx.anomalies.note(Anomaly::BadHeaderBlock);
                half.forget_table(Evidence::Malformed);
                blemish = Some(Evidence::Malformed);
            }
        }
        if let Some(anomaly) = list.overflow {
            cx.anomalies.note(anomaly);
            blemish.get_or_insert(Evidence::Malformed);
        }
        if list.unknown > 0 {
            cx.anomalies.note(Anomaly::UnknownField);
            // Where nothing was missed, the table's cap cut it.
            blemish.get_or_insert(half.unknown.unwrap_or(Evidence::Truncated));
        }
        half.expected = (list.bytes.len(), list.fields.len());
        self.take_block(direction, Read { block, list, blemish, at }, cx);
    }

    /// A header block is above the cap: what it did to the table is not known.
    pub(super) fn refuse_block(
        &mut self,
        direction: Direction,
        block: &Block,
        at: Timestamp,
        cx: &mut Context<'_>,
    ) {
        cx.anomalies.note(Anomaly::HeadTooLarge);
        self.half_mut(direction).forget_table(Evidence::Malformed);
        let list = FieldList::new(cx.limits, 0, 0);
        let blemish = Some(Evidence::Malformed);
        self.take_block(direction, Read { block, list, blemish, at }, cx);
    }

    /// No more of the block in progress will come, because of `cause`: what came of it counts. The
    /// table is not known after it.
    pub(super) fn cut_block(
        &mut self,
        direction: Direction,
        cause: Evidence,
        at: Timestamp,
        cx: &mut Context<'_>,
    ) {
        let half = self.half_mut(direction);
        let Some(block) = half.block.take() else { return };
        if block.is_read {
            if block.end_stream {
                self.end_message(direction, block.stream, at, cx);
            }
            return;
        }
        let mut list = FieldList::new(cx.limits, block.pieces.len(), 0);
        // An error is to be expected: it was cut.
        let _ = half.hpack.decode(&block.pieces, cx.limits.hpack_table_bytes, &mut list);
        half.forget_table(cause);
        self.take_block(direction, Read { block: &block, list, blemish: Some(cause), at }, cx);
        if let Some(stream) = self.streams.get_mut(block.stream)
            && stream.side_mut(direction).phase == Phase::Body
        {
            stream.end(direction, false, cx);
            if stream.is_done() {
                self.leave(block.stream, cause, cx);
            }
        }
    }

    fn take_block(&mut self, direction: Direction, read: Read<'_>, cx: &mut Context<'_>) {
        let id = read.block.stream;
        if read.block.kind == kind::PUSH_PROMISE {
            // RFC 9113 §8.4: a request that the server makes up, and answers on a stream of its
            // own; neither crossed the proxy's path.
            cx.anomalies.note(match direction {
                Direction::ToClient => Anomaly::PushPromise,
                Direction::ToServer => Anomaly::BadFrame,
            });
            return;
        }
        let known = self.streams.get_mut(id).is_some();
        match direction {
            Direction::ToServer if known => self.take_trailers(direction, read, cx),
            Direction::ToServer => self.open(read, cx),
            // §5.1.1: streams of a server are even: what it pushed.
            Direction::ToClient if id.is_multiple_of(2) => {}
            Direction::ToClient => {
                if known || self.open_unseen(&read, cx) {
                    self.answer(read, cx);
                }
            }
        }
        self.streams.recharge(id);
    }

    /// A client opens a stream with a request.
    fn open(&mut self, read: Read<'_>, cx: &mut Context<'_>) {
        let id = read.block.stream;
        if id.is_multiple_of(2) {
            return cx.anomalies.note(Anomaly::BadFrame);
        }
        let may_be_trailers = self.unseen_above.is_some() && !head::is_head(&read.list);
        // Of a stream that was given up, or was opened before the capture began.
        if id <= self.highest || may_be_trailers && read.list.unknown == 0 {
            return;
        }
        self.highest = id;
        if self.streams.len() >= cx.limits.streams.max(1)
            && let Some(oldest) = self.streams.oldest()
        {
            cx.anomalies.note(Anomaly::TooManyStreams);
            self.leave(oldest, Evidence::Truncated, cx);
        }
        let (at, whole_at) = (read.at, read.whole_at());
        let mut stream = Stream::new(blank_exchange(&self.info, id), at, self.responses.losses);
        if let Some(cause) = read.blemish {
            stream.blemish(cause);
        }
        let head = RequestHead::new(read.list);
        note_faults(head.faults, &mut stream, cx);
        stream.exchange.timing.request_first = Some(read.block.first_at);
        stream.exchange.timing.request_head = whole_at;
        stream.is_connect = head.is_connect;
        stream.protocol = head.protocol;
        stream.request.phase = Phase::Body;
        if head.is_told {
            begin_body(&mut stream, Direction::ToServer, &head.fields, read.block.end_stream, cx);
            stream.exchange.request = Some(Request {
                version: Version::Http2,
                fields: head.fields,
                body: Body::default(),
                trailers: Fields::default(),
            });
        }
        if head.is_connect {
            // RFC 9113 §8.5: what follows is the tunnel's, if there will be one.
            stream.end(Direction::ToServer, true, cx);
            stream.exchange.timing.request_last = Some(at);
        }
        let is_refused = self.last_served.is_some_and(|last| id > last);
        if is_refused || matches!(self.responses.state, State::Over) {
            // It crossed the server's farewell: nobody will answer it.
            stream.blemish(Evidence::Reset);
            stream.response.phase = Phase::Done;
        }
        let is_done = stream.is_done();
        self.streams.insert(id, stream);
        if is_done {
            self.leave(id, Evidence::Reset, cx);
        }
    }

    /// A response begins on a stream that is not open. True where it is the answer to a request that
    /// was not seen: then it is open now.
    fn open_unseen(&mut self, read: &Read<'_>, cx: &mut Context<'_>) -> bool {
        let id = read.block.stream;
        // Without a status: the trailers of a response that was given up, or not seen either.
        if !head::is_head(&read.list) {
            return false;
        }
        let unseen = self.unseen_above.is_some_and(|above| id > above);
        if !unseen || self.streams.has_left(id) {
            cx.anomalies.note(if id > self.highest {
                Anomaly::UnexpectedResponse
            } else {
                Anomaly::LateResponse
            });
            return false;
        }
        if self.streams.len() >= cx.limits.streams.max(1)
            && let Some(oldest) = self.streams.oldest()
        {
            cx.anomalies.note(Anomaly::TooManyStreams);
            self.leave(oldest, Evidence::Truncated, cx);
        }
        let mut stream =
            Stream::new(blank_exchange(&self.info, id), read.at, self.responses.losses);
        stream.request.phase = Phase::Done;
        // Until the requests are lost once more, they were lost since the connection was joined.
        stream.blemish(self.requests.loss);
        self.streams.insert(id, stream);
        true
    }

    /// A block of the server on an open stream.
    fn answer(&mut self, read: Read<'_>, cx: &mut Context<'_>) {
        let (id, at, whole_at) = (read.block.stream, read.at, read.whole_at());
        let (losses, loss) = (self.responses.losses, self.responses.loss);
        let Some(stream) = self.streams.get_mut(id) else { return };
        match stream.response.phase {
            Phase::Head => {}
            Phase::Body => return self.take_trailers(Direction::ToClient, read, cx),
            Phase::Done => return,
        }
        stream.active = at;
        // Something before it may not have been seen.
        let lost_before = stream.losses != losses;
        if lost_before {
            stream.blemish(loss);
        }
        if let Some(cause) = read.blemish {
            stream.blemish(cause);
        }
        let is_trailers = lost_before && !head::is_head(&read.list);
        let head = ResponseHead::new(read.list);
        if !is_trailers {
            note_faults(head.faults, stream, cx);
        }
        let Some(status) = head.status else {
            stream.response.phase = Phase::Body;
            return;
        };
        if let 100..=199 = status {
            // RFC 9110 §15.2: any number of them may come before the final one. RFC 9113 §8.6: 101
            // has no meaning here; §8.1: they end no stream.
            if status == 101 || read.block.end_stream {
                note_faults(Faults { any: true, grave: true }, stream, cx);
            }
            if stream.exchange.interim.len() < INTERIM_MAX {
                stream.exchange.interim.push(status);
            } else {
                stream.blemish(Evidence::Malformed);
            }
            return;
        }
        stream.response.phase = Phase::Body;
        stream.exchange.timing.response_first = Some(read.block.first_at);
        stream.exchange.timing.response_head = whole_at;
        let is_tunnel = stream.is_connect && matches!(status, 200..=299);
        if !is_tunnel {
            let ends = read.block.end_stream;
            begin_body(stream, Direction::ToClient, &head.fields, ends, cx);
            if has_no_content(stream, status) {
                stream.response.announced = None;
            }
        }
        stream.exchange.response = Some(Response {
            version: Version::Http2,
            status,
            fields: head.fields,
            body: Body::default(),
            trailers: Fields::default(),
        });
        if is_tunnel {
            cx.anomalies.note(Anomaly::Upgraded);
            let name = stream.protocol.take().unwrap_or_else(|| "CONNECT".into());
            stream.exchange.upgrade = Some(name);
            stream.exchange.timing.response_last = Some(at);
            stream.end(Direction::ToClient, true, cx);
            self.leave(id, Evidence::Complete, cx);
        }
    }

    /// A block after the head of a message.
    fn take_trailers(&mut self, direction: Direction, read: Read<'_>, cx: &mut Context<'_>) {
        let Some(stream) = self.streams.get_mut(read.block.stream) else { return };
        if stream.side_mut(direction).phase != Phase::Body {
            return;
        }
        stream.active = read.at;
        if let Some(cause) = read.blemish {
            stream.blemish(cause);
        }
        let (trailers, mut faults) = head::trailers(read.list);
        // RFC 9113 §8.1: they end the message.
        let ends = read.block.end_stream;
        faults = Faults { any: faults.any || !ends, grave: faults.grave || !ends };
        note_faults(faults, stream, cx);
        match direction {
            Direction::ToServer => {
                if let Some(request) = &mut stream.exchange.request {
                    request.trailers = trailers;
                }
            }
            Direction::ToClient => {
                if let Some(response) = &mut stream.exchange.response {
                    response.trailers = trailers;
                }
            }
        }
    }

    /// DATA of a stream.
    pub(super) fn data(
        &mut self,
        direction: Direction,
        id: u32,
        bytes: &[u8],
        at: Timestamp,
        cx: &mut Context<'_>,
    ) {
        let (losses, loss) = (self.responses.losses, self.responses.loss);
        let Some(stream) = self.streams.get_mut(id) else { return };
        stream.active = at;
        let side = stream.side_mut(direction);
        match side.phase {
            Phase::Body => {
                if let Some(body) = &mut side.body {
                    body.push(bytes, cx);
                }
            }
            Phase::Done => {}
            // Only a response can be without a head: a request opens its stream by it.
            Phase::Head => {
                side.phase = Phase::Body;
                if stream.losses == losses {
                    cx.anomalies.note(Anomaly::BadFrame);
                    stream.blemish(Evidence::Malformed);
                } else {
                    stream.blemish(loss);
                }
            }
        }
    }

    /// A message has come to its end: END_STREAM.
    pub(super) fn end_message(
        &mut self,
        direction: Direction,
        id: u32,
        at: Timestamp,
        cx: &mut Context<'_>,
    ) {
        let (losses, loss) = (self.responses.losses, self.responses.loss);
        let Some(stream) = self.streams.get_mut(id) else { return };
        let side = stream.side_mut(direction);
        match side.phase {
            Phase::Done => return,
            Phase::Body => {}
            Phase::Head => {
                let cause = if stream.losses == losses { Evidence::Malformed } else { loss };
                stream.blemish(cause);
            }
        }
        stream.active = at;
        let announced = stream.side_mut(direction).announced;
        stream.end(direction, true, cx);
        let exchange = &mut stream.exchange;
        let body = match direction {
            Direction::ToServer => {
                exchange.timing.request_last = Some(at);
                exchange.request.as_ref().map(|request| &request.body)
            }
            Direction::ToClient => {
                if exchange.response.is_some() {
                    exchange.timing.response_last = Some(at);
                }
                exchange.response.as_ref().map(|response| &response.body)
            }
        };
        // RFC 9113 §8.1.1: malformed by rule; what came is known all the same.
        if let (Some(announced), Some(body)) = (announced, body)
            && body.missing() == 0
            && body.len() != announced
        {
            cx.anomalies.note(Anomaly::BadContentLength);
        }
        if stream.is_done() {
            self.leave(id, Evidence::Complete, cx);
        }
    }
}

/// Gets ready for the body of a message whose head came.
fn begin_body(
    stream: &mut Stream,
    direction: Direction,
    fields: &Fields,
    ends: bool,
    cx: &mut Context<'_>,
) {
    let announced = match head::content_length(fields) {
        Some(Ok(len)) => Some(len),
        Some(Err(head::NotALength)) => {
            cx.anomalies.note(Anomaly::BadContentLength);
            None
        }
        None => None,
    };
    let side = stream.side_mut(direction);
    side.announced = announced;
    if !ends {
        side.body = Some(BodyBuilder::new(announced, fields, cx.limits));
    }
}

/// RFC 9110 §6.4.1: whether the response has no content, whatever its length says.
fn has_no_content(stream: &Stream, status: u16) -> bool {
    let is_head = stream.exchange.request.as_ref().is_some_and(|r| r.method() == b"HEAD");
    is_head || matches!(status, 204 | 304)
}

fn note_faults(faults: Faults, stream: &mut Stream, cx: &mut Context<'_>) {
    if faults.any {
        cx.anomalies.note(Anomaly::BadFieldList);
    }
    if faults.grave {
        stream.blemish(Evidence::Malformed);
    }
}

//! The client's direction.

use super::framing::{BodyPlan, Framing};
use super::half::{FirstByte, State, Taken};
use super::head::{End, Method, Parsed, RequestHead, cannot_be_request, parse_request};
use super::head_buffer::Scanned;
use super::resync::Turn;
use super::start_line::Doubtful;
use super::{Connection, Open};
use crate::body::BodyBuilder;
use crate::context::Context;
use crate::flow::Direction;
use crate::reassembly::Chunk;
use crate::{Anomaly, Body, Evidence, Fields, Request, Timestamp};

impl Connection {
    pub(super) fn push_requests(&mut self, chunk: &Chunk<'_>, cx: &mut Context<'_>) {
        let mut used = 0;
        while used < chunk.bytes.len() {
            let rest = &chunk.bytes[used..];
            match self.requests.state {
                State::Over => return,
                State::Lost(_) => {
                    if used > 0 || !self.turns.request_begins(chunk) {
                        return;
                    }
                    self.requests.state = State::Head;
                }
                State::Head => {
                    used += self.take_request_head(chunk, used, cx);
                }
                State::Body(_) | State::Trailers => {
                    let (taken, progress) = self.requests.take(rest, cx);
                    used += taken;
                    if self.request_waits
                        && let Some(open) = self.waiting.back_mut()
                    {
                        open.active = chunk.at;
                    }
                    match progress {
                        Taken::More => {}
                        Taken::Ended { line_lost } => {
                            if line_lost && let Some(open) = self.receiving() {
                                open.blemish(Evidence::Malformed);
                            }
                            self.end_request(Some(chunk.at), cx);
                        }
                        Taken::Broken(anomaly) => {
                            cx.anomalies.note(anomaly);
                            self.lose_requests(Evidence::Malformed, cx);
                        }
                    }
                }
            }
        }
    }

    /// Takes bytes of a head that begins in or before `chunk.bytes[at..]`: how many.
    fn take_request_head(&mut self, chunk: &Chunk<'_>, at: usize, cx: &mut Context<'_>) -> usize {
        let rest = &chunk.bytes[at..];
        let max_fields = cx.limits.head_fields;
        if self.requests.head.is_empty() {
            // RFC 9112 §2.2: empty lines before a request line are to be ignored.
            if matches!(rest[0], b'\r' | b'\n') {
                if rest[0] == b'\n' {
                    cx.anomalies.note(Anomaly::LeadingEmptyLine);
                }
                return 1;
            }
            self.requests.first = FirstByte::in_chunk(chunk, chunk.offset + at as u64);
            let lines = self.doubtful_lines();
            match parse_request(rest, max_fields, cx.spans, lines, End::Awaited) {
                Parsed::Done { used, head } if used <= cx.limits.head_bytes => {
                    self.begin_request(head, chunk.at, cx);
                    return used;
                }
                Parsed::Bad(anomaly @ Anomaly::BadRequestLine) => {
                    self.bad_request(anomaly, cx);
                    return rest.len();
                }
                Parsed::Need | Parsed::Done { .. } | Parsed::Bad(_) => {}
            }
        }
        match self.requests.head.push(rest, cx.limits.head_bytes) {
            Scanned::Need { telling } => {
                if telling && cannot_be_request(self.requests.head.bytes(), self.doubtful_lines()) {
                    self.bad_request(Anomaly::BadRequestLine, cx);
                }
                rest.len()
            }
            Scanned::TooLarge => {
                self.bad_request(Anomaly::HeadTooLarge, cx);
                rest.len()
            }
            Scanned::Whole { used } => {
                let bytes = self.requests.head.bytes();
                let lines = self.doubtful_lines();
                match parse_request(bytes, max_fields, cx.spans, lines, End::Here) {
                    Parsed::Done { head, .. } => {
                        self.begin_request(head, chunk.at, cx);
                        used
                    }
                    Parsed::Bad(anomaly) => {
                        self.bad_request(anomaly, cx);
                        rest.len()
                    }
                    // The buffer found the empty line; reading finds it too.
                    Parsed::Need => {
                        self.bad_request(Anomaly::BadRequestLine, cx);
                        rest.len()
                    }
                }
            }
        }
    }

    /// Whether a line without a version may be a request: the first that a client says, of which
    /// the answer will show what it was.
    fn doubtful_lines(&self) -> Doubtful {
        let opens = self.requests.first.offset == 0 && !self.info.late_join;
        if opens { Doubtful::Taken } else { Doubtful::Refused }
    }

    /// A request's head is whole.
    fn begin_request(&mut self, head: RequestHead, at: Timestamp, cx: &mut Context<'_>) {
        let plan = BodyPlan::of_request(&head, cx.anomalies);
        self.requests.doubtful = head.notes.doubtful || matches!(plan, BodyPlan::Doubtful(_));
        let (plan, announced) = match plan {
            BodyPlan::Doubtful(length) => {
                let framing = Framing::Length(length);
                (BodyPlan::Some { framing, undecoded: true }, Some(length))
            }
            BodyPlan::Some { framing, undecoded } => {
                let announced = framing.announced();
                (BodyPlan::Some { framing, undecoded }, announced)
            }
            plan => (plan, None),
        };
        let builder = matches!(plan, BodyPlan::Some { .. }).then(|| {
            let builder = BodyBuilder::new(announced, &head.fields, cx.limits);
            if head.notes.doubtful { builder.without_sums() } else { builder }
        });
        self.admit(head, at, cx);
        match plan {
            BodyPlan::None => self.end_request(Some(at), cx),
            BodyPlan::Some { framing, undecoded } => {
                if undecoded && let Some(open) = self.receiving() {
                    open.blemish(Evidence::Malformed);
                }
                self.requests.begin_body(framing, builder);
            }
            BodyPlan::Doubtful(_) | BodyPlan::Unknown => {
                self.lose_requests(Evidence::Malformed, cx);
            }
        }
    }

    /// A request joins those that wait: it is being received from now on.
    fn admit(&mut self, head: RequestHead, at: Timestamp, cx: &mut Context<'_>) {
        head.notes.anomalies.iter().for_each(|&anomaly| cx.anomalies.note(anomaly));
        self.spoke_http |= !head.doubtful_line;
        self.requests.head.clear();
        let first = self.requests.first;
        let mut open = Open::new(&self.info, at);
        open.method = head.method;
        open.asked = first;
        open.exchange.timing.request_first = Some(first.at);
        open.exchange.timing.request_head = Some(at);
        open.exchange.request = Some(Request {
            version: head.version,
            fields: head.fields,
            body: Body::default(),
            trailers: Fields::default(),
        });
        if head.notes.line_lost || head.notes.doubtful || head.doubtful_line {
            open.blemish(Evidence::Malformed);
        }
        open.shown = !head.doubtful_line || self.spoke_http;
        if std::mem::take(&mut self.head_answered) {
            open.blemish(Evidence::Malformed);
            open.response_done = true;
        } else {
            self.take_turn(&mut open, cx);
        }
        if self.waiting.len() >= cx.limits.pipelined.max(1) {
            cx.anomalies.note(Anomaly::PipelineTooDeep);
            self.abandon_oldest(Evidence::Truncated, cx);
        }
        // Most clients wait for each answer: room for one.
        if self.waiting.capacity() == 0 {
            self.waiting.reserve_exact(1);
        }
        self.waiting.push_back(open);
        self.request_waits = true;
        self.weigh_owner(Direction::ToServer, cx);
    }

    /// Settles where the response to a new request will come, if that can be known.
    fn take_turn(&mut self, open: &mut Open, cx: &mut Context<'_>) {
        let lost_before = self.turns.requests_lost();
        let responses_lost = match self.responses.state {
            State::Over => {
                // It crossed the end of the server's direction: nobody will answer it.
                open.blemish(Evidence::Reset);
                open.response_done = true;
                return;
            }
            State::Lost(cause) => Some(cause),
            State::Head | State::Body(_) | State::Trailers => None,
        };
        let in_sync = lost_before.is_none() && responses_lost.is_none();
        let outstanding = in_sync && !(self.waiting.is_empty() && self.abandoned.is_empty());
        let turn = self.turns.ask(open.asked, outstanding);
        let Some(cause) = lost_before.or(responses_lost) else { return };

        // Requests before this one may be unknown, or responses are: what waits still will not be
        // answered any more, if the client waits for its turn; and cannot be told, if it does not.
        let begins_here =
            self.responses.is_between_messages() && self.responses.next == open.asked.peer_offset;
        if turn == Turn::Clean && begins_here {
            self.give_up_waiting(cause, cx);
            return;
        }
        self.lose_responses(responses_lost.unwrap_or(cause), cx);
        if turn == Turn::Clean && self.responses.next <= open.asked.peer_offset {
            self.turns.set_anchor(open.asked);
        } else {
            open.blemish(cause);
            open.response_done = true;
        }
    }

    /// The request being received is over. `last`: when its last byte came, if that was seen.
    pub(super) fn end_request(&mut self, last: Option<Timestamp>, cx: &mut Context<'_>) {
        let (body, trailers) = self.requests.end(true, cx);
        if self.request_waits {
            self.settle_request(body, trailers, last, cx);
        }
        if std::mem::take(&mut self.requests.doubtful) {
            self.lose_requests(Evidence::Malformed, cx);
        }
    }

    /// The request being received has all of it, and leaves if it was answered already.
    fn settle_request(
        &mut self,
        body: Body,
        trailers: Fields,
        last: Option<Timestamp>,
        cx: &mut Context<'_>,
    ) {
        let Some(open) = self.waiting.back_mut() else { return };
        if !body.is_known() {
            open.blemish(Evidence::Truncated);
        }
        let holds_more = body.held_bytes() + trailers.held_bytes() > 0;
        if let Some(request) = &mut open.exchange.request {
            request.body = body;
            request.trailers = trailers;
        }
        open.exchange.timing.request_last = last;
        open.request_done = true;
        // Most requests have no body: what they weigh was counted with their heads.
        if holds_more {
            self.weigh_owner(Direction::ToServer, cx);
        }
        self.request_waits = false;
        if self.waiting.back().is_some_and(|open| open.response_done)
            && let Some(open) = self.waiting.pop_back()
        {
            self.send(open, Evidence::Complete, cx);
        }
    }

    /// No more can be told of the request being received, because of `cause`. A head of which the
    /// start line was seen counts as a request.
    pub(super) fn cut_request(&mut self, cause: Evidence, cx: &mut Context<'_>) {
        if matches!(self.requests.state, State::Head) && !self.requests.head.is_empty() {
            let bytes = self.requests.head.bytes();
            let lines = self.doubtful_lines();
            let parsed = parse_request(bytes, cx.limits.head_fields, cx.spans, lines, End::Cut);
            if let Parsed::Done { head, .. } = parsed {
                self.admit(head, self.requests.first.at, cx);
                if let Some(open) = self.receiving() {
                    open.exchange.timing.request_head = None;
                }
            }
            self.requests.head.clear();
        }
        if !self.request_waits {
            return;
        }
        self.cut_request_body(cx);
        self.request_waits = false;
        if let Some(open) = self.waiting.back_mut() {
            open.blemish(cause);
            open.request_done = true;
        }
        if self.waiting.back().is_some_and(|open| open.response_done)
            && let Some(open) = self.waiting.pop_back()
        {
            self.send(open, cause, cx);
        }
    }

    /// What came of the body of the request being received goes to its exchange; the rest of it
    /// will be counted off for nobody.
    pub(super) fn cut_request_body(&mut self, cx: &mut Context<'_>) {
        let Some(body) = self.requests.give_up_body(cx) else { return };
        if let Some(request) = self.receiving().and_then(|open| open.exchange.request.as_mut()) {
            request.body = body;
        }
        self.weigh_owner(Direction::ToServer, cx);
    }

    /// The requests' direction is lost from here.
    pub(super) fn lose_requests(&mut self, cause: Evidence, cx: &mut Context<'_>) {
        if matches!(self.requests.state, State::Over) {
            return;
        }
        self.cut_request(cause, cx);
        self.requests.end(false, cx);
        self.requests.state = State::Lost(cause);
        self.turns.lose_requests(cause);
    }

    fn bad_request(&mut self, anomaly: Anomaly, cx: &mut Context<'_>) {
        if !self.spoke_http && anomaly == Anomaly::BadRequestLine {
            return self.become_opaque(Anomaly::NotHttp, cx);
        }
        // A client may send on in the new protocol before it was told that it may.
        let switching = self
            .waiting
            .back()
            .is_some_and(|open| open.method == Method::Connect || open.asks_upgrade());
        cx.anomalies.note(if switching { Anomaly::EarlyUpgrade } else { anomaly });
        self.lose_requests(Evidence::Malformed, cx);
    }

    fn receiving(&mut self) -> Option<&mut Open> {
        if self.request_waits { self.waiting.back_mut() } else { None }
    }
}

impl Open {
    fn asks_upgrade(&self) -> bool {
        self.exchange.request.as_ref().is_some_and(|r| r.fields.get(b"upgrade").is_some())
    }
}

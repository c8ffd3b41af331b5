//! The server's direction.

use super::framing::BodyPlan;
use super::half::{FirstByte, State, Taken};
use super::head::{
    End, Method, Parsed, ResponseHead, cannot_be_response, parse_response, starts_like_status_line,
};
use super::head_buffer::Scanned;
use super::resync::{Anchored, can_answer};
use super::{Answering, Connection, Handover, Open};
use crate::body::BodyBuilder;
use crate::context::Context;
use crate::flow::Direction;
use crate::reassembly::Chunk;
use crate::{Anomaly, Body, Evidence, Fields, Response, Timestamp};

/// Interim responses noted per exchange; one with more is malformed.
const INTERIM_MAX: usize = 64;

impl Connection {
    pub(super) fn push_responses(&mut self, chunk: &Chunk<'_>, cx: &mut Context<'_>) {
        let used = self.follow_responses(chunk, cx);
        if let Some(handover) = &mut self.handover {
            handover.used = used;
        }
        let interim = match self.responses.state {
            State::Lost(_) => starts_like_status_line(chunk.bytes) && may_be_interim(chunk.bytes),
            State::Head if self.responses.head.is_empty() => self.last_was_interim,
            State::Head => may_be_interim(self.responses.head.bytes()),
            State::Body(_) | State::Trailers | State::Over => false,
        };
        if !interim {
            self.turns.hear_final(chunk);
        }
    }

    /// How many of the bytes were read.
    fn follow_responses(&mut self, chunk: &Chunk<'_>, cx: &mut Context<'_>) -> usize {
        let mut used = 0;
        while used < chunk.bytes.len() {
            let rest = &chunk.bytes[used..];
            match self.responses.state {
                State::Over => return used,
                State::Lost(cause) => {
                    if used > 0 {
                        return used;
                    }
                    match self.turns.look(chunk) {
                        Anchored::Begins { after } => used = after,
                        Anchored::Forfeit => {
                            self.give_up_waiting(cause, cx);
                            return used;
                        }
                        Anchored::NotYet if self.joins_at_response(chunk) => {}
                        Anchored::NotYet => return used,
                    }
                    self.responses.state = State::Head;
                }
                State::Head => used += self.take_response_head(chunk, used, cx),
                State::Body(_) | State::Trailers => {
                    let (taken, progress) = self.responses.take(rest, cx);
                    used += taken;
                    if let Some(open) = self.owner(Direction::ToClient) {
                        open.active = chunk.at;
                    }
                    match progress {
                        Taken::More => {}
                        Taken::Ended { line_lost } => {
                            if line_lost && let Some(open) = self.owner(Direction::ToClient) {
                                open.blemish(Evidence::Malformed);
                            }
                            self.end_response(Some(chunk.at), cx);
                        }
                        Taken::Broken(anomaly) => {
                            cx.anomalies.note(anomaly);
                            self.lose_responses(Evidence::Malformed, cx);
                        }
                    }
                }
            }
        }
        used
    }

    /// Whether the capture joined right before a response: its request is not known, but it can be
    /// read.
    fn joins_at_response(&self, chunk: &Chunk<'_>) -> bool {
        chunk.offset == 0
            && self.turns.requests_lost() == Some(Evidence::LateJoin)
            && self.waiting.is_empty()
            && starts_like_status_line(chunk.bytes)
    }

    /// Takes bytes of a head that begins in or before `chunk.bytes[at..]`: how many.
    fn take_response_head(&mut self, chunk: &Chunk<'_>, at: usize, cx: &mut Context<'_>) -> usize {
        let rest = &chunk.bytes[at..];
        let max_fields = cx.limits.head_fields;
        if self.responses.head.is_empty() {
            if matches!(rest[0], b'\r' | b'\n') {
                if rest[0] == b'\n' {
                    cx.anomalies.note(Anomaly::LeadingEmptyLine);
                }
                return 1;
            }
            self.responses.first = FirstByte::in_chunk(chunk, chunk.offset + at as u64);
            match parse_response(rest, max_fields, cx.spans, End::Awaited) {
                Parsed::Done { used, head } if used <= cx.limits.head_bytes => {
                    self.begin_response(head, chunk.at, cx);
                    return used;
                }
                Parsed::Bad(anomaly @ Anomaly::BadStatusLine) => {
                    self.bad_response(anomaly, cx);
                    return rest.len();
                }
                Parsed::Need | Parsed::Done { .. } | Parsed::Bad(_) => {}
            }
        }
        match self.responses.head.push(rest, cx.limits.head_bytes) {
            Scanned::Need { telling } => {
                if telling && cannot_be_response(self.responses.head.bytes()) {
                    self.bad_response(Anomaly::BadStatusLine, cx);
                }
                rest.len()
            }
            Scanned::TooLarge => {
                self.bad_response(Anomaly::HeadTooLarge, cx);
                rest.len()
            }
            Scanned::Whole { used } => {
                let bytes = self.responses.head.bytes();
                match parse_response(bytes, max_fields, cx.spans, End::Here) {
                    Parsed::Done { head, .. } => {
                        self.begin_response(head, chunk.at, cx);
                        used
                    }
                    Parsed::Bad(anomaly) => {
                        self.bad_response(anomaly, cx);
                        rest.len()
                    }
                    // The buffer found the empty line; reading finds it too.
                    Parsed::Need => {
                        self.bad_response(Anomaly::BadStatusLine, cx);
                        rest.len()
                    }
                }
            }
        }
    }

    /// A response's head is whole.
    fn begin_response(&mut self, head: ResponseHead, at: Timestamp, cx: &mut Context<'_>) {
        head.notes.anomalies.iter().for_each(|&anomaly| cx.anomalies.note(anomaly));
        self.spoke_http = true;
        self.responses.head.clear();
        // RFC 9110 §15.2: any number of 1xx may come before the final response. 101 is the last
        // that is said in HTTP.
        self.last_was_interim = matches!(head.status, 100..=199) && head.status != 101;
        if self.last_was_interim {
            return self.note_interim(head.status, at, cx);
        }
        let method = self.find_owner(at, cx);
        let plan = BodyPlan::of_response(&head, method, cx.anomalies);
        let doubtful = head.notes.doubtful;
        self.responses.doubtful = doubtful;
        let builder = match &plan {
            BodyPlan::Some { framing, .. } if self.answering != Answering::Nobody => {
                let builder = BodyBuilder::new(framing.announced(), &head.fields, cx.limits);
                Some(if doubtful { builder.without_sums() } else { builder })
            }
            _ => None,
        };
        let upgrade = upgrade_of(&head, method);
        if upgrade.as_deref().is_some_and(|name| name.eq_ignore_ascii_case("h2c"))
            && self.answering != Answering::Nobody
        {
            return self.hand_over(upgrade, cx);
        }
        let switches = upgrade.is_some();
        let line_lost = head.notes.line_lost;
        let first = self.responses.first;
        if let Some(open) = self.owner(Direction::ToClient) {
            open.active = at;
            open.exchange.timing.response_first = Some(first.at);
            open.exchange.timing.response_head = Some(at);
            open.exchange.upgrade = upgrade;
            open.exchange.response = Some(response_of(head));
            if line_lost || doubtful {
                open.blemish(Evidence::Malformed);
            }
        }
        self.weigh_owner(Direction::ToClient, cx);
        match plan {
            BodyPlan::None => {
                self.end_response(Some(at), cx);
                if switches {
                    self.become_opaque(Anomaly::Upgraded, cx);
                }
            }
            BodyPlan::Some { framing, undecoded } => {
                if undecoded && let Some(open) = self.owner(Direction::ToClient) {
                    open.blemish(Evidence::Malformed);
                }
                self.responses.begin_body(framing, builder);
            }
            BodyPlan::Doubtful(_) | BodyPlan::Unknown => {
                self.lose_responses(Evidence::Malformed, cx);
            }
        }
    }

    /// RFC 7540 §3.2: after a 101 to `Upgrade: h2c` the request is stream 1 of HTTP/2, and its
    /// response comes there.
    fn hand_over(&mut self, upgrade: Option<Box<str>>, cx: &mut Context<'_>) {
        self.responses.end(true, cx);
        let open = match std::mem::replace(&mut self.answering, Answering::Nobody) {
            Answering::Front => self.waiting.pop_front(),
            Answering::Stray => self.stray.take(),
            Answering::Nobody => None,
        };
        if let Some(mut open) = open {
            open.exchange.interim.push(101);
            open.exchange.upgrade = upgrade;
            if !open.request_done {
                open.blemish(Evidence::Malformed);
            }
            open.exchange.evidence = open.blemish.unwrap_or(Evidence::Complete);
            // What it holds is the next protocol's to count.
            self.weight = self.weight.saturating_sub(open.weight);
            *cx.body_bytes = cx.body_bytes.saturating_sub(open.body_weight);
            self.handover = Some(Box::new(Handover { exchange: open.exchange, used: 0 }));
        }
        self.end_all(Evidence::Malformed, cx);
    }

    fn note_interim(&mut self, status: u16, at: Timestamp, cx: &mut Context<'_>) {
        let first = self.responses.first;
        if self.abandoned.is_empty()
            && let Some(open) = self.waiting.front_mut()
            && can_answer(open.asked, first)
        {
            open.active = at;
            if open.exchange.interim.len() < INTERIM_MAX {
                open.exchange.interim.push(status);
            } else {
                open.blemish(Evidence::Malformed);
            }
            self.weight = self.weight.wrapping_add_signed(open.weigh(cx));
        }
    }

    /// Settles whom the response that begins belongs to; returns the method it answers.
    fn find_owner(&mut self, at: Timestamp, cx: &mut Context<'_>) -> Method {
        let first = self.responses.first;
        self.answering = Answering::Nobody;
        if let Some(owed) = self.abandoned.front() {
            if can_answer(owed.asked, first) {
                cx.anomalies.note(Anomaly::LateResponse);
                return self.abandoned.pop_front().map_or(Method::Other, |owed| owed.method);
            }
        } else if let Some(open) = self.waiting.front()
            && !open.response_done
            && can_answer(open.asked, first)
        {
            self.answering = Answering::Front;
            return open.method;
        }
        if let Some(cause) = self.turns.requests_lost() {
            let mut open = Open::new(&self.info, at);
            open.request_done = true;
            open.blemish(cause);
            self.stray = Some(open);
            self.answering = Answering::Stray;
            return Method::Other;
        }
        cx.anomalies.note(Anomaly::UnexpectedResponse);
        // An answer to the head that is still coming in: 400, 408, 431.
        self.head_answered |=
            !self.requests.head.is_empty() && first.peer_offset > self.requests.first.offset;
        Method::Other
    }

    /// The response in progress is over. `last`: when its last byte came, if that was seen.
    pub(super) fn end_response(&mut self, last: Option<Timestamp>, cx: &mut Context<'_>) {
        let (body, trailers) = self.responses.end(true, cx);
        if let Some(open) = self.owner(Direction::ToClient) {
            if !body.is_known() {
                open.blemish(Evidence::Truncated);
            }
            if let Some(response) = &mut open.exchange.response {
                response.body = body;
                response.trailers = trailers;
            }
            open.exchange.timing.response_last = last;
        }
        self.weigh_owner(Direction::ToClient, cx);
        self.settle_response(Evidence::Complete, cx);
        if std::mem::take(&mut self.responses.doubtful) {
            self.lose_responses(Evidence::Malformed, cx);
        }
    }

    /// The exchange of the response in progress has all of it that it will get, and leaves unless
    /// its request is still coming in.
    fn settle_response(&mut self, label: Evidence, cx: &mut Context<'_>) {
        match std::mem::replace(&mut self.answering, Answering::Nobody) {
            Answering::Front => {
                if let Some(open) = self.waiting.front_mut() {
                    open.response_done = true;
                }
                if self.waiting.front().is_some_and(|open| open.is_done())
                    && let Some(open) = self.waiting.pop_front()
                {
                    self.send(open, label, cx);
                }
            }
            Answering::Stray => {
                if let Some(open) = self.stray.take() {
                    self.send(open, label, cx);
                }
            }
            Answering::Nobody => {}
        }
    }

    /// No more can be told of the response in progress, because of `cause`. A head of which the
    /// status line was seen counts as a response.
    pub(super) fn cut_response(&mut self, cause: Evidence, cx: &mut Context<'_>) {
        if matches!(self.responses.state, State::Head) && !self.responses.head.is_empty() {
            let bytes = self.responses.head.bytes();
            let parsed = parse_response(bytes, cx.limits.head_fields, cx.spans, End::Cut);
            self.responses.head.clear();
            if let Parsed::Done { head, .. } = parsed
                && !matches!(head.status, 100..=199)
            {
                let at = self.responses.first.at;
                self.find_owner(at, cx);
                if let Some(open) = self.owner(Direction::ToClient) {
                    open.exchange.timing.response_first = Some(at);
                    open.exchange.response = Some(response_of(head));
                }
            }
        }
        self.cut_response_body(cx);
        self.weigh_owner(Direction::ToClient, cx);
        if let Some(open) = self.owner(Direction::ToClient) {
            open.blemish(cause);
        }
        self.settle_response(cause, cx);
    }

    /// What came of the body of the response in progress goes to its exchange; the rest of it will
    /// be counted off for nobody.
    pub(super) fn cut_response_body(&mut self, cx: &mut Context<'_>) {
        let Some(body) = self.responses.give_up_body(cx) else { return };
        let owner = self.owner(Direction::ToClient);
        if let Some(response) = owner.and_then(|open| open.exchange.response.as_mut()) {
            response.body = body;
        }
        self.weigh_owner(Direction::ToClient, cx);
    }

    /// The responses' direction is lost from here.
    pub(super) fn lose_responses(&mut self, cause: Evidence, cx: &mut Context<'_>) {
        if matches!(self.responses.state, State::Over) {
            return;
        }
        self.cut_response(cause, cx);
        self.responses.end(false, cx);
        self.responses.state = State::Lost(cause);
        self.turns.lose_responses();
        self.give_up_waiting(cause, cx);
    }

    fn bad_response(&mut self, anomaly: Anomaly, cx: &mut Context<'_>) {
        if !self.spoke_http && anomaly == Anomaly::BadStatusLine {
            return self.become_opaque(Anomaly::NotHttp, cx);
        }
        cx.anomalies.note(anomaly);
        self.lose_responses(Evidence::Malformed, cx);
    }
}

/// Whether a head that begins with `bytes` may be that of a 1xx: `HTTP/1.1 1`.
fn may_be_interim(bytes: &[u8]) -> bool {
    matches!(bytes.get(9), None | Some(b'1'))
}

fn response_of(head: ResponseHead) -> Response {
    Response {
        version: head.version,
        status: head.status,
        fields: head.fields,
        body: Body::default(),
        trailers: Fields::default(),
    }
}

/// The protocol that the connection goes on in after this response.
///
/// RFC 9110 §15.2.2: a 101 names it in its Upgrade field. §9.3.6: after a 2xx to CONNECT the
/// connection is a tunnel.
fn upgrade_of(head: &ResponseHead, method: Method) -> Option<Box<str>> {
    if head.status == 101 {
        let name = head.fields.get(b"upgrade").unwrap_or_default();
        Some(String::from_utf8_lossy(name).into())
    } else if method == Method::Connect && matches!(head.status, 200..=299) {
        Some("CONNECT".into())
    } else {
        None
    }
}

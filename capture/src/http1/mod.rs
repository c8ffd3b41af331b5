//! HTTP/1.x on one connection (RFC 9112): in-order bytes and Gaps become [`Exchange`]s.
//!
//! Owns what happens between the two directions: requests waiting for responses, interim responses
//! and upgrades, and how an exchange ends when the connection does. Refuses to read a clock, to
//! guess inside a body, and to give a response to a request it may not belong to: [`resync`] has
//! the rule and its proof.
//!
//! | file | owns |
//! |---|---|
//! | `start_line` | request lines and status lines |
//! | `head` | field lines, trailers, what they say of the body |
//! | `head_buffer` | where a head ends that comes in pieces |
//! | `framing` | where a body ends, the chunked coding |
//! | `half` | one direction: where in its message it is |
//! | `requests`, `responses` | what each direction's messages do to the connection |
//! | `resync` | what acknowledgements tell after a loss |
//! | `words`, `notes` | where a byte is in a short text; what a head says against itself |
//!
//! Invariants:
//! - An exchange leaves once: when both its messages are whole, or when no more can come of it.
//! - `Complete` needs every byte of both; the first thing that speaks against it is the label.
//! - Requests wait in the order in which they were sent. Only the last may be unfinished.
//! - Memory is bounded by `Limits`: a head per direction, `pipelined` waiting requests and as many
//!   given up, and bodies under their own budget. [`Connection::finish`] gives that budget back, so
//!   a connection is always finished, never just dropped.

mod framing;
mod half;
mod head;
mod head_buffer;
mod notes;
mod requests;
mod responses;
mod resync;
mod start_line;
mod words;

use std::collections::VecDeque;

use half::{FirstByte, Half, Missed, State};
use head::Method;
use resync::Turns;

use crate::context::Context;
use crate::flow::{Direction, FlowInfo};
use crate::reassembly::{Chunk, Extent, Gap, GapCause};
use crate::{Anomaly, Evidence, Exchange, Limits, Protocol, Timestamp, Timing};

/// One connection: both directions, and the requests that wait for responses.
#[derive(Debug)]
pub(crate) struct Connection {
    info: FlowInfo,
    requests: Half,
    responses: Half,
    /// Requests in the order sent; responses come in the same order.
    waiting: VecDeque<Open>,
    /// Sum of what the exchanges in `waiting` and `stray` weigh.
    weight: usize,
    /// Requests that were given up, older than any that waits: their responses come first.
    abandoned: VecDeque<Owed>,
    /// The request that is being received is the last of `waiting`; otherwise it was given up.
    request_waits: bool,
    /// Whom the response in progress belongs to.
    answering: Answering,
    /// A response in progress whose request was not seen.
    stray: Option<Open>,
    /// The head being received was answered before it was whole.
    head_answered: bool,
    /// The last response was a 1xx: a final one is still to come.
    last_was_interim: bool,
    turns: Turns,
    /// A whole start line was seen.
    spoke_http: bool,
    client_closed: bool,
    /// The connection goes on in HTTP/2.
    handover: Option<Box<Handover>>,
}

/// What the next protocol of a connection takes over.
#[derive(Debug)]
pub(crate) struct Handover {
    /// The exchange that the next protocol answers.
    pub(crate) exchange: Box<Exchange>,
    /// How many bytes of the chunk were still HTTP/1.
    pub(crate) used: usize,
}

/// An exchange that has not left yet.
#[derive(Debug)]
struct Open {
    exchange: Box<Exchange>,
    method: Method,
    asked: FirstByte,
    /// Nothing more of the request will come.
    request_done: bool,
    /// Nothing more of the response will come.
    response_done: bool,
    /// It is known to be a request; otherwise only a response shows it.
    shown: bool,
    /// The first thing that speaks against `Complete`.
    blemish: Option<Evidence>,
    /// When its last byte came.
    active: Timestamp,
    /// Bytes of heads and trailers counted for it in [`Connection::weight`].
    weight: usize,
    /// Bytes of finished bodies counted for it in [`Context::body_bytes`].
    body_weight: usize,
}

/// What is left of a request that was given up.
#[derive(Debug)]
struct Owed {
    method: Method,
    asked: FirstByte,
}

/// Whom a response belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answering {
    /// The first that waits.
    Front,
    /// A request that was not seen.
    Stray,
    /// A request that was given up, or none.
    Nobody,
}

impl Open {
    fn new(info: &FlowInfo, at: Timestamp) -> Self {
        let exchange = Box::new(Exchange {
            origin: info.origin,
            client: info.client,
            server: info.server,
            protocol: Protocol::Http1,
            stream_id: None,
            request: None,
            response: None,
            interim: Vec::new(),
            upgrade: None,
            timing: Timing::default(),
            evidence: Evidence::Complete,
        });
        Self {
            exchange,
            method: Method::Other,
            asked: FirstByte::default(),
            request_done: false,
            response_done: false,
            shown: true,
            blemish: None,
            active: at,
            weight: 0,
            body_weight: 0,
        }
    }

    fn blemish(&mut self, cause: Evidence) {
        self.blemish.get_or_insert(cause);
    }

    fn is_done(&self) -> bool {
        self.request_done && self.response_done
    }

    /// Counts what it holds now; returns how much more than before that is, bodies left out.
    fn weigh(&mut self, cx: &mut Context<'_>) -> isize {
        let bodies = self.exchange.body_bytes();
        *cx.body_bytes = (*cx.body_bytes + bodies).saturating_sub(self.body_weight);
        self.body_weight = bodies;
        let heads = size_of::<Self>() + self.exchange.head_bytes();
        let more = heads as isize - self.weight as isize;
        self.weight = heads;
        more
    }

    /// Sends it off, with its own blemish or else with `label`; what never was shown to be a
    /// request is none.
    fn leave(mut self, label: Evidence, cx: &mut Context<'_>) {
        *cx.body_bytes = cx.body_bytes.saturating_sub(self.body_weight);
        if !self.shown && self.exchange.response.is_none() {
            return;
        }
        self.exchange.evidence = self.blemish.unwrap_or(label);
        cx.out.push_back(self.exchange);
    }
}

impl Connection {
    /// A connection of which nothing was seen yet.
    pub(crate) fn new(info: FlowInfo) -> Self {
        let start = || {
            let lost = State::Lost(Evidence::LateJoin);
            Half::new(if info.late_join { lost } else { State::Head })
        };
        Self {
            info,
            requests: start(),
            responses: start(),
            waiting: VecDeque::new(),
            weight: 0,
            abandoned: VecDeque::new(),
            request_waits: false,
            answering: Answering::Nobody,
            stray: None,
            head_answered: false,
            last_was_interim: false,
            turns: if info.late_join { Turns::late_join() } else { Turns::default() },
            spoke_http: false,
            client_closed: false,
            handover: None,
        }
    }

    /// Takes the next bytes of a direction. Where it returns a [`Handover`] nothing more of the
    /// connection is HTTP/1.
    pub(crate) fn push(
        &mut self,
        direction: Direction,
        chunk: Chunk<'_>,
        cx: &mut Context<'_>,
    ) -> Option<Box<Handover>> {
        match direction {
            Direction::ToServer => self.push_requests(&chunk, cx),
            Direction::ToClient => self.push_responses(&chunk, cx),
        }
        let half = self.half_mut(direction);
        half.next = chunk.offset + chunk.bytes.len() as u64;
        half.last_at = chunk.at;
        self.handover.take()
    }

    /// Whether anything of HTTP/1 was seen on it.
    pub(crate) fn has_spoken(&self) -> bool {
        self.spoke_http
    }

    /// Bytes of memory held, bodies left out: they have a budget of their own.
    pub(crate) fn held_bytes(&self) -> usize {
        size_of::<Self>()
            + self.requests.head.held_bytes()
            + self.responses.head.held_bytes()
            + self.waiting.capacity() * size_of::<Open>()
            + self.abandoned.capacity() * size_of::<Owed>()
            + self.weight
    }

    /// The same, counted anew.
    #[cfg(test)]
    pub(crate) fn held_bytes_recounted(&self) -> usize {
        let weigh = |open: &Open| size_of::<Open>() + open.exchange.head_bytes();
        let waiting: usize = self.waiting.iter().map(weigh).sum();
        let stray = self.stray.as_ref().map_or(0, weigh);
        self.held_bytes() - self.weight + waiting + stray
    }

    /// Counts what the exchange of the message in progress holds now.
    fn weigh_owner(&mut self, direction: Direction, cx: &mut Context<'_>) {
        let more = self.owner(direction).map_or(0, |open| open.weigh(cx));
        self.weight = self.weight.wrapping_add_signed(more);
    }

    /// Sends an exchange off that was counted.
    fn send(&mut self, open: Open, label: Evidence, cx: &mut Context<'_>) {
        self.weight = self.weight.saturating_sub(open.weight);
        open.leave(label, cx);
    }

    /// The next bytes of a direction will never come.
    pub(crate) fn gap(&mut self, direction: Direction, gap: Gap, cx: &mut Context<'_>) {
        let cause = match gap.cause {
            GapCause::Missing => Evidence::Gap,
            GapCause::SnapLen => Evidence::Truncated,
        };
        let end = gap.offset + gap.len;
        let missed = match gap.extent {
            Extent::Exact => self.half_mut(direction).miss(gap.len),
            Extent::Estimated => Missed::Lost,
        };
        match missed {
            missed @ (Missed::Inside | Missed::Ended { .. }) => {
                if let Some(open) = self.owner(direction) {
                    open.blemish(cause);
                }
                if let Missed::Ended { beyond } = missed {
                    match direction {
                        Direction::ToServer => self.end_request(None, cx),
                        Direction::ToClient => self.end_response(None, cx),
                    }
                    if beyond > 0 {
                        self.lose(direction, cause, cx);
                    }
                }
            }
            Missed::Lost => self.lose(direction, cause, cx),
        }
        if direction == Direction::ToClient && self.turns.miss_responses(end) {
            self.give_up_waiting(cause, cx);
        }
        self.half_mut(direction).next = end;
    }

    /// A direction has ended; all its bytes were given.
    pub(crate) fn fin(&mut self, direction: Direction, _at: Timestamp, cx: &mut Context<'_>) {
        match direction {
            Direction::ToServer => {
                // Half closed: the response may still come.
                self.client_closed = true;
                self.cut_request(Evidence::ProxyAborted, cx);
                self.requests.state = State::Over;
            }
            Direction::ToClient => {
                if matches!(self.responses.state, State::Body(framing::Framing::UntilClose)) {
                    self.end_response(Some(self.responses.last_at), cx);
                }
                self.end_responses(self.broken_off(Direction::ToClient), cx);
            }
        }
    }

    /// A direction was reset by the side that sends in it: nothing more comes in either.
    pub(crate) fn reset(&mut self, from: Direction, _at: Timestamp, cx: &mut Context<'_>) {
        let label = self.broken_off(from);
        self.end_all(label, cx);
    }

    /// Gives up what has waited too long by `now`.
    pub(crate) fn expire(&mut self, now: Timestamp, cx: &mut Context<'_>) {
        let timeout = cx.limits.response_timeout;
        let label = if self.client_closed { Evidence::ProxyAborted } else { Evidence::TimedOut };
        while self.waiting.front().is_some_and(|open| open.active + timeout <= now) {
            self.abandon_oldest(label, cx);
        }
        if self.stray.as_ref().is_some_and(|open| open.active + timeout <= now) {
            self.cut_response(label, cx);
        }
    }

    /// When [`Connection::expire`] has something to do, at the earliest.
    pub(crate) fn deadline(&self, limits: &Limits) -> Option<Timestamp> {
        let waiting = self.waiting.front().map(|open| open.active);
        let stray = self.stray.as_ref().map(|open| open.active);
        waiting.into_iter().chain(stray).min().map(|active| active + limits.response_timeout)
    }

    /// The capture has ended, or nobody remembers the connection any longer.
    pub(crate) fn finish(&mut self, cx: &mut Context<'_>) {
        self.end_all(Evidence::Truncated, cx);
    }

    fn half_mut(&mut self, direction: Direction) -> &mut Half {
        match direction {
            Direction::ToServer => &mut self.requests,
            Direction::ToClient => &mut self.responses,
        }
    }

    /// The exchange that the message in progress belongs to.
    fn owner(&mut self, direction: Direction) -> Option<&mut Open> {
        match (direction, self.answering) {
            (Direction::ToServer, _) if self.request_waits => self.waiting.back_mut(),
            (Direction::ToClient, Answering::Front) => self.waiting.front_mut(),
            (Direction::ToClient, Answering::Stray) => self.stray.as_mut(),
            _ => None,
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

    fn lose(&mut self, direction: Direction, cause: Evidence, cx: &mut Context<'_>) {
        match direction {
            Direction::ToServer => self.lose_requests(cause, cx),
            // Lost already: who waits for an answer behind these bytes goes on waiting.
            Direction::ToClient if matches!(self.responses.state, State::Lost(_)) => {}
            Direction::ToClient => self.lose_responses(cause, cx),
        }
    }

    /// The oldest waiting request leaves; its response will come to nobody.
    fn abandon_oldest(&mut self, label: Evidence, cx: &mut Context<'_>) {
        if self.waiting.len() == 1 && self.request_waits {
            self.cut_request_body(cx);
            self.request_waits = false;
        }
        if self.answering == Answering::Front {
            self.cut_response_body(cx);
            self.answering = Answering::Nobody;
        } else if let Some(open) = self.waiting.front()
            && !open.response_done
        {
            self.abandoned.push_back(Owed { method: open.method, asked: open.asked });
        }
        if let Some(open) = self.waiting.pop_front() {
            self.send(open, label, cx);
        }
        if self.abandoned.len() > cx.limits.pipelined {
            self.lose_responses(Evidence::Truncated, cx);
        }
    }

    /// Whoever waits will get no response that could be shown to be theirs. A request still being
    /// received leaves when it is whole.
    fn give_up_waiting(&mut self, cause: Evidence, cx: &mut Context<'_>) {
        for open in &mut self.waiting {
            open.blemish(cause);
            open.response_done = true;
        }
        self.abandoned.clear();
        while self.waiting.front().is_some_and(|open| open.is_done()) {
            if let Some(open) = self.waiting.pop_front() {
                self.send(open, cause, cx);
            }
        }
    }

    /// The server's side is over: everything that waits leaves.
    fn end_responses(&mut self, label: Evidence, cx: &mut Context<'_>) {
        self.cut_response(label, cx);
        self.responses.state = State::Over;
        self.abandoned.clear();
        if self.request_waits {
            self.cut_request_body(cx);
            self.request_waits = false;
        }
        while let Some(open) = self.waiting.pop_front() {
            self.send(open, label, cx);
        }
    }

    fn end_all(&mut self, label: Evidence, cx: &mut Context<'_>) {
        self.cut_request(label, cx);
        self.end_responses(label, cx);
        // A body that belongs to nobody has no builder, but a given-up one may not be over.
        self.requests.end(false, cx);
        self.requests.state = State::Over;
    }

    /// The connection goes on in another protocol, or never spoke this one.
    fn become_opaque(&mut self, anomaly: Anomaly, cx: &mut Context<'_>) {
        cx.anomalies.note(anomaly);
        self.end_all(Evidence::Malformed, cx);
    }
}

#[cfg(test)]
mod tests;

//! Streams: exchanges that have not left yet, by their identifier.
//!
//! Invariants:
//! - What is held counts as it changes: nothing walks over all streams to know it.
//! - A stream's bodies are finished when it leaves, so their budget is given back.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::body::BodyBuilder;
use crate::context::Context;
use crate::flow::{Direction, FlowInfo};
use crate::{Body, Evidence, Exchange, Protocol, Timestamp, Timing};

/// Streams that left lately and are still known by their identifiers.
const CLOSED_MAX: usize = 256;

/// An exchange that has not left yet.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) exchange: Box<Exchange>,
    pub(super) request: Side,
    pub(super) response: Side,
    pub(super) is_connect: bool,
    /// What an extended CONNECT asked for.
    pub(super) protocol: Option<Box<str>>,
    /// The first thing that speaks against `Complete`.
    blemish: Option<Evidence>,
    /// When its last byte came.
    pub(super) active: Timestamp,
    /// `Half::losses` of the responses when it was opened.
    pub(super) losses: u64,
    /// Bytes counted for it in [`Streams::held`].
    charged: usize,
}

/// One of its messages.
#[derive(Debug, Default)]
pub(super) struct Side {
    pub(super) phase: Phase,
    /// Takes the body; `None` where there is none, or it belongs to nobody.
    pub(super) body: Option<BodyBuilder>,
    /// What Content-Length said of the DATA to come.
    pub(super) announced: Option<u64>,
}

/// How far a message is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its head is to come.
    #[default]
    Head,
    /// Its head came.
    Body,
    /// Nothing more of it will come.
    Done,
}

impl Stream {
    /// A stream that `exchange` belongs to, of which nothing was seen yet.
    pub(super) fn new(exchange: Box<Exchange>, at: Timestamp, losses: u64) -> Self {
        Self {
            exchange,
            request: Side::default(),
            response: Side::default(),
            is_connect: false,
            protocol: None,
            blemish: None,
            active: at,
            losses,
            charged: 0,
        }
    }

    pub(super) fn blemish(&mut self, cause: Evidence) {
        self.blemish.get_or_insert(cause);
    }

    pub(super) fn is_done(&self) -> bool {
        self.request.phase == Phase::Done && self.response.phase == Phase::Done
    }

    pub(super) fn side_mut(&mut self, direction: Direction) -> &mut Side {
        match direction {
            Direction::ToServer => &mut self.request,
            Direction::ToClient => &mut self.response,
        }
    }

    /// Nothing more comes of a message. `whole`: it came to its end.
    pub(super) fn end(&mut self, direction: Direction, whole: bool, cx: &mut Context<'_>) {
        let side = self.side_mut(direction);
        side.phase = Phase::Done;
        let body = match side.body.take() {
            Some(body) => body.finish(whole, cx),
            None => Body::none(cx.limits),
        };
        match direction {
            Direction::ToServer => {
                if let Some(request) = &mut self.exchange.request {
                    request.body = body;
                }
            }
            Direction::ToClient => {
                if let Some(response) = &mut self.exchange.response {
                    response.body = body;
                }
            }
        }
    }

    /// Sends it off, with its own blemish or else with `label`. An exchange of which neither
    /// message could be told does not leave.
    pub(super) fn leave(mut self, label: Evidence, cx: &mut Context<'_>) {
        for direction in Direction::BOTH {
            if self.side_mut(direction).phase != Phase::Done {
                self.end(direction, false, cx);
            }
        }
        self.exchange.evidence = self.blemish.unwrap_or(label);
        if self.exchange.request.is_some() || self.exchange.response.is_some() {
            cx.out.push_back(self.exchange);
        }
    }
}

/// An exchange of which nothing was seen yet.
pub(super) fn blank_exchange(info: &FlowInfo, stream: u32) -> Box<Exchange> {
    Box::new(Exchange {
        origin: info.origin,
        client: info.client,
        server: info.server,
        protocol: Protocol::Http2,
        stream_id: Some(stream),
        request: None,
        response: None,
        interim: Vec::new(),
        upgrade: None,
        timing: Timing::default(),
        evidence: Evidence::Complete,
    })
}

/// All open streams of a connection.
#[derive(Debug, Default)]
pub(super) struct Streams {
    /// A client opens them in ascending order (RFC 9113 §5.1.1): the first is the oldest.
    open: BTreeMap<u32, Box<Stream>>,
    held: usize,
    /// No open stream was active before this.
    earliest: Option<Timestamp>,
    /// Identifiers of streams that left.
    closed: VecDeque<u32>,
}

impl Streams {
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    pub(super) fn get_mut(&mut self, id: u32) -> Option<&mut Stream> {
        self.open.get_mut(&id).map(Box::as_mut)
    }

    pub(super) fn insert(&mut self, id: u32, stream: Stream) {
        self.earliest = Some(self.earliest.map_or(stream.active, |e| e.min(stream.active)));
        self.open.insert(id, Box::new(stream));
        self.recharge(id);
    }

    pub(super) fn remove(&mut self, id: u32) -> Option<Stream> {
        let stream = self.open.remove(&id)?;
        self.held -= stream.charged;
        if self.open.is_empty() {
            self.earliest = None;
        }
        if self.closed.len() >= CLOSED_MAX {
            self.closed.pop_front();
        }
        self.closed.push_back(id);
        Some(*stream)
    }

    /// Whether `id` is one of those that left lately.
    pub(super) fn has_left(&self, id: u32) -> bool {
        self.closed.contains(&id)
    }

    pub(super) fn oldest(&self) -> Option<u32> {
        self.open.first_key_value().map(|(&id, _)| id)
    }

    /// Those after `id`.
    pub(super) fn after(&self, id: u32) -> Vec<u32> {
        self.open.range(id.saturating_add(1)..).map(|(&id, _)| id).collect()
    }

    /// Those whose message in `direction` is in its body.
    pub(super) fn in_body(&mut self, direction: Direction) -> Vec<u32> {
        let in_body = |stream: &mut Box<Stream>| stream.side_mut(direction).phase == Phase::Body;
        self.open.iter_mut().filter_map(|(&id, stream)| in_body(stream).then_some(id)).collect()
    }

    /// Those whose last byte came `timeout` or longer before `now`.
    pub(super) fn idle(&mut self, now: Timestamp, timeout: Duration) -> Vec<u32> {
        if self.earliest.is_none_or(|earliest| earliest + timeout > now) {
            return Vec::new();
        }
        let is_idle = |stream: &Stream| stream.active + timeout <= now;
        let idle = self.open.iter().filter(|(_, s)| is_idle(s)).map(|(&id, _)| id).collect();
        let others = self.open.values().filter(|s| !is_idle(s));
        // Activity only moves on: a bound until the next time it is asked for.
        self.earliest = others.map(|s| s.active).min();
        idle
    }

    /// No open stream was active before this.
    pub(super) fn earliest(&self) -> Option<Timestamp> {
        self.earliest
    }

    /// Counts what a stream holds now.
    pub(super) fn recharge(&mut self, id: u32) {
        if let Some(stream) = self.open.get_mut(&id) {
            let now = size_of::<Stream>() + stream.exchange.head_bytes();
            self.held = self.held + now - stream.charged;
            stream.charged = now;
        }
    }

    /// Bytes of memory held, bodies left out.
    pub(super) fn held_bytes(&self) -> usize {
        self.held + self.closed.capacity() * size_of::<u32>()
    }
}

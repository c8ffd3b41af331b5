//! All connections: segments in, exchanges out.
//!
//! Joins the rooms after link: the flow table finds a segment's connection, reassembly puts its
//! bytes in order, session reads them. Owns which side of a connection is the server, when a flow
//! begins and ends, and the memory that connections may hold together.
//!
//! Invariants:
//! - A flow begins with a SYN or with payload: a lone acknowledgement or a late RST opens none.
//! - Every flow that leaves (closed, superseded, idle, evicted, end of capture) gives what it
//!   holds first, so every exchange that began leaves exactly once.
//! - What flows hold is counted after every segment; above the cap the flow idle the longest goes.
//! - A flow whose bytes wait for a TLS key stays until they are read or given up, also when its
//!   connection has been closed meanwhile: key logs are written late.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use crate::context::Context;
use crate::counters::{Counters, Unread};
use crate::flow::{Direction, FlowId, FlowInfo, FlowKey, FlowTable};
use crate::keylog::KeyLog;
use crate::link::Segment;
use crate::message::FieldSpans;
use crate::reassembly::{Caps, Chunk, Conversation, Course, Gap, Sink};
use crate::session::Session;
use crate::{Anomaly, Exchange, Limits, Origin, Target, Timestamp};

/// All connections, and what they share.
pub(crate) struct Connections {
    limits: Limits,
    /// By port; within a port in the order configured.
    targets: Vec<Target>,
    flows: FlowTable<Flow>,
    keys: KeyLog,
    /// For the heads of all of them.
    spans: FieldSpans,
    /// Flows whose bytes wait for a key.
    waiting: BTreeSet<FlowId>,
    held: Held,
    latest: Timestamp,
}

/// Memory held over all flows.
#[derive(Default)]
struct Held {
    /// Cost of out-of-order bytes.
    early: usize,
    /// Bytes in unfinished bodies.
    bodies: usize,
    /// Bytes of connection state.
    state: usize,
}

struct Flow {
    info: FlowInfo,
    conversation: Conversation,
    /// `None` once the connection is closed: the flow lingers for its retransmissions.
    session: Option<Session>,
    /// The connection has ended, though the session still waits for a key.
    closed: bool,
    /// Bytes counted for it in [`Held::state`].
    charged: usize,
    /// Who serves was told by the ports alone.
    guessed: bool,
    /// When the last packet came; once closed, when that was.
    last_seen: Timestamp,
}

/// Where exchanges go, and what counts.
pub(crate) struct Outlet<'a> {
    pub(crate) counters: &'a mut Counters,
    pub(crate) out: &'a mut VecDeque<Box<Exchange>>,
}

impl Connections {
    /// Those of `targets`, or all where there are none.
    pub(crate) fn new(limits: Limits, mut targets: Vec<Target>) -> Self {
        // Stable: where two patterns match an address they have the same port, and the first wins.
        targets.sort_by_key(|target| target.address.port);
        Self {
            limits,
            targets,
            flows: FlowTable::new(),
            keys: KeyLog::default(),
            spans: FieldSpans::default(),
            waiting: BTreeSet::new(),
            held: Held::default(),
            latest: Timestamp::ZERO,
        }
    }

    /// The caps that hold here.
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Flows remembered now.
    #[cfg(test)]
    pub(crate) fn open_flows(&self) -> usize {
        self.flows.len()
    }

    /// Early bytes, bodies, state and flows held now.
    #[cfg(test)]
    pub(crate) fn held(&self) -> (usize, usize, usize, usize) {
        (self.held.early, self.held.bodies, self.held.state, self.flows.len())
    }

    /// What is counted for connection state, counted anew.
    #[cfg(test)]
    pub(crate) fn state_recounted(&mut self) -> usize {
        let flows = self.flows.iter_mut();
        flows.filter_map(|flow| flow.session.as_ref()).map(Session::held_bytes).sum()
    }

    /// To change caps on the way.
    #[cfg(test)]
    pub(crate) fn limits_mut(&mut self) -> &mut Limits {
        &mut self.limits
    }

    /// Takes a segment.
    pub(crate) fn push(&mut self, segment: &Segment<'_>, outlet: &mut Outlet<'_>) {
        let before = std::mem::replace(&mut self.latest, segment.at);
        let key = FlowKey::new(segment.source, segment.destination);
        let found = self.flows.find(&key);
        // What has a flow is followed: most segments need not be held against the targets.
        if found.is_none() && !self.targets.is_empty() && !self.is_followed(segment) {
            outlet.counters.other_addresses += 1;
            return;
        }
        if segment.cut > 0 {
            outlet.counters.anomalies.note(Anomaly::PacketCut);
        }
        match found {
            Some(id) => {
                if self.push_to(id, segment, outlet) == Course::Superseded {
                    self.drop_flow(id, outlet);
                    self.open(key, segment, outlet);
                }
            }
            // A capture point that writes packets twice may do so after the flow is forgotten.
            None if !segment.syn && segment.at + self.limits.flow_linger < before => {}
            None => self.open(key, segment, outlet),
        }
        while self.held.state > self.limits.state_bytes
            && let Some(oldest) = self.flows.oldest()
        {
            outlet.counters.anomalies.note(Anomaly::StateBudgetReached);
            self.drop_flow(oldest, outlet);
        }
    }

    /// Takes the next bytes of a key log, and gives them to the connections that wait for keys.
    pub(crate) fn push_keys(&mut self, text: &[u8], outlet: &mut Outlet<'_>) {
        let learned = self.keys.push(text, &self.limits, &mut outlet.counters.anomalies);
        if learned.secrets > 0 {
            for id in self.waiting.iter().copied().collect::<Vec<_>>() {
                self.retry(id, outlet);
            }
        }
    }

    /// Lets time pass: what has waited too long by `now` leaves.
    pub(crate) fn expire(&mut self, now: Timestamp, outlet: &mut Outlet<'_>) {
        // A flow that is not done wakes after `now`: there must be such a time.
        let now = now.min(Timestamp::LAST - Duration::from_nanos(1));
        while let Some(id) = self.flows.due(now) {
            self.wake(id, now, outlet);
        }
    }

    /// The capture has ended: every flow gives what it holds.
    pub(crate) fn finish(&mut self, outlet: &mut Outlet<'_>) {
        while let Some(id) = self.flows.oldest() {
            self.drop_flow(id, outlet);
        }
    }

    fn is_followed(&self, segment: &Segment<'_>) -> bool {
        self.target_of(segment.destination).is_some() || self.target_of(segment.source).is_some()
    }

    fn target_of(&self, address: SocketAddr) -> Option<Origin> {
        let port = address.port();
        let first = self.targets.partition_point(|target| target.address.port < port);
        self.targets[first..]
            .iter()
            .take_while(|target| target.address.port == port)
            .find(|target| target.address.matches(address))
            .map(|target| target.origin)
    }

    /// Begins a flow, if the segment shows that there is one.
    fn open(&mut self, key: FlowKey, segment: &Segment<'_>, outlet: &mut Outlet<'_>) {
        let has_payload = !segment.payload.is_empty() || segment.cut > 0;
        if segment.rst || !(segment.syn || has_payload) {
            return;
        }
        if self.flows.len() >= self.limits.flows
            && let Some(oldest) = self.flows.oldest()
        {
            outlet.counters.anomalies.note(Anomaly::FlowTableFull);
            self.drop_flow(oldest, outlet);
        }
        outlet.counters.flows += 1;
        let (info, guessed) = self.info(segment);
        let flow = Flow {
            info,
            guessed,
            conversation: Conversation::default(),
            session: Some(Session::new(info)),
            closed: false,
            charged: 0,
            last_seen: segment.at,
        };
        let id = self.flows.insert(key, flow, segment.at + self.limits.flow_idle_timeout);
        self.push_to(id, segment, outlet);
    }

    /// Who is who on a connection whose first segment seen is `segment`, and whether that is a
    /// guess by the ports.
    fn info(&self, segment: &Segment<'_>) -> (FlowInfo, bool) {
        let (source, destination) = (segment.source, segment.destination);
        let told = match (self.target_of(source), self.target_of(destination)) {
            (Some(_), None) => Some(true),
            (None, Some(_)) => Some(false),
            _ => sender_serves(segment),
        };
        let sender_serves = told.unwrap_or(source.port() < destination.port());
        let (client, server) =
            if sender_serves { (destination, source) } else { (source, destination) };
        let info =
            FlowInfo { origin: self.target_of(server), client, server, late_join: !segment.syn };
        (info, told.is_none())
    }

    fn push_to(&mut self, id: FlowId, segment: &Segment<'_>, outlet: &mut Outlet<'_>) -> Course {
        self.flows.touch(id);
        let Self { limits, flows, keys, spans, held, .. } = self;
        let Some(flow) = flows.get_mut(id) else {
            return Course::Closed;
        };
        let direction = if segment.source == flow.info.server {
            Direction::ToClient
        } else {
            Direction::ToServer
        };
        let Some(session) = flow.session.as_mut().filter(|_| !flow.closed) else {
            let reopened = segment.syn && flow.conversation.is_superseded_by(direction, segment)
                || flow.conversation.outlives_reset(direction, segment);
            return if reopened { Course::Superseded } else { Course::Closed };
        };
        if flow.guessed && !session.has_spoken() && turns_round(direction, segment) {
            return Course::Superseded;
        }
        flow.last_seen = segment.at;
        let mut caps = Caps { limits, held: &mut held.early };
        let mut feed = Feed::new(session, limits, keys, spans, &mut held.bodies, outlet);
        let course = flow.conversation.push(direction, segment, &mut caps, &mut feed);
        match course {
            Course::Open => {
                if let Some(deadline) = flow.deadline(limits) {
                    flows.wake_by(id, deadline);
                }
            }
            Course::Closed => self.close(id, segment.at, outlet),
            Course::Superseded => {}
        }
        self.account(id, outlet);
        course
    }

    /// A flow whose time has come: its timeouts, or its end.
    fn wake(&mut self, id: FlowId, now: Timestamp, outlet: &mut Outlet<'_>) {
        let Self { limits, flows, keys, spans, held, .. } = self;
        let Some(flow) = flows.get_mut(id) else {
            return;
        };
        let Some(session) = &mut flow.session else {
            flows.remove(id);
            return;
        };
        let mut caps = Caps { limits, held: &mut held.early };
        let mut feed = Feed::new(session, limits, keys, spans, &mut held.bodies, outlet);
        let course = match flow.closed {
            true => Course::Closed,
            false => flow.conversation.expire(now, &mut caps, &mut feed),
        };
        feed.expire(now);
        if course == Course::Closed {
            self.close(id, now, outlet);
            return self.account(id, outlet);
        }
        let idle_at = flow.last_seen + limits.flow_idle_timeout;
        match flow.deadline(limits) {
            // Whatever is due at `now` was seen to: what is left lies after it.
            Some(deadline) => flows.wake_at(id, deadline.max(now + Duration::from_nanos(1))),
            None if idle_at <= now => return self.drop_flow(id, outlet),
            None => flows.wake_at(id, idle_at),
        }
        self.account(id, outlet);
    }

    /// The connection of a flow has ended. What waits for a key goes on waiting.
    fn close(&mut self, id: FlowId, now: Timestamp, outlet: &mut Outlet<'_>) {
        let Self { limits, flows, keys, spans, held, .. } = self;
        let Some(flow) = flows.get_mut(id) else {
            return;
        };
        flow.closed = true;
        if let Some(session) = &mut flow.session {
            if let Some(deadline) = session.deadline(limits).filter(|_| session.waits_for_keys()) {
                return flows.wake_at(id, deadline.max(now + Duration::from_nanos(1)));
            }
            Feed::new(session, limits, keys, spans, &mut held.bodies, outlet).finish();
            take_unread(session, flow.info.server, outlet);
            flow.session = None;
        }
        flows.wake_at(id, now + limits.flow_linger);
    }

    /// Keys have come: gives what they open.
    fn retry(&mut self, id: FlowId, outlet: &mut Outlet<'_>) {
        let Self { limits, flows, keys, spans, held, .. } = self;
        let Some(flow) = flows.get_mut(id) else {
            return;
        };
        if let Some(session) = &mut flow.session {
            Feed::new(session, limits, keys, spans, &mut held.bodies, outlet).retry_keys();
            let waits = session.waits_for_keys();
            if flow.closed && !waits {
                let now = self.latest;
                self.close(id, now, outlet);
            } else if let Some(deadline) = flow.deadline(limits) {
                flows.wake_by(id, deadline);
            }
        }
        self.account(id, outlet);
    }

    /// Takes a flow out of the table; what it holds leaves.
    fn drop_flow(&mut self, id: FlowId, outlet: &mut Outlet<'_>) {
        let Some(mut flow) = self.flows.remove(id) else {
            return;
        };
        self.held.state -= flow.charged;
        self.waiting.remove(&id);
        let Some(session) = &mut flow.session else {
            return;
        };
        let Self { limits, keys, spans, held, latest, .. } = self;
        let mut caps = Caps { limits, held: &mut held.early };
        let mut feed = Feed::new(session, limits, keys, spans, &mut held.bodies, outlet);
        if !flow.closed {
            flow.conversation.finish(*latest, &mut caps, &mut feed);
        }
        feed.finish();
        take_unread(session, flow.info.server, outlet);
    }

    /// Counts what a flow holds now, and whether it waits for a key.
    fn account(&mut self, id: FlowId, outlet: &mut Outlet<'_>) {
        let Some(flow) = self.flows.get_mut(id) else {
            return;
        };
        let now = flow.session.as_ref().map_or(0, Session::held_bytes);
        self.held.state = self.held.state + now - flow.charged;
        flow.charged = now;
        let mut waits = false;
        if let Some(session) = &mut flow.session {
            waits = session.waits_for_keys();
            take_unread(session, flow.info.server, outlet);
        }
        if waits {
            self.waiting.insert(id);
        } else if !self.waiting.is_empty() {
            self.waiting.remove(&id);
        }
    }
}

impl Flow {
    fn deadline(&self, limits: &Limits) -> Option<Timestamp> {
        let session = self.session.as_ref().and_then(|session| session.deadline(limits));
        [self.conversation.deadline(limits), session].into_iter().flatten().min()
    }
}

/// Counts a connection that turned out not to be readable, once.
fn take_unread(session: &mut Session, server: SocketAddr, outlet: &mut Outlet<'_>) {
    if let Some(opaque) = session.take_opaque() {
        let protocol = opaque.alpn.as_deref().map(|alpn| String::from_utf8_lossy(alpn).into());
        let name = Unread { server, name: opaque.server_name, protocol, why: opaque.why };
        outlet.counters.unread.note(name);
    }
}

/// Whether the sender of a connection's first segment is its server, where the segment tells.
fn sender_serves(segment: &Segment<'_>) -> Option<bool> {
    if segment.syn {
        return Some(segment.ack.is_some());
    }
    match segment.payload {
        [b'H', b'T', b'T', b'P', b'/', b'1', b'.', ..] => Some(true),
        // RFC 9113 §3.4: the client's preface.
        payload if payload.starts_with(b"PRI * HTTP/2.0\r\n") => Some(false),
        // RFC 8446 §4: ClientHello is 1, ServerHello is 2, in a handshake record (§5.1).
        [0x16, 0x03, _, _, _, hello @ (1 | 2), ..] => Some(*hello == 2),
        payload if is_request_line(payload) => Some(false),
        _ => None,
    }
}

/// Whether a segment shows that its sender is at the other end than the ports made believe.
fn turns_round(direction: Direction, segment: &Segment<'_>) -> bool {
    sender_serves(segment).is_some_and(|serves| serves != (direction == Direction::ToClient))
}

/// Whether `bytes` begin as a request does: a method in capitals, a space, and either an HTTP
/// version before the line ends or no end of the line yet.
fn is_request_line(bytes: &[u8]) -> bool {
    let method = bytes.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    if method == 0 || bytes.get(method) != Some(&b' ') {
        return false;
    }
    match memchr::memchr(b'\n', bytes) {
        Some(end) => memchr::memmem::find(&bytes[..end], b" HTTP/").is_some(),
        None => true,
    }
}

/// Brings the bytes of a flow to its session, and counts.
struct Feed<'a> {
    session: &'a mut Session,
    context: Context<'a>,
    retransmissions: &'a mut u64,
    out_of_order: &'a mut u64,
    gaps: &'a mut u64,
    gap_bytes: &'a mut u64,
}

impl<'a> Feed<'a> {
    fn new(
        session: &'a mut Session,
        limits: &'a Limits,
        keys: &'a KeyLog,
        spans: &'a mut FieldSpans,
        body_bytes: &'a mut usize,
        outlet: &'a mut Outlet<'_>,
    ) -> Self {
        let Outlet { counters, out } = outlet;
        let anomalies = &mut counters.anomalies;
        Self {
            session,
            context: Context { limits, anomalies, keys, body_bytes, spans, out },
            retransmissions: &mut counters.retransmissions,
            out_of_order: &mut counters.out_of_order,
            gaps: &mut counters.gaps,
            gap_bytes: &mut counters.gap_bytes,
        }
    }

    fn expire(&mut self, now: Timestamp) {
        self.session.expire(now, &mut self.context);
    }

    fn retry_keys(&mut self) {
        self.session.retry_keys(&mut self.context);
    }

    fn finish(&mut self) {
        self.session.finish(&mut self.context);
    }
}

impl Sink for Feed<'_> {
    fn chunk(&mut self, direction: Direction, chunk: Chunk<'_>) {
        self.session.push(direction, chunk, &mut self.context);
    }

    fn gap(&mut self, direction: Direction, gap: Gap) {
        *self.gaps += 1;
        *self.gap_bytes += gap.len;
        self.session.gap(direction, gap, &mut self.context);
    }

    fn fin(&mut self, direction: Direction, at: Timestamp) {
        self.session.fin(direction, at, &mut self.context);
    }

    fn reset(&mut self, from: Direction, at: Timestamp) {
        self.session.reset(from, at, &mut self.context);
    }

    fn retransmission(&mut self) {
        *self.retransmissions += 1;
    }

    fn out_of_order(&mut self) {
        *self.out_of_order += 1;
    }

    fn note(&mut self, anomaly: Anomaly) {
        self.context.anomalies.note(anomaly);
    }
}

#[cfg(test)]
mod tests;

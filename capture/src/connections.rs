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

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use crate::context::Context;
use crate::counters::Counters;
use crate::flow::{Direction, FlowId, FlowInfo, FlowKey, FlowTable};
use crate::keylog::KeyLog;
use crate::link::Segment;
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
    /// Bytes counted for it in [`Held::state`].
    charged: usize,
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

    /// To change caps on the way.
    #[cfg(test)]
    pub(crate) fn limits_mut(&mut self) -> &mut Limits {
        &mut self.limits
    }

    /// Takes a segment.
    pub(crate) fn push(&mut self, segment: &Segment<'_>, outlet: &mut Outlet<'_>) {
        self.latest = segment.at;
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
        self.keys.push(text, &self.limits, &mut outlet.counters.anomalies);
    }

    /// Lets time pass: what has waited too long by `now` leaves.
    pub(crate) fn expire(&mut self, now: Timestamp, outlet: &mut Outlet<'_>) {
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
        let info = self.info(segment);
        let flow = Flow {
            info,
            conversation: Conversation::default(),
            session: Some(Session::new(info)),
            charged: 0,
            last_seen: segment.at,
        };
        let id = self.flows.insert(key, flow, segment.at + self.limits.flow_idle_timeout);
        self.push_to(id, segment, outlet);
    }

    /// Who is who on a connection whose first segment seen is `segment`.
    fn info(&self, segment: &Segment<'_>) -> FlowInfo {
        let (source, destination) = (segment.source, segment.destination);
        let sender_serves = match (self.target_of(source), self.target_of(destination)) {
            (Some(_), None) => true,
            (None, Some(_)) => false,
            _ => sender_serves(segment),
        };
        let (client, server) =
            if sender_serves { (destination, source) } else { (source, destination) };
        FlowInfo { origin: self.target_of(server), client, server, late_join: !segment.syn }
    }

    fn push_to(&mut self, id: FlowId, segment: &Segment<'_>, outlet: &mut Outlet<'_>) -> Course {
        self.flows.touch(id);
        let Self { limits, flows, keys, held, .. } = self;
        let Some(flow) = flows.get_mut(id) else {
            return Course::Closed;
        };
        let direction = if segment.source == flow.info.server {
            Direction::ToClient
        } else {
            Direction::ToServer
        };
        let Some(session) = &mut flow.session else {
            let reopened = segment.syn && flow.conversation.is_superseded_by(direction, segment);
            return if reopened { Course::Superseded } else { Course::Closed };
        };
        flow.last_seen = segment.at;
        let mut caps = Caps { limits, held: &mut held.early };
        let mut feed = Feed::new(session, limits, keys, &mut held.bodies, outlet);
        let course = flow.conversation.push(direction, segment, &mut caps, &mut feed);
        match course {
            Course::Open => {
                if let Some(deadline) = flow.deadline(limits) {
                    flows.wake_by(id, deadline);
                }
            }
            Course::Closed => {
                feed.finish();
                flow.session = None;
                flows.wake_at(id, segment.at + limits.flow_linger);
            }
            Course::Superseded => {}
        }
        self.charge(id);
        course
    }

    /// A flow whose time has come: its timeouts, or its end.
    fn wake(&mut self, id: FlowId, now: Timestamp, outlet: &mut Outlet<'_>) {
        let Self { limits, flows, keys, held, .. } = self;
        let Some(flow) = flows.get_mut(id) else {
            return;
        };
        let Some(session) = &mut flow.session else {
            flows.remove(id);
            return;
        };
        let mut caps = Caps { limits, held: &mut held.early };
        let mut feed = Feed::new(session, limits, keys, &mut held.bodies, outlet);
        let course = flow.conversation.expire(now, &mut caps, &mut feed);
        feed.expire(now);
        if course == Course::Closed {
            feed.finish();
            flow.session = None;
            flows.wake_at(id, now + limits.flow_linger);
            self.charge(id);
            return;
        }
        let idle_at = flow.last_seen + limits.flow_idle_timeout;
        match flow.deadline(limits) {
            // Whatever is due at `now` was seen to: what is left lies after it.
            Some(deadline) => flows.wake_at(id, deadline.max(now + Duration::from_nanos(1))),
            None if idle_at <= now => return self.drop_flow(id, outlet),
            None => flows.wake_at(id, idle_at),
        }
        self.charge(id);
    }

    /// Takes a flow out of the table; what it holds leaves.
    fn drop_flow(&mut self, id: FlowId, outlet: &mut Outlet<'_>) {
        let Some(mut flow) = self.flows.remove(id) else {
            return;
        };
        self.held.state -= flow.charged;
        let Some(session) = &mut flow.session else {
            return;
        };
        let Self { limits, keys, held, latest, .. } = self;
        let mut caps = Caps { limits, held: &mut held.early };
        let mut feed = Feed::new(session, limits, keys, &mut held.bodies, outlet);
        flow.conversation.finish(*latest, &mut caps, &mut feed);
        feed.finish();
    }

    /// Counts what a flow holds now.
    fn charge(&mut self, id: FlowId) {
        let Some(flow) = self.flows.get_mut(id) else {
            return;
        };
        let now = flow.session.as_ref().map_or(0, Session::held_bytes);
        self.held.state = self.held.state + now - flow.charged;
        flow.charged = now;
    }
}

impl Flow {
    fn deadline(&self, limits: &Limits) -> Option<Timestamp> {
        let session = self.session.as_ref().and_then(|session| session.deadline(limits));
        [self.conversation.deadline(limits), session].into_iter().flatten().min()
    }
}

/// Whether the sender of a connection's first segment is its server, by what it sent.
fn sender_serves(segment: &Segment<'_>) -> bool {
    if segment.syn {
        return segment.ack.is_some();
    }
    if segment.payload.starts_with(b"HTTP/1.") {
        return true;
    }
    if is_request_line(segment.payload) {
        return false;
    }
    segment.source.port() < segment.destination.port()
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
        body_bytes: &'a mut usize,
        outlet: &'a mut Outlet<'_>,
    ) -> Self {
        let Outlet { counters, out } = outlet;
        let anomalies = &mut counters.anomalies;
        Self {
            session,
            context: Context { limits, anomalies, keys, body_bytes, out },
            retransmissions: &mut counters.retransmissions,
            out_of_order: &mut counters.out_of_order,
            gaps: &mut counters.gaps,
            gap_bytes: &mut counters.gap_bytes,
        }
    }

    fn expire(&mut self, now: Timestamp) {
        self.session.expire(now, &mut self.context);
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

//! The whole of capture as one core: packets in, exchanges out.
//!
//! Joins the rooms: link finds the segment, the flow table its connection, reassembly puts its
//! bytes in order, http1 reads them. Owns which side of a connection is the server, when a flow
//! begins and ends, and the counters.
//!
//! Invariants:
//! - A flow begins with a SYN or with payload: a lone acknowledgement or a late RST opens none.
//! - Every flow that leaves (closed, superseded, idle, evicted, end of capture) gives what it
//!   holds first, so every exchange that began leaves exactly once.
//! - Time comes with packets and with [`Tap::expire`]; nothing else knows it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use crate::context::Context;
use crate::flow::{Direction, FlowId, FlowInfo, FlowKey, FlowTable};
use crate::link::{self, Refused, Segment};
use crate::reassembly::{Caps, Chunk, Conversation, Course, Gap, Sink};
use crate::{
    Anomalies, Anomaly, Evidence, Exchange, Limits, Origin, Packet, Target, Timestamp, http1,
};

/// Packets in, exchanges out. Reads no clock: time is the packets' own.
pub struct Tap {
    limits: Limits,
    /// By port; within a port in the order configured.
    targets: Vec<Target>,
    flows: FlowTable<Flow>,
    counters: Counters,
    /// Cost of out-of-order bytes held over all flows.
    held: usize,
    /// Bytes held in unfinished bodies over all flows.
    body_bytes: usize,
    out: VecDeque<Exchange>,
    latest: Timestamp,
}

/// What the tap has seen, ever growing.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// Packets pushed.
    pub packets: u64,
    /// Bytes of them as captured.
    pub bytes: u64,
    /// Packets that are no TCP over IP.
    pub not_tcp: u64,
    /// TCP packets of addresses that are not configured.
    pub other_addresses: u64,
    /// TCP segments whose payload had been seen already, wholly or in part.
    pub retransmissions: u64,
    /// Segments that came out of order.
    pub out_of_order: u64,
    /// Declared Gaps.
    pub gaps: u64,
    /// Bytes in them.
    pub gap_bytes: u64,
    /// Flows opened.
    pub flows: u64,
    /// Exchanges that left, by `Evidence as usize`.
    pub exchanges: [u64; Evidence::ALL.len()],
    /// Oddities and caps.
    pub anomalies: Anomalies,
}

struct Flow {
    info: FlowInfo,
    conversation: Conversation,
    /// `None` once the connection is closed: the flow lingers for its retransmissions.
    connection: Option<http1::Connection>,
    /// When the last packet came; once closed, when that was.
    last_seen: Timestamp,
}

impl Tap {
    /// A tap that follows `targets`, or every TCP connection when there are none.
    #[must_use]
    pub fn new(limits: Limits, mut targets: Vec<Target>) -> Self {
        // Stable: where two patterns match an address they have the same port, and the first wins.
        targets.sort_by_key(|target| target.address.port);
        Self {
            limits,
            targets,
            flows: FlowTable::new(),
            counters: Counters::default(),
            held: 0,
            body_bytes: 0,
            out: VecDeque::new(),
            latest: Timestamp::ZERO,
        }
    }

    /// Takes one packet. Never fails: what is wrong with it is counted.
    pub fn push(&mut self, packet: &Packet<'_>) {
        self.counters.packets += 1;
        self.counters.bytes += packet.data.len() as u64;
        self.latest = packet.at;
        let segment = match link::segment(packet) {
            Ok(segment) => segment,
            Err(Refused::NotTcp) => {
                self.counters.not_tcp += 1;
                return;
            }
            Err(Refused::Odd(anomaly)) => {
                self.counters.anomalies.note(anomaly);
                return;
            }
        };
        if !self.targets.is_empty() && !self.is_followed(&segment) {
            self.counters.other_addresses += 1;
            return;
        }
        if segment.cut > 0 {
            self.counters.anomalies.note(Anomaly::PacketCut);
        }
        let key = FlowKey::new(segment.source, segment.destination);
        match self.flows.find(&key) {
            Some(id) => {
                if self.push_to(id, &segment) == Course::Superseded {
                    self.drop_flow(id);
                    self.open(key, &segment);
                }
            }
            None => self.open(key, &segment),
        }
    }

    /// The next finished exchange, in order of completion.
    pub fn poll(&mut self) -> Option<Exchange> {
        let exchange = self.out.pop_front()?;
        self.counters.exchanges[exchange.evidence as usize] += 1;
        Some(exchange)
    }

    /// Lets time pass: what has waited too long by `now` leaves. Costs next to nothing when
    /// nothing has: it may be called for every packet.
    pub fn expire(&mut self, now: Timestamp) {
        while let Some(id) = self.flows.due(now) {
            self.wake(id, now);
        }
    }

    /// The capture has ended: every open exchange leaves as `Truncated` (or whole, where only the
    /// close that delimits it is missing is not enough: such a body is `Truncated` too).
    pub fn finish(&mut self) {
        while let Some(id) = self.flows.oldest() {
            self.drop_flow(id);
        }
    }

    /// What was seen so far.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
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
    fn open(&mut self, key: FlowKey, segment: &Segment<'_>) {
        let has_payload = !segment.payload.is_empty() || segment.cut > 0;
        if segment.rst || !(segment.syn || has_payload) {
            return;
        }
        if self.flows.len() >= self.limits.flows
            && let Some(oldest) = self.flows.oldest()
        {
            self.counters.anomalies.note(Anomaly::FlowTableFull);
            self.drop_flow(oldest);
        }
        self.counters.flows += 1;
        let info = self.info(segment);
        let flow = Flow {
            info,
            conversation: Conversation::default(),
            connection: Some(http1::Connection::new(info)),
            last_seen: segment.at,
        };
        let id = self.flows.insert(key, flow, segment.at + self.limits.flow_idle_timeout);
        self.push_to(id, segment);
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

    fn push_to(&mut self, id: FlowId, segment: &Segment<'_>) -> Course {
        self.flows.touch(id);
        let Some(flow) = self.flows.get_mut(id) else {
            return Course::Closed;
        };
        let direction = if segment.source == flow.info.server {
            Direction::ToClient
        } else {
            Direction::ToServer
        };
        let Some(connection) = &mut flow.connection else {
            let reopened = segment.syn && flow.conversation.is_superseded_by(direction, segment);
            return if reopened { Course::Superseded } else { Course::Closed };
        };
        flow.last_seen = segment.at;
        let mut outlet =
            Outlet::new(&self.limits, &mut self.counters, &mut self.body_bytes, &mut self.out);
        let mut sink = outlet.to(connection);
        let mut caps = Caps { limits: &self.limits, held: &mut self.held };
        let course = flow.conversation.push(direction, segment, &mut caps, &mut sink);
        match course {
            Course::Open => {
                if let Some(deadline) = flow.deadline(&self.limits) {
                    self.flows.wake_by(id, deadline);
                }
            }
            Course::Closed => {
                connection.finish(&mut outlet.context);
                flow.connection = None;
                self.flows.wake_at(id, segment.at + self.limits.flow_linger);
            }
            Course::Superseded => {}
        }
        course
    }

    /// A flow whose time has come: its timeouts, or its end.
    fn wake(&mut self, id: FlowId, now: Timestamp) {
        let Some(flow) = self.flows.get_mut(id) else {
            return;
        };
        let Some(connection) = &mut flow.connection else {
            self.flows.remove(id);
            return;
        };
        let mut outlet =
            Outlet::new(&self.limits, &mut self.counters, &mut self.body_bytes, &mut self.out);
        let mut caps = Caps { limits: &self.limits, held: &mut self.held };
        let course = flow.conversation.expire(now, &mut caps, &mut outlet.to(connection));
        connection.expire(now, &mut outlet.context);
        if course == Course::Closed {
            connection.finish(&mut outlet.context);
            flow.connection = None;
            self.flows.wake_at(id, now + self.limits.flow_linger);
            return;
        }
        let idle_at = flow.last_seen + self.limits.flow_idle_timeout;
        match flow.deadline(&self.limits) {
            // Whatever is due at `now` was seen to: what is left lies after it.
            Some(deadline) => {
                self.flows.wake_at(id, deadline.max(now + Duration::from_nanos(1)));
            }
            None if idle_at <= now => self.drop_flow(id),
            None => self.flows.wake_at(id, idle_at),
        }
    }

    /// Takes a flow out of the table; what it holds leaves.
    fn drop_flow(&mut self, id: FlowId) {
        let Some(mut flow) = self.flows.remove(id) else {
            return;
        };
        let Some(connection) = &mut flow.connection else {
            return;
        };
        let mut outlet =
            Outlet::new(&self.limits, &mut self.counters, &mut self.body_bytes, &mut self.out);
        let mut caps = Caps { limits: &self.limits, held: &mut self.held };
        flow.conversation.finish(self.latest, &mut caps, &mut outlet.to(connection));
        connection.finish(&mut outlet.context);
    }
}

impl Flow {
    fn deadline(&self, limits: &Limits) -> Option<Timestamp> {
        let connection = self.connection.as_ref().and_then(|c| c.deadline(limits));
        [self.conversation.deadline(limits), connection].into_iter().flatten().min()
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

/// Where the bytes of a flow go, and what counts them.
struct Outlet<'a> {
    context: Context<'a>,
    retransmissions: &'a mut u64,
    out_of_order: &'a mut u64,
    gaps: &'a mut u64,
    gap_bytes: &'a mut u64,
}

impl<'a> Outlet<'a> {
    fn new(
        limits: &'a Limits,
        counters: &'a mut Counters,
        body_bytes: &'a mut usize,
        out: &'a mut VecDeque<Exchange>,
    ) -> Self {
        Self {
            context: Context { limits, anomalies: &mut counters.anomalies, body_bytes, out },
            retransmissions: &mut counters.retransmissions,
            out_of_order: &mut counters.out_of_order,
            gaps: &mut counters.gaps,
            gap_bytes: &mut counters.gap_bytes,
        }
    }

    fn to<'b>(&'b mut self, connection: &'b mut http1::Connection) -> ConnectionSink<'b, 'a> {
        ConnectionSink { outlet: self, connection }
    }
}

struct ConnectionSink<'b, 'a> {
    outlet: &'b mut Outlet<'a>,
    connection: &'b mut http1::Connection,
}

impl Sink for ConnectionSink<'_, '_> {
    fn chunk(&mut self, direction: Direction, chunk: Chunk<'_>) {
        self.connection.push(direction, chunk, &mut self.outlet.context);
    }

    fn gap(&mut self, direction: Direction, gap: Gap) {
        *self.outlet.gaps += 1;
        *self.outlet.gap_bytes += gap.len;
        self.connection.gap(direction, gap, &mut self.outlet.context);
    }

    fn fin(&mut self, direction: Direction, at: Timestamp) {
        self.connection.fin(direction, at, &mut self.outlet.context);
    }

    fn reset(&mut self, from: Direction, at: Timestamp) {
        self.connection.reset(from, at, &mut self.outlet.context);
    }

    fn retransmission(&mut self) {
        *self.outlet.retransmissions += 1;
    }

    fn out_of_order(&mut self) {
        *self.outlet.out_of_order += 1;
    }

    fn note(&mut self, anomaly: Anomaly) {
        self.outlet.context.anomalies.note(anomaly);
    }
}

#[cfg(test)]
mod tests;

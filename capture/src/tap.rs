//! The whole of capture as one core: packets in, exchanges out.
//!
//! Joins the rooms: link finds the segment in a packet, connections does the rest.
//!
//! Invariant: time comes with packets and with [`Tap::expire`]; nothing else knows it.

use std::collections::VecDeque;

use crate::connections::{Connections, Outlet};
use crate::counters::{Counters, Unread};
use crate::link::{self, Refused};
use crate::{Anomaly, Exchange, Limits, Packet, Target, Timestamp};

/// Packets in, exchanges out. Reads no clock: time is the packets' own.
pub struct Tap {
    decoder: link::Decoder,
    connections: Connections,
    counters: Counters,
    out: VecDeque<Box<Exchange>>,
}

impl Tap {
    /// A tap that follows `targets`, or every TCP connection when there are none.
    #[must_use]
    pub fn new(limits: Limits, targets: Vec<Target>) -> Self {
        Self {
            decoder: link::Decoder::default(),
            connections: Connections::new(limits, targets),
            counters: Counters::default(),
            out: VecDeque::new(),
        }
    }

    /// Takes one packet. Never fails: what is wrong with it is counted.
    pub fn push(&mut self, packet: &Packet<'_>) {
        let Self { decoder, connections, counters, out } = self;
        counters.packets += 1;
        counters.bytes += packet.data.len() as u64;
        match decoder.segment(packet, connections.limits(), &mut counters.anomalies) {
            Ok(segment) => connections.push(&segment, &mut Outlet { counters, out }),
            Err(Refused::NotTcp) => counters.not_tcp += 1,
            Err(Refused::Held) => {}
            Err(Refused::Odd(anomaly)) => counters.anomalies.note(anomaly),
        }
    }

    /// Takes the next bytes of an SSLKEYLOGFILE, as it grows; a line may come in pieces. Keys may
    /// come after the packets they open, by up to [`Limits::tls_key_wait`].
    pub fn push_keys(&mut self, text: &[u8]) {
        let mut outlet = Outlet { counters: &mut self.counters, out: &mut self.out };
        self.connections.push_keys(text, &mut outlet);
    }

    /// The next finished exchange, in order of completion.
    pub fn poll(&mut self) -> Option<Box<Exchange>> {
        let exchange = self.out.pop_front()?;
        self.counters.exchanges[exchange.evidence as usize] += 1;
        let upgrade = exchange.upgrade.as_ref();
        // HTTP/2 is read on.
        if let Some(protocol) = upgrade.filter(|name| !name.eq_ignore_ascii_case("h2c")) {
            let (server, protocol) = (exchange.server, Some(protocol.clone()));
            let why = Anomaly::Upgraded;
            self.counters.unread.note(Unread { server, name: None, protocol, why });
        }
        Some(exchange)
    }

    /// Lets time pass: what has waited too long by `now` leaves. Costs next to nothing when
    /// nothing has: it may be called for every packet.
    pub fn expire(&mut self, now: Timestamp) {
        let Self { decoder, connections, counters, out } = self;
        decoder.expire(now, connections.limits(), &mut counters.anomalies);
        connections.expire(now, &mut Outlet { counters, out });
    }

    /// The capture has ended: every open exchange leaves as `Truncated` (or whole, where only the
    /// close that delimits it is missing is not enough: such a body is `Truncated` too).
    pub fn finish(&mut self) {
        let Self { decoder, connections, counters, out } = self;
        decoder.finish(&mut counters.anomalies);
        connections.finish(&mut Outlet { counters, out });
    }

    /// What was seen so far.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }
}

#[cfg(test)]
mod tests;

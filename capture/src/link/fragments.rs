//! IP fragments become packets again (RFC 791 §3.2, RFC 8200 §4.5).
//!
//! Owns the fragments of packets that are not whole yet. In: one fragment at a time. Out: the
//! packet's payload, once every byte of it came.
//!
//! Invariants:
//! - What is held costs no more than [`Limits::fragment_bytes`], bookkeeping included: above it
//!   the packets begun first are given up, and so is one that waits longer than
//!   [`Limits::fragment_timeout`]. Each is noted once ([`Anomaly::IpFragment`]).
//! - The first bytes win where fragments overlap. Ours: receivers differ here (RFC 5722 drops such
//!   packets in IPv6), and a tap can't know which of them it watches, so it is noted too.
//! - A fragment that the snap length cut fills only what was captured of it: its packet is not
//!   whole unless another copy comes.
//! - A fragment costs time in proportion to its own length and the logarithm of what is held.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use etherparse::{IpNumber, ip_number};

use super::frame::Frame;
use super::ip_packet::Route;
use super::{Refused, TRUNCATED};
use crate::{Anomalies, Anomaly, Limits, Timestamp};

/// Names a packet among those that come in fragments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) route: Route,
    pub(super) id: u32,
    /// Part of the name in IPv4 only.
    pub(super) protocol: Option<u8>,
}

/// A part of a packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fragment<'a> {
    pub(super) key: Key,
    /// The protocol of the whole, as this fragment has it.
    pub(super) number: IpNumber,
    /// Where in the packet's payload it begins, in bytes.
    pub(super) offset: u16,
    /// Whether others come after it.
    pub(super) more: bool,
    pub(super) payload: Frame<'a>,
}

/// A packet that was fragmented.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) route: Route,
    pub(super) number: IpNumber,
    pub(super) payload: Vec<u8>,
}

/// Fragments whose packets are not whole yet.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    packets: HashMap<Key, Partial>,
    /// Keys by when their first fragment came.
    order: BTreeMap<u64, Key>,
    serial: u64,
    /// Cost of all packets.
    held: usize,
    /// Packets that became whole last, and when.
    recent: VecDeque<(Timestamp, Key)>,
}

/// How many packets are remembered as whole, and for how long: where a tap sees every packet twice
/// (on two interfaces, or on a bridge), the late copies begin no new packet. Identifications are
/// used again, so it must not be long.
const RECENT_MAX: usize = 64;
const RECENT_FOR: Duration = Duration::from_millis(10);

/// Bookkeeping of a packet and of a piece of it, in bytes, rounded up.
const PACKET_COST: usize = 512;
const PIECE_COST: usize = 64;

/// The largest payload of an IP packet that can be fragmented.
const PAYLOAD_MAX: usize = 65_535;

impl Fragments {
    /// Takes a fragment that came at `at`; gives the packet that it completes.
    pub(super) fn push(
        &mut self,
        fragment: &Fragment<'_>,
        at: Timestamp,
        limits: &Limits,
        anomalies: &mut Anomalies,
    ) -> Result<Whole, Refused> {
        self.expire(at, limits, anomalies);
        if !leads_to_tcp(fragment.number) {
            return Err(Refused::NotTcp);
        }
        let start = usize::from(fragment.offset);
        let len = match fragment.payload.on_wire() {
            // Offsets count in 8 bytes: so do all fragments but the last.
            len if fragment.more => len - len % 8,
            len => len,
        };
        if len == 0 || start + len > PAYLOAD_MAX {
            return Err(TRUNCATED);
        }
        let key = fragment.key;
        if !self.packets.contains_key(&key) {
            if self.was_whole(&key, at) {
                return Err(Refused::Held);
            }
            self.order.insert(self.serial, key);
            self.packets.insert(key, Partial::new(self.serial, at));
            self.serial += 1;
            self.held += PACKET_COST;
        }
        let Some(packet) = self.packets.get_mut(&key) else {
            return Err(Refused::Held);
        };
        self.held -= packet.cost();
        let agrees = packet.add(fragment, start, len);
        self.held += packet.cost();
        if !agrees {
            anomalies.note(Anomaly::FragmentOverlapDiffers);
        }
        let number = packet.number.filter(|_| packet.total == Some(packet.covered));
        if let Some(number) = number
            && let Some(packet) = self.remove(&key)
        {
            self.recent.truncate(RECENT_MAX - 1);
            self.recent.push_front((at, key));
            return Ok(Whole { route: key.route, number, payload: packet.into_payload() });
        }
        while self.held > limits.fragment_bytes && self.give_up_oldest(anomalies) {}
        Err(Refused::Held)
    }

    /// Gives up what has waited too long by `now`.
    pub(super) fn expire(&mut self, now: Timestamp, limits: &Limits, anomalies: &mut Anomalies) {
        while let Some((_, key)) = self.order.first_key_value()
            && let Some(packet) = self.packets.get(key)
            && packet.since + limits.fragment_timeout <= now
        {
            self.give_up_oldest(anomalies);
        }
    }

    /// No more fragments come: gives up all packets.
    pub(super) fn finish(&mut self, anomalies: &mut Anomalies) {
        while self.give_up_oldest(anomalies) {}
    }

    /// Gives up the packet begun first, if there is one.
    fn give_up_oldest(&mut self, anomalies: &mut Anomalies) -> bool {
        let Some((_, &key)) = self.order.first_key_value() else {
            return false;
        };
        self.remove(&key);
        anomalies.note(Anomaly::IpFragment);
        true
    }

    fn remove(&mut self, key: &Key) -> Option<Partial> {
        let packet = self.packets.remove(key)?;
        self.order.remove(&packet.serial);
        self.held -= packet.cost();
        Some(packet)
    }

    fn was_whole(&self, key: &Key, at: Timestamp) -> bool {
        self.recent.iter().any(|(when, recent)| recent == key && at.since(*when) < RECENT_FOR)
    }
}

/// Whether a segment can be in a packet of this protocol.
fn leads_to_tcp(number: IpNumber) -> bool {
    matches!(
        number,
        ip_number::TCP
            | ip_number::UDP
            | ip_number::IPV4
            | ip_number::IPV6
            | ip_number::GRE
            | ip_number::ETHER_IP
            | ip_number::MPLS_IN_IP
    ) || number.is_ipv6_ext_header_value()
}

/// What came of a packet so far.
#[derive(Debug)]
struct Partial {
    serial: u64,
    since: Timestamp,
    /// The protocol, from the first fragment.
    number: Option<IpNumber>,
    /// Length of the payload, from the last fragment.
    total: Option<usize>,
    /// How many bytes of it came.
    covered: usize,
    /// Pieces by where they begin. They do not overlap.
    pieces: BTreeMap<usize, Piece>,
    /// Their bytes, in the order they came.
    bytes: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
struct Piece {
    end: usize,
    /// Where in [`Partial::bytes`] it begins.
    at: usize,
}

impl Partial {
    fn new(serial: u64, since: Timestamp) -> Self {
        Self {
            serial,
            since,
            number: None,
            total: None,
            covered: 0,
            pieces: BTreeMap::new(),
            bytes: Vec::new(),
        }
    }

    fn cost(&self) -> usize {
        PACKET_COST + self.pieces.len() * PIECE_COST + self.bytes.capacity()
    }

    /// Takes a fragment of `len` bytes from `start` on. Says whether it agrees with those before.
    fn add(&mut self, fragment: &Fragment<'_>, start: usize, len: usize) -> bool {
        let mut agrees = true;
        if start == 0 {
            self.number.get_or_insert(fragment.number);
        }
        if !fragment.more {
            let reached = self.pieces.last_key_value().map_or(0, |(_, piece)| piece.end);
            match self.total {
                None if reached <= start + len => self.total = Some(start + len),
                Some(total) if total == start + len => {}
                _ => agrees = false,
            }
        }
        let captured = len.min(fragment.payload.data.len());
        let mut end = start + captured;
        if let Some(total) = self.total
            && end > total
        {
            agrees = false;
            end = total;
        }
        let data = &fragment.payload.data[..end.saturating_sub(start)];
        agrees & self.fill(start, data)
    }

    /// Keeps what is new of `data`. Says whether the rest is as it came before.
    fn fill(&mut self, start: usize, data: &[u8]) -> bool {
        let end = start + data.len();
        let mut agrees = true;
        let mut holes = Vec::new();
        let mut next = start;
        let before = self.pieces.range(..start).next_back().map(|(&begin, _)| begin);
        for (&begin, piece) in self.pieces.range(before.unwrap_or(start)..end) {
            let (from, to) = (begin.max(start), piece.end.min(end));
            if from >= to {
                continue;
            }
            if next < from {
                holes.push((next, from));
            }
            let known = &self.bytes[piece.at + (from - begin)..piece.at + (to - begin)];
            agrees &= known == &data[from - start..to - start];
            next = to;
        }
        if next < end {
            holes.push((next, end));
        }
        for (from, to) in holes {
            self.pieces.insert(from, Piece { end: to, at: self.bytes.len() });
            self.bytes.extend_from_slice(&data[from - start..to - start]);
            self.covered += to - from;
        }
        agrees
    }

    /// The bytes in their order.
    fn into_payload(self) -> Vec<u8> {
        if self.pieces.iter().all(|(&begin, piece)| begin == piece.at) {
            return self.bytes;
        }
        let mut payload = Vec::with_capacity(self.bytes.len());
        for (begin, piece) in self.pieces {
            payload.extend_from_slice(&self.bytes[piece.at..piece.at + (piece.end - begin)]);
        }
        payload
    }
}

#[cfg(test)]
mod tests;

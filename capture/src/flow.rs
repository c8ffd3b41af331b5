//! The flow table: which connection a segment belongs to, and which flows have waited too long.
//!
//! Owns the identity of flows ([`FlowKey`]), their order of use (for the cap) and one wake-up
//! time each (for timeouts). What a flow is made of is the caller's.
//!
//! VLAN tags are no part of the key: taps see one connection with and without them.
//!
//! Invariants:
//! - Never more flows than the cap given: the caller makes room ([`FlowTable::oldest`]) first.
//! - Every flow has exactly one wake-up, so waiting costs nothing per packet and
//!   [`FlowTable::due`] looks at due flows only.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, Hash, Hasher};
use std::net::{IpAddr, SocketAddr};

use hashbrown::{DefaultHashBuilder, HashTable};

use crate::{Origin, Timestamp};

/// Which way bytes travel on a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From the client: requests.
    ToServer,
    /// From the server: responses.
    ToClient,
}

impl Direction {
    /// Both.
    pub(crate) const BOTH: [Self; 2] = [Self::ToServer, Self::ToClient];

    /// The other way.
    pub(crate) const fn reverse(self) -> Self {
        match self {
            Self::ToServer => Self::ToClient,
            Self::ToClient => Self::ToServer,
        }
    }
}

/// Who talks to whom on a connection, and what is known about its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FlowInfo {
    /// Service and leg, by the configured addresses.
    pub(crate) origin: Option<Origin>,
    /// Who opened the connection.
    pub(crate) client: SocketAddr,
    /// Who answers on it.
    pub(crate) server: SocketAddr,
    /// The capture began (or lost its memory of the flow) after the connection was opened.
    pub(crate) late_join: bool,
}

/// Both ends of a connection, in an order that does not depend on who sent the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FlowKey {
    low: End,
    high: End,
}

/// An address as one number (IPv4 as IPv4-mapped IPv6, RFC 4291 §2.5.5.2) and a port: compares
/// and hashes in a few instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct End {
    address: u128,
    port: u16,
}

impl FlowKey {
    /// The key of the connection between `a` and `b`.
    pub(crate) fn new(a: SocketAddr, b: SocketAddr) -> Self {
        let (a, b) = (End::from(a), End::from(b));
        if a <= b { Self { low: a, high: b } } else { Self { low: b, high: a } }
    }
}

impl From<SocketAddr> for End {
    fn from(socket: SocketAddr) -> Self {
        let address = match socket.ip() {
            IpAddr::V4(ip) => 0xffff_0000_0000 | u128::from(ip.to_bits()),
            IpAddr::V6(ip) => ip.to_bits(),
        };
        Self { address, port: socket.port() }
    }
}

impl Hash for FlowKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u128(self.low.address);
        state.write_u128(self.high.address);
        state.write_u32(u32::from(self.low.port) << 16 | u32::from(self.high.port));
    }
}

/// Names a flow in its table until it is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FlowId(u32);

/// Flows by key, by order of use and by wake-up time.
pub(crate) struct FlowTable<F> {
    by_key: HashTable<u32>,
    hasher: DefaultHashBuilder,
    slots: Vec<Slot<F>>,
    free: Vec<u32>,
    wakes: BTreeSet<(Timestamp, u32)>,
    newest: u32,
    oldest: u32,
}

struct Slot<F> {
    key: FlowKey,
    wake: Timestamp,
    newer: u32,
    older: u32,
    flow: Option<F>,
}

/// No slot: the end of the order of use.
const NONE: u32 = u32::MAX;

impl<F> FlowTable<F> {
    /// An empty table. Hashes are seeded at random: no peer can choose colliding addresses.
    pub(crate) fn new() -> Self {
        Self {
            by_key: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            slots: Vec::new(),
            free: Vec::new(),
            wakes: BTreeSet::new(),
            newest: NONE,
            oldest: NONE,
        }
    }

    /// How many flows there are.
    pub(crate) fn len(&self) -> usize {
        self.by_key.len()
    }

    /// The flow of `key`.
    pub(crate) fn find(&self, key: &FlowKey) -> Option<FlowId> {
        let hash = self.hasher.hash_one(key);
        self.by_key.find(hash, |&id| self.slots[id as usize].key == *key).map(|&id| FlowId(id))
    }

    /// Adds a flow as the one used last, to be woken at `wake`. Its key must not be in the table.
    pub(crate) fn insert(&mut self, key: FlowKey, flow: F, wake: Timestamp) -> FlowId {
        debug_assert!(self.find(&key).is_none(), "one flow per key");
        let slot = Slot { key, wake, newer: NONE, older: NONE, flow: Some(flow) };
        let id = match self.free.pop() {
            Some(id) => {
                self.slots[id as usize] = slot;
                id
            }
            None => {
                self.slots.push(slot);
                u32::try_from(self.slots.len() - 1).expect("the cap on flows is far below 2^32")
            }
        };
        let (slots, hasher) = (&self.slots, &self.hasher);
        self.by_key
            .insert_unique(hasher.hash_one(key), id, |&id| hasher.hash_one(slots[id as usize].key));
        self.wakes.insert((wake, id));
        self.link_newest(id);
        FlowId(id)
    }

    /// Takes a flow out.
    pub(crate) fn remove(&mut self, id: FlowId) -> Option<F> {
        let slot = &mut self.slots[id.0 as usize];
        let flow = slot.flow.take()?;
        let (key, wake) = (slot.key, slot.wake);
        let hash = self.hasher.hash_one(key);
        if let Ok(entry) = self.by_key.find_entry(hash, |&other| other == id.0) {
            entry.remove();
        }
        self.wakes.remove(&(wake, id.0));
        self.unlink(id.0);
        self.free.push(id.0);
        Some(flow)
    }

    /// A flow that is in the table.
    pub(crate) fn get_mut(&mut self, id: FlowId) -> Option<&mut F> {
        self.slots[id.0 as usize].flow.as_mut()
    }

    /// All flows, in no order.
    #[cfg(test)]
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut F> {
        self.slots.iter_mut().filter_map(|slot| slot.flow.as_mut())
    }

    /// Bytes that each flow takes in the table besides its entries in two indices.
    #[cfg(test)]
    pub(crate) const SLOT_BYTES: usize = size_of::<Slot<F>>();

    /// Makes `id` the flow used last.
    pub(crate) fn touch(&mut self, id: FlowId) {
        if self.newest != id.0 {
            self.unlink(id.0);
            self.link_newest(id.0);
        }
    }

    /// The flow that was not used for the longest.
    pub(crate) fn oldest(&self) -> Option<FlowId> {
        (self.oldest != NONE).then_some(FlowId(self.oldest))
    }

    /// Sees to it that `id` is woken at `wake` or earlier. A wake-up that is earlier already
    /// stays: whoever is woken for nothing asks again, which is cheaper than moving it each time.
    pub(crate) fn wake_by(&mut self, id: FlowId, wake: Timestamp) {
        if wake < self.slots[id.0 as usize].wake {
            self.wake_at(id, wake);
        }
    }

    /// Moves the wake-up of `id` to `wake`.
    pub(crate) fn wake_at(&mut self, id: FlowId, wake: Timestamp) {
        let slot = &mut self.slots[id.0 as usize];
        self.wakes.remove(&(slot.wake, id.0));
        slot.wake = wake;
        self.wakes.insert((wake, id.0));
    }

    /// The flow to be woken first, if that is at `now` or before.
    pub(crate) fn due(&self, now: Timestamp) -> Option<FlowId> {
        self.wakes.first().filter(|&&(wake, _)| wake <= now).map(|&(_, id)| FlowId(id))
    }

    fn link_newest(&mut self, id: u32) {
        let older = self.newest;
        let slot = &mut self.slots[id as usize];
        (slot.older, slot.newer) = (older, NONE);
        match self.slots.get_mut(older as usize) {
            Some(slot) => slot.newer = id,
            None => self.oldest = id,
        }
        self.newest = id;
    }

    fn unlink(&mut self, id: u32) {
        let Slot { older, newer, .. } = self.slots[id as usize];
        match self.slots.get_mut(older as usize) {
            Some(slot) => slot.newer = newer,
            None => self.oldest = newer,
        }
        match self.slots.get_mut(newer as usize) {
            Some(slot) => slot.older = older,
            None => self.newest = older,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(n: u16) -> FlowKey {
        let server = "10.0.0.1:8080".parse().unwrap();
        FlowKey::new(SocketAddr::new("10.0.0.2".parse().unwrap(), n), server)
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn a_flow_has_one_key_in_both_directions() {
        let (a, b) = ("10.0.0.1:80".parse().unwrap(), "[2001:db8::1]:80".parse().unwrap());
        assert_eq!(FlowKey::new(a, b), FlowKey::new(b, a));
        let (a, b) = ("10.0.0.1:80".parse().unwrap(), "10.0.0.1:81".parse().unwrap());
        assert_eq!(FlowKey::new(a, b), FlowKey::new(b, a));
        assert_ne!(FlowKey::new(a, b), FlowKey::new(a, a));
    }

    #[test]
    fn the_flow_touched_longest_ago_is_the_oldest() {
        let mut table = FlowTable::new();
        let ids: Vec<_> = (0..3).map(|n| table.insert(key(n), n, at(9))).collect();
        assert_eq!(table.oldest(), Some(ids[0]));
        table.touch(ids[0]);
        assert_eq!(table.oldest(), Some(ids[1]));
        table.remove(ids[1]);
        assert_eq!(table.oldest(), Some(ids[2]));
        table.remove(ids[2]);
        table.remove(ids[0]);
        assert_eq!(table.oldest(), None);
    }

    #[test]
    fn an_earlier_wake_up_stays_and_a_due_flow_is_found_in_order_of_time() {
        let mut table = FlowTable::new();
        let late = table.insert(key(1), (), at(30));
        let soon = table.insert(key(2), (), at(20));
        table.wake_by(soon, at(25));
        assert_eq!(table.due(at(19)), None);
        assert_eq!(table.due(at(20)), Some(soon));
        table.wake_by(late, at(10));
        assert_eq!(table.due(at(20)), Some(late));
        table.wake_at(late, at(40));
        assert_eq!(table.due(at(20)), Some(soon));
    }

    proptest! {
        /// The table against a plain vector in order of use.
        #[test]
        fn the_table_behaves_as_a_list_in_order_of_use(
            steps in prop::collection::vec((0u8..4, 0u16..12, 0u64..50), 0..200),
        ) {
            let mut table = FlowTable::new();
            let mut model: Vec<(u16, u64)> = Vec::new();
            for (step, n, wake) in steps {
                let found = table.find(&key(n));
                let place = model.iter().position(|&(m, _)| m == n);
                prop_assert_eq!(found.is_some(), place.is_some());
                match (step, found.zip(place)) {
                    (0, None) => {
                        table.insert(key(n), n, at(wake));
                        model.push((n, wake));
                    }
                    (1, Some((id, place))) => {
                        prop_assert_eq!(table.remove(id), Some(n));
                        model.remove(place);
                    }
                    (2, Some((id, place))) => {
                        table.touch(id);
                        let entry = model.remove(place);
                        model.push(entry);
                    }
                    (3, Some((id, place))) => {
                        table.wake_by(id, at(wake));
                        model[place].1 = model[place].1.min(wake);
                    }
                    _ => {}
                }
                prop_assert_eq!(table.len(), model.len());
                let oldest = table.oldest().and_then(|id| table.get_mut(id).copied());
                prop_assert_eq!(oldest, model.first().map(|&(m, _)| m));
                let due = table.due(at(25)).is_some();
                prop_assert_eq!(due, model.iter().any(|&(_, wake)| wake <= 25));
            }
        }
    }
}

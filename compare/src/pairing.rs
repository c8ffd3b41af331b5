//! Which exchanges are the two legs of one request.
//!
//! Exchanges with equal keys ([`crate::key`]) form a group. A key is rarely used twice, but one
//! request id can cover many calls, a proxy retries the primary under one id and mirrors it once,
//! and a tap can see one exchange twice. So:
//!
//! - A primary with a good answer and a shadow are paired at once if their requests are equal and
//!   began together; of several candidates, the one that began nearest.
//! - A primary that failed (a status of HTTP or gRPC that proxies try again, or no whole answer) may
//!   be tried again. While one waits, nothing in its group is paired. When the first of the group has waited long
//!   enough, the group is settled together: where there are more primaries than shadows, failed
//!   attempts that were followed by another of the same request are `Retried`, and so is the loser
//!   of a hedge: one without a whole answer beside one that the client got. The others pair in
//!   order of their start.
//! - What finds no partner within the window is `Unmirrored`, `PrimaryMissing`, or, where its
//!   key has been paired lately, `Duplicate` or `Retried`, or, where the other leg had been given up
//!   lately, `Late`.
//! - What was shed, here or before it got here, takes its partner with it.
//!
//! Invariants: what was pushed leaves exactly once; at most `Window::exchanges` and
//! `Window::bytes` wait; work per exchange is bounded by [`PER_KEY`].

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::time::Duration;

use capture::{Evidence, Exchange, Leg, Request, Response, ServiceId, Timestamp};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::key::{KeyDigest, Spread, origin_form};
use crate::recent::Recent;
use crate::{Outcome, ShedReason, Window, grpc_status};

/// Exchanges waiting under one key. Above it the oldest of them is shed as
/// [`ShedReason::WindowCount`]; the key itself is not.
const PER_KEY: usize = 32;

/// How far apart the starts of two legs may be to be paired at once. Ours: Envoy's copy starts
/// within a millisecond, HAProxy's within a tenth of a second. What is further apart is paired
/// when its window has passed, by which time nearer candidates would have come.
const TOGETHER: Duration = Duration::from_secs(1);

/// Places in the queue of exchanges that have left, beside one for each that waits: beyond it they
/// are cleared, which costs each of them once.
const QUEUE_SLACK: usize = 4_096;

/// Statuses below 500 after which proxies try again: Envoy's retriable-4xx is 409; nginx and HAProxy
/// can be told to take 408, 425 and 429 so. Waiting for a retry that does not come costs nothing
/// but time.
const RETRIED_STATUSES: [u16; 4] = [408, 409, 425, 429];

/// Two primaries of one key that start this close together are one exchange, seen twice.
const SAME_START: Duration = Duration::from_millis(1);

/// An exchange that has a key.
#[derive(Debug)]
pub(crate) struct Keyed {
    pub(crate) exchange: Box<Exchange>,
    pub(crate) service: ServiceId,
    pub(crate) leg: Leg,
    pub(crate) digest: KeyDigest,
    /// The key's value, to be shown; only the primary's is.
    pub(crate) key: Box<str>,
}

/// What pairing came to.
#[derive(Debug)]
pub(crate) enum Paired {
    Pair { primary: Keyed, shadow: Keyed },
    Alone(Keyed, Outcome),
}

/// Exchanges of one key that wait, by slot.
#[derive(Debug)]
struct Group {
    /// Of the key: `KeyDigest::hash`.
    hash: u64,
    /// In order of arrival; never empty.
    members: Members,
    /// How many of them are failed primaries.
    failed: usize,
}

/// One slot without an allocation, or several.
#[derive(Debug)]
enum Members {
    One(u32),
    Many(Vec<u32>),
}

impl Members {
    fn as_slice(&self) -> &[u32] {
        match self {
            Self::One(slot) => std::slice::from_ref(slot),
            Self::Many(slots) => slots,
        }
    }

    fn push(&mut self, slot: u32) {
        match self {
            Self::One(first) => *self = Self::Many(vec![*first, slot]),
            Self::Many(slots) => slots.push(slot),
        }
    }

    /// Removes `slot`; true if it was the last.
    fn remove(&mut self, slot: u32) -> bool {
        match self {
            Self::One(only) => *only == slot,
            Self::Many(slots) => {
                slots.retain(|&other| other != slot);
                slots.is_empty()
            }
        }
    }
}

/// Where an exchange waits.
#[derive(Debug)]
struct Slot {
    keyed: Option<Keyed>,
    /// Told apart from earlier tenants by the queue.
    tenancy: u32,
    bytes: usize,
}

/// Pairs exchanges.
#[derive(Debug)]
pub(crate) struct Pairer {
    window: Window,
    groups: HashTable<Group>,
    spread: Spread,
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Slot and tenancy in order of arrival, which is nearly that of their ends; those that left
    /// early are skipped when their turn comes.
    queue: VecDeque<(u32, u32)>,
    waiting: usize,
    bytes: usize,
    /// Start and end of the primary of the pair that was last made with a key.
    paired: Recent<(Timestamp, Timestamp)>,
    /// Legs that were given up without a partner, by key.
    given_up: Recent<Leg>,
    /// Keys that were shed.
    shed: Recent<ShedReason>,
    latest: Timestamp,
    done: VecDeque<Paired>,
}

impl Pairer {
    pub(crate) fn new(window: Window) -> Self {
        Self {
            window,
            groups: HashTable::new(),
            spread: Spread::random(),
            slots: Vec::new(),
            free: Vec::new(),
            queue: VecDeque::new(),
            waiting: 0,
            bytes: 0,
            paired: Recent::new(window.time, window.exchanges),
            given_up: Recent::new(window.time, window.exchanges),
            shed: Recent::new(window.time, window.exchanges),
            latest: Timestamp::ZERO,
            done: VecDeque::new(),
        }
    }

    /// Takes an exchange of the primary or the shadow leg.
    pub(crate) fn push(&mut self, keyed: Keyed) {
        let hash = keyed.digest.hash();
        if !self.shed.is_empty()
            && let Some(reason) = self.shed.get(hash)
        {
            self.done.push_back(Paired::Alone(keyed, Outcome::Shed(reason)));
            return;
        }
        let failed = usize::from(has_failed(&keyed));
        let spread = self.spread;
        let rehash = |group: &Group| spread.of(group.hash);
        match self.groups.entry(spread.of(hash), |group| group.hash == hash, rehash) {
            Entry::Vacant(vacant) => {
                let slot = occupy(&mut self.slots, &mut self.free);
                vacant.insert(Group { hash, members: Members::One(slot), failed });
                self.wait(slot, keyed);
            }
            Entry::Occupied(mut group) => {
                let partner = if failed == 0 && group.get().failed == 0 {
                    partner_at_once(group.get(), &self.slots, &keyed)
                } else {
                    None
                };
                if let Some(slot) = partner {
                    if group.get_mut().members.remove(slot) {
                        group.remove();
                    }
                    if let Some(partner) = self.leave(slot) {
                        self.pair(keyed, partner);
                    }
                    return;
                }
                let slot = occupy(&mut self.slots, &mut self.free);
                group.get_mut().members.push(slot);
                group.get_mut().failed += failed;
                let crowded = group.get().members.as_slice().len() > PER_KEY;
                let oldest = group.get().members.as_slice()[0];
                self.wait(slot, keyed);
                if crowded {
                    self.settle(oldest, Some(ShedReason::WindowCount));
                }
            }
        }
        self.relieve();
    }

    /// Takes word that an exchange with this key's hash was shed elsewhere: what waits or comes
    /// with that key is shed likewise.
    pub(crate) fn push_shed(&mut self, hash: u64, reason: ShedReason) {
        self.shed.insert(hash, reason);
        let place = self.spread.of(hash);
        if let Ok(group) = self.groups.find_entry(place, |group| group.hash == hash) {
            let (group, _) = group.remove();
            for &slot in group.members.as_slice() {
                if let Some(keyed) = self.leave(slot) {
                    self.done.push_back(Paired::Alone(keyed, Outcome::Shed(reason)));
                }
            }
        }
    }

    /// What pairing came to next.
    pub(crate) fn poll(&mut self) -> Option<Paired> {
        self.done.pop_front()
    }

    /// Settles what has waited for the window's time since its end.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        if now + self.window.time < self.latest {
            // The clock was set back by more than a window: nothing that waits would be met by
            // its partner, and it would wait for longer than it may.
            self.finish();
            self.latest = now;
        }
        self.latest = self.latest.max(now);
        self.paired.expire(now);
        self.given_up.expire(now);
        self.shed.expire(now);
        while let Some((slot, keyed)) = self.oldest() {
            if keyed.exchange.timing.end() + self.window.time > now {
                break;
            }
            self.settle(slot, None);
        }
    }

    /// Settles everything that waits.
    pub(crate) fn finish(&mut self) {
        while let Some((slot, _)) = self.oldest() {
            self.settle(slot, None);
        }
    }

    /// Sheds the oldest while too much waits.
    fn relieve(&mut self) {
        loop {
            let reason = if self.waiting > self.window.exchanges {
                ShedReason::WindowCount
            } else if self.bytes > self.window.bytes {
                ShedReason::WindowBytes
            } else {
                return;
            };
            let Some((slot, keyed)) = self.oldest() else { return };
            let hash = keyed.digest.hash();
            if self.settle(slot, Some(reason)) {
                self.shed.insert(hash, reason);
            }
        }
    }

    /// The exchange that has waited the longest.
    fn oldest(&mut self) -> Option<(u32, &Keyed)> {
        loop {
            let &(slot, tenancy) = self.queue.front()?;
            let held = &self.slots[slot as usize];
            if held.tenancy == tenancy && held.keyed.is_some() {
                break;
            }
            self.queue.pop_front();
        }
        let &(slot, _) = self.queue.front()?;
        self.slots[slot as usize].keyed.as_ref().map(|keyed| (slot, keyed))
    }

    /// Settles the group of the exchange in slot `due`, which leaves in any case: with a partner
    /// if there is one, else alone. The others of the group leave if they have one. True if `due`
    /// was shed, which it is with `reason` where it would have left alone.
    fn settle(&mut self, due: u32, reason: Option<ShedReason>) -> bool {
        let Some(keyed) = &self.slots[due as usize].keyed else { return false };
        let hash = keyed.digest.hash();
        let place = self.spread.of(hash);
        let Some(group) = self.groups.find(place, |group| group.hash == hash) else {
            return false;
        };
        if let Members::Many(members) = &group.members {
            let mut members = members.clone();
            members.sort_by_key(|&slot| self.keyed(slot).map(|k| k.exchange.timing.start()));
            let (mut primaries, shadows): (Vec<u32>, Vec<u32>) = members
                .into_iter()
                .partition(|&slot| self.keyed(slot).is_some_and(|k| k.leg == Leg::Primary));
            self.give_up_retried(&mut primaries, shadows.len());
            for slot in shadows {
                self.settle_shadow(slot, &mut primaries, due);
            }
        }
        let mut shed = false;
        if let Some(keyed) = self.leave(due) {
            let outcome = match reason {
                Some(reason) => Outcome::Shed(reason),
                None => self.alone(&keyed),
            };
            shed = reason.is_some();
            self.done.push_back(Paired::Alone(keyed, outcome));
        }
        self.forget_those_that_left(hash);
        shed
    }

    /// Ends failed attempts in whose place the client got another, the earliest first, as long as
    /// there are more primaries than shadows.
    fn give_up_retried(&mut self, primaries: &mut Vec<u32>, shadows: usize) {
        let mut at = 0;
        while primaries.len() > shadows && at < primaries.len() {
            let attempt = primaries[at];
            if self.is_retried(attempt, primaries) {
                primaries.remove(at);
                if let Some(attempt) = self.leave(attempt) {
                    self.done.push_back(Paired::Alone(attempt, Outcome::Retried));
                }
            } else {
                at += 1;
            }
        }
    }

    /// Whether `attempt` failed and another of the same request among `primaries` took its place.
    fn is_retried(&self, attempt: u32, primaries: &[u32]) -> bool {
        self.keyed(attempt).filter(|attempt| has_failed(attempt)).is_some_and(|failed| {
            primaries
                .iter()
                .filter(|&&slot| slot != attempt)
                .filter_map(|&slot| self.keyed(slot))
                .any(|other| {
                    let took_place = other.exchange.timing.start() >= failed.exchange.timing.end()
                        || (!has_failed(other) && lost_hedge(failed, life(other)));
                    took_place && same_request(failed, other)
                })
        })
    }

    /// Pairs the shadow in `slot` with the best of `primaries`. Requests that differ are a pair
    /// only when one of them is `due`, so that there is nothing left to wait for.
    fn settle_shadow(&mut self, slot: u32, primaries: &mut Vec<u32>, due: u32) {
        let Some(shadow) = self.keyed(slot) else { return };
        let best = primaries
            .iter()
            .enumerate()
            .filter_map(|(at, &primary)| Some((at, self.keyed(primary)?)))
            .map(|(at, primary)| {
                let same = same_request(primary, shadow);
                (Reverse(same), distance(primary, shadow), at)
            })
            .min();
        if let Some((Reverse(same), _, at)) = best
            && (same || slot == due || primaries[at] == due)
            && let (Some(primary), Some(shadow)) =
                (self.leave(primaries.remove(at)), self.leave(slot))
        {
            self.pair(primary, shadow);
        }
    }

    /// Takes the slots that were freed out of the group with this key.
    fn forget_those_that_left(&mut self, hash: u64) {
        let place = self.spread.of(hash);
        let same = |group: &Group| group.hash == hash;
        let Ok(mut entry) = self.groups.find_entry(place, same) else { return };
        let held = |slot: u32| self.slots[slot as usize].keyed.as_ref();
        let group = entry.get_mut();
        group.failed = 0;
        let empty = match &mut group.members {
            Members::One(slot) => held(*slot).is_none(),
            Members::Many(slots) => {
                slots.retain(|&slot| held(slot).is_some());
                group.failed = slots.iter().filter(|&&s| held(s).is_some_and(has_failed)).count();
                slots.is_empty()
            }
        };
        if empty {
            entry.remove();
        }
    }

    fn keyed(&self, slot: u32) -> Option<&Keyed> {
        self.slots[slot as usize].keyed.as_ref()
    }

    /// How an exchange ends that found no partner.
    fn alone(&mut self, keyed: &Keyed) -> Outcome {
        let timing = &keyed.exchange.timing;
        match (keyed.leg, self.paired.get(keyed.digest.hash())) {
            (Leg::Primary, Some((start, _))) if has_failed(keyed) && start >= timing.end() => {
                Outcome::Retried
            }
            (Leg::Primary, Some((start, _))) if apart(start, timing.start()) <= SAME_START => {
                Outcome::Duplicate
            }
            (Leg::Primary, Some(paired)) if lost_hedge(keyed, paired) => Outcome::Retried,
            (Leg::Primary, _) => self.given_up(keyed, Outcome::Unmirrored),
            (_, Some(_)) => Outcome::Duplicate,
            (_, None) => self.given_up(keyed, Outcome::PrimaryMissing),
        }
    }

    /// `outcome`, unless its partner was given up before it ended.
    fn given_up(&mut self, keyed: &Keyed, outcome: Outcome) -> Outcome {
        let hash = keyed.digest.hash();
        if self.given_up.get(hash).is_some_and(|leg| leg != keyed.leg) {
            return Outcome::Late;
        }
        self.given_up.insert(hash, keyed.leg);
        outcome
    }

    fn pair(&mut self, one: Keyed, other: Keyed) {
        let (primary, shadow) = if one.leg == Leg::Primary { (one, other) } else { (other, one) };
        self.paired.insert(primary.digest.hash(), life(&primary));
        self.done.push_back(Paired::Pair { primary, shadow });
    }

    /// Puts `keyed` in a slot that its group names already.
    fn wait(&mut self, slot: u32, keyed: Keyed) {
        let held = &mut self.slots[slot as usize];
        held.bytes = held_bytes(&keyed);
        held.keyed = Some(keyed);
        self.waiting += 1;
        self.bytes += held.bytes;
        self.queue.push_back((slot, held.tenancy));
        // One that waits for long would keep the places of all that came and left after it.
        if self.queue.len() > 2 * self.waiting + QUEUE_SLACK {
            let slots = &self.slots;
            self.queue.retain(|&(slot, tenancy)| {
                let held = &slots[slot as usize];
                held.tenancy == tenancy && held.keyed.is_some()
            });
        }
    }

    /// Frees a slot, which its group must not name any longer than the caller does.
    fn leave(&mut self, slot: u32) -> Option<Keyed> {
        let held = &mut self.slots[slot as usize];
        let keyed = held.keyed.take()?;
        held.tenancy = held.tenancy.wrapping_add(1);
        self.waiting -= 1;
        self.bytes -= held.bytes;
        self.free.push(slot);
        Some(keyed)
    }
}

/// A free slot, which the caller fills.
fn occupy(slots: &mut Vec<Slot>, free: &mut Vec<u32>) -> u32 {
    free.pop().unwrap_or_else(|| {
        slots.push(Slot { keyed: None, tenancy: 0, bytes: 0 });
        // `Window::exchanges` bounds the slots; beyond 2^32 memory has run out long before.
        u32::try_from(slots.len() - 1).expect("fewer than 2^32 exchanges wait")
    })
}

/// The exchange of `group` on the other leg that `keyed` can be paired with at once.
fn partner_at_once(group: &Group, slots: &[Slot], keyed: &Keyed) -> Option<u32> {
    group
        .members
        .as_slice()
        .iter()
        .filter_map(|&slot| Some((slot, slots[slot as usize].keyed.as_ref()?)))
        .filter(|(_, other)| other.leg != keyed.leg)
        .map(|(slot, other)| {
            let (primary, shadow) =
                if keyed.leg == Leg::Primary { (keyed, other) } else { (other, keyed) };
            (distance(primary, shadow), slot, other)
        })
        .filter(|((gap, _), _, other)| *gap <= TOGETHER && same_request(keyed, other))
        .min_by_key(|&(distance, _, _)| distance)
        .map(|(_, slot, _)| slot)
}

/// How far the shadow's start is from the primary's request, and from its start. A mirror starts
/// the copy with the request, or when it has the whole of it.
fn distance(primary: &Keyed, shadow: &Keyed) -> (Duration, Duration) {
    let (timing, start) = (&primary.exchange.timing, shadow.exchange.timing.start());
    let first = timing.start();
    let last = timing.request_last.unwrap_or(first);
    let gap = if start < first { first.since(start) } else { start.since(last) };
    (gap, apart(first, start))
}

fn apart(one: Timestamp, other: Timestamp) -> Duration {
    one.since(other).max(other.since(one))
}

/// Whether the two ask the same: target and body. Method and path are in the key.
fn same_request(one: &Keyed, other: &Keyed) -> bool {
    match (&one.exchange.request, &other.exchange.request) {
        (Some(one), Some(other)) => asks_the_same(one, other),
        _ => false,
    }
}

/// Whether target and body are the same. The transfer coding may differ, the entity not.
pub(crate) fn asks_the_same(one: &Request, other: &Request) -> bool {
    origin_form(one.target()) == origin_form(other.target()) && one.body.same_bytes(&other.body)
}

/// Whether this is a primary that a proxy may have given up and tried again: a status that proxies
/// try again, or no whole answer.
fn has_failed(keyed: &Keyed) -> bool {
    let Exchange { response, .. } = &*keyed.exchange;
    let tried_again = |response: &Response| {
        response.status >= 500
            || RETRIED_STATUSES.contains(&response.status)
            || grpc_status::is_tried_again(response)
    };
    keyed.leg == Leg::Primary
        && (!is_answered(&keyed.exchange) || response.as_ref().is_some_and(tried_again))
}

/// Whether the proxy got a whole answer.
fn is_answered(exchange: &Exchange) -> bool {
    let broken =
        matches!(exchange.evidence, Evidence::Reset | Evidence::ProxyAborted | Evidence::TimedOut);
    exchange.response.is_some() && !broken
}

/// When it began and when it ended.
fn life(keyed: &Keyed) -> (Timestamp, Timestamp) {
    let timing = &keyed.exchange.timing;
    (timing.start(), timing.end())
}

/// Whether `keyed` went on beside the attempt with the life `other`, which the client got, and was
/// cut off: a proxy that hedges asks twice at once and resets the slower one.
fn lost_hedge(keyed: &Keyed, other: (Timestamp, Timestamp)) -> bool {
    let (start, end) = life(keyed);
    !is_answered(&keyed.exchange) && start <= other.1 && other.0 <= end
}

/// Bytes that an exchange holds, for the window's budget.
fn held_bytes(keyed: &Keyed) -> usize {
    let request = keyed.exchange.request.as_ref().map_or(0, |request| {
        request.fields.held_bytes() + request.trailers.held_bytes() + request.body.held_bytes()
    });
    let response = keyed.exchange.response.as_ref().map_or(0, |response| {
        response.fields.held_bytes() + response.trailers.held_bytes() + response.body.held_bytes()
    });
    size_of::<Keyed>() + size_of::<Exchange>() + keyed.key.len() + request + response
}

#[cfg(test)]
mod tests;

//! What varies by itself: told from what the shadow does differently, without a rule for it.
//!
//! A **place** is an endpoint, a part of the response, a path pattern and a kind of change: what
//! one [`SignatureId`] names. Its differences are noise where the primary differs from itself there
//! about as often as the legs differ. What the primary does by itself is seen
//!
//! - in a second copy of it, the secondary leg, asked at the same time; or
//! - in its own answers to one request that comes again within a minute ([`repeat`], [`shelf`]).
//!
//! # When a place is noise
//!
//! Two answers of one version to one request differ at a place with some probability p. If the
//! shadow changes nothing there, a pair of legs is two such answers, and differs with the same p.
//! So, with d of n comparisons that differed, d_legs/n_legs must not be credibly above d_own/n_own:
//! a place is noise once the primary has differed from itself there three times, while the legs do
//! not differ more than 1.5 times as often by two standard errors ([`rate::above`]); it is reported
//! again once they do by four, over the last 4,096 or the last 128 comparisons. Between the two it
//! stays what it is, and so does not flap. What follows from that:
//!
//! - What the primary never does by itself is reported, however random it looks: a checksum that
//!   the shadow gets wrong in every answer has no difference of the primary with itself.
//! - What varies rarely is noise as rarely: a fault that makes it differ more often comes through
//!   after some ten pairs.
//! - In a place that nearly always varies, another *value* cannot be told from noise, not even
//!   one that no longer changes (a counter that the shadow freezes). What can be told is another
//!   form, another type, and that it is missing: the latter two are places of their own; for the
//!   first, the forms of the primary's values are learned ([`shape`]), and what it never writes is
//!   reported as [`Change::Format`].
//! - State that changes makes answers differ the more, the longer they are apart. The legs are
//!   asked together. So where answers within a second of each other differ less than others, they
//!   alone count.
//!
//! Where requests never come again and there is no second copy, nothing is known of the primary.
//! Then random tokens are noise if both legs' are of one kind, none of 32 in a row came twice or
//! was in its request, and nearly all pairs differ there ([`fresh`]). Where eight comparisons of
//! the primary with itself say otherwise, they are not.
//!
//! What is noise is never reported under the signature that is: what is told of such a place is
//! [`Change::Format`], which never is noise. So who leaves noise out of a verdict leaves out no
//! finding.
//!
//! Points in time near their own exchange, and what a request carries in its own header, are
//! explained by the two values alone ([`sieve`]).
//!
//! # Bounds
//!
//! [`PLACES`] places, of which the half that was not seen for the longest is forgotten when one
//! more comes; [`ENDPOINTS`] endpoints, beyond which nothing is learned; the answers on two shelves.
//! No clock and no chance: the same exchanges have the same result. Statuses are never noise.

mod fresh;
mod news;
mod piece;
mod place;
mod rate;
mod repeat;
mod shape;
mod shelf;
mod sieve;
mod stamp;

use std::cell::{Cell, OnceCell};
use std::collections::VecDeque;
use std::sync::Arc;

use capture::{ServiceId, Timestamp};
use hashbrown::HashMap;
use twox_hash::XxHash3_128;

use crate::signature::signature;
use crate::{Change, Kind, NoiseLayer, NoiseLayers, ServicePolicy, SignatureId};

pub use news::{NoiseCause, NoiseNews};
pub(crate) use place::Sort;
use place::{Compared, Known};
pub(crate) use repeat::digest as request_digest;
pub(crate) use shelf::{Answer, Shelf};
pub(crate) use sieve::{Quiet, Side, Sieve, Told};

/// Places that are remembered, over all services. When one more comes, half of them are forgotten.
const PLACES: usize = 16_384;

/// Endpoints at which anything is learned.
const ENDPOINTS: usize = 65_536;

/// Comparisons of the primary with itself after which an endpoint is known well.
const KNOWN_WELL: u64 = 512;

/// Answers kept after which an endpoint whose requests hardly come again is known to be one.
const KEPT_IN_VAIN: u64 = 256;

/// Of an endpoint that is known, requests are followed in one of so many spans of time.
const FOLLOWED: u64 = 16;
const SPAN_NS: u64 = 16_000_000_000;

/// Values after which what was learned of them is told once more, and then eight times as many.
const TOLD_AGAIN: u32 = 64;

/// An endpoint's place in the list.
pub(crate) type EndpointSlot = u32;

/// What is known of all places.
#[derive(Debug, Default)]
pub(crate) struct Noise {
    by_name: HashMap<u64, EndpointSlot>,
    endpoints: Vec<Endpoint>,
    places: HashMap<u64, Place>,
    /// Places that differ in the comparison at hand.
    seen: Vec<u64>,
    scratch: Vec<u8>,
    /// Signature of the place that was asked about last.
    asked: Option<SignatureId>,
    /// Comparisons so far.
    comparisons: u64,
    /// Start of the last of them.
    latest: Timestamp,
    news: VecDeque<NoiseNews>,
}

#[derive(Debug)]
struct Endpoint {
    service: ServiceId,
    service_name: Arc<str>,
    name: Arc<str>,
    compared: Compared,
    /// Answers that were kept to be compared with.
    kept: u64,
    /// How many of them were.
    met: u64,
    /// Its points in time leave out zeros at their end: some have fewer digits than others.
    trims: bool,
}

#[derive(Debug)]
struct Place {
    endpoint: EndpointSlot,
    signature: SignatureId,
    kind: Kind,
    pattern: Box<str>,
    change: Change,
    known: Known,
    /// The comparison in which it was last seen.
    used: u64,
    /// Values after which it is told again.
    tell_at: u32,
}

impl Noise {
    /// What is to be asked of differences at `endpoint`; `None` where `policy` wants nothing of it.
    pub(crate) fn sieve<'p>(
        &'p mut self,
        policy: &ServicePolicy,
        service: ServiceId,
        endpoint: &str,
        sort: Sort,
        sides: (Side<'p>, Side<'p>),
    ) -> Option<Sieve<'p>> {
        if policy.noise == NoiseLayers::NONE {
            return None;
        }
        self.seen.clear();
        let endpoint = self.endpoint(service, &policy.name, endpoint);
        let (primary, other) = sides;
        Some(Sieve {
            noise: self,
            endpoint,
            layers: policy.noise,
            slack: policy.clock_slack,
            sort,
            primary,
            other,
            asked: 0,
            signature: None,
            trimmed: Cell::new(false),
            carried: OnceCell::new(),
        })
    }

    /// What changed next.
    pub(crate) fn poll(&mut self) -> Option<NoiseNews> {
        self.news.pop_front()
    }

    /// Goes on with what an earlier judge told.
    pub(crate) fn learn(&mut self, service_name: &Arc<str>, news: &NoiseNews) {
        let NoiseNews { service, kind, change, ref endpoint, ref pattern, cause, .. } = *news;
        let Some(slot) = self.endpoint(service, service_name, endpoint) else { return };
        let compared = self.endpoints[slot as usize].compared;
        let Some(known) = Known::read(&news.memory, cause, compared) else { return };
        let key = self.place(slot, kind, pattern, change);
        if let Some(place) = self.places.get_mut(&key) {
            place.known = known;
        }
    }

    /// Whether the answer to this request, which began at `start`, is to be kept, and held against
    /// the one before: all at first, few once enough is known, chosen by request and time so that
    /// both of two answers are.
    pub(crate) fn follows(
        &mut self,
        policy: &ServicePolicy,
        service: ServiceId,
        endpoint: &str,
        (target, start): (&[u8], Timestamp),
    ) -> bool {
        if !policy.noise.has(NoiseLayer::Itself) {
            return false;
        }
        let Some(slot) = self.endpoint(service, &policy.name, endpoint) else { return false };
        let Endpoint { kept, met, .. } = self.endpoints[slot as usize];
        let in_vain = kept >= KEPT_IN_VAIN && met * 16 < kept;
        if met < KNOWN_WELL && !in_vain {
            return true;
        }
        let span = start.as_nanos() / SPAN_NS;
        let hash = XxHash3_128::oneshot(target) as u64;
        (hash ^ span.wrapping_mul(0x9e37_79b9_7f4a_7c15)) >> 8 & (FOLLOWED - 1) == 0
    }

    /// Counts an answer that was kept, or one that was compared with the one kept before.
    pub(crate) fn note_kept(&mut self, service: ServiceId, endpoint: &str, met: bool) {
        let key = endpoint_key(&mut self.scratch, service, endpoint);
        if let Some(&slot) = self.by_name.get(&key) {
            let endpoint = &mut self.endpoints[slot as usize];
            endpoint.kept += u64::from(!met);
            endpoint.met += u64::from(met);
        }
    }

    fn trims(&self, slot: EndpointSlot) -> bool {
        self.endpoints[slot as usize].trims
    }

    fn note_trimmed(&mut self, slot: EndpointSlot) {
        self.endpoints[slot as usize].trims = true;
    }

    fn endpoint(
        &mut self,
        service: ServiceId,
        service_name: &Arc<str>,
        name: &str,
    ) -> Option<EndpointSlot> {
        let key = endpoint_key(&mut self.scratch, service, name);
        if let Some(&slot) = self.by_name.get(&key) {
            return Some(slot);
        }
        if self.endpoints.len() >= ENDPOINTS {
            return None;
        }
        let slot = u32::try_from(self.endpoints.len()).ok()?;
        self.by_name.insert(key, slot);
        self.endpoints.push(Endpoint {
            service,
            service_name: Arc::clone(service_name),
            name: name.into(),
            compared: Compared::default(),
            kept: 0,
            met: 0,
            trims: false,
        });
        Some(slot)
    }

    /// The key of a place, which is made where it is new.
    fn place(&mut self, slot: EndpointSlot, kind: Kind, pattern: &str, change: Change) -> u64 {
        self.scratch.clear();
        self.scratch.extend_from_slice(&slot.to_le_bytes());
        self.scratch.extend_from_slice(&[kind as u8, change as u8]);
        self.scratch.extend_from_slice(pattern.as_bytes());
        let key = XxHash3_128::oneshot(&self.scratch) as u64;
        if let Some(place) = self.places.get_mut(&key) {
            place.used = self.comparisons;
            return key;
        }
        if self.places.len() >= PLACES {
            self.forget_half();
        }
        let endpoint = &self.endpoints[slot as usize];
        let place = Place {
            endpoint: slot,
            signature: signature(&endpoint.service_name, &endpoint.name, kind, pattern, change),
            kind,
            pattern: pattern.into(),
            change,
            known: Known::new(endpoint.compared),
            used: self.comparisons,
            tell_at: TOLD_AGAIN,
        };
        self.places.insert(key, place);
        key
    }

    fn ask(
        &mut self,
        endpoint: EndpointSlot,
        sort: Sort,
        layers: NoiseLayers,
        (kind, pattern, change): (Kind, &str, Change),
        (primary, other): (Option<&[u8]>, Option<&[u8]>),
        is_asked_for: impl FnOnce() -> bool,
    ) -> Told {
        let key = self.place(endpoint, kind, pattern, change);
        self.seen.push(key);
        self.asked = None;
        let Some(place) = self.places.get_mut(&key) else { return Told::Report };
        self.asked = Some(place.signature);
        let known = &mut place.known;
        if change == Change::Format {
            let seldom = known.is_seldom(self.endpoints[endpoint as usize].compared);
            return if seldom { Told::Quiet(Quiet::Timestamp) } else { Told::OtherForm };
        }
        if !has_values(change) {
            let noise = known.noise.filter(|_| sort == Sort::Legs);
            return noise.map_or(Told::Report, |cause| Told::Quiet(Quiet::Noise(cause)));
        }
        if sort != Sort::Legs {
            for value in primary.iter().chain(&other) {
                known.shapes.learn(value);
            }
            return Told::Report;
        }
        let new = layers.has(NoiseLayer::Token)
            && known.is_new_token(change, primary, other, is_asked_for);
        let foreign = other.is_some_and(|value| known.shapes.is_foreign(value));
        let told = match known.noise {
            None => Told::Report,
            Some(_) if foreign => Told::OtherForm,
            // No token, or one that came before, which the primary's never do.
            Some(NoiseCause::Class) if !new => Told::OtherForm,
            Some(cause) => Told::Quiet(Quiet::Noise(cause)),
        };
        if let Some(value) = primary {
            known.shapes.learn(value);
        }
        told
    }

    /// Counts a comparison with all the places that were seen to differ in it.
    fn compared(&mut self, slot: EndpointSlot, sort: Sort, layers: NoiseLayers, at: Timestamp) {
        self.comparisons += 1;
        self.latest = at;
        let endpoint = &mut self.endpoints[slot as usize];
        endpoint.compared.note(sort);
        self.seen.sort_unstable();
        self.seen.dedup();
        for key in self.seen.drain(..) {
            let Some(place) = self.places.get_mut(&key) else { continue };
            place.known.note(sort, endpoint.compared);
            // A form that the primary never has is no noise; how often it comes is all to know.
            if place.change == Change::Format {
                continue;
            }
            let changed = place.known.decide(layers, endpoint.compared);
            let again = place.known.noise.is_some() && place.known.shapes.values() >= place.tell_at;
            if again {
                place.tell_at = place.tell_at.saturating_mul(8);
            }
            if changed || again {
                self.news.push_back(place.news(endpoint, at));
            }
        }
    }

    /// Forgets the half of the places that was not seen for the longest.
    fn forget_half(&mut self) {
        let mut all: Vec<(u64, u64)> = self.places.iter().map(|(&key, p)| (p.used, key)).collect();
        all.sort_unstable();
        for (_, key) in &all[..all.len() / 2] {
            let Some(mut place) = self.places.remove(key) else { continue };
            if place.known.noise.take().is_some() {
                let endpoint = &self.endpoints[place.endpoint as usize];
                self.news.push_back(place.news(endpoint, self.latest));
            }
        }
    }
}

impl Place {
    fn news(&self, endpoint: &Endpoint, at: Timestamp) -> NoiseNews {
        NoiseNews {
            signature: self.signature,
            service: endpoint.service,
            endpoint: Arc::clone(&endpoint.name),
            kind: self.kind,
            pattern: self.pattern.clone(),
            change: self.change,
            cause: self.known.noise,
            at,
            memory: self.known.write(),
        }
    }
}

impl Known {
    /// Takes in two values that differ; whether both are random tokens that were not there before,
    /// neither in an answer nor in the request.
    fn is_new_token(
        &mut self,
        change: Change,
        one: Option<&[u8]>,
        other: Option<&[u8]>,
        is_asked_for: impl FnOnce() -> bool,
    ) -> bool {
        let (Change::Value | Change::Text, Some(ours), Some(theirs)) = (change, one, other) else {
            return false;
        };
        let random = sieve::differ_at_random(ours, theirs) && !is_asked_for();
        if self.fresh.is_none() && !random {
            return false;
        }
        self.fresh.get_or_insert_default().note(ours, theirs, random)
    }
}

fn endpoint_key(scratch: &mut Vec<u8>, service: ServiceId, name: &str) -> u64 {
    scratch.clear();
    scratch.extend_from_slice(&service.0.to_le_bytes());
    scratch.extend_from_slice(name.as_bytes());
    XxHash3_128::oneshot(scratch) as u64
}

/// Whether such a change comes with values, and not with words about them.
fn has_values(change: Change) -> bool {
    match change {
        Change::Value
        | Change::Text
        | Change::Type
        | Change::Missing
        | Change::Added
        | Change::ContentType => true,
        Change::Length
        | Change::Order
        | Change::Format
        | Change::Coarse
        | Change::Binary
        | Change::More => false,
    }
}

#[cfg(test)]
mod tests;

//! The primary compared with itself: with its answer to the same request before, and with the
//! second copy's. Nothing of it is reported; it shows what varies by itself.

use std::sync::Arc;

use capture::{Evidence, Exchange, Leg, Origin, Request, Response, ServiceId};
use twox_hash::XxHash3_128;

use super::echo::Echo;
use super::findings::Findings;
use super::{Differ, answers};
use crate::key::path;
use crate::noise::{Answer, Side, Sort, request_digest};
use crate::{Mirror, NoiseLayer, NoiseNews, ServicePolicy};

/// Whose answers are compared.
struct Grain<'g> {
    policy: &'g ServicePolicy,
    service: ServiceId,
    endpoint: &'g str,
}

impl Differ {
    /// Looks at an answer of the primary or its second copy, to a request with the pair key `pair`.
    pub(crate) fn observe(
        &mut self,
        policy: &ServicePolicy,
        endpoint: &str,
        pair: u64,
        exchange: &Exchange,
    ) {
        let whole = exchange.request.as_ref().zip(exchange.response.as_ref());
        let (Some(Origin { service, leg }), Some((request, response))) = (exchange.origin, whole)
        else {
            return;
        };
        if exchange.evidence != Evidence::Complete {
            return;
        }
        let grain = Grain { policy, service, endpoint };
        let copied = policy.noise.has(NoiseLayer::Secondary) && self.is_copied(service, leg);
        if copied && leg != Leg::Shadow {
            self.meet_copy(&grain, copy_key(pair, request), exchange, response);
        }
        let target = (request.target(), exchange.timing.start());
        if leg == Leg::Primary && self.noise.follows(policy, service, endpoint, target) {
            self.meet_again(&grain, request, exchange, response);
        }
    }

    /// What changed in what is noise.
    pub(crate) fn news(&mut self) -> Option<NoiseNews> {
        self.noise.poll()
    }

    /// Goes on with what was learned before.
    pub(crate) fn learned(&mut self, service_name: &Arc<str>, news: &NoiseNews) {
        self.noise.learn(service_name, news);
    }

    /// Whether the service has a second copy: one was seen.
    fn is_copied(&mut self, service: ServiceId, leg: Leg) -> bool {
        let at = usize::from(service.0);
        if leg == Leg::Secondary && self.has_copies.len() <= at {
            self.has_copies.resize(at + 1, false);
        }
        if leg == Leg::Secondary {
            self.has_copies[at] = true;
        }
        self.has_copies.get(at) == Some(&true)
    }

    /// Compares with the other of primary and second copy, or keeps the answer for it.
    fn meet_copy(&mut self, grain: &Grain<'_>, key: u64, exchange: &Exchange, response: &Response) {
        let is_copy = exchange.origin.is_some_and(|origin| origin.leg == Leg::Secondary);
        let side = u64::from(is_copy);
        let Some(other) = self.copies.take(key ^ side ^ 1, exchange.timing.start()) else {
            if let Some(answer) = Answer::of(exchange) {
                self.copies.put(key ^ side, answer);
            }
            return;
        };
        let Some(this) = Side::of(exchange) else { return };
        let (this, that) = ((this, response), (Side::of_answer(&other), &other.response));
        let (primary, copy) = if is_copy { (that, this) } else { (this, that) };
        self.learn(grain, Sort::Copies, grain.policy.mirror, primary, copy);
    }

    /// Compares with the answer to the same request before, or keeps the answer for the next. Each
    /// is compared once: a rare one that stood for several would look like several.
    fn meet_again(
        &mut self,
        grain: &Grain<'_>,
        request: &Request,
        exchange: &Exchange,
        response: &Response,
    ) {
        let Some(digest) = request_digest(grain.policy, request) else { return };
        let start = exchange.timing.start();
        let before = self.repeats.take(digest, start);
        self.noise.note_kept(grain.service, grain.endpoint, before.is_some());
        let Some(before) = before else {
            if let Some(answer) = Answer::of(exchange) {
                self.repeats.put(digest, answer);
            }
            return;
        };
        let Some(now) = Side::of(exchange) else { return };
        let sort = Sort::after(start.since(before.start).max(before.start.since(start)));
        let before = (Side::of_answer(&before), &before.response);
        self.learn(grain, sort, Mirror::None, before, (now, response));
    }

    fn learn(
        &mut self,
        grain: &Grain<'_>,
        sort: Sort,
        mirror: Mirror,
        (primary, ours): (Side<'_>, &Response),
        (other, theirs): (Side<'_>, &Response),
    ) {
        // Other statuses: the answers say nothing of each other.
        if ours.status != theirs.status {
            return;
        }
        let &Grain { policy, service, endpoint } = grain;
        let echo = Echo::new(mirror, primary.request, other.request);
        let sieve = self.noise.sieve(policy, service, endpoint, sort, (primary, other));
        let mut findings =
            Findings::new(policy, endpoint, primary.start, &mut self.reasons).sieved(sieve);
        let path = path(primary.request.target());
        if answers(path, ours, theirs, &echo, &mut findings).is_ok() {
            findings.conclude();
        }
    }
}

/// Names a request on the primary and its second copy: by the pair key, target and body.
fn copy_key(pair: u64, request: &Request) -> u64 {
    let body = request.body.kept();
    let parts = [XxHash3_128::oneshot(request.target()), XxHash3_128::oneshot(body)];
    let [target, body] = parts.map(|hash| hash as u64);
    // The lowest bit says whose it is.
    (pair ^ target.rotate_left(21) ^ body.rotate_left(42)) & !1
}

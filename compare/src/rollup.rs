//! What is counted and measured, by minute, service and endpoint.

use std::sync::Arc;
use std::time::Duration;

use capture::{Evidence, Exchange, Leg, ServiceId, Timestamp, Timing};
use hashbrown::HashMap;
use hdrhistogram::Histogram;

use crate::endpoint::{EndpointId, Endpoints};
use crate::{Incomparable, Outcome, Suppressed, Verdict};

const MINUTE_NS: u64 = 60_000_000_000;

/// The largest latency that is told apart: one hour.
const LATENCY_MAX_US: u64 = 3_600_000_000;

/// Counts and latencies of one minute of one endpoint: what to add to what is known already.
#[derive(Clone, Debug)]
pub struct Rollup {
    /// Start of the minute, by the exchanges' own start.
    pub minute: Timestamp,
    /// Which service.
    pub service: ServiceId,
    /// Which endpoint.
    pub endpoint: Arc<str>,
    /// What it holds.
    pub counts: EndpointRollup,
}

/// What a [`Rollup`] holds. Pairs count in the minute and at the endpoint of their primary.
#[derive(Clone, Debug, Default)]
pub struct EndpointRollup {
    /// By `Leg as usize`.
    pub legs: [LegAccount; 3],
    /// Pairs without a difference.
    pub matched: u64,
    /// Pairs with one.
    pub diverged: u64,
    /// Pairs that could not be judged, by reason.
    pub incomparable: Vec<(Incomparable, u64)>,
    /// Pairs whose requests had equal bodies of at least one byte.
    pub request_bodies_equal: u64,
    /// Differences that rules explained, by rule.
    pub suppressed: Vec<(Arc<str>, u64)>,
}

/// Accounts and latency of one leg.
#[derive(Clone, Debug, Default)]
pub struct LegAccount {
    /// Exchanges by `Outcome::index`.
    pub outcomes: [u64; Outcome::ALL.len()],
    /// Latency of its complete exchanges, without those seen again (`Outcome::Duplicate`).
    pub latency: Latency,
}

/// Latency distributions in microseconds: 1 µs to 1 h, two significant digits. `None` before the
/// first value.
#[derive(Clone, Debug, Default)]
pub struct Latency {
    /// Last byte of the request to first byte of the response.
    pub first_byte_us: Option<Histogram<u32>>,
    /// First byte of the request to last byte of the response.
    pub total_us: Option<Histogram<u32>>,
}

impl Latency {
    fn record(&mut self, timing: &Timing) {
        let Timing { request_first, request_last, response_first, response_last, .. } = *timing;
        // A response may begin before its request has been sent to the end: then it took no time.
        record(&mut self.first_byte_us, request_last.zip(response_first));
        record(&mut self.total_us, request_first.zip(response_last));
    }
}

fn record(histogram: &mut Option<Histogram<u32>>, span: Option<(Timestamp, Timestamp)>) {
    let Some((from, to)) = span else { return };
    if histogram.is_none() {
        *histogram = Histogram::new_with_bounds(1, LATENCY_MAX_US, 2).ok();
    }
    if let Some(histogram) = histogram {
        histogram.saturating_record(to.micros_since(from).clamp(1, LATENCY_MAX_US));
    }
}

/// The rollups since they were last taken.
#[derive(Debug, Default)]
pub(crate) struct Rollups {
    index: HashMap<(u64, EndpointId), usize>,
    counts: Vec<(u64, EndpointId, EndpointRollup)>,
}

impl Rollups {
    /// Counts an exchange that ended in `outcome`.
    pub(crate) fn exchange(
        &mut self,
        endpoint: EndpointId,
        leg: Leg,
        outcome: Outcome,
        exchange: &Exchange,
    ) {
        let account = &mut self.at(endpoint, exchange.timing.start()).legs[leg as usize];
        account.outcomes[outcome.index()] += 1;
        if exchange.evidence == Evidence::Complete && outcome != Outcome::Duplicate {
            account.latency.record(&exchange.timing);
        }
    }

    /// Counts exchanges of which only the start is known.
    pub(crate) fn unseen(
        &mut self,
        endpoint: EndpointId,
        leg: Leg,
        outcome: Outcome,
        start: Timestamp,
        count: u64,
    ) {
        self.at(endpoint, start).legs[leg as usize].outcomes[outcome.index()] += count;
    }

    /// Counts a pair; its two exchanges are counted apart.
    pub(crate) fn pair(
        &mut self,
        endpoint: EndpointId,
        start: Timestamp,
        verdict: Verdict,
        request_bodies_equal: bool,
        suppressed: &[Suppressed],
    ) {
        let counts = self.at(endpoint, start);
        match verdict {
            Verdict::Matched => counts.matched += 1,
            Verdict::Diverged => counts.diverged += 1,
            Verdict::Incomparable(reason) => {
                match counts.incomparable.iter_mut().find(|(known, _)| *known == reason) {
                    Some((_, count)) => *count += 1,
                    None => counts.incomparable.push((reason, 1)),
                }
            }
        }
        counts.request_bodies_equal += u64::from(request_bodies_equal);
        for Suppressed { rule, count } in suppressed {
            let count = u64::from(*count);
            let known = &mut counts.suppressed;
            // Nearly always it is the same name at the same address.
            let at = known.iter().position(|(name, _)| Arc::ptr_eq(name, rule));
            match at.or_else(|| known.iter().position(|(name, _)| name == rule)) {
                Some(at) => known[at].1 += count,
                None => known.push((Arc::clone(rule), count)),
            }
        }
    }

    /// What was counted since the last call, by minute, service and endpoint.
    pub(crate) fn take(&mut self, endpoints: &Endpoints) -> Vec<Rollup> {
        self.index.clear();
        let mut rollups: Vec<Rollup> = self
            .counts
            .drain(..)
            .map(|(minute, endpoint, counts)| Rollup {
                minute: Timestamp::ZERO + Duration::from_nanos(minute * MINUTE_NS),
                service: endpoints.service(endpoint),
                endpoint: Arc::clone(endpoints.name(endpoint)),
                counts,
            })
            .collect();
        for rollup in &mut rollups {
            rollup.counts.incomparable.sort_unstable();
            rollup.counts.suppressed.sort_unstable();
        }
        rollups.sort_by(|a, b| {
            (a.minute, a.service, &a.endpoint).cmp(&(b.minute, b.service, &b.endpoint))
        });
        rollups
    }

    fn at(&mut self, endpoint: EndpointId, start: Timestamp) -> &mut EndpointRollup {
        let minute = start.as_nanos() / MINUTE_NS;
        let at = match self.counts.last() {
            // Exchanges of one kind come in rows, so the last place is often the next.
            Some(&(m, e, _)) if m == minute && e == endpoint => self.counts.len() - 1,
            _ => *self.index.entry((minute, endpoint)).or_insert_with(|| {
                self.counts.push((minute, endpoint, EndpointRollup::default()));
                self.counts.len() - 1
            }),
        };
        &mut self.counts[at].2
    }
}

//! What is counted and measured, by minute, service, endpoint and releases.
//!
//! Times are measured on each leg from its own request, as the tap saw it pass: a mirror that starts
//! late is not slow for that. How late it starts is measured apart.

use std::sync::Arc;
use std::time::Duration;

use capture::{Evidence, Exchange, Leg, ServiceId, Timestamp, Timing};
use hashbrown::HashMap;
use hdrhistogram::Histogram;

use crate::differ::answer_is_error;
use crate::endpoint::{EndpointId, Endpoints};
use crate::gate::{ErrorTable, SizeBlock};
use crate::release::{Book, ReleaseId};
use crate::{Incomparable, Outcome, Releases, Suppressed, Verdict};

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
    /// The versions that answered.
    pub releases: Arc<Releases>,
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
    /// Pairs by which legs erred; those of which that cannot be told are left out.
    pub errors: ErrorTable,
    /// Response body bytes of compared pairs, as sent.
    pub sizes: SizeBlock,
    /// What compared pairs took on one leg against the other.
    pub times: PairTimes,
}

/// Accounts and latency of one leg.
#[derive(Clone, Debug, Default)]
pub struct LegAccount {
    /// Exchanges by `Outcome::index`.
    pub outcomes: [u64; Outcome::ALL.len()],
    /// Latency of its exchanges in compared pairs.
    pub paired: Latency,
    /// Latency of its other complete exchanges, without those seen again (`Outcome::Duplicate`).
    pub unpaired: Latency,
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

/// What compared pairs took on the shadow against the primary.
#[derive(Clone, Debug, Default)]
pub struct PairTimes {
    /// Of [`Latency::first_byte_us`].
    pub first_byte: Differences,
    /// Of [`Latency::total_us`].
    pub total: Differences,
    /// Of the request's first byte: how much later the copy began.
    pub start: Differences,
}

/// Distributions of differences in microseconds, shadow less primary: 0 to 1 h, two significant
/// digits. `None` before the first value.
#[derive(Clone, Debug, Default)]
pub struct Differences {
    /// Where the shadow took longer, or as long.
    pub longer_us: Option<Histogram<u32>>,
    /// Where it took less: by how much.
    pub shorter_us: Option<Histogram<u32>>,
}

/// What an exchange took. A response may begin before its request has been sent to the end: then
/// it took no time.
#[derive(Clone, Copy, Debug)]
struct Took {
    first_byte_us: Option<u64>,
    total_us: Option<u64>,
}

impl Took {
    fn of(timing: &Timing) -> Self {
        let Timing { request_first, request_last, response_first, response_last, .. } = *timing;
        let span = |from: Option<Timestamp>, to: Option<Timestamp>| Some(to?.micros_since(from?));
        Self {
            first_byte_us: span(request_last, response_first),
            total_us: span(request_first, response_last),
        }
    }
}

impl Latency {
    fn record(&mut self, took: Took) {
        record(&mut self.first_byte_us, took.first_byte_us.map(|us| us.max(1)));
        record(&mut self.total_us, took.total_us.map(|us| us.max(1)));
    }
}

impl PairTimes {
    fn record(&mut self, primary: &Timing, shadow: &Timing) {
        let (before, after) = (Took::of(primary), Took::of(shadow));
        self.first_byte.record(before.first_byte_us, after.first_byte_us);
        self.total.record(before.total_us, after.total_us);
        if let (Some(primary), Some(shadow)) = (primary.request_first, shadow.request_first) {
            let (later, earlier) = (shadow.micros_since(primary), primary.micros_since(shadow));
            self.start.record(Some(earlier), Some(later));
        }
    }
}

impl Differences {
    fn record(&mut self, primary_us: Option<u64>, shadow_us: Option<u64>) {
        let Some((primary, shadow)) = primary_us.zip(shadow_us) else { return };
        if shadow >= primary {
            record(&mut self.longer_us, Some(shadow - primary));
        } else {
            record(&mut self.shorter_us, Some(primary - shadow));
        }
    }
}

fn record(histogram: &mut Option<Histogram<u32>>, us: Option<u64>) {
    let Some(us) = us else { return };
    if histogram.is_none() {
        // Grows with its values: most never see an hour, and there are many.
        *histogram = Histogram::new(2).ok();
    }
    if let Some(histogram) = histogram {
        // Refused is only what lies outside the range of all histograms.
        let _ = histogram.record(us.min(LATENCY_MAX_US));
    }
}

/// Whether an exchange ended in an error: a server error by HTTP's or gRPC's status, or no answer.
/// `None` where that was not seen.
fn erred(exchange: &Exchange) -> Option<bool> {
    match exchange.evidence {
        Evidence::Complete => exchange.response.as_ref().map(answer_is_error),
        Evidence::Reset | Evidence::TimedOut => Some(true),
        // Lost, cut, or the proxy's own doing: it says nothing of the answer.
        Evidence::Gap
        | Evidence::Truncated
        | Evidence::ProxyAborted
        | Evidence::LateJoin
        | Evidence::Malformed => None,
    }
}

fn body_bytes(exchange: &Exchange) -> u64 {
    exchange.response.as_ref().map_or(0, |response| response.body.len())
}

/// What is counted together within a minute: an endpoint as one pair of releases answers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Slice {
    pub(crate) endpoint: EndpointId,
    pub(crate) releases: ReleaseId,
}

/// The rollups since they were last taken.
#[derive(Debug, Default)]
pub(crate) struct Rollups {
    index: HashMap<(u64, Slice), usize>,
    counts: Vec<(u64, Slice, EndpointRollup)>,
}

impl Rollups {
    /// Counts an exchange that ended in `outcome`.
    pub(crate) fn exchange(
        &mut self,
        slice: Slice,
        leg: Leg,
        outcome: Outcome,
        exchange: &Exchange,
    ) {
        let account = &mut self.at(slice, exchange.timing.start()).legs[leg as usize];
        account.outcomes[outcome.index()] += 1;
        if outcome == Outcome::Compared {
            account.paired.record(Took::of(&exchange.timing));
        } else if exchange.evidence == Evidence::Complete && outcome != Outcome::Duplicate {
            account.unpaired.record(Took::of(&exchange.timing));
        }
    }

    /// Counts exchanges of which only the start is known.
    pub(crate) fn unseen(
        &mut self,
        slice: Slice,
        leg: Leg,
        outcome: Outcome,
        start: Timestamp,
        count: u64,
    ) {
        self.at(slice, start).legs[leg as usize].outcomes[outcome.index()] += count;
    }

    /// Counts a pair; its two exchanges are counted apart.
    pub(crate) fn pair(
        &mut self,
        slice: Slice,
        (primary, shadow): (&Exchange, &Exchange),
        verdict: Verdict,
        request_bodies_equal: bool,
        suppressed: &[Suppressed],
    ) {
        let counts = self.at(slice, primary.timing.start());
        if verdict != Verdict::Incomparable(Incomparable::RequestDiffers) {
            counts.errors.count(erred(primary), erred(shadow));
        }
        if !matches!(verdict, Verdict::Incomparable(_)) {
            counts.sizes.primary_bytes += body_bytes(primary);
            counts.sizes.shadow_bytes += body_bytes(shadow);
            counts.times.record(&primary.timing, &shadow.timing);
        }
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

    /// What was counted since the last call, by minute, service, endpoint and releases.
    pub(crate) fn take(&mut self, endpoints: &Endpoints, releases: &Book) -> Vec<Rollup> {
        self.index.clear();
        let mut rollups: Vec<Rollup> = self
            .counts
            .drain(..)
            .map(|(minute, slice, counts)| Rollup {
                minute: Timestamp::ZERO + Duration::from_nanos(minute * MINUTE_NS),
                service: endpoints.service(slice.endpoint),
                endpoint: Arc::clone(endpoints.name(slice.endpoint)),
                releases: Arc::clone(releases.names(slice.releases)),
                counts,
            })
            .collect();
        for rollup in &mut rollups {
            rollup.counts.incomparable.sort_unstable();
            rollup.counts.suppressed.sort_unstable();
        }
        rollups.sort_by(|a, b| {
            let key = |r: &Rollup| (r.minute, r.service);
            key(a)
                .cmp(&key(b))
                .then_with(|| a.endpoint.cmp(&b.endpoint))
                .then_with(|| a.releases.cmp(&b.releases))
        });
        rollups
    }

    fn at(&mut self, slice: Slice, start: Timestamp) -> &mut EndpointRollup {
        let minute = start.as_nanos() / MINUTE_NS;
        let at = match self.counts.last() {
            // Exchanges of one kind come in rows, so the last place is often the next.
            Some(&(m, s, _)) if m == minute && s == slice => self.counts.len() - 1,
            _ => *self.index.entry((minute, slice)).or_insert_with(|| {
                self.counts.push((minute, slice, EndpointRollup::default()));
                self.counts.len() - 1
            }),
        };
        &mut self.counts[at].2
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Sample;
    use crate::{Judge, Policy, ReleaseSource, ServicePolicy, Window};

    fn rollups(pairs: impl IntoIterator<Item = (Sample, Sample)>) -> Vec<Rollup> {
        let release = ReleaseSource::Header("x-version".into());
        let mut shop = ServicePolicy { release, ..ServicePolicy::new("shop") };
        shop.rules.push("header:x-version".parse().unwrap());
        let policy = Policy { services: vec![shop], window: Window::default() };
        let mut judge = Judge::new(Arc::new(policy));
        for (primary, shadow) in pairs {
            judge.push(primary.primary());
            judge.push(shadow.shadow());
        }
        judge.finish();
        judge.take_rollups()
    }

    fn one(primary: Sample, shadow: Sample) -> EndpointRollup {
        let mut rollups = rollups([(primary, shadow)]);
        assert_eq!(rollups.len(), 1);
        rollups.remove(0).counts
    }

    fn sample() -> Sample {
        Sample::new("1")
    }

    #[test]
    fn errors_are_told_apart_by_leg_and_what_was_lost_is_none() {
        let table = |primary, shadow| {
            let ErrorTable { neither, primary_only, shadow_only, both } =
                one(primary, shadow).errors;
            [neither, primary_only, shadow_only, both]
        };
        assert_eq!(table(sample(), sample()), [1, 0, 0, 0]);
        assert_eq!(table(sample().status(499), sample().status(404)), [1, 0, 0, 0]);
        assert_eq!(table(sample().status(500), sample()), [0, 1, 0, 0]);
        assert_eq!(table(sample(), sample().status(503)), [0, 0, 1, 0]);
        assert_eq!(table(sample().status(500), sample().status(599)), [0, 0, 0, 1]);
        for evidence in [Evidence::TimedOut, Evidence::Reset] {
            assert_eq!(table(sample(), sample().unanswered(evidence)), [0, 0, 1, 0]);
        }
        for evidence in [Evidence::Gap, Evidence::Truncated, Evidence::ProxyAborted] {
            assert_eq!(table(sample(), sample().status(500).evidence(evidence)), [0; 4]);
        }
        let other_request = sample().request_body("other").status(500);
        assert_eq!(table(sample().request_body("one"), other_request), [0; 4]);
    }

    #[test]
    fn body_bytes_are_those_of_compared_pairs() {
        let sizes =
            |counts: EndpointRollup| (counts.sizes.primary_bytes, counts.sizes.shadow_bytes);
        assert_eq!(sizes(one(sample().body("[1]"), sample().body("[1, 2]"))), (3, 6));
        let cut = sample().body("[1, 2]").evidence(Evidence::Truncated);
        assert_eq!(sizes(one(sample().body("[1]"), cut)), (0, 0));
    }

    #[test]
    fn what_a_pair_took_is_told_by_which_leg_took_longer() {
        let near = |histogram: &Option<Histogram<u32>>, us: u64| {
            let histogram = histogram.as_ref().unwrap();
            histogram.len() == 1 && histogram.max().abs_diff(us) * 100 <= us
        };
        let slower = one(sample().at_us(1_000_000, 4_000), sample().at_us(1_000_500, 9_000)).times;
        assert!(near(&slower.total.longer_us, 5_000), "{:?}", slower.total);
        assert!(slower.total.shorter_us.is_none());
        assert!(near(&slower.start.longer_us, 500));
        let faster = one(sample().at_us(1_000_000, 9_000), sample().at_us(999_000, 4_000)).times;
        assert!(near(&faster.total.shorter_us, 5_000) && faster.total.longer_us.is_none());
        // The response begins after half the time, the request takes a tenth of it.
        assert!(near(&faster.first_byte.shorter_us, 2_000), "{:?}", faster.first_byte);
        assert!(near(&faster.start.shorter_us, 1_000));
        let alike = one(sample(), sample()).times;
        assert_eq!(alike.total.longer_us.unwrap().max(), 0);
    }

    #[test]
    fn latency_of_compared_pairs_is_kept_apart() {
        let counts = one(sample(), sample().evidence(Evidence::Gap));
        assert!(counts.times.total.longer_us.is_none());
        let [primary, shadow, _] = counts.legs;
        assert!(primary.paired.total_us.is_none() && primary.unpaired.total_us.is_some());
        assert!(shadow.unpaired.total_us.is_none());
    }

    #[test]
    fn more_than_an_hour_counts_as_an_hour() {
        let counts = one(sample().at_us(0, 9_000_000_000), sample());
        let longest = counts.legs[0].paired.total_us.as_ref().unwrap().max();
        assert!(longest.abs_diff(LATENCY_MAX_US) * 100 <= LATENCY_MAX_US, "{longest}");
    }

    #[test]
    fn each_pair_of_releases_has_rollups_of_its_own() {
        let of = |id: &str, version: &str| Sample::new(id).response_header("x-version", version);
        let rollups = rollups([
            (of("1", "v1"), of("1", "v2")),
            (of("2", "v1"), of("2", "v2")),
            (of("3", "v1"), of("3", "v3")),
        ]);
        let seen: Vec<_> =
            rollups.iter().map(|r| (r.releases.to_string(), r.counts.matched)).collect();
        assert_eq!(seen, [("v1..v2".to_owned(), 2), ("v1..v3".to_owned(), 1)]);
    }
}

//! The whole of compare as one core: exchanges in, comparisons out.

use std::collections::VecDeque;
use std::sync::Arc;

use capture::{Exchange, Leg, Origin, ServiceId, Timestamp};

use crate::differ::Differ;
use crate::endpoint::Endpoints;
use crate::key::{Key, pair_id};
use crate::pairing::{Keyed, Paired, Pairer};
use crate::release::Book;
use crate::rollup::{Rollups, Slice};
use crate::{Comparison, LearnedTemplate, NoiseNews, Outcome, Policy, Rollup, ShedReason, Verdict};

/// Exchanges in, comparisons out. Reads no clock.
///
/// Every exchange of a configured service that is pushed, and every notice, ends in exactly one
/// [`Outcome`]: it leaves through [`Judge::poll`] once, and is counted once in
/// [`Judge::take_rollups`]. What has not ended yet waits within [`crate::Window`].
#[derive(Debug)]
pub struct Judge {
    policy: Arc<Policy>,
    pairer: Pairer,
    differ: Differ,
    endpoints: Endpoints,
    releases: Book,
    rollups: Rollups,
    judged: VecDeque<Judged>,
}

/// What leaves the judge.
#[derive(Debug)]
pub enum Judged {
    /// A pair was compared or found incomparable.
    Pair(Box<Comparison>),
    /// An exchange ended without a pair.
    Unpaired(Box<Unpaired>),
    /// What is noise has changed.
    Noise(Box<NoiseNews>),
    /// From here on endpoints have another name. What was counted stays under the old one, and
    /// [`LearnedTemplate::covers`] tells the new one of each.
    Template(Box<LearnedTemplate>),
}

/// An exchange that ended without a pair.
#[derive(Debug)]
pub struct Unpaired {
    /// Which service.
    pub service: ServiceId,
    /// Which leg.
    pub leg: Leg,
    /// Method and path template; `-` where the request was not seen.
    pub endpoint: Arc<str>,
    /// How it ended.
    pub outcome: Outcome,
    /// When it began.
    pub start: Timestamp,
}

/// Word of an exchange that was dropped before it reached the judge: so little that it always
/// fits. Its partner ends in the same outcome instead of looking unmirrored.
#[derive(Clone, Copy, Debug)]
pub struct ShedNotice {
    /// Which service.
    pub service: ServiceId,
    /// Which leg.
    pub leg: Leg,
    /// The pair key's hash, as [`Judge::key_hash`] gives it; `None` where it has none, or where
    /// there was no room to name it.
    pub key_hash: Option<u64>,
    /// When it began.
    pub start: Timestamp,
    /// Why.
    pub reason: ShedReason,
    /// How many exchanges it stands for: 1 where `key_hash` is named.
    pub count: u64,
}

impl Judge {
    /// A judge for `policy`.
    #[must_use]
    pub fn new(policy: Arc<Policy>) -> Self {
        Self {
            pairer: Pairer::new(policy.window),
            differ: Differ::default(),
            releases: Book::new(&policy),
            policy,
            endpoints: Endpoints::default(),
            rollups: Rollups::default(),
            judged: VecDeque::new(),
        }
    }

    /// Goes on with what an earlier judge told of noise, of services that the policy names.
    #[must_use]
    pub fn learned(mut self, news: impl IntoIterator<Item = NoiseNews>) -> Self {
        for news in news {
            if let Some(policy) = self.policy.service(news.service) {
                self.differ.learned(&policy.name, &news);
            }
        }
        self
    }

    /// Goes on with a template that an earlier judge has learned, so that names stay what they were
    /// over restarts. Before anything is pushed.
    pub fn know(&mut self, template: &LearnedTemplate) {
        self.endpoints.know(template);
    }

    /// Hash of the pair key of `exchange`: equal on both legs of a request, and the same in every
    /// run, host and version. What sheds by it keeps or drops both legs of a pair.
    ///
    /// `None` where the exchange has no origin, no request or no key: it has no partner.
    #[must_use]
    pub fn key_hash(policy: &Policy, exchange: &Exchange) -> Option<u64> {
        let service = policy.service(exchange.origin?.service)?;
        Key::of(service, exchange.request.as_ref()?).map(|key| key.digest.hash())
    }

    /// Takes one exchange. Exchanges without an origin, or of a service that the policy does not
    /// name, are not for a judge and are ignored.
    pub fn push(&mut self, exchange: impl Into<Box<Exchange>>) {
        let exchange = exchange.into();
        let Some(Origin { service, leg }) = exchange.origin else { return };
        let Some(policy) = self.policy.service(service) else { return };
        let key = exchange.request.as_ref().and_then(|request| Key::of(policy, request));
        if leg == Leg::Secondary {
            let pair = key.map(|key| key.digest.hash());
            return self.unpaired(service, leg, &exchange, Outcome::Baseline, pair);
        }
        let Some(key) = key else {
            return self.unpaired(service, leg, &exchange, Outcome::Unkeyed, None);
        };
        let shown = if leg == Leg::Primary { key.shown() } else { Box::default() };
        let digest = key.digest;
        self.pairer.push(Keyed { exchange, service, leg, digest, key: shown });
        self.settle();
    }

    /// Takes word of an exchange that was dropped before it got here. It counts as shed, at the
    /// endpoint `-`, and so does every exchange with its key that waits or comes within the next
    /// windows. Nothing leaves [`Judge::poll`] for it: it never was here.
    pub fn push_shed(&mut self, notice: ShedNotice) {
        let ShedNotice { service, leg, key_hash, start, reason, count } = notice;
        let Some(policy) = self.policy.service(service) else { return };
        let endpoint = self.endpoints.of(service, policy, None);
        let slice = Slice { endpoint, releases: self.releases.latest(service) };
        self.rollups.unseen(slice, leg, Outcome::Shed(reason), start, count);
        if let Some(key_hash) = key_hash
            && leg != Leg::Secondary
        {
            self.pairer.push_shed(key_hash, reason);
            self.settle();
        }
    }

    /// What was judged next.
    pub fn poll(&mut self) -> Option<Judged> {
        for template in self.endpoints.take_learned() {
            self.judged.push_back(Judged::Template(Box::new(template)));
        }
        self.judged.pop_front()
    }

    /// Lets time pass: what has waited too long by `now` is settled.
    pub fn expire(&mut self, now: Timestamp) {
        self.pairer.expire(now);
        self.settle();
    }

    /// Nothing more will come: everything that waits is settled.
    pub fn finish(&mut self) {
        self.pairer.finish();
        self.settle();
    }

    /// Latency and accounts since the last call, by minute, service, endpoint and releases:
    /// deltas to be added to what was taken before. In that order.
    pub fn take_rollups(&mut self) -> Vec<Rollup> {
        self.rollups.take(&self.endpoints, &self.releases)
    }

    fn settle(&mut self) {
        while let Some(paired) = self.pairer.poll() {
            match paired {
                Paired::Pair { primary, shadow } => self.compare(primary, shadow),
                Paired::Alone(keyed, outcome) => {
                    let Keyed { service, leg, exchange, digest, .. } = keyed;
                    let is_read = leg == Leg::Primary && outcome == Outcome::Unmirrored;
                    let pair = is_read.then(|| digest.hash());
                    self.unpaired(service, leg, &exchange, outcome, pair);
                }
            }
        }
    }

    fn compare(&mut self, primary: Keyed, shadow: Keyed) {
        let Keyed { exchange: primary, service, digest, key, .. } = primary;
        let shadow = shadow.exchange;
        let Some(policy) = self.policy.service(service) else { return };
        let endpoint = self.endpoints.of(service, policy, Some(&primary));
        let name = self.endpoints.name(endpoint);
        let found = self.differ.compare(policy, name, &primary, &shadow);
        self.differ.observe(policy, name, digest.hash(), &primary);

        let outcome = match found.verdict {
            Verdict::Incomparable(_) => Outcome::Incomparable,
            Verdict::Matched | Verdict::Diverged => Outcome::Compared,
        };
        let releases = self.releases.of_pair(service, &primary, &shadow);
        let slice = Slice { endpoint, releases };
        self.rollups.exchange(slice, Leg::Primary, outcome, &primary);
        self.rollups.exchange(slice, Leg::Shadow, outcome, &shadow);
        self.rollups.pair(
            slice,
            (&primary, &shadow),
            found.verdict,
            found.request_bodies_equal,
            &found.suppressed,
        );
        self.judged.push_back(Judged::Pair(Box::new(Comparison {
            id: pair_id(digest, primary.request.as_ref(), primary.timing.start()),
            service,
            endpoint: Arc::clone(name),
            releases: Arc::clone(self.releases.names(releases)),
            key,
            primary,
            shadow,
            verdict: found.verdict,
            divergences: found.divergences,
            suppressed: found.suppressed,
        })));
        self.tell_news();
    }

    fn tell_news(&mut self) {
        while let Some(news) = self.differ.news() {
            self.judged.push_back(Judged::Noise(Box::new(news)));
        }
    }

    /// Ends an exchange without a pair; with `pair`, the hash of its pair key, its answer is looked
    /// at for what varies by itself.
    fn unpaired(
        &mut self,
        service: ServiceId,
        leg: Leg,
        exchange: &Exchange,
        outcome: Outcome,
        pair: Option<u64>,
    ) {
        let Some(policy) = self.policy.service(service) else { return };
        let endpoint = self.endpoints.of(service, policy, Some(exchange));
        if let Some(pair) = pair {
            self.differ.observe(policy, self.endpoints.name(endpoint), pair, exchange);
        }
        let releases = self.releases.of_one(service, leg, exchange);
        self.rollups.exchange(Slice { endpoint, releases }, leg, outcome, exchange);
        let unpaired = Unpaired {
            service,
            leg,
            endpoint: Arc::clone(self.endpoints.name(endpoint)),
            outcome,
            start: exchange.timing.start(),
        };
        self.judged.push_back(Judged::Unpaired(Box::new(unpaired)));
        self.tell_news();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};
    use std::time::Duration;

    use capture::Evidence;
    use proptest::prelude::*;

    use super::*;
    use crate::sample::{Sample, written};
    use crate::{Incomparable, ServicePolicy, Window};

    fn policy(window: Window) -> Arc<Policy> {
        let mut shop = ServicePolicy::new("shop");
        shop.rules.push("header:x-backend".parse().unwrap());
        Arc::new(Policy { services: vec![shop], window })
    }

    fn judge() -> Judge {
        Judge::new(policy(Window::default()))
    }

    fn drain(judge: &mut Judge) -> Vec<Judged> {
        std::iter::from_fn(|| judge.poll()).collect()
    }

    fn outcomes(judged: &[Judged]) -> Vec<(Leg, &'static str)> {
        judged
            .iter()
            .flat_map(|judged| match judged {
                Judged::Pair(pair) => {
                    let outcome = match pair.verdict {
                        Verdict::Incomparable(_) => Outcome::Incomparable,
                        _ => Outcome::Compared,
                    };
                    vec![(Leg::Primary, outcome.as_str()), (Leg::Shadow, outcome.as_str())]
                }
                Judged::Unpaired(alone) => vec![(alone.leg, alone.outcome.as_str())],
                Judged::Noise(_) | Judged::Template(_) => Vec::new(),
            })
            .collect()
    }

    #[test]
    fn a_pair_leaves_compared_with_its_key_endpoint_and_name() {
        let mut judge = judge();
        let sample = || Sample::new("id-1").target("/items/7?x=1");
        judge.push(sample().content("application/json", r#"{"price":1}"#).primary());
        judge.push(sample().content("application/json", r#"{"price":2}"#).shadow());
        let judged = drain(&mut judge);
        let [Judged::Pair(pair)] = &judged[..] else { panic!("{judged:?}") };
        assert_eq!((&*pair.endpoint, &*pair.key), ("GET /items/{id}", "id-1"));
        assert_eq!(pair.verdict, Verdict::Diverged);
        assert_eq!(written(&pair.divergences), ["body /price value: 1 -> 2"]);
        assert_eq!(pair.primary.origin.unwrap().leg, Leg::Primary);
        assert_eq!(pair.id.to_string(), "p-f8b3f69be8a4c561");
    }

    #[test]
    fn what_cannot_be_paired_says_why_at_once() {
        let mut judge = judge();
        judge.push(Sample::new("").primary());
        judge.push(Sample::new("1").on(Leg::Secondary));
        let mut headless = Sample::new("1").evidence(Evidence::LateJoin).shadow();
        headless.request = None;
        judge.push(headless);
        let judged = drain(&mut judge);
        assert_eq!(
            outcomes(&judged),
            [(Leg::Primary, "unkeyed"), (Leg::Secondary, "baseline"), (Leg::Shadow, "unkeyed")]
        );
        let Judged::Unpaired(last) = &judged[2] else { panic!("{judged:?}") };
        assert_eq!(&*last.endpoint, "-");
    }

    #[test]
    fn exchanges_of_nobody_are_ignored() {
        let mut judge = judge();
        let mut stray = Sample::new("1").primary();
        stray.origin = None;
        judge.push(stray.clone());
        stray.origin = Some(Origin { service: ServiceId(9), leg: Leg::Primary });
        judge.push(stray);
        judge.finish();
        assert!(judge.poll().is_none() && judge.take_rollups().is_empty());
    }

    #[test]
    fn the_key_hash_is_that_of_the_pair_and_the_same_in_every_run() {
        let policy = policy(Window::default());
        let hash = |exchange| Judge::key_hash(&policy, &exchange);
        assert_eq!(hash(Sample::new("1").primary()), hash(Sample::new("1").host("x").shadow()));
        assert_eq!(hash(Sample::new("1").primary()), Some(14_132_189_247_776_231_837));
        assert_eq!(hash(Sample::new("").primary()), None);
    }

    #[test]
    fn rollups_count_and_measure_by_minute_and_endpoint_and_are_deltas() {
        let mut judge = judge();
        let (first, second) = (70_000_000, 130_000_000);
        let sample =
            |id: &str, at| Sample::new(id).at_us(at, 8_000).response_header("x-backend", id);
        judge.push(sample("1", first).primary());
        judge.push(sample("1", first).response_header("x-backend", "b").shadow());
        judge.push(sample("2", second).target("/other").primary());
        judge.finish();
        let rollups = judge.take_rollups();
        assert!(judge.take_rollups().is_empty());
        let seen: Vec<_> =
            rollups.iter().map(|r| (r.minute.as_nanos() / 1_000_000_000, &*r.endpoint)).collect();
        assert_eq!(seen, [(60, "GET /items/{id}"), (120, "GET /other")]);

        let counts = &rollups[0].counts;
        assert_eq!((counts.matched, counts.diverged, counts.request_bodies_equal), (1, 0, 0));
        assert_eq!(counts.suppressed, [("header:x-backend".into(), 1)]);
        for leg in [Leg::Primary, Leg::Shadow] {
            let account = &counts.legs[leg as usize];
            assert_eq!(account.outcomes[Outcome::Compared.index()], 1);
            // The request takes a tenth of the 8 ms, the response begins after half of them.
            let (first_byte, total) = (&account.paired.first_byte_us, &account.paired.total_us);
            let near = |got: u64, expected: u64| got.abs_diff(expected) * 100 <= expected;
            assert!(near(first_byte.as_ref().unwrap().max(), 3_200));
            assert!(near(total.as_ref().unwrap().max(), 8_000));
        }
        let alone = &rollups[1].counts.legs[Leg::Primary as usize];
        assert_eq!(alone.outcomes[Outcome::Unmirrored.index()], 1);
    }

    #[test]
    fn only_whole_exchanges_are_measured_and_none_below_a_microsecond() {
        let mut judge = judge();
        judge.push(Sample::new("1").evidence(Evidence::Gap).primary());
        judge.push(Sample::new("1").at_us(5, 0).shadow());
        judge.finish();
        let rollups = judge.take_rollups();
        assert_eq!(rollups[0].counts.incomparable, [(Incomparable::Evidence(Evidence::Gap), 1)]);
        let [primary, shadow, _] = &rollups[0].counts.legs;
        assert!(primary.unpaired.total_us.is_none());
        assert_eq!(shadow.unpaired.total_us.as_ref().unwrap().min(), 1);
    }

    /// How one request shows on the wire.
    #[derive(Clone, Debug)]
    struct Call {
        failed_attempts: usize,
        primary_seen: bool,
        mirrored: bool,
        mirrored_twice: bool,
        shadow_delay_ms: u64,
        body: u8,
    }

    fn call() -> impl Strategy<Value = Call> {
        (0_usize..3, any::<[bool; 3]>(), 0_u64..20_000, 0_u8..3).prop_map(
            |(failed_attempts, flags, shadow_delay_ms, body)| Call {
                failed_attempts: if flags[0] { failed_attempts } else { 0 },
                primary_seen: flags[0],
                mirrored: flags[1] || !flags[0],
                // With a retry it could not be told from two calls.
                mirrored_twice: flags == [true; 3] && failed_attempts == 0,
                shadow_delay_ms,
                body,
            },
        )
    }

    impl Call {
        /// The exchanges it leaves on the wire if it begins at `start_ms`.
        fn exchanges(&self, id: &str, start_ms: u64) -> Vec<Exchange> {
            let at = |from_ms: u64, took_ms: u64| {
                Sample::new(id)
                    .method("POST")
                    .request_body(&"b".repeat(self.body.into()))
                    .at_us(from_ms * 1000, took_ms * 1000)
            };
            let mut all = Vec::new();
            let mut attempt_ms = start_ms;
            for _ in 0..self.failed_attempts {
                all.push(at(attempt_ms, 20).status(503).primary());
                attempt_ms += 50;
            }
            if self.primary_seen {
                all.push(at(attempt_ms, 20).primary());
            }
            for _ in 0..usize::from(self.mirrored) + usize::from(self.mirrored_twice) {
                all.push(at(start_ms + 1, 10 + self.shadow_delay_ms).shadow());
            }
            all
        }

        /// How they end.
        fn expected(&self) -> Vec<(Leg, &'static str)> {
            let mut all = vec![(Leg::Primary, "retried"); self.failed_attempts];
            match (self.primary_seen, self.mirrored) {
                (true, true) => {
                    all.extend([(Leg::Primary, "compared"), (Leg::Shadow, "compared")]);
                }
                (true, false) => all.push((Leg::Primary, "unmirrored")),
                (false, _) => all.push((Leg::Shadow, "primary_missing")),
            }
            if self.mirrored_twice {
                all.push((Leg::Shadow, "duplicate"));
            }
            all
        }
    }

    /// Which of the three legs' outcomes the rollups counted.
    fn counted(judge: &mut Judge) -> BTreeMap<(Leg, &'static str), u64> {
        let mut sums = BTreeMap::new();
        for rollup in judge.take_rollups() {
            for leg in Leg::ALL {
                let counts = rollup.counts.legs[leg as usize].outcomes;
                for (outcome, count) in Outcome::ALL.into_iter().zip(counts) {
                    if count > 0 {
                        *sums.entry((leg, outcome.as_str())).or_default() += count;
                    }
                }
            }
        }
        sums
    }

    fn tally<'a>(
        all: impl IntoIterator<Item = &'a (Leg, &'static str)>,
    ) -> BTreeMap<(Leg, &'static str), u64> {
        let mut sums = BTreeMap::new();
        for &one in all {
            *sums.entry(one).or_default() += 1;
        }
        sums
    }

    proptest! {
        #[test]
        fn every_call_ends_as_its_exchanges_say(calls in prop::collection::vec((call(), 0_u64..2000), 1..40)) {
            let mut start_ms = 1_000;
            let mut exchanges = Vec::new();
            let mut expected = Vec::new();
            for (i, (call, after_ms)) in calls.iter().enumerate() {
                start_ms += after_ms;
                exchanges.extend(call.exchanges(&i.to_string(), start_ms));
                expected.extend(call.expected());
            }
            // As the tap gives them: when they end.
            exchanges.sort_by_key(|exchange| exchange.timing.end());
            let mut judge = judge();
            let mut judged = Vec::new();
            for exchange in exchanges {
                let now = exchange.timing.end();
                judge.push(exchange);
                judge.expire(now);
                judged.append(&mut drain(&mut judge));
            }
            judge.finish();
            judged.append(&mut drain(&mut judge));
            prop_assert_eq!(tally(&outcomes(&judged)), tally(&expected));
            prop_assert_eq!(counted(&mut judge), tally(&expected));
        }

        /// Whatever comes, in whatever order, within whatever bounds: what was pushed leaves once.
        #[test]
        fn accounts_close(
            steps in prop::collection::vec((0_u8..6, 0_u8..4, any::<u8>(), 0_u64..90_000), 1..200),
            exchanges in 1_usize..40,
            bytes in 2_000_usize..200_000,
        ) {
            let window = Window { time: Duration::from_secs(35), exchanges, bytes };
            let policy = policy(window);
            let mut judge = Judge::new(Arc::clone(&policy));
            let mut pushed: BTreeMap<Leg, u64> = BTreeMap::new();
            let mut noticed = Vec::new();
            let mut judged = Vec::new();
            for (i, &(step, id, flags, ms)) in steps.iter().enumerate() {
                let leg = Leg::ALL[usize::from(flags) % 3];
                let mut sample = Sample::new(&if id == 3 { i.to_string() } else { id.to_string() })
                    // Tells exchanges apart.
                    .at_us(1_000_000 + ms * 1000 + i as u64, 5_000)
                    .response_header("x-backend", &i.to_string());
                if flags & 4 != 0 { sample = sample.status(503); }
                if flags & 8 != 0 { sample = sample.request_body("b"); }
                if flags & 16 != 0 { sample = sample.unanswered(Evidence::Reset); }
                let exchange = sample.on(leg);
                match step {
                    0..=3 => {
                        *pushed.entry(leg).or_default() += 1;
                        judge.push(exchange);
                    }
                    4 => {
                        noticed.push((leg, Outcome::Shed(ShedReason::QueueFull).as_str()));
                        judge.push_shed(ShedNotice {
                            service: ServiceId(0),
                            leg,
                            key_hash: Judge::key_hash(&policy, &exchange),
                            start: exchange.timing.start(),
                            reason: ShedReason::QueueFull,
                            count: 1,
                        });
                    }
                    _ => judge.expire(exchange.timing.end()),
                }
                judged.append(&mut drain(&mut judge));
            }
            judge.finish();
            judged.append(&mut drain(&mut judge));

            let ended = outcomes(&judged);
            let by_leg = |leg| ended.iter().filter(|(of, _)| *of == leg).count() as u64;
            for leg in Leg::ALL {
                prop_assert_eq!(by_leg(leg), pushed.get(&leg).copied().unwrap_or(0), "{:?}", leg);
            }
            let all: Vec<_> = ended.iter().copied().chain(noticed).collect();
            prop_assert_eq!(counted(&mut judge), tally(&all));
            let mut starts = HashSet::new();
            for judged in &judged {
                match judged {
                    Judged::Pair(pair) => {
                        let legs = [&pair.primary, &pair.shadow];
                        let keys = legs.map(|leg| Judge::key_hash(&policy, leg));
                        prop_assert_eq!(keys[0], keys[1]);
                        prop_assert_eq!(legs.map(|e| e.origin.unwrap().leg), [Leg::Primary, Leg::Shadow]);
                        for exchange in legs {
                            prop_assert!(starts.insert(exchange.timing.start()));
                        }
                    }
                    Judged::Unpaired(alone) => prop_assert!(starts.insert(alone.start)),
                    Judged::Noise(_) | Judged::Template(_) => {}
                }
            }
        }
    }
}

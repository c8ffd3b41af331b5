//! Seeded traffic on two legs, counted as a store counts it.
//!
//! Latency is log-normal: a factor that both legs share (0.35 in logarithms), one of each leg's own
//! (0.15), and one request in 200 five times as slow on both. Runs draw from a pool of 65,536 pairs
//! in which each pair stands beside its mirror image: undisturbed legs are exactly alike.

use compare::gate::{Accounts, ErrorTable, Evidence, Latency, Sample, SizeBlock};
use hdrhistogram::Histogram;

/// Pairs between looks.
pub(crate) const LOOK: u64 = 100;

/// What the shadow does worse.
#[derive(Clone, Copy, Default)]
pub(crate) struct Defect {
    /// Slows its slowest requests down by a fifth.
    pub(crate) slow_tail: bool,
}

/// Pairs to draw from, by the slots of their histograms; the faster half first.
pub(crate) struct Pool {
    pairs: Vec<(u16, u16)>,
    /// The slots' values in microseconds, rising.
    values: Vec<u64>,
}

impl Pool {
    pub(crate) fn new(defect: Defect) -> Self {
        let mut rng = fastrand::Rng::with_seed(0x7a9d_1ff0);
        let mut pairs = Vec::with_capacity(65_536);
        for _ in 0..32_768 {
            let slow = if rng.u32(0..200) == 0 { 5.0 } else { 1.0 };
            let shared = 10_000.0 * slow * (0.35 * normal(&mut rng)).exp();
            let one = shared * (0.15 * normal(&mut rng)).exp();
            let other = shared * (0.15 * normal(&mut rng)).exp();
            pairs.extend([(one, other), (other, one)]);
        }
        // The slowest 3 % of this traffic.
        let slowed =
            |time: f64| if defect.slow_tail && time > 20_500.0 { 1.2 * time } else { time };
        let times = times();
        let slot = |time: f64| times.lowest_equivalent(time as u64);
        let pairs: Vec<(u64, u64)> =
            pairs.into_iter().map(|(one, other)| (slot(one), slot(slowed(other)))).collect();
        let mut values: Vec<u64> = pairs.iter().flat_map(|&(one, other)| [one, other]).collect();
        values.sort_unstable();
        values.dedup();
        let at = |value| values.binary_search(&value).unwrap() as u16;
        let pairs = pairs.into_iter().map(|(one, other)| (at(one), at(other))).collect();
        Self { pairs, values }
    }

    /// How much slower the shadow is at a quantile, over the whole pool.
    pub(crate) fn ratio(&self, quantile: f64) -> f64 {
        let at = |of: fn(&(u16, u16)) -> u16| {
            let mut slots: Vec<u16> = self.pairs.iter().map(of).collect();
            slots.sort_unstable();
            self.values[usize::from(slots[(quantile * 65_536.0) as usize])] as f64
        };
        at(|pair| pair.1) / at(|pair| pair.0)
    }
}

/// One run's latencies so far.
pub(crate) struct Latencies<'a> {
    pool: &'a Pool,
    rng: fastrand::Rng,
    primary: Vec<u32>,
    shadow: Vec<u32>,
    count: u32,
    wave: u32,
}

impl<'a> Latencies<'a> {
    pub(crate) fn new(pool: &'a Pool, seed: u64) -> Self {
        let slots = pool.values.len();
        Self {
            pool,
            rng: fastrand::Rng::with_seed(seed),
            primary: vec![0; slots],
            shadow: vec![0; slots],
            count: 0,
            wave: 0,
        }
    }

    /// Calm and busy times take turns, each of so many looks: the faster half of the pool, then
    /// the slower half.
    pub(crate) fn in_waves(pool: &'a Pool, seed: u64, wave: u32) -> Self {
        Self { wave, ..Self::new(pool, seed) }
    }

    /// [`LOOK`] pairs more.
    pub(crate) fn run(&mut self) {
        let looks = self.count / LOOK as u32;
        let (drawn, half) = match looks.checked_div(self.wave) {
            None => (0xffff, 0),
            Some(waves) => (0x7fff, (waves as usize & 1) << 15),
        };
        for _ in 0..LOOK / 4 {
            let mut four = self.rng.u64(..);
            // Plain loops and indices: this runs without optimisation, a hundred million times.
            let mut left = 4;
            while left > 0 {
                let (one, other) = self.pool.pairs[four as usize & drawn | half];
                self.primary[one as usize] += 1;
                self.shadow[other as usize] += 1;
                four >>= 16;
                left -= 1;
            }
        }
        self.count += LOOK as u32;
    }

    /// Shadow over primary at a quantile.
    pub(crate) fn ratio(&self, quantile: f64) -> f64 {
        let beyond = self.count - (quantile * f64::from(self.count)).ceil() as u32;
        let at = |counts: &[u32]| {
            let (mut slot, mut above) = (counts.len() - 1, 0);
            while above + counts[slot] <= beyond {
                above += counts[slot];
                slot -= 1;
            }
            self.pool.values[slot] as f64
        };
        at(&self.shadow) / at(&self.primary)
    }

    pub(crate) fn legs(&self) -> [Latency; 2] {
        [&self.primary, &self.shadow].map(|counts| {
            let mut total = times();
            for (&value, &count) in self.pool.values.iter().zip(counts) {
                total.record_n(value, u64::from(count)).unwrap();
            }
            Latency { first_byte_us: None, total_us: Some(total) }
        })
    }
}

/// Events of a chance each, by the pairs they come at.
pub(crate) struct Events {
    rng: fastrand::Rng,
    chance: f64,
    next: u64,
}

impl Events {
    pub(crate) fn new(chance: f64, seed: u64) -> Self {
        let mut events = Self { rng: fastrand::Rng::with_seed(seed), chance, next: 0 };
        events.next = events.gap();
        events
    }

    /// How many come before pair `end`.
    pub(crate) fn until(&mut self, end: u64) -> u64 {
        let mut count = 0;
        while self.next < end {
            count += 1;
            self.next += 1 + self.gap();
        }
        count
    }

    fn gap(&mut self) -> u64 {
        if self.chance <= 0.0 {
            return u64::MAX / 2;
        }
        let gap = (1.0 - self.rng.f64()).ln() / (1.0 - self.chance).ln();
        gap as u64
    }
}

/// One run's errors so far: each leg errs on its own. That both do at once is left out: it is no
/// more than four pairs in 10,000, and says nothing.
pub(crate) struct Errors {
    primary: Events,
    shadow: Events,
    pairs: u64,
    pub(crate) table: ErrorTable,
}

impl Errors {
    pub(crate) fn new(primary: f64, shadow: f64, seed: u64) -> Self {
        Self {
            primary: Events::new(primary, seed ^ 0x5eed_0001),
            shadow: Events::new(shadow, seed ^ 0x5eed_0002),
            pairs: 0,
            table: ErrorTable::default(),
        }
    }

    /// Up to so many pairs.
    pub(crate) fn run(&mut self, pairs: u64) {
        let table = &mut self.table;
        table.primary_only += self.primary.until(pairs);
        table.shadow_only += self.shadow.until(pairs);
        self.pairs = pairs;
        table.neither = pairs - table.primary_only - table.shadow_only;
    }
}

/// What a service shows whose pairs are all alike.
pub(crate) fn alike(pairs: u64) -> Evidence {
    let sizes = (0..pairs.div_ceil(LOOK))
        .map(|block| 50_000 + block % 7)
        .map(|bytes| SizeBlock { primary_bytes: bytes, shadow_bytes: bytes })
        .collect();
    let errors = ErrorTable { neither: pairs, ..ErrorTable::default() };
    Evidence {
        service: Sample { compared: pairs, errors, sizes, ..Sample::default() },
        endpoints: Vec::new(),
        accounts: Accounts {
            packets: 20 * pairs,
            primary_seen: pairs,
            shadow_seen: pairs,
            pairs,
            ..Accounts::default()
        },
        sample_rate: 1.0,
    }
}

pub(crate) fn times() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 3_600_000_000, 2).unwrap()
}

/// Box and Muller's way.
fn normal(rng: &mut fastrand::Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.f64()).ln()).sqrt();
    radius * (std::f64::consts::TAU * rng.f64()).cos()
}

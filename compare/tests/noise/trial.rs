//! The service through the judge, and what came of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use capture::{Exchange, Leg, Origin};
use compare::{Comparison, Divergence, Judge, Judged, NoiseLayers, Policy, ServicePolicy, Window};

use crate::service::{Asked, Service};

/// Where a divergence is: endpoint, kind, pattern and change, as text.
pub(crate) type Place = String;

/// What was told of one run.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// Pairs after which nothing was reported any more that varies by itself.
    pub(crate) warm_up: usize,
    /// Reports of what varies by itself, after the pairs that may be needed to learn.
    pub(crate) late: Vec<(usize, Place)>,
    /// Faults after those pairs, and how many of them were reported.
    pub(crate) faults: usize,
    pub(crate) found: usize,
    /// Those that were not.
    pub(crate) missed: BTreeMap<&'static str, usize>,
}

impl Told {
    fn fault(&mut self, pattern: &'static str, found: bool) {
        self.faults += 1;
        self.found += usize::from(found);
        if !found {
            *self.missed.entry(pattern).or_default() += 1;
        }
    }

    fn false_report(&mut self, pair: usize, learning: usize, place: Place) {
        self.warm_up = pair + 1;
        if pair >= learning {
            self.late.push((pair, place));
        }
    }
}

/// A judge of the service.
pub(crate) fn judge(noise: NoiseLayers) -> Judge {
    let mut shop = ServicePolicy::new("shop");
    shop.noise = noise;
    Judge::new(Arc::new(Policy { services: vec![shop], window: Window::default() }))
}

/// Runs `pairs` pairs, of which the first `learning` may be needed to learn.
pub(crate) fn run(seed: u64, pairs: usize, learning: usize, with_copy: bool) -> Told {
    let mut service = Service::new(seed);
    let mut judge = judge(NoiseLayers::ALL);
    let mut told = Told::default();
    for pair in 0..pairs {
        let Asked { primary, shadow, secondary, fault } = service.ask(false);
        let copy = with_copy.then_some(secondary);
        let comparison = compared(&mut judge, primary, shadow, copy);
        let expected = fault.map(|fault| fault.found);
        let mut found = false;
        for divergence in &comparison.divergences {
            let Divergence { kind, pattern, change, .. } = divergence;
            let is_it = expected == Some((*kind, &**pattern, *change));
            found |= is_it;
            if !is_it {
                told.false_report(pair, learning, place(&comparison, divergence));
            }
        }
        if let Some((_, pattern, _)) = expected
            && pair >= learning
        {
            told.fault(pattern, found);
        }
    }
    told
}

/// One pair, judged.
pub(crate) fn compared(
    judge: &mut Judge,
    primary: Exchange,
    shadow: Exchange,
    secondary: Option<Exchange>,
) -> Comparison {
    if let Some(secondary) = secondary {
        judge.push(secondary);
    }
    judge.push(primary);
    judge.push(shadow);
    let mut comparison = None;
    while let Some(judged) = judge.poll() {
        if let Judged::Pair(pair) = judged {
            comparison = Some(*pair);
        }
    }
    comparison.expect("a pair that began together is judged at once")
}

fn place(comparison: &Comparison, divergence: &Divergence) -> Place {
    let Divergence { kind, pattern, change, .. } = divergence;
    format!("{} {} {pattern} {}", comparison.endpoint, kind.as_str(), change.as_str())
}

/// The same service, told by the formula that Diffy publishes: a field is a difference where the
/// candidate differs from the primary in it more often than the secondary does, relatively by more
/// than 20 %, and absolutely in more than 0.03 % of the requests. It needs the secondary, and counts
/// from the beginning.
pub(crate) fn diffy(seed: u64, pairs: usize, learning: usize) -> Told {
    let mut service = Service::new(seed);
    let (mut raw, mut noise) = (judge(NoiseLayers::NONE), judge(NoiseLayers::NONE));
    let mut totals: BTreeMap<String, f64> = BTreeMap::new();
    let mut counts: BTreeMap<Place, (f64, f64)> = BTreeMap::new();
    let mut told = Told::default();
    for pair in 0..pairs {
        let Asked { primary, shadow, mut secondary, fault } = service.ask(false);
        if let Some(Origin { leg, .. }) = &mut secondary.origin {
            *leg = Leg::Shadow;
        }
        let expected = fault.map(|fault| fault.found);
        let own = compared(&mut noise, primary.clone(), secondary, None);
        let comparison = compared(&mut raw, primary, shadow, None);
        *totals.entry(comparison.endpoint.to_string()).or_default() += 1.0;
        let places = |of: &Comparison| -> BTreeSet<Place> {
            of.divergences.iter().map(|divergence| place(of, divergence)).collect()
        };
        for at in places(&own) {
            counts.entry(at).or_default().1 += 1.0;
        }
        for at in places(&comparison) {
            counts.entry(at).or_default().0 += 1.0;
        }
        let total = totals[&*comparison.endpoint];
        let mut found = false;
        for divergence in &comparison.divergences {
            let at = place(&comparison, divergence);
            let (raw, noise) = counts[&at];
            let (apart, both) = ((raw - noise).abs(), raw + noise);
            let reported =
                raw > noise && 100.0 * apart / both > 20.0 && 100.0 * apart / total > 0.03;
            // It knows no change of form: that the field is named will do.
            let is_it = expected.is_some_and(|(kind, pattern, _)| {
                (kind, pattern) == (divergence.kind, &*divergence.pattern)
            });
            found |= reported && is_it;
            if reported && !is_it {
                told.false_report(pair, learning, at);
            }
        }
        if let Some((_, pattern, _)) = expected
            && pair >= learning
        {
            told.fault(pattern, found);
        }
    }
    told
}

//! Which distributions the table `latency` holds, and under which names.
//!
//! A leg's latency is stored in two parts that are added where all of it is asked for: that of
//! compared pairs, which the verdict rests on, and that of its other exchanges. A store of schema
//! version 1 has all of it in the second.

use capture::Leg;
use compare::{EndpointRollup, Latency};
use hdrhistogram::Histogram;

pub(super) const FIRST_BYTE: &str = "first_byte";
pub(super) const TOTAL: &str = "total";
pub(super) const PAIRED_FIRST_BYTE: &str = "paired_first_byte";
pub(super) const PAIRED_TOTAL: &str = "paired_total";

/// Names of how much longer the shadow took, and of how much less. Both are stored as the shadow's.
pub(super) struct DifferenceNames {
    pub(super) longer: &'static str,
    pub(super) shorter: &'static str,
}

pub(super) const FIRST_BYTE_DIFFERENCE: DifferenceNames =
    DifferenceNames { longer: "longer_first_byte", shorter: "shorter_first_byte" };
pub(super) const TOTAL_DIFFERENCE: DifferenceNames =
    DifferenceNames { longer: "longer_total", shorter: "shorter_total" };
pub(super) const START_DIFFERENCE: DifferenceNames =
    DifferenceNames { longer: "later_start", shorter: "earlier_start" };

/// One distribution of a rollup, with the leg and the name that it is stored under.
pub(super) type Measured<'a> = (Leg, &'static str, &'a Histogram<u32>);

/// Every distribution that `counts` has.
pub(super) fn all(counts: &EndpointRollup) -> impl Iterator<Item = Measured<'_>> {
    let legs = Leg::ALL.into_iter().zip(&counts.legs).flat_map(|(leg, account)| {
        let Latency { first_byte_us, total_us } = &account.unpaired;
        let unpaired = [(leg, FIRST_BYTE, first_byte_us), (leg, TOTAL, total_us)];
        let Latency { first_byte_us, total_us } = &account.paired;
        let paired = [(leg, PAIRED_FIRST_BYTE, first_byte_us), (leg, PAIRED_TOTAL, total_us)];
        unpaired.into_iter().chain(paired)
    });
    let times = &counts.times;
    let differences = [
        (FIRST_BYTE_DIFFERENCE, &times.first_byte),
        (TOTAL_DIFFERENCE, &times.total),
        (START_DIFFERENCE, &times.start),
    ];
    let differences = differences.into_iter().flat_map(|(names, found)| {
        let shadow = Leg::Shadow;
        [(shadow, names.longer, &found.longer_us), (shadow, names.shorter, &found.shorter_us)]
    });
    legs.chain(differences)
        .filter_map(|(leg, name, histogram)| Some((leg, name, histogram.as_ref()?)))
}

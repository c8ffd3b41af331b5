//! What the gate judges: everything that was counted so far.

use std::sync::Arc;

use hdrhistogram::Histogram;

/// What is known of one service, from the start of the run to now.
///
/// Looks must be at growing parts of one run: what the gate was shown once stays in, and the same
/// release, policy and acknowledgements hold throughout.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// All endpoints together.
    pub service: Sample,
    /// By endpoint, in the order in which they were first seen. That order must not change between
    /// looks: the place decides which part of the false-fail budget is the endpoint's.
    pub endpoints: Vec<EndpointSample>,
    /// What became of what was seen.
    pub accounts: Accounts,
    /// Share of the traffic that is looked at: 1.0 is all. Only turns pairs that are missing into
    /// requests; what is no share of more than nothing counts as unknown.
    pub sample_rate: f64,
}

/// What is known of one endpoint.
#[derive(Clone, Debug)]
pub struct EndpointSample {
    /// Method and path template.
    pub endpoint: Arc<str>,
    /// Its pairs.
    pub sample: Sample,
}

/// Pairs and what was measured on them.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// Pairs that could be judged.
    pub compared: u64,
    /// Those with a difference that no rule explains and nobody acknowledged.
    pub diverged: u64,
    /// Those whose only differences are acknowledged: not in `diverged`.
    pub acknowledged: u64,
    /// Pairs by which legs erred.
    pub errors: ErrorTable,
    /// Latency of the primary in the pairs.
    pub primary: Latency,
    /// Latency of the shadow in the pairs.
    pub shadow: Latency,
    /// Body bytes by block: the minutes of the rollups, or any cut that does not look at sizes.
    pub sizes: Vec<SizeBlock>,
}

/// Pairs by which legs erred. An error is a status of 500 or above, or no answer at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ErrorTable {
    /// Both answered well.
    pub neither: u64,
    /// Only the primary erred.
    pub primary_only: u64,
    /// Only the shadow erred.
    pub shadow_only: u64,
    /// Both erred.
    pub both: u64,
}

impl ErrorTable {
    /// Counts a pair by whether each leg erred; one where that is not known of both is not counted.
    pub fn count(&mut self, primary: Option<bool>, shadow: Option<bool>) {
        let Some(legs) = primary.zip(shadow) else { return };
        let pairs = match legs {
            (false, false) => &mut self.neither,
            (true, false) => &mut self.primary_only,
            (false, true) => &mut self.shadow_only,
            (true, true) => &mut self.both,
        };
        *pairs += 1;
    }
}

/// Latencies of one leg in microseconds, as the rollups keep them. `None` before the first.
#[derive(Clone, Debug, Default)]
pub struct Latency {
    /// Last byte of the request to first byte of the response.
    pub first_byte_us: Option<Histogram<u64>>,
    /// First byte of the request to last byte of the response.
    pub total_us: Option<Histogram<u64>>,
}

/// Response body bytes of the pairs of one block.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SizeBlock {
    /// Of the primary.
    pub primary_bytes: u64,
    /// Of the shadow.
    pub shadow_bytes: u64,
}

/// What became of what was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accounts {
    /// Packets captured.
    pub packets: u64,
    /// Packets known to be lost: dropped by the kernel or missing from streams.
    pub packets_lost: u64,
    /// Exchanges seen on the primary.
    pub primary_seen: u64,
    /// Exchanges seen on the shadow.
    pub shadow_seen: u64,
    /// Of the primary's: without a copy on the shadow.
    pub unmirrored: u64,
    /// Of the shadow's: without their primary.
    pub primary_missing: u64,
    /// Of both legs: left out to keep within bounds.
    pub shed: u64,
    /// Pairs, judged or not.
    pub pairs: u64,
    /// Of the pairs: those that could not be judged.
    pub incomparable: u64,
}

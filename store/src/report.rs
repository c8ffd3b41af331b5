//! What differed, as people and programs get it.
//!
//! These types are the report's JSON: field names are keys that stay. Keys may be added, never
//! renamed. The same stored data gives the same bytes: everything is sorted, and nothing tells of
//! the moment of asking.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

use crate::AgentCounters;
use crate::shift::{Shift, SignedQuantiles};

/// Version of the report's shape.
pub const REPORT_SCHEMA: u32 = 1;

/// The report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`REPORT_SCHEMA`].
    pub schema: u32,
    /// Version of the tapdiff that made the report.
    pub tapdiff: String,
    /// RFC 3339: start of the first minute that it covers; `None` where there is nothing.
    pub from: Option<String>,
    /// RFC 3339: end of the last minute that it covers; `None` where there is nothing.
    pub to: Option<String>,
    /// Digest of the configuration of the latest run that it covers; empty where there is none.
    pub config_digest: String,
    /// Share of the primary's exchanges that were not shed to keep within bounds, rounded
    /// down to six digits: 1.0 is all.
    pub sample_rate: f64,
    /// By name.
    pub services: Vec<ServiceReport>,
    /// What was not kept in full.
    pub left_out: LeftOutReport,
}

/// One service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceReport {
    /// Its name.
    pub service: String,
    /// How its exchanges ended.
    pub accounts: Accounts,
    /// What came of its pairs.
    pub pairs: PairCounts,
    /// By pairs, most first, then by name.
    pub endpoints: Vec<EndpointReport>,
    /// By count, most first, then by id.
    pub signatures: Vec<SignatureReport>,
    /// Differences that rules explained, by count, most first, then by rule.
    pub suppressed: Vec<SuppressedCount>,
    /// The versions that answered, by first seen, then by name.
    #[serde(default)]
    pub releases: Vec<ReleaseReport>,
    /// How much of the service the proxy mirrors; `None` where nobody says how much it should.
    #[serde(default)]
    pub mirror: Option<MirrorAudit>,
    /// Rules of the latest run that want a look, in the order of the configuration.
    #[serde(default)]
    pub alarms: Vec<Alarm>,
    /// What the captures counted that saw this service: of the whole capture, whichever service a
    /// packet belongs to, over the runs that the report covers in part or whole.
    pub capture: AgentCounters,
}

/// Accounts of the legs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accounts {
    /// The backend that answers clients.
    pub primary: LegAccounts,
    /// The backend that gets the copy.
    pub shadow: LegAccounts,
    /// The noise baseline, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secondary: Option<LegAccounts>,
}

/// Accounts of one leg: `seen` is the sum of `outcomes`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegAccounts {
    /// Exchanges.
    pub seen: u64,
    /// How they ended, by `compare::Outcome::as_str`; every outcome is there.
    pub outcomes: BTreeMap<String, u64>,
}

/// What came of pairs: `compared` is `matched` + `diverged`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairCounts {
    /// Pairs that could be judged.
    pub compared: u64,
    /// Pairs without a difference.
    pub matched: u64,
    /// Pairs with one.
    pub diverged: u64,
    /// Pairs that could not be judged, by reason; reasons that never were are left out.
    pub incomparable: BTreeMap<String, u64>,
    /// Pairs whose requests had equal bodies of at least one byte.
    pub request_bodies_equal: u64,
}

/// One endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EndpointReport {
    /// Method and path template.
    pub endpoint: String,
    /// Pairs, compared or not.
    pub pairs: u64,
    /// Pairs that could be judged.
    pub compared: u64,
    /// Pairs with a difference.
    pub diverged: u64,
    /// Pairs that could not be judged.
    pub incomparable: u64,
    /// Primary exchanges without a copy.
    pub unmirrored: u64,
    /// Exchanges of the primary.
    pub primary_seen: u64,
    /// Exchanges of the shadow.
    pub shadow_seen: u64,
    /// `pairs` over `pairs + unmirrored`, rounded down to six digits; `None` where both are none.
    pub mirrored_share: Option<f64>,
    /// Pairs whose copy asked for something else: the mirror changed target or body.
    #[serde(default)]
    pub request_differs: u64,
    /// Latency of complete exchanges.
    pub latency: LegLatencies,
    /// Shadow over primary in compared pairs, at each quantile for which there are enough.
    #[serde(default)]
    pub shift: Vec<Shift>,
    /// Shadow less primary in each compared pair.
    #[serde(default)]
    pub difference: PairDifferences,
    /// How much later the copy began than the request itself.
    #[serde(default)]
    pub mirror_lag: SignedQuantiles,
    /// How much of it the proxy mirrors; `None` where nobody says how much it should.
    #[serde(default)]
    pub mirror: Option<MirrorAudit>,
}

/// What compared pairs took on the shadow less what they took on the primary.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairDifferences {
    /// First byte of the request to last byte of the response.
    pub total: SignedQuantiles,
    /// Last byte of the request to first byte of the response.
    pub first_byte: SignedQuantiles,
}

/// The versions that answered, and what came of their pairs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseReport {
    /// Their names.
    #[serde(flatten)]
    pub names: ReleaseNames,
    /// Pairs, compared or not.
    pub pairs: u64,
    /// Pairs that could be judged.
    pub compared: u64,
    /// Pairs with a difference.
    pub diverged: u64,
    /// RFC 3339: start of the first minute that counts something of them.
    pub first_seen: String,
    /// RFC 3339: end of the last such minute.
    pub last_seen: String,
}

/// Names of the versions of both legs; empty where not known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ReleaseNames {
    /// Of the leg that answers clients.
    pub primary: String,
    /// Of the leg that gets the copy.
    pub shadow: String,
}

impl std::fmt::Display for ReleaseNames {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = |name: &str| if name.is_empty() { "?".to_owned() } else { name.to_owned() };
        write!(f, "{}..{}", name(&self.primary), name(&self.shadow))
    }
}

/// A configured share of mirrored traffic against the one seen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MirrorAudit {
    /// As the configuration says.
    pub configured: f64,
    /// Exchanges of the primary with a copy.
    pub mirrored: u64,
    /// Exchanges of the primary of which it is known whether they have a copy.
    pub of: u64,
    /// `mirrored` over `of`; `None` where there are none.
    pub seen: Option<f64>,
    /// 95 % interval (Wilson 1927) of the share that the proxy mirrors, from what was seen.
    pub interval: Option<[f64; 2]>,
    /// Whether the configured share lies in it; `None` where there is none.
    pub agrees: Option<bool>,
}

/// A rule that wants a look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alarm {
    /// The rule's name.
    pub rule: String,
    /// `never_fired`, `expired` or `silences_body`.
    pub why: String,
}

/// Latency of the legs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegLatencies {
    /// The backend that answers clients.
    pub primary: Latencies,
    /// The backend that gets the copy.
    pub shadow: Latencies,
}

/// Latency of one leg: from the request's first byte to the response's last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latencies {
    /// First byte of the request to last byte of the response.
    #[serde(flatten)]
    pub total: Quantiles,
    /// Last byte of the request to first byte of the response.
    pub first_byte: Quantiles,
}

/// A distribution of times in microseconds, to two significant digits. `None` where it is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quantiles {
    /// Values.
    pub count: u64,
    /// Median.
    pub p50_us: Option<u64>,
    /// 90 % are not above it.
    pub p90_us: Option<u64>,
    /// 99 % are not above it.
    pub p99_us: Option<u64>,
    /// 99.9 % are not above it.
    #[serde(default)]
    pub p999_us: Option<u64>,
    /// The largest.
    pub max_us: Option<u64>,
}

impl Quantiles {
    pub(crate) fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| (!histogram.is_empty()).then(|| histogram.value_at_quantile(quantile));
        Self {
            count: histogram.len(),
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            p999_us: at(0.999),
            max_us: at(1.0),
        }
    }
}

/// One signature: divergences of one cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignatureReport {
    /// `s-` and 16 hexadecimal digits.
    pub id: String,
    /// Method and path template.
    pub endpoint: String,
    /// `status`, `header`, `body` or `trailer`.
    pub kind: String,
    /// Where: a header name, or a JSON Pointer with `*` for array indices.
    pub path: String,
    /// What kind of change: `value`, `missing`, `added`, …
    pub change: String,
    /// Differences.
    pub count: u64,
    /// Pairs that had at least one.
    pub pairs: u64,
    /// RFC 3339: start of the first pair that had it.
    pub first_seen: String,
    /// RFC 3339: start of the last pair that had it.
    pub last_seen: String,
    /// Ids of pairs that are kept with both messages, in order of time.
    pub examples: Vec<String>,
    /// Whether it is expected, and left out of the verdict.
    pub acknowledged: bool,
    /// Who said so and why; there too where it has expired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledgement: Option<AcknowledgementReport>,
    /// Why it is noise by now, and left out of the verdict: `self`, `secondary` or `class`.
    #[serde(default)]
    pub noise: Option<String>,
    /// The releases whose pairs had it.
    #[serde(default)]
    pub releases: Vec<ReleaseNames>,
}

/// That a signature is expected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcknowledgementReport {
    /// Why.
    pub reason: String,
    /// Who said so.
    pub by: String,
    /// RFC 3339: when.
    pub at: String,
    /// RFC 3339: until when it counts; `None`: for good.
    pub until: Option<String>,
    /// Whether that moment has passed: it counts no longer.
    pub expired: bool,
}

/// Differences that one rule explained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuppressedCount {
    /// The rule's name.
    pub rule: String,
    /// Differences.
    pub count: u64,
}

/// What was not kept in full, to keep within bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOutReport {
    /// Pairs that would have been examples, but are kept without their messages.
    pub examples: u64,
    /// Differences filed under the pattern `{other}`, since there were too many signatures.
    pub signatures_folded: u64,
}

//! Exchanges become [`Comparison`]s.
//!
//! ```text
//! Exchange → pairing → Pair → comparison by content, rules → Comparison
//!                    ↘ Unpaired                            ↘ Rollup (latency, accounts)
//! ```
//!
//! Pure: no I/O, no clock. [`Judge`] takes exchanges, and time as an argument. Accounts are
//! closed: every exchange pushed ends in exactly one [`Outcome`].

mod comparison;
mod descriptors;
mod differ;
mod endpoint;
mod extractor;
mod field_name;
pub mod gate;
mod grpc_status;
mod judge;
mod key;
mod noise;
mod outcome;
mod pairing;
mod policy;
mod recent;
mod release;
mod rollup;
mod rule;
#[cfg(test)]
mod sample;
#[cfg(test)]
mod schema;
mod signature;
mod suggest;
mod trial;

pub use comparison::{Change, Comparison, Divergence, Kind, PairId, SignatureId, Suppressed};
pub use descriptors::{Descriptors, DescriptorsError};
pub use differ::{Explained, StoredDivergence};
pub use endpoint::{
    LearnedTemplate, ParseRouteError, ParseTakesError, Route, Takes, unreached as unreached_routes,
};
pub use extractor::{Extractor, ParseExtractorError};
pub use judge::{Judge, Judged, ShedNotice, Unpaired};
pub use noise::{NoiseCause, NoiseNews};
pub use outcome::{Incomparable, Outcome, ShedReason, Verdict};
pub use policy::{
    MessageRule, Mirror, NoiseLayer, NoiseLayers, ParseMirrorError, ParseNoiseLayerError, Policy,
    ReleaseSource, ServicePolicy, Window,
};
pub use release::Releases;
pub use rollup::{Differences, EndpointRollup, Latency, LegAccount, PairTimes, Rollup};
pub use rule::{
    Action, ElementKey, Normaliser, ParseRuleError, PathPattern, Rule, RuleError, RuleFault,
    RuleFaultKind, Scope, TextPattern, Tolerance, audit,
};
pub use suggest::{Place, Suggester, Suggestion, Why};
pub use trial::{Fate, JudgedPair, Trial, Tried, Undecided};

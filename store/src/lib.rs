//! [`Comparison`](compare::Comparison)s become durable rows, and rows become answers.
//!
//! ```text
//! Comparison, Rollup → Batcher (redaction) → Batch → Store::write │ report, signature, pair,
//!                                                                 │ evidence
//! ```
//!
//! [`Batcher`] reduces what was judged to rows, and redacts on the way: nothing unredacted gets
//! into a [`Batch`], so nothing unredacted is ever stored. A [`Store`] writes a batch whole or not
//! at all, and answers questions. [`SqliteStore`] is the embedded one: a file, no server.
//!
//! Invariants:
//! - A batch that [`Store::write`] acknowledged survives the death of the process.
//! - Counts are exact; only examples and identities have caps ([`Limits`]), each with a counted
//!   effect.
//! - The same stored data gives the same answer, byte for byte.

mod acknowledge;
mod batch;
mod block;
mod detail;
mod error;
mod evidence;
mod glob;
mod limits;
mod message;
mod rebuilt;
mod redact;
mod report;
mod run;
mod sample;
mod shift;
mod sqlite;
mod time;

use std::sync::Arc;

use capture::Timestamp;
use compare::{LearnedTemplate, NoiseNews, PairId, SignatureId};

pub use acknowledge::{Acknowledged, Acknowledgement};
pub use batch::{Batch, Batcher, LeftOut};
pub use detail::{DivergenceDetail, LegDetail, PairDetail, SignatureDetail};
pub use error::StoreError;
pub use evidence::ServiceEvidence;
pub use limits::Limits;
pub use message::{BodyText, EXAMPLE_BODY_BYTES, ExchangeText, MessageText};
pub use redact::{RedactionKey, Redactor, SecretNames};
pub use report::{
    Accounts, AcknowledgementReport, Alarm, EndpointReport, Latencies, LeftOutReport, LegAccounts,
    LegLatencies, MirrorAudit, PairCounts, PairDifferences, Quantiles, REPORT_SCHEMA, ReleaseNames,
    ReleaseReport, Report, ServiceReport, SignatureReport, SuppressedCount,
};
pub use run::{AgentCounters, MirrorShare, RuleSetting, Run, Settings, UnreadCount};
pub use shift::{Shift, SignedQuantiles};
pub use sqlite::SqliteStore;

/// Where judged traffic is kept, and what is asked of it. Every store gives the same answers.
pub trait Store: Send {
    /// Writes a batch: all of it, or nothing where it fails. The same batch may be tried again.
    ///
    /// # Errors
    ///
    /// The store cannot take it now: [`StoreError::DiskFull`], or what the database says.
    fn write(&mut self, batch: &Batch) -> Result<Written, StoreError>;

    /// What differed within `query`, from one consistent state of the store.
    ///
    /// # Errors
    ///
    /// The store cannot be read, or is damaged.
    fn report(&self, query: &Query) -> Result<Report, StoreError>;

    /// One signature with its examples; `None` where it was never seen. Acknowledgements count as
    /// of this moment; `None`: as if none had expired.
    ///
    /// # Errors
    ///
    /// As [`Store::report`].
    fn signature(
        &self,
        id: SignatureId,
        as_of: Option<Timestamp>,
    ) -> Result<Option<SignatureDetail>, StoreError>;

    /// One pair; `None` where it was never seen.
    ///
    /// # Errors
    ///
    /// As [`Store::report`].
    fn pair(&self, id: PairId) -> Result<Option<PairDetail>, StoreError>;

    /// Gives `each` the pairs within `query` that diverged, in order of time, from one consistent
    /// state; with both messages where they are kept. A pair that was judged in several runs comes as
    /// often.
    ///
    /// # Errors
    ///
    /// As [`Store::report`].
    fn diverged(&self, query: &Query, each: &mut dyn FnMut(PairDetail)) -> Result<(), StoreError>;

    /// What a verdict on each service within `query` rests on, by service name: of one pair of
    /// releases, the one that the query names or else the one that answered last. A service of
    /// which nothing was counted is not there.
    ///
    /// Exact in a store that keeps every pair; one in memory keeps examples only and may count
    /// pairs as diverged whose differences are all acknowledged or noise.
    ///
    /// # Errors
    ///
    /// As [`Store::report`].
    fn evidence(&self, query: &Query) -> Result<Vec<ServiceEvidence>, StoreError>;

    /// The path templates that were learned, for a judge that goes on with them: of the services
    /// that are named in `services`, by their place there.
    ///
    /// # Errors
    ///
    /// As [`Store::report`].
    fn templates(&self, services: &[Arc<str>]) -> Result<Vec<LearnedTemplate>, StoreError>;

    /// What is known of noise, for a judge that goes on with it: of the services that are named in
    /// `services`, by their place there. Endpoint and pattern are as redacted.
    ///
    /// # Errors
    ///
    /// As [`Store::report`].
    fn noise(&self, services: &[Arc<str>]) -> Result<Vec<NoiseNews>, StoreError>;

    /// Says that a signature is expected. What was said of it before is replaced.
    ///
    /// # Errors
    ///
    /// As [`Store::write`].
    fn acknowledge(&mut self, said: &Acknowledgement) -> Result<Acknowledged, StoreError>;

    /// Takes that back. Whether it had been said.
    ///
    /// # Errors
    ///
    /// As [`Store::write`].
    fn take_back(&mut self, signature: SignatureId) -> Result<bool, StoreError>;

    /// All that was said, by the moment it was said.
    ///
    /// # Errors
    ///
    /// As [`Store::report`].
    fn acknowledgements(&self) -> Result<Vec<Acknowledgement>, StoreError>;
}

/// What a report is to cover.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// From the minute of this moment; `None`: from the beginning.
    pub from: Option<Timestamp>,
    /// To the end of the minute that this moment lies in (a whole minute's start ends it there);
    /// `None`: to the end.
    pub to: Option<Timestamp>,
    /// Only this service.
    pub service: Option<String>,
    /// Only this endpoint.
    pub endpoint: Option<String>,
    /// Only what these releases answered.
    pub release: Option<ReleaseQuery>,
    /// The moment as of which acknowledgements count; `None`: as if none had expired.
    pub as_of: Option<Timestamp>,
}

/// Which releases are asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseQuery {
    /// The primary's; `None`: any.
    pub primary: Option<String>,
    /// The shadow's.
    pub shadow: String,
}

impl ReleaseQuery {
    /// Reads `SHADOW`, or `PRIMARY..SHADOW`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text.split_once("..") {
            Some((primary, shadow)) => {
                Self { primary: Some(primary.to_owned()), shadow: shadow.to_owned() }
            }
            None => Self { primary: None, shadow: text.to_owned() },
        }
    }

    pub(crate) fn covers(&self, names: &ReleaseNames) -> bool {
        self.shadow == names.shadow
            && self.primary.as_ref().is_none_or(|primary| *primary == names.primary)
    }
}

/// What [`Store::write`] stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Pairs.
    pub pairs: u64,
    /// Divergences.
    pub divergences: u64,
    /// Pairs kept with both messages.
    pub examples: u64,
    /// Rollups merged.
    pub rollups: u64,
}

//! [`Comparison`](compare::Comparison)s become durable rows, and rows become answers.
//!
//! ```text
//! Comparison, Rollup → Batcher (redaction) → Batch → Store::write │ report, signature, pair
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

mod batch;
mod block;
mod detail;
mod error;
mod limits;
mod message;
mod redact;
mod report;
mod run;
mod sqlite;
mod time;

use capture::Timestamp;
use compare::{PairId, SignatureId};

pub use batch::{Batch, Batcher, LeftOut};
pub use detail::{DivergenceDetail, LegDetail, PairDetail, SignatureDetail};
pub use error::StoreError;
pub use limits::Limits;
pub use message::{BodyText, EXAMPLE_BODY_BYTES, ExchangeText, MessageText};
pub use redact::{RedactionKey, Redactor, SecretNames};
pub use report::{
    Accounts, EndpointReport, Latencies, LeftOutReport, LegAccounts, LegLatencies, PairCounts,
    Quantiles, REPORT_SCHEMA, Report, ServiceReport, SignatureReport, SuppressedCount,
};
pub use run::{AgentCounters, Run, UnreadCount};
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

    /// One signature with its examples; `None` where it was never seen.
    ///
    /// # Errors
    ///
    /// As [`Store::report`].
    fn signature(&self, id: SignatureId) -> Result<Option<SignatureDetail>, StoreError>;

    /// One pair; `None` where it was never seen.
    ///
    /// # Errors
    ///
    /// As [`Store::report`].
    fn pair(&self, id: PairId) -> Result<Option<PairDetail>, StoreError>;
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

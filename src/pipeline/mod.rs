//! Threads and channels: how the rooms are joined.
//!
//! ```text
//! file:  [ capture + judge ]──batches──▶[ recorder ]
//! live:  [ capture ]×N ──bounded, never waited for──▶[ judge ]──batches──▶[ recorder ]
//!        [ keylog ]──lines──▶ each capture
//! ```
//!
//! A capture thread never waits for anything downstream: when the queue to the judge is full, it
//! sheds by pair key and sends word of each exchange shed ([`outlet`]). The judge may wait for
//! the store: then the queue fills, and shedding begins at the one place that counts it.

pub(crate) mod file;
mod keys;
pub(crate) mod live;
mod outlet;
mod recorder;
mod verdicts;

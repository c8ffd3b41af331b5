//! Threads and channels: how the rooms are joined.
//!
//! ```text
//! file:  [ capture + judge ]──batches──▶[ recorder ]
//! live:  [ capture ]×N ──bounded, never waited for──▶[ judge ]──batches──▶[ recorder ]
//!        [ keylog ]──lines──▶ each capture
//! ```
//!
//! N is one thread for each interface, or as many as `threads` says: then the kernel spreads
//! connections over them. The judge brings the legs together, whichever thread saw them.
//!
//! A capture thread never waits for anything downstream: when the queue to the judge is full, it
//! sheds by pair key and sends word of each exchange shed ([`outlet`]). The judge may wait for
//! the store: then the queue fills, and shedding begins at the one place that counts it.

pub(crate) mod file;
mod keys;
pub(crate) mod live;
mod outlet;
mod recorder;
mod thread;
mod verdicts;

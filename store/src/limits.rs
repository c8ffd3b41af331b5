//! Every cap of a store's contents in one place, each with its effect.

/// Bounds on what one run keeps. Counts and rollups are never left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Pairs kept with both messages for each signature, besides its first one. Default 10: a fair
    /// sample of all that had it, over all runs in the store.
    pub examples_per_signature: u32,
    /// Bytes of the messages that one run's examples hold. Default 64 MiB; beyond it pairs are kept
    /// without their messages and counted ([`crate::LeftOut::examples`]).
    pub example_bytes: usize,
    /// Signatures of one run. Default 20_000; differences of any further one are filed under one
    /// signature for each endpoint and kind, with the pattern `{other}`, and counted
    /// ([`crate::LeftOut::signatures_folded`]).
    pub signatures: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { examples_per_signature: 10, example_bytes: 64 << 20, signatures: 20_000 }
    }
}

//! What a head says against itself.

use crate::Anomaly;

/// What was odd about a head that was read nevertheless.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// Each once per head. Never allocates for a head as it should be.
    pub(super) anomalies: Vec<Anomaly>,
    /// A line was left out: what it said is not known.
    pub(super) line_lost: bool,
    /// Where the head ends, or what it says about the body, is written so that peers read it
    /// differently: what follows the message has no certain place.
    pub(super) doubtful: bool,
}

impl Notes {
    pub(super) fn note(&mut self, anomaly: Anomaly) {
        if !self.anomalies.contains(&anomaly) {
            self.anomalies.push(anomaly);
        }
    }
}

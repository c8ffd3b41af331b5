//! What a verdict rests on.

use compare::gate::Evidence;

use crate::ReleaseNames;

/// What is known of one service and one pair of releases.
#[derive(Clone, Debug)]
pub struct ServiceEvidence {
    /// The service's name.
    pub service: String,
    /// Which releases it speaks of.
    pub releases: ReleaseNames,
    /// RFC 3339: start of the first minute that counts something; `None` where none does.
    pub from: Option<String>,
    /// RFC 3339: end of the last such minute.
    pub to: Option<String>,
    /// Digest of the configuration of the latest run that counted something.
    pub config_digest: String,
    /// What was counted.
    pub evidence: Evidence,
}

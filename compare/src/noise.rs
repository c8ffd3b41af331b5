//! What varies by itself: differences that say nothing of the new version.

use std::fmt;
use std::sync::Arc;

use capture::{ServiceId, Timestamp};

use crate::{Change, Kind, SignatureId};

/// Word that the differences of one signature turned out to be noise, or no longer are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoiseNews {
    /// Which signature.
    pub signature: SignatureId,
    /// Which service.
    pub service: ServiceId,
    /// Method and path template.
    pub endpoint: Arc<str>,
    /// Which part of the response.
    pub kind: Kind,
    /// Where in it, as `Divergence::pattern`.
    pub pattern: Box<str>,
    /// What kind of change.
    pub change: Change,
    /// Why it is noise from now on; `None`: it is reported again.
    pub cause: Option<NoiseCause>,
    /// Start of the pair with which this was found.
    pub at: Timestamp,
    /// What was learned of the values, for a judge that goes on with it after a restart. Without
    /// any value itself.
    pub memory: Box<str>,
}

/// Why differences are noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NoiseCause {
    /// The primary answers the same request in different ways.
    Itself,
    /// The primary and its second copy differ in it.
    Secondary,
    /// Both legs' values are of a class that is new with every answer.
    Class,
}

impl NoiseCause {
    /// All of them, in the order of declaration.
    pub const ALL: [Self; 3] = [Self::Itself, Self::Secondary, Self::Class];

    /// The name in reports and stores.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Itself => "self",
            Self::Secondary => "secondary",
            Self::Class => "class",
        }
    }
}

impl fmt::Display for NoiseCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

//! What every content decoder says of one step, and why one fails.

use std::fmt;

/// Why an entity does not decode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// The Content-Encoding names a coding that is not known here, or too many of them.
    Unknown,
    /// The bytes are not of that coding, or end in the middle.
    Corrupt,
    /// The decoded entity is larger than the limit.
    TooLarge,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "its content coding is not known",
            Self::Corrupt => "it does not decode",
            Self::TooLarge => "decoded it is larger than the limit",
        })
    }
}

impl std::error::Error for DecodeError {}

/// What one call of a coding took and gave.
pub(super) struct Step {
    pub(super) used: usize,
    pub(super) produced: usize,
}

//! Signatures that someone said are expected.

use capture::Timestamp;
use compare::SignatureId;

/// That a signature is expected, and left out of the verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// Which signature.
    pub signature: SignatureId,
    /// Why.
    pub reason: String,
    /// Who said so.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Until when it counts; `None`: for good.
    pub until: Option<Timestamp>,
}

impl Acknowledgement {
    /// Whether it counts no longer; `as_of` `None`: never.
    #[must_use]
    pub fn has_expired(&self, as_of: Option<Timestamp>) -> bool {
        self.until.zip(as_of).is_some_and(|(until, now)| until <= now)
    }
}

/// What became of saying so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Acknowledged {
    /// It is stored.
    Stored,
    /// It is stored in place of this.
    Replaced(Acknowledgement),
    /// No such signature was seen: nothing is stored.
    NotSeen,
    /// It stands for differences that are not listed one by one, so nobody can know that they are
    /// expected: nothing is stored.
    NotListed,
}

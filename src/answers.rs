//! What `tapdiff rules` answers: the shapes of its JSON, whose keys stay.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

/// What the rules in a file would have made of what is stored.
#[derive(Debug, Serialize)]
pub(crate) struct TrialReport {
    pub(crate) schema: u32,
    /// RFC 3339; `null`: nothing is stored.
    pub(crate) from: Option<String>,
    pub(crate) to: Option<String>,
    pub(crate) services: Vec<ServiceTrial>,
    /// What holds of every such answer.
    pub(crate) notes: Vec<String>,
}

/// What the rules make of one service.
#[derive(Debug, Default, Serialize)]
pub(crate) struct ServiceTrial {
    pub(crate) service: String,
    /// Pairs that were compared.
    pub(crate) compared: u64,
    /// Pairs that diverge.
    pub(crate) pairs: Count,
    /// What differs in them.
    pub(crate) differences: Count,
    /// By rule, in the order of the file.
    pub(crate) rules: Vec<RuleCount>,
    /// Those that are still reported, or may be: most first.
    pub(crate) remaining: Vec<SignatureCount>,
    /// Those of which nothing is left: most first.
    pub(crate) vanished: Vec<SignatureCount>,
    /// What could not be told, by reason.
    pub(crate) undecided: Vec<UndecidedCount>,
}

/// Before and after.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Count {
    pub(crate) before: u64,
    /// Surely left.
    pub(crate) after: u64,
    /// Of which it cannot be told.
    pub(crate) undecided: u64,
    /// Of those after: what is only found under the rules; pairs with nothing else left.
    pub(crate) new: u64,
}

/// What one rule does.
#[derive(Debug, Default, Serialize)]
pub(crate) struct RuleCount {
    pub(crate) rule: String,
    /// Differences that it explains, of those that are stored.
    pub(crate) differences: u64,
    /// Pairs with one.
    pub(crate) pairs: u64,
    /// Where.
    pub(crate) endpoints: BTreeSet<String>,
    /// Whether it explains nothing of what is stored.
    pub(crate) matches_nothing: bool,
    /// Endpoints of which it alone silences all that differs, in several places.
    pub(crate) silences: BTreeSet<String>,
}

/// What becomes of one signature.
#[derive(Debug, Default, Serialize)]
pub(crate) struct SignatureCount {
    pub(crate) id: String,
    pub(crate) endpoint: String,
    pub(crate) kind: String,
    pub(crate) path: String,
    pub(crate) change: String,
    pub(crate) differences: Count,
}

/// What could not be told for one reason.
#[derive(Debug, Serialize)]
pub(crate) struct UndecidedCount {
    /// `compare::Undecided::as_str`.
    pub(crate) reason: &'static str,
    pub(crate) differences: u64,
    pub(crate) pairs: u64,
    /// A pair of these.
    pub(crate) example: String,
}

/// Rules that are proposed.
#[derive(Debug, Serialize)]
pub(crate) struct Suggestions {
    pub(crate) schema: u32,
    /// RFC 3339; `null`: nothing is stored.
    pub(crate) from: Option<String>,
    pub(crate) to: Option<String>,
    pub(crate) services: Vec<Suggested>,
}

/// What is proposed for one service.
#[derive(Debug, Serialize)]
pub(crate) struct Suggested {
    pub(crate) service: String,
    /// Pairs that were compared, and those of them that diverged.
    pub(crate) compared: u64,
    pub(crate) diverged: u64,
    /// What silences most comes first.
    pub(crate) rules: Vec<SuggestedRule>,
}

/// One rule that is proposed.
#[derive(Debug, Serialize)]
pub(crate) struct SuggestedRule {
    pub(crate) name: String,
    /// As the configuration writes it.
    pub(crate) toml: String,
    /// `times`, `numbers`, `tokens`, `machines`, `order` or `learned`.
    pub(crate) why: &'static str,
    /// The same in words.
    pub(crate) because: String,
    /// From what it is known that it varies by itself: `self`, `secondary`, `class`.
    pub(crate) learned: Vec<&'static str>,
    /// Differences that it explains, of those that are stored.
    pub(crate) differences: u64,
    /// Pairs with one.
    pub(crate) pairs: u64,
    /// Differences at its places of which it cannot be told: their messages are not kept.
    pub(crate) undecided: u64,
    /// By endpoint, pairs in which it explains something, and pairs compared.
    pub(crate) endpoints: BTreeMap<String, [u64; 2]>,
    /// The places that it was found for.
    pub(crate) places: Vec<SuggestedPlace>,
    /// Values, redacted.
    pub(crate) examples: Vec<Example>,
}

/// A place that differs.
#[derive(Debug, Serialize)]
pub(crate) struct SuggestedPlace {
    pub(crate) signature: String,
    pub(crate) endpoint: String,
    pub(crate) kind: &'static str,
    pub(crate) path: String,
}

/// The values of one difference.
#[derive(Debug, Serialize)]
pub(crate) struct Example {
    pub(crate) primary: String,
    pub(crate) shadow: String,
}

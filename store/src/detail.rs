//! One pair or one signature in full, for review.

use serde::{Deserialize, Serialize};

use crate::message::ExchangeText;
use crate::report::{ReleaseNames, SignatureReport};

/// One pair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairDetail {
    /// `p-` and 16 hexadecimal digits.
    pub id: String,
    /// The service's name.
    pub service: String,
    /// Method and path template.
    pub endpoint: String,
    /// The versions that answered.
    #[serde(default)]
    pub releases: ReleaseNames,
    /// What paired it, redacted.
    pub key: String,
    /// RFC 3339: the primary's first byte.
    pub start: String,
    /// `matched`, `diverged` or `incomparable`.
    pub verdict: String,
    /// Why it is incomparable, by `compare::Incomparable::as_str`.
    pub reason: Option<String>,
    /// The leg that answered the client.
    pub primary: LegDetail,
    /// The leg that got the copy.
    pub shadow: LegDetail,
    /// What differs, in the order found.
    pub divergences: Vec<DivergenceDetail>,
}

/// One leg of a pair.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LegDetail {
    /// Status code; `None` where no response was seen.
    pub status: Option<u16>,
    /// Last byte of the request to first byte of the response.
    pub first_byte_us: Option<u64>,
    /// First byte of the request to last byte of the response.
    pub total_us: Option<u64>,
    /// Both messages, redacted; only pairs that are examples of a signature have them.
    pub exchange: Option<ExchangeText>,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DivergenceDetail {
    /// `s-` and 16 hexadecimal digits.
    pub signature: String,
    /// `status`, `header`, `body` or `trailer`.
    pub kind: String,
    /// Where, exactly: array indices are numbers here.
    pub path: String,
    /// What kind of change.
    pub change: String,
    /// The primary's value, redacted; `None` where it has none.
    pub primary: Option<String>,
    /// The shadow's value, as above.
    pub shadow: Option<String>,
}

/// One signature with its examples.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignatureDetail {
    /// The service's name.
    pub service: String,
    /// What it is, over all that is stored.
    pub signature: SignatureReport,
    /// Pairs that are kept with both messages, in order of time.
    pub examples: Vec<PairDetail>,
}

//! What came of comparing a pair.

use std::fmt;
use std::sync::Arc;

use capture::{Exchange, ServiceId, Timestamp};

use crate::Verdict;

/// A pair, judged.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// Stable over runs on the same traffic: from service, key, and the primary's start.
    pub id: PairId,
    /// Which service.
    pub service: ServiceId,
    /// Method and path template, e.g. `GET /api/v1/items/{id}`.
    pub endpoint: Arc<str>,
    /// The value that paired them, e.g. the request id.
    pub key: Box<str>,
    /// The primary's exchange.
    pub primary: Box<Exchange>,
    /// The shadow's exchange.
    pub shadow: Box<Exchange>,
    /// What came of it.
    pub verdict: Verdict,
    /// What differs; empty unless the verdict is `Diverged`.
    pub divergences: Vec<Divergence>,
    /// Differences that a rule explains, by rule.
    pub suppressed: Vec<Suppressed>,
}

impl Comparison {
    /// When the pair began: the primary's first byte.
    #[must_use]
    pub fn start(&self) -> Timestamp {
        self.primary.timing.start()
    }
}

/// One difference at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// Groups divergences of one cause: endpoint, kind, path pattern and kind of change.
    pub signature: SignatureId,
    /// Which part of the response.
    pub kind: Kind,
    /// Where in it: a header name; a JSON Pointer (RFC 6901), also to a field of a form, a part of
    /// a multipart body or what is inside that; `line N` of a text, or `line N word M`, below the
    /// part that it is in; empty for the whole. Bounded to 512 bytes.
    pub path: Box<str>,
    /// `path` with indices as `*`, lines and words without their numbers: the form that the signature has.
    pub pattern: Box<str>,
    /// What kind of change.
    pub change: Change,
    /// The primary's value as text, cut to 1 KiB; `None` where it has none.
    pub primary: Option<Box<str>>,
    /// The shadow's value, as above.
    pub shadow: Option<Box<str>>,
}

/// Which part of the response differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The status code.
    Status,
    /// A header field.
    Header,
    /// The body.
    Body,
    /// A trailer field.
    Trailer,
}

impl Kind {
    /// The name in reports and stores.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Header => "header",
            Self::Body => "body",
            Self::Trailer => "trailer",
        }
    }
}

/// What kind of change, seen from the primary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Change {
    /// Another value of the same type.
    Value,
    /// The primary has it, the shadow has not.
    Missing,
    /// The shadow has it, the primary has not.
    Added,
    /// A value of another type.
    Type,
    /// An array of another length that has nothing in common with the primary's, or of which that
    /// would cost too much to tell; values of one name in another number.
    Length,
    /// Elements of an array that are on both sides, in another order; the values tell the primary's
    /// indices in the order of each side.
    Order,
    /// Another form: JSON on one leg and none on the other, or a value that varies by itself, in a
    /// form that it never has on the primary.
    Format,
    /// Something differs, and looking closer would have cost too much.
    Coarse,
    /// Text that differs.
    Text,
    /// Bytes that differ.
    Binary,
    /// Another content type.
    ContentType,
    /// More differences than are listed one by one.
    More,
}

impl Change {
    /// The name in reports and stores.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Value => "value",
            Self::Missing => "missing",
            Self::Added => "added",
            Self::Type => "type",
            Self::Length => "length",
            Self::Order => "order",
            Self::Format => "format",
            Self::Coarse => "coarse",
            Self::Text => "text",
            Self::Binary => "binary",
            Self::ContentType => "content_type",
            Self::More => "more",
        }
    }
}

/// Differences of one pair that a rule explains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suppressed {
    /// The rule's name.
    pub rule: Arc<str>,
    /// How many differences.
    pub count: u32,
}

/// Names a pair. Written `p-` and 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PairId(pub u64);

impl fmt::Display for PairId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p-{:016x}", self.0)
    }
}

/// Names a signature. Written `s-` and 16 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SignatureId(pub u64);

impl fmt::Display for SignatureId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s-{:016x}", self.0)
    }
}

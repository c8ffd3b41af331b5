//! How an exchange ended in the accounts.

use capture::Evidence;

/// What became of one exchange. Every exchange ends in exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// Paired and compared.
    Compared,
    /// Paired, but one of the two cannot be judged. The pair counts under its reason.
    Incomparable,
    /// Primary: no copy of it was seen on the shadow leg within the window.
    Unmirrored,
    /// Shadow: its primary was not seen within the window.
    PrimaryMissing,
    /// Primary: an attempt that the proxy gave up and tried again; the last attempt is the pair's.
    Retried,
    /// Seen again: another exchange with this key already made the pair.
    Duplicate,
    /// No extractor found a key in it (its request was not seen, or carries no id).
    Unkeyed,
    /// Secondary leg: a baseline, not judged itself.
    Baseline,
    /// Its partner had been given up, as unmirrored or without its primary, before it ended.
    Late,
    /// Left out to keep within bounds.
    Shed(ShedReason),
}

/// Why something was shed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ShedReason {
    /// The queue between capture and judge was full.
    QueueFull,
    /// The pairing window held too many exchanges.
    WindowCount,
    /// The pairing window held too many bytes.
    WindowBytes,
}

impl Outcome {
    /// All outcomes, in the order of declaration.
    pub const ALL: [Self; 12] = [
        Self::Compared,
        Self::Incomparable,
        Self::Unmirrored,
        Self::PrimaryMissing,
        Self::Retried,
        Self::Duplicate,
        Self::Unkeyed,
        Self::Baseline,
        Self::Late,
        Self::Shed(ShedReason::QueueFull),
        Self::Shed(ShedReason::WindowCount),
        Self::Shed(ShedReason::WindowBytes),
    ];

    /// Its place in [`Outcome::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::Compared => 0,
            Self::Incomparable => 1,
            Self::Unmirrored => 2,
            Self::PrimaryMissing => 3,
            Self::Retried => 4,
            Self::Duplicate => 5,
            Self::Unkeyed => 6,
            Self::Baseline => 7,
            Self::Late => 8,
            Self::Shed(ShedReason::QueueFull) => 9,
            Self::Shed(ShedReason::WindowCount) => 10,
            Self::Shed(ShedReason::WindowBytes) => 11,
        }
    }

    /// The name in reports and stores.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Compared => "compared",
            Self::Incomparable => "incomparable",
            Self::Unmirrored => "unmirrored",
            Self::PrimaryMissing => "primary_missing",
            Self::Late => "late",
            Self::Retried => "retried",
            Self::Duplicate => "duplicate",
            Self::Unkeyed => "unkeyed",
            Self::Baseline => "baseline",
            Self::Shed(ShedReason::QueueFull) => "shed_queue_full",
            Self::Shed(ShedReason::WindowCount) => "shed_window_count",
            Self::Shed(ShedReason::WindowBytes) => "shed_window_bytes",
        }
    }
}

/// What came of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Nothing differs that no rule explains.
    Matched,
    /// Something differs.
    Diverged,
    /// It cannot be told.
    Incomparable(Incomparable),
}

/// Why a pair cannot be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Incomparable {
    /// One of the exchanges is not whole: its evidence label (never `Complete`). Where both are
    /// not, the shadow's.
    Evidence(Evidence),
    /// The two requests' targets or bodies are not the same.
    RequestDiffers,
    /// Bodies above the cap differ in length or digest, and only a prefix of them was kept.
    BodyOverCap,
    /// A compressed body does not decode.
    Undecodable,
}

impl Incomparable {
    /// The name in reports and stores.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Evidence(evidence) => evidence.as_str(),
            Self::RequestDiffers => "request_differs",
            Self::BodyOverCap => "body_over_cap",
            Self::Undecodable => "undecodable",
        }
    }

    /// All reasons.
    pub fn all() -> impl Iterator<Item = Self> {
        Evidence::ALL.into_iter().filter(|&e| e != Evidence::Complete).map(Self::Evidence).chain([
            Self::RequestDiffers,
            Self::BodyOverCap,
            Self::Undecodable,
        ])
    }
}

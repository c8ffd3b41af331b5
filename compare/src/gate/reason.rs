//! The answer, and why.

use std::fmt;
use std::sync::Arc;

use super::Span;

/// The answer with its reasons.
#[derive(Clone, Debug, PartialEq)]
pub struct Ruling {
    /// The answer.
    pub decision: Decision,
    /// What speaks for a fail, then what keeps from a pass, then what was found within its limit;
    /// within these the service first, then endpoints in the evidence's order. Never empty for a
    /// fail or where it is inconclusive.
    pub reasons: Vec<Reason>,
}

/// Whether to go on with the release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Decision {
    /// No: something is surely beyond its limit.
    Fail,
    /// It cannot be told yet.
    Inconclusive,
    /// Yes: everything is surely within its limits.
    Pass,
}

impl Decision {
    /// The name in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Inconclusive => "inconclusive",
            Self::Pass => "pass",
        }
    }
}

/// One thing looked at, and what came of it. Its `Display` is one English sentence.
#[derive(Clone, Debug, PartialEq)]
pub struct Reason {
    /// What was looked at.
    pub check: Check,
    /// Of which endpoint; `None` is the service.
    pub endpoint: Option<Arc<str>>,
    /// What it speaks for.
    pub decision: Decision,
    /// The value found, in the limit's unit; `None` where there is none yet.
    pub estimate: Option<f64>,
    /// Where the true value surely lies, however often one looks; `None` for accounts, which are
    /// counted, not estimated.
    pub interval: Option<Interval>,
    /// The usual 95 % interval, right for one look only: Wilson's for divergence, Agresti and
    /// Min's for errors. Decides nothing.
    pub plain: Option<Interval>,
    /// The limit: a share, a difference of shares, a ratio, or a number of pairs.
    pub limit: f64,
    /// Pairs that it rests on.
    pub pairs: u64,
    /// What is missing to tell, where that is what keeps from a pass.
    pub missing: Option<Missing>,
}

impl Reason {
    /// With nothing but its limit yet.
    pub(super) fn new(
        check: Check,
        endpoint: Option<&Arc<str>>,
        decision: Decision,
        limit: f64,
    ) -> Self {
        Self {
            check,
            endpoint: endpoint.cloned(),
            decision,
            estimate: None,
            interval: None,
            plain: None,
            limit,
            pairs: 0,
            missing: None,
        }
    }
}

/// Bounds of a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// It is not below this.
    pub low: f64,
    /// It is not above this; infinite where nothing is known.
    pub high: f64,
}

/// The evidence that is missing, if what was seen so far goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// About so many more pairs.
    Pairs(MorePairs),
    /// So many more pairs before anything can be told; how many to tell is not known yet.
    PairsAtLeast(MorePairs),
    /// About so many more blocks of body sizes.
    Blocks(u64),
    /// The value is so near its limit that more of the same may never tell.
    Nearness,
}

/// Pairs that are missing, to two digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MorePairs {
    /// Pairs.
    pub pairs: u64,
    /// Requests that they take at the evidence's sample rate; `None` where that is unknown.
    pub requests: Option<u64>,
}

impl fmt::Display for MorePairs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} more pairs", self.pairs)?;
        match self.requests {
            Some(requests) if requests > self.pairs => write!(f, " of {requests} requests"),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pairs(more) => write!(f, "about {more} would tell"),
            Self::PairsAtLeast(more) => write!(f, "at least {more} are missing to tell"),
            Self::Blocks(blocks) => write!(f, "about {blocks} more blocks would tell"),
            Self::Nearness => f.write_str("too near the limit for more pairs to tell soon"),
        }
    }
}

/// What was looked at, with its counts.
#[derive(Clone, Debug, PartialEq)]
pub enum Check {
    /// Share of pairs that diverge.
    Divergence {
        /// Pairs with a difference.
        diverged: u64,
        /// Pairs whose differences are all acknowledged: not counted.
        acknowledged: u64,
    },
    /// Errors of the shadow beyond those of the primary.
    Errors {
        /// Pairs where only the primary erred.
        primary_only: u64,
        /// Pairs where only the shadow erred.
        shadow_only: u64,
        /// Pairs where both did.
        both: u64,
    },
    /// Shadow's quantile over the primary's.
    Latency {
        /// Which time.
        span: Span,
        /// Which quantile.
        quantile: f64,
        /// The primary's, in microseconds.
        primary_us: u64,
        /// The shadow's, in microseconds.
        shadow_us: u64,
    },
    /// Body bytes of the shadow over the primary's.
    BodySize {
        /// Blocks that had any.
        blocks: u64,
        /// Of the primary in all.
        primary_bytes: u64,
        /// Of the shadow in all.
        shadow_bytes: u64,
    },
    /// Pairs that a pass needs.
    FewPairs,
    /// A required endpoint that was not seen.
    EndpointNotSeen,
    /// An account beyond its bound.
    Account {
        /// Which.
        account: Account,
        /// How many.
        count: u64,
        /// Of how many.
        of: u64,
    },
    /// A value of the policy that cannot be meant.
    Policy {
        /// Which.
        name: String,
        /// What it may be.
        meant: &'static str,
    },
}

/// Accounts that keep from a pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Account {
    /// Packets lost.
    CaptureLoss,
    /// Pairs that could not be judged.
    Incomparable,
    /// Exchanges of the primary without a copy.
    Unmirrored,
    /// Exchanges of the shadow without their primary.
    PrimaryMissing,
    /// Exchanges left out to keep within bounds.
    Shed,
}

impl Check {
    /// The name in reports: stays as it is.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Divergence { .. } => "divergence",
            Self::Errors { .. } => "errors",
            Self::Latency { span: Span::FirstByte, .. } => "latency_first_byte",
            Self::Latency { span: Span::Total, .. } => "latency_total",
            Self::BodySize { .. } => "body_size",
            Self::FewPairs => "few_pairs",
            Self::EndpointNotSeen => "endpoint_not_seen",
            Self::Account { account: Account::CaptureLoss, .. } => "capture_loss",
            Self::Account { account: Account::Incomparable, .. } => "incomparable",
            Self::Account { account: Account::Unmirrored, .. } => "unmirrored",
            Self::Account { account: Account::PrimaryMissing, .. } => "primary_missing",
            Self::Account { account: Account::Shed, .. } => "shed",
            Self::Policy { .. } => "policy",
        }
    }

    /// What is looked at, in words.
    fn subject(&self) -> String {
        match self {
            Self::Errors { .. } => "errors".to_owned(),
            Self::Latency { span, quantile, .. } => {
                let span = match span {
                    Span::FirstByte => "time to first byte",
                    Span::Total => "total time",
                };
                // Binary fractions of a quantile are no digits of a percentile.
                let percentile = (quantile * 1e8).round() / 1e6;
                format!("p{percentile} of the {span}")
            }
            _ => self.code().to_owned(),
        }
    }

    /// A value of this check, in words.
    fn value(&self, value: f64) -> String {
        match self {
            Self::Divergence { .. } | Self::Account { .. } => percent(value),
            Self::Errors { .. } if value < 0.0 => format!("{} fewer", percent(-value)),
            Self::Errors { .. } => format!("{} more", percent(value)),
            _ => format!("{value:.3} times"),
        }
    }
}

/// What is surely so, for a check whose value is estimated.
struct Surely<'a>(&'a Reason);

impl fmt::Display for Surely<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Reason { check, interval, decision, limit, missing, plain, .. } = self.0;
        let value = |value| check.value(value);
        let Interval { low, high } =
            interval.unwrap_or(Interval { low: f64::NEG_INFINITY, high: f64::INFINITY });
        match decision {
            Decision::Fail => write!(f, "surely above {}", value(low))?,
            Decision::Pass => write!(f, "surely below {}", value(high))?,
            Decision::Inconclusive if high.is_infinite() && low <= 0.0 => {
                f.write_str("which may yet be anything")?;
            }
            Decision::Inconclusive if high.is_infinite() => {
                write!(f, "somewhere above {}", value(low))?;
            }
            Decision::Inconclusive => {
                write!(f, "somewhere from {} to {}", value(low), value(high))?;
            }
        }
        write!(f, "; the limit is {}", value(*limit))?;
        if let Some(Interval { low, high }) = plain {
            write!(f, " (plain 95 % interval, for one look: {} to {})", value(*low), value(*high))?;
        }
        missing.map_or(Ok(()), |missing| write!(f, "; {missing}"))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { check, endpoint, estimate, pairs, limit, missing, .. } = self;
        if !matches!(check, Check::Policy { .. }) {
            write!(f, "{}: ", endpoint.as_deref().unwrap_or("service"))?;
        }
        let found = estimate.map(|estimate| check.value(estimate)).unwrap_or_default();
        let surely = Surely(self);
        match check {
            Check::Divergence { .. } | Check::Errors { .. } | Check::Latency { .. }
                if estimate.is_none() =>
            {
                write!(f, "nothing seen yet to tell {}", check.subject())?;
                missing.map_or(Ok(()), |missing| write!(f, "; {missing}"))
            }
            Check::Divergence { diverged, acknowledged } => {
                write!(f, "{diverged} of {pairs} pairs diverge")?;
                if *acknowledged > 0 {
                    write!(f, ", without {acknowledged} acknowledged")?;
                }
                write!(f, ": {found}, {surely}")
            }
            Check::Errors { primary_only, shadow_only, both } => write!(
                f,
                "of {pairs} pairs, only the shadow errs in {shadow_only}, only the primary in \
                 {primary_only}, both in {both}: {found}, {surely}"
            ),
            Check::Latency { primary_us, shadow_us, .. } => {
                write!(
                    f,
                    "{} is {} on the shadow, {} on the primary: {found}, {surely}",
                    check.subject(),
                    millis(*shadow_us),
                    millis(*primary_us)
                )
            }
            Check::BodySize { blocks, primary_bytes, shadow_bytes } => write!(
                f,
                "bodies take {shadow_bytes} bytes on the shadow, {primary_bytes} on the primary; \
                 in the middle one of {blocks} blocks {found}, {surely}"
            ),
            Check::FewPairs => {
                write!(f, "{pairs} pairs of the {limit} that a pass needs")
            }
            Check::EndpointNotSeen => f.write_str("required, and no pair of it was seen"),
            Check::Account { account, count, of } => {
                let what = match account {
                    Account::CaptureLoss => "packets were lost",
                    Account::Incomparable => "pairs could not be judged",
                    Account::Unmirrored => "exchanges of the primary have no copy",
                    Account::PrimaryMissing => "exchanges of the shadow have no primary",
                    Account::Shed => "exchanges were left out to keep within bounds",
                };
                let limit = percent(*limit);
                write!(f, "{count} of {of} {what}: {found}; above {limit} nothing passes")
            }
            Check::Policy { name, meant } => write!(f, "the policy's {name} must be {meant}"),
        }
    }
}

fn percent(share: f64) -> String {
    format!("{:.3} %", share * 100.0)
}

fn millis(us: u64) -> String {
    format!("{:.2} ms", us as f64 / 1_000.0)
}

//! The mirror audit: how much the proxy is said to copy, and how much it was seen to.

use crate::Settings;
use crate::glob::Glob;
use crate::report::MirrorAudit;
use crate::shift::wilson;

/// What was seen of one endpoint.
pub(super) struct Mirrored<'a> {
    pub(super) endpoint: &'a str,
    /// Exchanges of the primary with a copy.
    pub(super) mirrored: u64,
    /// And without.
    pub(super) unmirrored: u64,
}

/// `None` where nobody says how much of it should be mirrored.
pub(super) fn of_endpoint(settings: &Settings, seen: &Mirrored<'_>) -> Option<MirrorAudit> {
    configured(settings, seen.endpoint)
        .map(|configured| audit(configured, seen.mirrored, seen.unmirrored))
}

/// All endpoints that have the service's own share; `None` where it has none.
pub(super) fn of_service<'a>(
    settings: &Settings,
    seen: impl Iterator<Item = Mirrored<'a>>,
) -> Option<MirrorAudit> {
    let whole = settings.mirror_shares.iter().find(|share| share.endpoint.is_none())?;
    let (mut mirrored, mut unmirrored) = (0, 0);
    for endpoint in seen.filter(|seen| special(settings, seen.endpoint).is_none()) {
        mirrored += endpoint.mirrored;
        unmirrored += endpoint.unmirrored;
    }
    Some(audit(whole.share, mirrored, unmirrored))
}

fn configured(settings: &Settings, endpoint: &str) -> Option<f64> {
    let whole = || settings.mirror_shares.iter().find(|s| s.endpoint.is_none()).map(|s| s.share);
    special(settings, endpoint).or_else(whole)
}

/// The share of the first entry that names the endpoint.
fn special(settings: &Settings, endpoint: &str) -> Option<f64> {
    let names = |pattern: &String| Glob::new(pattern).matches(endpoint);
    let mut shares = settings.mirror_shares.iter();
    shares.find(|share| share.endpoint.as_ref().is_some_and(names)).map(|share| share.share)
}

fn audit(configured: f64, mirrored: u64, unmirrored: u64) -> MirrorAudit {
    let of = mirrored + unmirrored;
    let interval = wilson(mirrored, of);
    MirrorAudit {
        configured,
        mirrored,
        of,
        seen: share(mirrored, of),
        interval: interval.map(|ends| ends.map(|end| (end * 1e6).round() / 1e6)),
        agrees: interval.map(|[low, high]| (low..=high).contains(&configured)),
    }
}

/// A share, rounded down to six digits: what is not all never reads as 1.
pub(super) fn share(part: u64, whole: u64) -> Option<f64> {
    let millionths = u128::from(part) * 1_000_000 / u128::from(whole).max(1);
    let millionths = u32::try_from(millionths).unwrap_or(u32::MAX);
    (whole > 0).then(|| f64::from(millionths) / 1e6)
}

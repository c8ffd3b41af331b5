//! Texts compared by line.

use similar::{Algorithm, DiffOp, capture_diff_slices};

use super::findings::{Reason, joined};
use super::here::Here;
use super::prefix::common_prefix;
use crate::{Change, Kind};

/// Compares two texts that are not the same and adds to what is found: one divergence for each run
/// of lines that differ, at the primary's line number.
pub(super) fn compare(primary: &[u8], shadow: &[u8], here: &mut Here<'_, '_, '_, '_>) {
    if let Some(reason) = here.findings.rule_for_body(&here.place) {
        return here.findings.suppress(reason);
    }
    let (ours, theirs) = (lines(primary), lines(shadow));
    let bytes = primary.len().max(shadow.len());
    if !here.texts.take(ours.len().max(theirs.len()), bytes) {
        let same = common_prefix(primary, shadow);
        let at = memchr::memchr_iter(b'\n', &primary[..same]).count();
        let ours = ours.get(at..=at).unwrap_or_default();
        let theirs = theirs.get(at..=at).unwrap_or_default();
        return differs(at, ours, theirs, here);
    }
    for op in capture_diff_slices(Algorithm::Myers, &ours, &theirs) {
        if !matches!(op, DiffOp::Equal { .. }) {
            let (old, new) = (op.old_range(), op.new_range());
            differs(old.start, &ours[old], &theirs[new], here);
        }
    }
}

/// Notes a run of lines that differ, from the primary's line `at` on.
fn differs(at: usize, primary: &[&[u8]], shadow: &[&[u8]], here: &mut Here<'_, '_, '_, '_>) {
    let (ours, theirs) = (joined(primary, b""), joined(shadow, b""));
    let all_added = || {
        primary.is_empty()
            && shadow.iter().all(|line| {
                here.echo.added().any(|(name, value)| {
                    let of = line.get(..name.len()).unwrap_or_default();
                    of.eq_ignore_ascii_case(name.as_bytes())
                        && memchr::memmem::find(line, value).is_some()
                })
            })
    };
    if here.echo.explains(&ours, &theirs) || all_added() {
        return here.findings.suppress(Reason::Mirror);
    }
    let place = &here.place;
    let path = || (place.line(at + 1), place.line_pattern());
    let side = |lines: &[&[u8]], text| (!lines.is_empty()).then_some(text);
    here.findings.diverge(
        Kind::Body,
        path,
        Change::Text,
        side(primary, ours.trim_ascii_end()),
        side(shadow, theirs.trim_ascii_end()),
    );
}

/// Lines with their ends.
fn lines(text: &[u8]) -> Vec<&[u8]> {
    text.split_inclusive(|&b| b == b'\n').collect()
}

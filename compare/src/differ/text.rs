//! Texts compared by line.

use similar::{Algorithm, DiffOp, capture_diff_slices};

use super::echo::Echo;
use super::findings::{Findings, Reason, joined};
use super::place::Place;
use super::prefix::common_prefix;
use crate::{Change, Kind};

/// Lines and bytes a side may have to be compared whole. Of larger texts only the first line that
/// differs is reported: the work of a comparison grows with the product of lines and differences.
const LINES: usize = 2_000;
const BYTES: usize = 64 << 10;

/// Compares two texts that are not the same and adds to `findings`: one divergence for each run of
/// lines that differ, at the primary's line number.
pub(super) fn compare(primary: &[u8], shadow: &[u8], echo: &Echo<'_>, findings: &mut Findings<'_>) {
    if let Some(reason) = findings.rule_for_body(&Place::default()) {
        return findings.suppress(reason);
    }
    let small = primary.len().max(shadow.len()) <= BYTES;
    let (ours, theirs) = (lines(primary), lines(shadow));
    if !small || ours.len().max(theirs.len()) > LINES {
        let same = common_prefix(primary, shadow);
        let at = memchr::memchr_iter(b'\n', &primary[..same]).count();
        let ours = ours.get(at..=at).unwrap_or_default();
        let theirs = theirs.get(at..=at).unwrap_or_default();
        return differs(at, ours, theirs, echo, findings);
    }
    for op in capture_diff_slices(Algorithm::Myers, &ours, &theirs) {
        if !matches!(op, DiffOp::Equal { .. }) {
            let (old, new) = (op.old_range(), op.new_range());
            differs(old.start, &ours[old], &theirs[new], echo, findings);
        }
    }
}

/// Notes a run of lines that differ, from the primary's line `at` on.
fn differs(
    at: usize,
    primary: &[&[u8]],
    shadow: &[&[u8]],
    echo: &Echo<'_>,
    findings: &mut Findings<'_>,
) {
    let (ours, theirs) = (joined(primary, b""), joined(shadow, b""));
    let all_added = || {
        primary.is_empty()
            && shadow.iter().all(|line| {
                echo.added().any(|(name, value)| {
                    let of = line.get(..name.len()).unwrap_or_default();
                    of.eq_ignore_ascii_case(name.as_bytes())
                        && memchr::memmem::find(line, value).is_some()
                })
            })
    };
    if echo.explains(&ours, &theirs) || all_added() {
        return findings.suppress(Reason::Mirror);
    }
    let path = || (format!("line {}", at + 1).into(), "line".into());
    let side = |lines: &[&[u8]], text| (!lines.is_empty()).then_some(text);
    findings.diverge(
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

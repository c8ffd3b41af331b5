//! Texts compared by line, and lines that have changed by word.
//!
//! A rule that covers the text rewrites line by line: lines are matched as they are rewritten, and
//! shown as they were sent.

use std::borrow::Cow;

use similar::{Algorithm, DiffOp, capture_diff_slices};

use super::findings::{Line, Reason, joined};
use super::here::Here;
use super::words;
use crate::{Change, Kind, Normaliser};

/// Compares two texts that are not the same and adds to what is found. Of a run of lines that
/// differ, as many on both sides, each is one divergence for each run of words that differ, at the
/// primary's line and word number. Other runs, and lines without a common word, are one divergence
/// at the primary's line number.
pub(super) fn compare(primary: &[u8], shadow: &[u8], here: &mut Here<'_, '_, '_, '_>) {
    if let Some(reason) = here.findings.explain_place(&here.place, Change::Text, None, None) {
        return here.findings.suppress(reason);
    }
    let rules: Vec<_> = here.findings.normalisers(&here.place).collect();
    let (ours, theirs) = (lines(primary), lines(shadow));
    let bytes = primary.len().max(shadow.len());
    if !here.texts.take(ours.len().max(theirs.len()), bytes) {
        return first_that_differs(&ours, &theirs, here);
    }
    let ops = if rules.is_empty() {
        capture_diff_slices(Algorithm::Myers, &ours, &theirs)
    } else {
        let (ours, theirs) = (rewritten(&ours, &rules), rewritten(&theirs, &rules));
        capture_diff_slices(Algorithm::Myers, &ours, &theirs)
    };
    for op in ops {
        let (old, new) = (op.old_range(), op.new_range());
        match op {
            DiffOp::Equal { .. } => {
                for (ours, theirs) in ours[old].iter().zip(&theirs[new]) {
                    if ours != theirs {
                        let one = rule_for_line(ours, theirs, here);
                        let reason = one.or(rules.first().map(|&(reason, _)| reason));
                        reason.into_iter().for_each(|reason| here.findings.suppress(reason));
                    }
                }
            }
            _ => run(old.start, &ours[old], &theirs[new], here),
        }
    }
}

/// Notes the first line that differs and is not explained: all there is time for.
fn first_that_differs(ours: &[&[u8]], theirs: &[&[u8]], here: &mut Here<'_, '_, '_, '_>) {
    let both = ours.len().min(theirs.len());
    for at in 0..both {
        if ours[at] != theirs[at] {
            match rule_for_line(ours[at], theirs[at], here) {
                Some(reason) => here.findings.suppress(reason),
                None => return differs(at, &ours[at..=at], &theirs[at..=at], here),
            }
        }
    }
    let next = |lines: &[&[u8]]| both..lines.len().min(both + 1);
    if ours.len() != theirs.len() {
        differs(both, &ours[next(ours)], &theirs[next(theirs)], here);
    }
}

/// Notes a run of lines that differ, from the primary's line `at` on.
fn run(at: usize, primary: &[&[u8]], shadow: &[&[u8]], here: &mut Here<'_, '_, '_, '_>) {
    if primary.len() != shadow.len() || is_echo(primary, shadow, here) {
        return differs(at, primary, shadow, here);
    }
    // Lines that are not taken apart, one after the other, are one divergence.
    let mut whole = 0;
    for line in 0..primary.len() {
        let (ours, theirs) = (primary[line], shadow[line]);
        let mut known = Line::default();
        let reason = rule_for_line(ours, theirs, here)
            .or_else(|| is_echo(&[ours], &[theirs], here).then_some(Reason::Mirror))
            .or_else(|| {
                let Here { place, findings, .. } = &mut *here;
                known = findings.line(|| place.line_pattern(), ours, theirs);
                known.quiet
            });
        let runs = match reason {
            None => words::runs(ours.trim_ascii_end(), theirs.trim_ascii_end(), here.texts),
            Some(_) => Some(Vec::new()),
        };
        // Without a run, they differ in how they end.
        if reason.is_none() && runs.as_ref().is_none_or(Vec::is_empty) {
            continue;
        }
        if whole < line {
            differs(at + whole, &primary[whole..line], &shadow[whole..line], here);
        }
        whole = line + 1;
        reason.into_iter().for_each(|reason| here.findings.suppress(reason));
        for run in runs.unwrap_or_default() {
            match known.quiet_in(&run.primary) {
                Some(reason) => here.findings.suppress(reason),
                None => word_differs(at + line, ours, theirs, &run, here),
            }
        }
    }
    if whole < primary.len() {
        differs(at + whole, &primary[whole..], &shadow[whole..], here);
    }
}

fn word_differs(
    line: usize,
    primary: &[u8],
    shadow: &[u8],
    run: &words::Run,
    here: &mut Here<'_, '_, '_, '_>,
) {
    let (ours, theirs) = (&primary[run.primary.clone()], &shadow[run.shadow.clone()]);
    let (one, other) = (side(ours), side(theirs));
    let rule = here.findings.explain_place(&here.place, Change::Text, one, other);
    let echo = || here.echo.explains(ours, theirs).then_some(Reason::Mirror);
    if let Some(reason) = rule.or_else(echo) {
        return here.findings.suppress(reason);
    }
    let place = &here.place;
    let path = || (place.word(line + 1, run.word), place.word_pattern());
    here.findings.diverge_in_line(path, one, other);
}

/// Words as they are told; `None` where there are none.
fn side(words: &[u8]) -> Option<&[u8]> {
    (!words.is_empty()).then(|| words.trim_ascii())
}

/// Notes lines that differ, from the primary's line `at` on, as one.
fn differs(at: usize, primary: &[&[u8]], shadow: &[&[u8]], here: &mut Here<'_, '_, '_, '_>) {
    if is_echo(primary, shadow, here) {
        return here.findings.suppress(Reason::Mirror);
    }
    let (ours, theirs) = (joined(primary, b""), joined(shadow, b""));
    let side = |lines: &[&[u8]]| !lines.is_empty();
    let ours = side(primary).then(|| ours.trim_ascii_end());
    let theirs = side(shadow).then(|| theirs.trim_ascii_end());
    if let Some(reason) = here.findings.explain_place(&here.place, Change::Text, ours, theirs)
        && ours != theirs
    {
        return here.findings.suppress(reason);
    }
    let place = &here.place;
    let path = || (place.line(at + 1), place.line_pattern());
    here.findings.diverge(Kind::Body, path, Change::Text, ours, theirs);
}

/// Whether the lines echo what the mirror changed, or are what it added.
fn is_echo(primary: &[&[u8]], shadow: &[&[u8]], here: &Here<'_, '_, '_, '_>) -> bool {
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
    here.echo.explains(&joined(primary, b""), &joined(shadow, b"")) || all_added()
}

/// The first rule that explains the difference between two lines.
fn rule_for_line(primary: &[u8], shadow: &[u8], here: &Here<'_, '_, '_, '_>) -> Option<Reason> {
    let (ours, theirs) = (primary.trim_ascii_end(), shadow.trim_ascii_end());
    // What differs in how it ends is not the same by being rewritten.
    if ours == theirs {
        return None;
    }
    here.findings.explain_place(&here.place, Change::Text, Some(ours), Some(theirs))
}

/// Lines as all the rules together rewrite them.
fn rewritten<'t>(lines: &[&'t [u8]], rules: &[(Reason, &Normaliser)]) -> Vec<Cow<'t, [u8]>> {
    let line = |line: &&'t [u8]| {
        rules.iter().fold(Cow::Borrowed(*line), |line, (_, rule)| match rule.rewritten(&line) {
            Cow::Borrowed(_) => line,
            Cow::Owned(other) => Cow::Owned(other),
        })
    };
    lines.iter().map(line).collect()
}

/// Lines with their ends.
fn lines(text: &[u8]) -> Vec<&[u8]> {
    text.split_inclusive(|&b| b == b'\n').collect()
}

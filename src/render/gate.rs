//! Verdicts as text: a line that says it, then a sentence for each reason.

use std::fmt::Write as _;

use compare::gate::Decision;
use serde::Serialize;

use super::printable::printable;
use super::style::{bad, caution, good, heading, quiet};
use crate::verdict::{VERDICT_SCHEMA, Verdict, worst};

/// Width of sentences.
const LINE_CHARS: usize = 100;

/// Verdicts on several services.
#[derive(Serialize)]
pub(crate) struct Several<'a> {
    schema: u32,
    /// The worst of them.
    verdict: &'static str,
    services: &'a [Verdict],
}

impl<'a> Several<'a> {
    pub(crate) fn new(services: &'a [Verdict]) -> Self {
        Self { schema: VERDICT_SCHEMA, verdict: worst(services).as_str(), services }
    }
}

/// Sets verdicts for a terminal.
pub(crate) fn text(verdicts: &[Verdict]) -> String {
    let mut out = String::new();
    for (i, verdict) in verdicts.iter().enumerate() {
        if i > 0 {
            out.push('\n');
        }
        write_verdict(&mut out, verdict).expect("strings take all");
    }
    out
}

fn write_verdict(out: &mut String, verdict: &Verdict) -> std::fmt::Result {
    let painted = match verdict.decision {
        Decision::Pass => good("pass"),
        Decision::Fail => bad("fail"),
        Decision::Inconclusive => caution("inconclusive"),
    };
    let service = if verdict.service.is_empty() { "nothing stored" } else { &verdict.service };
    writeln!(out, "{}: {painted}", heading(printable(service)))?;
    match (&verdict.from, &verdict.to) {
        (Some(from), Some(to)) => writeln!(out, "  {}", quiet(format!("{from} to {to}")))?,
        _ => writeln!(out, "  {}", caution("nothing was stored of it in this time"))?,
    }
    let releases = &verdict.releases;
    if !releases.primary.is_empty() || !releases.shadow.is_empty() {
        let known = |name: &str| if name.is_empty() { "?".to_owned() } else { printable(name) };
        let (primary, shadow) = (known(&releases.primary), known(&releases.shadow));
        writeln!(out, "  {}", quiet(format!("release {shadow} against {primary}")))?;
    }
    let mut said = "";
    for reason in &verdict.reasons {
        if reason.decision != said {
            said = reason.decision;
            writeln!(out, "\n  {}", heading(title(said)))?;
        }
        write_wrapped(out, &printable(&reason.sentence))?;
    }
    Ok(())
}

/// Writes a sentence in lines of up to [`LINE_CHARS`], all but the first further in.
fn write_wrapped(out: &mut String, sentence: &str) -> std::fmt::Result {
    let mut line = "   ".to_owned();
    for word in sentence.split(' ') {
        if line.chars().count() + 1 + word.chars().count() > LINE_CHARS {
            writeln!(out, "{line}")?;
            "     ".clone_into(&mut line);
        }
        line.push(' ');
        line.push_str(word);
    }
    writeln!(out, "{line}")
}

fn title(decision: &str) -> &'static str {
    match decision {
        "fail" => "Beyond its limit",
        "inconclusive" => "Not yet to be told",
        _ => "Within its limit",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_sentences_are_broken_between_words() {
        let sentence = "word ".repeat(50);
        let mut out = String::new();
        write_wrapped(&mut out, sentence.trim_end()).unwrap();
        assert!(out.lines().all(|line| line.chars().count() <= LINE_CHARS), "{out}");
        assert_eq!(out.split_whitespace().count(), 50);
        let mut lines = out.lines();
        assert!(lines.next().unwrap().starts_with("    word"));
        assert!(lines.all(|line| line.starts_with("      word")));
    }
}

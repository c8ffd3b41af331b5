//! Rules that are proposed, as a file with comments; what rules on trial would do, as text.

use std::fmt::Write as _;

use super::printable::printable;
use super::style::{bad, caution, good, heading, quiet};
use super::table::{Align, table};
use super::units::{count, counted, share};
use crate::answers::{
    Count, RuleCount, ServiceTrial, SignatureCount, Suggested, SuggestedRule, Suggestions,
    TrialReport,
};

/// Rows of a table; JSON has them all.
const LISTED: usize = 20;

/// Letters of a value that is shown.
const VALUE_CHARS: usize = 60;

/// Endpoints that are named.
const ENDPOINTS: usize = 3;

type Written = std::fmt::Result;

/// Sets proposed rules as a file for `rules try`.
pub(crate) fn suggestions(all: &Suggestions) -> String {
    let mut out = String::new();
    write_suggestions(&mut out, all).expect("strings take all");
    out
}

fn write_suggestions(out: &mut String, all: &Suggestions) -> Written {
    match (&all.from, &all.to) {
        (Some(from), Some(to)) => writeln!(out, "# From what differed {from} to {to}.")?,
        _ => writeln!(out, "# Nothing is stored of this time, so nothing is proposed.")?,
    }
    for service in &all.services {
        let name = toml::Value::String(service.service.clone());
        let (compared, diverged) = (counted(service.compared, "pair"), count(service.diverged));
        writeln!(out, "\n# {}: {compared} compared, {diverged} diverged.", name)?;
        if service.rules.is_empty() {
            writeln!(out, "# Nothing in it looks like noise that a rule should explain.")?;
            continue;
        }
        writeln!(out, "# In the configuration, put what follows the name below this service.")?;
        writeln!(out, "[[service]]\nname = {name}")?;
        write_suggested(out, service)?;
    }
    Ok(())
}

fn write_suggested(out: &mut String, service: &Suggested) -> Written {
    for rule in &service.rules {
        writeln!(out)?;
        write_evidence(out, rule)?;
        // Names in it come from the wire.
        if rule.toml.lines().all(|line| printable(line) == line) {
            out.push_str(&rule.toml);
        } else {
            writeln!(out, "# The rule holds what cannot be shown: --format json has it.")?;
        }
    }
    Ok(())
}

fn write_evidence(out: &mut String, rule: &SuggestedRule) -> Written {
    let (differences, pairs) =
        (counted(rule.differences, "difference"), counted(rule.pairs, "pair"));
    writeln!(out, "# It explains {differences} in {pairs}:")?;
    for (endpoint, [pairs, of]) in rule.endpoints.iter().take(ENDPOINTS) {
        let (part, whole) = (count(*pairs), count(*of));
        let endpoint = printable(endpoint);
        writeln!(out, "#   {endpoint}: {part} of {whole} pairs ({})", share(*pairs, *of))?;
    }
    if rule.endpoints.len() > ENDPOINTS {
        let more = rule.endpoints.len() - ENDPOINTS;
        writeln!(out, "#   and {}", counted(more as u64, "more endpoint"))?;
    }
    let mut because = rule.because.clone();
    for cause in &rule.learned {
        because += match *cause {
            "self" => "; the primary answers one request in different ways there",
            "secondary" => "; the primary and its second copy differ there",
            _ => "; both legs have a new token there in every answer",
        };
    }
    writeln!(out, "# Why: {because}.")?;
    if rule.undecided > 0 {
        let more = counted(rule.undecided, "more difference");
        writeln!(out, "# {more} there may be explained: their messages are not kept.")?;
    }
    for example in &rule.examples {
        let (primary, shadow) = (value(&example.primary), value(&example.shadow));
        writeln!(out, "# e.g. {primary} -> {shadow}")?;
    }
    Ok(())
}

/// A value in one line.
fn value(text: &str) -> String {
    let text = printable(text);
    if text.chars().count() <= VALUE_CHARS {
        return text;
    }
    text.chars().take(VALUE_CHARS - 1).chain(['…']).collect()
}

/// Sets what rules on trial would do for a terminal.
pub(crate) fn trial(report: &TrialReport) -> String {
    let mut out = String::new();
    write_trial(&mut out, report).expect("strings take all");
    out
}

fn write_trial(out: &mut String, report: &TrialReport) -> Written {
    match (&report.from, &report.to) {
        (Some(from), Some(to)) => writeln!(out, "{}", quiet(format!("{from} to {to}")))?,
        _ => writeln!(out, "{}", caution("nothing is stored of this time"))?,
    }
    for service in &report.services {
        writeln!(out)?;
        write_service(out, service)?;
    }
    writeln!(out)?;
    for note in &report.notes {
        writeln!(out, "{}", quiet(format!("note: {note}")))?;
    }
    Ok(())
}

fn write_service(out: &mut String, service: &ServiceTrial) -> Written {
    writeln!(out, "{}", heading(&service.service))?;
    let compared = counted(service.compared, "pair");
    writeln!(out, "  {compared} compared")?;
    let rate = |n: u64| share(n, service.compared);
    let Count { before, after, undecided, .. } = service.pairs;
    let diverge = format!("{} diverge ({})", count(after), rate(after));
    let diverge = if after > 0 { bad(diverge) } else { good(diverge) };
    write!(out, "  {} diverged ({}); with these rules {diverge}", count(before), rate(before))?;
    writeln!(out, "{}", untold(undecided))?;
    let Count { before, after, undecided, new } = service.differences;
    let explained = (before + new).saturating_sub(after + undecided);
    let (before, left) = (counted(before, "difference"), count(after - new));
    write!(out, "  {before}: {} explained, {left} left", count(explained))?;
    if new > 0 {
        write!(out, ", {} new", count(new))?;
    }
    writeln!(out, "{}", untold(undecided))?;
    write_rules(out, &service.rules)?;
    write_signatures(out, "What still differs", &service.remaining)?;
    write_signatures(out, "What no longer differs", &service.vanished)?;
    if !service.undecided.is_empty() {
        writeln!(out)?;
    }
    for of in &service.undecided {
        let why = match of.reason {
            "not_kept" => "their messages are needed, and were not kept whole",
            "redacted" => "a rule reads a value that is redacted",
            _ => "not all of what differs was listed",
        };
        let (pairs, differences) =
            (counted(of.pairs, "pair"), counted(of.differences, "difference"));
        let text = format!("{differences} in {pairs} cannot be told: {why} (e.g. {})", of.example);
        writeln!(out, "  {}", caution(text))?;
    }
    Ok(())
}

fn untold(undecided: u64) -> String {
    match undecided {
        0 => String::new(),
        n => caution(format!(", {} cannot be told", count(n))),
    }
}

fn write_rules(out: &mut String, rules: &[RuleCount]) -> Written {
    if rules.is_empty() {
        return writeln!(out, "  {}", caution("the file has no rule for it"));
    }
    writeln!(out, "\n  {}", heading("Rules"))?;
    let rows: Vec<Vec<String>> = rules
        .iter()
        .map(|rule| {
            let named: Vec<&str> =
                rule.endpoints.iter().take(ENDPOINTS).map(String::as_str).collect();
            let more = rule.endpoints.len().saturating_sub(ENDPOINTS);
            let more = if more > 0 { format!(", {more} more") } else { String::new() };
            vec![
                count(rule.differences),
                count(rule.pairs),
                printable(&rule.rule),
                format!("{}{more}", printable(&named.join(", "))),
            ]
        })
        .collect();
    let columns = [
        ("DIFFERENCES", Align::Right),
        ("PAIRS", Align::Right),
        ("RULE", Align::Left),
        ("AT", Align::Left),
    ];
    out.push_str(&table(4, &columns, &rows, header_quiet));
    for rule in rules {
        let name = printable(&rule.rule);
        if rule.matches_nothing {
            let text = format!("the rule '{name}' explains nothing of what is stored");
            writeln!(out, "    {}", caution(text))?;
        }
        for endpoint in &rule.silences {
            let endpoint = printable(endpoint);
            let text = format!("the rule '{name}' silences all that differs at {endpoint}");
            writeln!(out, "    {}", bad(text))?;
        }
    }
    Ok(())
}

fn write_signatures(out: &mut String, title: &str, all: &[SignatureCount]) -> Written {
    if all.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n  {}", heading(title))?;
    let rows: Vec<Vec<String>> = all
        .iter()
        .take(LISTED)
        .map(|of| {
            vec![
                count(of.differences.before),
                count(of.differences.after),
                count(of.differences.undecided),
                format!("{} {}", of.kind, of.change),
                printable(&of.endpoint),
                printable(&of.path),
                of.id.clone(),
            ]
        })
        .collect();
    let columns = [
        ("BEFORE", Align::Right),
        ("AFTER", Align::Right),
        ("UNTOLD", Align::Right),
        ("WHAT", Align::Left),
        ("ENDPOINT", Align::Left),
        ("PATH", Align::Left),
        ("SIGNATURE", Align::Left),
    ];
    out.push_str(&table(4, &columns, &rows, header_quiet));
    if all.len() > LISTED {
        let more = counted((all.len() - LISTED) as u64, "more signature");
        writeln!(out, "    {}", quiet(format!("and {more}: --format json has them all")))?;
    }
    Ok(())
}

fn header_quiet(row: usize, _: usize, cell: String) -> String {
    if row == 0 { quiet(cell) } else { cell }
}

//! One pair or one signature as text: what differs first, then both messages side by side as
//! a line diff.

use std::fmt::Write as _;

use similar::{ChangeTag, TextDiff};
use store::{BodyText, ExchangeText, LegDetail, MessageText, PairDetail, SignatureDetail};

use super::json;
use super::printable::printable;
use super::style::{bad, caution, good, heading, quiet};
use super::units::{count, counted, micros};

/// Unchanged lines shown around a change.
const CONTEXT: usize = 3;

type Written = std::fmt::Result;

/// A signature with its examples.
pub(crate) fn signature(detail: &SignatureDetail) -> String {
    let mut out = String::new();
    write_signature(&mut out, detail).expect("strings take all");
    out
}

/// One pair.
pub(crate) fn pair(detail: &PairDetail) -> String {
    let mut out = String::new();
    write_pair(&mut out, detail).expect("strings take all");
    out
}

fn write_signature(out: &mut String, detail: &SignatureDetail) -> Written {
    let s = &detail.signature;
    let what = format!("{} {}", s.kind, printable(&s.path));
    writeln!(out, "{}", heading(format!("{}  {}", s.id, printable(&s.endpoint))))?;
    writeln!(out, "  {}", bad(format!("{} {}", what.trim_end(), s.change)))?;
    writeln!(
        out,
        "  service {}, {} in {}, first {}, last {}",
        detail.service,
        counted(s.count, "difference"),
        counted(s.pairs, "pair"),
        s.first_seen,
        s.last_seen
    )?;
    let releases: Vec<String> = s
        .releases
        .iter()
        .filter(|names| !names.primary.is_empty() || !names.shadow.is_empty())
        .map(|names| printable(&names.to_string()))
        .collect();
    if !releases.is_empty() {
        writeln!(out, "  releases {}", releases.join(", "))?;
    }
    if let Some(said) = &s.acknowledgement {
        let until = said.until.as_ref().map_or("for good".to_owned(), |at| format!("until {at}"));
        let what = if said.expired { "was acknowledged" } else { "acknowledged" };
        let (by, reason) = (printable(&said.by), printable(&said.reason));
        let line = format!("{what} {until} by {by}: {reason}");
        writeln!(out, "  {}", if said.expired { caution(line) } else { good(line) })?;
    }
    if let Some(cause) = &s.noise {
        writeln!(out, "  {}", good(format!("noise ({cause}): no longer reported")))?;
    }
    let Some(first) = detail.examples.first() else { return Ok(()) };
    if detail.examples.len() > 1 {
        let others: Vec<&str> = detail.examples[1..].iter().map(|pair| pair.id.as_str()).collect();
        writeln!(out, "  {}", quiet(format!("more examples: {}", others.join(" "))))?;
    }
    writeln!(out)?;
    write_pair(out, first)
}

fn write_pair(out: &mut String, pair: &PairDetail) -> Written {
    writeln!(out, "{}", heading(format!("{}  {}", pair.id, printable(&pair.endpoint))))?;
    let verdict = match (pair.verdict.as_str(), &pair.reason) {
        ("matched", _) => good("matched"),
        (verdict, None) => bad(verdict),
        (verdict, Some(reason)) => bad(format!("{verdict}: {reason}")),
    };
    writeln!(
        out,
        "  {verdict}, service {}, {}, key {}",
        pair.service,
        pair.start,
        printable(&pair.key)
    )?;
    if !pair.releases.primary.is_empty() || !pair.releases.shadow.is_empty() {
        writeln!(out, "  release {}", printable(&pair.releases.to_string()))?;
    }
    write_leg(out, "primary", &pair.primary)?;
    write_leg(out, "shadow", &pair.shadow)?;
    for d in &pair.divergences {
        let what = format!("{} {}", d.kind, printable(&d.path));
        writeln!(out, "\n  {} {} {}", heading(what.trim_end()), d.change, quiet(&d.signature))?;
        if let Some(value) = &d.primary {
            writeln!(out, "    {}", bad(format!("- {}", printable(value))))?;
        }
        if let Some(value) = &d.shadow {
            writeln!(out, "    {}", good(format!("+ {}", printable(value))))?;
        }
    }
    match (&pair.primary.exchange, &pair.shadow.exchange) {
        (Some(primary), Some(shadow)) => write_exchanges(out, primary, shadow),
        _ => writeln!(out, "\n  {}", quiet("its messages were not kept: it is no example")),
    }
}

fn write_leg(out: &mut String, name: &str, leg: &LegDetail) -> Written {
    let status = leg.status.map_or_else(|| "no response".to_owned(), |s| s.to_string());
    let time = |us: Option<u64>| us.map_or_else(|| "-".to_owned(), micros);
    let (first_byte, total) = (time(leg.first_byte_us), time(leg.total_us));
    writeln!(out, "  {name:<8} {status}, first byte {first_byte}, total {total}")
}

fn write_exchanges(out: &mut String, primary: &ExchangeText, shadow: &ExchangeText) -> Written {
    let legend = format!(
        "{} {} ({})   {} {} ({})",
        bad("- primary"),
        primary.server,
        primary.evidence,
        good("+ shadow"),
        shadow.server,
        shadow.evidence
    );
    writeln!(out, "\n  {legend}")?;
    write_messages(out, "Request", primary.request.as_ref(), shadow.request.as_ref())?;
    write_messages(out, "Response", primary.response.as_ref(), shadow.response.as_ref())
}

fn write_messages(
    out: &mut String,
    name: &str,
    primary: Option<&MessageText>,
    shadow: Option<&MessageText>,
) -> Written {
    writeln!(out, "\n  {}", heading(name))?;
    let text = |message: Option<&MessageText>| message.map_or_else(String::new, message_text);
    let (primary, shadow) = (text(primary), text(shadow));
    if primary.is_empty() && shadow.is_empty() {
        return writeln!(out, "    {}", quiet("not seen"));
    }
    let diff = TextDiff::from_lines(primary.as_str(), shadow.as_str());
    let groups = diff.grouped_ops(CONTEXT);
    if groups.is_empty() {
        for line in primary.lines().take(2 * CONTEXT) {
            writeln!(out, "      {line}")?;
        }
        return writeln!(out, "    {}", quiet("the same on both legs"));
    }
    let mut shown = 0;
    for group in &groups {
        let starts = group.first().map_or(0, |op| op.old_range().start);
        skipped(out, starts.saturating_sub(shown))?;
        for change in group.iter().flat_map(|op| diff.iter_changes(op)) {
            let line = change.value().trim_end_matches('\n');
            match change.tag() {
                ChangeTag::Equal => writeln!(out, "      {line}")?,
                ChangeTag::Delete => writeln!(out, "    {}", bad(format!("- {line}")))?,
                ChangeTag::Insert => writeln!(out, "    {}", good(format!("+ {line}")))?,
            }
        }
        shown = group.last().map_or(shown, |op| op.old_range().end);
    }
    skipped(out, primary.lines().count().saturating_sub(shown))
}

fn skipped(out: &mut String, lines: usize) -> Written {
    if lines == 0 {
        return Ok(());
    }
    writeln!(out, "      {}", quiet(format!("… {}", counted(lines as u64, "equal line"))))
}

/// A message as HTTP/1.1 would write it, with a JSON body one member a line.
fn message_text(message: &MessageText) -> String {
    let mut text = format!("{}\n", printable(&message.start_line));
    for (name, value) in message.headers.iter().chain(&message.trailers) {
        writeln!(text, "{}: {}", printable(name), printable(value)).expect("strings take all");
    }
    text.push('\n');
    text.push_str(&body_text(&message.body));
    text
}

fn body_text(body: &BodyText) -> String {
    let Some(text) = &body.text else {
        return match body.bytes {
            0 => String::new(),
            bytes => format!("({} bytes, digest {})\n", count(bytes), body.digest),
        };
    };
    let mut pretty = json::laid_out(text).unwrap_or_else(|| text.to_owned());
    pretty = pretty.lines().map(printable).collect::<Vec<_>>().join("\n");
    if !pretty.is_empty() && !pretty.ends_with('\n') {
        pretty.push('\n');
    }
    if body.cut {
        writeln!(pretty, "(cut: {} bytes in all)", count(body.bytes)).expect("strings take all");
    }
    pretty
}

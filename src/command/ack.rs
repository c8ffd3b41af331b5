//! `tapdiff ack`: what is expected, and left out of the verdict.

use std::path::Path;

use capture::Timestamp;
use compare::SignatureId;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Serialize;
use store::{Acknowledged, Acknowledgement, Query, SqliteStore, Store};

use super::{show, window};
use crate::cli::{AckArgs, Format, parse_time};
use crate::failure::Failure;
use crate::output;
use crate::render::ack as render;

/// Letters of a reason or a name, at most.
const TEXT_CHARS: usize = 1_000;

/// How far a signature's id may be from another's to be taken for a slip.
const NEAR: usize = 3;

/// Acknowledges a signature, takes that back, or lists what there is.
pub(crate) fn ack(args: &AckArgs) -> Result<(), Failure> {
    let path = &args.store.store;
    if args.list {
        return list(&SqliteStore::open_read_only(path)?, args.output.format);
    }
    if let Some(text) = &args.remove {
        let id = signature(text)?;
        let mut store = SqliteStore::open_beside(path)?;
        if store.take_back(id)? {
            return output::print(&format!("{id} is no longer acknowledged\n"));
        }
        let why = format!("{id} is not acknowledged; 'tapdiff ack --list' lists what is");
        return Err(Failure::no(why));
    }
    let missing = |what: &str| Failure::usage(format!("'tapdiff ack' needs {what}"));
    let id = signature(args.signature.as_deref().ok_or_else(|| missing("a signature"))?)?;
    let reason = text("--reason", args.reason.as_deref().ok_or_else(|| missing("--reason"))?)?;
    let by = args.by.clone().or_else(logged_in).unwrap_or_else(|| "unknown".to_owned());
    let by = text("--by", &by)?;
    let now = window::now();
    let until = args.until.as_deref().map(|text| until(text, now)).transpose()?;
    // Fractions of a second are none of a person's words.
    let (at, until) = (whole_seconds(now), until.map(whole_seconds));
    let mut store = SqliteStore::open_beside(path)?;
    let said = Acknowledgement { signature: id, reason, by, at, until };
    match store.acknowledge(&said)? {
        Acknowledged::Stored => output::print(&render::said(&said, None)),
        Acknowledged::Replaced(before) => output::print(&render::said(&said, Some(&before))),
        Acknowledged::NotSeen => Err(not_seen(&store, path, id)?),
        Acknowledged::NotListed => Err(Failure::no(format!(
            "{id} stands for differences that are not listed one by one, so it cannot be \
             acknowledged; acknowledge those that are, or ignore the place with a rule"
        ))),
    }
}

fn list(store: &SqliteStore, format: Format) -> Result<(), Failure> {
    let said = store.acknowledgements()?;
    let now = window::now();
    match format {
        Format::Text => output::print(&render::list(&said, now)),
        Format::Json => {
            let listed: Vec<Listed> = said.iter().map(|said| Listed::new(said, now)).collect();
            output::print_json(&listed)
        }
    }
}

/// One acknowledgement as JSON.
#[derive(Serialize)]
struct Listed {
    signature: String,
    reason: String,
    by: String,
    /// RFC 3339.
    at: String,
    /// RFC 3339; `null`: for good.
    until: Option<String>,
    expired: bool,
}

impl Listed {
    fn new(said: &Acknowledgement, now: Timestamp) -> Self {
        Self {
            signature: said.signature.to_string(),
            reason: said.reason.clone(),
            by: said.by.clone(),
            at: render::time(said.at),
            until: said.until.map(render::time),
            expired: said.has_expired(Some(now)),
        }
    }
}

fn signature(text: &str) -> Result<SignatureId, Failure> {
    show::signature_id(text).ok_or_else(|| {
        Failure::usage(format!(
            "'{text}' is no signature: they are written s- and 16 hexadecimal digits, as \
             'tapdiff report' prints them"
        ))
    })
}

fn text(flag: &str, text: &str) -> Result<String, Failure> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Failure::usage(format!("{flag} is empty: say something that others can use")));
    }
    if text.chars().count() > TEXT_CHARS {
        return Err(Failure::usage(format!("{flag} is longer than {TEXT_CHARS} letters")));
    }
    Ok(text.to_owned())
}

/// A time, a date, or a duration from `now` on.
fn until(text: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    let date = || -> Option<Timestamp> {
        let midnight = text.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok()?;
        u64::try_from(midnight.timestamp().as_nanosecond()).ok().map(Timestamp::from_nanos)
    };
    let time = match parse_time(text).ok().or_else(date) {
        Some(time) => time,
        None => {
            now + window::duration("--until", text).map_err(|_| {
                let write = "write 2026-12-31T18:00:00Z, 2026-12-31, 12h or 14d";
                Failure::usage(format!("--until '{text}': no time and no duration; {write}"))
            })?
        }
    };
    if time <= now {
        return Err(Failure::usage(format!("--until '{text}' has passed already")));
    }
    Ok(time)
}

fn whole_seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_nanos(at.as_nanos() / 1_000_000_000 * 1_000_000_000)
}

/// Who runs the command, also behind sudo.
fn logged_in() -> Option<String> {
    let names = ["SUDO_USER", "USER", "LOGNAME"].into_iter().filter_map(|v| std::env::var(v).ok());
    names.into_iter().find(|name| !name.trim().is_empty())
}

/// Says so, with the signatures that may have been meant.
fn not_seen(store: &SqliteStore, path: &Path, id: SignatureId) -> Result<Failure, Failure> {
    let report = store.report(&Query::default())?;
    let all = report.services.iter().flat_map(|service| &service.signatures);
    let wanted = id.to_string();
    let mut near: Vec<(usize, &str)> = all
        .map(|seen| (strsim::damerau_levenshtein(&seen.id, &wanted), seen.id.as_str()))
        .filter(|&(distance, _)| distance <= NEAR)
        .collect();
    near.sort_unstable();
    let near: Vec<&str> = near.into_iter().take(3).map(|(_, id)| id).collect();
    let hint = match near.is_empty() {
        true => "'tapdiff report' lists what there is".to_owned(),
        false => format!("did you mean {}?", near.join(" or ")),
    };
    Ok(Failure::no(format!("{}: no signature {id} was seen; {hint}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_a_time_a_date_or_a_duration() {
        let now = Timestamp::from_nanos(1_700_000_000_000_000_000);
        let seconds = |text| until(text, now).unwrap().as_nanos() / 1_000_000_000;
        assert_eq!(seconds("2023-11-15T00:00:00Z"), 1_700_006_400);
        assert_eq!(seconds("2023-11-15"), 1_700_006_400);
        assert_eq!(seconds("2d"), 1_700_172_800);
        for (wrong, why) in [("soon", "no time and no duration"), ("2020-01-01", "has passed")] {
            assert!(until(wrong, now).unwrap_err().to_string().contains(why), "{wrong}");
        }
    }
}

//! Acknowledgements as text.

use capture::Timestamp;
use store::Acknowledgement;

use super::printable::printable;
use super::style::{caution, quiet};
use super::table::{Align, table};

/// What was just said, and what it replaces.
pub(crate) fn said(said: &Acknowledgement, before: Option<&Acknowledgement>) -> String {
    let until = until(said);
    let mut text =
        format!("{} is acknowledged {until} by {}\n", said.signature, printable(&said.by));
    if let Some(before) = before {
        let (by, reason) = (printable(&before.by), printable(&before.reason));
        text += &format!("{}\n", quiet(format!("before by {by}: {reason}")));
    }
    text
}

/// All that was said. `now` decides which have expired.
pub(crate) fn list(all: &[Acknowledgement], now: Timestamp) -> String {
    if all.is_empty() {
        return "nothing is acknowledged\n".to_owned();
    }
    let rows: Vec<Vec<String>> = all
        .iter()
        .map(|said| {
            let until = match said.has_expired(Some(now)) {
                true => format!("expired {}", said.until.map_or_else(String::new, time)),
                false => until(said),
            };
            vec![said.signature.to_string(), until, printable(&said.by), printable(&said.reason)]
        })
        .collect();
    let columns = [
        ("SIGNATURE", Align::Left),
        ("UNTIL", Align::Left),
        ("BY", Align::Left),
        ("REASON", Align::Left),
    ];
    table(0, &columns, &rows, |row, column, cell| match (row, column) {
        (0, _) => quiet(cell),
        (_, 1) if cell.starts_with("expired") => caution(cell),
        _ => cell,
    })
}

fn until(said: &Acknowledgement) -> String {
    said.until.map_or_else(|| "for good".to_owned(), |at| format!("until {}", time(at)))
}

/// RFC 3339, to the second.
pub(crate) fn time(at: Timestamp) -> String {
    let seconds = i64::try_from(at.as_nanos() / 1_000_000_000).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX).to_string()
}

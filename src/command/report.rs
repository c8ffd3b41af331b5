//! `tapdiff report`: what the store knows, as people and programs get it.

use std::path::Path;
use std::time::{Duration, SystemTime};

use capture::Timestamp;
use jiff::SpanRelativeTo;
use serde::Serialize;
use store::{Query, Report, SqliteStore, Store};

use crate::cli::{Format, OutputArgs, ReconcileArgs, ReportArgs};
use crate::failure::Failure;
use crate::reconcile::{Reconciliation, reconcile};
use crate::{output, render};

/// Prints the report of a store.
pub(crate) fn report(args: &ReportArgs) -> Result<(), Failure> {
    let since = args.since.as_deref().map(parse_since).transpose()?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let query = Query {
        from: since.map(|since| Timestamp::ZERO + now.saturating_sub(since)).or(args.from),
        to: args.to,
        service: args.service.clone(),
        endpoint: args.endpoint.clone(),
    };
    let store = SqliteStore::open_read_only(&args.store.store)?;
    let report = store.report(&query)?;
    if let Some(service) = args.service.as_deref().filter(|_| report.services.is_empty()) {
        let all = store.report(&Query { service: None, endpoint: None, ..query })?;
        let known: Vec<&str> = all.services.iter().map(|s| s.service.as_str()).collect();
        return Err(Failure::no(format!(
            "--service: nothing of '{service}' was stored in this time; there is {}",
            if known.is_empty() { "nothing at all".to_owned() } else { known.join(", ") }
        )));
    }
    answer(&report, &args.output, &args.reconcile, Some(&args.store.store))
}

/// Prints a report in the format asked for. `store` is where it comes from, if it was kept.
pub(super) fn answer(
    report: &Report,
    output: &OutputArgs,
    clusters: &ReconcileArgs,
    store: Option<&Path>,
) -> Result<(), Failure> {
    let reconciliation = reconcile(clusters, report)?;
    match output.format {
        Format::Text => output::print(&render::report::text(report, &reconciliation, store)),
        Format::Json => output::print_json(&ReportJson { report, reconciliation }),
    }
}

/// The report with what only the command line knows.
#[derive(Serialize)]
struct ReportJson<'a> {
    #[serde(flatten)]
    report: &'a Report,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reconciliation: Vec<Reconciliation>,
}

fn parse_since(text: &str) -> Result<Duration, Failure> {
    let wrong =
        || Failure::usage(format!("--since '{text}': no duration; write 90s, 15m, 1h or 2d"));
    let span: jiff::Span = text.parse().map_err(|_| wrong())?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    Duration::try_from(duration).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        let seconds = |text| parse_since(text).unwrap().as_secs();
        assert_eq!(
            ["90s", "15m", "1h", "2d", "1h30m"].map(seconds),
            [90, 900, 3_600, 172_800, 5_400]
        );
        assert!(parse_since("soon").is_err());
        assert!(parse_since("-5m").is_err());
    }
}

//! `tapdiff report`: what the store knows, as people and programs get it.

use std::path::Path;

use serde::Serialize;
use store::{Query, Report, SqliteStore, Store};

use super::window;
use crate::cli::{Format, OutputArgs, ReconcileArgs, ReportArgs};
use crate::failure::Failure;
use crate::reconcile::{Reconciliation, reconcile};
use crate::{output, render};

/// Prints the report of a store.
pub(crate) fn report(args: &ReportArgs) -> Result<(), Failure> {
    let query = Query {
        service: args.service.clone(),
        endpoint: args.endpoint.clone(),
        release: args.release.clone(),
        ..window::query(&args.window)?
    };
    let store = SqliteStore::open_read_only(&args.store.store)?;
    let report = store.report(&query)?;
    if let Some(service) = args.service.as_deref().filter(|_| report.services.is_empty()) {
        let all = store.report(&Query { service: None, endpoint: None, release: None, ..query })?;
        let known: Vec<&str> = all.services.iter().map(|s| s.service.as_str()).collect();
        return Err(Failure::no(format!(
            "--service: nothing of '{service}' was stored in this time; there is {}",
            if known.is_empty() { "nothing at all".to_owned() } else { known.join(", ") }
        )));
    }
    if args.release.is_some() && report.services.iter().all(|s| s.releases.is_empty()) {
        let all = store.report(&Query { release: None, ..query })?;
        let known = all.services.iter().flat_map(|s| &s.releases).map(|r| r.names.to_string());
        let known: Vec<String> = known.collect();
        return Err(Failure::no(format!(
            "--release: nothing of it was stored in this time; there is {}",
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

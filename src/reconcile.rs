//! The proxy's own counters held against the tap's.
//!
//! Envoy counts in `cluster.NAME.upstream_rq_total` each request that it gave to a connection of
//! that cluster; the tap counts the exchanges it saw on that leg. Where both watched the same
//! traffic, the two are equal. tapdiff never asks Envoy itself: it reads what its admin port
//! printed at `/stats`.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::Serialize;
use store::Report;

use crate::cli::ReconcileArgs;
use crate::failure::Failure;

/// One leg of one service.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Reconciliation {
    pub(crate) service: String,
    pub(crate) leg: &'static str,
    pub(crate) cluster: String,
    /// Requests that Envoy gave to the cluster.
    pub(crate) envoy_rq_total: u64,
    /// Exchanges that the tap counted on the leg.
    pub(crate) tap_exchanges: u64,
    pub(crate) equal: bool,
}

/// Holds the counters named on the command line against the report. Empty where none are named.
pub(crate) fn reconcile(
    args: &ReconcileArgs,
    report: &Report,
) -> Result<Vec<Reconciliation>, Failure> {
    if args.envoy_stats.is_empty() {
        return Ok(Vec::new());
    }
    let totals = totals(&args.envoy_stats)?;
    let mut rows = Vec::new();
    for written in &args.envoy_clusters {
        let (service, clusters) = service_and_clusters(written, report)?;
        let accounts = accounts(report, service);
        for ((leg, tap_exchanges), cluster) in accounts.into_iter().zip(clusters) {
            let envoy_rq_total = *totals.get(cluster).ok_or_else(|| {
                let known: Vec<&str> = totals.keys().map(String::as_str).collect();
                Failure::usage(format!(
                    "--envoy-clusters: the stats have no cluster '{cluster}'; they have {}",
                    known.join(", ")
                ))
            })?;
            rows.push(Reconciliation {
                service: service.to_owned(),
                leg,
                cluster: cluster.to_owned(),
                envoy_rq_total,
                tap_exchanges,
                equal: envoy_rq_total == tap_exchanges,
            });
        }
    }
    Ok(rows)
}

/// Splits `[SERVICE=]PRIMARY,SHADOW`; the service may be left out where there is one only.
fn service_and_clusters<'a>(
    written: &'a str,
    report: &'a Report,
) -> Result<(&'a str, [&'a str; 2]), Failure> {
    let wrong = |why: &str| Failure::usage(format!("--envoy-clusters '{written}': {why}"));
    let (service, clusters) = match written.split_once('=') {
        Some((service, clusters)) => (Some(service), clusters),
        None => (None, written),
    };
    let (primary, shadow) =
        clusters.split_once(',').ok_or_else(|| wrong("write PRIMARY,SHADOW"))?;
    let names: Vec<&str> = report.services.iter().map(|s| s.service.as_str()).collect();
    let service = match (service, names.as_slice()) {
        (Some(service), _) if names.contains(&service) => service,
        (Some(_), _) => {
            return Err(wrong(&format!("no such service; there are {}", names.join(", "))));
        }
        (None, [only]) => only,
        (None, _) => return Err(wrong("say which service: SERVICE=PRIMARY,SHADOW")),
    };
    Ok((service, [primary, shadow]))
}

/// The exchanges seen on each leg.
fn accounts(report: &Report, service: &str) -> [(&'static str, u64); 2] {
    let service = report.services.iter().find(|s| s.service == service);
    let (primary, shadow) =
        service.map_or((0, 0), |s| (s.accounts.primary.seen, s.accounts.shadow.seen));
    [("primary", primary), ("shadow", shadow)]
}

/// `upstream_rq_total` by cluster: of one file, or what the second has more than the first.
fn totals(files: &[PathBuf]) -> Result<BTreeMap<String, u64>, Failure> {
    match files {
        [only] => read(only),
        [before, after] => {
            let before = read(before)?;
            let mut after = read(after)?;
            for (cluster, total) in &mut after {
                *total = total.saturating_sub(before.get(cluster).copied().unwrap_or(0));
            }
            Ok(after)
        }
        _ => Err(Failure::usage("--envoy-stats can be given once, or twice: before and after")),
    }
}

fn read(path: &Path) -> Result<BTreeMap<String, u64>, Failure> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).map(|_| ())
    } else {
        std::fs::read_to_string(path).map(|read| text = read)
    };
    read.map_err(|why| Failure::usage(format!("{}: {why}", path.display())))?;
    let totals = parse(&text);
    if totals.is_empty() {
        return Err(Failure::usage(format!(
            "{}: no line 'cluster.NAME.upstream_rq_total: N'; give what Envoy's admin port prints \
             at /stats",
            path.display()
        )));
    }
    Ok(totals)
}

fn parse(stats: &str) -> BTreeMap<String, u64> {
    stats
        .lines()
        .filter_map(|line| {
            let (name, value) = line.split_once(": ")?;
            let cluster = name.strip_prefix("cluster.")?.strip_suffix(".upstream_rq_total")?;
            Some((cluster.to_owned(), value.trim().parse().ok()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_read_by_cluster_and_nothing_else_is() {
        let stats = "cluster.shop.v1.upstream_rq_total: 12\n\
                     cluster.shop.v1.external.upstream_rq_200: 12\n\
                     cluster.shop_v2.upstream_rq_total: 7\n\
                     cluster.shop_v2.upstream_rq_time: P0(1,1)\n";
        let totals = parse(stats);
        assert_eq!(
            totals.into_iter().collect::<Vec<_>>(),
            [("shop.v1".to_owned(), 12), ("shop_v2".to_owned(), 7)]
        );
    }
}

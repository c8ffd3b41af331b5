//! `tapdiff gate`: may the release go on?

use std::path::PathBuf;

use compare::gate::{Decision, LatencyLimit, Policy};
use store::{Query, SqliteStore, Store};

use super::window;
use crate::cli::{Format, GateArgs};
use crate::config::{Config, DEFAULT_STORE};
use crate::failure::{Failure, Status};
use crate::output;
use crate::render::gate as render;
use crate::verdict::{Verdict, worst};

/// Prints the verdict; the exit status says it too.
pub(crate) fn gate(args: &GateArgs) -> Result<(), Failure> {
    let config = args.config.as_deref().map(Config::load).transpose().map_err(Failure::usage)?;
    let mut policy = config.as_ref().map(|config| config.gate.clone()).unwrap_or_default();
    apply(&mut policy, args);
    if let Some((name, meant)) = policy.faults().into_iter().next() {
        return Err(Failure::usage(format!("the policy's {name} must be {meant}")));
    }
    let path = args.store.clone().or_else(|| config.map(|config| config.store));
    let path = path.unwrap_or_else(|| PathBuf::from(DEFAULT_STORE));
    let store = SqliteStore::open_read_only(&path)?;
    let query = Query {
        service: args.service.clone(),
        release: args.release.clone(),
        ..window::query(&args.window)?
    };
    let mut verdicts: Vec<Verdict> =
        store.evidence(&query)?.iter().map(|found| Verdict::new(&policy, found)).collect();
    if verdicts.is_empty() {
        verdicts.push(Verdict::of_nothing(&policy, args.service.as_deref().unwrap_or_default()));
    }
    match args.output.format {
        Format::Text => output::print(&render::text(&verdicts))?,
        Format::Json => match &verdicts[..] {
            [one] => output::print_json(one)?,
            several => output::print_json(&render::Several::new(several))?,
        },
    }
    match worst(&verdicts) {
        Decision::Pass => Ok(()),
        Decision::Fail => Err(Failure::answered(Status::No)),
        Decision::Inconclusive => Err(Failure::answered(Status::Inconclusive)),
    }
}

/// What the flags say. They speak of the service; an endpoint's limit that is narrower than what
/// they allow the whole is widened to it, since one endpoint may be all the traffic there is.
fn apply(policy: &mut Policy, args: &GateArgs) {
    let Policy { service, endpoint, .. } = policy;
    for (flag, of_service, of_endpoint) in [
        (args.max_divergence_rate, &mut service.divergence_rate, &mut endpoint.divergence_rate),
        (args.max_error_increase, &mut service.error_increase, &mut endpoint.error_increase),
    ] {
        if let Some(limit) = flag {
            *of_service = Some(limit);
            *of_endpoint = of_endpoint.map(|narrow| narrow.max(limit));
        }
    }
    if !args.max_latency.is_empty() {
        service.latency.clone_from(&args.max_latency);
    }
    for LatencyLimit { span, quantile, ratio } in &args.max_latency {
        let same = |l: &&mut LatencyLimit| l.span == *span && l.quantile <= *quantile;
        for limit in endpoint.latency.iter_mut().filter(same) {
            limit.ratio = limit.ratio.max(*ratio);
        }
    }
    policy.required_endpoints.extend(args.require_endpoints.iter().map(|e| e.as_str().into()));
    policy.pairs_min = args.min_pairs.unwrap_or(policy.pairs_min);
}

//! May we go on? Evidence becomes an answer with reasons.

mod bets;
mod checks;
mod evidence;
mod policy;
mod ratio;
mod reason;

pub use evidence::{Accounts, EndpointSample, ErrorTable, Evidence, Latency, Sample, SizeBlock};
pub use policy::{LatencyLimit, Limits, Policy, Span};
pub use reason::{Account, Check, Decision, Interval, Missing, Reason, Ruling};

use checks::Checker;

/// The answer to "may we go on?" for what was seen so far.
///
/// Pure and repeatable: the same policy and evidence give the same ruling. It may be asked at any
/// moment and as often as one likes; see the [module](self) for what holds then.
#[must_use]
pub fn decide(policy: &Policy, evidence: &Evidence) -> Ruling {
    let mut reasons: Vec<Reason> = policy.faults().into_iter().map(checks::fault).collect();
    if reasons.is_empty() {
        reasons = judge(policy, evidence);
    }
    reasons.sort_by_key(|reason| reason.decision);
    let decision = reasons.first().map_or(Decision::Pass, |reason| reason.decision);
    Ruling { decision, reasons }
}

fn judge(policy: &Policy, evidence: &Evidence) -> Vec<Reason> {
    let mut reasons = checks::accounts(policy, &evidence.accounts);
    let service = Checker {
        endpoint: None,
        limits: &policy.service,
        required: true,
        pairs_min: policy.pairs_min,
        false_fail: policy.alpha / 2.0,
        false_pass: policy.beta,
        sample_rate: evidence.sample_rate,
    };
    service.check(&evidence.service, &mut reasons);
    let required = |endpoint: &str| policy.required_endpoints.iter().any(|r| **r == *endpoint);
    for (place, EndpointSample { endpoint, sample }) in evidence.endpoints.iter().enumerate() {
        let place = place as f64;
        let checker = Checker {
            endpoint: Some(endpoint),
            limits: &policy.endpoint,
            required: required(endpoint),
            pairs_min: policy.endpoint_pairs_min,
            // 1/2 + 1/6 + 1/12 + … = 1, however many endpoints there turn out to be.
            false_fail: policy.alpha / 2.0 / ((place + 1.0) * (place + 2.0)),
            ..service
        };
        checker.check(sample, &mut reasons);
    }
    let seen = |endpoint: &str| evidence.endpoints.iter().any(|seen| *seen.endpoint == *endpoint);
    let unseen = policy.required_endpoints.iter().filter(|endpoint| !seen(endpoint));
    reasons.extend(unseen.map(checks::unseen));
    reasons
}

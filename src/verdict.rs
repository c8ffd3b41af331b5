//! The verdict on one service, as programs get it: `tapdiff gate --format json` and `/verdict`.

use compare::gate::{self, Check, Decision, Evidence, Interval, Policy, Reason};
use serde::Serialize;
use store::ServiceEvidence;

/// Version of the verdict's shape. Keys may be added, never renamed.
pub(crate) const VERDICT_SCHEMA: u32 = 1;

/// The answer with its reasons.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Verdict {
    /// [`VERDICT_SCHEMA`].
    pub(crate) schema: u32,
    /// `pass`, `fail` or `inconclusive`.
    pub(crate) verdict: &'static str,
    /// The service; empty where nothing of any was stored.
    pub(crate) service: String,
    /// The releases that it speaks of; empty where they are not known.
    pub(crate) releases: Releases,
    /// Digest of the configuration that the pairs were compared with.
    pub(crate) config_digest: String,
    /// RFC 3339: start of the first minute that it rests on.
    pub(crate) from: Option<String>,
    /// RFC 3339: end of the last.
    pub(crate) to: Option<String>,
    /// What speaks for a fail, then what keeps from a pass, then what was found within its limit.
    pub(crate) reasons: Vec<ReasonJson>,
    #[serde(skip)]
    pub(crate) decision: Decision,
}

/// Names of the releases.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Releases {
    pub(crate) primary: String,
    pub(crate) shadow: String,
}

/// One thing looked at.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ReasonJson {
    /// What: `divergence`, `errors`, `latency_total`, …
    check: &'static str,
    /// Of which endpoint; `null` is the service.
    endpoint: Option<String>,
    /// What it speaks for.
    pub(crate) decision: &'static str,
    /// Which quantile, of a latency.
    quantile: Option<f64>,
    /// The value found, in the limit's unit.
    estimate: Option<f64>,
    /// Where the true value surely lies, however often one looks; `null` at an open end.
    interval: Option<[Option<f64>; 2]>,
    /// The usual 95 % interval, right for one look.
    plain: Option<[Option<f64>; 2]>,
    limit: f64,
    /// Pairs that it rests on.
    pairs: u64,
    /// What evidence is missing to tell.
    missing: Option<String>,
    /// All of it in words.
    pub(crate) sentence: String,
}

impl Verdict {
    /// The verdict on what was found of a service.
    pub(crate) fn new(policy: &Policy, found: &ServiceEvidence) -> Self {
        let ruling = gate::decide(policy, &found.evidence);
        let names = &found.releases;
        let releases = Releases { primary: names.primary.clone(), shadow: names.shadow.clone() };
        Self {
            schema: VERDICT_SCHEMA,
            verdict: ruling.decision.as_str(),
            service: found.service.clone(),
            releases,
            config_digest: found.config_digest.clone(),
            from: found.from.clone(),
            to: found.to.clone(),
            reasons: ruling.reasons.iter().map(ReasonJson::new).collect(),
            decision: ruling.decision,
        }
    }

    /// The verdict where nothing was stored: it says what is missing.
    pub(crate) fn of_nothing(policy: &Policy, service: &str) -> Self {
        let evidence = Evidence {
            service: gate::Sample::default(),
            endpoints: Vec::new(),
            accounts: gate::Accounts::default(),
            sample_rate: 1.0,
        };
        let releases = store::ReleaseNames::default();
        let (from, to, config_digest) = (None, None, String::new());
        let service = service.to_owned();
        Self::new(policy, &ServiceEvidence { service, releases, from, to, config_digest, evidence })
    }
}

impl ReasonJson {
    fn new(reason: &Reason) -> Self {
        let quantile = match reason.check {
            Check::Latency { quantile, .. } => Some(quantile),
            _ => None,
        };
        Self {
            check: reason.check.code(),
            endpoint: reason.endpoint.as_ref().map(ToString::to_string),
            decision: reason.decision.as_str(),
            quantile,
            estimate: reason.estimate.filter(|value| value.is_finite()),
            interval: reason.interval.map(ends),
            plain: reason.plain.map(ends),
            limit: reason.limit,
            pairs: reason.pairs,
            missing: reason.missing.map(|missing| missing.to_string()),
            sentence: reason.to_string(),
        }
    }
}

fn ends(Interval { low, high }: Interval) -> [Option<f64>; 2] {
    [low, high].map(|end| Some(end).filter(|end| end.is_finite()))
}

/// The worst of several: fail, then inconclusive, then pass.
pub(crate) fn worst(verdicts: &[Verdict]) -> Decision {
    verdicts.iter().map(|verdict| verdict.decision).min().unwrap_or(Decision::Inconclusive)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_stored_is_inconclusive_and_says_what_is_missing() {
        let verdict = Verdict::of_nothing(&Policy::default(), "shop");
        assert_eq!((verdict.verdict, verdict.service.as_str()), ("inconclusive", "shop"));
        let json = serde_json::to_value(&verdict).unwrap();
        assert_eq!(json["reasons"][0]["check"], "few_pairs");
        assert!(json["reasons"][0]["missing"].as_str().unwrap().contains("1000 more pairs"));
        assert!(json["from"].is_null() && json.get("decision").is_none());
    }

    #[test]
    fn of_several_the_worst_counts() {
        let of = |decision| Verdict { decision, ..Verdict::of_nothing(&Policy::default(), "s") };
        let (pass, fail) = (of(Decision::Pass), of(Decision::Fail));
        let open = of(Decision::Inconclusive);
        assert_eq!(worst(&[pass.clone(), open.clone(), fail]), Decision::Fail);
        assert_eq!(worst(&[pass.clone(), open]), Decision::Inconclusive);
        assert_eq!(worst(&[pass]), Decision::Pass);
        assert_eq!(worst(&[]), Decision::Inconclusive);
    }
}

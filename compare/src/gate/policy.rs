//! What may differ before the answer is no.

use std::sync::Arc;

/// What is tolerated, and how sure the answer must be.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Chance that anything within its limits fails, over the whole run, all endpoints and all
    /// looks. Above 0, below 1; default 0.05.
    pub alpha: f64,
    /// Chance that a service with something beyond its limits ever passes. Above 0, below 1;
    /// default 0.05.
    pub beta: f64,
    /// Limits over all endpoints together. Default: [`Limits::service`].
    pub service: Limits,
    /// Limits of each endpoint. Default: [`Limits::endpoint`].
    pub endpoint: Limits,
    /// Pairs without which the service does not pass. Default 1_000.
    pub pairs_min: u64,
    /// Pairs without which a required endpoint does not pass. Default 100.
    pub endpoint_pairs_min: u64,
    /// Endpoints that must be seen and be within their limits for a pass. The others can only
    /// fail. Default: none.
    pub required_endpoints: Vec<Arc<str>>,
    /// Packets lost, as a share of all, above which nothing passes. Default 0.01.
    pub loss_max: f64,
    /// Pairs that could not be judged, as a share of all, above which nothing passes. Default
    /// 0.05.
    pub incomparable_max: f64,
    /// Exchanges of the primary without a copy, as a share of all, above which nothing passes.
    /// Default 0.05: where the proxy mirrors only a tenth of the traffic, 0.91 says the same.
    pub unmirrored_max: f64,
    /// Exchanges of the shadow without their primary, as a share of all, above which nothing
    /// passes. Default 0.05.
    pub primary_missing_max: f64,
    /// Exchanges left out to keep within bounds, as a share of all, above which nothing passes.
    /// Default 0.1.
    pub shed_max: f64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            alpha: 0.05,
            beta: 0.05,
            service: Limits::service(),
            endpoint: Limits::endpoint(),
            pairs_min: 1_000,
            endpoint_pairs_min: 100,
            required_endpoints: Vec::new(),
            loss_max: 0.01,
            incomparable_max: 0.05,
            unmirrored_max: 0.05,
            primary_missing_max: 0.05,
            shed_max: 0.1,
        }
    }
}

/// What is tolerated of pairs. `None` is not looked at, and takes no part of the budget.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits {
    /// Share of pairs that diverge: 0.001 is one in a thousand. With 0 one divergence fails, and
    /// no number of pairs passes.
    pub divergence_rate: Option<f64>,
    /// Error rate of the shadow less that of the primary: 0.001 is one more in a thousand pairs.
    pub error_increase: Option<f64>,
    /// How many times slower the shadow may be.
    pub latency: Vec<LatencyLimit>,
    /// Body bytes of the shadow over those of the primary, in the middle one of all blocks.
    pub body_size_ratio: Option<f64>,
}

impl Limits {
    /// Divergence 0.1 %, errors 0.1 % more, p50 and p99 of the total 1.1 times, bodies 1.1 times.
    #[must_use]
    pub fn service() -> Self {
        let slower = |quantile| LatencyLimit { span: Span::Total, quantile, ratio: 1.1 };
        Self {
            divergence_rate: Some(0.001),
            error_increase: Some(0.001),
            latency: vec![slower(0.5), slower(0.99)],
            body_size_ratio: Some(1.1),
        }
    }

    /// Divergence 1 %, errors 1 % more, p90 of the total 1.25 times, bodies not looked at.
    #[must_use]
    pub fn endpoint() -> Self {
        Self {
            divergence_rate: Some(0.01),
            error_increase: Some(0.01),
            latency: vec![LatencyLimit { span: Span::Total, quantile: 0.9, ratio: 1.25 }],
            body_size_ratio: None,
        }
    }

    /// Things looked at.
    pub(super) fn checks(&self) -> usize {
        usize::from(self.divergence_rate.is_some())
            + usize::from(self.error_increase.is_some())
            + self.latency.len()
            + usize::from(self.body_size_ratio.is_some())
    }
}

/// How many times slower the shadow may be at one quantile.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LatencyLimit {
    /// Which time.
    pub span: Span,
    /// From 0.001 to 0.99999: 0.99 is p99.
    pub quantile: f64,
    /// Shadow over primary: 1.1 is 10 % slower.
    pub ratio: f64,
}

/// Which time of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Span {
    /// Last byte of the request to first byte of the response.
    FirstByte,
    /// First byte of the request to last byte of the response.
    Total,
}

impl Policy {
    /// The values that cannot be meant, each as `name` and what it may be; empty where all can.
    #[must_use]
    pub fn faults(&self) -> Vec<(String, &'static str)> {
        const CHANCE: &str = "above 0 and below 1";
        const SHARE: &str = "between 0 and 1";
        const RATIO: &str = "above 0";
        const QUANTILE: &str = "between 0.001 and 0.99999";
        let mut faults = Vec::new();
        let mut check = |name: &str, valid: bool, meant: &'static str| {
            if !valid {
                faults.push((name.to_owned(), meant));
            }
        };
        let chance = |value: f64| value > 0.0 && value < 1.0;
        let share = |value: f64| (0.0..=1.0).contains(&value);
        let quantile = |value: f64| (0.001..=0.99999).contains(&value);
        let ratio = |value: f64| value > 0.0 && value.is_finite();
        check("alpha", chance(self.alpha), CHANCE);
        check("beta", chance(self.beta), CHANCE);
        for (scope, limits) in [("service", &self.service), ("endpoint", &self.endpoint)] {
            let rate = limits.divergence_rate.is_none_or(share);
            check(&format!("{scope}.divergence_rate"), rate, SHARE);
            let increase = limits.error_increase.is_none_or(share);
            check(&format!("{scope}.error_increase"), increase, SHARE);
            for (at, limit) in limits.latency.iter().enumerate() {
                let name = format!("{scope}.latency[{at}].quantile");
                check(&name, quantile(limit.quantile), QUANTILE);
                check(&format!("{scope}.latency[{at}].ratio"), ratio(limit.ratio), RATIO);
            }
            let size = limits.body_size_ratio.is_none_or(ratio);
            check(&format!("{scope}.body_size_ratio"), size, RATIO);
        }
        check("loss_max", share(self.loss_max), SHARE);
        check("incomparable_max", share(self.incomparable_max), SHARE);
        check("unmirrored_max", share(self.unmirrored_max), SHARE);
        check("primary_missing_max", share(self.primary_missing_max), SHARE);
        check("shed_max", share(self.shed_max), SHARE);
        faults
    }
}

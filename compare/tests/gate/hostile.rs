//! Numbers that nobody should send.
//!
//! The strategies are boxed: nested as they are, they would not fit on a test's stack.

use compare::gate::{
    Accounts, Decision, EndpointSample, ErrorTable, Evidence, Latency, LatencyLimit, Limits,
    Policy, Sample, SizeBlock, Span, decide,
};
use hdrhistogram::Histogram;
use proptest::prelude::*;

fn count() -> BoxedStrategy<u64> {
    prop_oneof![Just(0), Just(1), 2_u64..1_000, Just(u64::MAX / 2), Just(u64::MAX), any::<u64>()]
        .boxed()
}

fn number() -> BoxedStrategy<f64> {
    let odd = [f64::NAN, f64::INFINITY, -1.0, 0.0, f64::MIN_POSITIVE, 1e-300, 1.0, f64::MAX];
    prop_oneof![prop::sample::select(odd.to_vec()), 0.0..1.0, 1.0..3.0].boxed()
}

fn times() -> BoxedStrategy<Option<Histogram<u64>>> {
    let slots = prop::collection::vec((count(), count()), 0..6);
    let high = prop_oneof![Just(2_u64), Just(3_600_000_000), Just(u64::MAX / 2)];
    prop::option::of((slots, high, 0_u8..=3).prop_map(|(slots, high, digits)| {
        let mut times = Histogram::new_with_bounds(1, high, digits).unwrap();
        for (value, count) in slots {
            times.saturating_record_n(value.min(high), count);
        }
        times
    }))
    .boxed()
}

fn latency() -> BoxedStrategy<Latency> {
    (times(), times())
        .prop_map(|(first_byte_us, total_us)| Latency { first_byte_us, total_us })
        .boxed()
}

fn sample() -> BoxedStrategy<Sample> {
    let errors = [count(), count(), count(), count()].prop_map(
        |[neither, primary_only, shadow_only, both]| ErrorTable {
            neither,
            primary_only,
            shadow_only,
            both,
        },
    );
    let size = (count(), count())
        .prop_map(|(primary_bytes, shadow_bytes)| SizeBlock { primary_bytes, shadow_bytes });
    let sizes = prop::collection::vec(size, 0..30);
    (count(), count(), count(), errors, latency(), latency(), sizes)
        .prop_map(|(compared, diverged, acknowledged, errors, primary, shadow, sizes)| Sample {
            compared,
            diverged,
            acknowledged,
            errors,
            primary,
            shadow,
            sizes,
        })
        .boxed()
}

fn evidence() -> BoxedStrategy<Evidence> {
    let counts = [count(), count(), count(), count(), count(), count(), count(), count(), count()];
    let accounts = counts.prop_map(|counts| {
        let [packets, packets_lost, primary_seen, shadow_seen, unmirrored, ..] = counts;
        let [.., primary_missing, shed, pairs, incomparable] = counts;
        Accounts {
            packets,
            packets_lost,
            primary_seen,
            shadow_seen,
            unmirrored,
            primary_missing,
            shed,
            pairs,
            incomparable,
        }
    });
    (sample(), sample(), accounts, number())
        .prop_map(|(service, one, accounts, sample_rate)| {
            let endpoints = vec![EndpointSample { endpoint: "GET /".into(), sample: one }];
            Evidence { service, endpoints, accounts, sample_rate }
        })
        .boxed()
}

fn limits() -> BoxedStrategy<Limits> {
    let latency = (number(), number(), any::<bool>()).prop_map(|(quantile, ratio, first)| {
        let span = if first { Span::FirstByte } else { Span::Total };
        LatencyLimit { span, quantile, ratio }
    });
    let latency = prop::collection::vec(latency, 0..3);
    let option = || prop::option::of(number());
    (option(), option(), latency, option())
        .prop_map(|(divergence_rate, error_increase, latency, body_size_ratio)| Limits {
            divergence_rate,
            error_increase,
            latency,
            body_size_ratio,
        })
        .boxed()
}

fn policy() -> BoxedStrategy<Policy> {
    let shares = [number(), number(), number(), number(), number()];
    (number(), number(), limits(), limits(), shares, count(), count())
        .prop_map(|(alpha, beta, service, endpoint, shares, pairs_min, endpoint_pairs_min)| {
            let [loss_max, incomparable_max, unmirrored_max, primary_missing_max, shed_max] =
                shares;
            Policy {
                alpha,
                beta,
                service,
                endpoint,
                pairs_min,
                endpoint_pairs_min,
                required_endpoints: vec!["GET /".into(), "PUT /".into()],
                loss_max,
                incomparable_max,
                unmirrored_max,
                primary_missing_max,
                shed_max,
            }
        })
        .boxed()
}

/// A policy that can be meant, so that all of the evidence is looked at.
fn sound() -> BoxedStrategy<Policy> {
    policy()
        .prop_map(|policy| {
            let share = |value: f64| if (1e-9..0.99).contains(&value) { value } else { 0.01 };
            let sound = |limits: Limits| Limits {
                divergence_rate: limits.divergence_rate.map(share),
                error_increase: limits.error_increase.map(share),
                latency: limits
                    .latency
                    .into_iter()
                    .map(|limit| LatencyLimit {
                        quantile: share(limit.quantile).max(0.001),
                        ratio: 1.0 + share(limit.ratio),
                        ..limit
                    })
                    .collect(),
                body_size_ratio: limits.body_size_ratio.map(|ratio| 1.0 + share(ratio)),
            };
            Policy {
                alpha: share(policy.alpha),
                beta: share(policy.beta),
                service: sound(policy.service),
                endpoint: sound(policy.endpoint),
                loss_max: 1.0,
                incomparable_max: 1.0,
                unmirrored_max: 1.0,
                primary_missing_max: 1.0,
                shed_max: 1.0,
                ..policy
            }
        })
        .boxed()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_number_is_too_much(policy in policy(), evidence in evidence()) {
        let ruling = decide(&policy, &evidence);
        if !policy.faults().is_empty() {
            prop_assert_eq!(ruling.decision, Decision::Inconclusive);
        }
    }

    #[test]
    fn any_evidence_gets_sentences_with_numbers(policy in sound(), evidence in evidence()) {
        prop_assert!(policy.faults().is_empty(), "{:?}", policy.faults());
        let ruling = decide(&policy, &evidence);
        // One required endpoint is never seen.
        prop_assert_ne!(ruling.decision, Decision::Pass);
        prop_assert!(ruling.reasons.is_sorted_by_key(|reason| reason.decision));
        for reason in &ruling.reasons {
            let text = reason.to_string();
            prop_assert!(!text.contains("NaN"), "{}", text);
            let numbers = reason.estimate.into_iter().chain(
                reason.interval.into_iter().chain(reason.plain).flat_map(|i| [i.low, i.high]),
            );
            prop_assert!(numbers.into_iter().all(|number| !number.is_nan()), "{:?}", reason);
        }
    }
}

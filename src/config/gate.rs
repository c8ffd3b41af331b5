//! `[gate]`: what may differ before the answer is no.
//!
//! Owns the keys and what each may be. What they mean is said in [`compare::gate::Policy`], and what
//! the answer promises in [`compare::gate`].

use std::fmt::{self, Write};

use compare::gate::{LatencyLimit, Limits, Policy, Span};

use super::section::{Number, Section};

const CHANCE: Number = Number { valid: |x| x > 0.0 && x < 1.0, meant: "above 0 and below 1" };
const SHARE: Number = Number { valid: |x| (0.0..=1.0).contains(&x), meant: "between 0 and 1" };
const RATIO: Number = Number { valid: |x| x > 0.0 && x.is_finite(), meant: "above 0" };
const QUANTILE: Number =
    Number { valid: |x| (0.001..=0.99999).contains(&x), meant: "between 0.001 and 0.99999" };

const PAIRS: std::ops::RangeInclusive<u64> = 0..=1_000_000_000_000;

/// Reads the section.
pub(super) fn read(mut section: Section<'_, '_>) -> Policy {
    let mut policy = Policy::default();
    for (key, number, value) in [
        ("alpha", CHANCE, &mut policy.alpha),
        ("beta", CHANCE, &mut policy.beta),
        ("loss_max", SHARE, &mut policy.loss_max),
        ("incomparable_max", SHARE, &mut policy.incomparable_max),
        ("unmirrored_max", SHARE, &mut policy.unmirrored_max),
        ("primary_missing_max", SHARE, &mut policy.primary_missing_max),
        ("shed_max", SHARE, &mut policy.shed_max),
    ] {
        *value = section.number(key, number).unwrap_or(*value);
    }
    policy.pairs_min = section.integer("pairs_min", PAIRS, policy.pairs_min);
    policy.endpoint_pairs_min =
        section.integer("endpoint_pairs_min", PAIRS, policy.endpoint_pairs_min);
    let required = section.strings("required_endpoints").unwrap_or_default();
    policy.required_endpoints =
        required.into_iter().map(|endpoint| endpoint.into_inner().into()).collect();
    read_limits(section.table("service", "[gate.service]"), &mut policy.service);
    read_limits(section.table("endpoint", "[gate.endpoint]"), &mut policy.endpoint);
    section.finish();
    policy
}

fn read_limits(mut section: Section<'_, '_>, limits: &mut Limits) {
    for (key, number, value) in [
        ("divergence_rate", SHARE, &mut limits.divergence_rate),
        ("error_increase", SHARE, &mut limits.error_increase),
        ("body_size_ratio", RATIO, &mut limits.body_size_ratio),
    ] {
        *value = section.number_or_off(key, number).unwrap_or(*value);
    }
    if section.is_off("latency") {
        limits.latency.clear();
    } else if section.has("latency") {
        let tables = section.tables("latency", "latency = [{ quantile = 0.99, ratio = 1.1 }]");
        limits.latency = tables.into_iter().filter_map(read_latency).collect();
    }
    section.finish();
}

fn read_latency(mut section: Section<'_, '_>) -> Option<LatencyLimit> {
    let span = match section.string("span") {
        None => Some(Span::Total),
        Some(written) => {
            let found = span(written.get_ref());
            if found.is_none() {
                let why = format!("span = '{}': write total or first_byte", written.get_ref());
                section.note(&written.span(), why);
            }
            found
        }
    };
    let mut needed = |key| {
        if !section.has(key) {
            let at = section.span();
            section.note(&at, format!("a latency limit needs its {key}"));
        }
        section.number(key, if key == "ratio" { RATIO } else { QUANTILE })
    };
    let (quantile, ratio) = (needed("quantile"), needed("ratio"));
    section.finish();
    Some(LatencyLimit { span: span?, quantile: quantile?, ratio: ratio? })
}

/// Reads the name of a time.
pub(crate) fn span(name: &str) -> Option<Span> {
    [Span::Total, Span::FirstByte].into_iter().find(|&span| span_name(span) == name)
}

fn span_name(span: Span) -> &'static str {
    match span {
        Span::FirstByte => "first_byte",
        Span::Total => "total",
    }
}

/// Writes all of it.
pub(super) fn write(out: &mut String, policy: &Policy) -> fmt::Result {
    let Policy { alpha, beta, pairs_min, endpoint_pairs_min, required_endpoints, .. } = policy;
    let Policy { loss_max, incomparable_max, unmirrored_max, primary_missing_max, .. } = policy;
    writeln!(out, "\n[gate]\nalpha = {alpha:?}\nbeta = {beta:?}")?;
    writeln!(out, "pairs_min = {pairs_min}\nendpoint_pairs_min = {endpoint_pairs_min}")?;
    let required: Vec<String> = required_endpoints.iter().map(ToString::to_string).collect();
    writeln!(out, "required_endpoints = {}", super::list(&required))?;
    writeln!(out, "loss_max = {loss_max:?}\nincomparable_max = {incomparable_max:?}")?;
    writeln!(out, "unmirrored_max = {unmirrored_max:?}")?;
    writeln!(out, "primary_missing_max = {primary_missing_max:?}")?;
    writeln!(out, "shed_max = {:?}", policy.shed_max)?;
    for (name, limits) in [("service", &policy.service), ("endpoint", &policy.endpoint)] {
        writeln!(out, "\n[gate.{name}]")?;
        write_limits(out, limits)?;
    }
    Ok(())
}

fn write_limits(out: &mut String, limits: &Limits) -> fmt::Result {
    for (key, value) in [
        ("divergence_rate", limits.divergence_rate),
        ("error_increase", limits.error_increase),
        ("body_size_ratio", limits.body_size_ratio),
    ] {
        match value {
            Some(value) => writeln!(out, "{key} = {value:?}")?,
            None => writeln!(out, "{key} = false")?,
        }
    }
    let latency: Vec<String> = limits
        .latency
        .iter()
        .map(|LatencyLimit { span, quantile, ratio }| {
            let span = span_name(*span);
            format!("{{ span = \"{span}\", quantile = {quantile:?}, ratio = {ratio:?} }}")
        })
        .collect();
    writeln!(out, "latency = [{}]", latency.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    const SERVICE: &str = "[[service]]\nname = \"s\"\nprimary = [\":1\"]\nshadow = [\":2\"]\n";

    fn gate(text: &str) -> Result<Policy, String> {
        Config::parse("c.toml", &format!("{text}\n{SERVICE}"))
            .map(|config| config.gate)
            .map_err(|faults| faults.to_string())
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        assert_eq!(gate("").unwrap(), Policy::default());
        assert_eq!(gate("[gate]\nalpha = 0.01").unwrap().alpha, 0.01);
    }

    #[test]
    fn every_key_is_read_and_false_is_off() {
        let policy = gate(
            "[gate]\npairs_min = 7\nrequired_endpoints = [\"GET /\"]\nshed_max = 1\n\
             [gate.service]\ndivergence_rate = false\nbody_size_ratio = 2\nlatency = false\n\
             [gate.endpoint]\nerror_increase = 0.5\n\
             latency = [{ quantile = 0.9, ratio = 1.5 }, \
             { span = \"first_byte\", quantile = 0.5, ratio = 2 }]",
        )
        .unwrap();
        assert_eq!((policy.pairs_min, policy.shed_max), (7, 1.0));
        assert_eq!(&*policy.required_endpoints[0], "GET /");
        assert_eq!(
            (policy.service.divergence_rate, policy.service.body_size_ratio),
            (None, Some(2.0))
        );
        assert_eq!(policy.service.error_increase, Limits::service().error_increase);
        assert!(policy.service.latency.is_empty());
        assert_eq!(policy.endpoint.error_increase, Some(0.5));
        let limits: Vec<_> =
            policy.endpoint.latency.iter().map(|l| (l.span, l.quantile, l.ratio)).collect();
        assert_eq!(limits, [(Span::Total, 0.9, 1.5), (Span::FirstByte, 0.5, 2.0)]);
        assert!(policy.faults().is_empty());
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_its_line() {
        for (text, expected) in [
            ("[gate]\nalpha = 1", "c.toml:2: 'alpha' must be above 0 and below 1, not 1"),
            ("[gate]\nbeta = \"x\"", "c.toml:2: 'beta' must be a number above 0 and below 1"),
            ("[gate.service]\nerror_increase = -1", "c.toml:2: 'error_increase' must be between 0"),
            (
                "[gate.endpoint]\ndivergence_rate = true",
                "c.toml:2: 'divergence_rate' must be a number",
            ),
            (
                "[gate.service]\nlatency = [{ ratio = 1.1 }]",
                "c.toml:2: a latency limit needs its quantile",
            ),
            (
                "[gate.service]\nlatency = [{ span = \"all\", quantile = 0.5, ratio = 1 }]",
                "c.toml:2: span = 'all': write total or first_byte",
            ),
            (
                "[gate.service]\nlatency = [{ quantile = 1.0, ratio = 1 }]",
                "'quantile' must be between",
            ),
            (
                "[gate]\nalhpa = 0.1",
                "c.toml:2: unknown key 'alhpa' in [gate]; did you mean 'alpha'?",
            ),
        ] {
            let said = gate(text).unwrap_err();
            assert!(said.contains(expected), "{text}:\n{said}");
        }
    }

    #[test]
    fn what_is_in_effect_reads_back_as_the_same() {
        let policy = gate("[gate]\nbeta = 1e-7\n[gate.service]\ndivergence_rate = false").unwrap();
        let mut out = String::new();
        write(&mut out, &policy).unwrap();
        assert_eq!(gate(&out).unwrap(), policy);
    }
}

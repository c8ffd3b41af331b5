//! `tapdiff rules suggest`: rules for what looks like noise, each with what speaks for it.

use std::collections::{BTreeMap, HashMap, HashSet};

use compare::{
    Change, Fate, Kind, NoiseCause, Place, ServicePolicy, SignatureId, Suggester, Suggestion, Trial,
};
use store::ServiceReport;

use super::{History, show};
use crate::answers::{Example, Suggested, SuggestedPlace, SuggestedRule, Suggestions};
use crate::cli::{Format, SuggestArgs};
use crate::config::rule_text;
use crate::failure::Failure;
use crate::{output, render};

/// Version of the answer's shape.
const SCHEMA: u32 = 1;

/// Prints the rules that it proposes.
pub(super) fn suggest(args: &SuggestArgs) -> Result<(), Failure> {
    let history = History::open(&args.history)?;
    let mut services = Vec::new();
    for service in &history.report.services {
        services.push(of_service(&history, service, args.min_share)?);
    }
    let (from, to) = (history.report.from.clone(), history.report.to.clone());
    let suggestions = Suggestions { schema: SCHEMA, from, to, services };
    match args.output.format {
        Format::Json => output::print_json(&suggestions),
        Format::Text => output::print(&render::rules::suggestions(&suggestions)),
    }
}

fn of_service(
    history: &History,
    service: &ServiceReport,
    min_share: f64,
) -> Result<Suggested, Failure> {
    let noise = history.noise(&service.service)?;
    let mut suggester = Suggester::default();
    history.pairs(&service.service, &mut |pair| {
        for (&signature, of) in pair.signatures.iter().zip(&pair.divergences) {
            suggester.push(signature, of, pair.messages());
        }
    })?;
    let mut found = suggester.finish(places(service, &noise), min_share);
    // One that explains nothing beside the others is left out, and what is left is counted again.
    let counts = loop {
        let counts = counted(history, service, &noise, &found)?;
        let before = found.len();
        let mut used = counts.iter().map(|count| count.differences > 0);
        found.retain(|_| used.next().unwrap_or(false));
        if found.len() == before {
            break counts;
        }
    };
    let compared: HashMap<&str, u64> =
        service.endpoints.iter().map(|of| (of.endpoint.as_str(), of.compared)).collect();
    let rules = found.iter().zip(counts);
    Ok(Suggested {
        service: service.service.clone(),
        compared: service.pairs.compared,
        diverged: service.pairs.diverged,
        rules: rules.map(|(one, count)| suggested_rule(one, count, &compared)).collect(),
    })
}

/// The signatures of a service, as the report has them.
fn places(service: &ServiceReport, noise: &HashMap<SignatureId, NoiseCause>) -> Vec<Place> {
    let compared = |endpoint: &str| {
        let found = service.endpoints.iter().find(|of| of.endpoint == endpoint);
        found.map_or(0, |of| of.compared)
    };
    let place = |of: &store::SignatureReport| {
        let signature = show::signature_id(&of.id)?;
        Some(Place {
            signature,
            endpoint: of.endpoint.clone(),
            kind: Kind::ALL.into_iter().find(|kind| kind.as_str() == of.kind)?,
            pattern: of.path.clone(),
            change: Change::ALL.into_iter().find(|change| change.as_str() == of.change)?,
            pairs: of.pairs,
            of: compared(&of.endpoint),
            learned: noise.get(&signature).copied(),
        })
    };
    service.signatures.iter().filter_map(place).collect()
}

/// What one rule explains, beside the others.
#[derive(Clone, Default)]
struct Counted {
    differences: u64,
    pairs: u64,
    undecided: u64,
    /// Pairs by endpoint.
    endpoints: BTreeMap<String, u64>,
}

/// Tries the rules on what is stored, as `tapdiff rules try` does: so both say the same.
fn counted(
    history: &History,
    service: &ServiceReport,
    noise: &HashMap<SignatureId, NoiseCause>,
    found: &[Suggestion],
) -> Result<Vec<Counted>, Failure> {
    let mut policy = ServicePolicy::new(&service.service);
    policy.rules = found.iter().map(|one| one.rule.clone()).collect();
    let mut trial = Trial::new(policy, noise.keys().copied().collect());
    let mut counts = vec![Counted::default(); found.len()];
    let rule_of: HashMap<SignatureId, usize> = found
        .iter()
        .enumerate()
        .flat_map(|(rule, one)| one.places.iter().map(move |place| (place.signature, rule)))
        .collect();
    history.pairs(&service.service, &mut |pair| {
        let mut in_this_pair = HashSet::new();
        for (signature, fate) in pair.signatures.iter().zip(pair.tried(&mut trial).fates) {
            match fate {
                Fate::Explained(rule) => {
                    counts[rule].differences += 1;
                    in_this_pair.insert(rule);
                }
                Fate::Undecided(_) => {
                    if let Some(&rule) = rule_of.get(signature) {
                        counts[rule].undecided += 1;
                    }
                }
                Fate::Left => {}
            }
        }
        for rule in in_this_pair {
            counts[rule].pairs += 1;
            *counts[rule].endpoints.entry(pair.detail.endpoint.clone()).or_default() += 1;
        }
    })?;
    Ok(counts)
}

fn suggested_rule(
    one: &Suggestion,
    count: Counted,
    compared: &HashMap<&str, u64>,
) -> SuggestedRule {
    let mut learned: Vec<&'static str> =
        one.places.iter().filter_map(|place| Some(place.learned?.as_str())).collect();
    learned.sort_unstable();
    learned.dedup();
    let of = |endpoint: &str| compared.get(endpoint).copied().unwrap_or(0);
    SuggestedRule {
        name: one.rule.name.to_string(),
        toml: rule_text(&one.rule),
        why: one.why.as_str(),
        because: one.why.to_string(),
        learned,
        differences: count.differences,
        pairs: count.pairs,
        undecided: count.undecided,
        endpoints: count
            .endpoints
            .into_iter()
            .map(|(endpoint, pairs)| {
                let of = of(&endpoint);
                (endpoint, [pairs, of])
            })
            .collect(),
        places: one
            .places
            .iter()
            .map(|place| SuggestedPlace {
                signature: place.signature.to_string(),
                endpoint: place.endpoint.clone(),
                kind: place.kind.as_str(),
                path: place.pattern.clone(),
            })
            .collect(),
        examples: one
            .examples
            .iter()
            .map(|(primary, shadow)| Example { primary: primary.clone(), shadow: shadow.clone() })
            .collect(),
    }
}

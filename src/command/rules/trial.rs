//! `tapdiff rules try`: what a file of rules would have made of the pairs that are stored.

use std::collections::{BTreeMap, BTreeSet};

use compare::{Fate, SignatureId, Trial, Undecided};
use store::ServiceReport;
use tracing::warn;

use super::{History, StoredPair, distinct};
use crate::answers::{Count, RuleCount, ServiceTrial, SignatureCount, TrialReport, UndecidedCount};
use crate::cli::{Format, TryArgs};
use crate::config::RuleFile;
use crate::failure::Failure;
use crate::{output, render};

/// Version of the answer's shape.
const SCHEMA: u32 = 1;

/// What holds of every such answer.
const NOTES: [&str; 3] = [
    "differences that rules of then explained, or that were noise, are not stored one by one: rules \
     can be added or changed here, not taken away",
    "pairs whose messages are not kept are judged by the values that are stored of each difference, \
     cut at 1 KiB and redacted",
    "exact, with the captures at hand: tapdiff analyze --config FILE CAPTURE...",
];

/// Prints what the rules in a file would have done.
pub(super) fn try_rules(args: &TryArgs) -> Result<(), Failure> {
    let file = RuleFile::load(&args.file).map_err(Failure::usage)?;
    file.warnings.iter().for_each(|warning| warn!("{warning}"));
    let history = History::open(&args.history)?;
    let stored: Vec<&str> = history.report.services.iter().map(|s| s.service.as_str()).collect();
    let path = args.file.display();
    let listed = if stored.is_empty() { "nothing at all".to_owned() } else { stored.join(", ") };
    match file.names() {
        None if stored.len() > 1 => {
            return Err(Failure::usage(format!(
                "{path}: its rules name no service, and several are stored: {listed}; choose with \
                 --service"
            )));
        }
        Some(names) if !stored.is_empty() && !names.iter().any(|name| stored.contains(name)) => {
            return Err(Failure::usage(format!(
                "{path}: no service of it is stored in this time: it has {}, and there is {listed}",
                names.join(", ")
            )));
        }
        _ => {}
    }
    let mut services = Vec::new();
    for service in &history.report.services {
        let Some(policy) = file.policy(&service.service) else { continue };
        let noise = history.noise(&service.service)?.into_keys().collect();
        let mut tally = Tally::new(Trial::new(policy, noise));
        history.pairs(&service.service, &mut |pair| tally.take(pair))?;
        services.push(tally.finish(service));
    }
    let report = TrialReport {
        schema: SCHEMA,
        from: history.report.from.clone(),
        to: history.report.to.clone(),
        services,
        notes: NOTES.map(str::to_owned).to_vec(),
    };
    match args.output.format {
        Format::Json => output::print_json(&report),
        Format::Text => output::print(&render::rules::trial(&report)),
    }
}

/// Counts what becomes of pairs.
struct Tally {
    trial: Trial,
    pairs: Count,
    differences: Count,
    rules: Vec<RuleCount>,
    signatures: BTreeMap<SignatureId, SignatureCount>,
    undecided: BTreeMap<Undecided, UndecidedCount>,
    endpoints: BTreeMap<String, Shown>,
}

/// What an endpoint shows.
#[derive(Default)]
struct Shown {
    differences: u64,
    signatures: BTreeSet<SignatureId>,
    /// Explained, by rule.
    by_rule: BTreeMap<usize, u64>,
}

impl Tally {
    fn new(trial: Trial) -> Self {
        let rules = trial
            .rules()
            .iter()
            .map(|rule| RuleCount { rule: rule.name.to_string(), ..RuleCount::default() });
        let rules = rules.collect();
        Self {
            trial,
            pairs: Count::default(),
            differences: Count::default(),
            rules,
            signatures: BTreeMap::new(),
            undecided: BTreeMap::new(),
            endpoints: BTreeMap::new(),
        }
    }

    fn take(&mut self, pair: &StoredPair<'_>) {
        let tried = pair.tried(&mut self.trial);
        let endpoint = &pair.detail.endpoint;
        let shown = self.endpoints.entry(endpoint.clone()).or_default();
        shown.signatures.extend(distinct(&pair.signatures));
        let (mut by_rule, mut reasons) = (BTreeSet::new(), BTreeSet::new());
        let mut is_left = !tried.new.is_empty();
        for (&signature, fate) in pair.signatures.iter().zip(&tried.fates) {
            let count = &mut self.signatures.entry(signature).or_default().differences;
            let both = [count, &mut self.differences];
            shown.differences += 1;
            for count in both {
                count.before += 1;
                match fate {
                    Fate::Left => count.after += 1,
                    Fate::Undecided(_) => count.undecided += 1,
                    Fate::Explained(_) => {}
                }
            }
            match *fate {
                Fate::Left => is_left = true,
                Fate::Explained(rule) => {
                    self.rules[rule].differences += 1;
                    *shown.by_rule.entry(rule).or_default() += 1;
                    by_rule.insert(rule);
                }
                Fate::Undecided(reason) => {
                    let count = self.undecided.entry(reason).or_insert_with(|| UndecidedCount {
                        reason: reason.as_str(),
                        differences: 0,
                        pairs: 0,
                        example: pair.detail.id.clone(),
                    });
                    count.differences += 1;
                    count.pairs += u64::from(reasons.insert(reason));
                }
            }
        }
        for rule in by_rule {
            self.rules[rule].pairs += 1;
            self.rules[rule].endpoints.insert(endpoint.clone());
        }
        for found in &tried.new {
            let count = self.signatures.entry(found.signature).or_default();
            if count.endpoint.is_empty() {
                count.endpoint.clone_from(endpoint);
                count.kind = found.kind.as_str().to_owned();
                count.path = found.pattern.to_string();
                count.change = found.change.as_str().to_owned();
            }
            for count in [&mut count.differences, &mut self.differences] {
                count.after += 1;
                count.new += 1;
            }
        }
        self.pairs.before += 1;
        self.pairs.after += u64::from(is_left);
        let is_old = tried.fates.contains(&Fate::Left);
        self.pairs.new += u64::from(is_left && !is_old);
        self.pairs.undecided += u64::from(!is_left && !reasons.is_empty());
    }

    fn finish(mut self, service: &ServiceReport) -> ServiceTrial {
        for (endpoint, shown) in &self.endpoints {
            let all = shown.by_rule.iter().find(|(_, count)| **count == shown.differences);
            if let Some((&rule, _)) = all.filter(|_| shown.signatures.len() > 1) {
                self.rules[rule].silences.insert(endpoint.clone());
            }
        }
        for rule in &mut self.rules {
            rule.matches_nothing = rule.differences == 0;
        }
        for known in &service.signatures {
            let id = super::show::signature_id(&known.id);
            if let Some(count) = id.and_then(|id| self.signatures.get_mut(&id)) {
                count.endpoint.clone_from(&known.endpoint);
                count.kind.clone_from(&known.kind);
                count.path.clone_from(&known.path);
                count.change.clone_from(&known.change);
            }
        }
        let mut all: Vec<SignatureCount> = self
            .signatures
            .into_iter()
            .map(|(id, count)| SignatureCount { id: id.to_string(), ..count })
            .collect();
        all.sort_by_key(|of| std::cmp::Reverse(of.differences.before.max(of.differences.after)));
        let is_left = |of: &SignatureCount| of.differences.after + of.differences.undecided > 0;
        let (remaining, vanished) = all.into_iter().partition(is_left);
        ServiceTrial {
            service: service.service.clone(),
            compared: service.pairs.compared,
            pairs: self.pairs,
            differences: self.differences,
            rules: self.rules,
            remaining,
            vanished,
            undecided: self.undecided.into_values().collect(),
        }
    }
}

//! `tapdiff rules`: what is noise, and what a rule against it would do.
//!
//! Both commands read the store and change nothing.

mod suggest;
mod trial;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use capture::Exchange;
use compare::{JudgedPair, NoiseCause, SignatureId, StoredDivergence, Trial, Tried};
use store::{PairDetail, Query, Report, SqliteStore, Store};

use super::{show, window};
use crate::cli::{HistoryArgs, RulesArgs, RulesCommand};
use crate::failure::Failure;

/// Proposes rules, or tries some.
pub(crate) fn rules(args: &RulesArgs) -> Result<(), Failure> {
    match &args.command {
        RulesCommand::Suggest(args) => suggest::suggest(args),
        RulesCommand::Try(args) => trial::try_rules(args),
    }
}

/// What is stored, as far as it is asked about.
struct History {
    store: SqliteStore,
    query: Query,
    report: Report,
}

impl History {
    fn open(args: &HistoryArgs) -> Result<Self, Failure> {
        let query = Query {
            service: args.service.clone(),
            release: args.release.clone(),
            ..window::query(&args.window)?
        };
        let store = SqliteStore::open_read_only(&args.store.store)?;
        let report = store.report(&query)?;
        let history = Self { store, query, report };
        if let Some(name) = args.service.as_deref()
            && history.report.services.is_empty()
        {
            let all = history.store.report(&Query { service: None, ..history.query.clone() })?;
            let known: Vec<&str> = all.services.iter().map(|s| s.service.as_str()).collect();
            return Err(Failure::no(format!(
                "--service: nothing of '{name}' was stored in this time; there is {}",
                if known.is_empty() { "nothing at all".to_owned() } else { known.join(", ") }
            )));
        }
        let services = &history.report.services;
        if args.release.is_some() && services.iter().all(|service| service.releases.is_empty()) {
            let all = history.store.report(&Query { release: None, ..history.query.clone() })?;
            let known = all.services.iter().flat_map(|s| &s.releases).map(|r| r.names.to_string());
            let known: Vec<String> = known.collect();
            return Err(Failure::no(format!(
                "--release: nothing of it was stored in this time; there is {}",
                if known.is_empty() { "nothing at all".to_owned() } else { known.join(", ") }
            )));
        }
        Ok(history)
    }

    /// The signatures of a service that are known as noise.
    fn noise(&self, service: &str) -> Result<HashMap<SignatureId, NoiseCause>, Failure> {
        let news = self.store.noise(&[Arc::from(service)])?;
        Ok(news.into_iter().filter_map(|news| Some((news.signature, news.cause?))).collect())
    }

    /// Gives `each` the pairs of a service that diverged.
    fn pairs(&self, service: &str, each: &mut dyn FnMut(&StoredPair<'_>)) -> Result<(), Failure> {
        let query = Query { service: Some(service.to_owned()), ..self.query.clone() };
        self.store.diverged(&query, &mut |detail| {
            if let Some(pair) = StoredPair::new(&detail) {
                each(&pair);
            }
        })?;
        Ok(())
    }
}

/// A pair as the store has it, read.
struct StoredPair<'d> {
    detail: &'d PairDetail,
    start: capture::Timestamp,
    signatures: Vec<SignatureId>,
    divergences: Vec<StoredDivergence<'d>>,
    messages: Option<(Exchange, Exchange)>,
}

impl<'d> StoredPair<'d> {
    /// `None` where it is not as any version stores it.
    fn new(detail: &'d PairDetail) -> Option<Self> {
        let all = detail.divergences.iter();
        Some(Self {
            detail,
            start: detail.began()?,
            signatures: all
                .clone()
                .map(|d| show::signature_id(&d.signature))
                .collect::<Option<_>>()?,
            divergences: all.map(|divergence| divergence.stored()).collect::<Option<_>>()?,
            messages: detail.messages(),
        })
    }

    fn messages(&self) -> Option<(&Exchange, &Exchange)> {
        self.messages.as_ref().map(|(primary, shadow)| (primary, shadow))
    }

    /// What the rules on trial make of it.
    fn tried(&self, trial: &mut Trial) -> Tried {
        trial.judge(&JudgedPair {
            endpoint: &self.detail.endpoint,
            start: self.start,
            divergences: &self.divergences,
            messages: self.messages(),
        })
    }
}

/// Each once.
fn distinct(signatures: &[SignatureId]) -> HashSet<SignatureId> {
    signatures.iter().copied().collect()
}

//! The judge, and what becomes of its verdicts: batches for the recorder.

use std::sync::Arc;
use std::time::SystemTime;

use capture::{Exchange, Timestamp};
use compare::{Judge, Judged, Policy, ShedNotice};
use store::{
    AgentCounters, Batcher, Limits, MirrorShare, RedactionKey, Redactor, RuleSetting, Run,
    SecretNames, Settings, Store,
};

use super::outlet::Seen;
use super::recorder::{Patience, Recorder};
use crate::config::Config;
use crate::failure::Failure;

/// Pairs in a batch, at most: beyond it a transaction gains nothing.
const BATCH_PAIRS: usize = 16_384;

/// Bytes of a batch, about, at most.
const BATCH_BYTES: usize = 8 << 20;

/// Exchanges in, rows out.
pub(crate) struct Verdicts {
    judge: Judge,
    batcher: Batcher,
    recorder: Recorder,
}

impl Verdicts {
    /// Goes on with what the store knows of noise and of paths.
    pub(crate) fn new(
        config: &Config,
        policy: Arc<Policy>,
        store: Box<dyn Store + Send>,
        patience: Patience,
    ) -> Result<Self, Failure> {
        let key = RedactionKey::random()
            .map_err(|why| Failure::environment(format!("no random redaction key: {why}")))?;
        let names = SecretNames {
            headers: config.redact_headers.clone(),
            members: config.redact_members.clone(),
            ..SecretNames::default()
        };
        let batcher = Batcher::new(this_run(config), Redactor::new(key, &names), Limits::default());
        let names: Vec<_> = policy.services.iter().map(|service| service.name.clone()).collect();
        let mut judge = Judge::new(policy).learned(store.noise(&names)?);
        for template in store.templates(&names)? {
            judge.know(&template);
        }
        Ok(Self { judge, batcher, recorder: Recorder::start(store, patience)? })
    }

    /// Takes one exchange.
    pub(crate) fn push(&mut self, exchange: Box<Exchange>) -> Result<(), Failure> {
        self.judge.push(exchange);
        self.collect()
    }

    /// Takes word of an exchange that was shed.
    pub(crate) fn push_shed(&mut self, notice: ShedNotice) {
        self.judge.push_shed(notice);
    }

    /// Lets time pass.
    pub(crate) fn expire(&mut self, now: Timestamp) -> Result<(), Failure> {
        self.judge.expire(now);
        self.collect()
    }

    /// Hands everything judged so far to the recorder, with what the sources have seen.
    pub(crate) fn record(&mut self, seen: &[Seen]) -> Result<(), Failure> {
        self.batcher.add_rollups(self.judge.take_rollups());
        self.batcher.set_agent(agent(seen));
        self.recorder.record(self.batcher.take())
    }

    /// Settles what waits, records it, and gives the store back.
    pub(crate) fn finish(mut self, seen: &[Seen]) -> Result<Box<dyn Store + Send>, Failure> {
        self.judge.finish();
        self.collect()?;
        // A recorder that has stopped tells its own reason.
        let recorded = self.record(seen);
        let store = self.recorder.finish()?;
        recorded.map(|()| store)
    }

    fn collect(&mut self) -> Result<(), Failure> {
        while let Some(judged) = self.judge.poll() {
            match judged {
                Judged::Pair(comparison) => self.batcher.add(&comparison),
                Judged::Noise(news) => self.batcher.add_noise(&news),
                Judged::Template(template) => self.batcher.add_template(&template),
                // It is in the accounts already, through the rollups.
                Judged::Unpaired(_) => continue,
            }
            let batch = self.batcher.batch();
            if batch.pairs() >= BATCH_PAIRS || batch.held_bytes() >= BATCH_BYTES {
                self.batcher.add_rollups(self.judge.take_rollups());
                self.recorder.record(self.batcher.take())?;
            }
        }
        Ok(())
    }
}

/// What this process calls itself in the store.
fn this_run(config: &Config) -> Run {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    Run {
        started: Timestamp::ZERO + since,
        host: host.trim().to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        config_digest: config.digest(),
        services: config.services.iter().map(|service| Arc::clone(&service.name)).collect(),
        settings: settings(config),
    }
}

/// What of the configuration reports speak of.
fn settings(config: &Config) -> Settings {
    let mut settings = Settings::default();
    for service in &config.services {
        let name = || service.name.to_string();
        settings.rules.extend(service.rules.iter().map(|rule| RuleSetting {
            service: name(),
            rule: rule.name.to_string(),
            endpoint: rule.endpoint.as_ref().map(ToString::to_string),
            action: rule.action().as_str().to_owned(),
            scope: rule.scope().to_string(),
            until: rule.until.map(crate::render::ack::time),
        }));
        settings.mirror_shares.extend(service.mirror_shares.iter().map(|share| MirrorShare {
            service: name(),
            endpoint: share.endpoint.clone(),
            share: share.share,
        }));
    }
    settings
}

/// The sum over sources.
fn agent(seen: &[Seen]) -> AgentCounters {
    let mut sum = AgentCounters::default();
    for source in seen {
        sum.add(&AgentCounters::new(&source.tap, source.kernel_drops, source.interface_drops));
    }
    sum
}

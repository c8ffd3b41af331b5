//! What is written at once: comparisons reduced to rows, redacted, before anything waits.
//!
//! [`Batcher`] is fed by the pipeline. A comparison becomes a row at once, so that its bodies are
//! free again: a matched pair is some forty bytes in a [`Block`], a diverged one is a row with its
//! divergences, and a fair sample of each signature's pairs keeps both messages.
//! [`Batcher::take`] hands over what has gathered as a [`Batch`], which a store writes whole or not
//! at all.
//!
//! Invariant: no text gets into a batch that has not been through the [`Redactor`].

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use capture::{Exchange, ServiceId, Timestamp};
use compare::{
    Change, Comparison, Divergence, EndpointRollup, Kind, LearnedTemplate, NoiseCause, NoiseNews,
    PairId, Releases, Rollup, SignatureId, Verdict,
};

use crate::block::{Block, Key, LegRow, MatchedPair};
use crate::message::ExchangeText;
use crate::redact::{Redactor, beginning};
use crate::sample::Samples;
use crate::{AgentCounters, Limits, Run};

/// Bytes of a divergence's value: compare cuts there.
const VALUE_BYTES: usize = 1_024;

/// Bytes of a pair key that are kept.
const KEY_BYTES: usize = 256;

/// Bytes of what was learned of noise that are kept for one signature. More is forgotten whole: the
/// signature stays noise, and a restart learns anew what its values look like.
const NOISE_MEMORY_BYTES: usize = 8 << 10;

/// Width of a rollup.
pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// Gathers rows until they are taken as a [`Batch`].
#[derive(Debug)]
pub struct Batcher {
    redactor: Redactor,
    limits: Limits,
    run: Arc<Run>,
    /// The signatures of this run; bounded by `Limits::signatures`.
    signatures: HashSet<SignatureId>,
    samples: Samples,
    left_out: LeftOut,
    batch: Batch,
}

/// What one run left out to keep within [`Limits`], since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Diverged pairs that would have been examples but are kept without their messages.
    pub examples: u64,
    /// Differences that lost their own signature.
    pub signatures_folded: u64,
}

/// Rows to be written together.
#[derive(Clone, Debug)]
pub struct Batch {
    pub(crate) run: Arc<Run>,
    pub(crate) agent: Option<AgentCounters>,
    pub(crate) left_out: LeftOut,
    pub(crate) examples_per_signature: u32,
    /// Earliest and latest moment that it tells of.
    pub(crate) span: Option<(Timestamp, Timestamp)>,
    pub(crate) slices: Slices,
    pub(crate) matched: Vec<Block>,
    pub(crate) judged: Vec<JudgedPair>,
    pub(crate) signatures: BTreeMap<SignatureId, SignatureRow>,
    pub(crate) rollups: Vec<RollupRow>,
    pub(crate) noise: BTreeMap<SignatureId, NoiseRow>,
    pub(crate) templates: Vec<LearnedTemplate>,
    text_bytes: usize,
}

/// The slices of a batch, each an endpoint as one pair of releases answers it: rows name them by
/// index.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slices {
    /// By index.
    pub(crate) names: Vec<SliceName>,
    /// Names as compare has them, by service.
    index: HashMap<ServiceId, HashMap<Arc<str>, ByReleases>>,
    /// What was asked for last: pairs of one slice often come in rows, under one name.
    last: Option<(ServiceId, Arc<str>, Arc<Releases>, u32)>,
}

/// Indices of one endpoint's slices.
type ByReleases = Vec<(Arc<Releases>, u32)>;

/// A slice, redacted.
#[derive(Clone, Debug)]
pub(crate) struct SliceName {
    pub(crate) service: ServiceId,
    pub(crate) endpoint: Arc<str>,
    pub(crate) primary_release: String,
    pub(crate) shadow_release: String,
}

/// A pair that did not match.
#[derive(Clone, Debug)]
pub(crate) struct JudgedPair {
    pub(crate) id: PairId,
    pub(crate) slice: u32,
    pub(crate) start: Timestamp,
    pub(crate) key: String,
    pub(crate) verdict: Verdict,
    pub(crate) primary: LegRow,
    pub(crate) shadow: LegRow,
    pub(crate) divergences: Vec<DivergenceRow>,
    /// Both legs as JSON of [`ExchangeText`].
    pub(crate) example: Option<(String, String)>,
}

#[derive(Clone, Debug)]
pub(crate) struct DivergenceRow {
    pub(crate) signature: SignatureId,
    pub(crate) path: String,
    pub(crate) primary: Option<String>,
    pub(crate) shadow: Option<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct SignatureRow {
    /// One of its endpoint.
    pub(crate) slice: u32,
    pub(crate) kind: Kind,
    pub(crate) pattern: String,
    pub(crate) change: Change,
    /// By start of the minute, and slice.
    pub(crate) minutes: BTreeMap<(Timestamp, u32), Seen>,
}

/// How often a signature was seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// Divergences.
    pub(crate) count: u64,
    /// Pairs that had at least one.
    pub(crate) pairs: u64,
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
}

#[derive(Clone, Debug)]
pub(crate) struct RollupRow {
    pub(crate) minute: Timestamp,
    pub(crate) slice: u32,
    pub(crate) counts: EndpointRollup,
}

/// What is known of one signature as noise.
#[derive(Clone, Debug)]
pub(crate) struct NoiseRow {
    pub(crate) service: ServiceId,
    pub(crate) endpoint: String,
    pub(crate) kind: Kind,
    pub(crate) pattern: String,
    pub(crate) change: Change,
    pub(crate) cause: Option<NoiseCause>,
    pub(crate) at: Timestamp,
    pub(crate) memory: Box<str>,
}

impl Batcher {
    /// A batcher for `run`.
    #[must_use]
    pub fn new(run: Run, redactor: Redactor, limits: Limits) -> Self {
        let run = Arc::new(run);
        let batch = Batch::new(Arc::clone(&run), limits);
        Self {
            redactor,
            limits,
            run,
            signatures: HashSet::new(),
            samples: Samples::new(limits.examples_per_signature),
            left_out: LeftOut::default(),
            batch,
        }
    }

    /// Takes what must be kept of a comparison.
    pub fn add(&mut self, comparison: &Comparison) {
        let start = comparison.start();
        let Comparison { id, service, endpoint, releases, .. } = comparison;
        let (id, redactor) = (*id, &self.redactor);
        let slice = self.batch.slices.intern(*service, endpoint, releases, redactor);
        let primary = leg_row(&comparison.primary);
        let shadow = leg_row(&comparison.shadow);
        self.batch.cover(start);
        let key = match Key::of(&comparison.key) {
            uuid @ Key::Uuid(_) => uuid,
            Key::Text(text) => Key::Text(beginning(text, KEY_BYTES)),
        };
        if comparison.verdict == Verdict::Matched {
            let redacted;
            let key = match key {
                Key::Text(text) => {
                    redacted = self.redactor.text(text);
                    Key::Text(&redacted)
                }
                uuid @ Key::Uuid(_) => uuid,
            };
            let id = id.0;
            self.batch.push_matched(&MatchedPair { id, slice, start, key, primary, shadow });
            return;
        }
        let mut in_this_pair = Vec::new();
        let mut divergences = Vec::with_capacity(comparison.divergences.len());
        for divergence in &comparison.divergences {
            let signature = self.signature(comparison, divergence);
            let first_of_pair = !in_this_pair.contains(&signature);
            if first_of_pair {
                in_this_pair.push(signature);
            }
            let row = self.divergence_row(signature, divergence);
            self.batch.text_bytes += row.held_bytes();
            divergences.push(row);
            self.count(signature, slice, divergence, start, first_of_pair);
        }
        let example = self.example(comparison, &in_this_pair);
        let key = self.redactor.text(&key.text()).into_owned();
        self.batch.text_bytes += key.len();
        self.batch.judged.push(JudgedPair {
            id,
            slice,
            start,
            key,
            verdict: comparison.verdict,
            primary,
            shadow,
            divergences,
            example,
        });
    }

    /// Takes latency and accounts: deltas, as `compare::Judge::take_rollups` gives them. Exchanges
    /// that ended without a pair are kept through these alone.
    pub fn add_rollups(&mut self, rollups: Vec<Rollup>) {
        for Rollup { minute, service, endpoint, releases, counts } in rollups {
            let slice = self.batch.slices.intern(service, &endpoint, &releases, &self.redactor);
            self.batch.cover(minute);
            self.batch.rollups.push(RollupRow { minute, slice, counts });
        }
    }

    /// Takes word of what is noise: the latest of a signature replaces what was known of it.
    pub fn add_noise(&mut self, news: &NoiseNews) {
        let kept = news.memory.len() <= NOISE_MEMORY_BYTES;
        let memory = if kept { news.memory.clone() } else { Box::default() };
        let row = NoiseRow {
            service: news.service,
            endpoint: self.redactor.label(&news.endpoint).into_owned(),
            kind: news.kind,
            pattern: self.redactor.label(&news.pattern).into_owned(),
            change: news.change,
            cause: news.cause,
            at: news.at,
            memory,
        };
        self.batch.text_bytes += row.memory.len();
        self.batch.noise.insert(news.signature, row);
    }

    /// Takes word of a path template that was learned. One that holds what is redacted is not kept:
    /// it would stand for other names, and is learned anew after a restart.
    pub fn add_template(&mut self, template: &LearnedTemplate) {
        if *self.redactor.label(&template.template) == *template.template {
            self.batch.templates.push(template.clone());
        }
    }

    /// Takes the capture's counters: absolute since the run began.
    pub fn set_agent(&mut self, counters: AgentCounters) {
        self.batch.agent = Some(counters);
    }

    /// What waits to be taken.
    #[must_use]
    pub fn batch(&self) -> &Batch {
        &self.batch
    }

    /// What was left out since the run began.
    #[must_use]
    pub fn left_out(&self) -> LeftOut {
        self.left_out
    }

    /// Hands over what has gathered.
    #[must_use]
    pub fn take(&mut self) -> Batch {
        let empty = Batch::new(Arc::clone(&self.run), self.limits);
        let mut batch = std::mem::replace(&mut self.batch, empty);
        batch.left_out = self.left_out;
        batch
    }

    /// The signature under which `divergence` is filed.
    fn signature(&mut self, comparison: &Comparison, divergence: &Divergence) -> SignatureId {
        let known = &mut self.signatures;
        if known.contains(&divergence.signature)
            || known.len() < self.limits.signatures && known.insert(divergence.signature)
        {
            return divergence.signature;
        }
        self.left_out.signatures_folded += 1;
        let service = self.run.services.get(usize::from(comparison.service.0));
        let mut hasher = blake3::Hasher::new();
        for part in [
            service.map_or("", AsRef::as_ref),
            &comparison.endpoint,
            divergence.kind.as_str(),
            FOLDED_PATTERN,
        ] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        let [a, b, c, d, e, f, g, h, ..] = *hasher.finalize().as_bytes();
        SignatureId(u64::from_le_bytes([a, b, c, d, e, f, g, h]))
    }

    fn divergence_row(&self, signature: SignatureId, divergence: &Divergence) -> DivergenceRow {
        let Divergence { kind, path, primary, shadow, .. } = divergence;
        let value = |value: &Option<Box<str>>| {
            let value = value.as_deref()?;
            Some(self.redactor.divergence(*kind, path, value, VALUE_BYTES))
        };
        DivergenceRow {
            signature,
            path: self.redactor.text(path).into_owned(),
            primary: value(primary),
            shadow: value(shadow),
        }
    }

    fn count(
        &mut self,
        signature: SignatureId,
        slice: u32,
        divergence: &Divergence,
        start: Timestamp,
        first_of_pair: bool,
    ) {
        let row = self.batch.signatures.entry(signature).or_insert_with(|| {
            let folded = signature != divergence.signature;
            let (pattern, change) = if folded {
                (FOLDED_PATTERN.to_owned(), Change::More)
            } else {
                (self.redactor.label(&divergence.pattern).into_owned(), divergence.change)
            };
            SignatureRow { slice, kind: divergence.kind, pattern, change, minutes: BTreeMap::new() }
        });
        let seen = row.minutes.entry((minute_of(start), slice)).or_insert(Seen {
            count: 0,
            pairs: 0,
            first: start,
            last: start,
        });
        seen.count += 1;
        seen.pairs += u64::from(first_of_pair);
        seen.first = seen.first.min(start);
        seen.last = seen.last.max(start);
    }

    /// Both legs' messages, where one of the pair's signatures wants it as an example.
    fn example(
        &mut self,
        comparison: &Comparison,
        signatures: &[SignatureId],
    ) -> Option<(String, String)> {
        let (id, start) = (comparison.id, comparison.start());
        if !signatures.iter().any(|&signature| self.samples.wants(signature, id, start)) {
            return None;
        }
        if self.samples.bytes() >= self.limits.example_bytes {
            self.left_out.examples += 1;
            return None;
        }
        let json = |exchange: &Exchange| {
            serde_json::to_string(&ExchangeText::new(exchange, &self.redactor))
                .expect("strings and numbers always serialise")
        };
        let example = (json(&comparison.primary), json(&comparison.shadow));
        let bytes = example.0.len() + example.1.len();
        self.samples.admit(signatures, id, start, bytes);
        self.batch.text_bytes += bytes;
        Some(example)
    }
}

/// Pattern of signatures that hold what has no signature of its own.
const FOLDED_PATTERN: &str = "{other}";

impl Batch {
    fn new(run: Arc<Run>, limits: Limits) -> Self {
        Self {
            run,
            agent: None,
            left_out: LeftOut::default(),
            examples_per_signature: limits.examples_per_signature,
            span: None,
            slices: Slices::default(),
            matched: Vec::new(),
            judged: Vec::new(),
            signatures: BTreeMap::new(),
            rollups: Vec::new(),
            noise: BTreeMap::new(),
            templates: Vec::new(),
            text_bytes: 0,
        }
    }

    /// Pairs in it.
    #[must_use]
    pub fn pairs(&self) -> usize {
        let matched: u64 = self.matched.iter().map(|block| u64::from(block.pairs)).sum();
        usize::try_from(matched).unwrap_or(usize::MAX) + self.judged.len()
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pairs() == 0
            && self.rollups.is_empty()
            && self.noise.is_empty()
            && self.templates.is_empty()
            && self.agent.is_none()
    }

    /// Bytes it holds, about: a batch is taken when it grows too large.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let matched: usize = self.matched.iter().map(|block| block.bytes.capacity()).sum();
        matched + self.judged.len() * size_of::<JudgedPair>() + self.text_bytes
    }

    fn push_matched(&mut self, pair: &MatchedPair<'_>) {
        match self.matched.last_mut().filter(|block| !block.is_full()) {
            Some(block) => block.push(pair),
            None => {
                let mut block = Block::default();
                block.push(pair);
                self.matched.push(block);
            }
        }
    }

    fn cover(&mut self, at: Timestamp) {
        self.span = Some(match self.span {
            Some((first, last)) => (first.min(at), last.max(at)),
            None => (at, at),
        });
    }
}

impl Slices {
    fn intern(
        &mut self,
        service: ServiceId,
        endpoint: &Arc<str>,
        releases: &Arc<Releases>,
        redactor: &Redactor,
    ) -> u32 {
        if let Some((last_service, last_endpoint, last_releases, index)) = &self.last
            && *last_service == service
            && Arc::ptr_eq(last_endpoint, endpoint)
            && Arc::ptr_eq(last_releases, releases)
        {
            return *index;
        }
        let of_service = self.index.entry(service).or_default();
        let of_endpoint = of_service.entry(Arc::clone(endpoint)).or_default();
        let index = match of_endpoint.iter().find(|(known, _)| known == releases) {
            Some(&(_, index)) => index,
            None => {
                let index = u32::try_from(self.names.len())
                    .expect("compare bounds endpoints to thousands, and releases to some");
                of_endpoint.push((Arc::clone(releases), index));
                self.names.push(SliceName {
                    service,
                    endpoint: redactor.label(endpoint).into(),
                    primary_release: redactor.text(&releases.primary).into_owned(),
                    shadow_release: redactor.text(&releases.shadow).into_owned(),
                });
                index
            }
        };
        self.last = Some((service, Arc::clone(endpoint), Arc::clone(releases), index));
        index
    }
}

impl DivergenceRow {
    fn held_bytes(&self) -> usize {
        let value = |value: &Option<String>| value.as_ref().map_or(0, String::len);
        size_of::<Self>() + self.path.len() + value(&self.primary) + value(&self.shadow)
    }
}

/// The start of the minute that `at` lies in.
pub(crate) fn minute_of(at: Timestamp) -> Timestamp {
    let width = u64::try_from(MINUTE.as_nanos()).expect("a minute fits");
    Timestamp::from_nanos(at.as_nanos() / width * width)
}

fn leg_row(exchange: &Exchange) -> LegRow {
    let timing = &exchange.timing;
    let micros = |from: Option<Timestamp>, to: Option<Timestamp>| Some(to?.micros_since(from?));
    LegRow {
        status: exchange.response.as_ref().map(|response| response.status),
        first_byte_us: micros(timing.request_last, timing.response_first),
        total_us: micros(timing.request_first, timing.response_last),
    }
}

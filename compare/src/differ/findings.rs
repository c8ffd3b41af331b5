//! What a comparison has found so far: divergences, and differences that a rule explains.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use capture::Timestamp;

use crate::noise::{Quiet, Sieve, Told};
use crate::signature::signature;
use crate::{
    Action, Change, Descriptors, Divergence, Kind, NoiseCause, Normaliser, Scope, ServicePolicy,
    Suppressed,
};

use super::bare::{bare, plain};
use super::place::{Place, cut};

/// Divergences listed for one pair. What is beyond is one [`Change::More`] that counts them.
pub(super) const LISTED: usize = 64;

/// Bytes of a value that is reported.
pub(super) const VALUE_BYTES: usize = 1024;

/// Why a difference is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reason {
    /// The configured rule of this index.
    Rule(u16),
    /// The `date` field: when a response was made.
    Date,
    /// Fields of the connection, not of the message.
    HopByHop,
    /// `content-length`: the body says it better.
    ContentLength,
    /// `content-encoding`, `grpc-encoding`: bodies and messages are compared decoded.
    ContentEncoding,
    /// The response echoes what the mirroring proxy changed in the request.
    Mirror,
    /// Said to be JSON and is none on either leg, or is nested too deep: compared as text.
    NotJson,
    /// A charset that is not known: the bytes are compared as sent.
    CharsetUnknown,
    /// It is noise.
    Noise(NoiseCause),
    /// Both values are points in time near their own exchange.
    Timestamp,
    /// Each value is what its own request carries.
    RequestId,
    /// A protobuf message that no descriptor set describes was compared as bytes.
    ProtobufUndescribed,
    /// What is said to be protobuf and is none was compared as bytes.
    ProtobufUndecodable,
}

/// The names that reasons other than configured rules are counted under.
#[derive(Clone, Debug)]
pub(super) struct ReasonNames {
    date: Arc<str>,
    hop_by_hop: Arc<str>,
    content_length: Arc<str>,
    content_encoding: Arc<str>,
    /// By `Mirror as usize`.
    mirrors: [Arc<str>; crate::Mirror::ALL.len()],
    not_json: Arc<str>,
    charset_unknown: Arc<str>,
    /// By `NoiseCause as usize`.
    noise: [Arc<str>; NoiseCause::ALL.len()],
    timestamp: Arc<str>,
    request_id: Arc<str>,
    protobuf_undescribed: Arc<str>,
    protobuf_undecodable: Arc<str>,
}

impl Default for ReasonNames {
    fn default() -> Self {
        Self {
            date: "builtin:date".into(),
            hop_by_hop: "builtin:hop-by-hop".into(),
            content_length: "builtin:content-length".into(),
            content_encoding: "builtin:content-encoding".into(),
            mirrors: crate::Mirror::ALL.map(|mirror| format!("profile:{mirror}").into()),
            not_json: "note:not-json".into(),
            charset_unknown: "note:charset-unknown".into(),
            noise: NoiseCause::ALL.map(|cause| match cause {
                NoiseCause::Class => "class:token".into(),
                cause => format!("noise:{cause}").into(),
            }),
            timestamp: "class:timestamp".into(),
            request_id: "class:own-request-id".into(),
            protobuf_undescribed: "note:protobuf-undescribed".into(),
            protobuf_undecodable: "note:protobuf-undecodable".into(),
        }
    }
}

/// What is known of a line that differs.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    /// Why nothing of it is reported.
    pub(super) quiet: Option<Reason>,
    /// Else each part that differs, by where it begins in the primary's line; none where that is
    /// not known.
    parts: Vec<(usize, Told)>,
}

impl Line {
    /// Why nothing of what differs in this range of the primary's line is reported.
    pub(super) fn quiet_in(&self, range: &Range<usize>) -> Option<Reason> {
        let mut parts = self.parts.iter().filter(|(at, _)| range.contains(at));
        let first = parts.next()?.1.quiet();
        parts.all(|(_, told)| told.quiet().is_some()).then_some(first?.into())
    }
}

/// A point to go back to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    divergences: usize,
    beyond: u64,
    reasons: usize,
    noted: usize,
}

impl Mark {
    /// Divergences up to there, listed or not.
    pub(super) fn diverged(self) -> u64 {
        self.divergences as u64 + self.beyond
    }
}

/// What was found.
#[derive(Debug)]
pub(super) struct Findings<'p> {
    policy: &'p ServicePolicy,
    endpoint: &'p str,
    /// When the pair began.
    start: Timestamp,
    divergences: Vec<Divergence>,
    /// How many are listed at most.
    most: usize,
    /// How many are not listed, and of which kind the first of them is.
    beyond: u64,
    beyond_kind: Kind,
    reasons: &'p mut Vec<Reason>,
    sieve: Option<Sieve<'p>>,
}

impl<'p> Findings<'p> {
    /// Nothing found yet. `reasons` is room that is kept from pair to pair.
    pub(super) fn new(
        policy: &'p ServicePolicy,
        endpoint: &'p str,
        start: Timestamp,
        reasons: &'p mut Vec<Reason>,
    ) -> Self {
        reasons.clear();
        Self {
            policy,
            endpoint,
            start,
            divergences: Vec::new(),
            most: LISTED,
            beyond: 0,
            beyond_kind: Kind::Body,
            reasons,
            sieve: None,
        }
    }

    /// The same, where each difference that no rule explains is held against what is noise.
    pub(super) fn sieved(self, sieve: Option<Sieve<'p>>) -> Self {
        Self { sieve, ..self }
    }

    /// The same, where so many divergences are listed.
    pub(super) fn listing(self, most: usize) -> Self {
        Self { most, ..self }
    }

    /// What the service's protobuf messages mean.
    pub(super) fn descriptors(&self) -> Option<&'p Descriptors> {
        self.policy.descriptors.as_deref()
    }

    /// The protobuf message that answers here, as configured.
    pub(super) fn response_message(&self) -> Option<&'p str> {
        let rule = self.policy.messages.iter().find(|rule| rule.holds_for(self.endpoint))?;
        Some(&rule.response)
    }

    /// The first rule that explains this change of the status.
    pub(super) fn explain_status(&self, primary: &[u8], shadow: &[u8]) -> Option<Reason> {
        self.rule(|scope, action| {
            *scope == Scope::Status
                && action.explains(Kind::Status, Change::Value, Some(primary), Some(shadow))
        })
    }

    /// The first rule that explains a difference in the header or trailer field of this lower-case
    /// name, which is reported at `path`.
    pub(super) fn explain_field(
        &self,
        kind: Kind,
        (name, path): (&[u8], &[u8]),
        change: Change,
        primary: Option<&[u8]>,
        shadow: Option<&[u8]>,
    ) -> Option<Reason> {
        self.rule(|scope, action| {
            scope.covers_field(kind, name, path) && action.explains(kind, change, primary, shadow)
        })
    }

    /// The first rule that explains a difference at this place in the body. The empty place is the
    /// whole of it, in any format.
    pub(super) fn explain_place(
        &self,
        place: &Place<'_>,
        change: Change,
        primary: Option<&[u8]>,
        shadow: Option<&[u8]>,
    ) -> Option<Reason> {
        self.rule(|scope, action| {
            place.is_covered_by(scope) && explains_bare(action, change, primary, shadow)
        })
    }

    /// The first rule that says how the array at this place is compared.
    pub(super) fn arrangement(&self, place: &Place<'_>) -> Option<(Reason, &'p Action)> {
        let of_arrays =
            |scope: &Scope, action: &Action| action.is_of_arrays() && place.is_named_by(scope);
        let Reason::Rule(index) = self.rule(of_arrays)? else { return None };
        Some((Reason::Rule(index), self.policy.rules[usize::from(index)].action()))
    }

    /// The rules that rewrite values at this place, in their order.
    pub(super) fn normalisers(
        &self,
        place: &Place<'_>,
    ) -> impl Iterator<Item = (Reason, &'p Normaliser)> {
        let (endpoint, start) = (self.endpoint, self.start);
        (0_u16..).zip(&self.policy.rules).filter_map(move |(index, rule)| match rule.action() {
            Action::Normalise(normaliser)
                if place.is_covered_by(rule.scope()) && rule.holds_for(endpoint, start) =>
            {
                Some((Reason::Rule(index), normaliser))
            }
            _ => None,
        })
    }

    fn rule(&self, explains: impl Fn(&Scope, &Action) -> bool) -> Option<Reason> {
        // The endpoint is asked first: it is cheap, and what an action asks may not be.
        self.policy
            .rules
            .iter()
            .position(|rule| {
                rule.holds_for(self.endpoint, self.start) && explains(rule.scope(), rule.action())
            })
            .and_then(|index| u16::try_from(index).ok())
            .map(Reason::Rule)
    }

    /// Counts a difference that is expected.
    pub(super) fn suppress(&mut self, reason: Reason) {
        self.reasons.push(reason);
    }

    /// What is known of two lines of a text that differ, as they were sent.
    ///
    /// Asked before their words are told apart: what varies in a line is known by the line that it
    /// stands in.
    pub(super) fn line(
        &mut self,
        pattern: impl FnOnce() -> Box<str>,
        primary: &[u8],
        shadow: &[u8],
    ) -> Line {
        let Some(sieve) = self.sieve.as_mut() else { return Line::default() };
        let mut told = (sieve.by_values(Change::Text, Some(primary), Some(shadow)), None);
        if told.0 == Told::Report && sieve.has_room() {
            told = sieve.by_line(Kind::Body, &pattern(), primary, shadow);
        }
        Line { quiet: told.0.quiet().map(Reason::from), parts: told.1.unwrap_or_default() }
    }

    /// Notes a divergence, unless it is noise. Path and pattern are made only if they are asked
    /// for.
    pub(super) fn diverge(
        &mut self,
        kind: Kind,
        path: impl Fn() -> (Box<str>, Box<str>),
        change: Change,
        primary: Option<&[u8]>,
        shadow: Option<&[u8]>,
    ) {
        self.diverge_at(kind, path, change, (primary, shadow), true);
    }

    /// Notes words of a line that differ, unless their values alone explain it.
    pub(super) fn diverge_in_line(
        &mut self,
        path: impl Fn() -> (Box<str>, Box<str>),
        primary: Option<&[u8]>,
        shadow: Option<&[u8]>,
    ) {
        self.diverge_at(Kind::Body, path, Change::Text, (primary, shadow), false);
    }

    fn diverge_at(
        &mut self,
        kind: Kind,
        path: impl Fn() -> (Box<str>, Box<str>),
        change: Change,
        (primary, shadow): (Option<&[u8]>, Option<&[u8]>),
        is_place: bool,
    ) {
        let mut change = change;
        let (mut place, mut known) = (None, None);
        if let Some(sieve) = &mut self.sieve {
            // One value may be written in several ways: what is learned is of the value.
            let plain = (primary.map(plain), shadow.map(plain));
            let (primary, shadow) = (plain.0.as_deref(), plain.1.as_deref());
            let mut told = sieve.by_values(change, primary, shadow);
            let asked = match told {
                // Of one leg that is not what it says it is, there is nothing to learn.
                Told::Report => (is_place && change != Change::Format).then_some(change),
                Told::OtherPrecision => Some(Change::Format),
                Told::OtherForm | Told::Quiet(_) => None,
            };
            if let Some(change) = asked
                && sieve.has_room()
            {
                let (_, pattern) = place.insert(path());
                told = sieve.by_place(kind, pattern, change, primary, shadow);
                known = sieve.signature().zip(Some(change));
            }
            match told {
                Told::Quiet(quiet) => return self.reasons.push(Reason::from(quiet)),
                Told::OtherForm | Told::OtherPrecision => change = Change::Format,
                Told::Report => {}
            }
            if sieve.is_to_learn() {
                self.beyond += 1;
                return;
            }
        }
        if self.divergences.len() >= self.most {
            if self.beyond == 0 {
                self.beyond_kind = kind;
            }
            self.beyond += 1;
            return;
        }
        let (path, pattern) = place.unwrap_or_else(path);
        let known = known.filter(|&(_, of)| of == change).map(|(known, _)| known);
        let signature = known
            .unwrap_or_else(|| signature(&self.policy.name, self.endpoint, kind, &pattern, change));
        self.divergences.push(Divergence {
            signature,
            kind,
            path,
            pattern,
            change,
            primary: primary.map(shown),
            shadow: shadow.map(shown),
        });
    }

    pub(super) fn mark(&self) -> Mark {
        Mark {
            divergences: self.divergences.len(),
            beyond: self.beyond,
            reasons: self.reasons.len(),
            noted: self.sieve.as_ref().map_or(0, Sieve::noted),
        }
    }

    /// Divergences so far, listed or not.
    pub(super) fn diverged(&self) -> u64 {
        self.divergences.len() as u64 + self.beyond
    }

    /// Forgets what was found since `mark`.
    pub(super) fn back_to(&mut self, mark: Mark) {
        self.divergences.truncate(mark.divergences);
        self.beyond = mark.beyond;
        self.reasons.truncate(mark.reasons);
        if let Some(sieve) = &mut self.sieve {
            sieve.back_to(mark.noted);
        }
    }

    /// Everything was compared: it counts as a comparison of what varies.
    pub(super) fn conclude(&mut self) {
        if let Some(sieve) = self.sieve.take() {
            sieve.finish();
        }
    }

    /// Divergences, and differences explained by rule.
    pub(super) fn finish(mut self, names: &ReasonNames) -> (Vec<Divergence>, Vec<Suppressed>) {
        if self.beyond > 0 {
            let kind = self.beyond_kind;
            self.divergences.push(Divergence {
                signature: signature(&self.policy.name, self.endpoint, kind, "", Change::More),
                kind,
                path: "".into(),
                pattern: "".into(),
                change: Change::More,
                primary: Some(format!("{} more", self.beyond).into()),
                shadow: None,
            });
        }
        self.reasons.sort_unstable();
        let suppressed = self
            .reasons
            .chunk_by(|a, b| a == b)
            .map(|same| Suppressed {
                rule: Arc::clone(self.name(same[0], names)),
                count: u32::try_from(same.len()).unwrap_or(u32::MAX),
            })
            .collect();
        (self.divergences, suppressed)
    }

    fn name<'n>(&'n self, reason: Reason, names: &'n ReasonNames) -> &'n Arc<str> {
        match reason {
            Reason::Rule(index) => &self.policy.rules[usize::from(index)].name,
            Reason::Date => &names.date,
            Reason::HopByHop => &names.hop_by_hop,
            Reason::ContentLength => &names.content_length,
            Reason::ContentEncoding => &names.content_encoding,
            Reason::Mirror => &names.mirrors[self.policy.mirror as usize],
            Reason::NotJson => &names.not_json,
            Reason::CharsetUnknown => &names.charset_unknown,
            Reason::Noise(cause) => &names.noise[cause as usize],
            Reason::Timestamp => &names.timestamp,
            Reason::RequestId => &names.request_id,
            Reason::ProtobufUndescribed => &names.protobuf_undescribed,
            Reason::ProtobufUndecodable => &names.protobuf_undecodable,
        }
    }
}

impl From<Quiet> for Reason {
    fn from(quiet: Quiet) -> Self {
        match quiet {
            Quiet::Timestamp => Self::Timestamp,
            Quiet::RequestId => Self::RequestId,
            Quiet::Noise(cause) => Self::Noise(cause),
        }
    }
}

/// Whether `action` explains the difference between two values in a body, as they were sent.
pub(super) fn explains_bare(
    action: &Action,
    change: Change,
    primary: Option<&[u8]>,
    shadow: Option<&[u8]>,
) -> bool {
    if *action == Action::Ignore {
        return true;
    }
    let (ours, theirs) = (primary.map(bare), shadow.map(bare));
    action.explains(Kind::Body, change, ours.as_deref(), theirs.as_deref())
}

/// A value as text, cut to 1 KiB between characters.
fn shown(value: &[u8]) -> Box<str> {
    if value.len() <= VALUE_BYTES {
        return String::from_utf8_lossy(value).into();
    }
    let mut text = String::from_utf8_lossy(&value[..VALUE_BYTES]).into_owned();
    cut(&mut text, VALUE_BYTES);
    text.into()
}

/// The bytes of `parts` with `separator` between them; borrowed where there is one part.
pub(super) fn joined<'a>(parts: &[&'a [u8]], separator: &[u8]) -> Cow<'a, [u8]> {
    match parts {
        [] => Cow::Borrowed(b""),
        [only] => Cow::Borrowed(only),
        _ => Cow::Owned(parts.join(separator)),
    }
}

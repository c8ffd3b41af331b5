//! What a comparison has found so far: divergences, and differences that a rule explains.

use std::borrow::Cow;
use std::sync::Arc;

use crate::signature::signature;
use crate::{Change, Descriptors, Divergence, Kind, Scope, ServicePolicy, Suppressed};

use super::place::{Place, cut};

/// Divergences listed for one pair. What is beyond is one [`Change::More`] that counts them.
const LISTED: usize = 64;

/// Bytes of a value that is reported.
const VALUE_BYTES: usize = 1024;

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
    /// The response echoes what the mirroring proxy changed in the request.
    Mirror,
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
    /// By `Mirror as usize`.
    mirrors: [Arc<str>; crate::Mirror::ALL.len()],
    protobuf_undescribed: Arc<str>,
    protobuf_undecodable: Arc<str>,
}

impl Default for ReasonNames {
    fn default() -> Self {
        Self {
            date: "builtin:date".into(),
            hop_by_hop: "builtin:hop-by-hop".into(),
            content_length: "builtin:content-length".into(),
            mirrors: crate::Mirror::ALL.map(|mirror| format!("profile:{mirror}").into()),
            protobuf_undescribed: "note:protobuf-undescribed".into(),
            protobuf_undecodable: "note:protobuf-undecodable".into(),
        }
    }
}

/// A point to go back to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    divergences: usize,
    beyond: u64,
    reasons: usize,
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
    divergences: Vec<Divergence>,
    /// How many are not listed, and of which kind the first of them is.
    beyond: u64,
    beyond_kind: Kind,
    reasons: &'p mut Vec<Reason>,
}

impl<'p> Findings<'p> {
    /// Nothing found yet. `reasons` is room that is kept from pair to pair.
    pub(super) fn new(
        policy: &'p ServicePolicy,
        endpoint: &'p str,
        reasons: &'p mut Vec<Reason>,
    ) -> Self {
        reasons.clear();
        Self {
            policy,
            endpoint,
            divergences: Vec::new(),
            beyond: 0,
            beyond_kind: Kind::Body,
            reasons,
        }
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

    /// The first rule that covers the header or trailer field of this lower-case name.
    pub(super) fn rule_for_field(&self, name: &[u8]) -> Option<Reason> {
        self.rule(|scope| matches!(scope, Scope::Header(of) if of.as_bytes() == name))
    }

    /// The first rule that covers this place in the body. The empty place is the whole of it, in
    /// any format.
    pub(super) fn rule_for_body(&self, place: &Place<'_>) -> Option<Reason> {
        self.rule(|scope| matches!(scope, Scope::Body(of) if place.is_covered_by(of)))
    }

    fn rule(&self, covers: impl Fn(&Scope) -> bool) -> Option<Reason> {
        self.policy
            .rules
            .iter()
            .position(|rule| covers(&rule.scope) && rule.holds_for(self.endpoint))
            .and_then(|index| u16::try_from(index).ok())
            .map(Reason::Rule)
    }

    /// Counts a difference that is expected.
    pub(super) fn suppress(&mut self, reason: Reason) {
        self.reasons.push(reason);
    }

    /// Notes a divergence. Path and pattern are made only if it will be listed.
    pub(super) fn diverge(
        &mut self,
        kind: Kind,
        path: impl FnOnce() -> (Box<str>, Box<str>),
        change: Change,
        primary: Option<&[u8]>,
        shadow: Option<&[u8]>,
    ) {
        if self.divergences.len() >= LISTED {
            if self.beyond == 0 {
                self.beyond_kind = kind;
            }
            self.beyond += 1;
            return;
        }
        let (path, pattern) = path();
        self.divergences.push(Divergence {
            signature: signature(&self.policy.name, self.endpoint, kind, &pattern, change),
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
            Reason::Mirror => &names.mirrors[self.policy.mirror as usize],
            Reason::ProtobufUndescribed => &names.protobuf_undescribed,
            Reason::ProtobufUndecodable => &names.protobuf_undecodable,
        }
    }
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

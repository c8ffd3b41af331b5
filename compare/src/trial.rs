//! What new rules make of pairs that were judged without them.
//!
//! A pair whose messages are kept is compared again in full: without rules, to see that the
//! messages still show what was found, and under the new ones. What the first comparison finds and
//! the store has not was explained when the pair was judged, by a rule of then or as noise; it
//! stays explained, since the noise of that moment is not known any more. What only the second one
//! finds, in arrays whose elements now belong together otherwise, is held against the noise that is
//! known in the end. Of a pair without messages each divergence is asked for by its values.
//!
//! Refuses to guess: where neither tells, the divergence is [`Fate::Undecided`]. Invariant: each
//! stored divergence has one fate.
//!
//! What redaction put in place of a secret is equal where the secrets are, and different where they
//! are. So rules about what is there and in which order are decided; rules that read a value are not
//! where it is one of those.

use std::collections::HashSet;

use capture::{Exchange, Timestamp};

use crate::differ::{Differ, say_the_same_but_for_the_code};
use crate::{
    Action, Change, Divergence, Explained, Kind, NoiseLayers, Rule, Scope, ServicePolicy,
    SignatureId, StoredDivergence, Verdict,
};

/// Divergences of one pair that are looked at. A pair with more is decided only where the rules
/// explain all of it.
const LISTED: usize = 4_096;

/// What stands before the digest of a value that was redacted.
const REDACTED: &str = "«redacted:";

/// A pair that diverged, as a store has it.
#[derive(Clone, Copy, Debug)]
pub struct JudgedPair<'s> {
    /// Method and path template.
    pub endpoint: &'s str,
    /// When it began.
    pub start: Timestamp,
    /// What differed.
    pub divergences: &'s [StoredDivergence<'s>],
    /// Both legs, where they were kept whole: as redacted, bodies without their content coding.
    pub messages: Option<(&'s Exchange, &'s Exchange)>,
}

/// What becomes of a pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// By stored divergence.
    pub fates: Vec<Fate>,
    /// What is found only under the new rules.
    pub new: Vec<Divergence>,
}

/// What becomes of a stored divergence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is reported as before.
    Left,
    /// The rule of this index explains it.
    Explained(usize),
    /// It cannot be told.
    Undecided(Undecided),
}

/// Why it cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Undecided {
    /// The messages are needed, and were not kept whole.
    NotKept,
    /// A rule reads a value that is redacted.
    Redacted,
    /// Not all differences of the pair were listed.
    NotListed,
}

impl Undecided {
    /// All of them, in the order of declaration.
    pub const ALL: [Self; 3] = [Self::NotKept, Self::Redacted, Self::NotListed];

    /// The name in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotKept => "not_kept",
            Self::Redacted => "redacted",
            Self::NotListed => "not_listed",
        }
    }
}

/// The rules of one service, on trial.
#[derive(Debug)]
pub struct Trial {
    /// With the rules, and without noise.
    under: ServicePolicy,
    /// Without either.
    plain: ServicePolicy,
    /// With both.
    policy: ServicePolicy,
    differ: Differ,
    noise: HashSet<SignatureId>,
    /// By rule that reads values: one that explains whatever that one covers.
    covering: Vec<Option<Rule>>,
}

impl Trial {
    /// Of the rules in `policy`. `noise` names the signatures that are known as noise.
    #[must_use]
    pub fn new(policy: ServicePolicy, noise: HashSet<SignatureId>) -> Self {
        let under = ServicePolicy { noise: NoiseLayers::NONE, ..policy.clone() };
        let plain = ServicePolicy { rules: Vec::new(), ..under.clone() };
        let covering = policy.rules.iter().map(covering).collect();
        Self { under, plain, policy, differ: Differ::listing(LISTED), noise, covering }
    }

    /// The rules, by index.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.policy.rules
    }

    /// What becomes of a pair that diverged.
    pub fn judge(&mut self, pair: &JudgedPair<'_>) -> Tried {
        let by_messages = pair.messages.and_then(|messages| self.by_messages(pair, messages));
        by_messages.unwrap_or_else(|| self.by_values(pair))
    }

    fn by_values(&self, pair: &JudgedPair<'_>) -> Tried {
        let fates = pair.divergences.iter().map(|of| self.of_values(pair, of)).collect();
        Tried { fates, new: Vec::new() }
    }

    fn of_values(&self, pair: &JudgedPair<'_>, of: &StoredDivergence<'_>) -> Fate {
        let (mut needs_bodies, mut hidden) = (false, false);
        for (index, rule) in self.policy.rules.iter().enumerate() {
            if self.hides(index, pair, of) {
                hidden = true;
                continue;
            }
            match rule.explains(pair.endpoint, *of, pair.start) {
                // The rest of the answers was not looked at: nobody knows what it has.
                Explained::Yes if stands_for_more(of) => needs_bodies = true,
                Explained::Yes => return Fate::Explained(index),
                Explained::NeedsBodies => needs_bodies = true,
                Explained::No => {}
            }
        }
        match (hidden, needs_bodies) {
            (true, _) => Fate::Undecided(Undecided::Redacted),
            (_, true) => Fate::Undecided(Undecided::NotKept),
            _ => Fate::Left,
        }
    }

    /// `None` where the messages do not show what was found: something in them is redacted, or the
    /// service was configured otherwise.
    ///
    /// Fields are judged by their values, which tell all there is, also where redaction has taken a
    /// cookie's name with its value. Behind a status that was stored they were not looked at.
    fn by_messages(
        &mut self,
        pair: &JudgedPair<'_>,
        messages: (&Exchange, &Exchange),
    ) -> Option<Tried> {
        let has_status = pair.divergences.iter().any(|of| of.kind == Kind::Status);
        let in_messages = |kind: Kind| has_status || kind == Kind::Body;
        let mut found = |policy: &ServicePolicy| {
            let mut found = compared(&mut self.differ, policy, pair.endpoint, messages)?;
            found.retain(|of| in_messages(of.kind) || of.change == Change::More);
            Some(found)
        };
        let (before, under) = (found(&self.plain)?, found(&self.under)?);
        let shown = |of: &StoredDivergence<'_>| before.iter().any(|found| is_place_of(found, of));
        let mut to_be_shown = pair.divergences.iter().filter(|of| in_messages(of.kind));
        if !to_be_shown.all(|of| is_rest(of) || shown(of)) {
            return None;
        }
        let all_listed = !pair.divergences.iter().any(is_rest)
            && !before.iter().chain(&under).any(|found| is_rest(&found.into()));
        let mut left = vec![true; under.len()];
        let mut fates = Vec::with_capacity(pair.divergences.len());
        for of in pair.divergences {
            let same = under.iter().enumerate().position(|(at, found)| {
                left[at] && (is_place_of(found, of) || has_moved(found, of, &before))
            });
            fates.push(match same {
                _ if is_rest(of) => match under.is_empty() {
                    true => self.explained(pair, of),
                    false => Fate::Undecided(Undecided::NotListed),
                },
                _ if !in_messages(of.kind) => self.of_values(pair, of),
                Some(at) => {
                    left[at] = false;
                    let mut rules = 0..self.policy.rules.len();
                    match rules.any(|index| self.hides(index, pair, of)) {
                        true => Fate::Undecided(Undecided::Redacted),
                        false => Fate::Left,
                    }
                }
                None => self.explained(pair, of),
            });
        }
        let mut new = Vec::new();
        // Where not all was listed, what is left over may have been there before.
        if all_listed {
            let over =
                under.into_iter().zip(left).filter_map(|(found, left)| left.then_some(found));
            let stored = |of: &&Divergence| pair.divergences.iter().any(|s| is_place_of(of, s));
            let quiet: Vec<&Divergence> = before.iter().filter(|of| !stored(of)).collect();
            new = over.filter(|found| !was_quiet(found, &quiet)).collect();
        }
        if !new.is_empty() {
            // A judge that has seen nothing knows what values alone tell.
            let mut told =
                compared(&mut Differ::listing(LISTED), &self.policy, pair.endpoint, messages)?;
            told.retain(|told| {
                new.iter().any(|of| is_place_of(of, &told.into()))
                    && !self.noise.contains(&told.signature)
            });
            new = told;
        }
        // Whose name is redacted has no place that could be reported.
        if new.iter().any(|found| found.path.contains(REDACTED)) {
            return None;
        }
        Some(Tried { fates, new })
    }

    /// Which rule a divergence is owed to that is not found under all of them.
    fn explained(&self, pair: &JudgedPair<'_>, of: &StoredDivergence<'_>) -> Fate {
        let by = |wanted: Explained, of_arrays: bool| {
            self.policy.rules.iter().position(|rule| {
                (!of_arrays || rule.action().is_of_arrays())
                    && rule.explains(pair.endpoint, *of, pair.start) == wanted
            })
        };
        // Whichever hides what told elements apart may have done it, but one that is about the array
        // surely did.
        let rule = by(Explained::Yes, false)
            .or_else(|| by(Explained::NeedsBodies, true))
            .or_else(|| by(Explained::NeedsBodies, false))
            .or_else(|| {
                // Of elements that belong together otherwise now.
                let of_bodies = |rule: &Rule| matches!(rule.scope(), Scope::Body(_));
                self.policy.rules.iter().position(of_bodies)
            });
        match rule {
            Some(index) if self.hides(index, pair, of) => Fate::Undecided(Undecided::Redacted),
            Some(index) => Fate::Explained(index),
            None => Fate::Left,
        }
    }

    /// Whether the rule of this index reads a value that redaction hides.
    fn hides(&self, index: usize, pair: &JudgedPair<'_>, of: &StoredDivergence<'_>) -> bool {
        let is_redacted = |value: Option<&str>| value.is_some_and(|text| text.contains(REDACTED));
        let covering = self.covering[index].as_ref().filter(|_| {
            matches!(of.change, Change::Value | Change::Text)
                && (is_redacted(of.primary) || is_redacted(of.shadow))
        });
        covering.is_some_and(|rule| rule.explains(pair.endpoint, *of, pair.start) == Explained::Yes)
    }
}

/// What differs between two messages; `None` where they cannot be compared.
fn compared(
    differ: &mut Differ,
    policy: &ServicePolicy,
    endpoint: &str,
    (primary, shadow): (&Exchange, &Exchange),
) -> Option<Vec<Divergence>> {
    let found = differ.compare(policy, endpoint, primary, shadow);
    (!matches!(found.verdict, Verdict::Incomparable(_))).then_some(found.divergences)
}

/// Whether it stands for differences that were not listed.
fn is_rest(of: &StoredDivergence<'_>) -> bool {
    of.change == Change::More && of.path.is_empty()
}

/// Whether both are one difference. A store may have it as another form, where values vary by
/// themselves, or under a signature that others share.
fn is_place_of(found: &Divergence, of: &StoredDivergence<'_>) -> bool {
    let change = found.change == of.change || matches!(of.change, Change::Format | Change::More);
    found.kind == of.kind && *found.path == *of.path && change
}

/// Whether it is the same difference at a place where there was none before.
fn has_moved(found: &Divergence, of: &StoredDivergence<'_>, before: &[Divergence]) -> bool {
    let same = (found.kind, found.change) == (of.kind, of.change)
        && (found.primary.as_deref(), found.shadow.as_deref()) == (of.primary, of.shadow);
    same && !before.iter().any(|before| is_place_of(before, &found.into()))
}

/// Whether it is one of those that were there before and were not reported.
fn was_quiet(found: &Divergence, quiet: &[&Divergence]) -> bool {
    quiet.iter().any(|before| {
        let same = (before.kind, before.change) == (found.kind, found.change);
        same && (before.path == found.path
            || (&before.primary, &before.shadow) == (&found.primary, &found.shadow))
    })
}

/// A rule that explains whatever `rule` covers, where that reads values.
fn covering(rule: &Rule) -> Option<Rule> {
    let reads = matches!(rule.action(), Action::Normalise(_) | Action::Tolerate(_));
    let mut covering = Rule::new(&rule.name, rule.scope().clone(), Action::Ignore).ok()?;
    covering.endpoint.clone_from(&rule.endpoint);
    covering.until = rule.until;
    reads.then_some(covering)
}

/// Whether nothing else of the answers was looked at because of it.
fn stands_for_more(of: &StoredDivergence<'_>) -> bool {
    match of.kind {
        Kind::Status => {
            let code = |text: Option<&str>| text.and_then(|text| text.parse::<u16>().ok());
            let codes = code(of.primary).zip(code(of.shadow));
            codes.is_none_or(|(ours, theirs)| say_the_same_but_for_the_code(ours, theirs))
        }
        Kind::Header | Kind::Trailer => of.path == "grpc-status",
        Kind::Body => false,
    }
}

#[cfg(test)]
mod tests;

//! Rules proposed from what was stored: differences that look like noise, and the narrowest rule
//! that explains them.
//!
//! A signature is looked at where the service is known to vary there by itself, or where it differs
//! in a large share of an endpoint's pairs with values of one class ([`class`]). What is proposed
//! is checked against the values at hand: it explains nearly all of its own signature. One place at
//! several endpoints is one rule ([`merge`]), unless that one would explain what nobody looked at.
//!
//! Refuses to propose: a rule for a whole body or a status; one that hides another type, or that
//! something is missing. A difference that merely is everywhere is no noise: it has to be of a class.

mod class;
mod merge;

use std::collections::{BTreeMap, BTreeSet};

use capture::{Exchange, Timestamp};

use crate::{
    Action, Change, Explained, Kind, NoiseCause, PathPattern, Rule, Scope, SignatureId,
    StoredDivergence, TextPattern,
};
pub use class::Why;

/// Values of one signature that are looked at.
const VALUES: usize = 256;

/// Bytes of values that are held, over all signatures. Of one that is first seen later nothing is
/// proposed.
const HELD_BYTES: usize = 64 << 20;

/// Differences below which nothing is said of a place that is not known to vary by itself.
const LEAST: u64 = 5;

/// Bytes of JSON bodies that are read for the keys of elements, over all pairs.
const READ_BYTES: usize = 64 << 20;

/// What a signature is, and how often it was seen.
#[derive(Clone, Debug)]
pub struct Place {
    /// The signature.
    pub signature: SignatureId,
    /// Method and path template.
    pub endpoint: String,
    /// Which part of the response.
    pub kind: Kind,
    /// Where in it, as `Divergence::pattern`.
    pub pattern: String,
    /// What kind of change.
    pub change: Change,
    /// Pairs that had it.
    pub pairs: u64,
    /// Pairs of the endpoint that were compared.
    pub of: u64,
    /// Why it is known as noise; `None` where it is not.
    pub learned: Option<NoiseCause>,
}

/// A rule that is proposed.
#[derive(Clone, Debug)]
pub struct Suggestion {
    /// The rule.
    pub rule: Rule,
    /// Why its values look like noise.
    pub why: Why,
    /// What it was found for.
    pub places: Vec<Place>,
    /// Values of it, at most two.
    pub examples: Vec<(String, String)>,
}

/// Gathers what differs, then proposes rules.
#[derive(Debug, Default)]
pub struct Suggester {
    seen: BTreeMap<SignatureId, Values>,
    held_bytes: usize,
    read_bytes: usize,
}

/// The primary's value and the shadow's.
type Sides = (Option<Box<str>>, Option<Box<str>>);

/// What is known of the values of one signature.
#[derive(Debug, Default)]
struct Values {
    /// Both sides; of a side without a value, nothing.
    pairs: Vec<Sides>,
    /// A place of it, with indices.
    path: Box<str>,
    /// Members that tell the elements of the array apart wherever it was read, in their order;
    /// `None` where it was not.
    keys: Option<Vec<Box<str>>>,
}

impl Suggester {
    /// Takes a difference of a pair, and the pair's messages where they are kept.
    pub fn push(
        &mut self,
        signature: SignatureId,
        of: &StoredDivergence<'_>,
        messages: Option<(&Exchange, &Exchange)>,
    ) {
        let seen = self.seen.entry(signature).or_default();
        if seen.pairs.len() < VALUES && self.held_bytes < HELD_BYTES {
            let bytes = |value: Option<&str>| value.map_or(0, str::len);
            self.held_bytes += bytes(of.primary) + bytes(of.shadow) + of.path.len();
            seen.pairs.push((of.primary.map(Into::into), of.shadow.map(Into::into)));
            seen.path = of.path.into();
        }
        let Some((primary, shadow)) = messages.filter(|_| of.change == Change::Order) else {
            return;
        };
        for exchange in [primary, shadow] {
            let Some(response) = &exchange.response else { continue };
            let body = response.body.kept();
            self.read_bytes += body.len();
            if self.read_bytes > READ_BYTES {
                return;
            }
            if let Some(here) = class::keys(body, of.path) {
                match &mut seen.keys {
                    Some(keys) => keys.retain(|key| here.contains(key)),
                    none => *none = Some(here),
                }
            }
        }
    }

    /// Proposes rules for `places`, of which those that are not known as noise have to be in
    /// `min_share` of their endpoint's pairs.
    #[must_use]
    pub fn finish(mut self, places: Vec<Place>, min_share: f64) -> Vec<Suggestion> {
        let all: Vec<(Place, Values)> = places
            .into_iter()
            .filter_map(|place| self.seen.remove(&place.signature).map(|values| (place, values)))
            .collect();
        let found: Vec<Suggestion> =
            all.iter().filter_map(|(place, values)| suggested(place, values, min_share)).collect();
        let hides = |rule: &Rule, places: &[Place]| {
            let own: BTreeSet<SignatureId> = places.iter().map(|place| place.signature).collect();
            let others = all.iter().filter(|(place, _)| !own.contains(&place.signature));
            others.into_iter().any(|(place, values)| explains_any(rule, place, values))
        };
        let alone: Vec<Suggestion> =
            found.into_iter().filter(|one| !hides(&one.rule, &one.places)).collect();
        let speaks = |place: &Place| alone.iter().any(|o| o.places[0].signature == place.signature);
        let weak = all.iter().map(|(place, _)| place);
        let weak = weak.filter(|place| is_shared(place, min_share) && !speaks(place));
        let weak: Vec<Place> = weak.cloned().collect();
        let explains = |rule: &Rule, place: &Place| {
            let own = all.iter().filter(|(of, _)| of.signature == place.signature);
            own.into_iter().all(|(place, values)| explains_all(rule, place, values))
        };
        let mut merged = merge::merged(alone, &weak, explains, hides);
        // What silences most comes first.
        merged
            .sort_by_key(|one| std::cmp::Reverse(one.places.iter().map(|p| p.pairs).sum::<u64>()));
        merge::name(&mut merged);
        merged
    }
}

/// The rule for one signature.
fn suggested(place: &Place, values: &Values, min_share: f64) -> Option<Suggestion> {
    let is_whole = place.kind == Kind::Body && place.pattern.is_empty();
    let is_redacted = place.pattern.contains("{redacted}") || place.pattern.contains("{other}");
    if place.kind == Kind::Status || is_whole || is_redacted || values.pairs.is_empty() {
        return None;
    }
    let is_often = place.pairs >= LEAST && is_shared(place, min_share);
    if place.learned.is_none() && !is_often {
        return None;
    }
    let scope = scope(place)?;
    let rule = |action| {
        let mut rule = Rule::new("", scope.clone(), action).ok()?;
        rule.endpoint = Some(TextPattern::new(&place.endpoint));
        explains_all(&rule, place, values).then_some(rule)
    };
    let (action, why) = match place.change {
        Change::Value => {
            let pairs: Vec<(&str, &str)> = values
                .pairs
                .iter()
                .map(|(ours, theirs)| Some((ours.as_deref()?, theirs.as_deref()?)))
                .collect::<Option<_>>()?;
            class::of_values(place, &pairs, |action| rule(action).is_some())?
        }
        Change::Order if place.kind == Kind::Body => class::of_order(values.keys.as_deref()),
        _ => return None,
    };
    let examples = values.pairs.iter().filter_map(|(ours, theirs)| {
        Some((ours.as_deref()?.to_owned(), theirs.as_deref()?.to_owned()))
    });
    Some(Suggestion {
        rule: rule(action)?,
        why,
        places: vec![place.clone()],
        examples: examples.take(2).collect(),
    })
}

/// Whether it is in that share of its endpoint's pairs.
fn is_shared(place: &Place, min_share: f64) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "a share of pairs")]
    let share = place.pairs as f64 / place.of.max(1) as f64;
    share >= min_share
}

/// What names the place in a rule.
fn scope(place: &Place) -> Option<Scope> {
    let text = match place.kind {
        Kind::Header => format!("header:{}", place.pattern),
        Kind::Trailer => format!("trailer:{}", place.pattern),
        Kind::Body => {
            // A text is not taken apart by paths.
            if !place.pattern.starts_with('/') {
                return None;
            }
            format!("body:{}", place.pattern)
        }
        Kind::Status => return None,
    };
    text.parse().ok()
}

fn stored<'v>(place: &Place, path: &'v str, (primary, shadow): &'v Sides) -> StoredDivergence<'v> {
    let Place { kind, change, .. } = *place;
    StoredDivergence { kind, path, change, primary: primary.as_deref(), shadow: shadow.as_deref() }
}

/// Whether `rule` explains what was seen there, or may: arrays are held against each other only
/// where their elements are. Of a rule that reads values, one in twenty may be something else: a
/// fault among the noise, which stays reported.
fn explains_all(rule: &Rule, place: &Place, values: &Values) -> bool {
    let may = rule.action().is_of_arrays();
    let explained = values.pairs.iter().filter(|pair| {
        match rule.explains(&place.endpoint, stored(place, &values.path, pair), Timestamp::ZERO) {
            Explained::Yes => true,
            Explained::NeedsBodies => may,
            Explained::No => false,
        }
    });
    let (explained, all) = (explained.count(), values.pairs.len());
    explained == all || *rule.action() != Action::Ignore && explained * 20 >= all * 19
}

/// Whether `rule` explains something that was seen there.
fn explains_any(rule: &Rule, place: &Place, values: &Values) -> bool {
    values.pairs.iter().any(|pair| {
        let of = stored(place, &values.path, pair);
        rule.explains(&place.endpoint, of, Timestamp::ZERO) == Explained::Yes
    })
}

/// The last level of a path pattern.
fn last_level(pattern: &str) -> &str {
    pattern.rsplit('/').next().unwrap_or(pattern)
}

/// A scope that names this place wherever it is in a body.
fn anywhere(last: &str) -> Option<Scope> {
    let pattern: PathPattern = format!("/**/{last}").parse().ok()?;
    Some(Scope::Body(pattern))
}

#[cfg(test)]
mod tests;

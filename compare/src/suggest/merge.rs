//! One place at several endpoints is one rule.

use std::collections::BTreeMap;

use super::{Place, Suggestion, Why, anywhere, last_level, scope};
use crate::{Action, Rule, Scope, TextPattern};

/// Brings together what says the same of one place. What would explain more than it was found for,
/// by `hides`, is left as it is. Places in `weak` are the same, and were seen too rarely to speak for
/// themselves: they come along where a rule explains all of theirs, by `explains`.
pub(super) fn merged(
    alone: Vec<Suggestion>,
    weak: &[Place],
    explains: impl Fn(&Rule, &Place) -> bool,
    hides: impl Fn(&Rule, &[Place]) -> bool,
) -> Vec<Suggestion> {
    let mut alike: BTreeMap<(String, String), Vec<Suggestion>> = BTreeMap::new();
    for one in alone {
        let what = match (one.rule.action(), one.why) {
            // Bounds may differ: the widest holds for all.
            (Action::Tolerate(_), why) => why.as_str().to_owned(),
            (Action::Normalise(of), _) => format!("{} {}", of.pattern(), of.replace()),
            (Action::Key(key), _) => key.pointers().collect::<Vec<_>>().join(" "),
            (action, _) => action.as_str().to_owned(),
        };
        let at = named(one.rule.scope(), &one.places[0], one.rule.action().is_of_arrays());
        alike.entry((at, what)).or_default().push(one);
    }
    let mut all = Vec::new();
    for ((at, _), group) in alike {
        let of_arrays = group[0].rule.action().is_of_arrays();
        let mut more: Vec<Place> = weak.to_vec();
        more.retain(|place| {
            let scope = scope(place);
            place.change == group[0].places[0].change
                && scope.is_some_and(|scope| named(&scope, place, of_arrays) == at)
        });
        if let Some(one) = joined(&group, &more) {
            more.retain(|place| explains(&one.rule, place));
        }
        let is_one = group.len() + more.len() == 1;
        match joined(&group, &more).filter(|one| !is_one && !hides(&one.rule, &one.places)) {
            Some(one) => all.push(one),
            None => all.extend(group),
        }
    }
    all
}

/// What a place is called at whichever endpoint.
fn named(scope: &Scope, place: &Place, of_arrays: bool) -> String {
    match scope {
        Scope::Body(_) if !of_arrays => format!("body:/**/{}", last_level(&place.pattern)),
        scope => scope.to_string(),
    }
}

fn joined(group: &[Suggestion], more: &[Place]) -> Option<Suggestion> {
    let places = group.iter().flat_map(|one| &one.places).chain(more);
    let places: Vec<Place> = places.cloned().collect();
    let first = group.first()?;
    let is_first = |place: &Place| scope(place).as_ref() == Some(first.rule.scope());
    let last = last_level(&places[0].pattern);
    let scope = match first.rule.scope() {
        Scope::Body(_) if !places.iter().all(is_first) => anywhere(last).filter(|_| last != "*")?,
        scope => scope.clone(),
    };
    let mut rule = Rule::new("", scope, widest(group)?).ok()?;
    rule.endpoint = endpoint(&places);
    let examples = group.iter().flat_map(|one| one.examples.first().cloned()).take(2).collect();
    Some(Suggestion { rule, why: first.why, places, examples })
}

/// The action that holds for all.
fn widest(group: &[Suggestion]) -> Option<Action> {
    let bound = |one: &Suggestion| match one.rule.action() {
        Action::Tolerate(of) => {
            let relative = of.relative().and_then(|text| text.parse::<f64>().ok());
            Some((of.within_ms().unwrap_or(0), relative.unwrap_or(0.0)))
        }
        _ => None,
    };
    let first = group.first()?.rule.action();
    if group.first()?.why != Why::Times && group.first()?.why != Why::Numbers {
        return Some(first.clone());
    }
    let widest = group
        .iter()
        .max_by(|a, b| bound(a).partial_cmp(&bound(b)).unwrap_or(std::cmp::Ordering::Equal))?;
    Some(widest.rule.action().clone())
}

/// What names all their endpoints; `None`: every one.
fn endpoint(places: &[Place]) -> Option<TextPattern> {
    let first = &places.first()?.endpoint;
    if places.iter().all(|place| place.endpoint == *first) {
        return Some(TextPattern::new(first));
    }
    let mut shared: &str = first;
    for place in places {
        let same = shared.bytes().zip(place.endpoint.bytes()).take_while(|(a, b)| a == b).count();
        shared = shared.get(..same).unwrap_or_default();
    }
    // A level that all have besides the method: `GET /api/`.
    let level = shared.rfind('/')?;
    let slash = shared.find('/')?;
    (level > slash).then(|| TextPattern::new(&format!("{}*", &shared[..=level])))
}

/// Gives each a name of its own.
pub(super) fn name(all: &mut [Suggestion]) {
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    for one in all {
        let scope = one.rule.scope().to_string();
        let what = match one.why {
            Why::Times => "times near each other",
            Why::Numbers => "numbers near each other",
            Why::Tokens => "fresh tokens",
            Why::Machines => "names of machines",
            Why::Order => "any order",
            Why::Learned(_) => "varies by itself",
        };
        let name = format!("{what}: {scope}");
        let count = taken.entry(name.clone()).or_default();
        *count += 1;
        one.rule.name = match *count {
            1 => name.into(),
            n => format!("{name} ({n})").into(),
        };
    }
}

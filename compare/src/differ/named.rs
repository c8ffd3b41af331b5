//! Values compared by name, and values of one name compared by order.
//!
//! The order of different names means nothing. Values of one name are compared as the elements of
//! a JSON array are, not as the one list that a header's are: a value may hold any separator, and
//! with elements a rule can name one of them, and a pattern all of them. So `/name` is the place
//! of the only value of its name, `/name/0` that of the first of several.

use std::borrow::Cow;

use hashbrown::HashMap;

use super::findings::joined;
use super::here::Here;
use super::place::Step;
use crate::Change;

/// A value and its name.
pub(super) type Named<'t, V> = (Cow<'t, [u8]>, V);

/// The values of one name.
struct Group<'v, 't, V> {
    name: &'v Cow<'t, [u8]>,
    primary: Vec<&'v V>,
    shadow: Vec<&'v V>,
}

/// Compares two lists by name, below the place where they are: `each` compares two values at the
/// place that it is given; `shown` is what is told of a value that is there on one side only.
///
/// Work is linear in the lists, but for `each`.
pub(super) fn by_name<'t, V>(
    primary: &[Named<'t, V>],
    shadow: &[Named<'t, V>],
    here: &mut Here<'_, 't, '_, '_>,
    shown: impl Fn(&V) -> &[u8],
    mut each: impl FnMut(&V, &V, &mut Here<'_, 't, '_, '_>),
) {
    for Group { name, primary, shadow } in groups(primary, shadow) {
        here.place.0.push(Step::Member(name.clone()));
        let all = |values: &[&V]| {
            let shown: Vec<&[u8]> = values.iter().map(|value| shown(value)).collect();
            joined(&shown, b", ").into_owned()
        };
        match (&primary[..], &shadow[..]) {
            (ours, []) => here.differs(Change::Missing, Some(&all(ours)), None),
            ([], theirs) => here.differs(Change::Added, None, Some(&all(theirs))),
            ([ours], [theirs]) => each(ours, theirs, here),
            (ours, theirs) => in_order(ours, theirs, here, &mut each),
        }
        here.place.0.pop();
    }
}

/// Compares two lists by order, as the elements of the place where they are.
pub(super) fn in_order<'t, V>(
    primary: &[&V],
    shadow: &[&V],
    here: &mut Here<'_, 't, '_, '_>,
    mut each: impl FnMut(&V, &V, &mut Here<'_, 't, '_, '_>),
) {
    let mark = here.findings.mark();
    let mut differing = 0;
    for (at, (ours, theirs)) in primary.iter().zip(shadow).enumerate() {
        let before = here.findings.diverged();
        here.place.0.push(Step::Element(at));
        each(ours, theirs, here);
        here.place.0.pop();
        differing += usize::from(here.findings.diverged() > before);
    }
    if primary.len() == shadow.len() {
        return;
    }
    // Ours, as in JSON arrays: where most differ in their places they have moved, and what was
    // found in them says nothing.
    if differing * 2 > primary.len().min(shadow.len()) {
        here.findings.back_to(mark);
    }
    let len = |values: &[&V]| format!("len {}", values.len());
    let (ours, theirs) = (len(primary), len(shadow));
    here.differs(Change::Length, Some(ours.as_bytes()), Some(theirs.as_bytes()));
}

/// The values of each name, in the order in which the names come first.
fn groups<'v, 't, V>(
    primary: &'v [Named<'t, V>],
    shadow: &'v [Named<'t, V>],
) -> Vec<Group<'v, 't, V>> {
    let mut groups: Vec<Group<'v, 't, V>> = Vec::with_capacity(primary.len());
    let mut places = HashMap::with_capacity(primary.len());
    let all = primary.iter().map(|named| (named, true));
    for ((name, value), is_primary) in all.chain(shadow.iter().map(|named| (named, false))) {
        let at = *places.entry(&**name).or_insert(groups.len());
        if at == groups.len() {
            groups.push(Group { name, primary: Vec::new(), shadow: Vec::new() });
        }
        let group = &mut groups[at];
        if is_primary { group.primary.push(value) } else { group.shadow.push(value) }
    }
    groups
}

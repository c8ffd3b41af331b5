//! The key by which the elements of two arrays are the same ones.

use std::borrow::Cow;
use std::cmp::Reverse;

use twox_hash::XxHash3_128;

use super::align::Alignment;
use super::digest::{Digest, Digester};
use super::pointer::go_to;
use crate::ElementKey;
use crate::differ::scan::{NotJson, Scanner, Type};

/// Members that are keys where they can be, the likeliest first, in any case.
const LIKELY: [&[u8]; 8] = [b"id", b"key", b"uuid", b"name", b"code", b"sku", b"slug", b"href"];

/// Members that are tried.
const CANDIDATES: usize = 16;

/// Scanners at the elements of an array.
pub(super) type Elements<'a, 't> = &'a [Scanner<'t>];

/// A member that may be the key: its name, and its value in each element.
struct Candidate<'t> {
    name: Cow<'t, [u8]>,
    /// Place in [`LIKELY`], or behind all of those.
    rank: usize,
    primary: Vec<Digest>,
    shadow: Vec<Digest>,
}

/// Partners by a member that is a string or a number in every element, another one in each of a
/// side, and mostly the same on both sides. `None` where there is no such member. Besides these
/// elements the arrays have `equal` ones.
///
/// Ours: a member of a likely name is the key if it can be; that the equal elements have it too goes
/// without saying. Of others, it is the one that most of these elements share, and of those the one
/// that most have in the same place.
pub(super) fn inferred(
    primary: Elements<'_, '_>,
    shadow: Elements<'_, '_>,
    equal: usize,
    depth: usize,
) -> Result<Option<Alignment>, NotJson> {
    let Some(first) = primary.first() else { return Ok(None) };
    let mut candidates = candidates(*first, depth)?;
    let mut digester = Digester::default();
    for (elements, of_primary) in [(primary, true), (shadow, false)] {
        for (count, element) in (1..).zip(elements) {
            if candidates.is_empty() || element.type_here()? != Type::Object {
                return Ok(None);
            }
            take_values(*element, depth, &mut digester, &mut candidates, of_primary, count)?;
        }
    }
    candidates.sort_by_key(|candidate| candidate.rank);
    let least = primary.len().min(shadow.len());
    let keys = candidates.iter().filter_map(|candidate| {
        let partners = Alignment::of_unique(&candidate.primary, &candidate.shadow)?;
        let in_place = partners.partners.iter().zip(0..).filter(|&(p, at)| *p == Some(at)).count();
        let equal = if candidate.rank < LIKELY.len() { equal } else { 0 };
        let is_shared = (partners.common + equal) * 2 > least + equal;
        is_shared.then_some((candidate.rank, in_place, partners))
    });
    // The last of the greatest is taken, so the first candidate has to come last.
    let mut keys: Vec<_> = keys.collect();
    keys.reverse();
    let best = keys
        .into_iter()
        .max_by_key(|(rank, in_place, partners)| (Reverse(*rank), partners.common, *in_place));
    Ok(best.map(|(_, _, partners)| partners))
}

/// The members of the object here that are strings or numbers.
fn candidates<'t>(mut here: Scanner<'t>, depth: usize) -> Result<Vec<Candidate<'t>>, NotJson> {
    let mut candidates = Vec::new();
    if here.type_here()? != Type::Object {
        return Ok(candidates);
    }
    let mut more = here.open(b'}')?;
    while more {
        let name = here.string()?.unescaped();
        here.colon()?;
        let rank = LIKELY.iter().position(|likely| likely.eq_ignore_ascii_case(&name));
        let rank = rank.unwrap_or(LIKELY.len());
        let can_be = matches!(here.type_here()?, Type::String | Type::Number);
        if can_be && (candidates.len() < CANDIDATES || rank < LIKELY.len()) {
            candidates.push(Candidate { name, rank, primary: Vec::new(), shadow: Vec::new() });
        }
        here.value(depth + 1)?;
        more = here.next(b'}')?;
    }
    // A likely one may have come late.
    candidates.sort_by_key(|candidate| candidate.rank);
    candidates.truncate(CANDIDATES);
    Ok(candidates)
}

/// Takes the values of the object here, which is the element of number `count`; drops candidates
/// that are not in it.
fn take_values(
    mut here: Scanner<'_>,
    depth: usize,
    digester: &mut Digester,
    candidates: &mut Vec<Candidate<'_>>,
    of_primary: bool,
    count: usize,
) -> Result<(), NotJson> {
    fn values<'c>(of_primary: bool, candidate: &'c mut Candidate<'_>) -> &'c mut Vec<Digest> {
        if of_primary { &mut candidate.primary } else { &mut candidate.shadow }
    }
    let mut more = here.open(b'}')?;
    while more {
        let name = here.string()?.unescaped();
        here.colon()?;
        let candidate = candidates.iter_mut().find(|candidate| candidate.name == name);
        match candidate.map(|candidate| values(of_primary, candidate)) {
            // The first of its name counts.
            Some(values)
                if values.len() + 1 == count
                    && matches!(here.type_here()?, Type::String | Type::Number) =>
            {
                values.push(digester.value(&mut here, depth + 1)?);
            }
            _ => {
                here.value(depth + 1)?;
            }
        }
        more = here.next(b'}')?;
    }
    candidates.retain_mut(|candidate| values(of_primary, candidate).len() == count);
    Ok(())
}

/// Partners by the key that a rule names. Elements without it have none; of several with one key,
/// the first is the first.
pub(super) fn told(
    key: &ElementKey,
    primary: Elements<'_, '_>,
    shadow: Elements<'_, '_>,
    depth: usize,
) -> Result<Alignment, NotJson> {
    let mut digester = Digester::default();
    let mut digests = |elements: Elements<'_, '_>, side: u64| {
        let all = elements.iter().zip(0_u64..).map(|(element, at)| {
            // Without a key it is like no other.
            let alone = || XxHash3_128::oneshot_with_seed(side, &at.to_le_bytes());
            Ok(key_of(key, *element, depth, &mut digester)?.unwrap_or_else(alone))
        });
        all.collect::<Result<Vec<Digest>, NotJson>>()
    };
    let (ours, theirs) = (digests(primary, 6)?, digests(shadow, 7)?);
    Ok(Alignment::of_multisets(&ours, &theirs))
}

fn key_of(
    key: &ElementKey,
    element: Scanner<'_>,
    depth: usize,
    digester: &mut Digester,
) -> Result<Option<Digest>, NotJson> {
    let mut together = Vec::with_capacity(key.paths().len() * size_of::<Digest>());
    for path in key.paths() {
        let mut here = element;
        for name in path {
            if go_to(&mut here, name)?.is_none() {
                return Ok(None);
            }
        }
        let level = (depth + path.len()).min(crate::differ::scan::DEPTH);
        together.extend_from_slice(&digester.value(&mut here, level)?.to_le_bytes());
    }
    Ok(Some(XxHash3_128::oneshot(&together)))
}

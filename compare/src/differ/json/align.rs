//! Which elements of two arrays are the same ones, by their digests.

use super::digest::Digest;

/// How many edits, times the elements of both arrays, are looked for at most, where elements are
/// alike among themselves; and how many edits.
const WORK: usize = 1 << 22;
const EDITS: usize = 1_000;

/// Partners of the primary's elements among the shadow's.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Alignment {
    /// By element of the primary; the partner's index in the shadow.
    pub(super) partners: Vec<Option<usize>>,
    /// How many have one.
    pub(super) common: usize,
    /// Whether they come in the same order on both sides.
    pub(super) in_order: bool,
}

impl Alignment {
    /// Takes partners as they are.
    pub(super) fn of(partners: Vec<Option<usize>>) -> Self {
        let common = partners.iter().flatten().count();
        let in_order = partners.iter().flatten().is_sorted();
        Self { partners, common, in_order }
    }

    /// Equal elements, the first with the first, in whatever order: as multisets.
    pub(super) fn of_multisets(primary: &[Digest], shadow: &[Digest]) -> Self {
        let (ours, theirs) = (sorted(primary), sorted(shadow));
        let mut partners = vec![None; primary.len()];
        let mut theirs = theirs.into_iter().peekable();
        for (digest, at) in ours {
            while theirs.next_if(|&(other, _)| other < digest).is_some() {}
            if let Some((_, partner)) = theirs.next_if(|&(other, _)| other == digest) {
                partners[at] = Some(partner);
            }
        }
        Self::of(partners)
    }

    /// As [`Alignment::of_multisets`]; `None` where two of a side are equal.
    pub(super) fn of_unique(primary: &[Digest], shadow: &[Digest]) -> Option<Self> {
        (all_differ(primary) && all_differ(shadow)).then(|| Self::of_multisets(primary, shadow))
    }

    /// As [`Alignment::of_multisets`], but in order where all that is common can be. `None` where
    /// that would cost too much to tell.
    pub(super) fn of_lists(primary: &[Digest], shadow: &[Digest]) -> Option<Self> {
        let multisets = Self::of_multisets(primary, shadow);
        if multisets.in_order || (all_differ(primary) && all_differ(shadow)) {
            return Some(multisets);
        }
        let in_order = Self::of(longest_common(primary, shadow)?);
        Some(if in_order.common == multisets.common { in_order } else { multisets })
    }

    /// With partners for the last `count` elements, where the arrays have these lengths.
    pub(super) fn and_the_last(self, count: usize, len: usize, shadow_len: usize) -> Self {
        let mut partners = self.partners;
        partners.resize(len - count, None);
        partners.extend((shadow_len - count..shadow_len).map(Some));
        Self { partners, common: self.common + count, in_order: self.in_order }
    }

    /// How many places an aligned comparison reports at most: between partners, elements are held
    /// against each other as far as both sides have any.
    pub(super) fn edits(&self, shadow_len: usize) -> usize {
        let mut edits = 0;
        self.gaps(shadow_len, |ours, theirs| edits += ours.len().max(theirs.len()));
        edits
    }

    /// Gives the stretches between partners that are in order: the primary's and the shadow's.
    pub(super) fn gaps(
        &self,
        shadow_len: usize,
        mut gap: impl FnMut(std::ops::Range<usize>, std::ops::Range<usize>),
    ) {
        let (mut ours, mut theirs) = (0, 0);
        let end = (self.partners.len(), Some(shadow_len));
        let all = self.partners.iter().copied().enumerate().chain([end]);
        for (at, partner) in all {
            let Some(partner) = partner else { continue };
            gap(ours..at, theirs..partner);
            (ours, theirs) = (at + 1, partner + 1);
        }
    }
}

fn sorted(digests: &[Digest]) -> Vec<(Digest, usize)> {
    let mut all: Vec<_> = digests.iter().copied().zip(0..).collect();
    all.sort_unstable();
    all
}

fn all_differ(digests: &[Digest]) -> bool {
    let mut all = digests.to_vec();
    all.sort_unstable();
    all.windows(2).all(|two| two[0] != two[1])
}

/// A longest common subsequence (Myers, An O(ND) Difference Algorithm, 1986, §4). `None` where it
/// takes more edits than may be looked for.
fn longest_common(primary: &[Digest], shadow: &[Digest]) -> Option<Vec<Option<usize>>> {
    let (n, m) = (primary.len(), shadow.len());
    let most = EDITS.min(WORK / (n + m).max(1)).min(n + m);
    // By number of edits: the farthest element of the primary reached on each diagonal, which are
    // the even or the odd ones from -edits to edits.
    let mut reached: Vec<Vec<usize>> = Vec::new();
    for edits in 0..=most {
        let mut now = Vec::with_capacity(edits + 1);
        for step in 0..=edits {
            // Diagonal `2 * step - edits`: from the one above by an element added, or from the one
            // below by one that is missing.
            let mut x = match reached.last() {
                None => 0,
                Some(before) => {
                    let added = before.get(step).copied();
                    let missing = step.checked_sub(1).map(|below| before[below] + 1);
                    added.max(missing).unwrap_or_default()
                }
            };
            let y_of = |x: usize| (x + edits).checked_sub(2 * step);
            if let Some(mut y) = y_of(x) {
                while x < n && y < m && primary[x] == shadow[y] {
                    (x, y) = (x + 1, y + 1);
                }
                if x >= n && y >= m {
                    now.push(x);
                    reached.push(now);
                    return Some(walked_back(primary, shadow, &reached, step));
                }
            }
            now.push(x);
        }
        reached.push(now);
    }
    None
}

/// The pairs on the way to the end of both, which was reached at `step` of the last edits.
fn walked_back(
    primary: &[Digest],
    shadow: &[Digest],
    reached: &[Vec<usize>],
    mut step: usize,
) -> Vec<Option<usize>> {
    let mut partners = vec![None; primary.len()];
    let (mut x, mut y) = (primary.len(), shadow.len());
    for edits in (0..reached.len()).rev() {
        let came_to = match edits.checked_sub(1).map(|before| &reached[before]) {
            None => 0,
            Some(before) => {
                let added = before.get(step).copied();
                let missing = step.checked_sub(1).map(|below| before[below] + 1);
                added.max(missing).unwrap_or_default()
            }
        };
        while x > came_to && y > 0 {
            (x, y) = (x - 1, y - 1);
            partners[x] = Some(y);
        }
        if edits > 0 {
            let before = &reached[edits - 1];
            let missing = step.checked_sub(1).map(|below| before[below] + 1);
            if before.get(step).copied() < missing {
                (x, step) = (x.saturating_sub(1), step - 1);
            } else {
                y = y.saturating_sub(1);
            }
        }
    }
    partners
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Length of a longest common subsequence, said as plainly as possible.
    fn longest(one: &[Digest], other: &[Digest]) -> usize {
        let mut row = vec![0; other.len() + 1];
        for a in one {
            let mut diagonal = 0;
            for (j, b) in other.iter().enumerate() {
                let above = row[j + 1];
                row[j + 1] = if a == b { diagonal + 1 } else { above.max(row[j]) };
                diagonal = above;
            }
        }
        row[other.len()]
    }

    fn digests() -> impl Strategy<Value = Vec<Digest>> {
        prop::collection::vec(0_u128..6, 0..14)
    }

    proptest! {
        #[test]
        fn partners_in_order_are_a_longest_common_subsequence(one in digests(), other in digests()) {
            let partners = longest_common(&one, &other).unwrap();
            prop_assert!(partners.iter().flatten().is_sorted_by(|a, b| a < b));
            for (at, partner) in partners.iter().enumerate() {
                prop_assert!(partner.is_none_or(|partner| one[at] == other[partner]));
            }
            prop_assert_eq!(partners.iter().flatten().count(), longest(&one, &other));
        }

        #[test]
        fn partners_of_multisets_are_all_that_is_common(one in digests(), other in digests()) {
            let found = Alignment::of_multisets(&one, &other);
            let mut left = other.clone();
            let common = one.iter().filter(|digest| {
                let at = left.iter().position(|other| other == *digest);
                at.map(|at| left.remove(at)).is_some()
            });
            prop_assert_eq!(common.count(), found.common);
            let mut partners: Vec<_> = found.partners.iter().flatten().collect();
            partners.sort();
            prop_assert!(partners.windows(2).all(|two| two[0] != two[1]));
            let lists = Alignment::of_lists(&one, &other).unwrap();
            prop_assert_eq!(lists.in_order, found.common == longest(&one, &other));
        }
    }

    #[test]
    fn what_would_take_too_many_edits_is_not_aligned() {
        let turned: Vec<Digest> = (0..5_000).map(|i| i % 7).collect();
        let other: Vec<Digest> = (0..5_000).map(|i| (i * i) % 7).collect();
        assert_eq!(Alignment::of_lists(&turned, &other), None);
    }
}

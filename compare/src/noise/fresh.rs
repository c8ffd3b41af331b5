//! Whether values at a place are new every time: what is said of tokens, where no request comes
//! twice.

use hashbrown::HashSet;
use twox_hash::XxHash3_128;

/// Differences with new random values on both legs before they are noise.
const PROOF: u32 = 32;

/// Values of a leg that are remembered, as hashes.
const REMEMBERED: usize = 64;

/// Values that were seen lately at a place, of each leg.
#[derive(Clone, Debug, Default)]
pub(super) struct Fresh {
    primary: Leg,
    shadow: Leg,
    /// Differences in a row in which both were new.
    run: u32,
}

#[derive(Clone, Debug, Default)]
struct Leg {
    /// By hash, and in the order of which the next is forgotten.
    seen: HashSet<u64>,
    order: Vec<u64>,
    next: usize,
}

impl Fresh {
    /// As it is once it was proven.
    pub(super) fn proven() -> Self {
        Self { run: PROOF, ..Self::default() }
    }

    /// Takes in two values that differ; `random`, where both are random and of one kind. Whether
    /// both are that, and new.
    pub(super) fn note(&mut self, primary: &[u8], shadow: &[u8], random: bool) -> bool {
        let ours = self.primary.is_new(primary);
        let theirs = self.shadow.is_new(shadow);
        let fresh = random && ours && theirs;
        // One that was not may be a fault of the shadow's: it is reported, and what the primary
        // does was proven nonetheless.
        let spoiled = !ours || (!random && self.run < PROOF);
        self.run = if spoiled { 0 } else { (self.run + u32::from(fresh)).min(PROOF) };
        fresh
    }

    /// Whether values here are new every time.
    pub(super) fn is_proven(&self) -> bool {
        self.run >= PROOF
    }
}

impl Leg {
    fn is_new(&mut self, value: &[u8]) -> bool {
        let hash = XxHash3_128::oneshot(value) as u64;
        if !self.seen.insert(hash) {
            return false;
        }
        if self.order.len() < REMEMBERED {
            self.order.push(hash);
        } else {
            let oldest = std::mem::replace(&mut self.order[self.next], hash);
            self.seen.remove(&oldest);
            self.next = (self.next + 1) % REMEMBERED;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(fresh: &mut Fresh, at: u32) -> bool {
        fresh.note(&at.to_le_bytes(), &(!at).to_le_bytes(), true)
    }

    #[test]
    fn values_that_are_new_every_time_are_proven_so() {
        let mut fresh = Fresh::default();
        for at in 0..PROOF {
            assert!(!fresh.is_proven());
            assert!(noted(&mut fresh, at));
        }
        assert!(fresh.is_proven());
        assert!(!noted(&mut fresh, 3), "the primary's came before");
        assert!(!fresh.is_proven());
    }

    #[test]
    fn a_shadow_that_repeats_itself_is_not_fresh_and_disproves_nothing() {
        let mut fresh = Fresh::proven();
        assert!(fresh.note(b"a", b"x", true));
        assert!(!fresh.note(b"b", b"x", true));
        assert!(!fresh.note(b"c", b"none", false));
        assert!(fresh.is_proven());
    }

    #[test]
    fn memory_is_bounded() {
        let mut fresh = Fresh::default();
        for at in 0..10_000 {
            noted(&mut fresh, at);
        }
        assert_eq!((fresh.primary.seen.len(), fresh.primary.order.len()), (REMEMBERED, REMEMBERED));
    }
}

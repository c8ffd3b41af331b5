//! What is remembered of keys for a while after nothing waits under them any more.

use std::time::Duration;

use capture::Timestamp;
use hashbrown::HashTable;

use crate::key::Spread;

/// Values by pair key (the 64 bits of it that [`crate::Judge::key_hash`] gives), forgotten after two
/// to three spans of time, or earlier when a generation is full: generations are dropped whole, so
/// that forgetting costs nothing per key.
///
/// Nearly all keys are remembered and never asked for. So what is remembered is only written down,
/// one behind the other, and is indexed when something is asked for next: remembering touches no
/// scattered memory, and what is indexed together waits for memory together.
#[derive(Debug)]
pub(crate) struct Recent<T> {
    /// The youngest first.
    generations: [Generation<T>; 3],
    spread: Spread,
    /// When the youngest began.
    since: Timestamp,
    span: Duration,
    /// Entries per generation.
    cap: usize,
}

/// What was remembered within one span.
#[derive(Debug)]
struct Generation<T> {
    /// In the order in which they came; of several entries with one key, the last counts.
    entries: Vec<(u64, T)>,
    /// By key, where its last entry is, of the first `indexed` entries.
    index: HashTable<u32>,
    indexed: usize,
}

impl<T: Copy> Recent<T> {
    /// Remembers at least `cap` entries for at least two `span`s, unless more than that come.
    pub(crate) fn new(span: Duration, cap: usize) -> Self {
        Self {
            generations: Default::default(),
            spread: Spread::random(),
            since: Timestamp::ZERO,
            span,
            // The index counts in 32 bits.
            cap: cap.clamp(1, u32::MAX as usize),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.generations.iter().all(|generation| generation.entries.is_empty())
    }

    /// Remembers `value` for the key with this hash (`KeyDigest::hash`), in place of what was
    /// remembered for it.
    pub(crate) fn insert(&mut self, hash: u64, value: T) {
        if self.generations[0].entries.len() >= self.cap {
            self.turn();
        }
        self.generations[0].entries.push((hash, value));
    }

    /// What was remembered last for the key with this hash.
    pub(crate) fn get(&mut self, hash: u64) -> Option<T> {
        let spread = self.spread;
        self.generations.iter_mut().find_map(|generation| generation.get(hash, spread))
    }

    /// Lets time pass.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        if now.since(self.since) >= self.span {
            self.turn();
            self.since = now;
        }
    }

    fn turn(&mut self) {
        self.generations.rotate_right(1);
        self.generations[0].clear();
    }
}

impl<T: Copy> Generation<T> {
    fn get(&mut self, hash: u64, spread: Spread) -> Option<T> {
        self.index_all(spread);
        let entries = &self.entries;
        let at = self.index.find(spread.of(hash), |&at| entries[at as usize].0 == hash)?;
        Some(entries[*at as usize].1)
    }

    fn index_all(&mut self, spread: Spread) {
        let Self { entries, index, indexed } = self;
        let place = |at: u32| spread.of(entries[at as usize].0);
        index.reserve(entries.len() - *indexed, |&at| place(at));
        for (&(hash, _), at) in entries[*indexed..].iter().zip(*indexed as u32..) {
            let same = |&known: &u32| entries[known as usize].0 == hash;
            index
                .entry(spread.of(hash), same, |&at| place(at))
                .and_modify(|known| *known = at)
                .or_insert(at);
        }
        *indexed = entries.len();
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.index.clear();
        self.indexed = 0;
    }
}

impl<T> Default for Generation<T> {
    fn default() -> Self {
        Self { entries: Vec::new(), index: HashTable::new(), indexed: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::ZERO + Duration::from_secs(seconds)
    }

    #[test]
    fn a_key_is_remembered_for_two_spans_and_forgotten_after_three() {
        let mut recent = Recent::new(Duration::from_secs(10), 100);
        recent.expire(at(100));
        recent.insert(7, 'a');
        recent.expire(at(109));
        recent.expire(at(119));
        recent.expire(at(129));
        assert_eq!(recent.get(7), Some('a'));
        recent.expire(at(139));
        assert_eq!(recent.get(7), None);
        assert!(recent.is_empty());
    }

    #[test]
    fn the_last_value_counts() {
        let mut recent = Recent::new(Duration::from_secs(10), 100);
        recent.insert(7, 'a');
        recent.insert(7, 'b');
        assert_eq!(recent.get(7), Some('b'));
        recent.expire(at(10));
        recent.insert(7, 'c');
        assert_eq!(recent.get(7), Some('c'));
    }

    #[test]
    fn what_comes_after_a_question_is_found_by_the_next() {
        let mut recent = Recent::new(Duration::from_secs(10), 10_000);
        for key in 0..5_000 {
            recent.insert(key % 1_000, key);
            if key % 7 == 0 {
                assert_eq!(recent.get(key % 1_000), Some(key));
                assert_eq!(recent.get(key % 1_000 + 1_000), None);
            }
        }
        assert!((0..1_000).all(|key| recent.get(key) == Some(key + 4_000)));
    }

    #[test]
    fn memory_is_bounded_and_the_oldest_go_first() {
        let mut recent = Recent::new(Duration::from_secs(10), 10);
        for key in 0..1000 {
            recent.insert(key, ());
        }
        assert_eq!(recent.generations.iter().map(|g| g.entries.len()).sum::<usize>(), 30);
        assert!(recent.get(970).is_some() && recent.get(969).is_none());
    }
}

//! What is remembered of keys for a while after nothing waits under them any more.

use std::time::Duration;

use capture::Timestamp;
use hashbrown::HashTable;

use crate::key::Spread;

/// Values by pair key (the 64 bits of it that [`crate::Judge::key_hash`] gives), forgotten after two
/// to three spans of time, or earlier when a generation is full: generations are dropped whole, so
/// that forgetting costs nothing per key.
#[derive(Debug)]
pub(crate) struct Recent<T> {
    /// The youngest first.
    generations: [HashTable<(u64, T)>; 3],
    spread: Spread,
    /// When the youngest began.
    since: Timestamp,
    span: Duration,
    /// Keys per generation.
    cap: usize,
}

impl<T: Copy> Recent<T> {
    /// Remembers at least `cap` keys for at least two `span`s, unless more than that come.
    pub(crate) fn new(span: Duration, cap: usize) -> Self {
        Self {
            generations: Default::default(),
            spread: Spread::random(),
            since: Timestamp::ZERO,
            span,
            cap: cap.max(1),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.generations.iter().all(HashTable::is_empty)
    }

    /// Remembers `value` for `key`, in place of what was remembered for it.
    pub(crate) fn insert(&mut self, hash: u64, value: T) {
        if self.generations[0].len() >= self.cap {
            self.turn();
        }
        let spread = self.spread;
        let youngest = &mut self.generations[0];
        if youngest.len() == youngest.capacity() {
            // Fourfold: moving scattered keys costs more than finding room for them.
            youngest.reserve(3 * youngest.len(), |&(known, _)| spread.of(known));
        }
        youngest
            .entry(spread.of(hash), |&(known, _)| known == hash, |&(known, _)| spread.of(known))
            .and_modify(|(_, known)| *known = value)
            .or_insert((hash, value));
    }

    /// What was remembered last for the key with this hash (`KeyDigest::hash`).
    pub(crate) fn get(&self, hash: u64) -> Option<T> {
        let place = self.spread.of(hash);
        self.generations
            .iter()
            .find_map(|keys| keys.find(place, |&(known, _)| known == hash))
            .map(|&(_, value)| value)
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
    fn memory_is_bounded_and_the_oldest_go_first() {
        let mut recent = Recent::new(Duration::from_secs(10), 10);
        for key in 0..1000 {
            recent.insert(key, ());
        }
        assert_eq!(recent.generations.iter().map(HashTable::len).sum::<usize>(), 30);
        assert!(recent.get(970).is_some() && recent.get(969).is_none());
    }
}

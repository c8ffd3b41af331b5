//! The dynamic table of one direction, also where its beginning was not seen.
//!
//! # The invariant
//!
//! An index yields the field that the peers mean by it, or it is [`Lookup::Unknown`], or no correct
//! encoder can have sent it. A field is never guessed.
//!
//! # The rule
//!
//! Say that every header block of the direction was seen since some moment. Then dynamic index `i`
//! (0 is the newest) means the `(i + 1)`-th latest insertion since that moment, if there were so
//! many; otherwise it means something older and is unknown. What was inserted is remembered in
//! that order, and nothing else is needed: neither what the table held at that moment, nor its
//! maximum size.
//!
//! Proof. RFC 7541 §2.3.3 numbers the dynamic table from the newest entry to the oldest. Three
//! things change it:
//!
//! - An insertion (§2.3.2, §6.2.1) puts an entry before all others. Equal entries are entries of
//!   their own (§2.3.2), so each insertion shifts every other index by one.
//! - An eviction, by an insertion (§4.4) or by a new maximum size (§4.3), takes the oldest entry.
//!   No other index changes by it. An index beyond what is left is an error (§2.3.3), so a correct
//!   encoder never sends one: that evicted entries are remembered here for longer does no harm.
//! - An entry larger than the maximum size empties the table and is not inserted (§4.4). Where the
//!   maximum is not known, it counts here as inserted. Had it been, the rule holds as above. Had
//!   it not, only what was inserted after it can be meant, and the rule gives that.
//!
//! An entry whose name refers to an unknown one is an insertion as well: its value is known, its
//! name is not.
//!
//! From this follows what ends the knowledge: one block that was not seen, or not to its end, may
//! have inserted anything, and all indices are unknown again ([`Table::forget`]). And what brings
//! it back: where the known entries leave no room for another of at least 32 bytes (§4.1) under a
//! maximum size that was seen, there is nothing older.
//!
//! Sizes are those of §4.1, a lower bound where a name is unknown. Eviction here is by that bound,
//! so it never takes what the peers still have; only the cap does, and what it took is unknown.

use std::collections::VecDeque;
use std::sync::Arc;

/// What the peers take for the maximum size before they said anything (RFC 9113 §6.5.2).
const DEFAULT_MAX: u64 = 4_096;
/// RFC 7541 §4.1: what an entry costs besides its name and value.
const OVERHEAD: u64 = 32;
/// Bytes kept where the maximum size was not seen. Most encoders use 4096 whatever they may use;
/// what this forgets is unknown.
const KEPT_OF_UNKNOWN_MAX: u64 = 16 << 10;

/// The dynamic table.
#[derive(Debug)]
pub(super) struct Table {
    /// The newest first.
    entries: VecDeque<Entry>,
    /// Size of `entries`.
    size: u64,
    /// The maximum size; `None` where it was not seen.
    max: Option<u64>,
    /// Bytes that may be kept, whatever the maximum is.
    cap: u64,
    /// There may be entries older than those kept.
    older: bool,
}

/// An entry that was seen to be inserted.
#[derive(Debug)]
pub(super) struct Entry {
    /// `None`: that of an entry that was not seen.
    pub(super) name: Option<Name>,
    pub(super) value: Box<[u8]>,
}

/// A field name; cheap to share among entries, so that a long one costs its bytes once.
#[derive(Clone, Debug)]
pub(super) enum Name {
    Static(&'static [u8]),
    Shared(Arc<[u8]>),
}

impl Name {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Static(name) => name,
            Self::Shared(name) => name,
        }
    }
}

/// What an index means.
#[derive(Debug)]
pub(super) enum Lookup<'t> {
    /// This.
    Known(&'t Entry),
    /// Something that was not seen, or is no longer kept.
    Unknown,
    /// Nothing: no correct encoder sends it.
    Absent,
}

impl Entry {
    fn size(&self) -> u64 {
        let name = self.name.as_ref().map_or(0, |name| name.bytes().len());
        (name + self.value.len()) as u64 + OVERHEAD
    }
}

impl Table {
    /// The table of a connection that begins: empty, of the default size. `cap`: bytes that may be
    /// kept of it.
    pub(super) fn new(cap: usize) -> Self {
        let (entries, max) = (VecDeque::new(), Some(DEFAULT_MAX));
        Self { entries, size: 0, max, cap: cap as u64, older: false }
    }

    /// Changes how many bytes may be kept.
    pub(super) fn set_cap(&mut self, cap: usize) {
        self.cap = cap as u64;
    }

    /// What `index` means; 0 is the newest entry.
    pub(super) fn get(&self, index: usize) -> Lookup<'_> {
        match self.entries.get(index) {
            Some(entry) => Lookup::Known(entry),
            None if self.older => Lookup::Unknown,
            None => Lookup::Absent,
        }
    }

    /// Whether every index is either known or means nothing.
    #[cfg(test)]
    pub(super) fn is_known(&self) -> bool {
        !self.older && self.entries.iter().all(|entry| entry.name.is_some())
    }

    /// Header blocks were not seen: the table may hold anything, of any size.
    pub(super) fn forget(&mut self) {
        self.entries = VecDeque::new();
        self.size = 0;
        self.max = None;
        self.older = true;
    }

    /// Inserts an entry.
    pub(super) fn insert(&mut self, entry: Entry) {
        let size = entry.size();
        if self.max.is_some_and(|max| size > max) {
            // RFC 7541 §4.4: this is no error, and leaves an empty table.
            self.entries.clear();
            self.size = 0;
            self.older = false;
            return;
        }
        self.evict_to(self.kept_max().saturating_sub(size));
        if size > self.kept_max() {
            // It is there, but too large to be kept: it and all that is older is unknown.
            self.older = true;
            return;
        }
        self.entries.push_front(entry);
        self.size += size;
        self.settle_older();
    }

    /// The encoder set the maximum size.
    pub(super) fn resize(&mut self, max: u64) {
        self.max = Some(max);
        self.evict_to(self.kept_max());
        self.settle_older();
    }

    /// Bytes of memory held.
    pub(super) fn held_bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>()
            + usize::try_from(self.size).unwrap_or(usize::MAX)
    }

    /// Bytes of entries kept at the most.
    fn kept_max(&self) -> u64 {
        self.max.unwrap_or(KEPT_OF_UNKNOWN_MAX).min(self.cap)
    }

    /// Takes the oldest entries until the others have `size` at the most.
    fn evict_to(&mut self, size: u64) {
        while self.size > size
            && let Some(entry) = self.entries.pop_back()
        {
            self.size -= entry.size();
            self.older |= self.max.is_none_or(|max| max > self.kept_max());
        }
    }

    /// Whether there can be anything older than what is kept.
    fn settle_older(&mut self) {
        self.older &= self.max.is_none_or(|max| self.size + OVERHEAD <= max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, value: &str) -> Entry {
        Entry { name: Some(Name::Shared(name.as_bytes().into())), value: value.as_bytes().into() }
    }

    /// Known entries as `name=value`, the newest first; `?` at the end where older ones may be.
    fn shown(table: &Table) -> String {
        let name = |e: &Entry| match &e.name {
            Some(name) => String::from_utf8_lossy(name.bytes()).into_owned(),
            None => "?".into(),
        };
        let mut parts: Vec<_> = table
            .entries
            .iter()
            .map(|e| format!("{}={}", name(e), String::from_utf8_lossy(&e.value)))
            .collect();
        if table.older {
            parts.push("?".into());
        }
        parts.join(" ")
    }

    #[test]
    fn the_oldest_entries_make_room_and_the_newest_comes_first() {
        let mut table = Table::new(64 << 10);
        table.resize(100);
        table.insert(entry("a", "1"));
        table.insert(entry("b", "2"));
        assert_eq!(shown(&table), "b=2 a=1");
        table.insert(entry("c", "3"));
        assert_eq!(shown(&table), "c=3 b=2");
        table.insert(entry("c", "3"));
        assert_eq!(shown(&table), "c=3 c=3");
        assert!(matches!(table.get(2), Lookup::Absent));
    }

    #[test]
    fn an_entry_above_the_maximum_empties_the_table() {
        let mut table = Table::new(64 << 10);
        table.resize(40);
        table.insert(entry("a", "1"));
        table.insert(entry("b", "too large for it"));
        assert_eq!(shown(&table), "");
    }

    #[test]
    fn a_table_that_was_not_seen_is_unknown_beyond_what_was_inserted() {
        let mut table = Table::new(64 << 10);
        table.insert(entry("a", "1"));
        table.forget();
        assert!(matches!(table.get(0), Lookup::Unknown));
        table.insert(entry("b", "2"));
        assert_eq!(shown(&table), "b=2 ?");
        assert!(matches!(table.get(1), Lookup::Unknown));
    }

    #[test]
    fn a_maximum_that_known_entries_fill_leaves_nothing_older() {
        let mut table = Table::new(64 << 10);
        table.forget();
        table.insert(entry("a", "1"));
        table.resize(200);
        assert_eq!(shown(&table), "a=1 ?");
        for n in 0..5 {
            table.insert(entry("b", &n.to_string()));
        }
        assert_eq!(shown(&table), "b=4 b=3 b=2 b=1 b=0");
        table.forget();
        table.insert(entry("c", "3"));
        table.resize(0);
        assert_eq!(shown(&table), "");
    }

    #[test]
    fn what_the_cap_takes_is_unknown_and_not_absent() {
        let mut table = Table::new(70);
        table.insert(entry("a", "1"));
        table.insert(entry("b", "2"));
        table.insert(entry("c", "3"));
        assert_eq!(shown(&table), "c=3 b=2 ?");
        table.insert(entry("d", &"4".repeat(100)));
        assert_eq!(shown(&table), "?");
        table.insert(entry("e", "5"));
        assert_eq!(shown(&table), "e=5 ?");
    }

    #[test]
    fn an_entry_of_unknown_name_keeps_its_place() {
        let mut table = Table::new(64 << 10);
        table.forget();
        table.insert(Entry { name: None, value: b"1"[..].into() });
        table.insert(entry("b", "2"));
        assert_eq!(shown(&table), "b=2 ?=1 ?");
    }
}

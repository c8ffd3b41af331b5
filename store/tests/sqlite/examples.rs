//! Which pairs keep their messages: the same ones, however traffic is cut into batches and runs.

use crate::traffic::*;
use compare::{PairId, SignatureId};
use store::{Limits, Query, SqliteStore, Store};

const PRICE: SignatureId = SignatureId(0x51);

fn within(examples_per_signature: u32) -> Limits {
    Limits { examples_per_signature, ..Limits::default() }
}

/// The examples of a store that was given `pairs` pairs, a new batch every `batch` pairs and a new
/// run every `run` pairs.
fn chosen(store: &mut SqliteStore, pairs: u64, batch: u64, run: u64) -> Vec<String> {
    let mut batcher = batcher_within(within(4));
    for n in 0..pairs {
        batcher.add(&diverged(n, vec![price("1", "2")]));
        if (n + 1) % batch == 0 {
            store.write(&batcher.take()).unwrap();
        }
        if (n + 1) % run == 0 {
            store.write(&batcher.take()).unwrap();
            // A new run knows nothing of what the store has.
            batcher = batcher_within(within(4));
        }
    }
    store.write(&batcher.take()).unwrap();
    let detail = store.signature(PRICE, None).unwrap().unwrap();
    assert_eq!(detail.signature.count, pairs);
    assert!(detail.examples.iter().all(|pair| pair.primary.exchange.is_some()));
    detail.signature.examples
}

#[test]
fn the_same_examples_are_kept_whatever_the_cuts_between_batches_and_runs() {
    let in_memory = |batch, run| chosen(&mut SqliteStore::in_memory().unwrap(), 300, batch, run);
    let expected = in_memory(300, 300);
    assert!(expected.len() >= 4 && expected.len() <= 5, "{expected:?}");
    assert_eq!(expected[0], matched(0).id.to_string(), "the first is always one");
    for (batch, run) in [(1, 300), (7, 300), (7, 50), (300, 1), (13, 29)] {
        assert_eq!(in_memory(batch, run), expected, "{batch} {run}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    let mut file = SqliteStore::create_or_open(&path).unwrap();
    assert_eq!(chosen(&mut file, 300, 11, 40), expected);
    drop(file);
    let held: i64 = rusqlite::Connection::open(&path)
        .unwrap()
        .query_row("SELECT count(*) FROM example", [], |row| row.get(0))
        .unwrap();
    assert_eq!(held, i64::try_from(expected.len()).unwrap(), "messages of the others are gone");
}

#[test]
fn examples_come_from_the_whole_of_a_signatures_life() {
    let mut store = SqliteStore::in_memory().unwrap();
    let mut batcher = batcher_within(within(40));
    for n in 0..2_000 {
        batcher.add(&diverged(n, vec![price("1", "2")]));
    }
    store.write(&batcher.take()).unwrap();
    let detail = store.signature(PRICE, None).unwrap().unwrap();
    let first = matched(0).id.0;
    let id = |pair: &String| u64::from_str_radix(&pair[2..], 16).unwrap() - first;
    let later = detail.signature.examples.iter().filter(|pair| id(pair) >= 1_000).count();
    assert!((10..=30).contains(&later), "{later} of 40 from the second half");
}

#[test]
fn an_earlier_capture_read_later_has_the_first_example() {
    let mut store = SqliteStore::in_memory().unwrap();
    for n in [500, 20, 900] {
        let mut batcher = batcher_within(within(1));
        batcher.add(&diverged(n, vec![price("1", "2")]));
        store.write(&batcher.take()).unwrap();
    }
    let examples = store.signature(PRICE, None).unwrap().unwrap().signature.examples;
    assert_eq!(examples[0], matched(20).id.to_string());
    assert!(examples.len() <= 2, "{examples:?}");
}

#[test]
fn a_pair_that_was_read_twice_is_one_example() {
    let mut store = SqliteStore::in_memory().unwrap();
    for _ in 0..3 {
        let mut batcher = batcher_within(within(10));
        batcher.add(&diverged(1, vec![price("1", "2")]));
        store.write(&batcher.take()).unwrap();
    }
    let detail = store.signature(PRICE, None).unwrap().unwrap();
    assert_eq!(detail.signature.examples, [PairId(matched(1).id.0).to_string()]);
}

#[test]
fn memory_keeps_no_pair_but_examples() {
    let mut store = SqliteStore::in_memory().unwrap();
    let examples = chosen(&mut store, 200, 200, 200);
    let kept = (0..200).filter(|&n| store.pair(matched(n).id).unwrap().is_some()).count();
    assert_eq!(kept, examples.len());
    assert_eq!(store.report(&Query::default()).unwrap().services[1].signatures[0].pairs, 200);
}

#[test]
fn messages_of_pairs_that_cannot_be_chosen_are_not_written_out() {
    let mut batcher = batcher_within(within(4));
    for n in 0..2_000 {
        batcher.add(&diverged(n, vec![price("1", "2")]));
    }
    let mut store = SqliteStore::in_memory().unwrap();
    let written = store.write(&batcher.take()).unwrap();
    // Expected are 4 + 4 ln(2000 / 4), about 29, most of which made room for others later.
    assert!((5..80).contains(&written.examples), "{}", written.examples);
    assert_eq!(batcher.left_out().examples, 0);
}

#[test]
fn bytes_of_examples_that_made_room_are_free_again() {
    let limits = Limits { example_bytes: 20_000, examples_per_signature: 2, ..Limits::default() };
    let mut batcher = batcher_within(limits);
    for n in 0..5_000 {
        batcher.add(&diverged(n, vec![price("1", "2")]));
    }
    let _ = batcher.take();
    assert_eq!(batcher.left_out().examples, 0, "three examples of some 1,500 bytes fit");
}

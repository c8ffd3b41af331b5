//! Files that are stores, files that are not, and two processes at one store.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::traffic::*;
use rusqlite::Connection;
use store::{Query, SqliteStore, Store, StoreError};

/// What opening `path` for writing says.
fn refused(path: &Path) -> String {
    SqliteStore::create_or_open(path).unwrap_err().to_string()
}

fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn what_was_written_is_there_when_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    for expected in [1, 2] {
        let mut store = SqliteStore::create_or_open(&path).unwrap();
        let mut batcher = batcher();
        batcher.add_rollups(vec![rollup(0, ITEMS, counts(1, 0, 0, &[1_000]))]);
        store.write(&batcher.take()).unwrap();
        drop(store);
        let reader = SqliteStore::open_read_only(&path).unwrap();
        let shop = &reader.report(&Query::default()).unwrap().services[1];
        assert_eq!(shop.pairs.matched, expected);
        assert_eq!(shop.endpoints[0].latency.shadow.total.count, expected);
    }
}

#[test]
fn a_reader_of_nothing_is_told_how_to_make_a_store() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    let error = SqliteStore::open_read_only(&path).unwrap_err().to_string();
    let path = path.display();
    assert_eq!(
        error,
        format!(
            "no store at {path}; start 'tapdiff run' or 'tapdiff analyze --store {path}' first"
        )
    );
    assert!(names_in(folder.path()).is_empty());
}

#[test]
fn a_file_that_is_no_store_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("notes.txt");
    std::fs::write(&text, "shopping list, long enough to be a header").unwrap();
    let foreign = folder.path().join("foreign.db");
    Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    let before = (std::fs::read(&text).unwrap(), std::fs::read(&foreign).unwrap());
    assert!(refused(&text).ends_with("notes.txt: not a tapdiff store; name another file"));
    assert!(refused(&foreign).contains("a database of another application"));
    assert!(refused(folder.path()).contains("not a tapdiff store"));
    let error = SqliteStore::open_read_only(&foreign).unwrap_err();
    assert!(matches!(error, StoreError::Foreign { .. }), "{error}");
    assert_eq!((std::fs::read(&text).unwrap(), std::fs::read(&foreign).unwrap()), before);
    assert_eq!(names_in(folder.path()), ["foreign.db", "notes.txt"]);
}

#[test]
fn a_store_of_another_version_is_refused_with_both_versions() {
    let folder = tempfile::tempdir().unwrap();
    for (version, expected) in [
        (7, "made by a newer tapdiff (schema 7, this one reads 2): upgrade tapdiff or name"),
        (0, "made by an older tapdiff (schema 0, this one reads 2)"),
    ] {
        let path = folder.path().join(format!("{version}.db"));
        drop(SqliteStore::create_or_open(&path).unwrap());
        let connection = Connection::open(&path).unwrap();
        connection.pragma_update(None, "user_version", version).unwrap();
        drop(connection);
        assert!(refused(&path).contains(expected), "{}", refused(&path));
        let reader = SqliteStore::open_read_only(&path).unwrap_err().to_string();
        assert!(reader.contains(expected), "{reader}");
    }
}

#[test]
fn a_place_that_cannot_be_written_is_named_and_left_empty() {
    let folder = tempfile::tempdir().unwrap();
    let error = refused(&folder.path().join("no/such/folder/s.db"));
    assert!(error.contains("the store cannot be written (no such file or directory)"), "{error}");
    assert!(names_in(folder.path()).is_empty());
    // A folder where the log would have to be: the database itself can be made, then it fails.
    std::fs::create_dir(folder.path().join("s.db-journal")).unwrap();
    std::fs::create_dir(folder.path().join("s.db-wal")).unwrap();
    let error = SqliteStore::create_or_open(&folder.path().join("s.db")).unwrap_err();
    assert_eq!(names_in(folder.path()), ["s.db-journal", "s.db-wal"], "{error}");
}

#[test]
fn a_second_writer_is_refused_and_told_who_writes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    let first = SqliteStore::create_or_open(&path).unwrap();
    let error = refused(&path);
    let holder = format!("another tapdiff (process {}) writes this store", std::process::id());
    assert!(error.contains(&holder), "{error}");
    SqliteStore::open_read_only(&path).unwrap();
    drop(first);
    SqliteStore::create_or_open(&path).unwrap();
}

#[test]
fn a_process_that_died_while_it_made_the_store_leaves_no_obstacle() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    // The state before the schema's transaction: a database with nothing in it.
    let connection = Connection::open(&path).unwrap();
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(())).unwrap();
    drop(connection);
    assert!(std::fs::metadata(&path).unwrap().len() > 0);
    let reader = SqliteStore::open_read_only(&path).unwrap_err();
    assert!(matches!(reader, StoreError::Missing { .. }), "{reader}");
    SqliteStore::create_or_open(&path).unwrap();
    SqliteStore::open_read_only(&path).unwrap();
}

#[test]
fn a_damaged_store_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    let mut store = SqliteStore::create_or_open(&path).unwrap();
    let mut batcher = batcher();
    batcher.add(&matched(1));
    batcher.add_rollups(vec![rollup(0, ITEMS, counts(1, 0, 0, &[1_000]))]);
    store.write(&batcher.take()).unwrap();
    drop(store);
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch("UPDATE latency SET histogram = x'00'; UPDATE matched SET bytes = x'ff'")
        .unwrap();
    drop(connection);
    let reader = SqliteStore::open_read_only(&path).unwrap();
    let error = reader.report(&Query::default()).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    let error = reader.pair(matched(1).id).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
}

#[test]
fn a_batch_that_fails_half_way_is_not_stored_in_part() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    let mut store = SqliteStore::create_or_open(&path).unwrap();
    let mut batcher = batcher();
    batcher.add_rollups(vec![rollup(0, ITEMS, counts(1, 1, 0, &[1_000]))]);
    store.write(&batcher.take()).unwrap();
    let other = Connection::open(&path).unwrap();
    let good: Vec<u8> =
        other.query_row("SELECT histogram FROM latency LIMIT 1", [], |row| row.get(0)).unwrap();
    other.execute_batch("UPDATE latency SET histogram = x'00'").unwrap();

    // The histograms come last: pairs, signatures and accounts are written before it fails.
    batcher.add(&matched(1));
    batcher.add(&diverged(2, vec![price("1", "2")]));
    batcher.add_rollups(vec![rollup(0, ITEMS, counts(1, 1, 0, &[1_000]))]);
    let batch = batcher.take();
    let error = store.write(&batch).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
    other.execute("UPDATE latency SET histogram = ?1", [good]).unwrap();
    let report = store.report(&Query::default()).unwrap();
    let shop = report.services.iter().find(|service| service.service == "shop").unwrap();
    assert_eq!((shop.accounts.primary.seen, shop.pairs.compared, shop.signatures.len()), (2, 2, 0));
    assert!(store.pair(matched(1).id).unwrap().is_none());
    assert!(store.pair(matched(2).id).unwrap().is_none());

    store.write(&batch).unwrap();
    assert_eq!(store.pair(matched(2).id).unwrap().unwrap().verdict, "diverged");
}

#[test]
fn a_reader_beside_the_writer_sees_batches_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s.db");
    let mut store = SqliteStore::create_or_open(&path).unwrap();
    let done = AtomicBool::new(false);
    let rounds = 60;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut batcher = batcher();
            for n in 0..rounds {
                batcher.add(&diverged(n, vec![price("1", "2")]));
                batcher.add(&matched(1_000 + n));
                batcher.add_rollups(vec![rollup(0, ITEMS, counts(1, 1, 0, &[n + 1]))]);
                store.write(&batcher.take()).unwrap();
            }
            done.store(true, Ordering::Release);
        });
        let mut last = 0;
        loop {
            let finished = done.load(Ordering::Acquire);
            let reader = SqliteStore::open_read_only(&path).unwrap();
            let report = reader.report(&Query::default()).unwrap();
            if let Some(shop) = report.services.iter().find(|s| s.service == "shop") {
                let batches = shop.pairs.diverged;
                assert_eq!(shop.pairs.matched, batches);
                assert_eq!(shop.accounts.primary.seen, 2 * batches);
                assert_eq!(shop.signatures[0].count, batches);
                assert!(batches >= last);
                last = batches;
            }
            if finished {
                break;
            }
        }
        assert_eq!(last, rounds);
    });
}

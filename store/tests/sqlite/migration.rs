//! A store that an earlier tapdiff made is brought up to date, with all that was in it.

use std::path::{Path, PathBuf};

use crate::traffic::*;
use compare::SignatureId;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Serializer, V2Serializer};
use rusqlite::{Connection, params};
use store::{Query, SqliteStore, Store, StoreError};

/// A store as schema version 1 had it: two endpoints, a minute, a diverged pair that is an example,
/// one that could not be judged, and a block with one matched pair.
fn version_1(folder: &Path) -> PathBuf {
    let path = folder.join("s.db");
    let db = Connection::open(&path).unwrap();
    db.pragma_update(None, "journal_mode", "wal").unwrap();
    db.execute_batch(include_str!("version-1.sql")).unwrap();
    db.pragma_update(None, "application_id", 0x7461_7064).unwrap();
    db.pragma_update(None, "user_version", 1).unwrap();
    let minute = i64::try_from(START).unwrap();
    let at = |ms: i64| minute + ms * 1_000_000;
    db.execute_batch(&format!(
        "INSERT INTO run VALUES (1, {minute}, 'edge-1', '0.1.0', 'c0ffee', {minute}, {minute},
             '{{\"packets\": 7}}', 0, 0);
         INSERT INTO service VALUES (1, 'shop');
         INSERT INTO run_service VALUES (1, 1);
         INSERT INTO endpoint VALUES (1, 1, 'GET /'), (2, 1, '{ITEMS}');
         INSERT INTO pair VALUES
             (1, 17, 1, 2, {}, 'k', NULL, 200, 1, 2, 200, 3, 4),
             (2, 18, 1, 2, {}, 'l', 'gap', 200, 1, 2, NULL, NULL, NULL);
         INSERT INTO divergence VALUES (1, 0, 81, '/price', '1', '2');
         INSERT INTO signature VALUES (81, 2, 'body', '/price', 'value');
         INSERT INTO signature_minute VALUES ({minute}, 81, 1, 1, {}, {});
         INSERT INTO signature_example VALUES (81, 1);
         INSERT INTO rollup VALUES ({minute}, 1, 1, 0, 0), ({minute}, 2, 0, 1, 0);
         INSERT INTO account VALUES ({minute}, 1, 'primary', 'compared', 1),
             ({minute}, 2, 'primary', 'compared', 1), ({minute}, 2, 'primary', 'incomparable', 1);
         INSERT INTO incomparable VALUES ({minute}, 2, 'gap', 1);
         INSERT INTO suppressed VALUES ({minute}, 2, 'header:x-backend', 1);",
        at(5),
        at(6),
        at(5),
        at(5)
    ))
    .unwrap();
    let exchange =
        r#"{"client":"a","server":"b","evidence":"complete","request":null,"response":null}"#;
    db.execute("INSERT INTO example VALUES (1, ?1, ?1)", [exchange]).unwrap();
    let mut histogram = Histogram::<u64>::new_with_bounds(1, 3_600_000_000, 2).unwrap();
    histogram.record(5_000).unwrap();
    let mut bytes = Vec::new();
    V2Serializer::new().serialize(&histogram, &mut bytes).unwrap();
    db.execute(
        "INSERT INTO latency VALUES (?1, 2, 'primary', 'total', ?2)",
        params![minute, bytes],
    )
    .unwrap();
    // One endpoint id, then one pair: id 19, the first endpoint, at 0, its key "m", both legs 200.
    let block =
        [&[1, 1][..], &19_u64.to_le_bytes(), &[0, 0, 2, b'm', 0xc8, 1, 2, 3, 0xc8, 1, 2, 3]];
    db.execute("INSERT INTO matched VALUES (1, 1, 0, 0, 1, ?1)", [block.concat()]).unwrap();
    path
}

fn shape(path: &Path) -> Vec<(String, String)> {
    let db = Connection::open(path).unwrap();
    let mut rows = db
        .prepare(
            "SELECT t.name, group_concat(c.name || ' ' || c.type || ' ' || c.\"notnull\" || ' ' || c.pk)
             FROM sqlite_schema t JOIN pragma_table_info(t.name) c
             WHERE t.type = 'table' GROUP BY t.name
             UNION ALL
             SELECT i.name, i.sql FROM sqlite_schema i WHERE i.type = 'index' AND i.sql IS NOT NULL
             ORDER BY 1",
        )
        .unwrap();
    let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.map(|row| {
        let (name, columns): (String, String) = row.unwrap();
        // Added columns stand at the end: their order means nothing.
        let mut columns: Vec<&str> = columns.split(',').collect();
        columns.sort_unstable();
        (name, columns.join(","))
    })
    .collect()
}

#[test]
fn nothing_of_an_older_store_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let path = version_1(folder.path());
    let store = SqliteStore::open_read_only(&path).unwrap();
    let report = store.report(&Query::default()).unwrap();
    let shop = &report.services[0];
    assert_eq!(
        (shop.pairs.matched, shop.pairs.diverged, shop.pairs.incomparable["gap"]),
        (1, 1, 1)
    );
    assert_eq!(shop.accounts.primary.seen, 3);
    assert_eq!(shop.capture.packets, 7);
    assert_eq!(shop.suppressed[0].rule, "header:x-backend");
    let items = shop.endpoints.iter().find(|e| e.endpoint == ITEMS).unwrap();
    assert_eq!(items.latency.primary.total.count, 1);
    assert_eq!((shop.releases.len(), shop.releases[0].names.to_string()), (1, "?..?".to_owned()));
    let signature = &shop.signatures[0];
    assert_eq!((signature.count, signature.examples.len()), (1, 1));
    let detail = store.signature(SignatureId(81), None).unwrap().unwrap();
    assert_eq!(detail.examples[0].divergences[0].shadow.as_deref(), Some("2"));
    assert!(detail.examples[0].primary.exchange.is_some());
    let matched = store.pair(compare::PairId(19)).unwrap().unwrap();
    assert_eq!(
        (&*matched.endpoint, &*matched.key, matched.shadow.status),
        ("GET /", "m", Some(200))
    );
}

#[test]
fn an_older_store_becomes_what_a_new_one_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = version_1(folder.path());
    drop(SqliteStore::create_or_open(&path).unwrap());
    let new = folder.path().join("new.db");
    drop(SqliteStore::create_or_open(&new).unwrap());
    assert_eq!(shape(&path), shape(&new));
}

#[test]
fn an_older_store_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = version_1(folder.path());
    let mut store = SqliteStore::create_or_open(&path).unwrap();
    let mut batcher = batcher();
    batcher.add(&diverged(1, vec![price("1", "2")]));
    batcher.add_rollups(vec![rollup(0, ITEMS, counts(4, 1, 0, &[7_000_000]))]);
    store.write(&batcher.take()).unwrap();
    let report = store.report(&Query::default()).unwrap();
    let shop = report.services.iter().find(|s| s.service == "shop").unwrap();
    let items = shop.endpoints.iter().find(|e| e.endpoint == ITEMS).unwrap();
    assert_eq!((items.compared, items.latency.primary.total.count), (6, 2));
    let price = shop.signatures.iter().find(|s| s.id == SignatureId(81).to_string()).unwrap();
    assert_eq!((price.count, price.examples.len()), (2, 2));
}

#[test]
fn one_that_cannot_be_written_is_left_as_it_is_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = version_1(folder.path());
    // A folder in place of the lock: nobody gets the right to write.
    std::fs::create_dir(folder.path().join("s.db.lock")).unwrap();
    let error = SqliteStore::open_read_only(&path).unwrap_err();
    assert!(matches!(error, StoreError::Older { found: 1, known: 2, .. }), "{error}");
    let said = error.to_string();
    assert!(said.contains("schema 1, this one reads 2") && said.contains("may write it"), "{said}");
    let db = Connection::open(&path).unwrap();
    let version: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    assert_eq!(version, 1);
}

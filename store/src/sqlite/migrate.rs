//! Older stores become what this tapdiff writes: one transaction a version, nothing lost.

use compare::PairId;
use rusqlite::{Connection, TransactionBehavior, params};

use super::schema;
use crate::sample::rank;

/// Oldest version that can be brought up to date.
pub(super) const OLDEST: i64 = 1;

/// Brings a store of version `found` up to date.
pub(super) fn migrate(connection: &mut Connection, found: i64) -> Result<(), rusqlite::Error> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if found <= 1 {
        to_version_2(&transaction)?;
    }
    transaction.pragma_update(None, "user_version", schema::VERSION)?;
    transaction.commit()
}

/// Slices come between endpoints and what is counted of them. Each endpoint's first slice, of
/// releases that are not known, has the endpoint's own id: so every row, and every block of matched
/// pairs, keeps its meaning as it is.
fn to_version_2(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.execute_batch(
        "
ALTER TABLE run ADD COLUMN settings TEXT NOT NULL DEFAULT '{}';

CREATE TABLE slice (
    id INTEGER PRIMARY KEY,
    endpoint INTEGER NOT NULL,
    primary_release TEXT NOT NULL,
    shadow_release TEXT NOT NULL,
    UNIQUE (endpoint, primary_release, shadow_release)
);
INSERT INTO slice SELECT id, id, '', '' FROM endpoint;

ALTER TABLE pair RENAME COLUMN endpoint TO slice;
ALTER TABLE rollup RENAME COLUMN endpoint TO slice;
ALTER TABLE account RENAME COLUMN endpoint TO slice;
ALTER TABLE incomparable RENAME COLUMN endpoint TO slice;
ALTER TABLE suppressed RENAME COLUMN endpoint TO slice;
ALTER TABLE latency RENAME COLUMN endpoint TO slice;

ALTER TABLE rollup ADD COLUMN errors_neither INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rollup ADD COLUMN errors_primary_only INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rollup ADD COLUMN errors_shadow_only INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rollup ADD COLUMN errors_both INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rollup ADD COLUMN primary_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rollup ADD COLUMN shadow_bytes INTEGER NOT NULL DEFAULT 0;

DROP INDEX signature_minute_by_signature;
ALTER TABLE signature_minute RENAME TO old_signature_minute;
CREATE TABLE signature_minute (
    minute INTEGER NOT NULL,
    signature INTEGER NOT NULL,
    slice INTEGER NOT NULL,
    count INTEGER NOT NULL,
    pairs INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    PRIMARY KEY (minute, signature, slice)
) WITHOUT ROWID;
INSERT INTO signature_minute
    SELECT minute, signature, signature.endpoint, count, pairs, first, last
    FROM old_signature_minute JOIN signature ON signature.id = old_signature_minute.signature;
DROP TABLE old_signature_minute;
CREATE INDEX signature_minute_by_signature ON signature_minute (signature);

CREATE TABLE noise (
    signature INTEGER PRIMARY KEY,
    service INTEGER NOT NULL,
    endpoint TEXT NOT NULL,
    kind TEXT NOT NULL,
    pattern TEXT NOT NULL,
    change TEXT NOT NULL,
    cause TEXT,
    at INTEGER NOT NULL,
    memory TEXT NOT NULL
);

CREATE TABLE template (
    service INTEGER NOT NULL,
    template TEXT NOT NULL,
    takes TEXT NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (service, template, takes)
) WITHOUT ROWID;

CREATE TABLE acknowledged (
    signature INTEGER PRIMARY KEY,
    reason TEXT NOT NULL,
    by TEXT NOT NULL,
    at INTEGER NOT NULL,
    until INTEGER
);

ALTER TABLE signature_example RENAME TO old_signature_example;
CREATE TABLE signature_example (
    signature INTEGER NOT NULL,
    rank INTEGER NOT NULL,
    pair INTEGER NOT NULL,
    PRIMARY KEY (signature, rank)
) WITHOUT ROWID;
",
    )?;
    rank_examples(connection)?;
    connection.execute_batch(
        "DROP TABLE old_signature_example;
         CREATE INDEX signature_example_by_pair ON signature_example (pair);",
    )
}

/// The examples that there are take part in the draw. Version 1 kept the first ones: none is lost,
/// and later pairs take their places by rank.
fn rank_examples(connection: &Connection) -> Result<(), rusqlite::Error> {
    let mut rows = connection.prepare(
        "SELECT old_signature_example.signature, pair.id, pair.pair, pair.start
         FROM old_signature_example JOIN pair ON pair.id = old_signature_example.pair
         ORDER BY old_signature_example.signature, pair.start, pair.pair",
    )?;
    let mut insert = connection.prepare(
        "INSERT OR IGNORE INTO signature_example (signature, rank, pair) VALUES (?1, ?2, ?3)",
    )?;
    let mut rows = rows.query([])?;
    while let Some(row) = rows.next()? {
        let (signature, row_id): (i64, i64) = (row.get(0)?, row.get(1)?);
        let pair = PairId(row.get::<_, i64>(2)?.cast_unsigned());
        // The first row of each signature is its first pair; for the others it is taken already.
        insert.execute(params![signature, FIRST, row_id])?;
        insert.execute(params![signature, rank(pair), row_id])?;
    }
    Ok(())
}

/// Rank of a signature's first pair.
pub(super) const FIRST: i64 = -1;

//! What was said of signatures: the one thing that is written beside the daemon.

use compare::{Change, SignatureId};
use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};

use super::row::at;
use super::row::{id, nanos};
use crate::{Acknowledged, Acknowledgement};

pub(super) fn put(
    connection: &mut Connection,
    said: &Acknowledgement,
) -> Result<Acknowledged, rusqlite::Error> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let signature = said.signature.0.cast_signed();
    let change: Option<String> = transaction
        .prepare_cached("SELECT change FROM signature WHERE id = ?1")?
        .query_row([signature], |row| row.get(0))
        .optional()?;
    match change {
        None => return Ok(Acknowledged::NotSeen),
        Some(change) if change == Change::More.as_str() => return Ok(Acknowledged::NotListed),
        Some(_) => {}
    }
    let before = transaction
        .prepare_cached(&format!("{SELECT} WHERE signature = ?1"))?
        .query_row([signature], read)
        .optional()?;
    transaction
        .prepare_cached(
            "INSERT OR REPLACE INTO acknowledged (signature, reason, by, at, until)
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![signature, said.reason, said.by, at(said.at), said.until.map(at)])?;
    transaction.commit()?;
    Ok(before.map_or(Acknowledged::Stored, Acknowledged::Replaced))
}

pub(super) fn take_back(
    connection: &Connection,
    signature: SignatureId,
) -> Result<bool, rusqlite::Error> {
    let rows = connection
        .prepare_cached("DELETE FROM acknowledged WHERE signature = ?1")?
        .execute([signature.0.cast_signed()])?;
    Ok(rows > 0)
}

/// All of them, by the moment they were said.
pub(super) fn all(connection: &Connection) -> Result<Vec<Acknowledgement>, rusqlite::Error> {
    connection
        .prepare_cached(&format!("{SELECT} ORDER BY at, signature"))?
        .query_map([], read)?
        .collect()
}

const SELECT: &str = "SELECT signature, reason, by, at, until FROM acknowledged";

fn read(row: &Row<'_>) -> Result<Acknowledgement, rusqlite::Error> {
    Ok(Acknowledgement {
        signature: SignatureId(id(row, 0)?),
        reason: row.get(1)?,
        by: row.get(2)?,
        at: nanos(row.get(3)?),
        until: row.get::<_, Option<i64>>(4)?.map(nanos),
    })
}

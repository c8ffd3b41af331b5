//! One pair, all pairs that diverged, or one signature with its examples.

use capture::Timestamp;
use compare::{PairId, SignatureId};
use rusqlite::{Connection, OptionalExtension, Row};

use super::SqliteStore;
use super::read::in_one_state;
use super::row::{conversion, id, nanos, optional_count};
use super::signatures::{Asked, signatures};
use super::window::Window;
use crate::block::{LegRow, Pairs};
use crate::detail::{DivergenceDetail, LegDetail, PairDetail, SignatureDetail};
use crate::report::ReleaseNames;
use crate::time::rfc3339;
use crate::{Query, StoreError};

pub(super) fn pair(store: &SqliteStore, id: PairId) -> Result<Option<PairDetail>, StoreError> {
    in_one_state(store, |connection| match judged_pair(connection, id)? {
        Some(pair) => Ok(Some(pair)),
        None => matched_pair(connection, id),
    })
}

pub(super) fn signature(
    store: &SqliteStore,
    id: SignatureId,
    as_of: Option<Timestamp>,
) -> Result<Option<SignatureDetail>, StoreError> {
    in_one_state(store, |connection| {
        let asked = Asked { window: Window::ALL, only: Some(id), as_of };
        let mut found = signatures(connection, &asked, |_| true)?;
        let Some((endpoint, signature)) = found.pop() else { return Ok(None) };
        let service = connection
            .prepare_cached(
                "SELECT service.name FROM endpoint JOIN service ON service.id = endpoint.service
                 WHERE endpoint.id = ?1",
            )?
            .query_row([endpoint], |row| row.get(0))?;
        let ids: Vec<u64> = connection
            .prepare_cached(
                "SELECT DISTINCT pair.pair FROM signature_example
                 JOIN pair ON pair.id = signature_example.pair
                 WHERE signature_example.signature = ?1 ORDER BY pair.start, pair.pair",
            )?
            .query_map([id.0.cast_signed()], |row| row.get::<_, i64>(0).map(i64::cast_unsigned))?
            .collect::<Result<_, _>>()?;
        let mut examples = Vec::with_capacity(ids.len());
        for id in ids {
            examples.extend(judged_pair(connection, PairId(id))?);
        }
        Ok(Some(SignatureDetail { service, signature, examples }))
    })
}

/// What is read of a pair that did not match.
const PAIR: &str = "SELECT pair.id, service.name, endpoint.name, key, start, incomparable,
         primary_status, primary_first_byte_us, primary_total_us,
         shadow_status, shadow_first_byte_us, shadow_total_us,
         primary_exchange, shadow_exchange, primary_release, shadow_release, pair.pair
     FROM pair
     JOIN slice ON slice.id = pair.slice
     JOIN endpoint ON endpoint.id = slice.endpoint
     JOIN service ON service.id = endpoint.service
     LEFT JOIN example ON example.pair = pair.id";

/// A pair that did not match.
fn judged_pair(
    connection: &Connection,
    pair: PairId,
) -> Result<Option<PairDetail>, rusqlite::Error> {
    // Seen in several runs: rather the one that kept its messages.
    let found = connection
        .prepare_cached(&format!(
            "{PAIR} WHERE pair.pair = ?1 ORDER BY example.pair IS NULL, pair.id LIMIT 1"
        ))?
        .query_row([pair.0.cast_signed()], read_pair)
        .optional()?;
    let Some((row_id, mut detail)) = found else { return Ok(None) };
    detail.divergences = divergences(connection, row_id)?;
    Ok(Some(detail))
}

/// Gives `each` the pairs that diverged, as [`crate::Store::diverged`] says.
pub(super) fn diverged(
    store: &SqliteStore,
    query: &Query,
    each: &mut dyn FnMut(PairDetail),
) -> Result<(), StoreError> {
    let window = Window::of(query);
    in_one_state(store, |connection| {
        let mut rows = connection.prepare_cached(&format!(
            "{PAIR} WHERE incomparable IS NULL AND start >= ?1 AND start < ?2
             ORDER BY start, pair.pair, pair.id"
        ))?;
        let mut rows = rows.query([window.from, window.to])?;
        let is = |wanted: &Option<String>, name: &str| wanted.as_deref().is_none_or(|w| w == name);
        while let Some(row) = rows.next()? {
            let (row_id, mut detail) = read_pair(row)?;
            let of_release =
                query.release.as_ref().is_none_or(|wanted| wanted.covers(&detail.releases));
            if is(&query.service, &detail.service)
                && is(&query.endpoint, &detail.endpoint)
                && of_release
            {
                detail.divergences = divergences(connection, row_id)?;
                each(detail);
            }
        }
        Ok(())
    })
}

/// A row of [`PAIR`]: its id, and the pair without its divergences.
fn read_pair(row: &Row<'_>) -> Result<(i64, PairDetail), rusqlite::Error> {
    let leg = |first: usize, exchange: usize| -> Result<LegDetail, rusqlite::Error> {
        let exchange: Option<String> = row.get(exchange)?;
        Ok(LegDetail {
            status: row.get(first)?,
            first_byte_us: optional_count(row, first + 1)?,
            total_us: optional_count(row, first + 2)?,
            exchange: exchange
                .map(|json| serde_json::from_str(&json).map_err(conversion))
                .transpose()?,
        })
    };
    let reason: Option<String> = row.get(5)?;
    let verdict = if reason.is_some() { "incomparable" } else { "diverged" };
    let detail = PairDetail {
        id: PairId(id(row, 16)?).to_string(),
        service: row.get(1)?,
        endpoint: row.get(2)?,
        releases: ReleaseNames { primary: row.get(14)?, shadow: row.get(15)? },
        key: row.get(3)?,
        start: rfc3339(nanos(row.get(4)?)),
        verdict: verdict.to_owned(),
        reason,
        primary: leg(6, 12)?,
        shadow: leg(9, 13)?,
        divergences: Vec::new(),
    };
    Ok((row.get(0)?, detail))
}

fn divergences(
    connection: &Connection,
    row_id: i64,
) -> Result<Vec<DivergenceDetail>, rusqlite::Error> {
    let mut rows = connection.prepare_cached(
        "SELECT signature, kind, path, change, primary_value, shadow_value FROM divergence
         JOIN signature ON signature.id = divergence.signature
         WHERE pair = ?1 ORDER BY n",
    )?;
    let rows = rows.query_map([row_id], |row| {
        Ok(DivergenceDetail {
            signature: SignatureId(id(row, 0)?).to_string(),
            kind: row.get(1)?,
            path: row.get(2)?,
            change: row.get(3)?,
            primary: row.get(4)?,
            shadow: row.get(5)?,
        })
    })?;
    rows.collect()
}

/// A matched pair: no index leads to it, every block is read until it is found.
fn matched_pair(
    connection: &Connection,
    wanted: PairId,
) -> Result<Option<PairDetail>, rusqlite::Error> {
    let mut rows = connection.prepare_cached("SELECT bytes FROM matched ORDER BY id DESC")?;
    let mut rows = rows.query([])?;
    while let Some(row) = rows.next()? {
        let (slices, pairs) = Pairs::stored(row.get_ref(0)?.as_blob()?).map_err(conversion)?;
        for pair in pairs {
            let pair = pair.map_err(conversion)?;
            if pair.id != wanted.0 {
                continue;
            }
            let slice = slices.get(pair.slice as usize).copied().unwrap_or(0);
            let (service, endpoint, releases) = connection
                .prepare_cached(
                    "SELECT service.name, endpoint.name, primary_release, shadow_release FROM slice
                     JOIN endpoint ON endpoint.id = slice.endpoint
                     JOIN service ON service.id = endpoint.service WHERE slice.id = ?1",
                )?
                .query_row([slice.cast_signed()], |row| {
                    let releases = ReleaseNames { primary: row.get(2)?, shadow: row.get(3)? };
                    Ok((row.get(0)?, row.get(1)?, releases))
                })?;
            let leg = |leg: LegRow| LegDetail {
                status: leg.status,
                first_byte_us: leg.first_byte_us,
                total_us: leg.total_us,
                exchange: None,
            };
            return Ok(Some(PairDetail {
                id: wanted.to_string(),
                service,
                endpoint,
                releases,
                key: pair.key.text(),
                start: rfc3339(pair.start),
                verdict: "matched".to_owned(),
                reason: None,
                primary: leg(pair.primary),
                shadow: leg(pair.shadow),
                divergences: Vec::new(),
            }));
        }
    }
    Ok(None)
}

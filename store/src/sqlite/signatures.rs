//! Signatures as reports have them: how often, where, and what is known of them by now.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use capture::Timestamp;
use compare::{PairId, SignatureId};
use rusqlite::{Connection, params};

use super::acknowledge;
use super::row::{count, id, nanos};
use super::window::Window;
use crate::report::{AcknowledgementReport, ReleaseNames, SignatureReport};
use crate::time::rfc3339;

/// Which signatures are asked for.
pub(super) struct Asked {
    pub(super) window: Window,
    /// Only this one.
    pub(super) only: Option<SignatureId>,
    pub(super) as_of: Option<Timestamp>,
}

/// What was counted of a signature in the slices that are wanted.
struct Seen {
    endpoint: i64,
    report: SignatureReport,
    first: i64,
    last: i64,
    releases: BTreeSet<ReleaseNames>,
}

/// Signatures seen within the window in slices that `wanted` names, each with the endpoint row that
/// it belongs to; by id.
pub(super) fn signatures(
    connection: &Connection,
    asked: &Asked,
    wanted: impl Fn(i64) -> bool,
) -> Result<Vec<(i64, SignatureReport)>, rusqlite::Error> {
    let mut found = counted(connection, asked, &wanted)?;
    for (signature, pair) in examples(connection, asked, &wanted)? {
        if let Some(seen) = found.get_mut(&signature) {
            seen.report.examples.push(pair.to_string());
        }
    }
    for said in acknowledge::all(connection)? {
        if let Some(seen) = found.get_mut(&said.signature) {
            let expired = said.has_expired(asked.as_of);
            seen.report.acknowledged = !expired;
            seen.report.acknowledgement = Some(AcknowledgementReport {
                reason: said.reason,
                by: said.by,
                at: rfc3339(said.at),
                until: said.until.map(rfc3339),
                expired,
            });
        }
    }
    let mut rows =
        connection.prepare_cached("SELECT signature, cause FROM noise WHERE cause IS NOT NULL")?;
    let mut rows = rows.query([])?;
    while let Some(row) = rows.next()? {
        if let Some(seen) = found.get_mut(&SignatureId(id(row, 0)?)) {
            seen.report.noise = row.get(1)?;
        }
    }
    Ok(found
        .into_values()
        .map(|seen| {
            let mut report = seen.report;
            report.first_seen = rfc3339(nanos(seen.first));
            report.last_seen = rfc3339(nanos(seen.last));
            report.releases = seen.releases.into_iter().collect();
            (seen.endpoint, report)
        })
        .collect())
}

fn counted(
    connection: &Connection,
    asked: &Asked,
    wanted: &impl Fn(i64) -> bool,
) -> Result<BTreeMap<SignatureId, Seen>, rusqlite::Error> {
    let mut names = HashMap::new();
    let mut rows =
        connection.prepare_cached("SELECT id, primary_release, shadow_release FROM slice")?;
    let mut rows = rows.query([])?;
    while let Some(row) = rows.next()? {
        let releases = ReleaseNames { primary: row.get(1)?, shadow: row.get(2)? };
        names.insert(row.get::<_, i64>(0)?, releases);
    }
    let mut rows = connection.prepare_cached(
        "SELECT signature.id, signature_minute.slice, signature.endpoint, endpoint.name,
             kind, pattern, change, sum(count), sum(pairs), min(first), max(last)
         FROM signature_minute
         JOIN signature ON signature.id = signature_minute.signature
         JOIN endpoint ON endpoint.id = signature.endpoint
         WHERE minute >= ?1 AND minute < ?2 AND (?3 IS NULL OR signature_minute.signature = ?3)
         GROUP BY signature.id, signature_minute.slice",
    )?;
    let only = asked.only.map(|id| id.0.cast_signed());
    let mut rows = rows.query(params![asked.window.from, asked.window.to, only])?;
    let mut found: BTreeMap<SignatureId, Seen> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let (signature, slice) = (SignatureId(id(row, 0)?), row.get(1)?);
        if !wanted(slice) {
            continue;
        }
        let (first, last): (i64, i64) = (row.get(9)?, row.get(10)?);
        let seen = match found.entry(signature) {
            std::collections::btree_map::Entry::Occupied(seen) => seen.into_mut(),
            std::collections::btree_map::Entry::Vacant(none) => none.insert(Seen {
                endpoint: row.get(2)?,
                report: SignatureReport {
                    id: signature.to_string(),
                    endpoint: row.get(3)?,
                    kind: row.get(4)?,
                    path: row.get(5)?,
                    change: row.get(6)?,
                    count: 0,
                    pairs: 0,
                    first_seen: String::new(),
                    last_seen: String::new(),
                    examples: Vec::new(),
                    acknowledged: false,
                    acknowledgement: None,
                    noise: None,
                    releases: Vec::new(),
                },
                first,
                last,
                releases: BTreeSet::new(),
            }),
        };
        seen.report.count += count(row, 7)?;
        seen.report.pairs += count(row, 8)?;
        seen.first = seen.first.min(first);
        seen.last = seen.last.max(last);
        seen.releases.extend(names.get(&slice).cloned());
    }
    Ok(found)
}

/// Pairs that are kept with both messages, in order of time.
fn examples(
    connection: &Connection,
    asked: &Asked,
    wanted: &impl Fn(i64) -> bool,
) -> Result<Vec<(SignatureId, PairId)>, rusqlite::Error> {
    let mut rows = connection.prepare_cached(
        "SELECT DISTINCT signature_example.signature, pair.pair, pair.slice FROM signature_example
         JOIN pair ON pair.id = signature_example.pair
         WHERE pair.start >= ?1 AND pair.start < ?2
             AND (?3 IS NULL OR signature_example.signature = ?3)
         ORDER BY pair.start, pair.pair",
    )?;
    let only = asked.only.map(|id| id.0.cast_signed());
    let mut rows = rows.query(params![asked.window.from, asked.window.to, only])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        if wanted(row.get(2)?) {
            found.push((SignatureId(id(row, 0)?), PairId(id(row, 1)?)));
        }
    }
    Ok(found)
}

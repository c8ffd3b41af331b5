//! Questions, each answered from one read transaction.

use std::collections::{BTreeMap, HashMap};

use capture::Timestamp;
use compare::{Outcome, PairId, SignatureId};
use hdrhistogram::Histogram;
use rusqlite::{Connection, OptionalExtension, Row, params};

use super::SqliteStore;
use super::open::explained;
use super::write::{FIRST_BYTE, TOTAL, at, conversion, read_histogram};
use crate::batch::{MINUTE, minute_of};
use crate::block::{LegRow, Pairs};
use crate::detail::{DivergenceDetail, LegDetail, PairDetail, SignatureDetail};
use crate::report::{
    Accounts, EndpointReport, Latencies, LeftOutReport, LegAccounts, LegLatencies, PairCounts,
    Quantiles, REPORT_SCHEMA, Report, ServiceReport, SignatureReport, SuppressedCount,
};
use crate::time::rfc3339;
use crate::{AgentCounters, Query, StoreError};

pub(super) fn report(store: &SqliteStore, query: &Query) -> Result<Report, StoreError> {
    in_one_state(store, |connection| Gathered::new(connection, query)?.report())
}

pub(super) fn pair(store: &SqliteStore, id: PairId) -> Result<Option<PairDetail>, StoreError> {
    in_one_state(store, |connection| match judged_pair(connection, id)? {
        Some(pair) => Ok(Some(pair)),
        None => matched_pair(connection, id),
    })
}

pub(super) fn signature(
    store: &SqliteStore,
    id: SignatureId,
) -> Result<Option<SignatureDetail>, StoreError> {
    in_one_state(store, |connection| {
        let mut found = signatures(connection, &Window::ALL, Some(id))?;
        let Some((endpoint, signature)) = found.pop() else { return Ok(None) };
        let service = connection
            .prepare_cached(
                "SELECT service.name FROM endpoint JOIN service ON service.id = endpoint.service
                 WHERE endpoint.id = ?1",
            )?
            .query_row([endpoint], |row| row.get(0))?;
        let ids: Vec<u64> = connection
            .prepare_cached(
                "SELECT pair.pair FROM signature_example
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

/// Runs `answer` inside one read transaction, so that a writer beside it is seen whole or not.
fn in_one_state<T>(
    store: &SqliteStore,
    answer: impl FnOnce(&Connection) -> Result<T, rusqlite::Error>,
) -> Result<T, StoreError> {
    let run = || {
        let transaction = store.connection.unchecked_transaction()?;
        answer(&transaction)
    };
    run().map_err(|error| explained(&store.path, &error))
}

/// Minutes from the first to before the second.
#[derive(Clone, Copy, Debug)]
struct Window {
    from: i64,
    to: i64,
}

impl Window {
    const ALL: Self = Self { from: 0, to: i64::MAX };

    fn of(query: &Query) -> Self {
        let up = |to: Timestamp| {
            let start = minute_of(to);
            if start == to { to } else { start + MINUTE }
        };
        Self {
            from: query.from.map_or(Self::ALL.from, |from| at(minute_of(from))),
            to: query.to.map_or(Self::ALL.to, |to| at(up(to))),
        }
    }
}

/// Everything that a report says, by service and endpoint row.
struct Gathered {
    window: Window,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    config_digest: String,
    left_out: LeftOutReport,
    services: BTreeMap<String, Service>,
}

#[derive(Default)]
struct Service {
    endpoints: HashMap<i64, Endpoint>,
    signatures: Vec<SignatureReport>,
    capture: AgentCounters,
}

#[derive(Default)]
struct Endpoint {
    name: String,
    matched: u64,
    diverged: u64,
    request_bodies_equal: u64,
    incomparable: BTreeMap<String, u64>,
    suppressed: BTreeMap<String, u64>,
    /// By leg and outcome.
    outcomes: BTreeMap<String, BTreeMap<String, u64>>,
    /// By leg and measure.
    latency: HashMap<(String, String), Histogram<u64>>,
}

impl Gathered {
    fn new(connection: &Connection, query: &Query) -> Result<Self, rusqlite::Error> {
        let window = Window::of(query);
        let mut gathered = Self {
            window,
            from: query.from.map(minute_of),
            to: query.to.map(|_| nanos(window.to)),
            config_digest: String::new(),
            left_out: LeftOutReport::default(),
            services: BTreeMap::new(),
        };
        // Which service an endpoint row belongs to.
        let mut owners = HashMap::new();
        let mut rows = connection.prepare_cached("SELECT id, name FROM service")?;
        let mut services = HashMap::new();
        for row in rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))? {
            let (id, name): (i64, String) = row?;
            if query.service.as_ref().is_none_or(|wanted| *wanted == name) {
                gathered.services.insert(name.clone(), Service::default());
                services.insert(id, name);
            }
        }
        let mut rows = connection.prepare_cached("SELECT id, service, name FROM endpoint")?;
        let rows = rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        for row in rows {
            let (id, service, name): (i64, i64, String) = row?;
            let Some(service) = services.get(&service) else { continue };
            if query.endpoint.as_ref().is_none_or(|wanted| *wanted == name) {
                let endpoints =
                    &mut gathered.services.entry(service.clone()).or_default().endpoints;
                endpoints.insert(id, Endpoint { name, ..Endpoint::default() });
                owners.insert(id, service.clone());
            }
        }
        gathered.runs(connection, &services)?;
        gathered.extent(connection, query)?;
        gathered.counts(connection, &owners)?;
        gathered.latencies(connection, &owners)?;
        for (endpoint, signature) in signatures(connection, &window, None)? {
            if let Some(service) = owners.get(&endpoint) {
                let service = gathered.services.entry(service.clone()).or_default();
                service.signatures.push(signature);
            }
        }
        Ok(gathered)
    }

    /// Adds up what the runs' captures counted.
    fn runs(
        &mut self,
        connection: &Connection,
        services: &HashMap<i64, String>,
    ) -> Result<(), rusqlite::Error> {
        let mut watched: HashMap<i64, Vec<&String>> = HashMap::new();
        let mut rows = connection.prepare_cached("SELECT run, service FROM run_service")?;
        for row in rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))? {
            let (run, service): (i64, i64) = row?;
            watched.entry(run).or_default().extend(services.get(&service));
        }
        let mut rows = connection.prepare_cached(
            "SELECT id, config_digest, agent, examples_left_out, signatures_folded FROM run
             WHERE coalesce(last, started) >= ?1 AND coalesce(first, started) < ?2
             ORDER BY started, host",
        )?;
        let mut rows = rows.query(params![self.window.from, self.window.to])?;
        while let Some(row) = rows.next()? {
            let run: i64 = row.get(0)?;
            let Some(watched) = watched.get(&run).filter(|services| !services.is_empty()) else {
                continue;
            };
            self.config_digest = row.get(1)?;
            let agent: String = row.get(2)?;
            let agent: AgentCounters = serde_json::from_str(&agent).map_err(conversion)?;
            self.left_out.examples += count(row, 3)?;
            self.left_out.signatures_folded += count(row, 4)?;
            for &service in watched {
                self.services.entry(service.clone()).or_default().capture.add(&agent);
            }
        }
        Ok(())
    }

    /// Where the query leaves the ends open, what there is sets them.
    fn extent(&mut self, connection: &Connection, query: &Query) -> Result<(), rusqlite::Error> {
        let (first, last): (Option<i64>, Option<i64>) = connection
            .prepare_cached(
                "SELECT (SELECT min(minute) FROM rollup WHERE minute >= ?1 AND minute < ?2),
                        (SELECT max(minute) FROM rollup WHERE minute >= ?1 AND minute < ?2)",
            )?
            .query_row(params![self.window.from, self.window.to], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        if query.from.is_none() {
            self.from = first.map(nanos);
        }
        if query.to.is_none() {
            self.to = last.map(|last| nanos(last) + MINUTE);
        }
        Ok(())
    }

    fn counts(
        &mut self,
        connection: &Connection,
        owners: &HashMap<i64, String>,
    ) -> Result<(), rusqlite::Error> {
        self.each(
            connection,
            owners,
            "SELECT endpoint, sum(matched), sum(diverged), sum(request_bodies_equal) FROM rollup
             WHERE minute >= ?1 AND minute < ?2 GROUP BY endpoint",
            |endpoint, row| {
                endpoint.matched = count(row, 1)?;
                endpoint.diverged = count(row, 2)?;
                endpoint.request_bodies_equal = count(row, 3)?;
                Ok(())
            },
        )?;
        self.each(
            connection,
            owners,
            "SELECT endpoint, leg, outcome, sum(count) FROM account
             WHERE minute >= ?1 AND minute < ?2 GROUP BY endpoint, leg, outcome",
            |endpoint, row| {
                let outcomes = endpoint.outcomes.entry(row.get(1)?).or_default();
                outcomes.insert(row.get(2)?, count(row, 3)?);
                Ok(())
            },
        )?;
        self.each(
            connection,
            owners,
            "SELECT endpoint, reason, sum(count) FROM incomparable
             WHERE minute >= ?1 AND minute < ?2 GROUP BY endpoint, reason",
            |endpoint, row| {
                endpoint.incomparable.insert(row.get(1)?, count(row, 2)?);
                Ok(())
            },
        )?;
        self.each(
            connection,
            owners,
            "SELECT endpoint, rule, sum(count) FROM suppressed
             WHERE minute >= ?1 AND minute < ?2 GROUP BY endpoint, rule",
            |endpoint, row| {
                endpoint.suppressed.insert(row.get(1)?, count(row, 2)?);
                Ok(())
            },
        )
    }

    fn latencies(
        &mut self,
        connection: &Connection,
        owners: &HashMap<i64, String>,
    ) -> Result<(), rusqlite::Error> {
        self.each(
            connection,
            owners,
            "SELECT endpoint, leg, measure, histogram FROM latency
             WHERE minute >= ?1 AND minute < ?2",
            |endpoint, row| {
                let histogram = read_histogram(row.get_ref(3)?.as_blob()?)?;
                match endpoint.latency.entry((row.get(1)?, row.get(2)?)) {
                    std::collections::hash_map::Entry::Occupied(mut sum) => {
                        sum.get_mut().add(histogram).map_err(conversion)?;
                    }
                    std::collections::hash_map::Entry::Vacant(none) => {
                        none.insert(histogram);
                    }
                }
                Ok(())
            },
        )
    }

    /// Calls `take` with every row of `sql` whose first column is an endpoint of this report.
    fn each(
        &mut self,
        connection: &Connection,
        owners: &HashMap<i64, String>,
        sql: &str,
        mut take: impl FnMut(&mut Endpoint, &Row<'_>) -> Result<(), rusqlite::Error>,
    ) -> Result<(), rusqlite::Error> {
        let mut rows = connection.prepare_cached(sql)?;
        let mut rows = rows.query(params![self.window.from, self.window.to])?;
        while let Some(row) = rows.next()? {
            let id: i64 = row.get(0)?;
            let service = owners.get(&id).and_then(|service| self.services.get_mut(service));
            if let Some(endpoint) = service.and_then(|service| service.endpoints.get_mut(&id)) {
                take(endpoint, row)?;
            }
        }
        Ok(())
    }

    fn report(self) -> Result<Report, rusqlite::Error> {
        let (mut kept, mut shed) = (0_u64, 0_u64);
        for endpoint in self.services.values().flat_map(|service| service.endpoints.values()) {
            for (outcome, count) in endpoint.outcomes.get("primary").into_iter().flatten() {
                *(if outcome.starts_with("shed_") { &mut shed } else { &mut kept }) += count;
            }
        }
        Ok(Report {
            schema: REPORT_SCHEMA,
            tapdiff: env!("CARGO_PKG_VERSION").to_owned(),
            from: self.from.map(rfc3339),
            to: self.to.map(rfc3339),
            config_digest: self.config_digest,
            sample_rate: share(kept, kept + shed).unwrap_or(1.0),
            services: self
                .services
                .into_iter()
                .map(|(name, service)| service.report(name))
                .collect(),
            left_out: self.left_out,
        })
    }
}

impl Service {
    fn report(self, name: String) -> ServiceReport {
        let mut pairs = PairCounts::default();
        let mut suppressed: BTreeMap<String, u64> = BTreeMap::new();
        let mut legs: BTreeMap<String, BTreeMap<String, u64>> = BTreeMap::new();
        for endpoint in self.endpoints.values() {
            pairs.matched += endpoint.matched;
            pairs.diverged += endpoint.diverged;
            pairs.request_bodies_equal += endpoint.request_bodies_equal;
            add_all(&mut pairs.incomparable, &endpoint.incomparable);
            add_all(&mut suppressed, &endpoint.suppressed);
            for (leg, outcomes) in &endpoint.outcomes {
                add_all(legs.entry(leg.clone()).or_default(), outcomes);
            }
        }
        pairs.compared = pairs.matched + pairs.diverged;
        let mut leg = |name| LegAccounts::new(legs.remove(name));
        let accounts = Accounts {
            primary: leg("primary"),
            shadow: leg("shadow"),
            secondary: Some(leg("secondary")).filter(|leg| leg.seen > 0),
        };
        let mut endpoints: Vec<_> = self
            .endpoints
            .into_values()
            .map(Endpoint::report)
            .filter(|endpoint| {
                endpoint.primary_seen + endpoint.shadow_seen > 0 || endpoint.pairs > 0
            })
            .collect();
        endpoints.sort_by(|a, b| b.pairs.cmp(&a.pairs).then_with(|| a.endpoint.cmp(&b.endpoint)));
        let mut signatures = self.signatures;
        signatures.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.id.cmp(&b.id)));
        let mut suppressed: Vec<_> =
            suppressed.into_iter().map(|(rule, count)| SuppressedCount { rule, count }).collect();
        suppressed.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.rule.cmp(&b.rule)));
        ServiceReport {
            service: name,
            accounts,
            pairs,
            endpoints,
            signatures,
            suppressed,
            capture: self.capture,
        }
    }
}

impl Endpoint {
    fn report(self) -> EndpointReport {
        let seen = |leg| self.outcomes.get(leg).map_or(0, |outcomes| outcomes.values().sum());
        let (primary_seen, shadow_seen) = (seen("primary"), seen("shadow"));
        let outcome = |outcome: Outcome| {
            let outcomes = self.outcomes.get("primary");
            outcomes.and_then(|outcomes| outcomes.get(outcome.as_str())).copied().unwrap_or(0)
        };
        let unmirrored = outcome(Outcome::Unmirrored);
        let compared = self.matched + self.diverged;
        let incomparable = self.incomparable.values().sum();
        let pairs = compared + incomparable;
        let quantiles = |leg: &str, measure: &str| {
            let histogram = self.latency.get(&(leg.to_owned(), measure.to_owned()));
            histogram.map(Quantiles::of).unwrap_or_default()
        };
        let latencies = |leg| Latencies {
            total: quantiles(leg, TOTAL),
            first_byte: quantiles(leg, FIRST_BYTE),
        };
        EndpointReport {
            pairs,
            compared,
            diverged: self.diverged,
            incomparable,
            unmirrored,
            primary_seen,
            shadow_seen,
            mirrored_share: share(pairs, pairs + unmirrored),
            latency: LegLatencies { primary: latencies("primary"), shadow: latencies("shadow") },
            endpoint: self.name,
        }
    }
}

impl LegAccounts {
    fn new(counted: Option<BTreeMap<String, u64>>) -> Self {
        let mut outcomes: BTreeMap<_, _> =
            Outcome::ALL.iter().map(|outcome| (outcome.as_str().to_owned(), 0)).collect();
        outcomes.extend(counted.unwrap_or_default());
        Self { seen: outcomes.values().sum(), outcomes }
    }
}

/// Signatures seen within `window`, with the endpoint row that each belongs to.
fn signatures(
    connection: &Connection,
    window: &Window,
    only: Option<SignatureId>,
) -> Result<Vec<(i64, SignatureReport)>, rusqlite::Error> {
    let mut examples: HashMap<u64, Vec<String>> = HashMap::new();
    let only = only.map(|id| id.0.cast_signed());
    let mut rows = connection.prepare_cached(
        "SELECT signature_example.signature, pair.pair FROM signature_example
         JOIN pair ON pair.id = signature_example.pair
         WHERE pair.start >= ?1 AND pair.start < ?2
             AND (?3 IS NULL OR signature_example.signature = ?3)
         ORDER BY pair.start, pair.pair",
    )?;
    let mut rows = rows.query(params![window.from, window.to, only])?;
    while let Some(row) = rows.next()? {
        let of_signature = examples.entry(id(row, 0)?).or_default();
        of_signature.push(PairId(id(row, 1)?).to_string());
    }
    let mut rows = connection.prepare_cached(
        "SELECT signature.id, signature.endpoint, endpoint.name, kind, pattern, change,
             sum(count), sum(pairs), min(first), max(last)
         FROM signature_minute
         JOIN signature ON signature.id = signature_minute.signature
         JOIN endpoint ON endpoint.id = signature.endpoint
         WHERE minute >= ?1 AND minute < ?2 AND (?3 IS NULL OR signature_minute.signature = ?3)
         GROUP BY signature.id",
    )?;
    let mut rows = rows.query(params![window.from, window.to, only])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let signature = id(row, 0)?;
        let report = SignatureReport {
            id: SignatureId(signature).to_string(),
            endpoint: row.get(2)?,
            kind: row.get(3)?,
            path: row.get(4)?,
            change: row.get(5)?,
            count: count(row, 6)?,
            pairs: count(row, 7)?,
            first_seen: rfc3339(nanos(row.get(8)?)),
            last_seen: rfc3339(nanos(row.get(9)?)),
            examples: examples.remove(&signature).unwrap_or_default(),
            acknowledged: false,
        };
        found.push((row.get(1)?, report));
    }
    Ok(found)
}

/// A pair that did not match.
fn judged_pair(
    connection: &Connection,
    pair: PairId,
) -> Result<Option<PairDetail>, rusqlite::Error> {
    let found = connection
        .prepare_cached(
            "SELECT pair.id, service.name, endpoint.name, key, start, incomparable,
                 primary_status, primary_first_byte_us, primary_total_us,
                 shadow_status, shadow_first_byte_us, shadow_total_us,
                 primary_exchange, shadow_exchange
             FROM pair
             JOIN endpoint ON endpoint.id = pair.endpoint
             JOIN service ON service.id = endpoint.service
             LEFT JOIN example ON example.pair = pair.id
             WHERE pair.pair = ?1 ORDER BY pair.id LIMIT 1",
        )?
        .query_row([pair.0.cast_signed()], |row| {
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
                id: pair.to_string(),
                service: row.get(1)?,
                endpoint: row.get(2)?,
                key: row.get(3)?,
                start: rfc3339(nanos(row.get(4)?)),
                verdict: verdict.to_owned(),
                reason,
                primary: leg(6, 12)?,
                shadow: leg(9, 13)?,
                divergences: Vec::new(),
            };
            Ok((row.get::<_, i64>(0)?, detail))
        })
        .optional()?;
    let Some((row_id, mut detail)) = found else { return Ok(None) };
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
    detail.divergences = rows.collect::<Result<_, _>>()?;
    Ok(Some(detail))
}

/// A matched pair: no index leads to it, every block is read until it is found.
fn matched_pair(
    connection: &Connection,
    wanted: PairId,
) -> Result<Option<PairDetail>, rusqlite::Error> {
    let mut rows = connection.prepare_cached("SELECT bytes FROM matched ORDER BY id DESC")?;
    let mut rows = rows.query([])?;
    while let Some(row) = rows.next()? {
        let (endpoints, pairs) = Pairs::stored(row.get_ref(0)?.as_blob()?).map_err(conversion)?;
        for pair in pairs {
            let pair = pair.map_err(conversion)?;
            if pair.id != wanted.0 {
                continue;
            }
            let endpoint = endpoints.get(pair.endpoint as usize).copied().unwrap_or(0);
            let (service, endpoint) = connection
                .prepare_cached(
                    "SELECT service.name, endpoint.name FROM endpoint
                     JOIN service ON service.id = endpoint.service WHERE endpoint.id = ?1",
                )?
                .query_row([endpoint.cast_signed()], |row| Ok((row.get(0)?, row.get(1)?)))?;
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

fn add_all(sums: &mut BTreeMap<String, u64>, counts: &BTreeMap<String, u64>) {
    for (name, count) in counts {
        *sums.entry(name.clone()).or_default() += count;
    }
}

/// A share, rounded down to six digits: what is not all never reads as 1.
fn share(part: u64, whole: u64) -> Option<f64> {
    let millionths = u128::from(part) * 1_000_000 / u128::from(whole).max(1);
    let millionths = u32::try_from(millionths).unwrap_or(u32::MAX);
    (whole > 0).then(|| f64::from(millionths) / 1e6)
}

fn count(row: &Row<'_>, column: usize) -> Result<u64, rusqlite::Error> {
    optional_count(row, column).map(Option::unwrap_or_default)
}

fn optional_count(row: &Row<'_>, column: usize) -> Result<Option<u64>, rusqlite::Error> {
    let count: Option<i64> = row.get(column)?;
    count.map(u64::try_from).transpose().map_err(conversion)
}

fn id(row: &Row<'_>, column: usize) -> Result<u64, rusqlite::Error> {
    row.get::<_, i64>(column).map(i64::cast_unsigned)
}

fn nanos(stored: i64) -> Timestamp {
    Timestamp::from_nanos(u64::try_from(stored).unwrap_or(0))
}

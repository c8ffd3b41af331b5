//! What a verdict rests on, from the rollups; what is acknowledged or noise, from the pairs.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use capture::Timestamp;
use compare::Outcome;
use compare::gate::{Accounts, EndpointSample, ErrorTable, Evidence, Latency, Sample, SizeBlock};
use hdrhistogram::Histogram;
use rusqlite::{Connection, OptionalExtension, params};

use super::SqliteStore;
use super::measure::{PAIRED_FIRST_BYTE, PAIRED_TOTAL};
use super::mirror::share;
use super::read::{in_one_state, merge};
use super::row::{at, conversion, count, nanos};
use super::window::Window;
use super::write::read_histogram;
use crate::batch::MINUTE;
use crate::report::ReleaseNames;
use crate::time::rfc3339;
use crate::{AgentCounters, Query, ServiceEvidence, StoreError};

pub(super) fn evidence(
    store: &SqliteStore,
    query: &Query,
) -> Result<Vec<ServiceEvidence>, StoreError> {
    in_one_state(store, |connection| {
        let mut rows = connection.prepare_cached("SELECT id, name FROM service ORDER BY name")?;
        let services: Vec<(i64, String)> =
            rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
        let wanted = |name: &String| query.service.as_ref().is_none_or(|wanted| wanted == name);
        let mut found = Vec::new();
        for (id, name) in services.into_iter().filter(|(_, name)| wanted(name)) {
            found.extend(of_service(connection, query, id, name)?);
        }
        Ok(found)
    })
}

fn of_service(
    connection: &Connection,
    query: &Query,
    service: i64,
    name: String,
) -> Result<Option<ServiceEvidence>, rusqlite::Error> {
    let window = Window::of(query);
    let Some(releases) = releases(connection, query, &window, service)? else { return Ok(None) };
    let mut gathered = Gathered::new(connection, service, &releases, query.endpoint.as_deref())?;
    gathered.rollups(connection, &window)?;
    gathered.explained(connection, &window, query.as_of)?;
    gathered.latencies(connection, &window)?;
    gathered.accounts(connection, &window)?;
    let (from, to) = gathered.extent.unzip();
    let config_digest = gathered.runs(connection, service)?;
    Ok(Some(ServiceEvidence {
        service: name,
        releases,
        from: from.map(|from| rfc3339(nanos(from))),
        to: to.map(|to| rfc3339(nanos(to) + MINUTE)),
        config_digest,
        evidence: gathered.evidence(),
    }))
}

/// The releases to speak of: of those that the query names, what answered last.
fn releases(
    connection: &Connection,
    query: &Query,
    window: &Window,
    service: i64,
) -> Result<Option<ReleaseNames>, rusqlite::Error> {
    let mut rows = connection.prepare_cached(
        "SELECT primary_release, shadow_release FROM rollup
         JOIN slice ON slice.id = rollup.slice
         JOIN endpoint ON endpoint.id = slice.endpoint
         WHERE minute >= ?1 AND minute < ?2 AND endpoint.service = ?3
         GROUP BY primary_release, shadow_release
         -- What counted pairs, before what only counted exchanges without a partner.
         ORDER BY max(CASE WHEN matched + diverged > 0 THEN minute END) DESC NULLS LAST,
             max(minute) DESC, max(slice.id) DESC",
    )?;
    let mut rows = rows.query(params![window.from, window.to, service])?;
    while let Some(row) = rows.next()? {
        let names = ReleaseNames { primary: row.get(0)?, shadow: row.get(1)? };
        if query.release.as_ref().is_none_or(|wanted| wanted.covers(&names)) {
            return Ok(Some(names));
        }
    }
    Ok(None)
}

/// What was counted of one pair of releases.
struct Gathered {
    /// Endpoint by slice row. By rows, slices are in the order in which they were first seen, which
    /// is the order that endpoints keep in the evidence.
    endpoints: BTreeMap<i64, Arc<str>>,
    samples: HashMap<i64, Sample>,
    /// Body bytes of all endpoints, by minute.
    sizes: BTreeMap<i64, SizeBlock>,
    accounts: Accounts,
    /// Exchanges of the primary that were shed.
    primary_shed: u64,
    /// First and last minute.
    extent: Option<(i64, i64)>,
}

impl Gathered {
    fn new(
        connection: &Connection,
        service: i64,
        releases: &ReleaseNames,
        only: Option<&str>,
    ) -> Result<Self, rusqlite::Error> {
        let mut rows = connection.prepare_cached(
            "SELECT slice.id, endpoint.name FROM slice
             JOIN endpoint ON endpoint.id = slice.endpoint
             WHERE endpoint.service = ?1 AND primary_release = ?2 AND shadow_release = ?3",
        )?;
        let mut rows = rows.query(params![service, releases.primary, releases.shadow])?;
        let mut endpoints = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let name: String = row.get(1)?;
            if only.is_none_or(|only| *only == *name) {
                endpoints.insert(row.get(0)?, name.into());
            }
        }
        let samples = endpoints.keys().map(|&slice| (slice, Sample::default())).collect();
        Ok(Self {
            endpoints,
            samples,
            sizes: BTreeMap::new(),
            accounts: Accounts::default(),
            primary_shed: 0,
            extent: None,
        })
    }

    fn rollups(&mut self, connection: &Connection, window: &Window) -> Result<(), rusqlite::Error> {
        let mut rows = connection.prepare_cached(
            "SELECT slice, minute, matched, diverged, errors_neither, errors_primary_only,
                 errors_shadow_only, errors_both, primary_bytes, shadow_bytes
             FROM rollup WHERE minute >= ?1 AND minute < ?2 ORDER BY minute",
        )?;
        let mut rows = rows.query(params![window.from, window.to])?;
        while let Some(row) = rows.next()? {
            let Some(sample) = self.samples.get_mut(&row.get(0)?) else { continue };
            let minute: i64 = row.get(1)?;
            let (matched, diverged) = (count(row, 2)?, count(row, 3)?);
            sample.compared += matched + diverged;
            sample.diverged += diverged;
            sample.errors.neither += count(row, 4)?;
            sample.errors.primary_only += count(row, 5)?;
            sample.errors.shadow_only += count(row, 6)?;
            sample.errors.both += count(row, 7)?;
            let size = SizeBlock { primary_bytes: count(row, 8)?, shadow_bytes: count(row, 9)? };
            if size != SizeBlock::default() {
                sample.sizes.push(size);
                let sum = self.sizes.entry(minute).or_default();
                sum.primary_bytes += size.primary_bytes;
                sum.shadow_bytes += size.shadow_bytes;
            }
            let (first, last) = self.extent.unwrap_or((minute, minute));
            self.extent = Some((first.min(minute), last.max(minute)));
        }
        Ok(())
    }

    /// Takes the pairs out of `diverged` whose differences are all acknowledged or noise.
    fn explained(
        &mut self,
        connection: &Connection,
        window: &Window,
        as_of: Option<Timestamp>,
    ) -> Result<(), rusqlite::Error> {
        // Differences that are not listed one by one are never explained: nobody has seen them.
        let mut rows = connection.prepare_cached(
            "SELECT slice, sum(acknowledged), count(*) FROM (
                 SELECT pair.slice AS slice,
                     max(acknowledged.signature IS NOT NULL) AS acknowledged,
                     min(signature.change <> 'more' AND
                         (acknowledged.signature IS NOT NULL OR noise.cause IS NOT NULL)
                     ) AS explained
                 FROM pair
                 JOIN divergence ON divergence.pair = pair.id
                 JOIN signature ON signature.id = divergence.signature
                 LEFT JOIN acknowledged ON acknowledged.signature = divergence.signature
                     AND (acknowledged.until IS NULL OR acknowledged.until > ?3)
                 LEFT JOIN noise ON noise.signature = divergence.signature
                 WHERE pair.incomparable IS NULL AND pair.start >= ?1 AND pair.start < ?2
                 GROUP BY pair.id
             ) WHERE explained GROUP BY slice",
        )?;
        let any: Option<i64> = connection
            .prepare_cached(
                "SELECT 1 FROM acknowledged UNION ALL SELECT 1 FROM noise WHERE cause IS NOT NULL",
            )?
            .query_row([], |row| row.get(0))
            .optional()?;
        if any.is_none() {
            return Ok(());
        }
        let now = as_of.map_or(i64::MIN, at);
        let mut rows = rows.query(params![window.from, window.to, now])?;
        while let Some(row) = rows.next()? {
            let Some(sample) = self.samples.get_mut(&row.get(0)?) else { continue };
            let acknowledged = count(row, 1)?;
            sample.acknowledged += acknowledged;
            sample.diverged = sample.diverged.saturating_sub(count(row, 2)?);
        }
        Ok(())
    }

    fn latencies(
        &mut self,
        connection: &Connection,
        window: &Window,
    ) -> Result<(), rusqlite::Error> {
        let mut rows = connection.prepare_cached(
            "SELECT slice, leg, measure, histogram FROM latency
             WHERE minute >= ?1 AND minute < ?2 AND measure IN (?3, ?4)",
        )?;
        let mut rows =
            rows.query(params![window.from, window.to, PAIRED_FIRST_BYTE, PAIRED_TOTAL])?;
        let mut sums: HashMap<(i64, String, String), Histogram<u64>> = HashMap::new();
        while let Some(row) = rows.next()? {
            let slice = row.get(0)?;
            if self.samples.contains_key(&slice) {
                let histogram = read_histogram(row.get_ref(3)?.as_blob()?)?;
                merge(&mut sums, (slice, row.get(1)?, row.get(2)?), histogram)?;
            }
        }
        for ((slice, leg, measure), histogram) in sums {
            let Some(sample) = self.samples.get_mut(&slice) else { continue };
            let latency = match leg.as_str() {
                "primary" => &mut sample.primary,
                "shadow" => &mut sample.shadow,
                _ => continue,
            };
            if measure == PAIRED_TOTAL {
                latency.total_us = Some(histogram);
            } else {
                latency.first_byte_us = Some(histogram);
            }
        }
        Ok(())
    }

    fn accounts(
        &mut self,
        connection: &Connection,
        window: &Window,
    ) -> Result<(), rusqlite::Error> {
        let mut rows = connection.prepare_cached(
            "SELECT slice, leg, outcome, sum(count) FROM account
             WHERE minute >= ?1 AND minute < ?2 GROUP BY slice, leg, outcome",
        )?;
        let mut rows = rows.query(params![window.from, window.to])?;
        while let Some(row) = rows.next()? {
            if !self.samples.contains_key(&row.get(0)?) {
                continue;
            }
            let (leg, outcome): (String, String) = (row.get(1)?, row.get(2)?);
            let n = count(row, 3)?;
            let shed = outcome.starts_with("shed_");
            let accounts = &mut self.accounts;
            match leg.as_str() {
                "primary" => {
                    accounts.primary_seen += n;
                    self.primary_shed += if shed { n } else { 0 };
                    accounts.unmirrored += of(&outcome, Outcome::Unmirrored, n);
                    accounts.incomparable += of(&outcome, Outcome::Incomparable, n);
                    let compared = of(&outcome, Outcome::Compared, n);
                    accounts.pairs += compared + of(&outcome, Outcome::Incomparable, n);
                }
                "shadow" => {
                    accounts.shadow_seen += n;
                    accounts.primary_missing += of(&outcome, Outcome::PrimaryMissing, n);
                }
                _ => continue,
            }
            accounts.shed += if shed { n } else { 0 };
        }
        Ok(())
    }

    /// Adds up what the captures of the time lost; gives the digest of the latest run's
    /// configuration.
    fn runs(&mut self, connection: &Connection, service: i64) -> Result<String, rusqlite::Error> {
        let Some((first, last)) = self.extent else { return Ok(String::new()) };
        let mut rows = connection.prepare_cached(
            "SELECT config_digest, agent FROM run JOIN run_service ON run_service.run = run.id
             WHERE run_service.service = ?1
                 AND coalesce(last, started) >= ?2 AND coalesce(first, started) < ?3
             ORDER BY started, host",
        )?;
        let mut rows = rows.query(params![service, first, at(nanos(last) + MINUTE)])?;
        let mut digest = String::new();
        while let Some(row) = rows.next()? {
            digest = row.get(0)?;
            let agent: AgentCounters =
                serde_json::from_str(row.get_ref(1)?.as_str()?).map_err(conversion)?;
            // What is dropped leaves gaps: the same packets, told by two.
            let dropped = agent.kernel_drops + agent.interface_drops;
            self.accounts.packets += agent.packets;
            self.accounts.packets_lost += dropped.max(agent.gaps);
        }
        Ok(digest)
    }

    fn evidence(self) -> Evidence {
        let mut service = Sample { sizes: self.sizes.into_values().collect(), ..Sample::default() };
        let mut samples = self.samples;
        let endpoints = self.endpoints.into_iter().map(|(slice, endpoint)| {
            let sample = samples.remove(&slice).unwrap_or_default();
            add(&mut service, &sample);
            EndpointSample { endpoint, sample }
        });
        let endpoints = endpoints.collect();
        let seen = self.accounts.primary_seen;
        let sample_rate = share(seen.saturating_sub(self.primary_shed), seen).unwrap_or(1.0);
        Evidence { service, endpoints, accounts: self.accounts, sample_rate }
    }
}

/// `n` where the stored name is that of `outcome`.
fn of(name: &str, outcome: Outcome, n: u64) -> u64 {
    if name == outcome.as_str() { n } else { 0 }
}

/// Adds an endpoint's sample to its service's; sizes are added by minute elsewhere.
fn add(sum: &mut Sample, more: &Sample) {
    sum.compared += more.compared;
    sum.diverged += more.diverged;
    sum.acknowledged += more.acknowledged;
    let ErrorTable { neither, primary_only, shadow_only, both } = more.errors;
    sum.errors.neither += neither;
    sum.errors.primary_only += primary_only;
    sum.errors.shadow_only += shadow_only;
    sum.errors.both += both;
    for (sum, more) in [(&mut sum.primary, &more.primary), (&mut sum.shadow, &more.shadow)] {
        add_latency(sum, more);
    }
}

fn add_latency(sum: &mut Latency, more: &Latency) {
    let pairs =
        [(&mut sum.first_byte_us, &more.first_byte_us), (&mut sum.total_us, &more.total_us)];
    for (sum, more) in pairs {
        match (sum.as_mut(), more) {
            // Sums grow with what is added: none is refused.
            (Some(sum), Some(more)) => drop(sum.add(more)),
            (None, Some(more)) => *sum = Some(more.clone()),
            (_, None) => {}
        }
    }
}

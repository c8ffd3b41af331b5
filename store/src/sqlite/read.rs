//! Questions, each answered from one read transaction.

use std::collections::{BTreeMap, HashMap};

use capture::Timestamp;
use compare::{Incomparable, Outcome};
use hdrhistogram::Histogram;
use rusqlite::{Connection, Row, params};

use super::mirror::share;
use super::open::explained;
use super::row::{conversion, count, nanos};
use super::signatures::{Asked, signatures};
use super::window::Window;
use super::write::read_histogram;
use super::{SqliteStore, alarm, measure, mirror};
use crate::batch::{MINUTE, minute_of};
use crate::report::{
    Accounts, EndpointReport, Latencies, LeftOutReport, LegAccounts, LegLatencies, PairCounts,
    PairDifferences, Quantiles, REPORT_SCHEMA, ReleaseNames, ReleaseReport, Report, ServiceReport,
    SignatureReport, SuppressedCount,
};
use crate::shift::{SignedQuantiles, shifts};
use crate::time::rfc3339;
use crate::{AgentCounters, Query, Settings, StoreError};

pub(super) fn report(store: &SqliteStore, query: &Query) -> Result<Report, StoreError> {
    in_one_state(store, |connection| Gathered::new(connection, query)?.report())
}

/// Runs `answer` inside one read transaction, so that a writer beside it is seen whole or not.
pub(super) fn in_one_state<T>(
    store: &SqliteStore,
    answer: impl FnOnce(&Connection) -> Result<T, rusqlite::Error>,
) -> Result<T, StoreError> {
    let run = || {
        let transaction = store.connection.unchecked_transaction()?;
        answer(&transaction)
    };
    run().map_err(|error| explained(&store.path, &error))
}

/// Everything that a report says, by service and endpoint row.
struct Gathered {
    window: Window,
    as_of: Option<Timestamp>,
    from: Option<Timestamp>,
    to: Option<Timestamp>,
    config_digest: String,
    left_out: LeftOutReport,
    services: BTreeMap<String, Service>,
    /// The slices that are reported, by row.
    slices: HashMap<i64, Slice>,
}

/// Whom a slice belongs to.
struct Slice {
    service: String,
    endpoint: i64,
    releases: ReleaseNames,
}

#[derive(Default)]
struct Service {
    endpoints: HashMap<i64, Endpoint>,
    releases: BTreeMap<ReleaseNames, Release>,
    signatures: Vec<SignatureReport>,
    capture: AgentCounters,
    /// Of its latest run.
    settings: Settings,
}

#[derive(Default)]
struct Release {
    compared: u64,
    diverged: u64,
    incomparable: u64,
    /// First and last minute.
    minutes: Option<(i64, i64)>,
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
            as_of: query.as_of,
            from: query.from.map(minute_of),
            to: query.to.map(|_| nanos(window.to)),
            config_digest: String::new(),
            left_out: LeftOutReport::default(),
            services: BTreeMap::new(),
            slices: HashMap::new(),
        };
        let mut rows = connection.prepare_cached("SELECT id, name FROM service")?;
        let mut services = HashMap::new();
        for row in rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))? {
            let (id, name): (i64, String) = row?;
            if query.service.as_ref().is_none_or(|wanted| *wanted == name) {
                gathered.services.insert(name.clone(), Service::default());
                services.insert(id, name);
            }
        }
        gathered.slices(connection, query, &services)?;
        gathered.runs(connection, &services)?;
        gathered.extent(connection, query)?;
        gathered.counts(connection)?;
        gathered.latencies(connection)?;
        let asked = Asked { window, only: None, as_of: query.as_of };
        for (endpoint, signature) in
            signatures(connection, &asked, |slice| gathered.slices.contains_key(&slice))?
        {
            let of_it = |service: &&mut Service| service.endpoints.contains_key(&endpoint);
            if let Some(service) = gathered.services.values_mut().find(of_it) {
                service.signatures.push(signature);
            }
        }
        Ok(gathered)
    }

    /// Finds the slices that are asked for, and the endpoints that they are of.
    fn slices(
        &mut self,
        connection: &Connection,
        query: &Query,
        services: &HashMap<i64, String>,
    ) -> Result<(), rusqlite::Error> {
        let mut rows = connection.prepare_cached(
            "SELECT slice.id, slice.endpoint, endpoint.service, endpoint.name,
                 primary_release, shadow_release
             FROM slice JOIN endpoint ON endpoint.id = slice.endpoint",
        )?;
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            let Some(service) = services.get(&row.get(2)?) else { continue };
            let (endpoint, name): (i64, String) = (row.get(1)?, row.get(3)?);
            let releases = ReleaseNames { primary: row.get(4)?, shadow: row.get(5)? };
            if query.endpoint.as_ref().is_some_and(|wanted| *wanted != name)
                || query.release.as_ref().is_some_and(|wanted| !wanted.covers(&releases))
            {
                continue;
            }
            let endpoints = &mut self.services.entry(service.clone()).or_default().endpoints;
            endpoints.entry(endpoint).or_insert_with(|| Endpoint { name, ..Endpoint::default() });
            let slice = Slice { service: service.clone(), endpoint, releases };
            self.slices.insert(row.get(0)?, slice);
        }
        Ok(())
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
            "SELECT id, config_digest, agent, examples_left_out, signatures_folded, settings FROM run
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
            let settings: String = row.get(5)?;
            let settings: Settings = serde_json::from_str(&settings).map_err(conversion)?;
            self.left_out.examples += count(row, 3)?;
            self.left_out.signatures_folded += count(row, 4)?;
            for &name in watched {
                let service = self.services.entry(name.clone()).or_default();
                service.capture.add(&agent);
                service.settings = settings.of(name);
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

    fn counts(&mut self, connection: &Connection) -> Result<(), rusqlite::Error> {
        self.each(
            connection,
            "SELECT slice, sum(matched), sum(diverged), sum(request_bodies_equal),
                 min(minute), max(minute)
             FROM rollup WHERE minute >= ?1 AND minute < ?2 GROUP BY slice",
            |endpoint, release, row| {
                let (matched, diverged) = (count(row, 1)?, count(row, 2)?);
                endpoint.matched += matched;
                endpoint.diverged += diverged;
                endpoint.request_bodies_equal += count(row, 3)?;
                release.compared += matched + diverged;
                release.diverged += diverged;
                let (first, last) = (row.get(4)?, row.get(5)?);
                let (known_first, known_last) = release.minutes.unwrap_or((first, last));
                release.minutes = Some((known_first.min(first), known_last.max(last)));
                Ok(())
            },
        )?;
        self.each(
            connection,
            "SELECT slice, leg, outcome, sum(count) FROM account
             WHERE minute >= ?1 AND minute < ?2 GROUP BY slice, leg, outcome",
            |endpoint, _, row| {
                let outcomes = endpoint.outcomes.entry(row.get(1)?).or_default();
                *outcomes.entry(row.get(2)?).or_default() += count(row, 3)?;
                Ok(())
            },
        )?;
        self.each(
            connection,
            "SELECT slice, reason, sum(count) FROM incomparable
             WHERE minute >= ?1 AND minute < ?2 GROUP BY slice, reason",
            |endpoint, release, row| {
                *endpoint.incomparable.entry(row.get(1)?).or_default() += count(row, 2)?;
                release.incomparable += count(row, 2)?;
                Ok(())
            },
        )?;
        self.each(
            connection,
            "SELECT slice, rule, sum(count) FROM suppressed
             WHERE minute >= ?1 AND minute < ?2 GROUP BY slice, rule",
            |endpoint, _, row| {
                *endpoint.suppressed.entry(row.get(1)?).or_default() += count(row, 2)?;
                Ok(())
            },
        )
    }

    fn latencies(&mut self, connection: &Connection) -> Result<(), rusqlite::Error> {
        self.each(
            connection,
            "SELECT slice, leg, measure, histogram FROM latency
             WHERE minute >= ?1 AND minute < ?2",
            |endpoint, _, row| {
                let histogram = read_histogram(row.get_ref(3)?.as_blob()?)?;
                merge(&mut endpoint.latency, (row.get(1)?, row.get(2)?), histogram)
            },
        )
    }

    /// Calls `take` with every row of `sql` whose first column is a slice of this report.
    fn each(
        &mut self,
        connection: &Connection,
        sql: &str,
        mut take: impl FnMut(&mut Endpoint, &mut Release, &Row<'_>) -> Result<(), rusqlite::Error>,
    ) -> Result<(), rusqlite::Error> {
        let mut rows = connection.prepare_cached(sql)?;
        let mut rows = rows.query(params![self.window.from, self.window.to])?;
        while let Some(row) = rows.next()? {
            let Some(slice) = self.slices.get(&row.get(0)?) else { continue };
            let Some(service) = self.services.get_mut(&slice.service) else { continue };
            let release = service.releases.entry(slice.releases.clone()).or_default();
            if let Some(endpoint) = service.endpoints.get_mut(&slice.endpoint) {
                take(endpoint, release, row)?;
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
        let to = self.to;
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
                .map(|(name, service)| service.report(name, self.as_of.or(to)))
                .collect::<Result<_, _>>()?,
            left_out: self.left_out,
        })
    }
}

impl Service {
    /// `now` is the moment as of which rules have expired.
    fn report(
        self,
        name: String,
        now: Option<Timestamp>,
    ) -> Result<ServiceReport, rusqlite::Error> {
        let mirror =
            mirror::of_service(&self.settings, self.endpoints.values().map(Endpoint::mirrored));
        let alarms = alarm::alarms(
            &self.settings,
            now,
            self.endpoints.values().map(|e| (&*e.name, e.matched + e.diverged, &e.suppressed)),
        );
        let releases =
            self.releases.into_iter().filter_map(|(names, release)| release.report(names));
        let mut releases: Vec<ReleaseReport> = releases.collect();
        releases.sort_by(|a, b| a.first_seen.cmp(&b.first_seen).then(a.names.cmp(&b.names)));
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
        let mut endpoints: Vec<EndpointReport> = self
            .endpoints
            .into_values()
            .map(|endpoint| endpoint.report(&self.settings))
            .collect::<Result<_, _>>()?;
        endpoints.retain(|e| e.primary_seen + e.shadow_seen > 0 || e.pairs > 0);
        endpoints.sort_by(|a, b| b.pairs.cmp(&a.pairs).then_with(|| a.endpoint.cmp(&b.endpoint)));
        let mut signatures = self.signatures;
        signatures.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.id.cmp(&b.id)));
        let mut suppressed: Vec<_> =
            suppressed.into_iter().map(|(rule, count)| SuppressedCount { rule, count }).collect();
        suppressed.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.rule.cmp(&b.rule)));
        Ok(ServiceReport {
            service: name,
            accounts,
            pairs,
            endpoints,
            signatures,
            suppressed,
            releases,
            mirror,
            alarms,
            capture: self.capture,
        })
    }
}

impl Release {
    fn report(self, names: ReleaseNames) -> Option<ReleaseReport> {
        let (first, last) = self.minutes?;
        Some(ReleaseReport {
            names,
            pairs: self.compared + self.incomparable,
            compared: self.compared,
            diverged: self.diverged,
            first_seen: rfc3339(nanos(first)),
            last_seen: rfc3339(nanos(last) + MINUTE),
        })
    }
}

impl Endpoint {
    fn pairs(&self) -> u64 {
        self.matched + self.diverged + self.incomparable.values().sum::<u64>()
    }

    fn outcome(&self, leg: &str, outcome: Outcome) -> u64 {
        let outcomes = self.outcomes.get(leg);
        outcomes.and_then(|outcomes| outcomes.get(outcome.as_str())).copied().unwrap_or(0)
    }

    fn mirrored(&self) -> mirror::Mirrored<'_> {
        let unmirrored = self.outcome("primary", Outcome::Unmirrored);
        // A copy that came late was made all the same, whichever leg it was that waited in vain.
        let late_copies = self.outcome("shadow", Outcome::Late).min(unmirrored);
        let late = late_copies + self.outcome("primary", Outcome::Late);
        mirror::Mirrored {
            endpoint: &self.name,
            mirrored: self.pairs() + late,
            unmirrored: unmirrored - late_copies,
        }
    }

    fn histogram(&self, leg: &str, measure: &str) -> Option<&Histogram<u64>> {
        self.latency.get(&(leg.to_owned(), measure.to_owned()))
    }

    /// Latency of a leg in all of its complete exchanges.
    fn quantiles(
        &self,
        leg: &str,
        paired: &str,
        unpaired: &str,
    ) -> Result<Quantiles, rusqlite::Error> {
        let parts = [self.histogram(leg, paired), self.histogram(leg, unpaired)];
        let mut parts = parts.into_iter().flatten();
        let Some(mut sum) = parts.next().cloned() else { return Ok(Quantiles::default()) };
        parts.try_for_each(|part| sum.add(part)).map_err(conversion)?;
        Ok(Quantiles::of(&sum))
    }

    fn latencies(&self, leg: &str) -> Result<Latencies, rusqlite::Error> {
        Ok(Latencies {
            total: self.quantiles(leg, measure::PAIRED_TOTAL, measure::TOTAL)?,
            first_byte: self.quantiles(leg, measure::PAIRED_FIRST_BYTE, measure::FIRST_BYTE)?,
        })
    }

    fn difference(&self, names: &measure::DifferenceNames) -> SignedQuantiles {
        let histogram = |name| self.histogram("shadow", name);
        SignedQuantiles::of(histogram(names.longer), histogram(names.shorter))
    }

    fn report(self, settings: &Settings) -> Result<EndpointReport, rusqlite::Error> {
        let seen = |leg| self.outcomes.get(leg).map_or(0, |outcomes| outcomes.values().sum());
        let unmirrored = self.outcome("primary", Outcome::Unmirrored);
        let pairs = self.pairs();
        let legs =
            |measure| [self.histogram("primary", measure), self.histogram("shadow", measure)];
        let shift = |span, measure| {
            let [primary, shadow] = legs(measure);
            shifts(span, primary, shadow)
        };
        let request_differs = Incomparable::RequestDiffers.as_str();
        Ok(EndpointReport {
            pairs,
            compared: self.matched + self.diverged,
            diverged: self.diverged,
            incomparable: self.incomparable.values().sum(),
            unmirrored,
            primary_seen: seen("primary"),
            shadow_seen: seen("shadow"),
            mirrored_share: share(pairs, pairs + unmirrored),
            request_differs: self.incomparable.get(request_differs).copied().unwrap_or(0),
            latency: LegLatencies {
                primary: self.latencies("primary")?,
                shadow: self.latencies("shadow")?,
            },
            shift: [
                shift("total", measure::PAIRED_TOTAL),
                shift("first_byte", measure::PAIRED_FIRST_BYTE),
            ]
            .concat(),
            difference: PairDifferences {
                total: self.difference(&measure::TOTAL_DIFFERENCE),
                first_byte: self.difference(&measure::FIRST_BYTE_DIFFERENCE),
            },
            mirror_lag: self.difference(&measure::START_DIFFERENCE),
            mirror: mirror::of_endpoint(settings, &self.mirrored()),
            endpoint: self.name,
        })
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

/// Adds a histogram to those known under `key`.
pub(super) fn merge<K: std::hash::Hash + Eq>(
    known: &mut HashMap<K, Histogram<u64>>,
    key: K,
    more: Histogram<u64>,
) -> Result<(), rusqlite::Error> {
    match known.entry(key) {
        std::collections::hash_map::Entry::Occupied(mut sum) => {
            sum.get_mut().add(more).map_err(conversion)
        }
        std::collections::hash_map::Entry::Vacant(none) => {
            none.insert(more);
            Ok(())
        }
    }
}

fn add_all(sums: &mut BTreeMap<String, u64>, counts: &BTreeMap<String, u64>) {
    for (name, count) in counts {
        *sums.entry(name.clone()).or_default() += count;
    }
}

//! A batch becomes one transaction.

use std::collections::HashMap;

use capture::{Leg, ServiceId};
use compare::{LearnedTemplate, NoiseCause, Outcome, Verdict};
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2Serializer};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::example::Examples;
use super::measure::Measured;
use super::row::{at, conversion, stored};
use super::{Keep, measure};
use crate::Written;
use crate::batch::{Batch, JudgedPair, RollupRow, SliceName};
use crate::block::put;

pub(super) fn batch(
    connection: &mut Connection,
    batch: &Batch,
    keep: Keep,
) -> Result<Written, rusqlite::Error> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut written = Written::default();
    let writer = Writer::new(&transaction, batch, keep)?;
    writer.matched(&mut written)?;
    writer.judged(&mut written)?;
    writer.signatures()?;
    writer.noise()?;
    writer.templates()?;
    for rollup in &batch.rollups {
        writer.rollup(rollup)?;
        written.rollups += 1;
    }
    drop(writer);
    transaction.commit()?;
    Ok(written)
}

/// Row ids of a slice.
#[derive(Clone, Copy)]
struct Slice {
    id: i64,
    endpoint: i64,
}

struct Writer<'a> {
    transaction: &'a Transaction<'a>,
    batch: &'a Batch,
    keep: Keep,
    run: i64,
    /// Row ids of the batch's services.
    services: HashMap<ServiceId, i64>,
    /// Row ids of the batch's slices, by the batch's index.
    slices: Vec<Slice>,
}

impl<'a> Writer<'a> {
    fn new(
        transaction: &'a Transaction<'a>,
        batch: &'a Batch,
        keep: Keep,
    ) -> Result<Self, rusqlite::Error> {
        let run = write_run(transaction, batch)?;
        let mut services = HashMap::new();
        for (index, name) in (0..).zip(&batch.run.services) {
            let id = intern_service(transaction, name)?;
            transaction
                .prepare_cached("INSERT OR IGNORE INTO run_service (run, service) VALUES (?1, ?2)")?
                .execute(params![run, id])?;
            services.insert(ServiceId(index), id);
        }
        let mut slices = Vec::with_capacity(batch.slices.names.len());
        for name in &batch.slices.names {
            let service = match services.get(&name.service) {
                Some(&id) => id,
                // The pipeline names every service; a run that did not still keeps its rows.
                None => intern_service(transaction, &format!("service {}", name.service.0))?,
            };
            let endpoint = intern_endpoint(transaction, service, &name.endpoint)?;
            slices.push(Slice { id: intern_slice(transaction, endpoint, name)?, endpoint });
        }
        Ok(Self { transaction, batch, keep, run, services, slices })
    }

    fn matched(&self, written: &mut Written) -> Result<(), rusqlite::Error> {
        let mut head = Vec::new();
        put(&mut head, self.slices.len() as u64);
        for slice in &self.slices {
            put(&mut head, slice.id.cast_unsigned());
        }
        for block in &self.batch.matched {
            written.pairs += u64::from(block.pairs);
            if self.keep == Keep::Examples {
                continue;
            }
            let bytes = [head.as_slice(), &block.bytes].concat();
            self.transaction
                .prepare_cached(
                    "INSERT INTO matched (run, first, last, pairs, bytes) VALUES (?1, ?2, ?3, ?4, ?5)",
                )?
                .execute(params![self.run, at(block.first), at(block.last), block.pairs, bytes])?;
        }
        Ok(())
    }

    fn judged(&self, written: &mut Written) -> Result<(), rusqlite::Error> {
        let examples = Examples {
            connection: self.transaction,
            keep: self.keep,
            per_signature: self.batch.examples_per_signature,
        };
        for pair in &self.batch.judged {
            written.pairs += 1;
            written.divergences += pair.divergences.len() as u64;
            let places = examples.places(pair)?;
            if self.keep == Keep::Examples && places.is_empty() {
                continue;
            }
            let row = self.pair(pair)?;
            if !places.is_empty() {
                examples.put(pair, row, &places)?;
                written.examples += 1;
            }
        }
        Ok(())
    }

    /// Writes the pair and its divergences.
    fn pair(&self, pair: &JudgedPair) -> Result<i64, rusqlite::Error> {
        let incomparable = match pair.verdict {
            Verdict::Incomparable(reason) => Some(reason.as_str()),
            Verdict::Matched | Verdict::Diverged => None,
        };
        let id = self
            .transaction
            .prepare_cached(
                "INSERT INTO pair (pair, run, slice, start, key, incomparable,
                     primary_status, primary_first_byte_us, primary_total_us,
                     shadow_status, shadow_first_byte_us, shadow_total_us)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            )?
            .insert(params![
                pair.id.0.cast_signed(),
                self.run,
                self.slice(pair.slice).id,
                at(pair.start),
                pair.key,
                incomparable,
                pair.primary.status,
                pair.primary.first_byte_us.map(stored),
                pair.primary.total_us.map(stored),
                pair.shadow.status,
                pair.shadow.first_byte_us.map(stored),
                pair.shadow.total_us.map(stored),
            ])?;
        let mut insert = self.transaction.prepare_cached(
            "INSERT INTO divergence (pair, n, signature, path, primary_value, shadow_value)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?;
        for (n, divergence) in (0_u32..).zip(&pair.divergences) {
            insert.execute(params![
                id,
                n,
                divergence.signature.0.cast_signed(),
                divergence.path,
                divergence.primary,
                divergence.shadow,
            ])?;
        }
        Ok(id)
    }

    fn signatures(&self) -> Result<(), rusqlite::Error> {
        let mut identify = self.transaction.prepare_cached(
            "INSERT OR IGNORE INTO signature (id, endpoint, kind, pattern, change)
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?;
        let mut count = self.transaction.prepare_cached(
            "INSERT INTO signature_minute (minute, signature, slice, count, pairs, first, last)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
             ON CONFLICT DO UPDATE SET
                 count = count + excluded.count,
                 pairs = pairs + excluded.pairs,
                 first = min(first, excluded.first),
                 last = max(last, excluded.last)",
        )?;
        for (id, row) in &self.batch.signatures {
            let id = id.0.cast_signed();
            let endpoint = self.slice(row.slice).endpoint;
            identify.execute(params![
                id,
                endpoint,
                row.kind.as_str(),
                row.pattern,
                row.change.as_str()
            ])?;
            for (&(minute, slice), seen) in &row.minutes {
                count.execute(params![
                    at(minute),
                    id,
                    self.slice(slice).id,
                    stored(seen.count),
                    stored(seen.pairs),
                    at(seen.first),
                    at(seen.last)
                ])?;
            }
        }
        Ok(())
    }

    fn noise(&self) -> Result<(), rusqlite::Error> {
        let mut insert = self.transaction.prepare_cached(
            "INSERT OR REPLACE INTO noise
                 (signature, service, endpoint, kind, pattern, change, cause, at, memory)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?;
        for (id, row) in &self.batch.noise {
            let Some(service) = self.services.get(&row.service) else { continue };
            insert.execute(params![
                id.0.cast_signed(),
                service,
                row.endpoint,
                row.kind.as_str(),
                row.pattern,
                row.change.as_str(),
                row.cause.map(NoiseCause::as_str),
                at(row.at),
                row.memory,
            ])?;
        }
        Ok(())
    }

    fn templates(&self) -> Result<(), rusqlite::Error> {
        let mut insert = self.transaction.prepare_cached(
            "INSERT OR IGNORE INTO template (service, template, takes, since)
             VALUES (?1, ?2, ?3, ?4)",
        )?;
        for LearnedTemplate { service, template, takes, since } in &self.batch.templates {
            let Some(service) = self.services.get(service) else { continue };
            insert.execute(params![service, template, takes.to_string(), at(*since)])?;
        }
        Ok(())
    }

    fn rollup(&self, row: &RollupRow) -> Result<(), rusqlite::Error> {
        let (minute, slice) = (at(row.minute), self.slice(row.slice).id);
        let counts = &row.counts;
        self.transaction
            .prepare_cached(
                "INSERT INTO rollup (minute, slice, matched, diverged, request_bodies_equal,
                     errors_neither, errors_primary_only, errors_shadow_only, errors_both,
                     primary_bytes, shadow_bytes)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
                 ON CONFLICT DO UPDATE SET
                     matched = matched + excluded.matched,
                     diverged = diverged + excluded.diverged,
                     request_bodies_equal = request_bodies_equal + excluded.request_bodies_equal,
                     errors_neither = errors_neither + excluded.errors_neither,
                     errors_primary_only = errors_primary_only + excluded.errors_primary_only,
                     errors_shadow_only = errors_shadow_only + excluded.errors_shadow_only,
                     errors_both = errors_both + excluded.errors_both,
                     primary_bytes = primary_bytes + excluded.primary_bytes,
                     shadow_bytes = shadow_bytes + excluded.shadow_bytes",
            )?
            .execute(params![
                minute,
                slice,
                stored(counts.matched),
                stored(counts.diverged),
                stored(counts.request_bodies_equal),
                stored(counts.errors.neither),
                stored(counts.errors.primary_only),
                stored(counts.errors.shadow_only),
                stored(counts.errors.both),
                stored(counts.sizes.primary_bytes),
                stored(counts.sizes.shadow_bytes),
            ])?;
        let mut reasons = self.transaction.prepare_cached(
            "INSERT INTO incomparable (minute, slice, reason, count) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET count = count + excluded.count",
        )?;
        for (reason, count) in &counts.incomparable {
            reasons.execute(params![minute, slice, reason.as_str(), stored(*count)])?;
        }
        let mut rules = self.transaction.prepare_cached(
            "INSERT INTO suppressed (minute, slice, rule, count) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET count = count + excluded.count",
        )?;
        for (rule, count) in &counts.suppressed {
            rules.execute(params![minute, slice, rule.as_ref(), stored(*count)])?;
        }
        for (leg, account) in Leg::ALL.into_iter().zip(&counts.legs) {
            self.outcomes(minute, slice, leg, &account.outcomes)?;
        }
        measure::all(counts).try_for_each(|measured| self.latency(minute, slice, measured))
    }

    fn outcomes(
        &self,
        minute: i64,
        slice: i64,
        leg: Leg,
        outcomes: &[u64; Outcome::ALL.len()],
    ) -> Result<(), rusqlite::Error> {
        let mut upsert = self.transaction.prepare_cached(
            "INSERT INTO account (minute, slice, leg, outcome, count)
             VALUES (?1, ?2, ?3, ?4, ?5)
             ON CONFLICT DO UPDATE SET count = count + excluded.count",
        )?;
        for (outcome, &count) in Outcome::ALL.into_iter().zip(outcomes) {
            if count > 0 {
                let (leg, outcome) = (leg.as_str(), outcome.as_str());
                upsert.execute(params![minute, slice, leg, outcome, stored(count)])?;
            }
        }
        Ok(())
    }

    fn latency(
        &self,
        minute: i64,
        slice: i64,
        (leg, measure, more): Measured<'_>,
    ) -> Result<(), rusqlite::Error> {
        let leg = leg.as_str();
        let known: Option<Vec<u8>> = self
            .transaction
            .prepare_cached(
                "SELECT histogram FROM latency
                 WHERE minute = ?1 AND slice = ?2 AND leg = ?3 AND measure = ?4",
            )?
            .query_row(params![minute, slice, leg, measure], |row| row.get(0))
            .optional()?;
        let mut sum = wide(more)?;
        if let Some(known) = known {
            sum.add(read_histogram(&known)?).map_err(conversion)?;
        }
        self.transaction
            .prepare_cached(
                "INSERT OR REPLACE INTO latency (minute, slice, leg, measure, histogram)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![minute, slice, leg, measure, write_histogram(&sum)?])
            .map(drop)
    }

    fn slice(&self, index: u32) -> Slice {
        // Batches number their own slices, so an index always has one.
        self.slices[index as usize]
    }
}

/// The run's row, made or brought up to date.
fn write_run(transaction: &Transaction<'_>, batch: &Batch) -> Result<i64, rusqlite::Error> {
    let run = &batch.run;
    let agent = match &batch.agent {
        Some(counters) => Value::Text(
            serde_json::to_string(counters).expect("names and numbers always serialise"),
        ),
        None => Value::Null,
    };
    let settings =
        serde_json::to_string(&run.settings).expect("names and numbers always serialise");
    let (first, last) = batch.span.map(|(first, last)| (at(first), at(last))).unzip();
    transaction
        .prepare_cached(
            "INSERT INTO run (started, host, version, config_digest, first, last, agent,
                 examples_left_out, signatures_folded, settings)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, coalesce(?7, '{}'), ?8, ?9, ?10)
             ON CONFLICT DO UPDATE SET
                 version = excluded.version,
                 config_digest = excluded.config_digest,
                 first = coalesce(min(first, excluded.first), first, excluded.first),
                 last = coalesce(max(last, excluded.last), last, excluded.last),
                 agent = coalesce(?7, agent),
                 examples_left_out = excluded.examples_left_out,
                 signatures_folded = excluded.signatures_folded,
                 settings = excluded.settings
             RETURNING id",
        )?
        .query_row(
            params![
                at(run.started),
                run.host,
                run.version,
                run.config_digest,
                first,
                last,
                agent,
                stored(batch.left_out.examples),
                stored(batch.left_out.signatures_folded),
                settings
            ],
            |row| row.get(0),
        )
}

fn intern_service(transaction: &Transaction<'_>, name: &str) -> Result<i64, rusqlite::Error> {
    let known = transaction
        .prepare_cached("SELECT id FROM service WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?;
    match known {
        Some(id) => Ok(id),
        None => {
            transaction.prepare_cached("INSERT INTO service (name) VALUES (?1)")?.insert([name])
        }
    }
}

fn intern_endpoint(
    transaction: &Transaction<'_>,
    service: i64,
    name: &str,
) -> Result<i64, rusqlite::Error> {
    let known = transaction
        .prepare_cached("SELECT id FROM endpoint WHERE service = ?1 AND name = ?2")?
        .query_row(params![service, name], |row| row.get(0))
        .optional()?;
    match known {
        Some(id) => Ok(id),
        None => transaction
            .prepare_cached("INSERT INTO endpoint (service, name) VALUES (?1, ?2)")?
            .insert(params![service, name]),
    }
}

fn intern_slice(
    transaction: &Transaction<'_>,
    endpoint: i64,
    name: &SliceName,
) -> Result<i64, rusqlite::Error> {
    let names = params![endpoint, name.primary_release, name.shadow_release];
    let known = transaction
        .prepare_cached(
            "SELECT id FROM slice
             WHERE endpoint = ?1 AND primary_release = ?2 AND shadow_release = ?3",
        )?
        .query_row(names, |row| row.get(0))
        .optional()?;
    match known {
        Some(id) => Ok(id),
        None => transaction
            .prepare_cached(
                "INSERT INTO slice (endpoint, primary_release, shadow_release)
                 VALUES (?1, ?2, ?3)",
            )?
            .insert(names),
    }
}

/// `histogram` with counters that a store's sums do not overflow, growing with its values.
fn wide(histogram: &Histogram<u32>) -> Result<Histogram<u64>, rusqlite::Error> {
    let (low, high) = (histogram.low(), histogram.high());
    let mut wide = Histogram::new_with_bounds(low, high, histogram.sigfig()).map_err(conversion)?;
    wide.auto(true);
    for value in histogram.iter_recorded() {
        wide.record_n(value.value_iterated_to(), u64::from(value.count_at_value()))
            .map_err(conversion)?;
    }
    Ok(wide)
}

fn write_histogram(histogram: &Histogram<u64>) -> Result<Vec<u8>, rusqlite::Error> {
    let mut bytes = Vec::new();
    V2Serializer::new().serialize(histogram, &mut bytes).map_err(conversion)?;
    Ok(bytes)
}

/// A histogram as [`write_histogram`] writes it.
pub(super) fn read_histogram(mut bytes: &[u8]) -> Result<Histogram<u64>, rusqlite::Error> {
    let mut histogram: Histogram<u64> =
        Deserializer::new().deserialize(&mut bytes).map_err(conversion)?;
    // What is added to it may reach further.
    histogram.auto(true);
    Ok(histogram)
}

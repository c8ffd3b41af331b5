//! Which pairs keep their messages: the choice of [`crate::sample`], over all runs in the store.

use rusqlite::{Connection, OptionalExtension, params};

use super::Keep;
use super::migrate::FIRST;
use super::row::at;
use crate::batch::JudgedPair;
use crate::sample::rank;

/// The examples of a store, while a batch is written.
pub(super) struct Examples<'a> {
    pub(super) connection: &'a Connection,
    pub(super) keep: Keep,
    /// How many a signature keeps besides its first.
    pub(super) per_signature: u32,
}

/// Where a pair is to be kept.
pub(super) struct Places {
    /// Signatures whose first it is.
    first: Vec<i64>,
    /// Signatures that have it among their lowest.
    lowest: Vec<i64>,
}

impl Places {
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_empty() && self.lowest.is_empty()
    }
}

impl Examples<'_> {
    /// Where `pair` is to be kept; nowhere, where it came without its messages.
    pub(super) fn places(&self, pair: &JudgedPair) -> Result<Places, rusqlite::Error> {
        let mut places = Places { first: Vec::new(), lowest: Vec::new() };
        if pair.example.is_none() || self.per_signature == 0 {
            return Ok(places);
        }
        let mut seen = Vec::new();
        for divergence in &pair.divergences {
            let signature = divergence.signature.0.cast_signed();
            if seen.contains(&signature) {
                continue;
            }
            seen.push(signature);
            if self.is_first(signature, pair)? {
                places.first.push(signature);
            }
            if self.is_lowest(signature, pair)? {
                places.lowest.push(signature);
            }
        }
        Ok(places)
    }

    /// Puts the pair of row `row` at `places`; what had to make room loses its messages.
    pub(super) fn put(
        &self,
        pair: &JudgedPair,
        row: i64,
        places: &Places,
    ) -> Result<(), rusqlite::Error> {
        let Some((primary, shadow)) = &pair.example else { return Ok(()) };
        self.connection
            .prepare_cached(
                "INSERT INTO example (pair, primary_exchange, shadow_exchange) VALUES (?1, ?2, ?3)",
            )?
            .execute(params![row, primary, shadow])?;
        for &signature in &places.first {
            self.replace(signature, FIRST, row)?;
        }
        for &signature in &places.lowest {
            self.replace(signature, rank(pair.id), row)?;
            let (count, last) = self.count(signature)?;
            if let Some(last) = last.filter(|_| count > self.per_signature) {
                self.remove(signature, last)?;
            }
        }
        Ok(())
    }

    fn is_first(&self, signature: i64, pair: &JudgedPair) -> Result<bool, rusqlite::Error> {
        let known: Option<(i64, u64)> = self
            .connection
            .prepare_cached(
                "SELECT pair.start, pair.pair FROM signature_example
                 JOIN pair ON pair.id = signature_example.pair
                 WHERE signature = ?1 AND rank = ?2",
            )?
            .query_row(params![signature, FIRST], |row| {
                Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned()))
            })
            .optional()?;
        Ok(known.is_none_or(|known| (at(pair.start), pair.id.0) < known))
    }

    fn is_lowest(&self, signature: i64, pair: &JudgedPair) -> Result<bool, rusqlite::Error> {
        let rank = rank(pair.id);
        let known: bool = self
            .connection
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM signature_example
                 WHERE signature = ?1 AND rank = ?2)",
            )?
            .query_row(params![signature, rank], |row| row.get(0))?;
        let (count, last) = self.count(signature)?;
        Ok(!known && (count < self.per_signature || last.is_some_and(|last| rank < last)))
    }

    /// How many a signature has besides its first, and the highest rank of them.
    fn count(&self, signature: i64) -> Result<(u32, Option<i64>), rusqlite::Error> {
        self.connection
            .prepare_cached(
                "SELECT count(*), max(rank) FROM signature_example
                 WHERE signature = ?1 AND rank > ?2",
            )?
            .query_row(params![signature, FIRST], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    fn replace(&self, signature: i64, rank: i64, row: i64) -> Result<(), rusqlite::Error> {
        self.remove(signature, rank)?;
        self.connection
            .prepare_cached(
                "INSERT INTO signature_example (signature, rank, pair) VALUES (?1, ?2, ?3)",
            )?
            .execute(params![signature, rank, row])
            .map(drop)
    }

    fn remove(&self, signature: i64, rank: i64) -> Result<(), rusqlite::Error> {
        let row: Option<i64> = self
            .connection
            .prepare_cached(
                "DELETE FROM signature_example WHERE signature = ?1 AND rank = ?2 RETURNING pair",
            )?
            .query_row(params![signature, rank], |row| row.get(0))
            .optional()?;
        let Some(row) = row else { return Ok(()) };
        let still: bool = self
            .connection
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM signature_example WHERE pair = ?1)")?
            .query_row([row], |row| row.get(0))?;
        if still {
            return Ok(());
        }
        self.connection.prepare_cached("DELETE FROM example WHERE pair = ?1")?.execute([row])?;
        if self.keep == Keep::Examples {
            self.connection
                .prepare_cached("DELETE FROM divergence WHERE pair = ?1")?
                .execute([row])?;
            self.connection.prepare_cached("DELETE FROM pair WHERE id = ?1")?.execute([row])?;
        }
        Ok(())
    }
}

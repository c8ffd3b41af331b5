//! The embedded store: one SQLite file, no server.
//!
//! | file | what |
//! |---|---|
//! | `PATH` | the database |
//! | `PATH-wal`, `PATH-shm` | SQLite's write-ahead log, gone after a clean end |
//! | `PATH.lock` | held locked by the one writer; its process id inside |
//!
//! One process writes; any number read meanwhile, each answer from one consistent state. A batch
//! is one transaction in WAL mode with `synchronous = NORMAL`: acknowledged, it survives the death
//! of the process. After a power cut the last batches may be missing, never half there.

mod acknowledge;
mod alarm;
mod detail;
mod evidence;
mod example;
mod measure;
mod migrate;
mod mirror;
mod noise;
mod open;
mod read;
mod row;
mod schema;
mod signatures;
mod template;
mod window;
mod write;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use capture::Timestamp;
use compare::{LearnedTemplate, NoiseNews, PairId, SignatureId};
use rusqlite::Connection;

use crate::{
    Acknowledged, Acknowledgement, Batch, PairDetail, Query, Report, ServiceEvidence,
    SignatureDetail, Store, StoreError, Written,
};

/// A store in one SQLite file, or in memory.
#[derive(Debug)]
pub struct SqliteStore {
    connection: Connection,
    path: PathBuf,
    keep: Keep,
    /// Locked while this store writes; `None` for readers and in memory.
    _writer: Option<File>,
}

/// Which pairs are kept one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keep {
    /// Every pair.
    All,
    /// Only examples: nobody can ask for the others once the report is made.
    Examples,
}

impl SqliteStore {
    /// Opens the store at `path` for writing, or makes a new one.
    ///
    /// # Errors
    ///
    /// Says what is wrong with the file or its folder, and leaves neither a new file there nor a
    /// changed one.
    pub fn create_or_open(path: &Path) -> Result<Self, StoreError> {
        open::writer(path)
    }

    /// Opens the store at `path` for questions, also while another process writes it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Missing`] where there is none, or what is wrong with the file.
    pub fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        open::reader(path)
    }

    /// Opens the store at `path` for acknowledgements, also while another process writes it.
    ///
    /// # Errors
    ///
    /// As [`SqliteStore::open_read_only`], and where this user may not write it.
    pub fn open_beside(path: &Path) -> Result<Self, StoreError> {
        open::editor(path)
    }

    /// A store in memory, for one report: pairs other than examples are counted, not kept, so
    /// that memory stays bounded however long the traffic is.
    ///
    /// # Errors
    ///
    /// SQLite has no memory.
    pub fn in_memory() -> Result<Self, StoreError> {
        open::in_memory()
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Store for SqliteStore {
    fn write(&mut self, batch: &Batch) -> Result<Written, StoreError> {
        let keep = self.keep;
        write::batch(&mut self.connection, batch, keep)
            .map_err(|error| open::explained(&self.path, &error))
    }

    fn report(&self, query: &Query) -> Result<Report, StoreError> {
        read::report(self, query)
    }

    fn signature(
        &self,
        id: SignatureId,
        as_of: Option<Timestamp>,
    ) -> Result<Option<SignatureDetail>, StoreError> {
        detail::signature(self, id, as_of)
    }

    fn pair(&self, id: PairId) -> Result<Option<PairDetail>, StoreError> {
        detail::pair(self, id)
    }

    fn diverged(&self, query: &Query, each: &mut dyn FnMut(PairDetail)) -> Result<(), StoreError> {
        detail::diverged(self, query, each)
    }

    fn evidence(&self, query: &Query) -> Result<Vec<ServiceEvidence>, StoreError> {
        evidence::evidence(self, query)
    }

    fn templates(&self, services: &[Arc<str>]) -> Result<Vec<LearnedTemplate>, StoreError> {
        read::in_one_state(self, |connection| template::all(connection, services))
    }

    fn noise(&self, services: &[Arc<str>]) -> Result<Vec<NoiseNews>, StoreError> {
        read::in_one_state(self, |connection| noise::all(connection, services))
    }

    fn acknowledge(&mut self, said: &Acknowledgement) -> Result<Acknowledged, StoreError> {
        acknowledge::put(&mut self.connection, said)
            .map_err(|error| open::explained(&self.path, &error))
    }

    fn take_back(&mut self, signature: SignatureId) -> Result<bool, StoreError> {
        acknowledge::take_back(&self.connection, signature)
            .map_err(|error| open::explained(&self.path, &error))
    }

    fn acknowledgements(&self) -> Result<Vec<Acknowledgement>, StoreError> {
        read::in_one_state(self, acknowledge::all)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use capture::Timestamp;

    use super::*;
    use crate::{AgentCounters, Batcher, Limits, RedactionKey, Redactor, Run, SecretNames};

    #[test]
    fn a_batch_that_finds_no_room_is_not_stored_in_part_and_may_be_tried_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = SqliteStore::create_or_open(&folder.path().join("s.db")).unwrap();
        let run = Run {
            started: Timestamp::from_nanos(1),
            host: "edge-1".into(),
            version: "0.1.0".into(),
            config_digest: "c0ffee".into(),
            services: vec![Arc::from("shop")],
            settings: crate::Settings::default(),
        };
        let redactor = Redactor::new(RedactionKey::new([7; 32]), &SecretNames::default());
        let mut batcher = Batcher::new(run, redactor, Limits::default());
        let mut agent = AgentCounters::default();
        agent.anomalies.insert("x".repeat(1_000_000), 1);
        batcher.set_agent(agent);
        let batch = batcher.take();

        // What a full disk answers, without a disk to fill.
        let bound = |store: &SqliteStore, pages: u32| {
            let set =
                store.connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()));
            set.unwrap();
        };
        bound(&store, 60);
        let error = store.write(&batch).unwrap_err();
        assert!(matches!(error, StoreError::DiskFull { .. }), "{error}");
        assert!(store.report(&Query::default()).unwrap().services.is_empty());
        bound(&store, 1_000_000);
        store.write(&batch).unwrap();
        assert_eq!(store.report(&Query::default()).unwrap().services.len(), 1);
    }
}

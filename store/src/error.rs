//! Why a store could not be opened, written or read: each a sentence that says what to do.

use std::fmt;
use std::path::PathBuf;

/// Why a store does not answer. All of these are about our environment, never about traffic.
#[derive(Debug)]
pub enum StoreError {
    /// A reader named a store that is not there.
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The file or its folder cannot be created or written.
    NotWritable {
        /// The store.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The file cannot be read.
    NotReadable {
        /// The store.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// The file is no SQLite database.
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// The file is a database of another application.
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The store was made by a newer tapdiff.
    Newer {
        /// The store.
        path: PathBuf,
        /// Its schema version.
        found: i64,
        /// The version that this tapdiff reads.
        known: i64,
    },
    /// The store was made by an older tapdiff, and could not be brought up to date.
    Older {
        /// The store.
        path: PathBuf,
        /// Its schema version.
        found: i64,
        /// The version that this tapdiff reads.
        known: i64,
    },
    /// Another process writes this store.
    Locked {
        /// The store.
        path: PathBuf,
        /// The other process's id, where it left one.
        holder: Option<u32>,
    },
    /// The disk is full. What was written before is intact; the batch was not stored.
    DiskFull {
        /// The store.
        path: PathBuf,
    },
    /// The store is not as tapdiff wrote it.
    Damaged {
        /// The store.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// SQLite refused for another reason.
    Database {
        /// The store.
        path: PathBuf,
        /// What SQLite said.
        reason: String,
    },
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { path } => write!(
                f,
                "no store at {}; start 'tapdiff run' or 'tapdiff analyze --store {}' first",
                path.display(),
                path.display()
            ),
            Self::NotWritable { path, reason } => write!(
                f,
                "{}: the store cannot be written ({reason}); name a file in a folder that this \
                 user may write",
                path.display()
            ),
            Self::NotReadable { path, reason } => write!(
                f,
                "{}: the store cannot be read ({reason}); run as a user that may read it",
                path.display()
            ),
            Self::NotADatabase { path } => {
                write!(f, "{}: not a tapdiff store; name another file", path.display())
            }
            Self::Foreign { path } => write!(
                f,
                "{}: a database of another application; name another file",
                path.display()
            ),
            Self::Newer { path, found, known } => write!(
                f,
                "{}: made by a newer tapdiff (schema {found}, this one reads {known}): upgrade \
                 tapdiff or name another file",
                path.display()
            ),
            Self::Older { path, found, known } => write!(
                f,
                "{}: made by an older tapdiff (schema {found}, this one reads {known}): open it once \
                 as a user who may write it, which brings it up to date, or read it with the \
                 tapdiff that made it",
                path.display()
            ),
            Self::Locked { path, holder: Some(process) } => write!(
                f,
                "{}: another tapdiff (process {process}) writes this store; stop it or name \
                 another file",
                path.display()
            ),
            Self::Locked { path, holder: None } => write!(
                f,
                "{}: another tapdiff writes this store; stop it or name another file",
                path.display()
            ),
            Self::DiskFull { path } => {
                write!(f, "{}: the disk is full; free space or move the store", path.display())
            }
            Self::Damaged { path, reason } => write!(
                f,
                "{}: the store is damaged ({reason}); move it away and start a new one",
                path.display()
            ),
            Self::Database { path, reason } => {
                write!(f, "{}: the store failed ({reason}); see the store's disk", path.display())
            }
        }
    }
}

impl std::error::Error for StoreError {}

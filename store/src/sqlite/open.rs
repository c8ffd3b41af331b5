//! Opening a store: whose file it is, who writes it, and what goes wrong.

use std::cmp::Ordering;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{Keep, SqliteStore, migrate, schema};
use crate::StoreError;

/// How every SQLite database begins (SQLite file format §1.3.1).
const MAGIC: &[u8] = b"SQLite format 3\0";

/// How long a reader or writer waits for the other: only checkpoints and recovery hold locks.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Prepared statements kept: every statement of `write` and `read`.
const STATEMENTS: usize = 64;

/// Bytes that the write-ahead log may keep on disk after a checkpoint.
const WAL_BYTES: i64 = 64 << 20;

pub(super) fn writer(path: &Path) -> Result<SqliteStore, StoreError> {
    let state = FileState::of(path)?;
    let lock = WriterLock::take(path)?;
    match open_writer(path) {
        Ok(connection) => Ok(SqliteStore {
            connection,
            path: path.into(),
            keep: Keep::All,
            _writer: Some(lock.keep()),
        }),
        Err(error) => {
            if state == FileState::Absent {
                for file in [path.to_owned(), beside(path, "-wal"), beside(path, "-shm")] {
                    // It may never have come to be.
                    let _ = std::fs::remove_file(file);
                }
            }
            lock.undo();
            Err(error)
        }
    }
}

pub(super) fn reader(path: &Path) -> Result<SqliteStore, StoreError> {
    let missing = || StoreError::Missing { path: path.into() };
    if FileState::of(path)? != FileState::Database {
        return Err(missing());
    }
    let read_only = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = |path: &Path, flags| -> Result<Connection, rusqlite::Error> {
        let connection = Connection::open_with_flags(path, flags)?;
        prepare(&connection)?;
        // Reading opens the write-ahead log, which fails where it is not permitted.
        connection.pragma_query_value(None, "schema_version", |_| Ok(()))?;
        Ok(connection)
    };
    let connection = match open(path, read_only) {
        // A store that nobody writes has no log, and a user who may not write its folder cannot
        // make one: then the file cannot change either.
        Err(error) if refused(&error) && !beside(path, "-wal").exists() => {
            open(&immutable(path), read_only | OpenFlags::SQLITE_OPEN_URI)
        }
        opened => opened,
    };
    let connection = connection.map_err(|error| match explained(path, &error) {
        StoreError::NotWritable { path, reason } => StoreError::NotReadable { path, reason },
        other => other,
    })?;
    match Owner::of(path, &connection)? {
        Owner::Nobody => Err(missing()),
        Owner::Tapdiff => {
            Ok(SqliteStore { connection, path: path.into(), keep: Keep::All, _writer: None })
        }
        Owner::Older(found) => {
            drop(connection);
            update(path, found)?;
            reader(path)
        }
    }
}

/// Opens the store for small changes beside the process that writes it.
pub(super) fn editor(path: &Path) -> Result<SqliteStore, StoreError> {
    // Says what is wrong with the file, and brings an older store up to date.
    drop(reader(path)?);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let connection = Connection::open_with_flags(path, flags)?;
        prepare_writer(&connection)?;
        Ok(connection)
    };
    let connection = open().map_err(|error| explained(path, &error))?;
    Ok(SqliteStore { connection, path: path.into(), keep: Keep::All, _writer: None })
}

/// Brings an older store up to date; only who may write it can.
fn update(path: &Path, found: i64) -> Result<(), StoreError> {
    match writer(path) {
        Ok(_) => Ok(()),
        Err(StoreError::NotWritable { path, .. }) => {
            Err(StoreError::Older { path, found, known: schema::VERSION })
        }
        Err(other) => Err(other),
    }
}

pub(super) fn in_memory() -> Result<SqliteStore, StoreError> {
    let path = PathBuf::from(":memory:");
    let open = || {
        let connection = Connection::open_in_memory()?;
        prepare(&connection)?;
        connection.execute_batch(schema::CREATE)?;
        Ok(connection)
    };
    let connection = open().map_err(|error| explained(&path, &error))?;
    Ok(SqliteStore { connection, path, keep: Keep::Examples, _writer: None })
}

fn open_writer(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let failed = |error| explained(path, &error);
    let mut connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    let owner = Owner::of(path, &connection)?;
    prepare_writer(&connection).map_err(failed)?;
    if let Owner::Older(found) = owner {
        migrate::migrate(&mut connection, found).map_err(failed)?;
    }
    if owner == Owner::Nobody {
        let create = format!(
            "BEGIN IMMEDIATE; {} PRAGMA application_id = {}; PRAGMA user_version = {}; COMMIT;",
            schema::CREATE,
            schema::APPLICATION_ID,
            schema::VERSION
        );
        connection.execute_batch(&create).map_err(failed)?;
    }
    Ok(connection)
}

fn prepare(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(())
}

fn prepare_writer(connection: &Connection) -> Result<(), rusqlite::Error> {
    prepare(connection)?;
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "normal")?;
    connection.pragma_update_and_check(None, "journal_size_limit", WAL_BYTES, |_| Ok(()))
}

/// Whose database it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    /// It is empty: new, or a process died while it made it.
    Nobody,
    Tapdiff,
    /// An earlier tapdiff's, of this version: it can be brought up to date.
    Older(i64),
}

impl Owner {
    /// Changes nothing. Fails where it is someone else's, or of another version.
    fn of(path: &Path, connection: &Connection) -> Result<Self, StoreError> {
        let number = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
        let read = || {
            let application = number("PRAGMA application_id")?;
            Ok((
                application,
                number("PRAGMA user_version")?,
                number("SELECT count(*) FROM sqlite_schema")?,
            ))
        };
        let (application, found, tables) = read().map_err(|error| explained(path, &error))?;
        let (path, known) = (path.to_owned(), schema::VERSION);
        match application {
            0 if tables == 0 => Ok(Self::Nobody),
            schema::APPLICATION_ID => match found.cmp(&known) {
                Ordering::Equal => Ok(Self::Tapdiff),
                Ordering::Greater => Err(StoreError::Newer { path, found, known }),
                Ordering::Less if found >= migrate::OLDEST => Ok(Self::Older(found)),
                Ordering::Less => Err(StoreError::Older { path, found, known }),
            },
            _ => Err(StoreError::Foreign { path }),
        }
    }
}

/// What lies at a path, as far as it can be told without SQLite touching it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FileState {
    /// Nothing.
    Absent,
    /// A file of no bytes.
    Empty,
    /// Something that begins as a database does.
    Database,
}

impl FileState {
    fn of(path: &Path) -> Result<Self, StoreError> {
        let path_buf = path.to_owned();
        let unreadable = |error: std::io::Error| StoreError::NotReadable {
            path: path.to_owned(),
            reason: reason_of(&error),
        };
        let file = match File::open(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Self::Absent),
            Err(error) => return Err(unreadable(error)),
            Ok(file) => file,
        };
        if !file.metadata().map_err(unreadable)?.is_file() {
            return Err(StoreError::NotADatabase { path: path_buf });
        }
        let mut head = Vec::with_capacity(MAGIC.len());
        let wanted = MAGIC.len() as u64;
        file.take(wanted).read_to_end(&mut head).map_err(unreadable)?;
        match head.as_slice() {
            [] => Ok(Self::Empty),
            MAGIC => Ok(Self::Database),
            _ => Err(StoreError::NotADatabase { path: path_buf }),
        }
    }
}

/// The right to write a store. SQLite's own locks guard single transactions; this one refuses a
/// second daemon. It lies in a file of its own, since closing any handle of the database file
/// would drop the locks that SQLite holds on it (POSIX `fcntl` locks belong to the process).
struct WriterLock {
    file: File,
    path: PathBuf,
    made: bool,
}

impl WriterLock {
    fn take(store: &Path) -> Result<Self, StoreError> {
        let path = beside(store, ".lock");
        let not_writable = |error: std::io::Error| StoreError::NotWritable {
            path: store.to_owned(),
            reason: reason_of(&error),
        };
        let made = !path.exists();
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(not_writable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let _ = file.take(20).read_to_string(&mut text);
                return Err(StoreError::Locked {
                    path: store.to_owned(),
                    holder: text.trim().parse().ok(),
                });
            }
            Err(TryLockError::Error(error)) => return Err(not_writable(error)),
        }
        let lock = Self { file, path, made };
        let written = lock
            .file
            .set_len(0)
            .and_then(|()| (&lock.file).write_all(format!("{}\n", std::process::id()).as_bytes()));
        match written {
            Ok(()) => Ok(lock),
            Err(error) => {
                lock.undo();
                Err(not_writable(error))
            }
        }
    }

    /// The locked file, to be held as long as the store is written.
    fn keep(self) -> File {
        self.file
    }

    /// Gives the right back, and leaves nothing behind that was not there before.
    fn undo(self) {
        if self.made {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// The file beside `path` with `suffix` after its whole name.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// `path` as an SQLite URI that says that the file does not change.
fn immutable(path: &Path) -> PathBuf {
    let mut uri = String::from("file:");
    // SQLite URI filenames §3.1: `?`, `#` and `%` are escaped.
    for c in path.to_string_lossy().chars() {
        match c {
            '?' => uri.push_str("%3f"),
            '#' => uri.push_str("%23"),
            '%' => uri.push_str("%25"),
            other => uri.push(other),
        }
    }
    uri.push_str("?immutable=1");
    uri.into()
}

/// What SQLite's error means for who runs tapdiff.
pub(super) fn explained(path: &Path, error: &rusqlite::Error) -> StoreError {
    let reason = match error {
        rusqlite::Error::SqliteFailure(code, None) => code.to_string(),
        rusqlite::Error::SqliteFailure(_, Some(message)) => message.clone(),
        other => other.to_string(),
    };
    let path = path.to_owned();
    match error {
        rusqlite::Error::SqliteFailure(code, _) => match code.code {
            ErrorCode::DiskFull => StoreError::DiskFull { path },
            ErrorCode::NotADatabase => StoreError::NotADatabase { path },
            ErrorCode::DatabaseCorrupt => StoreError::Damaged { path, reason },
            _ if refused(error) => StoreError::NotWritable { path, reason },
            _ => StoreError::Database { path, reason },
        },
        // A column of another type, or a missing table or column: not what `schema` creates.
        rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..) => StoreError::Damaged { path, reason },
        _ => StoreError::Database { path, reason },
    }
}

/// Whether the system did not let SQLite at a file.
fn refused(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied)
    )
}

/// The system's words without the number.
fn reason_of(error: &std::io::Error) -> String {
    let text = error.to_string();
    let end = text.find(" (os error").unwrap_or(text.len());
    text[..end].to_lowercase()
}

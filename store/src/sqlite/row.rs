//! Columns as they are stored, and back.

use capture::Timestamp;
use rusqlite::Row;

/// A count; NULL is none.
pub(super) fn count(row: &Row<'_>, column: usize) -> Result<u64, rusqlite::Error> {
    optional_count(row, column).map(Option::unwrap_or_default)
}

pub(super) fn optional_count(row: &Row<'_>, column: usize) -> Result<Option<u64>, rusqlite::Error> {
    let count: Option<i64> = row.get(column)?;
    count.map(u64::try_from).transpose().map_err(conversion)
}

/// A 64-bit id, stored bit for bit.
pub(super) fn id(row: &Row<'_>, column: usize) -> Result<u64, rusqlite::Error> {
    row.get::<_, i64>(column).map(i64::cast_unsigned)
}

pub(super) fn nanos(stored: i64) -> Timestamp {
    Timestamp::from_nanos(u64::try_from(stored).unwrap_or(0))
}

/// A time as SQLite keeps it: 63 bits of nanoseconds reach the year 2262.
pub(super) fn at(time: Timestamp) -> i64 {
    stored(time.as_nanos())
}

/// A count as SQLite keeps it.
pub(super) fn stored(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A stored value that is not what was stored.
pub(super) fn conversion(error: impl std::error::Error + Send + Sync + 'static) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Blob, Box::new(error))
}

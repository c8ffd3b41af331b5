//! Columns as they are stored, and back.

use capture::Timestamp;
use rusqlite::Row;

use super::write::conversion;

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

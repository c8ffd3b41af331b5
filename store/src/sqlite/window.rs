//! The minutes that an answer covers.

use capture::Timestamp;

use super::row::at;
use crate::Query;
use crate::batch::{MINUTE, minute_of};

/// Minutes from the first to before the second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) from: i64,
    pub(super) to: i64,
}

impl Window {
    pub(super) const ALL: Self = Self { from: 0, to: i64::MAX };

    pub(super) fn of(query: &Query) -> Self {
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

//! Times as reports write them.

use capture::Timestamp;

/// RFC 3339 in UTC, to the nanosecond where the time is not a whole second.
pub(crate) fn rfc3339(at: Timestamp) -> String {
    let nanos = i128::from(at.as_nanos());
    // A u64 of nanoseconds ends in the year 2554, far inside jiff's range.
    jiff::Timestamp::from_nanosecond(nanos).unwrap_or(jiff::Timestamp::MAX).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_keep_their_nanoseconds_and_whole_seconds_stay_short() {
        let at = |nanos| rfc3339(Timestamp::from_nanos(nanos));
        assert_eq!(at(1_700_000_000_123_456_789), "2023-11-14T22:13:20.123456789Z");
        assert_eq!(at(1_700_000_040_000_000_000), "2023-11-14T22:14:00Z");
    }
}

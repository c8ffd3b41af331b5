//! Which time a question is about.

use std::time::{Duration, SystemTime};

use capture::Timestamp;
use jiff::SpanRelativeTo;
use store::Query;

use crate::cli::WindowArgs;
use crate::failure::Failure;

/// A query for that time, as of now.
pub(super) fn query(args: &WindowArgs) -> Result<Query, Failure> {
    let since = args.since.as_deref().map(|text| duration("--since", text)).transpose()?;
    let from = since.map(|since| earlier(now(), since)).or(args.from);
    Ok(Query { from, to: args.to, as_of: Some(now()), ..Query::default() })
}

/// The clock's time.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::ZERO + since
}

fn earlier(now: Timestamp, by: Duration) -> Timestamp {
    Timestamp::ZERO + now.since(Timestamp::ZERO).saturating_sub(by)
}

/// Reads a duration as people write it: `90s`, `15m`, `1h`, `2d`.
pub(super) fn duration(flag: &str, text: &str) -> Result<Duration, Failure> {
    let wrong =
        || Failure::usage(format!("{flag} '{text}': no duration; write 90s, 15m, 1h or 2d"));
    let span: jiff::Span = text.parse().map_err(|_| wrong())?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    Duration::try_from(duration).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        let seconds = |text| duration("--since", text).unwrap().as_secs();
        assert_eq!(
            ["90s", "15m", "1h", "2d", "1h30m"].map(seconds),
            [90, 900, 3_600, 172_800, 5_400]
        );
        assert!(duration("--since", "soon").is_err());
        assert!(duration("--since", "-5m").is_err());
    }
}

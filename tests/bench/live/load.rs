//! wrk: requests as fast as they are answered.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use super::Result;

/// Where requests go, and over how many connections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    pub(crate) address: SocketAddr,
    pub(crate) connections: u32,
}

/// What came of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ran {
    pub(crate) per_second: f64,
    pub(crate) p99: Duration,
}

impl Load {
    /// Asks for `seconds`. Fails where wrk is missing or an answer was none.
    pub(crate) fn run(&self, seconds: u32) -> Result<Ran> {
        let output = Command::new("wrk")
            .args(["--latency", "-t1", &format!("-c{}", self.connections)])
            .arg(format!("-d{seconds}s"))
            .arg(format!("http://{}/api/v1/items/17", self.address))
            .output()
            .map_err(|error| format!("wrk: {error} (tests/install.sh live installs it)"))?;
        let said = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() || said.contains("Non-2xx") || said.contains("Socket errors") {
            return Err(format!("wrk: {said}{}", String::from_utf8_lossy(&output.stderr)).into());
        }
        let after = |label: &str| {
            let line = said.lines().find(|line| line.trim_start().starts_with(label))?;
            line.trim_start()[label.len()..].split_whitespace().next()
        };
        let per_second = after("Requests/sec:").and_then(|text| text.parse().ok());
        let p99 = after("99%").and_then(duration);
        let (Some(per_second), Some(p99)) = (per_second, p99) else {
            return Err(format!("wrk says something else than it used to: {said}").into());
        };
        Ok(Ran { per_second, p99 })
    }
}

/// As wrk writes it: `12.34ms`.
fn duration(text: &str) -> Option<Duration> {
    for (unit, seconds) in [("us", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0)] {
        if let Some(number) = text.strip_suffix(unit)
            && let Ok(number) = number.parse::<f64>()
        {
            return Some(Duration::from_secs_f64(number * seconds));
        }
    }
    None
}

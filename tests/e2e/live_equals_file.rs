//! The same traffic, seen live and read from a file that tcpdump wrote of it: the same report.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::client::{Ask, Payload};
use crate::support::place::Place;
use crate::support::process::Process;
use crate::support::report;
use crate::support::shop::IGNORE;
use crate::support::stage::Stage;
use crate::support::{tapdiff, wait_for};

#[test]
fn live_and_from_file_the_same_traffic_gives_the_same_report() {
    let mut stage = Stage::on_loopback(Duration::from_secs(15));
    let (primary, shadow) = (stage.primary.address(), stage.shadow.address());
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("same.pcap");
    let mut tcpdump = Process::start(
        "tcpdump",
        Place::Host
            .command("tcpdump")
            .args(["-i", "lo", "-n", "-U", "-B", "65536", "-s", "262144", "-Z", "root"])
            .args(["--time-stamp-precision", "nano", "-w"])
            .arg(&file)
            .arg(format!("tcp port {} or tcp port {}", primary.port(), shadow.port())),
    );
    tcpdump.wait_for_line("listening on lo");

    let asks: Vec<Ask> = (1..=400)
        .map(|n| match n % 5 {
            0 => Ask::get(format!("/api/v1/gz/{n}")),
            1 => Ask::get(format!("/api/v3/items/{n}")),
            2 => Ask::post(format!("/api/v1/echo/{n}"), Payload::Chunked(vec![b'x'; 9_000].into())),
            _ => Ask::get(format!("/api/v1/items/{n}")),
        })
        .collect();
    stage.play(&asks);
    // tcpdump does not drain when it is stopped: both answers to one last request have to be in
    // the file first.
    stage.play(&[Ask::get("/api/v1/items/999983")]);
    let marker = b"\"id\":999983,";
    wait_for("tcpdump to write the last answers", || {
        let written = std::fs::read(&file).ok()?;
        let count = written.windows(marker.len()).filter(|window| window == marker).count();
        (count == 2).then_some(())
    });
    let live = stage.finish().report;

    let (status, said) = tcpdump.stop(Signal::INT);
    assert!(status.success() && said.contains("0 packets dropped by kernel"), "{said}");
    let from_file = tapdiff::analyze(&primary.to_string(), &shadow.to_string(), &IGNORE, &[file]);
    report::assert_accounts_close(&from_file);
    let mut differing = Vec::new();
    differences("", &shape(&live), &shape(&from_file), &mut differing);
    assert!(differing.is_empty(), "live, from file:\n{}", differing.join("\n"));
    assert!(report::number(&live, "/pairs/diverged") > 0, "there is something to compare");
}

/// What has to be equal: all that a service reports but the counters of the capture itself, which
/// count packets by where they came from.
pub(crate) fn shape(report: &Value) -> Value {
    let mut service = report::service(report).clone();
    let keys = service.as_object_mut().expect("a service is an object");
    keys.remove("capture");
    service
}

/// Each place where two documents differ, with both values.
///
/// The kernel stamps a packet for each socket that captures it, some hundred nanoseconds apart.
/// So times are close instead of equal, ratios of times say no more than they do, and ids of pairs,
/// which have their start in them, differ: and with them which pairs are drawn as examples.
pub(crate) fn differences(path: &str, live: &Value, file: &Value, found: &mut Vec<String>) {
    let key = path.rsplit('/').next().unwrap_or_default();
    let equal = match (live, file) {
        (Value::Object(a), Value::Object(b)) if a.keys().eq(b.keys()) => {
            for (key, value) in a {
                differences(&format!("{path}/{key}"), value, &b[key], found);
            }
            return;
        }
        (Value::Array(a), Value::Array(b)) if key == "examples" => a.is_empty() == b.is_empty(),
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            for (index, (a, b)) in a.iter().zip(b).enumerate() {
                differences(&format!("{path}/{index}"), a, b, found);
            }
            return;
        }
        (Value::Number(_), Value::Number(_)) if key == "ratio" || path.contains("/interval/") => {
            true
        }
        (Value::Number(a), Value::Number(b)) if key.ends_with("_us") => {
            let (a, b) = (a.as_i64().unwrap(), b.as_i64().unwrap());
            // Histograms hold two significant digits: neighbouring steps are up to 1 % apart. What is
            // reckoned from the stamps of both legs is small beside how far those may be off.
            let off = if path.contains("/difference/") || path.contains("/mirror_lag/") {
                200
            } else {
                20
            };
            a.abs_diff(b) <= off + a.unsigned_abs() / 50
        }
        (Value::String(a), Value::String(b)) if key.ends_with("_seen") => {
            let time = |text: &str| text.parse::<jiff::Timestamp>().unwrap();
            (time(a) - time(b)).total(jiff::Unit::Millisecond).unwrap().abs() < 10.0
        }
        (live, file) => live == file,
    };
    if !equal {
        found.push(format!("{path}: {live}, {file}"));
    }
}

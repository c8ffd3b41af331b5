//! The whole way from a capture file's bytes to closed accounts, as a fuzzer sees it.
//!
//! The rooms of capture have their own targets in `capture::fuzzing`. This one goes through the
//! public doors only: the file reader, [`Tap`], [`Judge`]; [`answers()`] begins at the last of them.
//!
//! Promises that are asserted:
//! - every exchange that leaves the tap is counted once, by its label;
//! - every exchange pushed into the judge ends in exactly one outcome;
//! - a file reads the same in one piece and byte by byte.

mod answers;

use std::io::{Cursor, Read};
use std::sync::Arc;
use std::time::Duration;

use capture::source::file::Reader;
use capture::{Leg, Limits, Origin, ServiceId, Tap, Target, Timestamp};
use compare::{Extractor, Judge, Mirror, Policy, ServicePolicy, Window};

pub use answers::answers;

/// Where the committed captures have their legs.
const ADDRESSES: [(&str, Leg); 8] = [
    ("10.9.1.11:8080", Leg::Primary),
    ("10.9.1.11:8443", Leg::Primary),
    ("127.0.0.2:8080", Leg::Primary),
    ("[::]/0:8080", Leg::Secondary),
    ("10.9.1.12:8080", Leg::Shadow),
    ("10.9.1.12:8443", Leg::Shadow),
    ("127.0.0.3:8080", Leg::Shadow),
    (":80", Leg::Shadow),
];

/// Takes `data` as a capture file, and judges what is in it. What is no capture is refused, which
/// is no fault.
///
/// # Panics
///
/// Where a promise of the module doc is broken.
pub fn pipeline(data: &[u8]) {
    let whole = packets(Box::new(Cursor::new(data.to_vec())));
    if data.len() <= 4_096 {
        let dripped = packets(Box::new(Drip(Cursor::new(data.to_vec()))));
        assert_eq!(whole, dripped, "a file reads the same byte by byte");
    }
    let Ok(mut reader) = Reader::from_read("fuzz", Box::new(Cursor::new(data.to_vec()))) else {
        return;
    };
    // Every other length is played under caps that any input reaches.
    let limits = if data.len().is_multiple_of(2) { Limits::default() } else { small() };
    let mut tap = Tap::new(limits, targets());
    let mut judged = Judged::new();
    let mut now = Timestamp::ZERO;
    while let Ok(Some(packet)) = reader.next() {
        now = now.max(packet.at);
        tap.push(&packet);
        tap.expire(now);
        judged.take(&mut tap);
        judged.judge.expire(now);
    }
    tap.finish();
    judged.take(&mut tap);
    let counted: u64 = tap.counters().exchanges.iter().sum();
    assert_eq!(counted, judged.polled, "each exchange is counted once");
    judged.close();
}

/// Packets and bytes of them that are read.
fn packets(input: Box<dyn Read + Send>) -> (u64, u64) {
    let (mut packets, mut bytes) = (0, 0);
    if let Ok(mut reader) = Reader::from_read("fuzz", input) {
        while let Ok(Some(packet)) = reader.next() {
            packets += 1;
            bytes += packet.data.len() as u64;
        }
    }
    (packets, bytes)
}

/// Gives one byte a read.
struct Drip(Cursor<Vec<u8>>);

impl Read for Drip {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        let one = out.len().min(1);
        self.0.read(&mut out[..one])
    }
}

fn small() -> Limits {
    Limits {
        flows: 4,
        reorder_bytes_per_flow: 2_048,
        reorder_bytes: 4_096,
        state_bytes: 32 << 10,
        fragment_bytes: 2_048,
        head_bytes: 1_024,
        head_fields: 16,
        body_bytes: 256,
        body_bytes_total: 512,
        pipelined: 2,
        streams: 2,
        hpack_table_bytes: 128,
        tls_held_bytes: 1_024,
        response_timeout: Duration::from_millis(50),
        flow_idle_timeout: Duration::from_millis(500),
        sha256: true,
        decoded_bytes: 4_096,
        ..Limits::default()
    }
}

fn targets() -> Vec<Target> {
    let target = |&(address, leg): &(&str, Leg)| Target {
        origin: Origin { service: ServiceId(0), leg },
        address: address.parse().expect("the addresses above are well formed"),
    };
    ADDRESSES.iter().map(target).collect()
}

/// A judge, and what it was given.
struct Judged {
    judge: Judge,
    polled: u64,
    pushed: [u64; Leg::ALL.len()],
}

impl Judged {
    fn new() -> Self {
        let service = ServicePolicy {
            mirror: Mirror::Envoy,
            pair_by: vec![Extractor::Header("x-request-id".into()), Extractor::Fingerprint],
            ..ServicePolicy::new("fuzz")
        };
        let policy = Policy { services: vec![service], window: Window::default() };
        Self { judge: Judge::new(Arc::new(policy)), polled: 0, pushed: [0; 3] }
    }

    fn take(&mut self, tap: &mut Tap) {
        while let Some(exchange) = tap.poll() {
            self.polled += 1;
            if let Some(origin) = exchange.origin {
                self.pushed[origin.leg as usize] += 1;
            }
            self.judge.push(exchange);
        }
        while self.judge.poll().is_some() {}
    }

    fn close(mut self) {
        self.judge.finish();
        let mut ended = [0; Leg::ALL.len()];
        for rollup in self.judge.take_rollups() {
            for (sum, leg) in ended.iter_mut().zip(&rollup.counts.legs) {
                *sum += leg.outcomes.iter().sum::<u64>();
            }
        }
        assert_eq!(ended, self.pushed, "each exchange ends in one outcome");
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    fn inputs(target: &str) -> Vec<Vec<u8>> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folders = ["seeds", "crashes"].map(|kind| root.join(kind).join(target));
        let entries = folders.iter().filter_map(|folder| folder.read_dir().ok()).flatten();
        entries
            .map(|entry| {
                let path = entry.expect("the folder is read").path();
                println!("{}", path.display());
                std::fs::read(path).expect("an input is read")
            })
            .collect()
    }

    #[test]
    fn every_committed_capture_closes_its_accounts() {
        let inputs = inputs("pipeline");
        assert!(inputs.len() > 5, "the seeds are there");
        for mut bytes in inputs {
            super::pipeline(&bytes);
            bytes.pop();
            super::pipeline(&bytes);
        }
    }

    #[test]
    fn every_committed_pair_of_answers_is_judged_as_promised() {
        let inputs = inputs("answers");
        assert!(inputs.len() > 15, "the seeds are there");
        for mut bytes in inputs {
            while !bytes.is_empty() {
                super::answers(&bytes);
                bytes.truncate(bytes.len() - bytes.len().min(7));
            }
        }
    }
}

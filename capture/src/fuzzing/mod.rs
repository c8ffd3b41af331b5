//! The rooms as a fuzzer sees them: bytes in, a panic where a promise is broken.
//!
//! Each function reads its input as a script for one room, plays it, and asserts what the room's
//! module doc promises: nothing skipped, nothing given twice, budgets given back, memory below its
//! cap, the same result for any cut of the same bytes. The scripts' formats are at each function;
//! `tests/fuzz/make-seeds.py` writes them from real captures.
//!
//! Only built for tests and by the fuzzer (`--cfg fuzzing`). The tests here play every committed
//! seed, and every input that once broke something.

mod dialogue;
mod frames;
mod link;
mod reassembly;

pub use dialogue::{http1, http2, tls};
pub use frames::hpack;
pub use link::link;
pub use reassembly::reassembly;

/// The bytes of an input, read as numbers and strings; zero and nothing after its end.
pub(crate) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn byte(&mut self) -> u8 {
        self.bytes(1).first().copied().unwrap_or(0)
    }

    /// Little-endian.
    fn u16(&mut self) -> u16 {
        let [low, high] = [self.byte(), self.byte()];
        u16::from_le_bytes([low, high])
    }

    fn i16(&mut self) -> i16 {
        self.u16().cast_signed()
    }

    /// The next `len` bytes, or those that are left.
    fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    type Play = fn(&[u8]);

    const TARGETS: [(&str, Play); 6] = [
        ("link", super::link),
        ("reassembly", super::reassembly),
        ("http1", super::http1),
        ("http2", super::http2),
        ("hpack", super::hpack),
        ("tls", super::tls),
    ];

    /// The committed inputs of `target`: seeds, and what once broke something.
    #[expect(clippy::disallowed_methods, reason = "the test reads its inputs")]
    fn inputs(target: &str) -> Vec<(String, Vec<u8>)> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fuzz");
        let mut inputs = Vec::new();
        for kind in ["seeds", "crashes"] {
            let Ok(entries) = root.join(kind).join(target).read_dir() else { continue };
            for path in entries.map(|entry| entry.unwrap().path()) {
                inputs.push((path.display().to_string(), std::fs::read(&path).unwrap()));
            }
        }
        inputs
    }

    #[test]
    fn every_committed_input_keeps_the_promises() {
        for (target, play) in TARGETS {
            let inputs = inputs(target);
            assert!(!inputs.is_empty(), "{target} has no seeds");
            for (name, bytes) in inputs {
                println!("{name}");
                play(&bytes);
            }
        }
    }

    /// Each seed with single bytes changed, cut off or doubled: what a fuzzer tries first.
    #[test]
    fn slightly_damaged_seeds_keep_the_promises() {
        for (target, play) in TARGETS {
            for (name, bytes) in inputs(target) {
                println!("{name}");
                let step = (bytes.len() / 24).max(1);
                for at in (0..bytes.len()).step_by(step) {
                    let mut damaged = bytes.clone();
                    damaged[at] ^= 0x41;
                    play(&damaged);
                    play(&bytes[..at]);
                    damaged.splice(at..at, bytes[at..(at + 9).min(bytes.len())].iter().copied());
                    play(&damaged);
                }
            }
        }
    }
}

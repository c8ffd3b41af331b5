//! The bounds of the tap: one key each in `[capture]`.
//!
//! Owns the keys, what each may be, and where it goes in [`Limits`]. What a bound means and what
//! happens when it is reached is said there. `sha256` and `decoded_bytes` are no bounds of a
//! running tap: only `tapdiff exchanges` sums up bodies.

use std::fmt::{self, Write};
use std::ops::RangeInclusive;
use std::time::Duration;

use capture::Limits;

use super::section::Section;

/// A number of things or bytes.
type Size = (&'static str, RangeInclusive<u64>, fn(&mut Limits) -> &mut usize);

/// How long something may take.
type Wait = (&'static str, RangeInclusive<u64>, fn(&mut Limits) -> &mut Duration);

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const HOUR_MS: u64 = 3_600_000;

const SIZES: [Size; 14] = [
    ("flows", 16..=10_000_000, |limits| &mut limits.flows),
    ("state_bytes", MIB..=64 * GIB, |limits| &mut limits.state_bytes),
    ("reorder_bytes_per_flow", 64 * KIB..=GIB, |limits| &mut limits.reorder_bytes_per_flow),
    ("reorder_bytes", MIB..=64 * GIB, |limits| &mut limits.reorder_bytes),
    ("fragment_bytes", 64 * KIB..=GIB, |limits| &mut limits.fragment_bytes),
    ("head_bytes", KIB..=16 * MIB, |limits| &mut limits.head_bytes),
    ("head_fields", 16..=1_000_000, |limits| &mut limits.head_fields),
    ("body_bytes", 0..=GIB, |limits| &mut limits.body_bytes),
    ("body_bytes_total", MIB..=64 * GIB, |limits| &mut limits.body_bytes_total),
    ("pipelined", 1..=100_000, |limits| &mut limits.pipelined),
    ("streams", 1..=1_000_000, |limits| &mut limits.streams),
    ("hpack_table_bytes", 0..=16 * MIB, |limits| &mut limits.hpack_table_bytes),
    ("tls_held_bytes", 16 * KIB..=GIB, |limits| &mut limits.tls_held_bytes),
    ("tls_sessions", 16..=100_000_000, |limits| &mut limits.tls_sessions),
];

const WAITS: [Wait; 7] = [
    ("reorder_timeout_ms", 1..=60_000, |limits| &mut limits.reorder_timeout),
    ("gap_grace_ms", 0..=60_000, |limits| &mut limits.gap_grace),
    ("fragment_timeout_ms", 1..=300_000, |limits| &mut limits.fragment_timeout),
    ("tls_key_wait_ms", 0..=300_000, |limits| &mut limits.tls_key_wait),
    ("response_timeout_ms", 100..=HOUR_MS, |limits| &mut limits.response_timeout),
    ("flow_idle_timeout_ms", 1_000..=24 * HOUR_MS, |limits| &mut limits.flow_idle_timeout),
    ("flow_linger_ms", 0..=300_000, |limits| &mut limits.flow_linger),
];

/// Packets that pass before acknowledged bytes are given up.
const GAP_GRACE_PACKETS: (&str, RangeInclusive<u64>) = ("gap_grace_packets", 0..=10_000);

/// Takes what a section says of them; what it does not name stays.
pub(super) fn read(section: &mut Section<'_, '_>, limits: &mut Limits) {
    for (key, range, place) in SIZES {
        let place = place(limits);
        let size = section.integer(key, range, *place as u64);
        *place = usize::try_from(size).unwrap_or(usize::MAX);
    }
    for (key, range, place) in WAITS {
        let place = place(limits);
        *place = Duration::from_millis(section.integer(key, range, milliseconds(*place)));
    }
    let (key, range) = GAP_GRACE_PACKETS;
    let packets = section.integer(key, range, limits.gap_grace_packets.into());
    limits.gap_grace_packets = u32::try_from(packets).unwrap_or(u32::MAX);
}

/// Writes all of them, a line each.
pub(super) fn write(out: &mut String, limits: &Limits) -> fmt::Result {
    let mut limits = limits.clone();
    for (key, _, place) in SIZES {
        writeln!(out, "{key} = {}", place(&mut limits))?;
    }
    for (key, _, place) in WAITS {
        writeln!(out, "{key} = {}", milliseconds(*place(&mut limits)))?;
    }
    writeln!(out, "{} = {}", GAP_GRACE_PACKETS.0, limits.gap_grace_packets)
}

fn milliseconds(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
}

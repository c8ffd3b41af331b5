//! What capture counts.

use crate::{Anomalies, Evidence};

/// What the tap has seen, ever growing.
#[derive(Clone, Debug, Default)]
pub struct Counters {
    /// Packets pushed.
    pub packets: u64,
    /// Bytes of them as captured.
    pub bytes: u64,
    /// Packets that are no TCP over IP.
    pub not_tcp: u64,
    /// TCP packets of addresses that are not configured.
    pub other_addresses: u64,
    /// TCP segments whose payload had been seen already, wholly or in part.
    pub retransmissions: u64,
    /// Segments that came out of order.
    pub out_of_order: u64,
    /// Declared Gaps.
    pub gaps: u64,
    /// Bytes in them.
    pub gap_bytes: u64,
    /// Flows opened.
    pub flows: u64,
    /// Exchanges that left, by `Evidence as usize`.
    pub exchanges: [u64; Evidence::ALL.len()],
    /// Oddities and caps.
    pub anomalies: Anomalies,
}

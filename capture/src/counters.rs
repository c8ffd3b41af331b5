//! What capture counts.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::{Anomalies, Anomaly, Evidence};

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
    /// Connections that were not read, or not to their end.
    pub unread: UnreadConnections,
}

/// What is known of a connection that was not read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unread {
    /// Who answers on it.
    pub server: SocketAddr,
    /// The host that a TLS client asked for (SNI).
    pub name: Option<Box<str>>,
    /// What is spoken on it: what TLS settled on or the client likes best (ALPN), or the protocol
    /// that an upgrade names.
    pub protocol: Option<Box<str>>,
    /// Why it was not read.
    pub why: Anomaly,
}

/// Connections that were not read, counted by what is known of them.
///
/// A clone shares what was counted: it costs nothing until more is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnreadConnections {
    named: Arc<BTreeMap<Unread, u64>>,
    others: u64,
}

impl UnreadConnections {
    /// Kinds counted by name. Those that come later are counted together.
    pub const KINDS_MAX: usize = 256;

    /// Bytes kept of a name that the network sent.
    const NAME_BYTES_MAX: usize = 255;

    /// Counts one connection.
    pub(crate) fn note(&mut self, mut unread: Unread) {
        for name in [&mut unread.name, &mut unread.protocol] {
            if name.as_ref().is_some_and(|name| name.len() > Self::NAME_BYTES_MAX) {
                *name = None;
            }
        }
        let named = Arc::make_mut(&mut self.named);
        if let Some(count) = named.get_mut(&unread) {
            *count += 1;
        } else if named.len() < Self::KINDS_MAX {
            named.insert(unread, 1);
        } else {
            self.others += 1;
        }
    }

    /// Each kind with its count.
    pub fn iter(&self) -> impl Iterator<Item = (&Unread, u64)> {
        self.named.iter().map(|(unread, &count)| (unread, count))
    }

    /// Those of kinds above [`UnreadConnections::KINDS_MAX`].
    #[must_use]
    pub fn others(&self) -> u64 {
        self.others
    }

    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.named.values().sum::<u64>() + self.others
    }
}

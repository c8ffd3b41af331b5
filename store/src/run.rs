//! Who wrote: one run of tapdiff, and what its capture counted.

use std::collections::BTreeMap;
use std::sync::Arc;

use capture::{Evidence, Timestamp};
use serde::{Deserialize, Serialize};

/// One run of tapdiff, named by start and host.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// When it began.
    pub started: Timestamp,
    /// The host's name.
    pub host: String,
    /// Version of tapdiff.
    pub version: String,
    /// Digest of the effective configuration.
    pub config_digest: String,
    /// Names of the services, by `ServiceId`.
    pub services: Vec<Arc<str>>,
    /// What of its configuration reports speak of.
    pub settings: Settings,
}

/// What of a run's configuration reports speak of.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// The rules, in the order in which they are asked.
    pub rules: Vec<RuleSetting>,
    /// How much the proxy is said to mirror.
    pub mirror_shares: Vec<MirrorShare>,
}

impl Settings {
    /// Those of one service.
    pub(crate) fn of(&self, service: &str) -> Self {
        let rules = self.rules.iter().filter(|rule| rule.service == service);
        let shares = self.mirror_shares.iter().filter(|share| share.service == service);
        Self { rules: rules.cloned().collect(), mirror_shares: shares.cloned().collect() }
    }
}

/// A rule, as far as reports speak of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleSetting {
    /// Of which service.
    pub service: String,
    /// What it is counted as.
    pub rule: String,
    /// The endpoints it holds for, `*` standing for any text; `None`: all.
    pub endpoint: Option<String>,
    /// What it does with what it covers: `ignore` leaves all of it out.
    pub action: String,
    /// What it covers, as the configuration writes it.
    pub scope: String,
    /// RFC 3339: when it expires.
    pub until: Option<String>,
}

/// How much of a service, or of some of its endpoints, the proxy is said to mirror.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MirrorShare {
    /// Of which service.
    pub service: String,
    /// The endpoints it holds for, `*` standing for any text; `None`: all that no other names.
    pub endpoint: Option<String>,
    /// From 0 to 1.
    pub share: f64,
}

/// What the capture of one run counted so far: absolute, the latest replaces the one before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AgentCounters {
    /// Packets seen.
    pub packets: u64,
    /// Bytes of them as captured.
    pub bytes: u64,
    /// Packets that the kernel dropped because tapdiff did not keep up.
    pub kernel_drops: u64,
    /// Packets that the interface dropped.
    pub interface_drops: u64,
    /// Packets that are no TCP over IP.
    pub not_tcp: u64,
    /// TCP packets of addresses that are not configured.
    pub other_addresses: u64,
    /// TCP segments whose payload had been seen already.
    pub retransmissions: u64,
    /// Segments that came out of order.
    pub out_of_order: u64,
    /// Runs of bytes known to be missing.
    pub gaps: u64,
    /// Bytes in them.
    pub gap_bytes: u64,
    /// TCP connections followed.
    pub flows: u64,
    /// Exchanges by evidence label; those never seen are left out.
    pub exchanges: BTreeMap<String, u64>,
    /// Oddities of the wire and caps reached, by name; those never seen are left out.
    pub anomalies: BTreeMap<String, u64>,
    /// Connections that were not read, or not to their end; by connections, most first.
    pub unread: Vec<UnreadCount>,
}

/// Connections of one kind that were not read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UnreadCount {
    /// Where they went; `None` for kinds beyond those that are counted by name.
    pub server: Option<String>,
    /// The host that TLS clients asked for (SNI).
    pub name: Option<String>,
    /// What is spoken on them: by ALPN, or as an upgrade names it.
    pub protocol: Option<String>,
    /// Why, by `capture::Anomaly::as_str`; empty for kinds beyond those counted by name.
    pub why: String,
    /// How many.
    pub connections: u64,
}

impl AgentCounters {
    /// Counters of the tap, with the drops that only the source knows of.
    #[must_use]
    pub fn new(tap: &capture::Counters, kernel_drops: u64, interface_drops: u64) -> Self {
        Self {
            packets: tap.packets,
            bytes: tap.bytes,
            kernel_drops,
            interface_drops,
            not_tcp: tap.not_tcp,
            other_addresses: tap.other_addresses,
            retransmissions: tap.retransmissions,
            out_of_order: tap.out_of_order,
            gaps: tap.gaps,
            gap_bytes: tap.gap_bytes,
            flows: tap.flows,
            exchanges: Evidence::ALL
                .iter()
                .zip(tap.exchanges)
                .filter(|&(_, count)| count > 0)
                .map(|(evidence, count)| (evidence.as_str().to_owned(), count))
                .collect(),
            anomalies: tap
                .anomalies
                .iter()
                .map(|(anomaly, count)| (anomaly.as_str().to_owned(), count))
                .collect(),
            unread: unread(&tap.unread),
        }
    }

    /// Adds the counters of another run.
    pub fn add(&mut self, other: &Self) {
        self.packets += other.packets;
        self.bytes += other.bytes;
        self.kernel_drops += other.kernel_drops;
        self.interface_drops += other.interface_drops;
        self.not_tcp += other.not_tcp;
        self.other_addresses += other.other_addresses;
        self.retransmissions += other.retransmissions;
        self.out_of_order += other.out_of_order;
        self.gaps += other.gaps;
        self.gap_bytes += other.gap_bytes;
        self.flows += other.flows;
        for (mine, theirs) in
            [(&mut self.exchanges, &other.exchanges), (&mut self.anomalies, &other.anomalies)]
        {
            for (name, count) in theirs {
                *mine.entry(name.clone()).or_default() += count;
            }
        }
        for theirs in &other.unread {
            match self.unread.iter_mut().find(|mine| mine.is_kind_of(theirs)) {
                Some(mine) => mine.connections += theirs.connections,
                None => self.unread.push(theirs.clone()),
            }
        }
        sort(&mut self.unread);
    }
}

impl UnreadCount {
    fn is_kind_of(&self, other: &Self) -> bool {
        let kind = |of: &Self| Self { connections: 0, ..of.clone() };
        kind(self) == kind(other)
    }
}

fn unread(connections: &capture::UnreadConnections) -> Vec<UnreadCount> {
    let mut counts: Vec<UnreadCount> = connections
        .iter()
        .map(|(kind, connections)| UnreadCount {
            server: Some(kind.server.to_string()),
            name: kind.name.as_deref().map(str::to_owned),
            protocol: kind.protocol.as_deref().map(str::to_owned),
            why: kind.why.as_str().to_owned(),
            connections,
        })
        .collect();
    if connections.others() > 0 {
        let connections = connections.others();
        let (server, name, protocol, why) = (None, None, None, String::new());
        counts.push(UnreadCount { server, name, protocol, why, connections });
    }
    sort(&mut counts);
    counts
}

fn sort(counts: &mut [UnreadCount]) {
    counts.sort_by(|a, b| b.connections.cmp(&a.connections).then_with(|| a.cmp(b)));
}

//! Every cap of capture in one place, each with its effect.

use std::time::Duration;

/// Bounds on what capture keeps. Each says what happens when it is reached.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Flows followed at once. Default 65_536. Above it the flow idle the longest is dropped and
    /// its open exchanges leave as `Truncated` ([`crate::Anomaly::FlowTableFull`]).
    pub flows: usize,
    /// Out-of-order bytes held per direction of a flow. Default 4 MiB. Above it the missing bytes
    /// before them are declared a Gap ([`crate::Anomaly::ReorderCapReached`]).
    pub reorder_bytes_per_flow: usize,
    /// Out-of-order bytes held over all flows. Default 64 MiB. Effect as above.
    pub reorder_bytes: usize,
    /// How long a hole may wait for a late segment when nothing was heard that proves it lost.
    /// Default 2 s; then it is a Gap.
    pub reorder_timeout: Duration,
    /// How long a hole waits at least once the peer has acknowledged bytes in it: they passed, so
    /// they are only late in the capture, or lost to it. Default 20 ms. Then, and after
    /// `gap_grace_packets`, it is a Gap; on a flow with fewer packets after `reorder_timeout`. It
    /// also bounds how long bytes wait for what their packet acknowledged.
    pub gap_grace: Duration,
    /// Packets of the flow that pass meanwhile at least. Default 16.
    pub gap_grace_packets: u32,
    /// Bytes of connection state over all flows: heads in progress, requests that wait, HPACK
    /// tables, TLS records. Default 64 MiB. Above it the flow idle the longest is dropped
    /// ([`crate::Anomaly::StateBudgetReached`]).
    pub state_bytes: usize,
    /// Bytes of IP fragments that wait for the rest of their packet. Default 4 MiB. Above it the
    /// oldest packet is given up ([`crate::Anomaly::IpFragment`]).
    pub fragment_bytes: usize,
    /// How long a fragment waits. Default 30 s, as Linux does (`ipfrag_time`).
    pub fragment_timeout: Duration,
    /// Bytes of a message head; in HTTP/2 of the decoded field list as RFC 9113 §10.5.1 counts it.
    /// Default 256 KiB. A larger head is malformed ([`crate::Anomaly::HeadTooLarge`]).
    pub head_bytes: usize,
    /// Header fields of a message. Default 1_024. More are malformed
    /// ([`crate::Anomaly::TooManyFields`]).
    pub head_fields: usize,
    /// Bytes kept per body. Default 1 MiB. Larger bodies keep this prefix, length and digest.
    pub body_bytes: usize,
    /// Bytes kept in bodies of unfinished exchanges over all flows. Default 64 MiB. Above it new
    /// bodies keep length and digest only, and above a quarter more (for the digests) only the
    /// length: then the exchange is `Truncated` ([`crate::Anomaly::BodyBudgetReached`] each).
    pub body_bytes_total: usize,
    /// Requests of one connection waiting for a response. Default 256. Above it the oldest leaves
    /// as `Truncated` ([`crate::Anomaly::PipelineTooDeep`]).
    pub pipelined: usize,
    /// HTTP/2 streams of one connection open at once. Default 1_024. Above it the oldest leaves as
    /// `Truncated` ([`crate::Anomaly::TooManyStreams`]).
    pub streams: usize,
    /// Bytes of an HPACK dynamic table, whatever the peers agreed on. Default 64 KiB. Entries
    /// beyond it are forgotten: fields that refer to them are unknown.
    pub hpack_table_bytes: usize,
    /// Encrypted bytes of one TLS connection that wait for their key. Default 4 MiB. Above it the
    /// records that came last are given up, and those after them can be read when the key comes
    /// ([`crate::Anomaly::TlsRecordDropped`]); where even their number is too much, the connection
    /// is opaque ([`crate::Anomaly::TlsWaitTooLong`]).
    pub tls_held_bytes: usize,
    /// How long they wait. Default 15 s: Envoy writes keys out every 10 s.
    pub tls_key_wait: Duration,
    /// TLS sessions whose keys are remembered. Default 65_536. Above it the oldest are forgotten
    /// ([`crate::Anomaly::KeyLogFull`]).
    pub tls_sessions: usize,
    /// How long a request waits for its response to begin, and a message for its next byte.
    /// Default 30 s; then the exchange leaves as `TimedOut`.
    pub response_timeout: Duration,
    /// How long a flow without open exchanges is remembered. Default 10 min.
    pub flow_idle_timeout: Duration,
    /// How long a closed flow is remembered, so that retransmissions open no ghost of it.
    /// Default 5 s.
    pub flow_linger: Duration,
    /// Whether bodies carry the SHA-256 of the entity as sent ([`crate::Body::sent_sha256`]) and
    /// decoded ([`crate::Body::decoded_sum`]). Default no: it costs a decompression of every body.
    pub sha256: bool,
    /// Decoded bytes at which decompression of one body stops. Default 256 MiB
    /// ([`crate::Anomaly::DecodedTooLarge`]).
    pub decoded_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            flows: 65_536,
            reorder_bytes_per_flow: 4 << 20,
            reorder_bytes: 64 << 20,
            reorder_timeout: Duration::from_secs(2),
            gap_grace: Duration::from_millis(20),
            gap_grace_packets: 16,
            state_bytes: 64 << 20,
            fragment_bytes: 4 << 20,
            fragment_timeout: Duration::from_secs(30),
            head_bytes: 256 << 10,
            head_fields: 1_024,
            body_bytes: 1 << 20,
            body_bytes_total: 64 << 20,
            pipelined: 256,
            streams: 1_024,
            hpack_table_bytes: 64 << 10,
            tls_held_bytes: 4 << 20,
            tls_key_wait: Duration::from_secs(15),
            tls_sessions: 65_536,
            response_timeout: Duration::from_secs(30),
            flow_idle_timeout: Duration::from_secs(600),
            flow_linger: Duration::from_secs(5),
            sha256: false,
            decoded_bytes: 256 << 20,
        }
    }
}

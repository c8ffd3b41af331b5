//! What the wire did wrong or what a cap cut, by name.

/// Declares [`Anomaly`] once: its variants, their stable names and their meaning.
macro_rules! anomalies {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal,)+) => {
        /// Something on the wire that is not as the standards have it, or a cap that was reached.
        /// Counted, never an error.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Anomaly {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Anomaly {
            /// All anomalies, in the order of declaration.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The name in reports and metrics.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }
    };
}

anomalies! {
    /// A packet whose headers end too early or contradict each other.
    BadPacketHeader = "bad_packet_header",
    /// An IP fragment whose packet never became whole: parts were missing, too old or above the cap.
    IpFragment = "ip_fragment",
    /// IP fragments overlapped with other content; the first bytes are kept.
    FragmentOverlapDiffers = "fragment_overlap_differs",
    /// A tunnel inside a tunnel inside a tunnel, deeper than is followed.
    TunnelTooDeep = "tunnel_too_deep",
    /// The snap length cut a packet's payload.
    PacketCut = "packet_cut",
    /// The flow table was full; the flow idle the longest was dropped.
    FlowTableFull = "flow_table_full",
    /// Connection state over all flows reached its cap; the flow idle the longest was dropped.
    StateBudgetReached = "state_budget_reached",
    /// Out-of-order bytes reached their cap; the hole before them was declared a Gap.
    ReorderCapReached = "reorder_cap_reached",
    /// A segment overlapped bytes held from an earlier one, with other content; the first is kept.
    OverlapDiffers = "overlap_differs",
    /// A segment far outside any window the peers can have agreed on.
    SequenceOutOfWindow = "sequence_out_of_window",
    /// A start line that is no request line where one was due.
    BadRequestLine = "bad_request_line",
    /// A start line that is no status line where one was due.
    BadStatusLine = "bad_status_line",
    /// A header line without a colon, or with an impossible name.
    BadFieldLine = "bad_field_line",
    /// A line ended by a bare LF.
    BareLf = "bare_lf",
    /// A CR that no LF follows, as the end of a head or in a field that says how a body is coded.
    BareCr = "bare_cr",
    /// White space between field name and colon.
    SpaceBeforeColon = "space_before_colon",
    /// A header value continued on the next line (obs-fold).
    ObsFold = "obs_fold",
    /// Empty lines before a start line.
    LeadingEmptyLine = "leading_empty_line",
    /// Several Content-Length values that differ (of a request the last is taken, and what follows
    /// is not trusted), one that is no number, or (HTTP/2) one that is not the length of what came.
    BadContentLength = "bad_content_length",
    /// Both Transfer-Encoding and Content-Length; the former wins.
    LengthAndTransferEncoding = "length_and_transfer_encoding",
    /// A Transfer-Encoding that does not end in chunked, or is unknown.
    UnknownTransferEncoding = "unknown_transfer_encoding",
    /// A chunk size that is no hexadecimal number, or too large.
    BadChunkSize = "bad_chunk_size",
    /// A chunk not followed by CRLF.
    BadChunkEnd = "bad_chunk_end",
    /// A message head above its cap.
    HeadTooLarge = "head_too_large",
    /// More header fields than the cap.
    TooManyFields = "too_many_fields",
    /// A response that no seen request asked for.
    UnexpectedResponse = "unexpected_response",
    /// A response that came after its request was given up.
    LateResponse = "late_response",
    /// More requests waiting on one connection than the cap.
    PipelineTooDeep = "pipeline_too_deep",
    /// Bytes on a connection that are no HTTP.
    NotHttp = "not_http",
    /// The connection went on in another protocol (101 or CONNECT).
    Upgraded = "upgraded",
    /// The client began with a PROXY protocol header (HAProxy, Envoy); it was passed over.
    ProxyHeader = "proxy_header",
    /// A connection through a SOCKS proxy: the handshake was passed over.
    Socks = "socks",
    /// An HTTP/2 frame that breaks the rules of its type (RFC 9113 §6).
    BadFrame = "bad_frame",
    /// A header block that does not decode (RFC 7541).
    BadHeaderBlock = "bad_header_block",
    /// An HPACK encoder set its table to a size above what the other side announced.
    HpackTableTooLarge = "hpack_table_too_large",
    /// A header block with fields that only bytes before the capture could tell.
    UnknownField = "unknown_field",
    /// A field list that RFC 9113 §8 calls malformed.
    BadFieldList = "bad_field_list",
    /// Streams open on one connection reached their cap; the oldest was given up.
    TooManyStreams = "too_many_streams",
    /// The server promised a response nobody asked for (PUSH_PROMISE); it is not followed.
    PushPromise = "push_promise",
    /// A TLS connection without keys: its bytes are opaque.
    TlsWithoutKeys = "tls_without_keys",
    /// A TLS version or cipher suite that is not decrypted here.
    TlsUnsupported = "tls_unsupported",
    /// A TLS record that does not decrypt with the key that should fit, or is no record.
    BadTlsRecord = "bad_tls_record",
    /// Encrypted records that waited for their key reached their cap, or their time.
    TlsWaitTooLong = "tls_wait_too_long",
    /// An encrypted record given up because more than the cap waited for their key; those after it
    /// are read when the key comes.
    TlsRecordDropped = "tls_record_dropped",
    /// Keys of a key log that were forgotten because there are more than the cap.
    KeyLogFull = "key_log_full",
    /// A line of a key log that is none.
    BadKeyLogLine = "bad_key_log_line",
    /// The client spoke another protocol before it was told that it may (101, or 2xx to CONNECT).
    EarlyUpgrade = "early_upgrade",
    /// Bodies in flight reached their cap; a body kept length and digest only.
    BodyBudgetReached = "body_budget_reached",
    /// A compressed body that does not decode.
    BadContentEncoding = "bad_content_encoding",
    /// A Content-Encoding that is not known here.
    UnknownContentEncoding = "unknown_content_encoding",
    /// A decoded body above its cap.
    DecodedTooLarge = "decoded_too_large",
}

/// How often each [`Anomaly`] was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anomalies([u64; Anomaly::ALL.len()]);

impl Default for Anomalies {
    fn default() -> Self {
        Self([0; Anomaly::ALL.len()])
    }
}

impl Anomalies {
    /// Counts one.
    pub fn note(&mut self, anomaly: Anomaly) {
        self.0[anomaly as usize] += 1;
    }

    /// How often `anomaly` was seen.
    #[must_use]
    pub fn count(&self, anomaly: Anomaly) -> u64 {
        self.0[anomaly as usize]
    }

    /// Those seen at least once, with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (Anomaly, u64)> + '_ {
        Anomaly::ALL.iter().map(|&a| (a, self.count(a))).filter(|&(_, n)| n > 0)
    }

    /// Adds the counts of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }
}

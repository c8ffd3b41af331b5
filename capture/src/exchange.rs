//! The type that leaves capture: one request and its response on one leg.

use std::net::SocketAddr;

use crate::{Origin, Request, Response, Timestamp};

/// A request and its response as the wire showed them, with what is known about their wholeness.
///
/// At least one of `request` and `response` is there. A response alone means that its request was
/// before the capture began or fell into a gap; a request alone, that no response was seen.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Service and leg, by the configured addresses. `None` when nothing is configured.
    pub origin: Option<Origin>,
    /// Who opened the connection.
    pub client: SocketAddr,
    /// Who answers on it.
    pub server: SocketAddr,
    /// The protocol that carried it.
    pub protocol: Protocol,
    /// HTTP/2 stream; `None` for HTTP/1.
    pub stream_id: Option<u32>,
    /// What was asked.
    pub request: Option<Request>,
    /// The final response.
    pub response: Option<Response>,
    /// 1xx statuses before the final one, in order, without 101.
    pub interim: Vec<u16>,
    /// The protocol spoken after this exchange (101 or a 2xx to CONNECT), as the Upgrade field
    /// names it; `"CONNECT"` for a tunnel.
    pub upgrade: Option<Box<str>>,
    /// When its bytes passed the tap.
    pub timing: Timing,
    /// How whole it is.
    pub evidence: Evidence,
}

impl Exchange {
    /// Bytes of memory held by its heads and trailers.
    pub(crate) fn head_bytes(&self) -> usize {
        let request = self.request.as_ref();
        let response = self.response.as_ref();
        request.map_or(0, |r| r.fields.held_bytes() + r.trailers.held_bytes())
            + response.map_or(0, |r| r.fields.held_bytes() + r.trailers.held_bytes())
            + self.interim.capacity() * size_of::<u16>()
    }

    /// Bytes of memory held by its bodies.
    pub(crate) fn body_bytes(&self) -> usize {
        let request = self.request.as_ref().map_or(0, |r| r.body.held_bytes());
        request + self.response.as_ref().map_or(0, |r| r.body.held_bytes())
    }
}

/// The protocol that carried an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// HTTP/1.0 or HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

impl Protocol {
    /// As the exchange format writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http1 => "http/1",
            Self::Http2 => "http/2",
        }
    }
}

/// When the bytes of an exchange passed the tap. `None`: that part was not seen.
///
/// `*_head` is the packet that completed the head (start line and header fields).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// First byte of the request.
    pub request_first: Option<Timestamp>,
    /// The request's head was whole.
    pub request_head: Option<Timestamp>,
    /// Last byte of the request.
    pub request_last: Option<Timestamp>,
    /// First byte of the final response (not of a 1xx before it).
    pub response_first: Option<Timestamp>,
    /// The final response's head was whole.
    pub response_head: Option<Timestamp>,
    /// Last byte of the response.
    pub response_last: Option<Timestamp>,
}

impl Timing {
    /// The earliest moment known of this exchange.
    #[must_use]
    pub fn start(&self) -> Timestamp {
        self.request_first.or(self.response_first).unwrap_or(Timestamp::ZERO)
    }

    /// The latest moment known of this exchange.
    #[must_use]
    pub fn end(&self) -> Timestamp {
        [self.request_first, self.request_last, self.response_first, self.response_last]
            .into_iter()
            .flatten()
            .max()
            .unwrap_or(Timestamp::ZERO)
    }
}

/// How whole an exchange is: what the tap can and cannot vouch for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Evidence {
    /// Every byte of both messages was seen and decoded.
    Complete,
    /// Bytes inside it passed the tap's host but never reached the tap.
    Gap,
    /// The capture cut it: snap length, a buffer cap, or the capture ended in the middle.
    Truncated,
    /// The client side of the connection gave up before the response was whole: what a proxy does
    /// to a mirror leg it no longer cares for.
    ProxyAborted,
    /// The server reset or closed the connection before the response was whole.
    Reset,
    /// No response within the configured time.
    TimedOut,
    /// The capture began in the middle of it.
    LateJoin,
    /// Its bytes are no HTTP that could be followed.
    Malformed,
}

impl Evidence {
    /// All labels, in the order of declaration.
    pub const ALL: [Self; 8] = [
        Self::Complete,
        Self::Gap,
        Self::Truncated,
        Self::ProxyAborted,
        Self::Reset,
        Self::TimedOut,
        Self::LateJoin,
        Self::Malformed,
    ];

    /// The label as reports and stores write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Gap => "gap",
            Self::Truncated => "truncated",
            Self::ProxyAborted => "proxy_aborted",
            Self::Reset => "reset",
            Self::TimedOut => "timed_out",
            Self::LateJoin => "late_join",
            Self::Malformed => "malformed",
        }
    }
}

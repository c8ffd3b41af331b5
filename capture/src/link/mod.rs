//! Link headers, tunnels, IP and TCP heads: a packet becomes a segment.
//!
//! Owns the walk from a packet's first byte to its TCP payload, through whatever stands between:
//! link header, VLAN tags, MPLS, PPP, tunnels (VXLAN, GENEVE, GRE and what rides on it, IP in IP,
//! GTP-U, Teredo, L2TP), IPv4 or IPv6 with extension headers, in any order; and the IP fragments
//! whose packet is not whole yet.
//!
//! Refuses everything that is no TCP over IP, and more than [`HEADERS_MAX`] headers.
//!
//! Invariants:
//! - A segment that came in one packet is not copied, and nothing is allocated for it.
//! - A segment's payload ends where the innermost IP says it ends: Ethernet padding and frame check
//!   sequences never become payload. Where IP gives no length (0, as offloading hosts write it), it
//!   ends with the packet as it was on the wire.
//! - `payload.len() + cut` is the length the segment had on the wire.
//! - Any bytes at all may come in; none of them panics.
//!
//! A flow is named by the innermost addresses: the tunnel a packet came through is not remembered,
//! because a tap often sees one connection inside a tunnel and outside.

mod ethertype;
mod fragments;
mod frame;
mod framing;
mod gre;
mod ip_packet;
mod link_type;
mod llc;
mod network;
mod tunnel;
mod wireless;

use std::net::SocketAddr;

use etherparse::{IpNumber, ip_number};

use crate::{Anomalies, Anomaly, Limits, Timestamp};
use fragments::{Fragment, Fragments, Whole};
use frame::Frame;
use ip_packet::Route;
pub use link_type::LinkType;
use network::{Content, Inside};

/// A packet as a source delivers it.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// When the capture saw it.
    pub at: Timestamp,
    /// How to read `data`.
    pub link: LinkType,
    /// The bytes captured.
    pub data: &'a [u8],
    /// Bytes it had on the wire; more than `data` where the snap length cut it.
    pub original_len: u32,
}

/// One TCP segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment<'a> {
    /// When the capture saw its packet.
    pub(crate) at: Timestamp,
    /// Who sent it.
    pub(crate) source: SocketAddr,
    /// To whom.
    pub(crate) destination: SocketAddr,
    /// Sequence number of the SYN, or else of the first payload byte.
    pub(crate) seq: u32,
    /// Acknowledgement number, where the segment carries one.
    pub(crate) ack: Option<u32>,
    /// SYN flag.
    pub(crate) syn: bool,
    /// FIN flag.
    pub(crate) fin: bool,
    /// RST flag.
    pub(crate) rst: bool,
    /// The payload captured.
    pub(crate) payload: &'a [u8],
    /// Bytes of payload that the snap length cut off.
    pub(crate) cut: u32,
}

/// Why a packet holds no segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It is no TCP over IP: nothing is wrong with it.
    NotTcp,
    /// It is a fragment: the segment comes when its packet is whole.
    Held,
    /// Something is.
    Odd(Anomaly),
}

/// Finds segments in packets; remembers fragments until their packet is whole.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    fragments: Fragments,
    /// The packet that became whole last: its segment borrows it.
    whole: Option<Whole>,
}

impl Decoder {
    /// Finds the TCP segment in `packet`. What is odd about it, and yet tolerated, is noted in
    /// `anomalies`. Where the packet is the last missing fragment of another, it is that one's
    /// segment, at the time this packet came.
    pub(crate) fn segment<'a>(
        &'a mut self,
        packet: &Packet<'a>,
        limits: &Limits,
        anomalies: &mut Anomalies,
    ) -> Result<Segment<'a>, Refused> {
        if let Some(segment) = plain(packet) {
            return Ok(segment);
        }
        match Walk::of_packet(packet)?.run()? {
            Found::Segment(segment) => Ok(segment),
            Found::Fragment(fragment) => self.join(&fragment, packet.at, limits, anomalies),
        }
    }

    /// Gives up fragments that have waited too long by `now`.
    pub(crate) fn expire(&mut self, now: Timestamp, limits: &Limits, anomalies: &mut Anomalies) {
        self.fragments.expire(now, limits, anomalies);
    }

    /// No more packets come: gives up all fragments.
    pub(crate) fn finish(&mut self, anomalies: &mut Anomalies) {
        self.fragments.finish(anomalies);
    }

    #[cold]
    fn join<'a>(
        &'a mut self,
        fragment: &Fragment<'_>,
        at: Timestamp,
        limits: &Limits,
        anomalies: &mut Anomalies,
    ) -> Result<Segment<'a>, Refused> {
        let Self { fragments, whole } = self;
        let mut packet = fragments.push(fragment, at, limits, anomalies)?;
        // A tunnel's packet may be fragmented, and the packet inside it as well.
        for _ in 0..HEADERS_MAX {
            let Found::Fragment(inner) = Walk::of_whole(&packet, at).run()? else {
                return match Walk::of_whole(whole.insert(packet), at).run()? {
                    Found::Segment(segment) => Ok(segment),
                    Found::Fragment(_) => Err(Refused::Held),
                };
            };
            packet = fragments.push(&inner, at, limits, anomalies)?;
        }
        Err(Refused::Odd(Anomaly::TunnelTooDeep))
    }
}

/// The segment of a packet that has nothing between link header, IP and TCP, which most are: what
/// [`Walk`] would find, for half its price. `None` for every other packet.
fn plain<'a>(packet: &Packet<'a>) -> Option<Segment<'a>> {
    let frame = Frame::of_packet(packet);
    // Without a detour over what else there is.
    if packet.link == LinkType::Ethernet {
        return network::plain(packet.at, ethertype::ip_in_ethernet(frame)?);
    }
    match framing::start(packet.link, frame).ok()? {
        (Next::Ip | ethertype::IPV4 | ethertype::IPV6, frame) => network::plain(packet.at, frame),
        _ => None,
    }
}

/// The most headers walked through in one packet.
const HEADERS_MAX: usize = 32;

const TRUNCATED: Refused = Refused::Odd(Anomaly::BadPacketHeader);

/// Which header comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// What the EtherType says.
    EtherType(u16),
    /// An MPLS label.
    Mpls,
    /// IP, of the version its first bits say.
    Ip,
    /// What the protocol number of an IP packet says.
    InIp(IpNumber),
}

/// A place on the way to the segment.
struct Walk<'a> {
    at: Timestamp,
    next: Next,
    frame: Frame<'a>,
    /// The innermost IP header that was passed.
    route: Route,
    /// Only a UDP port, or the look of the payload, says that this is a tunnel; no IP header has
    /// confirmed it yet.
    guessed: bool,
}

/// What a walk ends with.
enum Found<'a> {
    Segment(Segment<'a>),
    Fragment(Fragment<'a>),
}

impl<'a> Walk<'a> {
    fn of_packet(packet: &Packet<'a>) -> Result<Self, Refused> {
        let (next, frame) = framing::start(packet.link, Frame::of_packet(packet))?;
        Ok(Self { at: packet.at, next, frame, route: Route::NONE, guessed: false })
    }

    fn of_whole(packet: &'a Whole, at: Timestamp) -> Self {
        let frame = Frame { data: &packet.payload, beyond: 0 };
        Self { at, next: Next::InIp(packet.number), frame, route: packet.route, guessed: false }
    }

    fn run(mut self) -> Result<Found<'a>, Refused> {
        for _ in 0..HEADERS_MAX {
            match self.step() {
                Ok(None) => {}
                Ok(Some(found)) => return Ok(found),
                Err(TRUNCATED) if self.guessed && self.frame.beyond == 0 => {
                    return Err(Refused::NotTcp);
                }
                Err(refused) => return Err(refused),
            }
        }
        Err(Refused::Odd(Anomaly::TunnelTooDeep))
    }

    fn step(&mut self) -> Result<Option<Found<'a>>, Refused> {
        let (next, frame) = match self.next {
            Next::InIp(ip_number::TCP) => {
                return network::tcp(self.at, self.route, self.frame).map(Found::Segment).map(Some);
            }
            Next::Ip => {
                if self.guessed && !ip_packet::is_plausible(self.frame) {
                    return Err(TRUNCATED);
                }
                self.guessed = false;
                if let Some(segment) = network::plain(self.at, self.frame) {
                    return Ok(Some(Found::Segment(segment)));
                }
                let (route, content) = network::ip(self.frame)?;
                self.route = route;
                match content {
                    Content::Whole(number, payload) => (Next::InIp(number), payload),
                    Content::Part(fragment) => return Ok(Some(Found::Fragment(fragment))),
                }
            }
            Next::EtherType(ethertype) => ethertype::payload(ethertype, self.frame)?,
            Next::Mpls => ethertype::mpls(self.frame)?,
            Next::InIp(number) => match network::inside(number, self.route, self.frame)? {
                Inside::Next(next, frame) => (next, frame),
                Inside::Guess(next, frame) => {
                    self.guessed = true;
                    (next, frame)
                }
                Inside::Part(fragment) => return Ok(Some(Found::Fragment(fragment))),
            },
        };
        (self.next, self.frame) = (next, frame);
        Ok(None)
    }
}

#[cfg(test)]
mod tests;

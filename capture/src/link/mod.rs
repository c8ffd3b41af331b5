//! Link types, VLAN tags, IP and TCP heads: a packet becomes a segment.
//!
//! Owns the walk from a packet's first byte to its TCP payload: link header, VLAN tags (to any
//! depth), IPv4 or IPv6 with extension headers, TCP. Nothing is copied and nothing is allocated.
//!
//! Refuses IP fragments (noted, not reassembled), and everything that is no TCP over IP.
//!
//! Invariants:
//! - A segment's payload ends where IP says it ends: Ethernet padding and frame check sequences
//!   never become payload. Where IP gives no length (0, as offloading hosts write it), it ends
//!   with the packet as it was on the wire.
//! - `payload.len() + cut` is the length the segment had on the wire.
//! - Any bytes at all may come in; none of them panics.

mod network;

use std::net::SocketAddr;

use crate::{Anomalies, Anomaly, Limits, Timestamp};

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

/// Link-layer header types that are read (values of the tcpdump.org registry).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LinkType {
    /// 0: BSD loopback, address family in host order of the capturing machine.
    Null,
    /// 1: Ethernet.
    Ethernet,
    /// 12, 14, 101: raw IPv4 or IPv6.
    RawIp,
    /// 108: OpenBSD loopback, address family in network order.
    Loop,
    /// 113: Linux cooked capture.
    LinuxSll,
    /// 228: raw IPv4.
    Ipv4,
    /// 229: raw IPv6.
    Ipv6,
    /// 276: Linux cooked capture v2.
    LinuxSll2,
}

impl LinkType {
    /// All link types that are read, for messages that list them.
    pub const NAMES: &str = "Ethernet, Linux cooked (SLL, SLL2), BSD loopback, raw IP";

    /// From the number in a capture file or of `pcap_datalink`. `None` for a type not read here.
    #[must_use]
    pub const fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::Null,
            1 => Self::Ethernet,
            12 | 14 | 101 => Self::RawIp,
            108 => Self::Loop,
            113 => Self::LinuxSll,
            228 => Self::Ipv4,
            229 => Self::Ipv6,
            276 => Self::LinuxSll2,
            _ => return None,
        })
    }
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
pub(crate) struct Decoder {}

impl Decoder {
    /// Finds the TCP segment in `packet`. What is odd about it, and yet tolerated, is noted in
    /// `anomalies`.
    pub(crate) fn segment<'a>(
        &'a mut self,
        packet: &Packet<'a>,
        _limits: &Limits,
        _anomalies: &mut Anomalies,
    ) -> Result<Segment<'a>, Refused> {
        segment(packet)
    }
}

/// Finds the TCP segment in `packet`.
fn segment<'a>(packet: &Packet<'a>) -> Result<Segment<'a>, Refused> {
    let ip = match packet.link {
        LinkType::Ethernet => ethernet(packet.data)?,
        LinkType::LinuxSll => linux_sll(packet.data)?,
        LinkType::LinuxSll2 => linux_sll2(packet.data)?,
        LinkType::Null | LinkType::Loop => loopback(packet.data)?,
        LinkType::RawIp | LinkType::Ipv4 | LinkType::Ipv6 => packet.data,
    };
    // A wire length below what was captured is a contradiction; what was captured is certain.
    let on_wire = (packet.original_len as usize).max(packet.data.len());
    let beyond = on_wire - packet.data.len();
    network::segment(packet.at, ip, beyond)
}

const TRUNCATED: Refused = Refused::Odd(Anomaly::BadPacketHeader);

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
/// IEEE 802.1Q, IEEE 802.1ad, and the value older QinQ equipment uses.
const ETHERTYPES_VLAN: [u16; 3] = [0x8100, 0x88a8, 0x9100];

/// LLC for SNAP with an EtherType after it (RFC 1042).
const LLC_SNAP: [u8; 6] = [0xaa, 0xaa, 3, 0, 0, 0];

/// Destination (6), source (6), EtherType (2).
fn ethernet(data: &[u8]) -> Result<&[u8], Refused> {
    let (header, rest) = data.split_at_checked(14).ok_or(TRUNCATED)?;
    match u16_at(header, 12) {
        // IEEE 802.3 §3.2.6: up to 1500 it is a length, and LLC follows.
        0..=1500 => {
            let (llc, rest) = rest.split_at_checked(8).ok_or(Refused::NotTcp)?;
            if llc[..6] != LLC_SNAP {
                return Err(Refused::NotTcp);
            }
            by_ethertype(u16_at(llc, 6), rest)
        }
        ethertype => by_ethertype(ethertype, rest),
    }
}

/// Packet type (2), ARPHRD (2), address length (2), address (8), protocol (2).
fn linux_sll(data: &[u8]) -> Result<&[u8], Refused> {
    let (header, rest) = data.split_at_checked(16).ok_or(TRUNCATED)?;
    by_ethertype(u16_at(header, 14), rest)
}

/// Protocol (2), reserved (2), interface index (4), ARPHRD (2), packet type (1),
/// address length (1), address (8).
fn linux_sll2(data: &[u8]) -> Result<&[u8], Refused> {
    let (header, rest) = data.split_at_checked(20).ok_or(TRUNCATED)?;
    by_ethertype(u16_at(header, 0), rest)
}

/// Address family (4), in the byte order of the machine that captured (`Null`) or in network
/// order (`Loop`). Either is accepted for both: families are small, so the order shows.
fn loopback(data: &[u8]) -> Result<&[u8], Refused> {
    let (family, rest) = data.split_first_chunk::<4>().ok_or(TRUNCATED)?;
    let family = match u32::from_le_bytes(*family) {
        small @ 0..=0xffff => small,
        large => large.swap_bytes(),
    };
    // AF_INET is 2 everywhere. AF_INET6: 10 Linux, 23 Windows, 24 NetBSD and OpenBSD,
    // 28 FreeBSD, 30 Darwin.
    match family {
        2 | 10 | 23 | 24 | 28 | 30 => Ok(rest),
        _ => Err(Refused::NotTcp),
    }
}

fn by_ethertype(mut ethertype: u16, mut rest: &[u8]) -> Result<&[u8], Refused> {
    while ETHERTYPES_VLAN.contains(&ethertype) {
        // Tag control information (2), EtherType (2).
        let (tag, inner) = rest.split_at_checked(4).ok_or(TRUNCATED)?;
        ethertype = u16_at(tag, 2);
        rest = inner;
    }
    match ethertype {
        ETHERTYPE_IPV4 | ETHERTYPE_IPV6 => Ok(rest),
        _ => Err(Refused::NotTcp),
    }
}

fn u16_at(header: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([header[at], header[at + 1]])
}

#[cfg(test)]
mod tests;

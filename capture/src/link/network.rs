//! IP and TCP heads, sliced by etherparse, and extension headers.
//!
//! Lengths come from IP alone. What it does not say (0, as offloading hosts write it) comes from the
//! jumbo payload option, or is all that is left of the packet.

use std::net::SocketAddr;

use etherparse::{
    IpNumber, Ipv4HeaderSlice, Ipv6FragmentHeaderSlice, Ipv6HeaderSlice, TcpHeaderSlice, ip_number,
};

use super::fragments::{Fragment, Key};
use super::frame::{Frame, u32_at};
use super::ip_packet::Route;
use super::{Next, Refused, Segment, TRUNCATED, framing, gre, tunnel};
use crate::Timestamp;

/// What an IP packet holds.
pub(super) enum Content<'a> {
    /// A protocol's whole data.
    Whole(IpNumber, Frame<'a>),
    /// A part of it.
    Part(Fragment<'a>),
}

/// The segment of an IP packet that holds nothing but a whole TCP segment. `None` for any other.
pub(super) fn plain(at: Timestamp, frame: Frame<'_>) -> Option<Segment<'_>> {
    let (source, destination, payload) = match frame.data.first()? >> 4 {
        4 => {
            let header = Ipv4HeaderSlice::from_slice(frame.data).ok()?;
            if header.protocol() != ip_number::TCP || header.is_fragmenting_payload() {
                return None;
            }
            let payload = ipv4_payload(&header, frame).ok()?;
            (header.source_addr().into(), header.destination_addr().into(), payload)
        }
        6 => {
            let header = Ipv6HeaderSlice::from_slice(frame.data).ok()?;
            if header.next_header() != ip_number::TCP {
                return None;
            }
            let payload = ipv6_payload(&header, frame).ok()?;
            (header.source_addr().into(), header.destination_addr().into(), payload)
        }
        _ => return None,
    };
    tcp(at, Route { source, destination }, payload).ok()
}

/// Reads an IP header.
pub(super) fn ip(frame: Frame<'_>) -> Result<(Route, Content<'_>), Refused> {
    match frame.data.first().ok_or(TRUNCATED)? >> 4 {
        4 => ipv4(frame),
        6 => ipv6(frame),
        _ => Err(TRUNCATED),
    }
}

fn ipv4(frame: Frame<'_>) -> Result<(Route, Content<'_>), Refused> {
    let header = Ipv4HeaderSlice::from_slice(frame.data).map_err(|_| TRUNCATED)?;
    let payload = ipv4_payload(&header, frame)?;
    let route = Route {
        source: header.source_addr().into(),
        destination: header.destination_addr().into(),
    };
    let content = if header.is_fragmenting_payload() {
        Content::Part(Fragment {
            // RFC 791 §3.2: these four name a packet.
            key: Key {
                route,
                id: u32::from(header.identification()),
                protocol: Some(header.protocol().0),
            },
            number: header.protocol(),
            offset: header.fragments_offset().byte_offset(),
            more: header.more_fragments(),
            payload,
        })
    } else {
        Content::Whole(header.protocol(), payload)
    };
    Ok((route, content))
}

fn ipv6(frame: Frame<'_>) -> Result<(Route, Content<'_>), Refused> {
    let header = Ipv6HeaderSlice::from_slice(frame.data).map_err(|_| TRUNCATED)?;
    let payload = ipv6_payload(&header, frame)?;
    let route = Route {
        source: header.source_addr().into(),
        destination: header.destination_addr().into(),
    };
    Ok((route, Content::Whole(header.next_header(), payload)))
}

/// What comes after an IPv4 header, as long as it says.
fn ipv4_payload<'a>(header: &Ipv4HeaderSlice<'_>, frame: Frame<'a>) -> Result<Frame<'a>, Refused> {
    let header_len = header.slice().len();
    let packet = match usize::from(header.total_len()) {
        // Segmentation offload leaves 0 where a packet above 64 KiB does not fit the field.
        0 => frame,
        len if len < header_len => return Err(TRUNCATED),
        len => frame.limit(len),
    };
    packet.skip(header_len)
}

/// What comes after an IPv6 header, as long as it says.
fn ipv6_payload<'a>(header: &Ipv6HeaderSlice<'_>, frame: Frame<'a>) -> Result<Frame<'a>, Refused> {
    let payload = frame.skip(header.slice().len())?;
    Ok(match usize::from(header.payload_length()) {
        // A jumbogram (RFC 2675 §3), or segmentation offload as above.
        0 => jumbo_len(header.next_header(), payload).map_or(payload, |len| payload.limit(len)),
        len => payload.limit(len),
    })
}

/// The length in the jumbo payload option, which stands in the first header after IPv6's.
fn jumbo_len(first: IpNumber, payload: Frame<'_>) -> Option<usize> {
    const JUMBO: u8 = 0xc2;
    const PAD_ONE: u8 = 0;

    let header = payload.data.get(..extension_len(first, payload.data)?)?;
    if first != ip_number::IPV6_HOP_BY_HOP {
        return None;
    }
    let mut options = header.get(2..)?;
    while let Some((&kind, rest)) = options.split_first() {
        if kind == PAD_ONE {
            options = rest;
            continue;
        }
        let (&len, rest) = rest.split_first()?;
        let (value, rest) = rest.split_at_checked(usize::from(len))?;
        if kind == JUMBO && len == 4 {
            return Some(u32_at(value, 0) as usize);
        }
        options = rest;
    }
    None
}

/// Length of the extension header `number` that `data` begins with. `None` for what is none.
fn extension_len(number: IpNumber, data: &[u8]) -> Option<usize> {
    let len = usize::from(*data.get(1)?);
    match number {
        ip_number::IPV6_HOP_BY_HOP
        | ip_number::IPV6_ROUTE
        | ip_number::IPV6_DEST_OPTIONS
        | ip_number::MOBILITY_HEADER
        | ip_number::HIP
        | ip_number::SHIM6 => Some((len + 1) * 8),
        // RFC 4302 §2.2: in units of 4 bytes, minus 2.
        ip_number::AUTHENTICATION_HEADER => Some((len + 2) * 4),
        _ => None,
    }
}

/// What an IP packet of another protocol than TCP begins with.
pub(super) enum Inside<'a> {
    /// Another header.
    Next(Next, Frame<'a>),
    /// A tunnel that only a port or the look of it announces.
    Guess(Next, Frame<'a>),
    /// A part of a packet.
    Part(Fragment<'a>),
}

/// Goes on to the protocol of number `number`.
pub(super) fn inside(
    number: IpNumber,
    route: Route,
    frame: Frame<'_>,
) -> Result<Inside<'_>, Refused> {
    let (next, rest) = match number {
        ip_number::UDP => {
            let (next, rest) = tunnel::in_udp(frame)?;
            return Ok(Inside::Guess(next, rest));
        }
        ip_number::IPV4 | ip_number::IPV6 => (Next::Ip, frame),
        ip_number::GRE => gre::gre(frame)?,
        // RFC 4023, RFC 3378.
        ip_number::MPLS_IN_IP => (Next::Mpls, frame),
        ip_number::ETHER_IP => framing::ethernet(frame.skip(2)?)?,
        ip_number::IPV6_FRAG => return fragment(route, frame),
        _ => {
            let len = match extension_len(number, frame.data) {
                Some(len) => len,
                None if number.is_ipv6_ext_header_value() && frame.data.len() < 2 => {
                    return Err(TRUNCATED);
                }
                None => return Err(Refused::NotTcp),
            };
            let (header, rest) = frame.split(len)?;
            (Next::InIp(IpNumber(header[0])), rest)
        }
    };
    Ok(Inside::Next(next, rest))
}

/// An IPv6 fragment header and its part.
fn fragment(route: Route, frame: Frame<'_>) -> Result<Inside<'_>, Refused> {
    let header = Ipv6FragmentHeaderSlice::from_slice(frame.data).map_err(|_| TRUNCATED)?;
    let payload = frame.skip(header.slice().len())?;
    // RFC 6946: a fragment that is all of its packet is processed alone.
    if !header.is_fragmenting_payload() {
        return Ok(Inside::Next(Next::InIp(header.next_header()), payload));
    }
    Ok(Inside::Part(Fragment {
        // RFC 8200 §4.5: the next header is no part of the name; the first fragment's counts.
        key: Key { route, id: header.identification(), protocol: None },
        number: header.next_header(),
        offset: header.fragment_offset().byte_offset(),
        more: header.more_fragments(),
        payload,
    }))
}

/// Reads a TCP header: the segment.
pub(super) fn tcp(at: Timestamp, route: Route, frame: Frame<'_>) -> Result<Segment<'_>, Refused> {
    let tcp = TcpHeaderSlice::from_slice(frame.data).map_err(|_| TRUNCATED)?;
    let body = frame.skip(tcp.slice().len())?;
    Ok(Segment {
        at,
        source: SocketAddr::new(route.source, tcp.source_port()),
        destination: SocketAddr::new(route.destination, tcp.destination_port()),
        seq: tcp.sequence_number(),
        ack: tcp.ack().then(|| tcp.acknowledgment_number()),
        syn: tcp.syn(),
        fin: tcp.fin(),
        rst: tcp.rst(),
        payload: body.data,
        cut: u32::try_from(body.beyond).map_err(|_| TRUNCATED)?,
    })
}

//! Tunnels in UDP: VXLAN, GENEVE, GTP-U, Teredo, L2TP, and GRE and MPLS in UDP.
//!
//! A port announces nothing for certain: an ephemeral port may be any of these. So what is found
//! here is a guess, and holds only if an IP header whose lengths fit follows; else the packet is
//! plain UDP, with nothing wrong about it.
//!
//! Teredo between clients and GTP-U are also found on other ports, by bits that chance does not
//! bring about: a Teredo address, or a header whose lengths fit twice.

use etherparse::UdpHeaderSlice;

use super::ethertype::by_next_protocol;
use super::frame::{Frame, u16_at, u32_at};
use super::framing::{ethernet, ppp};
use super::gre::gre;
use super::{Next, Refused, TRUNCATED, ip_packet};

const L2TP: u16 = 1701;
const GTP_U: u16 = 2152;
const TEREDO: u16 = 3544;
const GRE_IN_UDP: u16 = 4754;
const VXLAN: u16 = 4789;
const VXLAN_GPE: u16 = 4790;
const GENEVE: u16 = 6081;
const MPLS_IN_UDP: u16 = 6635;
/// What Linux used before 4789 was assigned, and still does by default.
const VXLAN_LINUX: u16 = 8472;

/// Finds the tunnel in a UDP datagram.
pub(super) fn in_udp(frame: Frame<'_>) -> Result<(Next, Frame<'_>), Refused> {
    let header = UdpHeaderSlice::from_slice(frame.data).map_err(|_| TRUNCATED)?;
    let payload = frame.skip(header.slice().len())?;
    let payload = match usize::from(header.length()) {
        // RFC 2675 §4: longer than the field can say.
        0 => payload,
        len if len < header.slice().len() => return Err(Refused::NotTcp),
        len => payload.limit((len - header.slice().len()).min(payload.on_wire())),
    };
    by_port(header.source_port(), header.destination_port(), payload).map_err(|refused| {
        match refused {
            TRUNCATED if payload.beyond == 0 => Refused::NotTcp,
            other => other,
        }
    })
}

fn by_port(
    source: u16,
    destination: u16,
    payload: Frame<'_>,
) -> Result<(Next, Frame<'_>), Refused> {
    match destination {
        VXLAN | VXLAN_LINUX => vxlan(payload),
        VXLAN_GPE => vxlan_gpe(payload),
        GENEVE => geneve(payload),
        GTP_U => gtp_u(payload),
        TEREDO => teredo(payload),
        L2TP => l2tp(payload),
        GRE_IN_UDP => gre(payload),
        MPLS_IN_UDP => Ok((Next::Mpls, payload)),
        _ => match source {
            GTP_U => gtp_u(payload),
            TEREDO => teredo(payload),
            L2TP => l2tp(payload),
            _ => by_look(payload),
        },
    }
}

fn by_look(payload: Frame<'_>) -> Result<(Next, Frame<'_>), Refused> {
    match payload.data {
        [0x30..=0x37, 0xff, high, low, ..] => {
            let len = usize::from(u16::from_be_bytes([*high, *low]));
            let (next, inner) = gtp_u(payload)?;
            match len + 8 == payload.on_wire() && ip_packet::is_exact(inner) {
                true => Ok((next, inner)),
                false => Err(Refused::NotTcp),
            }
        }
        [0x60..=0x6f, ..] if has_teredo_address(payload.data) => teredo(payload),
        _ => Err(Refused::NotTcp),
    }
}

/// Flags (1), reserved (3), network (3), reserved (1), then Ethernet (RFC 7348 §5). The reserved
/// bits are in use by extensions, and are not looked at.
fn vxlan(frame: Frame<'_>) -> Result<(Next, Frame<'_>), Refused> {
    let (header, rest) = frame.split(8)?;
    if header[0] & VXLAN_NETWORK == 0 {
        return Err(Refused::NotTcp);
    }
    ethernet(rest)
}

/// The network is valid: without it, it is no VXLAN.
const VXLAN_NETWORK: u8 = 0x08;

/// The same, with the next protocol in the last of the reserved bytes (draft-ietf-nvo3-vxlan-gpe).
fn vxlan_gpe(frame: Frame<'_>) -> Result<(Next, Frame<'_>), Refused> {
    const NEXT_PROTOCOL: u8 = 0x04;
    let (header, rest) = frame.split(8)?;
    if header[0] & VXLAN_NETWORK == 0 {
        return Err(Refused::NotTcp);
    }
    if header[0] & NEXT_PROTOCOL == 0 { ethernet(rest) } else { by_next_protocol(header[3], rest) }
}

/// Version (2 bits), options in 4 bytes (6), flags (8), protocol (16), network (24), reserved (8),
/// options (RFC 8926 §3.4).
fn geneve(frame: Frame<'_>) -> Result<(Next, Frame<'_>), Refused> {
    const VERSION: u8 = 0xc0;
    const CONTROL: u8 = 0x80;
    let (header, rest) = frame.split(8)?;
    if header[0] & VERSION != 0 || header[1] & CONTROL != 0 {
        return Err(Refused::NotTcp);
    }
    let options_len = usize::from(header[0] & 0x3f) * 4;
    Ok((Next::EtherType(u16_at(header, 2)), rest.skip(options_len)?))
}

/// Version and flags (1), message type (1), length (2), tunnel (4); if any of three flags is set
/// sequence (2), N-PDU (1), next extension (1); extensions (3GPP TS 29.281 §5.1).
fn gtp_u(frame: Frame<'_>) -> Result<(Next, Frame<'_>), Refused> {
    const VERSION_1: u8 = 0x30;
    const EXTENSION: u8 = 0x04;
    const OPTIONAL: u8 = 0x07;
    /// A user's packet.
    const G_PDU: u8 = 255;
    let (header, rest) = frame.split(8)?;
    let len = usize::from(u16_at(header, 2));
    if header[0] & 0xf0 != VERSION_1 || header[1] != G_PDU || len > rest.on_wire() {
        return Err(Refused::NotTcp);
    }
    let mut rest = rest.limit(len);
    if header[0] & OPTIONAL != 0 {
        let (optional, after) = rest.split(4)?;
        rest = after;
        let mut extension = if header[0] & EXTENSION != 0 { optional[3] } else { 0 };
        while extension != 0 {
            // §5.2.1: length in 4 bytes (1), content, next extension (1).
            let len = usize::from(rest.split(1)?.0[0]) * 4;
            let (content, after) = rest.split(len)?;
            extension = *content.last().ok_or(Refused::NotTcp)?;
            rest = after;
        }
    }
    Ok((Next::Ip, rest))
}

/// Optional indications of authentication and of origin, then IPv6 (RFC 4380 §5.1.1).
fn teredo(mut frame: Frame<'_>) -> Result<(Next, Frame<'_>), Refused> {
    if frame.data.starts_with(&[0, 1]) {
        // Client id length, authentication length; then these, nonce (8), confirmation (1).
        let (header, rest) = frame.split(4)?;
        frame = rest.skip(usize::from(header[2]) + usize::from(header[3]) + 9)?;
    }
    if frame.data.starts_with(&[0, 0]) {
        // Port (2), address (4).
        frame = frame.skip(8)?;
    }
    match frame.data.first().ok_or(TRUNCATED)? >> 4 {
        6 => Ok((Next::Ip, frame)),
        _ => Err(Refused::NotTcp),
    }
}

/// Whether one end of an IPv6 packet has an address of 2001:0::/32 (RFC 4380 §2.6).
fn has_teredo_address(data: &[u8]) -> bool {
    const PREFIX: u32 = 0x2001_0000;
    data.len() >= 40 && (u32_at(data, 8) == PREFIX || u32_at(data, 24) == PREFIX)
}

/// Flags and version (2), where flagged length (2); tunnel (2), session (2), where flagged
/// sequence numbers (4) and an offset (2) with as much padding; then PPP (RFC 2661 §3.1).
fn l2tp(frame: Frame<'_>) -> Result<(Next, Frame<'_>), Refused> {
    const CONTROL: u16 = 0x8000;
    const LENGTH: u16 = 0x4000;
    const SEQUENCE: u16 = 0x0800;
    const OFFSET: u16 = 0x0200;
    const VERSION: u16 = 0x000f;
    let (header, mut rest) = frame.split(2)?;
    let flags = u16_at(header, 0);
    if flags & VERSION != 2 || flags & CONTROL != 0 {
        return Err(Refused::NotTcp);
    }
    if flags & LENGTH != 0 {
        let len = usize::from(u16_at(rest.split(2)?.0, 0));
        if len < 8 || len > frame.on_wire() {
            return Err(Refused::NotTcp);
        }
        rest = frame.limit(len).skip(4)?;
    }
    rest = rest.skip(4)?;
    if flags & SEQUENCE != 0 {
        rest = rest.skip(4)?;
    }
    if flags & OFFSET != 0 {
        let (offset, after) = rest.split(2)?;
        rest = after.skip(usize::from(u16_at(offset, 0)))?;
    }
    ppp(rest)
}

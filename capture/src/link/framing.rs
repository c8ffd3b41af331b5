//! Link headers: from a packet's first byte to the protocol that it carries.

use super::frame::{Frame, u16_at, u32_at};
use super::llc::llc;
use super::{LinkType, Next, Refused, TRUNCATED, wireless};

/// Reads the link header of a packet of type `link`.
pub(super) fn start(link: LinkType, frame: Frame<'_>) -> Result<(Next, Frame<'_>), Refused> {
    match link {
        LinkType::Ethernet => ethernet(frame),
        LinkType::RawIp | LinkType::Ipv4 | LinkType::Ipv6 => Ok((Next::Ip, frame)),
        LinkType::LinuxSll => linux_sll(frame),
        LinkType::LinuxSll2 => linux_sll2(frame),
        LinkType::Null | LinkType::Loop => loopback(frame),
        LinkType::Ppp => ppp(frame),
        LinkType::PppSerial => ppp_serial(frame),
        LinkType::PppEther => pppoe(frame),
        LinkType::PppWithDirection => ppp(frame.skip(1)?),
        LinkType::CiscoHdlc => cisco_hdlc(frame),
        LinkType::CiscoHdlcWithDirection => cisco_hdlc(frame.skip(1)?),
        LinkType::Mpls => Ok((Next::Mpls, frame)),
        LinkType::Nflog => nflog(frame),
        LinkType::ArcnetLinux => arcnet_linux(frame),
        LinkType::Wifi => wireless::data_frame(frame),
        LinkType::Radiotap => wireless::radiotap(frame),
        LinkType::Ppi => ppi(frame),
    }
}

/// Destination (6), source (6), EtherType (2).
pub(super) fn ethernet(frame: Frame<'_>) -> Result<(Next, Frame<'_>), Refused> {
    let (header, rest) = frame.split(14)?;
    match u16_at(header, 12) {
        // IEEE 802.3 §3.2.6: up to 1500 it is a length, and LLC follows.
        0..=1500 => llc(rest),
        ethertype => Ok((Next::EtherType(ethertype), rest)),
    }
}

/// Packet type (2), ARPHRD (2), address length (2), address (8), protocol (2).
fn linux_sll(frame: Frame<'_>) -> Result<(Next, Frame<'_>), Refused> {
    let (header, rest) = frame.split(16)?;
    cooked(u16_at(header, 14), rest)
}

/// Protocol (2), reserved (2), interface index (4), ARPHRD (2), packet type (1),
/// address length (1), address (8).
fn linux_sll2(frame: Frame<'_>) -> Result<(Next, Frame<'_>), Refused> {
    let (header, rest) = frame.split(20)?;
    cooked(u16_at(header, 0), rest)
}

/// The protocol of a cooked capture is an EtherType, or one of a few small numbers.
fn cooked(protocol: u16, rest: Frame<'_>) -> Result<(Next, Frame<'_>), Refused> {
    /// ETH_P_802_2: LLC follows.
    const LLC: u16 = 4;
    if protocol == LLC { llc(rest) } else { Ok((Next::EtherType(protocol), rest)) }
}

/// Address family (4), in the byte order of the machine that captured (`Null`) or in network
/// order (`Loop`). Either is accepted for both: families are small, so the order shows.
fn loopback(frame: Frame<'_>) -> Result<(Next, Frame<'_>), Refused> {
    let (header, rest) = frame.split(4)?;
    let family = match u32_at(header, 0) {
        small @ 0..=0xffff => small,
        large => large.swap_bytes(),
    };
    // AF_INET is 2 everywhere. AF_INET6: 10 Linux, 23 Windows, 24 NetBSD and OpenBSD,
    // 28 FreeBSD, 30 Darwin.
    match family {
        2 | 10 | 23 | 24 | 28 | 30 => Ok((Next::Ip, rest)),
        _ => Err(Refused::NotTcp),
    }
}

/// Address and control (2, may be left out), protocol (1 or 2) (RFC 1661 §2, RFC 1662).
pub(super) fn ppp(mut frame: Frame<'_>) -> Result<(Next, Frame<'_>), Refused> {
    if frame.data.starts_with(&[0xff, 0x03]) {
        frame = frame.skip(2)?;
    }
    // RFC 1661 §2: the first byte of a protocol is even, its last odd. So an odd first byte is a
    // protocol compressed to one.
    let compressed = *frame.data.first().ok_or(TRUNCATED)?;
    let (protocol, rest) = if compressed & 1 == 1 {
        (u16::from(compressed), frame.skip(1)?)
    } else {
        let (header, rest) = frame.split(2)?;
        (u16_at(header, 0), rest)
    };
    match protocol {
        0x0021 | 0x0057 => Ok((Next::Ip, rest)),
        // RFC 3032 §4.
        0x0281 | 0x0283 => Ok((Next::Mpls, rest)),
        _ => Err(Refused::NotTcp),
    }
}

/// RFC 1662 framing begins with 0xff, that of Cisco with 0x0f or 0x8f.
fn ppp_serial(frame: Frame<'_>) -> Result<(Next, Frame<'_>), Refused> {
    match frame.data.first() {
        Some(0x0f | 0x8f) => cisco_hdlc(frame),
        _ => ppp(frame),
    }
}

/// Address (1), control (1), EtherType (2) (RFC 1547).
fn cisco_hdlc(frame: Frame<'_>) -> Result<(Next, Frame<'_>), Refused> {
    let (header, rest) = frame.split(4)?;
    Ok((Next::EtherType(u16_at(header, 2)), rest))
}

/// Version and type (1), code (1), session (2), length (2), then PPP (RFC 2516 §4).
pub(super) fn pppoe(frame: Frame<'_>) -> Result<(Next, Frame<'_>), Refused> {
    let (header, rest) = frame.split(6)?;
    // Version 1, type 1, session data.
    if header[..2] != [0x11, 0] {
        return Err(Refused::NotTcp);
    }
    ppp(rest.limit(usize::from(u16_at(header, 4))))
}

/// Family (1), version (1), resource (2), then attributes: length (2), type (2), value padded to
/// a multiple of 4. Lengths and types are in the byte order of the machine that captured.
fn nflog(frame: Frame<'_>) -> Result<(Next, Frame<'_>), Refused> {
    const PAYLOAD: u16 = 9;
    let (header, mut rest) = frame.split(4)?;
    if header[1] != 0 {
        return Err(Refused::NotTcp);
    }
    loop {
        let (head, value) = rest.split(4)?;
        let (len, kind) = (u16_at(head, 0), u16_at(head, 2));
        // Types are below 256: the order shows in them.
        let (len, kind) = match kind {
            0..=0xff => (len, kind),
            _ => (len.swap_bytes(), kind.swap_bytes()),
        };
        let len = usize::from(len);
        let value_len = len.checked_sub(4).ok_or(TRUNCATED)?;
        if kind == PAYLOAD {
            return Ok((Next::Ip, value.limit(value_len)));
        }
        rest = rest.skip(len.next_multiple_of(4))?;
    }
}

/// Source (1), destination (1), offset (2), type (1); for types of RFC 1201 also split flag (1)
/// and sequence (2).
fn arcnet_linux(frame: Frame<'_>) -> Result<(Next, Frame<'_>), Refused> {
    let (header, rest) = frame.split(5)?;
    match header[4] {
        // RFC 1051.
        240 => Ok((Next::Ip, rest)),
        // RFC 1201: IPv4, IPv6 (RFC 2497). A split flag other than 0 is a part of a packet.
        212 | 196 => {
            let (more, rest) = rest.split(3)?;
            if more[0] == 0 { Ok((Next::Ip, rest)) } else { Err(Refused::NotTcp) }
        }
        _ => Err(Refused::NotTcp),
    }
}

/// Version (1), flags (1), length (2), link type (4), all little-endian, then fields.
fn ppi(frame: Frame<'_>) -> Result<(Next, Frame<'_>), Refused> {
    let (header, _) = frame.split(8)?;
    let len = usize::from(u16::from_le_bytes([header[2], header[3]]));
    let link = u32::from_le_bytes([header[4], header[5], header[6], header[7]]);
    let rest = frame.skip(len.max(8))?;
    match LinkType::from_number(link) {
        // One header of this kind is enough.
        None | Some(LinkType::Ppi) => Err(Refused::NotTcp),
        Some(link) => start(link, rest),
    }
}

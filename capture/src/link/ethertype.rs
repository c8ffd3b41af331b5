//! What an EtherType announces: IP, or one of the headers that stand before it.

use super::frame::{Frame, u16_at};
use super::framing::{ethernet, ppp, pppoe};
use super::{Next, Refused, TRUNCATED, gre, ip_packet};

/// IPv4 comes next.
pub(super) const IPV4: Next = Next::EtherType(0x0800);
/// IPv6 comes next.
pub(super) const IPV6: Next = Next::EtherType(0x86dd);

/// The IP packet right behind an Ethernet header, where there is one.
pub(super) fn ip_in_ethernet(frame: Frame<'_>) -> Option<Frame<'_>> {
    let (header, rest) = frame.split(14).ok()?;
    let next = Next::EtherType(u16_at(header, 12));
    matches!(next, IPV4 | IPV6).then_some(rest)
}

/// Goes on to the protocol that `ethertype` names.
pub(super) fn payload(ethertype: u16, frame: Frame<'_>) -> Result<(Next, Frame<'_>), Refused> {
    match ethertype {
        // Which of the two it is, the first bits of IP say.
        0x0800 | 0x86dd => Ok((Next::Ip, frame)),
        // IEEE 802.1Q, IEEE 802.1ad, and the values older QinQ equipment uses.
        0x8100 | 0x88a8 | 0x9100 | 0x9200 | 0x9300 => tagged(frame, 2),
        // IEEE 802.1BR port extension, and Cisco's VN-Tag.
        0x893f => tagged(frame, 6),
        0x8926 => tagged(frame, 4),
        // IEEE 802.1ah: a service tag (4), then the customer's frame.
        0x88e7 => ethernet(frame.skip(4)?),
        0x8847 | 0x8848 => Ok((Next::Mpls, frame)),
        0x8864 => pppoe(frame),
        // RFC 8300.
        0x894f => service_chain(frame),
        // Only behind GRE.
        0x6558 => ethernet(frame),
        0x880b => ppp(frame),
        0x88be | 0x22eb => gre::erspan(ethertype, frame),
        0x883e => gre::wccp(frame),
        _ => Err(Refused::NotTcp),
    }
}

/// A tag of `len` bytes, then an EtherType (2).
fn tagged(frame: Frame<'_>, len: usize) -> Result<(Next, Frame<'_>), Refused> {
    let (tag, rest) = frame.split(len + 2)?;
    Ok((Next::EtherType(u16_at(tag, len)), rest))
}

/// One entry of a label stack: label (20 bits), class (3), bottom of stack (1), time to live (8)
/// (RFC 3032 §2.1). What lies under the last one is not written anywhere.
pub(super) fn mpls(frame: Frame<'_>) -> Result<(Next, Frame<'_>), Refused> {
    let (entry, rest) = frame.split(4)?;
    if entry[2] & 1 == 0 {
        return Ok((Next::Mpls, rest));
    }
    // RFC 4928: IP begins with 4 or 6, and a control word with 0 so that nobody takes it for
    // IP. An Ethernet frame without control word may begin with any of them.
    let first = *rest.data.first().ok_or(TRUNCATED)?;
    match first >> 4 {
        4 | 6 if ip_packet::is_plausible(rest) => Ok((Next::Ip, rest)),
        0 if rest.skip(4).is_ok_and(carries_known_ethertype) => ethernet(rest.skip(4)?),
        _ if carries_known_ethertype(rest) => ethernet(rest),
        4 | 6 if rest.beyond > 0 => Err(TRUNCATED),
        _ => Err(Refused::NotTcp),
    }
}

/// Whether it looks like an Ethernet frame of a protocol that is read here.
fn carries_known_ethertype(frame: Frame<'_>) -> bool {
    frame.data.len() >= 14
        && matches!(
            u16_at(frame.data, 12),
            0x0800 | 0x86dd | 0x8100 | 0x88a8 | 0x9100 | 0x8847 | 0x8848 | 0x8864
        )
}

/// Version, flags and time to live (10 bits), length in 4 bytes (6), metadata type (1 byte), next
/// protocol (1), path (4), context (RFC 8300 §2.2).
fn service_chain(frame: Frame<'_>) -> Result<(Next, Frame<'_>), Refused> {
    let (header, _) = frame.split(8)?;
    let len = usize::from(header[1] & 0x3f) * 4;
    by_next_protocol(header[3], frame.skip(len.max(8))?)
}

/// Next protocols of NSH (RFC 8300 §2.2), which VXLAN-GPE shares.
pub(super) fn by_next_protocol(
    protocol: u8,
    frame: Frame<'_>,
) -> Result<(Next, Frame<'_>), Refused> {
    match protocol {
        1 | 2 => Ok((Next::Ip, frame)),
        3 => ethernet(frame),
        4 => Ok((Next::EtherType(0x894f), frame)),
        5 => Ok((Next::Mpls, frame)),
        _ => Err(Refused::NotTcp),
    }
}

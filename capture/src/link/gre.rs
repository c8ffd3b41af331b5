//! GRE and what rides on it: ERSPAN, NVGRE, PPTP, WCCP.

use super::frame::{Frame, u16_at};
use super::framing::ethernet;
use super::{Next, Refused};

const CHECKSUM: u16 = 0x8000;
const ROUTING: u16 = 0x4000;
const KEY: u16 = 0x2000;
const SEQUENCE: u16 = 0x1000;
const ACKNOWLEDGEMENT: u16 = 0x0080;
const VERSION: u16 = 0x0007;

const ERSPAN: u16 = 0x88be;
const PPP: u16 = 0x880b;

/// Flags and version (2), protocol (2), then, where flagged: checksum and reserved (4), key (4),
/// sequence (4) (RFC 2784 §2, RFC 2890 §2). Version 1, with an acknowledgement (4) besides, is
/// PPTP's (RFC 2637 §4.1).
pub(super) fn gre(frame: Frame<'_>) -> Result<(Next, Frame<'_>), Refused> {
    let (header, mut rest) = frame.split(4)?;
    let (flags, protocol) = (u16_at(header, 0), u16_at(header, 2));
    let optional = |flag| if flags & flag != 0 { 4 } else { 0 };
    match flags & VERSION {
        // Source routes (RFC 1701) are a list of unknown length that nobody sends any more.
        0 if flags & ROUTING != 0 => return Err(Refused::NotTcp),
        0 => rest = rest.skip(optional(CHECKSUM) + optional(KEY) + optional(SEQUENCE))?,
        1 if protocol == PPP => {
            let (key, after) = rest.split(4)?;
            let after = after.skip(optional(SEQUENCE) + optional(ACKNOWLEDGEMENT))?;
            // The upper half of the key is the payload's length.
            rest = after.limit(usize::from(u16_at(key, 0)));
        }
        _ => return Err(Refused::NotTcp),
    }
    match protocol {
        // Type I has no header of its own, and no sequence number in GRE's either.
        ERSPAN if flags & SEQUENCE == 0 => ethernet(rest),
        _ => Ok((Next::EtherType(protocol), rest)),
    }
}

/// ERSPAN, as draft-foschiano-erspan has it: version (4 bits), VLAN (12), class and session (16),
/// then for type II an index (4 bytes), for type III a timestamp (4), a group (2), and flags (2)
/// that say what follows.
pub(super) fn erspan(ethertype: u16, frame: Frame<'_>) -> Result<(Next, Frame<'_>), Refused> {
    /// Frame type, in bits 10 to 14 of the flags: Ethernet or IP.
    const FRAME_TYPE: u16 = 0x7c00;
    const IP: u16 = 2 << 10;
    /// A platform's own subheader follows.
    const SUBHEADER: u16 = 0x0001;

    if ethertype == ERSPAN {
        return ethernet(frame.skip(8)?);
    }
    let (header, mut rest) = frame.split(12)?;
    let flags = u16_at(header, 10);
    if flags & SUBHEADER != 0 {
        rest = rest.skip(8)?;
    }
    match flags & FRAME_TYPE {
        0 => ethernet(rest),
        IP => Ok((Next::Ip, rest)),
        _ => Err(Refused::NotTcp),
    }
}

/// A packet that WCCP redirects: version 2 puts a header of 4 bytes before it, version 1 none.
pub(super) fn wccp(frame: Frame<'_>) -> Result<(Next, Frame<'_>), Refused> {
    match frame.data.first() {
        Some(0x40..=0x4f) => Ok((Next::Ip, frame)),
        _ => Ok((Next::Ip, frame.skip(4)?)),
    }
}

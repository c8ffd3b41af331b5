//! What an IP packet tells at a glance: its ends, and whether it can be one.

use std::net::{IpAddr, Ipv4Addr};

use super::frame::{Frame, u16_at};

/// From whom to whom an IP packet goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Route {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
}

impl Route {
    /// Before any IP header was read.
    pub(super) const NONE: Self = Self {
        source: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        destination: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    };
}

/// Whether `frame` begins with an IP header whose lengths fit what there is.
pub(super) fn is_plausible(frame: Frame<'_>) -> bool {
    let data = frame.data;
    match data.first() {
        Some(0x45..=0x4f) if data.len() >= 20 => {
            let len = usize::from(u16_at(data, 2));
            (len == 0 || len >= 20) && len <= frame.on_wire()
        }
        Some(0x60..=0x6f) if data.len() >= 40 => {
            usize::from(u16_at(data, 4)) + 40 <= frame.on_wire()
        }
        _ => false,
    }
}

/// Whether `frame` is one IP packet and nothing more, as its lengths have it.
pub(super) fn is_exact(frame: Frame<'_>) -> bool {
    let len = match frame.data {
        [0x45..=0x4f, _, high, low, ..] => usize::from(u16::from_be_bytes([*high, *low])),
        [0x60..=0x6f, _, _, _, high, low, ..] => {
            usize::from(u16::from_be_bytes([*high, *low])) + 40
        }
        _ => return false,
    };
    len == frame.on_wire()
}

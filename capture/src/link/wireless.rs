//! IEEE 802.11: data frames in the clear.
//!
//! Refuses what is encrypted, fragmented or no data. Of aggregated frames (A-MSDU) the first is
//! read; what the others carried shows as a Gap.

use super::frame::Frame;
use super::llc::llc;
use super::{Next, Refused};

/// Version (1), padding (1), length (2, little-endian), then fields, then the frame.
pub(super) fn radiotap(frame: Frame<'_>) -> Result<(Next, Frame<'_>), Refused> {
    let (header, _) = frame.split(4)?;
    let len = usize::from(u16::from_le_bytes([header[2], header[3]]));
    data_frame(frame.skip(len.max(8))?)
}

/// Frame control (2), duration (2), three addresses (18), sequence control (2); between
/// distribution systems a fourth address (6); QoS control (2) and HT control (4) where announced.
pub(super) fn data_frame(frame: Frame<'_>) -> Result<(Next, Frame<'_>), Refused> {
    const DATA: u8 = 2;
    const SUBTYPE_NO_DATA: u8 = 4;
    const SUBTYPE_QOS: u8 = 8;
    const BETWEEN_SYSTEMS: u8 = 0x03;
    const MORE_FRAGMENTS: u8 = 0x04;
    const PROTECTED: u8 = 0x40;
    const HT_CONTROL: u8 = 0x80;
    const AGGREGATED: u8 = 0x80;

    // Control and acknowledgement frames are shorter: nothing is wrong with them.
    let (header, mut rest) = frame.split(24).map_err(|_| Refused::NotTcp)?;
    let (kind, subtype, flags) = ((header[0] >> 2) & 3, header[0] >> 4, header[1]);
    let fragment = header[22] & 0x0f;
    if kind != DATA
        || subtype & SUBTYPE_NO_DATA != 0
        || flags & (PROTECTED | MORE_FRAGMENTS) != 0
        || fragment != 0
    {
        return Err(Refused::NotTcp);
    }
    if flags & BETWEEN_SYSTEMS == BETWEEN_SYSTEMS {
        rest = rest.skip(6)?;
    }
    if subtype & SUBTYPE_QOS != 0 {
        let (qos, after) = rest.split(2)?;
        rest = after;
        if flags & HT_CONTROL != 0 {
            rest = rest.skip(4)?;
        }
        if qos[0] & AGGREGATED != 0 {
            // Destination (6), source (6), length (2).
            rest = rest.skip(14)?;
        }
    }
    llc(rest)
}

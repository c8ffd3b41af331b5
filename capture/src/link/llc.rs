//! IEEE 802.2 logical link control, with SNAP.

use super::frame::{Frame, u16_at};
use super::{Next, Refused};

/// Destination service (1), source service (1), control (1); for SNAP also organisation (3) and
/// EtherType (2) (RFC 1042).
pub(super) fn llc(frame: Frame<'_>) -> Result<(Next, Frame<'_>), Refused> {
    let (llc, rest) = frame.split(8).map_err(|_| Refused::NotTcp)?;
    match llc[..6] {
        // Organisation 0, or the one of IEEE 802.1H bridge tunnels.
        [0xaa, 0xaa, 3, 0, 0, 0 | 0xf8] => Ok((Next::EtherType(u16_at(llc, 6)), rest)),
        _ => Err(Refused::NotTcp),
    }
}

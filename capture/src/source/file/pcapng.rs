//! The pcapng format (draft-ietf-opsawg-pcapng): sections of blocks.
//!
//! ```text
//! block              0 type (4)  4 total length (4)  8 body …  total length again (4)
//! section header     8 byte-order magic (4)  12 major (2)  14 minor (2)  16 section length (8)
//! interface          8 link type (2)  10 reserved (2)  12 snap length (4)  16 options
//! enhanced packet    8 interface (4)  12 time high (4)  16 time low (4)  20 captured (4)
//!                   24 original (4)  28 data
//! simple packet      8 original (4)  12 data
//! packet (obsolete)  8 interface (2)  10 drops (2)  12 time high (4)  16 time low (4)
//!                   20 captured (4)  24 original (4)  28 data
//! decryption secrets 8 kind (4)  12 length (4)  16 secrets
//! ```

use super::buffer::{Buffer, Filled};
use super::error::Fault;
use super::pcap::Order;
use super::{Found, RECORD_BYTES_MAX, Record};
use crate::{LinkType, Timestamp};

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;
const DECRYPTION_SECRETS: u32 = 10;

/// The kind of secrets that is a TLS key log ("TLSK").
const TLS_KEY_LOG: u32 = 0x544c_534b;

const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;

const OPTION_END: u16 = 0;
const OPTION_TSRESOL: u16 = 9;
const OPTION_TSOFFSET: u16 = 14;

/// Interfaces of one section. More mean damage.
const INTERFACES_MAX: usize = 65_536;

/// Whether a file with these first bytes is pcapng.
pub(super) fn is_section(bytes: &[u8]) -> bool {
    // The type reads the same in either byte order.
    bytes.len() >= 12 && Order::Little.u32(bytes, 0) == SECTION && section_order(bytes).is_some()
}

fn section_order(bytes: &[u8]) -> Option<Order> {
    [Order::Little, Order::Big].into_iter().find(|order| order.u32(bytes, 8) == BYTE_ORDER_MAGIC)
}

/// A section: numbers are written in its order, and packets name its interfaces.
pub(super) struct Section {
    order: Order,
    interfaces: Vec<Interface>,
    /// Time of the last packet: simple packets have none of their own.
    latest: Timestamp,
}

impl Default for Section {
    fn default() -> Self {
        Self { order: Order::Little, interfaces: Vec::new(), latest: Timestamp::ZERO }
    }
}

struct Interface {
    link: Result<LinkType, u32>,
    snap_len: u32,
    clock: Clock,
}

impl Section {
    /// The block at the buffer's beginning.
    pub(super) fn find(&mut self, buffer: &mut Buffer) -> Result<Found, Fault> {
        if buffer.fill(12)? == Filled::Short {
            return Ok(if buffer.bytes().is_empty() { Found::End } else { Found::Cut });
        }
        let head = buffer.bytes();
        let is_section = Order::Little.u32(head, 0) == SECTION;
        if is_section {
            self.order = section_order(head)
                .ok_or(Fault::Damaged("a section without the byte-order magic"))?;
        }
        let order = self.order;
        let kind = order.u32(head, 0);
        let len = order.u32(head, 4) as usize;
        if len < 12 || !len.is_multiple_of(4) {
            return Err(Fault::Damaged("a block whose length cannot be"));
        }
        if is_section {
            self.interfaces.clear();
        }
        if !matches!(
            kind,
            INTERFACE | PACKET | SIMPLE_PACKET | ENHANCED_PACKET | DECRYPTION_SECRETS
        ) {
            return Ok(Found::Other(len as u64));
        }
        if len > RECORD_BYTES_MAX {
            return Err(Fault::Damaged("a block of more than 16 MiB"));
        }
        if buffer.fill(len)? == Filled::Short {
            return Ok(Found::Cut);
        }
        let block = &buffer.bytes()[..len];
        if order.u32(block, len - 4) as usize != len {
            return Err(Fault::Damaged("a block with two different lengths"));
        }
        match kind {
            INTERFACE => {
                let interface = Interface::read(block, order)?;
                if self.interfaces.len() == INTERFACES_MAX {
                    return Err(Fault::Damaged("more than 65536 interfaces"));
                }
                self.interfaces.push(interface);
                Ok(Found::Other(len as u64))
            }
            SIMPLE_PACKET => self.simple_packet(block),
            DECRYPTION_SECRETS => self.secrets(block),
            _ => self.packet(block, kind),
        }
    }

    fn packet(&mut self, block: &[u8], kind: u32) -> Result<Found, Fault> {
        let order = self.order;
        if block.len() < 32 {
            return Err(Fault::Damaged("a packet block too short for its fields"));
        }
        let interface = match kind {
            PACKET => usize::from(order.u16(block, 8)),
            _ => order.u32(block, 8) as usize,
        };
        let interface = self.interfaces.get(interface).ok_or(UNKNOWN_INTERFACE)?;
        let ticks = u64::from(order.u32(block, 12)) << 32 | u64::from(order.u32(block, 16));
        let data_len = order.u32(block, 20) as usize;
        let original_len = order.u32(block, 24);
        if data_len > block.len() - 32 {
            return Err(Fault::Damaged("a packet longer than its block"));
        }
        let at = interface.clock.at(ticks);
        self.latest = at;
        Ok(interface.found(at, original_len, 28, data_len, block.len()))
    }

    fn secrets(&self, block: &[u8]) -> Result<Found, Fault> {
        let order = self.order;
        if block.len() < 20 {
            return Err(Fault::Damaged("a secrets block too short for its fields"));
        }
        let (kind, text_len) = (order.u32(block, 8), order.u32(block, 12) as usize);
        if text_len > block.len() - 20 {
            return Err(Fault::Damaged("secrets longer than their block"));
        }
        Ok(match kind {
            TLS_KEY_LOG => Found::KeyLog { text_start: 16, text_len, len: block.len() },
            _ => Found::Other(block.len() as u64),
        })
    }

    fn simple_packet(&self, block: &[u8]) -> Result<Found, Fault> {
        if block.len() < 16 {
            return Err(Fault::Damaged("a packet block too short for its fields"));
        }
        let interface = self.interfaces.first().ok_or(UNKNOWN_INTERFACE)?;
        let original_len = self.order.u32(block, 8);
        let snapped = match interface.snap_len {
            0 => original_len,
            snap_len => original_len.min(snap_len),
        };
        let data_len = (snapped as usize).min(block.len() - 16);
        Ok(interface.found(self.latest, original_len, 12, data_len, block.len()))
    }
}

const UNKNOWN_INTERFACE: Fault = Fault::Damaged("a packet of an interface that is not described");

impl Interface {
    fn read(block: &[u8], order: Order) -> Result<Self, Fault> {
        if block.len() < 20 {
            return Err(Fault::Damaged("an interface block too short for its fields"));
        }
        let number = u32::from(order.u16(block, 8));
        let mut clock = Clock::default();
        let mut options = &block[16..block.len() - 4];
        // Option: code (2), length (2), value padded to a multiple of 4.
        while let Some((head, rest)) = options.split_at_checked(4) {
            let (code, len) = (order.u16(head, 0), usize::from(order.u16(head, 2)));
            let Some(value) = rest.get(..len) else { break };
            match (code, value) {
                (OPTION_END, _) => break,
                (OPTION_TSRESOL, &[resolution]) => clock.resolution = resolution,
                (OPTION_TSOFFSET, value) if len == 8 => {
                    let (first, second) = (order.u32(value, 0), order.u32(value, 4));
                    let (high, low) = match order {
                        Order::Little => (second, first),
                        Order::Big => (first, second),
                    };
                    clock.offset_seconds = (u64::from(high) << 32 | u64::from(low)) as i64;
                }
                _ => {}
            }
            options = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
        }
        Ok(Self {
            link: LinkType::from_number(number).ok_or(number),
            snap_len: order.u32(block, 12),
            clock,
        })
    }

    fn found(
        &self,
        at: Timestamp,
        original_len: u32,
        data_start: usize,
        data_len: usize,
        block_len: usize,
    ) -> Found {
        match self.link {
            Ok(link) => {
                let record = Record { at, link, original_len, data_start, data_len };
                Found::Packet(record, block_len)
            }
            Err(number) => Found::UnknownLink(number, block_len),
        }
    }
}

/// How an interface counts time.
#[derive(Clone, Copy, Debug)]
struct Clock {
    /// `if_tsresol`: a negative power of 10, or of 2 where the highest bit is set.
    resolution: u8,
    /// `if_tsoffset`.
    offset_seconds: i64,
}

impl Default for Clock {
    /// Microseconds since the epoch.
    fn default() -> Self {
        Self { resolution: 6, offset_seconds: 0 }
    }
}

impl Clock {
    fn at(self, ticks: u64) -> Timestamp {
        let ticks = u128::from(ticks);
        let exponent = u32::from(self.resolution & 0x7f);
        let nanos = if self.resolution & 0x80 != 0 {
            // At most 2^64 · 10^9 < 2^94: the product fits, and no shift goes past 127.
            (ticks * 1_000_000_000) >> exponent
        } else if exponent <= 9 {
            ticks * 10_u128.pow(9 - exponent)
        } else {
            10_u128.checked_pow(exponent - 9).map_or(0, |divisor| ticks / divisor)
        };
        let nanos = i128::try_from(nanos).unwrap_or(i128::MAX);
        let offset = i128::from(self.offset_seconds) * 1_000_000_000;
        let nanos = nanos.saturating_add(offset).max(0);
        Timestamp::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

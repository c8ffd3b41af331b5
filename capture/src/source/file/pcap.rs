//! The pcap format (draft-ietf-opsawg-pcap).
//!
//! ```text
//! file header   0 magic (4)  4 major (2)  6 minor (2)  8 reserved (8)  16 snap length (4)
//!              20 link type (lower 16 bits of 4)
//! record        0 seconds (4)  4 µs or ns (4)  8 captured (4)  12 original (4)
//!              16 only modified: interface (4), protocol (2), packet type (1), padding (1)
//!              then the captured bytes
//! ```

use super::buffer::{Buffer, Filled};
use super::error::Fault;
use super::{Found, RECORD_BYTES_MAX, Record};
use crate::{LinkType, Timestamp};

pub(super) const HEADER_LEN: usize = 24;

const MAGIC_MICROS: u32 = 0xa1b2_c3d4;
const MAGIC_NANOS: u32 = 0xa1b2_3c4d;
/// As patched by Alexey Kuznetzov: longer record headers.
const MAGIC_MODIFIED: u32 = 0xa1b2_cd34;

/// How numbers are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

impl Order {
    pub(super) fn u16(self, bytes: &[u8], at: usize) -> u16 {
        let two = [bytes[at], bytes[at + 1]];
        match self {
            Self::Little => u16::from_le_bytes(two),
            Self::Big => u16::from_be_bytes(two),
        }
    }

    pub(super) fn u32(self, bytes: &[u8], at: usize) -> u32 {
        self.number([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
    }

    fn number(self, four: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(four),
            Self::Big => u32::from_be_bytes(four),
        }
    }
}

/// What the magic number says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Variant {
    order: Order,
    nanos_per_tick: u64,
    record_header_len: usize,
}

impl Variant {
    /// The variant of a file with these first bytes; `None` where it is no pcap.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < 4 {
            return None;
        }
        [Order::Little, Order::Big].into_iter().find_map(|order| {
            let (nanos_per_tick, record_header_len) = match order.u32(bytes, 0) {
                MAGIC_MICROS => (1_000, 16),
                MAGIC_NANOS => (1, 16),
                MAGIC_MODIFIED => (1_000, 24),
                _ => return None,
            };
            Some(Self { order, nanos_per_tick, record_header_len })
        })
    }

    /// Reads the file header. Fails with the number of a link type that is not read.
    pub(super) fn header(self, bytes: &[u8]) -> Result<Header, u32> {
        // The upper 16 bits speak of the frame check sequence.
        let number = self.order.u32(bytes, 20) & 0xffff;
        let link = LinkType::from_number(number).ok_or(number)?;
        Ok(Header { variant: self, link })
    }
}

/// What the file header says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    variant: Variant,
    link: LinkType,
}

impl Header {
    /// The record at the buffer's beginning.
    pub(super) fn find(&self, buffer: &mut Buffer) -> Result<Found, Fault> {
        let Variant { order, nanos_per_tick, record_header_len } = self.variant;
        if buffer.fill(record_header_len)? == Filled::Short {
            return Ok(if buffer.bytes().is_empty() { Found::End } else { Found::Cut });
        }
        let (numbers, _) = buffer.bytes().as_chunks();
        let Some(&[seconds, ticks, data_len, original_len]) = numbers.first_chunk() else {
            return Ok(Found::Cut);
        };
        let number = |bytes| order.number(bytes);
        let (seconds, ticks) = (u64::from(number(seconds)), u64::from(number(ticks)));
        let (data_len, original_len) = (number(data_len) as usize, number(original_len));
        if data_len > RECORD_BYTES_MAX {
            return Err(Fault::Damaged("a packet of more than 16 MiB"));
        }
        if buffer.fill(record_header_len + data_len)? == Filled::Short {
            return Ok(Found::Cut);
        }
        let at = Timestamp::from_nanos(seconds * 1_000_000_000 + ticks * nanos_per_tick);
        let data_start = record_header_len;
        let record = Record { at, link: self.link, original_len, data_start, data_len };
        Ok(Found::Packet(record, data_start + data_len))
    }
}

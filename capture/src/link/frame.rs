//! The cursor on a packet: what is left of it, and what the snap length cut off behind that.

use super::{Packet, Refused, TRUNCATED};

/// The rest of a packet, from the header that is read next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    /// The bytes captured.
    pub(super) data: &'a [u8],
    /// Bytes it had on the wire after them.
    pub(super) beyond: usize,
}

impl<'a> Frame<'a> {
    /// All of a packet.
    pub(super) fn of_packet(packet: &Packet<'a>) -> Self {
        // A wire length below what was captured is a contradiction; what was captured is certain.
        let beyond = (packet.original_len as usize).saturating_sub(packet.data.len());
        Self { data: packet.data, beyond }
    }

    /// Bytes it had on the wire.
    pub(super) fn on_wire(self) -> usize {
        self.data.len() + self.beyond
    }

    /// Takes a header of `len` bytes off. Refuses a packet that ends before its end.
    pub(super) fn split(self, len: usize) -> Result<(&'a [u8], Self), Refused> {
        let (header, data) = self.data.split_at_checked(len).ok_or(TRUNCATED)?;
        Ok((header, Self { data, ..self }))
    }

    /// Passes over `len` bytes.
    pub(super) fn skip(self, len: usize) -> Result<Self, Refused> {
        Ok(self.split(len)?.1)
    }

    /// The same, ending after `len` bytes, as its header says: what comes later is padding, and
    /// what is missing was cut.
    pub(super) fn limit(self, len: usize) -> Self {
        let data = &self.data[..len.min(self.data.len())];
        Self { data, beyond: len - data.len() }
    }
}

/// The big-endian number at `at`.
pub(super) fn u16_at(header: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([header[at], header[at + 1]])
}

/// The big-endian number at `at`.
pub(super) fn u32_at(header: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
}

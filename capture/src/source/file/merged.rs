//! Several captures as one, by time.

use super::{Cut, FileError, Reader};
use crate::Packet;

/// Several captures merged by the packets' times.
///
/// Each capture gives its packets in its own order; where that is not quite the order of time, so
/// is the merged one. Packets of one time come in the order the captures were named.
pub struct Merged {
    readers: Vec<Reader>,
}

impl Merged {
    /// Merges `readers`. Reads to the first packet of each, so that a file with nothing in it
    /// that is read fails here and not half-way.
    pub fn new(mut readers: Vec<Reader>) -> Result<Self, FileError> {
        for reader in &mut readers {
            reader.peek()?;
        }
        Ok(Self { readers })
    }

    /// The next packet; `None` after the last whole one of all captures.
    #[expect(clippy::should_implement_trait, reason = "packets borrow a reader's buffer")]
    pub fn next(&mut self) -> Result<Option<Packet<'_>>, FileError> {
        if self.readers.len() == 1 {
            return self.readers[0].next();
        }
        let mut first = None;
        for (index, reader) in self.readers.iter_mut().enumerate() {
            if let Some(at) = reader.peek()?
                && first.is_none_or(|(earliest, _)| at < earliest)
            {
                first = Some((at, index));
            }
        }
        match first {
            Some((_, index)) => self.readers[index].next(),
            None => Ok(None),
        }
    }

    /// The TLS key logs that the captures carried before their next packets, as lines of text.
    /// Empty where there are none. To be asked before each packet: keys come before what they open.
    pub fn take_keys(&mut self) -> Result<Vec<u8>, FileError> {
        if let [reader] = &mut self.readers[..] {
            return reader.take_keys();
        }
        let mut keys = Vec::new();
        for reader in &mut self.readers {
            keys.append(&mut reader.take_keys()?);
        }
        Ok(keys)
    }

    /// Where captures end in the middle of a record.
    pub fn cuts(&self) -> impl Iterator<Item = &Cut> {
        self.readers.iter().filter_map(Reader::cut)
    }

    /// How far the files were read, in bytes of all together.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.readers.iter().map(Reader::bytes_read).sum()
    }

    /// Packets passed over because their link type is not read.
    #[must_use]
    pub fn unknown_link_packets(&self) -> u64 {
        self.readers.iter().map(Reader::unknown_link_packets).sum()
    }
}

//! Capture files: pcap and pcapng, from a path, standard input or any reader.
//!
//! Owns the file formats. Packets borrow one buffer of 256 KiB (larger only while one record needs
//! it, up to [`RECORD_BYTES_MAX`]), whatever the file's size.
//!
//! Refuses what is no capture, and records that no capture program writes: each error names the
//! file and says what to do. A capture cut in the middle is no error: all whole packets come, and
//! [`Reader::cut`] says where it ends.

mod buffer;
mod error;
mod merged;
mod pcap;
mod pcapng;

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

pub use error::FileError;
pub use merged::Merged;

use crate::{LinkType, Packet, Timestamp};
use buffer::{Buffer, Filled};

/// The largest record (pcap) or packet block (pcapng) that is read, in bytes: libpcap's largest
/// snap length is 256 KiB, offloaded segments reach 512 KiB. A larger one means damage.
pub const RECORD_BYTES_MAX: usize = 16 << 20;

/// Reads one capture.
///
/// Source of the formats: draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng.
pub struct Reader {
    name: String,
    buffer: Buffer,
    format: Format,
    /// The packet that was found and [`Reader::next`] has not given yet.
    pending: Option<Record>,
    /// Text of TLS key logs that [`Reader::take_keys`] has not given yet.
    keys: Vec<u8>,
    packets: u64,
    unknown_links: u64,
    first_unknown_link: Option<u32>,
    cut: Option<Cut>,
    done: bool,
}

/// Where a capture ends to be readable, though it goes on or should: in the middle of a record, or
/// at one that is damaged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The file.
    pub name: String,
    /// Offset of the record that is not whole, in bytes from the beginning of the file.
    pub offset: u64,
    /// Whole packets before it.
    pub packets: u64,
    /// Why what follows cannot be read; `None` where the file just ends.
    pub fault: Option<String>,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, offset, packets, fault } = self;
        match fault {
            None => write!(f, "{name}: cut in the middle of the record at byte {offset}")?,
            Some(fault) => write!(f, "{name}: not readable from byte {offset} on ({fault})")?,
        }
        write!(f, "; the {packets} packets before it were read")
    }
}

enum Format {
    Pcap(pcap::Header),
    Pcapng(pcapng::Section),
}

/// A packet in the buffer.
#[derive(Clone, Copy, Debug)]
struct Record {
    at: Timestamp,
    link: LinkType,
    original_len: u32,
    /// Where its bytes begin, from the record's first byte.
    data_start: usize,
    data_len: usize,
}

/// What lies at the buffer's beginning.
enum Found {
    /// A packet, in a record of this many bytes.
    Packet(Record, usize),
    /// A packet of a link type that is not read.
    UnknownLink(u32, usize),
    /// A part of a TLS key log, in a block of `len` bytes.
    KeyLog { text_start: usize, text_len: usize, len: usize },
    /// Something else of this many bytes.
    Other(u64),
    /// The file ends after a whole record.
    End,
    /// The file ends inside a record.
    Cut,
}

impl Reader {
    /// Opens the capture at `path`. Fails where it cannot be opened or is no capture.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, FileError> {
        let path = path.as_ref();
        let name = path.display().to_string();
        #[expect(clippy::disallowed_methods, reason = "a source is what opens files")]
        match File::open(path) {
            Ok(file) => Self::from_read(name, Box::new(file)),
            Err(error) => Err(FileError::Open { name, error }),
        }
    }

    /// Reads a capture from `input`, called `name` in messages. Fails where it cannot be read or
    /// is no capture.
    pub fn from_read(
        name: impl Into<String>,
        input: Box<dyn Read + Send>,
    ) -> Result<Self, FileError> {
        let name = name.into();
        let mut buffer = Buffer::new(input);
        let format = Self::format(&name, &mut buffer)?;
        Ok(Self {
            name,
            buffer,
            format,
            pending: None,
            keys: Vec::new(),
            packets: 0,
            unknown_links: 0,
            first_unknown_link: None,
            cut: None,
            done: false,
        })
    }

    /// What the file is called in messages.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The next packet; `None` after the last whole one.
    #[expect(clippy::should_implement_trait, reason = "packets borrow the reader's buffer")]
    pub fn next(&mut self) -> Result<Option<Packet<'_>>, FileError> {
        self.look_ahead()?;
        let Some(record) = self.pending.take() else { return Ok(None) };
        self.packets += 1;
        let data = &self.buffer.bytes()[record.data_start..][..record.data_len];
        Ok(Some(Packet {
            at: record.at,
            link: record.link,
            data,
            original_len: record.original_len,
        }))
    }

    /// When the next packet was captured; `None` after the last whole one.
    pub fn peek(&mut self) -> Result<Option<Timestamp>, FileError> {
        self.look_ahead()?;
        Ok(self.pending.map(|record| record.at))
    }

    /// The TLS key log that the file carried before the next packet (the decryption secrets of
    /// pcapng), as lines of text. Empty where there is none.
    pub fn take_keys(&mut self) -> Result<Vec<u8>, FileError> {
        // Only pcapng carries any: a pcap need not be read ahead for them.
        if matches!(self.format, Format::Pcap(_)) {
            return Ok(Vec::new());
        }
        self.peek()?;
        Ok(std::mem::take(&mut self.keys))
    }

    /// Where the file ends in the middle of a record or cannot be read on; `None` if it does not,
    /// or was not read to its end yet.
    #[must_use]
    pub fn cut(&self) -> Option<&Cut> {
        self.cut.as_ref()
    }

    /// How far the file was read, in bytes.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.buffer.offset()
    }

    /// Packets passed over because their link type is not read.
    #[must_use]
    pub fn unknown_link_packets(&self) -> u64 {
        self.unknown_links
    }

    /// Finds out what the file is, by its first bytes.
    fn format(name: &str, buffer: &mut Buffer) -> Result<Format, FileError> {
        let read = |error| FileError::Read { name: name.to_owned(), offset: 0, error };
        // The file header of pcap; the shortest section header of pcapng is longer.
        let filled = buffer.fill(pcap::HEADER_LEN).map_err(read)?;
        let bytes = buffer.bytes();
        if bytes.is_empty() {
            return Err(FileError::Empty { name: name.to_owned() });
        }
        if pcapng::is_section(bytes) {
            // The section header is read as the first block.
            return Ok(Format::Pcapng(pcapng::Section::default()));
        }
        let Some(variant) = pcap::Variant::of(bytes) else {
            let starts = bytes[..bytes.len().min(16)].to_vec();
            return Err(FileError::NotACapture { name: name.to_owned(), starts });
        };
        if filled == Filled::Short {
            return Err(FileError::CutInHeader { name: name.to_owned() });
        }
        let header = variant
            .header(bytes)
            .map_err(|number| FileError::UnknownLinkType { name: name.to_owned(), number })?;
        buffer.consume(pcap::HEADER_LEN);
        Ok(Format::Pcap(header))
    }

    /// Sees to it that the next packet is pending, if there is one.
    fn look_ahead(&mut self) -> Result<(), FileError> {
        if self.pending.is_some() || self.done { Ok(()) } else { self.advance() }
    }

    /// Goes on to the next packet, which is pending then. Its record is left at the buffer's
    /// beginning until the next call.
    fn advance(&mut self) -> Result<(), FileError> {
        self.buffer.consume_marked();
        loop {
            let found = match &mut self.format {
                Format::Pcap(header) => header.find(&mut self.buffer),
                Format::Pcapng(section) => section.find(&mut self.buffer),
            };
            let offset = self.buffer.offset();
            let found = match found {
                Ok(found) => found,
                // What was read stands: a capture may hold hours before the fault.
                Err(fault) if self.packets > 0 => {
                    return self.end_cut(offset, Some(fault.to_string()));
                }
                Err(fault) => return Err(fault.in_file(&self.name, offset)),
            };
            match found {
                Found::Packet(record, len) => {
                    self.buffer.mark(len);
                    self.pending = Some(record);
                    return Ok(());
                }
                Found::UnknownLink(number, len) => {
                    self.unknown_links += 1;
                    self.first_unknown_link.get_or_insert(number);
                    self.buffer.consume(len);
                }
                Found::KeyLog { text_start, text_len, len } => {
                    self.keys.extend_from_slice(&self.buffer.bytes()[text_start..][..text_len]);
                    // A block is whole: its last line ends with it.
                    self.keys.push(b'\n');
                    self.buffer.consume(len);
                }
                Found::Other(len) => {
                    let fault = match self.buffer.discard(len) {
                        Ok(true) => continue,
                        Ok(false) => None,
                        Err(error) => Some(error::Fault::Read(error).to_string()),
                    };
                    return self.end_cut(offset, fault);
                }
                Found::Cut => return self.end_cut(offset, None),
                Found::End => return self.end(),
            }
        }
    }

    fn end_cut(&mut self, offset: u64, fault: Option<String>) -> Result<(), FileError> {
        let (name, packets) = (self.name.clone(), self.packets);
        self.cut = Some(Cut { name, offset, packets, fault });
        self.end()
    }

    fn end(&mut self) -> Result<(), FileError> {
        self.done = true;
        match self.first_unknown_link {
            Some(number) if self.packets == 0 => {
                Err(FileError::UnknownLinkType { name: self.name.clone(), number })
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;

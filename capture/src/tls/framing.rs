//! Records: where they begin and end in a direction's bytes.
//!
//! ```text
//! record      0 type (1)   1 version (2)   3 length (2)   5 fragment …
//! old hello   0 length (2), highest bit set   2 type (1)   3 version (2)   5 the rest
//! ```
//!
//! Owns the pieces of a record until it is whole, and the search for the next one after bytes were
//! lost. Refuses to decrypt: whether what was found is a record, its tag tells.
//!
//! Invariant: no more than one record is kept, of at most 18 KiB.

use crate::Timestamp;
use crate::reassembly::{Chunk, Gap, GapCause};

/// Bytes before a record's fragment.
pub(super) const HEADER_LEN: usize = 5;

/// RFC 5246 §6.2.3: the longest fragment; those of TLS 1.3 are shorter (RFC 8446 §5.2).
const FRAGMENT_MAX: usize = (1 << 14) + 2048;

/// What comes next in a direction.
#[derive(Debug)]
pub(super) enum Item {
    /// A whole record.
    Record(Record),
    /// A record of which no more than its beginning will come; [`Item::Torn`] follows.
    Begun { bytes: Vec<u8>, at: Timestamp },
    /// A record whose header was seen, but not all of its bytes.
    Torn(Torn),
    /// Bytes in which no record was found, or in which none could be looked for. `damaged`: they
    /// stand where a record begins, and are none.
    Unframed { len: u64, at: Timestamp, cause: GapCause, end: u64, damaged: bool },
}

/// A record as sent.
#[derive(Debug)]
pub(super) struct Record {
    /// Header and fragment.
    pub(super) bytes: Vec<u8>,
    /// The time of the packet that completed it.
    pub(super) at: Timestamp,
    /// What the packet with its first byte acknowledged: an offset in the other direction.
    pub(super) acked: u64,
    /// Offset after its last byte.
    pub(super) end: u64,
}

impl Record {
    /// As if its bytes had not been seen.
    pub(super) fn torn(&self, cause: GapCause) -> Option<Torn> {
        let fragment_len = self.bytes.len().checked_sub(HEADER_LEN)?;
        Some(Torn { content: self.bytes[0], fragment_len, at: self.at, cause, end: self.end })
    }
}

/// A record that was not seen whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct Torn {
    pub(super) content: u8,
    pub(super) fragment_len: usize,
    pub(super) at: Timestamp,
    pub(super) cause: GapCause,
    /// Offset after its last byte.
    pub(super) end: u64,
}

/// Finds the records of a direction.
#[derive(Debug, Default)]
pub(super) struct Framer {
    /// The record being received.
    buffer: Vec<u8>,
    /// What the packet with its first byte acknowledged.
    acked: u64,
    state: State,
    /// Something of it was seen: no old hello can follow.
    begun: bool,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    /// A record begins, or is being received.
    #[default]
    Record,
    /// In a record of which bytes were lost; so many of it are still to come.
    Torn { torn: Torn, left: usize },
    /// Where the next record begins is not known.
    Lost,
}

impl Framer {
    /// The next record in `rest`, from which what was used is taken. `None` when all was used.
    pub(super) fn next(&mut self, rest: &mut Option<Chunk<'_>>) -> Option<Item> {
        loop {
            let chunk = (*rest)?;
            match self.state {
                State::Lost => {
                    let begin = find_record(chunk.bytes);
                    let skipped = begin.unwrap_or(chunk.bytes.len());
                    *rest = chunk.after(skipped);
                    if begin.is_some() {
                        self.state = State::Record;
                    }
                    if skipped > 0 {
                        return Some(Item::Unframed {
                            len: skipped as u64,
                            at: chunk.at,
                            cause: GapCause::Missing,
                            end: chunk.offset + skipped as u64,
                            damaged: false,
                        });
                    }
                }
                State::Torn { torn, left } => {
                    let passed = left.min(chunk.bytes.len());
                    *rest = chunk.after(passed);
                    self.state = State::Torn { torn, left: left - passed };
                    if passed == left {
                        self.state = State::Record;
                        return Some(Item::Torn(torn));
                    }
                }
                State::Record => {
                    if self.buffer.is_empty() {
                        self.acked = chunk.peer_offset;
                    }
                    let wanted = HEADER_LEN + fragment_len(&self.buffer).unwrap_or(0);
                    let taken = (wanted - self.buffer.len()).min(chunk.bytes.len());
                    self.buffer.extend_from_slice(&chunk.bytes[..taken]);
                    *rest = chunk.after(taken);
                    let offset = chunk.offset + taken as u64;
                    let old_hello = !self.begun && is_old_hello(&self.buffer);
                    if self.buffer.len() == HEADER_LEN && !is_header(&self.buffer) && !old_hello {
                        let len = self.buffer.len() as u64;
                        self.lose();
                        return Some(Item::Unframed {
                            len,
                            at: chunk.at,
                            cause: GapCause::Missing,
                            end: offset,
                            damaged: true,
                        });
                    }
                    if fragment_len(&self.buffer)
                        .is_some_and(|len| self.buffer.len() == HEADER_LEN + len)
                    {
                        self.begun = true;
                        return Some(Item::Record(Record {
                            bytes: std::mem::take(&mut self.buffer),
                            at: chunk.at,
                            acked: self.acked,
                            end: offset,
                        }));
                    }
                }
            }
        }
    }

    /// Bytes are missing. A record that is known to lie around them is torn; what follows it is
    /// known as long as it is.
    pub(super) fn gap(&mut self, gap: Gap) -> Vec<Item> {
        let Gap { len, at, cause, offset, .. } = gap;
        let (torn, left) = match (self.state, fragment_len(&self.buffer)) {
            (State::Torn { torn, left }, _) => (torn, left),
            (State::Record, Some(fragment_len)) => {
                let left = HEADER_LEN + fragment_len - self.buffer.len();
                let (content, end) = (self.buffer[0], offset + left as u64);
                (Torn { content, fragment_len, at, cause, end }, left)
            }
            (State::Record | State::Lost, _) => {
                let len = len + self.buffer.len() as u64;
                self.lose();
                let end = offset + gap.len;
                return vec![Item::Unframed { len, at, cause, end, damaged: false }];
            }
        };
        let mut items = Vec::new();
        if self.buffer.len() > HEADER_LEN {
            items.push(Item::Begun { bytes: std::mem::take(&mut self.buffer), at });
        }
        self.buffer = Vec::new();
        match left as u64 {
            left if len < left => {
                let left = (left - len) as usize;
                self.state = State::Torn { torn, left };
            }
            left if len == left => {
                self.state = State::Record;
                items.push(Item::Torn(torn));
            }
            left => {
                self.lose();
                let (len, end) = (len - left, offset + len);
                items.push(Item::Torn(torn));
                items.push(Item::Unframed { len, at, cause, end, damaged: false });
            }
        }
        items
    }

    /// Where records begin is not known any longer.
    pub(super) fn lose(&mut self) {
        self.buffer = Vec::new();
        self.state = State::Lost;
        self.begun = true;
    }

    /// Takes back the memory of a record, to use it again.
    pub(super) fn reuse(&mut self, mut bytes: Vec<u8>) {
        if self.buffer.capacity() == 0 {
            bytes.clear();
            self.buffer = bytes;
        }
    }

    /// Gives back memory that no record is in.
    pub(super) fn trim(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = Vec::new();
        }
    }

    /// Bytes of memory held.
    pub(super) fn held_bytes(&self) -> usize {
        self.buffer.capacity()
    }
}

/// How many bytes follow a record's header, once there is a header.
fn fragment_len(record: &[u8]) -> Option<usize> {
    let header = record.first_chunk::<HEADER_LEN>()?;
    if is_old_hello(header) {
        let len = usize::from(u16::from_be_bytes([header[0] & 0x7f, header[1]]));
        return Some((2 + len).saturating_sub(HEADER_LEN));
    }
    Some(usize::from(u16::from_be_bytes([header[3], header[4]])))
}

/// Whether bytes begin as the ClientHello of a client that also speaks SSL 2.0 (RFC 5246 §E.2).
pub(super) fn is_old_hello(bytes: &[u8]) -> bool {
    matches!(bytes, [0x80..=0xff, _, 1, 3, 0..=3, ..])
}

/// Whether bytes can be a record's header: change_cipher_spec, alert, handshake, application data
/// or heartbeat, version 3.x.
fn is_header(bytes: &[u8]) -> bool {
    matches!(bytes.first_chunk::<HEADER_LEN>(), Some([20..=24, 3, 0..=4, ..]))
        && fragment_len(bytes).is_some_and(|len| len <= FRAGMENT_MAX)
}

/// Where in `bytes` a record may begin: at their beginning, as most do, or at the first thing that
/// looks like the header of application data.
fn find_record(bytes: &[u8]) -> Option<usize> {
    if is_header(bytes) {
        return Some(0);
    }
    // RFC 8446 §5.2, RFC 5246 §6.2.1: application data is 23, version 3.3.
    memchr::memmem::find_iter(bytes, b"\x17\x03\x03").find(|&at| is_header(&bytes[at..]))
}

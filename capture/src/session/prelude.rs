//! What came on a connection before it was known what it speaks.

use crate::Timestamp;
use crate::flow::Direction;
use crate::reassembly::{Chunk, Gap};

/// Kept until something tells, in the order in which it came.
#[derive(Debug, Default)]
pub(super) struct Prelude {
    events: Vec<Early>,
    bytes: usize,
}

/// Something that came early.
#[derive(Debug)]
pub(super) enum Early {
    /// A [`Chunk`].
    Bytes { direction: Direction, offset: u64, bytes: Box<[u8]>, at: Timestamp, peer_offset: u64 },
    /// A [`Gap`].
    Gap { direction: Direction, gap: Gap },
}

impl Prelude {
    /// Bytes kept at the most: what does not tell by then is HTTP/1, or nothing that is read.
    const BYTES_MAX: usize = 512;
    /// Chunks and Gaps kept at the most.
    const EVENTS_MAX: usize = 64;

    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Keeps a chunk; false where there is no room.
    pub(super) fn keep(&mut self, direction: Direction, chunk: &Chunk<'_>) -> bool {
        let fits = self.events.len() < Self::EVENTS_MAX
            && self.bytes + chunk.bytes.len() <= Self::BYTES_MAX;
        if fits {
            self.bytes += chunk.bytes.len();
            self.events.push(Early::Bytes {
                direction,
                offset: chunk.offset,
                bytes: chunk.bytes.into(),
                at: chunk.at,
                peer_offset: chunk.peer_offset,
            });
        }
        fits
    }

    /// Keeps a Gap; false where there is no room.
    pub(super) fn keep_gap(&mut self, direction: Direction, gap: Gap) -> bool {
        let fits = self.events.len() < Self::EVENTS_MAX;
        if fits {
            self.events.push(Early::Gap { direction, gap });
        }
        fits
    }

    /// The bytes of a direction so far, after its last Gap.
    pub(super) fn bytes_of(&self, wanted: Direction) -> Vec<u8> {
        let mut all = Vec::new();
        for event in &self.events {
            match event {
                Early::Bytes { direction, bytes, .. } if *direction == wanted => {
                    all.extend_from_slice(bytes);
                }
                Early::Gap { direction, .. } if *direction == wanted => all.clear(),
                Early::Bytes { .. } | Early::Gap { .. } => {}
            }
        }
        all
    }

    pub(super) fn into_events(self) -> Vec<Early> {
        self.events
    }

    pub(super) fn held_bytes(&self) -> usize {
        self.events.capacity() * size_of::<Early>() + self.bytes
    }
}

//! A head that comes in pieces: kept until the empty line that ends it.
//!
//! Owns where a head (or a trailer section) ends, found by looking at each byte once however it is
//! cut. Refuses to read it: [`super::head`] does, once it is whole.

use memchr::memchr;

use super::head::work;

/// A head (or trailer section) that comes in pieces: kept and scanned for the empty line that ends
/// it.
#[derive(Debug, Default)]
pub(super) struct HeadBuffer {
    bytes: Vec<u8>,
    /// Where the line begins whose end was not seen yet.
    line_start: usize,
}

/// What came of a piece.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Scanned {
    /// All of it was taken and the end is still to come. `telling`: it may have shown that this
    /// is no head at all.
    Need { telling: bool },
    /// `used` bytes of it were taken; the head is whole.
    Whole { used: usize },
    /// There are more bytes than the cap and no end.
    TooLarge,
}

impl HeadBuffer {
    /// Prefix within which garbage is told from a start line.
    const TELLING_BYTES: usize = 96;

    /// Bytes of memory held.
    pub(super) fn held_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// Takes bytes up to the end of the head.
    pub(super) fn push(&mut self, piece: &[u8], cap: usize) -> Scanned {
        work::note(piece.len());
        let before = self.bytes.len();
        let in_start_line = self.line_start == 0;
        let piece = &piece[..piece.len().min(cap.saturating_sub(before) + 1)];
        let mut from = 0;
        if let Some(used) = self.ends_with_bare_cr(piece) {
            self.bytes.extend_from_slice(&piece[..used]);
            return Scanned::Whole { used };
        }
        while let Some(at) = memchr(b'\n', &piece[from..]) {
            let end = from + at;
            let empty = self.is_empty_line(&piece[..end]);
            from = end + 1;
            self.line_start = before + from;
            if empty && self.line_start <= cap {
                self.bytes.extend_from_slice(&piece[..from]);
                return Scanned::Whole { used: from };
            }
            if let Some(used) = self.ends_with_bare_cr(piece) {
                self.bytes.extend_from_slice(&piece[..used]);
                return Scanned::Whole { used };
            }
        }
        self.bytes.extend_from_slice(piece);
        if self.bytes.len() > cap {
            return Scanned::TooLarge;
        }
        let start_line_ended = self.line_start > 0;
        let telling = in_start_line && (start_line_ended || before <= Self::TELLING_BYTES);
        Scanned::Need { telling }
    }

    /// Whether the line from `line_start` to the end of `piece`, which follows what is kept, is
    /// empty but for a CR.
    fn is_empty_line(&self, piece: &[u8]) -> bool {
        match self.line_start.checked_sub(self.bytes.len()) {
            Some(start) => matches!(&piece[start..], b"" | b"\r"),
            None => matches!((&self.bytes[self.line_start..], piece), (b"\r", b"")),
        }
    }

    /// Where the head ends in `piece`, if the line from `line_start` on is empty but for a CR that
    /// no LF follows (see [`super::head`]).
    fn ends_with_bare_cr(&self, piece: &[u8]) -> Option<usize> {
        let before = self.bytes.len();
        let at = |place: usize| match place.checked_sub(before) {
            Some(place) => piece.get(place),
            None => self.bytes.get(place),
        };
        let ends = self.line_start > 0
            && at(self.line_start) == Some(&b'\r')
            && at(self.line_start + 1).is_some_and(|&next| next != b'\n');
        ends.then(|| (self.line_start + 1).saturating_sub(before))
    }

    /// What was taken so far.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether nothing was taken yet.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Forgets what was taken, and gives its memory back: a connection that waits holds none.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

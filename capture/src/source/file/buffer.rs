//! The window on the file that packets borrow.

use std::io::{self, Read};

/// Bytes of the file from the current record on.
pub(super) struct Buffer {
    input: Box<dyn Read + Send>,
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// Length of the record lent out last: consumed when the next one is asked for.
    marked: usize,
    /// Offset of `start` in the file.
    offset: u64,
}

/// Whether the file had as many bytes as were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filled {
    Whole,
    /// It ends earlier; what there is is in the buffer.
    Short,
}

/// Large enough that reading costs little, small enough to stay in the processor's cache.
const WINDOW_BYTES: usize = 256 << 10;

impl Buffer {
    pub(super) fn new(input: Box<dyn Read + Send>) -> Self {
        Self { input, bytes: vec![0; WINDOW_BYTES], start: 0, end: 0, marked: 0, offset: 0 }
    }

    /// What is in the buffer from the current record on.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Offset of the current record in the file.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Sees to it that `len` bytes are in the buffer, if the file has them.
    #[inline]
    pub(super) fn fill(&mut self, len: usize) -> io::Result<Filled> {
        if self.end - self.start >= len { Ok(Filled::Whole) } else { self.read(len) }
    }

    #[cold]
    fn read(&mut self, len: usize) -> io::Result<Filled> {
        self.bytes.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        if self.bytes.len() < len {
            self.bytes.resize(len, 0);
        } else if self.bytes.len() > WINDOW_BYTES && len <= WINDOW_BYTES && self.end <= WINDOW_BYTES
        {
            self.bytes.truncate(WINDOW_BYTES);
            self.bytes.shrink_to_fit();
        }
        while self.end < len {
            match self.input.read(&mut self.bytes[self.end..]) {
                Ok(0) => return Ok(Filled::Short),
                Ok(read) => self.end += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Filled::Whole)
    }

    /// Passes over `len` bytes that are in the buffer.
    pub(super) fn consume(&mut self, len: usize) {
        self.start += len;
        self.offset += len as u64;
    }

    /// Lends out a record of `len` bytes.
    pub(super) fn mark(&mut self, len: usize) {
        self.marked = len;
    }

    /// Passes over the record lent out last.
    pub(super) fn consume_marked(&mut self) {
        let len = std::mem::take(&mut self.marked);
        self.consume(len);
    }

    /// Passes over `len` bytes, however many, without keeping them. Returns whether the file had
    /// them all.
    pub(super) fn discard(&mut self, len: u64) -> io::Result<bool> {
        let mut left = len;
        loop {
            let here = left.min((self.end - self.start) as u64);
            self.consume(here as usize);
            left -= here;
            if left == 0 {
                return Ok(true);
            }
            if self.fill(1)? == Filled::Short {
                return Ok(false);
            }
        }
    }
}

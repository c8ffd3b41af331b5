//! Deflate (RFC 1951) in the three wrappings it has on the web: gzip members (RFC 1952), the zlib
//! format (RFC 1950), and none.
//!
//! Owns the wrappings; the compressed data is flate2's. Takes bytes in any pieces, keeps no output,
//! and verifies the sums that the wrappings carry. What follows the end is ignored.

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::step::{DecodeError, Step};

/// Deflate in its three wrappings.
pub(super) struct Inflate {
    inner: Decompress,
    place: Place,
    /// CRC-32 and length of the gzip member so far.
    crc: Crc,
    /// Members that came to their end.
    members: u64,
}

/// Where in the wrapping the next byte lies.
enum Place {
    /// The first two bytes of `deflate`, which tell zlib from raw.
    Probe { first: Option<u8> },
    /// A gzip member's header (RFC 1952 §2.3).
    Header(GzipHeader),
    /// Compressed data. `gzip`: a trailer follows.
    Data { gzip: bool },
    /// A gzip member's CRC-32 and length.
    Trailer { bytes: [u8; 8], seen: usize },
    /// After the end: the rest is ignored.
    Done,
}

impl Inflate {
    pub(super) fn gzip() -> Self {
        Self {
            inner: Decompress::new(false),
            place: Place::Header(GzipHeader::default()),
            crc: Crc::new(),
            members: 0,
        }
    }

    pub(super) fn deflate() -> Self {
        Self { place: Place::Probe { first: None }, ..Self::gzip() }
    }

    pub(super) fn ended(&self) -> bool {
        match self.place {
            Place::Done => true,
            Place::Header(_) => self.members > 0,
            Place::Probe { .. } | Place::Data { .. } | Place::Trailer { .. } => false,
        }
    }

    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, DecodeError> {
        let mut used = 0;
        loop {
            match &mut self.place {
                Place::Done => return Ok(Step { used: input.len(), produced: 0 }),
                Place::Data { gzip } => {
                    let gzip = *gzip;
                    let step = self.inflate(&input[used..], output, gzip)?;
                    return Ok(Step { used: used + step.used, produced: step.produced });
                }
                place => {
                    let Some(&byte) = input.get(used) else {
                        return Ok(Step { used, produced: 0 });
                    };
                    used += 1;
                    match place {
                        Place::Probe { first: first @ None } => *first = Some(byte),
                        Place::Probe { first: Some(first) } => {
                            let probe = [*first, byte];
                            let produced = self.start_deflate(probe, output)?;
                            return Ok(Step { used, produced });
                        }
                        Place::Header(header) => match header.take(byte) {
                            HeaderProgress::More => {}
                            HeaderProgress::Done => self.place = Place::Data { gzip: true },
                            HeaderProgress::NotGzip if self.members > 0 => self.place = Place::Done,
                            HeaderProgress::NotGzip => return Err(DecodeError::Corrupt),
                        },
                        Place::Trailer { bytes, seen } => {
                            bytes[*seen] = byte;
                            *seen += 1;
                            if *seen == bytes.len() {
                                let trailer = *bytes;
                                self.end_member(trailer)?;
                            }
                        }
                        Place::Data { .. } | Place::Done => {}
                    }
                }
            }
        }
    }

    /// Decides between zlib and raw deflate and feeds the two bytes that decided it; returns how
    /// much they produced (a raw stream's second byte may end a literal).
    fn start_deflate(&mut self, probe: [u8; 2], output: &mut [u8]) -> Result<usize, DecodeError> {
        // RFC 1950 §2.2: CM is 8, and CMF*256 + FLG is a multiple of 31.
        let zlib = probe[0] & 0x0f == 8 && u16::from_be_bytes(probe).is_multiple_of(31);
        self.inner = Decompress::new(zlib);
        self.place = Place::Data { gzip: false };
        Ok(self.inflate(&probe, output, false)?.produced)
    }

    fn inflate(
        &mut self,
        input: &[u8],
        output: &mut [u8],
        gzip: bool,
    ) -> Result<Step, DecodeError> {
        let (taken, given) = (self.inner.total_in(), self.inner.total_out());
        let status = self
            .inner
            .decompress(input, output, FlushDecompress::None)
            .map_err(|_| DecodeError::Corrupt)?;
        // Both are bounded by the slices.
        let used = (self.inner.total_in() - taken) as usize;
        let produced = (self.inner.total_out() - given) as usize;
        if gzip {
            self.crc.update(&output[..produced]);
        }
        match status {
            Status::StreamEnd if gzip => self.place = Place::Trailer { bytes: [0; 8], seen: 0 },
            Status::StreamEnd => self.place = Place::Done,
            Status::Ok | Status::BufError => {}
        }
        Ok(Step { used, produced })
    }

    fn end_member(&mut self, trailer: [u8; 8]) -> Result<(), DecodeError> {
        let [c0, c1, c2, c3, l0, l1, l2, l3] = trailer;
        if u32::from_le_bytes([c0, c1, c2, c3]) != self.crc.sum()
            || u32::from_le_bytes([l0, l1, l2, l3]) != self.crc.amount()
        {
            return Err(DecodeError::Corrupt);
        }
        self.members += 1;
        self.crc.reset();
        self.inner.reset(false);
        self.place = Place::Header(GzipHeader::default());
        Ok(())
    }
}

/// A gzip member's header, taken byte by byte.
///
/// | bytes | what (RFC 1952 §2.3) |
/// |---|---|
/// | 0–2 | `1f 8b 08` |
/// | 3 | flags: 2 header CRC, 4 extra, 8 name, 16 comment |
/// | 4–9 | time, extra flags, system |
/// | if 4 | two bytes of length, then so many |
/// | if 8, if 16 | up to a zero byte each |
/// | if 2 | two bytes |
#[derive(Default)]
struct GzipHeader {
    seen: usize,
    flags: u8,
    extra: ExtraField,
}

/// How far the part after the first ten bytes is.
#[derive(Default)]
enum ExtraField {
    #[default]
    LengthLow,
    LengthHigh(u8),
    Bytes(u16),
}

enum HeaderProgress {
    More,
    Done,
    NotGzip,
}

impl GzipHeader {
    const CRC: u8 = 2;
    const EXTRA: u8 = 4;
    const NAME: u8 = 8;
    const COMMENT: u8 = 16;
    /// Of the header CRC: the first of its two bytes was seen.
    const CRC_HALF: u8 = 1;

    fn take(&mut self, byte: u8) -> HeaderProgress {
        const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];
        if self.seen < 10 {
            match self.seen {
                0..3 if byte != MAGIC[self.seen] => return HeaderProgress::NotGzip,
                // Bit 0 only hints at text; it is free for CRC_HALF here.
                3 => self.flags = byte & !Self::CRC_HALF,
                _ => {}
            }
            self.seen += 1;
        } else if self.flags & Self::EXTRA != 0 {
            match self.extra {
                ExtraField::LengthLow => self.extra = ExtraField::LengthHigh(byte),
                ExtraField::LengthHigh(low) => {
                    self.extra_left(u16::from_le_bytes([low, byte]));
                }
                ExtraField::Bytes(left) => self.extra_left(left - 1),
            }
        } else if self.flags & (Self::NAME | Self::COMMENT) != 0 {
            if byte == 0 {
                let ended = if self.flags & Self::NAME != 0 { Self::NAME } else { Self::COMMENT };
                self.flags &= !ended;
            }
        } else if self.flags & Self::CRC_HALF == 0 {
            self.flags |= Self::CRC_HALF;
        } else {
            self.flags &= !Self::CRC;
        }
        let open = self.flags & (Self::CRC | Self::EXTRA | Self::NAME | Self::COMMENT);
        if self.seen == 10 && open == 0 { HeaderProgress::Done } else { HeaderProgress::More }
    }

    fn extra_left(&mut self, left: u16) {
        if left == 0 {
            self.flags &= !Self::EXTRA;
        } else {
            self.extra = ExtraField::Bytes(left);
        }
    }
}

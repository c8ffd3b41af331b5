//! Where a body ends (RFC 9112 §6 and §7).

use memchr::memchr;

use super::head::{
    ContentLength, FramingFields, Method, RequestHead, ResponseHead, TransferCoding,
};
use crate::{Anomalies, Anomaly};

/// How far the body of a message goes from here.
#[derive(Debug)]
pub(super) enum Framing {
    /// So many bytes more.
    Length(u64),
    /// To the last chunk and its trailers.
    Chunked(Chunked),
    /// To the end of the connection.
    UntilClose,
}

impl Framing {
    /// The body's length, where it is known from the beginning.
    pub(super) fn announced(&self) -> Option<u64> {
        match self {
            Self::Length(length) => Some(*length),
            Self::Chunked(_) | Self::UntilClose => None,
        }
    }
}

/// What the head says about the body.
#[derive(Debug)]
pub(super) enum BodyPlan {
    /// There is none: the message ends with its head.
    None,
    /// There is one. `undecoded`: under a transfer coding that is not undone here.
    Some { framing: Framing, undecoded: bool },
    /// There is one, of the last of several lengths that differ.
    Doubtful(u64),
    /// It cannot be told where it ends.
    Unknown,
}

impl BodyPlan {
    /// RFC 9112 §6.3 for a request.
    pub(super) fn of_request(head: &RequestHead, anomalies: &mut Anomalies) -> Self {
        match Self::of_fields(head.framing, anomalies) {
            // Item 7: a request without either field has no body.
            None => Self::None,
            // Item 4: where chunked is not the final coding, the length of a request is unknown.
            Some(Self::Some { framing: Framing::UntilClose, .. }) => Self::Unknown,
            Some(_) if head.framing.coding == TransferCoding::ChunkedUnder => Self::Unknown,
            Some(plan) => plan,
        }
    }

    /// RFC 9112 §6.3 for a response to a request with that method.
    pub(super) fn of_response(
        head: &ResponseHead,
        method: Method,
        anomalies: &mut Anomalies,
    ) -> Self {
        // Item 1: these end with their head, whatever the fields say.
        if method == Method::Head || matches!(head.status, 100..=199 | 204 | 304) {
            return Self::None;
        }
        // Item 2: after it the connection is a tunnel.
        if method == Method::Connect && matches!(head.status, 200..=299) {
            return Self::None;
        }
        match Self::of_fields(head.framing, anomalies) {
            // Item 8: without either field it ends with the connection.
            None => Self::Some { framing: Framing::UntilClose, undecoded: false },
            // Item 5 has the response discarded. Ours: where it says that the connection ends with
            // it, that is where its body ends at the latest.
            Some(Self::Unknown | Self::Doubtful(_)) if head.framing.closes => {
                Self::Some { framing: Framing::UntilClose, undecoded: true }
            }
            Some(Self::Doubtful(_)) => Self::Unknown,
            Some(plan) => plan,
        }
    }

    /// What the two fields say, or `None` where there is neither.
    fn of_fields(fields: FramingFields, anomalies: &mut Anomalies) -> Option<Self> {
        // Item 3: Transfer-Encoding overrides Content-Length.
        if fields.coding != TransferCoding::Absent && fields.length != ContentLength::Absent {
            anomalies.note(Anomaly::LengthAndTransferEncoding);
        }
        if !matches!(fields.coding, TransferCoding::Absent | TransferCoding::Chunked) {
            anomalies.note(Anomaly::UnknownTransferEncoding);
        }
        let chunked = || Framing::Chunked(Chunked::new());
        match (fields.coding, fields.length) {
            (TransferCoding::Chunked, _) => {
                Some(Self::Some { framing: chunked(), undecoded: false })
            }
            (TransferCoding::ChunkedOver | TransferCoding::ChunkedUnder, _) => {
                Some(Self::Some { framing: chunked(), undecoded: true })
            }
            // Item 4: a response under other codings ends with the connection.
            (TransferCoding::Unknown, _) => {
                Some(Self::Some { framing: Framing::UntilClose, undecoded: true })
            }
            (TransferCoding::Absent, ContentLength::Bad) => {
                anomalies.note(Anomaly::BadContentLength);
                Some(Self::Unknown)
            }
            (TransferCoding::Absent, ContentLength::Differing(last)) => {
                anomalies.note(Anomaly::BadContentLength);
                Some(Self::Doubtful(last))
            }
            (TransferCoding::Absent, ContentLength::Known(0)) => Some(Self::None),
            (TransferCoding::Absent, ContentLength::Known(length)) => {
                Some(Self::Some { framing: Framing::Length(length), undecoded: false })
            }
            (TransferCoding::Absent, ContentLength::Absent) => None,
        }
    }
}

/// The chunked transfer coding (RFC 9112 §7.1) as it comes.
#[derive(Debug)]
pub(super) struct Chunked {
    place: Place,
    /// Bytes of the chunk's first line so far.
    line: usize,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    /// In the size; `any`: a digit was seen.
    Size { size: u64, any: bool },
    /// After the size, up to the LF. `last`: the byte before.
    Extension { size: u64, last: u8 },
    /// In the data.
    Data { left: u64 },
    /// After the data: CR LF.
    End { cr: bool },
}

/// What the bytes taken were.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Framing.
    Framing,
    /// Data: all bytes taken.
    Data,
    /// The line of the last chunk is over: trailers follow.
    Last,
    /// It is not chunked, or not any more.
    Bad(Anomaly),
}

impl Chunked {
    /// Longer than any chunk extension that means well.
    const LINE_BYTES: usize = 16 << 10;
    /// Larger sizes cannot be meant: the end would lie past any stream.
    const LARGEST: u64 = i64::MAX as u64;

    fn new() -> Self {
        Self { place: Place::Size { size: 0, any: false }, line: 0 }
    }

    /// Takes some of `bytes` (at least one): how many, and what they were.
    pub(super) fn next(&mut self, bytes: &[u8], anomalies: &mut Anomalies) -> (usize, Piece) {
        let mut used = 0;
        while let Some(&byte) = bytes.get(used) {
            match self.place {
                Place::Data { .. } if used > 0 => break,
                Place::Data { left } => {
                    let len = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                    self.data_passed(left - len as u64);
                    return (len, Piece::Data);
                }
                Place::End { cr } => {
                    used += 1;
                    match (byte, cr) {
                        (b'\r', false) => self.place = Place::End { cr: true },
                        (b'\n', _) => {
                            if !cr {
                                anomalies.note(Anomaly::BareLf);
                            }
                            *self = Self::new();
                        }
                        _ => return (used, Piece::Bad(Anomaly::BadChunkEnd)),
                    }
                }
                Place::Size { size, any } => match (byte as char).to_digit(16) {
                    Some(digit) => {
                        used += 1;
                        self.line += 1;
                        if size > Self::LARGEST >> 4 || self.line > Self::LINE_BYTES {
                            return (used, Piece::Bad(Anomaly::BadChunkSize));
                        }
                        self.place = Place::Size { size: size << 4 | u64::from(digit), any: true };
                    }
                    // RFC 9112 §7.1.1: an extension begins with ';', perhaps after white space.
                    None if any && matches!(byte, b';' | b' ' | b'\t' | b'\r' | b'\n') => {
                        self.place = Place::Extension { size, last: 0 };
                    }
                    None => return (used + 1, Piece::Bad(Anomaly::BadChunkSize)),
                },
                Place::Extension { size, last } => {
                    let rest = &bytes[used..];
                    let line_end = memchr(b'\n', rest);
                    let len = line_end.map_or(rest.len(), |at| at + 1);
                    used += len;
                    self.line += len;
                    if self.line > Self::LINE_BYTES {
                        return (used, Piece::Bad(Anomaly::BadChunkSize));
                    }
                    if line_end.is_none() {
                        self.place = Place::Extension { size, last: rest[len - 1] };
                        continue;
                    }
                    if (if len > 1 { rest[len - 2] } else { last }) != b'\r' {
                        anomalies.note(Anomaly::BareLf);
                    }
                    if size == 0 {
                        return (used, Piece::Last);
                    }
                    self.place = Place::Data { left: size };
                }
            }
        }
        (used, Piece::Framing)
    }

    /// Leaves out `len` bytes that were not seen. False where they may hold framing.
    pub(super) fn miss(&mut self, len: u64) -> bool {
        match self.place {
            Place::Data { left } if left >= len => {
                self.data_passed(left - len);
                true
            }
            _ => false,
        }
    }

    fn data_passed(&mut self, left: u64) {
        self.place = if left == 0 { Place::End { cr: false } } else { Place::Data { left } };
    }
}

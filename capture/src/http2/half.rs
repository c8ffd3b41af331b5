//! One direction: where in its frames it is, and what is known of its header compression.
//!
//! Bytes become [`Event`]s, in any pieces. Payload is handed on as it comes: only prefixes of a few
//! octets are held here, and header blocks that come in several pieces.

use super::frame::{
    self, DEFAULT_MAX_LEN, FrameHeader, HEADER_LEN, MAX_LEN, flag, kind, parse_setting,
};
use super::hpack::Decoder;
use super::{PREFACE, resync};
use crate::flow::Direction;
use crate::reassembly::Chunk;
use crate::{Evidence, Limits, Timestamp};

/// One direction.
#[derive(Debug)]
pub(super) struct Half {
    pub(super) state: State,
    header: [u8; HEADER_LEN],
    header_have: usize,
    /// When the first octet of the frame in progress came.
    pub(super) frame_at: Timestamp,
    /// The header block in progress.
    pub(super) block: Option<Block>,
    pub(super) hpack: Decoder,
    /// Why fields of this direction may be unknown.
    pub(super) unknown: Option<Evidence>,
    /// The longest frame its sender may use; `None` where that was not seen.
    max_len: Option<u32>,
    /// How often bytes of it were not read, and why the last time.
    pub(super) losses: u64,
    pub(super) loss: Evidence,
    /// Bytes and fields of its last head: the next one has about as many.
    pub(super) expected: (usize, usize),
}

/// Where a direction is.
#[derive(Debug)]
pub(super) enum State {
    /// In the client's preface, after so many octets.
    Preface(usize),
    /// In a frame header, or between frames.
    Header,
    Payload(Payload),
    /// It is not known where. `lenient`: its next byte begins a frame unless that looks wrong.
    Lost {
        lenient: bool,
    },
    /// Nothing more will come.
    Over,
}

/// A frame after its header.
#[derive(Debug)]
pub(super) struct Payload {
    header: FrameHeader,
    prefix: [u8; 8],
    prefix_have: usize,
    prefix_len: usize,
    /// Octets of content and of padding still to come.
    content: u32,
    padding: u32,
    /// All of the content so far is still to come.
    untouched: bool,
    /// It breaks the rules of its type: passed over.
    is_bad: bool,
}

/// A header block, from its first frame to END_HEADERS.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) stream: u32,
    /// HEADERS or PUSH_PROMISE.
    pub(super) kind: u8,
    pub(super) end_stream: bool,
    /// When its first byte came.
    pub(super) first_at: Timestamp,
    /// What came of it, where it came in pieces.
    pub(super) pieces: Vec<u8>,
    pub(super) is_too_large: bool,
    /// It was whole and has been read.
    pub(super) is_read: bool,
}

impl Block {
    pub(super) fn new(header: &FrameHeader, first_at: Timestamp) -> Self {
        Self {
            stream: header.stream,
            kind: header.kind,
            end_stream: header.kind == kind::HEADERS && header.has(flag::END_STREAM),
            first_at,
            pieces: Vec::new(),
            is_too_large: false,
            is_read: false,
        }
    }

    /// Keeps a piece.
    pub(super) fn push(&mut self, piece: &[u8], limits: &Limits) {
        if self.pieces.len() + piece.len() > limits.head_bytes {
            self.is_too_large = true;
            self.pieces = Vec::new();
        }
        if !self.is_too_large {
            self.pieces.extend_from_slice(piece);
        }
    }
}

/// What some bytes were.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Event<'b> {
    /// Nothing that is told yet.
    Nothing,
    /// The client's preface, to its end.
    Preface,
    /// Something else where the preface was due.
    NoPreface,
    /// A frame header.
    Begun(FrameHeader),
    /// A frame that breaks the rules of its type begins, or its padding does; its payload is passed
    /// over.
    Bad(FrameHeader),
    /// A frame longer than its sender may use.
    TooLong,
    /// Content of a frame. `whole`: all that it has.
    Content { header: FrameHeader, bytes: &'b [u8], whole: bool },
    /// A parameter of a SETTINGS frame.
    Setting(u16, u32),
    /// A frame is over; `prefix` is what its content was preceded by.
    End { header: FrameHeader, prefix: [u8; 8], is_bad: bool },
}

/// What bytes that were not seen did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missed {
    /// They all lay in a frame that goes on or ended with them. `content` of them were DATA of
    /// `stream`.
    Inside { stream: Option<u32>, content: u64 },
    /// They may have held anything.
    Lost,
}

impl Half {
    /// A direction of which nothing was seen yet.
    pub(super) fn new(state: State) -> Self {
        Self {
            state,
            header: [0; HEADER_LEN],
            header_have: 0,
            frame_at: Timestamp::ZERO,
            block: None,
            hpack: Decoder::new(),
            unknown: None,
            max_len: Some(DEFAULT_MAX_LEN),
            losses: 0,
            loss: Evidence::LateJoin,
            expected: (512, 12),
        }
    }

    /// A direction that was joined somewhere in its middle.
    pub(super) fn joined_late() -> Self {
        let mut half = Self::new(State::Lost { lenient: false });
        half.max_len = None;
        half.hpack.forget();
        half.hpack.forget_announced();
        half.unknown = Some(Evidence::LateJoin);
        half
    }

    /// The other side announced what it can take; the largest value counts.
    pub(super) fn announce(&mut self, id: u16, value: u32) {
        match id {
            frame::setting::HEADER_TABLE_SIZE => self.hpack.announce(value),
            frame::setting::MAX_FRAME_SIZE => {
                self.max_len = self.max_len.map(|before| before.max(value.min(MAX_LEN)));
            }
            _ => {}
        }
    }

    /// What the other side announces is not known any more.
    pub(super) fn forget_announced(&mut self) {
        self.max_len = None;
        self.hpack.forget_announced();
    }

    /// Header blocks of it were not read.
    pub(super) fn forget_table(&mut self, cause: Evidence) {
        self.hpack.forget();
        self.unknown = Some(cause);
    }

    /// It is not known any more where it is.
    pub(super) fn lose(&mut self, cause: Evidence) {
        self.state = State::Lost { lenient: false };
        self.header_have = 0;
        self.losses += 1;
        self.loss = cause;
        self.forget_table(cause);
    }

    /// Where it is lost: looks whether frames begin with a chunk. False where the chunk is to be
    /// passed over.
    pub(super) fn find(
        &mut self,
        direction: Direction,
        chunk: &Chunk<'_>,
        limits: &Limits,
    ) -> bool {
        let State::Lost { lenient } = self.state else { return true };
        let bytes = chunk.bytes;
        // Only the first bytes since the capture joined can be the preface: later on, it is content.
        let is_first = direction == Direction::ToServer && chunk.offset == 0;
        if is_first && (bytes.starts_with(PREFACE) || PREFACE.starts_with(bytes)) {
            self.state = State::Preface(0);
            return true;
        }
        let enough = if lenient { resync::Looks::Maybe } else { resync::Looks::Certain };
        if resync::looks(direction, bytes, limits) >= enough {
            self.state = State::Header;
            return true;
        }
        self.lose(self.loss);
        false
    }

    /// Takes some of `bytes`: how many, and what they were. To be called until it takes nothing and
    /// tells [`Event::Nothing`].
    pub(super) fn next<'b>(&mut self, bytes: &'b [u8], at: Timestamp) -> (usize, Event<'b>) {
        match &mut self.state {
            State::Over | State::Lost { .. } => (bytes.len(), Event::Nothing),
            State::Preface(matched) => {
                let rest = &PREFACE[*matched..];
                let len = rest.len().min(bytes.len());
                if bytes[..len] != rest[..len] {
                    return (0, Event::NoPreface);
                }
                *matched += len;
                if *matched < PREFACE.len() {
                    return (len, Event::Nothing);
                }
                self.state = State::Header;
                (len, Event::Preface)
            }
            State::Header => self.next_header(bytes, at),
            State::Payload(payload) => {
                let (used, event) = payload.next(bytes);
                if matches!(event, Event::End { .. }) {
                    self.state = State::Header;
                }
                (used, event)
            }
        }
    }

    fn next_header<'b>(&mut self, bytes: &'b [u8], at: Timestamp) -> (usize, Event<'b>) {
        let used = (HEADER_LEN - self.header_have).min(bytes.len());
        if used == 0 {
            return (0, Event::Nothing);
        }
        if self.header_have == 0 {
            self.frame_at = at;
        }
        self.header[self.header_have..][..used].copy_from_slice(&bytes[..used]);
        self.header_have += used;
        if self.header_have < HEADER_LEN {
            return (used, Event::Nothing);
        }
        self.header_have = 0;
        let header = FrameHeader::parse(&self.header);
        if header.len > self.max_len.unwrap_or(MAX_LEN) {
            return (used, Event::TooLong);
        }
        let is_bad = !header.is_valid();
        self.state = State::Payload(Payload::new(header, is_bad));
        (used, if is_bad { Event::Bad(header) } else { Event::Begun(header) })
    }

    /// The payload of the frame in progress is to be passed over.
    pub(super) fn pass_over(&mut self) {
        if let State::Payload(payload) = &mut self.state {
            payload.give_up();
        }
    }

    /// Leaves out `len` bytes that will never come.
    pub(super) fn miss(&mut self, len: u64) -> Missed {
        match &mut self.state {
            State::Payload(payload) => payload.miss(len),
            _ => Missed::Lost,
        }
    }

    /// Bytes of memory held.
    pub(super) fn held_bytes(&self) -> usize {
        self.hpack.held_bytes() + self.block.as_ref().map_or(0, |block| block.pieces.capacity())
    }
}

impl Payload {
    fn new(header: FrameHeader, is_bad: bool) -> Self {
        let prefix_len = if is_bad { 0 } else { header.prefix_len() };
        Self {
            header,
            prefix: [0; 8],
            prefix_have: 0,
            prefix_len: usize::from(prefix_len),
            content: header.len - u32::from(prefix_len),
            padding: 0,
            untouched: true,
            is_bad,
        }
    }

    fn next<'b>(&mut self, bytes: &'b [u8]) -> (usize, Event<'b>) {
        if self.prefix_have < self.prefix_len {
            let used = self.gather(bytes, self.prefix_len);
            if self.prefix_have < self.prefix_len {
                return (used, Event::Nothing);
            }
            let padding = u32::from(self.header.padding(&self.prefix[..self.prefix_len]));
            // §6.1: padding that leaves no room for itself is an error.
            let Some(content) = self.content.checked_sub(padding) else {
                self.give_up();
                return (used, Event::Bad(self.header));
            };
            (self.content, self.padding) = (content, padding);
            return (used, Event::Nothing);
        }
        if self.content > 0 {
            return self.next_content(bytes);
        }
        if self.padding > 0 {
            let used = min(self.padding, bytes.len());
            self.padding -= used;
            return (used as usize, Event::Nothing);
        }
        let Self { header, prefix, is_bad, .. } = *self;
        (0, Event::End { header, prefix, is_bad })
    }

    fn next_content<'b>(&mut self, bytes: &'b [u8]) -> (usize, Event<'b>) {
        let used = min(self.content, bytes.len());
        if used == 0 {
            return (0, Event::Nothing);
        }
        if self.header.kind == kind::SETTINGS && !self.is_bad {
            let used = self.gather(bytes, 6);
            if self.prefix_have < 6 {
                return (used, Event::Nothing);
            }
            self.prefix_have = 0;
            self.content -= 6;
            let [i0, i1, v0, v1, v2, v3, ..] = self.prefix;
            let (id, value) = parse_setting(&[i0, i1, v0, v1, v2, v3]);
            return (used, Event::Setting(id, value));
        }
        // A frame ends with its padding: content whose padding is still to come is not all of it.
        let is_ended = used == self.content && bytes.len() - used as usize >= self.padding as usize;
        let whole = self.untouched && is_ended;
        self.untouched = false;
        self.content -= used;
        let (used, header) = (used as usize, self.header);
        let event = if self.is_bad {
            Event::Nothing
        } else {
            Event::Content { header, bytes: &bytes[..used], whole }
        };
        (used, event)
    }

    /// Brings `prefix` to `len` octets, as far as `bytes` reach.
    fn gather(&mut self, bytes: &[u8], len: usize) -> usize {
        let used = (len - self.prefix_have).min(bytes.len());
        self.prefix[self.prefix_have..][..used].copy_from_slice(&bytes[..used]);
        self.prefix_have += used;
        used
    }

    fn give_up(&mut self) {
        let prefix = self.prefix_len - self.prefix_have.min(self.prefix_len);
        self.content += u32::try_from(prefix).unwrap_or(0);
        self.prefix_len = 0;
        self.is_bad = true;
    }

    fn miss(&mut self, len: u64) -> Missed {
        let header = self.header;
        // What is passed over anyway can be missed.
        let passed_over = (self.is_bad && !header.carries_block())
            || !matches!(
                header.kind,
                kind::HEADERS
                    | kind::PUSH_PROMISE
                    | kind::CONTINUATION
                    | kind::SETTINGS
                    | kind::RST_STREAM
            );
        let has_prefix = self.prefix_have >= self.prefix_len;
        let left = u64::from(self.content) + u64::from(self.padding);
        if !passed_over || !has_prefix || len > left {
            return Missed::Lost;
        }
        let content = len.min(u64::from(self.content));
        // Neither is above what is left of a frame.
        self.content -= u32::try_from(content).unwrap_or(0);
        self.padding -= u32::try_from(len - content).unwrap_or(0);
        self.untouched = false;
        let stream = (header.kind == kind::DATA && !self.is_bad).then_some(header.stream);
        Missed::Inside { stream, content }
    }
}

fn min(left: u32, available: usize) -> u32 {
    left.min(u32::try_from(available).unwrap_or(u32::MAX))
}

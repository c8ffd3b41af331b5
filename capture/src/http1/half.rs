//! One direction of a connection: where in its message it is, and the body being taken.

use super::framing::{Framing, Piece};
use super::head::{Parsed, parse_trailers};
use super::head_buffer::{HeadBuffer, Scanned};
use crate::body::BodyBuilder;
use crate::context::Context;
use crate::reassembly::Chunk;
use crate::{Anomaly, Body, Evidence, Fields, Timestamp};

/// One direction.
#[derive(Debug)]
pub(super) struct Half {
    pub(super) state: State,
    /// Offset after everything that was given.
    pub(super) next: u64,
    /// When the last byte came.
    pub(super) last_at: Timestamp,
    /// Of the message in progress, or the last one.
    pub(super) first: FirstByte,
    /// A head in pieces; trailers likewise.
    pub(super) head: HeadBuffer,
    /// Takes the body in progress; `None` where it belongs to nobody.
    body: Option<BodyBuilder>,
    trailers: Fields,
    /// Peers may see the message in progress end elsewhere: what follows it has no certain place.
    pub(super) doubtful: bool,
}

/// Where a direction is.
#[derive(Debug)]
pub(super) enum State {
    /// In a head, or between messages.
    Head,
    /// In a body.
    Body(Framing),
    /// After the last chunk.
    Trailers,
    /// It is not known where, and why.
    Lost(Evidence),
    /// Nothing more of HTTP will come.
    Over,
}

/// The first byte of a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FirstByte {
    /// Its place in its direction.
    pub(super) offset: u64,
    /// How much of the other direction its sender had received when it sent it.
    pub(super) peer_offset: u64,
    /// When it passed.
    pub(super) at: Timestamp,
}

impl FirstByte {
    /// The byte at `offset` of the direction, which lies in `chunk`.
    pub(super) fn in_chunk(chunk: &Chunk<'_>, offset: u64) -> Self {
        Self { offset, peer_offset: chunk.peer_offset, at: chunk.at }
    }
}

/// How far a message is after some bytes of its body.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// More of it is to come.
    More,
    /// It is whole. `line_lost`: but for a trailer line that is none.
    Ended { line_lost: bool },
    /// Where it ends cannot be told any more.
    Broken(Anomaly),
}

/// How far a message is after bytes that were not seen.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Missed {
    /// They all lay in its body, and more of it is to come.
    Inside,
    /// Its body ended in them, `beyond` bytes before theirs.
    Ended { beyond: u64 },
    /// They may have held a head or framing.
    Lost,
}

impl Half {
    pub(super) fn new(state: State) -> Self {
        Self {
            state,
            next: 0,
            last_at: Timestamp::ZERO,
            first: FirstByte::default(),
            head: HeadBuffer::default(),
            body: None,
            trailers: Fields::default(),
            doubtful: false,
        }
    }

    /// Whether it is before the first byte of a message.
    pub(super) fn is_between_messages(&self) -> bool {
        matches!(self.state, State::Head) && self.head.is_empty()
    }

    /// Starts a body; `builder` is `None` where it belongs to nobody.
    pub(super) fn begin_body(&mut self, framing: Framing, builder: Option<BodyBuilder>) {
        self.state = State::Body(framing);
        self.body = builder;
    }

    /// Takes bytes of a body or its trailers: how many, and what came of it.
    pub(super) fn take(&mut self, bytes: &[u8], cx: &mut Context<'_>) -> (usize, Taken) {
        let (used, ended) = match &mut self.state {
            State::Body(Framing::Length(left)) => {
                let len = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= len as u64;
                (len, *left == 0)
            }
            State::Body(Framing::UntilClose) => (bytes.len(), false),
            State::Body(Framing::Chunked(chunked)) => {
                let (used, piece) = chunked.next(bytes, cx.anomalies);
                match piece {
                    Piece::Data => (used, false),
                    Piece::Framing => return (used, Taken::More),
                    Piece::Bad(anomaly) => return (used, Taken::Broken(anomaly)),
                    Piece::Last => {
                        self.state = State::Trailers;
                        return (used, Taken::More);
                    }
                }
            }
            State::Trailers => return self.take_trailers(bytes, cx),
            State::Head | State::Lost(_) | State::Over => return (0, Taken::More),
        };
        if let Some(body) = &mut self.body {
            body.push(&bytes[..used], cx);
        }
        (used, if ended { Taken::Ended { line_lost: false } } else { Taken::More })
    }

    fn take_trailers(&mut self, bytes: &[u8], cx: &mut Context<'_>) -> (usize, Taken) {
        if self.head.is_empty() && bytes.starts_with(b"\r\n") {
            return (2, Taken::Ended { line_lost: false });
        }
        let used = match self.head.push(bytes, cx.limits.head_bytes) {
            Scanned::Need { .. } => return (bytes.len(), Taken::More),
            Scanned::TooLarge => return (bytes.len(), Taken::Broken(Anomaly::HeadTooLarge)),
            Scanned::Whole { used } => used,
        };
        let parsed = parse_trailers(self.head.bytes(), cx.limits.head_fields, cx.spans);
        self.head.clear();
        match parsed {
            Parsed::Done { head: (trailers, notes), .. } => {
                notes.anomalies.iter().for_each(|&anomaly| cx.anomalies.note(anomaly));
                self.trailers = trailers;
                self.doubtful |= notes.doubtful;
                (used, Taken::Ended { line_lost: notes.line_lost })
            }
            Parsed::Bad(anomaly) => (used, Taken::Broken(anomaly)),
            // The buffer found the empty line; reading finds it too.
            Parsed::Need => (used, Taken::Broken(Anomaly::BadFieldLine)),
        }
    }

    /// Leaves out `len` bytes that will never come.
    pub(super) fn miss(&mut self, len: u64) -> Missed {
        let (inside, missed) = match &mut self.state {
            State::Body(Framing::Length(left)) => {
                let inside = len.min(*left);
                *left -= inside;
                let ended = *left == 0;
                (
                    inside,
                    if ended { Missed::Ended { beyond: len - inside } } else { Missed::Inside },
                )
            }
            State::Body(Framing::UntilClose) => (len, Missed::Inside),
            State::Body(Framing::Chunked(chunked)) => {
                if !chunked.miss(len) {
                    return Missed::Lost;
                }
                (len, Missed::Inside)
            }
            State::Head | State::Trailers | State::Lost(_) | State::Over => return Missed::Lost,
        };
        if let Some(body) = &mut self.body {
            body.miss(inside);
        }
        missed
    }

    /// The body so far, if one is being taken: what follows of it belongs to nobody.
    pub(super) fn give_up_body(&mut self, cx: &mut Context<'_>) -> Option<Body> {
        self.body.take().map(|body| body.finish(false, cx))
    }

    /// The message is over, or no more of it can be told: its body and trailers, and the direction
    /// stands between messages.
    pub(super) fn end(&mut self, whole: bool, cx: &mut Context<'_>) -> (Body, Fields) {
        self.head.clear();
        self.state = State::Head;
        let body = match self.body.take() {
            Some(body) => body.finish(whole, cx),
            None => Body::none(cx.limits),
        };
        (body, std::mem::take(&mut self.trailers))
    }
}

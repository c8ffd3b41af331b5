//! Whose turn it is: what lets a response be given to its request after bytes were lost.
//!
//! # The invariant
//!
//! A response is given to a request only where the two are known to belong together. Where that
//! cannot be shown, the request leaves without a response and the response without a request.
//!
//! # What is known in sync
//!
//! As long as every byte of both directions was followed, responses come in the order of requests
//! (RFC 9112 §9.3.2), so the oldest waiting request owns the next response, pipelined or not. A
//! request that was given up (it timed out) still owns its response. The loss of requests leaves
//! those that were waiting before it in their order: they are still answered first.
//!
//! # What acknowledgements add
//!
//! Each segment tells how much its sender had received. Let `A(k)` be the response offset that the
//! first byte of request `k` acknowledged, and `S` the offset of a response whose first byte
//! acknowledged request offset `Q`.
//!
//! 1. `S < A(k)`: the response is not `k`'s. The client had all of it before it asked.
//! 2. `Q <=` the offset of `k`'s first byte: the response is not `k`'s. The server had not seen
//!    any of it.
//! 3. A client that does not pipeline asks only after it received all it had asked for. Then
//!    everything before `A(k)` belongs to older requests, nothing before it is still to come, and
//!    the response to `k` begins at `A(k)` exactly. The same holds the other way around: what the
//!    server had received when it sent the last bytes of a response ends where the next request
//!    begins.
//!
//! 1 and 2 hold for every client and are checked for every response, in sync or not: so the answer
//! to a request that was lost cannot go to the next one. Only 3 can bring a lost direction back,
//! and it needs a client that waits. It is trusted only while nothing on the connection speaks
//! against it:
//!
//! - In sync, no request came while another was unanswered. In sync or not, every request
//!   acknowledged more than the one before it: two with no response byte between them are a
//!   pipeline.
//! - A request is found again only at the beginning of a packet, where the bytes end that the
//!   server had received when it last sent bytes of a final response.
//! - At `A(k)` there is the beginning of a status line, sent after the server had seen `k`. A
//!   client that asks in the middle of a response fails this, and then pipelines for good.
//! - The bytes at `A(k)` were seen. Otherwise `k` leaves, and the next request is tried.
//!
//! Proof. Let `k` be the first request after a loss that is given a response, and say that an older
//! request was unanswered when the client sent `k`. Then the client pipelines: at some time it sent
//! a request, the second, before all of the response to another one, the first, had come. If both
//! were seen, and one of them in sync or both with the same acknowledgement, the first check has
//! caught it. If only the second was seen, and no response byte was sent between them, the server
//! had not answered up to it: it was not found. If the second acknowledged a byte inside a response
//! and that byte was seen, the third check has caught it. So a response can go astray only on a
//! connection where all of this fell into Gaps, every time it happened: no acknowledgement tells
//! such a client from one that waits.
//!
//! A connection on which a client pipelines is lost for good after a Gap in a head or in framing:
//! its requests are counted, its responses are not given to anyone.

use super::half::FirstByte;
use super::head::{starts_like_status_line, starts_with_request_line};
use crate::Evidence;
use crate::reassembly::Chunk;

/// What a connection's acknowledgements have told so far.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// The client was seen to ask before it was answered.
    pipelines: bool,
    /// The largest response offset that a request acknowledged.
    asked_at: Option<u64>,
    /// The request offset that the last bytes of a final response acknowledged.
    served: Option<u64>,
    /// Where the response to the waiting request begins, while the response direction is lost.
    anchor: Option<FirstByte>,
    /// Requests were lost since the last one that was seen, and why.
    requests_lost: Option<Evidence>,
}

/// What a new request tells about the turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// The client had received all that it had asked for, as far as can be seen.
    Clean,
    /// It pipelines.
    Pipelined,
}

/// What the response bytes at an anchor tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchored {
    /// They lie before it, or there is none: nothing yet.
    NotYet,
    /// The response begins after so many of the bytes.
    Begins { after: usize },
    /// There is no response, or it was not seen.
    Forfeit,
}

impl Turns {
    /// For a connection of which the beginning was not seen.
    pub(super) fn late_join() -> Self {
        Self { requests_lost: Some(Evidence::LateJoin), ..Self::default() }
    }

    /// Why requests before the next one are unknown, if they are.
    pub(super) fn requests_lost(&self) -> Option<Evidence> {
        self.requests_lost
    }

    /// The request direction was lost.
    pub(super) fn lose_requests(&mut self, cause: Evidence) {
        self.requests_lost.get_or_insert(cause);
    }

    /// The response direction was lost.
    pub(super) fn lose_responses(&mut self) {
        self.anchor = None;
    }

    /// Takes a request's first byte; `outstanding`: an older one is known to be unanswered in
    /// sync.
    pub(super) fn ask(&mut self, first: FirstByte, outstanding: bool) -> Turn {
        self.pipelines |=
            outstanding || self.asked_at.is_some_and(|before| first.peer_offset <= before);
        self.asked_at = self.asked_at.max(Some(first.peer_offset));
        self.requests_lost = None;
        if self.pipelines { Turn::Pipelined } else { Turn::Clean }
    }

    /// The response to the request with this first byte will be looked for where it must begin.
    pub(super) fn set_anchor(&mut self, asked: FirstByte) {
        self.anchor = Some(asked);
    }

    /// Takes note of what the server had received when it sent bytes of a final response. (An
    /// interim one says nothing about the end of a request: its body may follow.)
    pub(super) fn hear_final(&mut self, chunk: &Chunk<'_>) {
        self.served = self.served.max(Some(chunk.peer_offset));
    }

    /// Whether a request begins with this chunk of a lost request direction.
    pub(super) fn request_begins(&self, chunk: &Chunk<'_>) -> bool {
        let line = starts_with_request_line(chunk.bytes);
        match self.served {
            // Of a long request line the first packet has only a part.
            Some(served) => served == chunk.offset && line != Some(false),
            // The first bytes since the capture joined: a client that begins to speak.
            None => {
                chunk.offset == 0
                    && self.requests_lost == Some(Evidence::LateJoin)
                    && line == Some(true)
            }
        }
    }

    /// Looks for the anchored response in a chunk of a lost response direction.
    pub(super) fn look(&mut self, chunk: &Chunk<'_>) -> Anchored {
        let Some(asked) = self.anchor else { return Anchored::NotYet };
        let Some(after) = asked.peer_offset.checked_sub(chunk.offset) else {
            self.anchor = None;
            return Anchored::Forfeit;
        };
        let Some(rest) = usize::try_from(after).ok().and_then(|at| chunk.bytes.get(at..)) else {
            return Anchored::NotYet;
        };
        if rest.is_empty() {
            return Anchored::NotYet;
        }
        self.anchor = None;
        if starts_like_status_line(rest) && chunk.peer_offset > asked.offset {
            Anchored::Begins { after: chunk.bytes.len() - rest.len() }
        } else {
            self.pipelines = true;
            Anchored::Forfeit
        }
    }

    /// Response bytes up to `end` will never come. True where the anchored response began in
    /// them.
    pub(super) fn miss_responses(&mut self, end: u64) -> bool {
        self.anchor.take_if(|asked| asked.peer_offset < end).is_some()
    }
}

/// Rules 1 and 2: whether a response that begins with `answer` can be to the request that begins
/// with `asked`.
pub(super) fn can_answer(asked: FirstByte, answer: FirstByte) -> bool {
    answer.offset >= asked.peer_offset && answer.peer_offset > asked.offset
}

//! The way out of a capture thread: bounded, and never waited for.
//!
//! Exchanges leave in messages of up to [`MESSAGE_EXCHANGES`]. When the queue is three quarters
//! full, a growing share of pair keys is shed, so both legs of a pair go together and what is left
//! is an unbiased sample; when it is full, the whole message is. Each exchange shed leaves a
//! [`ShedNotice`] that rides with the next message, so that it is counted and its partner does
//! not look unmirrored.

use std::sync::Arc;

use capture::{Counters, Exchange, Timestamp};
use compare::{Judge, Policy, ShedNotice, ShedReason};
use crossbeam_channel::{Receiver, Sender, TrySendError};

/// Exchanges in one message.
const MESSAGE_EXCHANGES: usize = 64;

/// Notices that name their key, at most; beyond it they are merged by service and leg.
const NAMED_NOTICES: usize = 1 << 18;

/// Key hashes are compared by their upper 16 bits: a share of keys in 65536ths.
const ALL_KEYS: u32 = 1 << 16;

/// What travels from a capture thread to the judge.
#[derive(Debug)]
pub(crate) struct Message {
    /// Index of the capture thread.
    pub(crate) source: usize,
    /// What was seen.
    pub(crate) exchanges: Vec<Exchange>,
    /// What was seen and shed.
    pub(crate) notices: Vec<ShedNotice>,
    /// Every packet before this time has been pushed.
    pub(crate) now: Timestamp,
    /// The thread's counters so far, with the kernel's.
    pub(crate) seen: Seen,
}

/// What one source has seen so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// The tap's own counters.
    pub(crate) tap: Counters,
    /// Packets that the kernel dropped because its buffer was full.
    pub(crate) kernel_drops: u64,
    /// Packets that the interface or its driver dropped.
    pub(crate) interface_drops: u64,
}

/// A queue for about `exchanges` exchanges.
pub(crate) fn queue(exchanges: usize) -> (Sender<Message>, Receiver<Message>) {
    crossbeam_channel::bounded(exchanges.div_ceil(MESSAGE_EXCHANGES).max(4))
}

/// One capture thread's way out.
pub(crate) struct Outlet {
    source: usize,
    policy: Arc<Policy>,
    queue: Sender<Message>,
    exchanges: Vec<Exchange>,
    notices: Vec<ShedNotice>,
    /// Keys whose hash lies below this are let through.
    kept_keys: u32,
}

impl Outlet {
    pub(crate) fn new(source: usize, policy: Arc<Policy>, queue: Sender<Message>) -> Self {
        let exchanges = Vec::with_capacity(MESSAGE_EXCHANGES);
        Self { source, policy, queue, exchanges, notices: Vec::new(), kept_keys: ALL_KEYS }
    }

    /// Takes one exchange. True: the message is full, and [`Outlet::flush`] is due.
    pub(crate) fn push(&mut self, exchange: Exchange) -> bool {
        if self.kept_keys < ALL_KEYS && !self.admits(&exchange) {
            self.shed(&exchange);
        } else {
            self.exchanges.push(exchange);
        }
        self.exchanges.len() >= MESSAGE_EXCHANGES
    }

    /// Sends what is there, or sheds it: returns at once.
    pub(crate) fn flush(&mut self, now: Timestamp, seen: Seen) {
        self.adapt();
        let message = self.message(now, seen);
        if let Err(TrySendError::Full(message) | TrySendError::Disconnected(message)) =
            self.queue.try_send(message)
        {
            self.notices = message.notices;
            for exchange in &message.exchanges {
                self.shed(exchange);
            }
        }
    }

    /// Sends the rest and waits for room: for the end, when no packet is waiting any more.
    pub(crate) fn close(mut self, now: Timestamp, seen: Seen) {
        let message = self.message(now, seen);
        // A judge that is gone has already said why.
        drop(self.queue.send(message));
    }

    fn message(&mut self, now: Timestamp, seen: Seen) -> Message {
        let exchanges =
            std::mem::replace(&mut self.exchanges, Vec::with_capacity(MESSAGE_EXCHANGES));
        let notices = std::mem::take(&mut self.notices);
        Message { source: self.source, exchanges, notices, now, seen }
    }

    /// Halves the share of keys let through while the queue is nearly full, and gives back a
    /// sixteenth of it a message while there is room.
    fn adapt(&mut self) {
        let capacity = self.queue.capacity().unwrap_or(usize::MAX);
        let waiting = self.queue.len();
        if waiting > capacity / 4 * 3 {
            self.kept_keys = (self.kept_keys / 2).max(1);
        } else if waiting < capacity / 4 {
            self.kept_keys = (self.kept_keys + self.kept_keys / 16 + 1).min(ALL_KEYS);
        }
    }

    fn admits(&self, exchange: &Exchange) -> bool {
        Judge::key_hash(&self.policy, exchange)
            .is_none_or(|hash| ((hash >> 48) as u32) < self.kept_keys)
    }

    fn shed(&mut self, exchange: &Exchange) {
        let Some(origin) = exchange.origin else { return };
        let notice = ShedNotice {
            service: origin.service,
            leg: origin.leg,
            key_hash: Judge::key_hash(&self.policy, exchange),
            start: exchange.timing.start(),
            reason: ShedReason::QueueFull,
            count: 1,
        };
        if self.notices.len() < NAMED_NOTICES {
            self.notices.push(notice);
            return;
        }
        let same = |n: &&mut ShedNotice| {
            n.key_hash.is_none() && (n.service, n.leg) == (notice.service, notice.leg)
        };
        match self.notices.iter_mut().skip(NAMED_NOTICES).find(same) {
            Some(merged) => merged.count += 1,
            None => self.notices.push(ShedNotice { key_hash: None, ..notice }),
        }
    }
}

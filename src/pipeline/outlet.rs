//! The way out of a capture thread: bounded, and never waited for.
//!
//! Exchanges leave in messages of up to [`MESSAGE_EXCHANGES`]. When the queue is three quarters
//! full, a growing share of pair keys is shed, so both legs of a pair go together and what is left
//! is an unbiased sample; when it is full, the whole message is. Each exchange shed leaves a
//! [`ShedNotice`] that rides with the next message, so that it is counted and its partner does
//! not look unmirrored.

use std::sync::Arc;
use std::thread::Thread;

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
    #[expect(
        clippy::vec_box,
        reason = "boxed where they are made, and moved by pointer to the end"
    )]
    pub(crate) exchanges: Vec<Box<Exchange>>,
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
    /// Whom to wake when there is something in the queue.
    judge: Thread,
    #[expect(
        clippy::vec_box,
        reason = "boxed where they are made, and moved by pointer to the end"
    )]
    exchanges: Vec<Box<Exchange>>,
    notices: Vec<ShedNotice>,
    /// Keys whose hash lies below this are let through.
    kept_keys: u32,
}

impl Outlet {
    pub(crate) fn new(
        source: usize,
        policy: Arc<Policy>,
        queue: Sender<Message>,
        judge: Thread,
    ) -> Self {
        let exchanges = Vec::with_capacity(MESSAGE_EXCHANGES);
        Self { source, policy, queue, judge, exchanges, notices: Vec::new(), kept_keys: ALL_KEYS }
    }

    /// Takes one exchange. True: the message is full, and [`Outlet::flush`] is due.
    pub(crate) fn push(&mut self, exchange: Box<Exchange>) -> bool {
        if self.kept_keys < ALL_KEYS && !self.admits(&exchange) {
            self.shed(&exchange);
        } else {
            self.exchanges.push(exchange);
        }
        self.exchanges.len() >= MESSAGE_EXCHANGES
    }

    /// Sends what is there, or sheds it: returns at once. Wakes the judge if much waits for it.
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
        if self.queue.len() > self.queue.capacity().unwrap_or(0) / 4 {
            self.wake();
        }
    }

    /// Wakes the judge: for when no more comes for now. To wake it for each message costs more than
    /// to let it take several.
    pub(crate) fn wake(&self) {
        self.judge.unpark();
    }

    /// Sends the rest and waits for room: for the end, when no packet is waiting any more.
    pub(crate) fn close(mut self, now: Timestamp, seen: Seen) {
        let message = self.message(now, seen);
        // A judge that is gone has already said why.
        drop(self.queue.send(message));
        // It ends once no outlet is left: that is to be seen when it wakes.
        drop(self.queue);
        self.judge.unpark();
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

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use capture::{
        Body, Evidence, FieldsBuilder, Leg, Origin, Protocol, Request, Response, ServiceId, Timing,
        Version,
    };
    use compare::{Extractor, Mirror, Outcome, ServicePolicy, Window};

    fn policy() -> Arc<Policy> {
        let service = ServicePolicy {
            name: "shop".into(),
            mirror: Mirror::None,
            pair_by: vec![Extractor::Header("x-request-id".into())],
            ..ServicePolicy::new("shop")
        };
        Arc::new(Policy { services: vec![service], window: Window::default() })
    }

    /// `GET /` with the request id `id`, answered 200.
    fn exchange(id: usize, leg: Leg) -> Exchange {
        let at = Some(Timestamp::from_nanos(1_000_000_000 + id as u64));
        let mut request = FieldsBuilder::new();
        request.first_line(0, b"GET");
        request.first_line(1, b"/");
        request.field(b"x-request-id", format!("request-{id}").as_bytes());
        Exchange {
            origin: Some(Origin { service: ServiceId(0), leg }),
            client: "10.0.0.9:40000".parse().unwrap(),
            server: "10.0.0.1:80".parse().unwrap(),
            protocol: Protocol::Http1,
            stream_id: None,
            request: Some(Request {
                version: Version::Http11,
                fields: request.build(),
                body: Body::default(),
                trailers: FieldsBuilder::new().build(),
            }),
            response: Some(Response {
                version: Version::Http11,
                status: 200,
                fields: FieldsBuilder::new().build(),
                body: Body::default(),
                trailers: FieldsBuilder::new().build(),
            }),
            interim: Vec::new(),
            upgrade: None,
            timing: Timing {
                request_first: at,
                request_head: at,
                request_last: at,
                response_first: at,
                response_head: at,
                response_last: at,
            },
            evidence: Evidence::Complete,
        }
    }

    /// Outcomes of both legs, by `Outcome::index`.
    fn judge(messages: Vec<Message>) -> [Vec<u64>; 2] {
        let mut judge = Judge::new(policy());
        for message in messages {
            message.notices.into_iter().for_each(|notice| judge.push_shed(notice));
            message.exchanges.into_iter().for_each(|exchange| judge.push(exchange));
        }
        judge.finish();
        let mut sums = [vec![0; Outcome::ALL.len()], vec![0; Outcome::ALL.len()]];
        for rollup in judge.take_rollups() {
            for leg in [Leg::Primary, Leg::Shadow] {
                let counts = rollup.counts.legs[leg as usize].outcomes;
                sums[leg as usize].iter_mut().zip(counts).for_each(|(sum, n)| *sum += n);
            }
        }
        sums
    }

    #[test]
    fn a_full_queue_sheds_both_legs_of_a_pair_and_counts_them() {
        const PAIRS: usize = 2_000;
        let (sender, receiver) = queue(256);
        let mut outlet = Outlet::new(0, policy(), sender, thread::current());
        for id in 0..PAIRS {
            for leg in [Leg::Primary, Leg::Shadow] {
                if outlet.push(exchange(id, leg).into()) {
                    outlet.flush(Timestamp::ZERO, Seen::default());
                }
            }
        }
        let mut messages: Vec<Message> = receiver.try_iter().collect();
        outlet.close(Timestamp::ZERO, Seen::default());
        messages.extend(receiver.try_iter());

        let [primary, shadow] = judge(messages);
        let shed = Outcome::Shed(ShedReason::QueueFull).index();
        assert!(primary[shed] > 0, "a queue of 256 holds no {PAIRS} pairs");
        assert!(primary[Outcome::Compared.index()] > 0);
        assert_eq!(primary.iter().sum::<u64>(), PAIRS as u64);
        assert_eq!(primary, shadow, "no leg looks unmirrored because the other was shed");
        assert_eq!(primary[shed] + primary[Outcome::Compared.index()], PAIRS as u64);
    }

    #[test]
    fn with_room_nothing_is_shed() {
        let (sender, receiver) = queue(1_024);
        let mut outlet = Outlet::new(0, policy(), sender, thread::current());
        for id in 0..200 {
            if outlet.push(exchange(id, Leg::Primary).into()) {
                outlet.flush(Timestamp::ZERO, Seen::default());
            }
        }
        outlet.close(Timestamp::ZERO, Seen::default());
        let messages: Vec<Message> = receiver.try_iter().collect();
        assert!(messages.iter().all(|message| message.notices.is_empty()));
        assert_eq!(messages.iter().map(|message| message.exchanges.len()).sum::<usize>(), 200);
    }

    #[test]
    fn word_of_what_was_shed_is_bounded_and_still_counts_all() {
        let (sender, receiver) = queue(1);
        let mut outlet = Outlet::new(0, policy(), sender, thread::current());
        let one = exchange(0, Leg::Shadow);
        let many = NAMED_NOTICES + 10;
        for _ in 0..many {
            outlet.shed(&one);
        }
        assert_eq!(outlet.notices.len(), NAMED_NOTICES + 1);
        outlet.close(Timestamp::ZERO, Seen::default());
        let [_, shadow] = judge(receiver.try_iter().collect());
        assert_eq!(shadow.iter().sum::<u64>(), many as u64);
    }
}

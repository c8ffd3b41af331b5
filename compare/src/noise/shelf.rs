//! Answers that are kept to be compared with the next to the same request.

use std::collections::VecDeque;
use std::time::Duration;

use capture::{Body, Exchange, Fields, Request, Response, Timestamp};
use hashbrown::HashMap;

/// Answers kept, with those that were taken since the oldest of them.
const ANSWERS: usize = 65_536;

/// Bytes kept, over all services.
const BYTES: usize = 16 << 20;

/// Bytes of one answer; a larger one is not kept.
const ANSWER_BYTES: usize = 256 << 10;

/// How long an answer is kept.
const KEPT_FOR: Duration = Duration::from_secs(60);

/// An answer, and the request that it is for, without its body.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) request: Request,
    pub(crate) response: Response,
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
}

impl Answer {
    /// That of `exchange`, if it has one.
    pub(crate) fn of(exchange: &Exchange) -> Option<Self> {
        let (request, response) = exchange.request.as_ref().zip(exchange.response.as_ref())?;
        let request = Request {
            version: request.version,
            fields: request.fields.clone(),
            body: Body::default(),
            trailers: Fields::default(),
        };
        let (start, end) = (exchange.timing.start(), exchange.timing.end());
        Some(Self { request, response: response.clone(), start, end })
    }

    fn held_bytes(&self) -> usize {
        let Response { fields, trailers, body, .. } = &self.response;
        let heads = self.request.fields.held_bytes() + fields.held_bytes() + trailers.held_bytes();
        size_of::<Self>() + heads + body.held_bytes()
    }
}

/// Answers by request: at most [`BYTES`], and each for a minute. The oldest go first.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    answers: HashMap<u64, (u64, Answer)>,
    /// Request and number of each, in the order in which they came.
    queue: VecDeque<(u64, u64)>,
    /// Numbers them, so that one in the queue is told from one that came in its place.
    next: u64,
    bytes: usize,
}

impl Shelf {
    /// The answer that is kept for this request, which is kept no longer.
    pub(crate) fn take(&mut self, request: u64, now: Timestamp) -> Option<Answer> {
        let (_, answer) = self.answers.remove(&request)?;
        self.bytes -= answer.held_bytes();
        (now.since(answer.start) <= KEPT_FOR).then_some(answer)
    }

    /// Keeps an answer in place of the one that is kept for this request.
    pub(crate) fn put(&mut self, request: u64, answer: Answer) {
        let now = answer.start;
        let bytes = answer.held_bytes();
        if bytes > ANSWER_BYTES {
            return;
        }
        self.next += 1;
        self.bytes += bytes;
        if let Some((_, replaced)) = self.answers.insert(request, (self.next, answer)) {
            self.bytes -= replaced.held_bytes();
        }
        self.queue.push_back((request, self.next));
        while let Some(&(oldest, number)) = self.queue.front() {
            let held = self.answers.get(&oldest).filter(|(of, _)| *of == number);
            let over = self.bytes > BYTES || self.queue.len() > ANSWERS;
            if held.is_some_and(|(_, held)| !over && now.since(held.start) <= KEPT_FOR) {
                break;
            }
            if held.is_some()
                && let Some((_, gone)) = self.answers.remove(&oldest)
            {
                self.bytes -= gone.held_bytes();
            }
            self.queue.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Sample;

    fn answer(second: u64, bytes: usize) -> Answer {
        let exchange = Sample::new("1").body(vec![b'x'; bytes]).primary();
        let start = Timestamp::ZERO + Duration::from_secs(second);
        Answer { start, ..Answer::of(&exchange).unwrap() }
    }

    fn at(second: u64) -> Timestamp {
        Timestamp::ZERO + Duration::from_secs(second)
    }

    #[test]
    fn an_answer_is_taken_once_and_forgotten_after_a_minute() {
        let mut shelf = Shelf::default();
        shelf.put(7, answer(1, 10));
        assert!(shelf.take(8, at(2)).is_none());
        assert!(shelf.take(7, at(2)).is_some() && shelf.take(7, at(2)).is_none());
        shelf.put(7, answer(1, 10));
        assert!(shelf.take(7, at(62)).is_none());
        assert_eq!((shelf.bytes, shelf.answers.len()), (0, 0));
    }

    #[test]
    fn memory_is_bounded_whatever_is_kept() {
        let mut shelf = Shelf::default();
        for request in 0..3_000 {
            shelf.put(request % 1_000, answer(1, 20_000));
            shelf.put(request, answer(1, ANSWER_BYTES));
        }
        assert!(shelf.bytes <= BYTES && shelf.bytes > BYTES - 100_000, "{}", shelf.bytes);
        for request in 0..200_000_u64 {
            shelf.put(5_000 + request % 7, answer(1, 1));
        }
        assert!(shelf.queue.len() <= ANSWERS && shelf.bytes <= BYTES);
        shelf.put(1, answer(100, 1));
        assert_eq!((shelf.answers.len(), shelf.queue.len()), (1, 1));
        assert_eq!(shelf.bytes, answer(1, 1).held_bytes());
    }
}

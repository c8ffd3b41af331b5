//! A connection under test, and both ends of it: keeps offsets and acknowledgements as TCP would.

use std::collections::VecDeque;
use std::time::Duration;

use crate::context::Context;
use crate::flow::Direction::{self, ToClient, ToServer};
use crate::flow::FlowInfo;
use crate::keylog::KeyLog;
use crate::message::FieldSpans;
use crate::reassembly::{Chunk, Extent, Gap, GapCause};
use crate::{Anomalies, Anomaly, Exchange, Limits, Timestamp};

/// What a parser of one connection does with what comes over it.
pub(crate) trait Parser {
    fn push(&mut self, direction: Direction, chunk: Chunk<'_>, cx: &mut Context<'_>);
    fn gap(&mut self, direction: Direction, gap: Gap, cx: &mut Context<'_>);
    fn fin(&mut self, direction: Direction, at: Timestamp, cx: &mut Context<'_>);
    fn reset(&mut self, from: Direction, at: Timestamp, cx: &mut Context<'_>);
    fn expire(&mut self, now: Timestamp, cx: &mut Context<'_>);
    fn finish(&mut self, cx: &mut Context<'_>);
}

/// A connection, and what both ends have said.
pub(crate) struct Wire<P> {
    pub(crate) connection: P,
    pub(crate) limits: Limits,
    pub(crate) anomalies: Anomalies,
    pub(crate) body_bytes: usize,
    pub(crate) out: VecDeque<Box<Exchange>>,
    /// Bytes sent so far, by direction.
    pub(crate) sent: [u64; 2],
    pub(crate) now: Timestamp,
}

/// Between two made-up addresses.
pub(crate) fn info(late_join: bool) -> FlowInfo {
    FlowInfo {
        origin: None,
        client: "10.0.0.1:40000".parse().unwrap(),
        server: "10.0.0.2:8080".parse().unwrap(),
        late_join,
    }
}

impl<P: Parser> Wire<P> {
    /// Before anything was said.
    pub(crate) fn over(connection: P, limits: Limits) -> Self {
        Self {
            connection,
            limits,
            anomalies: Anomalies::default(),
            body_bytes: 0,
            out: VecDeque::new(),
            sent: [0; 2],
            now: Timestamp::from_nanos(1_000_000_000),
        }
    }

    pub(crate) fn run(&mut self, act: impl FnOnce(&mut P, &mut Context<'_>)) {
        let mut cx = Context {
            keys: &KeyLog::default(),
            limits: &self.limits,
            anomalies: &mut self.anomalies,
            body_bytes: &mut self.body_bytes,
            spans: &mut FieldSpans::default(),
            out: &mut self.out,
        };
        act(&mut self.connection, &mut cx);
    }

    /// One packet that acknowledges all that the other side has sent.
    pub(crate) fn say(&mut self, direction: Direction, bytes: impl AsRef<[u8]>) -> &mut Self {
        let acked = self.sent[direction.reverse() as usize];
        self.say_acking(direction, bytes, acked)
    }

    pub(crate) fn say_acking(
        &mut self,
        direction: Direction,
        bytes: impl AsRef<[u8]>,
        peer_offset: u64,
    ) -> &mut Self {
        let bytes = bytes.as_ref();
        self.now = self.now + Duration::from_micros(10);
        let (offset, at) = (self.sent[direction as usize], self.now);
        self.sent[direction as usize] += bytes.len() as u64;
        self.run(|c, cx| c.push(direction, Chunk { offset, bytes, at, peer_offset }, cx));
        self
    }

    pub(crate) fn client(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.say(ToServer, bytes)
    }

    pub(crate) fn server(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.say(ToClient, bytes)
    }

    pub(crate) fn lose(&mut self, direction: Direction, len: usize, cause: GapCause) -> &mut Self {
        let (offset, len, at) = (self.sent[direction as usize], len as u64, self.now);
        self.sent[direction as usize] += len;
        let gap = Gap { offset, len, at, cause, extent: Extent::Exact };
        self.run(|c, cx| c.gap(direction, gap, cx));
        self
    }

    pub(crate) fn miss(&mut self, direction: Direction, len: usize) -> &mut Self {
        self.lose(direction, len, GapCause::Missing)
    }

    pub(crate) fn fin(&mut self, direction: Direction) -> &mut Self {
        let at = self.now;
        self.run(|c, cx| c.fin(direction, at, cx));
        self
    }

    pub(crate) fn reset(&mut self, from: Direction) -> &mut Self {
        let at = self.now;
        self.run(|c, cx| c.reset(from, at, cx));
        self
    }

    pub(crate) fn wait(&mut self, seconds: u64) -> &mut Self {
        self.now = self.now + Duration::from_secs(seconds);
        let now = self.now;
        self.run(|c, cx| c.expire(now, cx));
        self
    }

    pub(crate) fn finish(&mut self) -> &mut Self {
        self.run(P::finish);
        assert_eq!(self.body_bytes, 0, "the budget is given back");
        self
    }

    pub(crate) fn next(&mut self) -> Exchange {
        *self.out.pop_front().expect("an exchange has left")
    }

    /// What has left, each as a [`summary`].
    pub(crate) fn left(&mut self) -> Vec<String> {
        self.out.drain(..).map(|exchange| summary(&exchange)).collect()
    }

    pub(crate) fn count(&self, anomaly: Anomaly) -> u64 {
        self.anomalies.count(anomaly)
    }
}

/// `target status evidence`, `-` for what is not there; before it the stream, where it has one.
pub(crate) fn summary(exchange: &Exchange) -> String {
    let stream = exchange.stream_id.map_or(String::new(), |id| format!("{id} "));
    let target = exchange
        .request
        .as_ref()
        .map_or("-".into(), |request| String::from_utf8_lossy(request.target()).into_owned());
    let status = exchange.response.as_ref().map_or("-".into(), |r| r.status.to_string());
    format!("{stream}{target} {status} {}", exchange.evidence.as_str())
}

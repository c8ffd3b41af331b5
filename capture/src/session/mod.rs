//! What a connection speaks: HTTP/1, HTTP/2, TLS with one of them inside, or nothing that is read.
//!
//! Owns the choice of parser by a connection's first bytes, and the change from one to another:
//! what follows a PROXY header or a SOCKS handshake ([`handshake`]), plaintext out of TLS, HTTP/2
//! after an `Upgrade: h2c`. Refuses to parse any of them.
//!
//! Invariants:
//! - Nothing is lost by not knowing yet: bytes that do not tell are kept ([`prelude`]) and given to
//!   the parser with their own times and offsets, in their order. They are few, and capped.
//! - A connection joined in its middle is looked at until something of HTTP was seen on it.

mod handshake;
mod prelude;

use handshake::{Begins, Handshake, Passed};
use prelude::{Early, Prelude};

use crate::context::Context;
use crate::flow::{Direction, FlowInfo};
use crate::reassembly::{Chunk, Gap};
use crate::{Anomaly, Limits, Timestamp, http1, http2, tls};

/// One connection, whatever it speaks.
#[derive(Debug)]
pub(crate) struct Session {
    info: FlowInfo,
    speaks: Speaks,
    /// Inside TLS: its plaintext is no TLS again.
    inside: bool,
    /// Behind a PROXY header or a SOCKS handshake: at most one of each is passed over.
    behind: Behind,
}

/// What was passed over already.
#[derive(Clone, Copy, Debug, Default)]
struct Behind {
    proxy: bool,
    socks: bool,
}

#[derive(Debug)]
enum Speaks {
    Unknown(Prelude),
    Http1(Box<http1::Connection>),
    Http2(Box<http2::Connection>),
    Tls(Box<Secured>),
    Behind(Box<Introduced>),
}

/// A handshake on the way, and what follows it.
#[derive(Debug)]
struct Introduced {
    handshake: Handshake,
    /// Where a direction is through and the other is not, its bytes are here already.
    then: Session,
}

/// A TLS connection and what it carries.
#[derive(Debug)]
struct Secured {
    tls: tls::Connection,
    inside: Session,
}

/// What bytes tell of their protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Http1,
    Http2,
    Tls,
    Handshake(Begins),
}

impl Session {
    /// A connection of which nothing was seen yet.
    pub(crate) fn new(info: FlowInfo) -> Self {
        Self {
            info,
            speaks: Speaks::Unknown(Prelude::default()),
            inside: false,
            behind: Behind::default(),
        }
    }

    /// Takes the next bytes of a direction.
    pub(crate) fn push(&mut self, direction: Direction, chunk: Chunk<'_>, cx: &mut Context<'_>) {
        if let Some(told) = self.told_late(direction, &chunk) {
            self.become_told(told);
        }
        let sniff = Sniff {
            tls: !self.inside,
            // Only what a connection begins with introduces it.
            handshake: !(self.info.late_join || self.behind.proxy && self.behind.socks),
            behind: self.behind,
        };
        match &mut self.speaks {
            Speaks::Unknown(prelude) => match told(direction, prelude, &chunk, sniff) {
                Some(told) => {
                    let early = std::mem::take(prelude);
                    self.become_told(told);
                    self.replay(early, cx);
                    self.push(direction, chunk, cx);
                }
                None => {
                    if !prelude.keep(direction, &chunk) {
                        let early = std::mem::take(prelude);
                        self.become_told(Told::Http1);
                        self.replay(early, cx);
                        self.push(direction, chunk, cx);
                    }
                }
            },
            Speaks::Http1(http1) => {
                if let Some(handover) = http1.push(direction, chunk, cx) {
                    let rest = chunk.after(handover.used);
                    let exchange = handover.exchange;
                    let http2 = http2::Connection::upgraded(self.info, exchange, chunk.at);
                    self.speaks = Speaks::Http2(Box::new(http2));
                    if let Some(rest) = rest {
                        self.push(direction, rest, cx);
                    }
                }
            }
            Speaks::Http2(http2) => http2.push(direction, chunk, cx),
            Speaks::Tls(secured) => secured.tls.push(direction, chunk, cx, &mut secured.inside),
            Speaks::Behind(introduced) => {
                introduced.push(direction, chunk, cx);
                self.introduce();
            }
        }
    }

    /// The next bytes of a direction will never come.
    pub(crate) fn gap(&mut self, direction: Direction, gap: Gap, cx: &mut Context<'_>) {
        match &mut self.speaks {
            Speaks::Unknown(prelude) => {
                if !prelude.keep_gap(direction, gap) {
                    self.settle(cx);
                    self.gap(direction, gap, cx);
                }
            }
            Speaks::Http1(http1) => http1.gap(direction, gap, cx),
            Speaks::Http2(http2) => http2.gap(direction, gap, cx),
            Speaks::Tls(secured) => secured.tls.gap(direction, gap, cx, &mut secured.inside),
            Speaks::Behind(introduced) => {
                introduced.give_up();
                introduced.then.gap(direction, gap, cx);
                self.introduce();
            }
        }
    }

    /// A direction has ended; all its bytes were given.
    pub(crate) fn fin(&mut self, direction: Direction, at: Timestamp, cx: &mut Context<'_>) {
        self.settle(cx);
        match &mut self.speaks {
            Speaks::Unknown(_) => {}
            Speaks::Http1(http1) => http1.fin(direction, at, cx),
            Speaks::Http2(http2) => http2.fin(direction, at, cx),
            Speaks::Tls(secured) => secured.tls.fin(direction, at, cx, &mut secured.inside),
            Speaks::Behind(introduced) => introduced.then.fin(direction, at, cx),
        }
    }

    /// A direction was reset by the side that sends in it: nothing more comes in either.
    pub(crate) fn reset(&mut self, from: Direction, at: Timestamp, cx: &mut Context<'_>) {
        self.settle(cx);
        match &mut self.speaks {
            Speaks::Unknown(_) => {}
            Speaks::Http1(http1) => http1.reset(from, at, cx),
            Speaks::Http2(http2) => http2.reset(from, at, cx),
            Speaks::Tls(secured) => secured.tls.reset(from, at, cx, &mut secured.inside),
            Speaks::Behind(introduced) => introduced.then.reset(from, at, cx),
        }
    }

    /// Gives up what has waited too long by `now`.
    pub(crate) fn expire(&mut self, now: Timestamp, cx: &mut Context<'_>) {
        match &mut self.speaks {
            Speaks::Unknown(_) => {}
            Speaks::Http1(http1) => http1.expire(now, cx),
            Speaks::Http2(http2) => http2.expire(now, cx),
            Speaks::Tls(secured) => {
                secured.tls.expire(now, cx, &mut secured.inside);
                secured.inside.expire(now, cx);
            }
            Speaks::Behind(introduced) => introduced.then.expire(now, cx),
        }
    }

    /// When [`Session::expire`] has something to do, at the earliest.
    pub(crate) fn deadline(&self, limits: &Limits) -> Option<Timestamp> {
        match &self.speaks {
            Speaks::Unknown(_) => None,
            Speaks::Http1(http1) => http1.deadline(limits),
            Speaks::Http2(http2) => http2.deadline(limits),
            Speaks::Tls(secured) => {
                let deadlines = [secured.tls.deadline(limits), secured.inside.deadline(limits)];
                deadlines.into_iter().flatten().min()
            }
            Speaks::Behind(introduced) => introduced.then.deadline(limits),
        }
    }

    /// The capture has ended, or nobody remembers the connection any longer.
    pub(crate) fn finish(&mut self, cx: &mut Context<'_>) {
        self.settle(cx);
        match &mut self.speaks {
            Speaks::Unknown(_) => {}
            Speaks::Http1(http1) => http1.finish(cx),
            Speaks::Http2(http2) => http2.finish(cx),
            Speaks::Tls(secured) => {
                secured.tls.finish(cx, &mut secured.inside);
                secured.inside.finish(cx);
            }
            Speaks::Behind(introduced) => introduced.then.finish(cx),
        }
    }

    /// Whether it is known what it speaks.
    pub(crate) fn has_spoken(&self) -> bool {
        match &self.speaks {
            Speaks::Unknown(_) => false,
            Speaks::Http1(http1) => http1.has_spoken(),
            Speaks::Http2(_) | Speaks::Tls(_) | Speaks::Behind(_) => true,
        }
    }

    /// Whether bytes wait for the key that opens them.
    pub(crate) fn waits_for_keys(&self) -> bool {
        matches!(&self.speaks, Speaks::Tls(secured) if secured.tls.waits_for_keys())
    }

    /// Opens what can be opened with the keys that came meanwhile.
    pub(crate) fn retry_keys(&mut self, cx: &mut Context<'_>) {
        if let Speaks::Tls(secured) = &mut self.speaks {
            secured.tls.retry(cx, &mut secured.inside);
        }
    }

    /// Tells once of a connection that could not be read.
    pub(crate) fn take_opaque(&mut self) -> Option<Box<tls::Opaque>> {
        match &mut self.speaks {
            Speaks::Tls(secured) => secured.tls.take_opaque(),
            _ => None,
        }
    }

    /// Bytes of memory held, bodies left out: they have a budget of their own.
    pub(crate) fn held_bytes(&self) -> usize {
        match &self.speaks {
            Speaks::Unknown(prelude) => prelude.held_bytes(),
            Speaks::Http1(http1) => http1.held_bytes(),
            Speaks::Http2(http2) => http2.held_bytes(),
            Speaks::Tls(secured) => secured.tls.held_bytes() + secured.inside.held_bytes(),
            Speaks::Behind(introduced) => {
                introduced.handshake.held_bytes() + introduced.then.held_bytes()
            }
        }
    }

    /// On a connection joined in its middle, and not recognised so far: what `chunk` tells.
    fn told_late(&self, direction: Direction, chunk: &Chunk<'_>) -> Option<Told> {
        let Speaks::Http1(http1) = &self.speaks else { return None };
        if !self.info.late_join || http1.has_spoken() {
            return None;
        }
        if !self.inside && tls::begins_record(chunk.bytes) == Some(true) {
            return Some(Told::Tls);
        }
        (http2::begins_frames(direction, chunk.bytes) == Some(true)).then_some(Told::Http2)
    }

    /// Where it is not known yet and no more will come that could tell: HTTP/1.
    fn settle(&mut self, cx: &mut Context<'_>) {
        if let Speaks::Unknown(prelude) = &mut self.speaks
            && !prelude.is_empty()
        {
            let early = std::mem::take(prelude);
            self.become_told(Told::Http1);
            self.replay(early, cx);
        }
    }

    fn become_told(&mut self, told: Told) {
        self.speaks = match told {
            Told::Http1 => Speaks::Http1(Box::new(http1::Connection::new(self.info))),
            Told::Http2 => Speaks::Http2(Box::new(http2::Connection::new(self.info))),
            Told::Tls => Speaks::Tls(Box::new(Secured {
                tls: tls::Connection::new(),
                inside: Self {
                    info: self.info,
                    speaks: Speaks::Unknown(Prelude::default()),
                    inside: true,
                    behind: self.behind,
                },
            })),
            Told::Handshake(kind) => {
                let mut behind = self.behind;
                match kind {
                    Begins::Proxy => behind.proxy = true,
                    Begins::Socks => behind.socks = true,
                }
                let then = Self {
                    info: self.info,
                    speaks: Speaks::Unknown(Prelude::default()),
                    inside: self.inside,
                    behind,
                };
                let handshake = Handshake::new(kind);
                Speaks::Behind(Box::new(Introduced { handshake, then }))
            }
        };
    }

    /// Goes on as what a handshake introduced, once both directions are through.
    fn introduce(&mut self) {
        if let Speaks::Behind(introduced) = &mut self.speaks
            && Direction::BOTH.into_iter().all(|way| introduced.handshake.is_through(way))
        {
            let nothing = Speaks::Unknown(Prelude::default());
            let speaks = std::mem::replace(&mut introduced.then.speaks, nothing);
            (self.info, self.behind) = (introduced.then.info, introduced.then.behind);
            self.speaks = speaks;
        }
    }

    fn replay(&mut self, early: Prelude, cx: &mut Context<'_>) {
        for event in early.into_events() {
            match event {
                Early::Bytes { direction, offset, bytes, at, peer_offset } => {
                    self.push(direction, Chunk { offset, bytes: &bytes, at, peer_offset }, cx);
                }
                Early::Gap { direction, gap } => self.gap(direction, gap, cx),
            }
        }
    }
}

impl Introduced {
    fn push(&mut self, direction: Direction, chunk: Chunk<'_>, cx: &mut Context<'_>) {
        if self.handshake.is_through(direction) {
            return self.then.push(direction, chunk, cx);
        }
        match self.handshake.push(direction, chunk.bytes) {
            Passed::All => {}
            Passed::Through { used } => {
                if Direction::BOTH.into_iter().all(|way| self.handshake.is_through(way)) {
                    cx.anomalies.note(self.handshake.anomaly());
                }
                if let Some(rest) = chunk.after(used) {
                    self.then.push(direction, rest, cx);
                }
            }
            Passed::Broken => {
                cx.anomalies.note(Anomaly::NotHttp);
                self.give_up();
            }
        }
    }

    /// The rest has no certain beginning: it is looked at as that of a connection joined late.
    fn give_up(&mut self) {
        self.handshake.give_up();
        self.then.info.late_join = true;
    }
}

/// What is looked for in a connection's first bytes besides HTTP.
#[derive(Clone, Copy)]
struct Sniff {
    tls: bool,
    handshake: bool,
    behind: Behind,
}

/// What a direction's first bytes tell, with those that were kept before them. `None`: not yet.
fn told(direction: Direction, prelude: &Prelude, chunk: &Chunk<'_>, sniff: Sniff) -> Option<Told> {
    let joined;
    let bytes = match prelude.bytes_of(direction) {
        kept if kept.is_empty() => chunk.bytes,
        kept => {
            joined = [kept, chunk.bytes.to_vec()].concat();
            &joined
        }
    };
    if sniff.handshake && direction == Direction::ToServer {
        match handshake::begins(bytes) {
            Err(handshake::TooFew) => return None,
            Ok(Some(Begins::Proxy)) if !sniff.behind.proxy => {
                return Some(Told::Handshake(Begins::Proxy));
            }
            Ok(Some(Begins::Socks)) if !sniff.behind.socks => {
                return Some(Told::Handshake(Begins::Socks));
            }
            Ok(_) => {}
        }
    }
    if sniff.tls && tls::begins_record(bytes)? {
        return Some(Told::Tls);
    }
    let http2 = match direction {
        Direction::ToServer => match http2::begins_with_preface(bytes)? {
            true => true,
            false => http2::begins_frames(direction, bytes)?,
        },
        Direction::ToClient => http2::begins_frames(direction, bytes)?,
    };
    Some(if http2 { Told::Http2 } else { Told::Http1 })
}

impl tls::Plaintext for Session {
    fn chunk(&mut self, direction: Direction, chunk: Chunk<'_>, cx: &mut Context<'_>) {
        self.push(direction, chunk, cx);
    }

    fn gap(&mut self, direction: Direction, gap: Gap, cx: &mut Context<'_>) {
        Session::gap(self, direction, gap, cx);
    }

    fn fin(&mut self, direction: Direction, at: Timestamp, cx: &mut Context<'_>) {
        Session::fin(self, direction, at, cx);
    }

    fn reset(&mut self, from: Direction, at: Timestamp, cx: &mut Context<'_>) {
        Session::reset(self, from, at, cx);
    }

    fn protocol(&mut self, alpn: &[u8]) {
        if let Speaks::Unknown(prelude) = &self.speaks
            && prelude.is_empty()
        {
            match alpn {
                b"h2" => self.become_told(Told::Http2),
                b"http/1.1" | b"http/1.0" => self.become_told(Told::Http1),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;

//! Mirrored traffic as a capture: what was asked, what both legs answered, and what must be found.

use std::time::Duration;

use fastrand::Rng;

use crate::change::{Expected, WRONG, say_otherwise};
use crate::service::{Asked, Instance, Kind, THINGS, uuid};
use crate::wire::{CaptureWriter, Connection, Sender};

/// Pairs before the first that is wrong: what the tap may take to learn what varies by itself.
const WARM_UP: usize = 2_000;

/// The same with a second copy of the primary's version.
const WARM_UP_WITH_SECONDARY: usize = 300;

/// Connections to each leg.
const CONNECTIONS: usize = 8;

/// Between two requests.
const EVERY: Duration = Duration::from_millis(6);

/// 2025-10-09T08:53:20Z.
const START: Duration = Duration::from_secs(1_760_000_000);

const SEGMENT_BYTES: usize = 1_448;

/// A capture, and the truth about it.
#[derive(Debug)]
pub(crate) struct Play {
    pub(crate) capture: Vec<u8>,
    pub(crate) pairs: Vec<Truth>,
    /// Before the first that is wrong.
    pub(crate) warm_up: usize,
    /// By packet, the pair that it belongs to; `None` for handshakes.
    owners: Vec<Option<usize>>,
}

/// The truth about one pair.
#[derive(Debug)]
pub(crate) struct Truth {
    pub(crate) request_id: String,
    /// The class of what is wrong; empty for nothing.
    pub(crate) class: &'static str,
    pub(crate) expected: Vec<Expected>,
}

impl Play {
    /// `pairs` mirrored requests. The same for the same arguments.
    pub(crate) fn new(pairs: usize, seed: u64) -> Self {
        Self::with((WARM_UP, 5), pairs, false, seed)
    }

    /// The same with a second copy of the primary's version, which gets each request too.
    pub(crate) fn with_secondary(pairs: usize, seed: u64) -> Self {
        Self::with((WARM_UP_WITH_SECONDARY, 5), pairs, true, seed)
    }

    /// So few that all of them are kept as examples, each wrong in its own way.
    pub(crate) fn short(pairs: usize, seed: u64) -> Self {
        Self::with((0, 1), pairs, false, seed)
    }

    /// One of `every` pairs is wrong from that of number `first` on.
    fn with((first, every): (usize, usize), pairs: usize, has_secondary: bool, seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mut primary = Instance::new("primary-1", rng.u64(..), 1_000);
        let mut shadow = Instance::new("shadow-1", rng.u64(..), 400_000);
        let mut secondary = has_secondary.then(|| Instance::new("primary-2", rng.u64(..), 90_000));
        let mut events = Vec::new();
        let mut truths = Vec::new();
        let mut turns = vec![0; WRONG.len()];
        for n in 0..pairs {
            let at = START + EVERY * n as u32;
            let asked = Asked {
                kind: Kind::any(&mut rng),
                thing: rng.u64(..THINGS),
                request_id: uuid(&mut rng),
            };
            let (mut ours, mut theirs) = (asked.answer(), asked.answer());
            primary.vary(&mut ours, &asked, at + Duration::from_millis(2));
            shadow.vary(&mut theirs, &asked, at + Duration::from_millis(3));
            let (mut class, mut expected) = ("", Vec::new());
            if n >= first && n % every == 0 {
                // Of the classes that apply, the one that had its turn least often.
                let mut order: Vec<usize> = (0..WRONG.len()).collect();
                order.sort_by_key(|class| turns[*class]);
                if every == 1 {
                    // Else short plays would all begin with the same classes.
                    order.rotate_left(usize::try_from(seed).unwrap() * pairs % WRONG.len());
                }
                for at in order {
                    let (name, wrong) = &WRONG[at];
                    let mut answer = theirs.clone();
                    if let Some(found) = wrong(&mut answer, &mut rng) {
                        (theirs, class, expected) = (answer, *name, found);
                        turns[at] += 1;
                        break;
                    }
                }
            } else if n % 5 == 1 {
                say_otherwise(&mut theirs, &mut rng);
            }
            let seconds = secondary.as_mut().map(|secondary| {
                let mut answer = asked.answer();
                secondary.vary(&mut answer, &asked, at + Duration::from_millis(3));
                answer
            });
            for (leg, answer) in [&ours, &theirs].into_iter().chain(&seconds).enumerate() {
                let connection = leg * CONNECTIONS + n % CONNECTIONS;
                let begin = at + Duration::from_micros(150 * leg as u64);
                let answered = begin + Duration::from_micros(2_000 + rng.u64(..2_000));
                let event = |at, sender, bytes| Event { at, pair: n, connection, sender, bytes };
                events.push(event(begin, Sender::Client, request(&asked, leg)));
                let message = answer.message(&mut rng);
                for (part, bytes) in message.chunks(SEGMENT_BYTES).enumerate() {
                    let at = answered + Duration::from_micros(5 * part as u64);
                    events.push(event(at, Sender::Server, bytes.to_vec()));
                }
                events.push(event(
                    answered + Duration::from_micros(200),
                    Sender::Client,
                    Vec::new(),
                ));
            }
            truths.push(Truth { request_id: asked.request_id, class, expected });
        }
        events.sort_by_key(|event| event.at);
        let (capture, owners) = written(&events, if has_secondary { 3 } else { 2 });
        Self { capture, pairs: truths, warm_up: first, owners }
    }

    /// The capture with this share of its packets lost, and for each pair whether one of its own
    /// packets is, or one of those before and after it on its connections.
    pub(crate) fn lose(&self, share: f64, seed: u64) -> (Vec<u8>, Vec<bool>) {
        let mut rng = Rng::with_seed(seed);
        let mut touched = vec![false; self.pairs.len()];
        let mut left = self.capture[..24].to_vec();
        let mut at = 24;
        for owner in &self.owners {
            let length = u32::from_le_bytes(self.capture[at + 8..at + 12].try_into().unwrap());
            let record = &self.capture[at..at + 16 + length as usize];
            at += record.len();
            match owner {
                Some(pair) if rng.f64() < share => {
                    for near in [pair.wrapping_sub(CONNECTIONS), *pair, pair + CONNECTIONS] {
                        if let Some(near) = touched.get_mut(near) {
                            *near = true;
                        }
                    }
                }
                _ => left.extend_from_slice(record),
            }
        }
        (left, touched)
    }
}

struct Event {
    at: Duration,
    pair: usize,
    connection: usize,
    sender: Sender,
    bytes: Vec<u8>,
}

fn request(asked: &Asked, leg: usize) -> Vec<u8> {
    let is_copy = leg > 0;
    let suffix = if is_copy { "-shadow" } else { "" };
    let more = if is_copy { "x-envoy-internal: true\r\n" } else { "" };
    format!(
        "GET {} HTTP/1.1\r\nhost: shop.example{suffix}:8080\r\nx-request-id: {}\r\n{more}\
         accept: */*\r\n\r\n",
        asked.target(),
        asked.request_id
    )
    .into_bytes()
}

fn written(events: &[Event], legs: u16) -> (Vec<u8>, Vec<Option<usize>>) {
    let nanos = |at: Duration| u64::try_from(at.as_nanos()).unwrap();
    let mut bytes = Vec::new();
    let mut capture = CaptureWriter::new(&mut bytes).unwrap();
    let mut owners = Vec::new();
    let mut connections: Vec<Connection> = (0..legs * CONNECTIONS as u16)
        .map(|n| {
            let leg = (n / CONNECTIONS as u16) as u8;
            let isn = u32::from(n) * 1_000_003;
            Connection::new(([10, 9, 1, 1], 40_000 + n), ([10, 9, 1, 11 + leg], 8080), isn, !isn)
        })
        .collect();
    let opened = nanos(START) - 100_000_000;
    for (n, connection) in connections.iter_mut().enumerate() {
        connection.open(&mut capture, opened + n as u64 * 1_000_000).unwrap();
        owners.extend([None; 3]);
    }
    for event in events {
        let connection = &mut connections[event.connection];
        connection.send(&mut capture, nanos(event.at), event.sender, &event.bytes).unwrap();
        owners.push(Some(event.pair));
    }
    let closed = events.last().map_or(opened, |event| nanos(event.at)) + 50_000_000;
    for (n, connection) in connections.iter_mut().enumerate() {
        connection.close(&mut capture, closed + n as u64 * 1_000_000).unwrap();
        owners.extend([None; 3]);
    }
    capture.finish().unwrap();
    (bytes, owners)
}

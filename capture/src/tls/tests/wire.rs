//! Both ends of a connection, played by the tests: what they write is sealed here with the keys of
//! a log.

use std::collections::VecDeque;
use std::time::Duration;

use aes_gcm::aead::AeadInOut as _;
use aes_gcm::{Aes128Gcm, KeyInit as _};

use super::super::derive::Agreed;
use super::super::*;
use super::{ToClient, ToServer};
use crate::Anomalies;
use crate::keylog::{KeyLog, Secret};
use crate::reassembly::Extent;

pub(super) const CLIENT_RANDOM: [u8; 32] = [0xc1; 32];
pub(super) const SERVER_RANDOM: [u8; 32] = [0x5e; 32];

/// The secret of an epoch of a direction: its bytes are of no meaning.
pub(super) fn secret_of(direction: Direction, epoch: Epoch) -> Secret {
    let byte = 16 * (direction as u8 + 1) + epoch as u8;
    Secret::new(&[byte; 32]).unwrap()
}

pub(super) fn master() -> Secret {
    Secret::new(&[0x77; 48]).unwrap()
}

/// The key log of the session, without the labels named.
pub(super) fn key_log(without: &[&str]) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let secrets = [
        ("CLIENT_RANDOM", master()),
        ("CLIENT_EARLY_TRAFFIC_SECRET", secret_of(ToServer, Epoch::Early)),
        ("CLIENT_HANDSHAKE_TRAFFIC_SECRET", secret_of(ToServer, Epoch::Handshake)),
        ("SERVER_HANDSHAKE_TRAFFIC_SECRET", secret_of(ToClient, Epoch::Handshake)),
        ("CLIENT_TRAFFIC_SECRET_0", secret_of(ToServer, Epoch::Traffic)),
        ("SERVER_TRAFFIC_SECRET_0", secret_of(ToClient, Epoch::Traffic)),
    ];
    secrets
        .iter()
        .filter(|(label, _)| !without.contains(label))
        .map(|(label, secret)| format!("{label} {} {}\n", hex(&CLIENT_RANDOM), hex(secret.bytes())))
        .collect()
}

pub(super) fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let [_, high, middle, low] = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[kind, high, middle, low], body].concat()
}

pub(super) fn extension(kind: u16, data: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &u16::try_from(data.len()).unwrap().to_be_bytes(), data].concat()
}

pub(super) fn clear(content: u8, body: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(body.len()).unwrap().to_be_bytes();
    [&[content, 3, 3, high, low], body].concat()
}

pub(super) fn client_hello_with(extensions: &[Vec<u8>]) -> Vec<u8> {
    let name = b"\x00\x13\x00\x00\x10shop.example.com";
    let mut all = vec![extension(0, name), extension(16, b"\x00\x0c\x02h2\x08http/1.1")];
    all.extend_from_slice(extensions);
    let extensions = all.concat();
    let body = [
        &[3, 3][..],
        &CLIENT_RANDOM,
        &[0, 0, 2, 0x13, 0x01, 1, 0],
        &u16::try_from(extensions.len()).unwrap().to_be_bytes(),
        &extensions,
    ];
    clear(HANDSHAKE, &message(1, &body.concat()))
}

pub(super) fn client_hello() -> Vec<u8> {
    client_hello_with(&[])
}

pub(super) fn server_hello_with(random: [u8; 32], suite: u16, extensions: &[Vec<u8>]) -> Vec<u8> {
    let extensions = extensions.concat();
    let body = [
        &[3, 3][..],
        &random,
        &[0],
        &suite.to_be_bytes(),
        &[0],
        &u16::try_from(extensions.len()).unwrap().to_be_bytes(),
        &extensions,
    ];
    clear(HANDSHAKE, &message(2, &body.concat()))
}

/// A ServerHello of TLS 1.3 with AES-128-GCM.
pub(super) fn server_hello() -> Vec<u8> {
    server_hello_with(SERVER_RANDOM, 0x1301, &[extension(43, &[3, 4])])
}

/// Seals records with the keys of an epoch.
pub(super) struct Sealer {
    pub(super) cipher: Aes128Gcm,
    pub(super) iv: Vec<u8>,
    pub(super) sequence: u64,
    pub(super) is_tls13: bool,
}

pub(super) const SUITE13: u16 = 0x1301;
pub(super) const SUITE12: u16 = 0xc02f;

impl Sealer {
    pub(super) fn tls13(secret: &Secret) -> Self {
        Self::of(&derive::traffic_keys(Suite::of(SUITE13).unwrap(), secret), true)
    }

    pub(super) fn epoch(direction: Direction, epoch: Epoch) -> Self {
        Self::tls13(&secret_of(direction, epoch))
    }

    pub(super) fn tls12(direction: Direction) -> Self {
        let agreed = Agreed {
            version: Version::Tls12,
            suite: Suite::of(SUITE12).unwrap(),
            master: &master(),
            client_random: &CLIENT_RANDOM,
            server_random: &SERVER_RANDOM,
        };
        Self::of(&derive::master_keys(&agreed, direction), false)
    }

    pub(super) fn of(keys: &derive::Keys, is_tls13: bool) -> Self {
        let cipher = Aes128Gcm::new_from_slice(&keys.key).unwrap();
        Self { cipher, iv: keys.iv.to_vec(), sequence: 0, is_tls13 }
    }

    pub(super) fn seal(&mut self, content: u8, plain: &[u8]) -> Vec<u8> {
        let sequence = self.sequence.to_be_bytes();
        self.sequence += 1;
        if self.is_tls13 {
            let mut data = [plain, &[content], &[0; 3]].concat();
            let [high, low] = u16::try_from(data.len() + 16).unwrap().to_be_bytes();
            let header = [APPLICATION_DATA, 3, 3, high, low];
            let mut nonce = <[u8; 12]>::try_from(&self.iv[..]).unwrap();
            nonce[4..].iter_mut().zip(sequence).for_each(|(byte, number)| *byte ^= number);
            let tag = self.cipher.encrypt_inout_detached(
                &nonce.into(),
                &header,
                data.as_mut_slice().into(),
            );
            return [&header[..], &data, &tag.unwrap()].concat();
        }
        let mut data = plain.to_vec();
        let nonce = <[u8; 12]>::try_from([&self.iv[..], &sequence].concat()).unwrap();
        let len = u16::try_from(plain.len()).unwrap().to_be_bytes();
        let associated = [&sequence[..], &[content, 3, 3], &len].concat();
        let tag = self.cipher.encrypt_inout_detached(
            &nonce.into(),
            &associated,
            data.as_mut_slice().into(),
        );
        clear(content, &[&sequence[..], &data, &tag.unwrap()].concat())
    }

    pub(super) fn data(&mut self, plain: &[u8]) -> Vec<u8> {
        self.seal(APPLICATION_DATA, plain)
    }
}

/// What came out.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plain {
    pub(super) bytes: [Vec<u8>; 2],
    /// Offset and peer offset of each chunk, by direction.
    pub(super) chunks: [Vec<(u64, u64)>; 2],
    /// Offsets at which something is missing, by direction.
    pub(super) gaps: [Vec<u64>; 2],
    pub(super) next: [u64; 2],
    pub(super) ended: [bool; 2],
    pub(super) protocol: Vec<u8>,
    /// In the order in which it came: direction and bytes.
    pub(super) order: Vec<(bool, Vec<u8>)>,
}

impl Plaintext for Plain {
    fn chunk(&mut self, direction: Direction, chunk: Chunk<'_>, _: &mut Context<'_>) {
        let index = direction as usize;
        assert_eq!(chunk.offset, self.next[index], "no byte is skipped or given twice");
        assert!(!chunk.bytes.is_empty() && !self.ended[index]);
        assert!(chunk.peer_offset <= self.next[1 - index], "never beyond what was given");
        self.next[index] += chunk.bytes.len() as u64;
        self.bytes[index].extend_from_slice(chunk.bytes);
        self.chunks[index].push((chunk.offset, chunk.peer_offset));
        self.order.push((direction == ToServer, chunk.bytes.to_vec()));
    }

    fn gap(&mut self, direction: Direction, gap: Gap, _: &mut Context<'_>) {
        let index = direction as usize;
        assert_eq!((gap.offset, gap.extent), (self.next[index], Extent::Estimated));
        assert!(gap.len > 0);
        self.gaps[index].push(gap.offset);
        self.next[index] += gap.len;
    }

    fn fin(&mut self, direction: Direction, _: Timestamp, _: &mut Context<'_>) {
        assert!(!std::mem::replace(&mut self.ended[direction as usize], true), "one end each");
    }

    fn reset(&mut self, _: Direction, _: Timestamp, _: &mut Context<'_>) {
        self.ended = [true; 2];
    }

    fn protocol(&mut self, alpn: &[u8]) {
        self.protocol = alpn.to_vec();
    }
}

/// A connection under test, and the offsets that TCP would keep.
pub(super) struct Wire {
    pub(super) connection: Connection,
    pub(super) keys: KeyLog,
    pub(super) limits: Limits,
    pub(super) anomalies: Anomalies,
    pub(super) sent: [u64; 2],
    pub(super) now: Timestamp,
    pub(super) plain: Plain,
}

impl Wire {
    pub(super) fn with_keys(keys: &str) -> Self {
        let mut wire = Self {
            connection: Connection::new(),
            keys: KeyLog::default(),
            limits: Limits::default(),
            anomalies: Anomalies::default(),
            sent: [0; 2],
            now: Timestamp::from_nanos(1_000_000_000),
            plain: Plain::default(),
        };
        wire.learn(keys);
        wire
    }

    pub(super) fn new() -> Self {
        Self::with_keys(&key_log(&[]))
    }

    pub(super) fn run(&mut self, act: impl FnOnce(&mut Connection, &mut Context<'_>, &mut Plain)) {
        let (mut body_bytes, mut out) = (0, VecDeque::new());
        let mut cx = Context {
            keys: &self.keys,
            limits: &self.limits,
            anomalies: &mut self.anomalies,
            body_bytes: &mut body_bytes,
            spans: &mut crate::message::FieldSpans::default(),
            out: &mut out,
        };
        act(&mut self.connection, &mut cx, &mut self.plain);
    }

    pub(super) fn learn(&mut self, text: &str) {
        self.keys.push(text.as_bytes(), &self.limits, &mut self.anomalies);
        self.run(|connection, cx, plain| connection.retry(cx, plain));
    }

    /// Bytes in one packet that acknowledges all that came the other way.
    pub(super) fn send(&mut self, direction: Direction, bytes: &[u8]) {
        let (offset, peer_offset) =
            (self.sent[direction as usize], self.sent[direction.reverse() as usize]);
        self.sent[direction as usize] += bytes.len() as u64;
        let chunk = Chunk { offset, bytes, at: self.now, peer_offset };
        self.run(|connection, cx, plain| connection.push(direction, chunk, cx, plain));
    }

    pub(super) fn lose(&mut self, direction: Direction, len: usize) {
        let (offset, len) = (self.sent[direction as usize], len as u64);
        self.sent[direction as usize] += len;
        let (at, cause, extent) = (self.now, GapCause::Missing, Extent::Exact);
        let gap = Gap { offset, len, at, cause, extent };
        self.run(|connection, cx, plain| connection.gap(direction, gap, cx, plain));
    }

    pub(super) fn fin(&mut self, direction: Direction) {
        let at = self.now;
        self.run(|connection, cx, plain| connection.fin(direction, at, cx, plain));
    }

    pub(super) fn wait(&mut self, time: Duration) {
        self.now = self.now + time;
        let now = self.now;
        self.run(|connection, cx, plain| connection.expire(now, cx, plain));
    }

    pub(super) fn count(&self, anomaly: Anomaly) -> u64 {
        self.anomalies.count(anomaly)
    }

    pub(super) fn text(&self, direction: Direction) -> String {
        String::from_utf8_lossy(&self.plain.bytes[direction as usize]).into_owned()
    }
}

/// A packet of a connection.
pub(super) type Flight = (Direction, Vec<u8>);

/// The handshake of TLS 1.3 as middleboxes know it, with a ticket after it.
pub(super) fn handshake13() -> Vec<Flight> {
    let mut server = Sealer::epoch(ToClient, Epoch::Handshake);
    let mut client = Sealer::epoch(ToServer, Epoch::Handshake);
    let alpn = extension(16, b"\x00\x09\x08http/1.1");
    let extensions = [&u16::try_from(alpn.len()).unwrap().to_be_bytes()[..], &alpn].concat();
    // EncryptedExtensions, half a Certificate; the rest of it, and Finished.
    let certificate = message(11, &[7; 300]);
    let first = [message(8, &extensions), certificate[..100].to_vec()].concat();
    let second = [certificate[100..].to_vec(), message(20, &[9; 32])].concat();
    vec![
        (ToServer, client_hello()),
        (
            ToClient,
            [
                server_hello(),
                clear(CHANGE_CIPHER_SPEC, &[1]),
                server.seal(HANDSHAKE, &first),
                server.seal(HANDSHAKE, &second),
            ]
            .concat(),
        ),
        (
            ToServer,
            [clear(CHANGE_CIPHER_SPEC, &[1]), client.seal(HANDSHAKE, &message(20, &[9; 32]))]
                .concat(),
        ),
    ]
}

/// A whole connection of TLS 1.3: two exchanges, a ticket, key updates both ways, and its end.
pub(super) fn dialogue13() -> Vec<Flight> {
    let mut flights = handshake13();
    let suite = Suite::of(SUITE13).unwrap();
    let traffic = |direction| secret_of(direction, Epoch::Traffic);
    let updated =
        |direction| Sealer::tls13(&derive::next_secret(suite, &traffic(direction)).unwrap());
    let (mut client, mut server) =
        (Sealer::tls13(&traffic(ToServer)), Sealer::tls13(&traffic(ToClient)));
    let update = message(24, &[1]);
    flights.push((ToServer, client.data(b"first request")));
    let ticket = server.seal(HANDSHAKE, &message(4, &[5; 200]));
    flights.push((ToClient, [ticket, server.data(b"first "), server.data(b"response")].concat()));
    flights.push((ToServer, client.seal(HANDSHAKE, &update)));
    let mut client = updated(ToServer);
    flights.push((ToServer, client.data(b"|second request")));
    flights.push((ToClient, server.seal(HANDSHAKE, &update)));
    let mut server = updated(ToClient);
    flights.push((ToClient, server.data(b"|second response")));
    flights.push((ToServer, client.seal(ALERT, &[1, 0])));
    flights.push((ToClient, server.seal(ALERT, &[1, 0])));
    flights
}

/// The same of TLS 1.2, without tickets and updates.
pub(super) fn dialogue12() -> Vec<Flight> {
    let (mut client, mut server) = (Sealer::tls12(ToServer), Sealer::tls12(ToClient));
    let alpn = extension(16, b"\x00\x09\x08http/1.1");
    let finished = message(20, &[9; 12]);
    let hello = server_hello_with(SERVER_RANDOM, SUITE12, &[alpn]);
    let certificate = clear(HANDSHAKE, &message(11, &[7; 300]));
    let done = clear(HANDSHAKE, &message(14, &[]));
    let spec = clear(CHANGE_CIPHER_SPEC, &[1]);
    let exchange = clear(HANDSHAKE, &message(16, &[3; 66]));
    vec![
        (ToServer, client_hello()),
        (ToClient, [hello, certificate, done].concat()),
        (ToServer, [exchange, spec.clone(), client.seal(HANDSHAKE, &finished)].concat()),
        (ToClient, [spec, server.seal(HANDSHAKE, &finished)].concat()),
        (ToServer, client.data(b"first request")),
        (ToClient, [server.data(b"first "), server.data(b""), server.data(b"response")].concat()),
        (ToServer, client.data(b"|second request")),
        (ToClient, server.data(b"|second response")),
        (ToServer, client.seal(ALERT, &[1, 0])),
        (ToClient, server.seal(ALERT, &[1, 0])),
    ]
}

pub(super) fn play(wire: &mut Wire, flights: &[Flight]) {
    for (direction, bytes) in flights {
        wire.send(*direction, bytes);
    }
}

/// What comes of a dialogue when nothing is wrong.
pub(super) fn assert_whole(wire: &Wire) {
    assert_eq!(wire.text(ToServer), "first request|second request");
    assert_eq!(wire.text(ToClient), "first response|second response");
    assert_eq!((&wire.plain.gaps, wire.plain.ended), (&[vec![], vec![]], [true; 2]));
    assert_eq!(wire.plain.protocol, b"http/1.1");
    assert_eq!(wire.anomalies, Anomalies::default());
}

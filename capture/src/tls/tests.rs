//! Connections as both ends write them: what is sealed here with the keys of a log comes out as it
//! went in, or as a Gap.

use std::collections::VecDeque;
use std::time::Duration;

use aes_gcm::aead::AeadInOut as _;
use aes_gcm::{Aes128Gcm, KeyInit as _};
use proptest::prelude::*;

use super::derive::Agreed;
use super::opener::Opener;
use super::*;
use crate::Anomalies;
use crate::keylog::{KeyLog, Secret};
use crate::reassembly::Extent;
use Direction::{ToClient, ToServer};

const CLIENT_RANDOM: [u8; 32] = [0xc1; 32];
const SERVER_RANDOM: [u8; 32] = [0x5e; 32];

/// The secret of an epoch of a direction: its bytes are of no meaning.
fn secret_of(direction: Direction, epoch: Epoch) -> Secret {
    let byte = 16 * (direction as u8 + 1) + epoch as u8;
    Secret::new(&[byte; 32]).unwrap()
}

fn master() -> Secret {
    Secret::new(&[0x77; 48]).unwrap()
}

/// The key log of the session, without the labels named.
fn key_log(without: &[&str]) -> String {
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

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let [_, high, middle, low] = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[kind, high, middle, low], body].concat()
}

fn extension(kind: u16, data: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &u16::try_from(data.len()).unwrap().to_be_bytes(), data].concat()
}

fn clear(content: u8, body: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(body.len()).unwrap().to_be_bytes();
    [&[content, 3, 3, high, low], body].concat()
}

fn client_hello_with(extensions: &[Vec<u8>]) -> Vec<u8> {
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

fn client_hello() -> Vec<u8> {
    client_hello_with(&[])
}

fn server_hello_with(random: [u8; 32], suite: u16, extensions: &[Vec<u8>]) -> Vec<u8> {
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
fn server_hello() -> Vec<u8> {
    server_hello_with(SERVER_RANDOM, 0x1301, &[extension(43, &[3, 4])])
}

/// Seals records with the keys of an epoch.
struct Sealer {
    cipher: Aes128Gcm,
    iv: Vec<u8>,
    sequence: u64,
    is_tls13: bool,
}

const SUITE13: u16 = 0x1301;
const SUITE12: u16 = 0xc02f;

impl Sealer {
    fn tls13(secret: &Secret) -> Self {
        Self::of(&derive::traffic_keys(Suite::of(SUITE13).unwrap(), secret), true)
    }

    fn epoch(direction: Direction, epoch: Epoch) -> Self {
        Self::tls13(&secret_of(direction, epoch))
    }

    fn tls12(direction: Direction) -> Self {
        let agreed = Agreed {
            version: Version::Tls12,
            suite: Suite::of(SUITE12).unwrap(),
            master: &master(),
            client_random: &CLIENT_RANDOM,
            server_random: &SERVER_RANDOM,
        };
        Self::of(&derive::master_keys(&agreed, direction), false)
    }

    fn of(keys: &derive::Keys, is_tls13: bool) -> Self {
        let cipher = Aes128Gcm::new_from_slice(&keys.key).unwrap();
        Self { cipher, iv: keys.iv.to_vec(), sequence: 0, is_tls13 }
    }

    fn seal(&mut self, content: u8, plain: &[u8]) -> Vec<u8> {
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

    fn data(&mut self, plain: &[u8]) -> Vec<u8> {
        self.seal(APPLICATION_DATA, plain)
    }
}

/// What came out.
#[derive(Debug, Default, PartialEq, Eq)]
struct Plain {
    bytes: [Vec<u8>; 2],
    /// Offset and peer offset of each chunk, by direction.
    chunks: [Vec<(u64, u64)>; 2],
    /// Offsets at which something is missing, by direction.
    gaps: [Vec<u64>; 2],
    next: [u64; 2],
    ended: [bool; 2],
    protocol: Vec<u8>,
    /// In the order in which it came: direction and bytes.
    order: Vec<(bool, Vec<u8>)>,
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
struct Wire {
    connection: Connection,
    keys: KeyLog,
    limits: Limits,
    anomalies: Anomalies,
    sent: [u64; 2],
    now: Timestamp,
    plain: Plain,
}

impl Wire {
    fn with_keys(keys: &str) -> Self {
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

    fn new() -> Self {
        Self::with_keys(&key_log(&[]))
    }

    fn run(&mut self, act: impl FnOnce(&mut Connection, &mut Context<'_>, &mut Plain)) {
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

    fn learn(&mut self, text: &str) {
        self.keys.push(text.as_bytes(), &self.limits, &mut self.anomalies);
        self.run(|connection, cx, plain| connection.retry(cx, plain));
    }

    /// Bytes in one packet that acknowledges all that came the other way.
    fn send(&mut self, direction: Direction, bytes: &[u8]) {
        let (offset, peer_offset) =
            (self.sent[direction as usize], self.sent[direction.reverse() as usize]);
        self.sent[direction as usize] += bytes.len() as u64;
        let chunk = Chunk { offset, bytes, at: self.now, peer_offset };
        self.run(|connection, cx, plain| connection.push(direction, chunk, cx, plain));
    }

    fn lose(&mut self, direction: Direction, len: usize) {
        let (offset, len) = (self.sent[direction as usize], len as u64);
        self.sent[direction as usize] += len;
        let (at, cause, extent) = (self.now, GapCause::Missing, Extent::Exact);
        let gap = Gap { offset, len, at, cause, extent };
        self.run(|connection, cx, plain| connection.gap(direction, gap, cx, plain));
    }

    fn fin(&mut self, direction: Direction) {
        let at = self.now;
        self.run(|connection, cx, plain| connection.fin(direction, at, cx, plain));
    }

    fn wait(&mut self, time: Duration) {
        self.now = self.now + time;
        let now = self.now;
        self.run(|connection, cx, plain| connection.expire(now, cx, plain));
    }

    fn count(&self, anomaly: Anomaly) -> u64 {
        self.anomalies.count(anomaly)
    }

    fn text(&self, direction: Direction) -> String {
        String::from_utf8_lossy(&self.plain.bytes[direction as usize]).into_owned()
    }
}

/// A packet of a connection.
type Flight = (Direction, Vec<u8>);

/// The handshake of TLS 1.3 as middleboxes know it, with a ticket after it.
fn handshake13() -> Vec<Flight> {
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
fn dialogue13() -> Vec<Flight> {
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
fn dialogue12() -> Vec<Flight> {
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

fn play(wire: &mut Wire, flights: &[Flight]) {
    for (direction, bytes) in flights {
        wire.send(*direction, bytes);
    }
}

/// What comes of a dialogue when nothing is wrong.
fn assert_whole(wire: &Wire) {
    assert_eq!(wire.text(ToServer), "first request|second request");
    assert_eq!(wire.text(ToClient), "first response|second response");
    assert_eq!((&wire.plain.gaps, wire.plain.ended), (&[vec![], vec![]], [true; 2]));
    assert_eq!(wire.plain.protocol, b"http/1.1");
    assert_eq!(wire.anomalies, Anomalies::default());
}

#[test]
fn plaintext_has_the_offsets_it_would_have_without_tls() {
    for dialogue in [dialogue12(), dialogue13()] {
        let mut wire = Wire::new();
        play(&mut wire, &dialogue);
        assert_whole(&wire);
        assert_eq!(wire.plain.chunks[ToServer as usize], [(0, 0), (13, 14)]);
        assert_eq!(wire.plain.chunks[ToClient as usize], [(0, 13), (6, 13), (14, 28)]);
        assert!(wire.connection.take_opaque().is_none());
    }
}

#[test]
fn keys_that_come_late_give_what_early_ones_would_have_given() {
    for dialogue in [dialogue12(), dialogue13()] {
        let mut early = Wire::new();
        play(&mut early, &dialogue);
        for known in 0..=dialogue.len() {
            // As lines come: some with the first packets, the rest after `known` of them.
            for at_first in ["", &key_log(&["CLIENT_TRAFFIC_SECRET_0", "CLIENT_RANDOM"])] {
                let mut late = Wire::with_keys(at_first);
                play(&mut late, &dialogue[..known]);
                late.learn(&key_log(&[]));
                play(&mut late, &dialogue[known..]);
                assert_eq!(late.plain.bytes, early.plain.bytes, "after {known} packets");
                assert_eq!(late.plain.chunks, early.plain.chunks);
                assert_eq!(late.plain.ended, [true; 2]);
                assert_eq!(late.connection.waiting_bytes, 0);
                assert_eq!(late.plain.order, early.plain.order, "in the order it came");
            }
        }
    }
}

#[test]
fn a_connection_without_keys_is_opaque_once_its_time_is_over() {
    let mut wire = Wire::with_keys("");
    play(&mut wire, &dialogue13());
    wire.wait(wire.limits.tls_key_wait - Duration::from_nanos(1));
    assert_eq!(wire.count(Anomaly::TlsWaitTooLong), 0);
    wire.wait(Duration::from_nanos(1));
    assert_eq!(wire.count(Anomaly::TlsWaitTooLong), 1);
    let opaque = wire.connection.take_opaque().unwrap();
    assert_eq!(opaque.server_name.as_deref(), Some("shop.example.com"));
    assert_eq!(
        opaque.alpn.as_deref(),
        Some(&b"h2"[..]),
        "the client's first; the chosen is sealed"
    );
    assert!(wire.connection.take_opaque().is_none());
    wire.learn(&key_log(&[]));
    play(&mut wire, &dialogue13());
    assert_eq!((wire.text(ToServer), wire.connection.waiting_bytes), (String::new(), 0));
    assert_eq!(wire.anomalies.iter().count(), 1, "one label each");
}

#[test]
fn above_the_cap_a_connection_no_longer_waits() {
    let mut wire = Wire::with_keys("");
    wire.limits.tls_held_bytes = 2_000;
    play(&mut wire, &handshake13());
    let mut client = Sealer::epoch(ToServer, Epoch::Traffic);
    for _ in 0..20 {
        wire.send(ToServer, &client.data(&[1; 100]));
        assert!(wire.connection.waiting_bytes <= 2_000);
    }
    assert_eq!(wire.count(Anomaly::TlsWaitTooLong), 1);
}

#[test]
fn above_the_cap_the_last_records_are_given_up_and_what_follows_the_key_is_read() {
    let mut wire = Wire::with_keys("");
    wire.limits.tls_held_bytes = 16_000;
    play(&mut wire, &handshake13());
    let mut client = Sealer::epoch(ToServer, Epoch::Traffic);
    for _ in 0..30 {
        wire.send(ToServer, &client.data(&[b'x'; 1_000]));
        assert!(wire.connection.waiting_bytes <= 16_000);
    }
    let dropped = wire.count(Anomaly::TlsRecordDropped);
    assert!((1..30).contains(&dropped), "{dropped}");
    wire.learn(&key_log(&[]));
    wire.send(ToServer, &client.data(b"after"));
    let text = wire.text(ToServer);
    assert_eq!(text.matches('x').count() as u64, (30 - dropped) * 1_000);
    assert!(text.ends_with("after"));
    assert_eq!(wire.count(Anomaly::TlsWaitTooLong), 0);
}

#[test]
fn without_a_key_log_nothing_is_held() {
    let mut wire = Wire::with_keys("");
    wire.keys = KeyLog::default();
    play(&mut wire, &dialogue12());
    assert_eq!(wire.connection.waiting_bytes, 0);
    assert_eq!(wire.count(Anomaly::TlsWithoutKeys), 1);
    let opaque = wire.connection.take_opaque().unwrap();
    assert_eq!(opaque.alpn.as_deref(), Some(&b"http/1.1"[..]), "TLS 1.2 chooses in clear");
}

#[test]
fn a_suite_or_a_version_that_is_not_read_is_counted() {
    let ssl3 = server_hello_with(SERVER_RANDOM, SUITE12, &[extension(43, &[3, 0])]);
    let null = server_hello_with(SERVER_RANDOM, 0x0002, &[]);
    for hello in [ssl3, null] {
        let mut wire = Wire::new();
        play(&mut wire, &[(ToServer, client_hello()), (ToClient, hello)]);
        assert_eq!(wire.count(Anomaly::TlsUnsupported), 1);
    }
}

#[test]
fn a_connection_joined_after_its_handshake_is_opaque() {
    let mut wire = Wire::new();
    play(&mut wire, &dialogue13()[3..]);
    assert_eq!((wire.count(Anomaly::TlsWithoutKeys), wire.text(ToServer)), (1, String::new()));
}

/// A connection whose client sends early data; what the server says to it.
fn early(accepted: bool) -> (Wire, Sealer) {
    let mut wire = Wire::new();
    let mut early = Sealer::epoch(ToServer, Epoch::Early);
    let mut server = Sealer::epoch(ToClient, Epoch::Handshake);
    wire.send(ToServer, &client_hello_with(&[extension(42, &[])]));
    wire.send(ToServer, &early.data(b"early request"));
    assert_eq!(wire.text(ToServer), "", "it is not known yet whether the server takes it");
    let extensions = if accepted { extension(42, &[]) } else { Vec::new() };
    let extensions = [&[0, u8::try_from(extensions.len()).unwrap()][..], &extensions].concat();
    let flight = [message(8, &extensions), message(20, &[9; 32])].concat();
    wire.send(ToClient, &[server_hello(), server.seal(HANDSHAKE, &flight)].concat());
    (wire, early)
}

#[test]
fn early_data_counts_when_the_server_takes_it() {
    let (mut wire, mut early) = early(true);
    let mut client = Sealer::epoch(ToServer, Epoch::Handshake);
    let more = [early.data(b", more"), early.seal(HANDSHAKE, &message(5, &[]))].concat();
    let finished = client.seal(HANDSHAKE, &message(20, &[9; 32]));
    wire.send(ToServer, &[more, finished].concat());
    wire.send(ToServer, &Sealer::epoch(ToServer, Epoch::Traffic).data(b", and the rest"));
    assert_eq!(wire.text(ToServer), "early request, more, and the rest");
    assert_eq!(wire.anomalies, Anomalies::default());
}

#[test]
fn early_data_that_the_server_refuses_was_never_said() {
    let (mut wire, mut early) = early(false);
    let mut client = Sealer::epoch(ToServer, Epoch::Handshake);
    let finished = client.seal(HANDSHAKE, &message(20, &[9; 32]));
    wire.send(ToServer, &[early.data(b", more"), finished].concat());
    wire.send(ToServer, &Sealer::epoch(ToServer, Epoch::Traffic).data(b"said again"));
    assert_eq!(wire.text(ToServer), "said again");
    assert_eq!((&wire.plain.gaps[0], &wire.anomalies), (&vec![], &Anomalies::default()));
}

#[test]
fn a_retry_refuses_early_data_and_the_second_hello_counts() {
    let mut wire = Wire::new();
    let mut early = Sealer::epoch(ToServer, Epoch::Early);
    wire.send(ToServer, &client_hello_with(&[extension(42, &[])]));
    wire.send(ToServer, &early.data(b"early request"));
    // RFC 8446 §4.1.3.
    let retry = [
        0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8,
        0x91, 0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8,
        0x33, 0x9c,
    ];
    wire.send(ToClient, &server_hello_with(retry, SUITE13, &[extension(43, &[3, 4])]));
    play(&mut wire, &dialogue13());
    assert_whole(&wire);
}

#[test]
fn a_record_that_does_not_verify_is_a_gap_and_the_next_one_is_read() {
    for dialogue in [dialogue12(), dialogue13()] {
        // The flight after the handshake, which is one longer in TLS 1.2.
        let place = if dialogue.len() == dialogue12().len() { 4 } else { 3 };
        let mut bad = dialogue.clone();
        let last = bad[place].1.len() - 1;
        bad[place].1[last] ^= 1;
        let mut wire = Wire::new();
        play(&mut wire, &bad);
        assert_eq!(wire.text(ToServer), "|second request");
        assert_eq!(wire.plain.gaps, [vec![0], vec![]]);
        assert_eq!(wire.text(ToClient), "first response|second response");
        assert_eq!(wire.count(Anomaly::BadTlsRecord), 1);
    }
}

/// Ten records of application data from the server, numbered.
fn numbered_records() -> (Wire, Vec<Vec<u8>>) {
    let mut wire = Wire::new();
    play(&mut wire, &handshake13());
    let mut server = Sealer::epoch(ToClient, Epoch::Traffic);
    let records = (0..10).map(|n| server.data(format!("record {n}").as_bytes())).collect();
    (wire, records)
}

#[test]
fn bytes_lost_inside_a_record_cost_that_record() {
    let (mut wire, records) = numbered_records();
    wire.send(ToClient, &records[0]);
    wire.send(ToClient, &records[1][..9]);
    wire.lose(ToClient, 7);
    wire.send(ToClient, &[&records[1][16..], &records[2]].concat());
    assert_eq!(wire.text(ToClient), "record 0record 2");
    assert_eq!((&wire.plain.gaps[1], wire.count(Anomaly::BadTlsRecord)), (&vec![8], 0));
}

#[test]
fn after_lost_records_the_next_one_that_can_be_proved_is_read() {
    // Up to the end of a record; into the middle of one; and with a part of the first before it.
    for (before, lost_from, seen_from) in [(0, 1, 5), (4, 1, 5), (0, 1, 4)] {
        let (mut wire, records) = numbered_records();
        wire.send(ToClient, &records[0]);
        wire.send(ToClient, &records[lost_from][..before]);
        let middle = if seen_from == 4 { 20 } else { 0 };
        let lost: usize = records[lost_from..seen_from].iter().map(Vec::len).sum();
        wire.lose(ToClient, lost - before + middle);
        wire.send(ToClient, &records[seen_from][middle..]);
        for record in &records[seen_from + 1..] {
            wire.send(ToClient, record);
        }
        let first = if middle == 0 { seen_from } else { seen_from + 1 };
        let expected: String = (first..10).map(|n| format!("record {n}")).collect();
        assert_eq!(wire.text(ToClient), format!("record 0{expected}"));
        assert_eq!(wire.plain.gaps[1][0], 8);
        assert_eq!(wire.count(Anomaly::BadTlsRecord), 0);
    }
}

#[test]
fn a_loss_in_the_handshake_alone_costs_no_plaintext() {
    for dialogue in [dialogue12(), dialogue13()] {
        // The end of the server's flight: a certificate, or all that says that it is over.
        for kept in [100, dialogue[1].1.len() - 10] {
            let mut wire = Wire::new();
            wire.send(ToServer, &dialogue[0].1);
            wire.send(ToClient, &dialogue[1].1[..kept]);
            wire.lose(ToClient, dialogue[1].1.len() - kept);
            play(&mut wire, &dialogue[2..]);
            assert_eq!(wire.text(ToServer), "first request|second request");
            assert_eq!(wire.text(ToClient), "first response|second response", "kept {kept}");
            assert_eq!(wire.plain.gaps, [vec![], vec![]]);
        }
    }
}

#[test]
fn hellos_that_are_cut_still_tell_their_keys() {
    // The snap length cuts both hellos behind the suite.
    let dialogue = dialogue13();
    let mut wire = Wire::new();
    wire.send(ToServer, &dialogue[0].1[..60]);
    wire.lose(ToServer, dialogue[0].1.len() - 60);
    wire.send(ToClient, &dialogue[1].1[..48]);
    wire.lose(ToClient, server_hello().len() - 48);
    wire.send(ToClient, &dialogue[1].1[server_hello().len()..]);
    play(&mut wire, &dialogue[2..]);
    assert_whole(&wire);
}

#[test]
fn a_lost_key_update_is_found_by_what_the_next_key_opens() {
    let dialogue = dialogue13();
    let mut wire = Wire::new();
    for (index, (direction, bytes)) in dialogue.iter().enumerate() {
        if index == 5 || index == 7 {
            wire.lose(*direction, bytes.len());
        } else {
            wire.send(*direction, bytes);
        }
    }
    assert_eq!(wire.text(ToServer), "first request|second request");
    assert_eq!(wire.text(ToClient), "first response|second response");
}

#[test]
fn the_end_of_the_connection_ends_both_directions_once() {
    let mut wire = Wire::new();
    play(&mut wire, &dialogue13());
    wire.fin(ToServer);
    wire.fin(ToClient);
    assert_eq!(wire.plain.ended, [true; 2]);
    // Without close_notify, and with a key that comes after the end.
    let mut wire = Wire::with_keys("");
    let dialogue = dialogue13();
    play(&mut wire, &dialogue[..dialogue.len() - 2]);
    wire.fin(ToServer);
    wire.fin(ToClient);
    assert_eq!(wire.plain.ended, [false; 2], "what waits comes first");
    wire.learn(&key_log(&[]));
    assert_whole(&wire);
}

#[test]
fn rfc_8448_section_3_server_application_data() {
    let unhex = |text: &str| -> Vec<u8> {
        let digits: String = text.split_whitespace().collect();
        digits
            .as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    };
    let secret =
        Secret::new(&unhex("a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643"));
    let suite = Suite::of(0x1301).unwrap();
    let keys = derive::traffic_keys(suite, &secret.unwrap());
    assert_eq!(*keys.key, unhex("9f02283b6c9c07efc26bb9f2ac92e356"));
    assert_eq!(*keys.iv, unhex("cf782b88dd83549aadf1e984"));
    let mut record = unhex(
        "17 03 03 00 43 2e 93 7e 11 ef 4a c7 40 e5 38 ad 36 00 5f c4 a4 69 32 fc 32 25 d0 5f
         82 aa 1b 36 e3 0e fa f9 7d 90 e6 df fc 60 2d cb 50 1a 59 a8 fc c4 9c 4b f2 e5 f0 a2
         1c 00 47 c2 ab f3 32 54 0d d0 32 e1 67 c2 95 5d",
    );
    let mut opener = Opener::new(Version::Tls13, suite, false, &keys).unwrap();
    // The ticket before it had number 0.
    let (lost, opened) = opener.find(&mut record, 2).unwrap();
    let expected: Vec<u8> = (0..=0x31).collect();
    assert_eq!((lost, opened.content), (1, APPLICATION_DATA));
    assert_eq!(record[opened.start..opened.end], expected);
}

#[test]
fn beginnings_are_told_from_other_protocols() {
    assert_eq!(begins_record(&client_hello()), Some(true));
    assert_eq!(begins_record(&[0x16]), None);
    assert_eq!(begins_record(&clear(APPLICATION_DATA, b"sealed")), Some(true));
    assert_eq!(begins_record(b"GET / HTTP/1.1"), Some(false));
    assert_eq!(begins_record(b"PRI * HTTP/2.0"), Some(false));
    assert_eq!(begins_record(&[0x80, 0x2e, 1, 3, 1, 0]), Some(true));
    assert_eq!(begins_record(&[0x80, 0x2e, 1]), None);
    assert_eq!(begins_record(&[0x80, 0x2e, 7, 3, 1, 0]), Some(false));
}

proptest! {
    #[test]
    fn any_split_of_the_records_gives_the_same_plaintext(
        cuts in prop::collection::vec(1usize..60, 1..40),
        version13: bool,
    ) {
        let dialogue = if version13 { dialogue13() } else { dialogue12() };
        let mut wire = Wire::new();
        let mut cuts = cuts.iter().copied().cycle();
        for (direction, bytes) in &dialogue {
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let (piece, tail) = rest.split_at(cuts.next().unwrap().min(rest.len()));
                wire.send(*direction, piece);
                rest = tail;
            }
        }
        assert_whole(&wire);
    }

    #[test]
    fn damage_never_gives_plaintext_that_was_not_sent(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..4), 1..6),
        version13: bool,
        late_keys: bool,
    ) {
        let mut dialogue = if version13 { dialogue13() } else { dialogue12() };
        let mut wire = if late_keys { Wire::with_keys("") } else { Wire::new() };
        let mut losses = Vec::new();
        for (index, byte, kind) in damage {
            let (place, at) = (index.index(dialogue.len()), usize::from(byte));
            let flight = &mut dialogue[place].1;
            let at = at % flight.len();
            match kind {
                0 => flight[at] ^= byte | 1,
                1 => losses.push(place),
                2 => flight.truncate(at + 1),
                _ => flight.insert(at, byte),
            }
        }
        for (place, (direction, bytes)) in dialogue.iter().enumerate() {
            if losses.contains(&place) {
                wire.lose(*direction, bytes.len());
            } else {
                wire.send(*direction, bytes);
            }
        }
        wire.learn(&key_log(&[]));
        wire.wait(Duration::from_secs(60));
        wire.run(|connection, cx, plain| connection.finish(cx, plain));
        let sent = [
            ["first request", "|second request", ""],
            ["first ", "response", "|second response"],
        ];
        for (to_server, bytes) in &wire.plain.order {
            let text = std::str::from_utf8(bytes).unwrap();
            prop_assert!(sent[usize::from(!to_server)].contains(&text), "{:?}", text);
        }
        prop_assert!(wire.connection.waiting_bytes == 0);
    }

    #[test]
    fn any_bytes_are_taken(
        pieces in prop::collection::vec(
            (any::<bool>(), any::<bool>(), prop::collection::vec(any::<u8>(), 1..200)),
            0..30,
        ),
        after_handshake: bool,
    ) {
        let mut wire = Wire::new();
        if after_handshake {
            play(&mut wire, &handshake13());
        }
        for (to_server, lost, bytes) in pieces {
            let direction = if to_server { ToServer } else { ToClient };
            match lost {
                true => wire.lose(direction, bytes.len()),
                false => wire.send(direction, &bytes),
            }
        }
        prop_assert!(wire.plain.bytes.iter().all(Vec::is_empty));
    }
}

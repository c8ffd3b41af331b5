//! Connections as both ends write them: what is sealed here with the keys of a log comes out as it
//! went in, or as a Gap.

mod losses;
mod properties;
mod wire;

use std::time::Duration;

use super::opener::Opener;
use super::*;
use crate::Anomalies;
use crate::keylog::{KeyLog, Secret};
use Direction::{ToClient, ToServer};
use wire::*;

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

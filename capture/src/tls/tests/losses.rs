//! Records that do not verify, or were not seen: each costs itself alone.

use super::*;

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

#[test]
fn what_stands_in_place_of_a_record_is_counted_and_the_next_one_is_read() {
    let (mut wire, mut records) = numbered_records();
    // A version that no record has.
    records[1][1] = 9;
    for record in &records[..4] {
        wire.send(ToClient, record);
    }
    assert_eq!(wire.text(ToClient), "record 0record 2record 3");
    assert_eq!((wire.plain.gaps[1].len(), wire.count(Anomaly::BadTlsRecord)), (2, 1));
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

//! For every way of cutting, damaging and inventing records.

use proptest::prelude::*;

use super::*;

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

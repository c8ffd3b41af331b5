//! What nobody should say: nothing panics, memory stays within its caps, and work is in proportion
//! to the bytes.

use proptest::prelude::*;

use super::*;

/// The most that a connection held while these bytes were said, in packets of 1,400.
fn peak(wire: &mut Wire, direction: Direction, bytes: &[u8]) -> usize {
    let held = |wire: &mut Wire, piece: &[u8]| {
        wire.say(direction, piece);
        wire.out.clear();
        wire.connection.held_bytes()
    };
    bytes.chunks(1_400).map(|piece| held(wire, piece)).max().unwrap_or(0)
}

#[test]
fn a_flood_of_continuations_is_not_kept() {
    let mut wire = Wire::new();
    let mut flood = frame(kind::HEADERS, 0, 1, get_block("/"));
    for _ in 0..2_000 {
        flood.extend(frame(kind::CONTINUATION, 0, 1, [0; 1_000]));
    }
    flood.extend(frame(kind::CONTINUATION, 0, 1, []).repeat(100_000));
    let peak = peak(&mut wire, ToServer, &flood);
    assert!(peak < 3 * wire.limits.head_bytes, "{peak}");
    wire.client(frame(kind::CONTINUATION, END_HEADERS, 1, [])).client(get(3, "/3"));
    wire.server([ok_empty(1), ok_empty(3)].concat());
    assert_eq!(wire.count(Anomaly::HeadTooLarge), 1);
    assert_eq!(wire.finish().left(), ["3 /3 200 complete", "1 - 200 malformed"]);
}

#[test]
fn a_block_that_decodes_to_more_than_the_cap_is_not_kept() {
    let mut wire = Wire::new();
    let large = "v".repeat(3_000);
    let mut bomb = [get_block("/"), inserting(&[("x", &large)])].concat();
    bomb.extend(vec![0xbe; 16_000]);
    let bomb = frame(kind::HEADERS, END_HEADERS | END_STREAM, 1, &bomb[..16_384]);
    let held = peak(&mut wire, ToServer, &bomb);
    assert!(held < 3 * wire.limits.head_bytes, "{held}");
    wire.client(get(3, "/3")).server([ok_empty(1), ok_empty(3)].concat());
    assert_eq!(wire.left(), ["1 / 200 malformed", "3 /3 200 complete"]);
    assert_eq!(wire.count(Anomaly::HeadTooLarge), 1);
}

#[test]
fn streams_above_the_cap_are_given_up_oldest_first() {
    let mut wire = Wire::with(Limits { streams: 3, ..Limits::default() });
    for stream in [1, 3, 5, 7] {
        wire.client(get(stream, "/"));
    }
    wire.server([ok_empty(1), ok_empty(7)].concat());
    assert_eq!(wire.left(), ["1 / - truncated", "7 / 200 complete"]);
    assert_eq!(wire.count(Anomaly::TooManyStreams), 1);
}

#[test]
fn a_hundred_thousand_streams_opened_and_reset_hold_no_more_than_the_cap() {
    let mut wire = Wire::new();
    let rapid: Vec<u8> =
        (0..100_000u32).flat_map(|n| [get(2 * n + 1, "/"), rst(2 * n + 1, 8)].concat()).collect();
    let held = peak(&mut wire, ToServer, &rapid);
    assert!(held < 64 << 10, "{held}");
    let mut wire = Wire::new();
    let open: Vec<u8> = (0..100_000u32).flat_map(|n| get(2 * n + 1, "/")).collect();
    let held = peak(&mut wire, ToServer, &open);
    let most = wire.limits.streams * (size_of::<Stream>() + 1_024);
    assert!(held < most, "{held} of {most}");
    assert_eq!(wire.count(Anomaly::TooManyStreams), 100_000 - 1_024);
    wire.finish();
}

#[test]
fn what_is_held_is_counted_to_zero_when_all_has_left() {
    let mut wire = Wire::new();
    let before = wire.connection.held_bytes();
    wire.client([get(1, "/1"), post(3, "/3")].concat());
    assert!(wire.connection.held_bytes() > before + 2 * size_of::<Stream>());
    wire.server([ok_empty(1), ok_empty(3)].concat()).client(last_data(3, "x"));
    assert_eq!(wire.left().len(), 2);
    assert!(wire.connection.held_bytes() < before + 256, "but for names of what left");
}

/// Frames that may make sense, and some that do not.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        Just(get_block("/x")),
        Just(inserting(&[("a", "b")])),
        Just(vec![0x88]),
        Just(vec![0xbe]),
        Just(vec![0, 0, 0, 8]),
    ];
    (0u8..11, any::<u8>(), 0u32..8, payload)
        .prop_map(|(kind, flags, stream, payload)| frame(kind, flags, stream, payload))
}

/// Something that happens on a connection.
#[derive(Clone, Debug)]
enum Happens {
    Said(bool, Vec<u8>),
    Missed(bool, usize),
    Fin(bool),
    Wait,
}

fn happens() -> impl Strategy<Value = Happens> {
    let bytes = prop_oneof![
        6 => any_frame(),
        1 => prop::collection::vec(any::<u8>(), 1..60),
        1 => Just(PREFACE.to_vec()),
    ];
    prop_oneof![
        20 => (any::<bool>(), bytes, any::<prop::sample::Index>()).prop_map(|(up, bytes, cut)| {
            // Now and then not to the end.
            let len = bytes.len() - cut.index(8 * bytes.len()).min(bytes.len() - 1) / 8;
            Happens::Said(up, bytes[..len].to_vec())
        }),
        2 => (any::<bool>(), 1usize..40).prop_map(|(up, len)| Happens::Missed(up, len)),
        1 => any::<bool>().prop_map(Happens::Fin),
        1 => Just(Happens::Wait),
    ]
}

proptest! {
    /// Whatever happens: no panic, each stream leaves once at the most, and all budgets are given
    /// back.
    #[test]
    fn anything_may_happen(
        late in any::<bool>(),
        preface in any::<bool>(),
        all in prop::collection::vec(happens(), 0..60),
    ) {
        let limits = Limits {
            streams: 3,
            head_bytes: 300,
            hpack_table_bytes: 100,
            body_bytes: 10,
            ..Limits::default()
        };
        let mut wire = Wire::bare(limits, late);
        if preface {
            wire.client(PREFACE);
        }
        let way = |up| if up { ToServer } else { ToClient };
        for event in all {
            match event {
                Happens::Said(up, bytes) => wire.say(way(up), bytes),
                Happens::Missed(up, len) => wire.miss(way(up), len),
                Happens::Fin(up) => wire.fin(way(up)),
                Happens::Wait => wire.wait(31),
            };
            let held = wire.connection.held_bytes();
            prop_assert!(held < size_of::<Connection>() + 32 * 1_024, "{}", held);
        }
        wire.finish();
        let mut seen = std::collections::BTreeSet::new();
        for exchange in &wire.out {
            prop_assert!(exchange.request.is_some() || exchange.response.is_some());
            let is_new = exchange.request.is_none() || seen.insert(exchange.stream_id);
            prop_assert!(is_new, "{:?}", exchange.stream_id);
        }
    }
}

//! RFC 7541 Appendix C; then random blocks against another implementation, from their beginning and
//! joined late.

use proptest::prelude::*;

use super::*;
use crate::{Anomaly, Limits};

const TABLE_CAP: usize = 64 << 10;

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

fn pairs(list: &FieldList) -> Pairs {
    let text = |span: crate::message::Span| list.bytes[span.range()].to_vec();
    list.fields.iter().map(|(name, value)| (text(name), text(value))).collect()
}

fn decode_with(
    decoder: &mut Decoder,
    limits: &Limits,
    block: &[u8],
) -> (FieldList, Result<Option<Oddity>, Fault>) {
    let mut list = FieldList::new(limits, 0, 0);
    let result = decoder.decode(block, limits.hpack_table_bytes, &mut list);
    (list, result)
}

/// The fields as `name: value` lines.
fn decoded(decoder: &mut Decoder, hex: &str) -> Vec<String> {
    let (list, result) = decode_with(decoder, &Limits::default(), &octets(hex));
    assert_eq!((result, list.unknown), (Ok(None), 0), "{hex}");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    pairs(&list).iter().map(|(name, value)| format!("{}: {}", text(name), text(value))).collect()
}

fn octets(hex: &str) -> Vec<u8> {
    let digits: String = hex.split_whitespace().collect();
    (0..digits.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&digits[i..i + 2], 16).unwrap())
        .collect()
}

#[test]
fn the_representations_of_rfc_7541_c_2_are_decoded() {
    let mut decoder = Decoder::new();
    let literal = "400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572";
    assert_eq!(decoded(&mut decoder, literal), ["custom-key: custom-header"]);
    assert_eq!(decoded(&mut decoder, "be"), ["custom-key: custom-header"], "it was inserted");
    let mut decoder = Decoder::new();
    assert_eq!(
        decoded(&mut decoder, "040c 2f73 616d 706c 652f 7061 7468"),
        [":path: /sample/path"]
    );
    let never = "1008 7061 7373 776f 7264 0673 6563 7265 74";
    assert_eq!(decoded(&mut decoder, never), ["password: secret"]);
    assert_eq!(decoded(&mut decoder, "82"), [":method: GET"]);
    let (_, result) = decode_with(&mut decoder, &Limits::default(), &[0xbe]);
    assert_eq!(result, Err(Fault::Bad), "neither of them was inserted");
}

#[test]
fn the_requests_of_rfc_7541_c_3_and_c_4_are_decoded() {
    let plain = [
        "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "8286 84be 5808 6e6f 2d63 6163 6865",
        "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
    ];
    let huffman = [
        "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
        "8286 84be 5886 a8eb 1064 9cbf",
        "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
    ];
    for blocks in [plain, huffman] {
        let mut decoder = Decoder::new();
        let front = [":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com"];
        assert_eq!(decoded(&mut decoder, blocks[0]), front);
        assert_eq!(
            decoded(&mut decoder, blocks[1]),
            [front[0], front[1], front[2], front[3], "cache-control: no-cache"]
        );
        assert_eq!(
            decoded(&mut decoder, blocks[2]),
            [
                front[0],
                ":scheme: https",
                ":path: /index.html",
                front[3],
                "custom-key: custom-value"
            ]
        );
    }
}

#[test]
fn the_responses_of_rfc_7541_c_5_and_c_6_are_decoded_with_evictions() {
    let plain = [
        "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a
         3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "4803 3330 37c1 c0bf",
        "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04
         677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49
         553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31",
    ];
    let huffman = [
        "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e
         919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
        "4883 640e ffc1 c0bf",
        "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7
         821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed
         4ee5 b106 3d50 07",
    ];
    for blocks in [plain, huffman] {
        let mut decoder = Decoder::new();
        decoder.table.set_cap(TABLE_CAP);
        decoder.table.resize(256);
        let rest = [
            "cache-control: private",
            "date: Mon, 21 Oct 2013 20:13:21 GMT",
            "location: https://www.example.com",
        ];
        assert_eq!(decoded(&mut decoder, blocks[0]), [":status: 302", rest[0], rest[1], rest[2]]);
        assert_eq!(decoded(&mut decoder, blocks[1]), [":status: 307", rest[0], rest[1], rest[2]]);
        assert_eq!(
            decoded(&mut decoder, blocks[2]),
            [
                ":status: 200",
                rest[0],
                "date: Mon, 21 Oct 2013 20:13:22 GMT",
                rest[2],
                "content-encoding: gzip",
                "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
            ]
        );
    }
}

#[test]
fn what_is_no_hpack_is_bad_and_what_ends_early_is_cut() {
    let fault =
        |block: &[u8]| decode_with(&mut Decoder::new(), &Limits::default(), block).1.unwrap_err();
    assert_eq!(fault(&[0x80]), Fault::Bad, "index 0");
    assert_eq!(fault(&[0xbe]), Fault::Bad, "an index beyond the table");
    assert_eq!(fault(&[0x82, 0x20]), Fault::Bad, "a size update after a field");
    assert_eq!(fault(&[0x04, 0x81, 0xff]), Fault::Bad, "a string that is no Huffman code");
    assert_eq!(fault(&[0x04, 0x05, b'/']), Fault::Cut);
    assert_eq!(fault(&[0xff]), Fault::Cut);
}

#[test]
fn a_size_update_above_what_was_announced_is_told_and_followed() {
    let mut decoder = Decoder::new();
    let limits = Limits::default();
    let update = |decoder: &mut Decoder| decode_with(decoder, &limits, &octets("3fe1 3f82")).1;
    assert_eq!(update(&mut decoder), Ok(Some(Oddity::TableTooLarge)), "8192");
    decoder.announce(8_192);
    assert_eq!(update(&mut decoder), Ok(None));
    let mut decoder = Decoder::new();
    decoder.forget_announced();
    assert_eq!(update(&mut decoder), Ok(None));
}

#[test]
fn a_list_above_its_caps_is_told_and_the_table_stays_in_step() {
    let insert = [&[0x40, 1, b'a', 100][..], &[b'v'; 100]].concat();
    let bomb = [insert.clone(), vec![0xbe; 1_000], b"\x40\x01b\x01w".to_vec()].concat();
    let small = Limits { head_bytes: 1_000, ..Limits::default() };
    let few = Limits { head_fields: 3, ..Limits::default() };
    for (limits, anomaly, kept) in
        [(small, Anomaly::HeadTooLarge, 7), (few, Anomaly::TooManyFields, 3)]
    {
        let mut decoder = Decoder::new();
        let (list, result) = decode_with(&mut decoder, &limits, &bomb);
        assert_eq!((result, list.overflow), (Ok(None), Some(anomaly)));
        assert_eq!(list.fields.len(), kept);
        assert!(list.bytes.capacity() < 4_096);
        assert_eq!(decoded(&mut decoder, "be"), ["b: w"]);
    }
}

#[test]
fn a_long_name_that_is_repeated_costs_its_bytes_once() {
    let mut decoder = Decoder::new();
    decoder.announce(1 << 20);
    let limits = Limits { hpack_table_bytes: 1 << 20, head_bytes: 256 << 10, ..Limits::default() };
    // A table of 1 MiB; a name of 60,000 bytes; then entries of that name without a value.
    let (_, result) = decode_with(&mut decoder, &limits, &octets("3fe1 ff3f"));
    assert_eq!(result, Ok(None));
    let name = [&[0x40, 0x7f, 0xe1, 0xd3, 0x03][..], &[b'n'; 60_000], &[0]].concat();
    decode_with(&mut decoder, &limits, &name).1.unwrap();
    let again = [0x7e, 0x00].repeat(10);
    decode_with(&mut decoder, &limits, &again).1.unwrap();
    let Lookup::Known(Entry { name: Some(Name::Shared(name)), .. }) = decoder.table.get(0) else {
        panic!("it is known");
    };
    assert_eq!(std::sync::Arc::strong_count(name), 11);
}

/// What an encoder may do next.
#[derive(Clone, Debug)]
enum Step {
    /// A field by index, counted from the first.
    Indexed(usize),
    /// A literal; the name by index, or new.
    Literal {
        inserts: bool,
        never: bool,
        name: Result<usize, u8>,
        value: Vec<u8>,
    },
    EndBlock,
    /// At the beginning of the next block.
    Resize(u32),
}

fn step() -> impl Strategy<Value = Step> {
    let value = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..12),
        (40usize..200).prop_map(|len| vec![b'v'; len]),
    ];
    prop_oneof![
        4 => any::<u16>().prop_map(|i| Step::Indexed(i.into())),
        6 => (any::<bool>(), any::<bool>(), prop::result::maybe_err(any::<u16>(), 0u8..8), value)
            .prop_map(|(inserts, never, name, value)| Step::Literal {
                inserts,
                never,
                name: name.map(usize::from),
                value,
            }),
        3 => Just(Step::EndBlock),
        1 => (0u32..600).prop_map(Step::Resize),
    ]
}

/// A correct encoder that does what it is told: blocks, and the largest size announced.
#[derive(Default)]
struct Encoder {
    /// Name and value sizes, the newest first.
    table: std::collections::VecDeque<usize>,
    max: usize,
    blocks: Vec<Vec<u8>>,
    block: Vec<u8>,
    /// Names of entries are not needed: only how large they are.
    names: std::collections::VecDeque<usize>,
}

impl Encoder {
    fn run(steps: &[Step]) -> Vec<Vec<u8>> {
        let mut encoder = Self { max: 4_096, ..Self::default() };
        for step in steps {
            encoder.step(step);
        }
        encoder.end_block();
        encoder.blocks
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Indexed(index) => {
                let index = 1 + index % (61 + self.table.len());
                self.integer(0x80, 7, index);
            }
            Step::Literal { inserts, never, name, value } => {
                let (first, bits) = match (inserts, never) {
                    (true, _) => (0x40, 6),
                    (false, true) => (0x10, 4),
                    (false, false) => (0x00, 4),
                };
                let name_len = match name {
                    Ok(index) => {
                        let index = 1 + index % (61 + self.table.len());
                        self.integer(first, bits, index);
                        match index {
                            1..=61 => STATIC_TABLE[index - 1].0.len(),
                            _ => self.names[index - 62],
                        }
                    }
                    Err(n) => {
                        let name = vec![b'a' + n; usize::from(*n) + 1];
                        self.block.push(first);
                        self.string(&name);
                        name.len()
                    }
                };
                self.string(value);
                if *inserts {
                    self.insert(name_len, value.len());
                }
            }
            Step::EndBlock => self.end_block(),
            Step::Resize(max) => {
                self.end_block();
                self.max = *max as usize;
                self.integer(0x20, 5, self.max);
                self.evict(0);
                // A block of size updates alone is not accepted everywhere.
                self.block.push(0x82);
            }
        }
    }

    fn insert(&mut self, name: usize, value: usize) {
        let size = name + value + 32;
        self.evict(size.min(self.max));
        if size > self.max {
            self.table.clear();
            self.names.clear();
        } else {
            self.table.push_front(size);
            self.names.push_front(name);
        }
    }

    fn evict(&mut self, room: usize) {
        while self.table.iter().sum::<usize>() + room > self.max {
            self.table.pop_back();
            self.names.pop_back();
        }
    }

    fn integer(&mut self, first: u8, bits: u32, value: usize) {
        let max = (1usize << bits) - 1;
        if value < max {
            return self.block.push(first | u8::try_from(value).unwrap());
        }
        self.block.push(first | u8::try_from(max).unwrap());
        let mut rest = value - max;
        while rest >= 128 {
            self.block.push(u8::try_from(rest % 128).unwrap() | 0x80);
            rest /= 128;
        }
        self.block.push(u8::try_from(rest).unwrap());
    }

    fn string(&mut self, text: &[u8]) {
        self.integer(0, 7, text.len());
        self.block.extend_from_slice(text);
    }

    fn end_block(&mut self) {
        if !self.block.is_empty() {
            self.blocks.push(std::mem::take(&mut self.block));
        }
    }
}

/// What another implementation makes of the blocks.
fn reference(blocks: &[Vec<u8>]) -> Vec<Pairs> {
    let mut other = fluke_hpack::Decoder::new();
    blocks.iter().map(|block| other.decode(block).expect("the encoder is correct")).collect()
}

proptest! {
    /// From the beginning, every field is known and the same as elsewhere.
    #[test]
    fn random_blocks_agree_with_another_implementation(
        steps in prop::collection::vec(step(), 0..120),
    ) {
        let blocks = Encoder::run(&steps);
        let mut decoder = Decoder::new();
        for (block, expected) in blocks.iter().zip(reference(&blocks)) {
            let (list, result) = decode_with(&mut decoder, &Limits::default(), block);
            prop_assert_eq!(result, Ok(None));
            prop_assert_eq!(list.unknown, 0);
            prop_assert_eq!(pairs(&list), expected);
            prop_assert!(decoder.table.is_known());
        }
    }

    /// Joined at any block, what is told is right: the known fields are those of the block in their
    /// order, with nothing but the unknown left out. Also where a cap forgets entries.
    #[test]
    fn joined_late_every_field_is_right_or_unknown(
        steps in prop::collection::vec(step(), 0..160),
        join in 0usize..20,
        cap in prop_oneof![Just(TABLE_CAP), 0usize..400],
    ) {
        let blocks = Encoder::run(&steps);
        let limits = Limits { hpack_table_bytes: cap, ..Limits::default() };
        let mut decoder = Decoder::new();
        if join > 0 {
            decoder.forget();
        }
        for (block, expected) in blocks.iter().zip(reference(&blocks)).skip(join) {
            let (list, result) = decode_with(&mut decoder, &limits, block);
            prop_assert_eq!(result, Ok(None));
            prop_assert_eq!(list.fields.len() + list.unknown, expected.len());
            let mut expected = expected.into_iter();
            for known in pairs(&list) {
                prop_assert!(expected.any(|field| field == known), "{:?}", known);
            }
            prop_assert!(decoder.held_bytes() < cap + 64 * size_of::<Entry>() + 4_096);
        }
    }

    /// Once what is inserted has filled the table, everything is known again.
    #[test]
    fn joined_late_the_table_is_known_when_it_was_filled_anew(
        before in prop::collection::vec(step(), 0..60),
        after in prop::collection::vec(step(), 0..60),
    ) {
        let fill = Step::Literal { inserts: true, never: false, name: Err(3), value: vec![b'x'; 60] };
        let mut steps = before.clone();
        steps.push(Step::EndBlock);
        let join = Encoder::run(&steps).len();
        steps.push(Step::Resize(500));
        steps.extend(vec![fill; 6]);
        steps.push(Step::EndBlock);
        let filled = Encoder::run(&steps).len();
        steps.extend(after);
        let blocks = Encoder::run(&steps);
        let mut decoder = Decoder::new();
        decoder.forget();
        for (n, (block, expected)) in blocks.iter().zip(reference(&blocks)).enumerate().skip(join) {
            let (list, result) = decode_with(&mut decoder, &Limits::default(), block);
            prop_assert_eq!(result, Ok(None));
            if n >= filled {
                prop_assert_eq!(list.unknown, 0);
                prop_assert_eq!(pairs(&list), expected);
            }
        }
    }

    /// Any octets that are decoded here and elsewhere say the same.
    #[test]
    fn any_octets_are_decoded_as_elsewhere_or_refused(
        block in prop::collection::vec(prop_oneof![any::<u8>(), 0u8..0x10, 0x40u8..0x48], 0..60),
    ) {
        let mut decoder = Decoder::new();
        let (list, result) = decode_with(&mut decoder, &Limits::default(), &block);
        let other = fluke_hpack::Decoder::new().decode(&block);
        if let (Ok(_), Ok(expected)) = (result, other) {
            prop_assert_eq!(pairs(&list), expected);
        }
    }
}

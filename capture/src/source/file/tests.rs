use super::*;

/// Gives a reader its bytes a few at a time, as a pipe does.
struct Trickle(std::io::Cursor<Vec<u8>>);

impl Read for Trickle {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        let some = buf.len().min(7);
        self.0.read(&mut buf[..some])
    }
}

fn reader(bytes: &[u8]) -> Result<Reader, FileError> {
    Reader::from_read("a.pcap", Box::new(Trickle(std::io::Cursor::new(bytes.to_vec()))))
}

/// What a packet is, without borrowing.
type Seen = (u64, LinkType, Vec<u8>, u32);

fn all(reader: &mut Reader) -> Result<Vec<Seen>, FileError> {
    let mut seen = Vec::new();
    while let Some(packet) = reader.next()? {
        seen.push((packet.at.as_nanos(), packet.link, packet.data.to_vec(), packet.original_len));
    }
    Ok(seen)
}

/// Writes numbers in one byte order.
#[derive(Clone, Copy)]
enum Writer {
    Little,
    Big,
}

impl Writer {
    fn u16(self, number: u16) -> [u8; 2] {
        match self {
            Self::Little => number.to_le_bytes(),
            Self::Big => number.to_be_bytes(),
        }
    }

    fn u32(self, number: u32) -> [u8; 4] {
        match self {
            Self::Little => number.to_le_bytes(),
            Self::Big => number.to_be_bytes(),
        }
    }

    fn u32s(self, numbers: &[u32]) -> Vec<u8> {
        numbers.iter().flat_map(|&number| self.u32(number)).collect()
    }

    fn pcap_header(self, magic: u32, link: u32) -> Vec<u8> {
        let version = [self.u16(2), self.u16(4)].concat();
        [self.u32(magic).to_vec(), version, self.u32s(&[0, 0, 65_535, link])].concat()
    }

    fn block(self, kind: u32, body: &[u8]) -> Vec<u8> {
        let padding = vec![0; body.len().next_multiple_of(4) - body.len()];
        let len = u32::try_from(12 + body.len() + padding.len()).unwrap();
        [&self.u32s(&[kind, len])[..], body, &padding, &self.u32(len)].concat()
    }

    fn section(self) -> Vec<u8> {
        let version = [self.u16(1), self.u16(0)].concat();
        let body = [self.u32(0x1a2b_3c4d).to_vec(), version, vec![0xff; 8]].concat();
        self.block(0x0a0d_0d0a, &body)
    }

    fn interface(self, link: u16, options: &[(u16, &[u8])]) -> Vec<u8> {
        let mut body = [self.u16(link), self.u16(0)].concat();
        body.extend(self.u32(65_535));
        for (code, value) in options {
            body.extend(self.u16(*code));
            body.extend(self.u16(u16::try_from(value.len()).unwrap()));
            body.extend(*value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        self.block(1, &body)
    }

    fn enhanced(self, interface: u32, ticks: u64, data: &[u8]) -> Vec<u8> {
        let len = u32::try_from(data.len()).unwrap();
        let (high, low) = ((ticks >> 32) as u32, ticks as u32);
        self.block(6, &[&self.u32s(&[interface, high, low, len, len + 1])[..], data].concat())
    }
}

const BOTH: [Writer; 2] = [Writer::Little, Writer::Big];

#[test]
fn every_pcap_variant_is_read_in_both_byte_orders() {
    for writer in BOTH {
        for (magic, nanos) in [(0xa1b2_c3d4, 7_000), (0xa1b2_3c4d, 7), (0xa1b2_cd34, 7_000)] {
            let mut file = writer.pcap_header(magic, 0xf000_0000 | 113);
            for data in [&b"first"[..], b"", b"third"] {
                let len = u32::try_from(data.len()).unwrap();
                file.extend(writer.u32s(&[3, 7, len, 99]));
                if magic == 0xa1b2_cd34 {
                    file.extend([0xee; 8]);
                }
                file.extend(data);
            }
            let mut reader = reader(&file).unwrap();
            let packet =
                |data: &[u8]| (3_000_000_000 + nanos, LinkType::LinuxSll, data.to_vec(), 99);
            assert_eq!(
                all(&mut reader).unwrap(),
                [packet(b"first"), packet(b""), packet(b"third")],
            );
            assert_eq!(reader.cut(), None);
            assert_eq!(reader.bytes_read(), file.len() as u64);
        }
    }
}

#[test]
fn every_packet_block_is_read_and_other_blocks_are_passed_over() {
    for writer in BOTH {
        let mut file = writer.section();
        file.extend(writer.block(0xbad, &[1; 33]));
        file.extend(writer.interface(1, &[(2, b"eth0"), (9, &[9])]));
        file.extend(writer.enhanced(0, 5, b"enhanced"));
        // Obsolete packet block: interface and drops in 16 bits each.
        let mut old = [writer.u16(0), writer.u16(3)].concat();
        old.extend(writer.u32s(&[0, 6, 3, 4]));
        old.extend(b"old");
        file.extend(writer.block(2, &old));
        let simple = [&writer.u32(6)[..], b"simple"].concat();
        file.extend(writer.block(3, &simple));
        assert_eq!(
            all(&mut reader(&file).unwrap()).unwrap(),
            [
                (5, LinkType::Ethernet, b"enhanced".to_vec(), 9),
                (6, LinkType::Ethernet, b"old".to_vec(), 4),
                (6, LinkType::Ethernet, b"simple".to_vec(), 6),
            ],
        );
    }
}

#[test]
fn a_simple_packet_is_as_long_as_the_snap_length_of_its_interface() {
    for writer in BOTH {
        let described = [writer.u16(1), writer.u16(0)].concat();
        let limited = writer.block(1, &[&described[..], &writer.u32(6)].concat());
        let mut file = [writer.section(), limited].concat();
        // Of 9 bytes 6 were kept; the block is padded to 8.
        file.extend(writer.block(3, &[&writer.u32(9)[..], b"simple"].concat()));
        file.extend(writer.block(3, &[&writer.u32(3)[..], b"all"].concat()));
        let seen = all(&mut reader(&file).unwrap()).unwrap();
        let seen: Vec<_> = seen.into_iter().map(|packet| (packet.2, packet.3)).collect();
        assert_eq!(seen, [(b"simple".to_vec(), 9), (b"all".to_vec(), 3)]);
    }
}

#[test]
fn each_interface_has_its_own_link_type_and_clock() {
    let w = Writer::Big;
    let mut file = w.section();
    file.extend(w.interface(1, &[]));
    file.extend(w.interface(276, &[(9, &[3])]));
    file.extend(w.interface(101, &[(9, &[0x80 | 10])]));
    file.extend(w.interface(1, &[(9, &[12]), (14, &2_i64.to_be_bytes())]));
    file.extend(w.interface(1, &[(14, &(-1_i64).to_be_bytes())]));
    file.extend(w.enhanced(0, 1 << 33, b"a"));
    file.extend(w.enhanced(1, 2, b"b"));
    file.extend(w.enhanced(2, 1536, b"c"));
    file.extend(w.enhanced(3, 7_000, b"d"));
    file.extend(w.enhanced(4, 3_000_000, b"e"));
    let times: Vec<_> =
        all(&mut reader(&file).unwrap()).unwrap().into_iter().map(|p| (p.0, p.1)).collect();
    assert_eq!(
        times,
        [
            ((1 << 33) * 1_000, LinkType::Ethernet),
            (2_000_000, LinkType::LinuxSll2),
            (1_500_000_000, LinkType::RawIp),
            (2_000_000_007, LinkType::Ethernet),
            (2_000_000_000, LinkType::Ethernet),
        ],
    );
}

#[test]
fn a_second_section_begins_anew_in_its_own_byte_order() {
    let (a, b) = (Writer::Big, Writer::Little);
    let mut file = a.section();
    file.extend(a.interface(1, &[]));
    file.extend(a.enhanced(0, 1, b"a"));
    file.extend(b.section());
    file.extend(b.interface(101, &[]));
    file.extend(b.enhanced(0, 2, b"b"));
    let links: Vec<_> =
        all(&mut reader(&file).unwrap()).unwrap().into_iter().map(|p| p.1).collect();
    assert_eq!(links, [LinkType::Ethernet, LinkType::RawIp]);
}

#[test]
fn a_capture_cut_anywhere_yields_its_whole_packets_and_says_so() {
    let w = Writer::Little;
    let mut pcap = w.pcap_header(0xa1b2_c3d4, 1);
    let mut pcapng = [w.section(), w.interface(1, &[]), w.block(0xbad, &[0; 40])].concat();
    let mut pcap_ends = vec![pcap.len()];
    let mut pcapng_ends = vec![28, 28 + 20, pcapng.len()];
    for _ in 0..3 {
        pcap.extend([w.u32s(&[0, 0, 10, 10]), vec![0; 10]].concat());
        pcap_ends.push(pcap.len());
        pcapng.extend(w.enhanced(0, 0, &[0; 10]));
        pcapng_ends.push(pcapng.len());
    }
    for (file, ends, headers) in [(&pcap, &pcap_ends, 1), (&pcapng, &pcapng_ends, 3)] {
        for len in ends[0]..=file.len() {
            let mut reader = reader(&file[..len]).unwrap();
            let packets = all(&mut reader).unwrap().len();
            let whole = ends.iter().filter(|&&end| end <= len).count();
            assert_eq!(packets, whole.saturating_sub(headers), "{len} bytes");
            let last_end = ends[whole - 1];
            let cut = (last_end != len).then(|| Cut {
                name: "a.pcap".into(),
                offset: last_end as u64,
                packets: packets as u64,
                fault: None,
            });
            assert_eq!(reader.cut(), cut.as_ref(), "{len} bytes");
        }
    }
}

fn message(bytes: &[u8]) -> String {
    match reader(bytes).and_then(|mut reader| all(&mut reader)) {
        Ok(packets) => panic!("read as a capture of {} packets", packets.len()),
        Err(error) => error.to_string(),
    }
}

#[test]
fn what_is_no_capture_gets_one_clear_sentence() {
    let w = Writer::Little;
    let tail = "; tapdiff reads pcap and pcapng";
    assert_eq!(message(b""), "a.pcap: empty; a capture has at least a file header");
    assert_eq!(
        message(b"GET / HTTP/1.1\r\n"),
        format!("a.pcap: not a capture file (starts with \"GET / \"){tail}"),
    );
    assert_eq!(
        message(b"\x7fELF\x02\x01"),
        format!("a.pcap: not a capture file (starts with 7f454c46){tail}"),
    );
    assert_eq!(
        message(&[0x1f, 0x8b, 8, 0]),
        "a.pcap: not a capture file (starts with 1f8b0800); it is compressed: gunzip it first",
    );
    assert_eq!(
        message(&w.pcap_header(0xa1b2_c3d4, 147)),
        format!("a.pcap: link type 147 is not read; tapdiff reads {}", LinkType::NAMES),
    );
    assert_eq!(
        message(&w.pcap_header(0xa1b2_c3d4, 1)[..20]),
        "a.pcap: ends inside its file header; capture it again",
    );
    let missing = match Reader::open("no/such.pcap") {
        Ok(_) => panic!("there is no such file"),
        Err(error) => error.to_string(),
    };
    assert!(missing.starts_with("no/such.pcap: cannot be opened: No such file"), "{missing}");
}

#[test]
fn damage_before_the_first_packet_is_an_error_that_says_where() {
    let w = Writer::Little;
    let at = |offset, what| {
        format!(
            "a.pcap: damaged at byte {offset}, before its first packet: {what}; capture it again"
        )
    };
    let huge = [w.pcap_header(0xa1b2_c3d4, 1), w.u32s(&[0, 0, u32::MAX, 0])].concat();
    assert_eq!(message(&huge), at(24, "a packet of more than 16 MiB"));
    let nowhere = [w.section(), w.enhanced(0, 0, b"x")].concat();
    assert_eq!(message(&nowhere), at(28, "a packet of an interface that is not described"));
    let odd = [w.section(), w.u32s(&[6, 13, 0, 0])].concat();
    assert_eq!(message(&odd), at(28, "a block whose length cannot be"));
    let mut twice = [w.section(), w.interface(1, &[])].concat();
    let len = twice.len();
    twice[len - 4] = 24;
    assert_eq!(message(&twice), at(28, "a block with two different lengths"));
}

#[test]
fn damage_after_a_packet_ends_the_file_there_and_says_so() {
    let w = Writer::Little;
    let head = w.pcap_header(0xa1b2_c3d4, 1);
    let good = [&w.u32s(&[1, 0, 2, 2])[..], b"ok"].concat();
    let file = [&head[..], &good, &w.u32s(&[0, 0, u32::MAX, 0])].concat();
    let mut reader = reader(&file).unwrap();
    assert_eq!(all(&mut reader).unwrap().len(), 1);
    assert_eq!(
        reader.cut().unwrap().to_string(),
        "a.pcap: not readable from byte 42 on (a packet of more than 16 MiB); \
         the 1 packets before it were read"
    );
}

#[test]
fn unknown_link_types_beside_known_ones_are_counted_and_alone_are_an_error() {
    let w = Writer::Little;
    let head = [w.section(), w.interface(147, &[]), w.interface(1, &[])].concat();
    let unknown = w.enhanced(0, 0, b"?");
    let mixed = [&head[..], &unknown, &w.enhanced(1, 0, b"ok"), &unknown].concat();
    let mut reader = reader(&mixed).unwrap();
    assert_eq!(all(&mut reader).unwrap().len(), 1);
    assert_eq!(reader.unknown_link_packets(), 2);
    let alone = [&head[..], &unknown].concat();
    assert!(message(&alone).starts_with("a.pcap: link type 147 is not read"));
}

#[test]
fn a_record_larger_than_the_window_is_read_whole() {
    let w = Writer::Little;
    let mut file = w.pcap_header(0xa1b2_c3d4, 1);
    let large: Vec<u8> = (0..3_000_000_u32).map(|n| n as u8).collect();
    for data in [&large[..], b"small", &large[..]] {
        let len = u32::try_from(data.len()).unwrap();
        file.extend([&w.u32s(&[0, 0, len, len])[..], data].concat());
    }
    let mut reader = Reader::from_read("a.pcap", Box::new(std::io::Cursor::new(file))).unwrap();
    let seen = all(&mut reader).unwrap();
    assert_eq!(seen.len(), 3);
    assert!(seen[0].2 == large && seen[1].2 == b"small" && seen[2].2 == large);
}

#[test]
fn several_captures_come_merged_by_time() {
    let capture = |name: &str, times: &[u32], cut: usize| {
        let w = Writer::Little;
        let mut file = w.pcap_header(0xa1b2_3c4d, 1);
        for &time in times {
            file.extend([&w.u32s(&[0, time, 1, 1])[..], name.as_bytes()].concat());
        }
        file.truncate(file.len() - cut);
        Reader::from_read(name, Box::new(std::io::Cursor::new(file))).unwrap()
    };
    let readers =
        vec![capture("a", &[1, 4, 5], 0), capture("b", &[2, 4, 9, 10], 1), capture("c", &[], 0)];
    let mut merged = Merged::new(readers).unwrap();
    let mut order = String::new();
    while let Some(packet) = merged.next().unwrap() {
        order.push_str(std::str::from_utf8(packet.data).unwrap());
        order.push_str(&packet.at.as_nanos().to_string());
    }
    assert_eq!(order, "a1b2a4b4a5b9");
    let cuts: Vec<_> = merged.cuts().map(ToString::to_string).collect();
    assert_eq!(
        cuts,
        ["b: cut in the middle of the record at byte 75; the 3 packets before it were read"],
    );
}

proptest::proptest! {
    #[test]
    fn any_bytes_behind_any_header_are_read_or_refused_without_a_panic(
        header in 0usize..4,
        junk in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300),
    ) {
        let w = Writer::Little;
        let head = match header {
            0 => vec![],
            1 => w.pcap_header(0xa1b2_c3d4, 1),
            2 => w.section(),
            _ => [w.section(), w.interface(1, &[])].concat(),
        };
        if let Ok(mut reader) = reader(&[head, junk].concat()) {
            let _ = all(&mut reader);
        }
    }
}

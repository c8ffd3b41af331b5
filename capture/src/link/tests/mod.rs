use etherparse::{EtherType, PacketBuilder, VlanId};
use proptest::prelude::*;

use super::*;

mod framing;
mod tunnels;

const PAYLOAD: &[u8] = b"GET / HTTP/1.1\r\n\r\n";

/// LLC for SNAP with an EtherType after it (RFC 1042).
const LLC_SNAP: [u8; 6] = [0xaa, 0xaa, 3, 0, 0, 0];

/// An Ethernet frame with [`PAYLOAD`] from 10.0.0.1:40000 to 10.0.0.2:8080, with VLAN tags.
fn ipv4_frame(tags: u8) -> Vec<u8> {
    let ethernet = PacketBuilder::ethernet2([1; 6], [2; 6]);
    let (from, to) = ([10, 0, 0, 1], [10, 0, 0, 2]);
    let (outer, inner) = (VlanId::try_new(100).unwrap(), VlanId::try_new(7).unwrap());
    let ip = match tags {
        0 => ethernet.ipv4(from, to, 64),
        1 => ethernet.single_vlan(outer).ipv4(from, to, 64),
        _ => ethernet.double_vlan(outer, inner).ipv4(from, to, 64),
    };
    let mut bytes = Vec::new();
    ip.tcp(40_000, 8080, 77, 1_000).ack(99).psh().write(&mut bytes, PAYLOAD).unwrap();
    bytes
}

/// The IPv4 packet of [`ipv4_frame`], without its frame.
fn ipv4_packet() -> Vec<u8> {
    ipv4_frame(0).split_off(14)
}

fn ipv6_packet() -> Vec<u8> {
    let (from, to) = ([0xfd; 16], [0xfc; 16]);
    let mut bytes = Vec::new();
    let tcp = PacketBuilder::ipv6(from, to, 64).tcp(40_000, 8080, 77, 1_000).ack(99);
    tcp.write(&mut bytes, PAYLOAD).unwrap();
    bytes
}

/// The segment of a packet that is no fragment, by both ways where there are two.
fn segment<'a>(packet: &Packet<'a>) -> Result<Segment<'a>, Refused> {
    let walk = || match Walk::of_packet(packet)?.run()? {
        Found::Segment(segment) => Ok(segment),
        Found::Fragment(_) => Err(Refused::Held),
    };
    let found = walk();
    if let Some(segment) = plain(packet) {
        assert_eq!(Ok(segment), found, "the short way and the long way lead to one place");
    }
    found
}

fn packet(link: LinkType, data: &[u8]) -> Packet<'_> {
    let original_len = u32::try_from(data.len()).unwrap();
    Packet { at: Timestamp::from_nanos(5), link, data, original_len }
}

/// `header`, then `packet`.
fn behind(header: &[u8], packet: &[u8]) -> Vec<u8> {
    [header, packet].concat()
}

fn sll(ethertype: u16, packet: &[u8]) -> Vec<u8> {
    let mut header = vec![0, 0, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0];
    header.extend(ethertype.to_be_bytes());
    behind(&header, packet)
}

fn sll2(ethertype: u16, packet: &[u8]) -> Vec<u8> {
    let mut header = ethertype.to_be_bytes().to_vec();
    header.extend([0, 0, 0, 0, 0, 3, 0, 1, 0, 6, 2, 2, 2, 2, 2, 2, 0, 0]);
    behind(&header, packet)
}

#[test]
fn the_segment_is_found_behind_every_link_header() {
    let (v4, v6) = (ipv4_packet(), ipv6_packet());
    let cases = [
        (LinkType::Ethernet, ipv4_frame(0)),
        (LinkType::Ethernet, ipv4_frame(1)),
        (LinkType::Ethernet, ipv4_frame(2)),
        (LinkType::Ethernet, behind(&[1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 0x86, 0xdd], &v6)),
        (LinkType::Ethernet, behind(&[&[1; 12][..], &[0, 99], &LLC_SNAP, &[8, 0]].concat(), &v4)),
        (LinkType::LinuxSll, sll(0x0800, &v4)),
        (LinkType::LinuxSll, sll(0x86dd, &v6)),
        (LinkType::LinuxSll2, sll2(0x0800, &v4)),
        (LinkType::LinuxSll2, sll2(0x86dd, &v6)),
        (LinkType::LinuxSll2, sll2(0x8100, &behind(&[0, 100, 8, 0], &v4))),
        (LinkType::Null, behind(&[2, 0, 0, 0], &v4)),
        (LinkType::Null, behind(&[0, 0, 0, 2], &v4)),
        (LinkType::Null, behind(&[30, 0, 0, 0], &v6)),
        (LinkType::Loop, behind(&[0, 0, 0, 24], &v6)),
        (LinkType::RawIp, v4.clone()),
        (LinkType::RawIp, v6.clone()),
        (LinkType::Ipv4, v4),
        (LinkType::Ipv6, v6),
    ];
    for (link, data) in cases {
        let segment = segment(&packet(link, &data)).unwrap();
        assert_eq!(segment.payload, PAYLOAD, "{link:?}");
        assert_eq!((segment.seq, segment.ack, segment.cut), (77, Some(99), 0), "{link:?}");
        assert_eq!((segment.source.port(), segment.destination.port()), (40_000, 8080));
        assert_eq!((segment.syn, segment.fin, segment.rst), (false, false, false));
        assert_eq!(segment.at, Timestamp::from_nanos(5));
    }
}

#[test]
fn ethernet_padding_is_no_payload() {
    let mut frame = Vec::new();
    let tcp = PacketBuilder::ethernet2([1; 6], [2; 6])
        .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
        .tcp(40_000, 8080, 77, 1_000)
        .ack(99);
    tcp.write(&mut frame, b"").unwrap();
    frame.resize(60, 0);
    let segment = segment(&packet(LinkType::Ethernet, &frame)).unwrap();
    assert_eq!((segment.payload, segment.cut), (&b""[..], 0));
}

#[test]
fn what_comes_after_an_ipv6_packet_is_no_payload() {
    let data = [ipv6_packet(), b"frame check sequence".to_vec()].concat();
    let segment = segment(&packet(LinkType::RawIp, &data)).unwrap();
    assert_eq!((segment.payload, segment.cut), (PAYLOAD, 0));
}

#[test]
fn an_offloaded_packet_without_a_length_reaches_to_the_end_of_the_packet() {
    let mut v4 = ipv4_packet();
    v4[2..4].copy_from_slice(&[0, 0]);
    let mut v6 = ipv6_packet();
    v6[4..6].copy_from_slice(&[0, 0]);
    for data in [v4, v6] {
        let whole = segment(&packet(LinkType::RawIp, &data)).unwrap();
        assert_eq!((whole.payload, whole.cut), (PAYLOAD, 0));
        let snapped = Packet {
            original_len: u32::try_from(data.len()).unwrap(),
            ..packet(LinkType::RawIp, &data[..data.len() - 5])
        };
        let snapped = segment(&snapped).unwrap();
        assert_eq!((snapped.payload, snapped.cut), (&PAYLOAD[..PAYLOAD.len() - 5], 5));
    }
}

#[test]
fn a_packet_cut_by_the_snap_length_says_how_much_is_missing() {
    for (link, data) in [(LinkType::Ethernet, ipv4_frame(1)), (LinkType::RawIp, ipv6_packet())] {
        for missing in 0..=PAYLOAD.len() {
            let seen = &data[..data.len() - missing];
            let whole_len = u32::try_from(data.len()).unwrap();
            let segment =
                segment(&Packet { original_len: whole_len, ..packet(link, seen) }).unwrap();
            assert_eq!(segment.payload, &PAYLOAD[..PAYLOAD.len() - missing]);
            assert_eq!(segment.cut as usize, missing);
        }
        let headless = &data[..data.len() - PAYLOAD.len() - 1];
        assert_eq!(segment(&packet(link, headless)), Err(Refused::Odd(Anomaly::BadPacketHeader)),);
    }
}

#[test]
fn ipv6_extension_headers_are_passed_over() {
    let v6 = ipv6_packet();
    let mut data = v6[..40].to_vec();
    // Hop-by-hop options, then destination options of 16 bytes, then TCP.
    data[6] = 0;
    let len = u16::from_be_bytes([v6[4], v6[5]]) + 24;
    data[4..6].copy_from_slice(&len.to_be_bytes());
    data.extend([60, 0, 1, 4, 0, 0, 0, 0]);
    data.extend([6, 1, 1, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    data.extend(&v6[40..]);
    assert_eq!(segment(&packet(LinkType::RawIp, &data)).unwrap().payload, PAYLOAD);
}

#[test]
fn what_is_no_tcp_is_refused_without_complaint() {
    let mut udp = Vec::new();
    PacketBuilder::ipv4([1; 4], [2; 4], 9).udp(53, 53).write(&mut udp, b"x").unwrap();
    let arp = behind(&[0; 12], &[&EtherType::ARP.0.to_be_bytes()[..], &[0; 28]].concat());
    let cases =
        [(LinkType::RawIp, udp), (LinkType::Ethernet, arp), (LinkType::Null, vec![7, 0, 0, 0])];
    for (link, data) in cases {
        assert_eq!(segment(&packet(link, &data)), Err(Refused::NotTcp));
    }
}

#[test]
fn an_ip_length_shorter_than_its_header_is_refused() {
    let mut data = ipv4_packet();
    data[2..4].copy_from_slice(&19_u16.to_be_bytes());
    assert_eq!(
        segment(&packet(LinkType::RawIp, &data)),
        Err(Refused::Odd(Anomaly::BadPacketHeader)),
    );
}

#[test]
fn a_jumbogram_ends_where_its_option_says() {
    let v6 = ipv6_packet();
    let mut data = v6[..40].to_vec();
    data[4..6].copy_from_slice(&[0, 0]);
    data[6] = 0;
    let len = u32::try_from(v6.len() - 40 + 8).unwrap();
    data.extend([6, 0, 0xc2, 4]);
    data.extend(len.to_be_bytes());
    data.extend(&v6[40..]);
    data.extend(b"frame check sequence");
    assert_eq!(segment(&packet(LinkType::RawIp, &data)).unwrap().payload, PAYLOAD);
}

#[test]
fn a_segment_above_64_kib_is_found_whole() {
    let large = vec![b'x'; 200_000];
    let mut data = ipv4_packet();
    data.truncate(data.len() - PAYLOAD.len());
    data[2..4].copy_from_slice(&[0, 0]);
    data.extend(&large);
    let segment = segment(&packet(LinkType::RawIp, &data)).unwrap();
    assert_eq!((segment.payload.len(), segment.cut), (200_000, 0));
}

#[test]
fn an_authentication_header_is_passed_over() {
    let mut data = ipv4_packet();
    let tcp = data.split_off(20);
    data[9] = 51;
    let len = u16::try_from(20 + 24 + tcp.len()).unwrap();
    data[2..4].copy_from_slice(&len.to_be_bytes());
    // Next TCP, length 24 / 4 - 2, reserved; security parameters, sequence, check value.
    data.extend([6, 4, 0, 0]);
    data.extend([9; 20]);
    data.extend(tcp);
    assert_eq!(segment(&packet(LinkType::RawIp, &data)).unwrap().payload, PAYLOAD);
}

proptest! {
    #[test]
    fn any_bytes_of_any_link_type_do_not_panic(
        link in prop::sample::select(&LinkType::ALL[..]),
        data in prop::collection::vec(any::<u8>(), 0..200),
        original_len in any::<u32>(),
    ) {
        let _ = segment(&Packet { original_len, ..packet(link, &data) });
    }

    /// Close to valid, so that the depths are reached.
    #[test]
    fn damaged_packets_do_not_panic_and_keep_payload_inside_the_packet(
        v6 in any::<bool>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
        cut in 0usize..80,
        original_len in 0u32..2_000,
    ) {
        let mut data = if v6 { ipv6_packet() } else { ipv4_packet() };
        for (index, byte) in damage {
            let index = index.index(data.len());
            data[index] = byte;
        }
        data.truncate(data.len().saturating_sub(cut));
        let packet = Packet { original_len, ..packet(LinkType::RawIp, &data) };
        if let Ok(segment) = segment(&packet) {
            prop_assert!(segment.payload.len() <= data.len());
        }
    }
}

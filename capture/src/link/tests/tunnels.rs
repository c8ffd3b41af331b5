//! IP in IP, GRE, and the tunnels in UDP.

use super::*;

/// `payload` in IPv4 from 192.168.0.1 to 192.168.0.2.
fn in_ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(20 + payload.len()).unwrap();
    let [high, low] = len.to_be_bytes();
    let header =
        [0x45, 0, high, low, 0, 1, 0, 0, 64, protocol, 0, 0, 192, 168, 0, 1, 192, 168, 0, 2];
    behind(&header, payload)
}

/// `payload` in IPv6.
fn in_ipv6(protocol: u8, payload: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(payload.len()).unwrap().to_be_bytes();
    [&[0x60, 0, 0, 0, high, low, protocol, 64][..], &[0xfe; 32], payload].concat()
}

/// `payload` in UDP over IPv4.
fn in_udp(source: u16, destination: u16, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(8 + payload.len()).unwrap();
    let header = [source, destination, len, 0].map(u16::to_be_bytes).concat();
    in_ipv4(17, &behind(&header, payload))
}

/// IPv6 with [`PAYLOAD`] between Teredo clients.
fn teredo_packet() -> Vec<u8> {
    let mut v6 = ipv6_packet();
    v6[24..28].copy_from_slice(&[0x20, 0x01, 0, 0]);
    v6
}

/// Packets that hold [`PAYLOAD`] in tunnels.
fn tunnels() -> Vec<(&'static str, Vec<u8>)> {
    let (v4, v6, frame) = (ipv4_packet(), ipv6_packet(), ipv4_frame(0));
    let tagged = ipv4_frame(2);
    let gre = |header: &[u8], inner: &[u8]| in_ipv4(47, &behind(header, inner));
    let udp = |port, header: &[u8], inner: &[u8]| in_udp(50_000, port, &behind(header, inner));
    let gtp = |flags: u8, optional: &[u8]| {
        let len = u16::try_from(optional.len() + v4.len()).unwrap();
        [&[0x30 | flags, 255][..], &len.to_be_bytes(), &[0, 0, 0, 1], optional].concat()
    };
    let teredo = teredo_packet();
    let pptp_len = u16::try_from(v4.len() + 2).unwrap().to_be_bytes();
    let l2tp_len = u16::try_from(v4.len() + 20).unwrap().to_be_bytes();
    vec![
        ("4 in 4", in_ipv4(4, &v4)),
        ("6 in 4", in_ipv4(41, &v6)),
        ("4 in 6", in_ipv6(4, &v4)),
        ("6 in 6", in_ipv6(41, &v6)),
        ("4 in 4 in 6 in 4", in_ipv4(41, &in_ipv6(4, &in_ipv4(4, &v4)))),
        ("MPLS in IP", in_ipv4(137, &behind(&[0, 0, 1, 64], &v4))),
        ("Ethernet in IP", in_ipv4(97, &behind(&[0x30, 0], &frame))),
        ("GRE", gre(&[0, 0, 8, 0], &v4)),
        ("GRE with IPv6", gre(&[0, 0, 0x86, 0xdd], &v6)),
        (
            "GRE with checksum, key and sequence",
            gre(&[0xb0, 0, 8, 0, 1, 1, 0, 0, 2, 2, 2, 2, 3, 3, 3, 3], &v4),
        ),
        ("GRE with Ethernet", gre(&[0, 0, 0x65, 0x58], &tagged)),
        ("NVGRE", gre(&[0x20, 0, 0x65, 0x58, 0, 1, 2, 3], &frame)),
        ("GRE with MPLS", gre(&[0, 0, 0x88, 0x47, 0, 0, 1, 64], &v4)),
        (
            "PPTP",
            gre(
                &[
                    &[0x30, 0x81, 0x88, 0x0b][..],
                    &pptp_len,
                    &[0, 7, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0x21],
                ]
                .concat(),
                &v4,
            ),
        ),
        ("ERSPAN I", gre(&[0, 0, 0x88, 0xbe], &frame)),
        ("ERSPAN II", gre(&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 9, 0x10, 1, 0, 2, 0, 0, 0, 3], &frame)),
        (
            "ERSPAN III",
            gre(&[0x10, 0, 0x22, 0xeb, 0, 0, 0, 9, 0x20, 1, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0], &tagged),
        ),
        (
            "ERSPAN III with a subheader, and IP",
            gre(
                &[
                    &[0x10, 0, 0x22, 0xeb, 0, 0, 0, 9, 0x20, 1, 0, 2, 0, 0, 0, 3, 0, 0, 8, 1][..],
                    &[0; 8],
                ]
                .concat(),
                &v4,
            ),
        ),
        ("WCCP", gre(&[0, 0, 0x88, 0x3e], &v4)),
        ("WCCP 2", gre(&[0, 0, 0x88, 0x3e, 0, 0, 1, 0], &v4)),
        ("VXLAN", udp(4789, &[8, 0, 0, 0, 0, 0, 7, 0], &frame)),
        ("VXLAN with reserved bits", udp(4789, &[0xff, 9, 9, 9, 0, 0, 7, 9], &tagged)),
        ("VXLAN on Linux' old port", udp(8472, &[8, 0, 0, 0, 0, 0, 7, 0], &frame)),
        ("VXLAN-GPE", udp(4790, &[0x0c, 0, 0, 1, 0, 0, 7, 0], &v4)),
        ("VXLAN-GPE with Ethernet", udp(4790, &[0x0c, 0, 0, 3, 0, 0, 7, 0], &frame)),
        ("GENEVE", udp(6081, &[0, 0, 0x65, 0x58, 0, 0, 7, 0], &frame)),
        (
            "GENEVE with options and IP",
            udp(6081, &[2, 0x40, 8, 0, 0, 0, 7, 0, 1, 2, 3, 1, 9, 9, 9, 9], &v4),
        ),
        ("GTP-U", udp(2152, &gtp(0, &[]), &v4)),
        ("GTP-U from the port", in_udp(2152, 5_906, &behind(&gtp(0, &[]), &v4))),
        ("GTP-U on other ports", in_udp(40_001, 40_002, &behind(&gtp(0, &[]), &v4))),
        ("GTP-U with sequence", udp(2152, &gtp(2, &[0, 1, 0, 0]), &v4)),
        (
            "GTP-U with extensions",
            udp(2152, &gtp(4, &[0, 0, 0, 0x85, 1, 9, 9, 0x40, 2, 8, 8, 8, 8, 8, 8, 0]), &v4),
        ),
        ("Teredo", udp(3544, &[], &v6)),
        (
            "Teredo with indications",
            udp(
                3544,
                &[&[0, 1, 2, 1][..], &[7; 3 + 9], &[0, 0, 1, 2, 3, 4, 5, 6]].concat(),
                &teredo,
            ),
        ),
        ("Teredo between clients", in_udp(3_797, 32_900, &teredo)),
        ("L2TP", udp(1701, &[0, 2, 0, 1, 0, 2, 0xff, 3, 0, 0x21], &v4)),
        (
            "L2TP with everything",
            udp(
                1701,
                &[
                    &[0x4a, 2][..],
                    &l2tp_len,
                    &[0, 1, 0, 2, 0, 3, 0, 4, 0, 2, 9, 9, 0xff, 3, 0, 0x21],
                ]
                .concat(),
                &v4,
            ),
        ),
        ("GRE in UDP", udp(4754, &[0, 0, 8, 0], &v4)),
        ("MPLS in UDP", udp(6635, &[0, 0, 1, 64], &v4)),
        (
            "VXLAN in GRE in VXLAN",
            udp(
                4789,
                &[&[8, 0, 0, 0, 0, 0, 7, 0][..], &[2; 12], &[8, 0]].concat(),
                &gre(&[0, 0, 8, 0], &udp(4789, &[8, 0, 0, 0, 0, 0, 8, 0], &frame)),
            ),
        ),
    ]
}

#[test]
fn the_segment_is_found_in_every_tunnel_with_the_innermost_addresses() {
    for (name, data) in tunnels() {
        let segment = segment(&packet(LinkType::RawIp, &data))
            .unwrap_or_else(|why| panic!("{name}: {why:?}"));
        assert_eq!((segment.payload, segment.cut), (PAYLOAD, 0), "{name}");
        let source = segment.source.ip().to_string();
        assert!(
            ["10.0.0.1", "fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd"].contains(&&*source),
            "{name}"
        );
    }
}

#[test]
fn a_tunnel_cut_anywhere_is_refused_or_says_how_much_is_missing() {
    for (name, data) in tunnels() {
        let original_len = u32::try_from(data.len()).unwrap();
        let mut found = 0;
        for len in 0..data.len() {
            match segment(&Packet { original_len, ..packet(LinkType::RawIp, &data[..len]) }) {
                Ok(segment) => {
                    assert_eq!(segment.payload.len() + segment.cut as usize, PAYLOAD.len());
                    assert!(PAYLOAD.starts_with(segment.payload), "{name} cut to {len}");
                    found += 1;
                }
                Err(refused) => assert_ne!(refused, Refused::Held, "{name} cut to {len}"),
            }
        }
        assert_eq!(found, PAYLOAD.len(), "{name}: every cut in the payload leaves a segment");
    }
}

#[test]
fn ethernet_padding_behind_a_tunnel_is_no_payload() {
    for (name, data) in tunnels() {
        let frame = [&[2; 12][..], &[8, 0], &data, &[0; 30]].concat();
        if data[0] >> 4 == 4 {
            let segment = segment(&packet(LinkType::Ethernet, &frame)).unwrap();
            assert_eq!((segment.payload, segment.cut), (PAYLOAD, 0), "{name}");
        }
    }
}

#[test]
fn a_packet_without_a_length_ends_with_the_tunnel_around_it() {
    let mut v4 = ipv4_packet();
    v4[2..4].copy_from_slice(&[0, 0]);
    let len = |more: usize| u16::try_from(v4.len() + more).unwrap().to_be_bytes();
    let gtp = [&[0x30, 255][..], &len(0), &[0, 0, 0, 1], &v4].concat();
    let l2tp = [&[0x40, 2][..], &len(10), &[0, 1, 0, 2, 0, 0x21], &v4].concat();
    let pptp = [&[0x20, 1, 0x88, 0x0b][..], &len(2), &[0, 7, 0, 0x21], &v4].concat();
    let pppoe = [&[2; 12][..], &[0x88, 0x64, 0x11, 0, 0, 1], &len(2), &[0, 0x21], &v4].concat();
    let after = |packet: &[u8]| behind(packet, b"trailer");
    let cases = [
        ("GTP-U", in_udp(2152, 2152, &after(&gtp))),
        ("L2TP", in_udp(1701, 1701, &after(&l2tp))),
        ("PPTP", in_ipv4(47, &after(&pptp))),
        ("PPPoE", in_ipv4(97, &behind(&[0x30, 0], &after(&pppoe)))),
    ];
    for (name, data) in cases {
        let segment = segment(&packet(LinkType::RawIp, &data))
            .unwrap_or_else(|why| panic!("{name}: {why:?}"));
        assert_eq!((segment.payload, segment.cut), (PAYLOAD, 0), "{name}");
    }
}

#[test]
fn a_packet_longer_than_the_tunnel_around_it_shows_that_it_is_none() {
    for (name, data) in tunnels().into_iter().filter(|(_, data)| data[0] == 0x45 && data[9] == 17) {
        let mut data = data;
        let (inner_len, len_at) = if name.contains("Teredo") {
            (ipv6_packet().len(), 4)
        } else {
            (ipv4_packet().len(), 2)
        };
        // With VLAN tags or without, the inner packet comes last.
        let inner = data.len() - inner_len;
        data[inner + len_at] = 1;
        assert_eq!(segment(&packet(LinkType::RawIp, &data)), Err(Refused::NotTcp), "{name}",);
    }
}

#[test]
fn udp_that_only_shares_a_port_with_a_tunnel_is_no_tcp_and_nothing_is_wrong_with_it() {
    let junk = [b"\x08 no tunnel".as_slice(), &[0x5a; 90]].concat();
    let http = behind(b"\x08\0\0\0\0\0\0\0", b"GET / HTTP/1.1\r\nhost: a\r\n\r\n");
    for port in [1701, 2152, 3544, 4754, 4789, 4790, 6081, 6635, 8472, 53] {
        for payload in [&junk[..], &http, b"", b"\x08", &[0x60; 50], &[0x45; 50], &[0x32, 0xff]] {
            for (source, destination) in [(port, 40_000), (40_000, port)] {
                let data = in_udp(source, destination, payload);
                assert_eq!(
                    segment(&packet(LinkType::RawIp, &data)),
                    Err(Refused::NotTcp),
                    "{source} to {destination}: {payload:x?}",
                );
            }
        }
    }
}

#[test]
fn what_looks_almost_like_a_tunnel_on_another_port_is_none() {
    let v4 = ipv4_packet();
    let len = u16::try_from(v4.len()).unwrap().to_be_bytes();
    let gtp = [&[0x30, 255][..], &len, &[0, 0, 0, 1], &v4].concat();
    assert!(segment(&packet(LinkType::RawIp, &in_udp(40_001, 40_002, &gtp))).is_ok());
    let longer = behind(&gtp, b"x");
    let mut other_version = gtp.clone();
    other_version[0] = 0x50;
    let mut inner_shorter = gtp;
    inner_shorter[8 + 3] -= 1;
    // IPv6 in UDP, and no Teredo address in it.
    for payload in [longer, other_version, inner_shorter, ipv6_packet()] {
        let data = in_udp(40_001, 40_002, &payload);
        assert_eq!(segment(&packet(LinkType::RawIp, &data)), Err(Refused::NotTcp));
    }
}

#[test]
fn control_messages_of_tunnels_are_no_tcp() {
    let v4 = ipv4_packet();
    let cases = [
        in_udp(1701, 1701, &behind(&[0xc8, 2, 0, 12, 0, 1, 0, 0, 0, 0, 0, 0], &v4)),
        in_udp(2152, 2152, &behind(&[0x32, 1, 0, 4, 0, 0, 0, 0], &[0, 0, 0, 0])),
        in_udp(9, 6081, &behind(&[0, 0x80, 8, 0, 0, 0, 7, 0], &v4)),
        in_udp(9, 4789, &behind(&[0; 8], &ipv4_frame(0))),
        // GRE with a version or routes that are not read, and its keepalive.
        in_ipv4(47, &behind(&[0, 5, 8, 0], &v4)),
        in_ipv4(47, &behind(&[0x40, 0, 8, 0, 0, 0, 0, 0], &v4)),
        in_ipv4(47, &[0, 0, 0, 0]),
    ];
    for data in cases {
        assert_eq!(segment(&packet(LinkType::RawIp, &data)), Err(Refused::NotTcp), "{data:x?}");
    }
}

proptest! {
    /// Close to valid, so that the depths are reached.
    #[test]
    fn damaged_tunnels_do_not_panic_and_keep_payload_inside_the_packet(
        which in any::<prop::sample::Index>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..5),
        cut in 0usize..120,
        original_len in 0u32..2_000,
    ) {
        let mut all = tunnels();
        let mut data = all.swap_remove(which.index(all.len())).1;
        for (index, byte) in damage {
            let index = index.index(data.len());
            data[index] = byte;
        }
        data.truncate(data.len().saturating_sub(cut));
        let packet = Packet { original_len, ..packet(LinkType::RawIp, &data) };
        if let Ok(segment) = segment(&packet) {
            let (inner, outer) = (segment.payload.as_ptr_range(), data.as_ptr_range());
            prop_assert!(outer.start <= inner.start && inner.end <= outer.end);
        }
    }
}

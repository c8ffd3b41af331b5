//! Link headers other than Ethernet, cooked, loopback and raw, and what stands between a link
//! header and IP.

use super::*;

/// Frames that hold [`ipv4_packet`], by what is before it.
fn frames() -> Vec<(&'static str, LinkType, Vec<u8>)> {
    let v4 = ipv4_packet();
    let ethernet = |ethertype: u16| [&[2; 12][..], &ethertype.to_be_bytes()].concat();
    let nflog = |payload: &[u8], order: fn(u16) -> [u8; 2]| {
        let len = u16::try_from(payload.len() + 4).unwrap();
        // A prefix of 1 byte, padded, then the payload.
        let attributes = [&order(5)[..], &order(10), b"\0\0\0\0", &order(len), &order(9)].concat();
        [&[2, 0, 0, 7][..], &attributes, payload, &[0; 3]].concat()
    };
    let radiotap = [0, 0, 10, 0, 0, 0, 0, 0, 9, 9];
    let wifi = |control: [u8; 2], more: usize| {
        let header = [&control[..], &[0; 22], &vec![0; more]].concat();
        [&header[..], &LLC_SNAP, &[8, 0]].concat()
    };
    let pppoe = |protocol: &[u8]| {
        let len = u16::try_from(protocol.len() + v4.len()).unwrap();
        [&[0x11, 0, 0, 1][..], &len.to_be_bytes(), protocol].concat()
    };
    // Label 1000, then label 1001 at the bottom.
    let labels = [0x00, 0x3e, 0x80, 64, 0x00, 0x3e, 0x91, 64];
    let head = |header: &[u8]| behind(header, &v4);
    vec![
        ("PPP", LinkType::Ppp, head(&[0xff, 3, 0, 0x21])),
        ("PPP without address and control", LinkType::Ppp, head(&[0, 0x21])),
        ("PPP with a compressed protocol", LinkType::Ppp, head(&[0x21])),
        ("PPP with direction", LinkType::PppWithDirection, head(&[1, 0xff, 3, 0, 0x21])),
        ("PPP over a serial line", LinkType::PppSerial, head(&[0xff, 3, 0, 0x21])),
        ("PPP with MPLS", LinkType::Ppp, head(&[&[0xff, 3, 2, 0x81][..], &labels].concat())),
        ("Cisco HDLC over a serial line", LinkType::PppSerial, head(&[0x0f, 0, 8, 0])),
        ("Cisco HDLC", LinkType::CiscoHdlc, head(&[0x8f, 0, 8, 0])),
        ("Cisco HDLC with direction", LinkType::CiscoHdlcWithDirection, head(&[0, 15, 0, 8, 0])),
        ("PPPoE", LinkType::PppEther, head(&pppoe(&[0, 0x21]))),
        (
            "PPPoE and padding",
            LinkType::Ethernet,
            [head(&[&ethernet(0x8864)[..], &pppoe(&[0, 0x21])].concat()), vec![0; 9]].concat(),
        ),
        ("netfilter log", LinkType::Nflog, nflog(&v4, u16::to_le_bytes)),
        ("netfilter log, big-endian", LinkType::Nflog, nflog(&v4, u16::to_be_bytes)),
        ("ARCNET, RFC 1051", LinkType::ArcnetLinux, head(&[1, 2, 0, 0, 240])),
        ("ARCNET, RFC 1201", LinkType::ArcnetLinux, head(&[1, 2, 0, 0, 212, 0, 0, 1])),
        ("MPLS", LinkType::Mpls, head(&labels)),
        ("MPLS in Ethernet", LinkType::Ethernet, head(&[&ethernet(0x8847)[..], &labels].concat())),
        ("Ethernet in MPLS", LinkType::Mpls, head(&[&labels[..], &[0x40; 12], &[8, 0]].concat())),
        (
            "Ethernet in MPLS with a control word",
            LinkType::Mpls,
            head(&[&labels[..], &[0, 0, 0, 1], &[2; 12], &[8, 0]].concat()),
        ),
        (
            "three VLAN tags",
            LinkType::Ethernet,
            head(&[&ethernet(0x88a8)[..], &[0, 1, 0x81, 0, 0, 2, 0x81, 0, 0, 3, 8, 0]].concat()),
        ),
        (
            "VN-Tag",
            LinkType::Ethernet,
            head(&[&ethernet(0x8926)[..], &[0, 0, 0, 1, 8, 0]].concat()),
        ),
        (
            "802.1ah",
            LinkType::Ethernet,
            head(&[&ethernet(0x88e7)[..], &[0, 0, 0, 1], &ethernet(0x0800)].concat()),
        ),
        (
            "NSH",
            LinkType::Ethernet,
            head(&[&ethernet(0x894f)[..], &[0x0f, 0xc6, 1, 1], &[0; 20]].concat()),
        ),
        ("802.11", LinkType::Wifi, head(&wifi([0x08, 0x01], 0))),
        ("802.11 with QoS", LinkType::Wifi, head(&wifi([0x88, 0x02], 2))),
        ("802.11 with QoS and HT control", LinkType::Wifi, head(&wifi([0x88, 0x81], 6))),
        ("802.11 with four addresses", LinkType::Wifi, head(&wifi([0x08, 0x03], 6))),
        (
            "802.11 behind radiotap",
            LinkType::Radiotap,
            head(&[&radiotap[..], &wifi([0x08, 0x01], 0)].concat()),
        ),
        (
            "802.11 behind PPI",
            LinkType::Ppi,
            head(&[&[0, 0, 12, 0, 105, 0, 0, 0, 9, 9, 9, 9][..], &wifi([8, 1], 0)].concat()),
        ),
    ]
}

#[test]
fn the_segment_is_found_behind_every_header() {
    for (name, link, data) in frames() {
        let segment = segment(&packet(link, &data)).unwrap_or_else(|why| panic!("{name}: {why:?}"));
        assert_eq!((segment.payload, segment.cut), (PAYLOAD, 0), "{name}");
        assert_eq!((segment.seq, segment.source.port()), (77, 40_000), "{name}");
    }
}

#[test]
fn a_frame_cut_anywhere_is_refused_or_says_how_much_is_missing() {
    for (name, link, data) in frames() {
        let original_len = u32::try_from(data.len()).unwrap();
        for len in 0..data.len() {
            match segment(&Packet { original_len, ..packet(link, &data[..len]) }) {
                Ok(segment) => {
                    assert_eq!(segment.payload.len() + segment.cut as usize, PAYLOAD.len());
                    assert!(PAYLOAD.starts_with(segment.payload), "{name} cut to {len}");
                }
                Err(refused) => assert_ne!(refused, Refused::Held, "{name} cut to {len}"),
            }
        }
    }
}

#[test]
fn what_cannot_be_read_of_wireless_is_refused_without_complaint() {
    let v4 = ipv4_packet();
    for control in [
        [0x80, 0x00], // A beacon.
        [0xd4, 0x00], // An acknowledgement.
        [0x48, 0x01], // No data.
        [0x08, 0x41], // Encrypted.
        [0x08, 0x05], // A fragment, more follow.
    ] {
        let data = [&control[..], &[0; 22], &LLC_SNAP, &[8, 0], &v4].concat();
        assert_eq!(segment(&packet(LinkType::Wifi, &data)), Err(Refused::NotTcp), "{control:x?}");
    }
}

#[test]
fn more_headers_than_are_followed_are_refused_by_name() {
    let frame = |tags: usize| {
        let tags = [0x81, 0, 0, 1].repeat(tags);
        [&[2; 12][..], &tags, &[8, 0], &ipv4_packet()].concat()
    };
    assert!(segment(&packet(LinkType::Ethernet, &frame(HEADERS_MAX - 2))).is_ok());
    assert_eq!(
        segment(&packet(LinkType::Ethernet, &frame(HEADERS_MAX - 1))),
        Err(Refused::Odd(Anomaly::TunnelTooDeep)),
    );
}

//! The kernel's filter, from the configured addresses.

use std::fmt::Write as _;
use std::net::IpAddr;

use super::LiveConfig;
use crate::{AddressPattern, LinkType, Target};

/// Addresses above which the filter goes by port alone: the kernel takes 4,096 instructions, and
/// every packet of the host walks through them. This many IPv6 addresses take some 3,600 at worst.
const ADDRESSES_MAX: usize = 20;

/// The filter, in libpcap's language, that passes what can hold TCP segments to and from the
/// targets of `config`, or all TCP where there are none. It may pass more (the tap sorts the
/// rest), never less: fragments without a port, and packets with headers between IP and TCP, pass
/// by address alone. With [`LiveConfig::tunnels`] every packet of a tunnel passes too, whoever is
/// inside, but for tunnels in UDP on ports of their own.
///
/// On Ethernet it passes packets with up to two VLAN tags too; other link types have no tags of
/// their own. Empty, which passes everything, for link types that libpcap cannot filter.
#[must_use]
pub fn bpf_filter(config: &LiveConfig, link: LinkType) -> String {
    match link {
        // libpcap has no filters for these.
        LinkType::CiscoHdlcWithDirection
        | LinkType::Mpls
        | LinkType::Nflog
        | LinkType::PppWithDirection => return String::new(),
        // It refuses a filter that lets nothing pass, as for addresses of the other version.
        LinkType::Ipv4 | LinkType::Ipv6 => return String::new(),
        _ => {}
    }
    let mut expression = expression(&config.targets);
    if config.tunnels {
        expression = format!("{expression} or {IP_TUNNELS} or {UDP_TUNNELS}");
        if matches!(link, LinkType::Ethernet | LinkType::LinuxSll | LinkType::LinuxSll2) {
            expression = format!("{expression} or {LINK_TUNNELS}");
        }
    }
    match link {
        // `vlan` moves all that comes after it in the text by one tag: the order matters.
        LinkType::Ethernet => {
            format!("({expression}) or (vlan and (({expression}) or (vlan and ({expression}))))")
        }
        _ => expression,
    }
}

/// What may hold TCP where the port is not where the filter looks: IPv4 fragments after the first,
/// an authentication header, and IPv6 with any header before TCP.
const WITHOUT_PORT: &str = "((ip proto 6 and ip[6:2] & 0x1fff != 0) or ip proto 51 \
     or (ip6 and (ip6[6] = 0 or ip6[6] = 43 or ip6[6] = 44 or ip6[6] = 51 or ip6[6] = 60)))";

/// IP in IP, GRE, Ethernet and MPLS in IP.
const IP_TUNNELS: &str = "ip proto 4 or ip proto 41 or ip proto 47 or ip proto 97 or ip proto 137 \
     or ip6 proto 4 or ip6 proto 41 or ip6 proto 47 or ip6 proto 97 or ip6 proto 137";

/// Those that the tap knows by their port, and UDP fragments after the first.
const UDP_TUNNELS: &str = "udp port 1701 or udp port 2152 or udp port 3544 or udp port 4754 \
     or udp port 4789 or udp port 4790 or udp port 6081 or udp port 6635 or udp port 8472 \
     or (ip proto 17 and ip[6:2] & 0x1fff != 0) or (ip6 and ip6[6] = 44 and ip6[40] = 17)";

/// MPLS, PPPoE, service chains and provider bridges.
const LINK_TUNNELS: &str = "ether proto 0x8847 or ether proto 0x8848 or ether proto 0x8864 \
     or ether proto 0x894f or ether proto 0x88e7";

fn expression(targets: &[Target]) -> String {
    let by_address = targets.len() <= ADDRESSES_MAX;
    let (mut ports, mut networks) = (Terms::default(), Terms::default());
    for target in targets {
        let AddressPattern { network, port } = target.address;
        match network {
            Some((ip, len)) if by_address => {
                let network = net(ip, len);
                ports.add(format!("({network} and tcp port {port})"));
                networks.add(network);
            }
            _ => {
                ports.add(format!("tcp port {port}"));
                // Any host's.
                networks.add("ip".to_owned());
                networks.add("ip6".to_owned());
            }
        }
    }
    if ports.0.is_empty() {
        // `tcp` alone looks into IPv4, and past one fragment header in IPv6.
        return format!("tcp or {WITHOUT_PORT}");
    }
    format!("{} or ({WITHOUT_PORT} and ({}))", ports.any(), networks.any())
}

/// Different terms, any of which is enough.
#[derive(Default)]
struct Terms(Vec<String>);

impl Terms {
    fn add(&mut self, term: String) {
        if !self.0.contains(&term) {
            self.0.push(term);
        }
    }

    fn any(&self) -> String {
        self.0.join(" or ")
    }
}

/// A network in libpcap's words. Bits outside the prefix must be 0 there.
fn net(ip: IpAddr, len: u8) -> String {
    let mut text = String::new();
    let written = match ip {
        IpAddr::V4(_) if len == 0 => write!(text, "ip"),
        IpAddr::V6(_) if len == 0 => write!(text, "ip6"),
        IpAddr::V4(ip) if len >= 32 => write!(text, "host {ip}"),
        IpAddr::V6(ip) if len >= 128 => write!(text, "host {ip}"),
        IpAddr::V4(ip) => {
            let network = ip.to_bits() & u32::MAX << (32 - len);
            write!(text, "net {}/{len}", std::net::Ipv4Addr::from_bits(network))
        }
        IpAddr::V6(ip) => {
            let network = ip.to_bits() & u128::MAX << (128 - len);
            write!(text, "net {}/{len}", std::net::Ipv6Addr::from_bits(network))
        }
    };
    written.expect("writing to a String does not fail");
    text
}

#[cfg(test)]
mod tests {
    use etherparse::{EtherType, PacketBuilder, VlanId};
    use pcap::{Capture, Linktype};

    use super::*;
    use crate::{Leg, Origin, ServiceId};

    fn targets(addresses: &[&str]) -> Vec<Target> {
        let origin = Origin { service: ServiceId(0), leg: Leg::Primary };
        let target = |text: &&str| Target { origin, address: text.parse().unwrap() };
        addresses.iter().map(target).collect()
    }

    fn filter(targets: Vec<Target>, link: LinkType) -> String {
        bpf_filter(&LiveConfig::new("eth0", targets), link)
    }

    fn filter_with_tunnels(targets: Vec<Target>, link: LinkType) -> String {
        bpf_filter(&LiveConfig { tunnels: true, ..LiveConfig::new("eth0", targets) }, link)
    }

    fn passes(filter: &str, link: Linktype, packet: &[u8]) -> bool {
        Capture::dead(link).unwrap().compile(filter, true).unwrap().filter(packet)
    }

    /// An Ethernet frame from `10.0.0.<host>:<port>`, with this many VLAN tags.
    fn frame(host: u8, port: u16, tags: u8) -> Vec<u8> {
        let ethernet = PacketBuilder::ethernet2([1; 6], [2; 6]);
        let (from, to) = ([10, 0, 0, host], [192, 168, 0, 1]);
        let (outer, inner) = (VlanId::try_new(100).unwrap(), VlanId::try_new(7).unwrap());
        let ip = match tags {
            0 => ethernet.ipv4(from, to, 64),
            1 => ethernet.single_vlan(outer).ipv4(from, to, 64),
            _ => ethernet.double_vlan(outer, inner).ipv4(from, to, 64),
        };
        let mut bytes = Vec::new();
        ip.tcp(port, 40_000, 1, 1_000).write(&mut bytes, b"HTTP/1.1 200 OK\r\n").unwrap();
        bytes
    }

    #[test]
    fn every_form_of_address_compiles_for_every_link_type_that_libpcap_knows() {
        let many: Vec<String> =
            (0..ADDRESSES_MAX).map(|n| format!("[2001:db8:{n}::{n}]:{}", 8_000 + n)).collect();
        let all = [
            vec![],
            targets(&["10.0.0.1:8080"]),
            targets(&["10.0.0.77/24:8080", "0.0.0.0/0:80", ":8081"]),
            targets(&["[2001:db8::1]:8080", "[2001:db8::7]/64:8080", "[::]/0:80"]),
            targets(&vec![":8080"; 100]),
            targets(&many.iter().map(String::as_str).collect::<Vec<_>>()),
        ];
        let known = |link| Capture::dead(link).unwrap().compile("", true).is_ok();
        let links: Vec<_> = (0..300)
            .filter_map(|n| Some((Linktype(i32::try_from(n).ok()?), LinkType::from_number(n)?)))
            .filter(|&(number, _)| known(number))
            .collect();
        assert!(links.len() > 15, "{links:?}");
        for targets in all {
            for &(datalink, link) in &links {
                for filter in
                    [filter(targets.clone(), link), filter_with_tunnels(targets.clone(), link)]
                {
                    match Capture::dead(datalink).unwrap().compile(&filter, true) {
                        Ok(program) => {
                            let len = program.get_instructions().len();
                            assert!(len <= 4_096, "{link:?}: {len} instructions: {filter}");
                        }
                        Err(error) => panic!("{link:?}: {filter}: {error}"),
                    }
                }
            }
        }
    }

    #[test]
    fn tagged_and_untagged_packets_of_a_target_pass_and_others_do_not() {
        for address in ["10.0.0.1:8080", "10.0.0.0/31:8080", "0.0.0.0/0:8080", ":8080"] {
            let filter = filter(targets(&[address]), LinkType::Ethernet);
            for tags in 0..3 {
                let passes =
                    |host, port| passes(&filter, Linktype::ETHERNET, &frame(host, port, tags));
                assert!(passes(1, 8080), "{filter}: {tags} tags");
                assert!(!passes(1, 8081), "{filter}: {tags} tags");
                let any_host = address.starts_with([':', '0']);
                assert_eq!(passes(2, 8080), any_host, "{filter}: {tags} tags");
            }
        }
    }

    #[test]
    fn without_targets_all_tcp_passes_and_nothing_else() {
        let filter = filter(Vec::new(), LinkType::Ethernet);
        assert!(passes(&filter, Linktype::ETHERNET, &frame(9, 9, 1)));
        let mut arp = vec![0xff; 12];
        arp.extend(EtherType::ARP.0.to_be_bytes());
        arp.extend([0; 46]);
        assert!(!passes(&filter, Linktype::ETHERNET, &arp));
    }

    #[test]
    fn very_many_addresses_are_filtered_by_port() {
        let many: Vec<String> =
            (0..2_000).map(|n| format!("10.0.{}.{}:8080", n / 250, n % 250)).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let filter = filter(targets(&many), LinkType::LinuxSll2);
        assert!(filter.starts_with("tcp port 8080 or "), "{filter}");
        assert!(filter.len() < 1_000, "{filter}");
    }

    /// An Ethernet frame of a packet between `host` and 192.168.0.1, with this many VLAN tags.
    fn behind_ethernet(tags: u8, ethertype: u16, packet: &[u8]) -> Vec<u8> {
        let tags = [0x81, 0, 0, 7].repeat(usize::from(tags));
        [&[2; 12][..], &tags, &ethertype.to_be_bytes(), packet].concat()
    }

    /// An IPv4 packet from `10.0.0.<host>`.
    fn ipv4(host: u8, protocol: u8, fragment: u16, payload: &[u8]) -> Vec<u8> {
        let len = u8::try_from(20 + payload.len()).unwrap();
        let [high, low] = fragment.to_be_bytes();
        let header =
            [0x45, 0, 0, len, 0, 1, high, low, 64, protocol, 0, 0, 10, 0, 0, host, 192, 168, 0, 1];
        [&header[..], payload].concat()
    }

    /// An IPv6 packet from `2001:db8::<host>`.
    fn ipv6(host: u8, next: u8, payload: &[u8]) -> Vec<u8> {
        let mut source = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, host];
        let len = u8::try_from(payload.len()).unwrap();
        let header = [&[0x60, 0, 0, 0, 0, len, next, 64][..], &source].concat();
        source[15] = 99;
        [&header[..], &source, payload].concat()
    }

    const LATER: u16 = 185;

    #[test]
    fn what_holds_a_targets_tcp_without_showing_a_port_passes_by_its_address() {
        let address = ["10.0.0.1:8080", "[2001:db8::1]:8080"];
        let (to_target, to_any) = (
            filter(targets(&address), LinkType::Ethernet),
            filter(targets(&[":8080"]), LinkType::Ethernet),
        );
        for tags in 0..3 {
            let cases = |host| {
                [
                    (0x0800, ipv4(host, 6, LATER, &[0; 40])),
                    (0x0800, ipv4(host, 51, 0, &[0; 60])),
                    (0x86dd, ipv6(host, 44, &[6, 0, 5, 0xc8, 0, 0, 0, 1, 9, 9, 9, 9])),
                    (0x86dd, ipv6(host, 0, &[6, 0, 1, 4, 0, 0, 0, 0, 0x1f, 0x90])),
                ]
            };
            for (ethertype, packet) in cases(1) {
                let frame = behind_ethernet(tags, ethertype, &packet);
                assert!(passes(&to_target, Linktype::ETHERNET, &frame), "{tags}: {packet:x?}");
                assert!(passes(&to_any, Linktype::ETHERNET, &frame), "{tags}: {packet:x?}");
            }
            for (ethertype, packet) in cases(2) {
                let frame = behind_ethernet(tags, ethertype, &packet);
                assert!(!passes(&to_target, Linktype::ETHERNET, &frame), "{tags}: {packet:x?}");
            }
            // Without tunnels, no UDP fragment gets as far as to be taken for one.
            let udp = behind_ethernet(tags, 0x0800, &ipv4(1, 17, LATER, &[0; 40]));
            assert!(!passes(&to_target, Linktype::ETHERNET, &udp));
        }
    }

    #[test]
    fn first_fragments_pass_by_their_port() {
        let filter = filter(targets(&["10.0.0.1:8080"]), LinkType::Ethernet);
        let ports = |port: u16| [&port.to_be_bytes()[..], &[0x9c, 0x40], &[0; 16]].concat();
        let first = |port| behind_ethernet(0, 0x0800, &ipv4(1, 6, 0x2000, &ports(port)));
        assert!(passes(&filter, Linktype::ETHERNET, &first(8080)));
        assert!(!passes(&filter, Linktype::ETHERNET, &first(8081)));
    }

    #[test]
    fn tunnels_pass_where_they_are_asked_for_and_only_there() {
        let targets = targets(&["10.0.0.1:8080"]);
        let (with, without) = (
            filter_with_tunnels(targets.clone(), LinkType::Ethernet),
            filter(targets, LinkType::Ethernet),
        );
        let udp = |port: u16| {
            let header = [50_000, port, 30, 0].map(u16::to_be_bytes).concat();
            (0x0800, ipv4(7, 17, 0, &[&header[..], &[0; 22]].concat()))
        };
        let mut tunnels: Vec<(u16, Vec<u8>)> =
            [1701, 2152, 3544, 4754, 4789, 4790, 6081, 6635, 8472].map(udp).into();
        for protocol in [4, 41, 47, 97, 137] {
            tunnels.push((0x0800, ipv4(7, protocol, 0, &[0; 40])));
            tunnels.push((0x0800, ipv4(7, protocol, LATER, &[0; 40])));
            tunnels.push((0x86dd, ipv6(7, protocol, &[0; 40])));
        }
        tunnels.push((0x0800, ipv4(7, 17, LATER, &[0; 40])));
        tunnels.push((0x86dd, ipv6(7, 44, &[17, 0, 5, 0xc8, 0, 0, 0, 1, 9, 9])));
        for ethertype in [0x8847, 0x8848, 0x8864, 0x894f, 0x88e7] {
            tunnels.push((ethertype, vec![0; 60]));
        }
        for (ethertype, packet) in &tunnels {
            for tags in 0..3 {
                let frame = behind_ethernet(tags, *ethertype, packet);
                let what = format!("{tags} tags, {ethertype:x}: {packet:x?}");
                assert!(passes(&with, Linktype::ETHERNET, &frame), "{what}");
                assert!(!passes(&without, Linktype::ETHERNET, &frame), "{what}");
            }
        }
        let (ethertype, plain) = udp(53);
        let plain = behind_ethernet(0, ethertype, &plain);
        assert!(!passes(&with, Linktype::ETHERNET, &plain));
    }

    #[test]
    fn tunnels_pass_on_cooked_captures_too() {
        let filter = filter_with_tunnels(targets(&["10.0.0.1:8080"]), LinkType::LinuxSll2);
        let cooked = |ethertype: u16, packet: &[u8]| {
            let header = [&ethertype.to_be_bytes()[..], &[0, 0, 0, 0, 0, 3, 0, 1, 0, 6], &[0; 8]];
            [&header.concat()[..], packet].concat()
        };
        let link = Linktype(276);
        assert!(passes(&filter, link, &cooked(0x0800, &ipv4(7, 47, 0, &[0; 40]))));
        assert!(passes(&filter, link, &cooked(0x8847, &[0; 40])));
        assert!(passes(&filter, link, &cooked(0x0800, &ipv4(1, 6, LATER, &[0; 40]))));
        assert!(!passes(&filter, link, &cooked(0x0800, &ipv4(7, 6, LATER, &[0; 40]))));
    }
}

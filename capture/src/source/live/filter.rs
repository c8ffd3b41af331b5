//! The kernel's filter, from the configured addresses.

use std::fmt::Write as _;
use std::net::IpAddr;

use crate::{AddressPattern, LinkType, Target};

/// Addresses above which the filter goes by port alone: the kernel takes 4,096 instructions, and
/// every packet of the host walks through them.
const ADDRESSES_MAX: usize = 32;

/// The filter, in libpcap's language, that passes TCP packets to and from `targets`, or all TCP
/// where there are none. It may pass more (the tap sorts the rest), never less.
///
/// On Ethernet it passes packets with up to two VLAN tags too; other link types have no tags of
/// their own.
#[must_use]
pub fn bpf_filter(targets: &[Target], link: LinkType) -> String {
    let expression = expression(targets);
    match link {
        // `vlan` moves all that comes after it in the text by one tag: the order matters.
        LinkType::Ethernet => {
            format!("({expression}) or (vlan and (({expression}) or (vlan and ({expression}))))")
        }
        _ => expression,
    }
}

fn expression(targets: &[Target]) -> String {
    let by_address = targets.len() <= ADDRESSES_MAX;
    let mut terms = Vec::new();
    for target in targets {
        let AddressPattern { network, port } = target.address;
        let term = match network {
            Some((ip, len)) if by_address => format!("({} and tcp port {port})", net(ip, len)),
            _ => format!("tcp port {port}"),
        };
        if !terms.contains(&term) {
            terms.push(term);
        }
    }
    if terms.is_empty() { "tcp".to_owned() } else { terms.join(" or ") }
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
    fn every_form_of_address_compiles_for_every_link_type_that_libpcap_captures() {
        let all = [
            vec![],
            targets(&["10.0.0.1:8080"]),
            targets(&["10.0.0.77/24:8080", "0.0.0.0/0:80", ":8081"]),
            targets(&["[2001:db8::1]:8080", "[2001:db8::7]/64:8080", "[::]/0:80"]),
            targets(&vec![":8080"; 100]),
        ];
        let links = [
            (Linktype::ETHERNET, LinkType::Ethernet),
            (Linktype::LINUX_SLL, LinkType::LinuxSll),
            (Linktype(276), LinkType::LinuxSll2),
            (Linktype::NULL, LinkType::Null),
            (Linktype(12), LinkType::RawIp),
        ];
        for targets in all {
            for (datalink, link) in links {
                let filter = bpf_filter(&targets, link);
                if let Err(error) = Capture::dead(datalink).unwrap().compile(&filter, true) {
                    panic!("{link:?}: {filter}: {error}");
                }
            }
        }
    }

    #[test]
    fn tagged_and_untagged_packets_of_a_target_pass_and_others_do_not() {
        for address in ["10.0.0.1:8080", "10.0.0.0/31:8080", "0.0.0.0/0:8080", ":8080"] {
            let filter = bpf_filter(&targets(&[address]), LinkType::Ethernet);
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
        let filter = bpf_filter(&[], LinkType::Ethernet);
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
        assert_eq!(bpf_filter(&targets(&many), LinkType::LinuxSll2), "tcp port 8080");
    }
}

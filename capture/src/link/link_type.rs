//! The numbers that capture files and libpcap give to link layers.

/// Link-layer header types that are read (values of the tcpdump.org registry).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LinkType {
    /// 0: BSD loopback, address family in host order of the capturing machine.
    Null,
    /// 1: Ethernet.
    Ethernet,
    /// 9: PPP, with or without address and control bytes.
    Ppp,
    /// 12, 14, 101: raw IPv4 or IPv6.
    RawIp,
    /// 50: PPP in HDLC framing, or Cisco HDLC.
    PppSerial,
    /// 51: PPPoE without its Ethernet header.
    PppEther,
    /// 104: Cisco HDLC.
    CiscoHdlc,
    /// 105: IEEE 802.11.
    Wifi,
    /// 108: OpenBSD loopback, address family in network order.
    Loop,
    /// 113: Linux cooked capture.
    LinuxSll,
    /// 127: IEEE 802.11 behind a radiotap header.
    Radiotap,
    /// 129: ARCNET as Linux writes it.
    ArcnetLinux,
    /// 192: a per-packet information header, which names the link type behind it.
    Ppi,
    /// 204: PPP behind a byte for the direction.
    PppWithDirection,
    /// 205: Cisco HDLC behind a byte for the direction.
    CiscoHdlcWithDirection,
    /// 219: MPLS.
    Mpls,
    /// 228: raw IPv4.
    Ipv4,
    /// 229: raw IPv6.
    Ipv6,
    /// 239: Linux netfilter log.
    Nflog,
    /// 276: Linux cooked capture v2.
    LinuxSll2,
}

impl LinkType {
    /// All link types that are read, for messages that list them.
    pub const NAMES: &str = "Ethernet, Linux cooked (SLL, SLL2), BSD loopback, raw IP, PPP, \
                             Cisco HDLC, MPLS, IEEE 802.11, Linux netfilter log, ARCNET";

    /// All of them.
    pub const ALL: [Self; 20] = [
        Self::Null,
        Self::Ethernet,
        Self::Ppp,
        Self::RawIp,
        Self::PppSerial,
        Self::PppEther,
        Self::CiscoHdlc,
        Self::Wifi,
        Self::Loop,
        Self::LinuxSll,
        Self::Radiotap,
        Self::ArcnetLinux,
        Self::Ppi,
        Self::PppWithDirection,
        Self::CiscoHdlcWithDirection,
        Self::Mpls,
        Self::Ipv4,
        Self::Ipv6,
        Self::Nflog,
        Self::LinuxSll2,
    ];

    /// From the number in a capture file or of `pcap_datalink`. `None` for a type not read here.
    #[must_use]
    pub const fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::Null,
            1 => Self::Ethernet,
            9 => Self::Ppp,
            12 | 14 | 101 => Self::RawIp,
            50 => Self::PppSerial,
            51 => Self::PppEther,
            104 => Self::CiscoHdlc,
            105 => Self::Wifi,
            108 => Self::Loop,
            113 => Self::LinuxSll,
            127 => Self::Radiotap,
            129 => Self::ArcnetLinux,
            192 => Self::Ppi,
            204 => Self::PppWithDirection,
            205 => Self::CiscoHdlcWithDirection,
            219 => Self::Mpls,
            228 => Self::Ipv4,
            229 => Self::Ipv6,
            239 => Self::Nflog,
            276 => Self::LinuxSll2,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_link_type_has_a_number_and_is_listed() {
        let by_number: Vec<LinkType> = (0..1_000).filter_map(LinkType::from_number).collect();
        assert!(LinkType::ALL.iter().all(|link| by_number.contains(link)));
        assert!(by_number.iter().all(|link| LinkType::ALL.contains(link)));
    }
}

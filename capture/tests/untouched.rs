//! What a loss may cost (`tests/pcaps/envoy`): an exchange none of whose packets was lost is found,
//! whole, wherever its connection can be followed again.
//!
//! A connection can be followed again where a client that waits for its responses shows where the
//! next request begins: by the acknowledgement of the last packet of the response before it
//! (`capture/src/http1/resync.rs`). A loss that takes that packet too costs one exchange more.

#![expect(clippy::unwrap_used, reason = "in a test a failed unwrap is a failed test")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use capture::source::file::{Merged, Reader};
use capture::{Evidence, Exchange, Limits, LinkType, Packet, Tap, Timestamp};
use etherparse::{NetSlice, SlicedPacket, TransportSlice};

struct Owned {
    at: Timestamp,
    link: LinkType,
    data: Vec<u8>,
    original_len: u32,
    source: SocketAddr,
    destination: SocketAddr,
    has_payload: bool,
}

fn packets(file: &str) -> Vec<Owned> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/pcaps/envoy/pcaps").join(file);
    let mut merged = Merged::new(vec![Reader::open(path).unwrap()]).unwrap();
    let mut packets = Vec::new();
    while let Some(Packet { at, link, data, original_len }) = merged.next().unwrap() {
        let sliced = SlicedPacket::from_ethernet(data).unwrap();
        let (from, to) = match sliced.net.unwrap() {
            NetSlice::Ipv4(ip) => {
                let header = ip.header();
                (IpAddr::V4(header.source_addr()), IpAddr::V4(header.destination_addr()))
            }
            NetSlice::Ipv6(ip) => {
                let header = ip.header();
                (IpAddr::V6(header.source_addr()), IpAddr::V6(header.destination_addr()))
            }
            NetSlice::Arp(_) => continue,
        };
        let Some(TransportSlice::Tcp(tcp)) = sliced.transport else { continue };
        packets.push(Owned {
            at,
            link,
            data: data.to_vec(),
            original_len,
            source: SocketAddr::new(from, tcp.source_port()),
            destination: SocketAddr::new(to, tcp.destination_port()),
            has_payload: !tcp.payload().is_empty(),
        });
    }
    packets
}

fn exchanges_of(packets: &[Owned], lost: &BTreeSet<usize>) -> Vec<Exchange> {
    let mut tap = Tap::new(Limits::default(), Vec::new());
    let mut exchanges = Vec::new();
    for (n, Owned { at, link, data, original_len, .. }) in packets.iter().enumerate() {
        if !lost.contains(&n) {
            tap.push(&Packet { at: *at, link: *link, data, original_len: *original_len });
        }
        tap.expire(*at);
        exchanges.extend(std::iter::from_fn(|| tap.poll().map(|exchange| *exchange)));
    }
    tap.finish();
    exchanges.extend(std::iter::from_fn(|| tap.poll().map(|exchange| *exchange)));
    exchanges
}

/// Client, server, and when the request's head was whole.
type Name = (SocketAddr, SocketAddr, Timestamp);

fn name(exchange: &Exchange) -> Option<Name> {
    Some((exchange.client, exchange.server, exchange.timing.request_head?))
}

/// Exchanges of a whole capture that the loss of `lost` must not cost.
fn owed<'e>(packets: &[Owned], lost: &BTreeSet<usize>, whole: &'e [Exchange]) -> Vec<&'e Exchange> {
    let mut connections: BTreeMap<_, Vec<&Exchange>> = BTreeMap::new();
    for exchange in whole.iter().filter(|exchange| exchange.evidence == Evidence::Complete) {
        connections.entry((exchange.client, exchange.server)).or_default().push(exchange);
    }
    let mut owed = Vec::new();
    for ((client, server), exchanges) in connections {
        let of_it: Vec<(usize, &Owned)> = packets
            .iter()
            .enumerate()
            .filter(|(_, packet)| {
                let ends = (packet.source, packet.destination);
                ends == (client, server) || ends == (server, client)
            })
            .collect();
        for exchange in exchanges {
            let timing = exchange.timing;
            let from = timing.request_first.unwrap();
            let to = timing.response_last.unwrap();
            let mut within = of_it.iter().filter(|(_, packet)| (from..=to).contains(&packet.at));
            let untouched = within.all(|(n, _)| !lost.contains(n));
            let before = of_it
                .iter()
                .filter(|(_, packet)| packet.at < from)
                .rfind(|(_, packet)| packet.has_payload && packet.source == server);
            if untouched && before.is_none_or(|(n, _)| !lost.contains(n)) {
                owed.push(exchange);
            }
        }
    }
    owed
}

/// A generator of its own, so that a seed means the same everywhere (Marsaglia's xorshift64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, share: f64) -> bool {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) as f64) < share * (1_u64 << 53) as f64
    }
}

#[test]
fn an_untouched_exchange_is_found_wherever_its_connection_can_be_followed_again() {
    for file in ["h1_mix.pcap", "h1_nsec.pcap", "h1_ipv6_lo.pcap", "nginx_mirror.pcap"] {
        let packets = packets(file);
        let whole = exchanges_of(&packets, &BTreeSet::new());
        for share in [0.001, 0.01, 0.05, 0.2] {
            let (mut owing, mut found_at_all) = (0, 0);
            for seed in 1..=3_u64 {
                let mut chance = Chance(0x9e37_79b9_7f4a_7c15 ^ seed << 32);
                for _ in 0..8 {
                    chance.below(0.5);
                }
                let lost: BTreeSet<usize> =
                    (0..packets.len()).filter(|_| chance.below(share)).collect();
                let found = exchanges_of(&packets, &lost);
                let found: BTreeMap<Name, &Exchange> = found
                    .iter()
                    .filter(|exchange| exchange.response.is_some())
                    .filter_map(|exchange| Some((name(exchange)?, exchange)))
                    .collect();
                for exchange in owed(&packets, &lost, &whole) {
                    let again = found.get(&name(exchange).unwrap());
                    let again =
                        again.unwrap_or_else(|| panic!("{file} {share} {seed}: {exchange:?}"));
                    assert_eq!(again.evidence, Evidence::Complete, "{file} {share} {seed}");
                    let [now, then] = [*again, exchange].map(|e| e.response.as_ref().unwrap());
                    assert_eq!(now.status, then.status, "{file} {share} {seed}");
                    assert!(now.body.same_bytes(&then.body), "{file} {share} {seed}");
                    owing += 1;
                }
                found_at_all += found.len();
            }
            assert!(owing > 0, "{file} {share}: something was untouched");
            eprintln!(
                "{file}, {share} of packets lost, 3 seeds: {found_at_all} of {} answered, {owing} \
                 owed and found",
                3 * whole.len()
            );
        }
    }
}

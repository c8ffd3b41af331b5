use etherparse::PacketBuilder;
use proptest::prelude::*;

use super::*;
use crate::link::{Decoder, LinkType, Packet};
use crate::{Tap, Timestamp};

/// A TCP payload of `len` bytes.
fn payload(len: usize) -> Vec<u8> {
    (0..len).map(|n| b'a' + (n % 23) as u8).collect()
}

/// An IPv4 packet from 10.0.0.1:40000 to 10.0.0.2:8080.
fn ipv4(payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let tcp = PacketBuilder::ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64).tcp(40_000, 8080, 77, 1_000);
    tcp.write(&mut bytes, payload).unwrap();
    bytes
}

fn ipv6(payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let tcp = PacketBuilder::ipv6([0xfd; 16], [0xfc; 16], 64).tcp(40_000, 8080, 77, 1_000);
    tcp.write(&mut bytes, payload).unwrap();
    bytes
}

/// The fragment of `packet` with identification `id` that has `range` of its IP payload.
fn fragment(packet: &[u8], id: u16, range: std::ops::Range<usize>) -> Vec<u8> {
    let header_len = if packet[0] >> 4 == 4 { 20 } else { 40 };
    let (header, whole) = packet.split_at(header_len);
    let more = range.end < whole.len();
    piece(header, id, range.start, more, &whole[range])
}

/// `data` as a fragment at `offset`, behind the IP header `header`.
fn piece(header: &[u8], id: u16, offset: usize, more: bool, data: &[u8]) -> Vec<u8> {
    let mut header = header.to_vec();
    let offset = u16::try_from(offset).unwrap();
    assert_eq!(offset % 8, 0);
    if header[0] >> 4 == 4 {
        let len = u16::try_from(20 + data.len()).unwrap();
        header[2..4].copy_from_slice(&len.to_be_bytes());
        header[4..6].copy_from_slice(&id.to_be_bytes());
        header[6..8].copy_from_slice(&((offset / 8) | (u16::from(more) << 13)).to_be_bytes());
    } else {
        let len = u16::try_from(8 + data.len()).unwrap();
        header[4..6].copy_from_slice(&len.to_be_bytes());
        let next = std::mem::replace(&mut header[6], 44);
        header.extend([next, 0]);
        header.extend((offset | u16::from(more)).to_be_bytes());
        header.extend(u32::from(id).to_be_bytes());
    }
    header.extend(data);
    header
}

/// All fragments of `packet`, of `size` bytes each.
fn fragments(packet: &[u8], id: u16, size: usize) -> Vec<Vec<u8>> {
    let len = packet.len() - if packet[0] >> 4 == 4 { 20 } else { 40 };
    let starts = (0..len).step_by(size);
    starts.map(|start| fragment(packet, id, start..(start + size).min(len))).collect()
}

/// A decoder under test, and what it noted.
#[derive(Default)]
struct Bench {
    decoder: Decoder,
    limits: Limits,
    anomalies: Anomalies,
}

impl Bench {
    /// Pushes a raw IP packet; gives the payload and what was cut of the segment.
    fn push_at(&mut self, nanos: u64, data: &[u8], cut: u32) -> Result<(Vec<u8>, u32), Refused> {
        let at = Timestamp::from_nanos(nanos);
        let original_len = u32::try_from(data.len()).unwrap() + cut;
        let packet = Packet { at, link: LinkType::RawIp, data, original_len };
        let segment = self.decoder.segment(&packet, &self.limits, &mut self.anomalies)?;
        assert_eq!(segment.at, at);
        assert_eq!((segment.source.port(), segment.destination.port()), (40_000, 8080));
        Ok((segment.payload.to_vec(), segment.cut))
    }

    fn push(&mut self, data: &[u8]) -> Result<Vec<u8>, Refused> {
        let (payload, cut) = self.push_at(1, data, 0)?;
        assert_eq!(cut, 0);
        Ok(payload)
    }

    fn noted(&self) -> Vec<(Anomaly, u64)> {
        self.anomalies.iter().collect()
    }
}

const HELD: Result<Vec<u8>, Refused> = Err(Refused::Held);

#[test]
fn the_last_missing_fragment_brings_the_segment() {
    for packet in [ipv4(&payload(3_000)), ipv6(&payload(3_000))] {
        let mut bench = Bench::default();
        let parts = fragments(&packet, 7, 1_400);
        assert_eq!(parts.len(), 3);
        assert_eq!(bench.push(&parts[0]), HELD);
        assert_eq!(bench.push(&parts[2]), HELD);
        assert_eq!(bench.push(&parts[1]), Ok(payload(3_000)));
        assert_eq!(bench.decoder.fragments.held, 0);
        assert_eq!(bench.noted(), []);
    }
}

#[test]
fn packets_of_other_ids_routes_and_protocols_are_kept_apart() {
    let mut bench = Bench::default();
    let (a, b) = (ipv4(&payload(64)), ipv4(&[b'z'; 64]));
    let mut other_host = b.clone();
    other_host[15] = 9;
    let mut udp = b.clone();
    udp[9] = 17;
    assert_eq!(bench.push(&fragment(&a, 1, 0..40)), HELD);
    assert_eq!(bench.push(&fragment(&b, 2, 40..84)), HELD);
    assert_eq!(bench.push(&fragment(&other_host, 1, 40..84)), HELD);
    assert_eq!(bench.push(&fragment(&udp, 1, 40..84)), HELD);
    assert_eq!(bench.push(&fragment(&a, 1, 40..84)), Ok(payload(64)));
    assert_eq!(bench.decoder.fragments.packets.len(), 3);
}

#[test]
fn a_fragment_that_is_all_of_its_ipv6_packet_waits_for_nothing() {
    let packet = ipv6(&payload(50));
    let (header, whole) = packet.split_at(40);
    let alone = piece(header, 7, 0, false, whole);
    let mut bench = Bench::default();
    // Nor do others of its identification mingle with it.
    assert_eq!(bench.push(&piece(header, 7, 8, true, &[b'x'; 16])), HELD);
    assert_eq!(bench.push(&alone), Ok(payload(50)));
    assert_eq!(bench.noted(), []);
}

#[test]
fn where_fragments_overlap_the_first_bytes_win_and_a_difference_is_noted() {
    let packet = ipv4(&payload(80));
    let mut bench = Bench::default();
    assert_eq!(bench.push(&fragment(&packet, 1, 0..48)), HELD);
    // The same bytes once more: nothing odd.
    assert_eq!(bench.push(&fragment(&packet, 1, 24..56)), HELD);
    assert_eq!(bench.noted(), []);
    let mut forged = fragment(&packet, 1, 32..64);
    forged[20..].fill(b'!');
    assert_eq!(bench.push(&forged), HELD);
    assert_eq!(bench.noted(), [(Anomaly::FragmentOverlapDiffers, 1)]);
    let mut expected = payload(80);
    expected[56 - 20..64 - 20].fill(b'!');
    assert_eq!(bench.push(&fragment(&packet, 1, 40..100)), Ok(expected));
    assert_eq!(bench.noted(), [(Anomaly::FragmentOverlapDiffers, 2)]);
}

#[test]
fn the_first_end_of_a_packet_is_its_end() {
    let packet = ipv4(&payload(80));
    let (header, whole) = packet.split_at(20);
    let mut bench = Bench::default();
    assert_eq!(bench.push(&fragment(&packet, 1, 48..100)), HELD);
    // Another end, later, and bytes beyond the first: neither counts.
    assert_eq!(bench.push(&piece(header, 1, 48, false, &[b'x'; 80])), HELD);
    assert_eq!(bench.push(&piece(header, 1, 160, true, &[b'x'; 80])), HELD);
    assert_eq!(bench.noted(), [(Anomaly::FragmentOverlapDiffers, 2)]);
    assert_eq!(bench.push(&piece(header, 1, 0, true, &whole[..48])), Ok(payload(80)));
    // An end before what has come already.
    assert_eq!(bench.push(&fragment(&packet, 2, 48..96)), HELD);
    assert_eq!(bench.push(&piece(header, 2, 8, false, &whole[8..32])), HELD);
    assert_eq!(bench.noted(), [(Anomaly::FragmentOverlapDiffers, 3)]);
    assert_eq!(bench.push(&fragment(&packet, 2, 0..48)), HELD);
    assert_eq!(bench.push(&fragment(&packet, 2, 96..100)), Ok(payload(80)));
}

#[test]
fn a_fragment_cut_by_the_snap_length_never_makes_a_whole_packet() {
    let packet = ipv4(&payload(3_000));
    let parts = fragments(&packet, 7, 1_400);
    let mut bench = Bench::default();
    assert_eq!(bench.push(&parts[0]), HELD);
    assert_eq!(bench.push(&parts[2]), HELD);
    let cut = &parts[1][..parts[1].len() - 1];
    assert_eq!(bench.push_at(1, cut, 1), Err(Refused::Held));
    let mut cut_to_its_end = Bench::default();
    for part in &parts[..2] {
        assert_eq!(cut_to_its_end.push(part), HELD);
    }
    let cut = &parts[2][..parts[2].len() - 1];
    assert_eq!(cut_to_its_end.push_at(1, cut, 1), Err(Refused::Held));
    // Another tap point has it whole.
    assert_eq!(cut_to_its_end.push(&parts[2]), Ok(payload(3_000)));
    assert_eq!(bench.push(&parts[1]), Ok(payload(3_000)));
}

#[test]
fn copies_seen_on_a_second_interface_begin_no_new_packet() {
    let packet = ipv4(&payload(100));
    let mut bench = Bench::default();
    let (first, second) = (fragment(&packet, 1, 0..80), fragment(&packet, 1, 80..120));
    assert_eq!(bench.push(&first), HELD);
    assert_eq!(bench.push(&first), HELD);
    assert_eq!(bench.push(&second), Ok(payload(100)));
    assert_eq!(bench.push(&second), HELD);
    assert_eq!(bench.decoder.fragments.packets.len(), 0);
    // The identification is used again, for another packet.
    let later = 1 + RECENT_FOR.as_nanos() as u64;
    let next = ipv4(&[b'n'; 100]);
    assert_eq!(bench.push_at(later, &fragment(&next, 1, 80..120), 0), Err(Refused::Held));
    let whole = bench.push_at(later, &fragment(&next, 1, 0..80), 0);
    assert_eq!(whole, Ok((vec![b'n'; 100], 0)));
    bench.decoder.finish(&mut bench.anomalies);
    assert_eq!(bench.noted(), []);
}

#[test]
fn a_packet_that_waits_too_long_is_given_up_by_the_time_of_packets() {
    let packet = ipv4(&payload(100));
    let mut bench = Bench::default();
    let timeout = bench.limits.fragment_timeout.as_nanos() as u64;
    let (first, second) = (fragment(&packet, 1, 0..80), fragment(&packet, 1, 80..120));
    assert_eq!(bench.push_at(5, &first, 0), Err(Refused::Held));
    let now = |nanos| Timestamp::from_nanos(nanos);
    bench.decoder.expire(now(5 + timeout - 1), &bench.limits, &mut bench.anomalies);
    assert_eq!(bench.noted(), []);
    assert_eq!(bench.push_at(5 + timeout, &second, 0), Err(Refused::Held));
    assert_eq!(bench.noted(), [(Anomaly::IpFragment, 1)]);
    bench.decoder.finish(&mut bench.anomalies);
    assert_eq!(bench.noted(), [(Anomaly::IpFragment, 2)]);
}

#[test]
fn a_flood_of_fragments_stays_inside_the_budget_and_the_oldest_go_first() {
    let mut bench = Bench::default();
    bench.limits.fragment_bytes = 64 << 10;
    let packet = ipv4(&payload(60_000));
    for id in 0..5_000 {
        assert_eq!(bench.push(&fragment(&packet, id, 8..16)), HELD);
        assert!(bench.decoder.fragments.held <= bench.limits.fragment_bytes);
    }
    let kept = bench.decoder.fragments.packets.len() as u64;
    assert!((16..200).contains(&kept), "{kept}");
    assert_eq!(bench.noted(), [(Anomaly::IpFragment, 5_000 - kept)]);
    assert!(bench.decoder.fragments.packets.keys().all(|key| u64::from(key.id) >= 5_000 - kept));
    // One packet alone above the budget, in the smallest pieces.
    for part in fragments(&packet, 9_000, 8) {
        assert!(bench.push(&part).is_err());
        assert!(bench.decoder.fragments.held <= bench.limits.fragment_bytes);
    }
    bench.decoder.finish(&mut bench.anomalies);
    assert_eq!(bench.decoder.fragments.held, 0);
}

#[test]
fn impossible_fragments_and_those_of_other_protocols_are_refused() {
    let packet = ipv4(&payload(100));
    let (header, _) = packet.split_at(20);
    let odd = Err(Refused::Odd(Anomaly::BadPacketHeader));
    let mut bench = Bench::default();
    assert_eq!(bench.push(&piece(header, 1, 65_528, false, &[0; 100])), odd);
    assert_eq!(bench.push(&piece(header, 1, 80, false, &[])), odd);
    assert_eq!(bench.push(&piece(header, 1, 0, true, &[0; 7])), odd);
    let mut icmp = header.to_vec();
    icmp[9] = 1;
    assert_eq!(bench.push(&piece(&icmp, 1, 0, true, &[0; 80])), Err(Refused::NotTcp));
    assert_eq!(bench.decoder.fragments.packets.len(), 0);
}

#[test]
fn a_fragmented_packet_inside_a_fragmented_tunnel_is_put_together_twice() {
    let inner = fragments(&ipv4(&payload(2_000)), 3, 1_200);
    let mut bench = Bench::default();
    let mut results = Vec::new();
    for (id, inner) in (10..).zip(&inner) {
        // GENEVE with IP: ports, length, checksum, then its header.
        let len = u16::try_from(16 + inner.len()).unwrap();
        let udp = [9_u16, 6081, len, 0].map(u16::to_be_bytes).concat();
        let payload = [&udp[..], &[0, 0, 8, 0, 0, 0, 1, 0], inner].concat();
        let mut outer = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2];
        outer.extend(payload);
        for part in fragments(&outer, id, 800) {
            results.push(bench.push(&part));
        }
    }
    let last = results.pop();
    assert!(results.iter().all(|result| *result == HELD), "{results:?}");
    assert_eq!(last, Some(Ok(payload(2_000))));
    assert_eq!(bench.noted(), []);
}

#[test]
fn the_tap_counts_packets_that_never_became_whole() {
    let data = fragment(&ipv4(&payload(100)), 1, 0..80);
    let at = Timestamp::from_nanos(1);
    let original_len = u32::try_from(data.len()).unwrap();
    let packet = Packet { at, link: LinkType::RawIp, data: &data, original_len };
    let given_up = |tap: &Tap| tap.counters().anomalies.count(Anomaly::IpFragment);
    let mut tap = Tap::new(Limits::default(), Vec::new());
    tap.push(&packet);
    assert_eq!(given_up(&tap), 0);
    tap.expire(at + Limits::default().fragment_timeout);
    assert_eq!(given_up(&tap), 1);
    tap.push(&packet);
    tap.finish();
    assert_eq!(given_up(&tap), 2);
}

proptest! {
    #[test]
    fn fragments_in_any_order_and_number_give_the_same_segment_once(
        v6 in any::<bool>(),
        len in 1usize..400,
        size in 1usize..8,
        order in Just((0..60_usize).collect::<Vec<_>>()).prop_shuffle(),
        twice in prop::collection::vec(any::<bool>(), 60),
    ) {
        let packet = if v6 { ipv6(&payload(len)) } else { ipv4(&payload(len)) };
        let parts = fragments(&packet, 7, size * 8);
        prop_assume!(parts.len() > 1);
        let mut bench = Bench::default();
        let mut wholes = Vec::new();
        for index in order.into_iter().filter(|&index| index < parts.len()) {
            for _ in 0..=u8::from(twice[index]) {
                wholes.extend(bench.push(&parts[index]));
            }
        }
        prop_assert_eq!(wholes, [payload(len)]);
        prop_assert_eq!(bench.noted(), []);
        prop_assert_eq!(bench.decoder.fragments.held, 0);
    }

    /// Overlapping fragments with contents of their own, against a plain array.
    #[test]
    fn overlapping_fragments_are_joined_as_a_list_of_bytes_where_the_first_stays(
        len in 9usize..200,
        cuts in prop::collection::vec((0usize..25, 1usize..25), 1..40),
    ) {
        let header = &ipv4(b"")[..20];
        let mut bench = Bench::default();
        let mut model: Vec<Option<u8>> = vec![None; len];
        for (fill, (start, units)) in (1..).zip(cuts) {
            let (start, end) = (start * 8, ((start + units) * 8).min(len));
            if start >= end || (start == 0 && end == len) {
                continue;
            }
            // A TCP header at the beginning, whoever brings it: data offset 5, no flags.
            let mut data = vec![fill; end - start];
            for (n, byte) in data.iter_mut().enumerate().filter(|&(n, _)| start + n < 20) {
                *byte = [0x9c, 0x40, 0x1f, 0x90, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0].get(start + n)
                    .copied().unwrap_or(0);
            }
            for (place, byte) in model[start..end].iter_mut().zip(&data) {
                place.get_or_insert(*byte);
            }
            let pushed = bench.push(&piece(header, 1, start, end < len, &data));
            let whole: Option<Vec<u8>> = model.iter().copied().collect();
            match whole {
                Some(whole) if len >= 20 => {
                    prop_assert_eq!(pushed, Ok(whole[20..].to_vec()));
                    return Ok(());
                }
                // Too short for a TCP header.
                Some(_) => {
                    prop_assert!(pushed.is_err());
                    return Ok(());
                }
                None => prop_assert_eq!(pushed, HELD),
            }
        }
    }

    #[test]
    fn any_fragments_keep_the_books_closed(
        steps in prop::collection::vec(
            (0u16..4, 0usize..60, any::<bool>(), 1usize..300, 0u32..40, 0u64..20),
            0..60,
        ),
    ) {
        let header = &ipv4(b"")[..20];
        let mut bench = Bench::default();
        bench.limits.fragment_bytes = 4_000;
        bench.limits.fragment_timeout = Duration::from_nanos(10);
        for (id, offset, more, len, cut, at) in steps {
            let data = piece(header, id, offset * 8, more, &vec![b'x'; len]);
            let seen = data.len() - (cut as usize).min(len);
            let original_len = u32::try_from(data.len()).unwrap();
            let packet = Packet {
                at: Timestamp::from_nanos(at),
                link: LinkType::RawIp,
                data: &data[..seen],
                original_len,
            };
            let _ = bench.decoder.segment(&packet, &bench.limits, &mut bench.anomalies);
            let fragments = &bench.decoder.fragments;
            prop_assert!(fragments.held <= 4_000);
            prop_assert_eq!(fragments.held, fragments.packets.values().map(Partial::cost).sum::<usize>());
            prop_assert_eq!(fragments.order.len(), fragments.packets.len());
        }
        bench.decoder.finish(&mut bench.anomalies);
        prop_assert_eq!(bench.decoder.fragments.held, 0);
    }
}

//! Real captures of mirrored traffic (`tests/pcaps/envoy`) against what was really sent.

#![expect(clippy::unwrap_used, reason = "in a test a failed unwrap is a failed test")]

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use capture::source::file::{Merged, Reader};
use capture::{Counters, Evidence, Exchange, Limits, Packet, Tap, Timestamp};
use proptest::prelude::*;
use serde_json::Value;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/pcaps/envoy")
}

/// Captures of HTTP/1.1 in which nothing is missing.
const WHOLE: [&str; 20] = [
    "h1_any_bridge_duplicates.pcap",
    "h1_any_sll2.pcap",
    "h1_ipv6_lo.pcap",
    "h1_large_loss.pcap",
    "h1_large_mtu.pcap",
    "h1_large_tso.pcap",
    "h1_lo.pcap",
    "h1_loss.pcap",
    "h1_midstream.pcap",
    "h1_mix.pcap",
    "h1_mix.pcapng",
    "h1_nsec.pcap",
    "h1_retry.pcap",
    "h1_rot_0.pcap",
    "h1_rot_1.pcap",
    "h1_vlan100.pcap",
    "h1_zipkin_tracing.pcap",
    "haproxy_mirror.pcap",
    "nginx_mirror.pcap",
    "nginx_mirror_truncated_shadow.pcap",
];

/// A packet that owns its bytes.
#[derive(Clone)]
struct Owned {
    at: Timestamp,
    link: capture::LinkType,
    data: Vec<u8>,
    original_len: u32,
}

fn packets(files: &[&str]) -> Vec<Owned> {
    let readers = files.iter().map(|file| Reader::open(folder().join("pcaps").join(file)).unwrap());
    let mut merged = Merged::new(readers.collect()).unwrap();
    let mut packets = Vec::new();
    while let Some(Packet { at, link, data, original_len }) = merged.next().unwrap() {
        packets.push(Owned { at, link, data: data.to_vec(), original_len });
    }
    packets
}

fn exchanges_of(packets: &[Owned]) -> (Vec<Exchange>, Counters) {
    let mut tap = Tap::new(Limits::default(), Vec::new());
    let mut exchanges = Vec::new();
    for Owned { at, link, data, original_len } in packets {
        tap.push(&Packet { at: *at, link: *link, data, original_len: *original_len });
        tap.expire(*at);
        exchanges.extend(std::iter::from_fn(|| tap.poll()).map(|exchange| *exchange));
    }
    tap.finish();
    exchanges.extend(std::iter::from_fn(|| tap.poll()).map(|exchange| *exchange));
    assert_eq!(tap.counters().exchanges.iter().sum::<u64>(), exchanges.len() as u64);
    (exchanges, tap.counters().clone())
}

/// Connection and moment: what names a message in a capture.
type Place = (u16, String, u64);

fn request_place(exchange: &Exchange) -> Option<Place> {
    let at = exchange.timing.request_head?.as_nanos();
    Some((exchange.client.port(), exchange.server.to_string(), at))
}

/// The truth of one file, by where its requests are.
fn truth(file: &str) -> HashMap<Place, Value> {
    let text = std::fs::read_to_string(folder().join("truth.jsonl")).unwrap();
    let mut truth = HashMap::new();
    for line in text.lines().filter(|line| line.contains(&format!("pcaps/{file}\""))) {
        let exchange: Value = serde_json::from_str(line).unwrap();
        if exchange["request_time"].is_string() {
            let server = match exchange["dst"].as_str().unwrap() {
                v6 if v6.contains(':') => format!("[{v6}]:{}", exchange["dport"]),
                v4 => format!("{v4}:{}", exchange["dport"]),
            };
            let port = u16::try_from(exchange["sport"].as_u64().unwrap()).unwrap();
            truth.insert((port, server, nanos(&exchange["request_time"])), exchange);
        }
    }
    assert!(!truth.is_empty(), "{file} has no truth");
    truth
}

fn nanos(time: &Value) -> u64 {
    let (seconds, nanos) = time.as_str().unwrap().split_once('.').unwrap();
    seconds.parse::<u64>().unwrap() * 1_000_000_000 + nanos.parse::<u64>().unwrap()
}

/// The fields of an exchange as the truth has them.
fn fields(exchange: &Exchange) -> BTreeMap<&'static str, Value> {
    let text = |bytes: &[u8]| Value::from(String::from_utf8_lossy(bytes).into_owned());
    let mut fields = BTreeMap::new();
    if let Some(request) = &exchange.request {
        fields.insert("method", text(request.method()));
        fields.insert("uri", text(request.target()));
        fields.insert("host", request.host().map_or(Value::Null, text));
        fields.insert("req_headers", request.fields.len().into());
        fields.insert("req_body_len", request.body.len().into());
        fields.insert("req_trailers", request.trailers.len().into());
    }
    if let Some(response) = &exchange.response {
        fields.insert("status", response.status.into());
        fields.insert("resp_headers", response.fields.len().into());
        fields.insert("resp_body_len", response.body.len().into());
        fields.insert("resp_trailers", response.trailers.len().into());
    }
    fields.insert("interim", exchange.interim.clone().into());
    fields
}

fn assert_agrees(file: &str, exchange: &Exchange, truth: &Value) {
    let unscored = |field: &str| {
        truth["unscored"].as_array().is_some_and(|list| list.iter().any(|name| name == field))
    };
    for (field, seen) in fields(exchange) {
        // Of what is not whole, lengths and trailers are what was seen.
        let judged = !unscored(field)
            && (exchange.evidence == Evidence::Complete
                || !(field.ends_with("_len") || field.ends_with("_trailers")));
        if judged {
            assert_eq!(seen, truth[field], "{file}: {field} of {}", truth["id"]);
        }
    }
    if let Some(at) = exchange.timing.response_head.filter(|_| !unscored("response_time")) {
        // The truth's reference tools do not agree on which packet completes a head.
        let message = nanos(&truth["response_time"])..=nanos(&truth["response_time_end"]);
        assert!(message.contains(&at.as_nanos()), "{file}: response time of {}", truth["id"]);
    }
}

#[test]
fn every_exchange_of_whole_captures_is_found_as_it_was_and_no_other() {
    for file in WHOLE {
        let truth = truth(file);
        let (exchanges, counters) = exchanges_of(&packets(&[file]));
        let mut found = HashMap::new();
        for exchange in &exchanges {
            let Some(place) = request_place(exchange) else {
                assert_ne!(exchange.evidence, Evidence::Complete, "{file}");
                continue;
            };
            let truth = truth.get(&place);
            let truth = truth.unwrap_or_else(|| panic!("{file}: nothing was sent at {place:?}"));
            assert_agrees(file, exchange, truth);
            assert!(found.insert(place, ()).is_none(), "{file}: found twice");
        }
        for (place, truth) in &truth {
            let required = truth["required"] == true;
            assert!(!required || found.contains_key(place), "{file}: {} missing", truth["id"]);
        }
        assert_eq!(counters.gaps, 0, "{file}");
        assert_eq!(counters.anomalies.iter().count(), 0, "{file}: {:?}", counters.anomalies);
    }
}

#[test]
fn every_duplicate_of_a_bridged_packet_is_a_retransmission() {
    let (exchanges, counters) = exchanges_of(&packets(&["h1_any_bridge_duplicates.pcap"]));
    assert!(exchanges.iter().all(|exchange| exchange.evidence == Evidence::Complete));
    assert!(counters.retransmissions > 400, "{counters:?}");
    assert_eq!(counters.flows, 10);
}

#[test]
fn a_capture_rotated_into_two_files_loses_nothing_when_read_together() {
    let (together, _) = exchanges_of(&packets(&["h1_rot_1.pcap", "h1_rot_0.pcap"]));
    let (whole, _) = exchanges_of(&packets(&["h1_mix.pcap"]));
    assert!(together.iter().all(|exchange| exchange.evidence == Evidence::Complete));
    assert_eq!(together.len(), whole.len());
}

/// What was said, to be compared across captures of the same traffic.
#[derive(PartialEq)]
struct Said {
    request: (Vec<u8>, Vec<u8>),
    status: u16,
    response: Vec<u8>,
    response_at: Option<Timestamp>,
}

fn complete(exchanges: &[Exchange]) -> HashMap<Place, Said> {
    exchanges
        .iter()
        .filter(|exchange| exchange.evidence == Evidence::Complete)
        .map(|exchange| {
            let request = exchange.request.as_ref().unwrap();
            let response = exchange.response.as_ref().unwrap();
            let said = Said {
                request: (request.target().to_vec(), request.body.kept().to_vec()),
                status: response.status,
                response: response.body.kept().to_vec(),
                response_at: exchange.timing.response_head,
            };
            (request_place(exchange).unwrap(), said)
        })
        .collect()
}

fn assert_none_is_wrong(damaged: &[Exchange], whole: &HashMap<Place, Said>) -> usize {
    let damaged = complete(damaged);
    for (place, said) in &damaged {
        let right = whole.get(place) == Some(said);
        assert!(right, "complete, but not as it was said: {place:?}");
    }
    damaged.len()
}

#[test]
fn what_is_called_complete_in_a_capture_with_losses_is_as_it_was_without() {
    let whole = complete(&exchanges_of(&packets(&["h1_mix.pcap"])).0);
    let (exchanges, counters) = exchanges_of(&packets(&["h1_gaps.pcap"]));
    let right = assert_none_is_wrong(&exchanges, &whole);
    let gaps = exchanges.iter().filter(|exchange| exchange.evidence == Evidence::Gap).count();
    // 21 frames are missing; each takes two exchanges with it at most.
    assert!(right > whole.len() - 2 * 21, "{right} of {} left", whole.len());
    assert!((1..=2 * 21).contains(&gaps), "{gaps}");
    assert!(counters.gaps > 0);
}

#[test]
fn exchanges_cut_by_the_snap_length_are_truncated_and_their_start_lines_right() {
    let file = "h1_snap128.pcap";
    let (exchanges, counters) = exchanges_of(&packets(&[file]));
    let truth = truth(file);
    assert_eq!(exchanges.len(), truth.len());
    let sent = |field: &str| {
        let mut all: Vec<_> = truth.values().map(|exchange| exchange[field].clone()).collect();
        all.sort_by_key(Value::to_string);
        all
    };
    for field in ["method", "uri", "status"] {
        let mut seen: Vec<_> =
            exchanges.iter().map(|e| fields(e).get(field).cloned().unwrap_or_default()).collect();
        seen.sort_by_key(Value::to_string);
        assert_eq!(seen, sent(field), "{field}");
    }
    assert!(exchanges.iter().all(|exchange| exchange.evidence == Evidence::Truncated));
    assert_eq!(counters.anomalies.count(capture::Anomaly::PacketCut), counters.gaps);
}

/// What a tap and a network do to packets.
#[derive(Clone, Copy, Debug)]
enum Damage {
    /// The tap did not get it.
    Lost,
    /// It came twice.
    Twice,
    /// It came later, by so many packets.
    Late(usize),
    /// The snap length cut it to so many bytes.
    Cut(usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        Just(Damage::Lost),
        Just(Damage::Twice),
        (1usize..12).prop_map(Damage::Late),
        (40usize..200).prop_map(Damage::Cut),
    ]
}

fn damaged(packets: &[Owned], damages: &[(prop::sample::Index, Damage)]) -> Vec<Owned> {
    let mut by_index = BTreeMap::new();
    for (index, damage) in damages {
        by_index.insert(index.index(packets.len()), *damage);
    }
    let mut placed: Vec<(usize, Owned)> = Vec::new();
    for (index, packet) in packets.iter().enumerate() {
        match by_index.get(&index) {
            None => placed.push((index, packet.clone())),
            Some(Damage::Lost) => {}
            Some(Damage::Twice) => {
                placed.extend([(index, packet.clone()), (index, packet.clone())])
            }
            Some(Damage::Late(by)) => placed.push((index + by, packet.clone())),
            Some(Damage::Cut(len)) => {
                let mut packet = packet.clone();
                packet.data.truncate(*len);
                placed.push((index, packet));
            }
        }
    }
    placed.sort_by_key(|&(place, _)| place);
    placed.into_iter().map(|(_, packet)| packet).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn damage_takes_exchanges_away_but_never_makes_a_complete_one_wrong(
        // Captures in which every byte passed once: one that passed twice may be found at its
        // other packet's time.
        file in prop::sample::select(&["h1_lo.pcap", "h1_nsec.pcap", "h1_any_sll2.pcap"][..]),
        damages in prop::collection::vec((any::<prop::sample::Index>(), damage()), 1..40),
    ) {
        let packets = packets(&[file]);
        let (exchanges, _) = exchanges_of(&packets);
        let whole = complete(&exchanges);
        let (exchanges, _) = exchanges_of(&damaged(&packets, &damages));
        let right = assert_none_is_wrong(&exchanges, &whole);
        prop_assert!(right + 4 * damages.len() >= whole.len(), "{right} of {} left", whole.len());
    }

    #[test]
    fn flipped_bits_and_random_cuts_never_panic_and_every_exchange_is_accounted_for(
        file in prop::sample::select(&WHOLE[..]),
        flips in prop::collection::vec(
            (any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()),
            1..200,
        ),
    ) {
        let mut packets = packets(&[file]);
        for (packet, byte, value) in flips {
            let packet = packet.index(packets.len());
            let data = &mut packets[packet].data;
            // Most of a packet is payload: half of the flips go to its heads.
            let len = if value & 1 == 0 { data.len() } else { data.len().min(80) };
            if len > 0 {
                data[byte.index(len)] = value;
            }
            if value == 0 {
                data.truncate(byte.index(len.max(1)));
            }
        }
        // The sums are checked inside.
        exchanges_of(&packets);
    }
}

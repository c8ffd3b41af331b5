//! Live capture on this machine's loopback. Needs the right to capture: root or CAP_NET_RAW.

#![expect(clippy::unwrap_used, reason = "in a test a failed unwrap is a failed test")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::num::NonZeroUsize;
use std::time::Duration;

use capture::source::live::{Interface, LiveConfig, LiveError, Wait};
use capture::{Evidence, Exchange, Leg, Limits, Origin, ServiceId, Tap, Target};
use etherparse::PacketBuilder;

fn target(address: SocketAddr) -> Target {
    Target { origin: Origin { service: ServiceId(0), leg: Leg::Primary }, address: address.into() }
}

/// Opens `interface` for `server`.
fn open(interface: &str, server: SocketAddr) -> Interface {
    Interface::open(&LiveConfig::new(interface, vec![target(server)]))
        .unwrap_or_else(|error| panic!("{error}: these tests need root or CAP_NET_RAW"))
}

/// A server that answers `requests` requests on one connection each with `RESPONSE`.
fn serve(listener: TcpListener, requests: usize) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        for _ in 0..requests {
            let mut request = vec![0; REQUEST.len()];
            stream.read_exact(&mut request).unwrap();
            stream.write_all(RESPONSE).unwrap();
        }
    })
}

const REQUEST: &[u8] = b"GET /live HTTP/1.1\r\nhost: here\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

/// Captures until `wanted` exchanges have come.
fn capture_exchanges(
    interface: &mut Interface,
    server: SocketAddr,
    wanted: usize,
) -> (Tap, Vec<Exchange>) {
    let mut tap = Tap::new(Limits::default(), vec![target(server)]);
    let mut exchanges = Vec::new();
    let mut idle = 0;
    while exchanges.len() < wanted {
        let taken = interface.drain(3, |packet| tap.push(packet)).unwrap();
        exchanges.extend(std::iter::from_fn(|| tap.poll()).map(|exchange| *exchange));
        if taken == 0 && interface.wait(Duration::from_millis(500)).unwrap() == Wait::Over {
            idle += 1;
            assert!(idle < 60, "{} of {wanted} exchanges came", exchanges.len());
        }
    }
    (tap, exchanges)
}

fn talk(interface_name: &str, address: &str) {
    let listener = TcpListener::bind((address, 0)).unwrap();
    let server = listener.local_addr().unwrap();
    let mut interface = open(interface_name, server);
    let requests = 20;
    let serving = serve(listener, requests);
    #[expect(clippy::disallowed_methods, reason = "the test is the client")]
    let mut stream = TcpStream::connect(server).unwrap();
    for _ in 0..requests {
        stream.write_all(REQUEST).unwrap();
        let mut response = vec![0; RESPONSE.len()];
        stream.read_exact(&mut response).unwrap();
    }
    serving.join().unwrap();
    let (tap, exchanges) = capture_exchanges(&mut interface, server, requests);
    assert_eq!(exchanges.len(), requests);
    for exchange in &exchanges {
        assert_eq!(exchange.evidence, Evidence::Complete);
        assert_eq!(exchange.server, server);
        assert_eq!(exchange.response.as_ref().unwrap().body.kept(), b"hello");
    }
    let counters = tap.counters();
    // Loopback shows each packet once, on `lo` and on `any`.
    assert_eq!((counters.retransmissions, counters.gaps), (0, 0));
    assert_eq!((counters.other_addresses, counters.not_tcp), (0, 0));
    let stats = interface.stats();
    assert!(stats.received >= counters.packets, "{stats:?}");
    assert_eq!(stats.kernel_drops, 0);
}

#[test]
fn exchanges_over_loopback_are_captured_whole_and_each_packet_once() {
    talk("lo", "127.0.0.1");
}

#[test]
fn the_any_device_shows_loopback_packets_once_too() {
    talk("any", "127.0.0.1");
}

#[test]
fn exchanges_over_ipv6_loopback_are_captured() {
    if TcpListener::bind("[::1]:0").is_err() {
        eprintln!("no IPv6 loopback here: nothing was captured in this test");
        return;
    }
    talk("lo", "::1");
}

/// A connection from 10.7.0.1 to 10.7.0.2:8080 with one exchange, each packet in VXLAN.
fn overlay_packets() -> Vec<Vec<u8>> {
    let (client, server) = (([10, 7, 0, 1], 40_000), ([10, 7, 0, 2], 8080));
    let packet = |(from, from_port), (to, to_port), seq, ack: Option<u32>, syn, payload: &[u8]| {
        let tcp = PacketBuilder::ethernet2([1; 6], [2; 6])
            .ipv4(from, to, 64)
            .tcp(from_port, to_port, seq, 65_000);
        let tcp = if syn { tcp.syn() } else { tcp.psh() };
        let tcp = match ack {
            Some(ack) => tcp.ack(ack),
            None => tcp,
        };
        let mut bytes = vec![8, 0, 0, 0, 0, 0, 7, 0];
        tcp.write(&mut bytes, payload).unwrap();
        bytes
    };
    let end = 101 + u32::try_from(REQUEST.len()).unwrap();
    vec![
        packet(client, server, 100, None, true, b""),
        packet(server, client, 500, Some(101), true, b""),
        packet(client, server, 101, Some(501), false, REQUEST),
        packet(server, client, 501, Some(end), false, RESPONSE),
    ]
}

#[test]
fn an_exchange_inside_a_tunnel_is_captured_where_tunnels_are_asked_for() {
    let server: SocketAddr = "10.7.0.2:8080".parse().unwrap();
    let config = LiveConfig::new("lo", vec![target(server)]);
    let mut without = Interface::open(&config).unwrap();
    let mut with = Interface::open(&LiveConfig { tunnels: true, ..config }).unwrap();
    #[expect(clippy::disallowed_methods, reason = "the test is the tunnel's end")]
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for packet in overlay_packets() {
        socket.send_to(&packet, "127.0.0.1:4789").unwrap();
    }
    let (_, exchanges) = capture_exchanges(&mut with, server, 1);
    assert_eq!(exchanges[0].server, server);
    assert_eq!(exchanges[0].evidence, Evidence::Complete);
    assert_eq!(without.drain(1_000, |packet| panic!("{packet:?}")), Ok(0));
}

/// Takes all that `handle` has been given. The traffic is over.
fn follow(handle: &mut Interface, tap: &mut Tap) -> (u64, Vec<Exchange>) {
    let (mut packets, mut idle) = (0, 0);
    // The kernel hands a block over after 100 ms at the latest.
    while idle < 2 {
        let taken = handle.drain(4_096, |packet| tap.push(packet)).unwrap();
        packets += taken as u64;
        if taken == 0 && handle.wait(Duration::from_millis(300)).unwrap() == Wait::Over {
            idle += 1;
        }
    }
    (packets, std::iter::from_fn(|| tap.poll().map(|exchange| *exchange)).collect())
}

fn spread(interface_name: &str, address: &str) {
    const CONNECTIONS: usize = 24;
    const REQUESTS: usize = 5;
    let listener = TcpListener::bind((address, 0)).unwrap();
    let server = listener.local_addr().unwrap();
    let config = LiveConfig::new(interface_name, vec![target(server)]);
    let two = NonZeroUsize::new(2).unwrap();
    let mut handles = Interface::open_spread(&config, two).unwrap();
    let mut alone = open(interface_name, server);
    for _ in 0..CONNECTIONS {
        let serving = serve(listener.try_clone().unwrap(), REQUESTS);
        #[expect(clippy::disallowed_methods, reason = "the test is the client")]
        let mut stream = TcpStream::connect(server).unwrap();
        for _ in 0..REQUESTS {
            stream.write_all(REQUEST).unwrap();
            let mut response = vec![0; RESPONSE.len()];
            stream.read_exact(&mut response).unwrap();
        }
        serving.join().unwrap();
    }
    let new_tap = || Tap::new(Limits::default(), vec![target(server)]);
    let (all_packets, all) = follow(&mut alone, &mut new_tap());
    assert_eq!(all.len(), CONNECTIONS * REQUESTS);

    let mut taps = [new_tap(), new_tap()];
    let seen: Vec<_> =
        handles.iter_mut().zip(&mut taps).map(|(handle, tap)| follow(handle, tap)).collect();
    for ((_, exchanges), tap) in seen.iter().zip(&taps) {
        // With one direction elsewhere, nothing would be complete.
        assert!(!exchanges.is_empty(), "{CONNECTIONS} connections are spread over both");
        assert!(exchanges.iter().all(|exchange| exchange.evidence == Evidence::Complete));
        assert_eq!(exchanges.len() as u64, tap.counters().flows * REQUESTS as u64);
        assert_eq!(tap.counters().gaps, 0);
    }
    assert_eq!(seen.iter().map(|(_, exchanges)| exchanges.len()).sum::<usize>(), all.len());
    let pushed: u64 = taps.iter().map(|tap| tap.counters().packets).sum();
    assert_eq!(pushed, all_packets, "each packet goes to one of them");
    assert!(handles.iter_mut().all(|handle| handle.stats().kernel_drops == 0));
}

#[test]
fn two_handles_share_the_flows_of_loopback_and_neither_splits_one() {
    spread("lo", "127.0.0.1");
}

#[test]
fn two_handles_share_the_flows_of_any_too() {
    spread("any", "127.0.0.1");
}

#[test]
fn an_interface_that_does_not_exist_is_named_with_those_that_do() {
    let error = match Interface::open(&LiveConfig::new("no-such-if", Vec::new())) {
        Ok(_) => panic!("opened"),
        Err(error) => error,
    };
    let LiveError::NoSuchInterface { name, available } = &error else { panic!("{error:?}") };
    assert_eq!(name, "no-such-if");
    assert!(available.iter().any(|interface| interface == "lo"), "{available:?}");
}

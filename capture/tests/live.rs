//! Live capture on this machine's loopback. Needs the right to capture: root or CAP_NET_RAW.

#![expect(clippy::unwrap_used, reason = "in a test a failed unwrap is a failed test")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use capture::source::live::{Interface, LiveConfig, LiveError, Wait};
use capture::{Evidence, Exchange, Leg, Limits, Origin, ServiceId, Tap, Target};

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

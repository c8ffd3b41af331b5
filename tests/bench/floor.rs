//! The floor: what reading the file and decoding headers costs, and nothing else.

use std::ffi::OsStr;
use std::hint::black_box;

use etherparse::{SlicedPacket, TransportSlice};

/// First argument that makes this binary the floor: then the capture.
pub(crate) const MODE: &str = "--floor";

/// Reads `capture` with libpcap and slices every packet with etherparse. Prints packets and payload
/// bytes, so that nothing can be left out.
///
/// # Errors
///
/// When the file cannot be read to its end.
pub(crate) fn run(capture: &OsStr) -> Result<(), Box<dyn std::error::Error>> {
    let mut file = pcap::Capture::from_file(capture)?;
    let (mut packets, mut payload_bytes) = (0_u64, 0_u64);
    loop {
        let packet = match file.next_packet() {
            Ok(packet) => packet,
            Err(pcap::Error::NoMorePackets) => break,
            Err(error) => return Err(error.into()),
        };
        packets += 1;
        let sliced = black_box(SlicedPacket::from_ethernet(packet.data)?);
        if let Some(TransportSlice::Tcp(tcp)) = sliced.transport {
            black_box(tcp.sequence_number());
            payload_bytes += tcp.payload().len() as u64;
        }
    }
    println!("{packets} packets, {payload_bytes} payload bytes");
    Ok(())
}

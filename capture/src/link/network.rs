//! IP and TCP heads, sliced by etherparse.

use std::net::SocketAddr;

use etherparse::{LaxIpSlice, TcpHeaderSlice, ip_number};

use super::{Refused, Segment, TRUNCATED};
use crate::{Anomaly, Timestamp};

/// Finds the segment in an IP packet. `beyond`: bytes the packet had on the wire after the end of
/// `data`, cut off by the snap length.
pub(super) fn segment(at: Timestamp, data: &[u8], beyond: usize) -> Result<Segment<'_>, Refused> {
    // Lax slicing: a packet cut by the snap length is sliced as far as it goes.
    let (ip, stopped) = LaxIpSlice::from_slice(data).map_err(|_| TRUNCATED)?;
    if ip.is_fragmenting_payload() {
        return Err(Refused::Odd(Anomaly::IpFragment));
    }
    if stopped.is_some() {
        return Err(TRUNCATED);
    }
    let payload = ip.payload();
    if payload.ip_number != ip_number::TCP {
        return Err(Refused::NotTcp);
    }
    let tcp = TcpHeaderSlice::from_slice(payload.payload).map_err(|_| TRUNCATED)?;

    let packet_len = packet_len(&ip, data.len() + beyond)?;
    let body = &payload.payload[tcp.slice().len()..];
    // `body` ends inside `data`, and no later than IP says; what IP counts after it was cut.
    let body_end = body.as_ptr() as usize + body.len() - data.as_ptr() as usize;
    let cut = packet_len.saturating_sub(body_end);

    Ok(Segment {
        at,
        source: SocketAddr::new(ip.source_addr(), tcp.source_port()),
        destination: SocketAddr::new(ip.destination_addr(), tcp.destination_port()),
        seq: tcp.sequence_number(),
        ack: tcp.ack().then(|| tcp.acknowledgment_number()),
        syn: tcp.syn(),
        fin: tcp.fin(),
        rst: tcp.rst(),
        payload: body,
        cut: u32::try_from(cut).map_err(|_| TRUNCATED)?,
    })
}

/// Length of the IP packet on the wire, header included. `on_wire`: bytes from its first to the
/// frame's last.
fn packet_len(ip: &LaxIpSlice<'_>, on_wire: usize) -> Result<usize, Refused> {
    // Segmentation offload leaves 0 where a packet above 64 KiB does not fit the field, and so do
    // IPv6 jumbograms (RFC 2675 §3).
    match ip {
        LaxIpSlice::Ipv4(ip) => match usize::from(ip.header().total_len()) {
            0 => Ok(on_wire),
            len if len < ip.header().slice().len() => Err(TRUNCATED),
            len => Ok(len),
        },
        LaxIpSlice::Ipv6(ip) => match usize::from(ip.header().payload_length()) {
            0 => Ok(on_wire),
            len => Ok(len + ip.header().slice().len()),
        },
    }
}

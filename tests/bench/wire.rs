//! TCP over IPv4 over Ethernet into a pcap file with nanosecond timestamps.
//!
//! Sequence numbers, acknowledgements and checksums are right, so that any reader takes it.
//!
//! ```text
//! file    magic a1b23c4d u32 | version 2, 4 u16 | zone 0 i32 | sigfigs 0 u32 | snaplen u32
//!         | link type 1 (Ethernet) u32: little-endian (draft-ietf-opsawg-pcap)
//! record  seconds u32 | nanoseconds u32 | captured u32 | original u32 | frame
//! frame   14 Ethernet | 20 IPv4 | 32 TCP with timestamps (RFC 7323 §3) | payload
//! ```

use std::io::{self, Write};

/// Bytes before the payload.
const HEADERS: usize = 14 + 20 + 32;

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const PSH: u8 = 0x08;
const ACK: u8 = 0x10;

/// Writes frames, and counts.
pub(crate) struct CaptureWriter<W> {
    out: W,
    frame: Vec<u8>,
    packets: u64,
    bytes: u64,
}

impl<W: Write> CaptureWriter<W> {
    /// Writes the file's header.
    ///
    /// # Errors
    ///
    /// What `out` says.
    pub(crate) fn new(mut out: W) -> io::Result<Self> {
        let mut header = Vec::with_capacity(24);
        header.extend_from_slice(&0xa1b2_3c4d_u32.to_le_bytes());
        header.extend_from_slice(&2_u16.to_le_bytes());
        header.extend_from_slice(&4_u16.to_le_bytes());
        header.extend_from_slice(&[0; 8]);
        header.extend_from_slice(&262_144_u32.to_le_bytes());
        header.extend_from_slice(&1_u32.to_le_bytes());
        out.write_all(&header)?;
        Ok(Self { out, frame: Vec::with_capacity(2_048), packets: 0, bytes: 24 })
    }

    /// Flushes. Returns packets and bytes written.
    ///
    /// # Errors
    ///
    /// What `out` says.
    pub(crate) fn finish(mut self) -> io::Result<(u64, u64)> {
        self.out.flush()?;
        Ok((self.packets, self.bytes))
    }

    fn packet(&mut self, at_ns: u64, packet: &Packet<'_>) -> io::Result<()> {
        self.frame.clear();
        packet.render(&mut self.frame);
        let captured = u32::try_from(self.frame.len()).map_err(io::Error::other)?;
        let mut record = [0; 16];
        // Seconds fit until 2106.
        record[0..4].copy_from_slice(&((at_ns / 1_000_000_000) as u32).to_le_bytes());
        record[4..8].copy_from_slice(&((at_ns % 1_000_000_000) as u32).to_le_bytes());
        record[8..12].copy_from_slice(&captured.to_le_bytes());
        record[12..16].copy_from_slice(&captured.to_le_bytes());
        self.out.write_all(&record)?;
        self.out.write_all(&self.frame)?;
        self.packets += 1;
        self.bytes += 16 + u64::from(captured);
        Ok(())
    }
}

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sender {
    /// The side that connected.
    Client,
    /// The side that listens.
    Server,
}

/// Address and port of one end, and the sequence number that it sends next.
#[derive(Clone, Copy, Debug)]
struct End {
    address: [u8; 4],
    port: u16,
    next: u32,
    /// IPv4 identification of its next packet.
    id: u16,
}

/// One TCP connection whose packets arrive in order and are never lost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Connection {
    client: End,
    server: End,
}

impl Connection {
    /// From `client` to `server`, with their initial sequence numbers.
    pub(crate) const fn new(
        client: ([u8; 4], u16),
        server: ([u8; 4], u16),
        client_isn: u32,
        server_isn: u32,
    ) -> Self {
        Self {
            client: End { address: client.0, port: client.1, next: client_isn, id: 1 },
            server: End { address: server.0, port: server.1, next: server_isn, id: 1 },
        }
    }

    /// Writes the handshake.
    ///
    /// # Errors
    ///
    /// What the writer says.
    pub(crate) fn open<W: Write>(
        &mut self,
        capture: &mut CaptureWriter<W>,
        at_ns: u64,
    ) -> io::Result<()> {
        self.packet(capture, at_ns, Sender::Client, SYN, &[])?;
        self.packet(capture, at_ns + 10_000, Sender::Server, SYN | ACK, &[])?;
        self.packet(capture, at_ns + 20_000, Sender::Client, ACK, &[])
    }

    /// Writes one segment; with an empty payload a bare acknowledgement.
    ///
    /// # Errors
    ///
    /// What the writer says.
    pub(crate) fn send<W: Write>(
        &mut self,
        capture: &mut CaptureWriter<W>,
        at_ns: u64,
        sender: Sender,
        payload: &[u8],
    ) -> io::Result<()> {
        let flags = if payload.is_empty() { ACK } else { PSH | ACK };
        self.packet(capture, at_ns, sender, flags, payload)
    }

    /// Writes the end, the client's first.
    ///
    /// # Errors
    ///
    /// What the writer says.
    pub(crate) fn close<W: Write>(
        &mut self,
        capture: &mut CaptureWriter<W>,
        at_ns: u64,
    ) -> io::Result<()> {
        self.packet(capture, at_ns, Sender::Client, FIN | ACK, &[])?;
        self.packet(capture, at_ns + 10_000, Sender::Server, FIN | ACK, &[])?;
        self.packet(capture, at_ns + 20_000, Sender::Client, ACK, &[])
    }

    fn packet<W: Write>(
        &mut self,
        capture: &mut CaptureWriter<W>,
        at_ns: u64,
        sender: Sender,
        flags: u8,
        payload: &[u8],
    ) -> io::Result<()> {
        let (from, to) = match sender {
            Sender::Client => (&mut self.client, self.server),
            Sender::Server => (&mut self.server, self.client),
        };
        let packet = Packet {
            from: *from,
            to,
            acknowledged: if flags & ACK == 0 { 0 } else { to.next },
            flags,
            time_ms: (at_ns / 1_000_000) as u32,
            payload,
        };
        capture.packet(at_ns, &packet)?;
        // RFC 9293 §3.4: SYN and FIN take one sequence number each.
        let length = payload.len() as u32 + u32::from(flags & (SYN | FIN) != 0);
        from.next = from.next.wrapping_add(length);
        from.id = from.id.wrapping_add(1);
        Ok(())
    }
}

struct Packet<'a> {
    from: End,
    to: End,
    acknowledged: u32,
    flags: u8,
    /// The timestamp option's value.
    time_ms: u32,
    payload: &'a [u8],
}

impl Packet<'_> {
    /// Appends the frame. Payloads are far below 64 KiB.
    fn render(&self, frame: &mut Vec<u8>) {
        let mac =
            |end: &End| [2, 0, end.address[0], end.address[1], end.address[2], end.address[3]];
        frame.extend_from_slice(&mac(&self.to));
        frame.extend_from_slice(&mac(&self.from));
        frame.extend_from_slice(&[0x08, 0x00]);

        // RFC 791 §3.1: version 4, five words, don't fragment, TTL 64, protocol 6.
        let total = (HEADERS - 14 + self.payload.len()) as u16;
        let ip = frame.len();
        frame.extend_from_slice(&[0x45, 0]);
        frame.extend_from_slice(&total.to_be_bytes());
        frame.extend_from_slice(&self.from.id.to_be_bytes());
        frame.extend_from_slice(&[0x40, 0, 64, 6, 0, 0]);
        frame.extend_from_slice(&self.from.address);
        frame.extend_from_slice(&self.to.address);
        let checksum = !fold(sum(&frame[ip..]));
        frame[ip + 10..ip + 12].copy_from_slice(&checksum.to_be_bytes());

        // RFC 9293 §3.1: eight words, three of them for NOP, NOP and timestamps.
        let tcp = frame.len();
        frame.extend_from_slice(&self.from.port.to_be_bytes());
        frame.extend_from_slice(&self.to.port.to_be_bytes());
        frame.extend_from_slice(&self.from.next.to_be_bytes());
        frame.extend_from_slice(&self.acknowledged.to_be_bytes());
        frame.extend_from_slice(&[0x80, self.flags, 0xff, 0xff, 0, 0, 0, 0, 1, 1, 8, 10]);
        frame.extend_from_slice(&self.time_ms.to_be_bytes());
        let echoed = if self.flags & ACK == 0 { 0 } else { self.time_ms };
        frame.extend_from_slice(&echoed.to_be_bytes());
        frame.extend_from_slice(self.payload);
        // RFC 9293 §3.1: over both addresses, the protocol, the length, and the segment.
        let length = frame.len() - tcp;
        let pseudo = sum(&self.from.address) + sum(&self.to.address) + 6 + length as u64;
        let checksum = !fold(pseudo + sum(&frame[tcp..]));
        frame[tcp + 16..tcp + 18].copy_from_slice(&checksum.to_be_bytes());
    }
}

/// Sum of 16-bit words, an odd last byte padded with zero (RFC 1071 §1).
fn sum(bytes: &[u8]) -> u64 {
    let words = bytes.chunks_exact(2);
    let last = words.remainder().first().map_or(0, |&byte| u64::from(byte) << 8);
    words.map(|word| u64::from(u16::from_be_bytes([word[0], word[1]]))).sum::<u64>() + last
}

const fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

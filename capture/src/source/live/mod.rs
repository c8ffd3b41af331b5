//! Live interfaces, by libpcap.
//!
//! Owns the capture handle: opening it with the right sizes and filter, waiting for packets with
//! a timeout, and the kernel's counters. Packets are batched by the kernel (TPACKET_V3 on Linux)
//! for up to 100 ms, which costs a tenth of taking each at once; their time is the kernel's.
//!
//! Refuses nothing that the kernel delivers: which packets count is for the tap to say. The
//! filter ([`bpf_filter`]) only keeps out what certainly does not.
//!
//! Several handles on one interface share its packets by flow ([`Interface::open_spread`]), so that
//! several threads can follow it.
//!
//! On Linux a packet over `lo` is delivered once, also on `any`: libpcap drops the outgoing copy. On
//! `lo` itself the kernel is asked not to make it.

mod error;
mod filter;
mod socket;

use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::time::{Duration, SystemTime};

use pcap::{Active, Capture, Device, Precision, Stat};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

pub use error::LiveError;
pub use filter::bpf_filter;

use crate::{LinkType, Packet, Target, Timestamp};

/// How to open an interface.
#[derive(Clone, Debug)]
pub struct LiveConfig {
    /// The interface: `eth0`, `lo`, or `any` for all of them.
    pub interface: String,
    /// What to filter for in the kernel; empty for every TCP packet.
    pub targets: Vec<Target>,
    /// Whether every packet of a tunnel (VXLAN, GENEVE, GRE, IP in IP, MPLS, GTP-U and the like)
    /// passes the filter too. Default no: which connections are inside, only the tap can tell, so
    /// it is shown all of them.
    pub tunnels: bool,
    /// Bytes kept of a packet. Default 262_144: all of any packet, offloaded ones too. What is
    /// longer is cut ([`crate::Anomaly::PacketCut`]).
    pub snaplen_bytes: u32,
    /// The kernel's ring. Default 64 MiB. When it is full the kernel drops packets
    /// ([`LiveStats::kernel_drops`]).
    pub kernel_buffer_bytes: u32,
}

impl LiveConfig {
    /// The defaults for `interface`.
    #[must_use]
    pub fn new(interface: impl Into<String>, targets: Vec<Target>) -> Self {
        Self {
            interface: interface.into(),
            targets,
            tunnels: false,
            snaplen_bytes: 262_144,
            kernel_buffer_bytes: 64 << 20,
        }
    }
}

/// One interface being captured on.
pub struct Interface {
    name: String,
    capture: Capture<Active>,
    link: LinkType,
    /// Packets from before are of no flow that this handle was given.
    since: Timestamp,
    last: Stat,
    stats: LiveStats,
}

/// What the kernel counted since the interface was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LiveStats {
    /// Packets that passed the filter, dropped ones included.
    pub received: u64,
    /// Packets dropped because the ring was full: this process did not keep up.
    pub kernel_drops: u64,
    /// Packets that the interface or its driver dropped.
    pub interface_drops: u64,
}

/// What [`Interface::wait`] waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// There may be packets.
    Ready,
    /// Time is up, or a signal came.
    Over,
}

/// The interface on which whatever is sent is received as well.
const LOOPBACK: &str = "lo";

/// How long the kernel may collect packets before it hands them over.
const BATCH_MS: i32 = 100;

impl Interface {
    /// Opens an interface for capture, with the filter set.
    ///
    /// Promiscuous mode stays off: what is not for this host is not its proxy's traffic.
    pub fn open(config: &LiveConfig) -> Result<Self, LiveError> {
        let name = &config.interface;
        let size = |bytes: u32| i32::try_from(bytes).unwrap_or(i32::MAX);
        let capture = Capture::from_device(name.as_str())
            .and_then(|capture| {
                capture
                    .promisc(false)
                    .snaplen(size(config.snaplen_bytes))
                    .buffer_size(size(config.kernel_buffer_bytes))
                    .timeout(BATCH_MS)
                    .precision(Precision::Nano)
                    .open()
            })
            .and_then(Capture::setnonblock)
            .map_err(|error| LiveError::of_open(name, &error, interface_names()))?;
        let mut interface = Self {
            name: name.clone(),
            link: link_type(name, &capture)?,
            capture,
            since: Timestamp::ZERO,
            last: Stat { received: 0, dropped: 0, if_dropped: 0 },
            stats: LiveStats::default(),
        };
        if name == LOOPBACK {
            // A kernel that cannot leaves it to libpcap, which knows the interface by the same name.
            let _ = socket::ignore_outgoing(interface.capture.as_fd());
        }
        let filter = bpf_filter(config, interface.link);
        interface
            .capture
            .filter(&filter, true)
            .map_err(|error| LiveError::Filter { filter, message: error.to_string() })?;
        Ok(interface)
    }

    /// Opens an interface for capture by `handles` threads: each handle gets the packets of some of
    /// the flows, both directions of a flow on the same one, and has a kernel buffer and counters of
    /// its own.
    ///
    /// The kernel tells flows apart by the addresses and ports it finds in a packet. For a flow
    /// inside UDP (VXLAN, GENEVE) these are the tunnel's, whose ends may send from ports of their
    /// own choice: such traffic needs a single handle.
    pub fn open_spread(config: &LiveConfig, handles: NonZeroUsize) -> Result<Vec<Self>, LiveError> {
        let mut opened = vec![Self::open(config)?];
        if handles.get() == 1 {
            return Ok(opened);
        }
        for _ in 1..handles.get() {
            opened.push(Self::open(config)?);
        }
        let name = &config.interface;
        socket::join(opened.iter().map(|interface| interface.capture.as_fd())).map_err(
            |errno| LiveError::Open {
                name: name.clone(),
                message: format!("its packets cannot be spread over {handles} threads: {errno}"),
            },
        )?;
        // Until the last had joined, some packets went to more than one of them.
        #[expect(clippy::disallowed_methods, reason = "a source may know the time")]
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        for interface in &mut opened {
            interface.since = Timestamp::ZERO + now;
        }
        Ok(opened)
    }

    /// The interface's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How its packets are to be read.
    #[must_use]
    pub fn link_type(&self) -> LinkType {
        self.link
    }

    /// Waits until there are packets, for `timeout` at most.
    pub fn wait(&self, timeout: Duration) -> Result<Wait, LiveError> {
        let timeout = Timespec::try_from(timeout).ok();
        let mut descriptors = [PollFd::from_borrowed_fd(self.capture.as_fd(), PollFlags::IN)];
        match poll(&mut descriptors, timeout.as_ref()) {
            Ok(0) | Err(rustix::io::Errno::INTR) => Ok(Wait::Over),
            // An error condition is ready too: reading says what it is.
            Ok(_) => Ok(Wait::Ready),
            Err(error) => {
                Err(LiveError::Read { name: self.name.clone(), message: error.to_string() })
            }
        }
    }

    /// Gives up to `max` packets that are there to `each`, straight from the kernel's ring, and
    /// returns how many were there. 0: there are none for now.
    pub fn drain(
        &mut self,
        max: usize,
        mut each: impl FnMut(&Packet<'_>),
    ) -> Result<usize, LiveError> {
        let (link, since) = (self.link, self.since);
        let take = |packet: pcap::Packet<'_>| {
            let packet = self::packet(&packet, link);
            if packet.at >= since {
                each(&packet);
            }
        };
        self.capture.dispatch(Some(max), take).map_err(|error| LiveError::Read {
            name: self.name.clone(),
            message: error.to_string(),
        })
    }

    /// What the kernel counted so far. To be asked more often than 2^32 packets pass: libpcap
    /// counts in 32 bits, which are unwrapped here.
    ///
    /// Where the kernel does not answer (the interface is gone: reading says so) it is what was
    /// known before.
    pub fn stats(&mut self) -> LiveStats {
        if let Ok(now) = self.capture.stats() {
            self.stats.add(&self.last, &now);
            self.last = now;
        }
        self.stats
    }
}

impl LiveStats {
    fn add(&mut self, last: &Stat, now: &Stat) {
        self.received += u64::from(now.received.wrapping_sub(last.received));
        self.kernel_drops += u64::from(now.dropped.wrapping_sub(last.dropped));
        self.interface_drops += u64::from(now.if_dropped.wrapping_sub(last.if_dropped));
    }
}

fn packet<'a>(packet: &pcap::Packet<'a>, link: LinkType) -> Packet<'a> {
    let time = packet.header.ts;
    // Opened with nanosecond precision, the field for microseconds holds nanoseconds.
    let nanos = u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000
        + u64::try_from(time.tv_usec).unwrap_or(0);
    Packet {
        at: Timestamp::from_nanos(nanos),
        link,
        data: packet.data,
        original_len: packet.header.len,
    }
}

fn link_type(name: &str, capture: &Capture<Active>) -> Result<LinkType, LiveError> {
    let number = capture.get_datalink().0;
    u32::try_from(number)
        .ok()
        .and_then(LinkType::from_number)
        .ok_or_else(|| LiveError::UnknownLinkType { name: name.to_owned(), number })
}

fn interface_names() -> Vec<String> {
    Device::list().unwrap_or_default().into_iter().map(|device| device.name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_go_on_where_libpcaps_32_bits_wrap() {
        let stat = |received| Stat { received, dropped: received / 2, if_dropped: 0 };
        let mut stats = LiveStats::default();
        stats.add(&stat(0), &stat(u32::MAX - 1));
        stats.add(&stat(u32::MAX - 1), &Stat { received: 3, dropped: 1 << 31, if_dropped: 7 });
        assert_eq!(stats.received, u64::from(u32::MAX) + 4);
        assert_eq!(stats.kernel_drops, 1 << 31);
        assert_eq!(stats.interface_drops, 7);
    }
}

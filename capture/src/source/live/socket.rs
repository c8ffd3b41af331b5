//! What libpcap does not ask of its sockets: packet(7).
//!
//! Owns two options. PACKET_FANOUT spreads one interface's packets over several sockets: the kernel
//! chooses the socket by a hash of addresses and ports that is the same for both directions of a
//! flow (`__skb_get_hash_symmetric`), and puts IPv4 fragments together first, so that all of a
//! packet goes one way. PACKET_IGNORE_OUTGOING leaves out what the host sends.

use std::os::fd::BorrowedFd;

use nix::errno::Errno;
use nix::sys::socket::{getsockopt, setsockopt};
// The second and third are what the first expands to.
use nix::{getsockopt_impl, setsockopt_impl, sockopt_impl};

sockopt_impl!(
    /// Group id in the lower 16 bits, mode and flags in the upper.
    Fanout,
    Both,
    libc::SOL_PACKET,
    libc::PACKET_FANOUT,
    u32
);

sockopt_impl!(
    /// Since Linux 4.20.
    IgnoreOutgoing,
    SetOnly,
    libc::SOL_PACKET,
    libc::PACKET_IGNORE_OUTGOING,
    bool
);

/// By hash of the flow. No rollover: a flow stays where it is, and what its socket cannot hold is
/// dropped and counted.
const MODE: u32 = (libc::PACKET_FANOUT_HASH | libc::PACKET_FANOUT_FLAG_DEFRAG) << 16;

/// Puts `sockets`, which capture on the same interface already, into a group of their own.
pub(super) fn join<'a>(sockets: impl Iterator<Item = BorrowedFd<'a>>) -> Result<(), Errno> {
    let mut group = None;
    for socket in sockets {
        match group {
            // The kernel finds an id that no other program uses.
            None => {
                setsockopt(&socket, Fanout, &(MODE | libc::PACKET_FANOUT_FLAG_UNIQUEID << 16))?;
                group = Some(getsockopt(&socket, Fanout)? & 0xffff);
            }
            Some(id) => setsockopt(&socket, Fanout, &(MODE | id))?,
        }
    }
    Ok(())
}

/// Leaves out the packets that the host sends, before they cost anything.
pub(super) fn ignore_outgoing(socket: BorrowedFd<'_>) -> Result<(), Errno> {
    setsockopt(&socket, IgnoreOutgoing, &true)
}

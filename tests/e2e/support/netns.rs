//! Four network namespaces joined by veth pairs, gone when the test ends.
//!
//! ```text
//! client 10.77.1.2 ─── 10.77.1.1 edge 10.77.2.1 ─── 10.77.2.2 primary
//!                                edge 10.77.3.1 ─── 10.77.3.2 shadow
//! ```
//!
//! Every interface is made inside the namespaces: the host's own network never sees any of it, so
//! the addresses can be the same in every test.

use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use super::place::Place;

/// The namespaces of one test. Deleted when dropped.
pub(crate) struct Network {
    pub(crate) client: Place,
    pub(crate) edge: Place,
    pub(crate) primary: Place,
    pub(crate) shadow: Place,
    names: Vec<String>,
}

impl Network {
    /// Where Envoy listens, towards the client.
    pub(crate) const EDGE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 1, 1));
    /// The primary backend.
    pub(crate) const PRIMARY: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 2, 2));
    /// The shadow backend.
    pub(crate) const SHADOW: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 3, 2));
    /// The edge's interfaces towards the backends.
    pub(crate) const UPSTREAM_INTERFACES: [&str; 2] = ["to-primary", "to-shadow"];

    /// Makes the namespaces and joins them.
    pub(crate) fn new() -> Self {
        super::require_root();
        remove_stale();
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let prefix =
            format!("{PREFIX}{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut network = Self {
            client: Place::Namespace(format!("{prefix}-client")),
            edge: Place::Namespace(format!("{prefix}-edge")),
            primary: Place::Namespace(format!("{prefix}-primary")),
            shadow: Place::Namespace(format!("{prefix}-shadow")),
            names: Vec::new(),
        };
        let edge = format!("{prefix}-edge");
        network.add(&edge);
        for (third, peer) in [(1, "client"), (2, "primary"), (3, "shadow")] {
            let (peer_ns, link) = (format!("{prefix}-{peer}"), format!("to-{peer}"));
            network.add(&peer_ns);
            ip(&[
                "-n", &edge, "link", "add", &link, "type", "veth", "peer", "name", "to-edge",
                "netns", &peer_ns,
            ]);
            ip(&["-n", &edge, "addr", "add", &format!("10.77.{third}.1/24"), "dev", &link]);
            ip(&["-n", &edge, "link", "set", &link, "up"]);
            ip(&["-n", &peer_ns, "addr", "add", &format!("10.77.{third}.2/24"), "dev", "to-edge"]);
            ip(&["-n", &peer_ns, "link", "set", "to-edge", "up"]);
        }
        network
    }

    fn add(&mut self, name: &str) {
        ip(&["netns", "add", name]);
        self.names.push(name.to_owned());
        ip(&["-n", name, "link", "set", "lo", "up"]);
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for name in &self.names {
            remove(name);
        }
    }
}

const PREFIX: &str = "tapdiff-e2e-";

/// Deletes what a killed test process left behind: its id is part of the name.
fn remove_stale() {
    let Ok(names) = std::fs::read_dir("/run/netns") else { return };
    for name in names.flatten().filter_map(|entry| entry.file_name().into_string().ok()) {
        let owner = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        if owner.is_some_and(|pid| !std::path::Path::new("/proc").join(pid).exists()) {
            remove(&name);
        }
    }
}

fn remove(name: &str) {
    // Another test process may have removed a stale one first.
    let _ = Command::new("ip")
        .args(["netns", "del", name])
        .stderr(std::process::Stdio::null())
        .status();
}

fn ip(arguments: &[&str]) {
    let output = Command::new("ip")
        .args(arguments)
        .output()
        .unwrap_or_else(|e| panic!("cannot run ip: {e} (tests/install-tools.sh installs it)"));
    assert!(
        output.status.success(),
        "ip {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr).trim()
    );
}

//! The whole scene: client, Envoy, both backends, and tapdiff beside them.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use hyper::Method;
use serde_json::Value;
use tempfile::TempDir;

use super::backend::Backend;
use super::client::{Answer, Ask, drive};
use super::envoy::{Envoy, Scene, Stats, Upstream};
use super::netns::Network;
use super::place::Place;
use super::report;
use super::shop::Version;
use super::tapdiff::{Daemon, Store};

/// Requests under way at once.
const CONNECTIONS: usize = 8;

/// A scene with the tap on.
pub(crate) struct Stage {
    // In the order in which they are to end: processes before the network that they run in.
    pub(crate) daemon: Daemon,
    pub(crate) envoy: Envoy,
    pub(crate) primary: Backend,
    pub(crate) shadow: Backend,
    client: Place,
    /// The upstreams' key log, if they speak TLS: the daemon reads it late.
    keys: Option<TempDir>,
    _network: Option<Network>,
}

/// What is left when the traffic is over and the daemon has drained.
pub(crate) struct Finished {
    pub(crate) report: Value,
    pub(crate) text: String,
    pub(crate) stats: Stats,
    /// What each backend says it was asked.
    pub(crate) primary: Vec<(Method, String)>,
    pub(crate) shadow: Vec<(Method, String)>,
}

impl Stage {
    /// Everything on `lo`. After `timeout` Envoy gives a request up.
    pub(crate) fn on_loopback(timeout: Duration) -> Self {
        Self::on_loopback_with("", timeout)
    }

    /// The same, with lines for the daemon's `[capture]`.
    pub(crate) fn on_loopback_with(settings: &str, timeout: Duration) -> Self {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let primary = Backend::start(Version::Primary, &Place::Host, ip);
        let shadow = Backend::start(Version::Shadow, &Place::Host, ip);
        let daemon =
            Daemon::start(&Place::Host, &["lo"], settings, primary.address(), shadow.address());
        let upstream = Upstream::Plain;
        Self::set(daemon, &Place::Host, ip, timeout, upstream, primary, shadow)
    }

    /// Everything on `lo`, with TLS of `version` to both backends and Envoy's key log for the
    /// daemon.
    pub(crate) fn on_loopback_tls(version: &'static str, timeout: Duration) -> Self {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let primary = Backend::start_tls(Version::Primary, &Place::Host, ip);
        let shadow = Backend::start_tls(Version::Shadow, &Place::Host, ip);
        let keys = TempDir::new().expect("a temporary folder can be made");
        let key_log = keys.path().join("keys.log");
        let settings = format!("keylog = [{key_log:?}]");
        let daemon =
            Daemon::start(&Place::Host, &["lo"], &settings, primary.address(), shadow.address());
        let upstream = Upstream::Tls { version, key_log };
        let stage = Self::set(daemon, &Place::Host, ip, timeout, upstream, primary, shadow);
        Self { keys: Some(keys), ..stage }
    }

    /// Each part in a namespace of its own, the tap beside Envoy.
    pub(crate) fn across_namespaces(interfaces: &[&str], timeout: Duration) -> Self {
        let network = Network::new();
        let primary = Backend::start(Version::Primary, &network.primary, Network::PRIMARY);
        let shadow = Backend::start(Version::Shadow, &network.shadow, Network::SHADOW);
        let edge = network.edge.clone();
        let daemon = Daemon::start(&edge, interfaces, "", primary.address(), shadow.address());
        let (listen, upstream) = (Network::EDGE, Upstream::Plain);
        let stage = Self::set(daemon, &edge, listen, timeout, upstream, primary, shadow);
        Self { client: network.client.clone(), _network: Some(network), ..stage }
    }

    /// Joins the parts. The daemon runs already: it has to see the connections from their begin.
    fn set(
        daemon: Daemon,
        edge: &Place,
        listen: IpAddr,
        timeout: Duration,
        upstream: Upstream,
        primary: Backend,
        shadow: Backend,
    ) -> Self {
        let (primary_at, shadow_at) = (primary.address(), shadow.address());
        let scene = Scene { listen, primary: primary_at, shadow: shadow_at, timeout, upstream };
        let envoy = Envoy::start(edge, &scene);
        let (client, keys, network) = (Place::Host, None, None);
        Self { daemon, envoy, primary, shadow, client, keys, _network: network }
    }

    /// Sends `asks` through Envoy, checks that the primary answered each of them, waits until
    /// their copies have ended too, and gives the answers.
    pub(crate) fn play(&mut self, asks: &[Ask]) -> Vec<Answer> {
        let answers = drive(&self.client, self.envoy.address(), asks, CONNECTIONS);
        for (ask, answer) in asks.iter().zip(&answers) {
            assert_eq!(
                answer.backend.as_deref(),
                Some(Version::Primary.name()),
                "{} {} was answered by someone else: {answer:?}",
                ask.method,
                ask.path
            );
        }
        self.envoy.settle();
        answers
    }

    /// Ends the run and gives what came of it, with the checks that hold for every run.
    pub(crate) fn finish(self) -> Finished {
        let finished = self.finish_starved();
        report::assert_nothing_lost(&finished.report);
        finished
    }

    /// The same where the tap was kept from its work: it may have lost something.
    pub(crate) fn finish_starved(self) -> Finished {
        let Self { daemon, mut envoy, primary, shadow, client: _, keys, _network } = self;
        let stats_text = envoy.settle();
        if keys.is_some() {
            daemon.wait_for_exchanges(primary.received().len() + shadow.received().len());
        }
        let store: Store = daemon.stop();
        let finished = Finished {
            report: store.report(&stats_text),
            text: store.report_text(&stats_text),
            stats: Stats::parse(&stats_text),
            primary: primary.received(),
            shadow: shadow.received(),
        };
        report::assert_accounts_close(&finished.report);
        finished
    }
}

/// `received` as the expectations want it.
pub(crate) fn requests(received: &[(Method, String)]) -> impl Iterator<Item = (&Method, &str)> {
    received.iter().map(|(method, path)| (method, path.as_str()))
}

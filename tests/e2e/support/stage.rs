//! The whole scene: client, Envoy, both backends, and tapdiff beside them.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use hyper::Method;
use serde_json::Value;
use tempfile::TempDir;

use super::backend::{Backend, Speaks};
use super::client::{Answer, Ask, drive};
use super::envoy::{Envoy, Scene, Stats, Tls};
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
    pub(crate) store: Store,
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
        Self::on_loopback_speaking(Speaks::Http1, settings, timeout)
    }

    /// The same, and what Envoy speaks with both backends.
    pub(crate) fn on_loopback_speaking(
        upstream: Speaks,
        settings: &str,
        timeout: Duration,
    ) -> Self {
        Self::on_loopback_described(upstream, settings, &[], timeout)
    }

    /// The same, with a descriptor set for the daemon.
    pub(crate) fn on_loopback_described(
        upstream: Speaks,
        settings: &str,
        descriptor_set: &[u8],
        timeout: Duration,
    ) -> Self {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let primary = Backend::speaking(upstream, Version::Primary, &Place::Host, ip);
        let shadow = Backend::speaking(upstream, Version::Shadow, &Place::Host, ip);
        let (primary_at, shadow_at) = (primary.address(), shadow.address());
        let (lo, set) = (["lo"], descriptor_set);
        let daemon = Daemon::start_with(&Place::Host, &lo, settings, set, primary_at, shadow_at);
        let tls = None;
        let scene =
            Scene { listen: ip, primary: primary_at, shadow: shadow_at, upstream, tls, timeout };
        Self::set(daemon, &Place::Host, &scene, primary, shadow, None)
    }

    /// Everything on `lo`, with TLS of `version` ("TLSv1_2", "TLSv1_3") to both backends, and
    /// Envoy's key log for the daemon.
    pub(crate) fn on_loopback_tls(
        version: &'static str,
        upstream: Speaks,
        timeout: Duration,
    ) -> Self {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let primary = Backend::over_tls(upstream, Version::Primary, &Place::Host, ip);
        let shadow = Backend::over_tls(upstream, Version::Shadow, &Place::Host, ip);
        let (primary_at, shadow_at) = (primary.address(), shadow.address());
        let keys = TempDir::new().expect("a temporary folder can be made");
        let key_log = keys.path().join("keys.log");
        let settings = format!("keylog = [{key_log:?}]");
        let daemon = Daemon::start(&Place::Host, &["lo"], &settings, primary_at, shadow_at);
        let tls = Some(Tls { version, key_log });
        let scene =
            Scene { listen: ip, primary: primary_at, shadow: shadow_at, upstream, tls, timeout };
        let stage = Self::set(daemon, &Place::Host, &scene, primary, shadow, None);
        Self { keys: Some(keys), ..stage }
    }

    /// Each part in a namespace of its own, the tap beside Envoy.
    pub(crate) fn across_namespaces(interfaces: &[&str], timeout: Duration) -> Self {
        let network = Network::new();
        let primary = Backend::start(Version::Primary, &network.primary, Network::PRIMARY);
        let shadow = Backend::start(Version::Shadow, &network.shadow, Network::SHADOW);
        let edge = network.edge.clone();
        let daemon = Daemon::start(&edge, interfaces, "", primary.address(), shadow.address());
        let scene = Scene {
            listen: Network::EDGE,
            primary: primary.address(),
            shadow: shadow.address(),
            upstream: Speaks::Http1,
            tls: None,
            timeout,
        };
        Self::set(daemon, &edge, &scene, primary, shadow, Some(network))
    }

    /// Joins the parts. The daemon runs already: it has to see the connections from their begin.
    fn set(
        daemon: Daemon,
        edge: &Place,
        scene: &Scene,
        primary: Backend,
        shadow: Backend,
        network: Option<Network>,
    ) -> Self {
        let envoy = Envoy::start(edge, scene);
        let client = network.as_ref().map_or(Place::Host, |network| network.client.clone());
        Self { daemon, envoy, primary, shadow, client, keys: None, _network: network }
    }

    /// Sends `asks` through Envoy, checks that the primary answered each of them, waits until
    /// their copies have ended too, and gives the answers.
    pub(crate) fn play(&mut self, asks: &[Ask]) -> Vec<Answer> {
        self.play_over(Speaks::Http1, asks)
    }

    /// The same from a client that speaks this with Envoy.
    pub(crate) fn play_over(&mut self, downstream: Speaks, asks: &[Ask]) -> Vec<Answer> {
        let driven = drive(&self.client, self.envoy.address(), downstream, asks, CONNECTIONS);
        for (ask, answer) in asks.iter().zip(&driven.answers) {
            assert_eq!(
                answer.backend.as_deref(),
                Some(Version::Primary.name()),
                "{} {} was answered by someone else: {answer:?}",
                ask.method,
                ask.path
            );
        }
        self.envoy.settle();
        driven.answers
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
            store,
        };
        report::assert_accounts_close(&finished.report);
        finished
    }
}

/// `received` as the expectations want it.
pub(crate) fn requests(received: &[(Method, String)]) -> impl Iterator<Item = (&Method, &str)> {
    received.iter().map(|(method, path)| (method, path.as_str()))
}

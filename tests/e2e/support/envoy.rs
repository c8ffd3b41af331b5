//! Envoy as it would stand on an edge host: one listener, a primary and a mirrored cluster.
//!
//! Routes: `/api/v1` and gRPC copy every request to the shadow, `/api/v2` one half, `/api/v3` none.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::backend::Speaks;
use super::client::try_get;
use super::place::Place;
use super::process::Process;
use super::{wait_for, workspace_root};

/// The names of Envoy's clusters, primary first.
pub(crate) const CLUSTERS: &str = "primary_shop,shadow_shop";

/// What Envoy is told.
#[derive(Clone, Debug)]
pub(crate) struct Scene {
    /// Where it listens; the port is Envoy's choice.
    pub(crate) listen: IpAddr,
    /// Its primary cluster's only endpoint.
    pub(crate) primary: SocketAddr,
    /// Its shadow cluster's only endpoint.
    pub(crate) shadow: SocketAddr,
    /// What it speaks with both.
    pub(crate) upstream: Speaks,
    /// Where it does so over TLS.
    pub(crate) tls: Option<Tls>,
    /// After this long a request is given up, on either leg.
    pub(crate) timeout: Duration,
}

/// How Envoy speaks TLS with its clusters.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    /// The only version that it offers: "TLSv1_2" or "TLSv1_3".
    pub(crate) version: &'static str,
    /// The file that it writes keys to.
    pub(crate) key_log: PathBuf,
}

/// A running Envoy. Killed when dropped.
pub(crate) struct Envoy {
    place: Place,
    address: SocketAddr,
    admin: SocketAddr,
    process: Process,
    _dir: TempDir,
}

impl Envoy {
    /// Starts it and returns when it takes requests.
    pub(crate) fn start(place: &Place, scene: &Scene) -> Self {
        let dir = TempDir::new().expect("a temporary folder can be made");
        let config = dir.path().join("envoy.json");
        let admin_file = dir.path().join("admin-address");
        std::fs::write(&config, bootstrap(scene).to_string()).expect("it can be written to");
        let mut process = Process::start(
            "envoy",
            place
                .command(binary())
                .arg("--config-path")
                .arg(&config)
                .arg("--admin-address-path")
                .arg(&admin_file)
                // Keys are handed out as access logs are.
                .args(["--file-flush-interval-msec", "1000"])
                .args(["--disable-hot-restart", "--concurrency", "1", "--log-level", "error"]),
        );
        let admin: SocketAddr = wait_for("Envoy's admin address", || {
            process.assert_running();
            std::fs::read_to_string(&admin_file).ok()?.trim().parse().ok()
        });
        wait_for("Envoy to be ready", || {
            process.assert_running();
            try_get(place, admin, "/ready").filter(|(status, _)| *status == 200)
        });
        let port = wait_for("Envoy's listener", || {
            let (_, text) = try_get(place, admin, "/listeners?format=json")?;
            let value: Value = serde_json::from_str(&text).ok()?;
            value.pointer("/listener_statuses/0/local_address/socket_address/port_value")?.as_u64()
        });
        let port = u16::try_from(port).expect("a port has 16 bits");
        let address = SocketAddr::new(scene.listen, port);
        Self { place: place.clone(), address, admin, process, _dir: dir }
    }

    /// Where clients connect.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until no request is under way on either leg, and gives `/stats` as text.
    pub(crate) fn settle(&mut self) -> String {
        let Self { place, admin, process, .. } = self;
        wait_for("Envoy to have no request under way", || {
            process.assert_running();
            let (_, text) = try_get(place, *admin, "/stats")?;
            let stats = Stats::parse(&text);
            let idle = CLUSTERS.split(',').all(|cluster| {
                ["upstream_rq_active", "upstream_rq_pending_active"]
                    .iter()
                    .all(|gauge| stats.cluster(cluster, gauge) == 0)
            });
            idle.then_some(text)
        })
    }
}

/// Envoy's counters and gauges.
#[derive(Clone, Debug)]
pub(crate) struct Stats(BTreeMap<String, u64>);

impl Stats {
    /// From the text of `/stats`. Histograms are left out.
    pub(crate) fn parse(text: &str) -> Self {
        let counters = text.lines().filter_map(|line| {
            let (name, value) = line.split_once(": ")?;
            Some((name.to_owned(), value.parse().ok()?))
        });
        Self(counters.collect())
    }

    /// `cluster.CLUSTER.NAME`; zero where Envoy does not know it.
    pub(crate) fn cluster(&self, cluster: &str, name: &str) -> u64 {
        self.0.get(&format!("cluster.{cluster}.{name}")).copied().unwrap_or(0)
    }

    /// Requests that the primary cluster was sent.
    pub(crate) fn primary_requests(&self) -> u64 {
        self.cluster("primary_shop", "upstream_rq_total")
    }

    /// Requests that the shadow cluster was sent.
    pub(crate) fn shadow_requests(&self) -> u64 {
        self.cluster("shadow_shop", "upstream_rq_total")
    }
}

fn binary() -> PathBuf {
    let path = std::env::var_os("TAPDIFF_ENVOY")
        .map_or_else(|| workspace_root().join(".tools/envoy/envoy/_bin/envoy"), PathBuf::from);
    assert!(
        path.is_file(),
        "no Envoy at {}: run tests/install-envoy.sh, or set TAPDIFF_ENVOY",
        path.display()
    );
    path
}

fn bootstrap(scene: &Scene) -> Value {
    let timeout = format!("{}s", scene.timeout.as_secs_f64());
    let route = |prefix: &str, mirrored_percent: Option<u32>| {
        let mut action = json!({ "cluster": "primary_shop", "timeout": timeout });
        if let Some(percent) = mirrored_percent {
            action["request_mirror_policies"] = json!([{
                "cluster": "shadow_shop",
                "runtime_fraction": {
                    "default_value": { "numerator": percent, "denominator": "HUNDRED" }
                }
            }]);
        }
        json!({ "match": { "prefix": prefix }, "route": action })
    };
    let mut grpc = route("/shop.Shop/", Some(100));
    grpc["route"]["retry_policy"] = json!({ "retry_on": "unavailable", "num_retries": 1 });
    json!({
        "admin": { "address": socket(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0)) },
        "static_resources": {
            "listeners": [{
                "name": "edge",
                "address": socket(SocketAddr::new(scene.listen, 0)),
                // A request body above this limit would not be mirrored.
                "per_connection_buffer_limit_bytes": 8 << 20,
                "filter_chains": [{ "filters": [{
                    "name": "envoy.filters.network.http_connection_manager",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.filters.network\
                                  .http_connection_manager.v3.HttpConnectionManager",
                        "stat_prefix": "edge",
                        "route_config": { "virtual_hosts": [{
                            "name": "shop",
                            "domains": ["*"],
                            "include_request_attempt_count": true,
                            "routes": [
                                route("/api/v1/", Some(100)),
                                route("/api/v2/", Some(50)),
                                route("/api/v3/", None),
                                grpc,
                            ]
                        }] },
                        "http_filters": [{
                            "name": "envoy.filters.http.router",
                            "typed_config": {
                                "@type": "type.googleapis.com/envoy.extensions.filters.http\
                                          .router.v3.Router"
                            }
                        }]
                    }
                }] }]
            }],
            "clusters": [
                cluster("primary_shop", scene.primary, scene),
                cluster("shadow_shop", scene.shadow, scene),
            ]
        }
    })
}

fn cluster(name: &str, endpoint: SocketAddr, scene: &Scene) -> Value {
    let mut cluster = json!({
        "name": name,
        "type": "STATIC",
        "connect_timeout": "5s",
        "per_connection_buffer_limit_bytes": 8 << 20,
        // Envoy's default is three retries under way at once; the next would not be made.
        "circuit_breakers": { "thresholds": [{ "max_retries": 64 }] },
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": socket(endpoint) } }] }]
        }
    });
    if let Some(Tls { version, key_log }) = &scene.tls {
        cluster["transport_socket"] = json!({
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3\
                          .UpstreamTlsContext",
                "sni": "shop.test",
                "common_tls_context": {
                    "tls_params": {
                        "tls_minimum_protocol_version": version,
                        "tls_maximum_protocol_version": version
                    },
                    "key_log": { "path": key_log }
                }
            }
        });
    }
    if scene.upstream == Speaks::H2c {
        const OPTIONS: &str = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";
        cluster["typed_extension_protocol_options"] = json!({ OPTIONS: {
            "@type": format!("type.googleapis.com/{OPTIONS}"),
            "explicit_http_config": { "http2_protocol_options": {} }
        } });
    }
    cluster
}

fn socket(address: SocketAddr) -> Value {
    json!({ "socket_address": {
        "address": address.ip().to_string(),
        "port_value": address.port()
    } })
}

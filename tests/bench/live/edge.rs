//! The edge: a real Envoy that mirrors everything, and two backends that answer alike.

use std::convert::Infallible;
use std::error::Error;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::Result;

/// A backend on a thread of its own, for as long as the benchmark runs: about 0.8 KB of JSON to
/// every request, the same on both legs.
pub(crate) struct Backend {
    address: SocketAddr,
}

impl Backend {
    pub(crate) fn start() -> Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::Builder::new().name("backend".to_owned()).spawn(move || {
            runtime.block_on(serve(listener));
        })?;
        Ok(Self { address })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn serve(listener: std::net::TcpListener) {
    let body = Bytes::from(format!(
        r#"{{"id":17,"name":"Item no. 17","price":16.29,"tags":["new","t3"],"text":"{}"}}"#,
        "Sturdy, washable, made to last. ".repeat(22)
    ));
    let listener =
        tokio::net::TcpListener::from_std(listener).expect("a socket that does not block");
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        // Without it the segments of one answer wait for each other's acknowledgement.
        let _ = stream.set_nodelay(true);
        let body = body.clone();
        tokio::spawn(async move {
            let answer = service_fn(move |_: Request<Incoming>| {
                let body = Full::new(body.clone()).map_err(|never: Infallible| match never {});
                let response = Response::builder().header("content-type", "application/json");
                std::future::ready(response.body(body.boxed()))
            });
            // How a connection ends is Envoy's business.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}

/// A running Envoy, one worker a processor as is its default. Killed when dropped.
pub(crate) struct Envoy {
    child: Child,
    address: SocketAddr,
    admin: SocketAddr,
}

impl Envoy {
    /// Starts it between `primary` and `shadow`; returns when it takes requests.
    pub(crate) fn start(directory: &Path, primary: SocketAddr, shadow: SocketAddr) -> Result<Self> {
        let config = directory.join("envoy.json");
        let admin_file = directory.join("admin-address");
        fs::write(&config, bootstrap(primary, shadow).to_string())?;
        let child = Command::new(binary()?)
            .arg("--config-path")
            .arg(&config)
            .arg("--admin-address-path")
            .arg(&admin_file)
            .args(["--disable-hot-restart", "--log-level", "error"])
            .stdin(Stdio::null())
            .spawn()?;
        let unknown = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut envoy = Self { child, address: unknown, admin: unknown };
        envoy.admin = wait_for("Envoy's admin address", || {
            Ok(fs::read_to_string(&admin_file).ok().and_then(|text| text.trim().parse().ok()))
        })?;
        let port = wait_for("Envoy's listener", || {
            let Ok(text) = get(envoy.admin, "/listeners?format=json") else { return Ok(None) };
            let value: Value = serde_json::from_str(&text).unwrap_or_default();
            let port = "/listener_statuses/0/local_address/socket_address/port_value";
            Ok(value.pointer(port).and_then(Value::as_u64))
        })?;
        envoy.address.set_port(u16::try_from(port)?);
        wait_for("Envoy to be ready", || {
            Ok(get(envoy.admin, "/ready").is_ok_and(|text| text.contains("LIVE")).then_some(()))
        })?;
        Ok(envoy)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Processor time of all its threads so far.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        cpu(self.child.id())
    }

    /// Requests that the shadow was sent so far, once none is under way on either leg.
    pub(crate) fn mirrored(&self) -> Result<u64> {
        wait_for("Envoy to have no request under way", || {
            let text = get(self.admin, "/stats")?;
            let stat = |cluster: &str, name: &str| {
                let name = format!("cluster.{cluster}.{name}: ");
                let value = text.lines().find_map(|line| line.strip_prefix(&name));
                value.and_then(|value| value.parse::<u64>().ok()).unwrap_or(0)
            };
            let busy = stat("primary", "upstream_rq_active") + stat("shadow", "upstream_rq_active");
            let (asked, copied) =
                (stat("primary", "upstream_rq_total"), stat("shadow", "upstream_rq_total"));
            if busy == 0 && asked != copied {
                return Err(format!("{asked} requests, but {copied} copies").into());
            }
            Ok((busy == 0).then_some(copied))
        })
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn binary() -> Result<PathBuf> {
    let path = std::env::var_os("TAPDIFF_ENVOY").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools/envoy/envoy/_bin/envoy"),
        PathBuf::from,
    );
    if !path.is_file() {
        return Err(format!("no Envoy at {}: run tests/install-envoy.sh", path.display()).into());
    }
    Ok(path)
}

fn bootstrap(primary: SocketAddr, shadow: SocketAddr) -> Value {
    let socket = |address: SocketAddr| {
        json!({ "socket_address": {
            "address": address.ip().to_string(), "port_value": address.port() } })
    };
    let cluster = |name: &str, address: SocketAddr| {
        json!({
            "name": name,
            "type": "STATIC",
            "connect_timeout": "5s",
            // None is refused: what is not sent cannot be mirrored.
            "circuit_breakers": { "thresholds": [{
                "max_connections": 10_000, "max_pending_requests": 100_000, "max_requests": 100_000
            }] },
            "load_assignment": { "cluster_name": name, "endpoints": [{
                "lb_endpoints": [{ "endpoint": { "address": socket(address) } }] }] }
        })
    };
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    json!({
        "admin": { "address": socket(any) },
        "static_resources": {
            "listeners": [{
                "name": "edge",
                "address": socket(any),
                "filter_chains": [{ "filters": [{
                    "name": "envoy.filters.network.http_connection_manager",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.filters.network\
                                  .http_connection_manager.v3.HttpConnectionManager",
                        "stat_prefix": "edge",
                        "route_config": { "virtual_hosts": [{
                            "name": "all",
                            "domains": ["*"],
                            "routes": [{
                                "match": { "prefix": "/" },
                                "route": {
                                    "cluster": "primary",
                                    "request_mirror_policies": [{ "cluster": "shadow" }]
                                }
                            }]
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
            "clusters": [cluster("primary", primary), cluster("shadow", shadow)]
        }
    })
}

/// The body of an answer to a GET, on a connection of its own.
fn get(address: SocketAddr, path: &str) -> Result<String> {
    use std::io::{Read, Write};
    let mut stream = TcpStream::connect(address)?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let (_, body) = answer.split_once("\r\n\r\n").ok_or("no HTTP")?;
    if !answer.to_ascii_lowercase().contains("transfer-encoding: chunked") {
        return Ok(body.to_owned());
    }
    let (mut rest, mut whole) = (body, String::new());
    while let Some((size, after)) = rest.split_once("\r\n")
        && let Ok(size @ 1..) = usize::from_str_radix(size, 16)
    {
        whole.push_str(after.get(..size).ok_or("a chunk was cut")?);
        rest = after.get(size + 2..).unwrap_or_default();
    }
    Ok(whole)
}

/// Processor time of a process's threads so far: proc(5), fields 14 and 15 of `stat`.
pub(crate) fn cpu(pid: u32) -> Result<Duration> {
    /// USER_HZ: 100 on every architecture that tapdiff runs on.
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name before it is in parentheses and may hold any character.
    let (_, fields) = stat.rsplit_once(") ").ok_or("no stat")?;
    let ticks: u64 = fields.split(' ').skip(11).take(2).flat_map(str::parse::<u64>).sum();
    Ok(Duration::from_secs_f64(ticks as f64 / TICKS_PER_SECOND))
}

/// SIGTERM, and the end; fails where that was none of success.
pub(crate) fn terminate(child: &mut Child) -> Result<()> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or("no process id")?;
    kill_process(pid, Signal::TERM)?;
    let status = child.wait()?;
    if status.success() { Ok(()) } else { Err(format!("tapdiff run ended with {status}").into()) }
}

/// Asks `probe` until it answers, for as long as a machine under load may take.
pub(crate) fn wait_for<T>(
    what: &str,
    mut probe: impl FnMut() -> std::result::Result<Option<T>, Box<dyn Error>>,
) -> Result<T> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(answer) = probe()? {
            return Ok(answer);
        }
        if Instant::now() > deadline {
            return Err(format!("gave up waiting for {what}").into());
        }
        // Another process has no event to wait for: it is asked again.
        std::thread::sleep(Duration::from_millis(10));
    }
}

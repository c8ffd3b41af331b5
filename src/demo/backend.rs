//! The shop: what answers on the primary's and on the shadow's port.
//!
//! Both instances answer alike except for what any two instances differ in (their name, their
//! clock, their ids: the noise that the demo's rules cover) and, on the shadow, the twists that
//! the plan calls for.

use std::convert::Infallible;
use std::io::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{self, HeaderValue};
use hyper::{Request, Response, StatusCode};
use serde_json::{Map, Value, json};

use super::plan::{Call, Endpoint, HOST, SHADOW_DELAY, Twist};
use super::server::Server;

/// Bytes that a request body may have; more is answered with 413.
const BODY_CAP_BYTES: usize = 1 << 20;

/// Which of the two instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Answers the client.
    Primary,
    /// The new version, which gets the copies.
    Shadow,
}

impl Role {
    const fn name(self) -> &'static str {
        match self {
            Self::Primary => "shop-primary-1",
            Self::Shadow => "shop-shadow-1",
        }
    }
}

/// Starts an instance on a free port of 127.0.0.1.
///
/// # Errors
///
/// When no port can be bound.
pub(super) async fn start(role: Role, seed: u64) -> io::Result<Server> {
    let noise = fastrand::Rng::with_seed(seed ^ role as u64);
    let shop = Arc::new(Shop { role, noise: Mutex::new(noise) });
    Server::start(move |request| {
        let shop = Arc::clone(&shop);
        async move { Ok::<_, Infallible>(shop.answer(request).await) }
    })
    .await
}

/// What handles one instance's requests.
#[derive(Debug)]
struct Shop {
    role: Role,
    noise: Mutex<fastrand::Rng>,
}

impl Shop {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let Ok(body) = Limited::new(body, BODY_CAP_BYTES).collect().await else {
            return plain(StatusCode::PAYLOAD_TOO_LARGE);
        };
        let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
        let Some(call) = Call::of(&head.method, target, &body.to_bytes()) else {
            return plain(StatusCode::NOT_FOUND);
        };
        let twist = call.twist().filter(|_| self.role == Role::Shadow);
        tokio::time::sleep(self.service_time(call)).await;

        let host = head.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let (status, document) = self.document(call, twist, host.unwrap_or(HOST));
        let text = document.to_string().into_bytes();
        let gzipped = (call.endpoint == Endpoint::Catalog).then(|| gzip(&text)).transpose();
        let Ok(gzipped) = gzipped else {
            return plain(StatusCode::INTERNAL_SERVER_ERROR);
        };

        let mut response = Response::new(Full::default());
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert("x-backend", HeaderValue::from_static(self.role.name()));
        if let Ok(etag) = HeaderValue::try_from(format!("\"{:016x}\"", self.random())) {
            headers.insert(header::ETAG, etag);
        }
        if let Some(id) = head.headers.get("x-request-id") {
            headers.insert("x-request-id", id.clone());
        }
        if gzipped.is_some() {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        *response.body_mut() = Full::from(gzipped.unwrap_or(text));
        response
    }

    /// The answer's status and document. The order of members is the same on both instances.
    fn document(&self, call: Call, twist: Option<Twist>, host: &str) -> (StatusCode, Value) {
        let n = call.n;
        let mut document = match call.endpoint {
            Endpoint::Item => {
                // Echoes the host as any link does: on the shadow it ends in `-shadow`.
                let href = format!("http://{host}/api/items/{n}");
                let mut item = item(n, twist == Some(Twist::Price));
                item.insert("href".to_owned(), href.into());
                if twist == Some(Twist::Tags) {
                    item.remove("tags");
                }
                item
            }
            Endpoint::Stock if twist == Some(Twist::Status) => {
                object(json!({ "error": "stock service did not answer", "sku": n }))
            }
            Endpoint::Stock => object(json!({ "sku": n, "available": n * 3, "reserved": n % 4 })),
            Endpoint::Catalog => {
                let items: Vec<Value> =
                    (n..n + 8).map(|n| self.signed(item(n, false)).into()).collect();
                let currency = if twist == Some(Twist::Currency) { "USD" } else { "EUR" };
                object(json!({ "page": n, "currency": currency, "items": items }))
            }
            Endpoint::Search => {
                let hits: Vec<Value> = (n..n + 3).map(|n| item(n, false).into()).collect();
                object(json!({ "query": format!("word-{n}"), "hits": hits }))
            }
            Endpoint::Order => {
                let mut order = object(json!({ "order": n, "state": "accepted" }));
                if twist == Some(Twist::Discount) {
                    order.insert("discount".to_owned(), json!(5));
                }
                order
            }
        };
        document = self.signed(document);
        let status = match (call.endpoint, twist) {
            (_, Some(Twist::Status)) => StatusCode::INTERNAL_SERVER_ERROR,
            (Endpoint::Order, _) => StatusCode::CREATED,
            _ => StatusCode::OK,
        };
        (status, document.into())
    }

    /// Adds what no two instances have in common.
    fn signed(&self, mut document: Map<String, Value>) -> Map<String, Value> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        document.insert("server".to_owned(), self.role.name().into());
        document.insert("generated_at".to_owned(), json!(now.as_secs_f64()));
        document.insert("trace_id".to_owned(), format!("{:016x}", self.random()).into());
        document
    }

    /// 1 to 4 ms, and on the shadow [`SHADOW_DELAY`] on top of it for a search.
    fn service_time(&self, call: Call) -> Duration {
        let usual = Duration::from_micros(1_000 + self.random() % 3_000);
        match (self.role, call.endpoint) {
            (Role::Shadow, Endpoint::Search) => usual + SHADOW_DELAY,
            _ => usual,
        }
    }

    fn random(&self) -> u64 {
        self.noise.lock().unwrap_or_else(PoisonError::into_inner).u64(..)
    }
}

fn item(n: u32, dearer: bool) -> Map<String, Value> {
    let cents = 199 + n * 7 + u32::from(dearer);
    object(json!({
        "id": n,
        "name": format!("item {n}"),
        "price": f64::from(cents) / 100.0,
        "tags": ["alpha", "beta", format!("shelf-{}", n % 9)],
        "stock": { "warehouse": n % 5, "count": n * 3 },
        "description": "a thing that is the same on both sides. ".repeat(6),
    }))
}

fn object(document: Value) -> Map<String, Value> {
    match document {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

fn gzip(text: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text)?;
    encoder.finish()
}

fn plain(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

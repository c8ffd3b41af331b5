//! A client: requests over keep-alive connections with bounded concurrency, every answer awaited.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, channel::Channel};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::header::HeaderValue;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use super::backend::Speaks;
use super::place::Place;

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) payload: Payload,
    /// Its media type, if it says one.
    pub(crate) content_type: Option<&'static str>,
    /// `x-request-id` as the client sends it; Envoy makes one where there is none.
    pub(crate) request_id: Option<String>,
}

/// The body of a request.
#[derive(Clone, Debug)]
pub(crate) enum Payload {
    /// None.
    Empty,
    /// With Content-Length.
    Sized(Bytes),
    /// Chunked, in several chunks.
    Chunked(Bytes),
}

impl Ask {
    /// A GET.
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            path: path.into(),
            payload: Payload::Empty,
            content_type: None,
            request_id: None,
        }
    }

    /// A HEAD.
    pub(crate) fn head(path: impl Into<String>) -> Self {
        Self { method: Method::HEAD, ..Self::get(path) }
    }

    /// A POST.
    pub(crate) fn post(path: impl Into<String>, payload: Payload) -> Self {
        Self { method: Method::POST, payload, ..Self::get(path) }
    }

    /// A gRPC call: over [`Speaks::H2c`].
    pub(crate) fn grpc(path: impl Into<String>, message: Bytes) -> Self {
        let content_type = Some("application/grpc");
        Self { content_type, ..Self::post(path, Payload::Chunked(message)) }
    }

    /// With the client's own request id.
    pub(crate) fn with_id(self, id: String) -> Self {
        Self { request_id: Some(id), ..self }
    }
}

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) backend: Option<String>,
    pub(crate) body: Bytes,
    /// Wherever it was sent.
    pub(crate) grpc_status: Option<String>,
    pub(crate) latency: Duration,
}

/// What came of driving requests: the answers in the requests' order, and the connections, still
/// open. A proxy gives up what it is still doing for a client that goes away, were it only to wait
/// for the trailers of an answer that the client has: drop this once nothing is under way.
pub(crate) struct Driven {
    pub(crate) answers: Vec<Answer>,
    _senders: Vec<Sender>,
    _runtime: Runtime,
}

/// Sends every request to `address` from `place`, at most `connections` at a time. An answer that
/// does not come fails the test.
pub(crate) fn drive(
    place: &Place,
    address: SocketAddr,
    speaks: Speaks,
    asks: &[Ask],
    connections: usize,
) -> Driven {
    place.run(|| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime needs only memory and an epoll descriptor");
        let (answers, senders) =
            runtime.block_on(drive_all(address, speaks, Arc::from(asks), connections));
        Driven { answers, _senders: senders, _runtime: runtime }
    })
}

/// One GET on a connection of its own; `None` where nobody listens or no answer comes.
pub(crate) fn try_get(place: &Place, address: SocketAddr, path: &str) -> Option<(u16, String)> {
    place.run(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
        runtime.block_on(async {
            let mut sender = connect(address, Speaks::Http1).await.ok()?;
            let answer = send(&mut sender, &Ask::get(path), address).await.ok()?;
            Some((answer.status, String::from_utf8_lossy(&answer.body).into_owned()))
        })
    })
}

async fn drive_all(
    address: SocketAddr,
    speaks: Speaks,
    asks: Arc<[Ask]>,
    connections: usize,
) -> (Vec<Answer>, Vec<Sender>) {
    let next = Arc::new(AtomicUsize::new(0));
    let mut workers = JoinSet::new();
    for _ in 0..connections.min(asks.len()) {
        let (asks, next) = (Arc::clone(&asks), Arc::clone(&next));
        workers.spawn(async move {
            let mut sender = connect(address, speaks)
                .await
                .unwrap_or_else(|e| panic!("the client cannot connect to {address}: {e}"));
            let mut answers = Vec::new();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(ask) = asks.get(index) else { return (answers, sender) };
                let answer = send(&mut sender, ask, address)
                    .await
                    .unwrap_or_else(|e| panic!("{} {}: {e}", ask.method, ask.path));
                answers.push((index, answer));
            }
        });
    }
    let (answers, senders): (Vec<_>, Vec<_>) = workers.join_all().await.into_iter().unzip();
    let mut answers = answers.into_iter().flatten().collect::<Vec<_>>();
    answers.sort_by_key(|&(index, _)| index);
    (answers.into_iter().map(|(_, answer)| answer).collect(), senders)
}

type Body = BoxBody<Bytes, std::convert::Infallible>;

/// A connection to send requests on.
enum Sender {
    Http1(http1::SendRequest<Body>),
    H2c(http2::SendRequest<Body>),
}

impl Sender {
    async fn send(&mut self, request: Request<Body>) -> Result<Response<Incoming>, hyper::Error> {
        match self {
            Self::Http1(sender) => sender.send_request(request).await,
            Self::H2c(sender) => sender.send_request(request).await,
        }
    }

    async fn ready(&mut self) -> Result<(), hyper::Error> {
        match self {
            Self::Http1(sender) => sender.ready().await,
            Self::H2c(sender) => sender.ready().await,
        }
    }
}

async fn connect(
    address: SocketAddr,
    speaks: Speaks,
) -> Result<Sender, Box<dyn std::error::Error>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let stream = TokioIo::new(stream);
    // The failures of a connection come back from the request that they break.
    Ok(match speaks {
        Speaks::Http1 => {
            let (sender, connection) = http1::handshake(stream).await?;
            tokio::spawn(connection);
            Sender::Http1(sender)
        }
        Speaks::H2c => {
            let (sender, connection) = http2::handshake(TokioExecutor::new(), stream).await?;
            tokio::spawn(connection);
            Sender::H2c(sender)
        }
    })
}

async fn send(sender: &mut Sender, ask: &Ask, address: SocketAddr) -> Result<Answer, hyper::Error> {
    let mut request = Request::builder().method(&ask.method).header("user-agent", "e2e/1");
    request = match sender {
        Sender::Http1(_) => request.uri(&ask.path).header("host", address.to_string()),
        Sender::H2c(_) => request.uri(format!("http://{address}{}", ask.path)),
    };
    if let Some(content_type) = ask.content_type {
        // PROTOCOL-HTTP2.md: a gRPC client says that it takes trailers.
        request = request.header("content-type", content_type).header("te", "trailers");
    }
    if let Some(id) = &ask.request_id {
        request = request.header("x-request-id", id);
    }
    let body = match &ask.payload {
        Payload::Empty => Full::default().boxed(),
        Payload::Sized(bytes) => Full::new(bytes.clone()).boxed(),
        Payload::Chunked(bytes) => chunks(bytes.clone()),
    };
    let request = request.body(body).expect("every header value above is valid");
    sender.ready().await?;
    let begin = Instant::now();
    let response = sender.send(request).await?;
    let (head, body) = response.into_parts();
    let body = body.collect().await?;
    let text = |field: Option<&HeaderValue>| field?.to_str().ok().map(str::to_owned);
    let behind = body.trailers().and_then(|trailers| trailers.get("grpc-status"));
    Ok(Answer {
        status: head.status.as_u16(),
        backend: text(head.headers.get("x-backend")),
        grpc_status: text(behind.or_else(|| head.headers.get("grpc-status"))),
        body: body.to_bytes(),
        latency: begin.elapsed(),
    })
}

/// A body of unknown length, in up to three chunks.
fn chunks(bytes: Bytes) -> Body {
    let (mut sender, body) = Channel::new(3);
    tokio::spawn(async move {
        for part in bytes.chunks(bytes.len().div_ceil(3).max(1)) {
            // The connection may have broken; the request says so.
            let _ = sender.send_data(bytes.slice_ref(part)).await;
        }
    });
    body.boxed()
}

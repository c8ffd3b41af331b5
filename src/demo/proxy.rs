//! A small mirroring proxy that does to the copy what Envoy does.
//!
//! Every request goes to the primary, whose answer the client gets. A copy goes to the shadow with
//! the same `x-request-id`, with `-shadow` after the host, the proxy's own address appended to
//! `x-forwarded-for`, and `x-envoy-internal: true`; its answer is read and thrown away. The
//! client never waits for it.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Request, Response, StatusCode};
use tokio::sync::Semaphore;

use super::plan::HOST;
use super::server::Server;
use super::upstream::{Upstream, UpstreamError};

/// Bytes that a request body may have; more is answered with 413.
const BODY_CAP_BYTES: usize = 1 << 20;

/// Copies in flight. Above it a request is not copied, which [`Proxy::close`] counts.
const COPIES_IN_FLIGHT: u32 = 1_024;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const INTERNAL: HeaderName = HeaderName::from_static("x-envoy-internal");

/// Forwards and copies until it is closed.
#[derive(Debug)]
pub(super) struct Proxy {
    server: Server,
    mirror: Arc<Mirror>,
}

impl Proxy {
    /// Binds a free port of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// When no port can be bound.
    pub(super) async fn start(
        primary: SocketAddr,
        shadow: SocketAddr,
        seed: u64,
    ) -> io::Result<Self> {
        let mirror = Arc::new(Mirror {
            primary: Upstream::new(primary),
            shadow: Upstream::new(shadow),
            slots: Arc::new(Semaphore::new(COPIES_IN_FLIGHT as usize)),
            lost: AtomicU64::new(0),
            ids: Mutex::new(fastrand::Rng::with_seed(seed)),
        });
        let handler = Arc::clone(&mirror);
        let server = Server::start(move |request| {
            let mirror = Arc::clone(&handler);
            async move { mirror.forward(request).await }
        })
        .await?;
        Ok(Self { server, mirror })
    }

    /// Where clients connect.
    pub(super) const fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Waits until every copy was answered, and ends. Returns how many requests the shadow did not
    /// answer.
    pub(super) async fn close(self) -> u64 {
        // All slots are free again only when no copy is in flight. The semaphore is never closed.
        let _all = self.mirror.slots.acquire_many(COPIES_IN_FLIGHT).await;
        self.mirror.lost.load(Ordering::Relaxed)
    }
}

/// What handles the proxy's requests.
#[derive(Debug)]
struct Mirror {
    primary: Upstream,
    shadow: Upstream,
    slots: Arc<Semaphore>,
    lost: AtomicU64,
    ids: Mutex<fastrand::Rng>,
}

impl Mirror {
    async fn forward(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, UpstreamError> {
        let (mut head, body) = request.into_parts();
        let Ok(body) = Limited::new(body, BODY_CAP_BYTES).collect().await else {
            let mut response = Response::new(Full::default());
            *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
            return Ok(response);
        };
        let body = body.to_bytes();
        drop_connection_fields(&mut head.headers);
        if !head.headers.contains_key(REQUEST_ID) {
            let id = HeaderValue::try_from(self.request_id());
            head.headers.insert(REQUEST_ID, id.expect("hexadecimal digits and hyphens"));
        }
        append_forwarded_for(&mut head.headers);

        let mut copied = head.clone();
        mark_as_copy(&mut copied.headers);
        let copy = Request::from_parts(copied, Full::new(body.clone()));
        self.copy(copy);

        let answer = self.primary.send(Request::from_parts(head, Full::new(body))).await?;
        let (mut head, body) = answer.into_parts();
        drop_connection_fields(&mut head.headers);
        Ok(Response::from_parts(head, Full::new(body)))
    }

    /// Sends the copy in the background.
    fn copy(self: &Arc<Self>, copy: Request<Full<Bytes>>) {
        let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let mirror = Arc::clone(self);
        tokio::spawn(async move {
            if mirror.shadow.send(copy).await.is_err() {
                mirror.lost.fetch_add(1, Ordering::Relaxed);
            }
            drop(slot);
        });
    }

    /// A random UUID (RFC 9562 §5.4: version 4, variant 10).
    fn request_id(&self) -> String {
        let random = self.ids.lock().unwrap_or_else(PoisonError::into_inner).u128(..);
        let id = random & !(0xf << 76) & !(0b11 << 62) | 0x4 << 76 | 0b10 << 62;
        format!(
            "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
            id >> 96,
            id >> 80 & 0xffff,
            id >> 64 & 0xffff,
            id >> 48 & 0xffff,
            id & 0xffff_ffff_ffff
        )
    }
}

/// Removes what holds for one connection only (RFC 9110 §7.6.1).
fn drop_connection_fields(headers: &mut HeaderMap) {
    headers.remove(header::CONNECTION);
    headers.remove(header::TRANSFER_ENCODING);
}

/// Envoy's changes on the shadow leg.
fn mark_as_copy(headers: &mut HeaderMap) {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or(HOST);
    let shadow_host = match host.rsplit_once(':') {
        Some((name, port)) => format!("{name}-shadow:{port}"),
        None => format!("{host}-shadow"),
    };
    if let Ok(host) = HeaderValue::try_from(shadow_host) {
        headers.insert(header::HOST, host);
    }
    append_forwarded_for(headers);
    headers.insert(INTERNAL, HeaderValue::from_static("true"));
}

/// Everyone here is at 127.0.0.1: the client whose address the primary is told, and the proxy
/// whose address the shadow is told besides.
fn append_forwarded_for(headers: &mut HeaderMap) {
    let before = headers.get(FORWARDED_FOR).and_then(|value| value.to_str().ok());
    let after = before.map_or("127.0.0.1".to_owned(), |before| format!("{before},127.0.0.1"));
    if let Ok(after) = HeaderValue::try_from(after) {
        headers.insert(FORWARDED_FOR, after);
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::Poll;

    use tokio::sync::{Notify, mpsc};

    use super::*;

    /// A request as a backend got it.
    type Got = (HeaderMap, Bytes);

    /// A backend that shows what it gets, and answers once `go` has a permit.
    async fn recorder(go: Arc<Notify>) -> (Server, mpsc::UnboundedReceiver<Got>) {
        let (sent, got) = mpsc::unbounded_channel();
        let server = Server::start(move |request: Request<Incoming>| {
            let (sent, go) = (sent.clone(), Arc::clone(&go));
            async move {
                let (head, body) = request.into_parts();
                sent.send((head.headers, body.collect().await.unwrap().to_bytes())).unwrap();
                go.notified().await;
                go.notify_one();
                Ok::<_, Infallible>(Response::new(Full::from("answer")))
            }
        })
        .await
        .unwrap();
        (server, got)
    }

    fn order(id: Option<&str>) -> Request<Full<Bytes>> {
        let mut request = Request::builder().method("POST").uri("/orders").header("host", HOST);
        if let Some(id) = id {
            request = request.header(REQUEST_ID, id);
        }
        request.body(Full::from("an order")).unwrap()
    }

    #[tokio::test]
    async fn the_client_has_its_answer_while_the_shadow_still_waits() {
        let (open, shut) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        open.notify_one();
        let (primary, mut to_primary) = recorder(open).await;
        let (shadow, mut to_shadow) = recorder(Arc::clone(&shut)).await;
        let proxy = Proxy::start(primary.address(), shadow.address(), 1).await.unwrap();
        let client = Upstream::new(proxy.address());

        assert_eq!(client.send(order(None)).await.unwrap().body(), "answer");

        let (ours, body) = to_primary.recv().await.unwrap();
        let (copy, copied_body) = to_shadow.recv().await.unwrap();
        assert_eq!((&body[..], &copied_body[..]), (&b"an order"[..], &b"an order"[..]));
        assert_eq!(ours[REQUEST_ID], copy[REQUEST_ID]);
        assert_eq!(ours[REQUEST_ID].len(), 36);
        assert_eq!(ours[header::HOST], HOST);
        assert!(!ours.contains_key(INTERNAL));
        assert_eq!(copy[header::HOST], format!("{HOST}-shadow").as_str());

        let mut closing = pin!(proxy.close());
        let early = poll_fn(|cx| Poll::Ready(closing.as_mut().poll(cx))).await;
        assert!(early.is_pending(), "closed before the copy was answered");
        shut.notify_one();
        assert_eq!(closing.await, 0);
    }

    #[tokio::test]
    async fn a_clients_own_request_id_is_kept() {
        let open = Arc::new(Notify::new());
        open.notify_one();
        let (primary, mut to_primary) = recorder(Arc::clone(&open)).await;
        let (shadow, mut to_shadow) = recorder(open).await;
        let proxy = Proxy::start(primary.address(), shadow.address(), 1).await.unwrap();
        Upstream::new(proxy.address()).send(order(Some("mine"))).await.unwrap();
        assert_eq!(to_primary.recv().await.unwrap().0[REQUEST_ID], "mine");
        assert_eq!(to_shadow.recv().await.unwrap().0[REQUEST_ID], "mine");
    }

    #[tokio::test]
    async fn a_shadow_that_is_down_costs_copies_and_no_answers() {
        let open = Arc::new(Notify::new());
        open.notify_one();
        let (primary, _to_primary) = recorder(open).await;
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let nobody = free.local_addr().unwrap();
        drop(free);
        let proxy = Proxy::start(primary.address(), nobody, 1).await.unwrap();
        let client = Upstream::new(proxy.address());
        for _ in 0..3 {
            assert_eq!(client.send(order(None)).await.unwrap().status(), StatusCode::OK);
        }
        assert_eq!(proxy.close().await, 3);
    }

    #[test]
    fn the_copy_is_marked_as_envoy_marks_it() {
        let marked = |host: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static(host));
            headers.insert(FORWARDED_FOR, HeaderValue::from_static("192.0.2.1"));
            mark_as_copy(&mut headers);
            headers
        };
        let headers = marked("shop.example.com");
        assert_eq!(headers[header::HOST], "shop.example.com-shadow");
        assert_eq!(headers[FORWARDED_FOR], "192.0.2.1,127.0.0.1");
        assert_eq!(headers[INTERNAL], "true");
        assert_eq!(marked("shop.example.com:8443")[header::HOST], "shop.example.com-shadow:8443");
    }
}

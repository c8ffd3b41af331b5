//! A backend: the [`shop`](super::shop) served over HTTP/1.1 or h2c by hyper, on a thread of its
//! own.
//!
//! It can be told to misbehave while it runs, as a shadow under test would.

use std::error::Error;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, channel::Channel};
use hyper::body::Incoming;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustix::net::sockopt::set_socket_linger;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::certificate;
use super::grpc;
use super::place::Place;
use super::shop::{self, Field, Version};

/// What a backend speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaks {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 by prior knowledge.
    H2c,
}

/// How a backend treats requests from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// Answers at once.
    Prompt,
    /// Answers after this long.
    Slow(Duration),
    /// Reads the whole request, then resets the connection; over h2c, the stream.
    ResetBeforeAnswer,
    /// Sends the head and half of the body, then resets the connection; over h2c, the stream.
    ResetInAnswer,
}

/// A running backend. Its connections are closed and its thread ends when it is dropped.
pub(crate) struct Backend {
    address: SocketAddr,
    scene: Arc<Scene>,
    orders: Option<mpsc::Sender<Order>>,
    thread: Option<JoinHandle<()>>,
}

enum Order {
    CloseAll(std::sync::mpsc::Sender<()>),
    Listen(std::sync::mpsc::Sender<()>),
}

struct Scene {
    version: Version,
    speaks: Speaks,
    tls: Option<TlsAcceptor>,
    behaviour: Mutex<Behaviour>,
    received: Mutex<Vec<(Method, String)>>,
}

impl Scene {
    fn behaviour(&self) -> Behaviour {
        *self.behaviour.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, method: &Method, path: &str) {
        let mut received = self.received.lock().unwrap_or_else(PoisonError::into_inner);
        received.push((method.clone(), path.to_owned()));
    }
}

impl Backend {
    /// Serves `version` over HTTP/1.1 at a free port of `ip`.
    pub(crate) fn start(version: Version, place: &Place, ip: IpAddr) -> Self {
        Self::speaking(Speaks::Http1, version, place, ip)
    }

    /// Serves `version` at a free port of `ip`.
    pub(crate) fn speaking(speaks: Speaks, version: Version, place: &Place, ip: IpAddr) -> Self {
        Self::start_with(speaks, None, version, place, ip)
    }

    /// The same over TLS 1.2 and 1.3, with a certificate of its own making.
    pub(crate) fn over_tls(speaks: Speaks, version: Version, place: &Place, ip: IpAddr) -> Self {
        Self::start_with(speaks, Some(certificate::acceptor()), version, place, ip)
    }

    fn start_with(
        speaks: Speaks,
        tls: Option<TlsAcceptor>,
        version: Version,
        place: &Place,
        ip: IpAddr,
    ) -> Self {
        let scene = Arc::new(Scene {
            version,
            speaks,
            tls,
            behaviour: Mutex::new(Behaviour::Prompt),
            received: Mutex::default(),
        });
        let (orders, inbox) = mpsc::channel(1);
        let (bound, wait_bound) = std::sync::mpsc::channel();
        let thread = std::thread::spawn({
            let (scene, place) = (Arc::clone(&scene), place.clone());
            move || {
                place.enter();
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .expect("a runtime needs only memory and an epoll descriptor");
                runtime.block_on(serve(scene, ip, inbox, bound));
            }
        });
        let address = wait_bound.recv().expect("the backend's thread binds its port or panics");
        Self { address, scene, orders: Some(orders), thread: Some(thread) }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes how requests are treated that come from now on.
    pub(crate) fn behave(&self, behaviour: Behaviour) {
        *self.scene.behaviour.lock().unwrap_or_else(PoisonError::into_inner) = behaviour;
    }

    /// Method and path of every request that arrived whole, in order of arrival: what the tap has
    /// to have seen, by the word of the one who was asked.
    pub(crate) fn received(&self) -> Vec<(Method, String)> {
        self.scene.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Closes the listening socket and every connection, and returns when that is done.
    pub(crate) fn go_down(&self) {
        self.order(Order::CloseAll);
    }

    /// Listens again at the same address, and returns when it does.
    pub(crate) fn come_back(&self) {
        self.order(Order::Listen);
    }

    fn order(&self, order: impl FnOnce(std::sync::mpsc::Sender<()>) -> Order) {
        let (done, wait_done) = std::sync::mpsc::channel();
        let orders = self.orders.as_ref().expect("taken only when dropped");
        assert!(orders.blocking_send(order(done)).is_ok(), "the backend's thread has ended");
        wait_done.recv().expect("the backend's thread answers every order");
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            // A panic there has failed the test already, by its effects.
            let _ = thread.join();
        }
    }
}

async fn serve(
    scene: Arc<Scene>,
    ip: IpAddr,
    mut inbox: mpsc::Receiver<Order>,
    bound: std::sync::mpsc::Sender<SocketAddr>,
) {
    let mut listener = Some(listen(SocketAddr::new(ip, 0)));
    let address = listener
        .as_ref()
        .and_then(|l| l.local_addr().ok())
        .expect("a listening socket has an address");
    // The starting thread waits for this before it does anything else.
    let _ = bound.send(address);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            order = inbox.recv() => {
                let done = match order {
                    None => return,
                    Some(Order::CloseAll(done)) => {
                        listener = None;
                        connections.shutdown().await;
                        done
                    }
                    Some(Order::Listen(done)) => {
                        listener.get_or_insert_with(|| listen(address));
                        done
                    }
                };
                let _ = done.send(());
            }
            stream = accept(listener.as_ref()) => {
                connections.spawn(connection(Arc::clone(&scene), stream));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

fn listen(address: SocketAddr) -> TcpListener {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
    socket
        .and_then(|socket| {
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            socket.listen(1024)
        })
        .unwrap_or_else(|e| panic!("cannot listen at {address}: {e}"))
}

async fn accept(listener: Option<&TcpListener>) -> TcpStream {
    match listener {
        None => std::future::pending().await,
        Some(listener) => listener.accept().await.expect("accepting on an open socket").0,
    }
}

async fn connection(scene: Arc<Scene>, stream: TcpStream) {
    let handle = stream.as_fd().try_clone_to_owned().expect("a socket can be cloned");
    // Without it the segments of one answer wait for each other's acknowledgement.
    let _ = stream.set_nodelay(true);
    match scene.tls.clone() {
        None => answer_on(scene, stream, &handle).await,
        Some(tls) => {
            if let Ok(stream) = tls.accept(stream).await {
                answer_on(scene, stream, &handle).await;
            }
        }
    }
}

/// Answers requests on `stream`, whose socket is `handle`.
async fn answer_on(
    scene: Arc<Scene>,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    handle: &OwnedFd,
) {
    let reset = Arc::new(Notify::new());
    let service = service_fn({
        let (scene, reset) = (Arc::clone(&scene), Arc::clone(&reset));
        move |request| respond(Arc::clone(&scene), Arc::clone(&reset), request)
    });
    let stream = TokioIo::new(stream);
    // How a connection ends is the client's business.
    let serving = async {
        let _ = match scene.speaks {
            Speaks::Http1 => http1::Builder::new().serve_connection(stream, service).await,
            Speaks::H2c => {
                http2::Builder::new(TokioExecutor::new()).serve_connection(stream, service).await
            }
        };
    };
    tokio::select! {
        () = serving => {}
        () = reset.notified() => send_reset(handle),
    }
}

/// A socket closed with a linger time of zero sends RST.
fn send_reset(handle: &OwnedFd) {
    set_socket_linger(handle, Some(Duration::ZERO)).expect("a socket takes a linger time");
}

/// Why an answer goes wrong: on purpose.
#[derive(Clone, Copy, Debug)]
struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("broken off on purpose")
    }
}

impl Error for Broken {}

type Content = BoxBody<Bytes, Broken>;
type Answered = Result<Response<Content>, Box<dyn Error + Send + Sync>>;

async fn respond(scene: Arc<Scene>, reset: Arc<Notify>, request: Request<Incoming>) -> Answered {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    scene.note(&head.method, head.uri.path());
    let behaviour = scene.behaviour();
    match behaviour {
        Behaviour::Prompt | Behaviour::ResetInAnswer => {}
        // The slow answer is what is tested; nothing waits for it to pass.
        Behaviour::Slow(delay) => tokio::time::sleep(delay).await,
        // hyper resets the stream whose service fails.
        Behaviour::ResetBeforeAnswer if scene.speaks == Speaks::H2c => return Err(Broken.into()),
        Behaviour::ResetBeforeAnswer => {
            reset.notify_one();
            std::future::pending::<()>().await;
        }
    }
    let again = head.headers.get("x-envoy-attempt-count").is_some_and(|count| count != "1");
    let answer = match grpc::answer(scene.version, head.uri.path(), again, &body) {
        Some(answer) => answer,
        None => shop::answer(scene.version, head.uri.path(), body),
    };
    let mut response =
        Response::builder().status(answer.status).header("x-backend", scene.version.name());
    if let Some(content_type) = answer.content_type {
        response = response.header("content-type", content_type);
    }
    for (name, value) in answer.fields {
        response = response.header(name, value);
    }
    if answer.gzip {
        response = response.header("content-encoding", "gzip");
    }
    let body = if behaviour == Behaviour::ResetInAnswer {
        response = response.header("content-length", answer.body.len());
        broken_body(answer.body, reset, scene.speaks)
    } else if head.method == Method::HEAD {
        // Over HTTP/1.1 hyper leaves the body out; over HTTP/2 it sends what it is given.
        match scene.speaks {
            Speaks::Http1 => whole_body(answer.body),
            Speaks::H2c => {
                response = response.header("content-length", answer.body.len());
                whole_body(Bytes::new())
            }
        }
    } else if !answer.trailers.is_empty() {
        body_with_trailers(answer.body, answer.trailers)
    } else if answer.chunked {
        chunked_body(answer.body)
    } else {
        whole_body(answer.body)
    };
    Ok(response.body(body).expect("every header value above is valid"))
}

fn whole_body(bytes: Bytes) -> Content {
    Full::new(bytes).map_err(|never| match never {}).boxed()
}

/// A body and trailers after it.
fn body_with_trailers(bytes: Bytes, trailers: Vec<Field>) -> Content {
    let field = |(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
    let trailers = trailers.into_iter().map(field).collect::<HeaderMap>();
    whole_body(bytes).with_trailers(async { Some(Ok(trailers)) }).boxed()
}

/// A body of unknown length, in two chunks.
fn chunked_body(bytes: Bytes) -> Content {
    let (mut sender, body) = Channel::new(2);
    tokio::spawn(async move {
        let middle = bytes.len() / 2;
        for part in [bytes.slice(..middle), bytes.slice(middle..)] {
            // The client may have gone.
            let _ = sender.send_data(part).await;
        }
    });
    body.boxed()
}

/// Half of the body, then a reset.
fn broken_body(bytes: Bytes, reset: Arc<Notify>, speaks: Speaks) -> Content {
    let (mut sender, body) = Channel::new(1);
    tokio::spawn(async move {
        let _ = sender.send_data(bytes.slice(..bytes.len() / 2)).await;
        if speaks == Speaks::H2c {
            // Told after what was sent before.
            return sender.abort(Broken);
        }
        // The channel holds one frame: this one is taken when the first has been written.
        let _ = sender.send_data(Bytes::new()).await;
        tokio::task::yield_now().await;
        reset.notify_one();
        std::future::pending::<()>().await;
    });
    body.boxed()
}

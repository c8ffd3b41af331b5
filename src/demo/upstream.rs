//! Sends requests to one address over keep-alive connections.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Bytes that a response body may have; more is an error.
const BODY_CAP_BYTES: usize = 1 << 20;

/// Connections to one address. As many are open as requests were ever in flight at once.
#[derive(Debug)]
pub(super) struct Upstream {
    address: SocketAddr,
    idle: Mutex<Vec<SendRequest<Full<Bytes>>>>,
}

impl Upstream {
    /// To `address`; connects with the first request.
    pub(super) const fn new(address: SocketAddr) -> Self {
        Self { address, idle: Mutex::new(Vec::new()) }
    }

    /// Sends `request` and reads the answer to its end. A request is sent once: nothing is tried
    /// again.
    ///
    /// # Errors
    ///
    /// When the address cannot be reached or the answer does not come whole.
    pub(super) async fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Bytes>, UpstreamError> {
        let mut sender = match self.take_idle() {
            Some(sender) => sender,
            None => self.connect().await?,
        };
        sender.ready().await?;
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, BODY_CAP_BYTES)
            .collect()
            .await
            .map_err(UpstreamError::Body)?
            .to_bytes();
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
        Ok(Response::from_parts(head, body))
    }

    fn take_idle(&self) -> Option<SendRequest<Full<Bytes>>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|sender| !sender.is_closed());
        idle.pop()
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, UpstreamError> {
        let stream = TcpStream::connect(self.address).await.map_err(UpstreamError::Connect)?;
        stream.set_nodelay(true).map_err(UpstreamError::Connect)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // Ends when the sender is dropped; its errors come out at the sender.
        tokio::spawn(connection);
        Ok(sender)
    }
}

/// Why a request has no answer.
#[derive(Debug)]
pub(crate) enum UpstreamError {
    /// No connection.
    Connect(io::Error),
    /// The connection broke, or what came was no HTTP.
    Exchange(hyper::Error),
    /// The answer's body broke off or was too large.
    Body(Box<dyn std::error::Error + Send + Sync>),
}

impl From<hyper::Error> for UpstreamError {
    fn from(error: hyper::Error) -> Self {
        Self::Exchange(error)
    }
}

impl fmt::Display for UpstreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(error) => write!(f, "cannot connect: {error}"),
            Self::Exchange(error) => write!(f, "connection broke: {error}"),
            Self::Body(error) => write!(f, "answer not whole: {error}"),
        }
    }
}

impl std::error::Error for UpstreamError {}

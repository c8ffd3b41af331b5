//! HTTP/2 between the client and the server of the `h2` crate: frames, HPACK with its dynamic table
//! and Huffman codes, settings and window updates as real ends write them.
//!
//! Nothing waits: both ends are polled in turn after every step, and what one has written is handed
//! to the other as soon as it was noted.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::{Request, Response};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::messages::{Answered, Asked};
use crate::speech::Flight;
use crate::wire::Sender;

/// Both ends of one connection, one request in flight.
pub(crate) struct Conversation {
    client: h2::client::Connection<Pipe, Bytes>,
    server: h2::server::Connection<Pipe, Bytes>,
    client_pipe: Pipe,
    server_pipe: Pipe,
    requests: SendRequest<Bytes>,
    expected: Option<ResponseFuture>,
    arriving: Option<RecvStream>,
    to_answer: Option<SendResponse<Bytes>>,
    leaving: Option<SendStream<Bytes>>,
}

impl Conversation {
    /// Opens one, with prefaces and settings.
    ///
    /// # Errors
    ///
    /// When the ends do not understand one another.
    pub(crate) fn open() -> io::Result<(Self, Vec<Flight>)> {
        let (client_pipe, server_pipe) = (Pipe::default(), Pipe::default());
        let mut flights = Vec::new();
        let (requests, mut client) = now(pin!(h2::client::handshake(client_pipe.clone())))?;
        drive(&mut client)?;
        let mut preface = Vec::new();
        pass(&client_pipe, &server_pipe, &mut preface);
        flights.push((Sender::Client, preface));
        let server = now(pin!(h2::server::handshake(server_pipe.clone())))?;
        let mut conversation = Self {
            client,
            server,
            client_pipe,
            server_pipe,
            requests,
            expected: None,
            arriving: None,
            to_answer: None,
            leaving: None,
        };
        let mut settings = Vec::new();
        conversation.serve(&mut settings)?;
        flights.push((Sender::Server, settings));
        let mut acknowledged = Vec::new();
        conversation.credit(&mut acknowledged)?;
        flights.push((Sender::Client, acknowledged));
        Ok((conversation, flights))
    }

    /// Appends what the client writes to ask.
    ///
    /// # Errors
    ///
    /// When the ends do not understand one another.
    pub(crate) fn request(&mut self, asked: Asked, out: &mut Vec<u8>) -> io::Result<()> {
        let uri = format!("http://{}{}", asked.host, asked.path);
        let mut request = Request::get(uri);
        for (name, value) in asked.fields {
            request = request.header(name, value);
        }
        let request = request.body(()).map_err(io::Error::other)?;
        let (expected, _) = self.requests.send_request(request, true).map_err(io::Error::other)?;
        self.expected = Some(expected);
        drive(&mut self.client)?;
        pass(&self.client_pipe, &self.server_pipe, out);
        Ok(())
    }

    /// Appends what the server writes to answer: the head, the body, or both.
    ///
    /// # Errors
    ///
    /// When the ends do not understand one another.
    pub(crate) fn answer(
        &mut self,
        head: Option<Answered>,
        body: Option<Bytes>,
        out: &mut Vec<u8>,
    ) -> io::Result<()> {
        // It reads the request first.
        self.serve(out)?;
        if let Some(head) = head {
            let mut response = Response::builder().status(head.status);
            for (name, value) in head.fields {
                response = response.header(name, value);
            }
            let response = response.body(()).map_err(io::Error::other)?;
            let mut to_answer = self.to_answer.take().ok_or_else(|| stuck("no request came"))?;
            let leaving = to_answer.send_response(response, false).map_err(io::Error::other)?;
            self.leaving = Some(leaving);
        }
        if let Some(body) = body {
            let mut leaving = self.leaving.take().ok_or_else(|| stuck("no head was sent"))?;
            leaving.send_data(body, true).map_err(io::Error::other)?;
        }
        self.serve(out)
    }

    /// Appends what the client writes upon what it has received.
    ///
    /// # Errors
    ///
    /// When the ends do not understand one another.
    pub(crate) fn credit(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        drive(&mut self.client)?;
        if let Some(expected) = &mut self.expected {
            let response = now(Pin::new(expected))?;
            self.expected = None;
            self.arriving = Some(response.into_body());
        }
        let mut cx = Context::from_waker(Waker::noop());
        while let Some(arriving) = &mut self.arriving {
            match arriving.poll_data(&mut cx) {
                Poll::Ready(Some(data)) => {
                    let len = data.map_err(io::Error::other)?.len();
                    arriving.flow_control().release_capacity(len).map_err(io::Error::other)?;
                }
                Poll::Ready(None) => self.arriving = None,
                Poll::Pending => break,
            }
        }
        drive(&mut self.client)?;
        pass(&self.client_pipe, &self.server_pipe, out);
        Ok(())
    }

    /// Lets the server read and write.
    fn serve(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        let mut cx = Context::from_waker(Waker::noop());
        while let Poll::Ready(accepted) = self.server.poll_accept(&mut cx) {
            let (_, to_answer) =
                accepted.ok_or_else(|| stuck("closed"))?.map_err(io::Error::other)?;
            self.to_answer = Some(to_answer);
        }
        pass(&self.server_pipe, &self.client_pipe, out);
        Ok(())
    }
}

/// What one end reads and writes.
#[derive(Clone, Default)]
struct Pipe {
    incoming: Rc<RefCell<Vec<u8>>>,
    outgoing: Rc<RefCell<Vec<u8>>>,
}

impl AsyncRead for Pipe {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut incoming = self.incoming.borrow_mut();
        if incoming.is_empty() {
            return Poll::Pending;
        }
        let len = incoming.len().min(buffer.remaining());
        buffer.put_slice(&incoming[..len]);
        incoming.drain(..len);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.outgoing.borrow_mut().extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// What `from` has written goes to `to`, and is appended to `out`.
fn pass(from: &Pipe, to: &Pipe, out: &mut Vec<u8>) {
    let written = from.outgoing.take();
    out.extend_from_slice(&written);
    to.incoming.borrow_mut().extend_from_slice(&written);
}

/// Lets the client read and write until it has nothing more to do.
fn drive(client: &mut h2::client::Connection<Pipe, Bytes>) -> io::Result<()> {
    match Pin::new(client).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Pending => Ok(()),
        Poll::Ready(Ok(())) => Err(stuck("closed")),
        Poll::Ready(Err(error)) => Err(io::Error::other(error)),
    }
}

/// What a future gives that has all it needs.
fn now<T>(future: Pin<&mut impl Future<Output = Result<T, h2::Error>>>) -> io::Result<T> {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result.map_err(io::Error::other),
        Poll::Pending => Err(stuck("waits for more")),
    }
}

fn stuck(why: &str) -> io::Error {
    io::Error::other(format!("HTTP/2 between the bench's own ends: {why}"))
}

//! How a connection carries its messages: what its ends write, byte for byte.

use std::io::{self, Write};

use bytes::Bytes;

use crate::h2c;
use crate::messages::{Answered, Asked};
use crate::tls;
use crate::wire::Sender;

/// What carries the messages of a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carriage {
    /// HTTP/1.1 in clear.
    Http1,
    /// HTTP/2 in clear, by prior knowledge.
    H2c,
    /// HTTP/1.1 in TLS of this version.
    Tls(tls::Version),
}

/// One connection's two ends.
pub(crate) enum Speech {
    /// HTTP/1.1: they need to remember nothing.
    Http1,
    /// HTTP/2.
    H2c(Box<h2c::Conversation>),
    /// HTTP/1.1 in TLS.
    Tls(Box<tls::Session>),
}

/// What one end writes at once.
pub(crate) type Flight = (Sender, Vec<u8>);

impl Speech {
    /// Opens a connection. Returns with it what the ends write before the first request. `party` is
    /// there where the carriage is TLS.
    ///
    /// # Errors
    ///
    /// When the ends do not understand one another.
    pub(crate) fn open(
        carriage: Carriage,
        party: Option<&tls::Party>,
    ) -> io::Result<(Self, Vec<Flight>)> {
        match (carriage, party) {
            (Carriage::H2c, _) => {
                let (conversation, flights) = h2c::Conversation::open()?;
                Ok((Self::H2c(Box::new(conversation)), flights))
            }
            (Carriage::Tls(_), Some(party)) => {
                let (session, flights) = tls::Session::open(party)?;
                Ok((Self::Tls(Box::new(session)), flights))
            }
            _ => Ok((Self::Http1, Vec::new())),
        }
    }

    /// Appends what the client writes to ask.
    ///
    /// # Errors
    ///
    /// When the ends do not understand one another.
    pub(crate) fn request(&mut self, asked: Asked, out: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Self::Http1 => request_text(&asked, out),
            Self::H2c(conversation) => conversation.request(asked, out),
            Self::Tls(session) => {
                request_text(&asked, session.text())?;
                session.seal(Sender::Client, out)
            }
        }
    }

    /// Appends what the server writes to answer: the head, the body, or both at once.
    ///
    /// # Errors
    ///
    /// When the ends do not understand one another.
    pub(crate) fn answer(
        &mut self,
        head: Option<Answered>,
        body: Option<&[u8]>,
        out: &mut Vec<u8>,
    ) -> io::Result<()> {
        match self {
            Self::Http1 => answer_text(head.as_ref(), body, out),
            Self::H2c(conversation) => {
                conversation.answer(head, body.map(Bytes::copy_from_slice), out)
            }
            Self::Tls(session) => {
                answer_text(head.as_ref(), body, session.text())?;
                session.seal(Sender::Server, out)
            }
        }
    }

    /// What was said last, where it went out encrypted.
    pub(crate) fn sealed(&self) -> Option<&[u8]> {
        match self {
            Self::Tls(session) => Some(session.sealed()),
            Self::Http1 | Self::H2c(_) => None,
        }
    }

    /// Appends what the client writes of itself upon an answer: in HTTP/2 credit for more.
    ///
    /// # Errors
    ///
    /// When the ends do not understand one another.
    pub(crate) fn credit(&mut self, out: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Self::Http1 | Self::Tls(_) => Ok(()),
            Self::H2c(conversation) => conversation.credit(out),
        }
    }
}

fn request_text(asked: &Asked, out: &mut Vec<u8>) -> io::Result<()> {
    write!(out, "GET {} HTTP/1.1\r\nhost: {}\r\n", asked.path, asked.host)?;
    fields(&asked.fields, out)
}

fn answer_text(head: Option<&Answered>, body: Option<&[u8]>, out: &mut Vec<u8>) -> io::Result<()> {
    if let Some(head) = head {
        let reason = if head.status == 200 { "OK" } else { "Internal Server Error" };
        write!(out, "HTTP/1.1 {} {reason}\r\n", head.status)?;
        fields(&head.fields, out)?;
    }
    out.extend_from_slice(body.unwrap_or_default());
    Ok(())
}

fn fields(fields: &[(&'static str, String)], out: &mut Vec<u8>) -> io::Result<()> {
    for (name, value) in fields {
        write!(out, "{name}: {value}\r\n")?;
    }
    out.write_all(b"\r\n")
}

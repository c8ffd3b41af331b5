//! Handshake messages: what of them tells how the records that follow are protected.
//!
//! Owns the reassembly of handshake messages out of records, and the parsing of those few that
//! matter: both hellos and EncryptedExtensions. Of the others the type is all that is looked at.
//!
//! ```text
//! message   0 type (1)   1 length (3)   4 body …
//! ```
//!
//! Invariant: no more is kept than one message of up to [`MESSAGE_BYTES_MAX`].

/// Versions that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Tls10,
    Tls11,
    Tls12,
    Tls13,
}

impl Version {
    fn of(wire: u16) -> Option<Self> {
        match wire {
            0x0301 => Some(Self::Tls10),
            0x0302 => Some(Self::Tls11),
            0x0303 => Some(Self::Tls12),
            0x0304 => Some(Self::Tls13),
            _ => None,
        }
    }
}

/// A message, as far as it matters.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message {
    ClientHello(ClientHello),
    ServerHello(ServerHello),
    EncryptedExtensions(EncryptedExtensions),
    EndOfEarlyData,
    Finished,
    KeyUpdate,
    /// One that changes nothing here.
    Other,
    /// One that should matter and cannot be read.
    Malformed,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClientHello {
    pub(super) random: [u8; 32],
    /// The name of the host that is asked for.
    pub(super) server_name: Option<Box<str>>,
    /// The application protocol that the client likes best.
    pub(super) alpn: Option<Box<[u8]>>,
    pub(super) early_data: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct ServerHello {
    /// `None` where the version is not read.
    pub(super) version: Option<Version>,
    pub(super) random: [u8; 32],
    pub(super) suite: u16,
    /// The application protocol chosen (TLS 1.2).
    pub(super) alpn: Option<Box<[u8]>>,
    pub(super) encrypt_then_mac: bool,
    /// Records are compressed (TLS 1.2 and before).
    pub(super) compressed: bool,
    /// It is a HelloRetryRequest: another ClientHello follows.
    pub(super) retry: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct EncryptedExtensions {
    /// The application protocol chosen (TLS 1.3).
    pub(super) alpn: Option<Box<[u8]>>,
    /// The server takes the early data.
    pub(super) early_data: bool,
}

/// A ClientHello with post-quantum key shares has some kilobytes; padded ones stay far below this.
const MESSAGE_BYTES_MAX: usize = 64 << 10;

/// RFC 8446 §4.1.3: the random that makes a ServerHello a HelloRetryRequest.
const RETRY_RANDOM: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
    0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const END_OF_EARLY_DATA: u8 = 5;
const ENCRYPTED_EXTENSIONS: u8 = 8;
const FINISHED: u8 = 20;
const KEY_UPDATE: u8 = 24;

const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;
const ENCRYPT_THEN_MAC: u16 = 22;
const EARLY_DATA: u16 = 42;
const SUPPORTED_VERSIONS: u16 = 43;

/// Messages of one direction.
#[derive(Debug, Default)]
pub(super) struct Messages {
    /// The message being received, its head included; only the head where it does not matter.
    buffer: Vec<u8>,
    /// Bytes of a message's body that are still to come and not kept.
    skip: usize,
    /// Bytes were lost: where the next message begins is not known.
    lost: bool,
}

impl Messages {
    /// Takes the next bytes of handshake records; gives the messages that ended in them.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Vec<Message> {
        let mut messages = Vec::new();
        let mut rest = bytes;
        // RFC 8446 §5.1: what changes keys ends with its record. Most other messages do too.
        self.lost &= !is_whole_messages(bytes);
        while !self.lost && !rest.is_empty() {
            if self.skip > 0 {
                let skipped = self.skip.min(rest.len());
                rest = &rest[skipped..];
                self.skip -= skipped;
            } else if self.buffer.len() < 4 {
                self.buffer.push(rest[0]);
                rest = &rest[1..];
                if let &[kind, high, middle, low] = self.buffer.as_slice() {
                    let len = u32::from_be_bytes([0, high, middle, low]) as usize;
                    if !is_read(kind) || len > MESSAGE_BYTES_MAX {
                        self.skip = len;
                    }
                }
            } else {
                let missing = 4 + self.body_len() - self.buffer.len();
                let taken = missing.min(rest.len());
                self.buffer.extend_from_slice(&rest[..taken]);
                rest = &rest[taken..];
            }
            if self.buffer.len() >= 4 && self.skip == 0 && self.is_whole() {
                messages.push(read(self.buffer[0], &self.buffer[4..]));
                self.buffer = Vec::new();
            }
        }
        messages
    }

    /// What is there of a hello tells, where its rest is lost.
    pub(super) fn cut(&mut self) -> Option<Message> {
        let (head, body) = self.buffer.split_at_checked(4)?;
        match head[0] {
            CLIENT_HELLO => client_hello(body).map(Message::ClientHello),
            SERVER_HELLO => server_hello(body).map(Message::ServerHello),
            _ => None,
        }
    }

    /// Bytes were lost: nothing more is read until a record holds nothing but whole messages.
    pub(super) fn lose(&mut self) {
        *self = Self { lost: true, ..Self::default() };
    }

    /// The keys have changed, and no message spans that (RFC 8446 §5.1).
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    /// Bytes of memory held.
    pub(super) fn held_bytes(&self) -> usize {
        self.buffer.capacity()
    }

    fn body_len(&self) -> usize {
        match self.buffer.as_slice() {
            &[_, high, middle, low, ..] => u32::from_be_bytes([0, high, middle, low]) as usize,
            _ => 0,
        }
    }

    /// Whether the body is there, or was passed over.
    fn is_whole(&self) -> bool {
        let len = self.body_len();
        !is_read(self.buffer[0]) || len > MESSAGE_BYTES_MAX || self.buffer.len() == 4 + len
    }
}

/// Whether bytes are messages from their first to their last.
fn is_whole_messages(mut bytes: &[u8]) -> bool {
    while let Some((&[_, high, middle, low], rest)) = bytes.split_first_chunk() {
        let len = u32::from_be_bytes([0, high, middle, low]) as usize;
        let Some(next) = rest.get(len..) else { return false };
        bytes = next;
    }
    bytes.is_empty()
}

fn is_read(kind: u8) -> bool {
    matches!(kind, CLIENT_HELLO | SERVER_HELLO | ENCRYPTED_EXTENSIONS)
}

fn read(kind: u8, body: &[u8]) -> Message {
    match kind {
        CLIENT_HELLO => client_hello(body).map_or(Message::Malformed, Message::ClientHello),
        SERVER_HELLO => server_hello(body).map_or(Message::Malformed, Message::ServerHello),
        ENCRYPTED_EXTENSIONS => {
            encrypted_extensions(body).map_or(Message::Malformed, Message::EncryptedExtensions)
        }
        END_OF_EARLY_DATA => Message::EndOfEarlyData,
        FINISHED => Message::Finished,
        KEY_UPDATE => Message::KeyUpdate,
        _ => Message::Other,
    }
}

/// RFC 8446 §4.1.2, RFC 5246 §7.4.1.2.
fn client_hello(body: &[u8]) -> Option<ClientHello> {
    let mut reader = Reader(body);
    reader.u16()?;
    let random = reader.take(32)?.try_into().ok()?;
    let mut hello = ClientHello { random, server_name: None, alpn: None, early_data: false };
    // RFC 5246 §7.4.1.2: before TLS 1.3 there may be no extensions at all. Here the hello may be
    // cut as well: session, suites and compression methods are passed over as far as they go.
    if reader.vector8().is_none() || reader.vector16().is_none() || reader.vector8().is_none() {
        return Some(hello);
    }
    for (kind, data) in extensions(reader) {
        match kind {
            SERVER_NAME => hello.server_name = server_name(data),
            ALPN => hello.alpn = first_protocol(data),
            EARLY_DATA => hello.early_data = true,
            _ => {}
        }
    }
    Some(hello)
}

/// The ClientHello of a client that also speaks SSL 2.0, from its type on (RFC 5246 §E.2).
pub(super) fn old_client_hello(message: &[u8]) -> Option<ClientHello> {
    let mut reader = Reader(message);
    reader.take(3)?;
    let (suites, session, challenge) = (reader.u16()?, reader.u16()?, reader.u16()?);
    reader.take(usize::from(suites) + usize::from(session))?;
    let challenge = reader.take(usize::from(challenge))?;
    // The challenge is the random, with zeros before it where it is shorter.
    let mut random = [0; 32];
    let start = random.len().checked_sub(challenge.len())?;
    random[start..].copy_from_slice(challenge);
    Some(ClientHello { random, server_name: None, alpn: None, early_data: false })
}

/// RFC 8446 §4.1.3, RFC 5246 §7.4.1.3.
fn server_hello(body: &[u8]) -> Option<ServerHello> {
    let mut reader = Reader(body);
    let version = Version::of(reader.u16()?);
    let random = reader.take(32)?.try_into().ok()?;
    reader.vector8()?;
    let suite = reader.u16()?;
    // RFC 3749 §2: 0 is none, 1 is DEFLATE.
    let compression = reader.take(1).map_or(0, |method| method[0]);
    let mut hello = ServerHello {
        // Where the extension that names TLS 1.3 is cut off, its suites do: they are of no other
        // version (RFC 8446 §B.4).
        version: match suite >> 8 {
            0x13 => Some(Version::Tls13),
            _ => version.filter(|_| compression <= 1),
        },
        random,
        suite,
        alpn: None,
        encrypt_then_mac: false,
        compressed: compression == 1,
        retry: random == RETRY_RANDOM,
    };
    for (kind, mut data) in extensions(reader) {
        match kind {
            ALPN => hello.alpn = first_protocol(data),
            ENCRYPT_THEN_MAC => hello.encrypt_then_mac = true,
            // RFC 8446 §4.2.1: it stands above legacy_version.
            SUPPORTED_VERSIONS => hello.version = data.u16().and_then(Version::of),
            _ => {}
        }
    }
    Some(hello)
}

/// RFC 8446 §4.3.1.
fn encrypted_extensions(body: &[u8]) -> Option<EncryptedExtensions> {
    let mut found = EncryptedExtensions { alpn: None, early_data: false };
    for (kind, data) in extensions(Reader(body)) {
        match kind {
            ALPN => found.alpn = first_protocol(data),
            EARLY_DATA => found.early_data = true,
            _ => {}
        }
    }
    Some(found)
}

/// RFC 6066 §3: a list of names, of which those of type 0 are host names.
fn server_name(mut data: Reader<'_>) -> Option<Box<str>> {
    let mut names = Reader(data.vector16()?);
    while let Some(kind) = names.take(1) {
        let name = names.vector16()?;
        if kind == [0] {
            return std::str::from_utf8(name).ok().map(Into::into);
        }
    }
    None
}

/// RFC 7301 §3.1: a list of protocols, the best first; a server's has one.
fn first_protocol(mut data: Reader<'_>) -> Option<Box<[u8]>> {
    Reader(data.vector16()?).vector8().map(Into::into)
}

/// The extensions at the end of a message; those that are cut are left out.
fn extensions(mut rest: Reader<'_>) -> impl Iterator<Item = (u16, Reader<'_>)> {
    let len = usize::from(rest.u16().unwrap_or(0));
    let mut all = Reader(&rest.0[..len.min(rest.0.len())]);
    std::iter::from_fn(move || Some((all.u16()?, Reader(all.vector16()?))))
}

/// Reads numbers and vectors (RFC 8446 §3) off the front of bytes.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn u16(&mut self) -> Option<u16> {
        let bytes = self.take(2)?;
        Some(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    fn vector8(&mut self) -> Option<&'a [u8]> {
        let len = self.take(1)?[0];
        self.take(usize::from(len))
    }

    fn vector16(&mut self) -> Option<&'a [u8]> {
        let len = self.u16()?;
        self.take(usize::from(len))
    }
}

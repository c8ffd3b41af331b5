//! What a proxy says before the protocol that is read: a PROXY protocol header, a SOCKS handshake.
//!
//! Owns where these end in each direction. Refuses to make anything of what they say: the
//! addresses in them are not those of the connection.
//!
//! | what | who says it | source |
//! |---|---|---|
//! | PROXY header, version 1 (a line) and 2 (binary) | client | HAProxy's proxy-protocol.txt §2.1, §2.2 |
//! | SOCKS 4 and 4a request and reply | both | Y.-D. Lee, "SOCKS: A protocol for TCP proxy"; 4A: "A Simple Extension" |
//! | SOCKS 5 greeting, user and password, request and reply | both | RFC 1928 §3 to §6, RFC 1929 §2 |
//!
//! Invariants:
//! - A direction that is through is never looked at again.
//! - At most one message per direction is kept, of at most [`Handshake::MESSAGE_MAX`] bytes.

use crate::Anomaly;
use crate::flow::Direction;

/// What a client begins a connection with, where it is none of the protocols that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begins {
    /// A PROXY protocol header.
    Proxy,
    /// A SOCKS handshake.
    Socks,
}

/// Whether a client's first bytes begin such a handshake. `Err`: they are too few to tell.
pub(super) fn begins(bytes: &[u8]) -> Result<Option<Begins>, TooFew> {
    for signature in [PROXY_1, PROXY_2] {
        let len = bytes.len().min(signature.len());
        if bytes[..len] == signature[..len] {
            return if len == signature.len() { Ok(Some(Begins::Proxy)) } else { Err(TooFew) };
        }
    }
    match bytes {
        [5] | [4] => Err(TooFew),
        // CONNECT: nothing else carries HTTP from here on.
        [4, 1, ..] => Ok(Some(Begins::Socks)),
        [5, count @ 1..=16, methods @ ..] => {
            let count = usize::from(*count);
            // RFC 1928 §3: 0 to 2 are assigned there, IANA has up to 9, 0x80 on are private.
            let known = methods.iter().take(count).all(|&method| method <= 9 || method >= 0x80);
            match (known, methods.len() >= count) {
                (false, _) => Ok(None),
                (true, true) => Ok(Some(Begins::Socks)),
                (true, false) => Err(TooFew),
            }
        }
        _ => Ok(None),
    }
}

/// Bytes end before they tell.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooFew;

const PROXY_1: &[u8] = b"PROXY ";
const PROXY_2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// A handshake on the way.
#[derive(Debug)]
pub(super) struct Handshake {
    /// By direction: what comes next; `None` once it is through.
    next: [Option<Message>; 2],
    /// By direction: what came of that.
    kept: [Vec<u8>; 2],
    kind: Begins,
}

/// The messages of the handshakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Message {
    /// PROXY header, either version.
    Proxy,
    /// SOCKS 4 request, or SOCKS 5 greeting.
    Opening,
    /// SOCKS 5: user and password, or the request.
    LoginOrRequest,
    /// SOCKS 4 reply, or SOCKS 5 choice of method.
    Answer,
    /// SOCKS 5: what came of the login.
    LoginResult,
    /// SOCKS 5 reply.
    Reply,
}

/// How a direction's bytes were taken.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Passed {
    /// All were part of the handshake.
    All,
    /// The first `used` were; the rest is what the handshake was for.
    Through {
        /// How many.
        used: usize,
    },
    /// They are none, or the proxy refused.
    Broken,
}

/// One message.
enum Read {
    Need,
    Whole { next: Option<Message> },
    Broken,
}

impl Handshake {
    /// The longest is a SOCKS 4a request with two names (ours: 255 bytes each are plenty).
    pub(super) const MESSAGE_MAX: usize = 600;

    /// One that begins with the next bytes of the client.
    pub(super) fn new(kind: Begins) -> Self {
        let next = match kind {
            Begins::Proxy => [Some(Message::Proxy), None],
            Begins::Socks => [Some(Message::Opening), Some(Message::Answer)],
        };
        Self { next, kept: [Vec::new(), Vec::new()], kind }
    }

    /// Takes the next bytes of a direction that is not through.
    pub(super) fn push(&mut self, direction: Direction, bytes: &[u8]) -> Passed {
        let kept = &mut self.kept[direction as usize];
        for (at, &byte) in bytes.iter().enumerate() {
            let Some(message) = self.next[direction as usize] else {
                return Passed::Through { used: at };
            };
            kept.push(byte);
            match message.read(kept) {
                Read::Need if kept.len() >= Self::MESSAGE_MAX => return Passed::Broken,
                Read::Need => {}
                Read::Whole { next } => {
                    self.next[direction as usize] = next;
                    kept.clear();
                }
                Read::Broken => return Passed::Broken,
            }
        }
        if self.is_through(direction) { Passed::Through { used: bytes.len() } } else { Passed::All }
    }

    /// Whether a direction has said all that the handshake has it say.
    pub(super) fn is_through(&self, direction: Direction) -> bool {
        self.next[direction as usize].is_none()
    }

    /// Nothing more of it will come.
    pub(super) fn give_up(&mut self) {
        self.next = [None, None];
        self.kept = [Vec::new(), Vec::new()];
    }

    /// What it is counted as.
    pub(super) fn anomaly(&self) -> Anomaly {
        match self.kind {
            Begins::Proxy => Anomaly::ProxyHeader,
            Begins::Socks => Anomaly::Socks,
        }
    }

    /// Bytes of memory held.
    pub(super) fn held_bytes(&self) -> usize {
        size_of::<Self>() + self.kept.iter().map(Vec::capacity).sum::<usize>()
    }
}

impl Message {
    fn read(self, bytes: &[u8]) -> Read {
        match (self, bytes) {
            (Self::Proxy, [b'P', ..]) => match bytes {
                [.., b'\r', b'\n'] => Read::Whole { next: None },
                // proxy-protocol.txt §2.1: the longest line has 107 bytes.
                _ if bytes.len() >= 107 => Read::Broken,
                _ => Read::Need,
            },
            (Self::Proxy, _) => match bytes.get(14..16) {
                Some(len) => {
                    let whole = 16 + usize::from(u16::from_be_bytes([len[0], len[1]]));
                    match bytes.len() {
                        _ if whole > Handshake::MESSAGE_MAX => Read::Broken,
                        len if len == whole => Read::Whole { next: None },
                        _ => Read::Need,
                    }
                }
                None => Read::Need,
            },
            (Self::Opening, [4, ..]) => socks_4_request(bytes),
            (Self::Opening, [_, count, methods @ ..]) if methods.len() == usize::from(*count) => {
                Read::Whole { next: Some(Self::LoginOrRequest) }
            }
            (Self::LoginOrRequest, [1, ..]) => match login_len(bytes) {
                Some(len) if len == bytes.len() => Read::Whole { next: Some(Self::LoginOrRequest) },
                _ => Read::Need,
            },
            // CONNECT; the other commands lead to no HTTP.
            (Self::LoginOrRequest, [5] | [5, 1, ..]) => socks_5_address(bytes),
            (Self::LoginOrRequest, [_, ..]) => Read::Broken,
            // SOCKS 4: 90 is granted.
            (Self::Answer, [0, 90, ..]) if bytes.len() == 8 => Read::Whole { next: None },
            (Self::Answer, [0] | [0, 90, ..] | [5]) => Read::Need,
            (Self::Answer, [5, 2]) => Read::Whole { next: Some(Self::LoginResult) },
            // RFC 1928 §3: 0xff refuses; methods that change the bytes (GSSAPI) cannot be read.
            (Self::Answer, [5, 0]) => Read::Whole { next: Some(Self::Reply) },
            (Self::Answer, [_, ..]) => Read::Broken,
            (Self::LoginResult, [1, 0]) => Read::Whole { next: Some(Self::Reply) },
            (Self::LoginResult, [1]) => Read::Need,
            (Self::LoginResult, [_, ..]) => Read::Broken,
            // RFC 1928 §6: 0 is success.
            (Self::Reply, [5] | [5, 0, ..]) => socks_5_address(bytes),
            (Self::Reply, [_, ..]) => Read::Broken,
            (Self::Opening, _) | (_, []) => Read::Need,
        }
    }
}

/// `4, command, port (2), address (4), user, 0`, and where the address is 0.0.0.x, `name, 0`.
fn socks_4_request(bytes: &[u8]) -> Read {
    let Some((fixed, names)) = bytes.split_first_chunk::<8>() else { return Read::Need };
    let named = matches!(fixed[4..], [0, 0, 0, last] if last != 0);
    let ends = names.iter().filter(|&&byte| byte == 0).count();
    if ends == 1 + usize::from(named) { Read::Whole { next: None } } else { Read::Need }
}

/// `1, length, user, length, password`: how long it is.
fn login_len(bytes: &[u8]) -> Option<usize> {
    let user = usize::from(*bytes.get(1)?);
    let password = usize::from(*bytes.get(2 + user)?);
    Some(3 + user + password)
}

/// `5, command or result, 0, type, address, port (2)`.
fn socks_5_address(bytes: &[u8]) -> Read {
    let address = match bytes.get(3..) {
        None | Some([]) => return Read::Need,
        Some([1, ..]) => 4,
        Some([4, ..]) => 16,
        Some([3]) => return Read::Need,
        Some([3, len, ..]) => 1 + usize::from(*len),
        Some(_) => return Read::Broken,
    };
    if bytes.len() == 4 + address + 2 { Read::Whole { next: None } } else { Read::Need }
}

#[cfg(test)]
mod tests {
    use super::Direction::{ToClient, ToServer};
    use super::*;

    /// What passes of `bytes` when they come in pieces of `size`, and how it ended.
    fn pass(shake: &mut Handshake, direction: Direction, bytes: &[u8], size: usize) -> Passed {
        let mut before = 0;
        for piece in bytes.chunks(size) {
            match shake.push(direction, piece) {
                Passed::All => before += piece.len(),
                Passed::Through { used } => return Passed::Through { used: before + used },
                Passed::Broken => return Passed::Broken,
            }
        }
        Passed::All
    }

    #[test]
    fn every_handshake_ends_where_it_should_however_it_is_cut() {
        let v2 = [PROXY_2, &[0x21, 0x11, 0, 12], &[7; 12]].concat();
        let local = [PROXY_2, &[0x20, 0, 0, 0]].concat();
        let cases: [(&[u8], &[u8]); 9] = [
            (b"PROXY TCP4 1.2.3.4 5.6.7.8 111 80\r\n", b""),
            (b"PROXY UNKNOWN\r\n", b""),
            (&v2, b""),
            (&local, b""),
            (b"\x04\x01\x00\x50\x01\x02\x03\x04joe\0", b"\0\x5a\0\0\0\0\0\0"),
            (b"\x04\x01\x00\x50\0\0\0\x01joe\0host.example\0", b"\0\x5a\0\0\0\0\0\0"),
            (b"\x05\x01\0\x05\x01\0\x01\x01\x02\x03\x04\0\x50", b"\x05\0\x05\0\0\x01\0\0\0\0\0\0"),
            (
                b"\x05\x02\0\x02\x01\x03joe\x02pw\x05\x01\0\x03\x04host\0\x50",
                b"\x05\x02\x01\0\x05\0\0\x03\x02ab\0\0",
            ),
            (
                b"\x05\x01\0\x05\x01\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\0\x50",
                b"\x05\0\x05\0\0\x01\0\0\0\0\0\0",
            ),
        ];
        for (client, server) in cases {
            for size in 1..40 {
                let kind = begins(client).unwrap().unwrap();
                let mut shake = Handshake::new(kind);
                let said = [client, b"GET / HTTP/1.1\r\n"].concat();
                let through = Passed::Through { used: client.len() };
                assert_eq!(pass(&mut shake, ToServer, &said, size), through, "{client:x?}/{size}");
                assert!(shake.is_through(ToServer));
                if !server.is_empty() {
                    let said = [server, b"HTTP/1.1 200"].concat();
                    let through = Passed::Through { used: server.len() };
                    assert_eq!(pass(&mut shake, ToClient, &said, size), through);
                }
                assert!(shake.is_through(ToClient));
            }
        }
    }

    #[test]
    fn no_beginning_of_a_handshake_is_taken_for_http_and_the_other_way_around() {
        for bytes in [&b"P"[..], b"PROXY", b"\r\n\r", b"\x05", b"\x05\x02\0", b"\x04"] {
            assert_eq!(begins(bytes), Err(TooFew), "{bytes:x?}");
        }
        for bytes in [
            &b"PO"[..],
            b"PROPFIND / HTTP/1.1",
            b"\r\nGET",
            b"GET",
            b"\x16\x03",
            b"\x05\x01\x7f",
            b"\x04\x02",
            b"\x05\0",
        ] {
            assert_eq!(begins(bytes), Ok(None), "{bytes:x?}");
        }
    }

    #[test]
    fn a_refusal_and_a_message_that_is_none_break_it() {
        let broken: [(Begins, Direction, &[u8]); 6] = [
            (Begins::Socks, ToClient, b"\0\x5b\0\0\0\0\0\0"),
            (Begins::Socks, ToClient, b"\x05\xff"),
            (Begins::Socks, ToClient, b"\x05\0\x05\x05\0\x01\0\0\0\0\0\0"),
            (Begins::Socks, ToClient, b"HTTP/1.1 400 Bad Request"),
            (Begins::Socks, ToServer, b"\x05\x01\0\x05\x02\0\x01"),
            (Begins::Proxy, ToServer, &[b'P'; 200]),
        ];
        for (kind, direction, bytes) in broken {
            let mut shake = Handshake::new(kind);
            assert_eq!(shake.push(direction, bytes), Passed::Broken, "{bytes:x?}");
        }
        let endless = [&b"\x04\x01\0\x50\x01\x02\x03\x04"[..], &[b'u'; 5000]].concat();
        let mut shake = Handshake::new(Begins::Socks);
        assert_eq!(shake.push(ToServer, &endless), Passed::Broken);
        assert!(shake.held_bytes() < 2 * Handshake::MESSAGE_MAX + size_of::<Handshake>());
    }
}

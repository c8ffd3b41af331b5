//! Frames: what a gRPC body is made of.
//!
//! | bytes | is |
//! |---|---|
//! | 1 | flags: the lowest bit says that the content is compressed, the highest that it is trailers (gRPC-Web) |
//! | 4 | length of the content, big-endian |
//! | length | the content |

use std::borrow::Cow;

use data_encoding::BASE64;

use super::super::framing::Framing;

/// Messages of a body. One with more is said to differ and not looked into
/// ([`crate::Change::Coarse`]).
const MESSAGES: usize = 10_000;

const COMPRESSED: u8 = 0x01;
const TRAILERS: u8 = 0x80;

/// What a body is made of.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frames<'b> {
    pub(super) messages: Vec<Frame<'b>>,
    /// The last frame of gRPC-Web.
    pub(super) trailers: Option<Frame<'b>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Frame<'b> {
    pub(super) is_compressed: bool,
    pub(super) content: &'b [u8],
}

/// Why a body is not looked into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unframed {
    /// It is not made of frames to its end.
    Malformed,
    /// It has more messages than are compared.
    TooMany,
}

impl Framing {
    /// A body without the text encoding that it may have.
    pub(super) fn plain(self, body: &[u8]) -> Result<Cow<'_, [u8]>, Unframed> {
        if self != Self::WebText {
            return Ok(Cow::Borrowed(body));
        }
        // PROTOCOL-WEB.md: pieces are encoded one by one, so padding may be anywhere.
        let mut plain = Vec::with_capacity(body.len() / 4 * 3);
        let mut rest = body;
        while !rest.is_empty() {
            let padding = memchr::memchr(b'=', rest).unwrap_or(rest.len());
            // At least one byte, so that every turn takes some.
            let end = (padding + 1).next_multiple_of(4).min(rest.len());
            let (piece, behind) = rest.split_at(end);
            plain.append(&mut BASE64.decode(piece).map_err(|_| Unframed::Malformed)?);
            rest = behind;
        }
        Ok(Cow::Owned(plain))
    }
}

/// The frames of a body.
pub(super) fn frames(body: &[u8]) -> Result<Frames<'_>, Unframed> {
    let mut messages = Vec::new();
    let mut rest = body;
    while let Some((&[flags, a, b, c, d], behind)) = rest.split_first_chunk() {
        if flags & !(COMPRESSED | TRAILERS) != 0 {
            return Err(Unframed::Malformed);
        }
        let len = usize::try_from(u32::from_be_bytes([a, b, c, d]));
        let (content, behind) =
            len.ok().and_then(|len| behind.split_at_checked(len)).ok_or(Unframed::Malformed)?;
        let frame = Frame { is_compressed: flags & COMPRESSED != 0, content };
        if flags & TRAILERS != 0 {
            // PROTOCOL-WEB.md: trailers must be the last message.
            let trailers = Some(frame);
            return if behind.is_empty() {
                Ok(Frames { messages, trailers })
            } else {
                Err(Unframed::Malformed)
            };
        }
        if messages.len() == MESSAGES {
            return Err(Unframed::TooMany);
        }
        messages.push(frame);
        rest = behind;
    }
    if rest.is_empty() { Ok(Frames { messages, trailers: None }) } else { Err(Unframed::Malformed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_frames_to_its_end() {
        let body = [&[0, 0, 0, 0, 2][..], b"ab", &[1, 0, 0, 0, 0], &[0x80, 0, 0, 0, 1], b"t"];
        let body = body.concat();
        let all = frames(&body).unwrap();
        let frame = |is_compressed, content| Frame { is_compressed, content };
        assert_eq!(all.messages, [frame(false, b"ab"), frame(true, b"")]);
        assert_eq!(all.trailers, Some(frame(false, b"t")));
        assert_eq!(frames(b"").unwrap(), Frames { messages: vec![], trailers: None });
        let malformed = [
            &body[..6],
            &body[..body.len() - 1],
            b"x",
            &[2, 0, 0, 0, 0],
            &[0, 255, 255, 255, 255, 1],
            &[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        ];
        for body in malformed {
            assert_eq!(frames(body), Err(Unframed::Malformed), "{body:?}");
        }
    }

    #[test]
    fn messages_have_a_bound() {
        assert_eq!(frames(&[0; 5 * MESSAGES]).unwrap().messages.len(), MESSAGES);
        assert_eq!(frames(&[0; 5 * (MESSAGES + 1)]), Err(Unframed::TooMany));
    }

    #[test]
    fn base64_may_come_in_pieces() {
        let plain = |text: &'static str| Framing::WebText.plain(text.as_bytes()).ok();
        assert_eq!(plain("AAAA").as_deref(), Some(&[0, 0, 0][..]));
        assert_eq!(plain("AA==AAA=/w==").as_deref(), Some(&[0, 0, 0, 255][..]));
        assert_eq!(plain(""), Some(Cow::Borrowed(&[][..])));
        for none in ["A", "AA=A", "AAA", "====", "AA==A"] {
            assert_eq!(plain(none), None, "{none}");
        }
        assert_eq!(Framing::Web.plain(b"=").ok().as_deref(), Some(&b"="[..]));
    }
}

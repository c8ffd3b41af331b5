//! Where frames begin in bytes of which nothing is known.
//!
//! # The rule
//!
//! A direction whose frames were lost is found again only at the beginning of a chunk, and only
//! where the chunk is a chain of frames that nothing else can be expected to look like. Every frame
//! header in it must be valid for its type, its direction and its payload, as far as that is
//! there; each frame counts by how much of it had to be just so ([`weight`]); that the last frame
//! ends where the chunk ends counts too, since a sender writes whole frames. [`CERTAIN`] is more
//! than any single frame reaches without its payload having been read, and more than a lone small
//! frame reaches.
//!
//! By this neither text (whose first octet would be a length above 2 MiB), nor TLS records, nor
//! arrays of small numbers are taken for frames: those look like empty DATA or SETTINGS, which
//! count little or nothing. A body that itself holds a copy of HTTP/2 frames right where a packet
//! begins would be; no look at the bytes tells these apart.

use super::frame::{DEFAULT_MAX_LEN, FrameHeader, HEADER_LEN, flag, kind, parse_setting};
use super::head;
use super::hpack::{self, FieldList};
use crate::Limits;
use crate::flow::Direction;

/// What a chunk looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Looks {
    /// It is not frames from its beginning on.
    No,
    /// It may be.
    Maybe,
    /// It is.
    Certain,
}

/// From this weight on a chain is certain.
const CERTAIN: u32 = 6;
/// Weight of a last frame that ends with the chunk.
const ENDS_WITH_CHUNK: u32 = 2;
/// Frames that are looked at.
const FRAMES_MAX: usize = 32;
/// RFC 9113 §7: the largest error code.
const ERROR_CODE_MAX: u32 = 0xd;

/// What `bytes` look like at the beginning of a chunk sent in `direction`.
pub(super) fn looks(direction: Direction, bytes: &[u8], limits: &Limits) -> Looks {
    let mut total = 0;
    let mut rest = bytes;
    for _ in 0..FRAMES_MAX {
        let Some((octets, after)) = rest.split_first_chunk::<HEADER_LEN>() else {
            // A header in part: its length has a first octet of 0, its type is one of few.
            let valid = rest.first().is_none_or(|&first| first == 0)
                && rest.get(3).is_none_or(|&kind| kind <= kind::CONTINUATION);
            if !valid {
                return Looks::No;
            }
            if rest.is_empty() && total > 0 {
                total += ENDS_WITH_CHUNK;
            }
            break;
        };
        let header = FrameHeader::parse(octets);
        let len = header.len as usize;
        let payload = &after[..len.min(after.len())];
        match weight(direction, &header, octets, payload, limits) {
            Some(weight) => total += weight,
            None => return Looks::No,
        }
        match after.get(len..) {
            Some(next) => rest = next,
            None => break,
        }
    }
    if total >= CERTAIN { Looks::Certain } else { Looks::Maybe }
}

/// How much a frame speaks for being one; `None` where it is none.
fn weight(
    direction: Direction,
    header: &FrameHeader,
    octets: &[u8; HEADER_LEN],
    payload: &[u8],
    limits: &Limits,
) -> Option<u32> {
    let reserved_bit = octets[5] & 0x80 != 0;
    if reserved_bit || header.len > DEFAULT_MAX_LEN || !header.is_valid() {
        return None;
    }
    let whole = payload.len() == header.len as usize;
    // Streams that a client opened are odd (§5.1.1). Promised ones are rare enough to wait.
    let of_client = header.stream % 2 == 1;
    let only = |flags: u8| header.flags & !flags == 0;
    match header.kind {
        kind::DATA => {
            let valid = of_client && only(flag::END_STREAM | flag::PADDED);
            valid.then_some(u32::from(header.len > 0))
        }
        kind::HEADERS => {
            let flags = flag::END_STREAM | flag::END_HEADERS | flag::PADDED | flag::PRIORITY;
            let valid = of_client && only(flags);
            if !valid || !whole || !header.has(flag::END_HEADERS) {
                return valid.then_some(2);
            }
            let (prefix, content) = payload.split_at(usize::from(header.prefix_len()));
            let end = content.len().checked_sub(usize::from(header.padding(prefix)))?;
            is_block(direction, &content[..end], limits).then_some(5)
        }
        kind::PRIORITY => (only(0) && of_client).then_some(2),
        kind::RST_STREAM => {
            let code =
                payload.first_chunk().is_none_or(|c| u32::from_be_bytes(*c) <= ERROR_CODE_MAX);
            (only(0) && of_client && code).then_some(3)
        }
        kind::SETTINGS if header.len == 0 => only(flag::ACK).then_some(1),
        kind::SETTINGS => {
            let known = |octets: &[u8; 6]| (1..=0x10).contains(&parse_setting(octets).0);
            let valid = only(0) && payload.as_chunks().0.iter().all(known);
            valid.then_some(if whole { 4 } else { 2 })
        }
        kind::PING => only(flag::ACK).then_some(3),
        kind::GOAWAY => {
            let code = payload
                .get(4..)
                .and_then(<[u8]>::first_chunk)
                .is_none_or(|c| u32::from_be_bytes(*c) <= ERROR_CODE_MAX);
            (only(0) && code).then_some(3)
        }
        kind::WINDOW_UPDATE => {
            let valid = payload
                .first_chunk()
                .is_none_or(|i| (1..1 << 31).contains(&u32::from_be_bytes(*i)));
            (only(0) && valid && (of_client || header.stream == 0)).then_some(3)
        }
        // Parts of a block, promises, and what is not known here: no place to begin.
        _ => None,
    }
}

/// Whether `block` can be a header block sent in `direction`.
fn is_block(direction: Direction, block: &[u8], limits: &Limits) -> bool {
    let list = FieldList::new(limits, block.len(), 0);
    let Some(list) = hpack::without_table(block, list) else { return false };
    !(list.fields.is_empty() && list.unknown == 0) && head::may_be_sent(direction, &list)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::{ToClient, ToServer};

    fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let len = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let head = [len[1], len[2], len[3], kind, flags];
        [&head[..], &stream.to_be_bytes(), payload].concat()
    }

    fn looks_like(direction: Direction, bytes: &[u8]) -> Looks {
        looks(direction, bytes, &Limits::default())
    }

    /// `:method: GET`, `:scheme: http`, `:path: /`, and a reference to the dynamic table.
    const REQUEST: &[u8] = &[0x82, 0x86, 0x84, 0xbe];
    /// `:status: 200`.
    const RESPONSE: &[u8] = &[0x88];

    #[test]
    fn a_head_that_fills_its_chunk_or_is_followed_by_frames_is_certain() {
        let request = frame(kind::HEADERS, flag::END_HEADERS, 7, REQUEST);
        assert_eq!(looks_like(ToServer, &request), Looks::Certain);
        let data = frame(kind::DATA, flag::END_STREAM, 7, &[b'x'; 5000]);
        let both = [request.clone(), data].concat();
        assert_eq!(looks_like(ToServer, &both), Looks::Certain);
        assert_eq!(looks_like(ToServer, &both[..1400]), Looks::Certain);
        let response = frame(kind::HEADERS, flag::END_HEADERS, 7, RESPONSE);
        assert_eq!(looks_like(ToClient, &response), Looks::Certain);
        assert_eq!(looks_like(ToServer, &response), Looks::No, "only a server sends :status");
        assert_eq!(looks_like(ToClient, &request), Looks::No);
    }

    #[test]
    fn a_chain_with_one_wrong_link_is_none() {
        let request = frame(kind::HEADERS, flag::END_HEADERS, 7, REQUEST);
        for wrong in [
            frame(kind::HEADERS, flag::END_HEADERS, 8, REQUEST),
            frame(kind::HEADERS, 0x40, 7, REQUEST),
            frame(kind::DATA, 0, 0, b"x"),
            frame(kind::PING, 0, 0, b"1234567"),
            frame(kind::WINDOW_UPDATE, 0, 0, &[0; 4]),
            frame(0x20, 0, 0, b""),
            frame(kind::HEADERS, flag::END_HEADERS, 7, &[0x80]),
        ] {
            assert_eq!(looks_like(ToServer, &[request.clone(), wrong].concat()), Looks::No);
        }
    }

    #[test]
    fn small_or_empty_frames_alone_are_not_certain() {
        for alone in [
            frame(kind::SETTINGS, flag::ACK, 0, b""),
            frame(kind::SETTINGS, 0, 0, b""),
            frame(kind::PING, 0, 0, &[0; 8]),
            frame(kind::DATA, flag::END_STREAM, 1, b"some body"),
            frame(kind::WINDOW_UPDATE, 0, 0, &[0, 0, 1, 0]),
        ] {
            assert_eq!(looks_like(ToServer, &alone), Looks::Maybe, "{alone:?}");
        }
        let two = frame(kind::WINDOW_UPDATE, 0, 0, &[0, 0, 1, 0]).repeat(2);
        assert_eq!(looks_like(ToServer, &two), Looks::Certain);
    }

    #[test]
    fn other_protocols_and_plain_data_are_no_frames() {
        for bytes in [
            &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
            b"HTTP/1.1 200 OK\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"\x17\x03\x03\x00\x20abcdefghijklmnop",
            b"{\"a\":1,\"b\":[1,2,3]}",
        ] {
            for direction in Direction::BOTH {
                assert_eq!(looks_like(direction, bytes), Looks::No, "{bytes:?}");
            }
        }
        // Small numbers, as binary formats are full of them.
        for step in 1..=64u32 {
            for wide in [2, 4, 8] {
                let numbers: Vec<u8> = (0..512)
                    .flat_map(|n| {
                        (u64::from(n / step) << (64 - 8 * wide)).to_be_bytes()[..wide as usize]
                            .to_vec()
                    })
                    .collect();
                for skip in 0..16 {
                    for direction in Direction::BOTH {
                        let looks = looks_like(direction, &numbers[skip..]);
                        assert_ne!(
                            looks,
                            Looks::Certain,
                            "{wide} octets, step {step}, from {skip}"
                        );
                    }
                }
            }
        }
    }
}

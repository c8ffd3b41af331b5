//! Frame headers (RFC 9113 §4.1, §6).
//!
//! | octets | field |
//! |---|---|
//! | 0..3 | length of the payload |
//! | 3 | type |
//! | 4 | flags |
//! | 5..9 | a reserved bit, and the stream's identifier |

/// Octets of a frame header.
pub(super) const HEADER_LEN: usize = 9;
/// RFC 9113 §4.2: the initial value of SETTINGS_MAX_FRAME_SIZE.
pub(super) const DEFAULT_MAX_LEN: u32 = 1 << 14;
/// RFC 9113 §6.5.2: the largest value of SETTINGS_MAX_FRAME_SIZE.
pub(super) const MAX_LEN: u32 = (1 << 24) - 1;

/// RFC 9113 §6: frame types.
pub(super) mod kind {
    pub(in crate::http2) const DATA: u8 = 0;
    pub(in crate::http2) const HEADERS: u8 = 1;
    pub(in crate::http2) const PRIORITY: u8 = 2;
    pub(in crate::http2) const RST_STREAM: u8 = 3;
    pub(in crate::http2) const SETTINGS: u8 = 4;
    pub(in crate::http2) const PUSH_PROMISE: u8 = 5;
    pub(in crate::http2) const PING: u8 = 6;
    pub(in crate::http2) const GOAWAY: u8 = 7;
    pub(in crate::http2) const WINDOW_UPDATE: u8 = 8;
    pub(in crate::http2) const CONTINUATION: u8 = 9;
}

/// RFC 9113 §6: flags, each defined for some types.
pub(super) mod flag {
    pub(in crate::http2) const END_STREAM: u8 = 0x01;
    pub(in crate::http2) const ACK: u8 = 0x01;
    pub(in crate::http2) const END_HEADERS: u8 = 0x04;
    pub(in crate::http2) const PADDED: u8 = 0x08;
    pub(in crate::http2) const PRIORITY: u8 = 0x20;
}

/// RFC 9113 §6.5.2: parameters that a tap has to know.
pub(super) mod setting {
    pub(in crate::http2) const HEADER_TABLE_SIZE: u16 = 1;
    pub(in crate::http2) const MAX_FRAME_SIZE: u16 = 5;
}

/// What a frame begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHeader {
    /// Octets of payload that follow.
    pub(super) len: u32,
    pub(super) kind: u8,
    pub(super) flags: u8,
    /// 0 is the connection itself.
    pub(super) stream: u32,
}

impl FrameHeader {
    pub(super) fn parse(octets: &[u8; HEADER_LEN]) -> Self {
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = *octets;
        Self {
            len: u32::from_be_bytes([0, l0, l1, l2]),
            kind,
            flags,
            // §4.1: the reserved bit is to be ignored.
            stream: u32::from_be_bytes([s0, s1, s2, s3]) & 0x7fff_ffff,
        }
    }

    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Whether it carries a header block, or a part of one.
    pub(super) fn carries_block(&self) -> bool {
        matches!(self.kind, kind::HEADERS | kind::PUSH_PROMISE | kind::CONTINUATION)
    }

    /// Octets of payload before its content: pad length, priority, and what small frames are made
    /// of.
    pub(super) fn prefix_len(&self) -> u8 {
        let pad = u8::from(self.has(flag::PADDED));
        match self.kind {
            kind::DATA => pad,
            kind::HEADERS => pad + if self.has(flag::PRIORITY) { 5 } else { 0 },
            kind::PUSH_PROMISE => pad + 4,
            kind::RST_STREAM => 4,
            kind::GOAWAY => 8,
            _ => 0,
        }
    }

    /// Octets of padding after the content, by a whole prefix.
    pub(super) fn padding(&self, prefix: &[u8]) -> u8 {
        match self.kind {
            kind::DATA | kind::HEADERS | kind::PUSH_PROMISE if self.has(flag::PADDED) => {
                prefix.first().copied().unwrap_or(0)
            }
            _ => 0,
        }
    }

    /// Whether it may have this length and this stream. (Both are errors by RFC 9113 §6; a frame
    /// of another type may have any.)
    pub(super) fn is_valid(&self) -> bool {
        let of_stream = self.stream != 0;
        match self.kind {
            kind::DATA | kind::HEADERS | kind::PUSH_PROMISE => {
                of_stream && self.len >= u32::from(self.prefix_len())
            }
            kind::CONTINUATION => of_stream,
            kind::PRIORITY => of_stream && self.len == 5,
            kind::RST_STREAM => of_stream && self.len == 4,
            // §6.5: an acknowledgement is empty.
            kind::SETTINGS => {
                !of_stream && self.len.is_multiple_of(6) && (!self.has(flag::ACK) || self.len == 0)
            }
            kind::PING => !of_stream && self.len == 8,
            kind::GOAWAY => !of_stream && self.len >= 8,
            kind::WINDOW_UPDATE => self.len == 4,
            _ => true,
        }
    }
}

/// The settings in a `HTTP2-Settings` field: base64url of a SETTINGS payload (RFC 7540 §3.2.1).
/// What is not valid ends them.
pub(super) fn settings_in_field(value: &[u8]) -> Vec<(u16, u32)> {
    let digits = value.iter().map_while(|&digit| {
        Some(match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'-' | b'+' => 62,
            b'_' | b'/' => 63,
            _ => return None,
        })
    });
    let (mut held, mut bits, mut octets) = (0u32, 0, Vec::new());
    for digit in digits {
        held = held << 6 | u32::from(digit);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            octets.push((held >> bits).to_le_bytes()[0]);
        }
    }
    octets.as_chunks().0.iter().map(parse_setting).collect()
}

/// One parameter of a SETTINGS frame.
pub(super) fn parse_setting(octets: &[u8; 6]) -> (u16, u32) {
    let [i0, i1, v0, v1, v2, v3] = *octets;
    (u16::from_be_bytes([i0, i1]), u32::from_be_bytes([v0, v1, v2, v3]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_header_is_read_and_the_reserved_bit_ignored() {
        let header = FrameHeader::parse(&[0, 1, 2, 1, 0x2c, 0x80, 0, 0, 5]);
        assert_eq!(header, FrameHeader { len: 258, kind: 1, flags: 0x2c, stream: 5 });
        assert_eq!(header.prefix_len(), 6);
        assert_eq!(header.padding(&[7, 0, 0, 0, 0, 0]), 7);
    }

    #[test]
    fn settings_are_read_from_an_upgrade_s_field() {
        // nghttp2's: MAX_CONCURRENT_STREAMS 100, INITIAL_WINDOW_SIZE 65535.
        assert_eq!(settings_in_field(b"AAMAAABkAAQAAP__"), [(3, 100), (4, 65_535)]);
        assert_eq!(settings_in_field(b""), []);
        assert_eq!(settings_in_field(b"AAMAAABk!AAQAAP__"), [(3, 100)]);
    }
}

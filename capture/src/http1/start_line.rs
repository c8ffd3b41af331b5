//! The first line of a message (RFC 9112 §3 and §4).
//!
//! Owns how a request line and a status line are split, and what versions there are. What is not as
//! the standard has it is noted; what can be read in one way only is read.

use memchr::memchr;

use super::notes::Notes;
use super::words::{self, Range, is_token};
use crate::{Anomaly, Version};

/// As a status line begins that keeps to the standard.
pub(super) const VERSION_PREFIX: &[u8] = b"HTTP/1.";
/// As any status line begins.
pub(super) const STATUS_PREFIX: &[u8] = b"HTTP/";

/// The start line without its end, and where the next line begins.
pub(super) fn start_line(bytes: &[u8], notes: &mut Notes) -> Option<(Range, usize)> {
    let end = words::find(b'\n', bytes, 0)?;
    Some((0..strip_cr(bytes, 0, end, notes), end + 1))
}

/// RFC 9112 §2.2: a single LF may be taken as a line's end.
pub(super) fn strip_cr(bytes: &[u8], start: usize, end: usize, notes: &mut Notes) -> usize {
    if end > start && bytes[end - 1] == b'\r' {
        end - 1
    } else {
        notes.note(Anomaly::BareLf);
        end
    }
}

/// What to make of a first line that has a method and no version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubtful {
    /// It may be a request: that of HTTP/0.9 (RFC 1945 §5, Simple-Request) or a mistyped one.
    Taken,
    /// It is none.
    Refused,
}

/// Longer than any registered method: what goes on for longer without a blank is no request,
/// whether its line is whole or not.
pub(super) const LONGEST_METHOD: usize = 64;

/// A request's first line.
pub(super) struct RequestLine {
    pub(super) version: Version,
    pub(super) method: Range,
    pub(super) target: Range,
    /// It has no version.
    pub(super) doubtful: bool,
}

/// RFC 9112 §3: `method SP request-target SP HTTP-version`.
pub(super) fn request_line(
    bytes: &[u8],
    line: Range,
    doubtful: Doubtful,
    notes: &mut Notes,
) -> Option<RequestLine> {
    let text = &bytes[line.clone()];
    // As almost all are: the second space is the last, and before the version.
    if let Some((front, b" HTTP/1.1")) = text.split_last_chunk()
        && let target_end = line.start + front.len()
        && let Some(method_end) = words::find(b' ', bytes, line.start)
        && method_end - line.start <= LONGEST_METHOD
        && method_end + 1 < target_end
        && is_token(&bytes[line.start..method_end])
        && words::find(b' ', bytes, method_end + 1) == Some(target_end)
    {
        return Some(RequestLine {
            version: Version::Http11,
            method: line.start..method_end,
            target: method_end + 1..target_end,
            doubtful: false,
        });
    }
    let method_len = memchr(b' ', text).unwrap_or(text.len());
    let version_at = memchr::memrchr(b' ', text).map_or(text.len(), |at| at + 1);
    if let Some((version, true)) = version(&text[version_at..])
        && method_len <= LONGEST_METHOD
        && is_token(&text[..method_len])
        && let Some(target) = text.get(method_len + 1..version_at - 1)
        && !target.is_empty()
        && memchr(b' ', target).is_none()
    {
        let start = line.start;
        let target = start + method_len + 1..start + version_at - 1;
        return Some(RequestLine {
            version,
            method: start..start + method_len,
            target,
            doubtful: false,
        });
    }
    let line = loose_request_line(bytes, line)?;
    if line.doubtful && doubtful == Doubtful::Refused {
        return None;
    }
    notes.note(Anomaly::BadRequestLine);
    Some(line)
}

/// A first line by its words. RFC 9112 §3: a recipient may take any white space for the SP between
/// them. The target is the second word; a version after more than one other word is none that
/// could be relied on, but shows that a request was meant.
fn loose_request_line(bytes: &[u8], line: Range) -> Option<RequestLine> {
    let word_from = |from: usize| -> Option<Range> {
        let rest = &bytes[from..line.end];
        let start = from + rest.iter().position(|&b| !is_blank(b))?;
        let len = bytes[start..line.end].iter().position(|&b| is_blank(b));
        Some(start..len.map_or(line.end, |len| start + len))
    };
    let method = word_from(line.start).filter(|method| method.start == line.start)?;
    let name = &bytes[method.clone()];
    if name.len() > LONGEST_METHOD || !is_token(name) {
        return None;
    }
    let target = word_from(method.end).unwrap_or(method.end..method.end);
    let rest = trim_blank(bytes, target.end..line.end);
    let last = bytes[rest.clone()].iter().rposition(|&b| is_blank(b)).map_or(0, |at| at + 1);
    let (version, doubtful) = match version(&bytes[rest.start + last..rest.end]) {
        Some((version, _)) if last == 0 => (version, false),
        Some(_) => (Version::Unknown, false),
        None => (Version::Unknown, true),
    };
    // RFC 9113 §3.4: the method of HTTP/2's preface, which is no request.
    let meant = name != b"PRI" && name.iter().all(|b| matches!(b, b'A'..=b'Z' | b'-' | b'_'));
    if doubtful && !meant {
        return None;
    }
    Some(RequestLine { version, method, target, doubtful })
}

/// RFC 9112 §3: what may stand between the words of a request line.
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | 0x0b | 0x0c | b'\r')
}

fn trim_blank(bytes: &[u8], mut range: Range) -> Range {
    while range.start < range.end && is_blank(bytes[range.start]) {
        range.start += 1;
    }
    while range.start < range.end && is_blank(bytes[range.end - 1]) {
        range.end -= 1;
    }
    range
}

/// RFC 9112 §4: `HTTP-version SP status-code SP [reason-phrase]`. The last SP may be missing.
pub(super) fn status_line(
    bytes: &[u8],
    line: Range,
    notes: &mut Notes,
) -> Option<(Version, u16, Range)> {
    let text = &bytes[line.clone()];
    let (version_len, version, exact) = if text.starts_with(b"HTTP/1.1 ") {
        (VERSION_PREFIX.len() + 1, Version::Http11, true)
    } else {
        let len = memchr(b' ', text)?;
        match version(&text[..len]) {
            Some((version, exact)) => (len, version, exact),
            None if is_other_version(&text[..len]) => {
                notes.doubtful = true;
                (len, Version::Unknown, false)
            }
            None => return None,
        }
    };
    let digits = text.get(version_len + 1..version_len + 4)?;
    if !digits.iter().all(u8::is_ascii_digit) || digits[0] == b'0' {
        return None;
    }
    let status = digits.iter().fold(0, |n, digit| n * 10 + u16::from(digit - b'0'));
    let reason = match text.get(version_len + 4) {
        None => line.end..line.end,
        Some(b' ') => line.start + version_len + 5..line.end,
        Some(_) => return None,
    };
    if !exact {
        notes.note(Anomaly::BadStatusLine);
    }
    Some((version, status, reason))
}

/// The version, and whether it is written as it should be (RFC 9112 §2.3: case-sensitive).
fn version(text: &[u8]) -> Option<(Version, bool)> {
    let (prefix, minor) = text.split_at_checked(VERSION_PREFIX.len())?;
    let version = match minor {
        b"1" => Version::Http11,
        b"0" => Version::Http10,
        // RFC 9110 §2.5: a higher minor version is read as the highest known.
        [b'2'..=b'9'] => Version::Http11,
        _ => return None,
    };
    prefix.eq_ignore_ascii_case(VERSION_PREFIX).then_some((version, prefix == VERSION_PREFIX))
}

/// Whether `text` is a version as HTTP/1 has it, but none of its own: `HTTP/2.0`, `HTTP/1.01`. Some
/// servers write them; how they mean the rest to be read cannot be relied on.
fn is_other_version(text: &[u8]) -> bool {
    let Some((name, numbers)) = text.split_at_checked(STATUS_PREFIX.len()) else { return false };
    let digits = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    let mut parts = numbers.splitn(2, |&b| b == b'.');
    name.eq_ignore_ascii_case(STATUS_PREFIX)
        && parts.next().is_some_and(digits)
        && parts.next().is_some_and(digits)
}

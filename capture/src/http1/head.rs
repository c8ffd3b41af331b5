//! Message heads (RFC 9112 §2 to §5): start line and field lines, up to the empty line.
//!
//! Owns the syntax of heads and trailers, and recognises the few fields that decide where a body
//! ends. Refuses nothing that can be read in one way only: what is not as the standard has it is
//! tolerated and noted.
//!
//! Invariants:
//! - A head that lies in one piece is read once, in place, and copied once. One that comes in
//!   pieces is scanned once for its end ([`HeadBuffer`]), then read once: linear in its length
//!   however it is cut.
//! - Notes are taken with the head, so that reading it in vain counts nothing twice.

use memchr::memchr;

use crate::message::Span;
use crate::{Anomaly, Fields, Version};

/// A request's head.
#[derive(Debug)]
pub(super) struct RequestHead {
    pub(super) version: Version,
    pub(super) fields: Fields,
    pub(super) method: Method,
    pub(super) framing: FramingFields,
    pub(super) notes: Notes,
    /// Only an answer in HTTP shows that this is a request: its first line has no version.
    pub(super) doubtful_line: bool,
}

/// The methods that decide how a response is framed (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Head,
    Connect,
    Other,
}

/// A response's head.
#[derive(Debug)]
pub(super) struct ResponseHead {
    pub(super) version: Version,
    pub(super) status: u16,
    pub(super) fields: Fields,
    pub(super) framing: FramingFields,
    pub(super) notes: Notes,
}

/// What the fields say about the message's length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FramingFields {
    pub(super) length: ContentLength,
    pub(super) coding: TransferCoding,
    /// There is an Upgrade field.
    pub(super) upgrade: bool,
    /// A Connection field says `close`.
    pub(super) closes: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum ContentLength {
    #[default]
    Absent,
    Known(u64),
    /// Several numbers that differ, and which comes last.
    Differing(u64),
    /// Not a number.
    Bad,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum TransferCoding {
    #[default]
    Absent,
    /// chunked and nothing else.
    Chunked,
    /// chunked last, over codings that are not undone here.
    ChunkedOver,
    /// chunked, and after it only names that no coding has.
    ChunkedUnder,
    /// Ends in something else than chunked.
    Unknown,
}

/// What was odd about a head that was read nevertheless.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// Each once per head. Never allocates for a head as it should be.
    pub(super) anomalies: Vec<Anomaly>,
    /// A line was left out: what it said is not known.
    pub(super) line_lost: bool,
    /// Where the head ends, or what it says about the body, is written so that peers read it
    /// differently: what follows the message has no certain place.
    pub(super) doubtful: bool,
}

impl Notes {
    fn note(&mut self, anomaly: Anomaly) {
        if !self.anomalies.contains(&anomaly) {
            self.anomalies.push(anomaly);
        }
    }
}

/// What came of reading a head.
#[derive(Debug)]
pub(super) enum Parsed<T> {
    /// Its end is not there yet.
    Need,
    /// It ends after `used` bytes.
    Done { used: usize, head: T },
    /// It is none, or above a cap.
    Bad(Anomaly),
}

/// How to take a head that has no end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// More will come: [`Parsed::Need`].
    Awaited,
    /// Nothing more will come: take the lines that are whole, up to the cap of fields. Without a
    /// whole start line it is [`Parsed::Need`] nevertheless.
    Cut,
    /// It is known to end with `bytes`.
    Here,
}

/// What to make of a first line that has a method and no version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubtful {
    /// It may be a request: that of HTTP/0.9 (RFC 1945 §5, Simple-Request) or a mistyped one.
    Taken,
    /// It is none.
    Refused,
}

/// Reads a request's head at the start of `bytes`. `expected_fields` is for the allocation.
pub(super) fn parse_request(
    bytes: &[u8],
    max_fields: usize,
    expected_fields: usize,
    doubtful: Doubtful,
    end: End,
) -> Parsed<RequestHead> {
    let mut notes = Notes::default();
    let Some((line, after)) = start_line(bytes, &mut notes) else {
        let garbage = cannot_be_request(bytes, doubtful);
        return if garbage { Parsed::Bad(Anomaly::BadRequestLine) } else { Parsed::Need };
    };
    let Some(line) = request_line(bytes, line, doubtful, &mut notes) else {
        return Parsed::Bad(Anomaly::BadRequestLine);
    };
    let RequestLine { version, method, target, doubtful: doubtful_line } = line;
    let kind = match &bytes[method.clone()] {
        b"HEAD" => Method::Head,
        b"CONNECT" => Method::Connect,
        _ => Method::Other,
    };
    let mut lines = FieldLines::new(notes, expected_fields);
    match lines.read(bytes, after, max_fields, end) {
        LinesRead::Need => Parsed::Need,
        LinesRead::Bad(anomaly) => Parsed::Bad(anomaly),
        LinesRead::Done { used } => {
            let first_line = [Span::new(method), Span::new(target), Span::default()];
            let (fields, framing, notes) = lines.into_fields(&bytes[..used], first_line);
            let head = RequestHead { version, fields, method: kind, framing, notes, doubtful_line };
            Parsed::Done { used, head }
        }
    }
}

/// Reads a response's head at the start of `bytes`. `expected_fields` is for the allocation.
pub(super) fn parse_response(
    bytes: &[u8],
    max_fields: usize,
    expected_fields: usize,
    end: End,
) -> Parsed<ResponseHead> {
    let mut notes = Notes::default();
    let Some((line, after)) = start_line(bytes, &mut notes) else {
        let garbage = cannot_be_response(bytes);
        return if garbage { Parsed::Bad(Anomaly::BadStatusLine) } else { Parsed::Need };
    };
    let Some((version, status, reason)) = status_line(bytes, line, &mut notes) else {
        return Parsed::Bad(Anomaly::BadStatusLine);
    };
    let mut lines = FieldLines::new(notes, expected_fields);
    match lines.read(bytes, after, max_fields, end) {
        LinesRead::Need => Parsed::Need,
        LinesRead::Bad(anomaly) => Parsed::Bad(anomaly),
        LinesRead::Done { used } => {
            let first_line = [Span::new(reason), Span::default(), Span::default()];
            let (fields, framing, notes) = lines.into_fields(&bytes[..used], first_line);
            Parsed::Done { used, head: ResponseHead { version, status, fields, framing, notes } }
        }
    }
}

/// Reads a trailer section that ends with its empty line.
pub(super) fn parse_trailers(bytes: &[u8], max_fields: usize) -> Parsed<(Fields, Notes)> {
    let mut lines = FieldLines::new(Notes::default(), 0);
    match lines.read(bytes, 0, max_fields, End::Here) {
        LinesRead::Need => Parsed::Need,
        LinesRead::Bad(anomaly) => Parsed::Bad(anomaly),
        LinesRead::Done { used } => {
            let (fields, _, notes) = lines.into_fields(&bytes[..used], [Span::default(); 3]);
            Parsed::Done { used, head: (fields, notes) }
        }
    }
}

/// Whether `bytes` begin with a request line as the standard has it: `None` where they end within
/// what may become one.
pub(super) fn starts_with_request_line(bytes: &[u8]) -> Option<bool> {
    let mut notes = Notes::default();
    if let Some((line, _)) = start_line(bytes, &mut notes) {
        let parts = request_line(bytes, line, Doubtful::Refused, &mut notes);
        return Some(parts.is_some() && notes.anomalies.is_empty());
    }
    let text = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    let method = text.split(|&b| b == b' ').next().unwrap_or(text);
    let possible = is_token(method) && text.iter().all(|b| (b' '..=b'~').contains(b));
    if possible { None } else { Some(false) }
}

/// Whether `bytes` begin as a status line does, as far as they go.
pub(super) fn starts_like_status_line(bytes: &[u8]) -> bool {
    let len = bytes.len().min(VERSION_PREFIX.len());
    bytes[..len] == VERSION_PREFIX[..len]
}

/// A head (or trailer section) that comes in pieces: kept and scanned for the empty line that ends
/// it.
#[derive(Debug, Default)]
pub(super) struct HeadBuffer {
    bytes: Vec<u8>,
    /// Where the line begins whose end was not seen yet.
    line_start: usize,
}

/// What came of a piece.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Scanned {
    /// All of it was taken and the end is still to come. `telling`: it may have shown that this
    /// is no head at all.
    Need { telling: bool },
    /// `used` bytes of it were taken; the head is whole.
    Whole { used: usize },
    /// There are more bytes than the cap and no end.
    TooLarge,
}

impl HeadBuffer {
    /// Prefix within which garbage is told from a start line.
    const TELLING_BYTES: usize = 96;

    /// Bytes of memory held.
    pub(super) fn held_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// Takes bytes up to the end of the head.
    pub(super) fn push(&mut self, piece: &[u8], cap: usize) -> Scanned {
        work::note(piece.len());
        let before = self.bytes.len();
        let in_start_line = self.line_start == 0;
        let piece = &piece[..piece.len().min(cap.saturating_sub(before) + 1)];
        let mut from = 0;
        if let Some(used) = self.ends_with_bare_cr(piece) {
            self.bytes.extend_from_slice(&piece[..used]);
            return Scanned::Whole { used };
        }
        while let Some(at) = memchr(b'\n', &piece[from..]) {
            let end = from + at;
            let empty = self.is_empty_line(&piece[..end]);
            from = end + 1;
            self.line_start = before + from;
            if empty && self.line_start <= cap {
                self.bytes.extend_from_slice(&piece[..from]);
                return Scanned::Whole { used: from };
            }
            if let Some(used) = self.ends_with_bare_cr(piece) {
                self.bytes.extend_from_slice(&piece[..used]);
                return Scanned::Whole { used };
            }
        }
        self.bytes.extend_from_slice(piece);
        if self.bytes.len() > cap {
            return Scanned::TooLarge;
        }
        let start_line_ended = self.line_start > 0;
        let telling = in_start_line && (start_line_ended || before <= Self::TELLING_BYTES);
        Scanned::Need { telling }
    }

    /// Whether the line from `line_start` to the end of `piece`, which follows what is kept, is
    /// empty but for a CR.
    fn is_empty_line(&self, piece: &[u8]) -> bool {
        match self.line_start.checked_sub(self.bytes.len()) {
            Some(start) => matches!(&piece[start..], b"" | b"\r"),
            None => matches!((&self.bytes[self.line_start..], piece), (b"\r", b"")),
        }
    }

    /// Where the head ends in `piece`, if the line from `line_start` on is empty but for a CR that
    /// no LF follows (see [`FieldLines::read`]).
    fn ends_with_bare_cr(&self, piece: &[u8]) -> Option<usize> {
        let before = self.bytes.len();
        let at = |place: usize| match place.checked_sub(before) {
            Some(place) => piece.get(place),
            None => self.bytes.get(place),
        };
        let ends = self.line_start > 0
            && at(self.line_start) == Some(&b'\r')
            && at(self.line_start + 1).is_some_and(|&next| next != b'\n');
        ends.then(|| (self.line_start + 1).saturating_sub(before))
    }

    /// What was taken so far.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether nothing was taken yet.
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Forgets what was taken, and gives its memory back: a connection that waits holds none.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Whether `bytes` can be no beginning of a request, by their first line or as much as there is of
/// it.
pub(super) fn cannot_be_request(bytes: &[u8], doubtful: Doubtful) -> bool {
    work::note(bytes.len());
    let mut notes = Notes::default();
    if let Some((line, _)) = start_line(bytes, &mut notes) {
        return request_line(bytes, line, doubtful, &mut notes).is_none();
    }
    let end = bytes.iter().position(|&b| is_blank(b)).unwrap_or(bytes.len());
    end > LONGEST_METHOD || !is_token(&bytes[..end])
}

/// Whether `bytes` can be no beginning of a response, by their first line or as much as there is of
/// it.
pub(super) fn cannot_be_response(bytes: &[u8]) -> bool {
    work::note(bytes.len());
    let mut notes = Notes::default();
    if let Some((line, _)) = start_line(bytes, &mut notes) {
        return status_line(bytes, line, &mut notes).is_none();
    }
    let len = bytes.len().min(STATUS_PREFIX.len());
    !bytes[..len].eq_ignore_ascii_case(&STATUS_PREFIX[..len])
}

const VERSION_PREFIX: &[u8] = b"HTTP/1.";
const STATUS_PREFIX: &[u8] = b"HTTP/";

type Range = std::ops::Range<usize>;

/// The start line without its end, and where the next line begins.
fn start_line(bytes: &[u8], notes: &mut Notes) -> Option<(Range, usize)> {
    let end = memchr(b'\n', bytes)?;
    Some((0..strip_cr(bytes, 0, end, notes), end + 1))
}

/// RFC 9112 §2.2: a single LF may be taken as a line's end.
fn strip_cr(bytes: &[u8], start: usize, end: usize, notes: &mut Notes) -> usize {
    if end > start && bytes[end - 1] == b'\r' {
        end - 1
    } else {
        notes.note(Anomaly::BareLf);
        end
    }
}

/// Longer than any registered method.
const LONGEST_METHOD: usize = 64;

/// A request's first line.
struct RequestLine {
    version: Version,
    method: Range,
    target: Range,
    /// It has no version.
    doubtful: bool,
}

/// RFC 9112 §3: `method SP request-target SP HTTP-version`.
fn request_line(
    bytes: &[u8],
    line: Range,
    doubtful: Doubtful,
    notes: &mut Notes,
) -> Option<RequestLine> {
    let text = &bytes[line.clone()];
    let method_len = memchr(b' ', text).unwrap_or(text.len());
    let version_at = memchr::memrchr(b' ', text).map_or(text.len(), |at| at + 1);
    if let Some((version, true)) = version(&text[version_at..])
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
fn is_blank(byte: u8) -> bool {
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
fn status_line(bytes: &[u8], line: Range, notes: &mut Notes) -> Option<(Version, u16, Range)> {
    let text = &bytes[line.clone()];
    let version_len = memchr(b' ', text)?;
    let (version, exact) = match version(&text[..version_len]) {
        Some(told) => told,
        None if is_other_version(&text[..version_len]) => {
            notes.doubtful = true;
            (Version::Unknown, false)
        }
        None => return None,
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

/// Field lines of one head as they are read.
struct FieldLines {
    fields: Vec<(Span, Span)>,
    /// Values joined from several lines, by field.
    folded: Vec<(usize, Vec<u8>)>,
    framing: FramingFields,
    notes: Notes,
}

enum LinesRead {
    Need,
    Done { used: usize },
    Bad(Anomaly),
}

impl FieldLines {
    fn new(notes: Notes, expected: usize) -> Self {
        Self {
            fields: Vec::with_capacity(expected),
            folded: Vec::new(),
            framing: FramingFields::default(),
            notes,
        }
    }

    /// Reads lines from `at` to the empty one.
    fn read(&mut self, bytes: &[u8], mut at: usize, max_fields: usize, end: End) -> LinesRead {
        /// The field that a folded line would continue.
        enum Last {
            None,
            Field,
            LeftOut,
        }
        let mut last = Last::None;
        work::note(bytes.len());
        loop {
            // RFC 9112 §2.2 calls a CR without LF invalid. Ours: alone in its line it ends the
            // head, as it does for the peers that take a CR for a line's end.
            if bytes.get(at) == Some(&b'\r') && bytes.get(at + 1).is_some_and(|&b| b != b'\n') {
                self.doubt_bare_cr();
                return LinesRead::Done { used: at + 1 };
            }
            // A name as it should be, and its colon, are read on the way to the line's end: the
            // bytes of most lines are looked at once.
            let name_len = bytes[at..].iter().take_while(|&&b| TCHAR[b as usize]).count();
            let Some(len) = memchr(b'\n', &bytes[at + name_len..]).map(|len| name_len + len) else {
                return match end {
                    End::Awaited => LinesRead::Need,
                    End::Cut => LinesRead::Done { used: at },
                    End::Here => {
                        self.doubt_bare_cr();
                        LinesRead::Done { used: bytes.len() }
                    }
                };
            };
            let line = at..strip_cr(bytes, at, at + len, &mut self.notes);
            let next = at + len + 1;
            match bytes[line.clone()] {
                [] => return LinesRead::Done { used: next },
                [b' ' | b'\t', ..] => match last {
                    Last::Field => self.fold(bytes, line),
                    Last::None | Last::LeftOut => self.leave_out(),
                },
                _ if self.fields.len() == max_fields => {
                    return match end {
                        End::Awaited | End::Here => LinesRead::Bad(Anomaly::TooManyFields),
                        End::Cut => LinesRead::Done { used: at },
                    };
                }
                _ => {
                    let named = name_len > 0 && bytes[at + name_len] == b':';
                    last = if named {
                        self.named(bytes, at..at + name_len, line.end);
                        Last::Field
                    } else if self.field(bytes, line) {
                        Last::Field
                    } else {
                        self.leave_out();
                        Last::LeftOut
                    };
                }
            }
            at = next;
        }
    }

    fn doubt_bare_cr(&mut self) {
        self.notes.note(Anomaly::BareCr);
        self.notes.doubtful = true;
    }

    fn leave_out(&mut self) {
        self.notes.note(Anomaly::BadFieldLine);
        self.notes.line_lost = true;
    }

    /// Takes the line whose name is this and followed by its colon.
    fn named(&mut self, bytes: &[u8], name: Range, line_end: usize) {
        let value = trim(bytes, name.end + 1..line_end);
        self.recognise(&bytes[name.clone()], &bytes[value.clone()]);
        self.fields.push((Span::new(name), Span::new(value)));
    }

    /// Reads one line that may not be as it should; false if it is none.
    fn field(&mut self, bytes: &[u8], line: Range) -> bool {
        let Some(colon) = memchr(b':', &bytes[line.clone()]) else { return false };
        let mut name = line.start..line.start + colon;
        // RFC 9112 §5.1: no white space is allowed between name and colon.
        while name.end > name.start && matches!(bytes[name.end - 1], b' ' | b'\t') {
            name.end -= 1;
            self.notes.note(Anomaly::SpaceBeforeColon);
        }
        if !is_token(&bytes[name.clone()]) {
            return false;
        }
        let value = trim(bytes, line.start + colon + 1..line.end);
        self.recognise(&bytes[name.clone()], &bytes[value.clone()]);
        self.fields.push((Span::new(name), Span::new(value)));
        true
    }

    /// RFC 9112 §5.2: a line that begins with white space continues the value before it.
    fn fold(&mut self, bytes: &[u8], line: Range) {
        self.notes.note(Anomaly::ObsFold);
        let index = self.fields.len() - 1;
        if self.folded.last().is_none_or(|&(folded, _)| folded != index) {
            let (_, value) = self.fields[index];
            self.folded.push((index, bytes[value.range()].to_vec()));
        }
        if let Some((_, joined)) = self.folded.last_mut() {
            let more = &bytes[trim(bytes, line)];
            // RFC 9110 §5.6.1.2: an empty element adds nothing to a list.
            if !matches!(more, b"" | b",") {
                if !joined.is_empty() {
                    joined.push(b' ');
                }
                joined.extend_from_slice(more);
            }
        }
    }

    /// Takes what a field says about the message's body, by the name's length first. True for a
    /// field that says something of it.
    #[inline]
    fn recognise(&mut self, name: &[u8], value: &[u8]) -> bool {
        match (name.len(), name[0] | 0x20) {
            (14, b'c') if name.eq_ignore_ascii_case(b"content-length") => {
                self.framing.length = self.framing.length.and(value);
            }
            (17, b't') if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                self.framing.coding = self.framing.coding.and(value);
            }
            // RFC 9112 §2.2: a CR in a line makes it invalid, or stands for SP.
            (16, b'c') if name.eq_ignore_ascii_case(b"content-encoding") => {
                if memchr(b'\r', value).is_some() {
                    self.doubt_bare_cr();
                }
            }
            (10, b'c') if name.eq_ignore_ascii_case(b"connection") => {
                self.framing.closes |= value
                    .split(|&b| b == b',')
                    .any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"));
                return false;
            }
            (7, b'u') if name.eq_ignore_ascii_case(b"upgrade") => {
                self.framing.upgrade = true;
                return false;
            }
            _ => return false,
        }
        true
    }

    fn into_fields(mut self, head: &[u8], first_line: [Span; 3]) -> (Fields, FramingFields, Notes) {
        if self.folded.is_empty() {
            let fields = Fields::from_parts(head.to_vec(), first_line, self.fields);
            return (fields, self.framing, self.notes);
        }
        let mut bytes = head.to_vec();
        for (index, value) in &self.folded {
            let start = bytes.len();
            bytes.extend_from_slice(value);
            self.fields[*index].1 = Span::new(start..bytes.len());
        }
        // A framing field may have been folded: what it says is known only now.
        let fields = Fields::from_parts(bytes, first_line, self.fields);
        self.framing = FramingFields::default();
        let mut again = Self { fields: Vec::new(), folded: Vec::new(), ..Self::new(self.notes, 0) };
        let mut folded = self.folded.iter().map(|&(index, _)| index).peekable();
        for (index, (name, value)) in fields.iter().enumerate() {
            let was_folded = folded.next_if_eq(&index).is_some();
            let frames = again.recognise(name, value);
            // RFC 9112 §5.2 has the line break stand for SP, and lets a server refuse it: peers
            // differ, so what is folded here is read, and not relied on.
            again.notes.doubtful |= was_folded && frames;
        }
        (fields, again.framing, again.notes)
    }
}

impl ContentLength {
    /// This and one more Content-Length value.
    ///
    /// RFC 9112 §6.3 item 5: a list of equal numbers stands for one of them; anything else is
    /// invalid.
    fn and(mut self, value: &[u8]) -> Self {
        for part in value.split(|&b| b == b',') {
            self = match (self, decimal(&part[trim(part, 0..part.len())])) {
                (Self::Absent, Some(length)) => Self::Known(length),
                (Self::Known(known), Some(length)) if known == length => self,
                (Self::Known(_) | Self::Differing(_), Some(length)) => Self::Differing(length),
                _ => Self::Bad,
            };
        }
        self
    }
}

/// The transfer codings there are besides chunked (RFC 9112 §7.2): any other name is of none.
const CODINGS: [&[u8]; 5] = [b"compress", b"deflate", b"gzip", b"x-compress", b"x-gzip"];

impl TransferCoding {
    /// This and the codings of one more Transfer-Encoding value.
    fn and(mut self, value: &[u8]) -> Self {
        for part in value.split(|&b| b == b',') {
            let name = part.split(|&b| b == b';').next().unwrap_or(part);
            let name = &name[trim(name, 0..name.len())];
            self = if name.is_empty() || name.eq_ignore_ascii_case(b"identity") {
                // RFC 2616 §3.6 knew identity as "no coding".
                self
            } else if name.eq_ignore_ascii_case(b"chunked") {
                match self {
                    Self::Absent => Self::Chunked,
                    Self::Unknown => Self::ChunkedOver,
                    // RFC 9112 §7.1: not to be applied more than once.
                    Self::Chunked | Self::ChunkedOver | Self::ChunkedUnder => Self::Unknown,
                }
            } else {
                let applied = CODINGS.iter().any(|coding| name.eq_ignore_ascii_case(coding));
                match self {
                    Self::Chunked | Self::ChunkedOver | Self::ChunkedUnder if !applied => {
                        Self::ChunkedUnder
                    }
                    _ => Self::Unknown,
                }
            };
        }
        self
    }
}

fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |n, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        n.checked_mul(10)?.checked_add(digit)
    })
}

/// Without white space around it (RFC 9110 §5.6.3: OWS is SP and HT).
fn trim(bytes: &[u8], mut range: Range) -> Range {
    while range.start < range.end && matches!(bytes[range.start], b' ' | b'\t') {
        range.start += 1;
    }
    while range.start < range.end && matches!(bytes[range.end - 1], b' ' | b'\t') {
        range.end -= 1;
    }
    range
}

/// RFC 9110 §5.6.2: one or more tchar.
fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&b| TCHAR[b as usize])
}

const TCHAR: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = matches!(
            byte as u8,
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z'
            | b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_'
            | b'`' | b'|' | b'~'
        );
        byte += 1;
    }
    table
};

/// Bytes looked at, counted for the test that holds heads to linear time.
pub(super) mod work {
    #[cfg(test)]
    thread_local! {
        static BYTES: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
    }

    /// Counts `bytes`; nothing outside tests.
    pub(super) fn note(bytes: usize) {
        #[cfg(test)]
        BYTES.with(|all| all.set(all.get() + bytes));
        #[cfg(not(test))]
        let _ = bytes;
    }

    /// What was counted on this thread since the last time.
    #[cfg(test)]
    pub(in crate::http1) fn taken() -> usize {
        BYTES.with(|all| all.replace(0))
    }
}

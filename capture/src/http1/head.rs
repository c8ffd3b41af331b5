//! Message heads (RFC 9112 §2 to §5): start line and field lines, up to the empty line.
//!
//! Owns the syntax of heads and trailers after their first line ([`super::start_line`]), and
//! recognises the few fields that decide where a body ends. Refuses nothing that can be read in one way only: what is not as the standard has it is
//! tolerated and noted.
//!
//! Invariants:
//! - A head that lies in one piece is read once, in place, and copied once,
//!   with its spans behind it. One that comes in
//!   pieces is scanned once for its end ([`super::head_buffer`]), then read once: linear in its length
//!   however it is cut.
//! - Notes are taken with the head, so that reading it in vain counts nothing twice.

use memchr::memchr;

use super::notes::Notes;
use super::start_line::{
    Doubtful, LONGEST_METHOD, RequestLine, STATUS_PREFIX, VERSION_PREFIX, is_blank, request_line,
    start_line, status_line, strip_cr,
};
use super::words::{self, Range, TCHAR, is_token};
use crate::message::{FieldSpans, Span};
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

/// Reads a request's head at the start of `bytes`. `scratch` is where its fields' spans are gathered;
/// what is in it does not matter.
pub(super) fn parse_request(
    bytes: &[u8],
    max_fields: usize,
    scratch: &mut FieldSpans,
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
    let mut lines = FieldLines::new(notes, scratch);
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

/// Reads a response's head at the start of `bytes`. `scratch` is where its fields' spans are gathered;
/// what is in it does not matter.
pub(super) fn parse_response(
    bytes: &[u8],
    max_fields: usize,
    scratch: &mut FieldSpans,
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
    let mut lines = FieldLines::new(notes, scratch);
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
pub(super) fn parse_trailers(
    bytes: &[u8],
    max_fields: usize,
    scratch: &mut FieldSpans,
) -> Parsed<(Fields, Notes)> {
    let mut lines = FieldLines::new(Notes::default(), scratch);
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

/// Field lines of one head as they are read.
struct FieldLines<'a> {
    fields: &'a mut FieldSpans,
    /// Values joined from several lines, by field.
    folded: Vec<(usize, Vec<u8>)>,
    framing: FramingFields,
    notes: Notes,
}

#[derive(Debug, PartialEq, Eq)]
enum LinesRead {
    Need,
    Done { used: usize },
    Bad(Anomaly),
}

/// What came of a line.
enum LineRead {
    /// The next one begins here.
    Next(usize),
    /// There is none.
    End(LinesRead),
}

/// The field that a folded line would continue.
enum Last {
    None,
    Field,
    LeftOut,
}

impl<'a> FieldLines<'a> {
    fn new(notes: Notes, fields: &'a mut FieldSpans) -> Self {
        fields.clear();
        Self { fields, folded: Vec::new(), framing: FramingFields::default(), notes }
    }

    /// Reads lines from `at` to the empty one.
    fn read(&mut self, bytes: &[u8], mut at: usize, max_fields: usize, end: End) -> LinesRead {
        let mut last = Last::None;
        work::note(bytes.len());
        loop {
            while self.fields.len() < max_fields
                && let Some(line) = plain_line(bytes, at)
            {
                self.named(bytes, at..line.colon, line.end);
                last = Last::Field;
                at = line.end + 2;
            }
            match self.read_line(bytes, at, max_fields, end, &mut last) {
                LineRead::Next(next) => at = next,
                LineRead::End(read) => return read,
            }
        }
    }

    /// Reads the line at `at`, whatever it is; of a plain one it makes what [`FieldLines::read`]
    /// makes of it faster.
    fn read_line(
        &mut self,
        bytes: &[u8],
        at: usize,
        max_fields: usize,
        end: End,
        last: &mut Last,
    ) -> LineRead {
        // RFC 9112 §2.2 calls a CR without LF invalid. Ours: alone in its line it ends the
        // head, as it does for the peers that take a CR for a line's end.
        match bytes[at..] {
            [b'\r', b'\n', ..] => return LineRead::End(LinesRead::Done { used: at + 2 }),
            [b'\r', _, ..] => {
                self.doubt_bare_cr();
                return LineRead::End(LinesRead::Done { used: at + 1 });
            }
            _ => {}
        }
        // A name as it should be, and its colon, are read on the way to the line's end: the
        // bytes of most lines are looked at once.
        let name_len = bytes[at..].iter().take_while(|&&b| TCHAR[b as usize]).count();
        let Some(len) = memchr(b'\n', &bytes[at + name_len..]).map(|len| name_len + len) else {
            return LineRead::End(match end {
                End::Awaited => LinesRead::Need,
                End::Cut => LinesRead::Done { used: at },
                End::Here => {
                    self.doubt_bare_cr();
                    LinesRead::Done { used: bytes.len() }
                }
            });
        };
        let line = at..strip_cr(bytes, at, at + len, &mut self.notes);
        let next = at + len + 1;
        match bytes[line.clone()] {
            [] => return LineRead::End(LinesRead::Done { used: next }),
            [b' ' | b'\t', ..] => match last {
                Last::Field => self.fold(bytes, line),
                Last::None | Last::LeftOut => self.leave_out(),
            },
            _ if self.fields.len() == max_fields => {
                return LineRead::End(match end {
                    End::Awaited | End::Here => LinesRead::Bad(Anomaly::TooManyFields),
                    End::Cut => LinesRead::Done { used: at },
                });
            }
            _ => {
                let named = name_len > 0 && bytes[at + name_len] == b':';
                *last = if named {
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
        LineRead::Next(next)
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
    #[inline(always)]
    fn named(&mut self, bytes: &[u8], name: Range, line_end: usize) {
        let value = match bytes[name.end + 1..line_end] {
            // As almost all are: one space, then the value, with no white space around it.
            [b' ', first, .., last] if first > b' ' && last > b' ' => name.end + 2..line_end,
            _ => trim(bytes, name.end + 1..line_end),
        };
        if may_frame(name.len()) {
            self.recognise(&bytes[name.clone()], &bytes[value.clone()]);
        }
        self.fields.push(Span::new(name), Span::new(value));
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
        self.fields.push(Span::new(name), Span::new(value));
        true
    }

    /// RFC 9112 §5.2: a line that begins with white space continues the value before it.
    fn fold(&mut self, bytes: &[u8], line: Range) {
        self.notes.note(Anomaly::ObsFold);
        let index = self.fields.len() - 1;
        if self.folded.last().is_none_or(|&(folded, _)| folded != index) {
            let (_, value) = self.fields.get(index);
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
    /// field that says something of it. A name of another length is added to [`may_frame`] too.
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

    fn into_fields(self, head: &[u8], first_line: [Span; 3]) -> (Fields, FramingFields, Notes) {
        if self.folded.is_empty() {
            let fields = Fields::new(head, first_line, self.fields);
            return (fields, self.framing, self.notes);
        }
        let mut text = head.to_vec();
        for (index, value) in &self.folded {
            let start = text.len();
            text.extend_from_slice(value);
            self.fields.move_value(*index, Span::new(start..text.len()));
        }
        // A framing field may have been folded: what it says is known only now.
        let fields = Fields::new(&text, first_line, self.fields);
        let mut folded = self.folded.iter().map(|&(index, _)| index).peekable();
        let mut again = Self::new(self.notes, self.fields);
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

/// Whether [`FieldLines::recognise`] knows a name of this length.
#[inline]
fn may_frame(name_len: usize) -> bool {
    const LENGTHS: u32 = 1 << 7 | 1 << 10 | 1 << 14 | 1 << 16 | 1 << 17;
    name_len < 32 && LENGTHS >> name_len & 1 == 1
}

/// A field line as almost all are.
struct PlainLine {
    colon: usize,
    /// Where its CRLF begins.
    end: usize,
}

/// The line at `at`, where it is a name of letters and hyphens, a colon, a value and CRLF, found
/// sixteen bytes at a time. `None` for any other line, and for all of a head shorter than that.
#[inline]
fn plain_line(bytes: &[u8], at: usize) -> Option<PlainLine> {
    let colon = words::end_of_letters(bytes, at)?;
    if colon == at || bytes[colon] != b':' {
        return None;
    }
    let feed = words::find(b'\n', bytes, colon + 1)?;
    (bytes[feed - 1] == b'\r').then_some(PlainLine { colon, end: feed - 1 })
}

impl ContentLength {
    /// This and one more Content-Length value.
    ///
    /// RFC 9112 §6.3 item 5: a list of equal numbers stands for one of them; anything else is
    /// invalid.
    fn and(mut self, value: &[u8]) -> Self {
        if let (Self::Absent, Some(length)) = (self, decimal(value)) {
            return Self::Known(length);
        }
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

/// Bytes looked at, counted for the test that holds heads to linear time.
pub(super) mod work {
    #[cfg(test)]
    thread_local! {
        static BYTES: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
    }

    /// Counts `bytes`; nothing outside tests.
    pub(in crate::http1) fn note(bytes: usize) {
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

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    /// What is made of field lines: the outcome, spans, framing, and what they say against
    /// themselves.
    type Told = (LinesRead, Vec<(Span, Span)>, FramingFields, Vec<Anomaly>, bool, bool);

    fn read(bytes: &[u8], max_fields: usize, end: End, fast: bool) -> Told {
        let mut scratch = FieldSpans::default();
        let mut lines = FieldLines::new(Notes::default(), &mut scratch);
        let read = if fast {
            lines.read(bytes, 0, max_fields, end)
        } else {
            let (mut at, mut last) = (0, Last::None);
            loop {
                match lines.read_line(bytes, at, max_fields, end, &mut last) {
                    LineRead::Next(next) => at = next,
                    LineRead::End(read) => break read,
                }
            }
        };
        let FieldLines { framing, notes, .. } = lines;
        let Notes { anomalies, line_lost, doubtful } = notes;
        (read, scratch.iter().collect(), framing, anomalies, line_lost, doubtful)
    }

    /// Lines as they should be, or nearly.
    fn line() -> impl Strategy<Value = Vec<u8>> {
        let name = prop_oneof![
            4 => "[A-Za-z-]{1,40}",
            2 => select(vec!["Content-Length", "transfer-encoding", "Connection", "UPGRADE"])
                .prop_map(str::to_owned),
            1 => "[a-z]{0,17}[ !-9:@\\[`{_~\r\t\u{80}-\u{ff}]{1,2}[a-z]{0,17}",
        ];
        let colon = select(vec![": ", ":", ": ", ":\t", " : ", ":  ", "", ": "]);
        let value = prop_oneof![
            4 => "[ -~]{0,70}",
            1 => select(vec!["12", "chunked", "close", "gzip, chunked"]).prop_map(str::to_owned),
            1 => "[ \ta\r:]{0,20}",
        ];
        let end = select(vec![
            "\r\n", "\r\n", "\r\n", "\r\n", "\n", "\r", "", "\r\r\n", " \r\n", "\n\r\n",
        ]);
        (name, colon, value, end)
            .prop_map(|(name, colon, value, end)| [&name, colon, &value, end].concat().into_bytes())
    }

    proptest! {
        #[test]
        fn plain_lines_are_read_as_all_others_are_wherever_the_bytes_end(
            lines in vec(line(), 0..6),
            rest in "(\r\n)?[ -~]{0,20}",
            max_fields in 1..8_usize,
        ) {
            let mut bytes = lines.concat();
            bytes.extend_from_slice(rest.as_bytes());
            for len in (bytes.len().saturating_sub(60)..=bytes.len()).chain([bytes.len() / 2]) {
                let bytes = &bytes[..len];
                for end in [End::Awaited, End::Cut, End::Here] {
                    let (fast, slow) =
                        (read(bytes, max_fields, end, true), read(bytes, max_fields, end, false));
                    prop_assert_eq!(fast, slow, "{:?} {:?}", String::from_utf8_lossy(bytes), end);
                }
            }
        }
    }
}

//! What the fields of a header block say: a request, a response, or trailers (RFC 9113 §8).
//!
//! Owns pseudo-header fields and what makes a list malformed. Where a list breaks a rule and still
//! says clearly what it means, it is taken as it is and the breach is noted.

use super::hpack::FieldList;
use crate::Fields;
use crate::flow::Direction;
use crate::message::Span;

/// A request's head.
#[derive(Debug)]
pub(super) struct RequestHead {
    pub(super) fields: Fields,
    /// Method and, unless it is CONNECT, path are there: it is a request that can be told.
    pub(super) is_told: bool,
    pub(super) is_connect: bool,
    /// RFC 8441 §4: the protocol that an extended CONNECT asks for.
    pub(super) protocol: Option<Box<str>>,
    pub(super) faults: Faults,
}

/// A response's head.
#[derive(Debug)]
pub(super) struct ResponseHead {
    pub(super) fields: Fields,
    /// `None` where there is none, or no valid one: it is no head that can be told.
    pub(super) status: Option<u16>,
    pub(super) faults: Faults,
}

/// What is wrong with a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Faults {
    /// It breaks a rule of §8.
    pub(super) any: bool,
    /// What it means is not clear by that.
    pub(super) grave: bool,
}

/// The pseudo-header fields of a list.
#[derive(Debug, Default)]
struct Pseudo {
    method: Option<Span>,
    scheme: Option<Span>,
    authority: Option<Span>,
    path: Option<Span>,
    protocol: Option<Span>,
    status: Option<Span>,
    faults: Faults,
}

impl RequestHead {
    pub(super) fn new(mut list: FieldList) -> Self {
        let sent = list.fields.len();
        let pseudo = take_pseudo(&mut list);
        let pseudo_count = sent - list.fields.len();
        let all_known = list.unknown == 0;
        let bytes = &list.bytes;
        let text = |span: Option<Span>| span.map(|span| &bytes[span.range()]);
        let is_connect = text(pseudo.method) == Some(b"CONNECT");
        let is_told = pseudo.method.is_some() && (is_connect || pseudo.path.is_some());
        let mut faults = pseudo.faults;
        // §8.3.1: all three are mandatory; §8.5: CONNECT has an authority instead.
        let misses_scheme = pseudo.scheme.is_none() && (!is_connect || pseudo.protocol.is_some());
        faults.any |= all_known && (!is_told || misses_scheme) || pseudo.status.is_some();
        faults.grave |= all_known && !is_told;
        let protocol = text(pseudo.protocol)
            .filter(|_| is_connect)
            .map(|name| String::from_utf8_lossy(name).into_owned().into_boxed_str());
        let parts = [pseudo.method, pseudo.path, pseudo.authority].map(Option::unwrap_or_default);
        // A CONNECT without a path names its target by the authority (RFC 9110 §9.3.6).
        let parts = match pseudo.path {
            None if is_connect => [parts[0], parts[2], parts[2]],
            _ => parts,
        };
        let fields = Fields::new(&list.bytes, parts, &list.fields).after_pseudo(pseudo_count);
        Self { fields, is_told, is_connect, protocol, faults }
    }
}

impl ResponseHead {
    pub(super) fn new(mut list: FieldList) -> Self {
        let sent = list.fields.len();
        let pseudo = take_pseudo(&mut list);
        let pseudo_count = sent - list.fields.len();
        let status = pseudo.status.and_then(|span| parse_status(&list.bytes[span.range()]));
        let mut faults = pseudo.faults;
        let of_request = [pseudo.method, pseudo.scheme, pseudo.authority, pseudo.path];
        faults.any |= of_request.iter().any(Option::is_some);
        // §8.3.2: mandatory.
        if status.is_none() && (list.unknown == 0 || pseudo.status.is_some()) {
            faults = Faults { any: true, grave: true };
        }
        let fields =
            Fields::new(&list.bytes, [Span::default(); 3], &list.fields).after_pseudo(pseudo_count);
        Self { fields, status, faults }
    }
}

/// Trailer fields. §8.1: they have no pseudo-header fields; those are left out.
pub(super) fn trailers(mut list: FieldList) -> (Fields, Faults) {
    let before = list.fields.len();
    let mut faults = take_pseudo(&mut list).faults;
    faults.any |= list.fields.len() < before;
    (Fields::new(&list.bytes, [Span::default(); 3], &list.fields), faults)
}

/// Whether `list` holds a pseudo-header field that only a head has.
pub(super) fn is_head(list: &FieldList) -> bool {
    list.fields.iter().any(|(name, _)| list.bytes[name.range()].first() == Some(&b':'))
}

/// Whether a list with these fields may be sent in `direction`.
pub(super) fn may_be_sent(direction: Direction, list: &FieldList) -> bool {
    list.fields.iter().all(|(name, _)| match &list.bytes[name.range()] {
        [] => false,
        b":status" => direction == Direction::ToClient,
        name @ [b':', ..] => direction == Direction::ToServer && is_request_pseudo(name),
        name => name.iter().all(|&octet| is_name_octet(octet)),
    })
}

/// The number after `content-length`; `None` where there is none, or several that differ.
pub(super) fn content_length(fields: &Fields) -> Option<Result<u64, NotALength>> {
    let mut values = fields.get_all(b"content-length").map(|value| {
        let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
        let text = std::str::from_utf8(value).ok().filter(|_| digits);
        text.and_then(|text| text.parse().ok()).ok_or(NotALength)
    });
    let first = values.next()?;
    Some(if values.all(|value| value == first) { first } else { Err(NotALength) })
}

/// A Content-Length that is no number, or several that differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotALength;

fn take_pseudo(list: &mut FieldList) -> Pseudo {
    let mut pseudo = Pseudo::default();
    let FieldList { bytes, fields, .. } = list;
    let mut regular_seen = false;
    fields.retain(|name, value| {
        let text = &bytes[name.range()];
        if text.first() != Some(&b':') {
            regular_seen = true;
            pseudo.faults.any |= !is_valid_field(text, &bytes[value.range()]);
            return true;
        }
        // §8.3: before all others, each once, and none that is not defined.
        pseudo.faults.any |= regular_seen;
        let place = match text {
            b":method" => &mut pseudo.method,
            b":scheme" => &mut pseudo.scheme,
            b":authority" => &mut pseudo.authority,
            b":path" => &mut pseudo.path,
            b":protocol" => &mut pseudo.protocol,
            b":status" => &mut pseudo.status,
            _ => {
                pseudo.faults.any = true;
                return false;
            }
        };
        if place.is_some() {
            pseudo.faults = Faults { any: true, grave: true };
        }
        place.get_or_insert(value);
        false
    });
    pseudo
}

fn is_request_pseudo(name: &[u8]) -> bool {
    matches!(name, b":method" | b":scheme" | b":authority" | b":path" | b":protocol")
}

/// RFC 9113 §8.2.1, as far as it says what must be treated as malformed, and §8.2.2.
fn is_valid_field(name: &[u8], value: &[u8]) -> bool {
    let connection_specific = match name {
        b"connection" | b"proxy-connection" | b"keep-alive" | b"transfer-encoding" | b"upgrade" => {
            true
        }
        b"te" => value != b"trailers",
        _ => false,
    };
    !connection_specific
        && !name.is_empty()
        && name.iter().all(|&octet| is_name_octet(octet))
        && memchr::memchr3(0, b'\r', b'\n', value).is_none()
}

fn is_name_octet(octet: u8) -> bool {
    octet > 0x20 && octet < 0x7f && !octet.is_ascii_uppercase() && octet != b':'
}

fn parse_status(value: &[u8]) -> Option<u16> {
    match *value {
        [a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9'] => {
            Some([a, b, c].iter().fold(0, |all, digit| all * 10 + u16::from(digit - b'0')))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Limits;

    fn list(fields: &[(&str, &str)]) -> FieldList {
        let mut list = FieldList::new(&Limits::default(), 0, 0);
        for (name, value) in fields {
            let start = list.bytes.len();
            list.bytes.extend_from_slice(name.as_bytes());
            let middle = list.bytes.len();
            list.bytes.extend_from_slice(value.as_bytes());
            let end = list.bytes.len();
            list.fields.push(Span::new(start..middle), Span::new(middle..end));
        }
        list
    }

    const GET: [(&str, &str); 3] = [(":method", "GET"), (":scheme", "http"), (":path", "/a")];

    #[test]
    fn pseudo_header_fields_are_the_first_line_and_no_fields() {
        let head = RequestHead::new(list(&[GET[0], GET[1], GET[2], ("a", "1"), ("b", "2")]));
        assert_eq!((head.is_told, head.faults), (true, Faults::default()));
        let fields: Vec<_> = head.fields.iter().collect();
        assert_eq!(fields, [(&b"a"[..], &b"1"[..]), (b"b", b"2")]);
        let head = ResponseHead::new(list(&[(":status", "204"), ("a", "1")]));
        assert_eq!((head.status, head.fields.len(), head.faults.any), (Some(204), 1, false));
    }

    #[test]
    fn a_list_that_leaves_the_request_unclear_is_gravely_wrong() {
        let grave = |fields: &[(&str, &str)]| RequestHead::new(list(fields)).faults.grave;
        assert!(!grave(&GET));
        assert!(grave(&GET[..2]));
        assert!(grave(&GET[1..]));
        assert!(grave(&[GET[0], GET[0], GET[1], GET[2]]));
        assert!(!grave(&[(":method", "CONNECT"), (":authority", "a:1")]));
        let grave = |fields: &[(&str, &str)]| ResponseHead::new(list(fields)).faults.grave;
        assert!(!grave(&[(":status", "200")]));
        for status in ["20", "2000", "abc", ""] {
            assert!(grave(&[(":status", status)]), "{status:?}");
        }
        assert!(grave(&[("a", "1")]));
        assert!(grave(&[(":status", "200"), (":status", "200")]));
    }

    #[test]
    fn a_rule_broken_without_harm_is_told_and_no_more() {
        for field in [
            ("Upper", "1"),
            ("connection", "close"),
            ("te", "gzip"),
            ("a", "1\r\nb: 2"),
            ("", "1"),
            ("a b", "1"),
            (":unknown", "1"),
            (":authority", "after"),
        ] {
            let head = RequestHead::new(list(&[GET[0], GET[1], GET[2], ("a", "1"), field]));
            assert_eq!(head.faults, Faults { any: true, grave: false }, "{field:?}");
        }
        let head = RequestHead::new(list(&[GET[0], GET[1], GET[2], ("te", "trailers")]));
        assert_eq!(head.faults, Faults::default());
    }

    #[test]
    fn an_extended_connect_names_its_protocol() {
        let connect = [(":method", "CONNECT"), (":protocol", "websocket")];
        let head = RequestHead::new(list(&[connect[0], connect[1], GET[1], GET[2]]));
        assert_eq!(head.protocol.as_deref(), Some("websocket"));
        assert!(head.is_connect && head.is_told && !head.faults.any);
    }

    #[test]
    fn content_lengths_that_differ_or_are_no_numbers_are_none() {
        let of = |values: &[&str]| {
            let fields: Vec<_> = values.iter().map(|&value| ("content-length", value)).collect();
            content_length(&trailers(list(&fields)).0)
        };
        assert_eq!(of(&[]), None);
        assert_eq!(of(&["12"]), Some(Ok(12)));
        assert_eq!(of(&["12", "12"]), Some(Ok(12)));
        for wrong in [&["12", "13"][..], &["-1"], &["+1"], &[""], &["99999999999999999999"]] {
            assert_eq!(of(wrong), Some(Err(NotALength)), "{wrong:?}");
        }
    }
}

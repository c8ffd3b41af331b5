//! The status of a gRPC answer, and the fields that say it.

use std::borrow::Cow;

use capture::{Fields, FieldsBuilder};
use data_encoding::{BASE64, BASE64_NOPAD};

pub(super) const STATUS: &[u8] = b"grpc-status";
pub(super) const MESSAGE: &[u8] = b"grpc-message";
pub(super) const DETAILS: &[u8] = b"grpc-status-details-bin";

/// Where in an answer the details are compared. A `@` tells it from a field of a message.
pub(super) const DETAILS_PLACE: &[u8] = b"@grpc-status-details-bin";

/// By code (grpc/doc/statuscodes.md).
const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE and DATA_LOSS: those that
/// OpenTelemetry's semantic conventions count as errors of a server.
const ERRORS: [usize; 6] = [2, 4, 12, 13, 14, 15];

/// A status as sent and by name: `13 INTERNAL`; as sent where it has no name.
pub(super) fn named(status: &[u8]) -> Cow<'_, [u8]> {
    match code(status).and_then(|code| NAMES.get(code)) {
        Some(name) => Cow::Owned([status, b" ", name.as_bytes()].concat()),
        None => Cow::Borrowed(status),
    }
}

/// Whether it says that the server failed.
pub(super) fn is_error(status: &[u8]) -> bool {
    code(status).is_some_and(|code| ERRORS.contains(&code))
}

fn code(status: &[u8]) -> Option<usize> {
    std::str::from_utf8(status).ok()?.parse().ok()
}

/// The bytes of a `-bin` field. PROTOCOL-HTTP2.md: with and without padding.
pub(super) fn decoded(value: &[u8]) -> Option<Vec<u8>> {
    let value = value.trim_ascii();
    BASE64.decode(value).or_else(|_| BASE64_NOPAD.decode(value)).ok()
}

/// Header and trailers with the fields of the status in the trailers; without its details where
/// those were compared apart.
pub(super) fn in_trailers(
    header: &Fields,
    trailers: &Fields,
    without_details: bool,
) -> (Fields, Fields) {
    let is_of_status = |name: &[u8]| {
        [STATUS, MESSAGE, DETAILS].iter().any(|field| name.eq_ignore_ascii_case(field))
    };
    let keeps = |name: &[u8]| !without_details || !name.eq_ignore_ascii_case(DETAILS);
    let (mut head, mut tail) = (FieldsBuilder::new(), FieldsBuilder::new());
    for (name, value) in header.iter().filter(|&(name, _)| keeps(name)) {
        if is_of_status(name) { tail.field(name, value) } else { head.field(name, value) }
    }
    for (name, value) in trailers.iter().filter(|&(name, _)| keeps(name)) {
        tail.field(name, value);
    }
    (head.build(), tail.build())
}

/// The fields of a trailer frame: lines as HTTP/1 writes a header (PROTOCOL-WEB.md). Lines without
/// a name are left out.
pub(super) fn fields_of(block: &[u8]) -> Fields {
    let mut fields = FieldsBuilder::new();
    for line in block.split(|&b| b == b'\n') {
        if let Some(at) = memchr::memchr(b':', line) {
            fields.field(line[..at].trim_ascii(), line[at + 1..].trim_ascii());
        }
    }
    fields.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_told_by_name() {
        assert_eq!(*named(b"0"), *b"0 OK");
        assert_eq!(*named(b"16"), *b"16 UNAUTHENTICATED");
        assert_eq!(
            (&*named(b"17"), &*named(b"-1"), &*named(b"x")),
            (&b"17"[..], &b"-1"[..], &b"x"[..])
        );
        assert!(is_error(b"13") && is_error(b"2"));
        assert!(!is_error(b"0") && !is_error(b"5") && !is_error(b"8") && !is_error(b""));
    }

    #[test]
    fn binary_values_are_read_with_and_without_padding() {
        assert_eq!(decoded(b"AA=="), Some(vec![0]));
        assert_eq!(decoded(b" AA"), Some(vec![0]));
        assert_eq!(decoded(b"A!"), None);
    }
}

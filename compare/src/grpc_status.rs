//! The status of a gRPC answer: where it is said, and what it means to servers and proxies.
//!
//! What else an answer says of its status (`grpc-message`, details) is compared by
//! `differ::grpc`, which also finds the trailers that gRPC-Web has in its body.

use std::borrow::Cow;

use capture::{Fields, Response};

/// The field that says it.
pub(crate) const FIELD: &[u8] = b"grpc-status";

/// The code that says that all went well.
pub(crate) const OK: &[u8] = b"0";

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

/// CANCELLED, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, INTERNAL and UNAVAILABLE: those that Envoy can
/// be told to try again after (x-envoy-retry-grpc-on).
const TRIED_AGAIN: [usize; 5] = [1, 4, 8, 13, 14];

/// The status as sent in these trailers, or in the header where there is nothing else
/// (PROTOCOL-HTTP2.md: Trailers-Only).
pub(crate) fn sent<'f>(header: &'f Fields, trailers: &'f Fields) -> Option<&'f [u8]> {
    trailers.get(FIELD).or_else(|| header.get(FIELD)).map(<[u8]>::trim_ascii)
}

/// Whether a proxy may have given this answer up and tried again. Envoy asks the header alone; a
/// status after messages is taken too (ours: waiting for a retry that does not come costs nothing
/// but time). Trailers in the body of gRPC-Web are not looked for: no proxy that tries again reads
/// them.
pub(crate) fn is_tried_again(response: &Response) -> bool {
    sent(&response.fields, &response.trailers)
        .and_then(code)
        .is_some_and(|code| TRIED_AGAIN.contains(&code))
        && is_grpc(response)
}

/// A status as sent and by name: `13 INTERNAL`; as sent where it has no name.
pub(crate) fn named(status: &[u8]) -> Cow<'_, [u8]> {
    match code(status).and_then(|code| NAMES.get(code)) {
        Some(name) => Cow::Owned([status, b" ", name.as_bytes()].concat()),
        None => Cow::Borrowed(status),
    }
}

/// Whether it says that the server failed.
pub(crate) fn is_error(status: &[u8]) -> bool {
    code(status).is_some_and(|code| ERRORS.contains(&code))
}

fn code(status: &[u8]) -> Option<usize> {
    std::str::from_utf8(status).ok()?.parse().ok()
}

/// PROTOCOL-HTTP2.md: the media type of gRPC, of any message format, begins so.
fn is_grpc(response: &Response) -> bool {
    const BEGINS: &[u8] = b"application/grpc";
    let kind = response.fields.get(b"content-type").and_then(|kind| kind.get(..BEGINS.len()));
    kind.is_some_and(|kind| kind.eq_ignore_ascii_case(BEGINS))
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
}

//! The fields that say a gRPC status, and those that belong to it.

use capture::{Fields, FieldsBuilder};
use data_encoding::{BASE64, BASE64_NOPAD};

use crate::grpc_status::FIELD;

pub(super) const MESSAGE: &[u8] = b"grpc-message";
pub(super) const DETAILS: &[u8] = b"grpc-status-details-bin";

/// Where in an answer the details are compared. A `@` tells it from a field of a message.
pub(super) const DETAILS_PLACE: &[u8] = b"@grpc-status-details-bin";

/// The bytes of a `-bin` field. PROTOCOL-HTTP2.md: with and without padding.
pub(super) fn decoded(value: &[u8]) -> Option<Vec<u8>> {
    let value = value.trim_ascii();
    BASE64.decode(value).or_else(|_| BASE64_NOPAD.decode(value)).ok()
}

/// Header and trailers with the fields of the status in the trailers; without the fields `settled`,
/// which were compared apart.
pub(super) fn in_trailers(
    header: &Fields,
    trailers: &Fields,
    settled: &[&[u8]],
) -> (Fields, Fields) {
    let is_of_status = |name: &[u8]| {
        [FIELD, MESSAGE, DETAILS].iter().any(|field| name.eq_ignore_ascii_case(field))
    };
    let keeps = |name: &[u8]| !settled.iter().any(|field| name.eq_ignore_ascii_case(field));
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
    fn binary_values_are_read_with_and_without_padding() {
        assert_eq!(decoded(b"AA=="), Some(vec![0]));
        assert_eq!(decoded(b" AA"), Some(vec![0]));
        assert_eq!(decoded(b"A!"), None);
    }
}

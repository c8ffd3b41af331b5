//! Names of header fields.

/// Whether `name` is a token (RFC 9110 §5.6.2), as field names are.
pub(crate) fn is_field_name(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

//! Content codings: what a body is compressed with.

use std::borrow::Cow;

use capture::Response;

/// Decoded bytes of one body. Larger ones are not compared ([`crate::Incomparable::BodyOverCap`]).
pub(super) const DECODED_BYTES: u64 = 16 << 20;

/// The Content-Encoding; `None` for identity.
pub(super) fn coding(response: &Response) -> Option<Cow<'_, [u8]>> {
    let mut fields = response.fields.get_all(b"content-encoding");
    let first = fields.next()?;
    let coding = match fields.next() {
        None => Cow::Borrowed(first),
        // RFC 9110 §5.3: several fields are one list.
        Some(second) => {
            let all: Vec<_> = [first, second].into_iter().chain(fields).collect();
            Cow::Owned(all.join(&b", "[..]))
        }
    };
    (!coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity")).then_some(coding)
}

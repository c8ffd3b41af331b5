//! The media types of gRPC, and what they say of its messages.

/// How messages are framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// gRPC over HTTP/2.
    Http2,
    /// gRPC-Web: the trailers are a frame.
    Web,
    /// The same in base64.
    WebText,
}

/// What a media type says of gRPC: how messages are framed, and in which format they are.
pub(super) fn of_media_type(media: &[u8]) -> Option<(Framing, &[u8])> {
    let (head, rest) = media.split_at_checked(b"application/grpc".len())?;
    if !head.eq_ignore_ascii_case(b"application/grpc") {
        return None;
    }
    let begins = |with: &[u8]| {
        let (head, rest) = rest.split_at_checked(with.len())?;
        head.eq_ignore_ascii_case(with).then_some(rest)
    };
    let (framing, rest) = match (begins(b"-web-text"), begins(b"-web")) {
        (Some(rest), _) => (Framing::WebText, rest),
        (None, Some(rest)) => (Framing::Web, rest),
        (None, None) => (Framing::Http2, rest),
    };
    match rest.strip_prefix(b"+") {
        // PROTOCOL-HTTP2.md: without a format it is protobuf.
        None if rest.is_empty() => Some((framing, b"proto")),
        format => format.map(|format| (framing, format)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_type_says_framing_and_format() {
        let of = |media: &'static str| of_media_type(media.as_bytes());
        assert_eq!(of("application/grpc"), Some((Framing::Http2, &b"proto"[..])));
        assert_eq!(of("Application/gRPC+json"), Some((Framing::Http2, &b"json"[..])));
        assert_eq!(of("application/grpc-web+proto"), Some((Framing::Web, &b"proto"[..])));
        assert_eq!(of("application/grpc-web-text"), Some((Framing::WebText, &b"proto"[..])));
        for none in ["application/grpcx", "application/grpc-websocket", "application/json", "a"] {
            assert_eq!(of(none), None, "{none}");
        }
    }
}

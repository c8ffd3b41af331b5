//! Contents, a body or a part of one, and what they are said to be.

use super::framing::of_media_type;
use super::parameters;

/// Bytes, content coding removed, and what is said of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Content<'t> {
    /// The Content-Type field, if there is one.
    pub(super) content_type: Option<&'t [u8]>,
    pub(super) bytes: &'t [u8],
}

/// How contents are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Form,
    Multipart,
    Text,
    Protobuf,
    /// Protobuf or other messages in frames.
    Grpc,
    Binary,
}

impl<'t> Content<'t> {
    /// The media type without its parameters.
    pub(super) fn media_type(&self) -> Option<&'t [u8]> {
        self.content_type.map(parameters::before).filter(|media| !media.is_empty())
    }
}

impl Format {
    /// The format of a media type. RFC 6839 §3.1: `+json` is JSON; `+xml` (RFC 7303) is text to us.
    pub(super) fn by_name(media: &[u8]) -> Self {
        let is = |names: &[&[u8]]| names.iter().any(|name| media.eq_ignore_ascii_case(name));
        let begins = |with: &[u8]| {
            media.get(..with.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(with))
        };
        let ends = |with: &[u8]| {
            let at = media.len().checked_sub(with.len());
            at.is_some_and(|at| media[at..].eq_ignore_ascii_case(with))
        };
        if of_media_type(media).is_some() {
            Self::Grpc
        } else if is(&[b"application/json", b"text/json"]) || ends(b"+json") {
            Self::Json
        } else if is(&[b"application/x-www-form-urlencoded"]) {
            Self::Form
        } else if begins(b"multipart/") {
            Self::Multipart
        } else if begins(b"text/")
            || ends(b"+xml")
            || is(&[
                b"application/xml",
                b"application/javascript",
                b"application/ecmascript",
                b"application/x-javascript",
                b"application/x-ndjson",
                b"application/jsonl",
                b"application/yaml",
                b"application/x-yaml",
                b"application/toml",
                b"application/graphql",
                b"application/sql",
            ])
        {
            Self::Text
        } else if is(&[
            b"application/protobuf",
            b"application/x-protobuf",
            b"application/x-google-protobuf",
            b"application/vnd.google.protobuf",
        ]) || ends(b"+protobuf")
        {
            Self::Protobuf
        } else {
            Self::Binary
        }
    }

    /// The format of a content that has no type.
    pub(super) fn by_content(bytes: &[u8]) -> Self {
        match bytes.trim_ascii_start().first() {
            Some(b'{' | b'[') => Self::Json,
            _ if !bytes.contains(&0) && std::str::from_utf8(bytes).is_ok() => Self::Text,
            _ => Self::Binary,
        }
    }

    /// The format in which both can be read.
    pub(super) fn max_with(self, other: Self) -> Self {
        match (self, other) {
            _ if self == other => self,
            (Self::Binary, _) | (_, Self::Binary) => Self::Binary,
            _ => Self::Text,
        }
    }
}

//! Contents compared by what they are: a body, or a part of one.

use super::here::Here;
use super::{binary, charset, form, json, multipart, parameters, text};
use crate::Change;

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
    Binary,
}

/// Compares two contents that are not the same bytes and adds to what is found.
pub(super) fn compare<'t>(
    primary: Content<'t>,
    shadow: Content<'t>,
    here: &mut Here<'_, 't, '_, '_>,
) {
    let media = (primary.media_type(), shadow.media_type());
    let same_media = match media {
        (Some(one), Some(other)) => one.eq_ignore_ascii_case(other),
        (one, other) => one == other,
    };
    if !same_media {
        return here.differs(Change::ContentType, media.0, media.1);
    }
    let format = media.0.map(Format::by_name);
    match format {
        Some(Format::Binary) => return bytes(primary, shadow, here),
        Some(Format::Multipart) => {
            if multipart::compare(primary, shadow, here).is_err() {
                bytes(primary, shadow, here);
            }
            return;
        }
        // Its charset is that of its fields.
        Some(Format::Form) if form::compare(primary, shadow, here).is_ok() => return,
        _ => {}
    }
    let decoded = charset::decoded(primary, shadow);
    let (ours, theirs) = match &decoded {
        Some((ours, theirs)) if ours == theirs => return,
        Some((ours, theirs)) => (&**ours, &**theirs),
        None => (primary.bytes, shadow.bytes),
    };
    let here = &mut here.again();
    let format =
        format.unwrap_or_else(|| Format::by_content(ours).max_with(Format::by_content(theirs)));
    match format {
        Format::Binary => bytes(primary, shadow, here),
        Format::Json
            if json::compare(ours, theirs, &here.place, here.echo, here.findings).is_ok() => {}
        // A part of one line is the value of a field.
        _ if !here.place.0.is_empty() && is_line(ours) && is_line(theirs) => {
            here.differs(Change::Value, Some(ours), Some(theirs));
        }
        // What says it is JSON or a form and is none is compared as the text that it is.
        _ => text::compare(ours, theirs, here),
    }
}

fn is_line(text: &[u8]) -> bool {
    memchr::memchr(b'\n', text).is_none()
}

fn bytes(primary: Content<'_>, shadow: Content<'_>, here: &mut Here<'_, '_, '_, '_>) {
    let (ours, theirs) = (primary.bytes, shadow.bytes);
    binary::compare(ours, theirs, (ours.len() as u64, theirs.len() as u64), here);
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
        if is(&[b"application/json", b"text/json"]) || ends(b"+json") {
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
        } else {
            Self::Binary
        }
    }

    /// The format of a content that has no type.
    fn by_content(bytes: &[u8]) -> Self {
        match bytes.trim_ascii_start().first() {
            Some(b'{' | b'[') => Self::Json,
            _ if !bytes.contains(&0) && std::str::from_utf8(bytes).is_ok() => Self::Text,
            _ => Self::Binary,
        }
    }

    /// The format in which both can be read.
    fn max_with(self, other: Self) -> Self {
        match (self, other) {
            _ if self == other => self,
            (Self::Binary, _) | (_, Self::Binary) => Self::Binary,
            _ => Self::Text,
        }
    }
}

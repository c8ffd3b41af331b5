//! Bodies compared by what they are.

use std::borrow::Cow;

use capture::Response;
use capture::body::{DecodeError, decode};

use super::echo::Echo;
use super::findings::Findings;
use super::place::Place;
use super::prefix::common_prefix;
use super::{json, text};
use crate::{Change, Incomparable, Kind};

/// Decoded bytes of one body. Larger ones are not compared ([`Incomparable::BodyOverCap`]).
const DECODED_BYTES: u64 = 16 << 20;

/// How bodies are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Json,
    Text,
    Binary,
}

/// Compares the bodies of two responses and adds to `findings`.
///
/// # Errors
/// Why they cannot be compared.
pub(super) fn compare(
    primary: &Response,
    shadow: &Response,
    echo: &Echo<'_>,
    findings: &mut Findings<'_>,
) -> Result<(), Incomparable> {
    let codings = (coding(primary), coding(shadow));
    let same_coding = match &codings {
        (Some(one), Some(other)) => one.eq_ignore_ascii_case(other),
        (None, None) => true,
        _ => false,
    };
    if same_coding && primary.body.same_bytes(&shadow.body) {
        return Ok(());
    }
    let media = (media_type(primary), media_type(shadow));
    if !primary.body.is_whole() || !shadow.body.is_whole() {
        let binary = |media: Option<&[u8]>| media.is_some_and(|m| by_name(m) == Format::Binary);
        if same_coding && binary(media.0) && binary(media.1) {
            binaries(primary.body.kept(), shadow.body.kept(), lens(primary, shadow), findings);
            return Ok(());
        }
        return Err(Incomparable::BodyOverCap);
    }
    let decoded = (decoded(primary, codings.0.as_deref()), decoded(shadow, codings.1.as_deref()));
    let (ours, theirs) = match decoded {
        (Ok(ours), Ok(theirs)) => (ours, theirs),
        // A coding that is not known here, on both sides: the bytes are all there is.
        (Err(DecodeError::Unknown), Err(DecodeError::Unknown)) if same_coding => {
            binaries(primary.body.kept(), shadow.body.kept(), lens(primary, shadow), findings);
            return Ok(());
        }
        (Err(DecodeError::TooLarge), _) | (_, Err(DecodeError::TooLarge)) => {
            return Err(Incomparable::BodyOverCap);
        }
        _ => return Err(Incomparable::Undecodable),
    };
    if ours == theirs {
        return Ok(());
    }
    let same_media = match media {
        (Some(one), Some(other)) => one.eq_ignore_ascii_case(other),
        (one, other) => one == other,
    };
    if !same_media {
        whole(Change::ContentType, media.0, media.1, findings);
        return Ok(());
    }
    let format = match media.0 {
        Some(media) => by_name(media),
        None => by_content(&ours).max_with(by_content(&theirs)),
    };
    match format {
        Format::Json => {
            // What says it is JSON and is none is compared as the text that it is.
            if json::compare(&ours, &theirs, echo, findings).is_err() {
                text::compare(&ours, &theirs, echo, findings);
            }
        }
        Format::Text => text::compare(&ours, &theirs, echo, findings),
        Format::Binary => {
            binaries(&ours, &theirs, (ours.len() as u64, theirs.len() as u64), findings);
        }
    }
    Ok(())
}

impl Format {
    /// The format in which both can be read.
    fn max_with(self, other: Self) -> Self {
        match (self, other) {
            _ if self == other => self,
            (Self::Binary, _) | (_, Self::Binary) => Self::Binary,
            _ => Self::Text,
        }
    }
}

/// The Content-Encoding; `None` for identity.
fn coding(response: &Response) -> Option<Cow<'_, [u8]>> {
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

fn decoded<'a>(
    response: &'a Response,
    coding: Option<&[u8]>,
) -> Result<Cow<'a, [u8]>, DecodeError> {
    decode(response.body.kept(), coding, DECODED_BYTES)
}

/// The media type without its parameters.
fn media_type(response: &Response) -> Option<&[u8]> {
    let value = response.fields.get(b"content-type")?;
    value.split(|&b| b == b';').next().map(<[u8]>::trim_ascii).filter(|media| !media.is_empty())
}

/// The format of a media type. RFC 6839 §3.1: `+json` is JSON; `+xml` (RFC 7303) is text to us.
fn by_name(media: &[u8]) -> Format {
    let is = |names: &[&[u8]]| names.iter().any(|name| media.eq_ignore_ascii_case(name));
    let begins =
        |with: &[u8]| media.get(..with.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(with));
    let ends = |with: &[u8]| {
        let at = media.len().checked_sub(with.len());
        at.is_some_and(|at| media[at..].eq_ignore_ascii_case(with))
    };
    if is(&[b"application/json", b"text/json"]) || ends(b"+json") {
        Format::Json
    } else if begins(b"text/")
        || ends(b"+xml")
        || is(&[
            b"application/xml",
            b"application/javascript",
            b"application/ecmascript",
            b"application/x-javascript",
            b"application/x-www-form-urlencoded",
            b"application/x-ndjson",
            b"application/jsonl",
            b"application/yaml",
            b"application/x-yaml",
            b"application/toml",
            b"application/graphql",
            b"application/sql",
        ])
    {
        Format::Text
    } else {
        Format::Binary
    }
}

/// The format of a body whose message does not say.
fn by_content(body: &[u8]) -> Format {
    match body.trim_ascii_start().first() {
        Some(b'{' | b'[') => Format::Json,
        _ if !body.contains(&0) && std::str::from_utf8(body).is_ok() => Format::Text,
        _ => Format::Binary,
    }
}

fn lens(primary: &Response, shadow: &Response) -> (u64, u64) {
    (primary.body.len(), shadow.body.len())
}

/// Notes two bodies that differ as bytes, given what is there of them and their full lengths.
fn binaries(primary: &[u8], shadow: &[u8], lens: (u64, u64), findings: &mut Findings<'_>) {
    let at = common_prefix(primary, shadow);
    let known = at < primary.len().min(shadow.len()) || primary.len() != shadow.len();
    let says = |len: u64| {
        if known {
            format!("len {len}, first difference at {at}")
        } else {
            format!("len {len}, first difference after {at}")
        }
    };
    let (ours, theirs) = (says(lens.0), says(lens.1));
    whole(Change::Binary, Some(ours.as_bytes()), Some(theirs.as_bytes()), findings);
}

/// Notes a difference of the bodies as a whole.
fn whole(
    change: Change,
    primary: Option<&[u8]>,
    shadow: Option<&[u8]>,
    findings: &mut Findings<'_>,
) {
    match findings.rule_for_body(&Place::default()) {
        Some(reason) => findings.suppress(reason),
        None => {
            findings.diverge(Kind::Body, || ("".into(), "".into()), change, primary, shadow);
        }
    }
}

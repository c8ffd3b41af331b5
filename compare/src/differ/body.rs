//! Bodies of responses: the same bytes, or contents compared by what they are.

use std::borrow::Cow;

use capture::Response;
use capture::body::{DecodeError, decode};

use super::charset::Decoded;
use super::coding::{DECODED_BYTES, coding};
use super::content::{Content, Format};
use super::echo::Echo;
use super::findings::{Findings, Reason};
use super::here::{Here, TextBudget};
use super::place::Place;
use super::{binary, charset, form, grpc, json, multipart, protobuf, text};
use crate::{Change, Incomparable};

/// Compares the bodies of two responses to a request for `path`, and adds to `findings`.
///
/// # Errors
/// Why they cannot be compared.
pub(super) fn compare(
    path: &[u8],
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
    let mut texts = TextBudget::default();
    let mut here = Here { place: Place::default(), echo, findings, texts: &mut texts, nested: 0 };
    let kept = (primary.body.kept(), shadow.body.kept());
    let lens = (primary.body.len(), shadow.body.len());
    let (ours, theirs) = (content(primary, kept.0), content(shadow, kept.1));
    if !primary.body.is_whole() || !shadow.body.is_whole() {
        let is_binary = |content: Content<'_>| {
            content.media_type().is_some_and(|media| Format::by_name(media) == Format::Binary)
        };
        if same_coding && is_binary(ours) && is_binary(theirs) {
            binary::compare(kept.0, kept.1, lens, &mut here);
            return Ok(());
        }
        return Err(Incomparable::BodyOverCap);
    }
    let decoded =
        |kept, coding: &Option<Cow<'_, [u8]>>| decode(kept, coding.as_deref(), DECODED_BYTES);
    let (ours, theirs) = match (decoded(kept.0, &codings.0), decoded(kept.1, &codings.1)) {
        (Ok(ours), Ok(theirs)) => (ours, theirs),
        // A coding that is not known here, on both sides: the bytes are all there is.
        (Err(DecodeError::Unknown), Err(DecodeError::Unknown)) if same_coding => {
            binary::compare(kept.0, kept.1, lens, &mut here);
            return Ok(());
        }
        (Err(DecodeError::TooLarge), _) | (_, Err(DecodeError::TooLarge)) => {
            return Err(Incomparable::BodyOverCap);
        }
        _ => return Err(Incomparable::Undecodable),
    };
    if let Some(answers) = grpc::both(primary, shadow) {
        return answers.compare(path, (&ours, &theirs), &mut here);
    }
    if ours != theirs {
        contents(content(primary, &ours), content(shadow, &theirs), &mut here);
    }
    Ok(())
}

/// Compares two contents that are not the same bytes and adds to what is found.
pub(super) fn contents<'t>(
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
        // In a part of a multipart body gRPC is not spoken.
        Some(Format::Binary | Format::Grpc) => return bytes(primary, shadow, here),
        Some(Format::Protobuf) => return protobuf::compare(primary, shadow, here),
        Some(Format::Multipart) => {
            if multipart::compare(primary, shadow, contents, here).is_err() {
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
        Decoded::Utf8((ours, theirs)) if ours == theirs => return,
        Decoded::Utf8((ours, theirs)) => (&**ours, &**theirs),
        Decoded::AsSent | Decoded::Unknown => (primary.bytes, shadow.bytes),
    };
    if decoded == Decoded::Unknown {
        here.findings.suppress(Reason::CharsetUnknown);
    }
    let here = &mut here.again();
    let by_content = || Format::by_content(ours).max_with(Format::by_content(theirs));
    match format.unwrap_or_else(by_content) {
        Format::Binary => return bytes(primary, shadow, here),
        Format::Json
            if json::compare(ours, theirs, &here.place, here.echo, here.findings).is_ok() =>
        {
            return;
        }
        Format::Json if format.is_some() && is_json_on_one_leg(ours, theirs, here) => return,
        _ => {}
    }
    // A part of one line is the value of a field.
    if !here.place.0.is_empty() && is_line(ours) && is_line(theirs) {
        return here.differs(Change::Value, Some(ours), Some(theirs));
    }
    // What says it is JSON or a form and is none is compared as the text that it is.
    text::compare(ours, theirs, here);
}

/// Of two texts of which one at least is no JSON, though both say so: whether the other one is. That
/// is all there is to say then; else it is noted that they are compared as text.
fn is_json_on_one_leg(primary: &[u8], shadow: &[u8], here: &mut Here<'_, '_, '_, '_>) -> bool {
    const JSON: &str = "JSON";
    let says = |fault: &json::fault::Fault| fault.to_string();
    let (ours, theirs) = match (json::fault::find(primary), json::fault::find(shadow)) {
        (None, Some(fault)) => (JSON.to_owned(), says(&fault)),
        (Some(fault), None) => (says(&fault), JSON.to_owned()),
        _ => {
            here.findings.suppress(Reason::NotJson);
            return false;
        }
    };
    here.differs(Change::Format, Some(ours.as_bytes()), Some(theirs.as_bytes()));
    true
}

fn is_line(text: &[u8]) -> bool {
    memchr::memchr(b'\n', text).is_none()
}

fn bytes(primary: Content<'_>, shadow: Content<'_>, here: &mut Here<'_, '_, '_, '_>) {
    let (ours, theirs) = (primary.bytes, shadow.bytes);
    binary::compare(ours, theirs, (ours.len() as u64, theirs.len() as u64), here);
}

/// `bytes`, said to be what the body of `response` is.
fn content<'r>(response: &'r Response, bytes: &'r [u8]) -> Content<'r> {
    Content { content_type: response.fields.get(b"content-type"), bytes }
}

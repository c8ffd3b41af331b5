//! gRPC answers: a status, and messages in frames.
//!
//! Read: gRPC over HTTP/2, whose status is in the trailers, or in the header where there is nothing
//! else (trailers-only), and gRPC-Web, whose trailers are the last frame of the body, which may be
//! base64 (`grpc-web-text`). By grpc/doc/PROTOCOL-HTTP2.md and PROTOCOL-WEB.md.
//!
//! The status is what HTTP's is: where it differs, it is the only finding. Where it was sent, in the
//! header or in the trailers, is no difference, and neither are frames' compression and bounds.
//! `grpc-status-details-bin` is compared by what it holds, at `/@grpc-status-details-bin`.
//!
//! Messages are compared by the method's own type if the descriptor set has it, else as bytes, one
//! by one. A message of a method that answers with a stream is an element, `/0/name`; the only
//! message of another method has no index. What is not known to be a stream has an index where it
//! is not one message on both sides.

mod frames;
mod status;

use std::borrow::Cow;

use capture::body::{DecodeError, decode};
use capture::{Fields, Response};

use super::coding::{DECODED_BYTES, coding};
use super::echo::Echo;
use super::findings::{Findings, Reason};
use super::framing::{Framing, of_media_type};
use super::here::{Here, TextBudget};
use super::named::in_order;
use super::place::{Place, Step};
use super::protobuf::{self, Messages};
use super::{binary, header, json, parameters};
use crate::descriptors::Method;
use crate::{Change, Descriptors, Incomparable, Kind, grpc_status};
use frames::{Frame, Unframed, frames};

/// Decoded bytes of a trailer frame; one with more is none.
const TRAILER_BYTES: u64 = 64 << 10;

/// Two answers that are both gRPC, of one message format.
#[derive(Debug)]
pub(super) struct Answers<'r> {
    primary: Answer<'r>,
    shadow: Answer<'r>,
    format: &'r [u8],
    /// Whether the bodies are the same bytes, in the same framing.
    same_bodies: bool,
}

/// One of them.
#[derive(Debug)]
struct Answer<'r> {
    response: &'r Response,
    framing: Framing,
}

/// What came of comparing two statuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Statuses {
    /// They are the same.
    Same,
    /// They differ as a rule expects, and all else can be compared.
    Expected,
    /// They differ, and nothing else can be expected to be the same.
    SettleAll,
}

/// The two answers, if both are gRPC of one message format.
pub(super) fn both<'r>(primary: &'r Response, shadow: &'r Response) -> Option<Answers<'r>> {
    let ((ours, format), (theirs, other)) = (framing_of(primary)?, framing_of(shadow)?);
    format.eq_ignore_ascii_case(other).then(|| Answers {
        primary: Answer { response: primary, framing: ours },
        shadow: Answer { response: shadow, framing: theirs },
        format,
        same_bodies: ours == theirs
            && (ours == Framing::Http2 || primary.body.same_bytes(&shadow.body)),
    })
}

impl<'r> Answers<'r> {
    /// Compares the statuses. That they differ is noted as the finding that it is.
    pub(super) fn compare_statuses(&self, findings: &mut Findings<'_>) -> Statuses {
        let trailers = (self.trailers(&self.primary), self.trailers(&self.shadow));
        let ours = grpc_status::sent(&self.primary.response.fields, &trailers.0);
        let theirs = grpc_status::sent(&self.shadow.response.fields, &trailers.1);
        if ours == theirs {
            return Statuses::Same;
        }
        let change = match (ours, theirs) {
            (Some(_), None) => Change::Missing,
            (None, Some(_)) => Change::Added,
            _ => Change::Value,
        };
        let codes = (ours.unwrap_or_default(), theirs.unwrap_or_default());
        if let Some(expected) = findings.explain_status(codes.0, codes.1) {
            findings.suppress(expected);
            // As with HTTP's: an answer and a failure say nothing alike, two failures may.
            let is_ok = |code: &[u8]| code == grpc_status::OK;
            return if is_ok(codes.0) || is_ok(codes.1) {
                Statuses::SettleAll
            } else {
                Statuses::Expected
            };
        }
        let (ours, theirs) = (ours.map(grpc_status::named), theirs.map(grpc_status::named));
        let path = || ("grpc".into(), "grpc".into());
        findings.diverge(Kind::Status, path, change, ours.as_deref(), theirs.as_deref());
        Statuses::SettleAll
    }

    /// Compares header and trailer fields, given what the statuses are.
    pub(super) fn compare_fields(
        &self,
        statuses: Statuses,
        echo: &Echo<'_>,
        findings: &mut Findings<'_>,
    ) {
        let trailers = (self.trailers(&self.primary), self.trailers(&self.shadow));
        let header = (&self.primary.response.fields, &self.shadow.response.fields);
        let details = (
            trailers.0.get(status::DETAILS).or_else(|| header.0.get(status::DETAILS)),
            trailers.1.get(status::DETAILS).or_else(|| header.1.get(status::DETAILS)),
        );
        let explained = details.0 != details.1 && compare_details(details, echo, findings);
        // Nearly always both have all fields where the other has them, and details are the same.
        let is_in = |fields: &Fields| fields.get(grpc_status::FIELD).is_some();
        let settled: &[&[u8]] = match (explained, statuses) {
            (true, Statuses::Expected) => &[status::DETAILS, grpc_status::FIELD],
            (true, _) => &[status::DETAILS],
            (false, Statuses::Expected) => &[grpc_status::FIELD],
            (false, _) => &[],
        };
        if settled.is_empty() && is_in(header.0) == is_in(header.1) {
            header::compare(Kind::Header, header.0, header.1, echo, findings);
            header::compare(Kind::Trailer, &trailers.0, &trailers.1, echo, findings);
            return;
        }
        let (ours, our_trailers) = status::in_trailers(header.0, &trailers.0, settled);
        let (theirs, their_trailers) = status::in_trailers(header.1, &trailers.1, settled);
        header::compare(Kind::Header, &ours, &theirs, echo, findings);
        header::compare(Kind::Trailer, &our_trailers, &their_trailers, echo, findings);
    }

    /// Compares the bodies, content coding removed, of the answers to a request for `path`.
    ///
    /// # Errors
    /// Why they cannot be compared.
    pub(super) fn compare(
        &self,
        path: &[u8],
        bodies: (&[u8], &[u8]),
        here: &mut Here<'_, '_, '_, '_>,
    ) -> Result<(), Incomparable> {
        let plain = (self.primary.framing.plain(bodies.0), self.shadow.framing.plain(bodies.1));
        let (ours, theirs) = match (framed(&plain.0), framed(&plain.1)) {
            (Ok(ours), Ok(theirs)) => (ours, theirs),
            (Err(Unframed::TooMany), _) | (_, Err(Unframed::TooMany)) => {
                let says = |body: &[u8]| format!("len {}", body.len());
                let (ours, theirs) = (says(bodies.0), says(bodies.1));
                here.differs(Change::Coarse, Some(ours.as_bytes()), Some(theirs.as_bytes()));
                return Ok(());
            }
            (Err(Unframed::Malformed), Err(Unframed::Malformed)) => {
                if bodies.0 != bodies.1 {
                    here.findings.suppress(Reason::ProtobufUndecodable);
                    bytes(bodies.0, bodies.1, here);
                }
                return Ok(());
            }
            (ours, theirs) => {
                let says = |is| if is { &b"gRPC messages"[..] } else { b"not gRPC messages" };
                let (ours, theirs) = (says(ours.is_ok()), says(theirs.is_ok()));
                here.differs(Change::Format, Some(ours), Some(theirs));
                return Ok(());
            }
        };
        let codings = (self.primary.coding(), self.shadow.coding());
        let (ours, theirs) = match (messages(&ours, codings.0), messages(&theirs, codings.1)) {
            (Ok(ours), Ok(theirs)) => (ours, theirs),
            // A coding that is not known here, on both sides: the bytes are all there is.
            (Err(DecodeError::Unknown), Err(DecodeError::Unknown)) if codings.0 == codings.1 => {
                if bodies.0 != bodies.1 {
                    bytes(bodies.0, bodies.1, here);
                }
                return Ok(());
            }
            (Err(DecodeError::TooLarge), _) | (_, Err(DecodeError::TooLarge)) => {
                return Err(Incomparable::BodyOverCap);
            }
            _ => return Err(Incomparable::Undecodable),
        };
        if ours != theirs {
            self.compare_messages(path, &ours, &theirs, here);
        }
        Ok(())
    }

    fn compare_messages(
        &self,
        path: &[u8],
        primary: &[Cow<'_, [u8]>],
        shadow: &[Cow<'_, [u8]>],
        here: &mut Here<'_, '_, '_, '_>,
    ) {
        let is_protobuf = self.format.eq_ignore_ascii_case(b"proto");
        let single = primary.len() == 1 && shadow.len() == 1;
        if is_protobuf {
            let descriptors = here.findings.descriptors();
            let method = descriptors.and_then(|of| Some((of, of.method(path)?)));
            let undone = match method {
                None => Some(Reason::ProtobufUndescribed),
                Some((descriptors, Method { response: of, streams })) => {
                    let ours = Messages { of, all: primary.iter().map(|m| &**m).collect() };
                    let theirs = Messages { of, all: shadow.iter().map(|m| &**m).collect() };
                    protobuf::messages(&ours, &theirs, streams || !single, descriptors, here)
                        .is_err()
                        .then_some(Reason::ProtobufUndecodable)
                }
            };
            match undone {
                None => return,
                Some(reason) => here.findings.suppress(reason),
            }
        }
        let is_json = self.format.eq_ignore_ascii_case(b"json");
        let each =
            |ours: &Cow<'_, [u8]>, theirs: &Cow<'_, [u8]>, here: &mut Here<'_, '_, '_, '_>| {
                if ours == theirs {
                    return;
                }
                let here = &mut here.again();
                let read = is_json
                    && json::compare(ours, theirs, &here.place, here.echo, here.findings).is_ok();
                if !read {
                    bytes(ours, theirs, here);
                }
            };
        match (primary, shadow) {
            ([ours], [theirs]) => each(ours, theirs, here),
            _ => {
                let (ours, theirs): (Vec<_>, Vec<_>) =
                    (primary.iter().collect(), shadow.iter().collect());
                in_order(&ours, &theirs, here, each);
            }
        }
    }

    /// The trailers of one of the answers: those of gRPC-Web are in its body, and are not looked
    /// for where both bodies are the same.
    fn trailers(&self, answer: &Answer<'r>) -> Cow<'r, Fields> {
        let in_body = answer.framing != Framing::Http2 && !self.same_bodies;
        let in_body = if in_body { answer.web_trailers() } else { None };
        in_body.map_or(Cow::Borrowed(&answer.response.trailers), Cow::Owned)
    }
}

/// The frames of a body that are messages.
fn framed<'b>(plain: &'b Result<Cow<'_, [u8]>, Unframed>) -> Result<Vec<Frame<'b>>, Unframed> {
    match plain {
        Ok(plain) => frames(plain).map(|frames| frames.messages),
        Err(why) => Err(*why),
    }
}

/// The messages in frames, compression removed.
fn messages<'m>(
    frames: &[Frame<'m>],
    coding: Option<&[u8]>,
) -> Result<Vec<Cow<'m, [u8]>>, DecodeError> {
    let mut room = DECODED_BYTES;
    let mut all = Vec::with_capacity(frames.len());
    for frame in frames {
        let coding = coding.filter(|_| frame.is_compressed);
        let message = decode(frame.content, coding, room)?;
        room = room.saturating_sub(message.len() as u64);
        all.push(message);
    }
    Ok(all)
}

impl<'r> Answer<'r> {
    /// How compressed messages are compressed.
    fn coding(&self) -> Option<&'r [u8]> {
        self.response.fields.get(b"grpc-encoding")
    }

    /// The trailers in the last frame of the body, if there is one.
    fn web_trailers(&self) -> Option<Fields> {
        let Response { body, .. } = self.response;
        let coding = coding(self.response);
        let whole = body.is_whole().then(|| body.kept())?;
        let body = decode(whole, coding.as_deref(), DECODED_BYTES).ok()?;
        let plain = self.framing.plain(&body).ok()?;
        let frame = frames(&plain).ok()?.trailers?;
        let coding = self.coding().filter(|_| frame.is_compressed);
        let block = decode(frame.content, coding, TRAILER_BYTES).ok()?;
        Some(status::fields_of(&block))
    }
}

/// Compares what the details of two statuses hold: whether they could be read.
fn compare_details(
    details: (Option<&[u8]>, Option<&[u8]>),
    echo: &Echo<'_>,
    findings: &mut Findings<'_>,
) -> bool {
    let (Some(ours), Some(theirs)) = details else { return false };
    let (Some(ours), Some(theirs)) = (status::decoded(ours), status::decoded(theirs)) else {
        return false;
    };
    let (field, values) = ((status::DETAILS, status::DETAILS), (details.0, details.1));
    let explained = findings.explain_field(Kind::Trailer, field, Change::Value, values.0, values.1);
    if let Some(reason) = explained {
        findings.suppress(reason);
        return true;
    }
    let descriptors = findings.descriptors().unwrap_or_else(|| Descriptors::built_in());
    let Some(of) = descriptors.known.status else { return false };
    let messages = |bytes| Messages { of, all: vec![bytes] };
    let place = Place(vec![Step::Member(Cow::Borrowed(status::DETAILS_PLACE))]);
    let mut texts = TextBudget::default();
    let mut here = Here { place, echo, findings, texts: &mut texts, nested: 0 };
    protobuf::messages(&messages(&ours), &messages(&theirs), false, descriptors, &mut here).is_ok()
}

fn bytes(primary: &[u8], shadow: &[u8], here: &mut Here<'_, '_, '_, '_>) {
    binary::compare(primary, shadow, (primary.len() as u64, shadow.len() as u64), here);
}

/// Whether a server failed to answer: HTTP's server errors (RFC 9110 §15.6), or the gRPC statuses
/// that OpenTelemetry's conventions for gRPC servers count as errors.
pub(crate) fn answer_is_error(response: &Response) -> bool {
    if response.status >= 500 {
        return true;
    }
    let Some((framing, _)) = framing_of(response) else { return false };
    let answer = Answer { response, framing };
    let web = if framing == Framing::Http2 { None } else { answer.web_trailers() };
    let trailers = web.as_ref().unwrap_or(&response.trailers);
    grpc_status::sent(&response.fields, trailers).is_some_and(grpc_status::is_error)
}

/// What the media type of an answer says of gRPC.
fn framing_of(response: &Response) -> Option<(Framing, &[u8])> {
    let field = response.fields.get(b"content-type")?;
    of_media_type(parameters::before(field))
}

#[cfg(test)]
mod tests;

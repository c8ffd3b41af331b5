//! Protobuf messages compared field by field, by a descriptor set.
//!
//! Both are written as JSON texts that lose nothing (`text.rs` has the forms), and those are
//! compared as JSON is: so a field's place is its path (`/items/0/price`), lists are compared as
//! arrays are and maps as objects, and rules name places as they do in JSON.
//!
//! Nothing is guessed. What the set does not describe is compared as bytes and counted under
//! `note:protobuf-undescribed`, and so is what is no protobuf on both sides, under
//! `note:protobuf-undecodable`; where it is none on one side, that is the difference.

mod text;
mod wire;

use buffa_descriptor::MessageIndex;

use super::content::Content;
use super::findings::Reason;
use super::here::Here;
use super::{binary, json, parameters};
use crate::{Change, Descriptors};
use text::{Fault, Seen, Writer};
use wire::Reader;

/// Bytes of the messages of one side. Of larger ones it is only said that they differ
/// ([`Change::Coarse`]): decoded they take some twenty times as much. gRPC's own readers take 4 MiB
/// unless told otherwise.
const BYTES: usize = 4 << 20;

/// Messages of one type.
#[derive(Debug)]
pub(super) struct Messages<'m> {
    pub(super) of: MessageIndex,
    pub(super) all: Vec<&'m [u8]>,
}

/// Compares two contents that are said to be protobuf.
pub(super) fn compare(primary: Content<'_>, shadow: Content<'_>, here: &mut Here<'_, '_, '_, '_>) {
    let described = here.findings.descriptors().and_then(|descriptors| {
        let (ours, theirs) = (of(primary, descriptors, here)?, of(shadow, descriptors, here)?);
        Some((descriptors, ours, theirs))
    });
    let Some((descriptors, ours, theirs)) = described else {
        here.findings.suppress(Reason::ProtobufUndescribed);
        return bytes(primary.bytes, shadow.bytes, here);
    };
    let (one, other) = (is_delimited(primary), is_delimited(shadow));
    let (Some(our), Some(their)) = (split(primary.bytes, one), split(shadow.bytes, other)) else {
        here.findings.suppress(Reason::ProtobufUndecodable);
        return bytes(primary.bytes, shadow.bytes, here);
    };
    let ours = Messages { of: ours, all: our };
    let theirs = Messages { of: theirs, all: their };
    if messages(&ours, &theirs, one || other, descriptors, here).is_err() {
        here.findings.suppress(Reason::ProtobufUndecodable);
        bytes(primary.bytes, shadow.bytes, here);
    }
}

/// Neither side is protobuf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Undecodable;

/// Compares messages, as elements of an array if `list`, and adds to what is found.
///
/// # Errors
/// Neither side can be read; nothing was added.
pub(super) fn messages(
    primary: &Messages<'_>,
    shadow: &Messages<'_>,
    list: bool,
    descriptors: &Descriptors,
    here: &mut Here<'_, '_, '_, '_>,
) -> Result<(), Undecodable> {
    let len = |messages: &Messages<'_>| messages.all.iter().map(|m| m.len()).sum::<usize>();
    let says = |len: usize| format!("len {len}");
    let lens = (len(primary), len(shadow));
    let (ours, theirs) = if lens.0.max(lens.1) > BYTES {
        (Err(Fault::TooLarge), Err(Fault::TooLarge))
    } else {
        // First for the fields that are in either, then with all of them in both.
        let mut first = Writer::new(descriptors, Seen::new());
        for side in [primary, shadow] {
            // What cannot be written now cannot be then.
            let _ = first.texts(&side.all, side.of, list);
        }
        let mut writer = Writer::new(descriptors, first.into_seen());
        let ours = writer.texts(&primary.all, primary.of, list);
        (ours, writer.texts(&shadow.all, shadow.of, list))
    };
    match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => {
            let here = &mut here.again();
            // They are JSON, and as deep as it may be.
            json::compare(&ours, &theirs, &here.place, here.echo, here.findings)
                .map_err(|_| Undecodable)
        }
        (Err(Fault::NotProtobuf), Err(Fault::NotProtobuf)) => Err(Undecodable),
        (Err(Fault::TooLarge), _) | (_, Err(Fault::TooLarge)) => {
            let (ours, theirs) = (says(lens.0), says(lens.1));
            here.differs(Change::Coarse, Some(ours.as_bytes()), Some(theirs.as_bytes()));
            Ok(())
        }
        (ours, theirs) => {
            let says = |text: &Result<Vec<u8>, Fault>, of| {
                let name = descriptors.pool.message(of).full_name();
                if text.is_ok() { name.to_owned() } else { format!("not {name}") }
            };
            let (ours, theirs) = (says(&ours, primary.of), says(&theirs, shadow.of));
            here.differs(Change::Format, Some(ours.as_bytes()), Some(theirs.as_bytes()));
            Ok(())
        }
    }
}

/// The message that a content is: as its type says, else as configured for its endpoint.
fn of(
    content: Content<'_>,
    descriptors: &Descriptors,
    here: &Here<'_, '_, '_, '_>,
) -> Option<MessageIndex> {
    // `messageType` has no standard but much use; Prometheus says `proto`.
    let field = content.content_type.unwrap_or_default();
    let said = ["messageType", "proto"].into_iter().find_map(|name| parameters::get(field, name));
    if let Some(name) = said
        && let Some(of) = std::str::from_utf8(&name).ok().and_then(|name| descriptors.message(name))
    {
        return Some(of);
    }
    // The configured message is that of the body, not of a part in it.
    let whole = here.place.0.is_empty();
    whole.then(|| here.findings.response_message()).flatten().and_then(|n| descriptors.message(n))
}

/// Whether a content is messages, each behind its length: what Prometheus exposes.
fn is_delimited(content: Content<'_>) -> bool {
    let field = content.content_type.unwrap_or_default();
    parameters::get(field, "encoding").is_some_and(|value| *value == *b"delimited")
}

/// The messages of a content; `None` where lengths are wrong.
fn split(content: &[u8], delimited: bool) -> Option<Vec<&[u8]>> {
    if !delimited {
        return Some(vec![content]);
    }
    let mut all = Vec::new();
    let mut reader = Reader(content);
    while !reader.0.is_empty() {
        all.push(reader.bytes().ok()?);
    }
    Some(all)
}

fn bytes(primary: &[u8], shadow: &[u8], here: &mut Here<'_, '_, '_, '_>) {
    binary::compare(primary, shadow, (primary.len() as u64, shadow.len() as u64), here);
}

#[cfg(test)]
mod tests;

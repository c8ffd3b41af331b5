//! Multipart contents (RFC 2046 §5.1; `multipart/form-data`: RFC 7578) compared part by part.
//!
//! The parts of form data are found by name, those of one name by order, and so are all parts of
//! other types. The boundary, and what is before the first part and after the last, is no
//! difference. In each part:
//! - the body is compared by its own media type, at the part's place: a member of a JSON document
//!   in the part `doc` is `/doc/member`;
//! - its fields are at `/doc/@content-type`, the file name at `/doc/@filename`. A `@` tells them
//!   from members. `content-length` is none of them: the body says it better.
//!
//! What is not put together as the RFCs say is refused, and compared as bytes.
//!
//! Work is linear in the contents for every level of nesting, but for what comparing a part costs.

use std::borrow::Cow;

use memchr::memmem;

use super::content::{Content, Format};
use super::here::Here;
use super::named::{Named, by_name, in_order};
use super::parameters::{self, Parameters};
use crate::Change;

/// Parts that a content may have, and what the head of a part may: lines and bytes. Contents with
/// more are said to differ and not looked into ([`Change::Coarse`]).
const PARTS: usize = 1_000;
const HEAD_LINES: usize = 64;
const HEAD_BYTES: usize = 8 << 10;

/// How deep multipart contents may be in one another; what is deeper is not looked into either.
const DEPTH: usize = 8;

/// RFC 2046 §5.1.1: a boundary has 1 to 70 characters.
const BOUNDARY_BYTES: usize = 70;

/// The content is not put together as its type says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// One part.
#[derive(Debug)]
struct Part<'t> {
    content_type: Option<Cow<'t, [u8]>>,
    /// What is compared of its header, named as in paths.
    fields: Fields<'t>,
    body: &'t [u8],
}

/// Fields of a part.
type Fields<'t> = Vec<Named<'t, Cow<'t, [u8]>>>;

/// What a content is made of.
#[derive(Debug)]
enum Parts<'t> {
    /// Parts with their names; empty where they have none.
    All(Vec<Named<'t, Part<'t>>>),
    /// Which bound they are beyond.
    TooMany(&'static str),
}

/// Compares the contents of two parts that are not the same bytes.
pub(super) type Contents = for<'t> fn(Content<'t>, Content<'t>, &mut Here<'_, 't, '_, '_>);

/// Compares two multipart contents of one media type, their parts by `contents`, and adds to what
/// is found.
///
/// # Errors
/// One of them is not put together as it should be; nothing was added.
pub(super) fn compare<'t>(
    primary: Content<'t>,
    shadow: Content<'t>,
    contents: Contents,
    here: &mut Here<'_, 't, '_, '_>,
) -> Result<(), Malformed> {
    if here.nested == DEPTH {
        here.differs(Change::Coarse, Some(b"nested too deep"), Some(b"nested too deep"));
        return Ok(());
    }
    let (ours, theirs) = match (parts(primary)?, parts(shadow)?) {
        (Parts::All(ours), Parts::All(theirs)) => (ours, theirs),
        (ours, theirs) => {
            let (ours, theirs) = (ours.says(), theirs.says());
            here.differs(Change::Coarse, Some(ours.as_bytes()), Some(theirs.as_bytes()));
            return Ok(());
        }
    };
    let here = &mut Here { nested: here.nested + 1, ..here.again() };
    if is_form_data(primary) {
        by_name(
            &ours,
            &theirs,
            here,
            |part| part.body,
            |ours, theirs, here| {
                compare_parts(ours, theirs, contents, here);
            },
        );
    } else {
        let (ours, theirs): (Vec<_>, Vec<_>) = (values(&ours), values(&theirs));
        in_order(&ours, &theirs, here, |ours, theirs, here| {
            compare_parts(ours, theirs, contents, here);
        });
    }
    Ok(())
}

/// Whether two media types with parameters are the same multipart type, whatever the boundary.
pub(super) fn same_but_for_boundary(primary: &[u8], shadow: &[u8]) -> bool {
    let is_multipart = |value| Format::by_name(parameters::before(value)) == Format::Multipart;
    let without_boundary = |value| without(value, &["boundary"]);
    is_multipart(primary)
        && is_multipart(shadow)
        && without_boundary(primary) == without_boundary(shadow)
}

fn compare_parts<'t>(
    primary: &Part<'t>,
    shadow: &Part<'t>,
    contents: Contents,
    here: &mut Here<'_, 't, '_, '_>,
) {
    by_name(
        &primary.fields,
        &shadow.fields,
        here,
        |value| value,
        |ours, theirs, here| {
            if ours != theirs {
                here.differs(Change::Value, Some(ours), Some(theirs));
            }
        },
    );
    if primary.body != shadow.body {
        contents(primary.content(), shadow.content(), &mut here.again());
    }
}

fn is_form_data(content: Content<'_>) -> bool {
    content.media_type().is_some_and(|media| media.eq_ignore_ascii_case(b"multipart/form-data"))
}

fn values<'p, 't>(parts: &'p [Named<'t, Part<'t>>]) -> Vec<&'p Part<'t>> {
    parts.iter().map(|(_, part)| part).collect()
}

impl Parts<'_> {
    fn says(&self) -> String {
        match self {
            Self::All(parts) => format!("{} parts", parts.len()),
            Self::TooMany(what) => format!("more {what} than are compared"),
        }
    }
}

impl Part<'_> {
    fn content(&self) -> Content<'_> {
        Content { content_type: self.content_type.as_deref(), bytes: self.body }
    }
}

/// Takes a content apart.
fn parts(content: Content<'_>) -> Result<Parts<'_>, Malformed> {
    let boundary = content.content_type.and_then(|value| parameters::get(value, "boundary"));
    let boundary = boundary.ok_or(Malformed)?;
    if boundary.is_empty() || boundary.len() > BOUNDARY_BYTES {
        return Err(Malformed);
    }
    let is_form_data = is_form_data(content);
    let delimiter = [b"\r\n--", &boundary[..]].concat();
    let delimiters = Delimiters { bytes: content.bytes, finder: memmem::Finder::new(&delimiter) };
    let mut parts = Vec::new();
    let mut at = delimiters.first().ok_or(Malformed)?;
    while let Delimiter::Open(start) = at.1 {
        at = delimiters.next(start).ok_or(Malformed)?;
        if parts.len() == PARTS {
            return Ok(Parts::TooMany("parts"));
        }
        match part(&content.bytes[start..at.0], is_form_data)? {
            Some(named) => parts.push(named),
            None => return Ok(Parts::TooMany("lines or bytes of a head")),
        }
    }
    Ok(Parts::All(parts))
}

/// The lines between parts.
struct Delimiters<'t, 'd> {
    bytes: &'t [u8],
    /// Finds a line break, two hyphens and the boundary.
    finder: memmem::Finder<'d>,
}

/// What a delimiter says.
enum Delimiter {
    /// A part begins here.
    Open(usize),
    /// There are no more.
    Close,
}

impl Delimiters<'_, '_> {
    /// The first: it may stand at the very beginning, without a line break before it.
    fn first(&self) -> Option<(usize, Delimiter)> {
        let line = &self.finder.needle()[2..];
        let at_once = self.bytes.starts_with(line).then(|| self.read(line.len())).flatten();
        at_once.map(|delimiter| (0, delimiter)).or_else(|| self.next(0))
    }

    /// The next at or after `from`, and where it begins.
    fn next(&self, from: usize) -> Option<(usize, Delimiter)> {
        self.finder.find_iter(&self.bytes[from..]).find_map(|at| {
            let start = from + at;
            Some((start, self.read(start + self.finder.needle().len())?))
        })
    }

    /// The rest of a delimiter, from behind the boundary. Ours: a line that goes on otherwise is
    /// none (RFC 2046 would have it be one): boundaries of nested contents often begin alike.
    fn read(&self, at: usize) -> Option<Delimiter> {
        let rest = &self.bytes[at..];
        if rest.starts_with(b"--") {
            return Some(Delimiter::Close);
        }
        let padding = rest.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
        rest[padding..].starts_with(b"\r\n").then_some(Delimiter::Open(at + padding + 2))
    }
}

/// Reads a part. `None` where its head is larger than is compared.
fn part(bytes: &[u8], is_form_data: bool) -> Result<Option<Named<'_, Part<'_>>>, Malformed> {
    // RFC 2046 §5.1.1: without fields a part begins with an empty line, without a body it ends
    // with its fields.
    let (head, body) = match (bytes.strip_prefix(b"\r\n"), memmem::find(bytes, b"\r\n\r\n")) {
        (Some(body), _) => (&b""[..], body),
        (None, Some(end)) => (&bytes[..end], &bytes[end + 4..]),
        (None, None) => (bytes, &b""[..]),
    };
    let mut name = Cow::Borrowed(&b""[..]);
    let mut part = Part { content_type: None, fields: Vec::new(), body };
    let Some(fields) = fields(head)? else { return Ok(None) };
    for (field, value) in fields {
        let mut add = |name: &[u8], value| {
            part.fields.push((Cow::Owned([b"@", name].concat()), value));
        };
        match &field.to_ascii_lowercase()[..] {
            b"content-length" => {}
            b"content-disposition" => {
                let get = |name| parameters::get(&value, name).map(Cow::into_owned);
                if let Some(filename) = get("filename") {
                    add(b"filename", Cow::Owned(filename));
                }
                let named = get("name").filter(|_| is_form_data);
                let left_out: &[&str] =
                    if named.is_some() { &["filename", "name"] } else { &["filename"] };
                add(b"content-disposition", Cow::Owned(without(&value, left_out)));
                name = named.map_or(name, Cow::Owned);
            }
            b"content-type" => {
                let is_multipart = Format::by_name(parameters::before(&value)) == Format::Multipart;
                let compared = match is_multipart {
                    true => Cow::Owned(without(&value, &["boundary"])),
                    false => value.clone(),
                };
                add(b"content-type", compared);
                part.content_type.get_or_insert(value);
            }
            other => add(other, value),
        }
    }
    Ok(Some((name, part)))
}

/// The fields of a part's head. `None` where it is larger than is compared.
fn fields(head: &[u8]) -> Result<Option<Fields<'_>>, Malformed> {
    if head.len() > HEAD_BYTES {
        return Ok(None);
    }
    let mut fields = Fields::new();
    let (mut rest, mut lines) = (head, 0);
    while !rest.is_empty() {
        lines += 1;
        if lines > HEAD_LINES {
            return Ok(None);
        }
        let end = memmem::find(rest, b"\r\n").unwrap_or(rest.len());
        let line = &rest[..end];
        rest = rest.get(end + 2..).unwrap_or_default();
        // RFC 5322 §2.2.3: a line that begins with white space goes on with the one before.
        if let [b' ' | b'\t', ..] = line {
            let (_, value) = fields.last_mut().ok_or(Malformed)?;
            value.to_mut().extend_from_slice(line);
            continue;
        }
        let colon = memchr::memchr(b':', line).ok_or(Malformed)?;
        fields.push((Cow::Borrowed(&line[..colon]), Cow::Borrowed(line[colon + 1..].trim_ascii())));
    }
    Ok(Some(fields))
}

/// A value and its parameters without those named, written in one way.
fn without(value: &[u8], names: &[&str]) -> Vec<u8> {
    let mut out = parameters::before(value).to_ascii_lowercase();
    for (name, value) in Parameters::of(value) {
        if names.iter().any(|left_out| name.eq_ignore_ascii_case(left_out.as_bytes())) {
            continue;
        }
        out.extend_from_slice(b"; ");
        out.extend(name.iter().map(u8::to_ascii_lowercase));
        out.extend_from_slice(b"=\"");
        for &byte in &*value {
            if matches!(byte, b'"' | b'\\') {
                out.push(b'\\');
            }
            out.push(byte);
        }
        out.push(b'"');
    }
    out
}

#[cfg(test)]
mod tests;

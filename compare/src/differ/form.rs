//! Forms (`application/x-www-form-urlencoded`) compared by field.
//!
//! Read as the URL standard (WHATWG, §5.1) reads them: fields between `&`, a name before the first
//! `=`, `+` for a space, `%` and two hexadecimal digits for a byte. That takes any bytes, and so
//! would make nonsense of an error message; what is no form here is said at [`fields`].

use std::borrow::Cow;

use super::charset::Charset;
use super::content::Content;
use super::findings::Reason;
use super::here::Here;
use super::named::{Named, by_name};
use crate::Change;

/// Fields that a side may have. Forms with more are said to differ and not looked into
/// ([`Change::Coarse`]).
const FIELDS: usize = 1 << 16;

/// The fields of a form.
type Fields<'t> = Vec<Named<'t, Cow<'t, [u8]>>>;

/// The text is no form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotForm;

/// Compares two forms and adds to what is found. Work is linear in them.
///
/// # Errors
/// One of them is none; nothing was added.
pub(super) fn compare<'t>(
    primary: Content<'t>,
    shadow: Content<'t>,
    here: &mut Here<'_, 't, '_, '_>,
) -> Result<(), NotForm> {
    let (charset, mark) = Charset::of(primary);
    let (shadow_charset, shadow_mark) = Charset::of(shadow);
    let ours = fields(&primary.bytes[mark..])?;
    let theirs = fields(&shadow.bytes[shadow_mark..])?;
    if charset == Charset::Unknown || shadow_charset == Charset::Unknown {
        here.findings.suppress(Reason::CharsetUnknown);
    }
    let charsets = (charset.of_fields(), shadow_charset.of_fields());
    let (ours, theirs) = in_utf8((ours, theirs), charsets);
    if ours.len().max(theirs.len()) > FIELDS {
        let says = |fields: &[_]| match fields.len() {
            len if len > FIELDS => format!("more than {FIELDS} fields"),
            len => format!("{len} fields"),
        };
        let (ours, theirs) = (says(&ours), says(&theirs));
        here.differs(Change::Coarse, Some(ours.as_bytes()), Some(theirs.as_bytes()));
        return Ok(());
    }
    by_name(
        &ours,
        &theirs,
        here,
        |value| value,
        |ours, theirs, here| {
            if ours != theirs {
                here.differs(Change::Value, Some(ours), Some(theirs));
            }
        },
    );
    Ok(())
}

/// The fields of a form, decoded, up to one more than are compared.
///
/// Ours: a text without any `=` has no values, and one with control characters was not made by
/// what writes forms. Both are no form, except that the empty text is one without fields.
fn fields(text: &[u8]) -> Result<Fields<'_>, NotForm> {
    let has_values = text.is_empty() || memchr::memchr(b'=', text).is_some();
    if !has_values || text.iter().any(u8::is_ascii_control) {
        return Err(NotForm);
    }
    let fields = text.split(|&b| b == b'&').filter(|field| !field.is_empty());
    Ok(fields
        .take(FIELDS + 1)
        .map(|field| {
            let end = memchr::memchr(b'=', field).unwrap_or(field.len());
            (decoded(&field[..end]), decoded(field.get(end + 1..).unwrap_or_default()))
        })
        .collect())
}

/// The fields of both sides in UTF-8; as they are where that is what they are in, or where one
/// cannot be decoded.
fn in_utf8<'t>(
    fields: (Fields<'t>, Fields<'t>),
    charsets: (Charset, Charset),
) -> (Fields<'t>, Fields<'t>) {
    if !charsets.0.is_other() && !charsets.1.is_other() {
        return fields;
    }
    let all = |fields: &Fields<'t>, charset: Charset| -> Option<Fields<'t>> {
        let one = |bytes: &[u8]| charset.decoded(bytes).map(|text| Cow::Owned(text.into_owned()));
        fields.iter().map(|(name, value)| Some((one(name)?, one(value)?))).collect()
    };
    all(&fields.0, charsets.0).zip(all(&fields.1, charsets.1)).unwrap_or(fields)
}

/// The bytes that a name or value stands for.
fn decoded(sent: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr2(b'+', b'%', sent).is_none() {
        return Cow::Borrowed(sent);
    }
    let mut out = Vec::with_capacity(sent.len());
    let mut rest = sent;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        out.push(match (byte, after) {
            (b'+', _) => b' ',
            (b'%', &[high, low, ..]) => match (hex(high), hex(low)) {
                (Some(high), Some(low)) => {
                    rest = &after[2..];
                    high << 4 | low
                }
                // Without two digits it stands for itself.
                _ => byte,
            },
            _ => byte,
        });
    }
    Cow::Owned(out)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests;

//! Texts in UTF-8, whatever they were sent in.
//!
//! The charset is that of the byte order mark, else the one that the `charset` parameter names, by
//! the labels of the Encoding Standard (WHATWG, §4.2 and §6: the mark goes first). Without either a
//! text is taken to be UTF-8. The mark itself is no content.
//!
//! Nothing is replaced and no error is made: where a label is not known, or bytes are not of their
//! charset, the bytes of both sides are compared as they were sent.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8};

use super::content::Content;
use super::parameters;

/// What the bytes of a text are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Charset {
    Known(&'static Encoding),
    /// The label is not in the standard, or stands for what must not be read.
    Unknown,
}

impl Charset {
    /// The charset of a text, and the length of its byte order mark.
    pub(super) fn of(content: Content<'_>) -> (Self, usize) {
        if let Some((encoding, mark)) = Encoding::for_bom(content.bytes) {
            return (Self::Known(encoding), mark);
        }
        let label = content.content_type.and_then(|value| parameters::get(value, "charset"));
        let charset = label.map_or(Self::Known(UTF_8), |label| {
            Encoding::for_label_no_replacement(&label).map_or(Self::Unknown, Self::Known)
        });
        (charset, 0)
    }

    /// Whether a text has to be decoded to be UTF-8.
    pub(super) fn is_other(self) -> bool {
        self != Self::Known(UTF_8)
    }

    /// What is percent-encoded in a form of this charset (Encoding Standard §4.3: there is no
    /// writing UTF-16).
    pub(super) fn of_fields(self) -> Self {
        match self {
            Self::Known(encoding) => Self::Known(encoding.output_encoding()),
            Self::Unknown => Self::Unknown,
        }
    }

    /// `bytes` in UTF-8; `None` where they are not of this charset.
    pub(super) fn decoded<'t>(self, bytes: &'t [u8]) -> Option<Cow<'t, [u8]>> {
        let Self::Known(encoding) = self else { return None };
        Some(match encoding.decode_without_bom_handling_and_without_replacement(bytes)? {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        })
    }
}

/// The primary's text and the shadow's.
pub(super) type Texts<'t> = (Cow<'t, [u8]>, Cow<'t, [u8]>);

/// What is to be compared of two texts.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decoded<'t> {
    /// Both in UTF-8, without byte order marks.
    Utf8(Texts<'t>),
    /// Their bytes: because that is what they are, or because one is not of its charset.
    AsSent,
    /// Their bytes, because a charset is not known.
    Unknown,
}

/// Both texts in UTF-8, where they can be and are not already.
pub(super) fn decoded<'t>(primary: Content<'t>, shadow: Content<'t>) -> Decoded<'t> {
    let (ours, theirs) = (Charset::of(primary), Charset::of(shadow));
    let texts = (&primary.bytes[ours.1..], &shadow.bytes[theirs.1..]);
    if ours.0 == Charset::Unknown || theirs.0 == Charset::Unknown {
        return Decoded::Unknown;
    }
    if ours.0.is_other() || theirs.0.is_other() {
        let both = ours.0.decoded(texts.0).zip(theirs.0.decoded(texts.1));
        return both.map_or(Decoded::AsSent, Decoded::Utf8);
    }
    // UTF-8 on both sides is compared as it is: who reads it will see whether it is that.
    match ours.1 + theirs.1 {
        0 => Decoded::AsSent,
        _ => Decoded::Utf8((Cow::Borrowed(texts.0), Cow::Borrowed(texts.1))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn charset(content_type: Option<&str>, bytes: &[u8]) -> (Charset, usize) {
        Charset::of(Content { content_type: content_type.map(str::as_bytes), bytes })
    }

    #[test]
    fn the_mark_goes_before_the_label_and_without_either_it_is_utf_8() {
        use encoding_rs::{SHIFT_JIS, UTF_16BE, UTF_16LE, WINDOWS_1252};
        for (content_type, bytes, encoding, mark) in [
            (None, &b"a"[..], UTF_8, 0),
            (Some("text/plain"), b"a", UTF_8, 0),
            (Some("text/plain; Charset=\"Latin1\""), b"a", WINDOWS_1252, 0),
            (Some("application/json;charset=sjis"), b"a", SHIFT_JIS, 0),
            (Some("text/plain; charset=utf-16"), b"a\0", UTF_16LE, 0),
            (Some("text/plain; charset=latin1"), b"\xef\xbb\xbfa", UTF_8, 3),
            (None, b"\xff\xfea\0", UTF_16LE, 2),
            (None, b"\xfe\xff\0a", UTF_16BE, 2),
        ] {
            assert_eq!(charset(content_type, bytes), (Charset::Known(encoding), mark));
        }
        for label in ["klingon", "", "iso-2022-kr"] {
            let content_type = format!("text/plain; charset={label}");
            assert_eq!(charset(Some(&content_type), b"a"), (Charset::Unknown, 0), "{label}");
        }
    }

    proptest! {
        #[test]
        fn a_text_is_the_same_in_every_charset_that_can_write_it(
            text in "[a-zA-Zäöüéß€ \n]{0,20}",
            labels in prop::sample::subsequence(LABELS, 2),
            marked in any::<bool>(),
        ) {
            let [ours, theirs] = [labels[0], labels[1]].map(|label| {
                let mark = if marked && label.starts_with("utf-") { "\u{feff}" } else { "" };
                (format!("text/plain; charset={label}"), written(&format!("{mark}{text}"), label))
            });
            let [one, other] = [&ours, &theirs].map(|(content_type, bytes)| Content {
                content_type: Some(content_type.as_bytes()),
                bytes,
            });
            let texts = match decoded(one, other) {
                Decoded::Utf8(texts) => texts,
                _ => (one.bytes.into(), other.bytes.into()),
            };
            prop_assert_eq!(&*texts.0, text.as_bytes());
            prop_assert_eq!(&*texts.1, text.as_bytes());
        }

        #[test]
        fn any_bytes_are_taken(
            one in prop::collection::vec(any::<u8>(), 0..20),
            other in prop::collection::vec(any::<u8>(), 0..20),
            label in prop::sample::select(LABELS),
        ) {
            let content_type = format!("text/plain; charset={label}");
            let [one, other] = [&one, &other]
                .map(|bytes| Content { content_type: Some(content_type.as_bytes()), bytes });
            let swapped = match decoded(other, one) {
                Decoded::Utf8((other, one)) => Decoded::Utf8((one, other)),
                as_sent => as_sent,
            };
            prop_assert_eq!(decoded(one, other), swapped);
        }
    }

    /// Charsets that can write the text of the property.
    const LABELS: &[&str] =
        &["utf-8", "windows-1252", "iso-8859-15", "utf-16le", "utf-16be", "macintosh"];

    fn written(text: &str, label: &str) -> Vec<u8> {
        match label {
            "utf-16le" => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            "utf-16be" => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
            _ => Encoding::for_label(label.as_bytes()).unwrap().encode(text).0.into_owned(),
        }
    }
}

//! What a segment of a path is, by its form alone.

/// Whether a path segment names one thing among many of its kind: a number, a UUID, a hash or a
/// token.
pub(super) fn is_identifier(segment: &[u8]) -> bool {
    if segment.iter().all(u8::is_ascii_digit) {
        return !segment.is_empty();
    }
    // All else that is one is longer, and most segments are short words.
    if segment.len() < 16 {
        return false;
    }
    let (mut digits, mut hex, mut alphanumeric, mut dashes) = (0, 0, 0, 0);
    for &b in segment {
        digits += usize::from(b.is_ascii_digit());
        hex += usize::from(b.is_ascii_hexdigit());
        alphanumeric += usize::from(b.is_ascii_alphanumeric());
        dashes += usize::from(b == b'-');
    }
    let len = segment.len();
    let uuid = || {
        len == 36 && hex == 32 && dashes == 4 && [8, 13, 18, 23].iter().all(|&i| segment[i] == b'-')
    };
    // Ours: long segments of letters and digits are tokens. Words joined by dashes are slugs:
    // which of those vary is not to be seen from one of them.
    let token = || len >= 20 && digits > 0 && alphanumeric > digits && is_token(segment);
    (hex == len && digits > 0) || uuid() || token()
}

/// Whether it is made of the letters of base64url, base62 or ULID, without words joined by dashes.
fn is_token(segment: &[u8]) -> bool {
    let joints = segment.iter().filter(|&&b| matches!(b, b'-' | b'_')).count();
    segment.iter().all(|&b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'='))
        && joints * 8 <= segment.len()
}

/// A segment before and from the dot of its extension, which is empty where it has none. Ours: one
/// to five letters and digits, at least one a letter.
pub(super) fn split_extension(segment: &[u8]) -> (&[u8], &[u8]) {
    let Some(dot) = memchr::memrchr(b'.', segment).filter(|&dot| dot > 0) else {
        return (segment, b"");
    };
    let (stem, extension) = segment.split_at(dot);
    let letters = &extension[1..];
    let is_one = (1..=5).contains(&letters.len())
        && letters.iter().all(u8::is_ascii_alphanumeric)
        && letters.iter().any(u8::is_ascii_alphabetic);
    if is_one { (stem, extension) } else { (segment, b"") }
}

/// How a segment without its extension looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// A word of an API, or the name of a thing: `items`, `berlin`, `payment-methods`.
    Word,
    /// More likely the name of a thing: `ten-years-of-http`, `alice42`, `New%20York`.
    Slug,
    /// Never one of many: nothing, a version (`v1`), what is a template already.
    Fixed,
}

impl Look {
    pub(super) fn of(stem: &[u8]) -> Self {
        let is_version = || {
            let number = stem.strip_prefix(b"v").unwrap_or_default();
            number.first().is_some_and(u8::is_ascii_digit)
                && number.iter().all(|&b| b.is_ascii_digit() || b == b'.')
        };
        if stem.is_empty() || stem.contains(&b'{') || is_version() {
            return Self::Fixed;
        }
        let dashes = stem.iter().filter(|&&b| b == b'-').count();
        let plain = |&b: &u8| b.is_ascii_alphabetic() || matches!(b, b'-' | b'_' | b'.');
        if dashes >= 2 || !stem.iter().all(plain) { Self::Slug } else { Self::Word }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_extension_is_short_and_has_a_letter() {
        for (segment, stem, extension) in [
            ("a.png", "a", ".png"),
            ("a.b.mp4", "a.b", ".mp4"),
            ("v1.2", "v1.2", ""),
            (".env", ".env", ""),
            ("chat.postMessage", "chat.postMessage", ""),
            ("a.", "a.", ""),
            ("", "", ""),
        ] {
            let (stem, extension) = (stem.as_bytes(), extension.as_bytes());
            assert_eq!(split_extension(segment.as_bytes()), (stem, extension), "{segment}");
        }
    }

    #[test]
    fn names_of_things_look_other_than_words() {
        for (stem, look) in [
            ("items", Look::Word),
            ("payment-methods", Look::Word),
            ("get_user_by_id", Look::Word),
            ("berlin", Look::Word),
            ("ten-years-of-http", Look::Slug),
            ("alice42", Look::Slug),
            ("New%20York", Look::Slug),
            ("caf??", Look::Slug),
            ("@bob", Look::Slug),
            ("v1", Look::Fixed),
            ("v1.2", Look::Fixed),
            ("vacation", Look::Word),
            ("{id}", Look::Fixed),
            ("", Look::Fixed),
        ] {
            assert_eq!(Look::of(stem.as_bytes()), look, "{stem}");
        }
    }
}

//! Requests and responses as capture hands them on: header fields in one buffer, spans into it.

use crate::Body;

/// HTTP version of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
    /// HTTP/2
    Http2,
    /// The start line has none that could be relied on: a request as HTTP/0.9 has it (RFC 1945 §5),
    /// or a line with more words than it should have.
    Unknown,
}

impl Version {
    /// As the start line writes it; empty for [`Version::Unknown`].
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
            Self::Unknown => "",
        }
    }
}

/// A request. `method` and `target` are as sent (HTTP/2: `:method`, `:path`).
#[derive(Clone, Debug)]
pub struct Request {
    /// Version of the start line.
    pub version: Version,
    /// Method, target and header fields.
    pub fields: Fields,
    /// The entity, transfer coding removed.
    pub body: Body,
    /// Trailer fields; empty when there were none.
    pub trailers: Fields,
}

impl Request {
    /// The method, as sent.
    #[must_use]
    pub fn method(&self) -> &[u8] {
        self.fields.first_line_part(0)
    }

    /// The request target, as sent.
    #[must_use]
    pub fn target(&self) -> &[u8] {
        self.fields.first_line_part(1)
    }

    /// The `Host` field (HTTP/2: `:authority`).
    #[must_use]
    pub fn host(&self) -> Option<&[u8]> {
        let authority = self.fields.first_line_part(2);
        if authority.is_empty() { self.fields.get(b"host") } else { Some(authority) }
    }
}

/// A final response.
#[derive(Clone, Debug)]
pub struct Response {
    /// Version of the start line.
    pub version: Version,
    /// Status code.
    pub status: u16,
    /// Reason phrase (first-line part 0) and header fields.
    pub fields: Fields,
    /// The entity, transfer coding removed.
    pub body: Body,
    /// Trailer fields; empty when there were none.
    pub trailers: Fields,
}

/// A part of the text of [`Fields`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// Heads are capped far below 4 GiB (`Limits::head_bytes`), so offsets fit.
    pub(crate) fn new(range: std::ops::Range<usize>) -> Self {
        debug_assert!(range.end <= u32::MAX as usize, "heads are capped below 4 GiB");
        Self { start: range.start as u32, end: range.end as u32 }
    }

    /// As indices.
    pub(crate) fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// Where the names and values of fields lie in a text, in the order sent, written as [`Fields`]
/// keeps them: it takes all of them over as one run of bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct FieldSpans(Vec<[u8; FIELD_SPANS_BYTES]>);

/// Start and end of the name, then of the value, as little-endian numbers.
const FIELD_SPANS_BYTES: usize = 16;

impl FieldSpans {
    /// None yet, with room for so many.
    pub(crate) fn with_capacity(fields: usize) -> Self {
        Self(Vec::with_capacity(fields))
    }

    /// Adds a field.
    #[inline]
    pub(crate) fn push(&mut self, name: Span, value: Span) {
        self.0.push(encode(name, value));
    }

    /// Moves the value of the field at `index`.
    pub(crate) fn move_value(&mut self, index: usize, value: Span) {
        let (name, _) = decode(&self.0[index]);
        self.0[index] = encode(name, value);
    }

    /// Name and value of the field at `index`.
    pub(crate) fn get(&self, index: usize) -> (Span, Span) {
        decode(&self.0[index])
    }

    /// Names and values.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (Span, Span)> {
        self.0.iter().map(decode)
    }

    /// Drops the fields that are not to be kept.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(Span, Span) -> bool) {
        self.0.retain(|field| {
            let (name, value) = decode(field);
            keep(name, value)
        });
    }

    /// How many fields.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Drops all of them.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

#[inline]
fn encode(name: Span, value: Span) -> [u8; FIELD_SPANS_BYTES] {
    let mut field = [0; FIELD_SPANS_BYTES];
    let (numbers, _) = field.as_chunks_mut();
    for (at, number) in [name.start, name.end, value.start, value.end].into_iter().enumerate() {
        numbers[at] = number.to_le_bytes();
    }
    field
}

#[inline]
fn decode(field: &[u8; FIELD_SPANS_BYTES]) -> (Span, Span) {
    let (numbers, _) = field.as_chunks();
    let number = |at: usize| u32::from_le_bytes(numbers[at]);
    (Span { start: number(0), end: number(1) }, Span { start: number(2), end: number(3) })
}

/// Header (or trailer) fields in the order sent, and the parts of the first line, in one buffer.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    /// The text that all spans lie in, then the spans of the fields, as [`FieldSpans`] has them:
    /// one allocation for a head.
    buffer: Box<[u8]>,
    text_len: u32,
    pseudo: u32,
    first_line: [Span; 3],
}

impl Fields {
    /// A copy of `text`, and the spans that lie in it.
    ///
    /// # Panics
    ///
    /// Not here, but on access to a span outside `text`.
    pub(crate) fn new(text: &[u8], first_line: [Span; 3], fields: &FieldSpans) -> Self {
        let spans = fields.0.as_flattened();
        let mut buffer = Vec::with_capacity(text.len() + spans.len());
        buffer.extend_from_slice(text);
        buffer.extend_from_slice(spans);
        let Span { end: text_len, .. } = Span::new(0..text.len());
        Self { buffer: buffer.into_boxed_slice(), text_len, pseudo: 0, first_line }
    }

    /// The same, sent with so many pseudo-header fields before them (RFC 9113 §8.3).
    pub(crate) fn after_pseudo(self, count: usize) -> Self {
        Self { pseudo: u32::try_from(count).unwrap_or(u32::MAX), ..self }
    }

    /// Names and values in the order sent, as sent.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> + Clone {
        self.spans().iter().map(|field| {
            let (name, value) = decode(field);
            (self.slice(name), self.slice(value))
        })
    }

    /// The first value of `name`, compared without regard to ASCII case.
    #[must_use]
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.get_all(name).next()
    }

    /// All values of `name` in the order sent, compared without regard to ASCII case.
    pub fn get_all<'a>(&'a self, name: &[u8]) -> impl Iterator<Item = &'a [u8]> {
        self.spans().iter().filter_map(move |field| {
            let (sent, value) = decode(field);
            let same = (sent.end - sent.start) as usize == name.len() && {
                let sent = self.slice(sent);
                sent == name || sent.eq_ignore_ascii_case(name)
            };
            same.then(|| self.slice(value))
        })
    }

    /// How many fields.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans().len()
    }

    /// How many pseudo-header fields came with them: HTTP/2's way to say the first line. They are
    /// no fields here.
    #[must_use]
    pub fn pseudo_fields(&self) -> usize {
        self.pseudo as usize
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans().is_empty()
    }

    /// Bytes held, for budgets.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.buffer.len()
    }

    fn spans(&self) -> &[[u8; FIELD_SPANS_BYTES]] {
        self.buffer[self.text_len as usize..].as_chunks().0
    }

    fn first_line_part(&self, part: usize) -> &[u8] {
        self.slice(self.first_line[part])
    }

    fn slice(&self, span: Span) -> &[u8] {
        &self.buffer[span.range()]
    }
}

/// Builds [`Fields`] by copying parts into one buffer.
#[derive(Debug, Default)]
pub struct FieldsBuilder {
    text: Vec<u8>,
    first_line: [Span; 3],
    fields: FieldSpans,
}

impl FieldsBuilder {
    /// An empty builder.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a first-line part (request: 0 method, 1 target, 2 authority; response: 0 reason).
    pub fn first_line(&mut self, part: usize, value: &[u8]) {
        self.first_line[part] = self.append(value);
    }

    /// Adds a field.
    pub fn field(&mut self, name: &[u8], value: &[u8]) {
        let (name, value) = (self.append(name), self.append(value));
        self.fields.push(name, value);
    }

    /// The fields.
    #[must_use]
    pub fn build(self) -> Fields {
        Fields::new(&self.text, self.first_line, &self.fields)
    }

    fn append(&mut self, part: &[u8]) -> Span {
        let start = self.text.len();
        self.text.extend_from_slice(part);
        Span::new(start..self.text.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn name() -> impl Strategy<Value = Vec<u8>> {
        // Few, so that some come more than once, and in several cases.
        "[abAB]{0,2}".prop_map(String::into_bytes)
    }

    proptest! {
        #[test]
        fn fields_are_what_a_plain_list_of_them_is(
            list in vec((name(), vec(any::<u8>(), 0..20)), 0..12),
            first_line in vec(vec(any::<u8>(), 0..8), 3),
            asked in name(),
        ) {
            let mut builder = FieldsBuilder::new();
            for (part, text) in first_line.iter().enumerate() {
                builder.first_line(part, text);
            }
            for (name, value) in &list {
                builder.field(name, value);
            }
            let fields = builder.build();
            let told: Vec<_> = fields.iter().map(|(n, v)| (n.to_vec(), v.to_vec())).collect();
            prop_assert_eq!(&told, &list);
            prop_assert_eq!((fields.len(), fields.is_empty()), (list.len(), list.is_empty()));
            for (part, text) in first_line.iter().enumerate() {
                prop_assert_eq!(fields.first_line_part(part), &text[..]);
            }
            let of_name = list.iter().filter(|(name, _)| name.eq_ignore_ascii_case(&asked));
            let expected: Vec<&[u8]> = of_name.map(|(_, value)| &value[..]).collect();
            prop_assert_eq!(fields.get(&asked), expected.first().copied());
            prop_assert_eq!(fields.get_all(&asked).collect::<Vec<_>>(), expected);
            let text: usize = list.iter().map(|(name, value)| name.len() + value.len()).sum();
            let text = text + first_line.iter().map(Vec::len).sum::<usize>();
            prop_assert_eq!(fields.held_bytes(), text + list.len() * FIELD_SPANS_BYTES);
        }
    }

    #[test]
    fn no_fields_hold_nothing() {
        let none = Fields::default();
        assert_eq!((none.held_bytes(), none.len(), none.iter().count()), (0, 0, 0));
        assert_eq!((none.get(b"a"), none.first_line_part(2)), (None, &b""[..]));
    }
}

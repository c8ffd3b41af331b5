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

/// A span of [`Fields::bytes`].
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

/// Header (or trailer) fields in the order sent, and the parts of the first line, in one buffer.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    bytes: Vec<u8>,
    first_line: [Span; 3],
    fields: Vec<(Span, Span)>,
    pseudo: u32,
}

impl Fields {
    /// Fields whose spans lie in `bytes`: for parsers that find them in place and copy a head once.
    ///
    /// # Panics
    ///
    /// Not here, but on access to a span outside `bytes`.
    pub(crate) fn from_parts(
        bytes: Vec<u8>,
        first_line: [Span; 3],
        fields: Vec<(Span, Span)>,
    ) -> Self {
        Self { bytes, first_line, fields, pseudo: 0 }
    }

    /// The same, sent with so many pseudo-header fields before them (RFC 9113 §8.3).
    pub(crate) fn after_pseudo(self, count: usize) -> Self {
        Self { pseudo: u32::try_from(count).unwrap_or(u32::MAX), ..self }
    }

    /// Names and values in the order sent, as sent.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> + Clone {
        self.fields.iter().map(|&(name, value)| (self.slice(name), self.slice(value)))
    }

    /// The first value of `name`, compared without regard to ASCII case.
    #[must_use]
    pub fn get(&self, name: &[u8]) -> Option<&[u8]> {
        self.get_all(name).next()
    }

    /// All values of `name` in the order sent, compared without regard to ASCII case.
    pub fn get_all<'a>(&'a self, name: &[u8]) -> impl Iterator<Item = &'a [u8]> {
        self.fields
            .iter()
            .filter(move |(n, _)| {
                (n.end - n.start) as usize == name.len()
                    && (self.slice(*n) == name || self.slice(*n).eq_ignore_ascii_case(name))
            })
            .map(|&(_, value)| self.slice(value))
    }

    /// How many fields.
    #[must_use]
    pub fn len(&self) -> usize {
        self.fields.len()
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
        self.fields.is_empty()
    }

    /// Bytes held, for budgets.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.bytes.capacity() + self.fields.capacity() * size_of::<(Span, Span)>()
    }

    fn first_line_part(&self, part: usize) -> &[u8] {
        self.slice(self.first_line[part])
    }

    fn slice(&self, span: Span) -> &[u8] {
        &self.bytes[span.range()]
    }
}

/// Builds [`Fields`] by copying parts into one buffer.
///
/// For a head that already lies in one piece, [`FieldsBuilder::with_head`] copies it once and the
/// `*_at` methods take ranges into it.
#[derive(Debug, Default)]
pub struct FieldsBuilder(Fields);

impl FieldsBuilder {
    /// An empty builder.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A builder over a copy of `head`, to which ranges will refer.
    ///
    /// `field_count` is a hint for the first allocation.
    #[must_use]
    pub fn with_head(head: &[u8], field_count: usize) -> Self {
        Self(Fields {
            bytes: head.to_vec(),
            first_line: [Span::default(); 3],
            fields: Vec::with_capacity(field_count),
            pseudo: 0,
        })
    }

    /// Sets a first-line part (request: 0 method, 1 target, 2 authority; response: 0 reason).
    pub fn first_line_at(&mut self, part: usize, range: std::ops::Range<usize>) {
        self.0.first_line[part] = self.span(range);
    }

    /// Sets a first-line part from bytes of its own.
    pub fn first_line(&mut self, part: usize, value: &[u8]) {
        self.0.first_line[part] = self.append(value);
    }

    /// Adds a field whose name and value lie in the head.
    pub fn field_at(&mut self, name: std::ops::Range<usize>, value: std::ops::Range<usize>) {
        let field = (self.span(name), self.span(value));
        self.0.fields.push(field);
    }

    /// Adds a field from bytes of its own.
    pub fn field(&mut self, name: &[u8], value: &[u8]) {
        let field = (self.append(name), self.append(value));
        self.0.fields.push(field);
    }

    /// The fields.
    #[must_use]
    pub fn build(self) -> Fields {
        self.0
    }

    fn append(&mut self, part: &[u8]) -> Span {
        let start = self.0.bytes.len();
        self.0.bytes.extend_from_slice(part);
        self.span(start..start + part.len())
    }

    fn span(&self, range: std::ops::Range<usize>) -> Span {
        assert!(range.start <= range.end && range.end <= self.0.bytes.len(), "span outside head");
        Span::new(range)
    }
}

//! The fields of a header block, as they are decoded.

use crate::message::{FieldSpans, Span};
use crate::{Anomaly, Limits};

/// RFC 9113 §10.5.1: what a field costs besides its name and value.
const OVERHEAD: usize = 32;

/// Fields in the order sent, pseudo-header fields among them, in one buffer.
///
/// Above `Limits::head_bytes` or `Limits::head_fields` nothing more is kept, and
/// [`FieldList::overflow`] says which.
#[derive(Debug)]
pub(in crate::http2) struct FieldList {
    pub(in crate::http2) bytes: Vec<u8>,
    pub(in crate::http2) fields: FieldSpans,
    /// Fields left out because their name or value was not seen.
    pub(in crate::http2) unknown: usize,
    pub(in crate::http2) overflow: Option<Anomaly>,
    /// Bytes by the measure of RFC 9113 §10.5.1 that may still come.
    room: usize,
    max_fields: usize,
}

impl FieldList {
    /// An empty list, with room for about so many bytes and fields.
    pub(in crate::http2) fn new(limits: &Limits, bytes: usize, fields: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(bytes.min(limits.head_bytes)),
            fields: FieldSpans::with_capacity(fields.min(limits.head_fields)),
            unknown: 0,
            overflow: None,
            room: limits.head_bytes,
            max_fields: limits.head_fields,
        }
    }

    /// Whether nothing more is kept.
    pub(super) fn is_full(&self) -> bool {
        self.overflow.is_some()
    }

    /// Adds a field.
    pub(super) fn push(&mut self, name: &[u8], value: &[u8]) {
        if self.is_full() {
            return;
        }
        let start = self.bytes.len();
        if self.admits(name.len() + value.len()) {
            self.bytes.extend_from_slice(name);
            self.bytes.extend_from_slice(value);
            self.add(start, start + name.len());
        }
    }

    /// Adds the field whose name lies at `start..middle` of the buffer, and its value from there to
    /// the end.
    pub(super) fn keep(&mut self, start: usize, middle: usize) {
        if !self.is_full() && self.admits(self.bytes.len() - start) {
            self.add(start, middle);
        } else {
            self.bytes.truncate(start);
        }
    }

    /// Leaves out a field that is not known, whose parts lie from `start` on.
    pub(super) fn leave_out(&mut self, start: usize) {
        self.bytes.truncate(start);
        self.unknown += 1;
    }

    fn admits(&mut self, len: usize) -> bool {
        if self.fields.len() >= self.max_fields {
            self.overflow = Some(Anomaly::TooManyFields);
        } else if let Some(room) = self.room.checked_sub(len + OVERHEAD) {
            self.room = room;
        } else {
            self.overflow = Some(Anomaly::HeadTooLarge);
        }
        self.overflow.is_none()
    }

    fn add(&mut self, start: usize, middle: usize) {
        self.fields.push(Span::new(start..middle), Span::new(middle..self.bytes.len()));
    }
}

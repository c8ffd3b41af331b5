//! Protobuf messages written as JSON texts, so that two of them say the same if and only if their
//! texts are equal as JSON.
//!
//! Not the JSON mapping of protobuf, which loses what it has no words for. Written here:
//! - members by the names of the `.proto` file, extensions as `[package.name]`;
//! - numbers in all their digits; NaN and the infinities as strings;
//! - enum values by name, as strings, those without a name by number (`"7"`);
//! - bytes in base64, longer ones by length and BLAKE3;
//! - maps as objects; `Any` with its message inside where the set has it; `Timestamp` and `Duration`
//!   as one string;
//! - fields that the set does not know as `[unknown 7]`, by their wire type, and so are known ones
//!   that came with another wire type than theirs: a reader of this message knows neither.
//!
//! What is no difference: the order of fields; packed or not; a message in several pieces, which
//! readers merge; all but the last of a field or of a oneof, which readers drop. Where a field has
//! no presence, its default is the same as its absence: it is written where one of the two messages
//! has the field anywhere, so [`Seen`] gathers those first, and never where neither has.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;

use buffa::editions::FieldPresence;
use buffa_descriptor::{
    FieldDescriptor, FieldKind, MessageDescriptor, MessageIndex, ScalarType, SingularKind,
};
use data_encoding::BASE64;
use hashbrown::HashMap;

use super::wire::{NotProtobuf, Raw, Reader};
use crate::Descriptors;

/// Messages in one another: as deep as protobuf's own readers go by default.
const DEPTH: usize = 100;

/// Bytes of a text. Larger ones are not compared ([`Fault::TooLarge`]).
const TEXT_BYTES: usize = 32 << 20;

/// Bytes that are written as they are; of longer ones length and digest are.
const SHORT_BYTES: usize = 48;

/// Why there is no text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    NotProtobuf,
    TooLarge,
}

impl From<NotProtobuf> for Fault {
    fn from(NotProtobuf: NotProtobuf) -> Self {
        Self::NotProtobuf
    }
}

/// The fields without presence that are in some of the messages, by message and number.
pub(super) type Seen = HashMap<MessageIndex, BTreeSet<u32>>;

/// Writes messages.
#[derive(Debug)]
pub(super) struct Writer<'d> {
    descriptors: &'d Descriptors,
    seen: Seen,
    out: Vec<u8>,
}

/// A field as it came.
#[derive(Clone, Copy, Debug)]
struct Came<'d, 'm> {
    number: u32,
    /// `None`: unknown.
    field: Option<Field<'d>>,
    value: Raw<'m>,
}

/// A field of a message, or an extension, with the name that it is written under.
#[derive(Clone, Copy, Debug)]
struct Field<'d> {
    of: &'d FieldDescriptor,
    extension: Option<&'d str>,
}

impl<'d> Writer<'d> {
    /// One to whom the fields in `seen` are known to be in some message.
    pub(super) fn new(descriptors: &'d Descriptors, seen: Seen) -> Self {
        Self { descriptors, seen, out: Vec::new() }
    }

    /// The text of these messages of one type, one behind the other: as an array if `list`.
    ///
    /// # Errors
    /// One is no protobuf message, or there is too much of them.
    pub(super) fn texts(
        &mut self,
        messages: &[&[u8]],
        of: MessageIndex,
        list: bool,
    ) -> Result<Vec<u8>, Fault> {
        self.out.clear();
        if list {
            self.out.push(b'[');
        }
        for (at, &message) in messages.iter().enumerate() {
            if at > 0 {
                self.out.push(b',');
            }
            self.message(&[message], of, 0)?;
        }
        if list {
            self.out.push(b']');
        }
        Ok(std::mem::take(&mut self.out))
    }

    /// The fields without presence that came so far.
    pub(super) fn into_seen(self) -> Seen {
        self.seen
    }

    /// Writes one message, which came in these pieces.
    fn message(&mut self, pieces: &[&[u8]], of: MessageIndex, depth: usize) -> Result<(), Fault> {
        if depth == DEPTH {
            return Err(Fault::NotProtobuf);
        }
        let descriptor = self.descriptors.pool.message(of);
        let mut came = self.read(pieces, of, descriptor)?;
        // Stable: what is repeated stays in its order.
        came.sort_by_key(|came| (came.field.is_none(), came.number));
        if self.well_known(&came, of, depth)? {
            return Ok(());
        }
        let known = came.partition_point(|came| came.field.is_some());
        let (mut known, unknown) = (&came[..known], &came[known..]);
        self.out.push(b'{');
        let start = self.out.len();
        // Defaults of fields that are elsewhere and not here, in their places.
        let absent: Vec<u32> = self.seen.get(&of).into_iter().flatten().copied().collect();
        let mut absent = absent.into_iter().peekable();
        loop {
            let next = known.first().map_or(u32::MAX, |came| came.number);
            if let Some(number) = absent.next_if(|&number| number < next) {
                if let Some(field) = self.field(of, descriptor, number) {
                    self.name(start, field);
                    self.default(field.of.kind())?;
                }
                continue;
            }
            absent.next_if_eq(&next);
            let same = known.iter().take_while(|came| came.number == next).count();
            let (of_field, rest) = known.split_at(same);
            known = rest;
            let Some(Came { field: Some(field), .. }) = of_field.first() else { break };
            self.name(start, *field);
            self.values(field.of, of_field, depth)?;
        }
        for same in unknown.chunk_by(|one, other| one.number == other.number) {
            self.comma(start);
            let _ = write!(self.out, "\"[unknown {}]\":", same[0].number);
            match same {
                [only] => self.unknown(only.value),
                _ => self.list(same, |writer, came| {
                    writer.unknown(came.value);
                    Ok(())
                })?,
            }
        }
        self.out.push(b'}');
        self.check()
    }

    /// The fields of a message; of a oneof, those of the member that came last.
    fn read<'m>(
        &mut self,
        pieces: &[&'m [u8]],
        of: MessageIndex,
        descriptor: &'d MessageDescriptor,
    ) -> Result<Vec<Came<'d, 'm>>, Fault> {
        let mut all = Vec::new();
        let mut has_oneofs = false;
        for piece in pieces {
            let mut reader = Reader(piece);
            while let Some((number, value)) = reader.field()? {
                let field = self.field(of, descriptor, number).filter(|f| fits(f.of, value));
                if let Some(Field { of: field, .. }) = field {
                    has_oneofs |= field.oneof_index().is_some();
                    if field.presence() == FieldPresence::Implicit {
                        self.seen.entry(of).or_default().insert(number);
                    }
                }
                all.push(Came { number, field, value });
            }
        }
        if has_oneofs {
            keep_last_of_oneofs(&mut all);
        }
        Ok(all)
    }

    fn field(
        &self,
        of: MessageIndex,
        descriptor: &'d MessageDescriptor,
        number: u32,
    ) -> Option<Field<'d>> {
        if let Some(field) = descriptor.field(number) {
            return Some(Field { of: field, extension: None });
        }
        let extension = self.descriptors.pool.extension_for(of, number)?;
        Some(Field { of: extension.field(), extension: Some(extension.full_name()) })
    }

    /// Writes the values of one field.
    fn values(
        &mut self,
        field: &FieldDescriptor,
        came: &[Came<'_, '_>],
        depth: usize,
    ) -> Result<(), Fault> {
        match field.kind() {
            FieldKind::Map { key, value } => self.map(key, value, came, depth),
            FieldKind::List(kind) => {
                self.out.push(b'[');
                let start = self.out.len();
                for came in came {
                    self.elements(kind, came.value, start, depth)?;
                }
                self.out.push(b']');
                Ok(())
            }
            // Pieces of a message are merged, of all else the last one counts.
            FieldKind::Singular(SingularKind::Message(of)) => {
                let pieces: Vec<&[u8]> = came.iter().map(|came| inside(came.value)).collect();
                self.message(&pieces, of, depth + 1)
            }
            FieldKind::Singular(kind) => match came.last() {
                Some(last) => self.value(kind, last.value, depth),
                None => Ok(()),
            },
        }
    }

    /// Writes one element of a list, or several that are packed.
    fn elements(
        &mut self,
        kind: SingularKind,
        value: Raw<'_>,
        start: usize,
        depth: usize,
    ) -> Result<(), Fault> {
        let wire = Wire::of(kind);
        let Raw::Bytes(packed) = value else {
            self.comma(start);
            return self.value(kind, value, depth);
        };
        if wire == Wire::Bytes {
            self.comma(start);
            return self.value(kind, value, depth);
        }
        let mut packed = Reader(packed);
        while !packed.0.is_empty() {
            let value = match wire {
                Wire::Fixed64 => Raw::Fixed64(packed.fixed64()?),
                Wire::Fixed32 => Raw::Fixed32(packed.fixed32()?),
                _ => Raw::Varint(packed.varint()?),
            };
            self.comma(start);
            self.value(kind, value, depth)?;
            self.check()?;
        }
        Ok(())
    }

    /// Writes the entries of a map by key; of two with one key the last counts.
    fn map(
        &mut self,
        key: ScalarType,
        value: SingularKind,
        came: &[Came<'_, '_>],
        depth: usize,
    ) -> Result<(), Fault> {
        let mut entries: BTreeMap<Vec<u8>, Option<Raw<'_>>> = BTreeMap::new();
        for came in came {
            let (mut name, mut last) = (None, None);
            let mut reader = Reader(inside(came.value));
            while let Some((number, raw)) = reader.field()? {
                match number {
                    1 if Wire::of(SingularKind::Scalar(key)).is(raw) => name = Some(raw),
                    2 if Wire::of(value).is(raw) => last = Some(raw),
                    _ => {}
                }
            }
            entries.insert(self.key(key, name)?, last);
        }
        self.out.push(b'{');
        let start = self.out.len();
        for (name, raw) in entries {
            self.comma(start);
            self.out.extend_from_slice(&name);
            self.out.push(b':');
            match raw {
                Some(raw) => self.value(value, raw, depth)?,
                None => self.default(FieldKind::Singular(value))?,
            }
            self.check()?;
        }
        self.out.push(b'}');
        Ok(())
    }

    /// The key of a map's entry, as a name of a member.
    fn key(&mut self, key: ScalarType, value: Option<Raw<'_>>) -> Result<Vec<u8>, Fault> {
        let start = self.out.len();
        match value {
            Some(value) => self.scalar(key, value)?,
            None => self.default(FieldKind::Singular(SingularKind::Scalar(key)))?,
        }
        let mut name = self.out.split_off(start);
        if name.first() != Some(&b'"') {
            name.insert(0, b'"');
            name.push(b'"');
        }
        Ok(name)
    }

    /// Writes one value of a field; `raw` is of the wire type that the kind has.
    fn value(&mut self, kind: SingularKind, raw: Raw<'_>, depth: usize) -> Result<(), Fault> {
        match (kind, raw) {
            (SingularKind::Message(of), _) => self.message(&[inside(raw)], of, depth + 1),
            (SingularKind::Scalar(scalar), _) => self.scalar(scalar, raw),
            (SingularKind::Enum(of), Raw::Varint(number)) => {
                // An enum is an int32, of which varints hold more bits.
                let number = number as i32;
                match self.descriptors.pool.enumeration(of).value(number) {
                    Some(value) => string(&mut self.out, value.name()),
                    None => {
                        let _ = write!(self.out, "\"{number}\"");
                    }
                }
                Ok(())
            }
            (SingularKind::Enum(_), _) => Err(Fault::NotProtobuf),
        }
    }

    fn scalar(&mut self, scalar: ScalarType, raw: Raw<'_>) -> Result<(), Fault> {
        let out = &mut self.out;
        let _ = match (scalar, raw) {
            (ScalarType::Int32, Raw::Varint(n)) => write!(out, "{}", n as i32),
            (ScalarType::Int64, Raw::Varint(n)) => write!(out, "{}", n as i64),
            (ScalarType::Uint32, Raw::Varint(n)) => write!(out, "{}", n as u32),
            (ScalarType::Uint64, Raw::Varint(n)) => write!(out, "{n}"),
            (ScalarType::Sint32, Raw::Varint(n)) => {
                let n = n as u32;
                write!(out, "{}", (n >> 1) as i32 ^ -((n & 1) as i32))
            }
            (ScalarType::Sint64, Raw::Varint(n)) => {
                write!(out, "{}", (n >> 1) as i64 ^ -((n & 1) as i64))
            }
            (ScalarType::Bool, Raw::Varint(n)) => write!(out, "{}", n != 0),
            (ScalarType::Fixed32, Raw::Fixed32(n)) => write!(out, "{n}"),
            (ScalarType::Sfixed32, Raw::Fixed32(n)) => write!(out, "{}", n as i32),
            (ScalarType::Fixed64, Raw::Fixed64(n)) => write!(out, "{n}"),
            (ScalarType::Sfixed64, Raw::Fixed64(n)) => write!(out, "{}", n as i64),
            // The shortest digits that are this number and no other.
            (ScalarType::Float, Raw::Fixed32(n)) => match f32::from_bits(n) {
                n if n.is_finite() => write!(out, "{n:?}"),
                n => write!(out, "\"{}\"", not_finite(n.into())),
            },
            (ScalarType::Double, Raw::Fixed64(n)) => match f64::from_bits(n) {
                n if n.is_finite() => write!(out, "{n:?}"),
                n => write!(out, "\"{}\"", not_finite(n)),
            },
            (ScalarType::String, Raw::Bytes(text)) => {
                // A string is UTF-8, and readers of proto3 refuse what is not.
                string(out, std::str::from_utf8(text).map_err(|_| Fault::NotProtobuf)?);
                Ok(())
            }
            (ScalarType::Bytes, Raw::Bytes(all)) => {
                bytes(out, "", all);
                Ok(())
            }
            _ => return Err(Fault::NotProtobuf),
        };
        Ok(())
    }

    /// Writes what a field without presence has where it did not come.
    fn default(&mut self, kind: FieldKind) -> Result<(), Fault> {
        match kind {
            FieldKind::List(_) => self.out.extend_from_slice(b"[]"),
            FieldKind::Map { .. } => self.out.extend_from_slice(b"{}"),
            FieldKind::Singular(SingularKind::Message(of)) => {
                return self.message(&[], of, DEPTH - 1);
            }
            FieldKind::Singular(kind) => {
                let zero = match Wire::of(kind) {
                    Wire::Varint => Raw::Varint(0),
                    Wire::Fixed64 => Raw::Fixed64(0),
                    Wire::Fixed32 => Raw::Fixed32(0),
                    Wire::Bytes => Raw::Bytes(b""),
                };
                return self.value(kind, zero, 0);
            }
        }
        Ok(())
    }

    /// Writes a message that is read for what it means: whether it is one, and whole.
    fn well_known(
        &mut self,
        came: &[Came<'_, '_>],
        of: MessageIndex,
        depth: usize,
    ) -> Result<bool, Fault> {
        let known = self.descriptors.known;
        let last = |number| came.iter().rev().find(|came| came.number == number);
        let is_one = [known.any, known.timestamp, known.duration].contains(&Some(of));
        if !is_one || came.iter().any(|came| came.field.is_none()) {
            return Ok(false);
        }
        if known.any == Some(of) {
            let (Some(Raw::Bytes(url)), Some(Raw::Bytes(value))) =
                (last(1).map(|came| came.value), last(2).map(|came| came.value))
            else {
                return Ok(false);
            };
            return self.any(url, value, depth);
        }
        let varint = |number| match last(number).map(|came| came.value) {
            Some(Raw::Varint(n)) => n,
            _ => 0,
        };
        let (seconds, nanos) = (varint(1) as i64, varint(2) as i32);
        let text = if known.timestamp == Some(of) {
            // timestamp.proto: nanos count forward, also before 1970.
            let nanos = Some(nanos).filter(|nanos| (0..1_000_000_000).contains(nanos));
            nanos.and_then(|nanos| jiff::Timestamp::new(seconds, nanos).ok()).map(|t| t.to_string())
        } else {
            duration(seconds, nanos)
        };
        let Some(text) = text else { return Ok(false) };
        string(&mut self.out, &text);
        Ok(true)
    }

    /// Writes an `Any` with the message that it holds, where the set has that and it is one.
    fn any(&mut self, url: &[u8], value: &[u8], depth: usize) -> Result<bool, Fault> {
        let Ok(url) = std::str::from_utf8(url) else { return Ok(false) };
        let name = url.rsplit('/').next().unwrap_or(url);
        let Some(of) = self.descriptors.message(name) else { return Ok(false) };
        let start = self.out.len();
        self.out.extend_from_slice(b"{\"type_url\":");
        string(&mut self.out, url);
        self.out.extend_from_slice(b",\"value\":");
        match self.message(&[value], of, depth + 1) {
            Ok(()) => {
                self.out.push(b'}');
                Ok(true)
            }
            Err(Fault::NotProtobuf) => {
                self.out.truncate(start);
                Ok(false)
            }
            Err(fault) => Err(fault),
        }
    }

    fn unknown(&mut self, value: Raw<'_>) {
        let _ = match value {
            Raw::Varint(n) => write!(self.out, "{n}"),
            // In words: what is another wire type is another field.
            Raw::Fixed64(n) => write!(self.out, "\"fixed64 {n:#x}\""),
            Raw::Fixed32(n) => write!(self.out, "\"fixed32 {n:#x}\""),
            Raw::Bytes(all) => {
                bytes(&mut self.out, "", all);
                Ok(())
            }
            Raw::Group(all) => {
                bytes(&mut self.out, "group ", all);
                Ok(())
            }
        };
    }

    fn list<T>(
        &mut self,
        all: &[T],
        mut each: impl FnMut(&mut Self, &T) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.out.push(b'[');
        let start = self.out.len();
        for one in all {
            self.comma(start);
            each(self, one)?;
        }
        self.out.push(b']');
        Ok(())
    }

    /// Begins the member of a field in the object that begins at `start`.
    fn name(&mut self, start: usize, field: Field<'_>) {
        self.comma(start);
        match field.extension {
            Some(name) => string(&mut self.out, &format!("[{name}]")),
            None => string(&mut self.out, field.of.name()),
        }
        self.out.push(b':');
    }

    /// Separates from what was written since `start`, if anything was.
    fn comma(&mut self, start: usize) {
        if self.out.len() > start {
            self.out.push(b',');
        }
    }

    fn check(&self) -> Result<(), Fault> {
        if self.out.len() > TEXT_BYTES { Err(Fault::TooLarge) } else { Ok(()) }
    }
}

/// The wire types of fields that are no groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wire {
    Varint,
    Fixed64,
    Fixed32,
    Bytes,
}

impl Wire {
    fn of(kind: SingularKind) -> Self {
        use ScalarType::{Bytes, Double, Fixed32, Fixed64, Float, Sfixed32, Sfixed64, String};
        match kind {
            SingularKind::Message(_) | SingularKind::Scalar(String | Bytes) => Self::Bytes,
            SingularKind::Scalar(Double | Fixed64 | Sfixed64) => Self::Fixed64,
            SingularKind::Scalar(Float | Fixed32 | Sfixed32) => Self::Fixed32,
            SingularKind::Scalar(_) | SingularKind::Enum(_) => Self::Varint,
        }
    }

    fn is(self, raw: Raw<'_>) -> bool {
        match raw {
            Raw::Varint(_) => self == Self::Varint,
            Raw::Fixed64(_) => self == Self::Fixed64,
            Raw::Fixed32(_) => self == Self::Fixed32,
            Raw::Bytes(_) => self == Self::Bytes,
            Raw::Group(_) => false,
        }
    }
}

/// Whether a value of this wire type is one of `field`.
fn fits(field: &FieldDescriptor, raw: Raw<'_>) -> bool {
    match (field.kind(), raw) {
        (FieldKind::Map { .. }, _) => matches!(raw, Raw::Bytes(_)),
        (FieldKind::Singular(SingularKind::Message(_)), _)
        | (FieldKind::List(SingularKind::Message(_)), _) => match raw {
            Raw::Group(_) => field.is_delimited(),
            Raw::Bytes(_) => !field.is_delimited(),
            _ => false,
        },
        // Readers take elements packed and not, whatever the file says.
        (FieldKind::List(_), Raw::Bytes(_)) => true,
        (FieldKind::List(kind) | FieldKind::Singular(kind), _) => Wire::of(kind).is(raw),
    }
}

/// Of each oneof, drops what came before its last member.
fn keep_last_of_oneofs(all: &mut Vec<Came<'_, '_>>) {
    // By oneof: the member that came last, and whether another came before it.
    let mut last: HashMap<u16, (u32, bool)> = HashMap::new();
    let mut at = all.len();
    while at > 0 {
        at -= 1;
        let Came { number, field: Some(field), .. } = all[at] else { continue };
        let Some(oneof) = field.of.oneof_index() else { continue };
        let (member, ended) = last.entry(oneof).or_insert((number, false));
        *ended |= *member != number;
        if *ended {
            // Marked, not removed: the rest would move for each.
            all[at].number = 0;
        }
    }
    all.retain(|came| came.number != 0);
}

fn inside<'m>(raw: Raw<'m>) -> &'m [u8] {
    match raw {
        Raw::Bytes(bytes) | Raw::Group(bytes) => bytes,
        Raw::Varint(_) | Raw::Fixed64(_) | Raw::Fixed32(_) => b"",
    }
}

/// A duration as `-1.500000000s`; `None` where it is none (duration.proto: both of one sign).
fn duration(seconds: i64, nanos: i32) -> Option<String> {
    let one_sign = (seconds >= 0 && nanos >= 0) || (seconds <= 0 && nanos <= 0);
    let sign = if seconds < 0 || nanos < 0 { "-" } else { "" };
    let (seconds, nanos) = (seconds.unsigned_abs(), nanos.unsigned_abs());
    (one_sign && nanos < 1_000_000_000).then(|| format!("{sign}{seconds}.{nanos:09}s"))
}

fn not_finite(number: f64) -> &'static str {
    if number.is_nan() {
        "NaN"
    } else if number > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    }
}

/// Writes a JSON string.
fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    for &byte in text.as_bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            // RFC 8259 §7: control characters are escaped.
            0..0x20 => {
                let _ = write!(out, "\\u{byte:04x}");
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// Writes bytes as a JSON string, behind `what` they are.
fn bytes(out: &mut Vec<u8>, what: &str, all: &[u8]) {
    let _ = if all.len() <= SHORT_BYTES {
        write!(out, "\"{what}{}\"", BASE64.encode(all))
    } else {
        // Neither spaces nor commas are in base64: the two forms do not meet.
        write!(out, "\"{what}{} bytes, blake3 {}\"", all.len(), blake3::hash(all).to_hex())
    };
}

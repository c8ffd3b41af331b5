//! HPACK (RFC 7541): header blocks become lists of fields.
//!
//! Owns the decoder of one direction. Refuses to know of frames and of what the fields mean.
//!
//! | file | owns |
//! |---|---|
//! | `table` | the dynamic table, and what is known of it when its beginning was not seen |
//! | `list` | the fields of a block, and their caps |
//! | `integer`, `huffman`, `static_table` | RFC 7541 §5 and its appendices |
//!
//! Invariants:
//! - A field is right or it is left out as unknown: `table` has the rule and its proof.
//! - A block that is above the caps of its list is decoded to its end all the same: the table stays
//!   in step with the peers.
//! - A block costs time in proportion to its own bytes and to what its list keeps: names are shared
//!   among entries, and nothing is copied that is not kept.

mod huffman;
mod integer;
mod list;
mod static_table;
mod table;

pub(super) use list::FieldList;

use static_table::STATIC_TABLE;
use table::{Entry, Lookup, Name, Table};

/// Why a block does not decode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It ends inside a field.
    Cut,
    /// It is no HPACK.
    Bad,
}

/// Something about a block that decodes which its encoder should not have done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Oddity {
    /// It set a maximum size above what the other side announced (RFC 7541 §6.3).
    TableTooLarge,
}

/// The decoder of one direction.
#[derive(Debug)]
pub(super) struct Decoder {
    table: Table,
    /// The largest table that the receiver of the blocks announced; `None` where that was not seen.
    announced: Option<u32>,
}

/// Where the name of a literal is.
enum Source {
    /// At the end of the list's buffer.
    Written,
    Table(Name),
    Unknown,
}

impl Decoder {
    /// RFC 9113 §6.5.2: the initial value of SETTINGS_HEADER_TABLE_SIZE.
    const DEFAULT_TABLE_SIZE: u32 = 4_096;

    /// The decoder of a direction of which no block was seen yet and none was missed.
    pub(super) fn new() -> Self {
        Self { table: Table::new(0), announced: Some(Self::DEFAULT_TABLE_SIZE) }
    }

    /// Blocks of this direction were not seen, or not to their end.
    pub(super) fn forget(&mut self) {
        self.table.forget();
    }

    /// The receiver of the blocks announced the size of table that it can keep. The largest counts:
    /// when a smaller one takes effect is not known to the byte.
    pub(super) fn announce(&mut self, size: u32) {
        self.announced = self.announced.map(|before| before.max(size));
    }

    /// What the receiver announced is not known any more.
    pub(super) fn forget_announced(&mut self) {
        self.announced = None;
    }

    /// Adds the fields of a whole block to `list`. `table_cap`: bytes kept of the dynamic table.
    ///
    /// # Errors
    ///
    /// Where it does not decode: the fields before that are in the list, and the table is not to
    /// be trusted any more.
    pub(super) fn decode(
        &mut self,
        block: &[u8],
        table_cap: usize,
        list: &mut FieldList,
    ) -> Result<Option<Oddity>, Fault> {
        self.table.set_cap(table_cap);
        let mut oddity = None;
        let mut rest = block;
        let mut begun = false;
        // RFC 7541 §6: the first bits tell the representation.
        while let Some(&first) = rest.first() {
            let used = match first {
                0x80.. => self.indexed(rest, list)?,
                0x40.. => self.literal(rest, 6, true, list)?,
                0x20.. => {
                    // §4.2: only at the beginning of a block.
                    if begun {
                        return Err(Fault::Bad);
                    }
                    let (max, used) = integer::read(rest, 5)?;
                    if self.announced.is_some_and(|announced| max > announced) {
                        oddity = Some(Oddity::TableTooLarge);
                    }
                    self.table.resize(u64::from(max));
                    rest = &rest[used..];
                    continue;
                }
                // Without indexing, and never indexed: the same to a reader.
                _ => self.literal(rest, 4, false, list)?,
            };
            begun = true;
            rest = &rest[used..];
        }
        Ok(oddity)
    }

    /// Bytes of memory held.
    pub(super) fn held_bytes(&self) -> usize {
        self.table.held_bytes()
    }

    /// RFC 7541 §6.1.
    fn indexed(&self, rest: &[u8], list: &mut FieldList) -> Result<usize, Fault> {
        let (index, used) = integer::read(rest, 7)?;
        match index as usize {
            0 => return Err(Fault::Bad),
            index @ 1..=61 => {
                let (name, value) = STATIC_TABLE[index - 1];
                list.push(name, value);
            }
            index => match self.table.get(index - 62) {
                Lookup::Known(Entry { name: Some(name), value }) => list.push(name.bytes(), value),
                Lookup::Known(Entry { name: None, .. }) | Lookup::Unknown => {
                    list.leave_out(list.bytes.len());
                }
                Lookup::Absent => return Err(Fault::Bad),
            },
        }
        Ok(used)
    }

    /// RFC 7541 §6.2; `inserts`: with incremental indexing.
    fn literal(
        &mut self,
        rest: &[u8],
        prefix_bits: u32,
        inserts: bool,
        list: &mut FieldList,
    ) -> Result<usize, Fault> {
        let start = list.bytes.len();
        let written = self.write_literal(rest, prefix_bits, list);
        let (name, middle, used) = match written {
            Ok(written) => written,
            Err(fault) => {
                list.bytes.truncate(start);
                return Err(fault);
            }
        };
        if inserts {
            let value = list.bytes[middle..].into();
            let name = match &name {
                Source::Written => Some(Name::Shared(list.bytes[start..middle].into())),
                Source::Table(name) => Some(name.clone()),
                Source::Unknown => None,
            };
            self.table.insert(Entry { name, value });
        }
        match name {
            Source::Unknown => list.leave_out(start),
            Source::Written | Source::Table(_) => list.keep(start, middle),
        }
        Ok(used)
    }

    /// Writes a literal's name and value to the end of the list's buffer: whose name it is, where
    /// the value begins, and how many bytes were used. (A name from a table is not written where
    /// the list keeps nothing more.)
    fn write_literal(
        &self,
        rest: &[u8],
        prefix_bits: u32,
        list: &mut FieldList,
    ) -> Result<(Source, usize, usize), Fault> {
        let (index, mut used) = integer::read(rest, prefix_bits)?;
        let name = match index as usize {
            0 => {
                used += string(&rest[used..], &mut list.bytes)?;
                Source::Written
            }
            index @ 1..=61 => Source::Table(Name::Static(STATIC_TABLE[index - 1].0)),
            index => match self.table.get(index - 62) {
                Lookup::Known(entry) => match &entry.name {
                    Some(name) => Source::Table(name.clone()),
                    None => Source::Unknown,
                },
                Lookup::Unknown => Source::Unknown,
                Lookup::Absent => return Err(Fault::Bad),
            },
        };
        if let Source::Table(name) = &name
            && !list.is_full()
        {
            list.bytes.extend_from_slice(name.bytes());
        }
        let middle = list.bytes.len();
        used += string(&rest[used..], &mut list.bytes)?;
        Ok((name, middle, used))
    }
}

/// Whether `block` can be a header block, whatever the dynamic table holds: the fields of it that
/// need none, or `None` where it does not decode.
pub(super) fn without_table(block: &[u8], mut list: FieldList) -> Option<FieldList> {
    let mut decoder = Decoder::new();
    decoder.forget();
    decoder.decode(block, block.len(), &mut list).is_ok().then_some(list)
}

/// Appends the string literal (RFC 7541 §5.2) at the beginning of `bytes` to `out`: how many bytes
/// it takes.
fn string(bytes: &[u8], out: &mut Vec<u8>) -> Result<usize, Fault> {
    let (len, prefix) = integer::read(bytes, 7)?;
    let end = prefix.checked_add(len as usize).ok_or(Fault::Bad)?;
    let text = bytes.get(prefix..end).ok_or(Fault::Cut)?;
    if bytes[0] & 0x80 == 0 {
        out.extend_from_slice(text);
    } else if !huffman::decode(text, out) {
        return Err(Fault::Bad);
    }
    Ok(end)
}

#[cfg(test)]
mod tests;

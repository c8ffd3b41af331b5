//! Digests of JSON values: one value has one digest, however it is written.
//!
//! They find elements again that have moved. They are not made to withstand who makes two values
//! with one digest: elements found by theirs are compared before they are said to be equal.

use std::borrow::Cow;

use twox_hash::XxHash3_128;

use crate::differ::number::write_canonical;
use crate::differ::scan::{DEPTH, NotJson, Scanner};

/// Digests of two values are the same if the values are equal as a comparison has it: members in
/// any order, those of one name by occurrence, numbers by value, strings by their characters.
pub(super) type Digest = u128;

/// Seeds: values of two types have different digests though their bytes are the same.
const OBJECT: u64 = 1;
const ARRAY: u64 = 2;
const STRING: u64 = 3;
const NUMBER: u64 = 4;
const LITERAL: u64 = 5;

/// Makes digests; keeps its room from value to value.
#[derive(Debug, Default)]
pub(super) struct Digester {
    /// Name and value of the members, or the elements, of what is open.
    parts: Vec<(Digest, Digest)>,
    bytes: Vec<u8>,
}

impl Digester {
    /// The digest of the value here, `depth` levels below the root. Goes behind it.
    pub(super) fn value(
        &mut self,
        text: &mut Scanner<'_>,
        depth: usize,
    ) -> Result<Digest, NotJson> {
        match text.peek()? {
            b'{' | b'[' if depth >= DEPTH => Err(NotJson),
            b'{' => self.object(text, depth),
            b'[' => self.array(text, depth),
            b'"' => Ok(of_string(&text.string()?.unescaped())),
            first => {
                let start = text.at;
                text.scalar()?;
                let scalar = text.slice(start..text.at);
                if first != b'-' && !first.is_ascii_digit() {
                    return Ok(XxHash3_128::oneshot_with_seed(LITERAL, scalar));
                }
                self.bytes.clear();
                write_canonical(scalar, &mut self.bytes);
                Ok(XxHash3_128::oneshot_with_seed(NUMBER, &self.bytes))
            }
        }
    }

    fn object(&mut self, text: &mut Scanner<'_>, depth: usize) -> Result<Digest, NotJson> {
        let from = self.parts.len();
        let mut more = text.open(b'}')?;
        while more {
            let name: Cow<'_, [u8]> = text.string()?.unescaped();
            text.colon()?;
            let value = self.value(text, depth + 1)?;
            self.parts.push((of_string(&name), value));
            more = text.next(b'}')?;
        }
        // Stable: members of one name stay in their order.
        self.parts[from..].sort_by_key(|&(name, _)| name);
        Ok(self.close(OBJECT, from))
    }

    fn array(&mut self, text: &mut Scanner<'_>, depth: usize) -> Result<Digest, NotJson> {
        let from = self.parts.len();
        let mut more = text.open(b']')?;
        while more {
            let value = self.value(text, depth + 1)?;
            self.parts.push((0, value));
            more = text.next(b']')?;
        }
        Ok(self.close(ARRAY, from))
    }

    /// The digest of the parts from `from` on, which are taken away.
    fn close(&mut self, seed: u64, from: usize) -> Digest {
        self.bytes.clear();
        for (name, value) in self.parts.drain(from..) {
            self.bytes.extend_from_slice(&name.to_le_bytes());
            self.bytes.extend_from_slice(&value.to_le_bytes());
        }
        XxHash3_128::oneshot_with_seed(seed, &self.bytes)
    }
}

fn of_string(text: &[u8]) -> Digest {
    XxHash3_128::oneshot_with_seed(STRING, text)
}

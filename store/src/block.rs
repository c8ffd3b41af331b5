//! Matched pairs, packed: most pairs match, and all that is asked of them later is their time,
//! status and latency. A row each in a B-tree would cost more than judging them did.
//!
//! A block is a run of pairs in the order judged. Layout of one pair (varint: LEB128, seven bits a
//! byte, low bits first):
//!
//! | bytes | what |
//! |---|---|
//! | 8 | pair id, little-endian |
//! | varint | slice: index into the block's list of slices |
//! | varint | start in ns, zigzag difference to the pair before (to 0 for the first) |
//! | varint | key: 0 = a UUID follows as 16 bytes; n = n - 1 bytes of UTF-8 follow |
//! | 3 varints | primary: status (0: none), first byte µs + 1, total µs + 1 (0: unknown) |
//! | 3 varints | shadow: as above |
//!
//! Invariant: what [`Block::push`] wrote, [`Pairs`] reads back unchanged. Bytes that were not
//! written by it never panic: they end the reading with [`BadBlock`].

use std::fmt;

use capture::Timestamp;

/// Pairs a block holds at most; a full one is closed and the next begun.
pub(crate) const PAIRS_PER_BLOCK: u32 = 4_096;

/// A matched pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MatchedPair<'a> {
    pub(crate) id: u64,
    /// Index into the slices of the batch, or of the block once stored.
    pub(crate) slice: u32,
    pub(crate) start: Timestamp,
    pub(crate) key: Key<'a>,
    pub(crate) primary: LegRow,
    pub(crate) shadow: LegRow,
}

/// What paired it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key<'a> {
    /// A UUID in its canonical lower-case form.
    Uuid([u8; 16]),
    Text(&'a str),
}

/// What is kept of one leg of a pair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LegRow {
    pub(crate) status: Option<u16>,
    /// Last byte of the request to first byte of the response.
    pub(crate) first_byte_us: Option<u64>,
    /// First byte of the request to last byte of the response.
    pub(crate) total_us: Option<u64>,
}

/// A closed run of matched pairs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Block {
    pub(crate) bytes: Vec<u8>,
    pub(crate) pairs: u32,
    /// Earliest and latest start.
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
    previous_start: u64,
}

impl Block {
    pub(crate) fn push(&mut self, pair: &MatchedPair<'_>) {
        let bytes = &mut self.bytes;
        bytes.extend_from_slice(&pair.id.to_le_bytes());
        put(bytes, u64::from(pair.slice));
        let start = pair.start.as_nanos();
        put(bytes, zigzag(start.wrapping_sub(self.previous_start).cast_signed()));
        match pair.key {
            Key::Uuid(uuid) => {
                put(bytes, 0);
                bytes.extend_from_slice(&uuid);
            }
            Key::Text(text) => {
                put(bytes, text.len() as u64 + 1);
                bytes.extend_from_slice(text.as_bytes());
            }
        }
        for leg in [pair.primary, pair.shadow] {
            put(bytes, u64::from(leg.status.unwrap_or(0)));
            put(bytes, leg.first_byte_us.map_or(0, |us| us.saturating_add(1)));
            put(bytes, leg.total_us.map_or(0, |us| us.saturating_add(1)));
        }
        self.first = if self.pairs == 0 { pair.start } else { self.first.min(pair.start) };
        self.last = self.last.max(pair.start);
        self.previous_start = start;
        self.pairs += 1;
    }

    pub(crate) fn is_full(&self) -> bool {
        self.pairs >= PAIRS_PER_BLOCK
    }
}

/// A block whose bytes are not what [`Block::push`] writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadBlock;

impl fmt::Display for BadBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a block of matched pairs does not read")
    }
}

impl std::error::Error for BadBlock {}

/// Reads the pairs of a block.
pub(crate) struct Pairs<'a> {
    rest: &'a [u8],
    previous_start: u64,
}

impl<'a> Pairs<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, previous_start: 0 }
    }

    /// A block as stored: the list of slice ids that stands before it, and its pairs.
    pub(crate) fn stored(bytes: &'a [u8]) -> Result<(Vec<u64>, Self), BadBlock> {
        let mut pairs = Self::new(bytes);
        let count = pairs.varint().ok_or(BadBlock)?;
        let slices = (0..count).map(|_| pairs.varint()).collect::<Option<_>>();
        Ok((slices.ok_or(BadBlock)?, pairs))
    }

    fn read(&mut self) -> Option<MatchedPair<'a>> {
        let id = u64::from_le_bytes(self.take(8)?.try_into().ok()?);
        let slice = u32::try_from(self.varint()?).ok()?;
        let start = self.previous_start.wrapping_add(unzigzag(self.varint()?).cast_unsigned());
        self.previous_start = start;
        let key = match self.varint()? {
            0 => Key::Uuid(self.take(16)?.try_into().ok()?),
            n => {
                let bytes = self.take(usize::try_from(n - 1).ok()?)?;
                Key::Text(std::str::from_utf8(bytes).ok()?)
            }
        };
        let primary = self.leg()?;
        let shadow = self.leg()?;
        let start = Timestamp::from_nanos(start);
        Some(MatchedPair { id, slice, start, key, primary, shadow })
    }

    fn leg(&mut self) -> Option<LegRow> {
        let status = u16::try_from(self.varint()?).ok()?;
        Some(LegRow {
            status: (status != 0).then_some(status),
            first_byte_us: self.varint()?.checked_sub(1),
            total_us: self.varint()?.checked_sub(1),
        })
    }

    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(n)?;
        self.rest = rest;
        Some(taken)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (&byte, rest) = self.rest.split_first()?;
            self.rest = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = Result<MatchedPair<'a>, BadBlock>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let pair = self.read().ok_or(BadBlock);
        if pair.is_err() {
            self.rest = &[];
        }
        Some(pair)
    }
}

impl<'a> Key<'a> {
    /// `text`, as a UUID where it is one written as [`Key::text`] writes it back.
    pub(crate) fn of(text: &'a str) -> Self {
        parse_uuid(text.as_bytes()).map_or(Self::Text(text), Self::Uuid)
    }

    pub(crate) fn text(&self) -> String {
        match self {
            Self::Text(text) => (*text).to_owned(),
            Self::Uuid(uuid) => {
                let mut text = String::with_capacity(36);
                for (i, byte) in uuid.iter().enumerate() {
                    if matches!(i, 4 | 6 | 8 | 10) {
                        text.push('-');
                    }
                    for nibble in [byte >> 4, byte & 15] {
                        text.push(char::from(b"0123456789abcdef"[usize::from(nibble)]));
                    }
                }
                text
            }
        }
    }
}

fn parse_uuid(text: &[u8]) -> Option<[u8; 16]> {
    // RFC 9562 §4: 8-4-4-4-12 hexadecimal digits. Only lower case, so that the text comes back.
    if text.len() != 36 {
        return None;
    }
    if [8, 13, 18, 23].iter().any(|&dash| text[dash] != b'-') {
        return None;
    }
    let mut uuid = [0; 16];
    let mut seen = 0;
    for (byte, at) in uuid.iter_mut().zip(DIGIT_PAIRS) {
        let (high, low) = (NIBBLES[usize::from(text[at])], NIBBLES[usize::from(text[at + 1])]);
        seen |= high | low;
        *byte = high << 4 | low;
    }
    (seen < NO_NIBBLE).then_some(uuid)
}

/// Where the sixteen pairs of digits of a UUID begin.
const DIGIT_PAIRS: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];

/// Has a bit that no nibble has.
const NO_NIBBLE: u8 = 0x80;

/// By byte: the value of a lower-case hexadecimal digit.
const NIBBLES: [u8; 256] = {
    let mut table = [NO_NIBBLE; 256];
    let mut value = 0;
    while value < 16 {
        table[b"0123456789abcdef"[value as usize] as usize] = value;
        value += 1;
    }
    table
};

/// Appends `value` as a varint.
pub(crate) fn put(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    bytes.push(value.to_le_bytes()[0]);
}

const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

const fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn leg() -> impl Strategy<Value = LegRow> {
        (proptest::option::of(100..600_u16), any::<Option<u32>>(), any::<Option<u32>>()).prop_map(
            |(status, first, total)| LegRow {
                status,
                first_byte_us: first.map(u64::from),
                total_us: total.map(u64::from),
            },
        )
    }

    proptest! {
        #[test]
        fn pairs_come_back_as_they_were_pushed(
            rows in proptest::collection::vec(
                (any::<u64>(), any::<u32>(), any::<u64>(), ".{0,40}", leg(), leg()),
                0..20,
            )
        ) {
            let pairs: Vec<_> = rows
                .iter()
                .map(|(id, slice, start, key, primary, shadow)| MatchedPair {
                    id: *id,
                    slice: *slice,
                    start: Timestamp::from_nanos(*start),
                    key: Key::of(key),
                    primary: *primary,
                    shadow: *shadow,
                })
                .collect();
            let mut block = Block::default();
            pairs.iter().for_each(|pair| block.push(pair));
            let read: Result<Vec<_>, _> = Pairs::new(&block.bytes).collect();
            prop_assert_eq!(read.unwrap(), pairs);
        }

        #[test]
        fn any_bytes_end_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Pairs::new(&bytes).count();
        }
    }

    #[test]
    fn a_uuid_takes_sixteen_bytes_and_comes_back_letter_by_letter() {
        let text = "3f2b8c1e-90ab-4cde-8f01-23456789abcd";
        let key = Key::of(text);
        assert!(matches!(key, Key::Uuid(_)));
        assert_eq!(key.text(), text);
        for other in [
            "3F2B8C1E-90AB-4CDE-8F01-23456789ABCD",
            "3f2b8c1e90ab-4cde-8f01-23456789abcd-",
            "req-17",
        ] {
            assert_eq!(Key::of(other), Key::Text(other));
        }
    }

    #[test]
    fn a_cut_block_says_so_after_its_whole_pairs() {
        let mut block = Block::default();
        for id in [1, 2] {
            let (primary, shadow) = (LegRow::default(), LegRow::default());
            let (start, key) = (Timestamp::ZERO, Key::Text("k"));
            block.push(&MatchedPair { id, slice: 0, start, key, primary, shadow });
        }
        block.bytes.pop();
        let read: Vec<_> = Pairs::new(&block.bytes).map(|pair| pair.map(|p| p.id)).collect();
        assert_eq!(read, [Ok(1), Err(BadBlock)]);
    }
}

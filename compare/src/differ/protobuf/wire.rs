//! Protobuf on the wire: fields, one after the other.
//!
//! By the encoding's own document (protobuf.dev/programming-guides/encoding). Knows nothing of what
//! fields mean. Any bytes are taken: what is no field is [`NotProtobuf`], never a guess.

/// Groups in one another, in a field that is passed over: as protobuf's own readers have it.
const DEPTH: usize = 100;

/// The bytes are no protobuf message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotProtobuf;

/// The value of a field, as its wire type says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Raw<'m> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes(&'m [u8]),
    /// What is between a group's two tags.
    Group(&'m [u8]),
}

/// What is left of a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'m>(pub(super) &'m [u8]);

impl<'m> Reader<'m> {
    /// The next field: its number and value; `None` at the end.
    pub(super) fn field(&mut self) -> Result<Option<(u32, Raw<'m>)>, NotProtobuf> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let (number, wire) = self.tag()?;
        let value = match wire {
            3 => Raw::Group(self.group(number)?),
            _ => self.plain(wire)?,
        };
        Ok(Some((number, value)))
    }

    /// A base 128 varint of at most 64 bits; bits beyond those are dropped, as decoders do.
    pub(super) fn varint(&mut self) -> Result<u64, NotProtobuf> {
        let mut value = 0;
        for (at, &byte) in self.0.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * at);
            if byte < 0x80 {
                self.0 = &self.0[at + 1..];
                return Ok(value);
            }
        }
        Err(NotProtobuf)
    }

    pub(super) fn fixed64(&mut self) -> Result<u64, NotProtobuf> {
        let (first, rest) = self.0.split_first_chunk().ok_or(NotProtobuf)?;
        self.0 = rest;
        Ok(u64::from_le_bytes(*first))
    }

    pub(super) fn fixed32(&mut self) -> Result<u32, NotProtobuf> {
        let (first, rest) = self.0.split_first_chunk().ok_or(NotProtobuf)?;
        self.0 = rest;
        Ok(u32::from_le_bytes(*first))
    }

    /// Bytes behind their length.
    pub(super) fn bytes(&mut self) -> Result<&'m [u8], NotProtobuf> {
        let len = usize::try_from(self.varint()?).map_err(|_| NotProtobuf)?;
        let (bytes, rest) = self.0.split_at_checked(len).ok_or(NotProtobuf)?;
        self.0 = rest;
        Ok(bytes)
    }

    fn tag(&mut self) -> Result<(u32, u8), NotProtobuf> {
        // Field numbers end at 2^29 - 1, so a tag has 32 bits.
        let tag = u32::try_from(self.varint()?).map_err(|_| NotProtobuf)?;
        let number = tag >> 3;
        if number == 0 { Err(NotProtobuf) } else { Ok((number, (tag & 7) as u8)) }
    }

    fn plain(&mut self, wire: u8) -> Result<Raw<'m>, NotProtobuf> {
        match wire {
            0 => self.varint().map(Raw::Varint),
            1 => self.fixed64().map(Raw::Fixed64),
            2 => self.bytes().map(Raw::Bytes),
            5 => self.fixed32().map(Raw::Fixed32),
            _ => Err(NotProtobuf),
        }
    }

    /// Goes behind the group whose first tag was read.
    fn group(&mut self, number: u32) -> Result<&'m [u8], NotProtobuf> {
        let all = self.0;
        let mut open = vec![number];
        loop {
            let before = all.len() - self.0.len();
            let (number, wire) = self.tag()?;
            match wire {
                3 if open.len() < DEPTH => open.push(number),
                4 if open.pop() == Some(number) => {
                    if open.is_empty() {
                        return Ok(&all[..before]);
                    }
                }
                3 | 4 => return Err(NotProtobuf),
                _ => {
                    self.plain(wire)?;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(bytes: &[u8]) -> Result<Vec<(u32, Raw<'_>)>, NotProtobuf> {
        let mut reader = Reader(bytes);
        let mut all = Vec::new();
        while let Some(field) = reader.field()? {
            all.push(field);
        }
        Ok(all)
    }

    #[test]
    fn every_wire_type_is_read() {
        let bytes = [
            &[0x08, 0x96, 0x01][..],
            &[0x11, 1, 0, 0, 0, 0, 0, 0, 0],
            &[0x1a, 2, b'h', b'i'],
            &[0x23, 0x08, 0x01, 0x2b, 0x2c, 0x24],
            &[0x2d, 7, 0, 0, 0],
        ];
        assert_eq!(
            fields(&bytes.concat()),
            Ok(vec![
                (1, Raw::Varint(150)),
                (2, Raw::Fixed64(1)),
                (3, Raw::Bytes(b"hi")),
                (4, Raw::Group(&[0x08, 0x01, 0x2b, 0x2c])),
                (5, Raw::Fixed32(7)),
            ])
        );
    }

    #[test]
    fn what_is_no_field_is_told() {
        for bytes in [
            &[0x08][..],                                                  // no value
            &[0x00, 1],                                                   // number 0
            &[0x0a, 2, b'x'],                                             // shorter than it says
            &[0x0e, 1],                                                   // wire type 6
            &[0x0c],                                  // an end without a beginning
            &[0x0b, 0x14],                            // another group's end
            &[0x0b],                                  // no end
            &[0x0d, 1, 2, 3],                         // three of four bytes
            &[0x80, 0x80, 0x80, 0x80, 0x80, 0x01, 0], // a tag of more than 32 bits
            &[0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1], // 11 bytes
        ] {
            assert_eq!(fields(bytes), Err(NotProtobuf), "{bytes:?}");
        }
        assert_eq!(fields(&[0x0b; 200]), Err(NotProtobuf));
    }
}

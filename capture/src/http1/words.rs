//! Looks for bytes in short texts eight at a time, in one register: most lines of a head are so
//! short that a search made for long ones spends its time on its beginning.

use memchr::memchr;

/// A place in a head.
pub(super) type Range = std::ops::Range<usize>;

const ONES: u64 = u64::from_ne_bytes([1; 8]);
const HIGH: u64 = 0x80 * ONES;

/// Words after which a search is left to `memchr`, which costs more to begin with.
const SHORT: usize = 5;

/// Where the letters and hyphens from `at` on end; `None` where that is too near the end of
/// `bytes` to be looked for so.
#[inline]
pub(super) fn end_of_letters(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let word = u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?);
        let lower = (word | (0x20 * ONES)) & !HIGH;
        // No sum of two bytes below 0x80 carries into the next byte.
        let letter = (lower + (0x80 - b'a' as u64) * ONES) & !(lower + (0x7f - b'z' as u64) * ONES);
        let hyphen = !(((word & !HIGH) ^ (b'-' as u64 * ONES)) + 0x7f * ONES);
        let other = !((letter | hyphen) & !word) & HIGH;
        if other != 0 {
            return Some(at + other.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
}

/// The first `needle` from `at` on.
#[inline]
pub(super) fn find(needle: u8, bytes: &[u8], mut at: usize) -> Option<usize> {
    for _ in 0..SHORT {
        let Some(word) = bytes.get(at..)?.first_chunk() else { break };
        let word = u64::from_le_bytes(*word) ^ (u64::from(needle) * ONES);
        // The lowest bit set is that of the first byte which is 0; those above may be wrong.
        let zero = word.wrapping_sub(ONES) & !word & HIGH;
        if zero != 0 {
            return Some(at + zero.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    memchr(needle, bytes.get(at..)?).map(|len| at + len)
}

/// RFC 9110 §5.6.2: one or more tchar.
pub(super) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&b| TCHAR[b as usize])
}

/// By octet.
pub(super) const TCHAR: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = matches!(
            byte as u8,
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z'
            | b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_'
            | b'`' | b'|' | b'~'
        );
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_told_from_letters_and_hyphens_at_every_place() {
        for byte in 0..=u8::MAX {
            for place in 0..8 {
                let mut bytes = *b"aZ-zA-mM:AAAAAAA";
                bytes[place] = byte;
                let goes_on = byte.is_ascii_alphabetic() || byte == b'-';
                let end = if goes_on { 8 } else { place };
                assert_eq!(end_of_letters(&bytes, 0), Some(end), "{byte:#x} at {place}");
            }
        }
        assert_eq!(end_of_letters(b"a:34567", 0), None);
    }

    #[test]
    fn a_byte_is_found_where_memchr_finds_it() {
        for len in 0..64 {
            for filler in [b'\x0b', b'\x09', b'\x8a', 0, 0xff] {
                let mut bytes = vec![filler; len];
                assert_eq!(find(b'\n', &bytes, 0), None);
                bytes.extend_from_slice(b"\n\x0b\n");
                assert_eq!(find(b'\n', &bytes, 0), Some(len), "{len} of {filler:#x}");
            }
        }
    }
}

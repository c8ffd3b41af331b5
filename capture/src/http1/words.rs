//! Looks for bytes in short texts sixteen at a time, in one register: most lines of a head are so
//! short that a search made for long ones spends its time on its beginning.

use memchr::memchr;
use wide::u8x16;

/// A place in a head.
pub(super) type Range = std::ops::Range<usize>;

/// Bytes looked at together.
const LANES: usize = 16;

/// Looks after which a search is left to `memchr`, which costs more to begin with.
const SHORT: usize = 4;

/// Where the letters and hyphens from `at` on end; `None` where `bytes` end with them, or are too
/// few to be looked at so.
#[inline]
pub(super) fn end_of_letters(bytes: &[u8], mut at: usize) -> Option<usize> {
    let others = |text: u8x16| {
        let place = (text | u8x16::splat(0x20)) - u8x16::splat(b'a');
        let letter = place.simd_eq(place.min(u8x16::splat(b'z' - b'a')));
        !(letter | text.simd_eq(u8x16::splat(b'-')))
    };
    loop {
        let Some(text) = bytes.get(at..)?.first_chunk() else { return in_last(bytes, at, others) };
        let found = others(u8x16::new(*text)).to_bitmask();
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize);
        }
        at += LANES;
    }
}

/// The first `needle` from `at` on.
#[inline]
pub(super) fn find(needle: u8, bytes: &[u8], mut at: usize) -> Option<usize> {
    let needles = |text: u8x16| text.simd_eq(u8x16::splat(needle));
    for _ in 0..SHORT {
        let Some(text) = bytes.get(at..)?.first_chunk() else {
            if bytes.len() >= LANES {
                return in_last(bytes, at, needles);
            }
            break;
        };
        let found = needles(u8x16::new(*text)).to_bitmask();
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize);
        }
        at += LANES;
    }
    memchr(needle, bytes.get(at..)?).map(|len| at + len)
}

/// The first byte from `at` on that is `wanted`, in the last few of `bytes`: these are looked at
/// together with those before them.
#[inline]
fn in_last(bytes: &[u8], at: usize, wanted: impl Fn(u8x16) -> u8x16) -> Option<usize> {
    let start = bytes.len().checked_sub(LANES)?;
    let found = wanted(u8x16::new(*bytes.last_chunk()?)).to_bitmask() >> (at - start);
    (found != 0).then(|| at + found.trailing_zeros() as usize)
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
            for place in 0..LANES {
                let mut bytes = *b"aZ-zA-mMkKabcXYZ:AAAAAAAAAAAAAAA";
                bytes[place] = byte;
                let goes_on = byte.is_ascii_alphabetic() || byte == b'-';
                let end = if goes_on { LANES } else { place };
                assert_eq!(end_of_letters(&bytes, 0), Some(end), "{byte:#x} at {place}");
            }
        }
    }

    #[test]
    fn the_end_of_letters_is_found_wherever_the_text_ends() {
        for len in 0..3 * LANES {
            for at in 0..=len {
                let mut bytes = vec![b'x'; len];
                bytes[..at].fill(b':');
                assert_eq!(end_of_letters(&bytes, at), None, "{at} of {len}");
                bytes.push(b':');
                // Those of a text that is shorter are not looked for.
                let end = Some(len).filter(|_| bytes.len() >= LANES);
                assert_eq!(end_of_letters(&bytes, at), end, "{at} of {len}");
            }
        }
    }

    #[test]
    fn a_byte_is_found_where_memchr_finds_it() {
        for len in 0..128 {
            for filler in [b'\x0b', b'\x09', b'\x8a', 0, 0xff] {
                let mut bytes = vec![filler; len];
                assert_eq!(find(b'\n', &bytes, 0), None);
                bytes.extend_from_slice(b"\n\x0b\n");
                for at in 0..bytes.len() {
                    let expected = if at <= len { len } else { len + 2 };
                    assert_eq!(find(b'\n', &bytes, at), Some(expected), "{len} of {filler:#x}");
                }
                assert_eq!(find(b'\n', &bytes, len + 3), None);
            }
        }
    }
}

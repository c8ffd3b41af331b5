//! Integers with a prefix (RFC 7541 §5.1).

use super::Fault;

/// Octets after the prefix that are read at the most: enough for 32 bits.
const MORE_OCTETS: usize = 5;

/// The integer at the beginning of `bytes`, whose first octet leaves `prefix_bits` (1 to 8) for it,
/// and how many octets it takes.
///
/// # Errors
///
/// [`Fault::Cut`] where it goes on after `bytes`; [`Fault::Bad`] where it does not fit in 32 bits or
/// is written in more octets than that needs (RFC 7541 §5.1: an error in either case).
pub(super) fn read(bytes: &[u8], prefix_bits: u32) -> Result<(u32, usize), Fault> {
    let mask = (1u32 << prefix_bits) - 1;
    let first = u32::from(*bytes.first().ok_or(Fault::Cut)?) & mask;
    if first < mask {
        return Ok((first, 1));
    }
    let mut value = u64::from(mask);
    for (at, &octet) in bytes[1..].iter().take(MORE_OCTETS).enumerate() {
        value += u64::from(octet & 0x7f) << (7 * at);
        if octet & 0x80 == 0 {
            let value = u32::try_from(value).map_err(|_| Fault::Bad)?;
            return Ok((value, at + 2));
        }
    }
    Err(if bytes.len() > MORE_OCTETS { Fault::Bad } else { Fault::Cut })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_7541_c_1_are_read() {
        assert_eq!(read(&[0b1110_1010], 5), Ok((10, 1)));
        assert_eq!(read(&[0b0001_1111, 0b1001_1010, 0b0000_1010], 5), Ok((1337, 3)));
        assert_eq!(read(&[42], 8), Ok((42, 1)));
    }

    #[test]
    fn an_integer_above_32_bits_is_bad_and_one_that_goes_on_is_cut() {
        assert_eq!(read(&[0xff, 0x80, 0xff, 0xff, 0xff, 0x0f], 7), Ok((u32::MAX, 6)));
        assert_eq!(read(&[0xff, 0x81, 0xff, 0xff, 0xff, 0x0f], 7), Err(Fault::Bad));
        assert_eq!(read(&[0x7f, 0x80, 0x80, 0x80, 0x80, 0x80], 7), Err(Fault::Bad));
        assert_eq!(read(&[0x7f, 0x80, 0x80, 0x80, 0x80], 7), Err(Fault::Cut));
        assert_eq!(read(&[0x7f], 7), Err(Fault::Cut));
        assert_eq!(read(&[], 7), Err(Fault::Cut));
    }
}

//! The Huffman code of RFC 7541 Appendix B.
//!
//! The code is canonical: codes of one length are consecutive in the order of their symbols, and
//! each length goes on where the shorter one ended. So the lengths below are all of Appendix B, and
//! the tables are made from them when this is compiled.

/// Bits of the code of each symbol; the last is EOS.
#[rustfmt::skip]
const BITS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];

const EOS: u16 = 256;
/// The longest code, which is that of EOS.
const LONGEST: usize = 30;
/// Codes of up to so many bits are looked up at once.
const SHORT: u32 = 10;

/// What the next [`SHORT`] bits begin with: symbol and bits of its code; no bits where the code is
/// longer.
static SHORT_CODES: [(u8, u8); 1 << SHORT] = short_codes();
/// Of each length: its first code, and the place of its first symbol in [`SYMBOLS`].
static LENGTHS: [(u32, u16); LONGEST + 2] = lengths();
/// Symbols in the order of their codes.
static SYMBOLS: [u16; 257] = symbols();

const fn symbols() -> [u16; 257] {
    let mut symbols = [0; 257];
    let (mut bits, mut place) = (1, 0);
    while bits <= LONGEST {
        let mut symbol = 0;
        while symbol < 257 {
            if BITS[symbol as usize] as usize == bits {
                symbols[place] = symbol;
                place += 1;
            }
            symbol += 1;
        }
        bits += 1;
    }
    symbols
}

const fn lengths() -> [(u32, u16); LONGEST + 2] {
    let mut lengths = [(0, 0); LONGEST + 2];
    let (mut bits, mut code, mut place) = (1, 0u32, 0u16);
    while bits <= LONGEST {
        code <<= 1;
        lengths[bits] = (code, place);
        let mut symbol = 0;
        while symbol < 257 {
            if BITS[symbol] as usize == bits {
                code += 1;
                place += 1;
            }
            symbol += 1;
        }
        bits += 1;
    }
    lengths[bits] = (code << 1, place);
    lengths
}

const fn short_codes() -> [(u8, u8); 1 << SHORT] {
    let mut table = [(0, 0); 1 << SHORT];
    let (symbols, lengths) = (symbols(), lengths());
    let mut place = 0;
    while place < 257 {
        let symbol = symbols[place] as usize;
        let bits = BITS[symbol] as usize;
        if bits > SHORT as usize {
            break;
        }
        let (first, first_place) = lengths[bits];
        let code = first + (place as u32 - first_place as u32);
        let spare = SHORT as usize - bits;
        let mut below = 0;
        while below < 1 << spare {
            table[((code as usize) << spare) + below] = (symbol as u8, bits as u8);
            below += 1;
        }
        place += 1;
    }
    table
}

/// Appends what `coded` stands for to `out`. False where it is not valid: it holds EOS, or does not
/// end in the 0 to 7 most significant bits of EOS (RFC 7541 §5.2).
#[must_use]
pub(super) fn decode(coded: &[u8], out: &mut Vec<u8>) -> bool {
    // At least five bits a symbol.
    out.reserve(coded.len() * 8 / 5);
    let mut coded = coded.iter();
    let (mut held, mut bits) = (0u64, 0u32);
    loop {
        while bits <= 56
            && let Some(&octet) = coded.next()
        {
            held = held << 8 | u64::from(octet);
            bits += 8;
        }
        if bits == 0 {
            return true;
        }
        // The bits that are held, from the most significant on; zeros after them.
        let window = held << (64 - bits);
        let (symbol, length) = SHORT_CODES[(window >> (64 - SHORT)) as usize];
        let (symbol, length) = match length {
            0 => match long_code(window) {
                Some((EOS, _)) | None => return ends_in_padding(held, bits),
                Some((symbol, length)) => (symbol.to_le_bytes()[0], length),
            },
            _ => (symbol, u32::from(length)),
        };
        if length > bits {
            return ends_in_padding(held, bits);
        }
        out.push(symbol);
        bits -= length;
    }
}

/// The symbol whose code `window` begins with, and its bits.
fn long_code(window: u64) -> Option<(u16, u32)> {
    (SHORT + 1..=LONGEST as u32).find_map(|bits| {
        let (first, place) = LENGTHS[bits as usize];
        let (_, end) = LENGTHS[bits as usize + 1];
        let code = u32::try_from(window >> (64 - bits)).ok()?;
        let symbol = place as usize + code.checked_sub(first)? as usize;
        (symbol < end as usize).then(|| (SYMBOLS[symbol], bits))
    })
}

/// Whether the `bits` least significant bits of `held` are padding: fewer than eight, all ones.
fn ends_in_padding(held: u64, bits: u32) -> bool {
    bits < 8 && held & ((1 << bits) - 1) == (1 << bits) - 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(coded: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        decode(coded, &mut out).then_some(out)
    }

    /// The code as RFC 7541 §5.2 has it, bit by bit.
    fn encoded(text: &[u8]) -> Vec<u8> {
        let mut bits: Vec<bool> = Vec::new();
        for &octet in text {
            let length = usize::from(BITS[usize::from(octet)]);
            let (first, place) = LENGTHS[length];
            let symbol = SYMBOLS.iter().position(|&s| s == u16::from(octet)).unwrap();
            let code = first + u32::try_from(symbol).unwrap() - u32::from(place);
            bits.extend((0..length).rev().map(|bit| code >> bit & 1 == 1));
        }
        while !bits.len().is_multiple_of(8) {
            bits.push(true);
        }
        bits.chunks(8)
            .map(|octet| octet.iter().fold(0, |all, &bit| all << 1 | u8::from(bit)))
            .collect()
    }

    #[test]
    fn the_strings_of_rfc_7541_c_4_are_decoded() {
        let coded = [0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff];
        assert_eq!(decoded(&coded).unwrap(), b"www.example.com");
        assert_eq!(decoded(&[0xa8, 0xeb, 0x10, 0x64, 0x9c, 0xbf]).unwrap(), b"no-cache");
        assert_eq!(decoded(&[]).unwrap(), b"");
    }

    #[test]
    fn padding_of_eight_bits_or_of_zeros_and_eos_are_not_valid() {
        assert_eq!(decoded(&[0x1f]).unwrap(), b"a");
        assert_eq!(decoded(&[0x1e]), None, "padded with a zero");
        assert_eq!(decoded(&[0x1f, 0xff]), None, "padded with eight bits too many");
        assert_eq!(decoded(&[0xff]), None);
        assert_eq!(decoded(&[0xff; 4]), None, "EOS");
        assert_eq!(decoded(&[0xff; 64]), None);
    }

    #[test]
    fn every_octet_agrees_with_another_implementation() {
        let mut other = fluke_hpack::huffman::HuffmanDecoder::new();
        for octet in 0..=255 {
            for text in [vec![octet], vec![octet; 3], vec![b'a', octet, b'0']] {
                let coded = encoded(&text);
                assert_eq!(decoded(&coded).as_ref(), Some(&text), "{octet}");
                assert_eq!(other.decode(&coded).ok(), Some(text), "{octet}");
            }
        }
    }

    proptest! {
        #[test]
        fn what_was_encoded_is_decoded(text in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(decoded(&encoded(&text)), Some(text));
        }

        #[test]
        fn any_octets_are_valid_or_not_as_another_implementation_says(
            coded in prop::collection::vec(prop_oneof![any::<u8>(), Just(0xff)], 0..40),
        ) {
            let other = fluke_hpack::huffman::HuffmanDecoder::new().decode(&coded).ok();
            prop_assert_eq!(decoded(&coded), other);
        }
    }
}

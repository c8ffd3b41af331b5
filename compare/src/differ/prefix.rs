//! How far two byte strings are the same, from their beginnings and from their ends.

/// Length of the longest common prefix.
pub(super) fn common_prefix(one: &[u8], other: &[u8]) -> usize {
    let len = one.len().min(other.len());
    let (one, other) = (&one[..len], &other[..len]);
    let same = blocks::<64>(one, other);
    let same = same + blocks::<8>(&one[same..], &other[same..]);
    let rest = one[same..].iter().zip(&other[same..]);
    same + rest.take_while(|(one, other)| one == other).count()
}

/// Length of the longest common suffix.
pub(super) fn common_suffix(one: &[u8], other: &[u8]) -> usize {
    let len = one.len().min(other.len());
    let (one, other) = (&one[one.len() - len..], &other[other.len() - len..]);
    let blocks = one.as_rchunks::<32>().1.iter().zip(other.as_rchunks::<32>().1).rev();
    let differing = |one: &[u8; 32], other: &[u8; 32]| {
        one.iter().zip(other).fold(0, |bits, (one, other)| bits | (one ^ other))
    };
    let same = blocks.take_while(|(one, other)| differing(one, other) == 0).count() * 32;
    let rest = one[..len - same].iter().rev().zip(other[..len - same].iter().rev());
    same + rest.take_while(|(one, other)| one == other).count()
}

/// Bytes in the blocks of `N` that both begin with. Bits that differ are gathered, as vectors or
/// words; to compare slices or large arrays would each be a call.
fn blocks<const N: usize>(one: &[u8], other: &[u8]) -> usize {
    let blocks = one.as_chunks::<N>().0.iter().zip(other.as_chunks::<N>().0);
    let differing = |one: &[u8; N], other: &[u8; N]| {
        one.iter().zip(other).fold(0, |bits, (one, other)| bits | (one ^ other))
    };
    blocks.take_while(|(one, other)| differing(one, other) == 0).count() * N
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_the_first_difference(
            shared in prop::collection::vec(any::<u8>(), 0..200),
            one in prop::collection::vec(0_u8..2, 0..10),
            other in prop::collection::vec(0_u8..2, 0..10),
        ) {
            let (one, other) = ([&shared[..], &one].concat(), [&shared[..], &other].concat());
            let bytewise = one.iter().zip(&other).take_while(|(a, b)| a == b).count();
            prop_assert_eq!(common_prefix(&one, &other), bytewise);
            let backwards = |bytes: &[u8]| bytes.iter().rev().copied().collect::<Vec<_>>();
            prop_assert_eq!(common_suffix(&backwards(&one), &backwards(&other)), bytewise);
        }
    }
}

//! How far two byte strings are the same.

/// Length of the longest common prefix.
pub(super) fn common_prefix(one: &[u8], other: &[u8]) -> usize {
    let len = one.len().min(other.len());
    let (one, other) = (&one[..len], &other[..len]);
    // Arrays of eight compare as words; slices would each be a call.
    let words = one.as_chunks::<8>().0.iter().zip(other.as_chunks::<8>().0);
    let same = words.take_while(|(one, other)| one == other).count() * 8;
    let rest = one[same..].iter().zip(&other[same..]);
    same + rest.take_while(|(one, other)| one == other).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_the_first_difference(
            shared in prop::collection::vec(any::<u8>(), 0..50),
            one in prop::collection::vec(0_u8..2, 0..10),
            other in prop::collection::vec(0_u8..2, 0..10),
        ) {
            let (one, other) = ([&shared[..], &one].concat(), [&shared[..], &other].concat());
            let bytewise = one.iter().zip(&other).take_while(|(a, b)| a == b).count();
            prop_assert_eq!(common_prefix(&one, &other), bytewise);
        }
    }
}

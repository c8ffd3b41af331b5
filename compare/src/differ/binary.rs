//! Bytes that differ, and nothing is known of what they mean.

use super::here::Here;
use super::prefix::common_prefix;
use crate::Change;

/// Notes two bodies that differ as bytes, given what is there of them and their full lengths.
pub(super) fn compare(
    primary: &[u8],
    shadow: &[u8],
    lens: (u64, u64),
    here: &mut Here<'_, '_, '_, '_>,
) {
    let at = common_prefix(primary, shadow);
    let known = at < primary.len().min(shadow.len()) || primary.len() != shadow.len();
    let says = |len: u64| {
        if known {
            format!("len {len}, first difference at {at}")
        } else {
            format!("len {len}, first difference after {at}")
        }
    };
    let (ours, theirs) = (says(lens.0), says(lens.1));
    here.differs(Change::Binary, Some(ours.as_bytes()), Some(theirs.as_bytes()));
}

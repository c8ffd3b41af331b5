//! Rust crates that compare `serde_json` values: each reads both texts and lists what differs.

use std::hint::black_box;

use serde_json::Value;

use crate::documents::Pair;
use crate::{Result, cpu_s};

/// How many changes a crate finds between two values.
pub(crate) type Diff = fn(Value, Value) -> usize;

/// The crates, by name and version.
pub(crate) const ALL: [(&str, Diff); 3] = [
    ("json-patch 5.0 (crate)", |primary, shadow| json_patch::diff(&primary, &shadow).0.len()),
    ("treediff 5.0 (crate)", |primary, shadow| {
        let mut recorder = treediff::tools::Recorder::default();
        treediff::diff(&primary, &shadow, &mut recorder);
        let unchanged = |call: &&_| !matches!(call, treediff::tools::ChangeType::Unchanged(..));
        recorder.calls.iter().filter(unchanged).count()
    }),
    ("serde_json_diff 0.2 (crate)", |primary, shadow| {
        usize::from(serde_json_diff::values(primary, shadow).is_some())
    }),
];

/// CPU seconds of `diff` on `pairs`.
///
/// # Errors
///
/// When it finds nothing in one of them.
pub(crate) fn run(diff: Diff, pairs: &[Pair]) -> Result<f64> {
    let before = cpu_s()?;
    for pair in pairs {
        let (primary, shadow) =
            (serde_json::from_str(&pair.primary)?, serde_json::from_str(&pair.shadow)?);
        if black_box(diff(primary, shadow)) == 0 {
            Err("a crate found nothing where something differs")?;
        }
    }
    Ok(cpu_s()? - before)
}

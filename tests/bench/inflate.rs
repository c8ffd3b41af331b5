//! What undoing gzip costs alone: flate2 over the bodies of a capture, and nothing else.

use std::ffi::OsStr;
use std::fs;
use std::hint::black_box;
use std::io::Read as _;

use flate2::bufread::GzDecoder;

/// First argument that makes this binary inflate: then the bodies that
/// [`crate::traffic::Recipe::write`] wrote.
pub(crate) const MODE: &str = "--inflate";

/// Decodes every body of the file. Prints their number and decoded bytes.
///
/// # Errors
///
/// When the file cannot be read, or a body does not decode.
pub(crate) fn run(bodies: &OsStr) -> Result<(), Box<dyn std::error::Error>> {
    let all = fs::read(bodies)?;
    let (mut rest, mut count, mut decoded_bytes) = (&all[..], 0_u64, 0_u64);
    let mut decoded = Vec::new();
    while let Some((len, after)) = rest.split_first_chunk::<4>() {
        let len = u32::from_le_bytes(*len) as usize;
        let (body, after) = after.split_at_checked(len).ok_or("the last body is cut")?;
        decoded.clear();
        GzDecoder::new(body).read_to_end(&mut decoded)?;
        decoded_bytes += black_box(&decoded).len() as u64;
        count += 1;
        rest = after;
    }
    println!("{count} bodies, {decoded_bytes} bytes");
    Ok(())
}

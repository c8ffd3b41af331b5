//! What AES-128-GCM costs alone: opening records of the lengths that a capture has, and nothing
//! else, with the crate that tapdiff uses.
//!
//! They are sealed anew, under one key for all: the cost of opening does not depend on the key.

use std::ffi::OsStr;
use std::fs;
use std::hint::black_box;
use std::io::{self, Write};

use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::{Aes128Gcm, Key};

/// First argument that makes this binary open records: then the file that [`Sealer`] wrote.
pub(crate) const MODE: &str = "--unseal";

const TAG_BYTES: usize = 16;
/// The header of a record (RFC 8446 §5.2 has it authenticated), the same for all.
const HEADER: [u8; 5] = [23, 3, 3, 0, 0];
/// Most plaintext of a record (RFC 8446 §5.1).
const RECORD_BYTES: usize = 1 << 14;

/// Writes records: their length (u32, little-endian), ciphertext and tag.
pub(crate) struct Sealer {
    cipher: Aes128Gcm,
    records: u64,
}

impl Sealer {
    /// With the key of all files.
    pub(crate) fn new() -> Self {
        Self { cipher: cipher(), records: 0 }
    }

    /// Writes the records of `text`, as long as those of TLS 1.3, to `out`.
    ///
    /// # Errors
    ///
    /// What `out` says.
    pub(crate) fn seal(&mut self, text: &[u8], out: &mut impl Write) -> io::Result<()> {
        for part in text.chunks(RECORD_BYTES) {
            let mut data = part.to_vec();
            // RFC 8446 §5.2: the content type follows what was said.
            data.push(23);
            let tag = self
                .cipher
                .encrypt_inout_detached(
                    &nonce(self.records).into(),
                    &HEADER,
                    (&mut data[..]).into(),
                )
                .map_err(io::Error::other)?;
            self.records += 1;
            out.write_all(&((data.len() + TAG_BYTES) as u32).to_le_bytes())?;
            out.write_all(&data)?;
            out.write_all(&tag)?;
        }
        Ok(())
    }
}

/// Opens every record of the file. Prints their number and bytes.
///
/// # Errors
///
/// When the file cannot be read, or a tag does not verify.
pub(crate) fn run(records: &OsStr) -> Result<(), Box<dyn std::error::Error>> {
    let mut all = fs::read(records)?;
    let cipher = cipher();
    let (mut rest, mut count, mut opened_bytes) = (&mut all[..], 0_u64, 0_u64);
    while let Some((len, after)) = rest.split_first_chunk_mut::<4>() {
        let len = u32::from_le_bytes(*len) as usize;
        let (record, after) = after.split_at_mut_checked(len).ok_or("the last record is cut")?;
        let (data, tag) = record.split_last_chunk_mut::<TAG_BYTES>().ok_or("no tag")?;
        let tag = (*tag).into();
        cipher
            .decrypt_inout_detached(&nonce(count).into(), &HEADER, (&mut *data).into(), &tag)
            .map_err(|_| "a tag does not verify")?;
        opened_bytes += black_box(data).len() as u64;
        count += 1;
        rest = after;
    }
    println!("{count} records, {opened_bytes} bytes");
    Ok(())
}

fn cipher() -> Aes128Gcm {
    Aes128Gcm::new(&Key::<Aes128Gcm>::from([7; 16]))
}

fn nonce(record: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&record.to_be_bytes());
    nonce
}

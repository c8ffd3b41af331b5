//! Compression inside records (RFC 3749): long forbidden, and still seen in old captures.
//!
//! Invariant: a record inflates to no more than a record may hold.

use flate2::{Decompress, FlushDecompress, Status};

/// RFC 3749 §2: what records hold of one direction is one zlib stream.
#[derive(Debug)]
pub(super) struct Inflater(Decompress);

/// RFC 5246 §6.2.1: what a record holds before compression.
const PLAINTEXT_MAX: usize = 1 << 14;

impl Inflater {
    /// About what the state takes: mostly a window of 32 KiB.
    pub(super) const HELD_BYTES: usize = 48 << 10;

    /// What the next record holds; `None` where that is no continuation of the stream, or more than
    /// fits in a record.
    pub(super) fn inflate(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut plain = Vec::with_capacity(PLAINTEXT_MAX);
        let before = self.0.total_in();
        let status = self.0.decompress_vec(bytes, &mut plain, FlushDecompress::Sync).ok()?;
        let used = self.0.total_in() - before;
        (status != Status::StreamEnd && used == bytes.len() as u64).then_some(plain)
    }
}

impl Default for Inflater {
    fn default() -> Self {
        Self(Decompress::new(true))
    }
}

#[cfg(test)]
mod tests {
    use flate2::{Compress, Compression, FlushCompress};

    use super::*;

    fn deflate(stream: &mut Compress, plain: &[u8]) -> Vec<u8> {
        let mut sealed = Vec::with_capacity(plain.len() + 1_024);
        stream.compress_vec(plain, &mut sealed, FlushCompress::Sync).unwrap();
        sealed
    }

    #[test]
    fn records_of_a_direction_are_one_stream() {
        let mut stream = Compress::new(Compression::default(), true);
        let mut inflater = Inflater::default();
        for plain in [&b"Finished"[..], b"GET / HTTP/1.0\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n"] {
            let sealed = deflate(&mut stream, plain);
            assert_eq!(inflater.inflate(&sealed).as_deref(), Some(plain));
        }
    }

    #[test]
    fn what_inflates_to_more_than_a_record_is_refused() {
        let mut stream = Compress::new(Compression::default(), true);
        let most = deflate(&mut stream, &[0; PLAINTEXT_MAX]);
        assert_eq!(
            Inflater::default().inflate(&most).map(|plain| plain.len()),
            Some(PLAINTEXT_MAX)
        );
        let mut stream = Compress::new(Compression::default(), true);
        let bomb = deflate(&mut stream, &[0; 20 * PLAINTEXT_MAX]);
        assert_eq!(Inflater::default().inflate(&bomb), None);
        assert_eq!(Inflater::default().inflate(b"no zlib"), None);
    }
}

//! Content codings (RFC 9110 §8.4) undone, in one go or as the bytes come.
//!
//! Known: gzip and x-gzip (several members; what follows the last one is ignored, as browsers do),
//! deflate (the zlib format, and raw deflate as some servers send it), br, zstd, identity. Several
//! codings in one field are undone from the last to the first.
//!
//! Bounded against bombs: no stage puts out more than the limit, and decoders' windows are held to
//! what the formats allow on the web (deflate 32 KiB, brotli 16 MiB, zstd 8 MiB).

use std::borrow::Cow;
use std::fmt;

use brotli::{BrotliDecompressStream, BrotliResult, BrotliState, HeapAlloc, HuffmanCode};
use sha2::{Digest, Sha256};
use zstd::stream::raw::{DParameter, Decoder as ZstdDecoder, Operation};

use super::DecodedSum;
use super::inflate::Inflate;
use super::step::{DecodeError, Step};
use crate::{Anomalies, Anomaly, Fields};

/// Undoes the codings of a Content-Encoding value (several fields joined by commas) on a whole
/// entity.
///
/// Borrows where there is nothing to undo; an empty entity is empty whatever its coding. Takes no
/// more memory than `limit` and a decoder's window.
///
/// # Errors
///
/// [`DecodeError`]; never on identity.
pub fn decode<'a>(
    kept: &'a [u8],
    content_encoding: Option<&[u8]>,
    limit: u64,
) -> Result<Cow<'a, [u8]>, DecodeError> {
    if kept.is_empty() || content_encoding.is_none() {
        return Ok(Cow::Borrowed(kept));
    }
    let mut decoder = Decoder::new(content_encoding.into_iter(), limit)?;
    if decoder.is_identity() {
        return Ok(Cow::Borrowed(kept));
    }
    let likely = (kept.len() as u64).saturating_mul(4).min(limit);
    let mut decoded = Vec::with_capacity(usize::try_from(likely).unwrap_or(kept.len()));
    decoder.push(kept, &mut |bytes| decoded.extend_from_slice(bytes))?;
    decoder.finish()?;
    Ok(Cow::Owned(decoded))
}

/// The sum of an entity without bytes, whatever its coding.
pub(super) fn sum_of_nothing() -> DecodedSum {
    DecodedSum { len: 0, sha256: Sha256::digest([]).into() }
}

/// SHA-256 of an entity as sent, and length and SHA-256 of it decoded, as it comes.
pub(super) struct DecodedHasher {
    sent: Sha256,
    decoder: Result<Decoder, DecodeError>,
    sha256: Sha256,
    encoded_len: u64,
    len: u64,
}

impl DecodedHasher {
    /// For an entity with these header fields, of at most `limit` decoded bytes.
    pub(super) fn new(fields: &Fields, limit: u64) -> Self {
        Self {
            sent: Sha256::new(),
            decoder: Decoder::new(fields.get_all(b"content-encoding"), limit),
            sha256: Sha256::new(),
            encoded_len: 0,
            len: 0,
        }
    }

    /// Bytes of memory held, near enough: each coding's output and its window of deflate. Windows
    /// of brotli and zstd grow with what was sent (to 16 and 8 MiB at the most).
    pub(super) fn held_bytes(&self) -> usize {
        let stages = self.decoder.as_ref().map_or(0, |decoder| decoder.stages.len());
        size_of::<Self>() + stages * (Decoder::OUTPUT_BYTES + (32 << 10))
    }

    /// Takes the next bytes as sent.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.encoded_len += bytes.len() as u64;
        self.sent.update(bytes);
        let Ok(decoder) = &mut self.decoder else { return };
        let result = decoder.push(bytes, &mut |decoded| {
            self.sha256.update(decoded);
            self.len += decoded.len() as u64;
        });
        if let Err(error) = result {
            self.decoder = Err(error);
        }
    }

    /// The sums of the whole entity: as sent, and decoded (`None` and a note why there is none).
    pub(super) fn finish(
        self,
        anomalies: &mut Anomalies,
    ) -> (Option<[u8; 32]>, Option<DecodedSum>) {
        // An answer to HEAD names a coding and has no bytes in it.
        let whole = match self.decoder {
            _ if self.encoded_len == 0 => Ok(()),
            Ok(decoder) => decoder.finish(),
            Err(error) => Err(error),
        };
        let decoded = match whole {
            Ok(()) => Some(DecodedSum { len: self.len, sha256: self.sha256.finalize().into() }),
            Err(error) => {
                anomalies.note(match error {
                    DecodeError::Unknown => Anomaly::UnknownContentEncoding,
                    DecodeError::Corrupt => Anomaly::BadContentEncoding,
                    DecodeError::TooLarge => Anomaly::DecodedTooLarge,
                });
                None
            }
        };
        (Some(self.sent.finalize().into()), decoded)
    }
}

impl fmt::Debug for DecodedHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecodedHasher").field("len", &self.len).finish_non_exhaustive()
    }
}

/// The codings of one entity, the one to undo first in front.
struct Decoder {
    stages: Vec<Stage>,
    limit: u64,
}

struct Stage {
    coding: Coding,
    output: Box<[u8]>,
    produced: u64,
}

enum Coding {
    Inflate(Inflate),
    Brotli { state: Box<BrotliStateOnHeap>, done: bool },
    Zstd { decoder: ZstdDecoder<'static>, between_frames: bool, frames: u64, done: bool },
}

type BrotliStateOnHeap = BrotliState<HeapAlloc<u8>, HeapAlloc<u32>, HeapAlloc<HuffmanCode>>;

impl Decoder {
    /// More codings than anyone applies on purpose.
    const CODINGS: usize = 3;
    const OUTPUT_BYTES: usize = 32 << 10;

    fn new<'f>(values: impl Iterator<Item = &'f [u8]>, limit: u64) -> Result<Self, DecodeError> {
        let mut stages = Vec::new();
        for name in values.flat_map(|value| value.split(|&b| b == b',')) {
            let name = name.trim_ascii();
            let coding = if name.is_empty() || name.eq_ignore_ascii_case(b"identity") {
                continue;
            } else if name.eq_ignore_ascii_case(b"gzip") || name.eq_ignore_ascii_case(b"x-gzip") {
                Coding::Inflate(Inflate::gzip())
            } else if name.eq_ignore_ascii_case(b"deflate") {
                Coding::Inflate(Inflate::deflate())
            } else if name.eq_ignore_ascii_case(b"br") {
                Coding::brotli()
            } else if name.eq_ignore_ascii_case(b"zstd") {
                Coding::zstd()?
            } else {
                return Err(DecodeError::Unknown);
            };
            if stages.len() == Self::CODINGS {
                return Err(DecodeError::Unknown);
            }
            let output = vec![0; Self::OUTPUT_BYTES].into_boxed_slice();
            stages.push(Stage { coding, output, produced: 0 });
        }
        // RFC 9110 §8.4: codings are listed in the order in which they were applied.
        stages.reverse();
        Ok(Self { stages, limit })
    }

    fn is_identity(&self) -> bool {
        self.stages.is_empty()
    }

    fn push(&mut self, input: &[u8], sink: &mut dyn FnMut(&[u8])) -> Result<(), DecodeError> {
        run(&mut self.stages, input, self.limit, sink)
    }

    /// Whether every coding came to its end.
    fn finish(&self) -> Result<(), DecodeError> {
        let ended = self.stages.iter().all(|stage| stage.coding.ended());
        if ended { Ok(()) } else { Err(DecodeError::Corrupt) }
    }
}

/// Feeds `input` to the first stage and what comes out of it to the others.
fn run(
    stages: &mut [Stage],
    mut input: &[u8],
    limit: u64,
    sink: &mut dyn FnMut(&[u8]),
) -> Result<(), DecodeError> {
    let Some((stage, rest)) = stages.split_first_mut() else {
        sink(input);
        return Ok(());
    };
    loop {
        let step = stage.coding.step(input, &mut stage.output)?;
        input = &input[step.used..];
        stage.produced += step.produced as u64;
        if stage.produced > limit {
            return Err(DecodeError::TooLarge);
        }
        if step.produced > 0 {
            run(rest, &stage.output[..step.produced], limit, sink)?;
        }
        // A full output may have more behind it that needs no more input.
        let drained = step.produced < stage.output.len();
        if (input.is_empty() && drained) || (step.used == 0 && step.produced == 0) {
            return Ok(());
        }
    }
}

impl Coding {
    fn brotli() -> Self {
        // Strict: without large windows, whose ring buffer may take 1 GiB and which no
        // Content-Encoding stands for (RFC 7932 §9.1 ends at 16 MiB).
        let state = BrotliState::new_strict(
            HeapAlloc::new(0),
            HeapAlloc::new(0),
            HeapAlloc::new(HuffmanCode::default()),
        );
        Self::Brotli { state: Box::new(state), done: false }
    }

    fn zstd() -> Result<Self, DecodeError> {
        let mut decoder = ZstdDecoder::new().map_err(|_| DecodeError::Unknown)?;
        // RFC 9659 §3: a Content-Encoding of zstd needs no window above 8 MiB.
        decoder.set_parameter(DParameter::WindowLogMax(23)).map_err(|_| DecodeError::Unknown)?;
        Ok(Self::Zstd { decoder, between_frames: true, frames: 0, done: false })
    }

    /// Decodes some of `input` into `output`. Takes all input once it has ended: what follows is
    /// garbage.
    fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Step, DecodeError> {
        match self {
            Self::Inflate(inflate) => inflate.step(input, output),
            Self::Brotli { done: true, .. } | Self::Zstd { done: true, .. } => {
                Ok(Step { used: input.len(), produced: 0 })
            }
            Self::Brotli { state, done } => {
                let (mut left, mut used) = (input.len(), 0);
                let (mut room, mut produced, mut total) = (output.len(), 0, 0);
                let result = BrotliDecompressStream(
                    &mut left,
                    &mut used,
                    input,
                    &mut room,
                    &mut produced,
                    output,
                    &mut total,
                    state,
                );
                match result {
                    BrotliResult::ResultFailure => Err(DecodeError::Corrupt),
                    BrotliResult::ResultSuccess => {
                        *done = true;
                        Ok(Step { used, produced })
                    }
                    BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => {
                        Ok(Step { used, produced })
                    }
                }
            }
            Self::Zstd { decoder, between_frames, frames, done } => {
                if input.is_empty() && *between_frames {
                    return Ok(Step { used: 0, produced: 0 });
                }
                match decoder.run_on_buffers(input, output) {
                    Ok(status) => {
                        // RFC 8878 §3: several frames may follow each other.
                        *between_frames = status.remaining == 0;
                        *frames += u64::from(*between_frames);
                        Ok(Step { used: status.bytes_read, produced: status.bytes_written })
                    }
                    Err(_) if *between_frames && *frames > 0 => {
                        *done = true;
                        Ok(Step { used: input.len(), produced: 0 })
                    }
                    Err(_) => Err(DecodeError::Corrupt),
                }
            }
        }
    }

    fn ended(&self) -> bool {
        match self {
            Self::Inflate(inflate) => inflate.ended(),
            Self::Brotli { done, .. } => *done,
            Self::Zstd { between_frames, frames, done, .. } => {
                *done || (*between_frames && *frames > 0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use flate2::{Compression, GzBuilder};
    use proptest::prelude::*;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn raw_deflate(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn br(bytes: &[u8]) -> Vec<u8> {
        let mut encoded = Vec::new();
        brotli::CompressorWriter::new(&mut encoded, 4096, 5, 22).write_all(bytes).unwrap();
        encoded
    }

    fn zstandard(bytes: &[u8]) -> Vec<u8> {
        zstd::encode_all(bytes, 3).unwrap()
    }

    type Encode = fn(&[u8]) -> Vec<u8>;
    const CODINGS: [(&str, Encode); 7] = [
        ("gzip", gzip),
        ("X-GZIP", gzip),
        ("deflate", zlib),
        ("deflate", raw_deflate),
        ("br", br),
        ("zstd", zstandard),
        ("identity", <[u8]>::to_vec),
    ];

    const MIB: u64 = 1 << 20;

    fn one_shot(encoded: &[u8], coding: &str) -> Result<Vec<u8>, DecodeError> {
        decode(encoded, Some(coding.as_bytes()), MIB).map(Cow::into_owned)
    }

    fn in_pieces(encoded: &[u8], coding: &str, piece: usize) -> Result<Vec<u8>, DecodeError> {
        let mut decoder = Decoder::new(std::iter::once(coding.as_bytes()), MIB)?;
        let mut decoded = Vec::new();
        for piece in encoded.chunks(piece) {
            decoder.push(piece, &mut |bytes| decoded.extend_from_slice(bytes))?;
        }
        decoder.finish().map(|()| decoded)
    }

    #[test]
    fn every_coding_gives_back_what_was_encoded_however_it_is_cut() {
        let text = br#"{"id":1,"name":"item"}"#.repeat(5_000);
        for plain in [&b"a"[..], b"ab", b"", &text] {
            for (coding, encode) in CODINGS {
                let encoded = encode(plain);
                assert_eq!(one_shot(&encoded, coding).unwrap(), plain, "{coding}");
                if encoded.is_empty() {
                    continue;
                }
                for piece in [1, 2, 3, 1000] {
                    let decoded = in_pieces(&encoded, coding, piece).unwrap();
                    assert_eq!(decoded, plain, "{coding} in pieces of {piece}");
                }
            }
        }
    }

    #[test]
    fn several_codings_are_undone_from_the_last_to_the_first() {
        let encoded = br(&gzip(b"twice"));
        assert_eq!(one_shot(&encoded, "gzip, br").unwrap(), b"twice");
        assert_eq!(one_shot(&encoded, "br, gzip"), Err(DecodeError::Corrupt));
        assert_eq!(one_shot(&encoded, "gzip,gzip,gzip,gzip"), Err(DecodeError::Unknown));
    }

    #[test]
    fn gzip_members_follow_each_other_and_garbage_after_them_is_ignored() {
        let mut encoded = [gzip(b"first "), gzip(b"second")].concat();
        assert_eq!(one_shot(&encoded, "gzip").unwrap(), b"first second");
        encoded.extend_from_slice(&[0; 40_000]);
        assert_eq!(one_shot(&encoded, "gzip").unwrap(), b"first second");
        for (coding, encode) in [("zstd", zstandard as Encode), ("br", br), ("deflate", zlib)] {
            let encoded = [encode(b"first"), b"garbage behind".to_vec()].concat();
            assert_eq!(one_shot(&encoded, coding).unwrap(), b"first", "{coding}");
        }
        let frames = [zstandard(b"first "), zstandard(b"second")].concat();
        assert_eq!(one_shot(&frames, "zstd").unwrap(), b"first second");
    }

    #[test]
    fn every_part_of_a_gzip_header_is_skipped() {
        let mut encoder = GzBuilder::new()
            .extra(vec![1, 0, 2, 0, 3])
            .filename("a name")
            .comment("a comment")
            .write(Vec::new(), Compression::default());
        encoder.write_all(b"plain").unwrap();
        let mut encoded = encoder.finish().unwrap();
        assert_eq!(one_shot(&encoded, "gzip").unwrap(), b"plain");

        // The same with a header CRC, which flate2 does not write: two bytes after the comment.
        let end = encoded.windows(10).position(|w| w == b"a comment\0").unwrap() + 10;
        encoded[3] |= 2;
        encoded.splice(end..end, [0xaa, 0xbb]);
        assert_eq!(one_shot(&encoded, "gzip").unwrap(), b"plain");
    }

    #[test]
    fn what_is_cut_or_changed_does_not_decode() {
        let text = b"some text that is long enough to be cut".repeat(20);
        for (coding, encode) in &CODINGS[..6] {
            let encoded = encode(&text);
            for cut in [1, encoded.len() / 2, encoded.len() - 1] {
                assert_eq!(
                    one_shot(&encoded[..cut], coding),
                    Err(DecodeError::Corrupt),
                    "{coding} cut to {cut}"
                );
            }
        }
        let mut wrong_sum = gzip(&text);
        let crc_at = wrong_sum.len() - 8;
        wrong_sum[crc_at] ^= 1;
        assert_eq!(one_shot(&wrong_sum, "gzip"), Err(DecodeError::Corrupt));
        assert_eq!(one_shot(b"plain", "gzip"), Err(DecodeError::Corrupt));
        assert_eq!(one_shot(b"plain", "aes128gcm"), Err(DecodeError::Unknown));
    }

    #[test]
    fn a_bomb_ends_at_the_limit() {
        let zeros = vec![0; 3 << 20];
        for (coding, encode) in &CODINGS[..6] {
            let bomb = encode(&zeros);
            assert!(bomb.len() < 20_000);
            assert_eq!(one_shot(&bomb, coding), Err(DecodeError::TooLarge), "{coding}");
        }
        // A small entity within a large one: the stage between is bounded too.
        assert_eq!(one_shot(&gzip(&gzip(&zeros)), "gzip, gzip"), Err(DecodeError::TooLarge));
        assert_eq!(one_shot(&gzip(&zeros[..1 << 20]), "gzip").unwrap().len(), 1 << 20);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 1..400)) {
            for (coding, _) in CODINGS {
                prop_assert_eq!(one_shot(&bytes, coding), in_pieces(&bytes, coding, 1));
            }
        }
    }
}

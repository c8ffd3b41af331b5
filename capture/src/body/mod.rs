//! Entities: what is kept of a body, its digest, and content decoding bounded against bombs.
//!
//! Owns the bytes between a message's head and its end, transfer coding removed. `BodyBuilder`
//! takes them as they come; [`Body`] is what is left when the message is whole (or given up).
//! Refuses to know of framing: where a body ends is the protocol's business.
//!
//! Invariants:
//! - What is kept is a prefix of the entity, without holes: nothing is kept after a missing byte.
//! - A body not wholly kept, but wholly seen, carries the BLAKE3 digest of all of it, unless the
//!   budget had no room for a hasher. One with missing bytes carries none. Without a digest it is
//!   equal to nothing, and its exchange is not `Complete`.
//! - Bytes held by unfinished bodies are charged to `Context::body_bytes`, and given back by
//!   `BodyBuilder::finish`: a builder is always finished, never just dropped.

mod decode;
mod inflate;
mod step;

pub use decode::decode;
pub use step::DecodeError;

use decode::DecodedHasher;

use crate::context::Context;
use crate::{Anomaly, Fields, Limits};

/// The entity of a message: transfer coding removed, content coding still on.
///
/// Up to `Limits::body_bytes` are kept as sent. A longer body keeps that prefix, its full length
/// and a BLAKE3 digest of all of it.
#[derive(Clone, Debug, Default)]
pub struct Body {
    kept: Vec<u8>,
    len: u64,
    missing: u64,
    sums: Option<Box<Sums>>,
}

/// What only some bodies have: apart, so that an [`crate::Exchange`] stays small.
#[derive(Clone, Debug, Default)]
struct Sums {
    digest: Option<[u8; 32]>,
    sent: Option<[u8; 32]>,
    decoded: Option<DecodedSum>,
}

/// Length and SHA-256 of a decoded entity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodedSum {
    /// Bytes after content decoding.
    pub len: u64,
    /// SHA-256 of them.
    pub sha256: [u8; 32],
}

impl Body {
    /// A body that consists of `bytes`, all of them kept.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self { kept: bytes.to_vec(), len: bytes.len() as u64, missing: 0, sums: None }
    }

    /// Bytes of the entity as sent, content coding on; those known to be missing are counted.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether the entity is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What was kept: all of it, or a prefix.
    #[must_use]
    pub fn kept(&self) -> &[u8] {
        &self.kept
    }

    /// Whether all of it was kept.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.kept.len() as u64 == self.len
    }

    /// Whether all its bytes are known, by themselves or by their digest, as far as they were seen:
    /// not where the budget left room for neither.
    pub(crate) fn is_known(&self) -> bool {
        self.is_whole() || self.missing > 0 || self.digest_taken().is_some()
    }

    /// The body of a message that has none.
    pub(crate) fn none(limits: &Limits) -> Self {
        let sums = limits.sha256.then(|| {
            let nothing = decode::sum_of_nothing();
            let (sent, decoded) = (Some(nothing.sha256), Some(nothing));
            Box::new(Sums { digest: None, sent, decoded })
        });
        Self { sums, ..Self::default() }
    }

    /// Bytes inside it that the tap never saw.
    #[must_use]
    pub fn missing(&self) -> u64 {
        self.missing
    }

    /// Whether both entities are the same bytes, as far as the tap can vouch for it: by their
    /// length, then by what was kept or by digest. A body with missing bytes is the same as none.
    #[must_use]
    pub fn same_bytes(&self, other: &Self) -> bool {
        if self.len != other.len {
            return false;
        }
        match (self.is_whole(), other.is_whole()) {
            (true, true) => self.kept == other.kept,
            _ => match (self.digest(), other.digest()) {
                (Some(mine), Some(theirs)) => mine == theirs,
                _ => false,
            },
        }
    }

    /// SHA-256 of the entity as sent, content coding on; only with `Limits::sha256`, and `None`
    /// where not all of it was seen.
    #[must_use]
    pub fn sent_sha256(&self) -> Option<[u8; 32]> {
        self.sums.as_ref().and_then(|sums| sums.sent)
    }

    /// Length and digest after content decoding; only with `Limits::sha256`, and
    /// `None` where it does not decode or was not wholly seen.
    #[must_use]
    pub fn decoded_sum(&self) -> Option<DecodedSum> {
        self.sums.as_ref().and_then(|sums| sums.decoded)
    }

    /// Bytes of memory held, for budgets.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.kept.capacity() + self.sums.as_ref().map_or(0, |_| size_of::<Sums>())
    }

    fn digest(&self) -> Option<[u8; 32]> {
        if self.is_whole() { Some(blake3::hash(&self.kept).into()) } else { self.digest_taken() }
    }

    fn digest_taken(&self) -> Option<[u8; 32]> {
        self.sums.as_ref().and_then(|sums| sums.digest)
    }
}

/// Takes a body as it comes.
#[derive(Debug)]
pub(crate) struct BodyBuilder {
    kept: Vec<u8>,
    /// Bytes that may be kept; lowered where the budget over all flows ends.
    cap: usize,
    /// Bytes announced by Content-Length, or `u64::MAX`.
    announced: u64,
    len: u64,
    missing: u64,
    /// There from the moment that not all is kept.
    hasher: Option<BlockHasher>,
    /// There is no room for a digest either: only the length is taken.
    counts_only: bool,
    decoding: Option<Box<DecodedHasher>>,
    decoding_charged: bool,
    /// Bytes charged to [`Context::body_bytes`].
    charged: usize,
}

impl BodyBuilder {
    /// First allocation for a body of announced length: what plausibly comes, since a head that
    /// announces gigabytes costs its sender nothing.
    const FIRST_RESERVE: u64 = 64 << 10;

    /// A builder for the body of a message with these header fields and, if known, this length.
    pub(crate) fn new(announced: Option<u64>, fields: &Fields, limits: &Limits) -> Self {
        Self {
            kept: Vec::new(),
            cap: limits.body_bytes,
            announced: announced.unwrap_or(u64::MAX),
            len: 0,
            missing: 0,
            hasher: None,
            counts_only: false,
            decoding_charged: false,
            decoding: limits
                .sha256
                .then(|| Box::new(DecodedHasher::new(fields, limits.decoded_bytes))),
            charged: 0,
        }
    }

    /// The same without sums: for a message whose head leaves in doubt what the entity is.
    pub(crate) fn without_sums(self) -> Self {
        Self { decoding: None, ..self }
    }

    /// Takes the next bytes.
    pub(crate) fn push(&mut self, bytes: &[u8], cx: &mut Context<'_>) {
        self.len += bytes.len() as u64;
        if self.missing > 0 {
            return;
        }
        self.decode(bytes, cx);
        if self.counts_only {
            return;
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.push(bytes);
            return;
        }
        let room = self.cap - self.kept.len();
        let keep = if bytes.len() <= room && self.reserve(bytes.len(), cx) {
            bytes.len()
        } else if bytes.len() > room && self.reserve(room, cx) {
            room
        } else {
            0
        };
        self.kept.extend_from_slice(&bytes[..keep]);
        if keep < bytes.len() {
            if *cx.body_bytes + BlockHasher::HELD_BYTES > Self::with_hashers(cx.limits) {
                cx.anomalies.note(Anomaly::BodyBudgetReached);
                self.counts_only = true;
                return;
            }
            let mut hasher = BlockHasher::new(&self.kept);
            hasher.push(&bytes[keep..]);
            self.charge(BlockHasher::HELD_BYTES, cx);
            self.hasher = Some(hasher);
        }
    }

    /// The budget, and what hashers may take beyond it: they are what is left of a body when the
    /// budget is spent.
    fn with_hashers(limits: &Limits) -> usize {
        limits.body_bytes_total + (limits.body_bytes_total / 4).max(16 * BlockHasher::HELD_BYTES)
    }

    /// Takes bytes into the sums, if there is room for a decoder.
    fn decode(&mut self, bytes: &[u8], cx: &mut Context<'_>) {
        let Some(decoding) = &mut self.decoding else { return };
        if !std::mem::replace(&mut self.decoding_charged, true) {
            let cost = decoding.held_bytes();
            if *cx.body_bytes + cost > Self::with_hashers(cx.limits) {
                cx.anomalies.note(Anomaly::BodyBudgetReached);
                self.decoding = None;
                return;
            }
            self.charge(cost, cx);
        }
        if let Some(decoding) = &mut self.decoding {
            decoding.push(bytes);
        }
    }

    /// `len` bytes at this place were not seen and never will be.
    pub(crate) fn miss(&mut self, len: u64) {
        self.len += len;
        self.missing += len;
        self.hasher = None;
        self.decoding = None;
    }

    /// The body as it is now. `whole`: its message came to its end, so that what was seen is all
    /// there is; otherwise it has no decoded sum.
    pub(crate) fn finish(mut self, whole: bool, cx: &mut Context<'_>) -> Body {
        *cx.body_bytes = cx.body_bytes.saturating_sub(self.charged);
        let (sent, decoded) = match self.decoding.take() {
            Some(decoding) if whole => decoding.finish(cx.anomalies),
            _ => (None, None),
        };
        let digest = self.hasher.take().map(BlockHasher::finish);
        let sums =
            (digest.is_some() || sent.is_some()).then(|| Box::new(Sums { digest, sent, decoded }));
        // A body of unknown length grew by doubling; what waits to be paired should not carry
        // that along.
        if self.kept.capacity() > self.kept.len() + self.kept.len() / 4 {
            self.kept.shrink_to_fit();
        }
        Body { kept: self.kept, len: self.len, missing: self.missing, sums }
    }

    /// Makes room for `more` bytes, charged to the budget. False where that is spent: from then
    /// on nothing more of this body is kept.
    fn reserve(&mut self, more: usize, cx: &mut Context<'_>) -> bool {
        let needed = self.kept.len() + more;
        let capacity = self.kept.capacity();
        if needed <= capacity {
            return true;
        }
        let most = self.announced.min(self.cap as u64);
        let grown = (2 * capacity as u64).max(most.min(Self::FIRST_RESERVE));
        // Of unknown length: exactly what is there at first, since most come in one piece.
        let grown = if self.announced == u64::MAX && capacity == 0 { 0 } else { grown.min(most) };
        let target = needed.max(usize::try_from(grown).unwrap_or(needed));
        if *cx.body_bytes + (target - capacity) > cx.limits.body_bytes_total {
            self.cap = self.kept.len();
            cx.anomalies.note(Anomaly::BodyBudgetReached);
            return false;
        }
        self.kept.reserve_exact(target - self.kept.len());
        let grown_by = self.kept.capacity() - capacity;
        self.charge(grown_by, cx);
        true
    }

    fn charge(&mut self, bytes: usize, cx: &mut Context<'_>) {
        self.charged += bytes;
        *cx.body_bytes += bytes;
    }
}

/// BLAKE3 over pieces of any size, fed in blocks large enough for its SIMD to pay.
#[derive(Debug)]
struct BlockHasher {
    hasher: Box<blake3::Hasher>,
    block: Vec<u8>,
}

impl BlockHasher {
    /// BLAKE3 hashes up to 16 chunks of 1 KiB side by side.
    const BLOCK: usize = 16 << 10;
    const HELD_BYTES: usize = Self::BLOCK + size_of::<blake3::Hasher>();

    fn new(prefix: &[u8]) -> Self {
        let mut hasher = Box::new(blake3::Hasher::new());
        hasher.update(prefix);
        Self { hasher, block: Vec::with_capacity(Self::BLOCK) }
    }

    fn push(&mut self, mut bytes: &[u8]) {
        if !self.block.is_empty() {
            let fill = bytes.len().min(Self::BLOCK - self.block.len());
            self.block.extend_from_slice(&bytes[..fill]);
            bytes = &bytes[fill..];
            if self.block.len() < Self::BLOCK {
                return;
            }
            self.hasher.update(&self.block);
            self.block.clear();
        }
        let direct = bytes.len() - bytes.len() % Self::BLOCK;
        self.hasher.update(&bytes[..direct]);
        self.block.extend_from_slice(&bytes[direct..]);
    }

    fn finish(mut self) -> [u8; 32] {
        self.hasher.update(&self.block);
        self.hasher.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use sha2::{Digest as _, Sha256};

    use super::*;
    use crate::keylog::KeyLog;
    use crate::{Anomalies, FieldsBuilder};

    /// Builds a body from pieces under `limits`; returns it, the most that was charged, and what
    /// was noted.
    fn build(
        limits: &Limits,
        announced: Option<u64>,
        pieces: &[&[u8]],
    ) -> (Body, usize, Anomalies) {
        build_with(limits, announced, &Fields::default(), pieces)
    }

    fn build_with(
        limits: &Limits,
        announced: Option<u64>,
        fields: &Fields,
        pieces: &[&[u8]],
    ) -> (Body, usize, Anomalies) {
        let (mut anomalies, mut body_bytes, mut out) = (Anomalies::default(), 0, VecDeque::new());
        let mut cx = Context {
            keys: &KeyLog::default(),
            limits,
            anomalies: &mut anomalies,
            body_bytes: &mut body_bytes,
            spans: &mut crate::message::FieldSpans::default(),
            out: &mut out,
        };
        let mut builder = BodyBuilder::new(announced, fields, limits);
        let mut most = 0;
        for piece in pieces {
            builder.push(piece, &mut cx);
            most = most.max(*cx.body_bytes);
        }
        let body = builder.finish(true, &mut cx);
        assert_eq!(body_bytes, 0, "what was charged is given back");
        (body, most, anomalies)
    }

    fn noise(len: usize) -> Vec<u8> {
        (0..len as u64).map(|i| (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8).collect()
    }

    #[test]
    fn a_body_within_the_cap_is_kept_whole_without_a_digest() {
        let (body, ..) = build(&Limits::default(), Some(10), &[b"hello", b"world"]);
        assert_eq!((body.kept(), body.len()), (&b"helloworld"[..], 10));
        assert!(body.is_whole() && body.sums.is_none());
    }

    #[test]
    fn a_body_above_the_cap_keeps_prefix_length_and_digest_however_it_is_cut() {
        let limits = Limits { body_bytes: 1000, ..Limits::default() };
        let bytes = noise(100_000);
        for piece in [1, 7, 999, 1000, 1001, 1460, 16 << 10, 100_000] {
            let pieces: Vec<&[u8]> = bytes.chunks(piece).collect();
            let (body, ..) = build(&limits, None, &pieces);
            assert_eq!(body.kept(), &bytes[..1000], "in pieces of {piece}");
            assert_eq!(body.len(), 100_000);
            let expected: [u8; 32] = blake3::hash(&bytes).into();
            assert_eq!(body.digest(), Some(expected), "in pieces of {piece}");
        }
    }

    #[test]
    fn equal_bytes_are_the_same_whether_kept_or_digested() {
        let bytes = noise(5000);
        let small = Limits { body_bytes: 100, ..Limits::default() };
        let tiny = Limits { body_bytes: 10, ..Limits::default() };
        let kept = Body::from_bytes(&bytes);
        let (digested, ..) = build(&small, None, &[&bytes]);
        let (other_cap, ..) = build(&tiny, None, &[&bytes]);
        assert!(kept.same_bytes(&kept) && kept.same_bytes(&digested));
        assert!(digested.same_bytes(&kept) && digested.same_bytes(&other_cap));

        let mut changed = bytes.clone();
        changed[4999] ^= 1;
        let (changed, ..) = build(&small, None, &[&changed]);
        assert!(!digested.same_bytes(&changed) && !kept.same_bytes(&changed));
        assert!(!kept.same_bytes(&Body::from_bytes(&bytes[..4999])));
    }

    #[test]
    fn a_body_with_missing_bytes_knows_its_length_and_is_the_same_as_none() {
        let limits = Limits::default();
        let (mut anomalies, mut body_bytes, mut out) = (Anomalies::default(), 0, VecDeque::new());
        let mut cx = Context {
            keys: &KeyLog::default(),
            limits: &limits,
            anomalies: &mut anomalies,
            body_bytes: &mut body_bytes,
            spans: &mut crate::message::FieldSpans::default(),
            out: &mut out,
        };
        let mut builder = BodyBuilder::new(Some(9), &Fields::default(), &limits);
        builder.push(b"abc", &mut cx);
        builder.miss(3);
        builder.push(b"ghi", &mut cx);
        let body = builder.finish(true, &mut cx);
        assert_eq!((body.len(), body.missing(), body.kept()), (9, 3, &b"abc"[..]));
        assert!(!body.is_whole() && !body.same_bytes(&body.clone()));
    }

    #[test]
    fn an_announced_length_reserves_no_more_than_plausibly_comes() {
        let (body, most, _) = build(&Limits::default(), Some(u64::MAX - 1), &[b"x"]);
        assert_eq!(most, 64 << 10);
        assert!(body.held_bytes() < 16, "finished bodies give back what they did not need");
        let (_, most, _) = build(&Limits::default(), Some(200), &[b"x"]);
        assert_eq!(most, 200);
    }

    #[test]
    fn over_the_budget_a_body_keeps_length_and_digest() {
        let limits = Limits { body_bytes_total: 4096, ..Limits::default() };
        let bytes = noise(10_000);
        let pieces: Vec<&[u8]> = bytes.chunks(1000).collect();
        let (body, most, anomalies) = build(&limits, None, &pieces);
        assert_eq!(anomalies.count(Anomaly::BodyBudgetReached), 1);
        assert!(most <= 4096 + BlockHasher::HELD_BYTES, "{most}");
        assert!(!body.is_whole());
        assert!(body.same_bytes(&Body::from_bytes(&bytes)));
    }

    #[test]
    fn there_is_a_sum_of_what_was_sent_and_one_of_what_it_decodes_to() {
        let limits = Limits { sha256: true, ..Limits::default() };
        let nothing = Body::none(&limits).decoded_sum().unwrap();
        // SHA-256 of the empty string.
        assert_eq!((nothing.len, &nothing.sha256[..4]), (0, &[0xe3, 0xb0, 0xc4, 0x42][..]));
        let mut fields = FieldsBuilder::new();
        fields.field(b"Content-Encoding", b"gzip");
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(b"abc").unwrap();
        let sent = gzip.finish().unwrap();
        let (first, rest) = sent.split_at(7);
        let (body, ..) = build_with(&limits, None, &fields.build(), &[first, rest]);
        let sum = body.decoded_sum().unwrap();
        assert_eq!(sum.len, 3);
        // SHA-256 of "abc", FIPS 180-2 appendix B.1.
        assert_eq!(sum.sha256[..4], [0xba, 0x78, 0x16, 0xbf]);
        let expected: [u8; 32] = Sha256::digest(&sent).into();
        assert_eq!(body.sent_sha256(), Some(expected));
    }
}

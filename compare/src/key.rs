//! What two exchanges must share to be a pair.
//!
//! The key is the service, the extractor and the value it found, the method and the path without
//! its query. The query is left out so that a mirror that changes it is seen as a request that
//! differs, and not as two requests without a partner; [`crate::pairing`] still prefers equal
//! targets.

use std::borrow::Cow;
use std::hash::{BuildHasher, RandomState};

use capture::{Request, Timestamp};
use twox_hash::XxHash3_128;

use crate::{PairId, ServicePolicy};

/// Bytes of a key's value that are kept to be shown.
const SHOWN_BYTES: usize = 256;

/// XXH3 of a pair key, 128 bits of it.
///
/// Equal digests are taken for equal keys. By accident no two are; who makes two on purpose wins
/// nothing that sending one request id twice would not give them: requests are still compared
/// before they are paired at once, and what waits under one digest is bounded. Stable over runs,
/// hosts and versions, so that agents that see one leg each agree on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct KeyDigest(u128);

impl KeyDigest {
    /// 64 bits of it, by which tables hold keys: keys that share them are one key there, so that
    /// nobody can make many that differ and yet lie in one place. Whoever sends requests can choose
    /// them: tables place them by [`Spread::of`].
    pub(crate) fn hash(self) -> u64 {
        self.0 as u64
    }
}

/// Where the hashes of keys lie in a table: elsewhere in each process, so that keys made to crowd
/// one place of it are not found by trying.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    mask: u64,
    /// Odd: the low half of the product is another for every hash.
    factor: u64,
}

impl Spread {
    /// By the random seed that the standard library's own tables have.
    pub(crate) fn random() -> Self {
        let seed = RandomState::new();
        Self { mask: seed.hash_one(0), factor: seed.hash_one(1) | 1 }
    }

    /// Both halves of the product of 128 bits, folded: every bit of `hash` moves both the low bits,
    /// which choose the place, and the high ones, which tell those in one place apart.
    pub(crate) fn of(self, hash: u64) -> u64 {
        let product = u128::from(hash ^ self.mask) * u128::from(self.factor);
        (product as u64) ^ ((product >> 64) as u64)
    }
}

/// A request's pair key.
pub(crate) struct Key<'a> {
    pub(crate) digest: KeyDigest,
    value: Cow<'a, [u8]>,
}

impl<'a> Key<'a> {
    /// The key of `request`; `None` where no extractor yields a value.
    pub(crate) fn of(policy: &ServicePolicy, request: &'a Request) -> Option<Self> {
        let (extractor, value) = policy
            .pair_by
            .iter()
            .enumerate()
            .find_map(|(i, extractor)| Some((i, extractor.value(request)?)))?;
        let extractor = (extractor as u64).to_le_bytes();
        let (method, path) = (request.method(), path(request.target()));
        let digest = digest([policy.name.as_bytes(), &extractor, &value, method, path]);
        Some(Self { digest: KeyDigest(digest), value })
    }

    /// The value as text, to be shown; cut to 256 bytes.
    pub(crate) fn shown(&self) -> Box<str> {
        let cut = &self.value[..self.value.len().min(SHOWN_BYTES)];
        std::str::from_utf8(cut).map_or_else(|_| String::from_utf8_lossy(cut).into(), Into::into)
    }
}

/// The name of the pair whose primary has this key, target and start.
pub(crate) fn pair_id(key: KeyDigest, primary: Option<&Request>, start: Timestamp) -> PairId {
    let target = primary.map_or(&[][..], Request::target);
    let parts = [&key.0.to_le_bytes()[..], target, &start.as_nanos().to_le_bytes()];
    PairId(digest(parts) as u64)
}

/// The path of a request target, without scheme, authority, query and fragment.
pub(crate) fn path(target: &[u8]) -> &[u8] {
    let target = origin_form(target);
    let end = memchr::memchr2(b'?', b'#', target).unwrap_or(target.len());
    &target[..end]
}

/// A request target without scheme and authority, where it has them.
///
/// RFC 9112 §3.2.2: a client sends the absolute form to a proxy, and an origin server must accept
/// it; it names the same resource as the origin form.
pub(crate) fn origin_form(target: &[u8]) -> &[u8] {
    if target.first() == Some(&b'/') {
        return target;
    }
    let Some(at) = memchr::memmem::find(target, b"://") else { return target };
    let rest = &target[at + 3..];
    match rest.iter().position(|&b| matches!(b, b'/' | b'?' | b'#')) {
        Some(end) if rest[end] == b'/' => &rest[end..],
        Some(_) | None => b"/",
    }
}

/// Bytes of parts that are gathered without an allocation: nearly all are fewer.
const SHORT_BYTES: usize = 256;

/// XXH3 over the lengths of all parts (u64, little-endian) and then the parts, so that no two lists
/// of parts run together.
///
/// They are gathered first: hashing one slice costs a fraction of feeding a hasher in pieces.
fn digest<const N: usize>(parts: [&[u8]; N]) -> u128 {
    let lens = parts.map(|part| (part.len() as u64).to_le_bytes());
    let head = lens.as_flattened();
    let all = parts.iter().fold(head.len(), |sum, part| sum.saturating_add(part.len()));
    if all > SHORT_BYTES {
        return XxHash3_128::oneshot(&[head, &parts.concat()].concat());
    }
    let mut short = [0; SHORT_BYTES];
    let mut at = 0;
    for part in [head].into_iter().chain(parts) {
        short[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    }
    XxHash3_128::oneshot(&short[..at])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Sample;

    fn digest(policy: &ServicePolicy, sample: Sample) -> Option<KeyDigest> {
        let exchange = sample.primary();
        Key::of(policy, exchange.request.as_ref()?).map(|key| key.digest)
    }

    #[test]
    fn the_key_holds_service_value_method_and_path_but_not_the_query() {
        let shop = ServicePolicy::new("shop");
        let of = |sample: Sample| digest(&shop, sample).unwrap();
        let one = || Sample::new("1").target("/a?x=1");
        assert_eq!(of(one()), of(one()));
        assert_eq!(of(one()), of(one().target("/a?x=2")));
        assert_eq!(of(one()), of(one().target("http://shop.example/a?x=1")));
        assert_ne!(of(one()), of(one().target("/b?x=1")));
        assert_ne!(of(one()), of(one().method("POST")));
        assert_ne!(of(one()), of(Sample::new("2").target("/a?x=1")));
        assert_ne!(Some(of(one())), digest(&ServicePolicy::new("cart"), one()));
    }

    #[test]
    fn parts_do_not_run_together() {
        let shop = ServicePolicy::new("shop");
        let of = |id: &str, method: &str| digest(&shop, Sample::new(id).method(method));
        assert_ne!(of("1G", "ET"), of("1", "GET"));
    }

    #[test]
    fn the_first_extractor_with_a_value_is_part_of_the_key() {
        let mut by_both = ServicePolicy::new("shop");
        by_both.pair_by =
            vec!["query:rid".parse().unwrap(), "header:x-request-id".parse().unwrap()];
        assert_ne!(
            digest(&by_both, Sample::new("1")),
            digest(&by_both, Sample::new("1").target("/?rid=1"))
        );
        by_both.pair_by.pop();
        assert_eq!(digest(&by_both, Sample::new("1")), None);
    }

    #[test]
    fn a_long_key_is_digested_as_a_short_one_is() {
        let shop = ServicePolicy::new("shop");
        for len in [1, 100, 200, 201, 250, 256, 300, 5000] {
            let id = "x".repeat(len);
            let parts = [&b"shop"[..], &0_u64.to_le_bytes(), id.as_bytes(), b"GET", b"/items/1"];
            let lens: Vec<u8> =
                parts.iter().flat_map(|part| (part.len() as u64).to_le_bytes()).collect();
            let whole = [lens, parts.concat()].concat();
            let expected = XxHash3_128::oneshot(&whole);
            assert_eq!(digest(&shop, Sample::new(&id)), Some(KeyDigest(expected)), "{len}");
        }
    }

    #[test]
    fn keys_made_to_crowd_one_place_of_a_table_do_not() {
        // As they would lie in a table of 2^16 places if their own low bits chose it: all in one.
        let crafted = (0..1_000_u64).map(|n| n << 16 | 7);
        let spread = Spread::random();
        let mut in_place = std::collections::HashMap::new();
        for hash in crafted {
            *in_place.entry(spread.of(hash) & 0xffff).or_insert(0) += 1;
        }
        assert!(in_place.values().all(|&keys| keys < 100), "{in_place:?}");
    }

    #[test]
    fn a_target_is_reduced_to_its_path() {
        for (target, expected) in [
            ("/a/b?c#d", "/a/b"),
            ("http://h:80/a?b", "/a"),
            ("http://h", "/"),
            ("http://h?x", "/"),
            ("*", "*"),
            ("h:443", "h:443"),
            ("", ""),
            ("/a?u=http://x/y", "/a"),
        ] {
            assert_eq!(path(target.as_bytes()), expected.as_bytes(), "{target}");
        }
    }
}

//! What two exchanges must share to be a pair.
//!
//! The key is the service, the extractor and the value it found, the method and the path without
//! its query. The query is left out so that a mirror that changes it is seen as a request that
//! differs, and not as two requests without a partner; [`crate::pairing`] still prefers equal
//! targets.

use std::borrow::Cow;

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
    /// 64 bits of it: uniform, so a table may use them as they are.
    pub(crate) fn hash(self) -> u64 {
        self.0 as u64
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
        let mut parts = Parts::default();
        parts.part(policy.name.as_bytes());
        parts.part(&(extractor as u64).to_le_bytes());
        parts.part(&value);
        parts.part(request.method());
        parts.part(path(request.target()));
        Some(Self { digest: KeyDigest(parts.digest()), value })
    }

    /// The value as text, to be shown; cut to 256 bytes.
    pub(crate) fn shown(&self) -> Box<str> {
        let cut = &self.value[..self.value.len().min(SHOWN_BYTES)];
        std::str::from_utf8(cut).map_or_else(|_| String::from_utf8_lossy(cut).into(), Into::into)
    }
}

/// The name of the pair whose primary has this key, target and start.
pub(crate) fn pair_id(key: KeyDigest, primary: Option<&Request>, start: Timestamp) -> PairId {
    let mut parts = Parts::default();
    parts.part(&key.0.to_le_bytes());
    parts.part(primary.map_or(&[], Request::target));
    parts.part(&start.as_nanos().to_le_bytes());
    PairId(parts.digest() as u64)
}

/// The path of a request target, without scheme, authority, query and fragment.
pub(crate) fn path(target: &[u8]) -> &[u8] {
    let target = origin_form(target);
    let end = target.iter().position(|&b| b == b'?' || b == b'#').unwrap_or(target.len());
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

/// XXH3 over parts, each with its length before it so that no two lists of parts run together.
///
/// Parts are gathered first, the short lists that nearly all are without an allocation: hashing one
/// slice costs a fraction of feeding a hasher in pieces.
struct Parts {
    short: [u8; 256],
    len: usize,
    /// All of them, once they are more than `short` holds.
    long: Vec<u8>,
}

impl Default for Parts {
    fn default() -> Self {
        Self { short: [0; 256], len: 0, long: Vec::new() }
    }
}

impl Parts {
    fn part(&mut self, part: &[u8]) {
        self.extend(&(part.len() as u64).to_le_bytes());
        self.extend(part);
    }

    fn extend(&mut self, bytes: &[u8]) {
        if self.long.is_empty() {
            if let Some(room) = self.short.get_mut(self.len..self.len + bytes.len()) {
                room.copy_from_slice(bytes);
                self.len += bytes.len();
                return;
            }
            self.long.extend_from_slice(&self.short[..self.len]);
        }
        self.long.extend_from_slice(bytes);
    }

    fn digest(&self) -> u128 {
        let all = if self.long.is_empty() { &self.short[..self.len] } else { &self.long };
        XxHash3_128::oneshot(all)
    }
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
            let mut whole = Vec::new();
            for part in [&b"shop"[..], &0_u64.to_le_bytes(), id.as_bytes(), b"GET", b"/items/1"] {
                whole.extend_from_slice(&(part.len() as u64).to_le_bytes());
                whole.extend_from_slice(part);
            }
            let expected = XxHash3_128::oneshot(&whole);
            assert_eq!(digest(&shop, Sample::new(&id)), Some(KeyDigest(expected)), "{len}");
        }
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

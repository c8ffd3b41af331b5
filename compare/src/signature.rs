//! The stable key that groups divergences of one cause.

use crate::{Change, Kind, SignatureId};

/// The signature of a divergence: endpoint of a service, kind, path pattern and kind of change.
///
/// First eight bytes of BLAKE3 over the five, separated by zero bytes, which none of them holds:
/// stable over runs, hosts and versions.
pub(crate) fn signature(
    service: &str,
    endpoint: &str,
    kind: Kind,
    pattern: &str,
    change: Change,
) -> SignatureId {
    let mut hasher = blake3::Hasher::new();
    for part in [service, endpoint, kind.as_str(), pattern, change.as_str()] {
        hasher.update(part.as_bytes());
        hasher.update(&[0]);
    }
    let first = *hasher.finalize().as_bytes().first_chunk().expect("32 bytes hold 8");
    SignatureId(u64::from_be_bytes(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_the_same_in_every_run_and_version() {
        let id = signature("shop", "GET /items/{id}", Kind::Body, "/price", Change::Value);
        assert_eq!(id.to_string(), "s-e7e9683ed9e403f0");
    }

    #[test]
    fn each_part_makes_another_signature() {
        let all = [
            signature("shop", "GET /a", Kind::Body, "/p", Change::Value),
            signature("cart", "GET /a", Kind::Body, "/p", Change::Value),
            signature("shop", "GET /b", Kind::Body, "/p", Change::Value),
            signature("shop", "GET /a", Kind::Header, "/p", Change::Value),
            signature("shop", "GET /a", Kind::Body, "/q", Change::Value),
            signature("shop", "GET /a", Kind::Body, "/p", Change::Type),
            signature("shopG", "ET /a", Kind::Body, "/p", Change::Value),
        ];
        for (i, one) in all.iter().enumerate() {
            assert!(!all[..i].contains(one), "{i}");
        }
    }
}

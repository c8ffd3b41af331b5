//! Secrets become keys: the key schedules of TLS 1.0 to 1.3.
//!
//! Owns the derivation only; where secrets come from is [`crate::keylog`]'s.

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use zeroize::Zeroizing;

use super::hello::Version;
use super::suite::{Hash, Suite};
use crate::flow::Direction;
use crate::keylog::Secret;

/// Keys of one direction, as the record layer needs them.
pub(super) struct Keys {
    pub(super) mac: Zeroizing<Vec<u8>>,
    pub(super) key: Zeroizing<Vec<u8>>,
    /// TLS 1.3: what the sequence number is added to. TLS 1.2: the fixed part of the nonce. Before
    /// TLS 1.1: the first record's initialisation vector.
    pub(super) iv: Zeroizing<Vec<u8>>,
}

/// Keys of a direction in TLS 1.3 (RFC 8446 §7.3).
pub(super) fn traffic_keys(suite: Suite, secret: &Secret) -> Keys {
    let (mut key, mut iv) =
        (Zeroizing::new(vec![0; suite.bulk.key_len()]), Zeroizing::new(vec![0; 12]));
    expand_label(suite.hash, secret.bytes(), b"key", &mut key);
    expand_label(suite.hash, secret.bytes(), b"iv", &mut iv);
    Keys { mac: Zeroizing::default(), key, iv }
}

/// The secret after a key update (RFC 8446 §7.2).
pub(super) fn next_secret(suite: Suite, secret: &Secret) -> Option<Secret> {
    let mut next = Zeroizing::new(vec![0; suite.hash.len()]);
    expand_label(suite.hash, secret.bytes(), b"traffic upd", &mut next);
    Secret::new(&next)
}

/// HKDF-Expand-Label with an empty context (RFC 8446 §7.1).
fn expand_label(hash: Hash, secret: &[u8], label: &[u8], out: &mut [u8]) {
    let [high, low] = (out.len() as u16).to_be_bytes();
    let mut info = vec![high, low, 6 + label.len() as u8];
    info.extend_from_slice(b"tls13 ");
    info.extend_from_slice(label);
    info.push(0);
    // A secret of another suite's length expands to nothing that opens a record.
    let _ = match hash {
        Hash::Sha256 => Hkdf::<sha2::Sha256>::from_prk(secret).map(|hkdf| hkdf.expand(&info, out)),
        Hash::Sha384 => Hkdf::<sha2::Sha384>::from_prk(secret).map(|hkdf| hkdf.expand(&info, out)),
    };
}

/// What the handshake of TLS 1.2 and before settled.
pub(super) struct Agreed<'a> {
    pub(super) version: Version,
    pub(super) suite: Suite,
    pub(super) master: &'a Secret,
    pub(super) client_random: &'a [u8; 32],
    pub(super) server_random: &'a [u8; 32],
}

/// Keys of a direction in TLS 1.2 and before (RFC 5246 §6.3, RFC 2246 §6.3).
pub(super) fn master_keys(agreed: &Agreed<'_>, direction: Direction) -> Keys {
    let Agreed { version, suite, master, client_random, server_random } = *agreed;
    let mac_len = suite.mac.len();
    let key_len = match (suite.export, suite.bulk) {
        // RFC 2246 §6.3.1: 40 bits of key material.
        (true, _) => 5,
        (false, bulk) => bulk.key_len(),
    };
    let iv_len = match version {
        // RFC 4346 §6.2.3.2: from TLS 1.1 on each record brings its own.
        Version::Tls10 => suite.bulk.block_len(),
        _ => suite.bulk.fixed_nonce_len(),
    };
    let prf = |secret: &[u8], label: &[u8], seed: [&[u8; 32]; 2], out: &mut [u8]| {
        let seed = [label, seed[0], seed[1]].concat();
        match (version, suite.hash) {
            (Version::Tls10 | Version::Tls11, _) => old_prf(secret, &seed, out),
            (_, Hash::Sha256) => p_hash::<Hmac<sha2::Sha256>>(secret, &seed, out),
            (_, Hash::Sha384) => p_hash::<Hmac<sha2::Sha384>>(secret, &seed, out),
        }
    };
    let mut block = Zeroizing::new(vec![0; 2 * (mac_len + key_len + iv_len)]);
    prf(master.bytes(), b"key expansion", [server_random, client_random], &mut block);
    let side = direction as usize;
    let part = |before: usize, len: usize, block: &[u8]| {
        Zeroizing::new(block[before + side * len..][..len].to_vec())
    };
    let mut keys = Keys {
        mac: part(0, mac_len, &block),
        key: part(2 * mac_len, key_len, &block),
        iv: part(2 * (mac_len + key_len), iv_len, &block),
    };
    if suite.export {
        // RFC 2246 §6.3.1.
        let label: &[u8] = match direction {
            Direction::ToServer => b"client write key",
            Direction::ToClient => b"server write key",
        };
        let mut whole = Zeroizing::new(vec![0; suite.bulk.key_len()]);
        prf(&keys.key, label, [client_random, server_random], &mut whole);
        keys.key = whole;
        let mut ivs = Zeroizing::new(vec![0; 2 * iv_len]);
        prf(b"", b"IV block", [client_random, server_random], &mut ivs);
        keys.iv = part(0, iv_len, &ivs);
    }
    keys
}

/// The PRF of TLS 1.0 and 1.1 (RFC 2246 §5): MD5 with one half of the secret, SHA-1 with the other.
fn old_prf(secret: &[u8], seed: &[u8], out: &mut [u8]) {
    let half = secret.len().div_ceil(2);
    let mut other = Zeroizing::new(vec![0; out.len()]);
    p_hash::<Hmac<md5::Md5>>(&secret[..half], seed, out);
    p_hash::<Hmac<sha1::Sha1>>(&secret[secret.len() - half..], seed, &mut other);
    out.iter_mut().zip(other.iter()).for_each(|(byte, other)| *byte ^= other);
}

/// P_hash (RFC 5246 §5).
fn p_hash<M: Mac + KeyInit>(secret: &[u8], seed: &[u8], out: &mut [u8]) {
    let hmac = |parts: &[&[u8]]| {
        let mut mac = <M as KeyInit>::new_from_slice(secret).expect("an HMAC key has any length");
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes()
    };
    let mut a = hmac(&[seed]);
    for piece in out.chunks_mut(a.len()) {
        piece.copy_from_slice(&hmac(&[&a, seed])[..piece.len()]);
        a = hmac(&[&a]);
    }
}

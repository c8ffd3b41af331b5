//! Ciphers and MACs of the record layer, one interface over the crates that have them.
//!
//! Owns which crate does what. Refuses to know of records: nonces, sequence numbers and what is
//! authenticated come from [`super::opener`].

use std::fmt;

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes128Gcm, Aes256Gcm};
use cbc::cipher::{
    Block, BlockCipherDecrypt, BlockModeDecrypt, InnerIvInit, KeyInit, StreamCipher,
};
use ccm::Ccm;
use ccm::consts::{U8, U12, U16};
use chacha20poly1305::ChaCha20Poly1305;
use cipher_of_kisaseed::{BlockDecrypt as _, KeyInit as _};
use hmac::Hmac;
use kisaseed::SEED;

use super::suite::{Bulk, Mac};

/// Bytes of an AEAD's nonce (RFC 5116 §3.2; all that TLS uses have as many).
pub(super) const NONCE_LEN: usize = 12;

/// An AEAD with its key.
pub(super) enum Aead {
    Aes128Gcm(Box<Aes128Gcm>),
    Aes256Gcm(Box<Aes256Gcm>),
    Aes128Ccm(Box<Ccm<aes::Aes128, U16, U12>>),
    Aes256Ccm(Box<Ccm<aes::Aes256, U16, U12>>),
    Aes128Ccm8(Box<Ccm<aes::Aes128, U8, U12>>),
    Aes256Ccm8(Box<Ccm<aes::Aes256, U8, U12>>),
    ChaCha20Poly1305(Box<ChaCha20Poly1305>),
}

impl Aead {
    /// `None` where `bulk` is no AEAD, or the key has not its length.
    pub(super) fn new(bulk: Bulk, key: &[u8]) -> Option<Self> {
        fn keyed<C: KeyInit>(key: &[u8]) -> Option<Box<C>> {
            C::new_from_slice(key).ok().map(Box::new)
        }
        Some(match bulk {
            Bulk::Aes128Gcm => Self::Aes128Gcm(keyed(key)?),
            Bulk::Aes256Gcm => Self::Aes256Gcm(keyed(key)?),
            Bulk::Aes128Ccm => Self::Aes128Ccm(keyed(key)?),
            Bulk::Aes256Ccm => Self::Aes256Ccm(keyed(key)?),
            Bulk::Aes128Ccm8 => Self::Aes128Ccm8(keyed(key)?),
            Bulk::Aes256Ccm8 => Self::Aes256Ccm8(keyed(key)?),
            Bulk::ChaCha20Poly1305 => Self::ChaCha20Poly1305(keyed(key)?),
            _ => return None,
        })
    }

    /// Decrypts `data` in place. False where the tag does not verify: `data` is worthless then.
    pub(super) fn open(
        &self,
        nonce: [u8; NONCE_LEN],
        associated: &[u8],
        data: &mut [u8],
        tag: &[u8],
    ) -> bool {
        fn run<C: AeadInOut<NonceSize = U12>>(
            cipher: &C,
            nonce: [u8; NONCE_LEN],
            associated: &[u8],
            data: &mut [u8],
            tag: &[u8],
        ) -> bool {
            let Ok(tag) = tag.try_into() else { return false };
            cipher.decrypt_inout_detached(&nonce.into(), associated, data.into(), tag).is_ok()
        }
        match self {
            Self::Aes128Gcm(c) => run(&**c, nonce, associated, data, tag),
            Self::Aes256Gcm(c) => run(&**c, nonce, associated, data, tag),
            Self::Aes128Ccm(c) => run(&**c, nonce, associated, data, tag),
            Self::Aes256Ccm(c) => run(&**c, nonce, associated, data, tag),
            Self::Aes128Ccm8(c) => run(&**c, nonce, associated, data, tag),
            Self::Aes256Ccm8(c) => run(&**c, nonce, associated, data, tag),
            Self::ChaCha20Poly1305(c) => run(&**c, nonce, associated, data, tag),
        }
    }
}

impl fmt::Debug for Aead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Aead")
    }
}

/// A block cipher with its key, for CBC mode.
pub(super) enum Cbc {
    Aes128(Box<aes::Aes128Dec>),
    Aes256(Box<aes::Aes256Dec>),
    Camellia128(Box<camellia::Camellia128>),
    Camellia256(Box<camellia::Camellia256>),
    Seed(Box<SEED>),
    Idea(Box<idea::Idea>),
    TripleDes(Box<des::TdesEde3>),
    Des(Box<des::Des>),
    Rc2(Box<rc2::Rc2>),
}

impl Cbc {
    /// `None` where `bulk` is no block cipher in CBC mode, or the key has not its length.
    pub(super) fn new(bulk: Bulk, key: &[u8]) -> Option<Self> {
        fn keyed<C: KeyInit>(key: &[u8]) -> Option<Box<C>> {
            C::new_from_slice(key).ok().map(Box::new)
        }
        Some(match bulk {
            Bulk::Aes128Cbc => Self::Aes128(keyed(key)?),
            Bulk::Aes256Cbc => Self::Aes256(keyed(key)?),
            Bulk::Camellia128Cbc => Self::Camellia128(keyed(key)?),
            Bulk::Camellia256Cbc => Self::Camellia256(keyed(key)?),
            Bulk::SeedCbc => Self::Seed(Box::new(SEED::new_from_slice(key).ok()?)),
            Bulk::IdeaCbc => Self::Idea(keyed(key)?),
            Bulk::TripleDesCbc => Self::TripleDes(keyed(key)?),
            Bulk::DesCbc => Self::Des(keyed(key)?),
            Bulk::Rc2Cbc => Self::Rc2(keyed(key)?),
            _ => return None,
        })
    }

    /// Decrypts whole blocks in place. `iv` is as long as a block, and so is what is left of
    /// `data` at its end: nothing.
    pub(super) fn decrypt(&self, iv: &[u8], data: &mut [u8]) {
        match self {
            Self::Aes128(c) => decrypt(&**c, iv, data),
            Self::Aes256(c) => decrypt(&**c, iv, data),
            Self::Camellia128(c) => decrypt(&**c, iv, data),
            Self::Camellia256(c) => decrypt(&**c, iv, data),
            Self::Seed(c) => decrypt_seed(c, iv, data),
            Self::Idea(c) => decrypt(&**c, iv, data),
            Self::TripleDes(c) => decrypt(&**c, iv, data),
            Self::Des(c) => decrypt(&**c, iv, data),
            Self::Rc2(c) => decrypt(&**c, iv, data),
        }
    }
}

impl fmt::Debug for Cbc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cbc")
    }
}

fn decrypt<C: BlockCipherDecrypt>(cipher: &C, iv: &[u8], data: &mut [u8]) {
    let Ok(mut mode) = cbc::Decryptor::inner_iv_slice_init(cipher, iv) else { return };
    let (blocks, _) = Block::<C>::slice_as_chunks_mut(data);
    mode.decrypt_blocks(blocks);
}

/// The crate of this cipher knows an older interface than that of the CBC mode.
fn decrypt_seed(cipher: &SEED, iv: &[u8], data: &mut [u8]) {
    let mut before = [0; 16];
    before.copy_from_slice(&iv[..16]);
    for block in data.chunks_exact_mut(16) {
        let mut sealed = [0; 16];
        sealed.copy_from_slice(block);
        cipher.decrypt_block(block.into());
        block.iter_mut().zip(before).for_each(|(byte, before)| *byte ^= before);
        before = sealed;
    }
}

/// RC4 with its place in the stream.
pub(super) struct Rc4(Box<rc4::Rc4>);

impl Rc4 {
    /// `None` where no key has that length.
    pub(super) fn new(key: &[u8]) -> Option<Self> {
        rc4::Rc4::new_from_slice(key).ok().map(|cipher| Self(Box::new(cipher)))
    }

    /// Decrypts the next bytes of the stream in place.
    pub(super) fn decrypt(&mut self, data: &mut [u8]) {
        self.0.apply_keystream(data);
    }
}

impl fmt::Debug for Rc4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rc4")
    }
}

/// A record's HMAC with its key.
pub(super) enum RecordMac {
    Md5(Box<Hmac<md5::Md5>>),
    Sha1(Box<Hmac<sha1::Sha1>>),
    Sha256(Box<Hmac<sha2::Sha256>>),
    Sha384(Box<Hmac<sha2::Sha384>>),
}

impl RecordMac {
    /// `None` where the suite has no MAC.
    pub(super) fn new(mac: Mac, key: &[u8]) -> Option<Self> {
        fn keyed<M: KeyInit>(key: &[u8]) -> Option<Box<M>> {
            M::new_from_slice(key).ok().map(Box::new)
        }
        Some(match mac {
            Mac::Aead => return None,
            Mac::Md5 => Self::Md5(keyed(key)?),
            Mac::Sha1 => Self::Sha1(keyed(key)?),
            Mac::Sha256 => Self::Sha256(keyed(key)?),
            Mac::Sha384 => Self::Sha384(keyed(key)?),
        })
    }

    /// Whether `tag` is the MAC of `parts`, one after the other.
    pub(super) fn verifies(&self, parts: &[&[u8]], tag: &[u8]) -> bool {
        fn run<M: hmac::Mac + Clone>(mac: &M, parts: &[&[u8]], tag: &[u8]) -> bool {
            let mut mac = mac.clone();
            parts.iter().for_each(|part| mac.update(part));
            mac.verify_slice(tag).is_ok()
        }
        match self {
            Self::Md5(mac) => run(&**mac, parts, tag),
            Self::Sha1(mac) => run(&**mac, parts, tag),
            Self::Sha256(mac) => run(&**mac, parts, tag),
            Self::Sha384(mac) => run(&**mac, parts, tag),
        }
    }
}

impl fmt::Debug for RecordMac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecordMac")
    }
}

//! One direction's protection: records become plaintext, where their tag or MAC verifies.
//!
//! Owns sequence numbers, nonces and what is authenticated with a record. Refuses what does not
//! verify, whatever it holds.

use super::cipher::{Aead, Cbc, NONCE_LEN, Rc4, RecordMac};
use super::derive::Keys;
use super::framing::HEADER_LEN;
use super::hello::Version;
use super::suite::Suite;

/// The protection of one direction in one epoch.
#[derive(Debug)]
pub(super) struct Opener {
    protection: Protection,
    /// Of the next record.
    sequence: u64,
    /// Bytes that protection adds to a record at the least.
    overhead: usize,
}

#[derive(Debug)]
enum Protection {
    /// TLS 1.3 (RFC 8446 §5.2).
    Tls13 { aead: Aead, iv: [u8; NONCE_LEN] },
    /// An AEAD of TLS 1.2 whose nonce is sent with each record (RFC 5288 §3, 6655 §3).
    Explicit { aead: Aead, salt: [u8; 4], tag_len: usize },
    /// An AEAD of TLS 1.2 whose nonce comes of the sequence number (RFC 7905 §2).
    Implicit { aead: Aead, iv: [u8; NONCE_LEN] },
    /// RFC 5246 §6.2.3.2.
    Cbc { cipher: Cbc, mac: RecordMac, mac_len: usize, order: Order, chain: Chain, block: usize },
    /// RFC 5246 §6.2.3.1.
    Stream { cipher: Rc4, mac: RecordMac, mac_len: usize },
}

/// What comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    MacThenEncrypt,
    /// RFC 7366.
    EncryptThenMac,
}

/// Where a record's initialisation vector comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Chain {
    /// The record brings it (RFC 4346 §6.2.3.2).
    Explicit,
    /// It is the last block of the record before (RFC 2246 §6.2.3.2).
    Last(Vec<u8>),
    /// It was lost with the record before.
    Unknown,
}

/// What was in a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Opened {
    /// The content type.
    pub(super) content: u8,
    /// Where the plaintext lies in the record's bytes.
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Opener {
    /// The protection that `suite` has with `keys`; `None` where the two do not fit.
    pub(super) fn new(
        version: Version,
        suite: Suite,
        encrypt_then_mac: bool,
        keys: &Keys,
    ) -> Option<Self> {
        let (bulk, mac_len) = (suite.bulk, suite.mac.len());
        let (protection, overhead) = if let Some(aead) = Aead::new(bulk, &keys.key) {
            let tag_len = bulk.tag_len();
            match (version, <[u8; NONCE_LEN]>::try_from(&keys.iv[..])) {
                (Version::Tls13, Ok(iv)) => (Protection::Tls13 { aead, iv }, tag_len + 1),
                (Version::Tls12, Ok(iv)) => (Protection::Implicit { aead, iv }, tag_len),
                (Version::Tls12, Err(_)) => {
                    let salt = keys.iv[..].try_into().ok()?;
                    (Protection::Explicit { aead, salt, tag_len }, 8 + tag_len)
                }
                _ => return None,
            }
        } else if version == Version::Tls13 {
            return None;
        } else if let Some(cipher) = Cbc::new(bulk, &keys.key) {
            let block = bulk.block_len();
            let (chain, iv_len) = match version {
                Version::Tls10 => (Chain::Last(keys.iv.to_vec()), 0),
                _ => (Chain::Explicit, block),
            };
            let order = match encrypt_then_mac {
                true => Order::EncryptThenMac,
                false => Order::MacThenEncrypt,
            };
            let mac = RecordMac::new(suite.mac, &keys.mac)?;
            let protection = Protection::Cbc { cipher, mac, mac_len, order, chain, block };
            (protection, iv_len + mac_len + 1)
        } else {
            let mac = RecordMac::new(suite.mac, &keys.mac)?;
            (Protection::Stream { cipher: Rc4::new(&keys.key)?, mac, mac_len }, mac_len)
        };
        Some(Self { protection, sequence: 0, overhead })
    }

    /// Opens the next record, `bytes` with its header, in place. `None` where it does not verify.
    /// Either way the one after it is next.
    pub(super) fn open(&mut self, bytes: &mut [u8]) -> Option<Opened> {
        let sequence = self.sequence;
        self.sequence += 1;
        match &mut self.protection {
            Protection::Cbc { cipher, mac, mac_len, order, chain, block } => {
                let cbc =
                    CbcRecord { cipher, mac, mac_len: *mac_len, order: *order, block: *block };
                // With encrypt-then-MAC the last block is before the MAC.
                let end = match order {
                    Order::MacThenEncrypt => bytes.len(),
                    Order::EncryptThenMac => bytes.len().saturating_sub(*mac_len),
                };
                let last = end.checked_sub(*block).map(|at| Chain::Last(bytes[at..end].to_vec()));
                let iv = match std::mem::replace(chain, Chain::Explicit) {
                    Chain::Explicit => None,
                    before => {
                        *chain = last.unwrap_or(Chain::Unknown);
                        let Chain::Last(iv) = before else { return None };
                        Some(iv)
                    }
                };
                cbc.open(sequence, iv.as_deref(), bytes)
            }
            Protection::Stream { cipher, mac, mac_len } => {
                let (header, fragment) = bytes.split_at_mut(HEADER_LEN);
                cipher.decrypt(fragment);
                let len = fragment.len().checked_sub(*mac_len)?;
                let (data, tag) = fragment.split_at(len);
                let pseudo = pseudo_header(sequence, header, len);
                mac.verifies(&[&pseudo, data], tag).then(|| Opened::all(header[0], HEADER_LEN, len))
            }
            _ => self.open_at(sequence, bytes),
        }
    }

    /// Opens the record of number `sequence`, wherever this is. `None` where it does not verify,
    /// or where a record opens only in its turn; `bytes` are worthless then.
    fn open_at(&self, sequence: u64, bytes: &mut [u8]) -> Option<Opened> {
        let (header, fragment) = bytes.split_at_mut(HEADER_LEN);
        match &self.protection {
            Protection::Tls13 { aead, iv } => {
                let len = fragment.len().checked_sub(self.overhead - 1)?;
                let (data, tag) = fragment.split_at_mut(len);
                if !aead.open(numbered(*iv, sequence), header, data, tag) {
                    return None;
                }
                // RFC 8446 §5.2: zeros, then the content type, then the plaintext's end.
                let kind = data.iter().rposition(|&byte| byte != 0)?;
                Some(Opened::all(data[kind], HEADER_LEN, kind))
            }
            Protection::Implicit { aead, iv } => {
                let len = fragment.len().checked_sub(self.overhead)?;
                let pseudo = pseudo_header(sequence, header, len);
                let (data, tag) = fragment.split_at_mut(len);
                aead.open(numbered(*iv, sequence), &pseudo, data, tag)
                    .then(|| Opened::all(header[0], HEADER_LEN, len))
            }
            Protection::Explicit { aead, salt, tag_len } => {
                let len = fragment.len().checked_sub(8 + tag_len)?;
                let pseudo = pseudo_header(sequence, header, len);
                let (explicit, rest) = fragment.split_at_mut(8);
                let (data, tag) = rest.split_at_mut(len);
                let mut nonce = [0; NONCE_LEN];
                nonce[..4].copy_from_slice(salt);
                nonce[4..].copy_from_slice(explicit);
                aead.open(nonce, &pseudo, data, tag)
                    .then(|| Opened::all(header[0], HEADER_LEN + 8, len))
            }
            Protection::Cbc { cipher, mac, mac_len, order, chain: Chain::Explicit, block } => {
                CbcRecord { cipher, mac, mac_len: *mac_len, order: *order, block: *block }
                    .open(sequence, None, bytes)
            }
            Protection::Cbc { .. } | Protection::Stream { .. } => None,
        }
    }

    /// Opens a record that may be any of the next `tries`, of which all before it were lost. How
    /// many those were, and what is in it; the one after it is next. `None` where it is none of
    /// them: then none was lost.
    pub(super) fn find(&mut self, bytes: &mut [u8], tries: u64) -> Option<(u64, Opened)> {
        if !self.opens_out_of_turn() {
            return None;
        }
        let sealed = bytes.to_vec();
        for lost in 0..tries.max(1) {
            if let Some(opened) = self.open_at(self.sequence + lost, bytes) {
                self.sequence += lost + 1;
                return Some((lost, opened));
            }
            bytes.copy_from_slice(&sealed);
        }
        None
    }

    /// Whether a record opens without the one before it.
    pub(super) fn opens_out_of_turn(&self) -> bool {
        match &self.protection {
            Protection::Cbc { chain, .. } => *chain == Chain::Explicit,
            Protection::Stream { .. } => false,
            _ => true,
        }
    }

    /// The next record was lost; it had so many bytes after its header.
    pub(super) fn pass_over(&mut self, fragment_len: usize) {
        self.sequence += 1;
        match &mut self.protection {
            Protection::Cbc { chain, .. } if *chain != Chain::Explicit => *chain = Chain::Unknown,
            Protection::Stream { cipher, .. } => cipher.decrypt(&mut vec![0; fragment_len]),
            _ => {}
        }
    }

    /// Bytes of plaintext that a fragment of this many bytes has at the most.
    pub(super) fn plaintext_len(&self, fragment_len: usize) -> usize {
        fragment_len.saturating_sub(self.overhead)
    }

    /// Records that so many bytes can hold at the most.
    pub(super) fn records_in(&self, bytes: u64) -> u64 {
        bytes / (HEADER_LEN + self.overhead) as u64 + 1
    }
}

impl Opened {
    fn all(content: u8, start: usize, len: usize) -> Self {
        Self { content, start, end: start + len }
    }
}

/// A record in CBC mode.
struct CbcRecord<'a> {
    cipher: &'a Cbc,
    mac: &'a RecordMac,
    mac_len: usize,
    order: Order,
    block: usize,
}

impl CbcRecord<'_> {
    /// `implicit`: the vector, where the record does not bring it.
    fn open(&self, sequence: u64, implicit: Option<&[u8]>, bytes: &mut [u8]) -> Option<Opened> {
        let Self { cipher, mac, mac_len, order, block } = *self;
        let (header, fragment) = bytes.split_at_mut(HEADER_LEN);
        let sealed_len = match order {
            Order::MacThenEncrypt => fragment.len(),
            Order::EncryptThenMac => {
                let len = fragment.len().checked_sub(mac_len)?;
                let (sealed, tag) = fragment.split_at(len);
                // RFC 7366 §3: over the vector too.
                if !mac.verifies(&[&pseudo_header(sequence, header, len), sealed], tag) {
                    return None;
                }
                len
            }
        };
        let (explicit, sealed) = fragment[..sealed_len]
            .split_at_mut_checked(if implicit.is_some() { 0 } else { block })?;
        if sealed.is_empty() || !sealed.len().is_multiple_of(block) {
            return None;
        }
        cipher.decrypt(implicit.unwrap_or(explicit), sealed);
        // RFC 5246 §6.2.3.2: each byte of the padding, and its length after it, is that length.
        let padding = usize::from(*sealed.last()?);
        let len = sealed.len().checked_sub(padding + 1)?;
        if sealed[len..].iter().any(|&byte| usize::from(byte) != padding) {
            return None;
        }
        let len = match order {
            Order::EncryptThenMac => len,
            Order::MacThenEncrypt => {
                let len = len.checked_sub(mac_len)?;
                let (data, rest) = sealed.split_at(len);
                let pseudo = pseudo_header(sequence, header, len);
                if !mac.verifies(&[&pseudo, data], &rest[..mac_len]) {
                    return None;
                }
                len
            }
        };
        Some(Opened::all(header[0], HEADER_LEN + explicit.len(), len))
    }
}

/// What is authenticated besides the data (RFC 5246 §6.2.3.1): sequence number, type, version and
/// the length of the plaintext.
fn pseudo_header(sequence: u64, header: &[u8], len: usize) -> [u8; 13] {
    let mut pseudo = [0; 13];
    pseudo[..8].copy_from_slice(&sequence.to_be_bytes());
    pseudo[8..11].copy_from_slice(&header[..3]);
    pseudo[11..].copy_from_slice(&(len as u16).to_be_bytes());
    pseudo
}

/// RFC 8446 §5.3, RFC 7905 §2: the sequence number, added to the vector.
fn numbered(mut iv: [u8; NONCE_LEN], sequence: u64) -> [u8; NONCE_LEN] {
    iv[4..].iter_mut().zip(sequence.to_be_bytes()).for_each(|(byte, number)| *byte ^= number);
    iv
}

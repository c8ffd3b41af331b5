//! Cipher suites: what a suite's number says of how its records are protected.
//!
//! Owns the table of the suites that are read, from the IANA registry "TLS Cipher Suites". How the
//! keys were agreed on (RSA, DHE, ECDHE, PSK, SRP) does not matter here: a key log tells them.

/// How a suite protects its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Suite {
    pub(super) bulk: Bulk,
    /// What authenticates; for AEADs it is the cipher.
    pub(super) mac: Mac,
    /// The hash of key derivation in TLS 1.2 and 1.3.
    pub(super) hash: Hash,
    /// A suite of which only 40 key bits were allowed out of the country (RFC 2246 §6.3.1).
    pub(super) export: bool,
}

/// The cipher of a suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bulk {
    Aes128Gcm,
    Aes256Gcm,
    Aes128Ccm,
    Aes256Ccm,
    /// With a tag of 8 bytes.
    Aes128Ccm8,
    Aes256Ccm8,
    ChaCha20Poly1305,
    Aes128Cbc,
    Aes256Cbc,
    Camellia128Cbc,
    Camellia256Cbc,
    SeedCbc,
    IdeaCbc,
    TripleDesCbc,
    DesCbc,
    Rc2Cbc,
    Rc4,
}

/// The hash of a record's HMAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mac {
    Aead,
    Md5,
    Sha1,
    Sha256,
    Sha384,
}

/// The hash of key derivation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    Sha256,
    Sha384,
}

impl Suite {
    /// The suite of a number; `None` where it is not read here.
    pub(super) fn of(number: u16) -> Option<Self> {
        use Bulk::*;
        let aead = |bulk, hash| Self { bulk, mac: Mac::Aead, hash, export: false };
        let old = |bulk, mac| Self { bulk, mac, hash: Hash::Sha256, export: false };
        let weak = |bulk, mac| Self { export: true, ..old(bulk, mac) };
        let sha384 = |bulk| Self { hash: Hash::Sha384, ..old(bulk, Mac::Sha384) };
        Some(match number {
            // RFC 8446 §B.4.
            0x1301 => aead(Aes128Gcm, Hash::Sha256),
            0x1302 => aead(Aes256Gcm, Hash::Sha384),
            0x1303 => aead(ChaCha20Poly1305, Hash::Sha256),
            0x1304 => aead(Aes128Ccm, Hash::Sha256),
            0x1305 => aead(Aes128Ccm8, Hash::Sha256),

            // RFC 5288, 5289, 5487, 8442: GCM.
            0x009c | 0x009e | 0x00a0 | 0x00a2 | 0x00a4 | 0x00a6 | 0x00a8 | 0x00aa | 0x00ac
            | 0xc02b | 0xc02d | 0xc02f | 0xc031 | 0xd001 => aead(Aes128Gcm, Hash::Sha256),
            0x009d | 0x009f | 0x00a1 | 0x00a3 | 0x00a5 | 0x00a7 | 0x00a9 | 0x00ab | 0x00ad
            | 0xc02c | 0xc02e | 0xc030 | 0xc032 | 0xd002 => aead(Aes256Gcm, Hash::Sha384),
            // RFC 7905.
            0xcca8..=0xccae => aead(ChaCha20Poly1305, Hash::Sha256),
            // RFC 6655, 7251: CCM.
            0xc09c | 0xc09e | 0xc0a4 | 0xc0a6 | 0xc0ac => aead(Aes128Ccm, Hash::Sha256),
            0xc09d | 0xc09f | 0xc0a5 | 0xc0a7 | 0xc0ad => aead(Aes256Ccm, Hash::Sha256),
            0xc0a0 | 0xc0a2 | 0xc0a8 | 0xc0aa | 0xc0ae => aead(Aes128Ccm8, Hash::Sha256),
            0xc0a1 | 0xc0a3 | 0xc0a9 | 0xc0ab | 0xc0af => aead(Aes256Ccm8, Hash::Sha256),

            // RFC 5246 §A.5, 8422, 4279, 5489, 5054: AES-CBC with SHA-1.
            0x002f..=0x0034
            | 0x008c
            | 0x0090
            | 0x0094
            | 0xc004
            | 0xc009
            | 0xc00e
            | 0xc013
            | 0xc018
            | 0xc01d..=0xc01f
            | 0xc035 => old(Aes128Cbc, Mac::Sha1),
            0x0035..=0x003a
            | 0x008d
            | 0x0091
            | 0x0095
            | 0xc005
            | 0xc00a
            | 0xc00f
            | 0xc014
            | 0xc019
            | 0xc020..=0xc022
            | 0xc036 => old(Aes256Cbc, Mac::Sha1),
            // RFC 5246 §A.5, 5289, 5487, 5489: AES-CBC with SHA-2.
            0x003c
            | 0x003e..=0x0040
            | 0x0067
            | 0x006c
            | 0x00ae
            | 0x00b2
            | 0x00b6
            | 0xc023
            | 0xc025
            | 0xc027
            | 0xc029
            | 0xc037 => old(Aes128Cbc, Mac::Sha256),
            0x003d | 0x0068..=0x006b | 0x006d => old(Aes256Cbc, Mac::Sha256),
            0x00af | 0x00b3 | 0x00b7 | 0xc024 | 0xc026 | 0xc028 | 0xc02a | 0xc038 => {
                sha384(Aes256Cbc)
            }
            // RFC 5932, 6367: Camellia.
            0x0041..=0x0046 => old(Camellia128Cbc, Mac::Sha1),
            0x0084..=0x0089 => old(Camellia256Cbc, Mac::Sha1),
            0x00ba..=0x00bf | 0xc072 | 0xc074 | 0xc076 | 0xc078 => old(Camellia128Cbc, Mac::Sha256),
            0x00c0..=0x00c5 => old(Camellia256Cbc, Mac::Sha256),
            0xc073 | 0xc075 | 0xc077 | 0xc079 => sha384(Camellia256Cbc),
            // RFC 4162.
            0x0096..=0x009b => old(SeedCbc, Mac::Sha1),
            // RFC 5246 §A.5, 8422, 4279, 5489, 5054.
            0x000a
            | 0x000d
            | 0x0010
            | 0x0013
            | 0x0016
            | 0x001b
            | 0x008b
            | 0x008f
            | 0x0093
            | 0xc003
            | 0xc008
            | 0xc00d
            | 0xc012
            | 0xc017
            | 0xc01a..=0xc01c
            | 0xc034 => old(TripleDesCbc, Mac::Sha1),
            // RFC 5469.
            0x0007 => old(IdeaCbc, Mac::Sha1),
            0x0009 | 0x000c | 0x000f | 0x0012 | 0x0015 | 0x001a => old(DesCbc, Mac::Sha1),
            // RFC 2246 §A.5.
            0x0004 | 0x0018 => old(Rc4, Mac::Md5),
            0x0005 | 0x008a | 0x008e | 0x0092 | 0xc002 | 0xc007 | 0xc00c | 0xc011 | 0xc016
            | 0xc033 => old(Rc4, Mac::Sha1),
            0x0003 | 0x0017 => weak(Rc4, Mac::Md5),
            0x0006 => weak(Rc2Cbc, Mac::Md5),
            0x0008 | 0x000b | 0x000e | 0x0011 | 0x0014 | 0x0019 => weak(DesCbc, Mac::Sha1),
            _ => return None,
        })
    }
}

impl Bulk {
    /// Bytes of its key.
    pub(super) fn key_len(self) -> usize {
        match self {
            Self::DesCbc => 8,
            Self::Aes128Gcm
            | Self::Aes128Ccm
            | Self::Aes128Ccm8
            | Self::Aes128Cbc
            | Self::Camellia128Cbc
            | Self::SeedCbc
            | Self::IdeaCbc
            | Self::Rc2Cbc
            | Self::Rc4 => 16,
            Self::TripleDesCbc => 24,
            Self::Aes256Gcm
            | Self::Aes256Ccm
            | Self::Aes256Ccm8
            | Self::ChaCha20Poly1305
            | Self::Aes256Cbc
            | Self::Camellia256Cbc => 32,
        }
    }

    /// Bytes of a block; 0 for what is no block cipher in CBC mode.
    pub(super) fn block_len(self) -> usize {
        match self {
            Self::Aes128Cbc
            | Self::Aes256Cbc
            | Self::Camellia128Cbc
            | Self::Camellia256Cbc
            | Self::SeedCbc => 16,
            Self::IdeaCbc | Self::TripleDesCbc | Self::DesCbc | Self::Rc2Cbc => 8,
            _ => 0,
        }
    }

    /// Bytes of nonce that the handshake settles in TLS 1.2 (RFC 5288 §3, 6655 §3, 7905 §2).
    pub(super) fn fixed_nonce_len(self) -> usize {
        match self {
            Self::ChaCha20Poly1305 => 12,
            Self::Aes128Gcm
            | Self::Aes256Gcm
            | Self::Aes128Ccm
            | Self::Aes256Ccm
            | Self::Aes128Ccm8
            | Self::Aes256Ccm8 => 4,
            _ => 0,
        }
    }

    /// Bytes of an AEAD's tag; 0 for what is none.
    pub(super) fn tag_len(self) -> usize {
        match self {
            Self::Aes128Ccm8 | Self::Aes256Ccm8 => 8,
            Self::Aes128Gcm
            | Self::Aes256Gcm
            | Self::Aes128Ccm
            | Self::Aes256Ccm
            | Self::ChaCha20Poly1305 => 16,
            _ => 0,
        }
    }
}

impl Mac {
    /// Bytes of the MAC, and of its key.
    pub(super) fn len(self) -> usize {
        match self {
            Self::Aead => 0,
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
        }
    }
}

impl Hash {
    /// Bytes of its output.
    pub(super) fn len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_name_what_the_registry_says() {
        let known = [
            // TLS_RSA_EXPORT_WITH_RC4_40_MD5
            (0x0003, Bulk::Rc4, Mac::Md5, true),
            // TLS_DHE_RSA_WITH_SEED_CBC_SHA
            (0x009a, Bulk::SeedCbc, Mac::Sha1, false),
            // TLS_DHE_RSA_WITH_AES_256_CBC_SHA256
            (0x006b, Bulk::Aes256Cbc, Mac::Sha256, false),
            // TLS_DH_anon_WITH_AES_128_CBC_SHA256
            (0x006c, Bulk::Aes128Cbc, Mac::Sha256, false),
            // TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA384
            (0xc028, Bulk::Aes256Cbc, Mac::Sha384, false),
            // TLS_ECDHE_ECDSA_WITH_AES_256_CCM_8
            (0xc0af, Bulk::Aes256Ccm8, Mac::Aead, false),
        ];
        for (number, bulk, mac, export) in known {
            let suite = Suite::of(number).unwrap();
            assert_eq!((suite.bulk, suite.mac, suite.export), (bulk, mac, export), "{number:#x}");
        }
        // TLS_EMPTY_RENEGOTIATION_INFO_SCSV, TLS_RSA_WITH_NULL_SHA, a GREASE value.
        assert!([0x00ff, 0x0002, 0x0a0a].iter().all(|&number| Suite::of(number).is_none()));
    }
}

//! One direction of a TLS connection: where its records and its keys are.

use std::collections::VecDeque;

use super::compression::Inflater;
use super::framing::Framer;
use super::hello::Messages;
use super::opener::Opener;
use crate::Timestamp;
use crate::keylog::Secret;

/// Which keys a direction's records have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Epoch {
    /// None yet.
    #[default]
    Clear,
    /// TLS 1.3: the client's early data.
    Early,
    /// TLS 1.3: from ServerHello to Finished.
    Handshake,
    /// TLS 1.3: what follows.
    Traffic,
    /// TLS 1.2 and before: what follows change_cipher_spec.
    Master,
}

impl Epoch {
    /// Whether application data can be in it.
    pub(super) fn has_data(self) -> bool {
        matches!(self, Self::Early | Self::Traffic | Self::Master)
    }
}

/// One direction.
#[derive(Debug, Default)]
pub(super) struct Half {
    pub(super) framer: Framer,
    pub(super) messages: Messages,
    pub(super) epoch: Epoch,
    /// `None` in clear, and while the key is not known.
    pub(super) opener: Option<Box<Opener>>,
    /// TLS 1.2 and before: what is in records is compressed.
    pub(super) inflater: Option<Box<Inflater>>,
    /// TLS 1.3: what the next key comes of.
    pub(super) secret: Option<Secret>,
    /// Bytes since the last record that verified in which others may be. 0: the next is known.
    pub(super) unsure: u64,
    /// The framer is to look for the next record anew.
    pub(super) relook: bool,
    /// The client sends early data that the server refused: what does not verify is that.
    pub(super) refused: bool,
    /// Offset of the next plaintext.
    pub(super) plain_next: u64,
    /// What offsets were in plaintext.
    pub(super) ends: Ends,
    /// Nothing more of it is read.
    pub(super) over: bool,
    /// Its end was told.
    pub(super) ended: bool,
    /// When the last record came.
    pub(super) last_at: Timestamp,
}

impl Half {
    /// Whether its next record waits for a key.
    pub(super) fn is_blocked(&self) -> bool {
        self.epoch != Epoch::Clear && self.opener.is_none() && !self.over
    }

    /// Bytes of memory held.
    pub(super) fn held_bytes(&self) -> usize {
        let opener = if self.opener.is_some() { OPENER_BYTES } else { 0 };
        let inflater = if self.inflater.is_some() { Inflater::HELD_BYTES } else { 0 };
        self.framer.held_bytes()
            + self.messages.held_bytes()
            + self.ends.held_bytes()
            + opener
            + inflater
    }
}

/// About what the keys of an AES-GCM take, expanded.
const OPENER_BYTES: usize = 1_024;

/// Where records ended: offsets in the bytes sent, and in the plaintext.
#[derive(Debug, Default)]
pub(super) struct Ends {
    /// In order; each later in both.
    known: VecDeque<(u64, u64)>,
}

impl Ends {
    /// Records that may be sent before the peer acknowledges them: Linux' largest default receive
    /// buffer (6 MiB) holds 384 of full size.
    const KNOWN_MAX: usize = 512;
    /// Records kept that the peer has acknowledged: packets that pass each other acknowledge less.
    const BEFORE: usize = 16;

    /// A record ended at `sent`, and the plaintext so far at `plain`.
    pub(super) fn push(&mut self, sent: u64, plain: u64) {
        if self.known.back().map_or(0, |&(_, before)| before) == plain {
            return;
        }
        if self.known.len() >= Self::KNOWN_MAX {
            self.known.pop_front();
        }
        self.known.push_back((sent, plain));
    }

    /// How much plaintext was in the bytes before `sent`. What was forgotten counts as none: the
    /// less a packet is known to acknowledge, the less is made of it.
    pub(super) fn plain_at(&mut self, sent: u64) -> u64 {
        let after = self.known.partition_point(|&(end, _)| end <= sent);
        let Some(last) = after.checked_sub(1) else { return 0 };
        let plain = self.known[last].1;
        self.known.drain(..last.saturating_sub(Self::BEFORE));
        plain
    }

    fn held_bytes(&self) -> usize {
        self.known.capacity() * size_of::<(u64, u64)>()
    }
}

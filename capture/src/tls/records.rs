//! What is in records: opened where there is a key, passed on, or told as lost.
//!
//! Owns what a loss costs: a record whose bytes are missing is a Gap, and after bytes in which others
//! may have been, the next one is the first that the tag proves, under one of the numbers and the
//! keys that can have come meanwhile.

use super::framing::{self, Record, Torn};
use super::half::Epoch;
use super::opener::Opened;
use super::{ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE, hello};
use super::{Connection, EarlyData, Plaintext};
use crate::context::Context;
use crate::flow::Direction;
use crate::keylog::KeyLog;
use crate::reassembly::{Chunk, Extent, Gap, GapCause};
use crate::{Anomaly, Timestamp};

/// Tries at most to find out which of the records that may have been lost comes next.
const TRIES_MAX: u64 = 512;

/// Bytes at most that these tries may decrypt, all together.
const TRIED_BYTES_MAX: u64 = 2 << 20;

impl Connection {
    /// A record without protection, or after a loss perhaps with one.
    pub(super) fn clear_record(
        &mut self,
        direction: Direction,
        mut record: Record,
        cx: &mut Context<'_>,
        out: &mut impl Plaintext,
    ) {
        let content = record.bytes[0];
        if self.halves[direction as usize].unsure > 0
            && let Some((lost, opened)) = self.find(direction, &mut record, cx.keys)
        {
            self.deliver_found(direction, &record, lost, opened, cx, out);
            return;
        }
        match content {
            CHANGE_CIPHER_SPEC => self.change_cipher(direction, cx.keys),
            HANDSHAKE => {
                let messages = self.halves[direction as usize]
                    .messages
                    .push(&record.bytes[framing::HEADER_LEN..]);
                for message in messages {
                    self.handle(direction, message, record.at, cx, out);
                }
            }
            _ if framing::is_old_hello(&record.bytes) => {
                if let Some(hello) = hello::old_client_hello(&record.bytes[2..]) {
                    self.client_hello(hello);
                }
            }
            APPLICATION_DATA if self.early != EarlyData::Settled => {
                // The handshake, or what tells of its keys, was not seen.
                self.give_up(Anomaly::TlsWithoutKeys, cx, out);
            }
            // Alerts, heartbeats, and early data that the server refused with a retry.
            _ => {}
        }
        self.reuse(direction, record);
    }

    /// A record whose key is there.
    pub(super) fn sealed_record(
        &mut self,
        direction: Direction,
        mut record: Record,
        cx: &mut Context<'_>,
        out: &mut impl Plaintext,
    ) {
        let is_tls13 = self.is_tls13();
        let half = &mut self.halves[direction as usize];
        // RFC 8446 §5: change_cipher_spec means nothing; what is protected is application data.
        if is_tls13 && record.bytes[0] != APPLICATION_DATA {
            return self.reuse(direction, record);
        }
        let Some(opener) = &mut half.opener else { return };
        let fragment_len = record.bytes.len() - framing::HEADER_LEN;
        if half.refused {
            if let Some((_, opened)) = opener.find(&mut record.bytes, 1) {
                half.refused = false;
                self.deliver(direction, &record, opened, cx, out);
            }
        } else if half.unsure == 0 || !opener.opens_out_of_turn() {
            if let Some(opened) = opener.open(&mut record.bytes) {
                half.unsure = 0;
                self.deliver(direction, &record, opened, cx, out);
            } else {
                cx.anomalies.note(Anomaly::BadTlsRecord);
                half.unsure = record.bytes.len() as u64;
                let plain = opener.plaintext_len(fragment_len);
                self.lose_record(direction, plain, record.at, record.end, cx, out);
            }
        } else if let Some((lost, opened)) = self.find(direction, &mut record, cx.keys) {
            self.deliver_found(direction, &record, lost, opened, cx, out);
        } else {
            cx.anomalies.note(Anomaly::BadTlsRecord);
            let half = &mut self.halves[direction as usize];
            half.unsure += record.bytes.len() as u64;
            half.relook = true;
            let plain = half.opener.as_ref().map_or(1, |o| o.plaintext_len(fragment_len));
            self.lose_record(direction, plain, record.at, record.end, cx, out);
        }
        self.reuse(direction, record);
    }

    /// A record that is there and cannot be read.
    fn lose_record(
        &mut self,
        direction: Direction,
        plain: usize,
        at: Timestamp,
        end: u64,
        cx: &mut Context<'_>,
        out: &mut impl Plaintext,
    ) {
        let half = &mut self.halves[direction as usize];
        half.messages.lose();
        if half.epoch.has_data() {
            self.miss(direction, plain, at, GapCause::Missing, cx, out);
        }
        self.pass(direction, end);
    }

    /// What ends at `end` has been told as lost.
    pub(super) fn pass(&mut self, direction: Direction, end: u64) {
        let half = &mut self.halves[direction as usize];
        half.ends.push(end, half.plain_next);
        // What was compressed together with bytes that were lost cannot be read again.
        half.over |= half.inflater.is_some();
    }

    /// The beginning of a record whose end was lost. Of a hello it tells most of what matters.
    pub(super) fn begun(
        &mut self,
        direction: Direction,
        bytes: &[u8],
        at: Timestamp,
        cx: &mut Context<'_>,
        out: &mut impl Plaintext,
    ) {
        let half = &mut self.halves[direction as usize];
        if half.epoch != Epoch::Clear || bytes[0] != HANDSHAKE {
            return;
        }
        let mut messages = half.messages.push(&bytes[framing::HEADER_LEN..]);
        messages.extend(half.messages.cut());
        for message in messages {
            self.handle(direction, message, at, cx, out);
        }
    }

    /// A record of which bytes are missing.
    pub(super) fn torn(
        &mut self,
        direction: Direction,
        torn: Torn,
        cx: &mut Context<'_>,
        out: &mut impl Plaintext,
    ) {
        let is_tls13 = self.is_tls13();
        let half = &mut self.halves[direction as usize];
        let Torn { content, fragment_len, at, cause, end } = torn;
        match (half.epoch, content) {
            // What it says is known without its bytes.
            (Epoch::Clear, CHANGE_CIPHER_SPEC) => return self.change_cipher(direction, cx.keys),
            (Epoch::Clear, APPLICATION_DATA) if self.early != EarlyData::Settled => {
                return self.give_up(Anomaly::TlsWithoutKeys, cx, out);
            }
            (Epoch::Clear, _) => {
                half.unsure += fragment_len as u64;
                return half.messages.lose();
            }
            (_, content) if is_tls13 && content != APPLICATION_DATA => return,
            _ => {}
        }
        let Some(opener) = &mut half.opener else { return };
        opener.pass_over(fragment_len);
        let plain = opener.plaintext_len(fragment_len);
        // It may have been the one that changes the keys.
        half.unsure += (framing::HEADER_LEN + fragment_len) as u64;
        if content == APPLICATION_DATA {
            if half.epoch.has_data() {
                self.miss(direction, plain, at, cause, cx, out);
            }
        } else if content == CHANGE_CIPHER_SPEC {
            self.change_cipher(direction, cx.keys);
        }
        self.halves[direction as usize].messages.lose();
        self.pass(direction, end);
    }

    /// Plaintext that was not seen, about `len` bytes of it.
    pub(super) fn miss(
        &mut self,
        direction: Direction,
        len: usize,
        at: Timestamp,
        cause: GapCause,
        cx: &mut Context<'_>,
        out: &mut impl Plaintext,
    ) {
        let half = &mut self.halves[direction as usize];
        let (offset, len) = (half.plain_next, len.max(1) as u64);
        half.plain_next += len;
        let extent = Extent::Estimated;
        out.gap(direction, Gap { offset, len, at, cause, extent }, cx);
    }

    /// Which of the records that may come next this one is: how many were lost before it in its
    /// epoch, and what is in it. Its epoch is the direction's from now on.
    fn find(
        &mut self,
        direction: Direction,
        record: &mut Record,
        keys: &KeyLog,
    ) -> Option<(u64, Opened)> {
        let half = &mut self.halves[direction as usize];
        let affordable = (TRIED_BYTES_MAX / record.bytes.len() as u64).clamp(8, TRIES_MAX);
        let unsure = half.unsure;
        if let Some(opener) = &mut half.opener {
            let tries = opener.records_in(unsure).min(affordable);
            if let Some(found) = opener.find(&mut record.bytes, tries) {
                half.unsure = 0;
                return Some(found);
            }
        }
        let mut at = (half.epoch, half.secret.clone());
        // The epochs that can come after this one: two at the most in a handshake.
        for _ in 0..2 {
            let (epoch, secret) = self.following(direction, at.0, at.1.as_ref(), keys)?;
            let mut opener = self.opener(direction, epoch, secret.as_ref(), keys)?;
            let tries = opener.records_in(unsure).min(affordable);
            if let Some(found) = opener.find(&mut record.bytes, tries) {
                let half = &mut self.halves[direction as usize];
                half.epoch = epoch;
                half.opener = Some(Box::new(opener));
                half.secret = secret;
                half.messages.reset();
                half.unsure = 0;
                half.refused = false;
                // Of what came before data nothing was missed; the first record that TLS 1.2
                // protects is Finished.
                let before_data = u64::from(epoch == Epoch::Master);
                return Some((found.0.saturating_sub(before_data), found.1));
            }
            at = (epoch, secret);
        }
        None
    }

    /// Passes on what [`Connection::find`] found.
    fn deliver_found(
        &mut self,
        direction: Direction,
        record: &Record,
        lost: u64,
        opened: Opened,
        cx: &mut Context<'_>,
        out: &mut impl Plaintext,
    ) {
        // In an epoch with data, what was lost has been told as a Gap: unless the epoch began in
        // it.
        let half = &self.halves[direction as usize];
        if lost > 0 && half.epoch.has_data() && half.plain_next == 0 {
            self.miss(direction, 1, record.at, GapCause::Missing, cx, out);
        }
        self.deliver(direction, record, opened, cx, out);
    }

    /// Passes on what was in a record.
    fn deliver(
        &mut self,
        direction: Direction,
        record: &Record,
        opened: Opened,
        cx: &mut Context<'_>,
        out: &mut impl Plaintext,
    ) {
        let Opened { content, start, end } = opened;
        let mut bytes = &record.bytes[start..end];
        let peer_offset = self.halves[direction.reverse() as usize].ends.plain_at(record.acked);
        let half = &mut self.halves[direction as usize];
        let inflated;
        if let Some(inflater) = &mut half.inflater {
            let Some(whole) = inflater.inflate(bytes) else {
                cx.anomalies.note(Anomaly::BadTlsRecord);
                return self.lose_record(direction, end - start, record.at, record.end, cx, out);
            };
            inflated = whole;
            bytes = &inflated;
        }
        match content {
            APPLICATION_DATA if half.epoch.has_data() && !bytes.is_empty() => {
                let offset = half.plain_next;
                half.plain_next += bytes.len() as u64;
                half.ends.push(record.end, half.plain_next);
                out.chunk(direction, Chunk { offset, bytes, at: record.at, peer_offset }, cx);
            }
            HANDSHAKE => {
                for message in half.messages.push(bytes) {
                    self.handle(direction, message, record.at, cx, out);
                }
            }
            CHANGE_CIPHER_SPEC => self.change_cipher(direction, cx.keys),
            // RFC 8446 §6.1: close_notify. What comes after it is ignored.
            ALERT if bytes.get(1) == Some(&0) => {
                half.over = true;
                if !std::mem::replace(&mut half.ended, true) {
                    out.fin(direction, record.at, cx);
                }
            }
            _ => {}
        }
    }
}

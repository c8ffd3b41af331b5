//! Secrets of TLS sessions, as an SSLKEYLOGFILE tells them.
//!
//! Owns what is remembered of a key log: secrets by the client random of their session, up to a
//! cap, the oldest forgotten first. Refuses to open the file: its text is pushed as it grows.

use crate::{Anomalies, Limits};

/// Secrets by session.
#[derive(Debug, Default)]
pub(crate) struct KeyLog {}

impl KeyLog {
    /// Takes the next bytes of the log's text; a line may come in pieces.
    pub(crate) fn push(&mut self, _text: &[u8], _limits: &Limits, _anomalies: &mut Anomalies) {}
}

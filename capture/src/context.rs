//! What the rooms between a packet and an exchange share.

use std::collections::VecDeque;

use crate::keylog::KeyLog;
use crate::message::FieldSpans;
use crate::{Anomalies, Exchange, Limits};

/// What a connection's parser works with besides its own state.
pub(crate) struct Context<'a> {
    /// Caps and timeouts.
    pub(crate) limits: &'a Limits,
    /// Where oddities are noted.
    pub(crate) anomalies: &'a mut Anomalies,
    /// Keys of TLS sessions.
    pub(crate) keys: &'a KeyLog,
    /// Bytes held in unfinished bodies over all flows.
    pub(crate) body_bytes: &'a mut usize,
    /// Where the fields of a head are gathered while it is read: one buffer for all of them.
    pub(crate) spans: &'a mut FieldSpans,
    /// Where finished exchanges go: boxed, as they are handed on from here to the end.
    pub(crate) out: &'a mut VecDeque<Box<Exchange>>,
}

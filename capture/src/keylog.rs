//! Secrets of TLS sessions, as an SSLKEYLOGFILE tells them.
//!
//! Owns what is remembered of a key log: secrets by the client random of their session, up to a
//! cap, the oldest forgotten first. Refuses to open the file: its text is pushed as it grows.
//!
//! ```text
//! line   LABEL SP client random (64 hex digits) SP secret (hex digits)
//! ```
//!
//! Invariants:
//! - No secret is ever shown, `Debug` included; what is forgotten is overwritten.
//! - Never more sessions than [`Limits::tls_sessions`], and of an unfinished line no more than
//!   [`LINE_BYTES_MAX`].
//!
//! Source: draft-ietf-tls-keylogfile (The SSLKEYLOGFILE Format for TLS).

use std::collections::VecDeque;
use std::fmt;

use hashbrown::HashMap;
use zeroize::Zeroize;

use crate::{Anomalies, Anomaly, Limits};

/// A line that is longer is none: the longest label, a client random and a secret have 180 bytes.
const LINE_BYTES_MAX: usize = 1_024;

/// The longest secret: TLS 1.2 masters and the secrets of SHA-384 suites.
const SECRET_BYTES_MAX: usize = 48;

/// The random that names a session, from its ClientHello.
pub(crate) type ClientRandom = [u8; 32];

/// Secrets by session.
#[derive(Debug, Default)]
pub(crate) struct KeyLog {
    sessions: HashMap<ClientRandom, Vec<(Label, Secret)>>,
    /// In the order of their first line.
    order: VecDeque<ClientRandom>,
    line: Vec<u8>,
    /// The line being read is too long to be one.
    overlong: bool,
    in_use: bool,
}

/// What a secret is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Label {
    /// The master secret of TLS 1.2 and before.
    Master,
    /// Early data, from the client (TLS 1.3, as all below).
    ClientEarly,
    /// The client's part of the handshake.
    ClientHandshake,
    /// The server's part of the handshake.
    ServerHandshake,
    /// What the client sends after it.
    ClientTraffic,
    /// What the server sends after it.
    ServerTraffic,
}

impl Label {
    /// The label of a line; `None` where its secret opens no records.
    fn of(text: &[u8]) -> Option<Self> {
        Some(match text {
            b"CLIENT_RANDOM" => Self::Master,
            b"CLIENT_EARLY_TRAFFIC_SECRET" => Self::ClientEarly,
            b"CLIENT_HANDSHAKE_TRAFFIC_SECRET" => Self::ClientHandshake,
            b"SERVER_HANDSHAKE_TRAFFIC_SECRET" => Self::ServerHandshake,
            b"CLIENT_TRAFFIC_SECRET_0" => Self::ClientTraffic,
            b"SERVER_TRAFFIC_SECRET_0" => Self::ServerTraffic,
            _ => return None,
        })
    }
}

/// A secret of 32 to 48 bytes.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret {
    bytes: [u8; SECRET_BYTES_MAX],
    len: u8,
}

impl Secret {
    /// A copy of `bytes`; `None` where no secret has that length.
    pub(crate) fn new(bytes: &[u8]) -> Option<Self> {
        // RFC 5246 §8.1: masters have 48 bytes. RFC 8446 §7.1: the others have as many as the
        // suite's hash, SHA-256 or SHA-384.
        if !matches!(bytes.len(), 32 | 48) {
            return None;
        }
        let mut secret = Self { bytes: [0; SECRET_BYTES_MAX], len: bytes.len() as u8 };
        secret.bytes[..bytes.len()].copy_from_slice(bytes);
        Some(secret)
    }

    /// Its bytes: not to be shown.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} bytes)", self.len)
    }
}

/// What pushed text brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Learned {
    /// Secrets that were not known before.
    pub(crate) secrets: usize,
}

impl KeyLog {
    /// Takes the next bytes of the log's text; a line may come in pieces, and counts once its end
    /// has come.
    pub(crate) fn push(
        &mut self,
        text: &[u8],
        limits: &Limits,
        anomalies: &mut Anomalies,
    ) -> Learned {
        self.in_use = true;
        let mut learned = Learned::default();
        let mut rest = text;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (head, tail) = rest.split_at(end);
            rest = &tail[1..];
            let read = if self.line.is_empty() && !self.overlong {
                self.read(head, limits, anomalies)
            } else {
                self.keep(head);
                let line = std::mem::take(&mut self.line);
                let overlong = std::mem::take(&mut self.overlong);
                let read = match overlong {
                    true => Read::Bad,
                    false => self.read(&line, limits, anomalies),
                };
                self.line = line;
                self.line.zeroize();
                read
            };
            match read {
                Read::News => learned.secrets += 1,
                Read::Nothing => {}
                Read::Bad => anomalies.note(Anomaly::BadKeyLogLine),
            }
        }
        self.keep(rest);
        learned
    }

    /// Whether there is a key log, though it may be empty so far.
    pub(crate) fn is_in_use(&self) -> bool {
        self.in_use
    }

    /// The secret of a session.
    pub(crate) fn secret(&self, session: &ClientRandom, label: Label) -> Option<&Secret> {
        let secrets = self.sessions.get(session)?;
        secrets.iter().find(|(of, _)| *of == label).map(|(_, secret)| secret)
    }

    /// Keeps a part of a line.
    fn keep(&mut self, part: &[u8]) {
        if self.line.len() + part.len() > LINE_BYTES_MAX {
            self.overlong = true;
            self.line.zeroize();
        }
        if !self.overlong {
            self.line.extend_from_slice(part);
        }
    }

    fn read(&mut self, line: &[u8], limits: &Limits, anomalies: &mut Anomalies) -> Read {
        let line = line.trim_ascii();
        if line.is_empty() || line[0] == b'#' {
            return Read::Nothing;
        }
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let (Some(label), Some(random), Some(secret), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Read::Bad;
        };
        let Some(label) = Label::of(label) else {
            // Exporter secrets, encrypted RSA pre-masters, and what other versions may log.
            let named = label.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_');
            return if named { Read::Nothing } else { Read::Bad };
        };
        let mut session = [0; 32];
        let mut bytes = [0; SECRET_BYTES_MAX];
        let read = from_hex(random, &mut session) == Some(32);
        let secret = from_hex(secret, &mut bytes)
            .filter(|_| read)
            .and_then(|len| Secret::new(&bytes[..len]));
        bytes.zeroize();
        match secret {
            Some(secret) if label != Label::Master || secret.len == 48 => {
                self.remember(session, label, secret, limits, anomalies)
            }
            _ => Read::Bad,
        }
    }

    fn remember(
        &mut self,
        session: ClientRandom,
        label: Label,
        secret: Secret,
        limits: &Limits,
        anomalies: &mut Anomalies,
    ) -> Read {
        if let Some(secrets) = self.sessions.get_mut(&session) {
            return match secrets.iter_mut().find(|(of, _)| *of == label) {
                Some((_, known)) if *known == secret => Read::Nothing,
                Some((_, known)) => {
                    *known = secret;
                    Read::News
                }
                None => {
                    secrets.push((label, secret));
                    Read::News
                }
            };
        }
        while self.order.len() >= limits.tls_sessions.max(1)
            && let Some(oldest) = self.order.pop_front()
        {
            anomalies.note(Anomaly::KeyLogFull);
            self.sessions.remove(&oldest);
        }
        self.order.push_back(session);
        self.sessions.insert(session, vec![(label, secret)]);
        Read::News
    }
}

/// What a line was.
enum Read {
    News,
    Nothing,
    Bad,
}

/// Decodes hexadecimal digits into the beginning of `out`; how many bytes they were. `None` where
/// they are no digits, an odd number of them, or too many.
fn from_hex(text: &[u8], out: &mut [u8]) -> Option<usize> {
    let len = text.len() / 2;
    if !text.len().is_multiple_of(2) || len > out.len() {
        return None;
    }
    for (byte, digits) in out.iter_mut().zip(text.chunks_exact(2)) {
        let high = char::from(digits[0]).to_digit(16)?;
        let low = char::from(digits[1]).to_digit(16)?;
        *byte = (high << 4 | low) as u8;
    }
    Some(len)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A line of `label` for the session whose random is 32 times `session`.
    fn line(label: &str, session: u8, secret: u8, len: usize) -> String {
        let hex = |byte: u8, len: usize| format!("{byte:02x}").repeat(len);
        format!("{label} {} {}\n", hex(session, 32), hex(secret, len))
    }

    fn read(text: &[u8]) -> (KeyLog, Anomalies) {
        let (mut log, mut anomalies) = (KeyLog::default(), Anomalies::default());
        log.push(text, &Limits::default(), &mut anomalies);
        (log, anomalies)
    }

    fn secret(log: &KeyLog, session: u8, label: Label) -> Option<Vec<u8>> {
        log.secret(&[session; 32], label).map(|secret| secret.bytes().to_vec())
    }

    #[test]
    fn secrets_are_found_by_session_and_label() {
        let text = [
            "# a comment\r\n\r\n".to_owned(),
            line("CLIENT_RANDOM", 1, 0xaa, 48),
            line("CLIENT_HANDSHAKE_TRAFFIC_SECRET", 2, 0xb1, 32).replace('\n', "\r\n"),
            line("SERVER_HANDSHAKE_TRAFFIC_SECRET", 2, 0xb2, 32),
            line("CLIENT_TRAFFIC_SECRET_0", 2, 0xb3, 32).to_uppercase(),
            line("SERVER_TRAFFIC_SECRET_0", 2, 0xb4, 32),
            line("CLIENT_EARLY_TRAFFIC_SECRET", 2, 0xb5, 32),
            line("EXPORTER_SECRET", 2, 0xb6, 32),
            "RSA 72be32d3de0a8a70 03039bb465d57efa\n".to_owned(),
        ];
        let (log, anomalies) = read(text.concat().as_bytes());
        assert_eq!(anomalies, Anomalies::default());
        assert_eq!(secret(&log, 1, Label::Master), Some(vec![0xaa; 48]));
        let of_two = [
            (Label::ClientHandshake, 0xb1),
            (Label::ServerHandshake, 0xb2),
            (Label::ClientTraffic, 0xb3),
            (Label::ServerTraffic, 0xb4),
            (Label::ClientEarly, 0xb5),
        ];
        for (label, byte) in of_two {
            assert_eq!(secret(&log, 2, label), Some(vec![byte; 32]), "{label:?}");
        }
        assert_eq!(secret(&log, 2, Label::Master), None);
        assert_eq!(secret(&log, 3, Label::Master), None);
    }

    #[test]
    fn lines_that_are_none_are_counted_and_harm_no_other() {
        let short_master = line("CLIENT_RANDOM", 1, 1, 32);
        let bad = [
            "CLIENT_RANDOM\n",
            "CLIENT_RANDOM 01 02\n",
            "no hex at all\n",
            "a b\n",
            "\u{1}\u{2} x y\n",
            &short_master,
            &line("CLIENT_RANDOM", 1, 1, 48).replace("0101 ", "01zz "),
            &"x".repeat(5_000),
            "\n",
        ];
        let text = bad.concat() + &line("CLIENT_RANDOM", 9, 0x99, 48);
        let (log, anomalies) = read(text.as_bytes());
        // "no hex at all" has too many words; the last bad line is the one that is too long.
        assert_eq!(anomalies.count(Anomaly::BadKeyLogLine), 8);
        assert_eq!(secret(&log, 9, Label::Master), Some(vec![0x99; 48]));
        assert_eq!(log.sessions.len(), 1);
    }

    #[test]
    fn above_the_cap_the_oldest_session_is_forgotten() {
        let limits = Limits { tls_sessions: 2, ..Limits::default() };
        let (mut log, mut anomalies) = (KeyLog::default(), Anomalies::default());
        for session in 1..=3 {
            for label in ["CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0"] {
                let line = line(label, session, session, 32);
                assert_eq!(log.push(line.as_bytes(), &limits, &mut anomalies).secrets, 1);
                assert_eq!(log.push(line.as_bytes(), &limits, &mut anomalies).secrets, 0);
            }
        }
        assert_eq!(anomalies.count(Anomaly::KeyLogFull), 1);
        let known = [1, 2, 3].map(|session| secret(&log, session, Label::ClientTraffic).is_some());
        assert_eq!(known, [false, true, true]);
    }

    #[test]
    fn secrets_are_not_shown() {
        let (log, _) = read(line("CLIENT_RANDOM", 1, 0xab, 48).as_bytes());
        let shown = format!("{log:?}");
        assert!(shown.contains("Secret(48 bytes)") && !shown.contains("171, 171"), "{shown}");
    }

    proptest! {
        #[test]
        fn any_split_of_the_text_gives_the_same_secrets(
            cuts in prop::collection::vec(0usize..400, 0..8),
        ) {
            let text = [
                line("CLIENT_RANDOM", 1, 0xaa, 48),
                "bad line\r\n".to_owned(),
                line("SERVER_TRAFFIC_SECRET_0", 2, 0xb4, 32),
            ]
            .concat();
            let (mut log, mut anomalies) = (KeyLog::default(), Anomalies::default());
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let mut learned = 0;
            for pair in cuts.windows(2) {
                let piece = &text.as_bytes()[pair[0]..pair[1]];
                learned += log.push(piece, &Limits::default(), &mut anomalies).secrets;
            }
            prop_assert_eq!(learned, 2);
            prop_assert_eq!(anomalies.count(Anomaly::BadKeyLogLine), 1);
            prop_assert_eq!(secret(&log, 1, Label::Master), Some(vec![0xaa; 48]));
            prop_assert_eq!(secret(&log, 2, Label::ServerTraffic), Some(vec![0xb4; 32]));
        }

        #[test]
        fn any_bytes_are_taken(bytes in prop::collection::vec(any::<u8>(), 0..3_000)) {
            let (mut log, mut anomalies) = (KeyLog::default(), Anomalies::default());
            log.push(&bytes, &Limits::default(), &mut anomalies);
            prop_assert!(log.line.len() <= LINE_BYTES_MAX);
        }
    }
}

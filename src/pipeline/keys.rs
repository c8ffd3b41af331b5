//! Key logs of a live capture: read as they grow, by a thread of their own.
//!
//! A slow disk or a file that is not there holds up no packet: capture threads take the text when
//! they come by. Each gets all of it, in whole lines, since each has its own connections.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use capture::source::keylog::{KeyLogFile, KeyLogRead};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use tracing::{info, warn};

use super::thread::spawn;
use crate::config::Config;
use crate::failure::Failure;

/// How often the files are looked at. Keys are late by that much, and by as long as their writer
/// keeps them: Envoy for 10 s, unless told otherwise (`--file-flush-interval-msec`).
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Text read and handed on at once.
const PIECE_BYTES: usize = 64 << 10;

/// Pieces that may wait for a capture thread. Beyond it the reader waits.
const PIECES: usize = 16;

/// Lines of a key log.
pub(crate) type Lines = Arc<[u8]>;

/// Where each capture thread takes them.
pub(crate) type LineEnds = Vec<Receiver<Lines>>;

/// The thread that reads key logs.
pub(crate) struct KeyReader {
    /// Dropped to end it.
    running: Sender<()>,
    thread: JoinHandle<()>,
}

/// Starts reading the key logs of `config` for `captures` threads; gives each thread's end.
/// `None` where there are no key logs.
pub(crate) fn start(
    config: &Config,
    captures: usize,
) -> Result<Option<(KeyReader, LineEnds)>, Failure> {
    if config.key_logs.is_empty() {
        return Ok(None);
    }
    let (senders, receivers): (Vec<_>, Vec<_>) =
        (0..captures).map(|_| crossbeam_channel::bounded(PIECES)).unzip();
    let (running, ended) = crossbeam_channel::bounded(0);
    let mut logs: Vec<Followed> = config.key_logs.iter().map(Followed::new).collect();
    let thread = spawn("keylog", move || {
        loop {
            for log in &mut logs {
                log.look(&senders);
            }
            if ended.recv_timeout(LOOK_EVERY) != Err(RecvTimeoutError::Timeout) {
                return;
            }
        }
    })?;
    Ok(Some((KeyReader { running, thread }, receivers)))
}

impl KeyReader {
    /// Ends it, once no capture thread takes anything any more.
    pub(crate) fn stop(self) {
        drop(self.running);
        if self.thread.join().is_err() {
            warn!("the reader of key logs panicked: TLS connections since then were not read");
        }
    }
}

/// One key log.
struct Followed {
    file: KeyLogFile,
    /// The beginning of a line whose end was not there yet.
    line: Vec<u8>,
    /// It could not be read the last time, and that was said.
    failing: bool,
}

impl Followed {
    fn new(path: impl Into<std::path::PathBuf>) -> Self {
        Self { file: KeyLogFile::new(path), line: Vec::new(), failing: false }
    }

    /// Hands on what is new.
    fn look(&mut self, captures: &[Sender<Lines>]) {
        let mut buffer = vec![0; PIECE_BYTES];
        loop {
            match self.file.read(&mut buffer) {
                Ok(read) => {
                    if std::mem::take(&mut self.failing) {
                        info!(file = %self.file.path().display(), "the key log can be read");
                    }
                    let KeyLogRead::Text(len) = read else { return };
                    if let Some(lines) = self.whole_lines(&buffer[..len]) {
                        // A capture thread that has ended takes none.
                        captures.iter().for_each(|to| drop(to.send(Arc::clone(&lines))));
                    }
                }
                Err(why) => {
                    if !std::mem::replace(&mut self.failing, true) {
                        warn!("{why}; TLS connections stay opaque until it can be");
                    }
                    return;
                }
            }
        }
    }

    /// The lines that `text` ends.
    fn whole_lines(&mut self, text: &[u8]) -> Option<Lines> {
        let Some(last) = text.iter().rposition(|&byte| byte == b'\n') else {
            // No line of a key log is as long: what follows is not looked at as one.
            if self.line.len() <= PIECE_BYTES {
                self.line.extend_from_slice(text);
            }
            return None;
        };
        let (whole, rest) = text.split_at(last + 1);
        self.line.extend_from_slice(whole);
        let lines = Lines::from(self.line.as_slice());
        self.line.clear();
        self.line.extend_from_slice(rest);
        Some(lines)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write as _;

    use super::*;

    #[test]
    fn every_capture_thread_gets_whole_lines_of_every_file() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["a.log", "b.log"].map(|name| folder.path().join(name));
        fs::write(&paths[0], "one\ntw").unwrap();
        let config = Config { key_logs: paths.to_vec(), ..Config::default() };
        let (reader, captures) = start(&config, 2).unwrap().unwrap();
        let next = |capture: &Receiver<Lines>| capture.recv_timeout(Duration::from_secs(30));
        for capture in &captures {
            assert_eq!(*next(capture).unwrap(), *b"one\n");
        }
        fs::write(&paths[1], "other\n").unwrap();
        for capture in &captures {
            assert_eq!(*next(capture).unwrap(), *b"other\n");
        }
        fs::OpenOptions::new().append(true).open(&paths[0]).unwrap().write_all(b"o\n").unwrap();
        for capture in &captures {
            assert_eq!(*next(capture).unwrap(), *b"two\n");
        }
        drop(captures);
        reader.stop();
    }

    #[test]
    fn without_key_logs_no_thread_is_started() {
        assert!(start(&Config::default(), 1).unwrap().is_none());
    }
}

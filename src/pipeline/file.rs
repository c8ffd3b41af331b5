//! Captures from files: read, judged and recorded as fast as they come.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use capture::source::file::{Merged, Reader};
use capture::source::keylog::{KeyLogFile, KeyLogRead};
use capture::{Packet, Tap, Timestamp};
use indicatif::{ProgressBar, ProgressStyle};
use store::Store;
use tracing::warn;

use super::live::advanced;
use super::outlet::Seen;
use super::recorder::Patience;
use super::verdicts::Verdicts;
use crate::config::Config;
use crate::failure::Failure;

/// How far packet time moves before waiting exchanges are looked at.
const EXPIRE_EVERY: Duration = Duration::from_millis(100);

/// Packets between two looks at the progress bar.
const PROGRESS_EVERY: u64 = 16_384;

/// Capture files, merged by time.
pub(crate) struct Captures {
    merged: Merged,
    /// Size of all files together; 0 for what has none.
    bytes: u64,
}

impl Captures {
    /// Opens them all; `-` is standard input.
    pub(crate) fn open(paths: &[PathBuf]) -> Result<Self, Failure> {
        let mut readers = Vec::new();
        for path in paths {
            let reader = if path == Path::new("-") {
                Reader::from_read("standard input", Box::new(io::stdin()))
            } else {
                Reader::open(path)
            };
            readers.push(reader.map_err(Failure::usage)?);
        }
        let sizes = paths.iter().map(|path| std::fs::metadata(path).map_or(0, |meta| meta.len()));
        Ok(Self { bytes: sizes.sum(), merged: Merged::new(readers).map_err(Failure::usage)? })
    }

    /// Gives `tap` the keys that the captures carry before their next packet.
    pub(crate) fn push_keys(&mut self, tap: &mut Tap) -> Result<(), Failure> {
        let keys = self.merged.take_keys().map_err(Failure::usage)?;
        if !keys.is_empty() {
            tap.push_keys(&keys);
        }
        Ok(())
    }

    /// The next packet in time.
    pub(crate) fn next(&mut self) -> Result<Option<Packet<'_>>, Failure> {
        self.merged.next().map_err(Failure::usage)
    }

    /// Says what of the files was not read: the rest of one that is cut in the middle, and packets
    /// of other link types beside those that are read.
    pub(crate) fn report_unread(&self) {
        for cut in self.merged.cuts() {
            warn!("{cut}");
        }
        let packets = self.merged.unknown_link_packets();
        if packets > 0 {
            warn!(packets, "passed over: their link type is not read");
        }
    }
}

/// Gives `tap` all of the key logs at `paths`.
pub(crate) fn push_key_logs(paths: &[PathBuf], tap: &mut Tap) -> Result<(), Failure> {
    let mut buffer = vec![0; 64 << 10];
    for path in paths {
        let mut log = KeyLogFile::new(path);
        while let KeyLogRead::Text(len) = log.read(&mut buffer).map_err(Failure::usage)? {
            tap.push_keys(&buffer[..len]);
        }
        // A last line without an end is one too.
        tap.push_keys(b"\n");
    }
    Ok(())
}

/// Reads `captures` through capture, judge and store; gives the store back.
pub(crate) fn analyze(
    config: &Config,
    mut captures: Captures,
    store: Box<dyn Store + Send>,
) -> Result<Box<dyn Store + Send>, Failure> {
    let policy = Arc::new(config.policy());
    let mut verdicts = Verdicts::new(config, policy, store, Patience::None)?;
    let mut tap = Tap::new(config.limits.clone(), config.targets());
    push_key_logs(&config.key_logs, &mut tap)?;
    captures.push_keys(&mut tap)?;
    let progress = progress_bar(captures.bytes);
    let (mut now, mut expired) = (Timestamp::ZERO, Timestamp::ZERO);
    let mut packets = 0_u64;
    while let Some(packet) = captures.next()? {
        now = advanced(now, packet.at);
        tap.push(&packet);
        if now < expired || now.since(expired) >= EXPIRE_EVERY {
            tap.expire(now);
            verdicts.expire(now)?;
            expired = now;
        }
        while let Some(exchange) = tap.poll() {
            verdicts.push(exchange)?;
        }
        captures.push_keys(&mut tap)?;
        packets += 1;
        if packets.is_multiple_of(PROGRESS_EVERY) {
            progress.set_position(captures.merged.bytes_read());
        }
    }
    tap.finish();
    while let Some(exchange) = tap.poll() {
        verdicts.push(exchange)?;
    }
    progress.finish_and_clear();
    captures.report_unread();
    let seen = Seen { tap: tap.counters().clone(), ..Seen::default() };
    verdicts.finish(&[seen])
}

/// A bar on a terminal's standard error; nothing elsewhere.
fn progress_bar(bytes: u64) -> ProgressBar {
    let style = ProgressStyle::with_template(
        "{bar:30} {bytes}/{total_bytes} at {bytes_per_sec}, {eta} left",
    );
    let bar = ProgressBar::new(bytes);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

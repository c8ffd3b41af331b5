//! Live capture: threads per interface, one judge, one recorder.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use capture::source::live::{Interface, LiveConfig, LiveError, LiveStats, Wait};
use capture::{Packet, Tap, Timestamp};
use crossbeam_channel::{Receiver, TryRecvError};
use store::Store;
use tracing::{error, info};

use super::keys::{self, KeyReader, Lines};
use super::outlet::{self, Message, Outlet, Seen};
use super::recorder::Patience;
use super::thread::spawn;
use super::verdicts::Verdicts;
use crate::config::Config;
use crate::failure::Failure;

/// How long a capture thread waits for packets before it lets time pass.
const WAIT: Duration = Duration::from_millis(100);

/// Packets taken before a capture thread looks at anything else.
const PACKETS_AT_ONCE: usize = 4_096;

/// How long packets gather before they are taken, at the most: waking for a few of them costs more
/// than taking them.
const GATHER: Duration = Duration::from_millis(10);

/// Bytes a nanosecond that no interface brings: what gathers does not fill the kernel's buffer.
const BYTES_PER_NS: u32 = 8;

/// Pieces of key logs taken before a capture thread looks at packets again.
const KEYS_AT_ONCE: usize = 4;

/// How far behind the clock an idle interface's time is set: its last packets may still be in the
/// kernel's block, which is handed over after 100 ms at the latest.
const IDLE_LAG: Duration = Duration::from_millis(500);

/// How long the drain looks on at the least: longer than a kernel block may stay open.
const DRAIN_AT_LEAST: Duration = Duration::from_millis(300);

/// How long the drain reads on at the most: an interface whose traffic goes on never runs dry.
const DRAIN_AT_MOST: Duration = Duration::from_secs(2);

/// How far the clock may seem to run backwards before it counts as set back: packets of several
/// processors are not quite in order.
const DISORDER: Duration = Duration::from_secs(1);

/// How often what was judged is handed to the recorder: what a kill may lose.
const RECORD_EVERY: Duration = Duration::from_secs(1);

/// A running capture.
pub(crate) struct Live {
    stop: Arc<AtomicBool>,
    captures: Vec<JoinHandle<()>>,
    judge: JoinHandle<Result<Box<dyn Store + Send>, Failure>>,
    keys: Option<KeyReader>,
}

/// Opens every interface of `config`, once for each thread. From now on the kernel keeps packets for
/// [`Live::start`].
pub(crate) fn open(config: &Config) -> Result<Vec<Interface>, Failure> {
    let mut handles = Vec::new();
    for name in &config.interfaces {
        handles.extend(open_one(name, config)?);
    }
    Ok(handles)
}

impl Live {
    /// Starts the threads over open interfaces, one for each.
    pub(crate) fn start(
        config: &Config,
        interfaces: Vec<Interface>,
        store: Box<dyn Store + Send>,
    ) -> Result<Self, Failure> {
        let policy = Arc::new(config.policy());
        let stop = Arc::new(AtomicBool::new(false));
        let (sender, receiver) = outlet::queue(config.queue_exchanges);
        let (keys, mut lines) = keys::start(config, interfaces.len())?.unzip();
        let verdicts = Verdicts::new(config, Arc::clone(&policy), store, Patience::WhileRunning)?;
        let sources = interfaces.len();
        let judge = spawn("judge", move || judge(&receiver, sources, verdicts))?;
        let fills_in = config.kernel_buffer_bytes / BYTES_PER_NS;
        let gather = GATHER.min(Duration::from_nanos(u64::from(fills_in)));
        let mut captures = Vec::new();
        for (source, interface) in interfaces.into_iter().enumerate() {
            let mut tap = Tap::new(config.limits.clone(), config.targets());
            let lines = lines.as_mut().and_then(Vec::pop);
            if lines.is_some() {
                // From now on what needs a key waits for it.
                tap.push_keys(b"");
            }
            let judge = judge.thread().clone();
            let outlet = Outlet::new(source, Arc::clone(&policy), sender.clone(), judge);
            let stop = Arc::clone(&stop);
            captures.push(spawn(&format!("capture-{source}"), move || {
                catch(interface, tap, outlet, lines, gather, &stop);
            })?);
        }
        Ok(Self { stop, captures, judge, keys })
    }

    /// Whether a thread has ended by itself: no interface is left, or the store cannot be used.
    pub(crate) fn has_ended(&self) -> bool {
        self.judge.is_finished() || self.captures.iter().all(JoinHandle::is_finished)
    }

    /// Drains: what was captured is judged and stored. Gives the store back.
    pub(crate) fn stop(self) -> Result<Box<dyn Store + Send>, Failure> {
        self.stop.store(true, Ordering::Relaxed);
        for capture in self.captures {
            if capture.join().is_err() {
                error!("a capture thread panicked: what it still held is lost");
            }
        }
        if let Some(keys) = self.keys {
            keys.stop();
        }
        self.judge.join().unwrap_or_else(|_| {
            Err(Failure::environment("the judge panicked: what it still held is lost"))
        })
    }
}

fn open_one(name: &str, config: &Config) -> Result<Vec<Interface>, Failure> {
    let live = LiveConfig {
        interface: name.to_owned(),
        snaplen_bytes: config.snaplen_bytes,
        kernel_buffer_bytes: config.kernel_buffer_bytes,
        targets: config.targets(),
        tunnels: config.tunnels,
    };
    Interface::open_spread(&live, config.threads).map_err(|error| match error {
        LiveError::NotPermitted { .. } => Failure::environment(format!(
            "capture on {name} not permitted: run as root or 'setcap cap_net_raw+ep {}'",
            std::env::current_exe().map_or("tapdiff".into(), |path| path.display().to_string())
        )),
        other => Failure::environment(other),
    })
}

/// One capture thread. Packets `gather` before it takes them.
fn catch(
    mut interface: Interface,
    tap: Tap,
    outlet: Outlet,
    lines: Option<Receiver<Lines>>,
    gather: Duration,
    stop: &AtomicBool,
) {
    let kernel = interface.stats();
    let mut catcher = Catcher { tap, outlet, kernel, now: Timestamp::ZERO };
    let mut stopped_at = None;
    loop {
        if stopped_at.is_none() && stop.load(Ordering::Relaxed) {
            stopped_at = Some(Instant::now());
        }
        let taken = interface.drain(PACKETS_AT_ONCE, |packet| catcher.take(packet));
        catcher.kernel = interface.stats();
        if let Some(lines) = &lines {
            catcher.take_keys(lines);
        }
        let waited = taken.and_then(|taken| {
            catcher.let_time_pass(taken);
            let draining = stopped_at.map(|at: Instant| at.elapsed());
            let dry = taken == 0 && draining.is_some_and(|d| d >= DRAIN_AT_LEAST);
            if dry || draining.is_some_and(|d| d >= DRAIN_AT_MOST) {
                return Ok(false);
            }
            if taken < PACKETS_AT_ONCE && interface.wait(WAIT)? == Wait::Ready {
                thread::sleep(gather);
            }
            Ok(true)
        });
        match waited {
            Ok(true) => {}
            Ok(false) => break,
            Err(why) => {
                error!("{why}: capture on it has ended, what follows is not seen");
                break;
            }
        }
    }
    catcher.kernel = interface.stats();
    info!(
        interface = interface.name(),
        packets = catcher.tap.counters().packets,
        kernel_drops = catcher.kernel.kernel_drops,
        "capture thread ended"
    );
    catcher.close();
}

/// What a capture thread holds.
struct Catcher {
    tap: Tap,
    outlet: Outlet,
    kernel: LiveStats,
    now: Timestamp,
}

impl Catcher {
    fn take(&mut self, packet: &Packet<'_>) {
        self.now = advanced(self.now, packet.at);
        self.tap.push(packet);
        self.forward();
    }

    /// Takes the keys that have come, as many as do not hold up packets.
    fn take_keys(&mut self, lines: &Receiver<Lines>) {
        for lines in lines.try_iter().take(KEYS_AT_ONCE) {
            self.tap.push_keys(&lines);
            self.forward();
        }
    }

    /// After a look that found `taken` packets.
    fn let_time_pass(&mut self, taken: usize) {
        if taken == 0 {
            self.now = advanced(self.now, clock() - IDLE_LAG);
        }
        self.tap.expire(self.now);
        self.forward();
        self.outlet.flush(self.now, self.seen());
        self.outlet.wake();
    }

    fn forward(&mut self) {
        while let Some(exchange) = self.tap.poll() {
            if self.outlet.push(exchange) {
                self.outlet.flush(self.now, self.seen());
            }
        }
    }

    fn close(mut self) {
        self.tap.finish();
        while let Some(exchange) = self.tap.poll() {
            self.outlet.push(exchange);
        }
        let seen = self.seen();
        self.outlet.close(self.now, seen);
    }

    fn seen(&self) -> Seen {
        Seen {
            tap: self.tap.counters().clone(),
            kernel_drops: self.kernel.kernel_drops,
            interface_drops: self.kernel.interface_drops,
        }
    }
}

/// The time that has come when `at` is seen after `now`: it does not run backwards, unless the clock
/// was set back, after which everything would seem to have waited too long.
pub(super) fn advanced(now: Timestamp, at: Timestamp) -> Timestamp {
    if now.since(at) > DISORDER { at } else { now.max(at) }
}

fn clock() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::ZERO + since
}

/// The judge's thread: until every capture thread has closed its outlet, which wakes it.
///
/// It parks where the queue is empty. The channel's own waiting would yield the processor many times
/// before it sleeps, between any two messages: a tenth of what the tap costs, and switches that a
/// busy host pays for.
fn judge(
    queue: &Receiver<Message>,
    sources: usize,
    mut verdicts: Verdicts,
) -> Result<Box<dyn Store + Send>, Failure> {
    let mut clocks = vec![Timestamp::ZERO; sources];
    let mut seen = vec![Seen::default(); sources];
    let mut recorded = Instant::now();
    loop {
        match queue.try_recv() {
            Ok(message) => {
                clocks[message.source] = message.now;
                seen[message.source] = message.seen;
                for notice in message.notices {
                    verdicts.push_shed(notice);
                }
                for exchange in message.exchanges {
                    verdicts.push(exchange)?;
                }
                // The slowest source decides: what another has not seen yet may still come.
                verdicts.expire(clocks.iter().copied().min().unwrap_or_default())?;
            }
            Err(TryRecvError::Empty) => thread::park_timeout(WAIT),
            Err(TryRecvError::Disconnected) => break,
        }
        if recorded.elapsed() >= RECORD_EVERY {
            verdicts.record(&seen)?;
            recorded = Instant::now();
        }
    }
    verdicts.finish(&seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_stands_still_for_disorder_and_follows_a_clock_that_was_set_back() {
        let seconds = |s: u64| Timestamp::from_nanos(s * 1_000_000_000);
        let now = seconds(5_000);
        assert_eq!(advanced(now, seconds(5_001)), seconds(5_001));
        assert_eq!(advanced(now, now - Duration::from_millis(20)), now);
        assert_eq!(advanced(now, seconds(1_400)), seconds(1_400));
    }
}

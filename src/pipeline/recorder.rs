//! The recorder: the one thread that writes the store.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender};
use store::{Batch, Store};
use tracing::{error, info, warn};

use crate::failure::Failure;

/// Batches that may wait for the store. When they do, the judge waits, and capture sheds.
const BATCHES: usize = 4;

/// How long a store that failed is left alone before the same batch is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// Tries of one batch once a patient recorder is to finish.
const LAST_TRIES: u32 = 5;

/// What to do about a store that cannot be written now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// Fail at once: someone waits for the answer.
    None,
    /// Try again for as long as capture goes on.
    WhileRunning,
}

type Handed = Result<Box<dyn Store + Send>, Failure>;

/// Writes batches in the order given.
pub(crate) struct Recorder {
    batches: Sender<Batch>,
    finishing: Arc<AtomicBool>,
    thread: JoinHandle<Handed>,
}

impl Recorder {
    pub(crate) fn start(store: Box<dyn Store + Send>, patience: Patience) -> Result<Self, Failure> {
        let (batches, queue) = crossbeam_channel::bounded(BATCHES);
        let finishing = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&finishing);
        let thread = std::thread::Builder::new()
            .name("recorder".to_owned())
            .spawn(move || record(store, &queue, patience, &until))
            .map_err(|why| Failure::environment(format!("the recorder cannot start: {why}")))?;
        Ok(Self { batches, finishing, thread })
    }

    /// Hands over a batch; waits while the store is behind.
    pub(crate) fn record(&self, batch: Batch) -> Result<(), Failure> {
        self.batches
            .send(batch)
            .map_err(|_| Failure::environment("the recorder has stopped: see the log above"))
    }

    /// Waits until all is written; gives the store back.
    pub(crate) fn finish(self) -> Handed {
        self.finishing.store(true, Ordering::Relaxed);
        drop(self.batches);
        self.thread.join().unwrap_or_else(|_| Err(Failure::environment("the recorder panicked")))
    }
}

fn record(
    mut store: Box<dyn Store + Send>,
    queue: &Receiver<Batch>,
    patience: Patience,
    finishing: &AtomicBool,
) -> Handed {
    while let Ok(batch) = queue.recv() {
        let tries_left = |failed| match patience {
            Patience::None => false,
            Patience::WhileRunning => failed < LAST_TRIES || !finishing.load(Ordering::Relaxed),
        };
        if let Err(why) = write(store.as_mut(), &batch, tries_left) {
            let pairs = batch.pairs() + queue.try_iter().map(|batch| batch.pairs()).sum::<usize>();
            error!(pairs, "{why}: these pairs were judged and are lost");
            return Err(why);
        }
    }
    Ok(store)
}

/// Writes one batch, trying again while `tries_left`: it stays in memory meanwhile, so nothing
/// judged is lost while the process lives.
fn write(
    store: &mut dyn Store,
    batch: &Batch,
    tries_left: impl Fn(u32) -> bool,
) -> Result<(), Failure> {
    let mut failed = 0;
    loop {
        match store.write(batch) {
            Ok(_) => {
                if failed > 0 {
                    info!(tries = failed + 1, "the store takes batches again");
                }
                return Ok(());
            }
            Err(why) => {
                failed += 1;
                if !tries_left(failed) {
                    return Err(why.into());
                }
                if failed == 1 {
                    warn!("{why}; what was judged is kept in memory and tried again");
                }
                std::thread::sleep(RETRY_AFTER);
            }
        }
    }
}

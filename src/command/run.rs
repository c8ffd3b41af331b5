//! `tapdiff run`: the daemon.

use std::time::Duration;

use store::SqliteStore;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

use crate::cli::RunArgs;
use crate::config::{self, Config};
use crate::failure::Failure;
use crate::pipeline::live::{self, Live};

/// How often the daemon looks whether its threads still live.
const LOOK: Duration = Duration::from_millis(250);

/// Captures, compares and stores until SIGTERM or SIGINT.
pub(crate) fn run(args: &RunArgs) -> Result<(), Failure> {
    let mut config = Config::load(&args.config).map_err(Failure::usage)?;
    config.warnings.iter().for_each(|warning| warn!("{warning}"));
    if !args.interfaces.is_empty() {
        config.interfaces.clone_from(&args.interfaces);
    }
    if let Some(twice) = config::captured_twice(&config.interfaces) {
        return Err(Failure::usage(twice));
    }
    if let Some(path) = &args.store {
        config.store.clone_from(path);
    }
    if config.interfaces.is_empty() {
        return Err(Failure::usage(format!(
            "{}: no interface to capture on: set interfaces = [\"eth0\"] in [capture], or give \
             --interface",
            args.config.display()
        )));
    }
    // Signals are caught before capture begins, so that none sent from then on is missed.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|why| Failure::environment(format!("the signal loop cannot start: {why}")))?;
    let signals = runtime.block_on(async { Signals::catch() })?;

    // Without the right to capture, no store is made.
    let interfaces = live::open(&config)?;
    let store = SqliteStore::create_or_open(&config.store)?;
    let live = Live::start(&config, interfaces, Box::new(store))?;
    info!(
        interfaces = config.interfaces.join(","),
        services = config.services.len(),
        store = %config.store.display(),
        config_digest = config.digest(),
        "capturing"
    );
    let reason = runtime.block_on(wait(signals, &live));
    info!(reason, "stopping: what was captured is compared and stored first");
    let ended_alone = live.has_ended();
    live.stop()?;
    if ended_alone {
        return Err(Failure::environment("capture ended by itself: see the log above"));
    }
    info!("stopped");
    Ok(())
}

struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

impl Signals {
    fn catch() -> Result<Self, Failure> {
        let catch =
            |kind| signal(kind).map_err(|why| Failure::environment(format!("signals: {why}")));
        Ok(Self {
            terminate: catch(SignalKind::terminate())?,
            interrupt: catch(SignalKind::interrupt())?,
            hangup: catch(SignalKind::hangup())?,
        })
    }
}

/// Until there is a reason to stop.
async fn wait(mut signals: Signals, live: &Live) -> &'static str {
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => return "SIGTERM",
            _ = signals.interrupt.recv() => return "SIGINT",
            _ = signals.hangup.recv() => {
                warn!("SIGHUP: the configuration is read at the start only; restart to change it");
            }
            () = tokio::time::sleep(LOOK) => {
                if live.has_ended() {
                    return "a thread ended";
                }
            }
        }
    }
}

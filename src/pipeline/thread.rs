//! Threads with names.

use std::thread::JoinHandle;

use crate::failure::Failure;

/// Starts one.
pub(super) fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, Failure> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map_err(|why| Failure::environment(format!("thread {name} cannot be started: {why}")))
}

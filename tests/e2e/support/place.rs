//! Where a part of the scene runs: on the host or inside a network namespace.

use std::fs::File;
use std::os::fd::AsFd;
use std::process::Command;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// The network that a thread or a process sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The test process's own.
    Host,
    /// A namespace made by `ip netns add`.
    Namespace(String),
}

impl Place {
    /// Moves the calling thread there for the rest of its life: sockets it opens from now on
    /// belong to that network.
    pub(crate) fn enter(&self) {
        if let Self::Namespace(name) = self {
            let path = format!("/run/netns/{name}");
            let file = File::open(&path).unwrap_or_else(|e| panic!("{path}: {e}"));
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))
                .unwrap_or_else(|e| panic!("cannot enter namespace {name}: {e}"));
        }
    }

    /// Runs `work` there, on a thread of its own, and waits for it.
    pub(crate) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                self.enter();
                work()
            });
            match thread.join() {
                Ok(value) => value,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// A command that will run there. `ip netns exec` replaces itself by the program, so the
    /// child's process id is the program's own.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        match self {
            Self::Host => Command::new(program),
            Self::Namespace(name) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", name]).arg(program);
                command
            }
        }
    }
}

//! A child process that never outlives its test, and what it wrote to standard error.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::wait_for;

/// A running child. Killed when dropped.
pub(crate) struct Process {
    name: String,
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
    reader: Option<JoinHandle<()>>,
}

impl Process {
    /// Starts `command` with its standard error read line by line.
    pub(crate) fn start(name: &str, command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start {name} ({command:?}): {e}"));
        let stderr = child.stderr.take().expect("standard error was asked to be a pipe");
        let (sender, lines) = channel();
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                // A test that has ended no longer listens; the pipe is drained all the same.
                let _ = sender.send(line);
            }
        });
        Self { name: name.to_owned(), child, lines, seen: Vec::new(), reader: Some(reader) }
    }

    /// Waits until a line of standard error contains `text`, and gives that line.
    pub(crate) fn wait_for_line(&mut self, text: &str) -> String {
        loop {
            match self.lines.recv_timeout(Duration::from_secs(60)) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    panic!("{} never said '{text}':\n{}", self.name, self.seen.join("\n"))
                }
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("{} ended before it said '{text}':\n{}", self.name, self.seen.join("\n"))
                }
            }
        }
    }

    /// Fails the test with the child's own words where it has ended.
    pub(crate) fn assert_running(&mut self) {
        if let Ok(Some(status)) = self.child.try_wait() {
            let said = self.rest().join("\n");
            panic!("{} ended with {status}:\n{said}", self.name);
        }
    }

    /// Sends `signal`.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a child has a positive process id"), signal)
            .unwrap_or_else(|e| panic!("cannot signal {}: {e}", self.name));
    }

    /// The state of each of its threads, as proc(5) writes it: `T` is stopped.
    pub(crate) fn threads(&self) -> Vec<char> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id()));
        let states = tasks.into_iter().flatten().flatten().filter_map(|task| {
            let stat = std::fs::read_to_string(task.path().join("stat")).ok()?;
            // The name before it is in parentheses and may hold any character.
            stat.rsplit_once(") ")?.1.chars().next()
        });
        states.collect()
    }

    /// Sends `signal`, waits for the end and gives the status and all of standard error.
    pub(crate) fn stop(mut self, signal: Signal) -> (ExitStatus, String) {
        self.assert_running();
        self.signal(signal);
        let name = self.name.clone();
        let child = &mut self.child;
        let status = wait_for(&format!("{name} to end"), || {
            child.try_wait().unwrap_or_else(|e| panic!("cannot wait for {name}: {e}"))
        });
        (status, self.rest().join("\n"))
    }

    fn rest(&mut self) -> Vec<String> {
        if let Some(reader) = self.reader.take() {
            // Ends by itself: the pipe was closed when the child ended.
            let _ = reader.join();
        }
        self.seen.extend(self.lines.try_iter());
        self.seen.clone()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

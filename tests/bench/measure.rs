//! What a command costs: CPU seconds and peak memory of exactly that process.
//!
//! `getrusage(RUSAGE_CHILDREN)` adds up all children a process ever waited for. So every command
//! runs below a fresh process of this binary, which waits for that one child and prints its figures
//! on one line: `user_us system_us peak_kib exit_status`.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;

/// First argument that makes this binary measure: then the file for the command's standard output,
/// and the command.
pub(crate) const MODE: &str = "--measure-child";

/// What one run cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cost {
    /// User and system time of all threads.
    pub(crate) cpu_s: f64,
    /// The largest resident set.
    pub(crate) peak_mib: f64,
}

/// Runs `program` with `arguments`, its standard output into `output`.
///
/// # Errors
///
/// When it cannot be run, or fails: with the end of what it said on standard error.
pub(crate) fn run(
    program: &Path,
    arguments: &[OsString],
    output: &Path,
) -> Result<Cost, Box<dyn std::error::Error>> {
    let measured = Command::new(std::env::current_exe()?)
        .arg(MODE)
        .arg(output)
        .arg(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()?;
    let complaint = || {
        let said = String::from_utf8_lossy(&measured.stderr);
        let mut last: Vec<&str> = said.trim_end().lines().rev().take(5).collect();
        last.reverse();
        format!("{} failed: {}", program.display(), last.join("; "))
    };
    let line = String::from_utf8_lossy(&measured.stdout);
    let figures: Vec<i64> = line.split_whitespace().flat_map(str::parse).collect();
    let [user_us, system_us, peak_kib, 0] = figures[..] else {
        return Err(complaint().into());
    };
    Ok(Cost { cpu_s: (user_us + system_us) as f64 / 1e6, peak_mib: peak_kib as f64 / 1024.0 })
}

/// The other side of [`run`]: `arguments` are those after [`MODE`].
///
/// # Errors
///
/// When the command cannot be run.
pub(crate) fn child(arguments: &[OsString]) -> io::Result<()> {
    let [output, program, arguments @ ..] = arguments else {
        return Err(io::Error::other("needs a file and a command"));
    };
    let status =
        Command::new(program).args(arguments).stdout(std::fs::File::create(output)?).status()?;
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    println!(
        "{} {} {} {}",
        usage.user_time().num_microseconds(),
        usage.system_time().num_microseconds(),
        usage.max_rss(),
        status.code().unwrap_or(-1),
    );
    Ok(())
}

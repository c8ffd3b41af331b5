//! Standard output: colour only for a terminal, and a reader that went away is no error.

use std::io::{self, ErrorKind, Write};

use crate::failure::Failure;

/// Prints `text`, which may carry colour; it is stripped where it is not wanted.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = anstream::AutoStream::auto(io::stdout().lock());
    finish(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// Prints a value as JSON with a newline at the end.
pub(crate) fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let mut text = serde_json::to_string_pretty(value)
        .map_err(|why| Failure::environment(format!("the answer is no JSON: {why}")))?;
    text.push('\n');
    finish(io::stdout().lock().write_all(text.as_bytes()))
}

/// Whether the write went well; a broken pipe counts as done.
pub(crate) fn finish(written: io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(why) if why.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::environment(format!("standard output: {why}")))
        }
        _ => Ok(()),
    }
}

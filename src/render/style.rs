//! The few colours there are, each with one meaning.

use std::fmt::Display;

use anstyle::{AnsiColor, Style};

/// A heading.
pub(crate) fn heading(text: impl Display) -> String {
    paint(Style::new().bold(), text)
}

/// What differs, or fails.
pub(crate) fn bad(text: impl Display) -> String {
    paint(AnsiColor::Red.on_default(), text)
}

/// What is as it should be.
pub(crate) fn good(text: impl Display) -> String {
    paint(AnsiColor::Green.on_default(), text)
}

/// What wants a look: lost, cut, shed.
pub(crate) fn caution(text: impl Display) -> String {
    paint(AnsiColor::Yellow.on_default(), text)
}

/// What is there for completeness.
pub(crate) fn quiet(text: impl Display) -> String {
    paint(Style::new().dimmed(), text)
}

/// The message of a failed command.
pub(crate) fn error(message: &str) -> String {
    format!("{}: {message}", paint(AnsiColor::Red.on_default().bold(), "tapdiff"))
}

fn paint(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

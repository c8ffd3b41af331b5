//! How answers look to people. Text may carry colour; `output` strips it where it is not wanted.

pub(crate) mod ack;
pub(crate) mod gate;
mod json;
mod printable;
pub(crate) mod report;
pub(crate) mod rules;
pub(crate) mod show;
pub(crate) mod style;
mod table;
mod units;

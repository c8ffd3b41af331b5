//! One file per command: flags in, work, answer out.

pub(crate) mod ack;
pub(crate) mod analyze;
pub(crate) mod check_config;
pub(crate) mod exchanges;
pub(crate) mod gate;
pub(crate) mod manual;
pub(crate) mod report;
pub(crate) mod rules;
pub(crate) mod run;
pub(crate) mod show;
pub(crate) mod window;

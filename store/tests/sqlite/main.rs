//! The embedded store, from judged traffic to answers.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking, helpers included")]

mod files;
mod redaction;
mod report;
mod traffic;

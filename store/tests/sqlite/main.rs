//! The embedded store, from judged traffic to answers.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking, helpers included")]

mod audit;
mod examples;
mod files;
mod migration;
mod rebuilt;
mod redaction;
mod releases;
mod report;
mod traffic;
mod verdict;

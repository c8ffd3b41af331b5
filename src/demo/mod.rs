//! The demo: live traffic with known differences, and whether the report names them.
//!
//! Needs nothing but this binary. [`Stage`] puts a primary, a shadow and a proxy that mirrors as
//! Envoy does on free ports of 127.0.0.1 and plays a [`Plan`] whose differences are counted before
//! the first packet; [`verdict()`] holds the report against them. What is between, capture and
//! comparison, is what `tapdiff run` does, and knows nothing of the plan.
//!
//! This is the only part of tapdiff that sends requests, and it sends them to itself.

mod backend;
mod perform;
mod plan;
mod proxy;
mod server;
mod stage;
mod upstream;
mod verdict;

pub(crate) use perform::demo;
use plan::{IGNORE_RULES, Plan, Played};
use stage::{Stage, StageError};
use verdict::verdict;

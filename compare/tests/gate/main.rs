//! The gate from outside: what it promises over many runs, what it says, and what it survives.

#![expect(clippy::unwrap_used, reason = "a test that cannot make its data must fail")]

mod hostile;
mod reasons;
mod simulation;
mod traffic;

//! The gate from outside: what it promises over many runs, what it says, and what it survives.

mod hostile;
mod reasons;
mod simulation;
mod traffic;

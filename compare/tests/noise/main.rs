//! What varies by itself is not reported, and a real change beside or in it is: over a service that
//! has all kinds of both.

#![expect(clippy::unwrap_used, reason = "a test that cannot make its data must fail")]

mod promise;
mod service;
mod traps;
mod trial;

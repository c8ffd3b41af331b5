//! End to end: real Envoy between a client and two backends, the real binary on the wire, and what
//! it reports.
//!
//! What each test injects is known in advance and nothing else may be reported. Nothing here
//! reads the program's insides: tests start `tapdiff` as a person would and read its output.
//!
//! They need root (live capture, network namespaces), Envoy (`tests/install-envoy.sh`) and some
//! of Debian's tools (`tests/install-tools.sh`). What is missing fails a test with a sentence that
//! says so; no test passes by being skipped.
#![expect(clippy::unwrap_used, reason = "what a test did not expect has to fail it")]

mod bad_input;
mod corpus;
mod demo;
mod drain;
mod envoy_faults;
mod envoy_grpc;
mod envoy_h2c;
mod envoy_loopback;
mod envoy_netns;
mod envoy_tls;
mod exchanges;
mod gate;
mod live_equals_file;
mod live_starved;
mod live_threads;
mod routes;
mod rules;
mod support;

//! Primary, shadow and the proxy between, on loopback, and a client that plays a plan.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header;
use hyper::{Request, StatusCode};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{MissedTickBehavior, interval};

use super::backend::{self, Role};
use super::plan::{Call, Endpoint, HOST, Plan, Played, SHADOW_DELAY};
use super::proxy::Proxy;
use super::server::Server;
use super::upstream::{Upstream, UpstreamError};

/// Requests in flight. When as many are, the next waits for one of them.
const IN_FLIGHT: usize = 16;

/// Two backends and a mirroring proxy, serving from [`start`](Self::start) to
/// [`close`](Self::close).
#[derive(Debug)]
pub(crate) struct Stage {
    primary: Server,
    shadow: Server,
    proxy: Proxy,
    plan: Plan,
}

impl Stage {
    /// Starts all three on free ports of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// [`StageError::Bind`] when no port can be bound.
    pub(crate) async fn start(plan: Plan) -> Result<Self, StageError> {
        let primary = backend::start(Role::Primary, plan.seed).await.map_err(StageError::Bind)?;
        let shadow = backend::start(Role::Shadow, plan.seed).await.map_err(StageError::Bind)?;
        let proxy = Proxy::start(primary.address(), shadow.address(), plan.seed)
            .await
            .map_err(StageError::Bind)?;
        Ok(Self { primary, shadow, proxy, plan })
    }

    /// Where the primary listens.
    pub(crate) const fn primary(&self) -> SocketAddr {
        self.primary.address()
    }

    /// Where the shadow listens.
    pub(crate) const fn shadow(&self) -> SocketAddr {
        self.shadow.address()
    }

    /// Sends the plan's calls through the proxy and reads the answers. After each answer
    /// `progress` is told how many have come, and of how many.
    ///
    /// # Errors
    ///
    /// When a call has no answer, or not the one that its endpoint gives.
    pub(crate) async fn play(
        &self,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<Played, StageError> {
        let calls = &self.plan.calls;
        let total = calls.len() as u64;
        let proxy = Arc::new(Upstream::new(self.proxy.address()));
        // Zero is no interval: then nothing is waited for but answers.
        let mut pace = (!self.plan.pace.is_zero()).then(|| {
            let mut pace = interval(self.plan.pace);
            pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
            pace
        });
        let mut in_flight = JoinSet::new();
        let mut answered = 0;
        let mut settle = |result: Result<Result<(), StageError>, JoinError>| {
            result.map_err(StageError::Client)??;
            answered += 1;
            progress(answered, total);
            Ok(())
        };
        for &call in calls {
            if let Some(pace) = &mut pace {
                pace.tick().await;
            }
            if in_flight.len() == IN_FLIGHT
                && let Some(result) = in_flight.join_next().await
            {
                settle(result)?;
            }
            let proxy = Arc::clone(&proxy);
            in_flight.spawn(async move { ask(&proxy, call).await });
            while let Some(result) = in_flight.try_join_next() {
                settle(result)?;
            }
        }
        while let Some(result) = in_flight.join_next().await {
            settle(result)?;
        }
        Ok(Played {
            requests: total,
            injected: self.plan.injected(),
            slower: (Endpoint::Search.template(), SHADOW_DELAY),
        })
    }

    /// Waits until the shadow has answered every copy, and ends all three.
    ///
    /// # Errors
    ///
    /// [`StageError::CopiesLost`] when the shadow did not answer some: then no report can have the
    /// planned counts.
    pub(crate) async fn close(self) -> Result<(), StageError> {
        match self.proxy.close().await {
            0 => Ok(()),
            count => Err(StageError::CopiesLost { count }),
        }
    }
}

/// Sends one call and checks the answer's status.
async fn ask(proxy: &Upstream, call: Call) -> Result<(), StageError> {
    let failed = |reason| StageError::Request { target: call.target(), reason };
    let mut request = Request::builder()
        .method(call.method())
        .uri(call.target())
        .header(header::HOST, HOST)
        .header(header::ACCEPT_ENCODING, "gzip");
    let mut expected = StatusCode::OK;
    if call.endpoint == Endpoint::Order {
        // Some clients bring their own id, which the proxy keeps.
        request = request
            .header(header::CONTENT_TYPE, "application/json")
            .header("x-request-id", format!("order-{}", call.n));
        expected = StatusCode::CREATED;
    }
    let request = request
        .body(Full::<Bytes>::from(call.body()))
        .map_err(|error| failed(Reason::Malformed(error)))?;
    let answer = proxy.send(request).await.map_err(|error| failed(Reason::NoAnswer(error)))?;
    if answer.status() == expected { Ok(()) } else { Err(failed(Reason::Status(answer.status()))) }
}

/// Why the demo's traffic did not run as planned.
#[derive(Debug)]
pub(crate) enum StageError {
    /// No port on loopback.
    Bind(io::Error),
    /// A call was not answered as its endpoint does.
    Request {
        /// The request's target.
        target: String,
        /// What came instead.
        reason: Reason,
    },
    /// The client itself failed.
    Client(JoinError),
    /// The shadow did not answer as many copies.
    CopiesLost {
        /// How many.
        count: u64,
    },
}

impl fmt::Display for StageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind(error) => write!(f, "cannot listen on 127.0.0.1: {error}"),
            Self::Request { target, reason } => write!(f, "demo request {target}: {reason}"),
            Self::Client(error) => write!(f, "demo client: {error}"),
            Self::CopiesLost { count } => {
                write!(f, "the demo's shadow left {count} copies unanswered; run the demo again")
            }
        }
    }
}

impl std::error::Error for StageError {}

/// What came instead of an answer.
#[derive(Debug)]
pub(crate) enum Reason {
    /// The call makes no request.
    Malformed(hyper::http::Error),
    /// No answer came.
    NoAnswer(UpstreamError),
    /// The primary answered with another status.
    Status(StatusCode),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(error) => error.fmt(f),
            Self::NoAnswer(error) => error.fmt(f),
            Self::Status(status) => write!(f, "answered with {status}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read as _;
    use std::time::Duration;

    use flate2::read::GzDecoder;
    use hyper::Response;
    use serde_json::{Map, Value};

    use super::*;
    use crate::demo::plan::{IGNORE_RULES, Injected};

    /// The members that the demo's rules ignore at any depth.
    const NOISE: [&str; 3] = ["generated_at", "server", "trace_id"];

    #[tokio::test]
    async fn the_two_backends_differ_by_what_the_plan_injects_and_by_noise() {
        let stage = Stage::start(Plan::new(3, Duration::ZERO)).await.unwrap();
        let (primary, shadow) = (Upstream::new(stage.primary()), Upstream::new(stage.shadow()));
        let mut found = BTreeMap::new();
        // Searches are slow on the shadow: some stand for all.
        let quick = |call: &&Call| call.endpoint != Endpoint::Search || call.n.is_multiple_of(12);
        for call in stage.plan.calls.iter().filter(quick) {
            let request = || {
                Request::builder()
                    .method(call.method())
                    .uri(call.target())
                    .header(header::HOST, HOST)
                    .body(Full::from(call.body()))
                    .unwrap()
            };
            let (ours, theirs) =
                tokio::try_join!(primary.send(request()), shadow.send(request())).unwrap();
            assert_ne!(ours.headers()["x-backend"], theirs.headers()["x-backend"]);
            assert_ne!(ours.headers()["etag"], theirs.headers()["etag"]);
            for (kind, path, change) in differences(&ours, &theirs) {
                *found.entry((call.endpoint.template(), kind, path, change)).or_insert(0) += 1;
            }
        }
        let injected: BTreeMap<_, u64> = stage
            .plan
            .injected()
            .into_iter()
            .map(|Injected { endpoint, kind, path, change, count }| {
                ((endpoint, kind, path.to_owned(), change), count)
            })
            .collect();
        assert_eq!(found, injected);
    }

    #[tokio::test]
    async fn every_call_of_the_plan_is_answered_and_copied() {
        let stage = Stage::start(Plan::new(3, Duration::ZERO)).await.unwrap();
        let mut seen = Vec::new();
        let played = stage.play(|answered, total| seen.push((answered, total))).await.unwrap();
        stage.close().await.unwrap();
        assert_eq!(seen, (1..=600).map(|n| (n, 600)).collect::<Vec<_>>());
        assert_eq!(played.requests, 600);
        assert_eq!(played.slower, ("GET /api/search", Duration::from_millis(30)));
    }

    #[test]
    fn every_noise_field_has_a_rule() {
        for member in NOISE {
            assert!(IGNORE_RULES.contains(&format!("body:/**/{member}").as_str()));
        }
        assert!(IGNORE_RULES.contains(&"header:x-backend"));
        assert!(IGNORE_RULES.contains(&"header:etag"));
    }

    /// Kind, path and change of what differs between two answers, noise left out.
    fn differences(
        primary: &Response<Bytes>,
        shadow: &Response<Bytes>,
    ) -> Vec<(&'static str, String, &'static str)> {
        if primary.status() != shadow.status() {
            return vec![("status", String::new(), "value")];
        }
        let (primary, shadow) = (document(primary), document(shadow));
        let mut found = Vec::new();
        for (name, value) in &primary {
            match shadow.get(name) {
                None => found.push(("body", format!("/{name}"), "missing")),
                Some(other) if other != value => found.push(("body", format!("/{name}"), "value")),
                Some(_) => {}
            }
        }
        let added = shadow.keys().filter(|name| !primary.contains_key(*name));
        found.extend(added.map(|name| ("body", format!("/{name}"), "added")));
        found
    }

    fn document(answer: &Response<Bytes>) -> Map<String, Value> {
        let mut text = Vec::new();
        if answer.headers().contains_key(header::CONTENT_ENCODING) {
            GzDecoder::new(&answer.body()[..]).read_to_end(&mut text).unwrap();
        } else {
            text.extend_from_slice(answer.body());
        }
        let mut document = serde_json::from_slice(&text).unwrap();
        silence(&mut document);
        document.as_object().unwrap().clone()
    }

    fn silence(value: &mut Value) {
        match value {
            Value::Object(members) => {
                members.retain(|name, _| !NOISE.contains(&name.as_str()));
                members.values_mut().for_each(silence);
            }
            Value::Array(elements) => elements.iter_mut().for_each(silence),
            _ => {}
        }
    }
}

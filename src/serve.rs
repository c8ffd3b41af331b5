//! What the daemon answers over HTTP: whether it is alive, and the verdict.
//!
//! | path | answer |
//! |---|---|
//! | `/healthz` | 200 |
//! | `/verdict?service=…[&release=…]` | the verdict as JSON: 200 pass, 409 fail, 425 inconclusive; 404 where no service has that name |
//!
//! Never in the way of capture: it has a thread of its own, and reads the store as any other reader
//! does. Bounded: [`CONNECTIONS`] at once, each for [`CONNECTION_TIME`] at most, heads of
//! [`HEAD_BYTES`]; one verdict is worked out at a time, and kept for a while.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use compare::gate::{Decision, Policy};
use http_body_util::Full;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use store::{Query, ReleaseQuery, SqliteStore, Store, StoreError};
use tokio::sync::{Mutex, Semaphore};

use crate::command::window::now;
use crate::config::Config;
use crate::failure::Failure;
use crate::verdict::Verdict;

/// Connections at once; one more is closed.
const CONNECTIONS: usize = 32;

/// How long a connection may last.
const CONNECTION_TIME: Duration = Duration::from_secs(60);

/// How long a request's head may take.
const HEAD_TIME: Duration = Duration::from_secs(5);

/// Bytes of a request's head; a longer one is refused.
const HEAD_BYTES: usize = 16 << 10;

/// Verdicts that are kept; beyond it the oldest is dropped.
const ANSWERS: usize = 64;

/// How long a verdict is kept at least.
const FRESH: Duration = Duration::from_secs(1);

/// A verdict is kept so many times as long as it took to work out: asking again and again costs at
/// most a tenth of a processor.
const FRESH_TIMES: u32 = 10;

/// Takes the address. Fails where someone else has it.
pub(crate) fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    let bound = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    bound.map_err(|why| {
        Failure::environment(format!(
            "cannot listen on {address}: {why}; set another listen in [http], or listen = \"\" for \
             none"
        ))
    })
}

/// What there is to be asked.
pub(crate) struct Oracle {
    policy: Policy,
    store: PathBuf,
    services: Vec<Arc<str>>,
    answers: Mutex<HashMap<Question, Answer>>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Question {
    service: String,
    release: Option<String>,
}

#[derive(Clone)]
struct Answer {
    status: StatusCode,
    body: Bytes,
    /// Until when it is given again.
    good_until: Instant,
}

impl Oracle {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            policy: config.gate.clone(),
            store: config.store.clone(),
            services: config.services.iter().map(|service| Arc::clone(&service.name)).collect(),
            answers: Mutex::default(),
        }
    }

    /// Answers whoever connects, for as long as it is polled.
    pub(crate) async fn serve(self, listener: TcpListener) {
        let oracle = Arc::new(self);
        let room = Arc::new(Semaphore::new(CONNECTIONS));
        let listener = match tokio::net::TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(why) => {
                tracing::warn!("HTTP is not answered: {why}");
                return std::future::pending().await;
            }
        };
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                // Out of file descriptors, or the peer went away: neither goes on for ever.
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            let Ok(place) = Arc::clone(&room).try_acquire_owned() else { continue };
            let oracle = Arc::clone(&oracle);
            tokio::spawn(async move {
                let answer = service_fn(|request| {
                    let oracle = Arc::clone(&oracle);
                    async move { Ok::<_, Infallible>(oracle.answer(&request).await) }
                });
                let connection = hyper::server::conn::http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEAD_TIME)
                    .max_buf_size(HEAD_BYTES)
                    .serve_connection(TokioIo::new(stream), answer);
                // Whatever goes wrong on a connection is its peer's.
                let _ = tokio::time::timeout(CONNECTION_TIME, connection).await;
                drop(place);
            });
        }
    }

    async fn answer<B>(self: &Arc<Self>, request: &Request<B>) -> Response<Full<Bytes>> {
        if request.method() != Method::GET && request.method() != Method::HEAD {
            let said = error("only GET is answered");
            let mut response = response(StatusCode::METHOD_NOT_ALLOWED, said);
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        match request.uri().path() {
            "/healthz" => response(StatusCode::OK, json(&Health { alive: true })),
            "/verdict" => match self.question(request.uri().query().unwrap_or_default()) {
                Ok(question) => {
                    let Answer { status, body, .. } = self.verdict(question).await;
                    response(status, body)
                }
                Err((status, said)) => response(status, error(&said)),
            },
            _ => response(StatusCode::NOT_FOUND, error("there are /healthz and /verdict")),
        }
    }

    /// Reads what is asked.
    fn question(&self, query: &str) -> Result<Question, (StatusCode, String)> {
        let (mut service, mut release) = (None, None);
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "service" => service = Some(value.into_owned()),
                "release" => release = Some(value.into_owned()),
                other => {
                    let said =
                        format!("unknown parameter '{other}': there are service and release");
                    return Err((StatusCode::BAD_REQUEST, said));
                }
            }
        }
        let known = || self.services.iter().map(|name| &**name).collect::<Vec<_>>().join(", ");
        let service = match (service, &self.services[..]) {
            (Some(service), _) => service,
            (None, [only]) => only.to_string(),
            (None, _) => {
                let said = format!("say which service: /verdict?service=…; there are {}", known());
                return Err((StatusCode::BAD_REQUEST, said));
            }
        };
        if !self.services.iter().any(|known| **known == *service) {
            let said = format!("no service '{service}' is configured; there is {}", known());
            return Err((StatusCode::NOT_FOUND, said));
        }
        Ok(Question { service, release })
    }

    /// The verdict, worked out anew where the one that is known is too old.
    async fn verdict(self: &Arc<Self>, question: Question) -> Answer {
        // Held while it is worked out: one at a time, and who waits for the same gets the same.
        let mut answers = self.answers.lock().await;
        if let Some(known) = answers.get(&question)
            && Instant::now() < known.good_until
        {
            return known.clone();
        }
        let (oracle, asked) = (Arc::clone(self), question.clone());
        let began = Instant::now();
        let found = tokio::task::spawn_blocking(move || oracle.decide(&asked)).await;
        let (status, body) = match found {
            Ok(Ok(verdict)) => (status(verdict.decision), json(&verdict)),
            Ok(Err(why)) => (StatusCode::SERVICE_UNAVAILABLE, error(&why.to_string())),
            Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, error("the verdict failed: see the log")),
        };
        let good_until = Instant::now() + FRESH.max(began.elapsed() * FRESH_TIMES);
        let answer = Answer { status, body, good_until };
        if answers.len() >= ANSWERS && !answers.contains_key(&question) {
            let oldest = answers.iter().min_by_key(|(_, answer)| answer.good_until);
            if let Some(oldest) = oldest.map(|(question, _)| question.clone()) {
                answers.remove(&oldest);
            }
        }
        answers.insert(question, answer.clone());
        answer
    }

    fn decide(&self, question: &Question) -> Result<Verdict, StoreError> {
        let query = Query {
            service: Some(question.service.clone()),
            release: question.release.as_deref().map(ReleaseQuery::parse),
            as_of: Some(now()),
            ..Query::default()
        };
        let found = SqliteStore::open_read_only(&self.store)?.evidence(&query)?;
        Ok(match found.first() {
            Some(found) => Verdict::new(&self.policy, found),
            None => Verdict::of_nothing(&self.policy, &question.service),
        })
    }
}

fn status(decision: Decision) -> StatusCode {
    match decision {
        Decision::Pass => StatusCode::OK,
        Decision::Fail => StatusCode::CONFLICT,
        Decision::Inconclusive => StatusCode::TOO_EARLY,
    }
}

#[derive(Serialize)]
struct Health {
    alive: bool,
}

#[derive(Serialize)]
struct Refusal<'a> {
    error: &'a str,
}

fn error(said: &str) -> Bytes {
    json(&Refusal { error: said })
}

fn json(value: &impl Serialize) -> Bytes {
    let mut text = serde_json::to_vec_pretty(value).unwrap_or_default();
    text.push(b'\n');
    text.into()
}

fn response(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

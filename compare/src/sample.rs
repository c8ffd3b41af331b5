//! Exchanges for tests: everything has a default, and a test names only what it is about.

use std::time::Duration;

use capture::{
    Body, Evidence, Exchange, FieldsBuilder, Leg, Origin, Protocol, Request, Response, ServiceId,
    Timestamp, Timing, Version,
};

use crate::Divergence;

/// What the exchanges of one request look like: `GET /items/1` answered by `200 {}`.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    method: String,
    target: String,
    host: String,
    headers: Vec<(String, String)>,
    request_body: Vec<u8>,
    status: u16,
    response_headers: Vec<(String, String)>,
    trailers: Vec<(String, String)>,
    body: Vec<u8>,
    evidence: Evidence,
    answered: bool,
    start_us: u64,
    took_us: u64,
}

impl Sample {
    /// With this `x-request-id`, without one where it is empty.
    pub(crate) fn new(id: &str) -> Self {
        let headers = (!id.is_empty()).then(|| ("x-request-id".to_owned(), id.to_owned()));
        Self {
            method: "GET".into(),
            target: "/items/1".into(),
            host: "shop.example.com".into(),
            headers: headers.into_iter().collect(),
            request_body: Vec::new(),
            status: 200,
            response_headers: Vec::new(),
            trailers: Vec::new(),
            body: b"{}".to_vec(),
            evidence: Evidence::Complete,
            answered: true,
            start_us: 1_000_000,
            took_us: 1_000,
        }
    }

    pub(crate) fn method(mut self, method: &str) -> Self {
        self.method = method.into();
        self
    }

    pub(crate) fn target(mut self, target: &str) -> Self {
        self.target = target.into();
        self
    }

    pub(crate) fn host(mut self, host: &str) -> Self {
        self.host = host.into();
        self
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub(crate) fn request_body(mut self, body: &str) -> Self {
        self.request_body = body.into();
        self
    }

    pub(crate) fn status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    pub(crate) fn response_header(mut self, name: &str, value: &str) -> Self {
        self.response_headers.push((name.into(), value.into()));
        self
    }

    pub(crate) fn trailer(mut self, name: &str, value: &str) -> Self {
        self.trailers.push((name.into(), value.into()));
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// A response of this content type.
    pub(crate) fn content(self, media_type: &str, body: impl Into<Vec<u8>>) -> Self {
        self.response_header("content-type", media_type).body(body)
    }

    pub(crate) fn evidence(mut self, evidence: Evidence) -> Self {
        self.evidence = evidence;
        self
    }

    /// Without a response.
    pub(crate) fn unanswered(mut self, evidence: Evidence) -> Self {
        self.answered = false;
        self.evidence(evidence)
    }

    /// Starts at this time and takes this long, in microseconds.
    pub(crate) fn at_us(mut self, start_us: u64, took_us: u64) -> Self {
        (self.start_us, self.took_us) = (start_us, took_us);
        self
    }

    pub(crate) fn primary(self) -> Exchange {
        self.on(Leg::Primary)
    }

    pub(crate) fn shadow(self) -> Exchange {
        self.on(Leg::Shadow)
    }

    pub(crate) fn on(self, leg: Leg) -> Exchange {
        let mut fields = FieldsBuilder::new();
        fields.first_line(0, self.method.as_bytes());
        fields.first_line(1, self.target.as_bytes());
        fields.field(b"host", self.host.as_bytes());
        add(&mut fields, &self.headers);
        let request = Request {
            version: Version::Http11,
            fields: fields.build(),
            body: Body::from_bytes(&self.request_body),
            trailers: FieldsBuilder::new().build(),
        };
        let response = self.answered.then(|| {
            let (mut fields, mut trailers) = (FieldsBuilder::new(), FieldsBuilder::new());
            add(&mut fields, &self.response_headers);
            add(&mut trailers, &self.trailers);
            Response {
                version: Version::Http11,
                status: self.status,
                fields: fields.build(),
                body: Body::from_bytes(&self.body),
                trailers: trailers.build(),
            }
        });
        let at = |after_us| {
            Timestamp::ZERO + Duration::from_micros(self.start_us) + Duration::from_micros(after_us)
        };
        let answered = |at: Timestamp| self.answered.then_some(at);
        Exchange {
            origin: Some(Origin { service: ServiceId(0), leg }),
            client: ([10, 0, 0, 1], 40_000).into(),
            server: ([10, 0, 0, 2 + leg as u8], 8080).into(),
            protocol: Protocol::Http1,
            stream_id: None,
            request: Some(request),
            response,
            interim: Vec::new(),
            upgrade: None,
            timing: Timing {
                request_first: Some(at(0)),
                request_head: Some(at(0)),
                request_last: Some(at(self.took_us / 10)),
                response_first: answered(at(self.took_us / 2)),
                response_head: answered(at(self.took_us / 2)),
                response_last: answered(at(self.took_us)),
            },
            evidence: self.evidence,
        }
    }
}

fn add(fields: &mut FieldsBuilder, all: &[(String, String)]) {
    for (name, value) in all {
        fields.field(name.as_bytes(), value.as_bytes());
    }
}

/// Divergences as lines to be held against what a test expects:
/// `KIND PATH CHANGE: PRIMARY -> SHADOW`, with `none` for a side without a value.
pub(crate) fn written(divergences: &[Divergence]) -> Vec<String> {
    divergences
        .iter()
        .map(|divergence| {
            let side = |value: &Option<Box<str>>| value.as_deref().unwrap_or("none").to_owned();
            format!(
                "{} {} {}: {} -> {}",
                divergence.kind.as_str(),
                divergence.path,
                divergence.change.as_str(),
                side(&divergence.primary),
                side(&divergence.shadow)
            )
        })
        .collect()
}

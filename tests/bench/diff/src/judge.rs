//! The judge on pairs of documents.

use std::sync::Arc;
use std::time::Duration;

use capture::{
    Body, Evidence, Exchange, Fields, FieldsBuilder, Leg, Origin, Protocol, Request, Response,
    ServiceId, Timestamp, Timing, Version,
};
use compare::{Change, Judge, Judged, Policy, ServicePolicy, Window};

use crate::documents::Pair;
use crate::{Result, cpu_s};

/// Pairs made at once.
const BATCH: usize = 500;

/// CPU seconds to judge `pairs`.
///
/// # Errors
///
/// When not exactly the planted differences are found.
pub(crate) fn run(pairs: &[Pair]) -> Result<f64> {
    let planted: usize = pairs.iter().map(|pair| pair.planted).sum();
    let mut judge = judge();
    let (mut took, mut found) = (0.0, 0);
    let mut n = 0;
    // As they come from the wire: made a moment before they are judged.
    for part in pairs.chunks(BATCH) {
        let made: Vec<_> = part
            .iter()
            .zip(n..)
            .map(|(pair, n)| exchanges(n, pair.primary.as_bytes(), pair.shadow.as_bytes()))
            .collect();
        n += part.len() as u64;
        let mut judged = Vec::with_capacity(part.len());
        let before = cpu_s()?;
        for [primary, shadow] in made {
            judge.push(primary);
            judge.push(shadow);
            judged.extend(std::iter::from_fn(|| judge.poll()));
        }
        took += cpu_s()? - before;
        let pairs = judged.iter().filter_map(|judged| match judged {
            Judged::Pair(pair) => Some(pair.divergences.len()),
            _ => None,
        });
        found += pairs.sum::<usize>();
    }
    if found == planted { Ok(took) } else { Err(format!("{found} found of {planted}"))? }
}

/// CPU seconds to judge one pair, and the changes that were found.
pub(crate) fn one(primary: &[u8], shadow: &[u8]) -> Result<(f64, Vec<Change>)> {
    let [primary, shadow] = exchanges(0, primary, shadow);
    let mut judge = judge();
    let before = cpu_s()?;
    judge.push(primary);
    judge.push(shadow);
    let mut changes = Vec::new();
    while let Some(judged) = judge.poll() {
        if let Judged::Pair(pair) = judged {
            changes.extend(pair.divergences.iter().map(|divergence| divergence.change));
        }
    }
    Ok((cpu_s()? - before, changes))
}

fn judge() -> Judge {
    let policy = Policy { services: vec![ServicePolicy::new("shop")], window: Window::default() };
    Judge::new(Arc::new(policy))
}

fn exchanges(n: u64, primary: &[u8], shadow: &[u8]) -> [Box<Exchange>; 2] {
    [(Leg::Primary, primary), (Leg::Shadow, shadow)]
        .map(|(leg, body)| Box::new(exchange(n, leg, body)))
}

fn exchange(n: u64, leg: Leg, body: &[u8]) -> Exchange {
    let start = Timestamp::from_nanos(1_760_000_000_000_000_000) + Duration::from_millis(n);
    let port = if leg == Leg::Primary { 8080 } else { 9080 };
    Exchange {
        origin: Some(Origin { service: ServiceId(0), leg }),
        client: ([127, 0, 0, 1], 40_000).into(),
        server: ([127, 0, 0, 1], port).into(),
        protocol: Protocol::Http1,
        stream_id: None,
        request: Some(Request {
            version: Version::Http11,
            fields: fields(
                &["GET", &format!("/items/{n}")],
                &[("x-request-id", &format!("{n:032x}"))],
            ),
            body: Body::from_bytes(b""),
            trailers: Fields::default(),
        }),
        response: Some(Response {
            version: Version::Http11,
            status: 200,
            fields: fields(&["OK"], &[("content-type", "application/json")]),
            body: Body::from_bytes(body),
            trailers: Fields::default(),
        }),
        interim: Vec::new(),
        upgrade: None,
        timing: Timing {
            request_first: Some(start),
            request_head: Some(start),
            request_last: Some(start),
            response_first: Some(start + Duration::from_millis(4)),
            response_head: Some(start + Duration::from_millis(4)),
            response_last: Some(start + Duration::from_millis(5)),
        },
        evidence: Evidence::Complete,
    }
}

fn fields(first_line: &[&str], fields: &[(&str, &str)]) -> Fields {
    let mut builder = FieldsBuilder::new();
    for (part, value) in first_line.iter().enumerate() {
        builder.first_line(part, value.as_bytes());
    }
    for (name, value) in fields {
        builder.field(name.as_bytes(), value.as_bytes());
    }
    builder.build()
}

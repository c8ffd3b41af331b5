//! The shop that both backends serve, and what its new version does differently.
//!
//! Resources are `/api/vN/KIND/NUMBER`. Kinds: `items` (a JSON document of about 0.8 KB), `gz`
//! (items NUMBER to NUMBER+8 as an array, gzip, chunked), `chunked` (an item, chunked), `echo`
//! (the request's body), `rpc` (the request's body, and a `grpc-status` after it: over h2c only),
//! `nocontent` (204), `fail` (503 from both). HEAD works on all.
//!
//! The shadow differs by rule: `price` is 0.01 higher where NUMBER % 50 = 0, and `grpc-status` is
//! 13 instead of 0; `tags` is missing
//! where NUMBER % 100 = 1; the status is 500 with an error body where NUMBER % 200 = 2, whatever
//! the kind. `server` and `generated_at` differ in every item and `x-backend` in every response:
//! noise.

use std::io::Write;
use std::time::SystemTime;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::Method;

/// Which version of the shop answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// What clients get.
    Primary,
    /// What gets the copy.
    Shadow,
}

impl Version {
    /// The value of `x-backend` and `server`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Primary => "primary-1",
            Self::Shadow => "shadow-2",
        }
    }
}

/// Rules that silence the noise, and nothing else.
pub(crate) const IGNORE: [&str; 3] =
    ["header:x-backend", "body:/**/server", "body:/**/generated_at"];

/// Name and value.
pub(crate) type Field = (&'static str, &'static str);

/// What a backend answers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: Option<&'static str>,
    /// More of the header.
    pub(crate) fields: Vec<Field>,
    pub(crate) gzip: bool,
    pub(crate) chunked: bool,
    pub(crate) trailers: Vec<Field>,
    pub(crate) body: Bytes,
}

/// The answer of `version` to a request for `path` with `body`.
pub(crate) fn answer(version: Version, path: &str, body: Bytes) -> Answer {
    let json = Some("application/json");
    let plain =
        |status, content_type, body| Answer { status, content_type, body, ..Answer::default() };
    let Some((kind, number)) = resource(path) else {
        return plain(404, json, Bytes::from_static(b"{\"error\":\"no such resource\"}"));
    };
    if version == Version::Shadow && differs_in_status(number) {
        return plain(500, json, format!("{{\"error\":\"no stock for {number}\"}}").into());
    }
    match kind {
        "echo" => plain(200, Some("application/octet-stream"), body),
        "rpc" => {
            let fails = version == Version::Shadow && differs_in_price(number);
            Answer {
                trailers: vec![("grpc-status", if fails { "13" } else { "0" })],
                ..plain(200, Some("application/grpc"), body)
            }
        }
        "nocontent" => plain(204, None, Bytes::new()),
        "fail" => plain(503, Some("text/plain"), Bytes::from_static(b"closed for today\n")),
        "chunked" => Answer { chunked: true, ..plain(200, json, item(version, number).into()) },
        "gz" => {
            let items: Vec<_> = (number..number + 9).map(|n| item(version, n)).collect();
            Answer {
                gzip: true,
                chunked: true,
                ..plain(200, json, gzip(format!("[{}]", items.join(",")).as_bytes()))
            }
        }
        _ => plain(200, json, item(version, number).into()),
    }
}

/// One thing that the shadow does differently on purpose, as the report names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Difference {
    /// `status` or `body`.
    pub(crate) kind: &'static str,
    /// A pattern of JSON Pointers; `grpc` for a gRPC status, empty for another.
    pub(crate) path: &'static str,
    /// `value` or `missing`.
    pub(crate) change: &'static str,
}

/// What differs between the two answers to this request, once for each place.
pub(crate) fn differences(method: &Method, path: &str) -> Vec<Difference> {
    let Some((kind, number)) = resource(path) else { return Vec::new() };
    if differs_in_status(number) {
        return vec![Difference { kind: "status", path: "", change: "value" }];
    }
    if method == Method::HEAD {
        return Vec::new();
    }
    let (numbers, price, tags) = match kind {
        "rpc" if differs_in_price(number) => {
            return vec![Difference { kind: "status", path: "grpc", change: "value" }];
        }
        "rpc" | "echo" | "nocontent" | "fail" => return Vec::new(),
        "gz" => (number..number + 9, "/*/price", "/*/tags"),
        _ => (number..number + 1, "/price", "/tags"),
    };
    let mut found = Vec::new();
    for n in numbers {
        if differs_in_price(n) {
            found.push(Difference { kind: "body", path: price, change: "value" });
        }
        if differs_in_tags(n) {
            found.push(Difference { kind: "body", path: tags, change: "missing" });
        }
    }
    found
}

/// `GET /api/v1/items/17` is reported as `GET /api/v1/items/{id}`.
pub(crate) fn endpoint(method: &Method, path: &str) -> String {
    match path.rsplit_once('/') {
        Some((front, _)) if resource(path).is_some() => format!("{method} {front}/{{id}}"),
        _ => format!("{method} {path}"),
    }
}

fn resource(path: &str) -> Option<(&str, u64)> {
    let (front, number) = path.rsplit_once('/')?;
    let (_, kind) = front.rsplit_once('/')?;
    Some((kind, number.parse().ok()?))
}

const fn differs_in_price(number: u64) -> bool {
    number.is_multiple_of(50)
}

const fn differs_in_tags(number: u64) -> bool {
    number % 100 == 1
}

const fn differs_in_status(number: u64) -> bool {
    number % 200 == 2
}

fn item(version: Version, number: u64) -> String {
    let shadow = version == Version::Shadow;
    let cents = 1_000 + (number * 37) % 9_000 + u64::from(shadow && differs_in_price(number));
    let tags = if shadow && differs_in_tags(number) {
        String::new()
    } else {
        format!(r#""tags":["new","t{}","season-{}"],"#, number % 7, number % 4)
    };
    let generated_at = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |d| d.as_nanos());
    format!(
        concat!(
            r#"{{"id":{id},"name":"Item no. {id}","price":{euros}.{cents:02},"currency":"EUR",{tags}"#,
            r#""description":"{description}","stock":{{"warehouse":"W{w}","count":{count},"#,
            r#""reserved":{r}}},"dimensions":{{"w":{w},"h":{r},"d":1.5,"unit":"cm"}},"#,
            r#""reviews":[{{"stars":{stars},"text":"as described"}},{{"stars":5,"text":null}}],"#,
            r#""available":true,"server":"{server}","generated_at":"{generated_at}"}}"#
        ),
        id = number,
        euros = cents / 100,
        cents = cents % 100,
        tags = tags,
        description = "Sturdy, washable, made to last. ".repeat(14),
        w = number % 5 + 1,
        count = number % 113,
        r = number % 11,
        stars = number % 5 + 1,
        server = version.name(),
        generated_at = generated_at,
    )
}

pub(super) fn gzip(content: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder
        .write_all(content)
        .and_then(|()| encoder.finish())
        .expect("writing to memory does not fail")
        .into()
}

//! The service: what it answers to which request, and what varies by itself in its answers.

use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};

use crate::answer::{Answer, Content, Sent};
use crate::quote::Quote;

/// Requests ask for one of so many things of each kind, so that the same request comes again.
pub(crate) const THINGS: u64 = 30;

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) kind: Kind,
    pub(crate) thing: u64,
    pub(crate) request_id: String,
}

/// Endpoints, by the type of their answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Item,
    Page,
    Feed,
    Form,
    Bundle,
    Image,
    Quote,
}

impl Kind {
    pub(crate) const ALL: [Self; 7] =
        [Self::Item, Self::Page, Self::Feed, Self::Form, Self::Bundle, Self::Image, Self::Quote];

    /// The kind of a request. Most of the classes of difference are of JSON, then of protobuf.
    pub(crate) fn any(rng: &mut Rng) -> Self {
        match rng.u8(..10) {
            0..4 => Self::Item,
            4..6 => Self::Quote,
            _ => Self::ALL[rng.usize(..Self::ALL.len())],
        }
    }
}

impl Asked {
    pub(crate) fn target(&self) -> String {
        let thing = self.thing + 1;
        match self.kind {
            Kind::Item => format!("/items/{thing}"),
            Kind::Page => format!("/pages/{thing}"),
            Kind::Feed => format!("/feeds/{thing}"),
            Kind::Form => format!("/forms/{thing}"),
            Kind::Bundle => format!("/bundles/{thing}"),
            Kind::Image => format!("/images/{thing}"),
            Kind::Quote => format!("/quotes/{thing}"),
        }
    }

    /// What any instance of the service answers.
    pub(crate) fn answer(&self) -> Answer {
        let (content_type, content) = match self.kind {
            Kind::Item => ("application/json", Content::Json(self.item())),
            Kind::Page => ("text/plain; charset=utf-8", Content::Lines(self.page())),
            Kind::Feed => ("application/xml; charset=utf-8", Content::Lines(self.feed())),
            Kind::Form => ("application/x-www-form-urlencoded", Content::Form(self.form())),
            Kind::Bundle => ("multipart/form-data", Content::Multipart(self.bundle())),
            Kind::Image => ("application/octet-stream", Content::Bytes(self.image())),
            Kind::Quote => ("application/x-protobuf", Content::Message(Quote::new(self.thing))),
        };
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        Answer {
            status: 200,
            fields: vec![
                field("content-type", content_type),
                field("server", "shop"),
                field("cache-control", "max-age=60, public"),
                field("set-cookie", "theme=dark; Path=/"),
                field("x-limit", &format!("{}", 100 + self.thing)),
            ],
            trailers: if self.kind == Kind::Page { vec![field("x-sum", "17")] } else { Vec::new() },
            content,
            sent: Sent::default(),
        }
    }

    fn item(&self) -> Value {
        let n = self.thing;
        json!({
            "id": n + 1,
            "sku": format!("SKU-{n:05}"),
            "name": format!("thing number {n} \u{e9}\u{1f600}"),
            "price": { "amount": 10.25 + n as f64, "currency": "EUR" },
            "big": 9_007_199_254_740_993_u64 + n,
            "ratio": 0.1,
            "available": true,
            "discount": null,
            "tags": ["red", "round", "soft"],
            "steps": ["cut", "fold", "glue", "press", "dry", "paint"],
            "variants": [
                { "id": 11, "size": "S", "stock": { "north": 3, "south": 4 } },
                { "id": 12, "size": "M", "stock": { "north": 5, "south": 0 } },
                { "id": 13, "size": "L", "stock": { "north": 1, "south": 9 } },
            ],
            "facets": ["new", "sale", "gift"],
            "lines": [{ "sku": "a", "qty": 1 }, { "sku": "b", "qty": 2 }, { "sku": "c", "qty": 3 }],
            "seller": { "name": "Ada", "address": { "city": "Berlin", "geo": { "lat": 52.5, "lon": 13.25 } } },
            "score": 4.5,
            "build": "v1.2.3",
        })
    }

    fn page(&self) -> Vec<String> {
        let mut lines: Vec<String> =
            (0..12).map(|n| format!("Line {n} of page {} says caf\u{e9}", self.thing)).collect();
        lines.push("the end".into());
        lines
    }

    fn feed(&self) -> Vec<String> {
        let mut lines = vec!["<?xml version=\"1.0\"?>".to_owned(), "<feed>".to_owned()];
        lines.extend(
            (0..8).map(|n| format!("  <entry><id>{n}</id> <of>{}</of></entry>", self.thing)),
        );
        lines.push("</feed>".into());
        lines
    }

    fn form(&self) -> Vec<(String, String)> {
        let field = |name: &str, value: String| (name.to_owned(), value);
        vec![
            field("name", format!("fizz buzz {}", self.thing)),
            field("size", "XL".into()),
            field("note", "a=b&c".into()),
        ]
    }

    fn bundle(&self) -> Vec<(&'static str, &'static str, Vec<u8>)> {
        let doc = json!({ "n": self.thing, "list": [1, 2, 3] }).to_string();
        vec![
            ("doc", "application/json", doc.into_bytes()),
            ("note", "text/plain", b"one\ntwo\nthree".to_vec()),
        ]
    }

    fn image(&self) -> Vec<u8> {
        let mut rng = Rng::with_seed(self.thing);
        (0..600).map(|_| rng.u8(..)).collect()
    }
}

/// One instance of the service: what it adds to an answer that is another with every answer.
#[derive(Debug)]
pub(crate) struct Instance {
    name: &'static str,
    rng: Rng,
    served: u64,
}

impl Instance {
    pub(crate) fn new(name: &'static str, seed: u64, served: u64) -> Self {
        Self { name, rng: Rng::with_seed(seed), served }
    }

    /// Makes `answer` this instance's own, given at `at`.
    pub(crate) fn vary(&mut self, answer: &mut Answer, asked: &Asked, at: Duration) {
        self.served += 1 + self.rng.u64(..3);
        let (etag, session) = (self.hex(16), self.hex(32));
        answer.set_field("date", &http_date(at));
        answer.set_field("etag", &format!("\"{etag}\""));
        answer.set_field("x-request-id", &asked.request_id);
        answer.set_field("x-backend", self.name);
        answer.set_field("x-served", &self.served.to_string());
        answer.fields.push(("set-cookie".into(), format!("session={session}; Path=/")));
        match &mut answer.content {
            Content::Json(item) => {
                let mut labels = ["north", "south", "east", "west", "up", "down"];
                self.rng.shuffle(&mut labels);
                item["labels"] = json!(labels);
                let mut facets: Vec<Value> = item["facets"].as_array().cloned().unwrap_or_default();
                self.rng.shuffle(&mut facets);
                item["facets"] = json!(facets);
                let mut lines: Vec<Value> = item["lines"].as_array().cloned().unwrap_or_default();
                self.rng.shuffle(&mut lines);
                item["lines"] = json!(lines);
                item["generated_at"] = json!(rfc3339_ms(at));
                item["cached_until"] = json!(at.as_millis() as u64 + 30_000);
                item["trace_id"] = json!(uuid(&mut self.rng));
                item["served"] = json!(self.served);
                item["meta"] = json!({ "nonce": self.hex(32), "signature": self.base64(43) });
                item["score"] = json!(4.5 + f64::from(self.rng.u32(..8)) / 1024.0);
                item["build"] = json!(format!("v1.2.3+{}", self.hex(7)));
            }
            Content::Lines(lines) if asked.kind == Kind::Page => {
                lines.insert(
                    1,
                    format!("generated {} by request {}", rfc3339_ms(at), asked.request_id),
                );
                lines.push(format!("worker: w-{}", self.hex(6)));
            }
            Content::Lines(lines) => lines.insert(2, format!("  <!-- {} -->", rfc3339_ms(at))),
            Content::Form(pairs) => {
                pairs.push(("token".into(), self.hex(40)));
                pairs.push(("at".into(), at.as_secs().to_string()));
            }
            Content::Multipart(parts) => {
                let run = json!({ "id": uuid(&mut self.rng), "at": rfc3339_ms(at) }).to_string();
                parts.push(("run", "application/json", run.into_bytes()));
            }
            Content::Message(Quote { fields, .. }) => {
                fields["madeAt"] = json!(rfc3339_ms(at));
                fields["traceId"] = json!(uuid(&mut self.rng));
                fields["served"] = json!(self.served.to_string());
                // Sixteen bytes in base64.
                fields["nonce"] = json!(format!("{}A==", self.base64(21)));
            }
            Content::Bytes(_) => {}
        }
    }

    fn hex(&mut self, digits: usize) -> String {
        (0..digits).map(|_| char::from(b"0123456789abcdef"[self.rng.usize(..16)])).collect()
    }

    fn base64(&mut self, digits: usize) -> String {
        (0..digits).map(|_| self.rng.alphanumeric()).collect()
    }
}

pub(crate) fn uuid(rng: &mut Rng) -> String {
    let (a, b, c, d, e) =
        (rng.u32(..), rng.u16(..), rng.u16(..) >> 4, rng.u16(..) >> 2, rng.u64(..) >> 16);
    format!("{a:08x}-{b:04x}-4{c:03x}-{:04x}-{e:012x}", 0x8000 | d)
}

fn rfc3339_ms(at: Duration) -> String {
    let time = jiff::Timestamp::from_millisecond(at.as_millis() as i64).unwrap();
    format!("{time:.3}")
}

fn http_date(at: Duration) -> String {
    let time = jiff::Timestamp::from_second(at.as_secs() as i64).unwrap();
    time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

/// What people would configure for it: what the service is known to do. All else is left to be
/// found out.
pub(crate) const CONFIG: &str = r#"
[[service]]
name = "shop"
primary = ["10.9.1.11:8080"]
shadow = ["10.9.1.12:8080"]
ignore = ["header:x-backend"]
descriptor_set = "shop.pb"

[[service.rule]]
name = "scores move a little"
tolerate = "body:/score"
absolute = 0.01

[[service.rule]]
name = "builds carry a commit"
normalise = "body:/build"
pattern = '\+[0-9a-f]{7}$'

[[service.rule]]
name = "facets have no order"
sort = "body:/facets"

[[service.rule]]
name = "lines are known by their sku"
key = "body:/lines"
by = "/sku"

[[service.rule]]
name = "workers have names"
endpoint = "GET /pages/*"
normalise = "body:"
pattern = 'w-[0-9a-f]{6}'

[[service.rule]]
name = "limits are not ours"
ignore = "header:x-lim*"
endpoint = "GET /images/*"

[[service.message]]
endpoint = "GET /quotes/*"
response = "shop.Quote"
"#;

/// The same with a second copy of the primary's version.
pub(crate) fn config_with_secondary() -> String {
    CONFIG.replacen("ignore = ", "secondary = [\"10.9.1.13:8080\"]\nignore = ", 1)
}

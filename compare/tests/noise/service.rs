//! A service whose answers vary by themselves, its shadow, and a second copy: seeded.
//!
//! Five endpoints: items as JSON, a cart as a form, a page as text, counters in headers, and orders,
//! of which no request comes twice. In them, new with every answer: points in time in several
//! forms, UUIDs, tokens, ETags, counters, the order of arrays, fields that are there at times, a flag
//! that few answers have. In one pair in twenty the shadow does something else: in a field beside
//! those, or in the type, presence or form of one of them.

use std::fmt::Write;
use std::net::SocketAddr;
use std::time::Duration;

use capture::{
    Body, Evidence, Exchange, FieldsBuilder, Leg, Origin, Protocol, Request, Response, ServiceId,
    Timestamp, Timing, Version,
};
use compare::{Change, Kind};
use fastrand::Rng;

/// 2026-11-21T07:42:33Z.
const START_S: u64 = 1_795_246_953;

/// Requests begin this far apart.
const APART_US: u64 = 2_000;

/// What the shadow does in one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    endpoint: Endpoint,
    /// What it does, for the service's own use.
    twist: &'static str,
    /// Where it is to be found: kind, pattern, change.
    pub(crate) found: (Kind, &'static str, Change),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Endpoint {
    Item,
    Cart,
    Page,
    Status,
    Order,
}

const fn fault(
    endpoint: Endpoint,
    twist: &'static str,
    kind: Kind,
    pattern: &'static str,
    change: Change,
) -> Fault {
    Fault { endpoint, twist, found: (kind, pattern, change) }
}

/// All of them.
pub(crate) const FAULTS: [Fault; 33] = {
    use Change::{Added, Format, Missing, Text, Type, Value};
    use Endpoint::{Cart, Item, Order, Page, Status};
    use Kind::{Body, Header};
    [
        // Beside what varies.
        fault(Item, "price", Body, "/price", Value),
        fault(Item, "no stock", Body, "/stock", Missing),
        fault(Item, "debug", Body, "/debug", Added),
        fault(Item, "name null", Body, "/name", Type),
        fault(Item, "tier", Header, "x-tier", Value),
        fault(Item, "sku", Body, "/parts/*/sku", Value),
        fault(Cart, "total", Body, "/total", Value),
        fault(Cart, "no state", Body, "/state", Missing),
        fault(Page, "sum", Body, "line word", Text),
        fault(Page, "title", Body, "line word", Text),
        fault(Status, "limit", Header, "x-limit", Value),
        fault(Order, "amount", Body, "/amount", Value),
        // In what varies: its type, presence and form.
        fault(Item, "request number", Body, "/request/id", Type),
        fault(Item, "no request", Body, "/request/id", Missing),
        fault(Item, "request form", Body, "/request/id", Format),
        fault(Item, "time zone", Body, "/generated_at", Format),
        fault(Item, "time number", Body, "/generated_at", Type),
        fault(Item, "time seconds", Body, "/at_ms", Format),
        fault(Item, "time stale", Body, "/at_ms", Value),
        fault(Item, "views text", Body, "/views", Type),
        fault(Item, "views negative", Body, "/views", Format),
        fault(Item, "few tags", Body, "/tags/*", Missing),
        fault(Item, "part token", Body, "/parts/*/token", Format),
        fault(Item, "etag weak", Header, "etag", Format),
        fault(Item, "no etag", Header, "etag", Missing),
        fault(Cart, "token form", Body, "/token", Format),
        fault(Cart, "no token", Body, "/token", Missing),
        fault(Cart, "expiry form", Body, "/now", Format),
        fault(Page, "took", Body, "line word", Text),
        fault(Status, "count fraction", Header, "x-count", Format),
        fault(Status, "no count", Header, "x-count", Missing),
        fault(Order, "order form", Body, "/order", Format),
        fault(Order, "no session", Body, "/session", Missing),
    ]
};

/// One request, answered by all three.
pub(crate) struct Asked {
    pub(crate) primary: Exchange,
    pub(crate) shadow: Exchange,
    pub(crate) secondary: Exchange,
    /// What the shadow does else.
    pub(crate) fault: Option<Fault>,
}

/// The service.
pub(crate) struct Service {
    random: Rng,
    /// Requests so far.
    asked: u64,
    /// Per leg.
    views: [u64; 3],
}

/// What one answer is made of.
struct Made {
    headers: Vec<(&'static str, String)>,
    media: &'static str,
    body: String,
}

/// One answer to make.
struct Job<'j> {
    leg: Leg,
    /// Which item, cart or page.
    n: u64,
    now_us: u64,
    id: &'j str,
    twist: &'static str,
}

impl Service {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let views = [random.u64(100..5_000), random.u64(100..5_000), random.u64(100..5_000)];
        Self { random, asked: 0, views }
    }

    /// The next request. `calm`: the shadow does nothing else.
    pub(crate) fn ask(&mut self, calm: bool) -> Asked {
        let endpoint = match self.random.u32(0..20) {
            0..10 => Endpoint::Item,
            10..13 => Endpoint::Cart,
            13..16 => Endpoint::Page,
            16..18 => Endpoint::Status,
            _ => Endpoint::Order,
        };
        // Few are asked for often, most hardly ever.
        let n = (400.0 * self.random.f64().powi(3)) as u64;
        let faulty = self.random.u32(0..20) == 0;
        let pick = self.random.usize(..FAULTS.len());
        let of_endpoint: Vec<&Fault> = FAULTS.iter().filter(|f| f.endpoint == endpoint).collect();
        let fault = (faulty && !calm).then(|| *of_endpoint[pick % of_endpoint.len()]);
        self.asked += 1;
        let start_us = START_S * 1_000_000 + self.asked * APART_US;
        let id = self.uuid();
        let mut answer = |leg: Leg| {
            let start_us =
                start_us + if leg == Leg::Primary { 0 } else { self.random.u64(50..900) };
            let took_us = self.random.u64(500..9_000);
            let twist = fault.filter(|_| leg == Leg::Shadow).map_or("", |fault| fault.twist);
            let job = Job { leg, n, now_us: start_us + took_us / 2, id: &id, twist };
            let made = match endpoint {
                Endpoint::Item => self.item(&job),
                Endpoint::Cart => self.cart(&job),
                Endpoint::Page => self.page(&job),
                Endpoint::Status => self.status(&job),
                Endpoint::Order => self.order(&job),
            };
            exchange(endpoint, &job, start_us, took_us, made)
        };
        Asked {
            primary: answer(Leg::Primary),
            shadow: answer(Leg::Shadow),
            secondary: answer(Leg::Secondary),
            fault,
        }
    }

    fn item(&mut self, job: &Job<'_>) -> Made {
        let Job { n, twist, .. } = *job;
        let mut body = format!("{{\"id\":{n},\"name\":\"item {n}\",");
        if twist == "name null" {
            body = format!("{{\"id\":{n},\"name\":null,");
        }
        let price = 100 + n * 7 + u64::from(twist == "price");
        let _ = write!(body, "\"price\":{}.{:02},", price / 100, price % 100);
        if twist != "no stock" {
            let _ = write!(body, "\"stock\":{},", n % 17);
        }
        let _ = match twist {
            "time zone" => write!(body, "\"generated_at\":\"{}+00:00\",", iso_ms(job.now_us)),
            "time number" => write!(body, "\"generated_at\":{},", job.now_us / 1_000),
            _ => write!(body, "\"generated_at\":\"{}Z\",", iso_ms(job.now_us)),
        };
        let at_ms = match twist {
            "time seconds" => job.now_us / 1_000_000,
            "time stale" => job.now_us / 1_000 - 3_600_000,
            _ => job.now_us / 1_000,
        };
        let _ = write!(body, "\"at_ms\":{at_ms},\"request\":{{\"echo\":\"{}\"", job.id);
        let request = self.uuid();
        let _ = match twist {
            "request number" => write!(body, ",\"id\":17"),
            "no request" => Ok(()),
            "request form" => write!(body, ",\"id\":\"{}\"", request.replace('-', "")),
            _ => write!(body, ",\"id\":\"{request}\""),
        };
        self.views[job.leg as usize] += self.random.u64(1..4);
        let views = self.views[job.leg as usize];
        let _ = match twist {
            "views text" => write!(body, "}},\"views\":\"{views}\","),
            "views negative" => write!(body, "}},\"views\":-{views},"),
            _ => write!(body, "}},\"views\":{views},"),
        };
        // Few answers have it set, and some have the hint.
        let _ = write!(body, "\"promoted\":{},", self.random.u32(0..20) == 0);
        if self.random.u32(0..10) < 3 {
            body.push_str("\"hint\":\"cached\",");
        }
        let mut tags = ["\"alpha\"", "\"beta\"", "\"delta\"", "\"gamma\"", "\"zeta\""];
        self.random.shuffle(&mut tags);
        let tags = if twist == "few tags" { &tags[..3] } else { &tags[..] };
        let _ = write!(body, "\"tags\":[{}],\"parts\":[", tags.join(","));
        for part in 0..3 {
            let token = self.hex(32);
            let token = if twist == "part token" { token.to_uppercase() } else { token };
            let sku = n * 10 + part + u64::from(twist == "sku" && part == 1) * 5_000;
            let comma = if part == 0 { "" } else { "," };
            let _ = write!(body, "{comma}{{\"sku\":\"K-{sku}\",\"token\":\"{token}\"}}");
        }
        body.push(']');
        if twist == "debug" {
            body.push_str(",\"debug\":true");
        }
        body.push('}');
        let mut headers = vec![("x-tier", if twist == "tier" { "gold" } else { "silver" }.into())];
        match twist {
            "no etag" => {}
            "etag weak" => headers.push(("etag", format!("W/\"{}\"", self.hex(16)))),
            _ => headers.push(("etag", format!("\"{}\"", self.hex(16)))),
        }
        Made { headers, media: "application/json", body }
    }

    fn cart(&mut self, job: &Job<'_>) -> Made {
        let Job { n, twist, .. } = *job;
        let total = 10 + n + u64::from(twist == "total");
        let mut body = format!("total={total}.50");
        if twist != "no state" {
            body.push_str("&state=open");
        }
        if twist != "no token" {
            let token = self.hex(24);
            let _ = write!(
                body,
                "&token={}",
                if twist == "token form" { &token[..20] } else { &token }
            );
        }
        let _ = match twist {
            "expiry form" => write!(body, "&now={}", job.now_us / 1_000_000),
            _ => write!(body, "&now={}", iso_ms(job.now_us).replace(':', "%3A")),
        };
        Made { headers: Vec::new(), media: "application/x-www-form-urlencoded", body }
    }

    fn page(&mut self, job: &Job<'_>) -> Made {
        let Job { n, twist, .. } = *job;
        let title = if twist == "title" { "Error" } else { "Report" };
        let mut body = format!("{title} {n}\nmade at {}Z\n", iso_ms(job.now_us));
        let took = self.random.u32(1..400);
        let unit = if twist == "took" { "s" } else { "ms" };
        let _ = write!(body, "request {} took {took} {unit}\n\n", self.hex(16));
        let _ = write!(body, "sum {} of {n}\nend\n", n * 3 + u64::from(twist == "sum"));
        Made { headers: Vec::new(), media: "text/plain; charset=utf-8", body }
    }

    fn status(&mut self, job: &Job<'_>) -> Made {
        let Job { twist, .. } = *job;
        let count = &mut self.views[job.leg as usize];
        *count += 1;
        let mut headers = vec![("x-limit", if twist == "limit" { "90" } else { "100" }.to_owned())];
        match twist {
            "no count" => {}
            "count fraction" => headers.push(("x-count", format!("{count}.5"))),
            _ => headers.push(("x-count", count.to_string())),
        }
        headers.push(("x-node", format!("node-{}", self.random.u32(1..9))));
        Made { headers, media: "application/json", body: "{\"up\":true}".to_owned() }
    }

    fn order(&mut self, job: &Job<'_>) -> Made {
        let Job { twist, .. } = *job;
        let order = self.uuid();
        let order = if twist == "order form" { order.replace('-', "") } else { order };
        let mut body = format!("{{\"order\":\"{order}\"");
        if twist != "no session" {
            let _ = write!(body, ",\"session\":\"s1.{}\"", self.hex(40));
        }
        let amount = 5 + job.n + u64::from(twist == "amount");
        let _ = write!(body, ",\"amount\":{amount},\"at\":\"{}Z\"}}", iso_ms(job.now_us));
        Made { headers: Vec::new(), media: "application/json", body }
    }

    fn hex(&mut self, digits: usize) -> String {
        (0..digits).map(|_| char::from_digit(self.random.u32(0..16), 16).unwrap_or('0')).collect()
    }

    fn uuid(&mut self) -> String {
        let hex = self.hex(32);
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }
}

/// `2026-11-21T07:42:33.123`, on the day on which it all happens.
fn iso_ms(at_us: u64) -> String {
    let (second, ms) = (at_us / 1_000_000 % 86_400, at_us / 1_000 % 1_000);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("2026-11-21T{hour:02}:{minute:02}:{second:02}.{ms:03}")
}

fn exchange(
    endpoint: Endpoint,
    job: &Job<'_>,
    start_us: u64,
    took_us: u64,
    made: Made,
) -> Exchange {
    let n = job.n;
    let (method, target, asked) = match endpoint {
        Endpoint::Item => ("GET", format!("/items/{n}"), String::new()),
        Endpoint::Cart => ("POST", "/cart".to_owned(), format!("{{\"item\":{n}}}")),
        Endpoint::Page => ("GET", format!("/pages/{n}?full=1"), String::new()),
        Endpoint::Status => ("GET", "/status".to_owned(), String::new()),
        Endpoint::Order => ("POST", "/orders".to_owned(), format!("{{\"nonce\":\"{}\"}}", job.id)),
    };
    let mut fields = FieldsBuilder::new();
    fields.first_line(0, method.as_bytes());
    fields.first_line(1, target.as_bytes());
    fields.field(b"host", b"shop.example.com");
    fields.field(b"accept", b"*/*");
    fields.field(b"x-request-id", job.id.as_bytes());
    let mut answered = FieldsBuilder::new();
    answered.field(b"content-type", made.media.as_bytes());
    for (name, value) in &made.headers {
        answered.field(name.as_bytes(), value.as_bytes());
    }
    let at = |us: u64| Some(Timestamp::ZERO + Duration::from_micros(start_us + us));
    let server: SocketAddr = ([10, 0, 0, 2 + job.leg as u8], 8080).into();
    Exchange {
        origin: Some(Origin { service: ServiceId(0), leg: job.leg }),
        client: ([10, 0, 0, 1], 40_000).into(),
        server,
        protocol: Protocol::Http1,
        stream_id: None,
        request: Some(Request {
            version: Version::Http11,
            fields: fields.build(),
            body: Body::from_bytes(asked.as_bytes()),
            trailers: FieldsBuilder::new().build(),
        }),
        response: Some(Response {
            version: Version::Http11,
            status: 200,
            fields: answered.build(),
            body: Body::from_bytes(made.body.as_bytes()),
            trailers: FieldsBuilder::new().build(),
        }),
        interim: Vec::new(),
        upgrade: None,
        timing: Timing {
            request_first: at(0),
            request_head: at(0),
            request_last: at(10),
            response_first: at(took_us / 2),
            response_head: at(took_us / 2),
            response_last: at(took_us),
        },
        evidence: Evidence::Complete,
    }
}

//! What the demo sends, and what its shadow gets wrong: known before the first packet.
//!
//! Every call is named by its endpoint and a number; the number decides what the shadow changes
//! (see [`Call::twist`]), so the counts of [`Plan::injected`] need no bookkeeping while traffic
//! runs. The order of calls, and nothing else, comes from the seed.

use std::collections::BTreeMap;
use std::time::Duration;

use hyper::Method;

/// How much longer the shadow takes to answer a search.
pub(super) const SHADOW_DELAY: Duration = Duration::from_millis(30);

/// The host that clients ask for. Envoy-like mirrors append `-shadow` to it.
pub(super) const HOST: &str = "shop.example.com";

/// Rules for what differs between any two instances of the shop, in the form that `ignore` takes
/// in a configuration.
pub(crate) const IGNORE_RULES: [&str; 5] = [
    "header:etag",
    "header:x-backend",
    "body:/**/generated_at",
    "body:/**/server",
    "body:/**/trace_id",
];

/// The calls of one demo, in the order in which they are sent.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// What is sent.
    pub(super) calls: Vec<Call>,
    /// Time from one call to the next.
    pub(super) pace: Duration,
    /// Seeds request ids and the backends' noise.
    pub(super) seed: u64,
}

impl Plan {
    /// The demo's 600 calls, shuffled by `seed` and sent `pace` apart.
    pub(crate) fn new(seed: u64, pace: Duration) -> Self {
        let mut calls: Vec<Call> = Endpoint::ALL
            .into_iter()
            .flat_map(|endpoint| (0..endpoint.calls()).map(move |n| Call { endpoint, n }))
            .collect();
        fastrand::Rng::with_seed(seed).shuffle(&mut calls);
        Self { calls, pace, seed }
    }

    /// What will differ, by endpoint and twist, with exact counts.
    pub(super) fn injected(&self) -> Vec<Injected> {
        let mut counts = BTreeMap::new();
        for call in &self.calls {
            if let Some(twist) = call.twist() {
                *counts.entry((call.endpoint, twist)).or_insert(0) += 1;
            }
        }
        counts
            .into_iter()
            .map(|((endpoint, twist), count)| {
                let (kind, path, change) = twist.signature();
                Injected { endpoint: endpoint.template(), kind, path, change, count }
            })
            .collect()
    }
}

/// What was played: what a report of it has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Played {
    /// Requests sent, answered by the primary, and copied to the shadow.
    pub(crate) requests: u64,
    /// The differences in the shadow's answers.
    pub(crate) injected: Vec<Injected>,
    /// The endpoint that the shadow answers later, and by how much at least.
    pub(crate) slower: (&'static str, Duration),
}

/// One kind of difference, in the words of the report's `signatures`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Injected {
    /// Method and path template.
    pub(crate) endpoint: &'static str,
    /// `status` or `body`.
    pub(crate) kind: &'static str,
    /// JSON Pointer (RFC 6901); empty for a status.
    pub(crate) path: &'static str,
    /// `value`, `missing` or `added`.
    pub(crate) change: &'static str,
    /// In how many pairs.
    pub(crate) count: u64,
}

/// One request of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Call {
    /// Which endpoint.
    pub(super) endpoint: Endpoint,
    /// Which item, page or order of it.
    pub(super) n: u32,
}

impl Call {
    /// What the shadow changes in its answer.
    pub(super) fn twist(self) -> Option<Twist> {
        match (self.endpoint, self.n) {
            (Endpoint::Item, n) if n % 20 == 0 => Some(Twist::Price),
            (Endpoint::Item, n) if n % 30 == 1 => Some(Twist::Tags),
            (Endpoint::Stock, n) if n % 10 == 3 => Some(Twist::Status),
            (Endpoint::Catalog, n) if n % 16 == 5 => Some(Twist::Currency),
            (Endpoint::Order, n) if n % 25 == 7 => Some(Twist::Discount),
            _ => None,
        }
    }

    /// The request's method.
    pub(super) fn method(self) -> Method {
        match self.endpoint {
            Endpoint::Order => Method::POST,
            _ => Method::GET,
        }
    }

    /// The request's target.
    pub(super) fn target(self) -> String {
        let n = self.n;
        match self.endpoint {
            Endpoint::Item => format!("/api/items/{n}"),
            Endpoint::Stock => format!("/api/stock/{n}"),
            Endpoint::Catalog => format!("/api/catalog?page={n}"),
            Endpoint::Search => format!("/api/search?q=word-{n}"),
            Endpoint::Order => "/api/orders".to_owned(),
        }
    }

    /// The request's body; empty for a GET.
    pub(super) fn body(self) -> Vec<u8> {
        match self.endpoint {
            Endpoint::Order => {
                let lines: Vec<_> = (0..=self.n % 7)
                    .map(|i| serde_json::json!({ "item": self.n + i, "quantity": i + 1 }))
                    .collect();
                serde_json::json!({ "order": self.n, "lines": lines }).to_string().into_bytes()
            }
            _ => Vec::new(),
        }
    }

    /// The call that a request is: the inverse of [`method`](Self::method),
    /// [`target`](Self::target) and [`body`](Self::body).
    pub(super) fn of(method: &Method, target: &str, body: &[u8]) -> Option<Self> {
        let number = |prefix| target.strip_prefix(prefix)?.parse().ok();
        if *method == Method::POST && target == "/api/orders" {
            let order: serde_json::Value = serde_json::from_slice(body).ok()?;
            let n = u32::try_from(order.get("order")?.as_u64()?).ok()?;
            return Some(Self { endpoint: Endpoint::Order, n });
        }
        [
            (Endpoint::Item, "/api/items/"),
            (Endpoint::Stock, "/api/stock/"),
            (Endpoint::Catalog, "/api/catalog?page="),
            (Endpoint::Search, "/api/search?q=word-"),
        ]
        .into_iter()
        .find_map(|(endpoint, prefix)| Some(Self { endpoint, n: number(prefix)? }))
    }
}

/// What the shop offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Endpoint {
    /// One item as JSON.
    Item,
    /// How many of an item there are, as JSON.
    Stock,
    /// A page of items as gzipped JSON.
    Catalog,
    /// Items by a word, as JSON; the shadow is slower.
    Search,
    /// Takes an order and answers with it, as JSON.
    Order,
}

impl Endpoint {
    /// All endpoints, in the order of declaration.
    const ALL: [Self; 5] = [Self::Item, Self::Stock, Self::Catalog, Self::Search, Self::Order];

    /// How many calls of it a plan has.
    const fn calls(self) -> u32 {
        match self {
            Self::Item => 240,
            Self::Stock => 60,
            Self::Catalog => 80,
            Self::Search => 120,
            Self::Order => 100,
        }
    }

    /// Method and path template, as reports name it.
    pub(super) const fn template(self) -> &'static str {
        match self {
            Self::Item => "GET /api/items/{id}",
            Self::Stock => "GET /api/stock/{id}",
            Self::Catalog => "GET /api/catalog",
            Self::Search => "GET /api/search",
            Self::Order => "POST /api/orders",
        }
    }
}

/// One thing that the shadow gets wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Twist {
    /// An item's price is a cent higher.
    Price,
    /// An item's tags are missing.
    Tags,
    /// 500 in place of 200.
    Status,
    /// A page's currency is another one.
    Currency,
    /// An order has a discount that nobody asked for.
    Discount,
}

impl Twist {
    /// Kind, path and change, as reports write them.
    const fn signature(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Price => ("body", "/price", "value"),
            Self::Tags => ("body", "/tags", "missing"),
            Self::Status => ("status", "", "value"),
            Self::Currency => ("body", "/currency", "value"),
            Self::Discount => ("body", "/discount", "added"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plan_injects_these_differences_and_no_others() {
        let of =
            |endpoint, kind, path, change, count| Injected { endpoint, kind, path, change, count };
        let plan = Plan::new(7, Duration::ZERO);
        assert_eq!(plan.calls.len(), 600);
        assert_eq!(
            plan.injected(),
            [
                of("GET /api/items/{id}", "body", "/price", "value", 12),
                of("GET /api/items/{id}", "body", "/tags", "missing", 8),
                of("GET /api/stock/{id}", "status", "", "value", 6),
                of("GET /api/catalog", "body", "/currency", "value", 5),
                of("POST /api/orders", "body", "/discount", "added", 4),
            ]
        );
    }

    #[test]
    fn the_seed_decides_the_order_and_only_the_order() {
        let orders = |seed| -> Vec<String> {
            Plan::new(seed, Duration::ZERO).calls.into_iter().map(Call::target).collect()
        };
        assert_eq!(orders(1), orders(1));
        assert_ne!(orders(1), orders(2));
        let sorted = |seed| {
            let mut targets = orders(seed);
            targets.sort();
            targets
        };
        assert_eq!(sorted(1), sorted(2));
    }

    #[test]
    fn a_call_is_known_again_by_its_request() {
        for call in Plan::new(1, Duration::ZERO).calls {
            assert_eq!(Call::of(&call.method(), &call.target(), &call.body()), Some(call));
        }
        assert_eq!(Call::of(&Method::GET, "/api/items/seven", b""), None);
        assert_eq!(Call::of(&Method::POST, "/api/orders", b"{"), None);
    }
}

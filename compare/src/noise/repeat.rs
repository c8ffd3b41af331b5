//! Which requests are the same request, come again.
//!
//! Two are, where method, target, body and header fields are the same, but for fields that never
//! select the answer: those that name one exchange or its way. All other fields count, known or
//! not: one that is taken for a name of the exchange and selects a tenant would make two tenants'
//! answers look like one that varies, and hide what really differs. So the list below is of those
//! to leave out.

use capture::Request;
use twox_hash::XxHash3_128;

use crate::key::origin_form;
use crate::{Extractor, ServicePolicy};

/// Fields that name an exchange or its trace, in lower case.
const ID_NAMES: [&[u8]; 7] =
    [b"b3", b"cf-ray", b"grpc-trace-bin", b"rid", b"traceparent", b"uber-trace-id", b"x-unique-id"];

/// What such fields' names begin with.
const ID_BEGINNINGS: [&[u8]; 4] = [b"x-b3-", b"x-datadog-", b"x-amzn-trace", b"x-cloud-trace"];

/// What such fields' names have in them.
const ID_PARTS: [&[u8]; 6] =
    [b"request-id", b"requestid", b"correlation", b"trace-id", b"traceid", b"span-id"];

/// Fields that tell of the way of a request.
const WAY_NAMES: [&[u8]; 13] = [
    b"baggage",
    b"connection",
    b"content-length",
    b"date",
    b"forwarded",
    b"keep-alive",
    b"te",
    b"tracestate",
    b"transfer-encoding",
    b"via",
    b"x-real-ip",
    b"x-request-start",
    b"x-timestamp",
];

/// What such fields' names begin with.
const WAY_BEGINNINGS: [&[u8]; 2] = [b"x-envoy-", b"x-forwarded-"];

/// Bytes of a request's body; one with a larger body is not looked for again.
const BODY_BYTES: u64 = 64 << 10;

/// Names a request by all that may select its answer; `None` where its body is large.
pub(crate) fn digest(policy: &ServicePolicy, request: &Request) -> Option<u64> {
    let body = &request.body;
    if body.len() > BODY_BYTES || !body.is_whole() {
        return None;
    }
    let mut all = Vec::with_capacity(512);
    let mut add = |part: &[u8]| {
        all.extend_from_slice(&(part.len() as u64).to_le_bytes());
        all.extend_from_slice(part);
    };
    add(policy.name.as_bytes());
    add(request.method());
    add(origin_form(request.target()));
    add(body.kept());
    let pairs = |name: &[u8]| {
        policy.pair_by.iter().any(|by| match by {
            Extractor::Header(of) => of.as_bytes().eq_ignore_ascii_case(name),
            _ => false,
        })
    };
    for (name, value) in request.fields.iter() {
        if !is_id(name) && !tells_the_way(name) && !pairs(name) {
            add(name);
            add(value);
        }
    }
    Some(XxHash3_128::oneshot(&all) as u64)
}

/// Whether the field of this name names an exchange or its trace.
pub(super) fn is_id(name: &[u8]) -> bool {
    in_lower_case(name, |name| {
        ID_NAMES.contains(&name)
            || ID_BEGINNINGS.iter().any(|begin| name.starts_with(begin))
            // Names are short: to look in each place costs less than to prepare a search.
            || ID_PARTS.iter().any(|part| name.windows(part.len()).any(|of| of == *part))
    })
}

fn tells_the_way(name: &[u8]) -> bool {
    in_lower_case(name, |name| {
        WAY_NAMES.contains(&name) || WAY_BEGINNINGS.iter().any(|begin| name.starts_with(begin))
    })
}

/// Asks of a name in lower case; false for one that is longer than any that is known.
fn in_lower_case(name: &[u8], ask: impl Fn(&[u8]) -> bool) -> bool {
    let mut lower = [0; 40];
    let Some(lower) = lower.get_mut(..name.len()) else { return false };
    lower.copy_from_slice(name);
    lower.make_ascii_lowercase();
    ask(lower)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Sample;

    fn of(sample: Sample) -> u64 {
        let mut policy = ServicePolicy::new("shop");
        policy.pair_by.push("header:x-call".parse().unwrap());
        digest(&policy, &sample.primary().request.unwrap()).unwrap()
    }

    #[test]
    fn what_names_an_exchange_makes_no_other_request() {
        let one = of(Sample::new("1").header("accept", "a"));
        for (name, value) in [
            ("X-Correlation-ID", "7"),
            ("traceparent", "00-1-2-01"),
            ("x-b3-spanid", "9"),
            ("X-Forwarded-For", "192.0.2.1"),
            ("x-call", "17"),
            ("my-request-id", "3"),
        ] {
            assert_eq!(
                of(Sample::new("2").header(name, value).header("accept", "a")),
                one,
                "{name}"
            );
        }
    }

    #[test]
    fn what_may_select_the_answer_does() {
        let one = || Sample::new("1").method("POST").request_body("x");
        let all = [
            of(one()),
            of(one().method("PUT")),
            of(one().target("/items/1?a=1")),
            of(one().request_body("y")),
            of(one().header("authorization", "a")),
            of(one().header("authorization", "b")),
            of(one().header("cookie", "b")),
            of(one().header("x-tenant", "b")),
            of(one().host("other.example.com")),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(!all[..at].contains(one), "{at}");
        }
    }
}

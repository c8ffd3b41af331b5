//! What differs between the two answers to one request.
//!
//! In this order, the first that applies:
//! 1. an exchange that is not whole is not judged;
//! 2. nor is a pair whose requests differ in target or body: the answers would differ rightly;
//! 3. where the statuses differ, HTTP's or gRPC's, that is the finding, and nothing else is looked at: the fields
//!    and the body of an error are its consequences; where a rule explains it, only answers of one
//!    class that both have content are looked into;
//! 4. headers, trailers and body are compared, each difference held against the rules and against
//!    what the mirroring proxy changed.

mod bare;
mod binary;
mod body;
mod charset;
mod coding;
mod content;
mod echo;
mod findings;
mod form;
mod framing;
pub(crate) mod grpc;
mod header;
mod here;
pub(crate) mod json;
mod multipart;
mod named;
mod number;
mod observe;
mod parameters;
mod place;
mod prefix;
mod protobuf;
mod scan;
mod skip;
mod stored;
mod text;
mod words;

use capture::{Evidence, Exchange, Request, Response};

use crate::key::path;
use crate::noise::{Noise, Shelf, Side, Sort};
use crate::pairing::asks_the_same;
use crate::{Change, Divergence, Incomparable, Kind, ServicePolicy, Suppressed, Verdict};
use echo::Echo;
use findings::{Findings, Reason, ReasonNames};
use grpc::Statuses;
pub(crate) use grpc::answer_is_error;
pub use stored::{Explained, StoredDivergence};

/// Compares pairs.
#[derive(Debug, Default)]
pub(crate) struct Differ {
    names: ReasonNames,
    /// Room for one pair's reasons.
    reasons: Vec<Reason>,
    noise: Noise,
    /// Answers of primaries, to be held against the next to the same request.
    repeats: Shelf,
    /// Answers of primaries and of their second copies, until the other comes.
    copies: Shelf,
    /// By `ServiceId`: whether it has a second copy.
    has_copies: Vec<bool>,
    /// Divergences listed for one pair; `None`: as many as reports list.
    listed: Option<usize>,
}

/// What came of comparing a pair.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) verdict: Verdict,
    /// Empty unless the verdict is `Diverged`.
    pub(crate) divergences: Vec<Divergence>,
    /// Empty where the verdict is `Incomparable`.
    pub(crate) suppressed: Vec<Suppressed>,
    /// Whether both requests had the same body of at least one byte.
    pub(crate) request_bodies_equal: bool,
}

impl Differ {
    /// One that lists so many divergences of a pair.
    pub(crate) fn listing(listed: usize) -> Self {
        Self { listed: Some(listed), ..Self::default() }
    }

    /// Compares the two legs of one request at `endpoint`.
    pub(crate) fn compare(
        &mut self,
        policy: &ServicePolicy,
        endpoint: &str,
        primary: &Exchange,
        shadow: &Exchange,
    ) -> Found {
        let (requests, responses) = match whole(primary, shadow) {
            Ok(whole) => whole,
            Err(evidence) => return incomparable(Incomparable::Evidence(evidence), false),
        };
        if !asks_the_same(requests.0, requests.1) {
            return incomparable(Incomparable::RequestDiffers, false);
        }
        let request_bodies_equal = !requests.0.body.is_empty();

        let sides = Side::of(primary).zip(Side::of(shadow));
        let sieve = primary.origin.zip(sides).and_then(|(origin, sides)| {
            self.noise.sieve(policy, origin.service, endpoint, Sort::Legs, sides)
        });
        let mut findings =
            Findings::new(policy, endpoint, primary.timing.start(), &mut self.reasons)
                .listing(self.listed.unwrap_or(findings::LISTED))
                .sieved(sieve);
        let echo = Echo::new(policy.mirror, requests.0, requests.1);
        let path = path(requests.0.target());
        if let Err(reason) = answers(path, responses.0, responses.1, &echo, &mut findings) {
            return incomparable(reason, request_bodies_equal);
        }
        if responses.0.status == responses.1.status {
            findings.conclude();
        }
        let (divergences, suppressed) = findings.finish(&self.names);
        let verdict = if divergences.is_empty() { Verdict::Matched } else { Verdict::Diverged };
        Found { verdict, divergences, suppressed, request_bodies_equal }
    }
}

/// The messages of two exchanges that were seen whole; else the label of the one that was not, the
/// shadow's first.
type Whole<'e> = ((&'e Request, &'e Request), (&'e Response, &'e Response));

fn whole<'e>(primary: &'e Exchange, shadow: &'e Exchange) -> Result<Whole<'e>, Evidence> {
    for exchange in [shadow, primary] {
        if exchange.evidence != Evidence::Complete {
            return Err(exchange.evidence);
        }
    }
    let requests = primary.request.as_ref().zip(shadow.request.as_ref());
    let responses = primary.response.as_ref().zip(shadow.response.as_ref());
    // Complete exchanges have both; if one has not, it is not as whole as it says.
    requests.zip(responses).ok_or(Evidence::Truncated)
}

fn incomparable(reason: Incomparable, request_bodies_equal: bool) -> Found {
    Found {
        verdict: Verdict::Incomparable(reason),
        divergences: Vec::new(),
        suppressed: Vec::new(),
        request_bodies_equal,
    }
}

fn answers(
    path: &[u8],
    primary: &Response,
    shadow: &Response,
    echo: &Echo<'_>,
    findings: &mut Findings<'_>,
) -> Result<(), Incomparable> {
    if primary.status != shadow.status {
        let (ours, theirs) = (primary.status.to_string(), shadow.status.to_string());
        let (ours, theirs) = (ours.as_bytes(), theirs.as_bytes());
        let Some(expected) = findings.explain_status(ours, theirs) else {
            let path = || ("".into(), "".into());
            findings.diverge(Kind::Status, path, Change::Value, Some(ours), Some(theirs));
            return Ok(());
        };
        findings.suppress(expected);
        if !say_the_same_but_for_the_code(primary.status, shadow.status) {
            return Ok(());
        }
    }
    match grpc::both(primary, shadow) {
        Some(grpc) => match grpc.compare_statuses(findings) {
            Statuses::SettleAll => return Ok(()),
            statuses => grpc.compare_fields(statuses, echo, findings),
        },
        None => {
            header::compare(Kind::Header, &primary.fields, &shadow.fields, echo, findings);
            header::compare(Kind::Trailer, &primary.trailers, &shadow.trailers, echo, findings);
        }
    }
    body::compare(path, primary, shadow, echo, findings)
}

/// Whether answers with two statuses can be expected to have the same fields and body: both are of
/// one class, and neither is without content by its code (RFC 9110 §15.3.5, §15.3.6, §15.4.5).
pub(crate) fn say_the_same_but_for_the_code(primary: u16, shadow: u16) -> bool {
    let has_content = |status: u16| !matches!(status, 204 | 205 | 304);
    primary / 100 == shadow / 100 && has_content(primary) && has_content(shadow)
}

#[cfg(test)]
mod under_rules;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Mirror;
    use crate::sample::{Sample, written};

    /// Compares two answers, through Envoy's mirror and under these rules.
    fn compared(primary: Sample, shadow: Sample, rules: &[&str]) -> Found {
        let mut policy = ServicePolicy::new("shop");
        policy.rules = rules.iter().map(|rule| rule.parse().unwrap()).collect();
        Differ::default().compare(&policy, "GET /", &primary.primary(), &shadow.shadow())
    }

    fn differences(primary: Sample, shadow: Sample) -> Vec<String> {
        written(&compared(primary, shadow, &[]).divergences)
    }

    fn suppressed(found: &Found) -> Vec<(&str, u32)> {
        found.suppressed.iter().map(|s| (&*s.rule, s.count)).collect()
    }

    fn sample() -> Sample {
        Sample::new("1")
    }

    fn json(body: &str) -> Sample {
        sample().content("application/json", body)
    }

    #[test]
    fn an_exchange_that_is_not_whole_is_not_judged_and_the_shadow_s_label_counts() {
        let gap = json("{").evidence(Evidence::Gap);
        let cut = json("{}").evidence(Evidence::Truncated);
        let verdict =
            |one: &Sample, other: &Sample| compared(one.clone(), other.clone(), &[]).verdict;
        let by = |evidence| Verdict::Incomparable(Incomparable::Evidence(evidence));
        assert_eq!(verdict(&gap, &json("{}")), by(Evidence::Gap));
        assert_eq!(verdict(&json("{}"), &gap), by(Evidence::Gap));
        assert_eq!(verdict(&gap, &cut), by(Evidence::Truncated));
        let silent = sample().unanswered(Evidence::TimedOut);
        assert_eq!(verdict(&json("{}"), &silent), by(Evidence::TimedOut));
    }

    #[test]
    fn answers_to_requests_that_differ_are_not_judged() {
        let post = |body: &str| json("{}").method("POST").request_body(body);
        let found = compared(post("a"), post("b").status(500), &[]);
        assert_eq!(found.verdict, Verdict::Incomparable(Incomparable::RequestDiffers));
        assert!(!found.request_bodies_equal && found.divergences.is_empty());
        let found = compared(post("a").target("/x?a=1"), post("a").target("/x?a=2"), &[]);
        assert_eq!(found.verdict, Verdict::Incomparable(Incomparable::RequestDiffers));
        let found = compared(post("a"), post("a"), &[]);
        assert!(found.verdict == Verdict::Matched && found.request_bodies_equal);
        assert!(!compared(json("{}"), json("{}"), &[]).request_bodies_equal);
    }

    #[test]
    fn another_status_is_the_only_finding() {
        let error = sample().status(500).content("text/plain", "out of order");
        assert_eq!(differences(json("{}"), error), ["status  value: 200 -> 500"]);
    }

    #[test]
    fn headers_are_compared_by_name_without_case_and_order() {
        let ours = sample().response_header("ETag", "1").response_header("X-A", "a");
        let theirs = sample().response_header("x-a", "a").response_header("etag", "1");
        assert_eq!(differences(ours.clone(), theirs.clone()), [""; 0]);
        assert_eq!(
            differences(ours.clone(), theirs.clone().response_header("X-New", "n")),
            ["header x-new added: none -> n"]
        );
        assert_eq!(
            differences(ours.clone(), sample().response_header("etag", "2")),
            ["header etag value: 1 -> 2", "header x-a missing: a -> none"]
        );
        assert_eq!(
            differences(ours, sample().response_header("etag", "2").response_header("X-A", "a")),
            ["header etag value: 1 -> 2"]
        );
    }

    #[test]
    fn several_values_of_one_name_are_one_list() {
        let split = sample().response_header("vary", "a").response_header("Vary", "b");
        let joined = sample().response_header("vary", "a, b");
        assert_eq!(differences(split.clone(), joined.clone()), [""; 0]);
        let turned = sample().response_header("vary", "b").response_header("vary", "a");
        assert_eq!(differences(split, turned), ["header vary value: a, b -> b, a"]);
        let shorter = sample().response_header("vary", "a");
        assert_eq!(differences(joined, shorter), ["header vary value: a, b -> a"]);
    }

    #[test]
    fn each_cookie_is_compared_on_its_own() {
        let cookies = |all: &[&str]| {
            all.iter().fold(sample(), |sample, cookie| sample.response_header("Set-Cookie", cookie))
        };
        let ours = cookies(&["a=1; Path=/", "b=2", "c=3"]);
        let theirs = cookies(&["c=3", "a=9; Path=/", "d=4"]);
        assert_eq!(
            differences(ours.clone(), theirs.clone()),
            [
                "header set-cookie/a value: a=1; Path=/ -> a=9; Path=/",
                "header set-cookie/b missing: b=2 -> none",
                "header set-cookie/d added: none -> d=4",
            ]
        );
        let found = compared(ours, theirs, &["header:set-cookie"]);
        assert_eq!(suppressed(&found), [("header:set-cookie", 3)]);
    }

    #[test]
    fn fields_of_the_moment_and_of_the_connection_are_no_difference() {
        let ours = sample()
            .response_header("date", "Sat, 21 Nov 2026 10:00:00 GMT")
            .response_header("content-length", "2");
        let theirs = sample()
            .response_header("date", "Sat, 21 Nov 2026 10:00:01 GMT")
            .response_header("transfer-encoding", "chunked")
            .response_header("connection", "close");
        let found = compared(ours, theirs, &[]);
        assert_eq!(found.verdict, Verdict::Matched);
        assert_eq!(
            suppressed(&found),
            [("builtin:date", 1), ("builtin:hop-by-hop", 2), ("builtin:content-length", 1)]
        );
    }

    #[test]
    fn a_header_rule_covers_trailers_too() {
        let with = |value| sample().response_header("x-b", value).trailer("x-b", value);
        let found = compared(with("1"), with("2"), &["header:X-B"]);
        assert_eq!(
            (found.verdict, suppressed(&found)),
            (Verdict::Matched, vec![("header:X-B", 2)])
        );
        assert_eq!(
            differences(with("1"), with("2")),
            ["header x-b value: 1 -> 2", "trailer x-b value: 1 -> 2"]
        );
    }

    #[test]
    fn a_json_body_is_compared_by_structure() {
        let found = compared(
            json(r#"{"price":1.00,"server":"a","tags":[]}"#),
            json(r#"{"tags":[],"server":"b","price":1.01}"#),
            &["body:/server"],
        );
        assert_eq!(written(&found.divergences), ["body /price value: 1.00 -> 1.01"]);
        assert_eq!(suppressed(&found), [("body:/server", 1)]);
        let problem = |body| sample().content("Application/Problem+JSON; charset=utf-8", body);
        assert_eq!(differences(problem(r#"{"a":1}"#), problem(r#"{ "a": 1.0 }"#)), [""; 0]);
        let untyped = |body: &str| sample().body(body);
        assert_eq!(differences(untyped("[1]"), untyped("[2]")), ["body /0 value: 1 -> 2"]);
    }

    #[test]
    fn json_that_is_none_on_one_leg_is_one_difference() {
        let broken = "{\n\"a\": 2,\n}";
        assert_eq!(
            differences(json("{\n\"a\": 1\n}"), json(broken)),
            ["body  format: JSON -> not JSON: unexpected '}' at byte 10"]
        );
        assert_eq!(differences(json(""), json("{}")), ["body  format: not JSON: empty -> JSON"]);
        let found = compared(json("{}"), json(broken), &["body:"]);
        assert_eq!(suppressed(&found), [("body:", 1)]);
    }

    #[test]
    fn json_that_is_none_on_both_legs_is_compared_as_text_and_that_is_counted() {
        let found = compared(json("{\n\"a\": 1,\n}"), json("{\n\"a\": 2,\n}"), &[]);
        assert_eq!(written(&found.divergences), ["body line 2 word 3 text: 1 -> 2"]);
        assert_eq!(suppressed(&found), [("note:not-json", 1)]);
        let deep = |n: &str| json(&("[".repeat(600) + n + &"]".repeat(600)));
        let found = compared(deep("1"), deep("2"), &[]);
        assert_eq!(suppressed(&found), [("note:not-json", 1)]);
        // What only looks like it was not said to be.
        let untyped = |body: &str| sample().body(body);
        let found = compared(untyped("{a 1"), untyped("{a 2"), &[]);
        assert_eq!(written(&found.divergences), ["body line 1 word 2 text: 1 -> 2"]);
        assert_eq!(suppressed(&found), []);
    }

    #[test]
    fn a_form_is_compared_by_field_and_as_text_where_it_is_none() {
        let form = |body: &str| sample().content("application/x-www-form-urlencoded", body);
        let found = compared(form("a=1&at=2&x=%41"), form("x=A&at=3&a=2"), &["body:/at"]);
        assert_eq!(written(&found.divergences), ["body /a value: 1 -> 2"]);
        assert_eq!(suppressed(&found), [("body:/at", 1)]);
        assert_eq!(
            differences(form("a=1\nb=2\n"), form("a=1\nb=3\n")),
            ["body line 2 word 2 text: 2 -> 3"]
        );
    }

    #[test]
    fn a_multipart_body_is_compared_by_part_and_as_bytes_where_it_is_none() {
        let multipart = |boundary: &str, n: &str| {
            let head = "Content-Disposition: form-data; name=doc\r\nContent-Type: application/json";
            sample().content(
                &format!("multipart/form-data; boundary={boundary}"),
                format!("--{boundary}\r\n{head}\r\n\r\n{{\"n\":{n}}}\r\n--{boundary}--\r\n"),
            )
        };
        assert_eq!(differences(multipart("a", "1"), multipart("b", "1")), [""; 0]);
        assert_eq!(
            differences(multipart("a", "1"), multipart("b", "2")),
            ["body /doc/n value: 1 -> 2"]
        );
        assert_eq!(
            differences(multipart("a", "1").body("abc"), multipart("a", "1").body("abd")),
            ["body  binary: len 3, first difference at 2 -> len 3, first difference at 2"]
        );
    }

    #[test]
    fn one_text_in_two_charsets_is_no_difference_of_the_body() {
        let of =
            |charset: &str, body: &[u8]| sample().content(&format!("text/plain{charset}"), body);
        let (latin, utf8) = (of("; charset=iso-8859-1", b"caf\xe9\n"), of("", "café\n".as_bytes()));
        assert_eq!(
            differences(latin.clone(), utf8.clone()),
            ["header content-type value: text/plain; charset=iso-8859-1 -> text/plain"]
        );
        let other = of("; charset=iso-8859-1", b"caf\xe8\n");
        assert_eq!(differences(latin, other), ["body line 1 text: café -> cafè"]);
        let utf16: Vec<u8> = "\u{feff}café\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(differences(of("", &utf16), utf8.clone()), [""; 0]);
        assert_eq!(differences(of("", "\u{feff}café\n".as_bytes()), utf8), [""; 0]);
    }

    #[test]
    fn json_and_forms_are_compared_by_place_in_any_charset() {
        let json = |charset: &str, body: &[u8]| {
            sample()
                .response_header("content-type", &format!("application/json{charset}"))
                .body(body)
        };
        let only_body = |one: Sample, other: Sample| {
            let found = compared(one, other, &["header:content-type"]);
            (written(&found.divergences), found.suppressed.len())
        };
        let none: Vec<String> = Vec::new();
        let (latin, utf8) = ("; charset=latin1", "; charset=utf-8");
        assert_eq!(
            only_body(json(latin, b"{\"a\":\"\xe9\"}"), json(utf8, "{ \"a\":\"é\"}".as_bytes())),
            (none.clone(), 1)
        );
        assert_eq!(
            only_body(json(latin, b"{\"a\":\"\xe9\"}"), json(utf8, "{\"a\":\"è\"}".as_bytes())),
            (vec!["body /a value: \"é\" -> \"è\"".to_owned()], 1)
        );
        assert_eq!(
            only_body(json("", b"\xef\xbb\xbf{\"a\":1}"), json("", b"{\"a\":1}")),
            (none.clone(), 0)
        );
        let form = |charset: &str, body: &[u8]| {
            let of = format!("application/x-www-form-urlencoded{charset}");
            sample().response_header("content-type", &of).body(body)
        };
        for in_latin in [&b"n\xe9=1&a=%e9"[..], b"a=\xe9&n%E9=1"] {
            assert_eq!(
                only_body(form(latin, in_latin), form(utf8, b"n%C3%A9=1&a=%C3%A9")),
                (none.clone(), 1)
            );
        }
        assert_eq!(
            only_body(form(latin, b"a=%e9"), form(utf8, b"a=%C3%A8")),
            (vec!["body /a value: é -> è".to_owned()], 1)
        );
        assert_eq!(
            only_body(form("; charset=utf-16", b"a=%C3%A9"), form(latin, b"a=%e9")),
            (none.clone(), 1)
        );
        assert_eq!(only_body(form(utf8, b"\xef\xbb\xbfa=1"), form(utf8, b"a=1")), (none, 0));
    }

    #[test]
    fn bytes_that_are_not_of_their_charset_or_of_none_known_are_compared_as_they_are() {
        let of = |charset: &str, body: &[u8]| {
            sample().content(&format!("text/plain; charset={charset}"), body)
        };
        for charset in ["shift_jis", "klingon", "utf-8", "utf-16"] {
            assert_eq!(
                differences(of(charset, b"a\xff\n1\n00"), of(charset, b"a\xff\n2\n00")),
                ["body line 2 text: 1 -> 2"],
                "{charset}"
            );
            let found = compared(of(charset, b"a\xff"), of(charset, b"b\xff"), &[]);
            let note: &[_] =
                if charset == "klingon" { &[("note:charset-unknown", 1)] } else { &[] };
            assert_eq!(suppressed(&found), note, "{charset}");
        }
        let form = |charset: &str, value: &str| {
            let of = format!("application/x-www-form-urlencoded; charset={charset}");
            sample().content(&of, format!("a=%ff&b={value}"))
        };
        for charset in ["shift_jis", "klingon", "utf-8"] {
            assert_eq!(
                differences(form(charset, "%fe"), form(charset, "%fd")),
                ["body /b value: \u{fffd} -> \u{fffd}"],
                "{charset}"
            );
        }
    }

    #[test]
    fn text_is_compared_by_line() {
        let text = |body: &str| sample().content("text/plain", body);
        assert_eq!(
            differences(text("a\nb\nc\nd\n"), text("a\nB\nc\nd\ne\n")),
            ["body line 2 text: b -> B", "body line 5 text: none -> e"]
        );
        assert_eq!(differences(text("a"), text("b")), ["body line 1 text: a -> b"]);
        assert_eq!(differences(text("a"), text("a\n")), ["body line 1 text: a -> a"]);
        let found = compared(text("a"), text("b"), &["body:"]);
        assert_eq!(suppressed(&found), [("body:", 1)]);
    }

    #[test]
    fn of_a_large_text_the_first_line_that_differs_is_reported() {
        let text = |body: String| sample().content("text/plain", body);
        let (ours, theirs) = ("same\n".repeat(3000), "same\n".repeat(2500));
        assert_eq!(
            differences(text(ours.clone() + "x\ny"), text(ours + "z\ny")),
            ["body line 3001 text: x -> z"]
        );
        assert_eq!(
            differences(text(theirs.clone() + "more\n"), text(theirs)),
            ["body line 2501 text: more -> none"]
        );
    }

    #[test]
    fn bytes_are_compared_as_bytes() {
        let image = |body: &[u8]| sample().content("image/png", body);
        assert_eq!(
            differences(image(b"\x89PNG1234"), image(b"\x89PNG12x45")),
            ["body  binary: len 8, first difference at 6 -> len 9, first difference at 6"]
        );
        let untyped = |body: &[u8]| sample().body(body);
        assert_eq!(
            differences(untyped(b"a\0b"), untyped(b"a\0c")),
            ["body  binary: len 3, first difference at 2 -> len 3, first difference at 2"]
        );
    }

    #[test]
    fn bodies_of_different_types_are_not_looked_into() {
        let html = sample().content("text/html", "<p>");
        assert_eq!(
            differences(json("{}"), html.clone()),
            [
                "header content-type value: application/json -> text/html",
                "body  content_type: application/json -> text/html",
            ]
        );
        assert_eq!(
            differences(sample().content("text/plain", "<p>"), html),
            ["header content-type value: text/plain -> text/html"]
        );
    }

    #[test]
    fn a_compressed_body_is_compared_decoded() {
        use std::io::Write;
        let gzip = |body: &str| {
            let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            out.write_all(body.as_bytes()).unwrap();
            json("").response_header("content-encoding", "gzip").body(out.finish().unwrap())
        };
        assert_eq!(differences(gzip(r#"{"a":1}"#), gzip(r#"{ "a":1}"#)), [""; 0]);
        assert_eq!(differences(gzip(r#"{"a":1}"#), gzip(r#"{"a":2}"#)), ["body /a value: 1 -> 2"]);
        let found = compared(gzip(r#"{"a":1}"#), json(r#"{"a":1}"#), &[]);
        assert_eq!(
            (found.verdict, suppressed(&found)),
            (Verdict::Matched, vec![("builtin:content-encoding", 1)])
        );
        let broken = json("").response_header("content-encoding", "gzip").body("no gzip");
        assert_eq!(
            compared(gzip("{}"), broken, &[]).verdict,
            Verdict::Incomparable(Incomparable::Undecodable)
        );
        let secret = |body: &str| json(body).response_header("content-encoding", "rot13");
        assert_eq!(
            differences(secret("abc"), secret("abd")),
            ["body  binary: len 3, first difference at 2 -> len 3, first difference at 2"]
        );
    }

    #[test]
    fn an_echo_of_what_the_mirror_changed_is_no_difference() {
        let ours = sample().host("shop:80").header("x-forwarded-for", "192.0.2.7");
        let theirs = sample()
            .host("shop-shadow:80")
            .header("x-forwarded-for", "192.0.2.7,10.0.0.1")
            .header("x-envoy-internal", "true");
        let echo = |sample: Sample, host: &str, from: &str, more: &str| {
            sample.response_header("location", &format!("http://{host}/x")).content(
                "application/json",
                format!(r#"{{"url":"http:\/\/{host}/","from":["{from}"]{more},"n":1}}"#),
            )
        };
        let more = r#","x-envoy-internal":"true""#;
        let ours = echo(ours, "shop:80", "192.0.2.7", "");
        let theirs = echo(theirs, "shop-shadow:80", "192.0.2.7,10.0.0.1", more);
        let found = compared(ours.clone(), theirs.clone(), &[]);
        assert_eq!(written(&found.divergences), [""; 0]);
        assert_eq!(suppressed(&found), [("profile:envoy", 4)]);
        let mut policy = ServicePolicy::new("shop");
        policy.mirror = Mirror::None;
        let found = Differ::default().compare(&policy, "GET /", &ours.primary(), &theirs.shadow());
        assert_eq!(found.divergences.len(), 4);
    }

    #[test]
    fn an_echo_in_a_text_is_no_difference() {
        let ours = sample().host("shop:80").content("text/plain", "GET /\nHost: shop:80\n\nok");
        let theirs = sample()
            .host("shop-shadow:80")
            .header("x-envoy-internal", "true")
            .content("text/plain", "GET /\nHost: shop-shadow:80\n\nX-Envoy-Internal: true\nok");
        let found = compared(ours, theirs, &[]);
        assert_eq!(written(&found.divergences), [""; 0]);
        assert_eq!(suppressed(&found), [("profile:envoy", 2)]);
    }
}

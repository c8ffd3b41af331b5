//! What the shadow gets wrong: every class of difference, with the place where it must be found; and
//! ways to say the same that must not be found.

use fastrand::Rng;
use serde_json::{Value, json};

use crate::answer::{Answer, Content};

/// What must be found: kind, path and change, as the store has them.
pub(crate) type Expected = (&'static str, String, &'static str);

/// A way to get an answer wrong; `None` where it does not apply to this one.
type Wrong = fn(&mut Answer, &mut Rng) -> Option<Vec<Expected>>;

/// The classes of difference, by name.
pub(crate) const WRONG: &[(&str, Wrong)] = &[
    ("status", |answer, _| {
        answer.status = 500;
        one("status", "", "value")
    }),
    ("header value", |answer, _| {
        answer.set_field("cache-control", "no-store");
        one("header", "cache-control", "value")
    }),
    ("header missing", |answer, _| {
        answer.fields.retain(|(name, _)| name != "server");
        one("header", "server", "missing")
    }),
    ("header added", |answer, _| {
        answer.set_field("x-new", "1");
        one("header", "x-new", "added")
    }),
    ("cookie value", |answer, _| {
        let cookie = answer.fields.iter_mut().find(|(_, value)| value.starts_with("theme="))?;
        cookie.1 = "theme=light; Path=/".into();
        one("header", "set-cookie/theme", "value")
    }),
    ("trailer value", |answer, _| {
        answer.trailers.first_mut()?.1 = "18".into();
        one("trailer", "x-sum", "value")
    }),
    ("trailer missing", |answer, _| {
        answer.trailers.pop()?;
        answer.trailers.push(("x-other".into(), "1".into()));
        Some(vec![("trailer", "x-sum".into(), "missing"), ("trailer", "x-other".into(), "added")])
    }),
    ("content type", |answer, _| {
        matches!(answer.content, Content::Json(_)).then_some(())?;
        answer.set_field("content-type", "text/html");
        // The field and what the body is: two places.
        Some(vec![
            ("header", "content-type".into(), "value"),
            ("body", String::new(), "content_type"),
        ])
    }),
    ("number", |answer, _| json_value(answer, "/price/amount", json!(99.5), "value")),
    ("number, last digit of a big one", |answer, _| {
        let big = answer.json()?.pointer("/big")?.as_u64()?;
        json_value(answer, "/big", json!(big + 1), "value")
    }),
    ("number, last digit of a decimal", |answer, _| {
        json_value(answer, "/ratio", json!(0.100_000_000_000_000_02), "value")
    }),
    ("number beyond its tolerance", |answer, _| json_value(answer, "/score", json!(4.75), "value")),
    ("text beside what is normalised", |answer, _| {
        json_value(answer, "/build", json!("v1.2.4+0000000"), "value")
    }),
    ("string", |answer, _| json_value(answer, "/seller/name", json!("Bob"), "value")),
    ("boolean", |answer, _| json_value(answer, "/available", json!(false), "value")),
    ("deep number", |answer, _| {
        json_value(answer, "/seller/address/geo/lat", json!(52.75), "value")
    }),
    ("type", |answer, _| json_value(answer, "/id", json!("1"), "type")),
    ("null for a value", |answer, _| json_value(answer, "/sku", Value::Null, "type")),
    ("a value for null", |answer, _| json_value(answer, "/discount", json!(5), "type")),
    ("null is not missing", |answer, _| json_missing(answer, "", "discount")),
    ("member missing", |answer, _| json_missing(answer, "/price", "currency")),
    ("member added", |answer, _| {
        answer.json()?.pointer_mut("/seller")?["rating"] = json!(5);
        one("body", "/seller/rating", "added")
    }),
    ("element", |answer, _| json_value(answer, "/tags/1", json!("square"), "value")),
    ("element of an object in a list", |answer, _| {
        json_value(answer, "/variants/2/stock/south", json!(8), "value")
    }),
    ("element missing", |answer, rng| {
        let at = rng.usize(..6);
        answer.json()?.pointer_mut("/steps")?.as_array_mut()?.remove(at);
        one("body", format!("/steps/{at}"), "missing")
    }),
    ("element added", |answer, rng| {
        let at = rng.usize(..=6);
        answer.json()?.pointer_mut("/steps")?.as_array_mut()?.insert(at, json!("wait"));
        one("body", format!("/steps/{at}"), "added")
    }),
    ("order", |answer, _| {
        answer.json()?.pointer_mut("/steps")?.as_array_mut()?.swap(1, 4);
        one("body", "/steps", "order")
    }),
    ("order of keyed elements", |answer, _| {
        answer.json()?.pointer_mut("/variants")?.as_array_mut()?.swap(0, 2);
        one("body", "/variants", "order")
    }),
    ("keyed element missing", |answer, _| {
        answer.json()?.pointer_mut("/variants")?.as_array_mut()?.remove(1);
        one("body", "/variants/1", "missing")
    }),
    ("element by its configured key", |answer, _| {
        let lines = answer.json()?.pointer_mut("/lines")?.as_array_mut()?;
        lines.iter_mut().find(|line| line["sku"] == "b")?["qty"] = json!(7);
        // At the primary's index, which its order decides.
        one("body", "/lines/*/qty", "value")
    }),
    ("element of what has no order", |answer, _| {
        let facets = answer.json()?.pointer_mut("/facets")?.as_array_mut()?;
        *facets.iter_mut().find(|facet| *facet == "sale")? = json!("rent");
        Some(vec![("body", "/facets/*".into(), "missing"), ("body", "/facets/*".into(), "added")])
    }),
    ("element of what comes in any order", |answer, _| {
        let labels = answer.json()?.pointer_mut("/labels")?.as_array_mut()?;
        *labels.iter_mut().find(|label| *label == "east")? = json!("middle");
        Some(vec![("body", "/labels/*".into(), "missing"), ("body", "/labels/*".into(), "added")])
    }),
    ("no JSON", |answer, _| {
        let text = answer.json()?.to_string();
        answer.content = Content::Bytes(format!("{},}}", &text[..text.len() - 1]).into_bytes());
        one("body", "", "format")
    }),
    ("time as a number", |answer, _| json_value(answer, "/generated_at", json!(1), "type")),
    ("time in another form", |answer, _| {
        let time = answer.json()?.pointer("/generated_at")?.as_str()?.replace('T', " ");
        json_value(answer, "/generated_at", json!(time), "format")
    }),
    ("time of another day", |answer, _| {
        json_value(answer, "/generated_at", json!("2019-01-01T00:00:00.000Z"), "value")
    }),
    ("time missing", |answer, _| json_missing(answer, "", "generated_at")),
    ("trace id without dashes", |answer, _| {
        let id = answer.json()?.pointer("/trace_id")?.as_str()?.replace('-', "");
        json_value(answer, "/trace_id", json!(id), "format")
    }),
    ("trace id is null", |answer, _| json_value(answer, "/trace_id", Value::Null, "type")),
    ("counter as text", |answer, _| json_value(answer, "/served", json!("many"), "type")),
    ("counter below zero", |answer, _| json_value(answer, "/served", json!(-1), "format")),
    ("nonce of another length", |answer, _| {
        json_value(answer, "/meta/nonce", json!("abcdef"), "format")
    }),
    ("signature missing", |answer, _| json_missing(answer, "/meta", "signature")),
    ("weak etag", |answer, _| {
        let weak = format!("W/{}", answer.field("etag")?);
        answer.set_field("etag", &weak);
        one("header", "etag", "format")
    }),
    ("no etag", |answer, _| {
        answer.fields.retain(|(name, _)| name != "etag");
        one("header", "etag", "missing")
    }),
    ("word", |answer, _| {
        let at = line(answer, "Line 7 of")?;
        let Content::Lines(lines) = &mut answer.content else { return None };
        lines[at] = lines[at].replace("says", "said");
        one("body", format!("line {} word 6", at + 1), "text")
    }),
    ("charset", |answer, _| {
        line(answer, "the end")?;
        // The field says so, and the text is the same.
        answer.sent.latin1 = true;
        one("header", "content-type", "value")
    }),
    ("line missing", |answer, _| {
        let at = line(answer, "the end")?;
        let Content::Lines(lines) = &mut answer.content else { return None };
        lines.remove(at);
        one("body", format!("line {}", at + 1), "text")
    }),
    ("line of markup", |answer, _| {
        let at = line(answer, "<id>5</id>")?;
        let Content::Lines(lines) = &mut answer.content else { return None };
        lines[at] = lines[at].replace("<id>5</id>", "<id>77</id>");
        one("body", format!("line {} word 3", at + 1), "text")
    }),
    ("form field", |answer, _| {
        form_field(answer, "size")?.1 = "S".into();
        one("body", "/size", "value")
    }),
    ("form field missing", |answer, _| {
        let Content::Form(pairs) = &mut answer.content else { return None };
        pairs.retain(|(name, _)| name != "note");
        one("body", "/note", "missing")
    }),
    ("token in a form of another length", |answer, _| {
        form_field(answer, "token")?.1 = "none".into();
        one("body", "/token", "format")
    }),
    ("inside a part", |answer, _| {
        let Content::Multipart(parts) = &mut answer.content else { return None };
        parts[0].2 = String::from_utf8_lossy(&parts[0].2).replace("[1,2", "[1,5").into_bytes();
        one("body", "/doc/list/1", "value")
    }),
    ("part missing", |answer, _| {
        let Content::Multipart(parts) = &mut answer.content else { return None };
        parts.remove(1);
        one("body", "/note", "missing")
    }),
    ("line of a part", |answer, _| {
        let Content::Multipart(parts) = &mut answer.content else { return None };
        parts[1].2 = b"one\ndeux\nthree".to_vec();
        one("body", "/note/line 2", "text")
    }),
    ("field of a message", |answer, _| message_value(answer, "/name", json!("other"), "value")),
    ("number of a message, its last digit", |answer, _| {
        let cents =
            answer.quote()?.fields.pointer("/price/cents")?.as_str()?.parse::<u64>().ok()?;
        message_value(answer, "/price/cents", json!((cents + 1).to_string()), "value")
    }),
    ("field of a message that is its default", |answer, _| {
        answer.quote()?.fields["reserved"] = json!("2");
        one("body", "/reserved", "value")
    }),
    ("field of a message cleared", |answer, _| message_value(answer, "/name", json!(""), "value")),
    ("message inside a message missing", |answer, _| message_missing(answer, "", "price")),
    ("message inside a message added", |answer, _| {
        answer.quote()?.fields["shipping"] = json!({ "currency": "EUR" });
        one("body", "/shipping", "added")
    }),
    ("default with presence missing", |answer, _| message_missing(answer, "", "discount")),
    ("element of a message", |answer, _| message_value(answer, "/codes/2", json!(70_001), "value")),
    ("element of a message missing", |answer, rng| {
        let at = rng.usize(..6);
        answer.quote()?.fields["steps"].as_array_mut()?.remove(at);
        one("body", format!("/steps/{at}"), "missing")
    }),
    ("element of a message added", |answer, rng| {
        let at = rng.usize(..=6);
        answer.quote()?.fields["steps"].as_array_mut()?.insert(at, json!("wait"));
        one("body", format!("/steps/{at}"), "added")
    }),
    ("order in a message", |answer, _| {
        answer.quote()?.fields["steps"].as_array_mut()?.swap(1, 4);
        one("body", "/steps", "order")
    }),
    ("field of a message in a list", |answer, _| {
        message_value(answer, "/parts/1/count", json!(3), "value")
    }),
    ("value of a map", |answer, _| message_value(answer, "/stock/north", json!("4"), "value")),
    ("entry of a map missing", |answer, _| message_missing(answer, "/stock", "east")),
    ("entry of a map added", |answer, _| {
        answer.quote()?.fields["stock"]["west"] = json!("1");
        one("body", "/stock/west", "added")
    }),
    ("enum", |answer, _| message_value(answer, "/state", json!("DONE"), "value")),
    ("field that no description knows", |answer, _| {
        // Number 99, a varint.
        answer.quote()?.unknown = vec![0x98, 0x06, 0x01];
        one("body", "/[unknown 99]", "added")
    }),
    ("no message", |answer, _| {
        let mut bytes = answer.quote()?.bytes();
        bytes.push(0xff);
        answer.content = Content::Bytes(bytes);
        one("body", "", "format")
    }),
    ("time of a message in another form", |answer, _| {
        let time = answer.quote()?.fields["madeAt"].as_str()?.replace('T', " ");
        answer.quote()?.fields["madeAt"] = json!(time);
        one("body", "/made_at", "format")
    }),
    ("time of a message, another day", |answer, _| {
        answer.quote()?.fields["madeAt"] = json!("2019-01-01T00:00:00.000Z");
        one("body", "/made_at", "value")
    }),
    ("trace id of a message without dashes", |answer, _| {
        let id = answer.quote()?.fields["traceId"].as_str()?.replace('-', "");
        answer.quote()?.fields["traceId"] = json!(id);
        one("body", "/trace_id", "format")
    }),
    ("counter of a message below zero", |answer, _| {
        answer.quote()?.fields["served"] = json!("-1");
        one("body", "/served", "format")
    }),
    ("nonce of a message of another length", |answer, _| {
        answer.quote()?.fields["nonce"] = json!("AAAA");
        one("body", "/nonce", "format")
    }),
    ("byte", |answer, rng| {
        let Content::Bytes(bytes) = &mut answer.content else { return None };
        let at = rng.usize(..bytes.len());
        bytes[at] ^= 1;
        one("body", "", "binary")
    }),
    ("length", |answer, _| {
        let Content::Bytes(bytes) = &mut answer.content else { return None };
        bytes.pop()?;
        one("body", "", "binary")
    }),
];

/// Says the same in other bytes.
pub(crate) fn say_otherwise(answer: &mut Answer, rng: &mut Rng) {
    answer.sent.otherwise = rng.bool();
    answer.sent.gzip = rng.bool();
    answer.sent.json_otherwise = rng.bool();
}

/// Whether a path that was found is the expected one, in which `*` stands for any index.
pub(crate) fn is_path(expected: &str, found: &str) -> bool {
    let (expected, found) = (expected.split('/'), found.split('/'));
    expected.clone().count() == found.clone().count()
        && expected
            .zip(found)
            .all(|(e, f)| e == f || (e == "*" && f.bytes().all(|b| b.is_ascii_digit())))
}

fn one(kind: &'static str, path: impl Into<String>, change: &'static str) -> Option<Vec<Expected>> {
    Some(vec![(kind, path.into(), change)])
}

fn json_value(
    answer: &mut Answer,
    pointer: &str,
    value: Value,
    change: &'static str,
) -> Option<Vec<Expected>> {
    let place = answer.json()?.pointer_mut(pointer)?;
    assert_ne!(*place, value, "{pointer}");
    *place = value;
    one("body", pointer, change)
}

fn json_missing(answer: &mut Answer, parent: &str, name: &str) -> Option<Vec<Expected>> {
    answer.json()?.pointer_mut(parent)?.as_object_mut()?.remove(name)?;
    one("body", format!("{parent}/{name}"), "missing")
}

fn message_value(
    answer: &mut Answer,
    pointer: &str,
    value: Value,
    change: &'static str,
) -> Option<Vec<Expected>> {
    let place = answer.quote()?.fields.pointer_mut(pointer)?;
    assert_ne!(*place, value, "{pointer}");
    *place = value;
    one("body", pointer, change)
}

fn message_missing(answer: &mut Answer, parent: &str, name: &str) -> Option<Vec<Expected>> {
    answer.quote()?.fields.pointer_mut(parent)?.as_object_mut()?.remove(name)?;
    one("body", format!("{parent}/{name}"), "missing")
}

fn form_field<'a>(answer: &'a mut Answer, name: &str) -> Option<&'a mut (String, String)> {
    let Content::Form(pairs) = &mut answer.content else { return None };
    pairs.iter_mut().find(|(known, _)| known == name)
}

/// Where the line with `text` is.
fn line(answer: &Answer, text: &str) -> Option<usize> {
    let Content::Lines(lines) = &answer.content else { return None };
    lines.iter().position(|line| line.contains(text))
}

//! Where the value that pairs two exchanges is found in a request.
//!
//! An extractor yields the same value on both legs of one request, or it is of no use: it reads
//! only what a mirroring proxy copies as it is.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use capture::{Request, body};

use crate::differ::json;
use crate::field_name::is_field_name;

/// Bytes of a compressed request body that are decoded to look for a JSON member. Larger bodies
/// yield no value.
const DECODED_BYTES: u64 = 1 << 20;

/// Where the pairing key is found.
///
/// Written `header:x-request-id`, `trace-id`, `query:rid`, `json:/meta/id` or `fingerprint`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Extractor {
    /// The first value of this header field.
    Header(Box<str>),
    /// The trace id of `traceparent` (W3C Trace Context), else of `b3`, else `x-b3-traceid`.
    TraceId,
    /// The first value of this query parameter, as sent.
    Query(Box<str>),
    /// The string or number at this JSON Pointer (RFC 6901) in the request's body.
    Json(Box<str>),
    /// Method, target and body together: for traffic that carries no id.
    Fingerprint,
}

impl Default for Extractor {
    /// `header:x-request-id`, which Envoy, Istio and nginx send alike on both legs.
    fn default() -> Self {
        Self::Header("x-request-id".into())
    }
}

impl Extractor {
    /// The value in `request`; `None` where it has none, or an empty one.
    pub(crate) fn value<'a>(&self, request: &'a Request) -> Option<Cow<'a, [u8]>> {
        let value = match self {
            Self::Header(name) => Cow::Borrowed(request.fields.get(name.as_bytes())?),
            Self::TraceId => trace_id(request)?,
            Self::Query(name) => Cow::Borrowed(query_value(request.target(), name.as_bytes())?),
            Self::Json(pointer) => json_value(request, pointer)?,
            Self::Fingerprint => Cow::Owned(fingerprint(request)),
        };
        (!value.is_empty()).then_some(value)
    }
}

impl fmt::Display for Extractor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header:{name}"),
            Self::TraceId => f.write_str("trace-id"),
            Self::Query(name) => write!(f, "query:{name}"),
            Self::Json(pointer) => write!(f, "json:{pointer}"),
            Self::Fingerprint => f.write_str("fingerprint"),
        }
    }
}

/// Why a text is no extractor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParseExtractorError {
    /// It begins like none of them.
    Unknown(String),
    /// What it needs after the colon is missing.
    NameMissing(&'static str),
    /// A header name with bytes that RFC 9110 does not allow in one.
    HeaderInvalid(String),
    /// A JSON Pointer that does not begin with `/`.
    PointerInvalid(String),
}

impl fmt::Display for ParseExtractorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(text) => {
                write!(f, "'{text}' is no extractor; ")?;
                match suggestion(text) {
                    Some(likely) => write!(f, "did you mean '{likely}'?"),
                    None => write!(
                        f,
                        "write header:NAME, trace-id, query:NAME, json:/POINTER or fingerprint"
                    ),
                }
            }
            Self::NameMissing(kind) => write!(
                f,
                "'{kind}:' needs a name, as in '{}'",
                match *kind {
                    "header" => "header:x-request-id",
                    "query" => "query:rid",
                    _ => "json:/meta/id",
                }
            ),
            Self::HeaderInvalid(name) => write!(f, "'{name}' is no header name"),
            Self::PointerInvalid(pointer) => {
                write!(f, "'{pointer}' is no JSON Pointer; did you mean '/{pointer}'?")
            }
        }
    }
}

impl std::error::Error for ParseExtractorError {}

impl FromStr for Extractor {
    type Err = ParseExtractorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            None if text == "trace-id" => Ok(Self::TraceId),
            None if text == "fingerprint" => Ok(Self::Fingerprint),
            Some(("header", "")) => Err(ParseExtractorError::NameMissing("header")),
            Some(("header", name)) if is_field_name(name) => {
                Ok(Self::Header(name.to_ascii_lowercase().into()))
            }
            Some(("header", name)) => Err(ParseExtractorError::HeaderInvalid(name.to_owned())),
            Some(("query", "")) => Err(ParseExtractorError::NameMissing("query")),
            Some(("query", name)) => Ok(Self::Query(name.into())),
            Some(("json", "")) => Err(ParseExtractorError::NameMissing("json")),
            Some(("json", pointer)) if pointer.starts_with('/') => Ok(Self::Json(pointer.into())),
            Some(("json", pointer)) => Err(ParseExtractorError::PointerInvalid(pointer.to_owned())),
            _ => Err(ParseExtractorError::Unknown(text.to_owned())),
        }
    }
}

/// What someone who wrote `text` probably wanted.
fn suggestion(text: &str) -> Option<String> {
    let (kind, name) = text.split_once([':', '=']).unwrap_or((text, ""));
    let kind = kind.trim().to_ascii_lowercase();
    let with = |kind: &str, example: &str| {
        let name = name.trim();
        Some(format!("{kind}:{}", if name.is_empty() { example } else { name }))
    };
    match kind.as_str() {
        "header" | "headers" | "field" => with("header", "x-request-id"),
        "query" | "param" | "parameter" => with("query", "rid"),
        "json" | "body" => with("json", "/meta/id"),
        "trace-id" | "trace_id" | "traceid" | "trace" | "traceparent" | "b3" => {
            Some("trace-id".to_owned())
        }
        "fingerprint" | "hash" => Some("fingerprint".to_owned()),
        _ if name.is_empty() && kind.starts_with("x-") => Some(format!("header:{kind}")),
        _ => None,
    }
}

fn trace_id(request: &Request) -> Option<Cow<'_, [u8]>> {
    let field = |name: &[u8]| request.fields.get(name);
    let id = field(b"traceparent")
        .and_then(w3c_trace_id)
        .or_else(|| field(b"b3").and_then(b3_trace_id))
        .or_else(|| field(b"x-b3-traceid").filter(|id| is_b3_id(id)))?;
    Some(if id.iter().any(u8::is_ascii_uppercase) {
        Cow::Owned(id.to_ascii_lowercase())
    } else {
        Cow::Borrowed(id)
    })
}

/// The trace id of a `traceparent`: `version-traceid-parentid-flags`, 2, 32, 16 and 2 hexadecimal
/// digits; more may follow in later versions. A trace id of zeros is invalid (W3C Trace Context
/// §3.2.2).
fn w3c_trace_id(value: &[u8]) -> Option<&[u8]> {
    let mut parts = value.split(|&b| b == b'-');
    let (version, id) = (parts.next()?, parts.next()?);
    let valid = version.len() == 2
        && is_hex(version)
        && !version.eq_ignore_ascii_case(b"ff")
        && id.len() == 32
        && is_hex(id)
        && id.iter().any(|&b| b != b'0');
    valid.then_some(id)
}

/// The trace id of a `b3` field: `traceid-spanid[-sampled[-parentspanid]]`. A lone sampling
/// decision (`0`, `1` or `d`) carries none.
fn b3_trace_id(value: &[u8]) -> Option<&[u8]> {
    value.split(|&b| b == b'-').next().filter(|id| is_b3_id(id))
}

fn is_b3_id(id: &[u8]) -> bool {
    matches!(id.len(), 16 | 32) && is_hex(id)
}

fn is_hex(digits: &[u8]) -> bool {
    digits.iter().all(u8::is_ascii_hexdigit)
}

fn query_value<'a>(target: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let query = &target[memchr::memchr(b'?', target)? + 1..];
    let query = query.split(|&b| b == b'#').next()?;
    query.split(|&b| b == b'&').find_map(|parameter| {
        let at = memchr::memchr(b'=', parameter)?;
        (&parameter[..at] == name).then_some(&parameter[at + 1..])
    })
}

fn json_value<'a>(request: &'a Request, pointer: &str) -> Option<Cow<'a, [u8]>> {
    if !request.body.is_whole() {
        return None;
    }
    let coding = request.fields.get(b"content-encoding");
    match body::decode(request.body.kept(), coding, DECODED_BYTES).ok()? {
        Cow::Borrowed(text) => json::scalar_at(text, pointer),
        Cow::Owned(text) => {
            json::scalar_at(&text, pointer).map(|value| Cow::Owned(value.into_owned()))
        }
    }
}

/// 32 hexadecimal digits over method, target and body. Of a body above the cap: its kept prefix
/// and its length.
fn fingerprint(request: &Request) -> Vec<u8> {
    let mut hasher = blake3::Hasher::new();
    for part in [request.method(), request.target()] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.update(&request.body.len().to_le_bytes());
    hasher.update(request.body.kept());
    hasher.finalize().to_hex()[..32].as_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Sample;

    fn value(extractor: &str, sample: &Sample) -> Option<String> {
        let request = sample.clone().primary().request.unwrap();
        let extractor: Extractor = extractor.parse().unwrap();
        extractor.value(&request).map(|v| String::from_utf8(v.into_owned()).unwrap())
    }

    #[test]
    fn every_written_form_is_read_and_written_back() {
        for text in ["header:x-request-id", "trace-id", "query:rid", "json:/meta/id", "fingerprint"]
        {
            assert_eq!(text.parse::<Extractor>().unwrap().to_string(), text);
        }
        assert_eq!("header:X-Request-ID".parse(), Ok(Extractor::default()));
    }

    #[test]
    fn a_wrong_extractor_says_what_was_probably_meant() {
        let error = |text: &str| text.parse::<Extractor>().unwrap_err().to_string();
        assert_eq!(error("traceid"), "'traceid' is no extractor; did you mean 'trace-id'?");
        assert_eq!(
            error("x-request-id"),
            "'x-request-id' is no extractor; did you mean 'header:x-request-id'?"
        );
        assert_eq!(error("body:/id"), "'body:/id' is no extractor; did you mean 'json:/id'?");
        assert_eq!(
            error("cookie"),
            "'cookie' is no extractor; write header:NAME, trace-id, query:NAME, json:/POINTER or \
             fingerprint"
        );
        assert_eq!(error("header:"), "'header:' needs a name, as in 'header:x-request-id'");
        assert_eq!(error("header:a b"), "'a b' is no header name");
        assert_eq!(error("json:id"), "'id' is no JSON Pointer; did you mean '/id'?");
    }

    #[test]
    fn a_trace_id_comes_from_traceparent_then_b3_then_x_b3_traceid() {
        let w3c = "00-4BF92F3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let b3 = "80f198ee56343ba864fe8b2a57d3eff7-e457b5a2e4d86bd1-1-05e3ac9a4f6e3b90";
        let all = Sample::new("1")
            .header("traceparent", w3c)
            .header("b3", b3)
            .header("x-b3-traceid", "463ac35c9f6413ad");
        assert_eq!(value("trace-id", &all).unwrap(), "4bf92f3577b34da6a3ce929d0e0e4736");
        let b3_only = Sample::new("1").header("b3", b3);
        assert_eq!(value("trace-id", &b3_only).unwrap(), "80f198ee56343ba864fe8b2a57d3eff7");
        let single = Sample::new("1").header("x-b3-traceid", "463ac35c9f6413ad");
        assert_eq!(value("trace-id", &single).unwrap(), "463ac35c9f6413ad");
        for invalid in ["00-00000000000000000000000000000000-00f067aa0ba902b7-01", "00-abc", ""] {
            assert_eq!(value("trace-id", &Sample::new("1").header("traceparent", invalid)), None);
        }
        assert_eq!(value("trace-id", &Sample::new("1").header("b3", "0")), None);
    }

    #[test]
    fn a_query_parameter_is_found_by_its_whole_name() {
        let sample = Sample::new("1").target("/a?xrid=1&rid=42&rid=43#rid=9");
        assert_eq!(value("query:rid", &sample).unwrap(), "42");
        assert_eq!(value("query:r", &sample), None);
        assert_eq!(value("query:rid", &Sample::new("1").target("/a?rid=")), None);
    }

    #[test]
    fn a_json_member_is_a_key_if_it_is_a_string_or_a_number() {
        let sample = Sample::new("1")
            .request_body(r#"{"meta":{"id":"a\u0062c","n":[1,7],"none":null},"a/b":5}"#);
        assert_eq!(value("json:/meta/id", &sample).unwrap(), "abc");
        assert_eq!(value("json:/meta/n/1", &sample).unwrap(), "7");
        assert_eq!(value("json:/a~1b", &sample).unwrap(), "5");
        for none in ["json:/meta", "json:/meta/none", "json:/meta/n/2", "json:/x"] {
            assert_eq!(value(none, &sample), None, "{none}");
        }
        assert_eq!(value("json:/id", &Sample::new("1").request_body("{\"id\":1")), None);
    }

    #[test]
    fn a_fingerprint_changes_with_method_target_and_body() {
        let one = || Sample::new("1").method("POST").target("/a").request_body("x");
        let of = |sample: Sample| value("fingerprint", &sample).unwrap();
        assert_eq!(of(one()), of(one().header("x-request-id", "2")));
        assert_ne!(of(one()), of(one().method("PUT")));
        assert_ne!(of(one()), of(one().target("/b")));
        assert_ne!(of(one()), of(one().request_body("y")));
    }
}

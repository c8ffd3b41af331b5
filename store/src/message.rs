//! What is kept of an example's exchanges: text, redacted and bounded.

use capture::{Body, Exchange, Fields, Request, Response, body};
use serde::{Deserialize, Serialize};

use crate::redact::{Redactor, beginning, without_last_word};

/// Bytes of a body kept in an example. A longer one is cut there.
pub const EXAMPLE_BODY_BYTES: usize = 64 << 10;

/// Bytes of a body that redaction reads: more than are kept, since masks may be shorter than what
/// they stand for.
const REDACTED_BYTES: usize = 2 * EXAMPLE_BODY_BYTES;

/// Bytes at which decoding an example's body stops. A larger one is kept as shape only.
const DECODED_BYTES: u64 = 4 << 20;

/// One leg of an example, redacted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExchangeText {
    /// Address and port of who asked.
    pub client: String,
    /// Address and port of who answered.
    pub server: String,
    /// How whole it is: `complete`, or why not.
    pub evidence: String,
    /// What was asked; `None` where it was not seen.
    pub request: Option<MessageText>,
    /// What was answered; `None` where it was not seen.
    pub response: Option<MessageText>,
}

/// A request or a response, redacted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageText {
    /// The start line, as HTTP/1.1 writes it.
    pub start_line: String,
    /// Names and values in the order sent.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: BodyText,
    /// Names and values in the order sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trailers: Vec<(String, String)>,
}

/// A body, as far as it may be kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BodyText {
    /// Bytes as sent, content coding on.
    pub bytes: u64,
    /// Keyed digest of what was captured: equal bodies of one run have equal digests.
    pub digest: String,
    /// The decoded text, redacted. `None` where it is binary, does not decode, or is not what its
    /// type says, so that redaction cannot vouch for it.
    pub text: Option<String>,
    /// Whether `text` is only the beginning.
    pub cut: bool,
}

impl ExchangeText {
    pub(crate) fn new(exchange: &Exchange, redactor: &Redactor) -> Self {
        Self {
            client: exchange.client.to_string(),
            server: exchange.server.to_string(),
            evidence: exchange.evidence.as_str().to_owned(),
            request: exchange.request.as_ref().map(|request| request_text(request, redactor)),
            response: exchange.response.as_ref().map(|response| response_text(response, redactor)),
        }
    }
}

fn request_text(request: &Request, redactor: &Redactor) -> MessageText {
    let method = String::from_utf8_lossy(request.method());
    let target = String::from_utf8_lossy(request.target());
    MessageText {
        start_line: format!("{method} {} {}", redactor.target(&target), request.version.as_str()),
        headers: fields_text(&request.fields, redactor),
        body: BodyText::new(&request.fields, &request.body, redactor),
        trailers: fields_text(&request.trailers, redactor),
    }
}

fn response_text(response: &Response, redactor: &Redactor) -> MessageText {
    MessageText {
        start_line: format!("{} {}", response.version.as_str(), response.status),
        headers: fields_text(&response.fields, redactor),
        body: BodyText::new(&response.fields, &response.body, redactor),
        trailers: fields_text(&response.trailers, redactor),
    }
}

fn fields_text(fields: &Fields, redactor: &Redactor) -> Vec<(String, String)> {
    fields
        .iter()
        .map(|(name, value)| {
            let name = String::from_utf8_lossy(name);
            let value = redactor.header(&name, &String::from_utf8_lossy(value));
            (name.into_owned(), value)
        })
        .collect()
}

impl BodyText {
    fn new(fields: &Fields, body: &Body, redactor: &Redactor) -> Self {
        let digest = redactor.digest(body.kept(), 16);
        let (text, cut) = match readable(fields, body, redactor) {
            Some(Readable { mut text, cut }) => {
                let end = beginning(&text, EXAMPLE_BODY_BYTES).len();
                let cut = cut || end < text.len();
                text.truncate(end);
                (Some(text), cut)
            }
            None => (None, false),
        };
        Self { bytes: body.len(), digest, text, cut }
    }
}

/// A decoded and redacted body.
struct Readable {
    text: String,
    /// Whether it is only the beginning.
    cut: bool,
}

/// The decoded body as redacted text, where redaction can read it.
fn readable(fields: &Fields, body: &Body, redactor: &Redactor) -> Option<Readable> {
    let coding = fields.get(b"content-encoding");
    if coding.is_some() && !body.is_whole() {
        return None;
    }
    let decoded = body::decode(body.kept(), coding, DECODED_BYTES).ok()?;
    let text = match std::str::from_utf8(&decoded) {
        Ok(text) => text,
        // A prefix may end inside a character.
        Err(error) if !body.is_whole() && error.error_len().is_none() => {
            std::str::from_utf8(&decoded[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    if text.contains('\0') {
        return None;
    }
    let cut = !body.is_whole() || text.len() > REDACTED_BYTES;
    let text = if cut { without_last_word(beginning(text, REDACTED_BYTES)) } else { text };
    let text = match Form::of(fields.get(b"content-type"), text) {
        Form::Json => redactor.json(text, cut),
        Form::PerhapsJson => {
            Some(redactor.json(text, cut).unwrap_or_else(|| redactor.text(text).into_owned()))
        }
        Form::Parameters => Some(redactor.form(text)),
        Form::Text => Some(redactor.text(text).into_owned()),
        Form::Unknown => None,
    };
    Some(Readable { text: text?, cut })
}

/// How to read a body for redaction.
enum Form {
    Json,
    /// Looks like JSON, but nobody said so.
    PerhapsJson,
    Parameters,
    Text,
    /// In a form that redaction does not read.
    Unknown,
}

impl Form {
    fn of(content_type: Option<&[u8]>, text: &str) -> Self {
        let Some(content_type) = content_type else {
            return Self::of_text(text);
        };
        let media = String::from_utf8_lossy(content_type).to_ascii_lowercase();
        let media = media.split(';').next().unwrap_or_default().trim();
        let (kind, subtype) = media.split_once('/').unwrap_or((media, ""));
        match (kind, subtype) {
            (_, "json" | "x-ndjson" | "jsonl" | "problem+json" | "graphql+json") => Self::Json,
            (_, subtype) if subtype.ends_with("+json") => Self::Json,
            (_, "x-www-form-urlencoded") => Self::Parameters,
            (_, "xml" | "javascript" | "graphql" | "yaml" | "x-yaml" | "toml") => Self::Text,
            (_, subtype) if subtype.ends_with("+xml") => Self::Text,
            // Whoever calls JSON text/plain still writes JSON.
            ("text", _) => Self::of_text(text),
            _ => Self::Unknown,
        }
    }

    /// By the text alone.
    fn of_text(text: &str) -> Self {
        let text = text.trim_start();
        if text.starts_with(['{', '[']) {
            Self::PerhapsJson
        } else if text.contains('=') && !text.contains(|c: char| c.is_whitespace() || c == '<') {
            Self::Parameters
        } else {
            Self::Text
        }
    }
}

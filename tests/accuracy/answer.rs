//! An answer, and the bytes that it is sent as.

use std::io::Write as _;

use fastrand::Rng;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

use crate::quote::Quote;

/// An answer.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) trailers: Vec<(String, String)>,
    pub(crate) content: Content,
    pub(crate) sent: Sent,
}

/// What it holds.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    Json(Value),
    /// Text of any kind, by line.
    Lines(Vec<String>),
    Form(Vec<(String, String)>),
    /// Name, content type and content of each part.
    Multipart(Vec<(&'static str, &'static str, Vec<u8>)>),
    Message(Quote),
    Bytes(Vec<u8>),
}

/// In which of several ways that mean the same it is sent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sent {
    pub(crate) gzip: bool,
    pub(crate) latin1: bool,
    /// Members in another order, with white space and escapes, numbers written otherwise.
    pub(crate) json_otherwise: bool,
    /// A multipart boundary, form escapes, protobuf encoding, and header order of its own.
    pub(crate) otherwise: bool,
}

impl Answer {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }

    pub(crate) fn set_field(&mut self, name: &str, value: &str) {
        match self.fields.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => value.clone_into(known),
            None => self.fields.push((name.into(), value.into())),
        }
    }

    pub(crate) fn json(&mut self) -> Option<&mut Value> {
        match &mut self.content {
            Content::Json(value) => Some(value),
            _ => None,
        }
    }

    pub(crate) fn quote(&mut self) -> Option<&mut Quote> {
        match &mut self.content {
            Content::Message(quote) => Some(quote),
            _ => None,
        }
    }

    /// The whole message.
    pub(crate) fn message(&self, rng: &mut Rng) -> Vec<u8> {
        let mut fields = self.fields.clone();
        let mut body = match &self.content {
            Content::Json(value) if self.sent.json_otherwise => {
                let mut text = String::new();
                write_otherwise(value, rng, &mut text);
                text.into_bytes()
            }
            Content::Json(value) => value.to_string().into_bytes(),
            Content::Lines(lines) if self.sent.latin1 => lines
                .join("\n")
                .chars()
                .map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?'))
                .collect(),
            Content::Lines(lines) => lines.join("\n").into_bytes(),
            Content::Form(pairs) => form(pairs, self.sent.otherwise).into_bytes(),
            Content::Multipart(parts) => {
                let boundary = if self.sent.otherwise { "=_other" } else { "=_parts" };
                let kind = format!("multipart/form-data; boundary=\"{boundary}\"");
                fields.retain(|(name, _)| name != "content-type");
                fields.push(("content-type".into(), kind));
                multipart(parts, boundary)
            }
            Content::Message(quote) if self.sent.otherwise => quote.bytes_otherwise(rng),
            Content::Message(quote) => quote.bytes(),
            Content::Bytes(bytes) => bytes.clone(),
        };
        if self.sent.latin1 && matches!(self.content, Content::Lines(_)) {
            for (name, value) in &mut fields {
                if name == "content-type" {
                    *value = value.replace("utf-8", "iso-8859-1");
                }
            }
        }
        if self.sent.gzip {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(&body).unwrap();
            body = encoder.finish().unwrap();
            fields.push(("content-encoding".into(), "gzip".into()));
        }
        if self.sent.otherwise {
            // The fields of one name keep their order.
            fields.sort_by(|a, b| b.0.cmp(&a.0));
        }
        let mut message = format!("HTTP/1.1 {} Answer\r\n", self.status).into_bytes();
        for (name, value) in &fields {
            let _ = write!(message, "{name}: {value}\r\n");
        }
        if self.trailers.is_empty() {
            let _ = write!(message, "content-length: {}\r\n\r\n", body.len());
            message.extend_from_slice(&body);
        } else {
            let _ = write!(message, "transfer-encoding: chunked\r\n\r\n{:x}\r\n", body.len());
            message.extend_from_slice(&body);
            message.extend_from_slice(b"\r\n0\r\n");
            for (name, value) in &self.trailers {
                let _ = write!(message, "{name}: {value}\r\n");
            }
            message.extend_from_slice(b"\r\n");
        }
        message
    }
}

/// RFC 1866 §8.2.1; `otherwise` escapes more than must be.
fn form(pairs: &[(String, String)], otherwise: bool) -> String {
    let escape = |text: &str| {
        let mut escaped = String::new();
        for byte in text.bytes() {
            match byte {
                b'a'..=b'y' | b'A'..=b'Z' | b'0'..=b'9' => escaped.push(char::from(byte)),
                b'z' if !otherwise => escaped.push('z'),
                b' ' if !otherwise => escaped.push('+'),
                _ => escaped.push_str(&format!("%{byte:02X}")),
            }
        }
        escaped
    };
    let fields: Vec<String> =
        pairs.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect();
    fields.join("&")
}

fn multipart(parts: &[(&str, &str, Vec<u8>)], boundary: &str) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, kind, content) in parts {
        let _ = write!(
            body,
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\
             Content-Type: {kind}\r\n\r\n"
        );
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    let _ = write!(body, "--{boundary}--\r\n");
    body
}

/// The same value in other bytes.
fn write_otherwise(value: &Value, rng: &mut Rng, text: &mut String) {
    text.push_str(["", " ", "\n  "][rng.usize(..3)]);
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            rng.shuffle(&mut members);
            text.push('{');
            for (n, (name, value)) in members.into_iter().enumerate() {
                text.push_str(if n > 0 { "," } else { "" });
                write_string_otherwise(name, rng, text);
                text.push(':');
                write_otherwise(value, rng, text);
            }
            text.push('}');
        }
        Value::Array(elements) => {
            text.push('[');
            for (n, value) in elements.iter().enumerate() {
                text.push_str(if n > 0 { ", " } else { "" });
                write_otherwise(value, rng, text);
            }
            text.push(']');
        }
        Value::String(string) => write_string_otherwise(string, rng, text),
        Value::Number(number) if number.is_f64() => text.push_str(&format!("{number}0")),
        Value::Number(number) if rng.bool() => text.push_str(&format!("{number}.0")),
        other => text.push_str(&other.to_string()),
    }
    text.push_str(["", " "][rng.usize(..2)]);
}

fn write_string_otherwise(string: &str, rng: &mut Rng, text: &mut String) {
    text.push('"');
    for unit in string.encode_utf16() {
        let plain = u8::try_from(unit).ok().filter(|b| b.is_ascii_alphanumeric() || *b == b' ');
        match plain {
            Some(byte) if rng.u8(..) > 20 => text.push(char::from(byte)),
            _ => text.push_str(&format!("\\u{unit:04x}")),
        }
    }
    text.push('"');
}

//! `tapdiff exchanges`: every HTTP exchange in captures, one JSON object a line.

use std::io::{self, BufWriter, Write};
use std::net::IpAddr;
use std::path::PathBuf;

use capture::{Counters, Evidence, Exchange, Fields, Limits, Tap, Timestamp};
use serde::Serialize;
use tracing::warn;

use crate::cli::ExchangesArgs;
use crate::failure::Failure;
use crate::output;
use crate::pipeline::file::{Captures, push_key_logs};

/// Prints them in the order in which they ended.
pub(crate) fn exchanges(args: &ExchangesArgs) -> Result<(), Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    for path in &args.captures {
        if let Err(why) = one_file(path, args, &mut out)? {
            return output::finish(Err(why));
        }
    }
    output::finish(out.flush())
}

/// The exchanges of one file. The inner result is that of writing.
fn one_file(
    path: &PathBuf,
    args: &ExchangesArgs,
    out: &mut impl Write,
) -> Result<io::Result<()>, Failure> {
    let file = path.display().to_string();
    let limits = Limits { sha256: true, ..Limits::default() };
    let mut tap = Tap::new(limits, Vec::new());
    let mut captures = Captures::open(std::slice::from_ref(path))?;
    push_key_logs(&args.key_logs, &mut tap)?;
    captures.push_keys(&mut tap)?;
    let mut write = |tap: &mut Tap| -> io::Result<()> {
        while let Some(exchange) = tap.poll() {
            if exchange.request.is_some() || args.half {
                serde_json::to_writer(&mut *out, &Line::new(&file, &exchange))?;
                out.write_all(b"\n")?;
            }
        }
        Ok(())
    };
    while let Some(packet) = captures.next()? {
        tap.push(&packet);
        tap.expire(packet.at);
        if let Err(why) = write(&mut tap) {
            return Ok(Err(why));
        }
        captures.push_keys(&mut tap)?;
    }
    tap.finish();
    let written = write(&mut tap);
    captures.report_unread();
    report_unread_connections(&file, tap.counters());
    Ok(written)
}

/// Says which connections of the file are not among its exchanges, or not to their end.
fn report_unread_connections(file: &str, counters: &Counters) {
    let unread = &counters.unread;
    for (kind, connections) in unread.iter() {
        warn!(
            connections,
            server = %kind.server,
            name = kind.name.as_deref(),
            protocol = kind.protocol.as_deref(),
            "{file}: not read: {}", kind.why.as_str()
        );
    }
    if unread.others() > 0 {
        warn!(connections = unread.others(), "{file}: not read, of other servers and names");
    }
}

/// One line, field by field as the exchange format has it.
#[derive(Serialize)]
struct Line<'a> {
    file: &'a str,
    proto: &'static str,
    stream_id: Option<u32>,
    src: IpAddr,
    sport: u16,
    dst: IpAddr,
    dport: u16,
    method: Option<String>,
    uri: Option<String>,
    version: Option<&'static str>,
    host: Option<String>,
    status: Option<u16>,
    interim: &'a [u16],
    req_headers: Option<usize>,
    resp_headers: Option<usize>,
    req_body_len: Option<u64>,
    resp_body_len: Option<u64>,
    req_body_len_decoded: Option<u64>,
    resp_body_len_decoded: Option<u64>,
    req_body_sha256: Option<String>,
    resp_body_sha256: Option<String>,
    req_body_sha256_decoded: Option<String>,
    resp_body_sha256_decoded: Option<String>,
    req_content_encoding: Option<String>,
    resp_content_encoding: Option<String>,
    upgrade: Option<&'a str>,
    request_time: Option<String>,
    response_time: Option<String>,
    complete: bool,
    evidence: &'static str,
}

impl<'a> Line<'a> {
    fn new(file: &'a str, exchange: &'a Exchange) -> Self {
        let request = exchange.request.as_ref();
        let response = exchange.response.as_ref();
        let timing = &exchange.timing;
        let whole_heads = (timing.request_head.is_some(), timing.response_head.is_some());
        let request_sum = request.and_then(|r| r.body.decoded_sum());
        let response_sum = response.and_then(|r| r.body.decoded_sum());
        Self {
            file,
            proto: exchange.protocol.as_str(),
            stream_id: exchange.stream_id,
            src: exchange.client.ip(),
            sport: exchange.client.port(),
            dst: exchange.server.ip(),
            dport: exchange.server.port(),
            method: request.map(|r| text(r.method())),
            uri: request.map(|r| text(r.target())),
            version: request.map(|r| r.version.as_str()).filter(|version| !version.is_empty()),
            host: request.and_then(|r| r.host()).map(text),
            status: response.map(|r| r.status),
            interim: &exchange.interim,
            // A head that was cut has as many fields as were seen of it: that is no count.
            req_headers: request.filter(|_| whole_heads.0).map(|r| field_count(&r.fields)),
            resp_headers: response.filter(|_| whole_heads.1).map(|r| field_count(&r.fields)),
            req_body_len: request.map(|r| r.body.len()),
            resp_body_len: response.map(|r| r.body.len()),
            req_body_len_decoded: request_sum.map(|sum| sum.len),
            resp_body_len_decoded: response_sum.map(|sum| sum.len),
            req_body_sha256: request.and_then(|r| r.body.sent_sha256()).map(hex),
            resp_body_sha256: response.and_then(|r| r.body.sent_sha256()).map(hex),
            req_body_sha256_decoded: request_sum.map(|sum| hex(sum.sha256)),
            resp_body_sha256_decoded: response_sum.map(|sum| hex(sum.sha256)),
            req_content_encoding: request.and_then(|r| content_encoding(&r.fields)),
            resp_content_encoding: response.and_then(|r| content_encoding(&r.fields)),
            upgrade: exchange.upgrade.as_deref(),
            request_time: timing.request_head.map(seconds),
            response_time: timing.response_head.map(seconds),
            complete: exchange.evidence == Evidence::Complete,
            evidence: exchange.evidence.as_str(),
        }
    }
}

/// As UTF-8, or else as ISO-8859-1, which RFC 9110 §5.5 names for bytes above ASCII: no byte is
/// lost.
fn text(bytes: &[u8]) -> String {
    match str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    }
}

/// As reference tools count: pseudo-header fields are fields of the list that was sent.
fn field_count(fields: &Fields) -> usize {
    fields.len() + fields.pseudo_fields()
}

fn content_encoding(fields: &Fields) -> Option<String> {
    let codings: Vec<String> = fields.get_all(b"content-encoding").map(text).collect();
    (!codings.is_empty()).then(|| codings.join(","))
}

fn hex(digest: [u8; 32]) -> String {
    use std::fmt::Write as _;
    digest.iter().fold(String::with_capacity(64), |mut out, byte| {
        write!(out, "{byte:02x}").expect("writing to a string does not fail");
        out
    })
}

/// Seconds since the epoch with nine digits behind the point.
fn seconds(at: Timestamp) -> String {
    let nanos = at.as_nanos();
    format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000)
}

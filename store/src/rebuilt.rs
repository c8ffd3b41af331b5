//! Examples as exchanges again, to be compared once more.
//!
//! Owns what of an example still is what was compared: fields and bodies as redacted, bodies without
//! their content coding. Where a body was not kept whole, both legs' count as equal if their keyed
//! digests are; else there is nothing to compare.

use std::time::Duration;

use capture::{
    Body, Evidence, Exchange, Fields, FieldsBuilder, Leg, Origin, Protocol, Request, Response,
    ServiceId, Timestamp, Timing, Version,
};
use compare::{Change, Kind, StoredDivergence};

use crate::{BodyText, DivergenceDetail, ExchangeText, LegDetail, MessageText, PairDetail};

/// The field that says what bodies here no longer have.
const CONTENT_ENCODING: &str = "content-encoding";

impl PairDetail {
    /// When it began.
    #[must_use]
    pub fn began(&self) -> Option<Timestamp> {
        let at: jiff::Timestamp = self.start.parse().ok()?;
        u64::try_from(at.as_nanosecond()).ok().map(Timestamp::from_nanos)
    }

    /// Both legs as exchanges; `None` where they were not kept, or not whole. When the copy began is
    /// not stored: here, with the request itself.
    #[must_use]
    pub fn messages(&self) -> Option<(Exchange, Exchange)> {
        let start = self.began()?;
        let (ours, theirs) = (self.primary.exchange.as_ref()?, self.shadow.exchange.as_ref()?);
        let requests = bodies(ours.request.as_ref()?, theirs.request.as_ref()?)?;
        let responses = bodies(ours.response.as_ref()?, theirs.response.as_ref()?)?;
        let primary = exchange(ours, Leg::Primary, &self.primary, (requests.0, responses.0), start);
        let shadow = exchange(theirs, Leg::Shadow, &self.shadow, (requests.1, responses.1), start);
        primary.zip(shadow)
    }
}

impl DivergenceDetail {
    /// As compare reads it; `None` where a name is not known.
    #[must_use]
    pub fn stored(&self) -> Option<StoredDivergence<'_>> {
        Some(StoredDivergence {
            kind: Kind::ALL.into_iter().find(|kind| kind.as_str() == self.kind)?,
            path: &self.path,
            change: Change::ALL.into_iter().find(|change| change.as_str() == self.change)?,
            primary: self.primary.as_deref(),
            shadow: self.shadow.as_deref(),
        })
    }
}

/// The bodies of one message on both legs.
fn bodies<'t>(ours: &'t MessageText, theirs: &'t MessageText) -> Option<(&'t str, &'t str)> {
    let (ours, theirs) = (&ours.body, &theirs.body);
    if (ours.bytes, &ours.digest) == (theirs.bytes, &theirs.digest) {
        let text = ours.text.as_deref().unwrap_or_default();
        return Some((text, text));
    }
    Some((whole(ours)?, whole(theirs)?))
}

fn whole(body: &BodyText) -> Option<&str> {
    match &body.text {
        Some(text) if !body.cut => Some(text),
        None if body.bytes == 0 => Some(""),
        _ => None,
    }
}

fn exchange(
    text: &ExchangeText,
    leg: Leg,
    detail: &LegDetail,
    (request, response): (&str, &str),
    start: Timestamp,
) -> Option<Exchange> {
    let (asked, answered) = (text.request.as_ref()?, text.response.as_ref()?);
    // `METHOD TARGET VERSION`; the target may hold spaces.
    let (method, rest) = asked.start_line.split_once(' ')?;
    let (target, asked_in) = rest.rsplit_once(' ')?;
    let (answered_in, status) = answered.start_line.rsplit_once(' ')?;
    let end = start + Duration::from_micros(detail.total_us.unwrap_or(0));
    Some(Exchange {
        origin: Some(Origin { service: ServiceId(0), leg }),
        client: text.client.parse().ok()?,
        server: text.server.parse().ok()?,
        protocol: match version(asked_in) {
            Version::Http2 => Protocol::Http2,
            _ => Protocol::Http1,
        },
        stream_id: None,
        request: Some(Request {
            version: version(asked_in),
            fields: fields(&asked.headers, &[method, target]),
            body: Body::from_bytes(request.as_bytes()),
            trailers: fields(&asked.trailers, &[]),
        }),
        response: Some(Response {
            version: version(answered_in),
            status: status.parse().ok()?,
            fields: fields(&answered.headers, &[]),
            body: Body::from_bytes(response.as_bytes()),
            trailers: fields(&answered.trailers, &[]),
        }),
        interim: Vec::new(),
        upgrade: None,
        timing: Timing {
            request_first: Some(start),
            request_head: Some(start),
            request_last: Some(start),
            response_first: Some(end),
            response_head: Some(end),
            response_last: Some(end),
        },
        evidence: Evidence::Complete,
    })
}

fn fields(texts: &[(String, String)], first_line: &[&str]) -> Fields {
    let mut fields = FieldsBuilder::new();
    for (part, text) in first_line.iter().enumerate() {
        fields.first_line(part, text.as_bytes());
    }
    for (name, value) in texts {
        if !name.eq_ignore_ascii_case(CONTENT_ENCODING) {
            fields.field(name.as_bytes(), value.as_bytes());
        }
    }
    fields.build()
}

fn version(text: &str) -> Version {
    let all = [Version::Http10, Version::Http11, Version::Http2];
    all.into_iter().find(|version| version.as_str() == text).unwrap_or(Version::Unknown)
}

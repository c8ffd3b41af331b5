//! Header and trailer fields compared by name.
//!
//! Names are compared without regard to case and order; the values of one name in the order sent.
//! Several fields of one name are one list (RFC 9110 §5.3), except `set-cookie`, which that section
//! names as the exception: each cookie is compared on its own, as `set-cookie/NAME`.

use std::borrow::Cow;
use std::cmp::Ordering;

use capture::Fields;

use super::echo::Echo;
use super::findings::{Findings, Reason, joined};
use super::multipart;
use super::place::{PATH_BYTES, cut};
use crate::{Change, Kind};

/// Fields of the connection (RFC 9110 §7.6.1): the proxy's business, not the backend's answer.
const HOP_BY_HOP: [&[u8]; 7] = [
    b"connection",
    b"keep-alive",
    b"proxy-connection",
    b"transfer-encoding",
    b"te",
    b"trailer",
    b"upgrade",
];

/// Compares the fields of two messages and adds to `findings` as `kind`.
pub(super) fn compare(
    kind: Kind,
    primary: &Fields,
    shadow: &Fields,
    echo: &Echo<'_>,
    findings: &mut Findings<'_>,
) {
    let mut report = Report { kind, echo, findings };
    // Backends of one family send the same fields in the same order: nothing to sort then.
    if let Some(differing) = differing_in_step(primary, shadow) {
        let mut fields = primary.iter().zip(shadow.iter()).zip(0..);
        while let Some((((name, ours), (_, theirs)), at)) = fields.next()
            && differing >> at != 0
        {
            if differing >> at & 1 == 1 {
                report.field(name, &[ours], &[theirs]);
            }
        }
        return;
    }
    let mut ours: Vec<Named<'_>> = primary.iter().collect();
    let mut theirs: Vec<Named<'_>> = shadow.iter().collect();
    ours.sort_by(|a, b| caseless(a.0, b.0));
    theirs.sort_by(|a, b| caseless(a.0, b.0));
    by_name(&ours, &theirs, caseless, |name, ours, theirs| report.field(name, ours, theirs));
}

type Named<'a> = (&'a [u8], &'a [u8]);

/// Which values differ, the first in the lowest bit; `None` unless both have the same few names in
/// the same order, and each differing value is the only one of its name.
fn differing_in_step(primary: &Fields, shadow: &Fields) -> Option<u64> {
    if primary.len() != shadow.len() || primary.len() >= u64::BITS as usize {
        return None;
    }
    let mut differing = 0;
    for (at, ((name, ours), (other, theirs))) in primary.iter().zip(shadow.iter()).enumerate() {
        if name != other && !name.eq_ignore_ascii_case(other) {
            return None;
        }
        if ours != theirs {
            if primary.get_all(name).nth(1).is_some() {
                return None;
            }
            differing |= 1 << at;
        }
    }
    Some(differing)
}

/// Walks two lists, sorted by name, and gives each name with its values on both sides, in the
/// order of the lists.
fn by_name<'a>(
    primary: &[Named<'a>],
    shadow: &[Named<'a>],
    order: impl Fn(&[u8], &[u8]) -> Ordering,
    mut each: impl FnMut(&'a [u8], &[&'a [u8]], &[&'a [u8]]),
) {
    let (mut primary, mut shadow) = (primary, shadow);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    loop {
        let name = match (primary.first(), shadow.first()) {
            (None, None) => return,
            (Some(one), None) => one.0,
            (None, Some(other)) => other.0,
            (Some(one), Some(other)) if order(one.0, other.0).is_le() => one.0,
            (Some(_), Some(other)) => other.0,
        };
        for (list, values) in [(&mut primary, &mut ours), (&mut shadow, &mut theirs)] {
            let count = list.iter().take_while(|(other, _)| order(name, other).is_eq()).count();
            let (of_name, rest) = list.split_at(count);
            values.clear();
            values.extend(of_name.iter().map(|&(_, value)| value));
            *list = rest;
        }
        each(name, &ours, &theirs);
    }
}

fn caseless(one: &[u8], other: &[u8]) -> Ordering {
    let lower = |name: &[u8]| name.to_ascii_lowercase();
    // Almost always told by the first byte.
    let first = |name: &[u8]| name.first().map(u8::to_ascii_lowercase);
    first(one).cmp(&first(other)).then_with(|| lower(one).cmp(&lower(other)))
}

/// Where differences go.
struct Report<'r, 'p, 'e> {
    kind: Kind,
    echo: &'r Echo<'e>,
    findings: &'r mut Findings<'p>,
}

impl Report<'_, '_, '_> {
    /// Compares the values of one name.
    fn field(&mut self, name: &[u8], primary: &[&[u8]], shadow: &[&[u8]]) {
        if primary == shadow {
            return;
        }
        let name = lower_case(name);
        if *name == *b"set-cookie" {
            return self.cookies(primary, shadow);
        }
        let (ours, theirs) = (joined(primary, b", "), joined(shadow, b", "));
        if !primary.is_empty() && !shadow.is_empty() && is_same(&name, &ours, &theirs) {
            return;
        }
        let (ours, theirs) = (present(primary, &ours), present(shadow, &theirs));
        match built_in(&name) {
            Some(reason) => self.findings.suppress(reason),
            None => self.differs(&name, &name, ours, theirs),
        }
    }

    /// Compares cookies by their names.
    fn cookies(&mut self, primary: &[&[u8]], shadow: &[&[u8]]) {
        let (ours, theirs) = (named_cookies(primary), named_cookies(shadow));
        by_name(&ours, &theirs, Ord::cmp, |name, ours, theirs| {
            if ours != theirs {
                let path = format!("set-cookie/{}", String::from_utf8_lossy(name));
                let (one, other) = (joined(ours, b"\n"), joined(theirs, b"\n"));
                let (one, other) = (present(ours, &one), present(theirs, &other));
                self.differs(b"set-cookie", path.as_bytes(), one, other);
            }
        });
    }

    fn differs(&mut self, name: &[u8], path: &[u8], primary: Option<&[u8]>, shadow: Option<&[u8]>) {
        let echo = || {
            let explained = match (primary, shadow) {
                (Some(ours), Some(theirs)) => self.echo.explains(ours, theirs),
                (Some(ours), None) => self.echo.explains_missing(name, ours),
                (None, Some(theirs)) => self.echo.explains_added(name, theirs),
                (None, None) => false,
            };
            explained.then_some(Reason::Mirror)
        };
        let change = match (primary, shadow) {
            (Some(_), None) => Change::Missing,
            (None, Some(_)) => Change::Added,
            _ => Change::Value,
        };
        let rule = self.findings.explain_field(self.kind, (name, path), change, primary, shadow);
        if let Some(reason) = rule.or_else(echo) {
            return self.findings.suppress(reason);
        }
        let path = || {
            let mut path = String::from_utf8_lossy(path).into_owned();
            if path.len() > PATH_BYTES {
                cut(&mut path, PATH_BYTES);
            }
            (path.as_str().into(), path.into())
        };
        self.findings.diverge(self.kind, path, change, primary, shadow);
    }
}

/// A name in lower case: as it is, where it is that already.
fn lower_case(name: &[u8]) -> Cow<'_, [u8]> {
    if name.iter().any(u8::is_ascii_uppercase) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}

/// The built-in reason for which differences in the field of this lower-case name are expected.
fn built_in(name: &[u8]) -> Option<Reason> {
    match name {
        b"date" => Some(Reason::Date),
        b"content-length" => Some(Reason::ContentLength),
        // The latter is that of gRPC messages (PROTOCOL-HTTP2.md).
        b"content-encoding" | b"grpc-encoding" => Some(Reason::ContentEncoding),
        _ if HOP_BY_HOP.contains(&name) => Some(Reason::HopByHop),
        _ => None,
    }
}

/// Whether two values of the field of this lower-case name say the same.
fn is_same(name: &[u8], primary: &[u8], shadow: &[u8]) -> bool {
    primary == shadow
        || (*name == *b"content-type" && multipart::same_but_for_boundary(primary, shadow))
}

/// The joined values; `None` where there are none.
fn present<'a>(values: &[&[u8]], joined: &'a [u8]) -> Option<&'a [u8]> {
    (!values.is_empty()).then_some(joined)
}

/// Cookies with their names, sorted by name.
fn named_cookies<'a>(cookies: &[&'a [u8]]) -> Vec<Named<'a>> {
    let mut named: Vec<_> = cookies.iter().map(|&cookie| (cookie_name(cookie), cookie)).collect();
    named.sort_by_key(|&(name, _)| name);
    named
}

/// The name of a cookie: what is before the first `=` (RFC 6265 §5.2).
fn cookie_name(cookie: &[u8]) -> &[u8] {
    let end = memchr::memchr(b'=', cookie).unwrap_or(cookie.len());
    cookie[..end].trim_ascii()
}

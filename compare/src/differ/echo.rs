//! Responses that echo what the mirroring proxy changed in the request.
//!
//! The proxy gives the copy another host, appends to `x-forwarded-for`, has span ids of its own. A
//! backend that puts these into its answer answers differently for that reason alone. So where two
//! values differ, the shadow's is read again with what the proxy changed put back; where a value
//! is there on one side only, it is looked up whether the proxy added or left it out.

use std::cell::OnceCell;

use capture::Request;
use memchr::memmem;

use crate::Mirror;

/// Values shorter than this are put back only where they are the whole: a `1` that became a `2`
/// must not explain every number.
const PART_BYTES: usize = 6;

/// The request's fields that a mirroring proxy changes (measured, or read in its source).
const ENVOY: &[&str] = &[
    "host",
    "x-forwarded-for",
    "x-envoy-internal",
    "x-envoy-attempt-count",
    "x-envoy-expected-rq-timeout-ms",
    "x-b3-spanid",
    "x-b3-parentspanid",
    "x-b3-sampled",
    "b3",
    "traceparent",
    "tracestate",
];
const NGINX: &[&str] = &["host", "connection"];
const HAPROXY: &[&str] = &["host", "x-forwarded-for", "x-request-id", "x-unique-id"];

/// What the mirror changed in one request, found out when it is first asked for.
#[derive(Debug)]
pub(super) struct Echo<'e> {
    fields: &'static [&'static str],
    primary: &'e Request,
    shadow: &'e Request,
    changed: OnceCell<Vec<Changed<'e>>>,
}

/// A field of the request that the mirror changed. At least one value is there.
#[derive(Debug)]
struct Changed<'e> {
    name: &'static str,
    primary: Option<&'e [u8]>,
    shadow: Option<&'e [u8]>,
}

impl<'e> Echo<'e> {
    /// What `mirror` changed between the two requests of a pair.
    pub(super) fn new(mirror: Mirror, primary: &'e Request, shadow: &'e Request) -> Self {
        let fields = match mirror {
            Mirror::Envoy | Mirror::Istio => ENVOY,
            Mirror::Nginx => NGINX,
            Mirror::Haproxy => HAPROXY,
            Mirror::None => &[],
        };
        Self { fields, primary, shadow, changed: OnceCell::new() }
    }

    /// Whether the two values are the same once what the mirror changed is put back.
    pub(super) fn explains(&self, primary: &[u8], shadow: &[u8]) -> bool {
        let changed = self.changed();
        let mut back = None;
        for (from, to) in changed.iter().filter_map(|c| c.shadow.zip(c.primary)) {
            let value = back.as_deref().unwrap_or(shadow);
            if from.len() < PART_BYTES {
                if value == from && primary == to {
                    return true;
                }
            } else if memmem::find(value, from).is_some() {
                back = Some(replaced(value, from, to));
            }
        }
        back.is_some_and(|back| back == primary)
    }

    /// Whether the mirror added the field `name`, and `value` holds what it added.
    pub(super) fn explains_added(&self, name: &[u8], value: &[u8]) -> bool {
        self.changed().iter().any(|changed| {
            changed.primary.is_none() && is_echo(changed.name, changed.shadow, name, value)
        })
    }

    /// Whether the mirror left out the field `name`, and `value` holds what it left out.
    pub(super) fn explains_missing(&self, name: &[u8], value: &[u8]) -> bool {
        self.changed().iter().any(|changed| {
            changed.shadow.is_none() && is_echo(changed.name, changed.primary, name, value)
        })
    }

    /// The names of the fields that the mirror added, with what it added.
    pub(super) fn added(&self) -> impl Iterator<Item = (&'static str, &'e [u8])> {
        self.changed()
            .iter()
            .filter(|c| c.primary.is_none())
            .filter_map(|c| Some((c.name, c.shadow?)))
    }

    fn changed(&self) -> &[Changed<'e>] {
        self.changed.get_or_init(|| {
            let value = |request: &'e Request, name: &str| match name {
                "host" => request.host(),
                _ => request.fields.get(name.as_bytes()),
            };
            let mut changed: Vec<_> = self
                .fields
                .iter()
                .map(|&name| Changed {
                    name,
                    primary: value(self.primary, name),
                    shadow: value(self.shadow, name),
                })
                .filter(|changed| changed.primary != changed.shadow)
                .collect();
            // The longest first: one may be part of another.
            changed.sort_by_key(|c| std::cmp::Reverse(c.shadow.map_or(0, <[u8]>::len)));
            changed
        })
    }
}

/// Whether `name` and `value` are an echo of the field `of` with the value `sent`. Names are taken
/// as the same in any case and with `_` for `-`, as environments have them.
fn is_echo(of: &str, sent: Option<&[u8]>, name: &[u8], value: &[u8]) -> bool {
    let same = |a: &u8, b: &u8| a.eq_ignore_ascii_case(b) || (*a == b'-' && *b == b'_');
    of.len() == name.len()
        && of.as_bytes().iter().zip(name).all(|(a, b)| same(a, b))
        && sent.is_some_and(|sent| memmem::find(value, sent).is_some())
}

/// `value` with every `from` become `to`.
fn replaced(value: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = memmem::find(rest, from) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    out.extend_from_slice(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Sample;

    /// Asks about a pair as Envoy makes it.
    fn with_envoy(mirror: Mirror, ask: impl FnOnce(&Echo<'_>)) {
        let primary = Sample::new("1")
            .host("shop.example.com:8443")
            .header("x-forwarded-for", "192.0.2.7")
            .header("x-envoy-attempt-count", "2")
            .header("x-b3-spanid", "00f067aa0ba902b7");
        let shadow = Sample::new("1")
            .host("shop.example.com-shadow:8443")
            .header("x-forwarded-for", "192.0.2.7,10.9.1.1")
            .header("x-envoy-internal", "true")
            .header("x-envoy-attempt-count", "1")
            .header("x-b3-spanid", "e457b5a2e4d86bd1")
            .header("x-b3-parentspanid", "00f067aa0ba902b7");
        let (primary, shadow) = (primary.primary(), shadow.shadow());
        let requests = (primary.request.unwrap(), shadow.request.unwrap());
        ask(&Echo::new(mirror, &requests.0, &requests.1));
    }

    #[test]
    fn what_envoy_changed_is_put_back() {
        with_envoy(Mirror::Envoy, |echo| {
            for (primary, shadow) in [
                ("https://shop.example.com:8443/a", "https://shop.example.com-shadow:8443/a"),
                ("192.0.2.7", "192.0.2.7,10.9.1.1"),
                (
                    "shop.example.com:8443 for 192.0.2.7",
                    "shop.example.com-shadow:8443 for 192.0.2.7,10.9.1.1",
                ),
                ("2", "1"),
            ] {
                assert!(echo.explains(primary.as_bytes(), shadow.as_bytes()), "{shadow}");
            }
        });
    }

    #[test]
    fn what_envoy_did_not_change_is_not_explained() {
        with_envoy(Mirror::Envoy, |echo| {
            for (primary, shadow) in [
                ("https://shop.example.com:8443/a", "https://shop.example.com-shadow:8443/b"),
                ("shop.example.com-shadow:8443", "shop.example.com:8443"),
                ("22", "11"),
                ("a", "b"),
            ] {
                assert!(!echo.explains(primary.as_bytes(), shadow.as_bytes()), "{shadow}");
            }
        });
        with_envoy(Mirror::None, |echo| {
            assert!(!echo.explains(b"shop.example.com:8443", b"shop.example.com-shadow:8443"));
        });
    }

    #[test]
    fn what_envoy_added_explains_its_echo_and_nothing_else() {
        with_envoy(Mirror::Envoy, |echo| {
            assert!(echo.explains_added(b"X-Envoy-Internal", b"\"true\""));
            assert!(echo.explains_added(b"x_b3_parentspanid", b"[\"00f067aa0ba902b7\"]"));
            assert!(!echo.explains_added(b"x-envoy-internal", b"false"));
            assert!(!echo.explains_added(b"internal", b"true"));
            assert!(!echo.explains_missing(b"x-envoy-internal", b"true"));
            assert!(!echo.explains_added(b"host", b"shop.example.com-shadow:8443"));
        });
    }

    #[test]
    fn what_haproxy_left_out_explains_that_it_is_missing() {
        let primary = Sample::new("1").header("x-forwarded-for", "192.0.2.7").primary();
        let shadow = Sample::new("1").shadow();
        let requests = (primary.request.unwrap(), shadow.request.unwrap());
        let echo = Echo::new(Mirror::Haproxy, &requests.0, &requests.1);
        assert!(echo.explains_missing(b"X-Forwarded-For", b"\"192.0.2.7\""));
        assert!(!echo.explains_missing(b"x-forwarded-for", b"\"192.0.2.8\""));
    }
}

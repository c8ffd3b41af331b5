//! Endpoints: method and path template, the grain in which everything is counted.

use std::sync::Arc;

use capture::{Request, ServiceId};
use hashbrown::HashMap;

use crate::key::path;

/// Distinct endpoints per service. Requests beyond it count as `METHOD {other}`.
const ENDPOINTS_PER_SERVICE: usize = 1_000;

/// Bytes of an endpoint's name. A longer one ends in `…`.
const NAME_BYTES: usize = 256;

/// An endpoint of a service, for as long as its [`Endpoints`] lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct EndpointId(u32);

/// The endpoints seen so far.
#[derive(Debug, Default)]
pub(crate) struct Endpoints {
    /// By name.
    services: Vec<HashMap<Box<[u8]>, EndpointId>>,
    all: Vec<(ServiceId, Arc<str>)>,
    scratch: Vec<u8>,
}

impl Endpoints {
    /// The endpoint of `request`; `-` where the request was not seen.
    pub(crate) fn of(&mut self, service: ServiceId, request: Option<&Request>) -> EndpointId {
        let mut name = std::mem::take(&mut self.scratch);
        name.clear();
        match request {
            Some(request) => write_template(&mut name, request.method(), request.target()),
            None => name.push(b'-'),
        }
        let id = self.intern(service, &name, request);
        self.scratch = name;
        id
    }

    /// Method and path template.
    pub(crate) fn name(&self, id: EndpointId) -> &Arc<str> {
        &self.all[id.0 as usize].1
    }

    /// The service it belongs to.
    pub(crate) fn service(&self, id: EndpointId) -> ServiceId {
        self.all[id.0 as usize].0
    }

    fn intern(&mut self, service: ServiceId, name: &[u8], request: Option<&Request>) -> EndpointId {
        let index = usize::from(service.0);
        if self.services.len() <= index {
            self.services.resize_with(index + 1, HashMap::new);
        }
        let known = &mut self.services[index];
        if let Some(&id) = known.get(name) {
            return id;
        }
        let name: Arc<str> = match request {
            Some(request) if known.len() >= ENDPOINTS_PER_SERVICE => {
                let other = format!("{} {{other}}", standard_method(request.method()));
                if let Some(&id) = known.get(other.as_bytes()) {
                    return id;
                }
                other.into()
            }
            _ => String::from_utf8_lossy(name).into(),
        };
        // Names are at most 1_000 a service and one per standard method and `-` beyond, services
        // at most 65_536: the index fits.
        let id = EndpointId(u32::try_from(self.all.len()).unwrap_or(u32::MAX));
        known.insert(name.as_bytes().into(), id);
        self.all.push((service, name));
        id
    }
}

/// `method` where it is one that RFC 9110 §9 or RFC 5789 defines, else `*`: strangers' words must
/// not become endpoints without bound.
fn standard_method(method: &[u8]) -> &str {
    const STANDARD: [&str; 9] =
        ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
    STANDARD.into_iter().find(|known| known.as_bytes() == method).unwrap_or("*")
}

/// Writes `METHOD /path/template`, in UTF-8.
fn write_template(name: &mut Vec<u8>, method: &[u8], target: &[u8]) {
    push_printable(name, method);
    name.push(b' ');
    for (i, segment) in path(target).split(|&b| b == b'/').enumerate() {
        if i > 0 {
            name.push(b'/');
        }
        if is_identifier(segment) {
            name.extend_from_slice(b"{id}");
        } else {
            push_printable(name, segment);
        }
        if name.len() > NAME_BYTES {
            // Only ASCII was pushed, so any index is a boundary.
            name.truncate(NAME_BYTES - '…'.len_utf8());
            name.extend_from_slice("…".as_bytes());
            return;
        }
    }
}

fn push_printable(name: &mut Vec<u8>, bytes: &[u8]) {
    let shown = &bytes[..bytes.len().min(NAME_BYTES + 1)];
    name.extend(shown.iter().map(|&b| if b.is_ascii_graphic() { b } else { b'?' }));
}

/// Whether a path segment names one thing among many of its kind: a number, a UUID, a hash or a
/// token.
fn is_identifier(segment: &[u8]) -> bool {
    if segment.iter().all(u8::is_ascii_digit) {
        return !segment.is_empty();
    }
    // All else that is one is longer, and most segments are short words.
    if segment.len() < 16 {
        return false;
    }
    let (mut digits, mut hex, mut alphanumeric, mut dashes) = (0, 0, 0, 0);
    for &b in segment {
        digits += usize::from(b.is_ascii_digit());
        hex += usize::from(b.is_ascii_hexdigit());
        alphanumeric += usize::from(b.is_ascii_alphanumeric());
        dashes += usize::from(b == b'-');
    }
    let len = segment.len();
    let uuid = || {
        len == 36 && hex == 32 && dashes == 4 && [8, 13, 18, 23].iter().all(|&i| segment[i] == b'-')
    };
    // Ours: long segments of letters and digits are tokens. Words joined by dashes are slugs and
    // stay: which of those vary is not to be seen from one of them.
    let token = || len >= 20 && digits > 0 && alphanumeric > digits && is_token(segment);
    (hex == len && digits > 0) || uuid() || token()
}

/// Whether it is made of the letters of base64url, base62 or ULID, without words joined by dashes.
fn is_token(segment: &[u8]) -> bool {
    let joints = segment.iter().filter(|&&b| matches!(b, b'-' | b'_')).count();
    segment.iter().all(|&b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'='))
        && joints * 8 <= segment.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Sample;

    fn template(method: &str, target: &str) -> String {
        let mut name = Vec::new();
        write_template(&mut name, method.as_bytes(), target.as_bytes());
        String::from_utf8(name).unwrap()
    }

    #[test]
    fn identifiers_become_id_and_names_stay() {
        for (target, expected) in [
            ("/api/v1/items/42?x=7", "/api/v1/items/{id}"),
            ("/u/123e4567-e89b-12d3-a456-426614174000/x", "/u/{id}/x"),
            ("/blob/9f86d081884c7d65", "/blob/{id}"),
            ("/blob/9f86d081884c7d6", "/blob/9f86d081884c7d6"),
            ("/blob/effacedfacadedecade", "/blob/effacedfacadedecade"),
            ("/7/7a/007", "/{id}/7a/{id}"),
            ("/t/01ARZ3NDEKTSV4RRFFQ69G5FAV", "/t/{id}"),
            ("/s/dGhpcyBpcyBhIHRva2VuMQ==", "/s/{id}"),
            (
                "/posts/ten-years-of-http-2-in-2025-and-on",
                "/posts/ten-years-of-http-2-in-2025-and-on",
            ),
            ("/api/v2/deadbeef/decade", "/api/v2/deadbeef/decade"),
            ("/internationalization", "/internationalization"),
            ("/", "/"),
            ("//a/", "//a/"),
            ("http://h/items/1", "/items/{id}"),
            ("*", "*"),
            ("/caf\u{e9}/\u{1}", "/caf??/?"),
        ] {
            assert_eq!(template("GET", target), format!("GET {expected}"));
        }
    }

    #[test]
    fn a_name_is_bounded() {
        let long = template("GET", &format!("/{}", "ab/".repeat(500)));
        assert!(long.len() == NAME_BYTES && long.ends_with('…'), "{long}");
        assert!(template(&"M".repeat(900), &"/x".repeat(900)).len() <= NAME_BYTES);
    }

    #[test]
    fn endpoints_beyond_the_cap_are_counted_together() {
        let mut endpoints = Endpoints::default();
        let mut name = |method: &str, target: &str| {
            let request = Sample::new("1").method(method).target(target).primary().request;
            let id = endpoints.of(ServiceId(0), request.as_ref());
            endpoints.name(id).to_string()
        };
        for i in 0..ENDPOINTS_PER_SERVICE {
            let target = format!("/page-{i}");
            assert_eq!(name("GET", &target), format!("GET {target}"));
        }
        assert_eq!(name("GET", "/page-1"), "GET /page-1");
        assert_eq!(name("GET", "/one-more"), "GET {other}");
        assert_eq!(name("POST", "/one-more"), "POST {other}");
        assert_eq!(name("BREW", "/one-more"), "* {other}");
        assert_eq!(endpoints.services[0].len(), ENDPOINTS_PER_SERVICE + 3);
    }

    #[test]
    fn services_have_endpoints_of_their_own() {
        let mut endpoints = Endpoints::default();
        let request = Sample::new("1").primary().request;
        let one = endpoints.of(ServiceId(3), request.as_ref());
        let other = endpoints.of(ServiceId(0), request.as_ref());
        assert_ne!(one, other);
        assert_eq!(endpoints.name(one), endpoints.name(other));
        assert_eq!(endpoints.service(one), ServiceId(3));
        let unseen = endpoints.of(ServiceId(0), None);
        assert_eq!(&**endpoints.name(unseen), "-");
    }
}

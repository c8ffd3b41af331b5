//! Endpoints: method and path template, the grain in which everything is counted.
//!
//! The template of a request is, in this order:
//! 1. that of the first configured route that takes it ([`Route`]);
//! 2. the path itself, where it names a gRPC method;
//! 3. the path with identifiers as `{id}`, told by their form, and with names as `{slug}` at places
//!    where there are too many of them ([`learned`] says when).
//!
//! The query, and the parameters that a segment has behind `;` (RFC 3986 §3.3), are no part of it.
//! Extensions stay: `/img/{slug}.png`. `/a` and `/a/` are two, as they are to servers.
//!
//! Only what was answered with 200 to 399 is learned from: who asks for paths that are not there
//! must not make `{slug}` of those that are.

mod learned;
mod route;
mod segment;

use std::sync::Arc;

use capture::{Exchange, Request, ServiceId, Timestamp};
use hashbrown::HashMap;

use crate::ServicePolicy;
use crate::key::path;
use learned::Learner;
pub use learned::{LearnedTemplate, ParseTakesError, Takes};
pub use route::{ParseRouteError, Route, unreached};
use segment::{is_identifier, split_extension};

/// Distinct endpoints per service. Requests beyond it count as `METHOD {other}`.
const ENDPOINTS_PER_SERVICE: usize = 1_000;

/// How many of those may be of requests that never went well.
const FAILED_PER_SERVICE: usize = 250;

/// Endpoints that a service may have had at all, with those that became part of a template. From
/// there on no name is new, but for templates of those that are known.
const EVER_PER_SERVICE: usize = 4 * ENDPOINTS_PER_SERVICE;

/// Bytes of an endpoint's name. A longer one ends in `…`.
const NAME_BYTES: usize = 256;

/// An endpoint of a service, for as long as its [`Endpoints`] lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct EndpointId(u32);

/// The endpoints seen so far.
#[derive(Debug, Default)]
pub(crate) struct Endpoints {
    services: Vec<Service>,
    all: Vec<(ServiceId, Arc<str>)>,
    scratch: [Vec<u8>; 2],
    learned: Vec<LearnedTemplate>,
}

/// The endpoints of a service.
#[derive(Debug, Default)]
struct Service {
    /// By name.
    known: HashMap<Box<[u8]>, Known>,
    /// How many of those are of requests that never went well.
    failed: usize,
    /// How many there were at all.
    ever: usize,
    learner: Learner,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    id: EndpointId,
    seen: u64,
    source: Source,
}

/// What an endpoint's name comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// A path that is learned from.
    Learned,
    /// A path that was not answered well so far.
    Failed,
    /// A route, a gRPC method, what is beyond a cap: it stays as it is.
    Fixed,
}

impl Endpoints {
    /// Goes on with a template that was learned before.
    pub(crate) fn know(&mut self, template: &LearnedTemplate) {
        self.service_mut(template.service).learner.know(template);
    }

    /// Templates learned since the last call, in the order in which they were found.
    pub(crate) fn take_learned(&mut self) -> Vec<LearnedTemplate> {
        std::mem::take(&mut self.learned)
    }

    /// The endpoint of `exchange`; `-` where there is none, or its request was not seen.
    pub(crate) fn of(
        &mut self,
        service: ServiceId,
        policy: &ServicePolicy,
        exchange: Option<&Exchange>,
    ) -> EndpointId {
        let [mut name, mut templated] = std::mem::take(&mut self.scratch);
        name.clear();
        templated.clear();
        let id = self.find(service, policy, exchange, (&mut name, &mut templated));
        self.scratch = [name, templated];
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

    /// As [`Endpoints::of`], with room for two names.
    fn find(
        &mut self,
        service: ServiceId,
        policy: &ServicePolicy,
        exchange: Option<&Exchange>,
        (name, templated): (&mut Vec<u8>, &mut Vec<u8>),
    ) -> EndpointId {
        let seen = exchange.and_then(|exchange| Some((exchange, exchange.request.as_ref()?)));
        let Some((exchange, request)) = seen else {
            name.push(b'-');
            return self.intern(service, name, None, Source::Fixed);
        };
        let mut source = write_name(name, policy, request);
        if source != Source::Fixed && !went_well(exchange) {
            source = Source::Failed;
        }
        let known = self.service_mut(service);
        if let Some(known) = known.known.get_mut(&**name) {
            known.seen += 1;
            if known.source != Source::Failed || source == Source::Failed {
                return known.id;
            }
        }
        let mut name = name;
        if source != Source::Fixed
            && !known.learner.is_empty()
            && known.learner.write_template(name, templated)
        {
            name = templated;
        }
        let id = self.intern(service, name, Some(request), source);
        if source == Source::Learned && self.learn_from(service, name, exchange.timing.start()) {
            let template = self.service_mut(service).learner.template(name);
            return self.intern(service, &template, Some(request), source);
        }
        id
    }

    fn service_mut(&mut self, service: ServiceId) -> &mut Service {
        let index = usize::from(service.0);
        if self.services.len() <= index {
            self.services.resize_with(index + 1, Service::default);
        }
        &mut self.services[index]
    }

    /// The endpoint of this name, which is made if there is room.
    fn intern(
        &mut self,
        service: ServiceId,
        name: &[u8],
        request: Option<&Request>,
        source: Source,
    ) -> EndpointId {
        let all = self.all.len();
        let of = self.service_mut(service);
        if let Some(known) = of.known.get_mut(name) {
            known.seen += 1;
            if known.source == Source::Failed && source == Source::Learned {
                known.source = source;
                of.failed -= 1;
            }
            return known.id;
        }
        let full = of.known.len() >= ENDPOINTS_PER_SERVICE
            || of.ever >= EVER_PER_SERVICE
            || (source == Source::Failed && of.failed >= FAILED_PER_SERVICE);
        let (name, source): (Arc<str>, _) = match request {
            Some(request) if full => {
                let other = format!("{} {{other}}", standard_method(request.method()));
                if let Some(known) = of.known.get(other.as_bytes()) {
                    return known.id;
                }
                (other.into(), Source::Fixed)
            }
            _ => (String::from_utf8_lossy(name).into(), source),
        };
        // Names are some 4_000 a service at most, and services 65_536: the index fits.
        let id = EndpointId(u32::try_from(all).unwrap_or(u32::MAX));
        of.ever += 1;
        of.failed += usize::from(source == Source::Failed);
        of.known.insert(name.as_bytes().into(), Known { id, seen: 1, source });
        self.all.push((service, name));
        id
    }

    /// Counts a name that may be new: whether some names are another since.
    fn learn_from(&mut self, service: ServiceId, name: &[u8], at: Timestamp) -> bool {
        let of = self.service_mut(service);
        // What was cut, or is beyond the cap, is no path that was seen.
        if !of.known.contains_key(name) || !name.is_ascii() || !of.learner.add(name) {
            return false;
        }
        let mut found = Vec::new();
        while let Some(learned) = of.learner.learn(seen(&of.known)) {
            found.extend(learned);
        }
        if found.is_empty() {
            return false;
        }
        self.rename(service);
        self.learned.extend(found.into_iter().map(|(template, takes)| LearnedTemplate {
            service,
            template,
            takes,
            since: at,
        }));
        true
    }

    /// Gives the names that are known the templates that they have by now.
    fn rename(&mut self, service: ServiceId) {
        let of = self.service_mut(service);
        let mut renamed: Vec<(Vec<u8>, Box<[u8]>)> = of
            .known
            .iter()
            .filter(|(_, known)| known.source != Source::Fixed)
            .map(|(name, _)| (of.learner.template(name), name.clone()))
            .filter(|(template, name)| **template != **name)
            .collect();
        renamed.sort_unstable();
        for (template, name) in renamed {
            let of = self.service_mut(service);
            let Some(old) = of.known.remove(&name) else { continue };
            of.failed -= usize::from(old.source == Source::Failed);
            self.intern(service, &template, None, old.source);
            if let Some(known) = self.service_mut(service).known.get_mut(&*template) {
                // Being made counted one of them.
                known.seen += old.seen.saturating_sub(1);
            }
        }
    }
}

/// The names that are learned from, and how often each was seen.
fn seen(known: &HashMap<Box<[u8]>, Known>) -> impl Iterator<Item = (&[u8], u64)> + Clone {
    let learned = known.iter().filter(|(_, known)| known.source == Source::Learned);
    learned.map(|(name, known)| (&**name, known.seen))
}

/// Whether what was asked for is there.
fn went_well(exchange: &Exchange) -> bool {
    exchange.response.as_ref().is_some_and(|response| (200..400).contains(&response.status))
}

/// `method` where it is one that RFC 9110 §9 or RFC 5789 defines, else `*`: strangers' words must
/// not become endpoints without bound.
fn standard_method(method: &[u8]) -> &str {
    const STANDARD: [&str; 9] =
        ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
    STANDARD.into_iter().find(|known| known.as_bytes() == method).unwrap_or("*")
}

/// Writes `METHOD /path/template` without what was learned, in UTF-8.
fn write_name(name: &mut Vec<u8>, policy: &ServicePolicy, request: &Request) -> Source {
    let (method, target) = (request.method(), request.target());
    if !policy.routes.is_empty() {
        let path = path(target);
        if let Some(route) = policy.routes.iter().find(|route| route.takes(method, path)) {
            push_printable(name, method);
            name.push(b' ');
            name.extend_from_slice(route.path().as_bytes());
            cut(name);
            return Source::Fixed;
        }
    }
    // gRPC asks by POST alone (PROTOCOL-HTTP2.md), and its paths name code.
    let is_grpc = method == b"POST"
        && request.fields.get(b"content-type").is_some_and(|t| t.starts_with(b"application/grpc"));
    if is_grpc {
        name.extend_from_slice(b"POST ");
        push_printable(name, path(target));
        cut(name);
        return Source::Fixed;
    }
    write_template(name, method, target);
    Source::Learned
}

/// Writes `METHOD /path/template`, in UTF-8.
fn write_template(name: &mut Vec<u8>, method: &[u8], target: &[u8]) {
    push_printable(name, method);
    name.push(b' ');
    for (i, segment) in path(target).split(|&b| b == b'/').enumerate() {
        if i > 0 {
            name.push(b'/');
        }
        let end = memchr::memchr(b';', segment).unwrap_or(segment.len());
        let segment = &segment[..end];
        let (stem, extension) = split_extension(segment);
        if is_identifier(stem) {
            name.extend_from_slice(b"{id}");
            name.extend_from_slice(extension);
        } else {
            push_printable(name, segment);
        }
        if name.len() > NAME_BYTES {
            return cut(name);
        }
    }
}

/// Cuts a name of ASCII that is too long.
fn cut(name: &mut Vec<u8>) {
    if name.len() > NAME_BYTES {
        // Only ASCII was pushed, so any index is a boundary.
        name.truncate(NAME_BYTES - '…'.len_utf8());
        name.extend_from_slice("…".as_bytes());
    }
}

fn push_printable(name: &mut Vec<u8>, bytes: &[u8]) {
    let shown = &bytes[..bytes.len().min(NAME_BYTES + 1)];
    name.extend(shown.iter().map(|&b| if b.is_ascii_graphic() { b } else { b'?' }));
}

#[cfg(test)]
mod tests;

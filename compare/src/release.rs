//! Which versions answered: the releases of both legs.
//!
//! Owns the names of releases, as the configuration or a response header gives them, and which pair
//! of them an exchange belongs to. A pair takes what its two answers say. An exchange without a
//! partner takes its own answer's release and the other leg's latest; so does an answer that does
//! not name its release.
//!
//! Names come off the wire, so they are bounded: [`NAMES`] a service, [`NAME_BYTES`] each.

use std::fmt;
use std::sync::Arc;

use capture::{Exchange, Leg, ServiceId, Timestamp};
use hashbrown::HashMap;

use crate::{Policy, ReleaseSource};

/// Distinct names a service. Further ones are taken for one, [`OTHER`].
const NAMES: usize = 64;

/// Bytes of a name. A longer one is cut there.
const NAME_BYTES: usize = 64;

/// What names beyond [`NAMES`] are called.
const OTHER: &str = "other";

/// The versions that the two legs of a service run. Empty where it is not known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Releases {
    /// Of the leg that answers clients.
    pub primary: Arc<str>,
    /// Of the leg that gets the copy.
    pub shadow: Arc<str>,
}

impl Releases {
    /// Releases of these names, bounded as names off the wire are.
    #[must_use]
    pub fn new(primary: &str, shadow: &str) -> Self {
        let name = |text: &str| clean(text.as_bytes()).into();
        Self { primary: name(primary), shadow: name(shadow) }
    }
}

impl fmt::Display for Releases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.primary, self.shadow)
    }
}

/// A pair of releases, for as long as its [`Book`] lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ReleaseId(u32);

/// Those of a service that the policy does not name.
const UNKNOWN: ReleaseId = ReleaseId(0);

/// The releases seen so far.
#[derive(Debug)]
pub(crate) struct Book {
    /// By `ServiceId`.
    services: Vec<Service>,
    /// The first has no names.
    all: Vec<Arc<Releases>>,
}

#[derive(Debug)]
struct Service {
    source: ReleaseSource,
    /// The first is empty: not known.
    names: Vec<Arc<str>>,
    /// Of the primary and of the shadow.
    latest: [Latest; 2],
    /// By the places of both names.
    pairs: HashMap<[usize; 2], ReleaseId>,
    /// What was asked for last.
    last: Option<([usize; 2], ReleaseId)>,
}

/// What a leg named last.
#[derive(Clone, Copy, Debug, Default)]
struct Latest {
    name: usize,
    /// Start of the exchange that named it.
    at: Timestamp,
}

impl Book {
    /// With nothing seen yet.
    pub(crate) fn new(policy: &Policy) -> Self {
        let services = policy.services.iter().map(|service| Service::new(&service.release));
        Self { services: services.collect(), all: vec![Arc::default()] }
    }

    /// The releases of a pair.
    pub(crate) fn of_pair(
        &mut self,
        service: ServiceId,
        primary: &Exchange,
        shadow: &Exchange,
    ) -> ReleaseId {
        let Some(known) = self.services.get_mut(usize::from(service.0)) else {
            return UNKNOWN;
        };
        let names = [known.note(0, primary), known.note(1, shadow)];
        self.intern(service, names)
    }

    /// The releases that an exchange without a partner belongs to.
    pub(crate) fn of_one(
        &mut self,
        service: ServiceId,
        leg: Leg,
        exchange: &Exchange,
    ) -> ReleaseId {
        let Some(known) = self.services.get_mut(usize::from(service.0)) else {
            return UNKNOWN;
        };
        let mut names = known.latest.map(|latest| latest.name);
        match leg {
            Leg::Primary => names[0] = known.note(0, exchange),
            Leg::Shadow => names[1] = known.note(1, exchange),
            Leg::Secondary => {}
        }
        self.intern(service, names)
    }

    /// The releases that an exchange belongs to that was not seen.
    pub(crate) fn latest(&mut self, service: ServiceId) -> ReleaseId {
        match self.services.get(usize::from(service.0)) {
            Some(known) => self.intern(service, known.latest.map(|latest| latest.name)),
            None => UNKNOWN,
        }
    }

    /// Their names.
    pub(crate) fn names(&self, id: ReleaseId) -> &Arc<Releases> {
        &self.all[id.0 as usize]
    }

    fn intern(&mut self, service: ServiceId, names: [usize; 2]) -> ReleaseId {
        let known = &mut self.services[usize::from(service.0)];
        if let Some((last, id)) = known.last
            && last == names
        {
            return id;
        }
        let all = &mut self.all;
        let id = *known.pairs.entry(names).or_insert_with(|| {
            let [primary, shadow] = names.map(|name| Arc::clone(&known.names[name]));
            push(all, Releases { primary, shadow })
        });
        known.last = Some((names, id));
        id
    }
}

fn push(all: &mut Vec<Arc<Releases>>, releases: Releases) -> ReleaseId {
    // At most 66 names squared a service, and 65,536 services: the number fits.
    let id = ReleaseId(u32::try_from(all.len()).unwrap_or(u32::MAX));
    all.push(Arc::new(releases));
    id
}

impl Service {
    fn new(source: &ReleaseSource) -> Self {
        let mut names: Vec<Arc<str>> = vec!["".into()];
        let mut latest = [Latest::default(); 2];
        if let ReleaseSource::Configured(releases) = source {
            names.extend([Arc::clone(&releases.primary), Arc::clone(&releases.shadow)]);
            (latest[0].name, latest[1].name) = (1, 2);
        }
        Self { source: source.clone(), names, latest, pairs: HashMap::new(), last: None }
    }

    /// The release that answered `exchange` on leg `leg`, which is the leg's latest where no later
    /// exchange named another.
    fn note(&mut self, leg: usize, exchange: &Exchange) -> usize {
        let latest = self.latest[leg];
        let ReleaseSource::Header(header) = &self.source else { return latest.name };
        let response = exchange.response.as_ref();
        let Some(value) = response.and_then(|response| response.fields.get(header.as_bytes()))
        else {
            return latest.name;
        };
        let name = if *value == *self.names[latest.name].as_bytes() {
            latest.name
        } else {
            self.intern(value)
        };
        let at = exchange.timing.start();
        if at >= latest.at {
            self.latest[leg] = Latest { name, at };
        }
        name
    }

    fn intern(&mut self, value: &[u8]) -> usize {
        let name = clean(value);
        let known = |names: &[Arc<str>], name: &str| names.iter().position(|n| **n == *name);
        if let Some(at) = known(&self.names, &name) {
            return at;
        }
        let name = if self.names.len() <= NAMES { &name } else { OTHER };
        known(&self.names, name).unwrap_or_else(|| {
            self.names.push(name.into());
            self.names.len() - 1
        })
    }
}

/// Printable, without white space around it, and cut.
fn clean(value: &[u8]) -> String {
    let value = value.trim_ascii();
    let printable = |&b: &u8| if b.is_ascii_graphic() || b == b' ' { char::from(b) } else { '?' };
    value[..value.len().min(NAME_BYTES)].iter().map(printable).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ServicePolicy;
    use crate::sample::Sample;

    const SHOP: ServiceId = ServiceId(0);

    fn book(release: ReleaseSource) -> Book {
        let shop = ServicePolicy { release, ..ServicePolicy::new("shop") };
        Book::new(&Policy { services: vec![shop], window: crate::Window::default() })
    }

    fn by_header() -> Book {
        book(ReleaseSource::Header("x-version".into()))
    }

    fn answer(version: &str, start_us: u64) -> Sample {
        Sample::new("1").response_header("x-version", version).at_us(start_us, 10)
    }

    fn shown(book: &Book, id: ReleaseId) -> String {
        book.names(id).to_string()
    }

    #[test]
    fn configured_releases_hold_for_every_exchange() {
        let mut book = book(ReleaseSource::Configured(Releases::new(" v1", "v2\n")));
        let (primary, shadow) = (answer("v8", 1).primary(), answer("v9", 1).shadow());
        let id = book.of_pair(SHOP, &primary, &shadow);
        assert_eq!(shown(&book, id), "v1..v2");
        assert_eq!(book.of_one(SHOP, Leg::Shadow, &shadow), id);
        assert_eq!(book.latest(SHOP), id);
    }

    #[test]
    fn a_pair_has_the_releases_that_its_answers_name() {
        let mut book = by_header();
        let pair = |book: &mut Book, primary: &str, shadow: &str| {
            let (primary, shadow) = (answer(primary, 1).primary(), answer(shadow, 1).shadow());
            let id = book.of_pair(SHOP, &primary, &shadow);
            (id, shown(book, id))
        };
        let (first, name) = pair(&mut book, "v1", "v2");
        assert_eq!(name, "v1..v2");
        assert_eq!(pair(&mut book, "v1", "v3").1, "v1..v3");
        assert_eq!(pair(&mut book, "v1", "v2").0, first);
    }

    #[test]
    fn an_answer_that_names_none_has_the_latest_of_its_leg() {
        let mut book = by_header();
        let silent = Sample::new("1").at_us(9, 10);
        let id = book.of_pair(SHOP, &silent.clone().primary(), &answer("v2", 1).shadow());
        assert_eq!(shown(&book, id), "..v2");
        book.of_one(SHOP, Leg::Primary, &answer("v1", 2).primary());
        let id = book.of_pair(SHOP, &silent.clone().primary(), &silent.shadow());
        assert_eq!(shown(&book, id), "v1..v2");
    }

    #[test]
    fn an_exchange_alone_has_its_own_release_and_the_others_latest() {
        let mut book = by_header();
        book.of_pair(SHOP, &answer("v1", 5).primary(), &answer("v2", 5).shadow());
        // Settled late: it began before the pair, so it does not turn the leg back.
        let id = book.of_one(SHOP, Leg::Primary, &answer("v0", 1).primary());
        assert_eq!(shown(&book, id), "v0..v2");
        let id = book.latest(SHOP);
        assert_eq!(shown(&book, id), "v1..v2");
        let id = book.of_one(SHOP, Leg::Secondary, &answer("v7", 9).primary());
        assert_eq!(shown(&book, id), "v1..v2");
    }

    #[test]
    fn names_off_the_wire_are_bounded() {
        let mut book = by_header();
        let one = |book: &mut Book, version: &str| {
            let id = book.of_one(SHOP, Leg::Shadow, &answer(version, 1).shadow());
            shown(book, id)
        };
        assert_eq!(one(&mut book, &"x".repeat(500)), format!("..{}", "x".repeat(NAME_BYTES)));
        assert_eq!(one(&mut book, "a\u{1}b"), "..a?b");
        for n in 0..500 {
            one(&mut book, &format!("v{n}"));
        }
        assert_eq!(one(&mut book, "v499"), "..other");
        assert_eq!(one(&mut book, "v3"), "..v3");
        assert!(book.services[0].names.len() <= NAMES + 2);
    }
}

//! Templates learned: places in paths where there are so many names that each is one of many.
//!
//! A place is a method, a path before it, and an extension; its names are counted apart by how they
//! look ([`Look`]). They become `{slug}`:
//! - those that look like slugs, once there are [`SLUGS`] of them. Words beside them stay:
//!   `/articles/search` next to `/articles/{slug}`;
//! - all of them, once there are [`WORDS`] words of which at least half were seen [`RARE`] times or
//!   less, or [`ALL_WORDS`] in any case.
//!
//! Where the numbers come from: the root of a large API has 30 to 50 names, which must stay whatever
//! their counts are: twice that is 100. A set of 100 words that are drawn with equal chance, or by
//! Zipf's law, has shown all of them before a hundred and first could come, and a set without end
//! has by then shown most of its words a few times at most. RARE is above one, since one page
//! asks for several things below one name. Slugs are seldom names of an API, so a fifth of that tells.
//!
//! What is learned is never forgotten, and does not depend on the order of the traffic, but for this:
//! between [`WORDS`] and [`ALL_WORDS`] words it counts how often each had been seen when the next
//! came; and what was told beyond the cap of names is not learned from. For all else, names at a
//! place only become more, so each rule that holds for some of the traffic holds for all of it.

use std::fmt;
use std::str::FromStr;

use capture::{ServiceId, Timestamp};
use hashbrown::{Equivalent, HashMap, HashSet};

use super::segment::{Look, split_extension};

/// Names that look like slugs, from which on they are one of many.
const SLUGS: usize = 20;

/// Words, from which on they are one of many where half of them are rare, and in any case.
const WORDS: usize = 100;
const ALL_WORDS: usize = 400;

/// How often a word that is rare was seen, at most.
const RARE: u64 = 4;

/// What stands for a name that is one of many.
const SLUG: &str = "{slug}";

/// A place in a path at which names were found to be one of many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LearnedTemplate {
    /// Which service.
    pub service: ServiceId,
    /// Method and path up to the place: `GET /articles/{slug}`, `GET /img/{slug}.png`.
    pub template: Box<str>,
    /// Which names it stands for.
    pub takes: Takes,
    /// Start of the exchange with which it was found.
    pub since: Timestamp,
}

/// Which names at a place are one of many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Takes {
    /// Those that look like slugs: with digits, signs, or three and more words.
    Slugs,
    /// All but versions.
    All,
}

impl LearnedTemplate {
    /// The name that `endpoint` has by this template; `None` where it is not of it. What one
    /// template gives may be of another: fold until none takes it.
    #[must_use]
    pub fn covers(&self, endpoint: &str) -> Option<String> {
        let (prefix, extension) = self.template.rsplit_once(SLUG)?;
        let rest = endpoint.strip_prefix(prefix)?;
        let (segment, behind) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (stem, of) = split_extension(segment.as_bytes());
        let takes = of == extension.as_bytes() && self.takes.takes(Look::of(stem));
        takes.then(|| format!("{}{behind}", self.template))
    }
}

impl Takes {
    /// The name in stores.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Slugs => "slugs",
            Self::All => "all",
        }
    }

    fn takes(self, look: Look) -> bool {
        look == Look::Slug || (self == Self::All && look == Look::Word)
    }
}

impl fmt::Display for Takes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Takes {
    type Err = ParseTakesError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = [Self::Slugs, Self::All].into_iter().find(|takes| takes.as_str() == text);
        known.ok_or(ParseTakesError)
    }
}

/// The text names no [`Takes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseTakesError;

impl fmt::Display for ParseTakesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("write slugs or all")
    }
}

impl std::error::Error for ParseTakesError {}

/// What is learned of the paths of one service.
#[derive(Debug, Default)]
pub(super) struct Learner {
    /// By place.
    rules: HashMap<Place, Takes>,
    names: HashMap<Place, Names>,
}

/// Method and path before a name, with the slash, and the extension that the name has.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Place {
    prefix: Box<[u8]>,
    extension: Box<[u8]>,
}

/// A place that is looked up.
#[derive(Hash)]
struct PlaceRef<'a> {
    prefix: &'a [u8],
    extension: &'a [u8],
}

impl Equivalent<Place> for PlaceRef<'_> {
    fn equivalent(&self, place: &Place) -> bool {
        *self.prefix == *place.prefix && *self.extension == *place.extension
    }
}

/// The names seen at a place.
#[derive(Debug, Default)]
struct Names {
    words: HashSet<Box<[u8]>>,
    slugs: HashSet<Box<[u8]>>,
}

impl Learner {
    /// Goes on with what was learned before.
    pub(super) fn know(&mut self, template: &LearnedTemplate) {
        if let Some((prefix, extension)) = template.template.rsplit_once(SLUG) {
            let place = Place {
                prefix: self.template(prefix.as_bytes()).into(),
                extension: extension.as_bytes().into(),
            };
            let takes = self.rules.entry(place).or_insert(template.takes);
            *takes = (*takes).max(template.takes);
        }
    }

    /// The name of an endpoint by what was learned; `name` is a method, a space and a path.
    pub(super) fn template(&self, name: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(name.len());
        self.write_template(name, &mut out);
        out
    }

    /// As [`Learner::template`], behind what `out` has: whether it is another than the name itself.
    pub(super) fn write_template(&self, name: &[u8], out: &mut Vec<u8>) -> bool {
        let mut is_other = false;
        for (at, segment) in name.split(|&b| b == b'/').enumerate() {
            if at == 0 {
                out.extend_from_slice(segment);
                continue;
            }
            out.push(b'/');
            let (stem, extension) = split_extension(segment);
            let takes = self.rules.get(&PlaceRef { prefix: out, extension });
            if takes.is_some_and(|takes| takes.takes(Look::of(stem))) {
                out.extend_from_slice(SLUG.as_bytes());
                out.extend_from_slice(extension);
                is_other = true;
            } else {
                out.extend_from_slice(segment);
            }
        }
        is_other
    }

    /// Whether nothing was learned.
    pub(super) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Counts the segments of a name, which is by what was learned: whether a place may be due.
    pub(super) fn add(&mut self, name: &[u8]) -> bool {
        let mut due = false;
        let mut start = 0;
        while let Some(slash) = memchr::memchr(b'/', &name[start..]) {
            start += slash + 1;
            let end = memchr::memchr(b'/', &name[start..]).map_or(name.len(), |at| start + at);
            let (stem, extension) = split_extension(&name[start..end]);
            let look = Look::of(stem);
            if look == Look::Fixed {
                continue;
            }
            let place = Place { prefix: name[..start].into(), extension: extension.into() };
            let names = self.names.entry(place).or_default();
            let same = if look == Look::Word { &mut names.words } else { &mut names.slugs };
            due |= same.insert(stem.into())
                && (names.slugs.len() >= SLUGS || names.words.len() >= WORDS);
        }
        due
    }

    /// Finds the next place whose names are one of many, given all names and how often each was
    /// seen, and counts anew by it. `None` where there is none.
    pub(super) fn learn<'n>(
        &mut self,
        seen: impl Iterator<Item = (&'n [u8], u64)> + Clone,
    ) -> Option<Vec<(Box<str>, Takes)>> {
        let due = self.names.iter().filter_map(|(place, names)| {
            let known = self.rules.get(place).copied();
            let takes = names.are_many(|| rare_words(place, seen.clone()))?;
            (known < Some(takes)).then_some((place, takes))
        });
        let (place, takes) = due.min().map(|(place, takes)| (place.clone(), takes))?;
        self.rules.insert(place.clone(), takes);
        let mut learned = vec![(place.template(), takes)];
        // Rules below a name that is none any more hold below what stands for it.
        let moved: Vec<(Place, Place, Takes)> = self
            .rules
            .iter()
            .filter_map(|(old, &takes)| {
                let prefix = self.template(&old.prefix);
                (*prefix != *old.prefix).then(|| {
                    let place = Place { prefix: prefix.into(), extension: old.extension.clone() };
                    (old.clone(), place, takes)
                })
            })
            .collect();
        for (old, place, takes) in moved {
            self.rules.remove(&old);
            if self.rules.get(&place).copied() < Some(takes) {
                learned.push((place.template(), takes));
                self.rules.insert(place, takes);
            }
        }
        learned[1..].sort();
        learned.dedup();
        self.names.clear();
        for (name, _) in seen {
            let name = self.template(name);
            self.add(&name);
        }
        Some(learned)
    }
}

impl Place {
    fn template(&self) -> Box<str> {
        let all = [&self.prefix, SLUG.as_bytes(), &self.extension].concat();
        String::from_utf8_lossy(&all).into()
    }
}

impl Names {
    /// Which of them are one of many; `rare` tells how many words are rare.
    fn are_many(&self, rare: impl FnOnce() -> usize) -> Option<Takes> {
        let words = self.words.len();
        if words >= ALL_WORDS || (words >= WORDS && rare() * 2 >= words) {
            Some(Takes::All)
        } else {
            (self.slugs.len() >= SLUGS).then_some(Takes::Slugs)
        }
    }
}

/// How many words at a place were seen [`RARE`] times or less.
fn rare_words<'n>(place: &Place, seen: impl Iterator<Item = (&'n [u8], u64)>) -> usize {
    let mut words: HashMap<&[u8], u64> = HashMap::new();
    for (name, times) in seen {
        let Some(rest) = name.strip_prefix(&*place.prefix) else { continue };
        let end = memchr::memchr(b'/', rest).unwrap_or(rest.len());
        let (stem, extension) = split_extension(&rest[..end]);
        if *extension == *place.extension && Look::of(stem) == Look::Word {
            *words.entry(stem).or_default() += times;
        }
    }
    words.values().filter(|&&times| times <= RARE).count()
}

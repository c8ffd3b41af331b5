//! What a rule makes of a divergence that was stored.

use std::borrow::Cow;

use capture::Timestamp;

use super::bare::bare;
use super::findings::VALUE_BYTES;
use super::place::{PATH_BYTES, Place, Step};
use crate::rule::unescape_pointer;
use crate::{Action, Change, Divergence, Kind, Rule, Scope};

/// A divergence as a store has it: the fields of [`Divergence`].
#[derive(Clone, Copy, Debug)]
pub struct StoredDivergence<'s> {
    /// Which part of the response.
    pub kind: Kind,
    /// Where in it.
    pub path: &'s str,
    /// What kind of change.
    pub change: Change,
    /// The primary's value, cut to 1 KiB.
    pub primary: Option<&'s str>,
    /// The shadow's.
    pub shadow: Option<&'s str>,
}

impl<'s> From<&'s Divergence> for StoredDivergence<'s> {
    fn from(of: &'s Divergence) -> Self {
        Self {
            kind: of.kind,
            path: &of.path,
            change: of.change,
            primary: of.primary.as_deref(),
            shadow: of.shadow.as_deref(),
        }
    }
}

/// Whether a comparison under a rule would leave a divergence out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Explained {
    /// It would.
    Yes,
    /// It would report it as before.
    No,
    /// The stored values do not tell: the bodies have to be compared again.
    NeedsBodies,
}

impl Rule {
    /// Whether the difference `of` a pair at `endpoint` that began at `start` is expected under
    /// this rule: what a comparison of the pair with this rule alone would come to.
    ///
    /// Where a rule hides what told the elements of an array apart, a comparison may hold other
    /// elements against each other; that is not foreseen for values inside elements.
    #[must_use]
    pub fn explains(
        &self,
        endpoint: &str,
        of: StoredDivergence<'_>,
        start: Timestamp,
    ) -> Explained {
        if !self.holds_for(endpoint, start) {
            return Explained::No;
        }
        let StoredDivergence { kind, path, change, .. } = of;
        if change == Change::More {
            return Explained::NeedsBodies;
        }
        match kind {
            Kind::Status => match self.scope() {
                Scope::Status => self.of_values(of),
                _ => Explained::No,
            },
            Kind::Header | Kind::Trailer => {
                let name = path.split_once('/').map_or(path, |(name, _)| name);
                let name = if name == "set-cookie" { name } else { path };
                if !self.scope().covers_field(kind, name.as_bytes(), path.as_bytes()) {
                    return Explained::No;
                }
                self.of_values(of)
            }
            Kind::Body => {
                let is_text = change == Change::Text;
                let Some(place) = place(path, is_text) else { return Explained::NeedsBodies };
                if self.action().is_of_arrays() {
                    return self.of_arrays(&place, change);
                }
                if !place.is_covered_by(self.scope()) {
                    // What is left out inside an array changes which elements belong together.
                    let by_elements = match change {
                        Change::Order | Change::Length | Change::Coarse => true,
                        Change::Missing | Change::Added => {
                            matches!(place.0.last(), Some(Step::Element(_)))
                        }
                        _ => false,
                    };
                    let may_matter = by_elements && matches!(self.scope(), Scope::Body(_));
                    return if may_matter { Explained::NeedsBodies } else { Explained::No };
                }
                match self.action() {
                    // Lines are matched as they are rewritten.
                    Action::Normalise(_) if is_text => Explained::NeedsBodies,
                    _ => self.of_values(of),
                }
            }
        }
    }

    /// What the values tell, whose place is covered.
    fn of_values(&self, of: StoredDivergence<'_>) -> Explained {
        if *self.action() == Action::Ignore {
            return Explained::Yes;
        }
        let both = [of.primary, of.shadow];
        let both_values = matches!(of.change, Change::Value | Change::Text);
        if both_values && both.into_iter().flatten().any(is_not_whole) {
            return Explained::NeedsBodies;
        }
        let value = |value: &'_ str| match of.kind {
            Kind::Body => bare(value.as_bytes()).into_owned(),
            // A gRPC status has its name behind its code.
            Kind::Status => value.split(' ').next().unwrap_or_default().into(),
            _ => value.as_bytes().to_vec(),
        };
        let [ours, theirs] = both.map(|side| side.map(value));
        let explains =
            self.action().explains(of.kind, of.change, ours.as_deref(), theirs.as_deref());
        if explains { Explained::Yes } else { Explained::No }
    }

    /// How an array is compared changes what is found of it and inside it, and whether it is looked
    /// into at all.
    fn of_arrays(&self, place: &Place<'_>, change: Change) -> Explained {
        let inside = (0..=place.0.len())
            .any(|depth| Place(place.0[..depth].to_vec()).is_named_by(self.scope()));
        if inside || change == Change::Coarse { Explained::NeedsBodies } else { Explained::No }
    }
}

/// Whether a shown value may not be all of it: it was cut, or had bytes that are no text.
fn is_not_whole(value: &str) -> bool {
    let is_cut = value.len() + '…'.len_utf8() > VALUE_BYTES && value.ends_with('…');
    is_cut || value.contains(char::REPLACEMENT_CHARACTER)
}

/// The place at a path; `None` where the path was cut.
fn place(path: &str, is_text: bool) -> Option<Place<'static>> {
    if path.len() + '…'.len_utf8() > PATH_BYTES && path.contains('…') {
        return None;
    }
    let path = match path.rsplit_once("line ") {
        Some((before, _)) if is_text => before.strip_suffix('/').unwrap_or(before),
        _ => path,
    };
    let steps = path.split('/').skip(1).map(|segment| {
        let name = unescape_pointer(segment)?;
        // Rules take an index and a member of that name for the same.
        Some(match name.parse() {
            Ok(index) if segment == format!("{index}") => Step::Element(index),
            _ => Step::Member(Cow::Owned(name.into_bytes())),
        })
    });
    steps.collect::<Option<_>>().map(Place)
}

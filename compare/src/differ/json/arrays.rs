//! Arrays that are not alike in their places.
//!
//! Two arrays are walked place by place first, which is all there is to it where they have the same
//! length and one element differs at most. Else it is found out which elements belong together:
//! 1. as a rule says (`sort`, `key`);
//! 2. the same elements in another order are one [`Change::Order`], at the array;
//! 3. by the key that objects have (see [`keys`]): partners are compared at the primary's index,
//!    the others are missing or added at their own; partners in another order are one
//!    `Change::Order` too. Where the lengths are equal and every key is in its place, so is every
//!    element: one whose key is another has changed;
//! 4. by what is equal, in order as far as that goes (see [`align`](super::align)): between equal
//!    elements, others are compared in turn, and what is left over is missing or added. Most of
//!    what is common in another order is one `Change::Order`, the rest missing or added;
//! 5. by place where the lengths are equal; else they have nothing in common, or it would cost too
//!    much to tell: that is one [`Change::Length`], as it is where one of them is empty.
//!
//! Which elements of an array belong together is not known before its end. Until then the arrays
//! inside are only walked by place, but for those in the first element that differs: looked into
//! level by level, they would cost twice as much with each.

use std::fmt::Write;
use std::ops::Range;

use super::align::Alignment;
use super::digest::{Digest, Digester};
use super::{Walk, keys};
use crate::differ::findings::{Mark, Reason};
use crate::differ::place::{Step, cut};
use crate::differ::scan::{NotJson, Scanner};
use crate::{Action, Change};

/// Indices of a [`Change::Order`] that are told.
const INDICES: usize = 32;

/// Bytes in which they are told.
const ORDER_BYTES: usize = 256;

/// The elements of two arrays that were walked.
#[derive(Debug)]
pub(super) struct Elements {
    len: usize,
    run: Option<Run>,
}

impl Elements {
    /// After so many that are the same.
    pub(super) const fn after(len: usize) -> Self {
        Self { len, run: None }
    }
}

/// Elements from the first that differs on.
#[derive(Debug)]
struct Run {
    /// Its index.
    first: usize,
    /// What had been found before it, and with it.
    before: Mark,
    with_first: Mark,
    /// Where they are, from there on.
    pairs: Vec<(Range<usize>, Range<usize>)>,
    /// How many differ.
    differing: usize,
    /// Whether arrays inside, not those of the first, are still to be looked into.
    unresolved: bool,
}

/// What is to be known of an element once it was walked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Before {
    mark: Mark,
    shallow: bool,
    unresolved: bool,
}

/// Two arrays from the first element that differs on.
struct Arrays<'t> {
    depth: usize,
    /// The index of that element.
    first: usize,
    /// What had been found before it.
    mark: Mark,
    primary: Vec<&'t [u8]>,
    shadow: Vec<&'t [u8]>,
    /// Where those are in their texts.
    starts: (Vec<usize>, Vec<usize>),
}

/// Why partners may be in another order.
#[derive(Clone, Copy, Debug)]
enum Order {
    /// They may not.
    Reported,
    /// The rule says so.
    Explained(Reason),
}

impl<'t> Walk<'t, '_, '_, '_> {
    pub(super) fn array(&mut self, depth: usize) -> Result<(), NotJson> {
        let more = self.open(b']')?;
        self.elements(depth, Elements::after(0), more)
    }

    /// Compares the elements from here to the end of both arrays, after those in `elements`; `more`
    /// says which of them has any left.
    pub(super) fn elements(
        &mut self,
        depth: usize,
        mut elements: Elements,
        mut more: (bool, bool),
    ) -> Result<(), NotJson> {
        while more == (true, true) {
            let starts = (self.primary.at, self.shadow.at);
            let before = self.begin_element(&elements);
            self.place.0.push(Step::Element(elements.len));
            self.value(depth + 1)?;
            self.place.0.pop();
            self.end_element(&mut elements, before, starts);
            more = self.next(b']')?;
        }
        if more == (false, false) && elements.run.is_none() {
            return Ok(());
        }
        let ours = rest(&mut self.primary, depth, more.0)?;
        let theirs = rest(&mut self.shadow, depth, more.1)?;
        let ends = (self.primary.at, self.shadow.at);
        self.ended(depth, elements, &ours, &theirs)?;
        (self.primary.at, self.shadow.at) = ends;
        self.realign();
        Ok(())
    }

    pub(super) fn begin_element(&mut self, elements: &Elements) -> Before {
        let before = Before {
            mark: self.findings.mark(),
            shallow: self.shallow,
            unresolved: self.unresolved,
        };
        self.shallow |= elements.run.is_some();
        self.unresolved = false;
        before
    }

    /// After an element that begins at `starts` and ends here.
    pub(super) fn end_element(
        &mut self,
        elements: &mut Elements,
        before: Before,
        starts: (usize, usize),
    ) {
        let Before { mark, shallow, unresolved } = before;
        let unresolved_inside = std::mem::replace(&mut self.unresolved, unresolved);
        self.shallow = shallow;
        let differs = unresolved_inside || self.findings.diverged() > mark.diverged();
        if differs && elements.run.is_none() {
            elements.run = Some(Run {
                first: elements.len,
                before: mark,
                with_first: self.findings.mark(),
                pairs: Vec::new(),
                differing: 0,
                unresolved: false,
            });
        }
        if let Some(run) = &mut elements.run {
            run.pairs.push((starts.0..self.primary.at, starts.1..self.shadow.at));
            run.differing += usize::from(differs);
            run.unresolved |= unresolved_inside;
        }
        elements.len += 1;
    }

    /// At the end of both arrays, which have `ours` and `theirs` behind what was walked.
    fn ended(
        &mut self,
        depth: usize,
        elements: Elements,
        ours: &[Range<usize>],
        theirs: &[Range<usize>],
    ) -> Result<(), NotJson> {
        let Elements { len, run } = elements;
        let lens = (len + ours.len(), len + theirs.len());
        let Some(run) = run else {
            if len == 0 {
                self.lengths(Change::Length, lens);
                return Ok(());
            }
            for (at, range) in (len..).zip(ours) {
                self.alone(at, Change::Missing, Some(self.primary.slice(range.clone())));
            }
            for (at, range) in (len..).zip(theirs) {
                self.alone(at, Change::Added, Some(self.shadow.slice(range.clone())));
            }
            return Ok(());
        };
        let one_changed = lens.0 == lens.1 && run.differing == 1;
        let told = self.findings.arrangement(&self.place);
        if self.shallow {
            self.unresolved |= run.unresolved || told.is_some() || !one_changed;
            return Ok(());
        }
        if told.is_none() && one_changed {
            return self.by_place(depth, &run);
        }
        let arrays = self.arrays(depth, &run, ours, theirs);
        if !self.spend(arrays.bytes()) {
            self.findings.back_to(run.before);
            self.lengths(Change::Coarse, lens);
            return Ok(());
        }
        if let Some((reason, action)) = told {
            let elements = arrays.scanners(self.primary, self.shadow);
            let partners = match action {
                Action::Key(key) => keys::told(key, &elements.0, &elements.1, depth + 1)?,
                _ => {
                    let digests = digests(&elements, depth + 1)?;
                    Alignment::of_multisets(&digests.0, &digests.1)
                }
            };
            return self.matched(&arrays, &partners, Order::Explained(reason));
        }
        self.arranged(&arrays, &run, lens)
    }

    /// Finds out which elements belong together where no rule tells it.
    fn arranged(
        &mut self,
        arrays: &Arrays<'t>,
        run: &Run,
        lens: (usize, usize),
    ) -> Result<(), NotJson> {
        let Arrays { depth, .. } = *arrays;
        let same_len = lens.0 == lens.1;
        let mut elements = arrays.scanners(self.primary, self.shadow);
        let mut digests = digests(&elements, depth + 1)?;
        let all = digests.0.len().min(digests.1.len());
        let end = digests.0.iter().rev().zip(digests.1.iter().rev());
        let same_end = end.take_while(|(one, other)| one == other).count().min(all);
        for (elements, digests) in
            [(&mut elements.0, &mut digests.0), (&mut elements.1, &mut digests.1)]
        {
            elements.truncate(elements.len() - same_end);
            digests.truncate(digests.len() - same_end);
        }
        let equal = run.first + same_end;
        let with_end = |partners: Alignment| {
            partners.and_the_last(same_end, lens.0 - run.first, lens.1 - run.first)
        };

        let multisets = Alignment::of_multisets(&digests.0, &digests.1);
        if same_len && multisets.common == digests.0.len() {
            return self.matched(arrays, &with_end(multisets), Order::Reported);
        }
        if !self.spend(arrays.bytes()) {
            self.findings.back_to(run.before);
            self.lengths(Change::Coarse, lens);
            return Ok(());
        }
        if let Some(partners) = keys::inferred(&elements.0, &elements.1, equal, depth + 1)? {
            let in_place = |(at, partner): (usize, &Option<usize>)| partner.is_none_or(|p| p == at);
            if same_len && partners.partners.iter().enumerate().all(in_place) {
                return self.by_place(depth, run);
            }
            return self.matched(arrays, &with_end(partners), Order::Reported);
        }
        let least = digests.0.len().min(digests.1.len());
        let has_common = |partners: &Alignment| partners.common + equal > 0;
        match Alignment::of_lists(&digests.0, &digests.1) {
            Some(partners) if !partners.in_order && partners.common * 2 > least => {
                self.matched(arrays, &with_end(partners), Order::Reported)
            }
            Some(partners)
                if partners.in_order
                    && has_common(&partners)
                    && !(same_len && partners.edits(digests.1.len()) >= run.differing) =>
            {
                self.aligned(arrays, &with_end(partners))
            }
            _ if same_len => self.by_place(depth, run),
            _ => {
                self.findings.back_to(run.before);
                self.lengths(Change::Length, lens);
                Ok(())
            }
        }
    }

    /// Element with element of the same index: as they were walked, but for the arrays inside that
    /// were not looked into.
    fn by_place(&mut self, depth: usize, run: &Run) -> Result<(), NotJson> {
        if !run.unresolved {
            return Ok(());
        }
        self.findings.back_to(run.with_first);
        for (at, (ours, theirs)) in (run.first..).zip(&run.pairs).skip(1) {
            let (primary, shadow) =
                (self.primary.slice(ours.clone()), self.shadow.slice(theirs.clone()));
            self.partners(depth, at, (primary, ours.start), (shadow, theirs.start))?;
        }
        Ok(())
    }

    /// Partners with each other, wherever they are; the others are missing or added.
    fn matched(
        &mut self,
        arrays: &Arrays<'t>,
        partners: &Alignment,
        order: Order,
    ) -> Result<(), NotJson> {
        self.findings.back_to(arrays.mark);
        match order {
            _ if partners.in_order => {}
            Order::Explained(reason) => self.findings.suppress(reason),
            Order::Reported => {
                let (ours, theirs) = orders(partners, arrays.first);
                self.differs(Change::Order, Some(ours.as_bytes()), Some(theirs.as_bytes()));
            }
        }
        let mut taken = vec![false; arrays.shadow.len()];
        for (at, partner) in partners.partners.iter().enumerate() {
            match partner {
                None => self.missing(arrays, at),
                Some(partner) => {
                    taken[*partner] = true;
                    self.pair(arrays, at, *partner)?;
                }
            }
        }
        for at in (0..taken.len()).filter(|&at| !taken[at]) {
            self.added(arrays, at);
        }
        Ok(())
    }

    /// Partners, which are in order, and between them element with element.
    fn aligned(&mut self, arrays: &Arrays<'t>, partners: &Alignment) -> Result<(), NotJson> {
        self.findings.back_to(arrays.mark);
        let mut gaps = Vec::new();
        partners.gaps(arrays.shadow.len(), |ours, theirs| gaps.push((ours, theirs)));
        for (ours, theirs) in gaps {
            for (at, partner) in ours.clone().zip(theirs.clone()) {
                self.pair(arrays, at, partner)?;
            }
            for at in ours.clone().skip(theirs.len()) {
                self.missing(arrays, at);
            }
            for at in theirs.skip(ours.len()) {
                self.added(arrays, at);
            }
            // The partner behind the gap: equal by its digest, which is looked at again.
            if let Some(&Some(partner)) = partners.partners.get(ours.end) {
                self.pair(arrays, ours.end, partner)?;
            }
        }
        Ok(())
    }

    fn missing(&mut self, arrays: &Arrays<'t>, at: usize) {
        self.alone(arrays.first + at, Change::Missing, Some(arrays.primary[at]));
    }

    fn added(&mut self, arrays: &Arrays<'t>, at: usize) {
        self.alone(arrays.first + at, Change::Added, Some(arrays.shadow[at]));
    }

    fn pair(&mut self, arrays: &Arrays<'t>, at: usize, partner: usize) -> Result<(), NotJson> {
        let primary = (arrays.primary[at], arrays.starts.0[at]);
        let shadow = (arrays.shadow[partner], arrays.starts.1[partner]);
        self.partners(arrays.depth, arrays.first + at, primary, shadow)
    }

    /// Compares two elements, given with their starts, at the primary's index.
    fn partners(
        &mut self,
        depth: usize,
        index: usize,
        (primary, at): (&'t [u8], usize),
        (shadow, shadow_at): (&'t [u8], usize),
    ) -> Result<(), NotJson> {
        if primary == shadow {
            return Ok(());
        }
        self.place.0.push(Step::Element(index));
        if self.spend(primary.len() + shadow.len()) {
            (self.primary.at, self.shadow.at) = (at, shadow_at);
            self.white_space();
            self.value(depth + 1)?;
        } else {
            self.differs(Change::Coarse, Some(primary), Some(shadow));
        }
        self.place.0.pop();
        Ok(())
    }

    /// Notes an element that is on one side only.
    fn alone(&mut self, index: usize, change: Change, value: Option<&[u8]>) {
        self.place.0.push(Step::Element(index));
        match change {
            Change::Missing => self.differs(change, value, None),
            _ => self.differs(change, None, value),
        }
        self.place.0.pop();
    }

    /// Notes that the arrays differ, and no more than that.
    fn lengths(&mut self, change: Change, lens: (usize, usize)) {
        let (ours, theirs) = (format!("len {}", lens.0), format!("len {}", lens.1));
        self.differs(change, Some(ours.as_bytes()), Some(theirs.as_bytes()));
    }

    fn arrays(
        &self,
        depth: usize,
        run: &Run,
        ours: &[Range<usize>],
        theirs: &[Range<usize>],
    ) -> Arrays<'t> {
        let primary = run.pairs.iter().map(|(ours, _)| ours).chain(ours);
        let shadow = run.pairs.iter().map(|(_, theirs)| theirs).chain(theirs);
        let (primary_at, primary) =
            primary.map(|r| (r.start, self.primary.slice(r.clone()))).unzip();
        let (shadow_at, shadow) = shadow.map(|r| (r.start, self.shadow.slice(r.clone()))).unzip();
        Arrays {
            depth,
            first: run.first,
            mark: run.before,
            primary,
            shadow,
            starts: (primary_at, shadow_at),
        }
    }
}

impl<'t> Arrays<'t> {
    fn bytes(&self) -> usize {
        self.primary.iter().chain(&self.shadow).map(|element| element.len()).sum()
    }

    /// The elements, to be read.
    fn scanners(
        &self,
        primary: Scanner<'t>,
        shadow: Scanner<'t>,
    ) -> (Vec<Scanner<'t>>, Vec<Scanner<'t>>) {
        let at = |of: Scanner<'t>, starts: &[usize]| {
            let one = |&at: &usize| {
                let mut element = Scanner { at, ..of };
                element.white_space();
                element
            };
            starts.iter().map(one).collect()
        };
        (at(primary, &self.starts.0), at(shadow, &self.starts.1))
    }
}

/// The elements from here to the end of an array, if it has `more`.
fn rest(
    text: &mut Scanner<'_>,
    depth: usize,
    mut more: bool,
) -> Result<Vec<Range<usize>>, NotJson> {
    let mut elements = Vec::new();
    while more {
        elements.push(text.value(depth + 1)?);
        more = text.next(b']')?;
    }
    Ok(elements)
}

fn digests(
    elements: &(Vec<Scanner<'_>>, Vec<Scanner<'_>>),
    depth: usize,
) -> Result<(Vec<Digest>, Vec<Digest>), NotJson> {
    let mut digester = Digester::default();
    let mut all = |elements: &[Scanner<'_>]| {
        let each = elements.iter().map(|element| digester.value(&mut element.clone(), depth));
        each.collect::<Result<Vec<Digest>, NotJson>>()
    };
    Ok((all(&elements.0)?, all(&elements.1)?))
}

/// The primary's indices of partners, in its order and in the shadow's, from the first that moved
/// to the last.
fn orders(partners: &Alignment, first: usize) -> (String, String) {
    let pairs = partners.partners.iter().enumerate();
    let mut by_shadow: Vec<(usize, usize)> =
        pairs.filter_map(|(at, partner)| Some(((*partner)?, at))).collect();
    let by_primary: Vec<usize> = {
        let mut all: Vec<usize> = by_shadow.iter().map(|&(_, at)| at).collect();
        all.sort_unstable();
        all
    };
    by_shadow.sort_unstable();
    let moved = |index: &usize| by_primary[*index] != by_shadow[*index].1;
    let from = (0..by_primary.len()).find(moved).unwrap_or_default();
    let to = (0..by_primary.len()).rfind(moved).map_or(0, |last| last + 1);
    let told = |order: &mut dyn Iterator<Item = usize>| {
        let mut out = "order".to_owned();
        for at in order.take(INDICES) {
            // Writing to a string does not fail.
            let _ = write!(out, " {}", first + at);
        }
        if to - from > INDICES {
            out.push_str(" …");
        }
        if out.len() > ORDER_BYTES {
            cut(&mut out, ORDER_BYTES);
        }
        out
    };
    let ours = told(&mut by_primary[from..to].iter().copied());
    (ours, told(&mut by_shadow[from..to].iter().map(|&(_, at)| at)))
}

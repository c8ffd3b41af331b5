//! Two JSON texts compared in lockstep, without building either.
//!
//! Both are walked token by token at once. Where their bytes are the same for a stretch, only the
//! primary's are read as JSON: the shadow's mean the same. A difference is looked at closely, and
//! then the walk goes on behind it. Objects whose members come in another order are indexed from
//! there on, and matched by name.
//!
//! What is equal: numbers of one value, strings of the same characters, objects with the same
//! members in any order, members of one name by occurrence. `null` is not a missing member. What
//! becomes of arrays that are not alike in their places is said in [`arrays`].
//!
//! What both begin with is read for its structure alone ([`super::skip`]): the walk begins at the
//! member or element in which they differ first. From there on both texts are checked: if either is
//! no JSON, nothing of what was found holds, and the caller says so ([`fault::find`]). What both end
//! with is again read for its structure, where no array is open.
//!
//! Work is linear in the texts where members and elements are in the same order, and bounded in any
//! case: what is nested in reordered objects and arrays is read again for each of them, until
//! that has cost a bounded number of times the texts ([`WORK_FACTOR`]); then what differs is said to
//! differ and not looked into ([`Change::Coarse`]).

mod align;
mod arrays;
mod digest;
pub(super) mod fault;
mod keys;
mod pointer;

use std::borrow::Cow;
use std::ops::Range;

use hashbrown::HashMap;

use super::echo::Echo;
use super::findings::{Findings, Reason};
use super::number::same_number;
use super::place::{Place, Step};
use super::prefix::{common_prefix, common_suffix};
use super::scan::{DEPTH, NotJson, RawString, Scanner, Type};
use super::skip::{Frame, FrameKind, closes, open_after};
use crate::{Change, Kind};
use arrays::Elements;

pub(crate) use pointer::scalar_at;

/// How often the two texts may be read over again to match reordered members and elements, and how
/// much more often small ones may: so often, or so many bytes.
const WORK_FACTOR: usize = 8;
const SMALL_WORK_FACTOR: usize = 48;
const SMALL_WORK_BYTES: usize = 16 << 20;

/// Bytes that both must begin with to be read for their structure alone: below it, walking them
/// costs as little.
const SKIP_AT_LEAST: usize = 48;

/// Bytes compared ahead of the walk at a time: what is compared in vain where members are
/// reordered.
const AHEAD: usize = 256;

/// Compares `primary` with `shadow`, which are at `place`, and adds to `findings`. On an error
/// nothing was added.
pub(super) fn compare<'t>(
    primary: &'t [u8],
    shadow: &'t [u8],
    place: &Place<'t>,
    echo: &Echo<'_>,
    findings: &mut Findings<'_>,
) -> Result<(), NotJson> {
    compare_skipping(primary, shadow, place, SKIP_AT_LEAST, echo, findings)
}

/// As [`compare`], where `skip_at_least` bytes that both begin with are read for their structure
/// alone.
fn compare_skipping<'t>(
    primary: &'t [u8],
    shadow: &'t [u8],
    place: &Place<'t>,
    skip_at_least: usize,
    echo: &Echo<'_>,
    findings: &mut Findings<'_>,
) -> Result<(), NotJson> {
    let same = common_prefix(primary, shadow);
    if !are_utf8(primary, shadow, same) {
        return Err(NotJson);
    }
    let open = if same >= skip_at_least { open_after(primary, same) } else { None };
    let mark = findings.mark();
    let bytes = primary.len() + shadow.len();
    let mut levels = Vec::with_capacity(place.0.len() + 8);
    levels.extend_from_slice(&place.0);
    let mut walk = Walk {
        primary: Scanner::new(primary),
        shadow: Scanner::new(shadow),
        same,
        same_ends: true,
        place: Place(levels),
        work: 0,
        work_limit: WORK_FACTOR * bytes + SMALL_WORK_BYTES.min(SMALL_WORK_FACTOR * bytes),
        shallow: false,
        unresolved: false,
        base: place.0.len(),
        tail: common_suffix(&primary[same..], &shadow[same..]),
        in_step: true,
        finished: false,
        echo,
        findings,
    };
    let whole = match open {
        Some(frames) => walk.rest(&frames, same),
        None => walk.whole(),
    };
    if whole.is_err() {
        walk.findings.back_to(mark);
    }
    whole
}

/// Whether both are UTF-8, where they begin with the same `same` bytes: those are read once.
fn are_utf8(primary: &[u8], shadow: &[u8], same: usize) -> bool {
    // Most texts are ASCII, and that is told at a fraction of the cost.
    if primary.is_ascii() && shadow[same..].is_ascii() {
        return true;
    }
    let Ok(text) = std::str::from_utf8(primary) else { return false };
    std::str::from_utf8(&shadow[text.floor_char_boundary(same)..]).is_ok()
}

/// Two texts, walked at once.
struct Walk<'t, 'f, 'p, 'e> {
    primary: Scanner<'t>,
    shadow: Scanner<'t>,
    /// Bytes that are known to be the same on both sides from here on.
    same: usize,
    /// Whether the bytes behind those are known to differ, or are not there.
    same_ends: bool,
    place: Place<'t>,
    /// Bytes read again so far.
    work: usize,
    work_limit: usize,
    /// Whether arrays that are not alike in their places are only said to be such: which elements
    /// of an array around them belong together is not known yet.
    shallow: bool,
    /// Whether there was such an array.
    unresolved: bool,
    /// Steps of the place that the texts are at.
    base: usize,
    /// Bytes that both end with.
    tail: usize,
    /// Whether both sides go on to their ends, and nothing is read again.
    in_step: bool,
    /// Whether what is left is known to be the same.
    finished: bool,
    echo: &'f Echo<'e>,
    findings: &'f mut Findings<'p>,
}

/// A member of an object: its name and where its value is.
struct Member<'t> {
    name: RawString<'t>,
    value: Range<usize>,
}

impl<'t> Walk<'t, '_, '_, '_> {
    fn whole(&mut self) -> Result<(), NotJson> {
        self.white_space();
        self.value(0)?;
        self.end()
    }

    /// As [`Walk::whole`], where `frames` are open after the `same` bytes that both begin with.
    fn rest(&mut self, frames: &[Frame], same: usize) -> Result<(), NotJson> {
        self.inside(frames, 0, same)?;
        self.end()
    }

    fn end(&mut self) -> Result<(), NotJson> {
        if self.primary.at_end() && self.shadow.at_end() { Ok(()) } else { Err(NotJson) }
    }

    /// Goes on inside the object or array `frames[depth]`, and goes behind it.
    fn inside(&mut self, frames: &[Frame], depth: usize, same: usize) -> Result<(), NotJson> {
        let Frame { kind, from, len, value } = frames[depth];
        let step = match (kind, value) {
            (FrameKind::Array, _) => Step::Element(len),
            (FrameKind::Object, Some(_)) => {
                let mut name = Scanner { at: from, ..self.primary };
                name.white_space();
                Step::Member(name.string()?.unescaped())
            }
            (FrameKind::Object, None) => {
                self.begin_at(from, same);
                return self.members(depth, (true, true));
            }
        };
        let mut elements = Elements::after(len);
        let before = (kind == FrameKind::Array).then(|| self.begin_element(&elements));
        self.place.0.push(step);
        if depth + 1 < frames.len() {
            self.inside(frames, depth + 1, same)?;
        } else {
            self.begin_at(value.unwrap_or(from), same);
            self.value(depth + 1)?;
        }
        self.place.0.pop();
        match before {
            None if self.finished => Ok(()),
            None => {
                let more = self.next(b'}')?;
                self.members(depth, more)
            }
            Some(before) => {
                self.end_element(&mut elements, before, (from, from));
                let more = self.next(b']')?;
                self.elements(depth, elements, more)
            }
        }
    }

    /// Goes to the token at or after `at`, which lies within the first `same` bytes.
    fn begin_at(&mut self, at: usize, same: usize) {
        (self.primary.at, self.shadow.at) = (at, at);
        (self.same, self.same_ends) = (same - at, true);
        self.primary.white_space();
        if !self.follow(at) {
            self.shadow.white_space();
            self.realign();
        }
    }

    /// Compares the values here and goes behind both.
    fn value(&mut self, depth: usize) -> Result<(), NotJson> {
        if !self.is_same_ahead(1) {
            return self.values_that_differ(depth);
        }
        match self.primary.peek()? {
            b'{' | b'[' if depth >= DEPTH => Err(NotJson),
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'"' => self.strings(),
            _ => {
                let start = self.primary.at;
                self.primary.scalar()?;
                if self.follow(start) {
                    return Ok(());
                }
                let shadow_start = self.shadow.at;
                self.shadow.scalar()?;
                self.realign();
                let primary = self.primary.slice(start..self.primary.at);
                let shadow = self.shadow.slice(shadow_start..self.shadow.at);
                // Literals that begin alike are the same, and need no number's reading.
                if !same_number(primary, shadow) {
                    self.differs(Change::Value, Some(primary), Some(shadow));
                }
                Ok(())
            }
        }
    }

    /// Compares the strings here and goes behind both.
    fn strings(&mut self) -> Result<(), NotJson> {
        let start = self.primary.at;
        let primary = self.primary.string()?;
        if self.follow(start) {
            return Ok(());
        }
        let shadow_start = self.shadow.at;
        let shadow = self.shadow.string()?;
        self.realign();
        if !primary.same(shadow) {
            let sent = self.primary.slice(start..self.primary.at);
            let other = self.shadow.slice(shadow_start..self.shadow.at);
            let (sent, other) = (Some(sent), Some(other));
            let rule = self.findings.explain_place(&self.place, Change::Value, sent, other);
            let reason = rule.or_else(|| {
                let (ours, theirs) = (primary.unescaped(), shadow.unescaped());
                self.echo.explains(&ours, &theirs).then_some(Reason::Mirror)
            });
            self.note(reason, Change::Value, sent, other);
        }
        Ok(())
    }

    /// Compares two values that begin with different bytes, or at different distances from the
    /// end of their texts.
    fn values_that_differ(&mut self, depth: usize) -> Result<(), NotJson> {
        let types = (self.primary.type_here()?, self.shadow.type_here()?);
        let primary = self.primary.value(depth)?;
        let shadow = self.shadow.value(depth)?;
        self.realign();
        let (primary, shadow) = (self.primary.slice(primary), self.shadow.slice(shadow));
        match types {
            (Type::Number, Type::Number) if same_number(primary, shadow) => {}
            (one, other) if one == other => {
                self.differs(Change::Value, Some(primary), Some(shadow));
            }
            _ => self.differs(Change::Type, Some(primary), Some(shadow)),
        }
        Ok(())
    }

    fn object(&mut self, depth: usize) -> Result<(), NotJson> {
        let more = self.open(b'}')?;
        self.members(depth, more)
    }

    /// Compares the members from here to the end of both objects; `more` says which of them has
    /// any left.
    fn members(&mut self, depth: usize, mut more: (bool, bool)) -> Result<(), NotJson> {
        while more == (true, true) {
            if self.rest_is_same() {
                return Ok(());
            }
            let starts = (self.primary.at, self.shadow.at);
            let name = self.primary.string()?;
            if !self.follow(starts.0) {
                let other = self.shadow.string()?;
                self.realign();
                if !name.same(other) {
                    (self.primary.at, self.shadow.at) = starts;
                    return self.reordered(depth);
                }
            }
            self.colon()?;
            self.place.0.push(Step::Member(name.unescaped()));
            self.value(depth + 1)?;
            self.place.0.pop();
            if self.finished {
                return Ok(());
            }
            more = self.next(b'}')?;
        }
        if more != (false, false) {
            return self.reordered_rest(depth, more);
        }
        Ok(())
    }

    /// Compares the members from here to the end of both objects by name.
    fn reordered(&mut self, depth: usize) -> Result<(), NotJson> {
        self.reordered_rest(depth, (true, true))
    }

    /// Whether both are the same from here, before a member of an object in no array, to their ends,
    /// and close what is open: then both go there.
    fn rest_is_same(&mut self) -> bool {
        let left = self.primary.text.len() - self.primary.at;
        if left > self.tail || left != self.shadow.text.len() - self.shadow.at || !self.in_step {
            return false;
        }
        // Of an array all elements are counted.
        let levels = &self.place.0[self.base..];
        if levels.iter().any(|step| matches!(step, Step::Element(_))) {
            return false;
        }
        let open = std::iter::repeat_n(FrameKind::Object, levels.len() + 1);
        if !closes(&self.primary.text[self.primary.at..], open) {
            self.tail = 0;
            return false;
        }
        (self.primary.at, self.shadow.at) = (self.primary.text.len(), self.shadow.text.len());
        self.finished = true;
        true
    }

    /// As above, where `more` says which of the objects has members left.
    fn reordered_rest(&mut self, depth: usize, more: (bool, bool)) -> Result<(), NotJson> {
        let in_step = std::mem::replace(&mut self.in_step, false);
        let primaries = members(&mut self.primary, depth, more.0)?;
        let shadows = members(&mut self.shadow, depth, more.1)?;
        let ends = (self.primary.at, self.shadow.at);
        let mut partners = Partners::of(&shadows);
        for member in &primaries {
            self.place.0.push(Step::Member(member.name.unescaped()));
            let primary = self.primary.slice(member.value.clone());
            match partners.take(member.name) {
                None => self.differs(Change::Missing, Some(primary), None),
                Some(at) => {
                    let shadow = self.shadow.slice(shadows[at].value.clone());
                    if primary != shadow {
                        if !self.spend(primary.len() + shadow.len()) {
                            self.differs(Change::Coarse, Some(primary), Some(shadow));
                        } else {
                            self.primary.at = member.value.start;
                            self.shadow.at = shadows[at].value.start;
                            self.realign();
                            self.value(depth + 1)?;
                        }
                    }
                }
            }
            self.place.0.pop();
        }
        for at in partners.left() {
            let member = &shadows[at];
            self.place.0.push(Step::Member(member.name.unescaped()));
            let shadow = self.shadow.slice(member.value.clone());
            self.differs(Change::Added, None, Some(shadow));
            self.place.0.pop();
        }
        (self.primary.at, self.shadow.at) = ends;
        self.in_step = in_step;
        self.realign();
        Ok(())
    }

    /// Whether so many bytes may be read again.
    fn spend(&mut self, bytes: usize) -> bool {
        self.work += bytes;
        self.work <= self.work_limit
    }

    /// Notes a difference here, unless a rule or the mirror explains it.
    fn differs(&mut self, change: Change, primary: Option<&[u8]>, shadow: Option<&[u8]>) {
        let rule = self.findings.explain_place(&self.place, change, primary, shadow);
        let reason = rule.or_else(|| {
            let name = self.place.member()?;
            let explained = match (primary, shadow) {
                (Some(value), None) => self.echo.explains_missing(name, value),
                (None, Some(value)) => self.echo.explains_added(name, value),
                _ => false,
            };
            explained.then_some(Reason::Mirror)
        });
        self.note(reason, change, primary, shadow);
    }

    fn note(
        &mut self,
        reason: Option<Reason>,
        change: Change,
        primary: Option<&[u8]>,
        shadow: Option<&[u8]>,
    ) {
        match reason {
            Some(reason) => self.findings.suppress(reason),
            None => {
                let place = &self.place;
                let path = || place.pointer_and_pattern();
                self.findings.diverge(Kind::Body, path, change, primary, shadow);
            }
        }
    }

    /// Opens both objects or arrays: whether the primary's and the shadow's have anything in them.
    fn open(&mut self, close: u8) -> Result<(bool, bool), NotJson> {
        let start = self.primary.at;
        let primary = self.primary.open(close)?;
        if self.follow(start) {
            return Ok((primary, primary));
        }
        let shadow = self.shadow.open(close)?;
        self.realign();
        Ok((primary, shadow))
    }

    /// Goes behind what follows a member or an element: whether the primary's and the shadow's
    /// have another.
    fn next(&mut self, close: u8) -> Result<(bool, bool), NotJson> {
        let start = self.primary.at;
        let primary = self.primary.next(close)?;
        if self.follow(start) {
            return Ok((primary, primary));
        }
        let shadow = self.shadow.next(close)?;
        self.realign();
        Ok((primary, shadow))
    }

    fn colon(&mut self) -> Result<(), NotJson> {
        let start = self.primary.at;
        self.primary.colon()?;
        if !self.follow(start) {
            self.shadow.colon()?;
            self.realign();
        }
        Ok(())
    }

    fn white_space(&mut self) {
        self.primary.white_space();
        self.shadow.white_space();
        self.realign();
    }

    /// After the primary has gone on from `start`: lets the shadow follow if it has the same bytes
    /// and one more, which settles that its token ends there too. False leaves the shadow at the
    /// token's start, with nothing known to be the same.
    fn follow(&mut self, start: usize) -> bool {
        let len = self.primary.at - start;
        if len + 1 > self.same {
            let end = self.primary.at;
            self.primary.at = start;
            let same = self.is_same_ahead(len + 1);
            self.primary.at = end;
            if !same {
                return false;
            }
        }
        self.shadow.at += len;
        self.same -= len;
        true
    }

    /// Whether the next `len` bytes are the same on both sides.
    fn is_same_ahead(&mut self, len: usize) -> bool {
        while self.same < len && !self.same_ends {
            let ahead = |scanner: &Scanner<'t>| {
                let from = (scanner.at + self.same).min(scanner.text.len());
                let to = (from + AHEAD.max(len)).min(scanner.text.len());
                &scanner.text[from..to]
            };
            let (primary, shadow) = (ahead(&self.primary), ahead(&self.shadow));
            let more = common_prefix(primary, shadow);
            self.same += more;
            self.same_ends = more < AHEAD.max(len);
        }
        self.same >= len
    }

    /// After the sides have gone on apart: nothing is known of what comes.
    fn realign(&mut self) {
        self.same = 0;
        self.same_ends = false;
    }
}

/// The members from here to the end of an object, if it has `more`.
fn members<'t>(
    text: &mut Scanner<'t>,
    depth: usize,
    mut more: bool,
) -> Result<Vec<Member<'t>>, NotJson> {
    let mut members = Vec::new();
    while more {
        let name = text.string()?;
        text.colon()?;
        members.push(Member { name, value: text.value(depth + 1)? });
        more = text.next(b'}')?;
    }
    Ok(members)
}

/// Members of the shadow's object by name, each to be taken once.
struct Partners<'t> {
    /// The first of that name that was not taken.
    first: HashMap<Cow<'t, [u8]>, usize>,
    /// By member: the next of the same name.
    next: Vec<Option<usize>>,
    taken: Vec<bool>,
}

impl<'t> Partners<'t> {
    fn of(members: &[Member<'t>]) -> Self {
        let mut first = HashMap::with_capacity(members.len());
        let mut next = vec![None; members.len()];
        // From behind, so that each finds the one after it.
        for (at, member) in members.iter().enumerate().rev() {
            next[at] = first.insert(member.name.unescaped(), at);
        }
        Self { first, next, taken: vec![false; members.len()] }
    }

    fn take(&mut self, name: RawString<'t>) -> Option<usize> {
        let name = name.unescaped();
        let at = *self.first.get(&name)?;
        match self.next[at] {
            Some(next) => self.first.insert(name, next),
            None => self.first.remove(&name),
        };
        self.taken[at] = true;
        Some(at)
    }

    fn left(&self) -> impl Iterator<Item = usize> {
        self.taken.iter().enumerate().filter(|&(_, taken)| !taken).map(|(at, _)| at)
    }
}

#[cfg(test)]
mod tests;

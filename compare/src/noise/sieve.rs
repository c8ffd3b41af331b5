//! Asks of each difference in one comparison whether it is noise.
//!
//! First what needs no memory: both values are points in time near their own exchange, written the
//! same way; or each is what its own request carries in the same header field. Then what is known
//! of the place.

use std::cell::{Cell, OnceCell};
use std::time::Duration;

use capture::{Exchange, Request, Timestamp};
use twox_hash::XxHash3_128;

use super::piece::{Piece, Pieces, Reach};
use super::place::Sort;
use super::repeat::is_id;
use super::shape::{is_random, same_kind};
use super::shelf::Answer;
use super::stamp::{Stamp, stamp};
use super::{EndpointSlot, Noise};
use crate::{Change, Kind, NoiseCause, NoiseLayer, NoiseLayers, SignatureId};

/// Bytes of a value that are looked at for points in time.
const READ_BYTES: usize = 1_024;

/// Bytes of lines that differ, beyond which they are not told apart, and never noise.
const LINE_BYTES: usize = 16 << 10;

/// Pieces of a line that may differ, beyond which they are not told apart.
const LINE_PIECES: usize = 32;

/// Differences of one comparison that are asked about. What is beyond is reported.
const ASKED: usize = 4_096;

/// Bytes from which a word can be what the request carries.
const CARRIED_BYTES: usize = 6;

/// Bytes of a request's target and body, and of each of its header fields, that are searched.
const SEARCHED_BYTES: usize = 16 << 10;
const FIELD_BYTES: usize = 1 << 10;

/// Header fields of two requests that are held against each other.
const FIELDS: usize = 64;

/// One exchange of a comparison: what it asked, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Side<'e> {
    pub(crate) request: &'e Request,
    pub(crate) start: Timestamp,
    pub(crate) end: Timestamp,
}

impl<'e> Side<'e> {
    /// That of an exchange; `None` where its request was not seen.
    pub(crate) fn of(exchange: &'e Exchange) -> Option<Self> {
        let request = exchange.request.as_ref()?;
        Some(Self { request, start: exchange.timing.start(), end: exchange.timing.end() })
    }

    /// That of an answer that was kept.
    pub(crate) fn of_answer(answer: &'e Answer) -> Self {
        Self { request: &answer.request, start: answer.start, end: answer.end }
    }

    /// Whether its request holds `value`: in its target, a header field, or the body.
    fn asks_for(&self, value: &[u8]) -> bool {
        let holds = |text: &[u8], bytes: usize| {
            memchr::memmem::find(&text[..text.len().min(bytes)], value).is_some()
        };
        holds(self.request.target(), SEARCHED_BYTES)
            || self.request.fields.iter().take(FIELDS).any(|(_, of)| holds(of, FIELD_BYTES))
            || holds(self.request.body.kept(), SEARCHED_BYTES)
    }

    fn is_near(&self, at: Timestamp, slack: Duration) -> bool {
        (self.start - slack..=self.end + slack).contains(&at)
    }
}

/// Why a difference is not reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quiet {
    /// Both are points in time near their own exchange.
    Timestamp,
    /// Each is what its own request carries.
    RequestId,
    /// It is noise.
    Noise(NoiseCause),
}

/// What becomes of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// It is to be reported.
    Report,
    /// It is to be reported: the shadow's value is in a form that the primary's never are.
    OtherForm,
    /// Both are points in time, of another precision, where zeros at the end are left out: the
    /// place knows whether that is seldom.
    OtherPrecision,
    Quiet(Quiet),
}

impl Told {
    /// Why it is not reported; `None` where it is.
    pub(crate) fn quiet(self) -> Option<Quiet> {
        match self {
            Self::Quiet(quiet) => Some(quiet),
            _ => None,
        }
    }

    /// What becomes of two differences that are told as one.
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Report, _) | (_, Self::Report) => Self::Report,
            (Self::OtherForm | Self::OtherPrecision, _)
            | (_, Self::OtherForm | Self::OtherPrecision) => Self::OtherForm,
            (Self::Quiet(why), Self::Quiet(_)) => Self::Quiet(why),
        }
    }
}

/// What is compared, for whom.
#[derive(Debug)]
pub(crate) struct Sieve<'p> {
    pub(super) noise: &'p mut Noise,
    pub(super) endpoint: Option<EndpointSlot>,
    pub(super) layers: NoiseLayers,
    pub(super) slack: Duration,
    /// `Legs`, or what the primary is compared with to learn of it: then nothing is reported.
    pub(super) sort: Sort,
    pub(super) primary: Side<'p>,
    pub(super) other: Side<'p>,
    pub(super) asked: usize,
    /// Of the place that was asked about last, where it is one of those that are reported.
    pub(super) signature: Option<SignatureId>,
    /// Whether two points in time had other numbers of digits.
    pub(super) trimmed: Cell<bool>,
    /// Values of header fields that are not the same in both requests.
    pub(super) carried: OnceCell<Vec<(&'p [u8], &'p [u8])>>,
}

impl Sieve<'_> {
    /// Whether this is to learn only.
    pub(crate) fn is_to_learn(&self) -> bool {
        self.sort != Sort::Legs
    }

    /// The signature of the place that was asked about last, if it is known: it costs more than all
    /// else to work out.
    pub(crate) fn signature(&self) -> Option<SignatureId> {
        self.signature
    }

    /// How many differences were noted, to go back to.
    pub(crate) fn noted(&self) -> usize {
        self.noise.seen.len()
    }

    /// Forgets what was noted since there were `noted`.
    pub(crate) fn back_to(&mut self, noted: usize) {
        self.noise.seen.truncate(noted);
    }

    /// What the values alone say.
    pub(crate) fn by_values(
        &self,
        change: Change,
        primary: Option<&[u8]>,
        other: Option<&[u8]>,
    ) -> Told {
        match (change, primary, other) {
            (Change::Value | Change::Text, Some(ours), Some(theirs)) => self.explain(ours, theirs),
            _ => Told::Report,
        }
    }

    /// Whether another difference may be asked about by its place.
    pub(crate) fn has_room(&self) -> bool {
        self.asked < ASKED && self.endpoint.is_some()
    }

    /// What is known of the place with this pattern.
    pub(crate) fn by_place(
        &mut self,
        kind: Kind,
        pattern: &str,
        change: Change,
        primary: Option<&[u8]>,
        other: Option<&[u8]>,
    ) -> Told {
        self.asked += 1;
        self.signature = None;
        let Some(endpoint) = self.endpoint else { return Told::Report };
        // Ours: an error is never noise. Whether there are more is for the gate's error test.
        if kind == Kind::Status {
            return Told::Report;
        }
        if change != Change::Text {
            let told = self.ask(endpoint, (kind, pattern, change), primary, other);
            self.signature = self.noise.asked;
            return told;
        }
        if let (Some(ours), Some(theirs)) = (primary, other)
            && count_lines(ours) == count_lines(theirs)
        {
            let lines = ours.split(|&b| b == b'\n').zip(theirs.split(|&b| b == b'\n'));
            return lines
                .filter(|(one, two)| one != two)
                .map(|(one, two)| match self.explain(one, two) {
                    Told::Report => self.ask_line(endpoint, kind, pattern, Some(one), Some(two)).0,
                    told => told,
                })
                .reduce(Told::and)
                .unwrap_or(Told::Report);
        }
        self.ask_line(endpoint, kind, pattern, primary, other).0
    }

    /// What is known of a line that differs, and of each piece that does, by where it begins in the
    /// primary's line; `None` where the pieces of the two are not the same row.
    pub(crate) fn by_line(
        &mut self,
        kind: Kind,
        pattern: &str,
        primary: &[u8],
        other: &[u8],
    ) -> (Told, Option<Vec<(usize, Told)>>) {
        self.asked += 1;
        let Some(endpoint) = self.endpoint else { return (Told::Report, None) };
        self.ask_line(endpoint, kind, pattern, Some(primary), Some(other))
    }

    /// Asks about lines of a text. All lines of a text have one pattern, and one that varies must
    /// not hide the others: here each piece of each is a place of its own, as the members of an
    /// object are; and all of it is one where the pieces are not the same on both sides.
    fn ask_line(
        &mut self,
        endpoint: EndpointSlot,
        kind: Kind,
        pattern: &str,
        primary: Option<&[u8]>,
        other: Option<&[u8]>,
    ) -> (Told, Option<Vec<(usize, Told)>>) {
        let told = primary.or(other).unwrap_or(b"");
        if told.len() > LINE_BYTES || other.is_some_and(|other| other.len() > LINE_BYTES) {
            return (Told::Report, None);
        }
        let line = template(told);
        let aligned = primary.zip(other).and_then(|(ours, theirs)| differing(ours, theirs));
        let Some(differing) = aligned else {
            let sides = u8::from(primary.is_some()) | u8::from(other.is_some()) << 1;
            let pattern = format!("{pattern}#{line:08x}.{sides}");
            return (self.ask(endpoint, (kind, &pattern, Change::Text), primary, other), None);
        };
        let (mut all, mut pieces) = (None, Vec::new());
        for Differing { at, begin, one, two } in differing {
            let told = match self.explain_piece(one, two) {
                Some(quiet) => Told::Quiet(quiet),
                None => {
                    let pattern = format!("{pattern}#{line:08x}/{at}");
                    let values = (one.bytes(), two.bytes());
                    let place = (kind, &*pattern, Change::Text);
                    self.ask(endpoint, place, Some(values.0), Some(values.1))
                }
            };
            pieces.push((begin, told));
            all = Some(all.map_or(told, |all: Told| all.and(told)));
        }
        (all.unwrap_or(Told::Report), Some(pieces))
    }

    fn ask(
        &mut self,
        endpoint: EndpointSlot,
        place: (Kind, &str, Change),
        primary: Option<&[u8]>,
        other: Option<&[u8]>,
    ) -> Told {
        let asked_for = || {
            let asks = |side: &Side<'_>, value: Option<&[u8]>| {
                value.is_some_and(|value| side.asks_for(unquoted(value)))
            };
            asks(&self.primary, primary) || asks(&self.other, other)
        };
        let (sort, layers) = (self.sort, self.layers);
        self.noise.ask(endpoint, sort, layers, place, (primary, other), asked_for)
    }

    /// The comparison is whole: it counts, with what was noted.
    pub(crate) fn finish(self) {
        if let Some(endpoint) = self.endpoint {
            if self.trimmed.get() {
                self.noise.note_trimmed(endpoint);
            }
            self.noise.compared(endpoint, self.sort, self.layers, self.primary.start);
        }
    }

    fn explain(&self, primary: &[u8], other: &[u8]) -> Told {
        if primary.len() > READ_BYTES || other.len() > READ_BYTES {
            return Told::Report;
        }
        let (ours, theirs) = (unquoted(primary), unquoted(other));
        if let (Some(one), Some(two)) = (whole(ours), whole(theirs))
            && one.form != two.form
        {
            if !self.layers.has(NoiseLayer::Timestamp) || !self.are_near(one, two) {
                return Told::Report;
            }
            let trimmed = self.endpoint.is_some_and(|endpoint| self.noise.trims(endpoint));
            return if trimmed && one.form.same_but_for_precision(two.form) {
                Told::OtherPrecision
            } else {
                Told::OtherForm
            };
        }
        if self.is_carried(ours, theirs) {
            return Told::Quiet(Quiet::RequestId);
        }
        let mut why = None;
        let mut pieces = (Pieces::new(ours, Reach::Word), Pieces::new(theirs, Reach::Word));
        loop {
            match (pieces.0.next(), pieces.1.next()) {
                (None, None) => return why.map_or(Told::Report, Told::Quiet),
                (one, two) if one == two => {}
                (Some(one), Some(two)) => match self.explain_piece(one, two) {
                    Some(quiet) => why = why.or(Some(quiet)),
                    None => return Told::Report,
                },
                _ => return Told::Report,
            }
        }
    }

    fn explain_piece(&self, one: Piece<'_>, two: Piece<'_>) -> Option<Quiet> {
        match (one, two) {
            (Piece::Stamp(one, _), Piece::Stamp(two, _)) => {
                let alike = one.form == two.form
                    && self.layers.has(NoiseLayer::Timestamp)
                    && self.are_near(one, two);
                if alike && one.digits != two.digits {
                    self.trimmed.set(true);
                }
                alike.then_some(Quiet::Timestamp)
            }
            (Piece::Word(one), Piece::Word(two)) | (Piece::Uuid(one), Piece::Uuid(two)) => {
                self.is_carried(one, two).then_some(Quiet::RequestId)
            }
            _ => None,
        }
    }

    fn are_near(&self, one: Stamp, two: Stamp) -> bool {
        self.primary.is_near(one.at, self.slack) && self.other.is_near(two.at, self.slack)
    }

    /// Whether each is what its own request carries, in the same header field.
    fn is_carried(&self, one: &[u8], two: &[u8]) -> bool {
        let long = one.len() >= CARRIED_BYTES && two.len() >= CARRIED_BYTES;
        long && self.carried().iter().any(|(ours, theirs)| {
            memchr::memmem::find(ours, one).is_some() && memchr::memmem::find(theirs, two).is_some()
        })
    }

    fn carried(&self) -> &[(&[u8], &[u8])] {
        self.carried.get_or_init(|| {
            let (ours, theirs) = (&self.primary.request.fields, &self.other.request.fields);
            // Between the legs only ids count: what else the mirror changed, its profile says.
            let counts = |name: &[u8]| self.is_to_learn() || is_id(name);
            ours.iter()
                .take(FIELDS)
                .filter(|(name, _)| counts(name))
                .filter_map(|(name, ours)| Some((ours, theirs.get(name)?)))
                .filter(|(ours, theirs)| ours.len().max(theirs.len()) <= FIELD_BYTES)
                .filter(|(ours, theirs)| ours != theirs)
                .collect()
        })
    }
}

/// Names a line by its words without digits.
fn template(line: &[u8]) -> u32 {
    let mut row = Vec::with_capacity(line.len());
    for piece in Pieces::new(line, Reach::Word) {
        match piece {
            Piece::Mark(mark) => row.push(mark),
            Piece::Stamp(stamp, _) => row.push(if stamp.form.is_number() { b'9' } else { b'T' }),
            Piece::Uuid(_) => row.push(b'U'),
            Piece::Word(word) if word.iter().any(u8::is_ascii_digit) => row.push(b'9'),
            Piece::Word(word) => row.extend_from_slice(word),
        }
    }
    XxHash3_128::oneshot(&row) as u32
}

/// A piece that differs.
#[derive(Clone, Copy, Debug)]
struct Differing<'v> {
    /// Its number.
    at: usize,
    /// Where it begins in the primary's value.
    begin: usize,
    one: Piece<'v>,
    two: Piece<'v>,
}

/// The pieces that differ; `None` where they are not the same row of pieces, or many differ.
fn differing<'v>(ours: &'v [u8], theirs: &'v [u8]) -> Option<Vec<Differing<'v>>> {
    let mut differing = Vec::new();
    let mut pieces = (Pieces::new(ours, Reach::Word), Pieces::new(theirs, Reach::Word));
    for at in 0.. {
        let begin = ours.len() - pieces.0.left();
        match (pieces.0.next(), pieces.1.next()) {
            (None, None) => break,
            (Some(one), Some(two)) if one == two => {}
            (Some(one), Some(two)) if one.is_like(two) && differing.len() < LINE_PIECES => {
                differing.push(Differing { at, begin, one, two });
            }
            _ => return None,
        }
    }
    Some(differing)
}

/// Whether both are one row of pieces, in which random words, UUIDs and points in time differ.
pub(super) fn differ_at_random(one: &[u8], two: &[u8]) -> bool {
    if one.len() > READ_BYTES || two.len() > READ_BYTES {
        return false;
    }
    let mut random = false;
    let mut pieces = (Pieces::new(one, Reach::Token), Pieces::new(two, Reach::Token));
    loop {
        match (pieces.0.next(), pieces.1.next()) {
            (None, None) => return random,
            (Some(one), Some(two)) if one == two => {}
            (Some(Piece::Stamp(one, _)), Some(Piece::Stamp(two, _))) if one.form == two.form => {}
            (Some(Piece::Uuid(one)), Some(Piece::Uuid(two))) if same_kind(one, two) => {
                random = true;
            }
            (Some(Piece::Word(one)), Some(Piece::Word(two)))
                if is_random(one) && is_random(two) && same_kind(one, two) =>
            {
                random = true;
            }
            _ => return false,
        }
    }
}

fn count_lines(text: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', text).count()
}

/// The point in time that the value is, and nothing else.
fn whole(value: &[u8]) -> Option<Stamp> {
    stamp(value).filter(|stamp| stamp.len == value.len())
}

/// A JSON string without its quotes; any other value as it is.
fn unquoted(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inside @ .., b'"'] => inside,
        _ => value,
    }
}

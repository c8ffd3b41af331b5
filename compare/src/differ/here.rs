//! Where in a body a comparison is, and where what it finds goes.

use super::echo::Echo;
use super::findings::{Findings, Reason};
use super::place::Place;
use crate::{Change, Kind};

/// What may still be compared by all its lines: lines and bytes a side, over all the texts that a
/// body has in its parts. Of what is beyond, only the first line that differs is reported: the work
/// of a comparison grows with the product of lines and differences. Default 2_000 lines, 64 KiB.
/// Lines whose words are not in step are compared by word while the product of their words fits
/// too. Default 1 << 20.
#[derive(Debug)]
pub(super) struct TextBudget {
    lines: usize,
    bytes: usize,
    words: usize,
}

impl Default for TextBudget {
    fn default() -> Self {
        Self { lines: 2_000, bytes: 64 << 10, words: 1 << 20 }
    }
}

impl TextBudget {
    /// Takes that much, if it is there.
    pub(super) fn take(&mut self, lines: usize, bytes: usize) -> bool {
        let left = self.lines.checked_sub(lines).zip(self.bytes.checked_sub(bytes));
        if let Some((lines, bytes)) = left {
            (self.lines, self.bytes) = (lines, bytes);
        }
        left.is_some()
    }

    /// Takes so many words times words, if they are there.
    pub(super) fn take_words(&mut self, product: usize) -> bool {
        let left = self.words.checked_sub(product);
        self.words = left.unwrap_or(self.words);
        left.is_some()
    }
}

/// A place in two bodies that are compared.
#[derive(Debug)]
pub(super) struct Here<'h, 't, 'p, 'e> {
    pub(super) place: Place<'t>,
    pub(super) echo: &'h Echo<'e>,
    pub(super) findings: &'h mut Findings<'p>,
    /// What may still be compared by all its lines, over the whole body.
    pub(super) texts: &'h mut TextBudget,
    /// How many multipart contents it is in.
    pub(super) nested: usize,
}

impl<'t, 'p, 'e> Here<'_, 't, 'p, 'e> {
    /// The same, for texts that live shorter than what the place was read from.
    pub(super) fn again(&mut self) -> Here<'_, 't, 'p, 'e> {
        Here {
            place: self.place.clone(),
            echo: self.echo,
            findings: self.findings,
            texts: self.texts,
            nested: self.nested,
        }
    }

    /// Notes a difference here, unless a rule explains it, or a value echoes what the mirror
    /// changed.
    pub(super) fn differs(
        &mut self,
        change: Change,
        primary: Option<&[u8]>,
        shadow: Option<&[u8]>,
    ) {
        let is_echo = || match (change, primary, shadow) {
            (Change::Value, Some(ours), Some(theirs)) => self.echo.explains(ours, theirs),
            (Change::Missing, Some(ours), _) => {
                self.place.member().is_some_and(|name| self.echo.explains_missing(name, ours))
            }
            (Change::Added, _, Some(theirs)) => {
                self.place.member().is_some_and(|name| self.echo.explains_added(name, theirs))
            }
            _ => false,
        };
        let reason = self.findings.explain_place(&self.place, change, primary, shadow);
        match reason.or_else(|| is_echo().then_some(Reason::Mirror)) {
            Some(reason) => self.findings.suppress(reason),
            None => {
                let path = || self.place.pointer_and_pattern();
                self.findings.diverge(Kind::Body, path, change, primary, shadow);
            }
        }
    }
}

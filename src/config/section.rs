//! Reads one table of a TOML file, key by key, and remembers every fault with its line.
//!
//! Each `take` names a key that exists; what is left at [`Section::finish`] is unknown, and the
//! known key nearest to it is suggested.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};
use std::str::FromStr;

use capture::Timestamp;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::Fault;

/// Collects faults of one text by byte position.
pub(crate) struct Notes<'t> {
    text: &'t str,
    faults: RefCell<Vec<Fault>>,
    warnings: RefCell<Vec<Fault>>,
}

impl<'t> Notes<'t> {
    pub(crate) fn new(text: &'t str) -> Self {
        Self { text, faults: RefCell::default(), warnings: RefCell::default() }
    }

    pub(crate) fn note(&self, at: &Range<usize>, message: String) {
        self.faults.borrow_mut().push(self.fault(at, message));
    }

    /// Notes what is no fault, and was hardly meant.
    pub(crate) fn warn(&self, at: &Range<usize>, message: String) {
        self.warnings.borrow_mut().push(self.fault(at, message));
    }

    fn fault(&self, at: &Range<usize>, message: String) -> Fault {
        let before = self.text.get(..at.start).unwrap_or(self.text);
        let line = before.bytes().filter(|&b| b == b'\n').count() + 1;
        Fault { line, message }
    }

    /// Faults and warnings, each in the order of lines.
    pub(crate) fn into_faults(self) -> (Vec<Fault>, Vec<Fault>) {
        let [faults, warnings] = [self.faults, self.warnings].map(|all| {
            let mut all = all.into_inner();
            all.sort_by_key(|fault| fault.line);
            all
        });
        (faults, warnings)
    }
}

/// A table being read.
pub(crate) struct Section<'n, 't> {
    /// As the file writes it: `[store]`, `[[service]]`; empty for the top of the file.
    name: &'static str,
    span: Range<usize>,
    entries: BTreeMap<String, (Range<usize>, Spanned<DeValue<'t>>)>,
    known: Vec<&'static str>,
    notes: &'n Notes<'t>,
}

impl<'n, 't> Section<'n, 't> {
    pub(crate) fn new(
        name: &'static str,
        span: Range<usize>,
        table: DeTable<'t>,
        notes: &'n Notes<'t>,
    ) -> Self {
        let entries = table
            .into_iter()
            .map(|(key, value)| (key.get_ref().to_string(), (key.span(), value)))
            .collect();
        Self { name, span, entries, known: Vec::new(), notes }
    }

    /// Where the table stands, for faults about the whole of it.
    pub(crate) fn span(&self) -> Range<usize> {
        self.span.clone()
    }

    pub(crate) fn note(&self, at: &Range<usize>, message: String) {
        self.notes.note(at, message);
    }

    pub(crate) fn warn(&self, at: &Range<usize>, message: String) {
        self.notes.warn(at, message);
    }

    /// Whether the table has `key` and it was not taken yet.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// A table below this one; an empty one where there is none.
    pub(crate) fn table(&mut self, key: &'static str, name: &'static str) -> Section<'n, 't> {
        let (span, table) = match self.take(key) {
            None => (self.span(), DeTable::new()),
            Some((span, value)) => match value.into_inner() {
                DeValue::Table(table) => (span, table),
                other => {
                    self.wrong_type(&span, key, "a table", &other);
                    (span, DeTable::new())
                }
            },
        };
        Section::new(name, span, table, self.notes)
    }

    /// The tables of an array of tables.
    pub(crate) fn tables(&mut self, key: &'static str, name: &'static str) -> Vec<Section<'n, 't>> {
        let Some((span, value)) = self.take(key) else { return Vec::new() };
        let DeValue::Array(items) = value.into_inner() else {
            self.note(&span, format!("'{key}' is written {name}"));
            return Vec::new();
        };
        let mut sections = Vec::new();
        for item in items {
            let span = item.span();
            match item.into_inner() {
                DeValue::Table(table) => {
                    sections.push(Section::new(name, span, table, self.notes));
                }
                other => self.wrong_type(&span, key, "a table", &other),
            }
        }
        sections
    }

    /// A string, with its place.
    pub(crate) fn string(&mut self, key: &'static str) -> Option<Spanned<String>> {
        let (span, value) = self.take(key)?;
        match value.get_ref() {
            DeValue::String(text) => Some(Spanned::new(value.span(), text.to_string())),
            other => {
                self.wrong_type(&span, key, "a string", other);
                None
            }
        }
    }

    /// True or false.
    pub(crate) fn boolean(&mut self, key: &'static str, default: bool) -> bool {
        let Some((span, value)) = self.take(key) else { return default };
        match value.get_ref() {
            DeValue::Boolean(value) => *value,
            other => {
                self.wrong_type(&span, key, "true or false", other);
                default
            }
        }
    }

    /// A list of strings, each with its place. `None` where there is none.
    pub(crate) fn strings(&mut self, key: &'static str) -> Option<Vec<Spanned<String>>> {
        let (span, value) = self.take(key)?;
        let DeValue::Array(items) = value.into_inner() else {
            self.note(&span, format!("'{key}' must be a list of strings: {key} = [\"…\"]"));
            return None;
        };
        let mut strings = Vec::new();
        for item in items {
            match item.get_ref() {
                DeValue::String(text) => {
                    strings.push(Spanned::new(item.span(), text.to_string()));
                }
                other => self.wrong_type(&item.span(), key, "a list of strings", other),
            }
        }
        Some(strings)
    }

    /// A whole number inside `range`, or `default`.
    pub(crate) fn integer(
        &mut self,
        key: &'static str,
        range: RangeInclusive<u64>,
        default: u64,
    ) -> u64 {
        let Some((span, value)) = self.take(key) else { return default };
        let DeValue::Integer(written) = value.get_ref() else {
            self.wrong_type(&span, key, "a whole number", value.get_ref());
            return default;
        };
        match u64::from_str_radix(written.as_str(), written.radix()) {
            Ok(number) if range.contains(&number) => number,
            _ => {
                let (least, most) = (range.start(), range.end());
                self.note(&span, format!("'{key}' must be from {least} to {most}, not {written}"));
                default
            }
        }
    }

    /// A number as it is written.
    pub(crate) fn number(&mut self, key: &'static str) -> Option<String> {
        let (span, value) = self.take(key)?;
        match value.get_ref() {
            DeValue::Integer(written) => Some(written.to_string()),
            DeValue::Float(written) => Some(written.to_string()),
            other => {
                self.wrong_type(&span, key, "a number", other);
                None
            }
        }
    }

    /// A string or a list of strings, each with its place.
    pub(crate) fn string_or_strings(&mut self, key: &'static str) -> Option<Vec<Spanned<String>>> {
        match self.entries.get(key)?.1.get_ref() {
            DeValue::String(_) => self.string(key).map(|one| vec![one]),
            _ => self.strings(key),
        }
    }

    /// A moment: a time with its zone, or a date, which lasts to its end in UTC. Written as TOML or
    /// as a string.
    pub(crate) fn moment(&mut self, key: &'static str) -> Option<Timestamp> {
        let (span, value) = self.take(key)?;
        let written = match value.get_ref() {
            DeValue::Datetime(written) => written.to_string(),
            DeValue::String(written) => written.to_string(),
            other => {
                self.wrong_type(&span, key, "a date or a time", other);
                return None;
            }
        };
        let moment = moment(&written);
        if moment.is_none() {
            let why = match written.parse::<jiff::civil::DateTime>() {
                Ok(_) => "; say the zone: 2026-12-31T18:00:00Z",
                Err(_) => ": 2026-12-31 or 2026-12-31T18:00:00Z",
            };
            self.note(&span, format!("'{key}' must be a date or a time, not '{written}'{why}"));
        }
        moment
    }

    /// One string, parsed.
    pub(crate) fn parse<T>(&self, key: &str, text: &Spanned<String>) -> Option<T>
    where
        T: FromStr,
        T::Err: std::fmt::Display,
    {
        match text.get_ref().parse() {
            Ok(value) => Some(value),
            Err(why) => {
                self.note(&text.span(), format!("{key} = '{}': {why}", text.get_ref()));
                None
            }
        }
    }

    /// Notes the keys that nobody asked for.
    pub(crate) fn finish(self) {
        let place = if self.name.is_empty() { String::new() } else { format!(" in {}", self.name) };
        for (key, (span, _)) in &self.entries {
            let near = self
                .known
                .iter()
                .map(|known| (strsim::damerau_levenshtein(key, known), *known))
                .min()
                .filter(|&(distance, known)| distance <= 2.max(known.len() / 3));
            let hint = match near {
                Some((_, known)) => format!("; did you mean '{known}'?"),
                None => format!("; known are {}", self.known.join(", ")),
            };
            self.notes.note(span, format!("unknown key '{key}'{place}{hint}"));
        }
    }

    fn take(&mut self, key: &'static str) -> Option<(Range<usize>, Spanned<DeValue<'t>>)> {
        self.known.push(key);
        self.entries.remove(key)
    }

    fn wrong_type(&self, at: &Range<usize>, key: &str, wanted: &str, found: &DeValue<'_>) {
        self.note(at, format!("'{key}' must be {wanted}, not {}", found.type_str()));
    }
}

fn moment(written: &str) -> Option<Timestamp> {
    let time = match written.parse::<jiff::Timestamp>() {
        Ok(time) => time,
        Err(_) if written.len() > "2026-12-31".len() => return None,
        Err(_) => {
            let date: jiff::civil::Date = written.parse().ok()?;
            let end = date.tomorrow().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
            end.checked_sub(jiff::Span::new().nanoseconds(1)).ok()?
        }
    };
    u64::try_from(time.as_nanosecond()).ok().map(Timestamp::from_nanos)
}

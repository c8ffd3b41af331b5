//! Where in a body a comparison is.

use std::borrow::Cow;
use std::fmt::Write;

use crate::Scope;
use crate::rule::Level;

/// Bytes of a path that is reported.
pub(super) const PATH_BYTES: usize = 512;

/// Bytes that most paths have room in.
const PATH_ROOM: usize = 64;

/// One level on the way to a value.
#[derive(Clone, Debug)]
pub(super) enum Step<'t> {
    /// Member of an object, by its unescaped name.
    Member(Cow<'t, [u8]>),
    /// Element of an array.
    Element(usize),
}

/// The way from the root to a value.
#[derive(Clone, Debug, Default)]
pub(super) struct Place<'t>(pub(super) Vec<Step<'t>>);

impl Place<'_> {
    /// Whether `scope` covers it.
    pub(super) fn is_covered_by(&self, scope: &Scope) -> bool {
        scope.covers_place(self.0.len(), |at| self.level(at))
    }

    /// Whether `scope` names it, not only a place that holds it.
    pub(super) fn is_named_by(&self, scope: &Scope) -> bool {
        scope.names_place(self.0.len(), |at| self.level(at))
    }

    fn level(&self, at: usize) -> Level<'_> {
        match &self.0[at] {
            Step::Member(name) => Level::Member(name),
            Step::Element(index) => Level::Element(*index),
        }
    }

    /// As a JSON Pointer (RFC 6901), cut to 512 bytes.
    pub(super) fn pointer(&self) -> Box<str> {
        self.written(PATH_BYTES, write_index).into()
    }

    /// As [`Place::pointer`], with `*` for every index.
    pub(super) fn pattern(&self) -> Box<str> {
        self.written(PATH_BYTES, write_star).into()
    }

    /// Both, which are mostly the same.
    pub(super) fn pointer_and_pattern(&self) -> (Box<str>, Box<str>) {
        let pointer = self.pointer();
        let has_element = self.0.iter().any(|step| matches!(step, Step::Element(_)));
        let pattern = if has_element { self.pattern() } else { pointer.clone() };
        (pointer, pattern)
    }

    /// A line of the text here: `line 3` of the whole, `/part/line 3` of a part. 512 bytes at most.
    pub(super) fn line(&self, number: usize) -> Box<str> {
        self.with_line(write_index, &format!("line {number}"))
    }

    /// As [`Place::line`], with `*` for every index and no number.
    pub(super) fn line_pattern(&self) -> Box<str> {
        self.with_line(write_star, "line")
    }

    /// A word of a line of the text here: `line 3 word 7`.
    pub(super) fn word(&self, line: usize, word: usize) -> Box<str> {
        self.with_line(write_index, &format!("line {line} word {word}"))
    }

    /// As [`Place::word`], with `*` for every index and no numbers.
    pub(super) fn word_pattern(&self) -> Box<str> {
        self.with_line(write_star, "line word")
    }

    fn with_line(&self, element: impl Fn(&mut String, usize), line: &str) -> Box<str> {
        if self.0.is_empty() {
            return line.into();
        }
        let mut out = self.written(PATH_BYTES - line.len() - 1, element);
        out.push('/');
        out.push_str(line);
        out.into()
    }

    /// The name of the member that it is; `None` for an element or the root.
    pub(super) fn member(&self) -> Option<&[u8]> {
        match self.0.last()? {
            Step::Member(name) => Some(name),
            Step::Element(_) => None,
        }
    }

    fn written(&self, bytes: usize, element: impl Fn(&mut String, usize)) -> String {
        let mut out = String::with_capacity(PATH_ROOM);
        for step in &self.0 {
            out.push('/');
            match step {
                Step::Element(index) => element(&mut out, *index),
                Step::Member(name) => {
                    // A name longer than the path may be is cut before it is copied.
                    let name = &name[..name.len().min(PATH_BYTES)];
                    match std::str::from_utf8(name) {
                        Ok(name) if memchr::memchr2(b'~', b'/', name.as_bytes()).is_none() => {
                            out.push_str(name);
                        }
                        _ => {
                            let name = String::from_utf8_lossy(name);
                            // RFC 6901 §3.
                            out.push_str(&name.replace('~', "~0").replace('/', "~1"));
                        }
                    }
                }
            }
            if out.len() > bytes {
                cut(&mut out, bytes);
                break;
            }
        }
        out
    }
}

fn write_index(out: &mut String, index: usize) {
    let _ = write!(out, "{index}");
}

fn write_star(out: &mut String, _index: usize) {
    out.push('*');
}

/// Cuts `text` to at most `bytes` between characters, and ends it in `…`.
pub(super) fn cut(text: &mut String, bytes: usize) {
    let mut end = bytes.saturating_sub('…'.len_utf8()).min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
    text.push('…');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(steps: &[&'static str]) -> Place<'static> {
        let step = |text: &&'static str| match text.parse() {
            Ok(index) => Step::Element(index),
            Err(_) => Step::Member(Cow::Borrowed(text.as_bytes())),
        };
        Place(steps.iter().map(step).collect())
    }

    #[test]
    fn a_place_is_written_as_a_json_pointer_and_as_a_pattern() {
        let place = place(&["items", "3", "a/b~c"]);
        assert_eq!(&*place.pointer(), "/items/3/a~1b~0c");
        assert_eq!(&*place.pattern(), "/items/*/a~1b~0c");
        assert_eq!(place.member(), Some(&b"a/b~c"[..]));
        assert_eq!(&*Place::default().pointer(), "");
    }

    #[test]
    fn a_line_is_below_the_part_that_it_is_in() {
        assert_eq!(&*Place::default().line(3), "line 3");
        assert_eq!(&*Place::default().line_pattern(), "line");
        let place = place(&["doc", "1"]);
        assert_eq!(&*place.line(3), "/doc/1/line 3");
        assert_eq!(&*place.line_pattern(), "/doc/*/line");
    }

    #[test]
    fn a_long_path_is_cut_between_characters() {
        let long = "é".repeat(2000);
        let place = Place(vec![Step::Member(Cow::Owned(long.into_bytes()))]);
        let pointer = place.pointer();
        assert!(pointer.len() <= PATH_BYTES && pointer.ends_with('…'), "{pointer}");
        let line = place.line(7);
        assert!(line.len() <= PATH_BYTES && line.ends_with("…/line 7"), "{line}");
    }
}

//! Documents, and copies of them in which known edits were made: exactly these are found.

use super::*;
use fastrand::Rng;

/// A document: a value and its copy, written member by member as they come.
struct Edited {
    primary: String,
    shadow: String,
    /// `PATH CHANGE` of each edit.
    expected: Vec<String>,
}

/// What is made of a document on the way down.
struct Maker {
    random: Rng,
    expected: Vec<String>,
    /// Makes every value another one.
    count: u32,
    /// Whether edits are made here: not in elements that are on one side only.
    editing: bool,
}

impl Maker {
    fn chance(&mut self, of: u32) -> bool {
        self.editing && self.random.u32(0..of) == 0
    }

    fn edit(&mut self, path: &str, change: &str) {
        self.expected.push(format!("{path} {change}"));
    }

    fn fresh(&mut self) -> String {
        self.count += 1;
        format!("\"v{}\"", self.count)
    }

    /// A value on both sides, edited in its inside or as a whole.
    fn value(&mut self, path: &str, depth: u32) -> (String, String) {
        match self.random.u32(0..10) {
            0..3 if depth > 0 => self.object(path, depth, Vec::new()),
            3..5 if depth > 0 => self.keyed(path, depth),
            5 if depth > 0 => self.list(path),
            _ => self.scalar(path),
        }
    }

    fn scalar(&mut self, path: &str) -> (String, String) {
        let ours = match self.random.u32(0..4) {
            0 => {
                self.count += 1;
                format!("{}", self.count)
            }
            _ => self.fresh(),
        };
        if self.chance(6) {
            let text = ours.starts_with('"');
            let (theirs, change) = match self.random.u32(0..3) {
                0 => ("null".to_owned(), "type"),
                _ if text => (self.fresh(), "value"),
                _ => (format!("{}.5", self.count), "value"),
            };
            self.edit(path, change);
            return (ours, theirs);
        }
        let theirs = match ours.as_bytes() {
            [b'"', b'v', rest @ ..] if self.random.bool() => {
                format!("\"\\u0076{}", String::from_utf8_lossy(rest))
            }
            [b'"', ..] => ours.clone(),
            _ if self.random.bool() => format!("{ours}.0"),
            _ => ours.clone(),
        };
        (ours, theirs)
    }

    /// An object with these members first, and others.
    fn object(&mut self, path: &str, depth: u32, fixed: Vec<String>) -> (String, String) {
        let (mut ours, mut theirs) = (fixed.clone(), fixed);
        for i in 0..self.random.usize(1..5) {
            let name = format!("m{i}");
            let here = format!("{path}/{name}");
            let was_editing = self.editing;
            let one_sided = self.chance(12);
            self.editing &= !one_sided;
            let (one, other) = self.value(&here, depth - 1);
            self.editing = was_editing;
            let to_ours = !one_sided || self.random.bool();
            if to_ours {
                ours.push(format!("\"{name}\":{one}"));
            }
            if !one_sided || !to_ours {
                theirs.push(format!("\"{name}\" : {other}"));
            }
            if one_sided {
                self.edit(&here, if to_ours { "missing" } else { "added" });
            }
        }
        if self.random.bool() {
            self.random.shuffle(&mut theirs);
        }
        (format!("{{{}}}", ours.join(",")), format!("{{ {} }}", theirs.join(" ,\n")))
    }

    /// An array of objects with a key: elements go and come, and the rest may be in another order.
    fn keyed(&mut self, path: &str, depth: u32) -> (String, String) {
        let len = self.random.usize(1..8);
        let mut gone = Vec::new();
        if self.chance(3) {
            gone.extend((0..len).filter(|_| self.random.u32(0..5) == 0));
        }
        let new = if self.chance(4) { self.random.usize(0..3) } else { 0 };
        // Most have to stay, and the lengths must tell that others came and went.
        if gone.len() + new > (len - 1) / 2 || (new == gone.len() && new > 0) {
            gone.clear();
        }
        let new = if gone.len() + new > (len - 1) / 2 { 0 } else { new };
        let was_editing = self.editing;
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for i in 0..len {
            let key = format!("\"id\":{}", self.fresh());
            let stays = !gone.contains(&i);
            self.editing = was_editing && stays;
            let (one, other) = self.object(&format!("{path}/{i}"), depth, vec![key]);
            ours.push(one);
            if stays {
                theirs.push((i, other));
            }
        }
        self.editing = was_editing;
        for i in gone {
            self.edit(&format!("{path}/{i}"), "missing");
        }
        if self.chance(4) {
            self.random.shuffle(&mut theirs);
            if !theirs.is_sorted_by_key(|&(i, _)| i) {
                self.edit(path, "order");
            }
        }
        let mut theirs: Vec<String> = theirs.into_iter().map(|(_, element)| element).collect();
        self.editing = false;
        let mut added = Vec::new();
        for _ in 0..new {
            let key = format!("\"id\":{}", self.fresh());
            let (_, element) = self.object("", depth, vec![key]);
            theirs.insert(self.random.usize(0..=theirs.len()), element.clone());
            added.push(element);
        }
        self.editing = was_editing;
        for element in added {
            let at = theirs.iter().position(|other| *other == element).unwrap();
            self.edit(&format!("{path}/{at}"), "added");
        }
        (format!("[{}]", ours.join(",")), format!("[ {}]", theirs.join(", ")))
    }

    /// An array of strings: some changed, some gone, some new, or all in another order.
    fn list(&mut self, path: &str) -> (String, String) {
        let len = self.random.usize(3..9);
        let ours: Vec<String> = (0..len).map(|_| self.fresh()).collect();
        let mut theirs = ours.clone();
        if self.chance(4) {
            self.random.shuffle(&mut theirs);
            if theirs != ours {
                self.edit(path, "order");
            }
        } else if self.chance(3) {
            // Where lengths end equal, what is not in its place is taken to have changed.
            let longer = self.random.bool();
            theirs.clear();
            let mut edited = true;
            for (i, element) in ours.iter().enumerate() {
                let edit = if edited || i + 1 == len { 9 } else { self.random.u32(0..6) };
                edited = edit < 2;
                match edit {
                    0 => {
                        self.edit(&format!("{path}/{i}"), "value");
                        theirs.push(self.fresh());
                    }
                    1 if longer => {
                        self.edit(&format!("{path}/{}", theirs.len()), "added");
                        theirs.push(self.fresh());
                        theirs.push(element.clone());
                    }
                    1 => self.edit(&format!("{path}/{i}"), "missing"),
                    _ => theirs.push(element.clone()),
                }
            }
        }
        (format!("[{}]", ours.join(",")), format!("[{}]", theirs.join(" , ")))
    }
}

fn edited(seed: u64) -> Edited {
    let mut maker =
        Maker { random: Rng::with_seed(seed), expected: Vec::new(), count: 0, editing: true };
    let (primary, shadow) = match seed % 3 {
        0 => maker.keyed("", 3),
        _ => maker.object("", 4, Vec::new()),
    };
    maker.expected.sort();
    Edited { primary, shadow, expected: maker.expected }
}

#[test]
fn exactly_the_edits_are_found() {
    let mut classes = std::collections::BTreeMap::new();
    for seed in 0..2_000 {
        let Edited { primary, shadow, expected } = edited(seed);
        if expected.len() > 60 {
            continue;
        }
        let mut found: Vec<String> = differences(&primary, &shadow)
            .iter()
            .map(|line| {
                let place = line.strip_prefix("body ").unwrap();
                place.split_once(": ").unwrap().0.to_owned()
            })
            .collect();
        found.sort();
        if found != expected {
            let only = |one: &[String], other: &[String]| -> Vec<String> {
                one.iter().filter(|edit| !other.contains(edit)).cloned().collect()
            };
            panic!(
                "seed {seed}: found {:?}, not {:?}\n{primary}\n{shadow}",
                only(&found, &expected),
                only(&expected, &found)
            );
        }
        for edit in expected {
            let change = edit.rsplit_once(' ').unwrap().1.to_owned();
            *classes.entry(change).or_insert(0) += 1;
        }
    }
    for change in ["value", "type", "missing", "added", "order"] {
        assert!(classes[change] > 300, "{classes:?}");
    }
}

#[test]
fn a_document_and_itself_in_other_words_do_not_differ() {
    for seed in 0..500 {
        let Edited { primary, .. } = edited(seed);
        let value: Value = serde_json::from_str(&primary).unwrap();
        assert_eq!(differences(&primary, &rewritten(&value, 1)), [""; 0], "{primary}");
    }
}

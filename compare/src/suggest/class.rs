//! What kind of values differ, and the narrowest action that makes nothing of it.
//!
//! | values | action |
//! |---|---|
//! | points in time, near each other | `tolerate`, `within_ms` |
//! | numbers, near each other, now one larger and now the other | `tolerate`, `relative` |
//! | a token that is new with every answer, within text that stays | `normalise` |
//! | names of machines, each leg its own | `ignore` |
//! | an array in another order | `key`, or `sort` |
//! | anything, known to vary by itself | `normalise` to nothing: that it is there still counts |

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use super::{Place, last_level};
use crate::{Action, ElementKey, Kind, NoiseCause, Normaliser, Tolerance};

/// Steps of how far points in time may be apart.
const WITHIN_MS: [u64; 8] = [100, 1_000, 5_000, 10_000, 60_000, 300_000, 600_000, 3_600_000];

/// Steps of how far numbers may be apart. What is farther is another number.
const RELATIVE: [&str; 7] = ["0.001", "0.002", "0.005", "0.01", "0.02", "0.05", "0.1"];

/// Names a leg may have for its machines.
const MACHINES: usize = 8;

/// Differences from which on values are said to be names of machines, or fresh tokens.
const LEAST: usize = 5;

/// Pairs that may say how all are written, and how often others are asked.
const PART: usize = 8;
const PARTS: usize = 8;

/// Digits of a token that stands alone.
const TOKEN_CHARS: usize = 8;

/// What is in names of fields that name a machine.
const MACHINE_WORDS: [&str; 12] = [
    "backend",
    "host",
    "instance",
    "node",
    "pod",
    "replica",
    "served-by",
    "served_by",
    "server",
    "upstream",
    "via",
    "worker",
];

/// Members that are keys where they can be, the likeliest first.
const KEYS: [&str; 8] = ["id", "key", "uuid", "name", "code", "sku", "slug", "href"];

/// Why values look like noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Why {
    /// Points in time near each other.
    Times,
    /// Numbers near each other, on both sides of each other.
    Numbers,
    /// A token that is new with every answer.
    Tokens,
    /// Each leg names its own machines.
    Machines,
    /// The same elements in another order.
    Order,
    /// Nothing but that it is known to vary by itself.
    Learned(NoiseCause),
}

impl Why {
    /// The name in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Times => "times",
            Self::Numbers => "numbers",
            Self::Tokens => "tokens",
            Self::Machines => "machines",
            Self::Order => "order",
            Self::Learned(_) => "learned",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Times => "points in time near each other",
            Self::Numbers => "numbers near each other, now one leg's larger and now the other's",
            Self::Tokens => "a token that is new with every answer",
            Self::Machines => "each leg names its own machines",
            Self::Order => "the same elements in another order",
            Self::Learned(_) => "any value",
        })
    }
}

/// What may be done about values that differ; `holds` says whether an action explains all of them.
pub(super) fn of_values(
    place: &Place,
    pairs: &[(&str, &str)],
    holds: impl Fn(Action) -> bool,
) -> Option<(Action, Why)> {
    let within = |ms: u64| Tolerance::new(None, None, Some(ms)).ok().map(Action::Tolerate);
    if let Some(action) = WITHIN_MS.into_iter().filter_map(within).find(|a| holds(a.clone())) {
        return Some((action, Why::Times));
    }
    let near = |part: &str| Tolerance::new(None, Some(part), None).ok().map(Action::Tolerate);
    if go_both_ways(pairs)
        && let Some(action) = RELATIVE.into_iter().filter_map(near).find(|a| holds(a.clone()))
    {
        return Some((action, Why::Numbers));
    }
    // A few may be something else: then some of the pairs alone say how the others are written.
    let mut parts = std::iter::once(pairs).chain(pairs.chunks(PART).take(PARTS));
    if let Some(action) =
        parts.find_map(|part| token(place.kind, part).filter(|a| holds(a.clone())))
    {
        return Some((action, Why::Tokens));
    }
    if are_machines(place, pairs) {
        return Some((Action::Ignore, Why::Machines));
    }
    let any = Normaliser::new("(?s).+", "").ok().map(Action::Normalise)?;
    Some((any, Why::Learned(place.learned?)))
}

/// What may be done about an array whose order differs, whose elements these members tell apart.
pub(super) fn of_order(keys: Option<&[Box<str>]>) -> (Action, Why) {
    let likely = |key: &str| KEYS.iter().position(|known| key.eq_ignore_ascii_case(known));
    let best = keys.unwrap_or_default().iter().filter_map(|key| Some((likely(key)?, key))).min();
    let key = best.and_then(|(_, key)| {
        let pointer = format!("/{}", key.replace('~', "~0").replace('/', "~1"));
        ElementKey::new([&*pointer]).ok()
    });
    (key.map_or(Action::Sort, Action::Key), Why::Order)
}

/// The members that tell the elements of the array at `path` apart: in every object another string
/// or number. `None` where there is nothing to be told.
pub(super) fn keys(body: &[u8], path: &str) -> Option<Vec<Box<str>>> {
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    let elements = value.pointer(path)?.as_array().filter(|elements| elements.len() > 1)?;
    let first = elements.first()?.as_object();
    let names = first.into_iter().flat_map(|object| object.keys());
    let tells_apart = |name: &&String| {
        let values = elements.iter().map(|element| {
            let value = element.get(name.as_str())?;
            (value.is_string() || value.is_number()).then(|| value.to_string())
        });
        let values: Option<HashSet<String>> = values.collect();
        values.is_some_and(|values| values.len() == elements.len())
    };
    Some(names.filter(tells_apart).map(|name| name.as_str().into()).collect())
}

/// Whether both legs have the larger number, each in a fifth of the pairs at least: a shift to one
/// side is a release's doing.
fn go_both_ways(pairs: &[(&str, &str)]) -> bool {
    let number = |text: &str| bare(text).parse::<f64>().ok();
    let (mut up, mut down) = (0, 0);
    for (ours, theirs) in pairs {
        let (Some(ours), Some(theirs)) = (number(ours), number(theirs)) else { continue };
        up += usize::from(theirs > ours);
        down += usize::from(theirs < ours);
    }
    up.min(down) * 5 >= pairs.len() && pairs.len() >= LEAST
}

/// A pattern for what is new in every value, with what always stands beside it.
fn token(kind: Kind, pairs: &[(&str, &str)]) -> Option<Action> {
    if pairs.len() < LEAST {
        return None;
    }
    let (mut befores, mut afters, mut tokens) = (Vec::new(), Vec::new(), Vec::new());
    // In a field, quotes are part of the value.
    let text = |value| match kind {
        Kind::Body => bare(value),
        _ => Cow::Borrowed(value),
    };
    let values: Vec<_> = pairs.iter().map(|(ours, theirs)| (text(ours), text(theirs))).collect();
    for (ours, theirs) in &values {
        // What is redacted or cut is not what was sent.
        if ours.contains(['«', '…']) || theirs.contains(['«', '…']) {
            return None;
        }
        let (before, after) = common(ours, theirs);
        befores.push(&ours[..before]);
        afters.push(&ours[ours.len() - after..]);
        tokens.push(ours.get(before..ours.len() - after)?);
        tokens.push(theirs.get(before..theirs.len() - after)?);
    }
    let fresh: HashSet<&&str> = tokens.iter().collect();
    if fresh.len() * 10 < tokens.len() * 8 {
        return None;
    }
    let (begins, lead) = beside(&befores, shared_end);
    let (ends, trail) = beside(&afters, shared_beginning);
    let stands_alone = lead.is_empty() && trail.is_empty();
    let class = form(&tokens, stands_alone)?;
    let anchor = |is: bool, sign: &str| if is { sign.to_owned() } else { String::new() };
    let pattern = format!(
        "{}{}{class}{}{}",
        anchor(begins, "^"),
        regex::escape(&lead),
        regex::escape(&trail),
        anchor(ends, "$")
    );
    let replace = format!("{lead}*{trail}").replace('$', "$$");
    Normaliser::new(&pattern, &replace).ok().map(Action::Normalise)
}

/// Bytes that two values share at their beginning and at their end, up to where a word ends.
fn common(ours: &str, theirs: &str) -> (usize, usize) {
    let same = ours.char_indices().zip(theirs.chars()).take_while(|((_, a), b)| a == b);
    let shared: &str = &ours[..same.map(|((at, c), _)| at + c.len_utf8()).last().unwrap_or(0)];
    let word_end = |c: char| !c.is_alphanumeric();
    let before = shared
        .rfind(word_end)
        .map_or(0, |at| at + shared[at..].chars().next().map_or(0, char::len_utf8));
    let (ours, theirs) = (&ours[before..], &theirs[before..]);
    let mut same = 0;
    for (a, b) in ours.chars().rev().zip(theirs.chars().rev()) {
        if a != b {
            break;
        }
        same += a.len_utf8();
    }
    let shared = &ours[ours.len() - same..];
    let after = shared.find(word_end).map_or(0, |at| shared.len() - at);
    (before, after)
}

/// Whether all that stands on this side is the same, and what of it, next to the token, always is.
fn beside(texts: &[&str], shared: impl Fn(&[&str]) -> String) -> (bool, String) {
    let first = texts.first().copied().unwrap_or_default();
    (texts.iter().all(|text| *text == first), shared(texts))
}

fn shared_beginning(texts: &[&str]) -> String {
    let mut shared = texts.first().copied().unwrap_or_default();
    for text in texts {
        let same = shared.char_indices().zip(text.chars()).take_while(|((_, a), b)| a == b);
        shared = &shared[..same.map(|((at, c), _)| at + c.len_utf8()).last().unwrap_or(0)];
    }
    shared.to_owned()
}

fn shared_end(texts: &[&str]) -> String {
    let turned: Vec<String> = texts.iter().map(|text| text.chars().rev().collect()).collect();
    let turned: Vec<&str> = turned.iter().map(String::as_str).collect();
    shared_beginning(&turned).chars().rev().collect()
}

/// How such tokens are written; `None` where they are no tokens: words, or plain numbers.
fn form(tokens: &[&str], stands_alone: bool) -> Option<String> {
    let all = |of: fn(char) -> bool| tokens.iter().all(|token| token.chars().all(of));
    let length = tokens.first()?.len();
    let one_length = tokens.iter().all(|token| token.len() == length) && length > 0;
    let is_hex = |c: char| matches!(c, '0'..='9' | 'a'..='f');
    let uuid = tokens.iter().all(|token| {
        let parts: Vec<&str> = token.split('-').collect();
        let lengths = parts.iter().map(|part| part.len());
        lengths.eq([8, 4, 4, 4, 12]) && parts.iter().all(|part| part.chars().all(is_hex))
    });
    if uuid {
        return Some("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}".to_owned());
    }
    let have_digits = tokens.iter().filter(|t| t.contains(|c: char| c.is_ascii_digit())).count();
    let have_letters =
        tokens.iter().filter(|t| t.contains(|c: char| c.is_ascii_alphabetic())).count();
    let mixed = have_digits * 2 >= tokens.len() && have_letters * 2 >= tokens.len();
    if all(|c| c.is_ascii_digit()) {
        // A number alone may be one that matters.
        return (!stands_alone).then(|| "[0-9]+".to_owned());
    }
    let long_enough = length >= if stands_alone { TOKEN_CHARS } else { 4 };
    if !one_length || !mixed || !long_enough {
        return None;
    }
    let class = if all(|c| matches!(c, '0'..='9' | 'a'..='f')) {
        "0-9a-f"
    } else if all(|c| matches!(c, '0'..='9' | 'A'..='F')) {
        "0-9A-F"
    } else if all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')) {
        "0-9A-Za-z_-"
    } else {
        return None;
    };
    Some(format!("[{class}]{{{length}}}"))
}

/// Whether a place that is named after machines has other names on each leg.
fn are_machines(place: &Place, pairs: &[(&str, &str)]) -> bool {
    let name = match place.kind {
        Kind::Body => last_level(&place.pattern),
        _ => &place.pattern,
    };
    let name = name.to_ascii_lowercase();
    let ours: HashSet<&str> = pairs.iter().map(|(ours, _)| *ours).collect();
    let theirs: HashSet<&str> = pairs.iter().map(|(_, theirs)| *theirs).collect();
    MACHINE_WORDS.iter().any(|word| name.contains(word))
        && pairs.len() >= LEAST
        && ours.len().max(theirs.len()) <= MACHINES
        && ours.is_disjoint(&theirs)
}

/// What a JSON string stands for; all else as it is.
fn bare(value: &str) -> Cow<'_, str> {
    serde_json::from_str::<String>(value).map_or(Cow::Borrowed(value), Cow::Owned)
}

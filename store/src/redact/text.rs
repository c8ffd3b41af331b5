//! Secrets that are known by their form, or by the name beside them, in text of any kind.

use std::borrow::Cow;

use regex::Regex;

/// Alternatives, the first that matches at the leftmost place wins; what lies in a group is the
/// secret, the rest of the match stays. `{names}` stands for the secret names.
///
/// What may stand before the part that decides is bounded: else each secret in a hostile text
/// would cost a search to its end.
const FORMS: &[&str] = &[
    // A key in PEM form, on one line with `\n` or on several.
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----((?:[A-Za-z0-9+/= \t\r\n\\:,]|-[A-Za-z0-9])*)",
    // User and password in a URL.
    r#"://([^/ \t\r\n:@"']+:[^/ \t\r\n@"']+)@"#,
    // An XML element.
    r"<[A-Za-z0-9_:.-]{0,64}(?:{names})(?:[ \t\r\n][^>]{0,256})?>([^<]+|<!\[CDATA\[[^<]*)",
    // An assignment: `name=value`, `name: value`, `"name": "value"`, also with escaped quotes.
    r#"(?:{names})(?:\\?["'])?[ \t\r\n]*[=:][ \t\r\n]*(?:\\"((?:[^"\\]|\\[^"])*)|"((?:[^"\\]|\\.)*)|'([^']*)|((?:(?:bearer|basic|digest)[ \t]+)?[^ \t\r\n"'&,;<>\\]+))"#,
    // A query parameter whose name is too common to be secret elsewhere.
    r#"[?&](?:key|sig|signature|code|pass|jwt|auth)=([^& \t\r\n"'#<>]+)"#,
    // HTTP authentication.
    r"\b(?:bearer[ \t]+([A-Za-z0-9._~+/=-]{12,})|basic[ \t]+([A-Za-z0-9+/=]{16,}))",
    // A JSON Web Token, RFC 7519: a base64url object first. One that was cut counts as well.
    r"((?-i:eyJ)[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]*)*)",
    // Keys with a maker's mark.
    r"(?-i)((?:AKIA|ASIA)[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{20,}|xox[abeprs]-[A-Za-z0-9-]{10,}|[rsp]k_(?:live|test)_[A-Za-z0-9]{10,}|AIza[A-Za-z0-9_-]{30,})",
    // An e-mail address; before the `@` stand at most 64 bytes (RFC 5321 §4.5.3.1.1).
    r#"([^ \t\r\n@<>"(),;:\[\]\\/=?&#«»]{1,64}(?:@|%40)[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)"#,
];

/// Ends of names that may stand in any text, besides the members given to [`Patterns::new`].
const NAMES: &[&str] = &["(?:password|passwd|secret)[A-Za-z0-9_-]{0,64}", "token", "api[_-]?key"];

/// Digits of a payment card number (ISO/IEC 7812-1: at most 19; shorter than 13 are not issued).
const CARD_DIGITS: std::ops::RangeInclusive<usize> = 13..=19;

/// The forms, compiled.
#[derive(Debug)]
pub(crate) struct Patterns(Regex);

impl Patterns {
    /// `members`: secret names, lower case without `-` and `_`.
    pub(crate) fn new(members: &[String]) -> Self {
        let members = members.iter().map(|name| {
            let letters: Vec<_> =
                name.chars().map(|c| regex::escape(c.encode_utf8(&mut [0; 4]))).collect();
            format!(r"\b{}", letters.join("[_-]?"))
        });
        let names: Vec<_> = NAMES.iter().map(|&name| name.to_owned()).chain(members).collect();
        let names = names.join("|");
        let forms: Vec<_> =
            FORMS.iter().map(|form| format!("(?:{})", form.replace("{names}", &names))).collect();
        // Word boundaries of ASCII: Unicode's are no matter for automata, and names are ASCII.
        let pattern = format!("(?i){}", forms.join("|")).replace(r"\b", r"(?-u:\b)");
        Self(Regex::new(&pattern).expect("the forms are constant and names are escaped"))
    }

    /// `text` with what `mask` gives in place of each secret.
    pub(crate) fn redact<'a>(&self, text: &'a str, mask: impl Fn(&str) -> String) -> Cow<'a, str> {
        let mut secrets = Vec::new();
        for found in self.0.captures_iter(text) {
            let secret = found.iter().skip(1).flatten().find(|secret| !secret.is_empty());
            secrets.extend(secret.map(|secret| secret.range()));
        }
        secrets.extend(cards(text));
        if secrets.is_empty() {
            return Cow::Borrowed(text);
        }
        // A card number may lie in what a form covers already: the longer one wins.
        secrets.sort_by_key(|range| (range.start, std::cmp::Reverse(range.end)));
        let mut redacted = String::with_capacity(text.len());
        let mut at = 0;
        for range in secrets {
            if range.end <= at {
                continue;
            }
            let start = range.start.max(at);
            redacted.push_str(&text[at..start]);
            redacted.push_str(&mask(&text[start..range.end]));
            at = range.end;
        }
        redacted.push_str(&text[at..]);
        Cow::Owned(redacted)
    }
}

/// Where payment card numbers stand: 13 to 19 digits, in one run or in groups with one space,
/// hyphen or `+` (a space in a form) between, that begin as cards do and pass Luhn's check. The
/// digits of UUIDs, trace ids and digests are none: one in some thousands would pass by chance.
fn cards(text: &str) -> Vec<std::ops::Range<usize>> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    // Groups of digits that hang together by single separators.
    let mut groups: Vec<std::ops::Range<usize>> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if !bytes[at].is_ascii_hexdigit() {
            at += 1;
            continue;
        }
        if let Some(len) = hexadecimal_id(bytes, at) {
            at += len;
            continue;
        }
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let start = at;
        while at < bytes.len() && bytes[at].is_ascii_digit() {
            at += 1;
        }
        let hangs_on = groups.last().is_some_and(|group| {
            start == group.end + 1 && matches!(bytes[group.end], b' ' | b'-' | b'+')
        });
        if !hangs_on {
            cards_among(bytes, &groups, &mut found);
            groups.clear();
        }
        groups.push(start..at);
    }
    cards_among(bytes, &groups, &mut found);
    found
}

/// Bytes of the UUID (RFC 9562 §4), trace id or digest of 32, 40 or 64 hexadecimal digits, some of
/// them letters, that is a word of its own at `at`.
fn hexadecimal_id(bytes: &[u8], at: usize) -> Option<usize> {
    if at > 0 && bytes[at - 1].is_ascii_alphanumeric() {
        return None;
    }
    let is_word = |len: usize| {
        let id = bytes.get(at..at + len)?;
        let ends = bytes.get(at + len).is_none_or(|b| !b.is_ascii_alphanumeric());
        (ends && id.iter().any(u8::is_ascii_alphabetic)).then_some(id)
    };
    let is_uuid = is_word(36).is_some_and(|id| {
        id.iter().enumerate().all(|(at, b)| match at {
            8 | 13 | 18 | 23 => *b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
    });
    let is_hex = |len: &usize| is_word(*len).is_some_and(|id| id.iter().all(u8::is_ascii_hexdigit));
    if is_uuid { Some(36) } else { [32, 40, 64].into_iter().find(is_hex) }
}

/// The longest card that begins with each of `groups`, where there is one.
fn cards_among(
    bytes: &[u8],
    groups: &[std::ops::Range<usize>],
    found: &mut Vec<std::ops::Range<usize>>,
) {
    for first in 0..groups.len() {
        let mut digits = [0_u8; *CARD_DIGITS.end()];
        let mut count = 0;
        let mut card_end = None;
        for group in &groups[first..] {
            if count + group.len() > digits.len() {
                break;
            }
            digits[count..count + group.len()].copy_from_slice(&bytes[group.clone()]);
            count += group.len();
            if CARD_DIGITS.contains(&count) && is_card(&digits[..count]) {
                card_end = Some(group.end);
            }
        }
        // Cards may overlap: one in ten numbers passes the check by chance, and must not take
        // half of a real card's digits with it.
        found.extend(card_end.map(|end| groups[first].start..end));
    }
}

/// Whether `digits` are a card number: by first digit (ISO/IEC 7812-1: 3 to 6 are travel and
/// banking, 2 holds Mastercard's newer range) and by Luhn's check (its annex B).
fn is_card(digits: &[u8]) -> bool {
    if !matches!(digits.first(), Some(b'2'..=b'6')) {
        return false;
    }
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, digit)| {
            let digit = u32::from(digit - b'0');
            if i % 2 == 1 { digit * 2 / 10 + digit * 2 % 10 } else { digit }
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;

    fn redacted(text: &str) -> String {
        static PATTERNS: LazyLock<Patterns> =
            LazyLock::new(|| Patterns::new(&["cardnumber".into(), "authorization".into()]));
        PATTERNS.redact(text, |_| "•".into()).into_owned()
    }

    #[test]
    fn secrets_are_known_by_their_form() {
        for (text, expected) in [
            ("mail bob.o'x@mail.example.com now", "mail • now"),
            ("to=bob%40example.com&x=1", "to=•&x=1"),
            ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln!", "jwt •!"),
            ("cut eyJhbGciOiJIUzI1NiJ9.eyJzdW", "cut •"),
            ("got Bearer mF_9.B5f-4.1JqM today", "got Bearer • today"),
            ("https://bob:hunter2@db/x", "https://•@db/x"),
            ("key AKIAIOSFODNN7EXAMPLE.", "key •."),
            (
                "-----BEGIN PRIVATE KEY-----\nMIIE\nabc=\n-----END",
                "-----BEGIN PRIVATE KEY-----•-----END",
            ),
        ] {
            assert_eq!(redacted(text), expected, "{text}");
        }
    }

    #[test]
    fn secrets_are_known_by_the_name_beside_them() {
        for (text, expected) in [
            ("password=hunter2&x=1", "password=•&x=1"),
            ("DB_PASSWORD: hunter2", "DB_PASSWORD: •"),
            ("\"client_secret\" : \"a b\\\"c\", \"x\": 1", "\"client_secret\" : \"•\", \"x\": 1"),
            (r#"log {\"token\":\"a b\",\"x\":1}"#, r#"log {\"token\":\"•\",\"x\":1}"#),
            ("Authorization: Basic aHVudGVyMg==", "Authorization: •"),
            ("card-number='12 34'", "card-number='•'"),
            ("<a:Password kind='x'>hunter2</a:Password>", "<a:Password kind='x'>•</a:Password>"),
            ("<secret><![CDATA[hunter2]]></secret>", "<secret>•</secret>"),
            ("see /x?code=hunter2&page=2", "see /x?code=•&page=2"),
        ] {
            assert_eq!(redacted(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_secret_stays() {
        for text in [
            "page 2 of 17, basic information for bearers",
            "tokens are cheap; the password was changed",
            "at 2023-11-14T22:13:20Z, @home, a@b",
            "1700000000123456789",
            "4111111111111112",
            "41111111111111111111111",
            "44401108-3068-404d-9d56-f4c4d8c39438",
            "id=9dd721d5-5509-4518-8477-61ecc870e9f0;",
            "trace 4111111111111111abcdef0123456789",
        ] {
            assert_eq!(redacted(text), text);
        }
    }

    #[test]
    fn cards_are_found_in_groups_and_beside_other_numbers() {
        for (text, expected) in [
            ("pay 4111111111111111.", "pay •."),
            ("4111 1111 1111 1111", "•"),
            ("3782-822463-10005", "•"),
            ("order 1345678 4111-1111-1111-1111 x", "order 1345678 • x"),
            // "2345678 4111-1111" passes the check by chance.
            ("order 2345678 4111-1111-1111-1111 x", "order •• x"),
            ("id_5555555555554444x", "id_•x"),
            ("6304000000000000 12", "• 12"),
            ("4111-1111-1111-1111-a", "•-a"),
            ("a4111111111111111", "a•"),
        ] {
            assert_eq!(redacted(text), expected, "{text}");
        }
    }
}

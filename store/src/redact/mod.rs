//! Redaction: nothing that looks like a credential is written.
//!
//! Everything a store keeps as text goes through a [`Redactor`] first: header values, request
//! targets, bodies of examples, values and paths of divergences, endpoint names, pair keys. A
//! secret is replaced by `«redacted:DIGEST»`, DIGEST being 8 hexadecimal digits of a BLAKE3 keyed
//! hash: equal secrets stay equal and different ones different, but who reads the store learns
//! nothing else without the key. The key itself is never stored.
//!
//! What counts as a secret: values with a secret name (header, query or form parameter, JSON
//! member, XML element, assignment in text), and text that has the form of one wherever it
//! stands (see [`text`]). Names are compared without case, `-` and `_`.
//!
//! Refuses to guess: a body that cannot be decoded, or is not in the form that its type says, is
//! kept as length and digest only.
//!
//! Not found: a secret without a telling name and form, and one whose name stands on another line
//! of a text (text is compared line by line).

mod json;
mod text;

use std::borrow::Cow;
use std::fmt;

use compare::Kind;

pub(crate) use text::Patterns;

/// Header fields whose values are secret. As these, every name that ends in `token` or `apikey`
/// or contains `secret` or `password`.
const HEADERS: &[&str] = &[
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
    "x-api-key",
    "x-auth-token",
    "x-csrf-token",
    "x-amz-security-token",
    "x-forwarded-client-cert",
];

/// Query and form parameters whose values are secret.
const PARAMETERS: &[&str] = &["key", "sig", "signature", "code", "pwd", "pass", "jwt", "auth"];

/// Members of JSON objects (and names in other text) whose values are secret.
const MEMBERS: &[&str] = &[
    "authorization",
    "proxyauthorization",
    "cookie",
    "setcookie",
    "cardnumber",
    "cvv",
    "cvc",
    "ssn",
    "pin",
    "pwd",
    "passphrase",
    "privatekey",
    "accesskey",
    "credentials",
];

/// Ends of names that make them secret everywhere.
const ENDS: &[&str] = &["token", "apikey"];

/// Parts of names that make them secret everywhere.
const PARTS: &[&str] = &["password", "passwd", "secret"];

/// Names to redact besides those that are always redacted.
#[derive(Clone, Debug, Default)]
pub struct SecretNames {
    /// Header fields.
    pub headers: Vec<String>,
    /// Query and form parameters.
    pub parameters: Vec<String>,
    /// JSON members, at any depth.
    pub members: Vec<String>,
}

/// The key of the digests that stand for secrets.
#[derive(Clone)]
pub struct RedactionKey([u8; 32]);

impl RedactionKey {
    /// A key of these bytes: with the same key, equal secrets have equal digests over runs.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A fresh key from the operating system: digests compare within one run only.
    ///
    /// # Errors
    ///
    /// The system has no random numbers to give.
    pub fn random() -> Result<Self, std::io::Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
        Ok(Self(bytes))
    }
}

impl fmt::Debug for RedactionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedactionKey(…)")
    }
}

/// Replaces secrets by keyed digests.
#[derive(Debug)]
pub struct Redactor {
    key: RedactionKey,
    headers: Vec<String>,
    parameters: Vec<String>,
    members: Vec<String>,
    patterns: Patterns,
}

impl Redactor {
    /// A redactor with `names` besides those that are always redacted.
    #[must_use]
    pub fn new(key: RedactionKey, names: &SecretNames) -> Self {
        let list = |fixed: &[&str], more: &[String]| -> Vec<String> {
            fixed.iter().copied().map(plain).chain(more.iter().map(|name| plain(name))).collect()
        };
        let members = list(MEMBERS, &names.members);
        Self {
            key,
            headers: list(HEADERS, &names.headers),
            parameters: list(PARAMETERS, &names.parameters),
            patterns: Patterns::new(&members),
            members,
        }
    }

    /// What stands for `secret`.
    #[must_use]
    pub fn mask(&self, secret: &str) -> String {
        format!("«redacted:{}»", self.digest(secret.as_bytes(), 8))
    }

    /// The first `digits` hexadecimal digits of the keyed digest of `bytes`.
    pub(crate) fn digest(&self, bytes: &[u8], digits: usize) -> String {
        let mut hex = blake3::keyed_hash(&self.key.0, bytes).to_hex().to_string();
        hex.truncate(digits);
        hex
    }

    /// The value of header or trailer field `name`.
    #[must_use]
    pub fn header(&self, name: &str, value: &str) -> String {
        if self.is_secret_header(name) { self.mask(value) } else { self.text(value).into_owned() }
    }

    /// A request target: its path and its query parameters.
    #[must_use]
    pub fn target(&self, target: &str) -> String {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        let mut redacted = self.encoded(path, false).into_owned();
        if let Some(query) = query {
            redacted.push('?');
            redacted.push_str(&self.form(query));
        }
        redacted
    }

    /// `name=value` pairs joined by `&`, percent-encoded: a query or a form body.
    #[must_use]
    pub fn form(&self, form: &str) -> String {
        let mut redacted = String::with_capacity(form.len());
        for (i, pair) in form.split('&').enumerate() {
            if i > 0 {
                redacted.push('&');
            }
            match pair.split_once('=') {
                Some((name, value)) if self.is_secret_parameter(&percent_decoded(name, true)) => {
                    redacted.push_str(name);
                    redacted.push('=');
                    redacted.push_str(&self.mask(&percent_decoded(value, true)));
                }
                Some((name, value)) => {
                    redacted.push_str(&self.encoded(name, true));
                    redacted.push('=');
                    redacted.push_str(&self.encoded(value, true));
                }
                None => redacted.push_str(&self.encoded(pair, true)),
            }
        }
        redacted
    }

    /// A JSON text, or the beginning of one where `cut`. `None` where it is no JSON.
    #[must_use]
    pub fn json(&self, text: &str, cut: bool) -> Option<String> {
        json::redact(self, text, cut, 0)
    }

    /// Text of any kind.
    #[must_use]
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.patterns.redact(text, |secret| self.mask(secret))
    }

    /// Text that names a group rather than one value (an endpoint, a pattern): secrets become
    /// `{redacted}`, the same in every run.
    #[must_use]
    pub fn label<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.patterns.redact(text, |_| "{redacted}".to_owned())
    }

    /// The value of a divergence at `path`, which compare may have cut at `cut_bytes`.
    #[must_use]
    pub fn divergence(&self, kind: Kind, path: &str, value: &str, cut_bytes: usize) -> String {
        match kind {
            Kind::Status => value.to_owned(),
            Kind::Header | Kind::Trailer => {
                // The name may carry an index, as `set-cookie/0`.
                let name = path.split(['/', '[']).next().unwrap_or(path);
                self.header(name, value)
            }
            Kind::Body if self.path_is_secret(path, value) => match value {
                "null" | "true" | "false" => value.to_owned(),
                secret => self.mask(unquoted(secret).as_ref()),
            },
            Kind::Body => {
                let cut = value.len() + 4 > cut_bytes;
                let value = if cut { without_last_word(value) } else { value };
                let mut redacted = looks_like_json(value)
                    .then(|| self.json(value, cut))
                    .flatten()
                    .unwrap_or_else(|| self.text(value).into_owned());
                if cut {
                    redacted.push('…');
                }
                redacted
            }
        }
    }

    fn is_secret_header(&self, name: &str) -> bool {
        let name = plain(name);
        is_secret_anywhere(&name) || self.headers.contains(&name)
    }

    fn is_secret_parameter(&self, name: &str) -> bool {
        let name = plain(name);
        is_secret_anywhere(&name) || self.parameters.contains(&name) || self.members.contains(&name)
    }

    fn is_secret_member(&self, name: &str) -> bool {
        let name = plain(name);
        is_secret_anywhere(&name) || self.members.contains(&name)
    }

    /// Whether something on the way of a JSON Pointer to `value` is secret: a member; a field of a
    /// form, whose values are not written as JSON has them; or a header field of a part.
    fn path_is_secret(&self, path: &str, value: &str) -> bool {
        let is_secret = |name: &str| {
            self.is_secret_member(name)
                || !looks_like_json(value) && self.is_secret_parameter(name)
                || name.strip_prefix('@').is_some_and(|field| self.is_secret_header(field))
        };
        // RFC 6901 §3: `~1` is `/` and `~0` is `~`.
        path.strip_prefix('/').is_some_and(|path| {
            path.split('/').any(|name| is_secret(&name.replace("~1", "/").replace("~0", "~")))
        })
    }

    /// Percent-encoded text, left as it is where its decoded form holds no secret.
    fn encoded<'a>(&self, text: &'a str, plus_is_space: bool) -> Cow<'a, str> {
        let decoded = percent_decoded(text, plus_is_space);
        // A parameter may itself hold JSON.
        let nested = decoded.starts_with(['{', '[']).then(|| self.json(&decoded, false)).flatten();
        let redacted = nested.map_or_else(|| self.text(&decoded), Cow::Owned);
        if redacted == decoded { Cow::Borrowed(text) } else { Cow::Owned(redacted.into_owned()) }
    }
}

/// `name` as names are compared: lower case, without `-` and `_`.
fn plain(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '-' | '_')).flat_map(char::to_lowercase).collect()
}

fn is_secret_anywhere(plain: &str) -> bool {
    ENDS.iter().any(|end| plain.ends_with(end)) || PARTS.iter().any(|part| plain.contains(part))
}

/// Whether a value may be JSON, by its first byte.
fn looks_like_json(value: &str) -> bool {
    value.starts_with(['{', '[', '"', '-']) || value.starts_with(|c: char| c.is_ascii_digit())
}

/// A JSON string's content, so that it has the digest that it has elsewhere.
fn unquoted(value: &str) -> Cow<'_, str> {
    serde_json::from_str::<String>(value).map_or(Cow::Borrowed(value), Cow::Owned)
}

/// The longest secret that is known by its end alone: an e-mail address (RFC 5321 §4.5.3.1 allows
/// 64 bytes before the `@` and 255 after it).
const LONGEST_UNENDED: usize = 64 + 1 + 255;

/// Without the last words, which a cut may have gone through: half a secret may not look like one.
pub(crate) fn without_last_word(text: &str) -> &str {
    let part_of_word = |c: char| c.is_alphanumeric() || "._%+-@=/~ …".contains(c);
    let kept = text.trim_end_matches(part_of_word).len();
    beginning(text, kept.max(text.len().saturating_sub(LONGEST_UNENDED)))
}

/// The beginning of `text`, of at most `bytes` bytes and whole characters.
pub(crate) fn beginning(text: &str, bytes: usize) -> &str {
    let end = bytes.min(text.len());
    // A character has at most four bytes.
    (0..4).find_map(|back| text.get(..end.checked_sub(back)?)).unwrap_or_default()
}

fn percent_decoded(text: &str, plus_is_space: bool) -> Cow<'_, str> {
    let encoded = text.contains('%') || plus_is_space && text.contains('+');
    if !encoded {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, tail @ ..] = rest {
        rest = tail;
        let hex = |digit: u8| char::from(digit).to_digit(16);
        match (byte, tail) {
            (b'%', [high, low, after @ ..]) => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => {
                    bytes.extend(u8::try_from(high * 16 + low));
                    rest = after;
                }
                _ => bytes.push(b'%'),
            },
            (b'+', _) if plus_is_space => bytes.push(b' '),
            _ => bytes.push(*byte),
        }
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redactor() -> Redactor {
        let names = SecretNames { headers: vec!["X-Tenant".into()], ..SecretNames::default() };
        Redactor::new(RedactionKey::new([7; 32]), &names)
    }

    #[test]
    fn equal_secrets_stay_equal_and_different_ones_differ() {
        let r = redactor();
        let first = r.header("Authorization", "Bearer abc");
        assert_eq!(first, r.header("authorization", "Bearer abc"));
        assert_ne!(first, r.header("authorization", "Bearer abd"));
        let hex = first.strip_prefix("«redacted:").and_then(|f| f.strip_suffix('»')).unwrap();
        assert!(hex.len() == 8 && hex.bytes().all(|b| b.is_ascii_hexdigit()));
        let other_key = Redactor::new(RedactionKey::new([8; 32]), &SecretNames::default());
        assert_ne!(first, other_key.header("authorization", "Bearer abc"));
    }

    #[test]
    fn secret_headers_are_masked_whole_and_others_by_pattern() {
        let r = redactor();
        for name in ["cookie", "Set-Cookie", "X-API-Key", "x-tenant", "x-vault-token"] {
            assert!(r.header(name, "hunter2").starts_with("«redacted:"), "{name}");
        }
        assert_eq!(r.header("content-type", "text/plain"), "text/plain");
        let referer = r.header("referer", "https://shop/?access_token=hunter2&page=2");
        assert!(!referer.contains("hunter2") && referer.ends_with("&page=2"), "{referer}");
    }

    #[test]
    fn targets_lose_secret_parameters_however_they_are_written() {
        let r = redactor();
        for target in [
            "/login?token=hunter2",
            "/login?a=1&API%5FKEY=hunter2&b=2",
            "/login?user=x&to%6ben=hunter2",
            "/files/x?sig=hunter2",
            "/p?filter=%7B%22password%22%3A%22hunter2%22%7D",
        ] {
            assert!(!r.target(target).contains("hunter2"), "{target} → {}", r.target(target));
        }
        assert!(!r.target("/users/bob%40example.com/cart").contains("bob"));
        assert_eq!(r.target("/a%20b?q=x+y&page=2"), "/a%20b?q=x+y&page=2");
    }

    #[test]
    fn divergences_below_a_secret_member_show_no_value() {
        let r = redactor();
        let body = |path, value| r.divergence(Kind::Body, path, value, 1024);
        assert!(body("/user/password", "\"hunter2\"").starts_with("«redacted:"));
        assert!(body("/client_secret/0/part", "17").starts_with("«redacted:"));
        assert!(body("/a~1password", "17").starts_with("«redacted:"));
        assert_eq!(body("/user/password", "null"), "null");
        assert_eq!(body("/price", "1999.95"), "1999.95");
        assert_eq!(body("/user", r#"{"name":"x","cvv":"123"}"#).matches("123").count(), 0);
        assert!(
            r.divergence(Kind::Header, "set-cookie", "sid=hunter2", 1024).starts_with("«redacted:")
        );
    }

    #[test]
    fn divergences_of_secret_form_fields_and_part_headers_show_no_value() {
        let r = redactor();
        let body = |path, value| r.divergence(Kind::Body, path, value, 1024);
        for (path, value) in [
            ("/code", "SplxlOBeZQQYbYS6WxSb"),
            ("/pass/1", "hunter2"),
            ("/api_token", "17"),
            ("/login/password/line 2", "hunter2"),
            ("/doc/@authorization", "Basic aHVudGVyMg=="),
        ] {
            assert!(body(path, value).starts_with("«redacted:"), "{path}");
        }
        assert_eq!(body("/code", "404"), "404", "as JSON has it: most are no secrets");
        assert_eq!(body("/code", "\"out_of_stock\""), "\"out_of_stock\"");
        assert_eq!(body("/doc/@content-type", "text/plain"), "text/plain");
    }

    #[test]
    fn a_secret_that_the_cut_went_through_is_not_kept_in_half() {
        let r = redactor();
        for half in ["4111 1111 11", "bob@exam", "eyJhbGciOiJI"] {
            let value = format!("{}{half}…", "x".repeat(1_024 - 3 - half.len() - 2) + ", ");
            assert_eq!(value.len(), 1_024);
            let redacted = r.divergence(Kind::Body, "line 3", &value, 1_024);
            assert!(!redacted.contains(&half[..4]) && redacted.ends_with(",…"), "{redacted}");
        }
        let long = "a".repeat(2_000);
        assert_eq!(without_last_word(&long).len(), 2_000 - LONGEST_UNENDED);
        let whole = format!("\"{}\"", "a".repeat(300));
        assert_eq!(r.divergence(Kind::Body, "/x", &whole, 1_024), whole);
    }

    #[test]
    fn a_label_is_the_same_in_every_run() {
        let label = redactor().label("GET /users/bob@example.com/cart").into_owned();
        assert_eq!(label, "GET /users/{redacted}/cart");
    }
}

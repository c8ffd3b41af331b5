//! What is asked and answered, whatever carries it.

use std::io::{self, Write};

/// What the shadow gets wrong, by the item's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Twist {
    /// The price is a cent higher: one pair in 50.
    Price,
    /// There are no tags: one in 100.
    Tags,
    /// 500 in place of 200: one in 200.
    Status,
}

impl Twist {
    /// That of item `n`.
    pub(crate) const fn of(n: u32) -> Option<Self> {
        match n {
            n if n % 50 == 0 => Some(Self::Price),
            n if n % 100 == 1 => Some(Self::Tags),
            n if n % 200 == 2 => Some(Self::Status),
            _ => None,
        }
    }
}

/// Which side answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leg {
    /// The one whose answer counts.
    Primary,
    /// The one under trial.
    Shadow,
}

/// The head of a request.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Host and port as the client names them.
    pub(crate) host: String,
    /// Path.
    pub(crate) path: String,
    /// The other fields, in order.
    pub(crate) fields: Vec<(&'static str, String)>,
}

impl Asked {
    /// For item `n`: the same id on both legs, and what Envoy changes on the shadow's.
    pub(crate) fn new(seed: u64, leg: Leg, n: u32) -> Self {
        let id = fastrand::Rng::with_seed(seed ^ u64::from(n) << 20).u128(..);
        let suffix = if leg == Leg::Shadow { "-shadow" } else { "" };
        let id = format!(
            "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
            id as u32,
            (id >> 32) as u16,
            id >> 48 & 0xfff,
            id >> 60 & 0xfff,
            id >> 80,
        );
        let mut fields = vec![
            ("user-agent", "bench/1".to_owned()),
            ("accept", "application/json".to_owned()),
            ("x-forwarded-proto", "http".to_owned()),
            ("x-envoy-external-address", "192.0.2.7".to_owned()),
            ("x-request-id", id),
            ("x-envoy-expected-rq-timeout-ms", "15000".to_owned()),
        ];
        match leg {
            Leg::Primary => fields.push(("x-forwarded-for", "192.0.2.7".to_owned())),
            Leg::Shadow => fields.extend([
                ("x-forwarded-for", "192.0.2.7,10.9.1.1".to_owned()),
                ("x-envoy-internal", "true".to_owned()),
            ]),
        }
        Self {
            host: format!("shop.example.com{suffix}"),
            path: format!("/api/v1/items/{n}"),
            fields,
        }
    }
}

/// The head of an answer.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    /// Status.
    pub(crate) status: u16,
    /// The fields, in order.
    pub(crate) fields: Vec<(&'static str, String)>,
}

impl Answered {
    /// To a request that was answered `made_ns` after the capture began.
    pub(crate) fn new(
        leg: Leg,
        twist: Option<Twist>,
        made_ns: u64,
        body_bytes: usize,
        gzip: bool,
    ) -> Self {
        // Seconds since midnight; captures end long before the next.
        let time_s = 8 * 3_600 + 53 * 60 + 20 + made_ns / 1_000_000_000;
        let (hour, minute, second) = (time_s / 3_600, time_s / 60 % 60, time_s % 60);
        let date = format!("Thu, 09 Oct 2025 {hour:02}:{minute:02}:{second:02} GMT");
        let mut fields = vec![
            ("content-type", "application/json".to_owned()),
            ("x-backend", name(leg).to_owned()),
            ("date", date),
        ];
        if gzip {
            fields.push(("content-encoding", "gzip".to_owned()));
        }
        fields.push(("content-length", body_bytes.to_string()));
        Self { status: if twist == Some(Twist::Status) { 500 } else { 200 }, fields }
    }
}

/// The description of small answers.
pub(crate) const SENTENCES: &str = "the quick brown fox jumps over the lazy dog; \
    the quick brown fox jumps over the lazy dog; the quick brown fox jumps over the lazy dog; \
    the quick brown fox jumps over the lazy dog; the quick brown fox jumps over the lazy dog; \
    the quick brown fox jumps over the lazy dog; the quick brown fox jumps over the lazy dog; \
    the quick brown fox jumps over the lazy dog; the quick brown fox jumps over the lazy dog; \
    the quick brown fox jumps over the lazy dog; the quick brown fox jumps over the lazy dog; \
    the quick brown fox jumps over the lazy dog; ";

/// At least `bytes` of words that compress as prose does; the same for the same item.
pub(crate) fn words(n: u32, bytes: usize) -> String {
    const SYLLABLES: [&str; 16] = [
        "ba", "ce", "di", "fo", "gu", "ha", "je", "ki", "lo", "mu", "na", "pe", "ri", "so", "tu",
        "va",
    ];
    let mut random = fastrand::Rng::with_seed(u64::from(n));
    let mut text = String::with_capacity(bytes + 16);
    while text.len() < bytes {
        for _ in 0..random.u8(1..4) {
            text.push_str(SYLLABLES[random.usize(..16) & random.usize(..16)]);
        }
        text.push(' ');
    }
    text
}

/// Appends the JSON text of one answer.
///
/// # Errors
///
/// None: `out` is memory.
pub(crate) fn body(
    out: &mut Vec<u8>,
    leg: Leg,
    n: u32,
    twist: Option<Twist>,
    made_ns: u64,
    description: &str,
) -> io::Result<()> {
    let server = name(leg);
    if twist == Some(Twist::Status) {
        return write!(
            out,
            "{{\"error\":\"injected\",\"id\":{n},\"server\":\"{server}\",\"generated_at\":{made_ns}}}"
        );
    }
    let cents = 100 + n + u32::from(twist == Some(Twist::Price));
    write!(
        out,
        "{{\"id\":{n},\"name\":\"item-{n}\",\"price\":{}.{:02},",
        cents / 100,
        cents % 100
    )?;
    if twist != Some(Twist::Tags) {
        out.extend_from_slice(b"\"tags\":[\"alpha\",\"beta\",\"gamma\"],");
    }
    write!(
        out,
        "\"attrs\":{{\"color\":\"c{}\",\"weight\":{},\"stock\":{},\
         \"nested\":{{\"a\":[1,2,3,{}],\"b\":null,\"c\":true}}}},\"description\":\"",
        n % 16,
        n % 97,
        n % 1_009,
        n % 7,
    )?;
    out.extend_from_slice(description.as_bytes());
    write!(out, "\",\"server\":\"{server}\",\"generated_at\":{made_ns}}}")
}

const fn name(leg: Leg) -> &'static str {
    match leg {
        Leg::Primary => "primary",
        Leg::Shadow => "shadow",
    }
}

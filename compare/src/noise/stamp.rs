//! Points in time as services write them.
//!
//! Knows RFC 3339 and its relatives (ISO 8601 basic form, a space for the `T`, a comma, no zone),
//! the dates of HTTP, mail and cookies (RFC 9110 §5.6.7, RFC 5322 §3.3, RFC 6265 §5.1.1), of access
//! logs, and seconds, milli-, micro- and nanoseconds since the epoch. Refuses dates without a time
//! and times without a date: they do not tell when an answer was made.

use capture::Timestamp;

/// A point in time, as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) at: Timestamp,
    pub(super) form: Form,
    /// Digits of its fraction.
    pub(super) digits: usize,
    /// Bytes that it takes.
    pub(super) len: usize,
}

/// How a point in time is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Form {
    style: Style,
    /// Digits of the fraction, rounded up to 3, 6 or 9: many writers leave out zeros at its end.
    precision: u8,
    zone: Zone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    /// RFC 3339, with what is between date and time.
    Iso(u8),
    /// `20261121T074233Z`.
    Compact,
    /// `Sat, 21 Nov 2026 07:42:33 GMT`, with what is between day and month.
    Mail(u8),
    /// `21/Nov/2026:07:42:33 +0000`.
    Log,
    /// Digits since the epoch, this many of them.
    Epoch(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Zone {
    None,
    /// `Z`, `GMT`, `UTC`: its first letter.
    Named(u8),
    /// Minutes east.
    Offset(i16),
}

impl Form {
    /// Whether it is a number, which may be one of another kind.
    pub(super) fn is_number(self) -> bool {
        matches!(self.style, Style::Epoch(_))
    }

    /// Whether both are the same but for their precision.
    pub(super) fn same_but_for_precision(self, other: Self) -> bool {
        Self { precision: other.precision, ..self } == other
    }

    /// A number for it, for memories.
    pub(super) fn code(self) -> u32 {
        let (style, detail) = match self.style {
            Style::Iso(between) => (1, between),
            Style::Compact => (2, 0),
            Style::Mail(between) => (3, between),
            Style::Log => (4, 0),
            Style::Epoch(digits) => (5, digits),
        };
        let zone = match self.zone {
            Zone::None => 0,
            Zone::Named(letter) => u32::from(letter),
            Zone::Offset(minutes) => 0x1000 | (i32::from(minutes) + 0x400).unsigned_abs() & 0xfff,
        };
        (style << 28) | (u32::from(detail) << 20) | (u32::from(self.precision / 3) << 16) | zone
    }
}

/// The stamp that `text` begins with, up to the end of a word.
pub(super) fn stamp(text: &[u8]) -> Option<Stamp> {
    let found = match text.first()? {
        b'0'..=b'9' => digits_first(text)?,
        b'A'..=b'Z' => mail(text)?,
        _ => return None,
    };
    let ends = text.get(found.len).is_none_or(|b| !b.is_ascii_alphanumeric());
    ends.then_some(found)
}

fn digits_first(text: &[u8]) -> Option<Stamp> {
    match text.iter().take(20).take_while(|b| b.is_ascii_digit()).count() {
        2 => log(text),
        4 => iso(text),
        8 => compact(text),
        len @ (10 | 13 | 16 | 19) => epoch(text, len),
        _ => None,
    }
}

/// The years in which numbers are taken for times: 2001 to 2100.
const EPOCH_SECONDS: std::ops::Range<u64> = 1_000_000_000..4_102_444_800;

fn epoch(text: &[u8], len: usize) -> Option<Stamp> {
    let number = number(&text[..len])?;
    let unit_ns = 10_u64.pow(19 - len as u32);
    if !EPOCH_SECONDS.contains(&(number / 10_u64.pow(len as u32 - 10))) {
        return None;
    }
    let (fraction_ns, fraction) = if len == 10 { fraction(&text[len..]) } else { (0, 0) };
    let form =
        Form { style: Style::Epoch(len as u8), precision: precision(fraction), zone: Zone::None };
    let taken = if fraction == 0 { len } else { len + 1 + fraction };
    let at = Timestamp::from_nanos(number.saturating_mul(unit_ns).saturating_add(fraction_ns));
    Some(Stamp { at, form, digits: fraction, len: taken })
}

fn iso(text: &[u8]) -> Option<Stamp> {
    let &[_, _, _, _, b'-', _, _, b'-', _, _, between @ (b'T' | b't' | b' ' | b'_'), ..] = text
    else {
        return None;
    };
    let date = (number(&text[..4])?, number(&text[5..7])?, number(&text[8..10])?);
    let seconds = seconds(date, clock(text.get(11..19)?)?)?;
    let (fraction_ns, digits) = fraction(&text[19..]);
    let at = 19 + if digits == 0 { 0 } else { digits + 1 };
    let (zone, zone_len) = zone(&text[at..]);
    finish(seconds, fraction_ns, zone, Style::Iso(between), digits, at + zone_len)
}

fn compact(text: &[u8]) -> Option<Stamp> {
    if text.get(8) != Some(&b'T') {
        return None;
    }
    let date = (number(&text[..4])?, number(&text[4..6])?, number(&text[6..8])?);
    let time = (number(text.get(9..11)?)?, number(text.get(11..13)?)?, number(text.get(13..15)?)?);
    let (zone, zone_len) = zone(&text[15..]);
    finish(seconds(date, time)?, 0, zone, Style::Compact, 0, 15 + zone_len)
}

fn mail(text: &[u8]) -> Option<Stamp> {
    const DAYS: [&[u8]; 7] = [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"];
    if !DAYS.contains(&text.get(..3)?) {
        return None;
    }
    // The long names end in `day`.
    let comma = text.iter().take(10).position(|&b| b == b',')?;
    let rest = text.get(comma + 2..)?;
    let between = *rest.get(2)?;
    if text[comma + 1] != b' ' || !matches!(between, b' ' | b'-') || rest.get(6) != Some(&between) {
        return None;
    }
    let (day, month) = (number(&rest[..2])?, month(rest.get(3..6)?)?);
    let digits = rest[7..].iter().take(5).take_while(|b| b.is_ascii_digit()).count();
    let year = match digits {
        4 => number(&rest[7..11])?,
        2 => 2_000 + number(&rest[7..9])?,
        _ => return None,
    };
    let at = 7 + digits;
    if rest.get(at) != Some(&b' ') {
        return None;
    }
    let seconds = seconds((year, month, day), clock(rest.get(at + 1..at + 9)?)?)?;
    let (zone, zone_len) = zone(&rest[at + 9..]);
    finish(seconds, 0, zone, Style::Mail(between), 0, comma + 2 + at + 9 + zone_len)
}

fn log(text: &[u8]) -> Option<Stamp> {
    let &[_, _, b'/', _, _, _, b'/', _, _, _, _, b':', ..] = text else { return None };
    let date = (number(&text[7..11])?, month(&text[3..6])?, number(&text[..2])?);
    let seconds = seconds(date, clock(text.get(12..20)?)?)?;
    let (zone, zone_len) = zone(&text[20..]);
    finish(seconds, 0, zone, Style::Log, 0, 20 + zone_len)
}

fn finish(
    seconds: i64,
    fraction_ns: u64,
    zone: Zone,
    style: Style,
    digits: usize,
    len: usize,
) -> Option<Stamp> {
    let east = if let Zone::Offset(minutes) = zone { i64::from(minutes) * 60 } else { 0 };
    let seconds = u64::try_from(seconds - east).ok()?;
    let at = Timestamp::from_nanos(seconds.checked_mul(1_000_000_000)?.checked_add(fraction_ns)?);
    Some(Stamp { at, form: Form { style, precision: precision(digits), zone }, digits, len })
}

fn precision(digits: usize) -> u8 {
    (digits.min(9).div_ceil(3) * 3) as u8
}

/// `07:42:33`.
fn clock(text: &[u8]) -> Option<(u64, u64, u64)> {
    let &[_, _, b':', _, _, b':', _, _] = text else { return None };
    Some((number(&text[..2])?, number(&text[3..5])?, number(&text[6..8])?))
}

/// Seconds since the epoch. A leap second is the one after.
fn seconds((year, month, day): (u64, u64, u64), time: (u64, u64, u64)) -> Option<i64> {
    let (hour, minute, second) = time;
    let sound = (1..=12).contains(&month) && (1..=31).contains(&day);
    if !sound || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // Days from 0000-03-01 in the proleptic Gregorian calendar, whose year begins in March here.
    let (year, month) =
        if month > 2 { (year, month - 3) } else { (year.checked_sub(1)?, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1;
    let days = i64::try_from(days).ok()? - 719_468;
    Some(days * 86_400 + i64::try_from(hour * 3_600 + minute * 60 + second).ok()?)
}

fn month(name: &[u8]) -> Option<u64> {
    const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    (1..).zip(MONTHS.chunks(3)).find(|(_, of)| *of == name).map(|(number, _)| number)
}

/// Nanoseconds of the fraction here, and its digits, none where there is none.
fn fraction(text: &[u8]) -> (u64, usize) {
    if !matches!(text.first(), Some(b'.' | b',')) {
        return (0, 0);
    }
    let digits = text[1..].iter().take(18).take_while(|b| b.is_ascii_digit()).count();
    let told = number(&text[1..=digits.min(9)]).unwrap_or(0);
    (told * 10_u64.pow(9 - digits.min(9) as u32), digits)
}

/// The zone here and its bytes, with the space before it.
fn zone(text: &[u8]) -> (Zone, usize) {
    let space = usize::from(text.first() == Some(&b' '));
    match &text[space..] {
        [letter @ (b'Z' | b'z'), ..] => (Zone::Named(*letter), space + 1),
        [b'G', b'M', b'T', ..] => (Zone::Named(b'G'), space + 3),
        [b'U', b'T', b'C', ..] => (Zone::Named(b'U'), space + 3),
        [sign @ (b'+' | b'-'), rest @ ..] => {
            let (minutes_at, len) = if rest.get(2) == Some(&b':') { (3, 6) } else { (2, 5) };
            let parts = rest.get(..2).zip(rest.get(minutes_at..minutes_at + 2));
            let parts = parts.and_then(|(hours, minutes)| number(hours).zip(number(minutes)));
            let Some((hours, minutes)) = parts else { return (Zone::None, 0) };
            // Two digits each: it fits.
            let minutes = (hours * 60 + minutes) as i16;
            (Zone::Offset(if *sign == b'-' { -minutes } else { minutes }), space + len)
        }
        _ => (Zone::None, 0),
    }
}

/// Decimal digits as a number, and nothing else; `None` also where it does not fit.
fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |sum, b| {
        let digit = char::from(*b).to_digit(10)?;
        sum.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const AT_S: u64 = 1_795_246_953;

    fn read(text: &str) -> Option<(u64, usize)> {
        stamp(text.as_bytes()).map(|stamp| (stamp.at.as_nanos(), stamp.len))
    }

    #[test]
    fn every_style_is_read_to_its_end() {
        for text in [
            "2026-11-21T07:42:33Z",
            "2026-11-21t07:42:33z",
            "2026-11-21 07:42:33",
            "2026-11-21 07:42:33 UTC",
            "2026-11-21T08:42:33+01:00",
            "2026-11-21T02:12:33-0530",
            "20261121T074233Z",
            "Sat, 21 Nov 2026 07:42:33 GMT",
            "Sat, 21 Nov 2026 07:42:33 +0000",
            "Saturday, 21-Nov-26 07:42:33 GMT",
            "Sat, 21-Nov-2026 07:42:33 GMT",
            "21/Nov/2026:07:42:33 +0000",
            "1795246953",
            "1795246953000",
            "1795246953000000",
            "1795246953000000000",
        ] {
            assert_eq!(read(text), Some((AT_S * 1_000_000_000, text.len())), "{text}");
            let more = format!("{text}; x");
            assert_eq!(read(&more), Some((AT_S * 1_000_000_000, text.len())), "{more}");
        }
        let half = AT_S * 1_000_000_000 + 500_000_000;
        for text in ["2026-11-21T07:42:33.5Z", "2026-11-21 07:42:33,500", "1795246953.500000"] {
            assert_eq!(read(text), Some((half, text.len())), "{text}");
        }
        assert_eq!(read("2000-02-29T00:00:00Z").unwrap().0, 951_782_400_000_000_000);
    }

    proptest! {
        #[test]
        fn whatever_is_read_lies_within_the_text(
            text in "(2026-11-21|20261121T|Sat, 21|21/Nov/|17952469)?[0-9TZGMUCNov:.,/ +-]{0,30}|.{0,40}",
        ) {
            if let Some(stamp) = stamp(text.as_bytes()) {
                prop_assert!(stamp.len <= text.len() && stamp.digits < stamp.len);
            }
        }
    }

    #[test]
    fn what_tells_no_point_in_time_is_none() {
        for text in [
            "",
            "2026",
            "2026-11-21",
            "07:42:33",
            "2026-13-21T07:42:33Z",
            "2026-11-21T27:42:33Z",
            "2026-11-21T07:42:33Zebra",
            "179524695",
            "0795246953",
            "9795246953",
            "17952469533",
            "Sat, 21 Foo 2026 07:42:33 GMT",
            "Satan",
            "Sat,",
            "21/Nov/2026",
            "1795246953x",
            "Sat, 21 Nov 2026",
            "20261121T07",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn another_form_of_the_same_time_is_told_apart() {
        let codes: Vec<_> = [
            "2026-11-21T07:42:33Z",
            "2026-11-21 07:42:33Z",
            "2026-11-21T07:42:33",
            "2026-11-21T07:42:33.1Z",
            "2026-11-21T07:42:33.1234Z",
            "2026-11-21T07:42:33.1234567Z",
            "2026-11-21T07:42:33+00:00",
            "2026-11-21T08:42:33+01:00",
            "2026-11-21T06:42:33-01:00",
            "Sat, 21 Nov 2026 07:42:33 GMT",
            "Sat, 21-Nov-2026 07:42:33 GMT",
            "20261121T074233Z",
            "1795246953",
            "1795246953000",
            "1795246953.123",
        ]
        .iter()
        .map(|text| stamp(text.as_bytes()).unwrap().form.code())
        .collect();
        for (i, code) in codes.iter().enumerate() {
            assert!(!codes[..i].contains(code), "{i}");
        }
        let same = |one: &str, other: &str| {
            stamp(one.as_bytes()).unwrap().form == stamp(other.as_bytes()).unwrap().form
        };
        assert!(same("2026-11-21T07:42:33.120Z", "2026-11-21T07:42:33.12Z"));
        assert!(same("1795246953", "1895246953"));
    }
}

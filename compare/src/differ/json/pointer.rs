//! Values in a JSON text by JSON Pointer (RFC 6901).

use std::borrow::Cow;

use crate::differ::scan::{NotJson, RawString, Scanner, Type};
use crate::rule::unescape_pointer;

/// The string (unescaped) or number at `pointer` (RFC 6901) in `text`; `None` where there is
/// none, or where `text` is no JSON.
pub(crate) fn scalar_at<'t>(text: &'t [u8], pointer: &str) -> Option<Cow<'t, [u8]>> {
    std::str::from_utf8(text).ok()?;
    let mut all = Scanner::new(text);
    all.white_space();
    let start = all.at;
    all.value(0).ok()?;
    if !all.at_end() {
        return None;
    }
    let mut here = Scanner::new(text);
    here.at = start;
    for segment in pointer.split('/').skip(1) {
        go_to(&mut here, &unescape_pointer(segment)?).ok()??;
    }
    match here.type_here().ok()? {
        Type::String => here.string().ok().map(RawString::unescaped),
        Type::Number => here.value(0).ok().map(|range| Cow::Borrowed(here.slice(range))),
        _ => None,
    }
}

/// Goes to the first member or the element `name` of the value here; `None` where it has none.
pub(super) fn go_to(here: &mut Scanner<'_>, name: &str) -> Result<Option<()>, NotJson> {
    match here.type_here()? {
        Type::Object => member(here, name.as_bytes()),
        Type::Array => match name.parse() {
            Ok(index) => element(here, index),
            Err(_) => Ok(None),
        },
        _ => Ok(None),
    }
}

/// Goes to the value of the first member `name` of the object here.
fn member(here: &mut Scanner<'_>, name: &[u8]) -> Result<Option<()>, NotJson> {
    let mut more = here.open(b'}')?;
    while more {
        let found = here.string()?;
        here.colon()?;
        if *found.unescaped() == *name {
            return Ok(Some(()));
        }
        here.value(0)?;
        more = here.next(b'}')?;
    }
    Ok(None)
}

/// Goes to element `index` of the array here.
fn element(here: &mut Scanner<'_>, index: usize) -> Result<Option<()>, NotJson> {
    let mut more = here.open(b']')?;
    for _ in 0..index {
        if !more {
            break;
        }
        here.value(0)?;
        more = here.next(b']')?;
    }
    Ok(more.then_some(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_finds_the_first_member_of_its_name() {
        let at = |pointer| scalar_at(br#"{"a":{"b":1.50},"a":2,"":"x"}"#, pointer);
        assert_eq!(at("/a/b").unwrap(), &b"1.50"[..]);
        assert_eq!(at("/").unwrap(), &b"x"[..]);
        assert!(at("/a").is_none() && at("").is_none() && at("/a/c").is_none());
    }
}

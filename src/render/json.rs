//! JSON text laid out for reading: one member a line, every token as it was sent.

use serde::de::IgnoredAny;

/// Lays out `text`: order, numbers and escapes stay as they are. `None` where it is no JSON object
/// or array.
pub(crate) fn laid_out(text: &str) -> Option<String> {
    let text = text.trim();
    if !text.starts_with(['{', '[']) || serde_json::from_str::<IgnoredAny>(text).is_err() {
        return None;
    }
    let mut out = String::with_capacity(text.len() * 2);
    let mut depth = 0_usize;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let token = if c == '"' { string_len(rest) } else { c.len_utf8() };
        let (head, tail) = rest.split_at(token);
        rest = tail;
        match c {
            '{' | '[' => {
                out.push(c);
                if let Some(after) = rest.trim_start().strip_prefix(['}', ']']) {
                    out.push(if c == '{' { '}' } else { ']' });
                    rest = after;
                } else {
                    depth += 1;
                    line_break(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line_break(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                line_break(&mut out, depth);
            }
            ':' => out.push_str(": "),
            ' ' | '\t' | '\r' | '\n' => {}
            _ => out.push_str(head),
        }
    }
    Some(out)
}

/// Bytes of the string literal that `text` starts with, both quotes included.
fn string_len(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn line_break(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_stays_as_it_was_sent() {
        let text = r#"{"b":1.50,"a":["x\"y,{",{}, [ ],null],"n":10000000000000000001}"#;
        let expected = "{\n  \"b\": 1.50,\n  \"a\": [\n    \"x\\\"y,{\",\n    {},\n    [],\n    null\n  ],\n  \
                        \"n\": 10000000000000000001\n}";
        assert_eq!(laid_out(text).unwrap(), expected);
    }

    #[test]
    fn what_is_no_document_is_left_alone() {
        assert_eq!(laid_out("plain text"), None);
        assert_eq!(laid_out("{\"cut\": tr"), None);
        assert_eq!(laid_out("12"), None);
    }
}

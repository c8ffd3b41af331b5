//! `tapdiff show`: one signature with its examples, or one pair.

use compare::{PairId, SignatureId};
use store::{SqliteStore, Store};

use super::window;
use crate::cli::{Format, ShowArgs};
use crate::failure::Failure;
use crate::{output, render};

/// Prints what the store knows under an id.
pub(crate) fn show(args: &ShowArgs) -> Result<(), Failure> {
    let id = parse(&args.id)?;
    let store = SqliteStore::open_read_only(&args.store.store)?;
    let missing = |what: &str| {
        Failure::no(format!(
            "{}: no {what} {}; 'tapdiff report' lists what there is",
            args.store.store.display(),
            args.id
        ))
    };
    match id {
        Id::Signature(id) => {
            let detail =
                store.signature(id, Some(window::now()))?.ok_or_else(|| missing("signature"))?;
            match args.output.format {
                Format::Json => output::print_json(&detail),
                Format::Text => output::print(&render::show::signature(&detail)),
            }
        }
        Id::Pair(id) => {
            let detail = store.pair(id)?.ok_or_else(|| missing("pair"))?;
            match args.output.format {
                Format::Json => output::print_json(&detail),
                Format::Text => output::print(&render::show::pair(&detail)),
            }
        }
    }
}

enum Id {
    Signature(SignatureId),
    Pair(PairId),
}

fn parse(text: &str) -> Result<Id, Failure> {
    let id = match text.split_once('-') {
        Some(("s", _)) => signature_id(text).map(Id::Signature),
        Some(("p", digits)) => hexadecimal(digits).map(|n| Id::Pair(PairId(n))),
        _ => None,
    };
    id.ok_or_else(|| {
        Failure::usage(format!(
            "'{text}' is no id: signatures are written s- and pairs p- with 16 hexadecimal digits, \
             as 'tapdiff report' prints them"
        ))
    })
}

/// Reads `s-` and 16 hexadecimal digits.
pub(super) fn signature_id(text: &str) -> Option<SignatureId> {
    hexadecimal(text.strip_prefix("s-")?).map(SignatureId)
}

fn hexadecimal(digits: &str) -> Option<u64> {
    // from_str_radix would take a sign too.
    let plain = digits.len() == 16 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    plain.then(|| u64::from_str_radix(digits, 16).ok()).flatten()
}

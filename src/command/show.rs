//! `tapdiff show`: one signature with its examples, or one pair.

use compare::{PairId, SignatureId};
use store::{SqliteStore, Store};

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
            let detail = store.signature(id)?.ok_or_else(|| missing("signature"))?;
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
    let number =
        |digits: &str| (digits.len() == 16).then(|| u64::from_str_radix(digits, 16).ok()).flatten();
    let id = match text.split_once('-') {
        Some(("s", digits)) => number(digits).map(|n| Id::Signature(SignatureId(n))),
        Some(("p", digits)) => number(digits).map(|n| Id::Pair(PairId(n))),
        _ => None,
    };
    id.ok_or_else(|| {
        Failure::usage(format!(
            "'{text}' is no id: signatures are written s- and pairs p- with 16 hexadecimal digits, \
             as 'tapdiff report' prints them"
        ))
    })
}

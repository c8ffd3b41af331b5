//! `tapdiff completions` and `tapdiff man`: made from the command line's own definition.

use clap::CommandFactory;

use crate::cli::{Cli, CompletionsArgs};
use crate::failure::Failure;
use crate::output;

/// Prints a shell's completion script.
pub(crate) fn completions(args: &CompletionsArgs) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "tapdiff", &mut script);
    output::print(&String::from_utf8_lossy(&script))
}

/// Prints the manual page: the overview and every command.
pub(crate) fn man() -> Result<(), Failure> {
    let mut command = Cli::command();
    command.build();
    let mut page = Vec::new();
    let mut rendered = clap_mangen::Man::new(command.clone()).render(&mut page);
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        let name = format!("tapdiff-{}", sub.get_name());
        let below =
            sub.get_subcommands().filter(|sub| !sub.is_hide_set() && sub.get_name() != "help");
        let below = below.map(|sub| (format!("{name}-{}", sub.get_name()), sub));
        for (name, sub) in std::iter::once((name.clone(), sub)).chain(below) {
            let sub = sub.clone().display_name(name);
            rendered = rendered.and_then(|()| clap_mangen::Man::new(sub).render(&mut page));
        }
    }
    rendered.map_err(|why| Failure::environment(format!("the manual: {why}")))?;
    output::print(&String::from_utf8_lossy(&page))
}

//! tapdiff: reads primary and shadow off the wire and reports what differs.
//!
//! The thin shell around the rooms: command line, configuration, threads and channels, and how
//! answers look. What is judged and how is decided in `compare`, what is seen in `capture`.

mod answers;
mod cli;
mod command;
mod config;
mod demo;
mod failure;
mod output;
mod pipeline;
mod reconcile;
mod render;
mod serve;
mod verdict;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};

fn main() -> ExitCode {
    let cli = Cli::parse();
    log_to_stderr();
    let done = match cli.command {
        Command::Run(args) => command::run::run(&args),
        Command::Analyze(args) => command::analyze::analyze(&args),
        Command::Exchanges(args) => command::exchanges::exchanges(&args),
        Command::Report(args) => command::report::report(&args),
        Command::Show(args) => command::show::show(&args),
        Command::Gate(args) => command::gate::gate(&args),
        Command::Ack(args) => command::ack::ack(&args),
        Command::Rules(args) => command::rules::rules(&args),
        Command::CheckConfig(args) => command::check_config::check_config(&args),
        Command::Demo(args) => demo::demo(&args),
        Command::Completions(args) => command::manual::completions(&args),
        Command::Man => command::manual::man(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if let Some(message) = failure.message() {
                anstream::eprintln!("{}", render::style::error(message));
            }
            failure.exit_code()
        }
    }
}

/// What is logged is set by `TAPDIFF_LOG` (`error` to `trace`, per module); `info` by default.
fn log_to_stderr() {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_env("TAPDIFF_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .with_target(false)
        .init();
}

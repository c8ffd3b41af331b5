//! `tapdiff check-config`: what the daemon would run with, or every fault with its line.

use crate::cli::CheckConfigArgs;
use crate::config::Config;
use crate::failure::Failure;
use crate::output;

/// Prints the configuration in effect with its digest, and what in it was hardly meant.
pub(crate) fn check_config(args: &CheckConfigArgs) -> Result<(), Failure> {
    let config = Config::load(&args.file).map_err(Failure::no)?;
    let warnings: String =
        config.warnings.iter().map(|text| format!("# warning: {text}\n")).collect();
    output::print(&format!("# digest {}\n{warnings}{}", config.digest(), config.effective()))
}

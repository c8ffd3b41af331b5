//! `tapdiff analyze`: the whole pipeline over capture files.

use std::path::Path;

use store::{Query, SqliteStore, Store};
use tracing::warn;

use crate::cli::AnalyzeArgs;
use crate::config::{self, Config, DescriptorSet, Service};
use crate::failure::Failure;
use crate::pipeline;

use super::report::answer;
use super::window;

/// Compares the legs in capture files and prints the report.
pub(crate) fn analyze(args: &AnalyzeArgs) -> Result<(), Failure> {
    let config = configure(args)?;
    // Every capture is opened before a store is made, so that a wrong name leaves none behind.
    let captures = pipeline::file::Captures::open(&args.captures)?;
    let store: Box<dyn Store + Send> = match &args.store {
        Some(path) => Box::new(SqliteStore::create_or_open(path)?),
        None => Box::new(SqliteStore::in_memory()?),
    };
    let store = pipeline::file::analyze(&config, captures, store)?;
    let report = store.report(&Query { as_of: Some(window::now()), ..Query::default() })?;
    answer(&report, &args.output, &args.reconcile, args.store.as_deref())
}

/// The configuration in effect: the file's, with what the flags say on top.
fn configure(args: &AnalyzeArgs) -> Result<Config, Failure> {
    let mut config = match &args.config {
        Some(path) => {
            let config = Config::load(path).map_err(Failure::usage)?;
            config.warnings.iter().for_each(|warning| warn!("{warning}"));
            config
        }
        None => Config::default(),
    };
    let says_where = [&args.primary, &args.shadow, &args.secondary]
        .iter()
        .any(|addresses| !addresses.is_empty());
    if config.services.is_empty() || says_where {
        if args.primary.is_empty() || args.shadow.is_empty() {
            return Err(Failure::usage(
                "say where both legs listen: --primary ADDRESS:PORT and --shadow ADDRESS:PORT, or \
                 --config FILE",
            ));
        }
        let mut service = Service::new(args.service.as_deref().unwrap_or("default"));
        service.primary.clone_from(&args.primary);
        service.shadow.clone_from(&args.shadow);
        service.secondary.clone_from(&args.secondary);
        config.services = vec![service];
        if let Some(clash) = config::clash(&config.services) {
            return Err(Failure::usage(clash));
        }
    } else if let Some(name) = &args.service {
        let known: Vec<String> = config.services.iter().map(|s| s.name.to_string()).collect();
        config.services.retain(|service| *service.name == **name);
        if config.services.is_empty() {
            return Err(Failure::usage(format!(
                "--service: the configuration has no '{name}'; it has {}",
                known.join(", ")
            )));
        }
    }
    config.key_logs.extend(args.key_logs.iter().cloned());
    let descriptor_set = match &args.descriptor_set {
        Some(path) => Some(DescriptorSet::load(Path::new(""), path).map_err(|why| {
            Failure::usage(format!("--descriptor-set: '{}' {why}", path.display()))
        })?),
        None => None,
    };
    for service in &mut config.services {
        if descriptor_set.is_some() {
            service.descriptor_set.clone_from(&descriptor_set);
        }
        service.mirror = args.mirror.unwrap_or(service.mirror);
        if !args.pair_by.is_empty() {
            service.pair_by.clone_from(&args.pair_by);
        }
        service.rules.extend(args.ignore.iter().cloned());
    }
    Ok(config)
}

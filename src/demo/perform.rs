//! `tapdiff demo`: the stage, live capture on `lo` beside it, and the report at the end.

use std::time::Duration;

use capture::AddressPattern;
use indicatif::{ProgressBar, ProgressStyle};
use store::{Query, SqliteStore, Store};

use super::{IGNORE_RULES, Plan, Played, Stage, StageError, verdict};
use crate::cli::{DemoArgs, Format};
use crate::config::{Address, Config, Service};
use crate::failure::Failure;
use crate::pipeline::live::{self, Live};
use crate::render::style;
use crate::{output, render};

/// Seeds the plan: every demo plays the same.
const SEED: u64 = 1;

/// Time from one request to the next: some six seconds in all.
const PACE: Duration = Duration::from_millis(10);

/// Plays, captures, reports, and says whether the report is what was played.
pub(crate) fn demo(args: &DemoArgs) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|why| Failure::environment(format!("the demo cannot start: {why}")))?;
    let stage = runtime.block_on(Stage::start(Plan::new(SEED, PACE))).map_err(stage_failed)?;
    let config = configure(&stage)?;
    let interfaces = live::open(&config)?;
    let store: Box<dyn Store + Send> = match &args.store {
        Some(path) => Box::new(SqliteStore::create_or_open(path)?),
        None => Box::new(SqliteStore::in_memory()?),
    };
    let live = Live::start(&config, interfaces, store)?;
    anstream::eprintln!(
        "{}",
        style::quiet(format!(
            "primary {}, shadow {}, a mirroring proxy between; capturing on lo",
            stage.primary(),
            stage.shadow()
        ))
    );
    let played = runtime.block_on(play(stage)).map_err(stage_failed);
    let store = live.stop()?;
    let played = played?;

    let report = store.report(&Query::default())?;
    let as_json = serde_json::to_value(&report)
        .map_err(|why| Failure::environment(format!("the report is no JSON: {why}")))?;
    let faults = verdict(&as_json, &played);
    match args.output.format {
        Format::Json => output::print_json(&as_json)?,
        Format::Text => {
            output::print(&render::report::text(&report, &[], args.store.as_deref()))?;
            output::print(&conclusion(&played, faults.is_empty(), args))?;
        }
    }
    if faults.is_empty() {
        Ok(())
    } else {
        Err(Failure::no(format!("the report is not what was played: {}", faults.join("; "))))
    }
}

async fn play(stage: Stage) -> Result<Played, StageError> {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} requests, {eta} left") {
        bar.set_style(style);
    }
    let played = stage
        .play(|answered, total| {
            bar.set_length(total);
            bar.set_position(answered);
        })
        .await;
    bar.finish_and_clear();
    stage.close().await?;
    played
}

/// What an operator would write for this stage.
fn configure(stage: &Stage) -> Result<Config, Failure> {
    let address = |address: std::net::SocketAddr| Address {
        written: address.to_string(),
        patterns: vec![AddressPattern::from(address)],
    };
    let mut service = Service::new("demo");
    service.primary = vec![address(stage.primary())];
    service.shadow = vec![address(stage.shadow())];
    for rule in IGNORE_RULES {
        let rule = rule.parse().map_err(|why| Failure::usage(format!("{rule}: {why}")))?;
        service.rules.push(rule);
    }
    Ok(Config { interfaces: vec!["lo".to_owned()], services: vec![service], ..Config::default() })
}

fn stage_failed(why: StageError) -> Failure {
    Failure::environment(format!("the demo's traffic failed: {why}"))
}

fn conclusion(played: &Played, exact: bool, args: &DemoArgs) -> String {
    let injected: u64 = played.injected.iter().map(|injected| injected.count).sum();
    let kinds = played.injected.len();
    let mut text = String::from("\n");
    if exact {
        let (endpoint, delay) = played.slower;
        let line = format!(
            "The shadow was made to differ {injected} times in {kinds} ways, and to answer \
             {endpoint} {} ms later: the report shows exactly this, and none of the noise.\n",
            delay.as_millis()
        );
        text.push_str(&style::good(line));
    }
    if args.store.is_none() {
        text.push_str("To look closer: tapdiff demo --store demo.db, then tapdiff show.\n");
    }
    text
}

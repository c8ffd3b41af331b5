//! The command line: flags and their help. No work is done here.

use std::path::PathBuf;

use capture::Timestamp;
use clap::{Args, Parser, Subcommand, ValueEnum};
use compare::gate::LatencyLimit;
use compare::{Extractor, Mirror, Rule};
use store::ReleaseQuery;

use crate::config::{self, Address, DEFAULT_STORE};

/// Compares mirrored traffic on the wire: what does the shadow answer that the primary does not?
///
/// tapdiff reads both legs of mirrored HTTP traffic off the wire, pairs them by request id,
/// compares responses and latencies, and keeps what differs. It is never in the request path and
/// never sends a request.
#[derive(Debug, Parser)]
#[command(name = "tapdiff", version, max_term_width = 100, arg_required_else_help = true)]
#[command(after_help = "Examples:
  tapdiff demo
  tapdiff analyze --primary 10.0.0.1:8080 --shadow 10.0.0.2:8080 edge.pcap
  tapdiff run --config /etc/tapdiff/config.toml
  tapdiff report --since 1h
  tapdiff gate && echo \"go on\"

Exit status: 0 done (gate: pass); 1 the answer is no (gate: fail); 2 usage or configuration; 3 gate:
inconclusive; 4 environment (no permission to capture, store not reachable).")]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Capture, compare and store until told to stop (the daemon)
    Run(RunArgs),
    /// Compare the two legs in capture files and print the report
    Analyze(AnalyzeArgs),
    /// Print every HTTP exchange in capture files, one JSON object a line
    Exchanges(ExchangesArgs),
    /// Print what differed: totals and accounts, endpoints, signatures, latency
    Report(ReportArgs),
    /// Show one signature with its examples, or one pair with the difference marked
    Show(ShowArgs),
    /// May the release go on? Pass, fail or inconclusive, with reasons
    Gate(GateArgs),
    /// Say that a difference is expected: it is left out of the verdict
    Ack(AckArgs),
    /// Rules for differences that are noise: have some proposed, or try yours on what was stored
    Rules(RulesArgs),
    /// Check a configuration file and print what the daemon would run with
    CheckConfig(CheckConfigArgs),
    /// Play mirrored traffic with known differences on loopback and report them
    Demo(DemoArgs),
    /// Print the completion script of a shell
    Completions(CompletionsArgs),
    /// Print the manual page
    Man,
}

/// `tapdiff run`
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  tapdiff run --config /etc/tapdiff/config.toml
  TAPDIFF_LOG=debug tapdiff run --config config.toml --store /tmp/trial.db

SIGTERM and SIGINT drain: what was captured is compared and stored before it exits.")]
pub(crate) struct RunArgs {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    pub(crate) config: PathBuf,
    /// Interface to capture on, in place of those in the file; may be repeated
    #[arg(long = "interface", value_name = "NAME")]
    pub(crate) interfaces: Vec<String>,
    /// The store's file, in place of the one in the configuration
    #[arg(long, value_name = "PATH", value_parser = config::store_path)]
    pub(crate) store: Option<PathBuf>,
}

/// `tapdiff analyze`
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  tapdiff analyze --primary 10.0.0.1:8080 --shadow 10.0.0.2:8080 edge.pcap
  tcpdump -i any -w - tcp port 8080 | tapdiff analyze --config config.toml -
  tapdiff analyze --primary :8080 --shadow :9080 --ignore 'body:/**/generated_at' \\
      --store trial.db host-a.pcapng host-b.pcapng && tapdiff report --store trial.db")]
pub(crate) struct AnalyzeArgs {
    /// pcap or pcapng files, merged by time; '-' is standard input
    #[arg(required = true, value_name = "CAPTURE")]
    pub(crate) captures: Vec<PathBuf>,
    /// Take services and bounds from this configuration file
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// With --config: look at this service only. Without: the name that reports give the service
    /// [default: default]
    #[arg(long, value_name = "NAME")]
    pub(crate) service: Option<String>,
    /// Where the primary listens (ADDRESS:PORT, NETWORK/LEN:PORT or :PORT); may be repeated
    #[arg(long, value_name = "ADDR", value_parser = Address::parse)]
    pub(crate) primary: Vec<Address>,
    /// Where the shadow listens; may be repeated
    #[arg(long, value_name = "ADDR", value_parser = Address::parse)]
    pub(crate) shadow: Vec<Address>,
    /// Where a second copy of the primary's version listens, from which is learned what varies by
    /// itself; may be repeated
    #[arg(long, value_name = "ADDR", value_parser = Address::parse)]
    pub(crate) secondary: Vec<Address>,
    /// The proxy that makes the copy: what it changes on the way is no difference [default: envoy]
    #[arg(long, value_name = "PROXY")]
    pub(crate) mirror: Option<Mirror>,
    /// Where the pairing key is found: header:NAME, trace-id, query:NAME, json:/PATH or
    /// fingerprint; the first that yields a value; may be repeated [default: header:x-request-id]
    #[arg(long = "pair-by", value_name = "EXTRACTOR")]
    pub(crate) pair_by: Vec<Extractor>,
    /// TLS keys to read the captures with (SSLKEYLOGFILE format: Envoy's key_log, or a browser's);
    /// may be
    /// repeated; those in the configuration are read too
    #[arg(long = "keylog", value_name = "FILE")]
    pub(crate) key_logs: Vec<PathBuf>,
    /// Differences to leave out: header:NAME, trailer:NAME or body:/PATH ('*' is any text in a name
    /// or level, '**' any number of levels); may be repeated
    #[arg(long = "ignore", value_name = "SCOPE")]
    pub(crate) ignore: Vec<Rule>,
    /// What protobuf and gRPC messages mean (protoc --include_imports -o FILE, or buf build -o FILE),
    /// in place of the sets in the configuration
    #[arg(long, value_name = "FILE")]
    pub(crate) descriptor_set: Option<PathBuf>,
    /// Keep what was judged in this file, for 'report' and 'show'
    #[arg(long, value_name = "PATH", value_parser = config::store_path)]
    pub(crate) store: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) reconcile: ReconcileArgs,
}

/// `tapdiff exchanges`
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  tapdiff exchanges edge.pcap | jq 'select(.status >= 500) | .uri'
  tapdiff exchanges --half edge.pcap")]
pub(crate) struct ExchangesArgs {
    /// pcap or pcapng files; '-' is standard input
    #[arg(required = true, value_name = "CAPTURE")]
    pub(crate) captures: Vec<PathBuf>,
    /// Also print responses whose request was not seen
    #[arg(long)]
    pub(crate) half: bool,
    /// TLS keys to read the captures with (SSLKEYLOGFILE format: Envoy's key_log, or a browser's);
    /// may be repeated
    #[arg(long = "keylog", value_name = "FILE")]
    pub(crate) key_logs: Vec<PathBuf>,
}

/// `tapdiff report`
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  tapdiff report
  tapdiff report --store trial.db --since 15m --service shop
  tapdiff report --release v1.8..v1.9
  tapdiff report --format json | jq '.services[].signatures'
  curl -s localhost:9901/stats | tapdiff report --envoy-stats - --envoy-clusters shop_v1,shop_v2")]
pub(crate) struct ReportArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    #[command(flatten)]
    pub(crate) window: WindowArgs,
    /// Only this service
    #[arg(long, value_name = "NAME")]
    pub(crate) service: Option<String>,
    /// Only this endpoint, as reports write it: 'GET /api/items/{id}'
    #[arg(long, value_name = "ENDPOINT")]
    pub(crate) endpoint: Option<String>,
    /// Only what this release of the shadow answered: SHADOW, or PRIMARY..SHADOW
    #[arg(long, value_name = "RELEASE", value_parser = parse_release)]
    pub(crate) release: Option<ReleaseQuery>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) reconcile: ReconcileArgs,
}

/// `tapdiff show`
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  tapdiff show s-41d8cd98f00b2041
  tapdiff show --store trial.db --format json p-0cc175b9c0f1b6a8")]
pub(crate) struct ShowArgs {
    /// A signature (s-…) or a pair (p-…), as reports name them
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// `tapdiff gate`
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  tapdiff gate --config /etc/tapdiff/config.toml --service shop
  tapdiff gate --store trial.db --max-divergence-rate 0.01 --max-latency p99=1.2 --min-pairs 500
  tapdiff gate --require-endpoint 'POST /orders' --format json | jq -r .verdict

It speaks of one pair of releases: that of --release, or the one that answered last. Ask as often as
you like: the chance of a wrong answer does not grow with it, unless --since moves the beginning from
one look to the next.

Exit status: 0 pass; 1 fail; 3 inconclusive; of several services the worst.")]
pub(crate) struct GateArgs {
    /// Take limits and the store from this configuration file
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// The store's file [default: the one in the configuration, or /var/lib/tapdiff/tapdiff.db]
    #[arg(long, value_name = "PATH", value_parser = config::store_path)]
    pub(crate) store: Option<PathBuf>,
    /// Only this service
    #[arg(long, value_name = "NAME")]
    pub(crate) service: Option<String>,
    #[command(flatten)]
    pub(crate) window: WindowArgs,
    /// What this release of the shadow answered: SHADOW, or PRIMARY..SHADOW
    #[arg(long, value_name = "RELEASE", value_parser = parse_release)]
    pub(crate) release: Option<ReleaseQuery>,
    /// Share of pairs that may diverge: 0.01 is one in a hundred
    #[arg(long, value_name = "SHARE")]
    pub(crate) max_divergence_rate: Option<f64>,
    /// Error rate of the shadow less that of the primary, at most
    #[arg(long, value_name = "SHARE")]
    pub(crate) max_error_increase: Option<f64>,
    /// How many times slower the shadow may be: p99=1.1, or first_byte:p99=1.1; may be repeated
    #[arg(long, value_name = "[SPAN:]pQ=RATIO", value_parser = parse_latency)]
    pub(crate) max_latency: Vec<LatencyLimit>,
    /// An endpoint that must be seen and be within its limits; may be repeated
    #[arg(long = "require-endpoint", value_name = "ENDPOINT")]
    pub(crate) require_endpoints: Vec<String>,
    /// Pairs without which nothing passes
    #[arg(long, value_name = "N")]
    pub(crate) min_pairs: Option<u64>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// `tapdiff ack`
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  tapdiff ack s-41d8cd98f00b2041 --reason 'prices are rounded now' --until 14d
  tapdiff ack --list
  tapdiff ack --remove s-41d8cd98f00b2041

Works beside a running daemon, and counts from the next verdict on.")]
pub(crate) struct AckArgs {
    /// The signature, as reports name it (s-…)
    #[arg(value_name = "SIGNATURE", required_unless_present_any = ["list", "remove"])]
    pub(crate) signature: Option<String>,
    /// Why it is expected
    #[arg(long, value_name = "TEXT", required_unless_present_any = ["list", "remove"])]
    pub(crate) reason: Option<String>,
    /// Until when: a time (RFC 3339), a date, or how long from now, e.g. 12h, 14d
    #[arg(long, value_name = "TIME|DURATION")]
    pub(crate) until: Option<String>,
    /// Who says so [default: who is logged in]
    #[arg(long, value_name = "NAME")]
    pub(crate) by: Option<String>,
    /// List what was acknowledged
    #[arg(long, conflicts_with_all = ["signature", "reason", "until", "by", "remove"])]
    pub(crate) list: bool,
    /// Take an acknowledgement back
    #[arg(long, value_name = "SIGNATURE", conflicts_with_all = ["signature", "reason", "until", "by"])]
    pub(crate) remove: Option<String>,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// `tapdiff rules`
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  tapdiff rules suggest --service shop > rules.toml
  tapdiff rules try rules.toml
  tapdiff rules try /etc/tapdiff/config.toml --since 1d")]
pub(crate) struct RulesArgs {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: RulesCommand,
}

/// The commands about rules.
#[derive(Debug, Subcommand)]
pub(crate) enum RulesCommand {
    /// Propose rules for what looks like noise, as TOML with the evidence beside each
    Suggest(SuggestArgs),
    /// Tell what a file of rules would have made of the pairs that are stored
    Try(TryArgs),
}

/// `tapdiff rules suggest`
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  tapdiff rules suggest
  tapdiff rules suggest --store trial.db --service shop --since 1d > rules.toml

What it prints is a file for 'tapdiff rules try'; in the configuration the [[service.rule]] tables go
below their [[service]]. It proposes nothing for a whole body or a status, and nothing that hides
that a value is missing or has another type. Read the values beside each rule: what differs in
every answer may still be the fault you are looking for.")]
pub(crate) struct SuggestArgs {
    #[command(flatten)]
    pub(crate) history: HistoryArgs,
    /// Share of an endpoint's pairs in which a place has to differ, unless it is known to vary by
    /// itself
    #[arg(long, value_name = "SHARE", default_value = "0.5", value_parser = parse_share)]
    pub(crate) min_share: f64,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// `tapdiff rules try`
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  tapdiff rules try rules.toml --store trial.db
  tapdiff rules try /etc/tapdiff/config.toml --service shop --since 1d --format json

FILE is a configuration, or only its [[service]] tables with their rules (no addresses needed), or
'ignore' and [[rule]] at its top for one service. Nothing is stored or changed. Differences that the
rules of then explained are not in the store, so rules can be added or changed here, not taken away;
'tapdiff analyze --config FILE CAPTURE' tells that exactly.")]
pub(crate) struct TryArgs {
    /// The file of rules
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) history: HistoryArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// Which part of what is stored is looked at.
#[derive(Args, Debug)]
pub(crate) struct HistoryArgs {
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    #[command(flatten)]
    pub(crate) window: WindowArgs,
    /// Only this service
    #[arg(long, value_name = "NAME")]
    pub(crate) service: Option<String>,
    /// Only what this release of the shadow answered: SHADOW, or PRIMARY..SHADOW
    #[arg(long, value_name = "RELEASE", value_parser = parse_release)]
    pub(crate) release: Option<ReleaseQuery>,
}

/// `tapdiff check-config`
#[derive(Args, Debug)]
#[command(after_help = "Exit status: 0 it can be used; 1 it has faults, each told with its line.")]
pub(crate) struct CheckConfigArgs {
    /// The configuration file
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

/// `tapdiff demo`
#[derive(Args, Debug)]
#[command(after_help = "Needs nothing but the right to capture on lo: root, or CAP_NET_RAW.")]
pub(crate) struct DemoArgs {
    /// Keep what was judged in this file, for 'report' and 'show'
    #[arg(long, value_name = "PATH", value_parser = config::store_path)]
    pub(crate) store: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

/// `tapdiff completions`
#[derive(Args, Debug)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub(crate) shell: clap_complete::Shell,
}

/// Which time is looked at.
#[derive(Args, Debug)]
pub(crate) struct WindowArgs {
    /// Only pairs that began at most this long ago, e.g. 90s, 15m, 1h, 2d
    #[arg(long, value_name = "DURATION", conflicts_with_all = ["from", "to"])]
    pub(crate) since: Option<String>,
    /// Only pairs that began at or after this time (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub(crate) from: Option<Timestamp>,
    /// Only pairs that began before this time (RFC 3339)
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub(crate) to: Option<Timestamp>,
}

/// Where the store is.
#[derive(Args, Debug)]
pub(crate) struct StoreArgs {
    /// The store's file
    #[arg(long, value_name = "PATH", default_value = DEFAULT_STORE, value_parser = config::store_path)]
    pub(crate) store: PathBuf,
}

/// How the answer is written.
#[derive(Args, Debug)]
pub(crate) struct OutputArgs {
    /// text is for people; json is stable and documented
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: Format,
}

/// Output formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// The proxy's own counters to hold the tap's against.
#[derive(Args, Debug)]
pub(crate) struct ReconcileArgs {
    /// Envoy's counters, as its admin port prints them at /stats ('-' is standard input); given
    /// twice, before and after, their difference
    #[arg(long = "envoy-stats", value_name = "FILE", requires = "envoy_clusters")]
    pub(crate) envoy_stats: Vec<PathBuf>,
    /// Envoy's names of the two clusters of a service; may be repeated
    #[arg(
        long = "envoy-clusters",
        value_name = "[SERVICE=]PRIMARY,SHADOW",
        requires = "envoy_stats"
    )]
    pub(crate) envoy_clusters: Vec<String>,
}

fn parse_release(text: &str) -> Result<ReleaseQuery, String> {
    match text {
        "" | ".." => Err("name a release: SHADOW, or PRIMARY..SHADOW".to_owned()),
        text => Ok(ReleaseQuery::parse(text)),
    }
}

fn parse_share(text: &str) -> Result<f64, String> {
    let share: Option<f64> = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "write a share from 0 to 1, as 0.5".to_owned())
}

/// `p99=1.1`, or `first_byte:p99=1.1`.
fn parse_latency(text: &str) -> Result<LatencyLimit, String> {
    let wrong = || "write p99=1.1, or first_byte:p99=1.1".to_owned();
    let (span, limit) = text.split_once(':').unwrap_or(("total", text));
    let span = config::gate::span(span).ok_or_else(wrong)?;
    let (percentile, ratio) =
        limit.strip_prefix('p').and_then(|limit| limit.split_once('=')).ok_or_else(wrong)?;
    // Digits behind a point that is not written: p999 is p99.9, as reports have it.
    let digits = percentile.strip_prefix("99").filter(|rest| !rest.is_empty());
    let percentile = match digits.filter(|rest| rest.bytes().all(|b| b.is_ascii_digit())) {
        Some(digits) => format!("99.{digits}"),
        None => percentile.to_owned(),
    };
    let quantile = percentile.parse::<f64>().map_err(|_| wrong())? / 100.0;
    Ok(LatencyLimit { span, quantile, ratio: ratio.parse().map_err(|_| wrong())? })
}

pub(crate) fn parse_time(text: &str) -> Result<Timestamp, String> {
    let time: jiff::Timestamp =
        text.parse().map_err(|_| "no RFC 3339 time; write 2026-11-21T10:00:00Z".to_owned())?;
    u64::try_from(time.as_nanosecond())
        .map(Timestamp::from_nanos)
        .map_err(|_| "times before 1970 or after 2554 cannot be used".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use compare::gate::Span;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn latency_limits_are_read_as_people_write_them() {
        let read =
            |text| parse_latency(text).map(|l| (l.span, (l.quantile * 1e5).round(), l.ratio));
        assert_eq!(read("p99=1.1"), Ok((Span::Total, 99_000.0, 1.1)));
        assert_eq!(read("first_byte:p50=2"), Ok((Span::FirstByte, 50_000.0, 2.0)));
        assert_eq!(read("total:p999=1.5"), Ok((Span::Total, 99_900.0, 1.5)));
        assert_eq!(read("p99.9=1.5"), read("p999=1.5"));
        assert_eq!(read("p100=1.5"), Ok((Span::Total, 100_000.0, 1.5)));
        for wrong in ["99=1", "p99", "p=1", "all:p99=1", "p99=fast", "pµµµ=1"] {
            assert!(parse_latency(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_are_rfc_3339() {
        assert_eq!(parse_time("1970-01-01T00:00:01Z"), Ok(Timestamp::from_nanos(1_000_000_000)));
        assert!(parse_time("yesterday").is_err());
    }
}

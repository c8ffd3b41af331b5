//! The report as text: what came of the pairs, what differs most, then endpoints, accounts and
//! how well the tap saw, each with the command that leads deeper.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use store::{
    EndpointReport, LegAccounts, MirrorAudit, ReleaseReport, Report, ServiceReport,
    SignatureReport, UnreadCount,
};

use super::printable::printable;
use super::style::{bad, caution, good, heading, quiet};
use super::table::{Align, table};
use super::units::{count, counted, micros, share};
use crate::config::DEFAULT_STORE;
use crate::reconcile::Reconciliation;

/// Signatures and endpoints listed per service; JSON has them all.
const LISTED: usize = 20;

/// Sets the report for a terminal. `store` is where `show` would look; `None` where nothing was
/// kept.
pub(crate) fn text(
    report: &Report,
    reconciliation: &[Reconciliation],
    store: Option<&Path>,
) -> String {
    let mut out = String::new();
    write_report(&mut out, report, reconciliation, store).expect("strings take all");
    out
}

type Written = std::fmt::Result;

fn write_report(
    out: &mut String,
    report: &Report,
    lines: &[Reconciliation],
    store: Option<&Path>,
) -> Written {
    match (&report.from, &report.to) {
        (Some(from), Some(to)) => writeln!(out, "{}", quiet(format!("{from} to {to}")))?,
        _ => writeln!(out, "{}", caution(why_nothing(report)))?,
    }
    if report.sample_rate < 1.0 {
        let shed = format!("{:.2} %", (1.0 - report.sample_rate) * 100.0);
        writeln!(out, "{}", caution(format!("{shed} of the traffic was shed: this is a sample")))?;
    }
    for service in &report.services {
        writeln!(out)?;
        write_service(out, service, store)?;
        write_reconciliation(out, lines.iter().filter(|line| line.service == service.service))?;
    }
    let folded = report.left_out.signatures_folded;
    if folded > 0 {
        let folded = count(folded);
        writeln!(
            out,
            "\n{}",
            caution(format!("{folded} differences share a signature '{{other}}'"))
        )?;
    }
    Ok(())
}

/// The likeliest reason for a report without an exchange.
fn why_nothing(report: &Report) -> &'static str {
    let seen = |what: fn(&ServiceReport) -> bool| report.services.iter().any(what);
    if seen(|s| s.capture.anomalies.contains_key("not_http")) {
        "connections were seen, but none that speaks HTTP"
    } else if seen(|s| s.capture.other_addresses > 0) {
        "packets were seen, but none of the primary or the shadow: do the addresses fit?"
    } else if seen(|s| s.capture.packets > 0) {
        "packets were seen, but no exchange in them"
    } else {
        "nothing was seen yet: is there traffic, and does it pass where tapdiff captures?"
    }
}

fn write_service(out: &mut String, service: &ServiceReport, store: Option<&Path>) -> Written {
    let pairs = &service.pairs;
    writeln!(out, "{}", heading(&service.service))?;
    let diverged =
        format!("{} diverged ({})", count(pairs.diverged), share(pairs.diverged, pairs.compared));
    let diverged = if pairs.diverged > 0 { bad(diverged) } else { good(diverged) };
    let (compared, matched) = (counted(pairs.compared, "pair"), count(pairs.matched));
    writeln!(out, "  {compared} compared: {matched} matched, {diverged}")?;
    if pairs.request_bodies_equal > 0 {
        let equal = counted(pairs.request_bodies_equal, "pair");
        writeln!(out, "  {equal} with a request body: verified equal on both legs")?;
    }
    if !pairs.incomparable.is_empty() {
        let reasons = counts(&pairs.incomparable);
        let total = counted(pairs.incomparable.values().sum(), "pair");
        writeln!(out, "  {}", caution(format!("{total} could not be judged: {reasons}")))?;
    }
    write_signatures(out, &service.signatures, store)?;
    write_endpoints(out, &service.endpoints)?;
    write_shifts(out, &service.endpoints)?;
    write_releases(out, &service.releases)?;
    write_mirror(out, service)?;

    writeln!(out, "\n  {}", heading("Accounts"))?;
    write_account(out, "primary", &service.accounts.primary)?;
    write_account(out, "shadow", &service.accounts.shadow)?;
    if !service.suppressed.is_empty() {
        writeln!(out, "\n  {}", heading("Left out by rules"))?;
        let rows: Vec<Vec<String>> =
            service.suppressed.iter().map(|s| vec![count(s.count), s.rule.clone()]).collect();
        let columns = [("COUNT", Align::Right), ("RULE", Align::Left)];
        out.push_str(&table(4, &columns, &rows, header_quiet));
    }
    for alarm in &service.alarms {
        let rule = printable(&alarm.rule);
        let said = match alarm.why.as_str() {
            "never_fired" => format!("the rule '{rule}' explained nothing: is it still needed?"),
            "expired" => format!("the rule '{rule}' has expired"),
            "silences_body" => format!("the rule '{rule}' silences whole bodies"),
            other => format!("the rule '{rule}': {other}"),
        };
        writeln!(out, "    {}", caution(said))?;
    }
    write_capture(out, service)
}

fn write_signatures(
    out: &mut String,
    signatures: &[SignatureReport],
    store: Option<&Path>,
) -> Written {
    if signatures.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n  {}", heading("What differs"))?;
    let rows: Vec<Vec<String>> = signatures
        .iter()
        .take(LISTED)
        .map(|s| {
            let what = format!("{} {}", s.kind, printable(&s.path));
            let what = format!("{} {}", what.trim_end(), s.change);
            vec![count(s.count), printable(&s.endpoint), what, s.id.clone(), note(s)]
        })
        .collect();
    let columns = [
        ("COUNT", Align::Right),
        ("ENDPOINT", Align::Left),
        ("WHAT", Align::Left),
        ("SIGNATURE", Align::Left),
        ("", Align::Left),
    ];
    let expected: Vec<bool> =
        signatures.iter().map(|s| s.acknowledged || s.noise.is_some()).collect();
    let paint = |row: usize, column, cell: String| match (row, column) {
        (0, _) => quiet(cell),
        (_, 2) if !expected[row - 1] => bad(cell),
        (_, 4) if !expected[row - 1] => caution(cell),
        (_, 2 | 4) => quiet(cell),
        _ => cell,
    };
    out.push_str(&table(4, &columns, &rows, paint));
    more(out, signatures.len())?;
    let id = &signatures[0].id;
    let deeper = match store {
        None => "to look closer, keep what was judged: --store PATH".to_owned(),
        Some(path) if path == Path::new(DEFAULT_STORE) => {
            format!("look closer: tapdiff show {id}")
        }
        Some(path) => format!("look closer: tapdiff show --store {} {id}", path.display()),
    };
    writeln!(out, "    {}", quiet(deeper))
}

/// Why it is left out of the verdict, or no longer is.
fn note(signature: &SignatureReport) -> String {
    match (&signature.acknowledgement, &signature.noise) {
        (Some(_), _) if signature.acknowledged => "acknowledged".to_owned(),
        (_, Some(cause)) => format!("noise: {cause}"),
        (Some(_), None) => "acknowledgement expired".to_owned(),
        (None, None) => String::new(),
    }
}

/// The quantiles at which the shadow is surely slower or faster, for one look.
fn write_shifts(out: &mut String, endpoints: &[EndpointReport]) -> Written {
    let rows: Vec<Vec<String>> = endpoints
        .iter()
        .flat_map(|e| e.shift.iter().map(move |shift| (e, shift)))
        .filter_map(|(e, shift)| {
            let [low, high] = shift.interval.filter(|[low, high]| *low > 1.0 || *high < 1.0)?;
            let span = if shift.span == "total" { "total" } else { "first byte" };
            Some(vec![
                printable(&e.endpoint),
                format!("p{} {span}", percentile(shift.quantile)),
                micros(shift.primary_us),
                micros(shift.shadow_us),
                format!("{:.2} times", shift.ratio),
                format!("{low:.2} to {high:.2}"),
            ])
        })
        .collect();
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n  {}", heading("Slower or faster, with 95 % confidence"))?;
    let columns = [
        ("ENDPOINT", Align::Left),
        ("TIME", Align::Left),
        ("PRIMARY", Align::Right),
        ("SHADOW", Align::Right),
        ("RATIO", Align::Right),
        ("FROM .. TO", Align::Right),
    ];
    let listed = &rows[..rows.len().min(LISTED)];
    out.push_str(&table(4, &columns, listed, header_quiet));
    more(out, rows.len())
}

/// `50`, `99`, `99.9`: binary fractions of a quantile are no digits of a percentile.
fn percentile(quantile: f64) -> f64 {
    (quantile * 1e6).round() / 1e4
}

/// The versions that answered, where they are known.
fn write_releases(out: &mut String, releases: &[ReleaseReport]) -> Written {
    let known = |r: &ReleaseReport| !r.names.primary.is_empty() || !r.names.shadow.is_empty();
    if !releases.iter().any(known) {
        return Ok(());
    }
    writeln!(out, "\n  {}", heading("Releases"))?;
    let name = |name: &str| if name.is_empty() { "?".to_owned() } else { printable(name) };
    let latest = releases.len().saturating_sub(LISTED);
    let rows: Vec<Vec<String>> = releases[latest..]
        .iter()
        .map(|r| {
            vec![
                name(&r.names.primary),
                name(&r.names.shadow),
                count(r.pairs),
                count(r.diverged),
                r.first_seen.clone(),
                r.last_seen.clone(),
            ]
        })
        .collect();
    let columns = [
        ("PRIMARY", Align::Left),
        ("SHADOW", Align::Left),
        ("PAIRS", Align::Right),
        ("DIVERGED", Align::Right),
        ("FROM", Align::Left),
        ("TO", Align::Left),
    ];
    out.push_str(&table(4, &columns, &rows, header_quiet));
    more(out, releases.len())
}

/// How much the proxy mirrors against how much it is said to.
fn write_mirror(out: &mut String, service: &ServiceReport) -> Written {
    let row = |name: &str, audit: &MirrorAudit| {
        let percent = |share: f64| format!("{:.1} %", share * 100.0);
        let seen = audit.seen.map_or_else(|| "-".to_owned(), percent);
        let interval = audit.interval.map_or_else(String::new, |[low, high]| {
            format!("{} to {}", percent(low), percent(high))
        });
        let verdict = match audit.agrees {
            Some(true) => "as configured",
            Some(false) => "not as configured",
            None => "nothing seen",
        };
        vec![name.to_owned(), percent(audit.configured), seen, interval, verdict.to_owned()]
    };
    let all = service.mirror.iter().map(|audit| row("all of the service", audit));
    let each = service.endpoints.iter().filter_map(|e| {
        // What has the service's share is in its line, unless it stands out.
        let audit = e.mirror.as_ref()?;
        let own = service.mirror.as_ref().is_none_or(|all| all.configured != audit.configured);
        (own || audit.agrees == Some(false)).then(|| row(&printable(&e.endpoint), audit))
    });
    let rows: Vec<Vec<String>> = all.chain(each).collect();
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n  {}", heading("Mirrored share"))?;
    let columns = [
        ("ENDPOINT", Align::Left),
        ("CONFIGURED", Align::Right),
        ("SEEN", Align::Right),
        ("95 % INTERVAL", Align::Right),
        ("", Align::Left),
    ];
    let paint = |row, column, cell: String| match (row, column) {
        (0, _) => quiet(cell),
        (_, 4) if cell.starts_with("not") => caution(cell),
        _ => cell,
    };
    out.push_str(&table(4, &columns, &rows[..rows.len().min(LISTED)], paint));
    more(out, rows.len())
}

fn write_endpoints(out: &mut String, endpoints: &[EndpointReport]) -> Written {
    if endpoints.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n  {}", heading("Endpoints"))?;
    let quantile = |us: Option<u64>| us.map_or_else(|| "-".to_owned(), micros);
    let rows: Vec<Vec<String>> = endpoints
        .iter()
        .take(LISTED)
        .map(|e| {
            let (primary, shadow) = (&e.latency.primary.total, &e.latency.shadow.total);
            vec![
                printable(&e.endpoint),
                count(e.pairs),
                count(e.diverged),
                e.mirrored_share.map_or_else(|| "-".to_owned(), |s| format!("{:.1} %", s * 100.0)),
                quantile(primary.p50_us),
                quantile(shadow.p50_us),
                quantile(primary.p99_us),
                quantile(shadow.p99_us),
            ]
        })
        .collect();
    let columns = [
        ("ENDPOINT", Align::Left),
        ("PAIRS", Align::Right),
        ("DIVERGED", Align::Right),
        ("MIRRORED", Align::Right),
        ("P50 PRIMARY", Align::Right),
        ("SHADOW", Align::Right),
        ("P99 PRIMARY", Align::Right),
        ("SHADOW", Align::Right),
    ];
    let paint = |row, column, cell: String| match (row, column) {
        (0, _) => quiet(cell),
        (_, 2) if cell != "0" => bad(cell),
        _ => cell,
    };
    out.push_str(&table(4, &columns, &rows, paint));
    more(out, endpoints.len())
}

fn write_account(out: &mut String, leg: &str, account: &LegAccounts) -> Written {
    let outcomes: BTreeMap<String, u64> = account
        .outcomes
        .iter()
        .filter(|&(_, &n)| n > 0)
        .map(|(name, &n)| (name.clone(), n))
        .collect();
    let seen = count(account.seen);
    if outcomes.is_empty() {
        return writeln!(out, "    {leg:<8} {seen} exchanges seen");
    }
    writeln!(out, "    {leg:<8} {seen} exchanges seen: {}", counts(&outcomes))
}

fn write_capture(out: &mut String, service: &ServiceReport) -> Written {
    let capture = &service.capture;
    writeln!(out, "\n  {}", heading("Capture"))?;
    let dropped = |n: u64, what: &str| {
        let text = format!("{} {what}", count(n));
        if n > 0 { caution(text) } else { text }
    };
    let gap_bytes = count(capture.gap_bytes);
    writeln!(
        out,
        "    {} packets, {}, {}, {} ({gap_bytes} bytes)",
        count(capture.packets),
        dropped(capture.kernel_drops, "dropped by the kernel"),
        dropped(capture.interface_drops, "by the interface"),
        dropped(capture.gaps, "gaps"),
    )?;
    if !capture.anomalies.is_empty() {
        writeln!(out, "    {}", caution(format!("anomalies: {}", counts(&capture.anomalies))))?;
    }
    for unread in capture.unread.iter().take(LISTED) {
        writeln!(out, "    {}", caution(not_read(unread)))?;
    }
    more(out, capture.unread.len())
}

/// `not read: 3 TLS connections to shop.example.com at 10.0.0.1:443 (h2): no key`
fn not_read(unread: &UnreadCount) -> String {
    let UnreadCount { server, name, protocol, why, connections } = unread;
    let number = count(*connections);
    let Some(server) = server else {
        return format!("not read: {number} connections of further servers and names");
    };
    let plural = if *connections == 1 { "" } else { "s" };
    let place = match name {
        Some(name) => format!("{} at {server}", printable(name)),
        None => server.clone(),
    };
    let protocol = protocol.as_deref().map(printable);
    let because = |why: &str| {
        let spoken = protocol.as_ref().map_or(String::new(), |protocol| format!(" ({protocol})"));
        format!("not read: {number} TLS connection{plural} to {place}{spoken}: {why}")
    };
    match why.as_str() {
        "tls_without_keys" => because("no key"),
        "tls_wait_too_long" => because("no key came in time"),
        "tls_unsupported" => because("a version or cipher suite that is not read"),
        _ => {
            let protocol = protocol.as_deref().unwrap_or("another protocol");
            format!("not read: {number} connection{plural} to {place}: went on in {protocol}")
        }
    }
}

fn write_reconciliation<'a>(
    out: &mut String,
    lines: impl Iterator<Item = &'a Reconciliation>,
) -> Written {
    for (i, line) in lines.enumerate() {
        if i == 0 {
            writeln!(out, "\n  {}", heading("Envoy's counters against the tap's"))?;
        }
        let (envoy, tap) = (count(line.envoy_rq_total), count(line.tap_exchanges));
        let (leg, cluster) = (line.leg, &line.cluster);
        let text = format!("{leg:<8} {cluster}: {envoy} requests, {tap} exchanges");
        if line.equal {
            writeln!(out, "    {text}: {}", good("equal"))?;
        } else {
            let apart = count(line.envoy_rq_total.abs_diff(line.tap_exchanges));
            writeln!(out, "    {text}: {}", bad(format!("{apart} apart")))?;
        }
    }
    Ok(())
}

fn counts(named: &BTreeMap<String, u64>) -> String {
    let mut by_count: Vec<(&String, &u64)> = named.iter().collect();
    by_count.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    let listed: Vec<String> =
        by_count.into_iter().map(|(name, &n)| format!("{} {name}", count(n))).collect();
    listed.join(", ")
}

fn more(out: &mut String, all: usize) -> Written {
    if all > LISTED {
        let rest = all - LISTED;
        writeln!(out, "    {}", quiet(format!("and {rest} more: --format json lists all")))?;
    }
    Ok(())
}

fn header_quiet(row: usize, _: usize, cell: String) -> String {
    if row == 0 { quiet(cell) } else { cell }
}

//! The configuration file: read once, checked once, then trusted.
//!
//! Owns the file format (TOML), its defaults and the messages about what is wrong with it.
//! Unknown keys are refused. What leaves is a [`Config`] that holds only values that make sense,
//! and the text of what is in effect, whose digest every stored row carries.

mod descriptors;
mod fault;
pub(crate) mod gate;
mod limits;
mod release;
mod rule;
mod rule_file;
mod section;

use std::fmt::Write as _;
use std::net::{SocketAddr, ToSocketAddrs};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use capture::{
    AddressPattern, Leg, Limits, Origin, ParseAddressError, ServiceId, Target, Timestamp,
};
use compare::{
    Extractor, MessageRule, Mirror, NoiseLayer, NoiseLayers, Policy, ReleaseSource, Route, Rule,
    ServicePolicy, Window,
};
use toml::Spanned;
use toml::de::DeTable;

pub(crate) use descriptors::DescriptorSet;
pub(crate) use fault::Faults;
pub(crate) use release::MirrorShare;
pub(crate) use rule::text as rule_text;
pub(crate) use rule_file::RuleFile;
use section::{Notes, Section};

/// Where the daemon keeps its store when the file does not say.
pub(crate) const DEFAULT_STORE: &str = "/var/lib/tapdiff/tapdiff.db";

/// Where the daemon answers HTTP when the file does not say.
const DEFAULT_LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9464);

/// What tapdiff runs with.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// Interfaces to capture on; `analyze` needs none.
    pub(crate) interfaces: Vec<String>,
    /// Whether tunnels pass the kernel's filter.
    pub(crate) tunnels: bool,
    /// Capture threads per interface, over which the kernel spreads connections.
    pub(crate) threads: NonZeroUsize,
    /// Bytes captured per packet.
    pub(crate) snaplen_bytes: u32,
    /// Kernel buffer per capture thread.
    pub(crate) kernel_buffer_bytes: u32,
    /// Files that tell TLS keys, read as they grow.
    pub(crate) key_logs: Vec<PathBuf>,
    /// Bounds of the tap: of each, where there are several threads.
    pub(crate) limits: Limits,
    /// Bounds of the pairing window.
    pub(crate) window: Window,
    /// Exchanges that may wait between a capture thread and the judge.
    pub(crate) queue_exchanges: usize,
    /// The store's file.
    pub(crate) store: PathBuf,
    /// Header fields to redact besides the built-in ones.
    pub(crate) redact_headers: Vec<String>,
    /// JSON members to redact besides the built-in ones.
    pub(crate) redact_members: Vec<String>,
    /// What may differ before the verdict is no.
    pub(crate) gate: compare::gate::Policy,
    /// Where the daemon answers HTTP; `None`: nowhere.
    pub(crate) listen: Option<SocketAddr>,
    /// The services, by `ServiceId`.
    pub(crate) services: Vec<Service>,
    /// What is allowed and was hardly meant, with file and line.
    pub(crate) warnings: Vec<String>,
}

/// One mirrored service.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) name: Arc<str>,
    pub(crate) primary: Vec<Address>,
    pub(crate) shadow: Vec<Address>,
    /// A second copy of the primary's version; there may be none.
    pub(crate) secondary: Vec<Address>,
    pub(crate) mirror: Mirror,
    pub(crate) pair_by: Vec<Extractor>,
    pub(crate) rules: Vec<Rule>,
    /// How what varies by itself is told.
    pub(crate) noise: NoiseLayers,
    /// How far points in time may lie outside their exchange.
    pub(crate) clock_slack: Duration,
    pub(crate) release: ReleaseSource,
    pub(crate) mirror_shares: Vec<MirrorShare>,
    pub(crate) descriptor_set: Option<DescriptorSet>,
    pub(crate) messages: Vec<MessageRule>,
    pub(crate) routes: Vec<Route>,
}

/// An address as written and what it stands for now: a name may have several.
#[derive(Clone, Debug)]
pub(crate) struct Address {
    pub(crate) written: String,
    pub(crate) patterns: Vec<AddressPattern>,
}

impl Address {
    /// Reads an address; a host name is resolved.
    pub(crate) fn parse(written: &str) -> Result<Self, String> {
        let patterns = match written.parse() {
            Ok(pattern) => vec![pattern],
            Err(ParseAddressError::HostInvalid(why)) => resolve(written)
                .ok_or_else(|| ParseAddressError::HostInvalid(why).to_string())??,
            Err(why) => return Err(why.to_string()),
        };
        Ok(Self { written: written.to_owned(), patterns })
    }
}

/// The addresses of `name:port`. `None` where the host part cannot be a name.
fn resolve(written: &str) -> Option<Result<Vec<AddressPattern>, String>> {
    let (host, _) = written.rsplit_once(':')?;
    let name_like = host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    if !name_like || !host.bytes().any(|b| b.is_ascii_alphabetic()) {
        return None;
    }
    Some(match written.to_socket_addrs() {
        Ok(addresses) => Ok(addresses.map(AddressPattern::from).collect()),
        Err(why) => Err(format!("the name '{host}' does not resolve: {why}")),
    })
}

impl Service {
    /// A service with the defaults of every key that has one.
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            primary: Vec::new(),
            shadow: Vec::new(),
            secondary: Vec::new(),
            mirror: Mirror::Envoy,
            pair_by: vec![Extractor::Header("x-request-id".into())],
            rules: Vec::new(),
            noise: NoiseLayers::ALL,
            clock_slack: Duration::from_secs(60),
            release: ReleaseSource::Unknown,
            mirror_shares: Vec::new(),
            descriptor_set: None,
            messages: Vec::new(),
            routes: Vec::new(),
        }
    }

    /// How its exchanges are paired and compared.
    pub(crate) fn policy(&self) -> ServicePolicy {
        ServicePolicy {
            name: Arc::clone(&self.name),
            mirror: self.mirror,
            pair_by: self.pair_by.clone(),
            rules: self.rules.clone(),
            noise: self.noise,
            clock_slack: self.clock_slack,
            release: self.release.clone(),
            descriptors: self.descriptor_set.as_ref().map(|set| Arc::clone(&set.all)),
            messages: self.messages.clone(),
            routes: self.routes.clone(),
        }
    }
}

/// Reads where a store is. There is one kind: a file.
pub(crate) fn store_path(written: &str) -> Result<PathBuf, String> {
    if written.contains("://") {
        return Err("a URL names no store that this version knows; name a file".to_owned());
    }
    if written.is_empty() {
        return Err("name a file".to_owned());
    }
    Ok(PathBuf::from(written))
}

impl Default for Config {
    fn default() -> Self {
        Self {
            interfaces: Vec::new(),
            tunnels: false,
            threads: NonZeroUsize::MIN,
            snaplen_bytes: 262_144,
            kernel_buffer_bytes: 64 << 20,
            key_logs: Vec::new(),
            limits: Limits::default(),
            window: Window::default(),
            queue_exchanges: 16_384,
            store: PathBuf::from(DEFAULT_STORE),
            redact_headers: Vec::new(),
            redact_members: Vec::new(),
            gate: compare::gate::Policy::default(),
            listen: Some(DEFAULT_LISTEN),
            services: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

impl Config {
    /// Reads and checks a file.
    pub(crate) fn load(path: &Path) -> Result<Self, Faults> {
        let (file, text) = text_of(path)?;
        Self::parse(&file, &text)
    }

    /// Checks the text of a file named `file`.
    pub(crate) fn parse(file: &str, text: &str) -> Result<Self, Faults> {
        let (mut config, warnings) =
            parse(file, text, |top, dir, now| read_config(top, dir, now, Asks::Everything))?;
        config.warnings = warnings;
        Ok(config)
    }

    /// The addresses to follow.
    pub(crate) fn targets(&self) -> Vec<Target> {
        let mut targets = Vec::new();
        for (id, service) in (0..).zip(&self.services) {
            for (leg, addresses) in [
                (Leg::Primary, &service.primary),
                (Leg::Shadow, &service.shadow),
                (Leg::Secondary, &service.secondary),
            ] {
                let origin = Origin { service: ServiceId(id), leg };
                targets.extend(addresses.iter().flat_map(|address| {
                    address.patterns.iter().map(move |&address| Target { origin, address })
                }));
            }
        }
        targets
    }

    /// How exchanges are paired and compared.
    pub(crate) fn policy(&self) -> Policy {
        Policy {
            services: self.services.iter().map(Service::policy).collect(),
            window: self.window,
        }
    }

    /// What is in effect, as a configuration file with every key.
    pub(crate) fn effective(&self) -> String {
        let mut text = String::new();
        self.write_effective(&mut text).expect("writing to a string does not fail");
        text
    }

    /// Names exactly what is in effect: 16 hexadecimal digits.
    pub(crate) fn digest(&self) -> String {
        blake3::hash(self.effective().as_bytes()).to_hex()[..16].to_owned()
    }

    fn write_effective(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "[capture]")?;
        writeln!(out, "interfaces = {}", list(&self.interfaces))?;
        writeln!(out, "tunnels = {}", self.tunnels)?;
        let key_logs: Vec<String> =
            self.key_logs.iter().map(|path| path.display().to_string()).collect();
        writeln!(out, "keylog = {}", list(&key_logs))?;
        writeln!(out, "threads = {}", self.threads)?;
        writeln!(out, "snaplen_bytes = {}", self.snaplen_bytes)?;
        writeln!(out, "kernel_buffer_bytes = {}", self.kernel_buffer_bytes)?;
        writeln!(out, "queue_exchanges = {}", self.queue_exchanges)?;
        limits::write(out, &self.limits)?;
        writeln!(out, "\n[pairing]")?;
        writeln!(out, "window_ms = {}", self.window.time.as_millis())?;
        writeln!(out, "window_exchanges = {}", self.window.exchanges)?;
        writeln!(out, "window_bytes = {}", self.window.bytes)?;
        writeln!(out, "\n[store]")?;
        writeln!(out, "path = {}", quoted(&self.store.display().to_string()))?;
        writeln!(out, "\n[redact]")?;
        writeln!(out, "headers = {}", list(&self.redact_headers))?;
        writeln!(out, "json_members = {}", list(&self.redact_members))?;
        gate::write(out, &self.gate)?;
        writeln!(out, "\n[http]")?;
        let listen = self.listen.map(|address| address.to_string()).unwrap_or_default();
        writeln!(out, "listen = {}", quoted(&listen))?;
        for service in &self.services {
            writeln!(out, "\n[[service]]")?;
            writeln!(out, "name = {}", quoted(&service.name))?;
            let written = |addresses: &[Address]| {
                list(&addresses.iter().map(|a| a.written.clone()).collect::<Vec<_>>())
            };
            writeln!(out, "primary = {}", written(&service.primary))?;
            writeln!(out, "shadow = {}", written(&service.shadow))?;
            writeln!(out, "secondary = {}", written(&service.secondary))?;
            writeln!(out, "mirror = {}", quoted(service.mirror.as_str()))?;
            let pair_by: Vec<String> = service.pair_by.iter().map(ToString::to_string).collect();
            writeln!(out, "pair_by = {}", list(&pair_by))?;
            let noise: Vec<String> = service.noise.iter().map(|layer| layer.to_string()).collect();
            writeln!(out, "noise = {}", list(&noise))?;
            writeln!(out, "clock_slack_ms = {}", service.clock_slack.as_millis())?;
            release::write(out, &service.release)?;
            let routes: Vec<String> = service.routes.iter().map(ToString::to_string).collect();
            writeln!(out, "routes = {}", list(&routes))?;
            if let Some(set) = &service.descriptor_set {
                // Its content is in effect, not its name.
                writeln!(out, "# BLAKE3 {}", set.digest)?;
                writeln!(out, "descriptor_set = {}", quoted(&set.path.display().to_string()))?;
            }
            release::write_shares(out, &service.mirror_shares)?;
            for message in &service.messages {
                writeln!(out, "\n[[service.message]]")?;
                if let Some(endpoint) = &message.endpoint {
                    writeln!(out, "endpoint = {}", quoted(&endpoint.to_string()))?;
                }
                writeln!(out, "response = {}", quoted(&message.response))?;
            }
            for rule in &service.rules {
                rule::write(out, rule)?;
            }
        }
        Ok(())
    }
}

fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn list(items: &[String]) -> String {
    let items: Vec<String> = items.iter().map(|item| quoted(item)).collect();
    format!("[{}]", items.join(", "))
}

/// What a file has to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asks {
    /// All that it takes to capture and compare.
    Everything,
    /// Rules, and whom they are for: nothing is captured.
    Rules,
}

/// Reads the text of a file named `file`; with what came of it, its warnings with file and line.
fn parse<T>(
    file: &str,
    text: &str,
    read: impl FnOnce(Section<'_, '_>, &Path, Timestamp) -> T,
) -> Result<(T, Vec<String>), Faults> {
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        let line = text[..at.min(text.len())].bytes().filter(|&b| b == b'\n').count() + 1;
        let message = error.message().lines().next().unwrap_or("no TOML").to_owned();
        Faults::one(file, line, message)
    })?;
    let notes = Notes::new(text);
    let span = table.span();
    // What the file names it names from where it is.
    let dir = Path::new(file).parent().unwrap_or(Path::new(""));
    let now = u64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or_default();
    let now = Timestamp::from_nanos(now);
    let read = read(Section::new("", span, table.into_inner(), &notes), dir, now);
    let (faults, warnings) = notes.into_faults();
    if !faults.is_empty() {
        return Err(Faults { file: file.to_owned(), faults });
    }
    let told = |warning| Faults { file: file.to_owned(), faults: vec![warning] }.to_string();
    Ok((read, warnings.into_iter().map(told).collect()))
}

/// The text of a file, and its name for messages.
fn text_of(path: &Path) -> Result<(String, String), Faults> {
    let file = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => Ok((file, text)),
        Err(why) => Err(Faults::one(&file, 0, format!("cannot be read: {why}"))),
    }
}

fn read_config(mut top: Section<'_, '_>, dir: &Path, now: Timestamp, asks: Asks) -> Config {
    let mut config = Config::default();
    read_capture(top.table("capture", "[capture]"), &mut config);
    read_pairing(top.table("pairing", "[pairing]"), &mut config);
    let mut store = top.table("store", "[store]");
    if let Some(path) = store.string("path") {
        match store_path(path.get_ref()) {
            Ok(path) => config.store = path,
            Err(why) => store.note(&path.span(), format!("path = '{}': {why}", path.get_ref())),
        }
    }
    store.finish();
    let mut redact = top.table("redact", "[redact]");
    config.redact_headers = unspanned(redact.strings("headers"));
    config.redact_members = unspanned(redact.strings("json_members"));
    redact.finish();
    config.gate = gate::read(top.table("gate", "[gate]"));
    read_http(top.table("http", "[http]"), &mut config);

    let span = top.span();
    let services = top.tables("service", "[[service]]");
    if services.is_empty() {
        top.note(&span, "no [[service]]: name at least one with its primary and shadow".into());
    }
    if services.len() > usize::from(u16::MAX) {
        top.note(&span, format!("more than {} services", u16::MAX));
    }
    for section in services {
        read_service(section, dir, &mut config.services, (now, asks));
    }
    top.finish();
    config
}

fn read_http(mut section: Section<'_, '_>, config: &mut Config) {
    if let Some(listen) = section.string("listen") {
        config.listen = match listen.get_ref().as_str() {
            "" => None,
            written => {
                let address = written.parse().ok();
                if address.is_none() {
                    let why = "no address and port; write 127.0.0.1:9464, or nothing for none";
                    section.note(&listen.span(), format!("listen = '{written}': {why}"));
                }
                address
            }
        };
    }
    section.finish();
}

fn read_capture(mut section: Section<'_, '_>, config: &mut Config) {
    let span = section.span();
    config.interfaces = unspanned(section.strings("interfaces"));
    if let Some(twice) = captured_twice(&config.interfaces) {
        section.note(&span, twice);
    }
    config.tunnels = section.boolean("tunnels", config.tunnels);
    config.key_logs = unspanned(section.strings("keylog")).into_iter().map(PathBuf::from).collect();
    let mut number = |key, range, default: usize| {
        usize::try_from(section.integer(key, range, default as u64)).unwrap_or(default)
    };
    const GIB: u64 = 1 << 30;
    config.queue_exchanges = number("queue_exchanges", 64..=10_000_000, config.queue_exchanges);
    config.snaplen_bytes =
        narrow(&mut section, "snaplen_bytes", 96..=262_144, config.snaplen_bytes);
    config.kernel_buffer_bytes =
        narrow(&mut section, "kernel_buffer_bytes", 1 << 20..=GIB, config.kernel_buffer_bytes);
    let threads = usize::try_from(section.integer("threads", 1..=64, 1)).unwrap_or(1);
    config.threads = NonZeroUsize::new(threads).unwrap_or(NonZeroUsize::MIN);
    limits::read(&mut section, &mut config.limits);
    section.finish();
}

fn read_pairing(mut section: Section<'_, '_>, config: &mut Config) {
    // Longer than the response timeout by default: a slow shadow must be seen to time out before
    // its primary may count as unmirrored.
    let floor = config.limits.response_timeout;
    let default = config.window.time.max(floor + Duration::from_secs(5));
    let window = &mut config.window;
    window.time = duration(&mut section, "window_ms", 100..=7_200_000, default);
    if window.time < floor {
        let span = section.span();
        let (window, floor) = (window.time.as_millis(), floor.as_millis());
        section.note(
            &span,
            format!(
                "window_ms ({window}) must not be below response_timeout_ms ({floor}): \
                 a slow shadow would count as unmirrored"
            ),
        );
    }
    let most = 1 << 40;
    let exchanges = section.integer("window_exchanges", 16..=100_000_000, window.exchanges as u64);
    let bytes = section.integer("window_bytes", 1 << 20..=most, window.bytes as u64);
    window.exchanges = usize::try_from(exchanges).unwrap_or(window.exchanges);
    window.bytes = usize::try_from(bytes).unwrap_or(window.bytes);
    section.finish();
}

fn read_service(
    mut section: Section<'_, '_>,
    dir: &Path,
    services: &mut Vec<Service>,
    (now, asks): (Timestamp, Asks),
) {
    let span = section.span();
    if !section.has("name") {
        section.note(&span, "a [[service]] needs a name: name = \"…\"".into());
    }
    let name = section.string("name").map(Spanned::into_inner).unwrap_or_default();
    if !name.is_empty() && services.iter().any(|other| *other.name == *name) {
        section.note(&span, format!("two services are named '{name}'"));
    }
    let mut service = Service::new(&name);
    match asks {
        Asks::Everything => {
            service.primary = read_addresses(&mut section, "primary");
            service.shadow = read_addresses(&mut section, "shadow");
            if let Some(written) = section.strings("secondary") {
                service.secondary = parse_addresses(&section, "secondary", &written);
            }
        }
        // Names in addresses may mean nothing where the rules are tried.
        Asks::Rules => {
            for key in ["primary", "shadow", "secondary"] {
                section.strings(key);
            }
        }
    }
    if let Some(mirror) = section.string("mirror")
        && let Some(mirror) = section.parse("mirror", &mirror)
    {
        service.mirror = mirror;
    }
    if let Some(pair_by) = section.strings("pair_by") {
        if pair_by.is_empty() {
            section.note(&span, "pair_by must name at least one extractor".into());
        }
        service.pair_by =
            pair_by.iter().filter_map(|text| section.parse("pair_by", text)).collect();
    }
    service.routes = read_routes(&mut section);
    (service.descriptor_set, service.messages) = descriptors::read(&mut section, dir);
    service.release = release::read(&mut section);
    service.mirror_shares = release::read_shares(&mut section);
    if let Some(noise) = section.strings("noise") {
        let parsed = noise.iter().filter_map(|text| section.parse::<NoiseLayer>("noise", text));
        service.noise = parsed.collect();
    }
    service.clock_slack =
        duration(&mut section, "clock_slack_ms", 0..=3_600_000, service.clock_slack);
    service.rules = rule::read_all(&mut section, "[[service.rule]]", now);
    services.push(service);
    if let Some(clash) = clash(services) {
        section.note(&span, clash);
    }
    section.finish();
}

/// Whether two of the interfaces would show the same packets, and every exchange twice.
pub(crate) fn captured_twice(interfaces: &[String]) -> Option<String> {
    if interfaces.len() > 1 && interfaces.iter().any(|name| name == "any") {
        return Some("'any' captures on every interface: name no other beside it".to_owned());
    }
    let twice = (1..interfaces.len()).find(|&i| interfaces[..i].contains(&interfaces[i]))?;
    Some(format!("the interface '{}' is named twice", interfaces[twice]))
}

/// Whether an address of the last service stands for two legs, of itself or with one before it: an
/// exchange would be counted for one of them only.
pub(crate) fn clash(services: &[Service]) -> Option<String> {
    let all: Vec<(String, &Address)> = services
        .iter()
        .flat_map(|service| {
            let on = |leg: &str| format!("{leg} of '{}'", service.name);
            let primary = service.primary.iter().map(move |address| (on("primary"), address));
            let shadow = service.shadow.iter().map(move |address| (on("shadow"), address));
            let copies = service.secondary.iter();
            let secondary = copies.map(move |address| (on("secondary"), address));
            primary.chain(shadow).chain(secondary)
        })
        .collect();
    all.iter().enumerate().find_map(|(i, (leg, address))| {
        let (other, _) = all[..i].iter().find(|(other, earlier)| {
            other != leg && earlier.patterns.iter().any(|p| address.patterns.contains(p))
        })?;
        Some(format!("'{}' is both {other} and {leg}", address.written))
    })
}

/// Reads `routes`: none of them twice, and none behind one that takes all it takes.
fn read_routes(section: &mut Section<'_, '_>) -> Vec<Route> {
    let written = section.strings("routes").unwrap_or_default();
    let (mut routes, mut spans) = (Vec::new(), Vec::new());
    for text in &written {
        if let Some(route) = section.parse::<Route>("routes", text) {
            routes.push(route);
            spans.push(text.span());
        }
    }
    for (at, before) in compare::unreached_routes(&routes) {
        let (route, before) = (&routes[at], &routes[before]);
        let message = if route == before {
            format!("routes: '{route}' is named twice")
        } else {
            format!("routes: '{route}' is never reached: '{before}' before it takes the same")
        };
        section.note(&spans[at], message);
    }
    routes
}

fn read_addresses(section: &mut Section<'_, '_>, key: &'static str) -> Vec<Address> {
    let span = section.span();
    if !section.has(key) {
        let example = format!("{key} = [\"10.0.0.1:8080\"]");
        section.note(&span, format!("a [[service]] needs its {key}: {example}"));
    }
    let Some(written) = section.strings(key) else { return Vec::new() };
    if written.is_empty() {
        section.note(&span, format!("'{key}' needs at least one address"));
    }
    parse_addresses(section, key, &written)
}

fn parse_addresses(
    section: &Section<'_, '_>,
    key: &str,
    written: &[Spanned<String>],
) -> Vec<Address> {
    let mut addresses = Vec::new();
    for text in written {
        match Address::parse(text.get_ref()) {
            Ok(address) => addresses.push(address),
            Err(why) => section.note(&text.span(), format!("{key} = '{}': {why}", text.get_ref())),
        }
    }
    addresses
}

fn unspanned(strings: Option<Vec<Spanned<String>>>) -> Vec<String> {
    strings.unwrap_or_default().into_iter().map(Spanned::into_inner).collect()
}

fn duration(
    section: &mut Section<'_, '_>,
    key: &'static str,
    range_ms: std::ops::RangeInclusive<u64>,
    default: Duration,
) -> Duration {
    let default = u64::try_from(default.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(section.integer(key, range_ms, default))
}

fn narrow(
    section: &mut Section<'_, '_>,
    key: &'static str,
    range: std::ops::RangeInclusive<u64>,
    default: u32,
) -> u32 {
    u32::try_from(section.integer(key, range, u64::from(default))).unwrap_or(default)
}

#[cfg(test)]
mod tests;

//! What to compare and how, checked: the configuration as compare needs it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use capture::ServiceId;

use crate::{Descriptors, Extractor, Releases, Route, Rule, TextPattern};

/// How exchanges are paired and compared.
#[derive(Clone, Debug)]
pub struct Policy {
    /// By `ServiceId`.
    pub services: Vec<ServicePolicy>,
    /// Bounds of the pairing window, over all services.
    pub window: Window,
}

impl Policy {
    /// What holds for `service`; `None` for one that is not configured.
    #[must_use]
    pub fn service(&self, service: ServiceId) -> Option<&ServicePolicy> {
        self.services.get(usize::from(service.0))
    }
}

/// What holds for one service.
#[derive(Clone, Debug)]
pub struct ServicePolicy {
    /// Its name.
    pub name: Arc<str>,
    /// Which proxy makes the copy: what it changes on the shadow leg is no difference.
    pub mirror: Mirror,
    /// Where the pairing key is found: the first that yields a value.
    pub pair_by: Vec<Extractor>,
    /// Differences that are expected. Where several match, the first is counted.
    pub rules: Vec<Rule>,
    /// How what varies by itself is told from what the shadow does.
    pub noise: NoiseLayers,
    /// How far outside its own exchange a point in time may lie to be taken for when the answer was
    /// made. Default 60 s: clocks that are that far apart are not a release's doing.
    pub clock_slack: Duration,
    /// Where the versions of its legs are known from.
    pub release: ReleaseSource,
    /// What its protobuf messages mean; `None`: they are compared as bytes.
    pub descriptors: Option<Arc<Descriptors>>,
    /// Which messages answer at which endpoint, where neither a gRPC method nor a content type says
    /// it. The first that holds counts.
    pub messages: Vec<MessageRule>,
    /// Endpoints that are named. The first that takes a request counts.
    pub routes: Vec<Route>,
}

/// Which message answers at some endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageRule {
    /// The endpoints it holds for, e.g. `GET /api/v1/*`; `*` stands for any text. `None`: all.
    pub endpoint: Option<TextPattern>,
    /// The full name of the message, `package.Message`.
    pub response: Box<str>,
}

impl MessageRule {
    pub(crate) fn holds_for(&self, endpoint: &str) -> bool {
        let pattern = self.endpoint.as_ref();
        pattern.is_none_or(|pattern| pattern.matches(endpoint.as_bytes()))
    }
}

/// Where the versions of a service's legs are known from.
#[derive(Clone, Debug, Default)]
pub enum ReleaseSource {
    /// Nowhere.
    #[default]
    Unknown,
    /// They are told beforehand.
    Configured(Releases),
    /// Each answer names its own in the header field of this name, in lower case.
    Header(Box<str>),
}

impl ServicePolicy {
    /// A service with the defaults: Envoy's mirror, paired by [`Extractor::default`], no rules.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            mirror: Mirror::Envoy,
            pair_by: vec![Extractor::default()],
            rules: Vec::new(),
            noise: NoiseLayers::ALL,
            clock_slack: Duration::from_secs(60),
            release: ReleaseSource::Unknown,
            descriptors: None,
            messages: Vec::new(),
            routes: Vec::new(),
        }
    }
}

/// A way to tell what varies by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NoiseLayer {
    /// Points in time near their own exchange, written the same way on both legs.
    Timestamp,
    /// The primary's own answers to a request that comes again.
    Itself,
    /// A second copy of the primary.
    Secondary,
    /// Random tokens that are new every time, where no request comes again.
    Token,
}

impl NoiseLayer {
    /// All of them, in the order of declaration.
    pub const ALL: [Self; 4] = [Self::Timestamp, Self::Itself, Self::Secondary, Self::Token];

    /// As the configuration writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Timestamp => "timestamp",
            Self::Itself => "self",
            Self::Secondary => "secondary",
            Self::Token => "token",
        }
    }
}

impl fmt::Display for NoiseLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for NoiseLayer {
    type Err = ParseNoiseLayerError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|layer| layer.as_str() == text)
            .ok_or_else(|| ParseNoiseLayerError(text.to_owned()))
    }
}

/// The text that names no way to tell noise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseNoiseLayerError(pub String);

impl fmt::Display for ParseNoiseLayerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(text) = self;
        write!(f, "'{text}' is no kind of noise; write timestamp, self, secondary or token")
    }
}

impl std::error::Error for ParseNoiseLayerError {}

/// Some of the [`NoiseLayer`]s.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NoiseLayers(u8);

impl NoiseLayers {
    /// None: every difference that no rule explains is reported.
    pub const NONE: Self = Self(0);

    /// All of them.
    pub const ALL: Self = Self((1 << NoiseLayer::ALL.len()) - 1);

    /// Whether `layer` is one of them.
    #[must_use]
    pub const fn has(self, layer: NoiseLayer) -> bool {
        self.0 & (1 << layer as u8) != 0
    }

    /// Those that are there, in the order of declaration.
    pub fn iter(self) -> impl Iterator<Item = NoiseLayer> {
        NoiseLayer::ALL.into_iter().filter(move |&layer| self.has(layer))
    }
}

impl FromIterator<NoiseLayer> for NoiseLayers {
    fn from_iter<I: IntoIterator<Item = NoiseLayer>>(layers: I) -> Self {
        Self(layers.into_iter().fold(0, |all, layer| all | 1 << layer as u8))
    }
}

/// Bounds of what waits for its other leg.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// How long an exchange waits after its end. Default 35 s: longer than
    /// `capture::Limits::response_timeout`, so that a slow shadow is `TimedOut` before its primary
    /// would be `Unmirrored`.
    pub time: Duration,
    /// Exchanges waiting. Default 200_000; above it the oldest is shed.
    pub exchanges: usize,
    /// Bytes they hold. Default 64 MiB; above it the oldest is shed.
    pub bytes: usize,
}

impl Default for Window {
    fn default() -> Self {
        Self { time: Duration::from_secs(35), exchanges: 200_000, bytes: 64 << 20 }
    }
}

/// The proxy that makes the copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mirror {
    /// Envoy: `-shadow` after the host, its own address appended to `x-forwarded-for`,
    /// `x-envoy-internal`, its own span ids.
    Envoy,
    /// Istio: as Envoy, which it is made of.
    Istio,
    /// nginx's `mirror`: the host is each location's upstream unless set.
    Nginx,
    /// HAProxy with spoa-mirror: what HAProxy itself adds to requests is missing on the copy.
    Haproxy,
    /// Nothing is changed on the way.
    None,
}

impl Mirror {
    /// All of them, in the order of declaration.
    pub const ALL: [Self; 5] = [Self::Envoy, Self::Istio, Self::Nginx, Self::Haproxy, Self::None];

    /// As the configuration writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Envoy => "envoy",
            Self::Istio => "istio",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::None => "none",
        }
    }
}

impl fmt::Display for Mirror {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Mirror {
    type Err = ParseMirrorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|mirror| mirror.as_str() == text)
            .ok_or_else(|| ParseMirrorError(text.to_owned()))
    }
}

/// The text that names no mirroring proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseMirrorError(pub String);

impl fmt::Display for ParseMirrorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(text) = self;
        write!(f, "'{text}' is no mirror; write envoy, istio, nginx, haproxy or none")
    }
}

impl std::error::Error for ParseMirrorError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_are_a_set_of_those_named() {
        for layer in NoiseLayer::ALL {
            assert_eq!(layer.as_str().parse(), Ok(layer));
            assert!(NoiseLayers::ALL.has(layer) && !NoiseLayers::NONE.has(layer));
        }
        let some: NoiseLayers = [NoiseLayer::Token, NoiseLayer::Timestamp].into_iter().collect();
        assert!(some.iter().eq([NoiseLayer::Timestamp, NoiseLayer::Token]));
        assert_eq!(
            "all".parse::<NoiseLayer>().unwrap_err().to_string(),
            "'all' is no kind of noise; write timestamp, self, secondary or token"
        );
    }

    #[test]
    fn every_mirror_is_read_as_it_is_written() {
        for mirror in Mirror::ALL {
            assert_eq!(mirror.as_str().parse(), Ok(mirror));
        }
        assert_eq!(
            "traefik".parse::<Mirror>().unwrap_err().to_string(),
            "'traefik' is no mirror; write envoy, istio, nginx, haproxy or none"
        );
    }
}

//! Which service and leg an address belongs to.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// Which copy of the traffic an exchange belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Leg {
    /// The backend that answers the client.
    Primary,
    /// The backend that gets the copy.
    Shadow,
    /// A second copy of the primary's version: the noise baseline.
    Secondary,
}

impl Leg {
    /// All legs, in the order of declaration.
    pub const ALL: [Self; 3] = [Self::Primary, Self::Shadow, Self::Secondary];

    /// As configuration, reports and stores write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Primary => "primary",
            Self::Shadow => "shadow",
            Self::Secondary => "secondary",
        }
    }
}

/// Index of a configured service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceId(pub u16);

/// The service and leg of a server address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// Which service.
    pub service: ServiceId,
    /// Which leg of it.
    pub leg: Leg,
}

/// A server address to follow, and what it is. The first that matches wins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// What it is.
    pub origin: Origin,
    /// Where it listens.
    pub address: AddressPattern,
}

/// A server address or a range of them, with its port.
///
/// Written `10.0.0.1:8080`, `10.0.0.0/24:8080`, `[2001:db8::1]:8080`, `[2001:db8::]/64:8080` or
/// `:8080` (any address). Names are resolved before they get here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AddressPattern {
    /// Network and prefix length; `None` matches every address.
    pub network: Option<(IpAddr, u8)>,
    /// TCP port.
    pub port: u16,
}

impl AddressPattern {
    /// Whether `address` lies in it.
    #[must_use]
    pub fn matches(&self, address: SocketAddr) -> bool {
        if address.port() != self.port {
            return false;
        }
        match (self.network, address.ip()) {
            (None, _) => true,
            (Some((IpAddr::V4(net), len)), IpAddr::V4(ip)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(len)).unwrap_or(0);
                (net.to_bits() ^ ip.to_bits()) & mask == 0
            }
            (Some((IpAddr::V6(net), len)), IpAddr::V6(ip)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(len)).unwrap_or(0);
                (net.to_bits() ^ ip.to_bits()) & mask == 0
            }
            _ => false,
        }
    }
}

impl From<SocketAddr> for AddressPattern {
    fn from(address: SocketAddr) -> Self {
        let len = if address.is_ipv4() { 32 } else { 128 };
        Self { network: Some((address.ip(), len)), port: address.port() }
    }
}

impl fmt::Display for AddressPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.network {
            None => write!(f, ":{}", self.port),
            Some((ip @ IpAddr::V4(_), 32)) => write!(f, "{ip}:{}", self.port),
            Some((ip @ IpAddr::V4(_), len)) => write!(f, "{ip}/{len}:{}", self.port),
            Some((ip @ IpAddr::V6(_), 128)) => write!(f, "[{ip}]:{}", self.port),
            Some((ip @ IpAddr::V6(_), len)) => write!(f, "[{ip}]/{len}:{}", self.port),
        }
    }
}

/// Why a text is no address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParseAddressError {
    /// There is no `:PORT` at the end.
    PortMissing,
    /// The port is no number from 1 to 65535.
    PortInvalid(String),
    /// The part before the port is neither an IP address nor a network. It may be a host name,
    /// which the caller may resolve.
    HostInvalid(String),
    /// The prefix length is no number or too large for the address family.
    PrefixInvalid(String),
}

impl fmt::Display for ParseAddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PortMissing => write!(f, "the port is missing; write ADDRESS:PORT"),
            Self::PortInvalid(port) => write!(f, "'{port}' is no port (1 to 65535)"),
            Self::HostInvalid(host) => write!(f, "'{host}' is no IP address or network"),
            Self::PrefixInvalid(len) => write!(f, "'/{len}' is no prefix length of this address"),
        }
    }
}

impl std::error::Error for ParseAddressError {}

impl FromStr for AddressPattern {
    type Err = ParseAddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (host, port) = text.rsplit_once(':').ok_or(ParseAddressError::PortMissing)?;
        if host.starts_with('[') && !host.contains(']') {
            // `[2001:db8::1]` without a port splits inside the brackets.
            return Err(ParseAddressError::PortMissing);
        }
        let port = match port.parse() {
            Ok(0) | Err(_) => return Err(ParseAddressError::PortInvalid(port.to_owned())),
            Ok(port) => port,
        };
        if host.is_empty() {
            return Ok(Self { network: None, port });
        }
        let (host, prefix) = match host.split_once('/') {
            Some((host, prefix)) => (host, Some(prefix)),
            None => (host, None),
        };
        let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let ip: IpAddr =
            bare.parse().map_err(|_| ParseAddressError::HostInvalid(host.to_owned()))?;
        if ip.is_ipv6() && bare.len() == host.len() {
            return Err(ParseAddressError::HostInvalid(format!(
                "{host}' (an IPv6 address needs brackets: '[{host}]"
            )));
        }
        let max = if ip.is_ipv4() { 32 } else { 128 };
        let len = match prefix {
            None => max,
            Some(prefix) => prefix
                .parse()
                .ok()
                .filter(|&len| len <= max)
                .ok_or_else(|| ParseAddressError::PrefixInvalid(prefix.to_owned()))?,
        };
        Ok(Self { network: Some((ip, len)), port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> AddressPattern {
        text.parse().unwrap()
    }

    #[test]
    fn every_written_form_is_read_and_written_back() {
        for text in [
            "10.0.0.1:8080",
            "10.0.0.0/24:8080",
            "[2001:db8::1]:8080",
            "[2001:db8::]/64:443",
            ":8080",
        ] {
            assert_eq!(pattern(text).to_string(), text);
        }
    }

    #[test]
    fn a_network_matches_its_addresses_on_its_port_only() {
        let net = pattern("10.0.0.0/24:8080");
        assert!(net.matches("10.0.0.255:8080".parse().unwrap()));
        assert!(!net.matches("10.0.1.0:8080".parse().unwrap()));
        assert!(!net.matches("10.0.0.1:8081".parse().unwrap()));
        assert!(pattern("0.0.0.0/0:80").matches("203.0.113.9:80".parse().unwrap()));
        assert!(!pattern("0.0.0.0/0:80").matches("[::1]:80".parse().unwrap()));
        assert!(pattern(":80").matches("[::1]:80".parse().unwrap()));
    }

    #[test]
    fn a_wrong_address_says_what_is_wrong() {
        let error = |text: &str| text.parse::<AddressPattern>().unwrap_err();
        assert_eq!(error("10.0.0.1"), ParseAddressError::PortMissing);
        assert_eq!(error("[::1]"), ParseAddressError::PortMissing);
        assert_eq!(error("10.0.0.1:0"), ParseAddressError::PortInvalid("0".into()));
        assert_eq!(error("10.0.0.1:http"), ParseAddressError::PortInvalid("http".into()));
        assert_eq!(error("10.0.0.0/33:80"), ParseAddressError::PrefixInvalid("33".into()));
        assert_eq!(error("backend:80"), ParseAddressError::HostInvalid("backend".into()));
        assert!(error("::1:80").to_string().contains("brackets"));
    }
}

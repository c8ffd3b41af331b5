//! What can go wrong with a live interface.

use std::fmt;

use crate::LinkType;

/// Why an interface is not captured on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LiveError {
    /// This process may not capture.
    NotPermitted {
        /// The interface.
        name: String,
    },
    /// There is no such interface.
    NoSuchInterface {
        /// What was asked for.
        name: String,
        /// Those that there are.
        available: Vec<String>,
    },
    /// Its packets have a link type that is not read.
    UnknownLinkType {
        /// The interface.
        name: String,
        /// libpcap's number of the link type.
        number: i32,
    },
    /// The kernel does not take the filter.
    Filter {
        /// The filter.
        filter: String,
        /// What libpcap says.
        message: String,
    },
    /// It cannot be opened.
    Open {
        /// The interface.
        name: String,
        /// What libpcap says.
        message: String,
    },
    /// It cannot be read on: it went down or away.
    Read {
        /// The interface.
        name: String,
        /// What libpcap says.
        message: String,
    },
}

impl LiveError {
    /// Sorts out why `name` did not open.
    pub(super) fn of_open(name: &str, error: &pcap::Error, available: Vec<String>) -> Self {
        let name = name.to_owned();
        let message = error.to_string();
        // The crate hands on libpcap's text, not its code. Who may not capture may still list the
        // interfaces, so a name that is missing there is the surer reason.
        if !available.is_empty() && !available.contains(&name) {
            return Self::NoSuchInterface { name, available };
        }
        let lower = message.to_ascii_lowercase();
        if ["permission", "not permitted", "cap_net_raw"].iter().any(|word| lower.contains(word)) {
            return Self::NotPermitted { name };
        }
        Self::Open { name, message }
    }
}

impl fmt::Display for LiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPermitted { name } => write!(f, "capture on {name} not permitted"),
            Self::NoSuchInterface { name, available } => {
                write!(f, "no interface '{name}'; there are: {}", available.join(", "))
            }
            Self::UnknownLinkType { name, number } => write!(
                f,
                "{name}: link type {number} is not read; tapdiff reads {}",
                LinkType::NAMES
            ),
            Self::Filter { filter, message } => {
                write!(f, "the kernel does not take the filter '{filter}': {message}")
            }
            Self::Open { name, message } => write!(f, "{name}: cannot be opened: {message}"),
            Self::Read { name, message } => write!(f, "{name}: capture stopped: {message}"),
        }
    }
}

impl std::error::Error for LiveError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_open(name: &str, message: &str) -> LiveError {
        let available = vec!["any".to_owned(), "lo".to_owned()];
        LiveError::of_open(name, &pcap::Error::PcapError(message.to_owned()), available)
    }

    #[test]
    fn lacking_permission_is_told_from_a_wrong_name_and_from_the_rest() {
        let text = "Attempt to create packet socket failed - CAP_NET_RAW may be required";
        assert_eq!(of_open("lo", text), LiveError::NotPermitted { name: "lo".into() });
        assert!(matches!(of_open("eth9", text), LiveError::NoSuchInterface { .. }));
        assert!(matches!(of_open("lo", "That device is not up"), LiveError::Open { .. }));
    }

    #[test]
    fn a_wrong_name_is_answered_with_the_right_ones() {
        let message = of_open("eth9", "No such device exists").to_string();
        assert_eq!(message, "no interface 'eth9'; there are: any, lo");
    }
}

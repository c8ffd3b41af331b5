//! What can be wrong with a capture file, in one clear sentence each.

use std::fmt;
use std::io;

use crate::LinkType;

/// Why a capture file is not read, or not read on.
#[derive(Debug)]
pub enum FileError {
    /// It cannot be opened.
    Open {
        /// The file.
        name: String,
        /// What the system says.
        error: io::Error,
    },
    /// It cannot be read on.
    Read {
        /// The file.
        name: String,
        /// How far it was read, in bytes.
        offset: u64,
        /// What the system says.
        error: io::Error,
    },
    /// There is nothing in it.
    Empty {
        /// The file.
        name: String,
    },
    /// It is no pcap and no pcapng file.
    NotACapture {
        /// The file.
        name: String,
        /// Its first bytes, 16 at most.
        starts: Vec<u8>,
    },
    /// It ends inside its file header: there is nothing to read.
    CutInHeader {
        /// The file.
        name: String,
    },
    /// Nothing in it has a link type that is read.
    UnknownLinkType {
        /// The file.
        name: String,
        /// The link type's number in the tcpdump.org registry.
        number: u32,
    },
    /// A record contradicts itself: what follows cannot be found.
    Damaged {
        /// The file.
        name: String,
        /// Offset of the record, in bytes.
        offset: u64,
        /// What is wrong with it.
        what: &'static str,
    },
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open { name, error } => write!(f, "{name}: cannot be opened: {error}"),
            Self::Read { name, offset, error } => {
                write!(f, "{name}: cannot be read after {offset} bytes: {error}")
            }
            Self::Empty { name } => {
                write!(f, "{name}: empty; a capture has at least a file header")
            }
            Self::NotACapture { name, starts } => {
                write!(f, "{name}: not a capture file (starts with {})", Starts(starts))?;
                match &**starts {
                    [0x1f, 0x8b, ..] => write!(f, "; it is compressed: gunzip it first"),
                    [0x28, 0xb5, 0x2f, 0xfd, ..] => {
                        write!(f, "; it is compressed: unzstd it first")
                    }
                    _ => write!(f, "; tapdiff reads pcap and pcapng"),
                }
            }
            Self::CutInHeader { name } => {
                write!(f, "{name}: ends inside its file header; capture it again")
            }
            Self::UnknownLinkType { name, number } => write!(
                f,
                "{name}: link type {number} is not read; tapdiff reads {}",
                LinkType::NAMES
            ),
            Self::Damaged { name, offset, what } => write!(
                f,
                "{name}: damaged at byte {offset}, before its first packet: {what}; capture it again"
            ),
        }
    }
}

impl std::error::Error for FileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Open { error, .. } | Self::Read { error, .. } => Some(error),
            _ => None,
        }
    }
}

/// The first bytes of a file: as text where they are text, else in hexadecimal.
struct Starts<'a>(&'a [u8]);

impl fmt::Display for Starts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.0.split(|&byte| byte == b'\n' || byte == b'\r').next().unwrap_or_default();
        if !line.is_empty() && line.iter().all(|&byte| (0x20..0x7f).contains(&byte)) {
            let text = line.iter().take(6).map(|&byte| char::from(byte)).collect::<String>();
            return write!(f, "{text:?}");
        }
        for byte in self.0.iter().take(4) {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

/// What went wrong, before it is known in which file.
#[derive(Debug)]
pub(super) enum Fault {
    Read(io::Error),
    Damaged(&'static str),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => error.fmt(f),
            Self::Damaged(what) => f.write_str(what),
        }
    }
}

impl Fault {
    pub(super) fn in_file(self, name: &str, offset: u64) -> FileError {
        let name = name.to_owned();
        match self {
            Self::Read(error) => FileError::Read { name, offset, error },
            Self::Damaged(what) => FileError::Damaged { name, offset, what },
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

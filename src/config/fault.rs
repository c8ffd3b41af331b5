//! What is wrong with a configuration file, and where.

use std::fmt;

/// One fault: where it is and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// 1-based line; 0 where the fault has none (an unreadable file).
    pub(crate) line: usize,
    /// One sentence.
    pub(crate) message: String,
}

/// Every fault of one file, in the order of its lines.
#[derive(Clone, Debug)]
pub(crate) struct Faults {
    pub(crate) file: String,
    pub(crate) faults: Vec<Fault>,
}

impl Faults {
    pub(crate) fn one(file: &str, line: usize, message: String) -> Self {
        Self { file: file.to_owned(), faults: vec![Fault { line, message }] }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, fault) in self.faults.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            match fault.line {
                0 => write!(f, "{}: {}", self.file, fault.message)?,
                line => write!(f, "{}:{line}: {}", self.file, fault.message)?,
            }
        }
        Ok(())
    }
}

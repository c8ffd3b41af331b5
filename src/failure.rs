//! How a command fails: an exit status, and one sentence on standard error unless the answer itself
//! says why.

use std::fmt;
use std::process::ExitCode;

/// Why a command failed. The status is a promise to scripts.
#[derive(Debug)]
pub(crate) struct Failure {
    status: Status,
    message: Option<String>,
}

/// Exit statuses besides 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// 1: the answer is no.
    No = 1,
    /// 2: usage or configuration, including an input that cannot be read.
    Usage = 2,
    /// 3: the verdict is inconclusive.
    Inconclusive = 3,
    /// 4: the environment: no permission to capture, store not reachable.
    Environment = 4,
}

impl Failure {
    pub(crate) fn no(message: impl fmt::Display) -> Self {
        Self { status: Status::No, message: Some(message.to_string()) }
    }

    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self { status: Status::Usage, message: Some(message.to_string()) }
    }

    pub(crate) fn environment(message: impl fmt::Display) -> Self {
        Self { status: Status::Environment, message: Some(message.to_string()) }
    }

    /// After an answer that says all there is to say.
    pub(crate) fn answered(status: Status) -> Self {
        Self { status, message: None }
    }

    pub(crate) fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.status as u8)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message.as_deref().unwrap_or("the answer is no"))
    }
}

impl From<store::StoreError> for Failure {
    fn from(error: store::StoreError) -> Self {
        Self::environment(error)
    }
}

//! Why a request is not answered as it wishes: the codes that the interface has, each with a message for a person.

use thiserror::Error;
use tonic::{Code, Status};

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Failure {
    /// What is asked for is missing, malformed, contradictory, or not served.
    #[error("{0}")]
    Invalid(String),
    /// No such size can be had.
    #[error("{0}")]
    OutOfRange(String),
    /// There is no such volume or node.
    #[error("{0}")]
    NotFound(String),
    /// There is something else of that name.
    #[error("{0}")]
    AlreadyExists(String),
    /// No pool has room.
    #[error("{0}")]
    Exhausted(String),
    /// Something has to be done first.
    #[error("{0}")]
    Precondition(String),
    /// Something else is being done; the same request can be made again.
    #[error("{0}")]
    Busy(String),
    /// It is not done yet; the same request can be made again, and finds what this one began.
    #[error("{0}")]
    Late(String),
    /// The API can't be reached, or does not answer.
    #[error("{0}")]
    Unavailable(String),
    /// The API does not let us.
    #[error("{0}")]
    Denied(String),
    /// Something is not as it can be.
    #[error("{0}")]
    Internal(String),
}

impl Failure {
    /// The interface's code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Failure::Invalid(_) => Code::InvalidArgument,
            Failure::OutOfRange(_) => Code::OutOfRange,
            Failure::NotFound(_) => Code::NotFound,
            Failure::AlreadyExists(_) => Code::AlreadyExists,
            Failure::Exhausted(_) => Code::ResourceExhausted,
            Failure::Precondition(_) => Code::FailedPrecondition,
            Failure::Busy(_) => Code::Aborted,
            Failure::Late(_) => Code::DeadlineExceeded,
            Failure::Unavailable(_) => Code::Unavailable,
            Failure::Denied(_) => Code::PermissionDenied,
            Failure::Internal(_) => Code::Internal,
        }
    }
}

impl From<Failure> for Status {
    fn from(failure: Failure) -> Status {
        // A message travels in a header of HTTP/2, and a sidecar's limit for all of them is 16 KiB.
        let message: String = failure.to_string().chars().take(2048).collect();
        Status::new(failure.code(), message)
    }
}

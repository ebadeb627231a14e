//! Who an agent is: the seam to whatever knows that.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use thiserror::Error;
use weir_api::names::NodeName;

/// Tells of which node an agent is, by what it shows.
pub trait Authenticate: Send + Sync + 'static {
    /// Who shows this.
    ///
    /// # Errors
    /// Nobody who may report.
    fn authenticate(
        &self,
        presented: Presented,
    ) -> impl Future<Output = Result<Agent, Denied>> + Send;
}

/// What somebody shows.
#[derive(Clone, Debug, Default)]
pub struct Presented {
    /// The certificates of its connection, its own first: it has that one's key. Whether they are to be believed is for whoever
    /// authenticates to say, unless TLS was set up to refuse others.
    pub certificates: Arc<[CertificateDer<'static>]>,
    /// The token that it sent with the stream.
    pub token: Option<Token>,
}

/// A bearer's token.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// This one.
    #[must_use]
    pub fn new(token: String) -> Self {
        Token(token)
    }

    /// As it came.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// An agent whose identity is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// The node that it may report for.
    pub node: NodeName,
    /// For how long that is to be believed: its stream ends then at the latest.
    pub valid_for: Duration,
}

/// Nobody who may report.
#[derive(Debug, Error)]
pub enum Denied {
    /// Nothing was shown that could tell who it is.
    #[error("neither a client certificate nor a token was shown")]
    Nothing,
    /// What was shown is not to be believed.
    #[error("{0}")]
    Unknown(String),
    /// It is somebody else than an agent.
    #[error("`{0}` is not an agent")]
    NoAgent(String),
    /// Who it is can't be found out just now.
    #[error("cannot find out who it is")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

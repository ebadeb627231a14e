//! Who an agent is: by its certificate if it shows one, else by its token.

use rustls_pki_types::CertificateDer;
use weir_telemetry::server::{Agent, Authenticate, Denied, Presented};

use super::certificates::Certificates;
use super::tokens::Tokens;

/// The ways in which an agent may show who it is.
#[derive(Clone, Default)]
pub struct Agents {
    /// By the certificates of our own API's authority.
    pub certificates: Option<Certificates>,
    /// By a cluster's tokens.
    pub tokens: Option<Tokens>,
}

impl Agents {
    /// The authority of clients' certificates, if there are any.
    #[must_use]
    pub fn client_authority(&self) -> Option<&[CertificateDer<'static>]> {
        self.certificates.as_ref().map(Certificates::authority)
    }
}

impl Authenticate for Agents {
    async fn authenticate(&self, presented: Presented) -> Result<Agent, Denied> {
        let own = presented.certificates.first();
        match (&self.certificates, own, &self.tokens, presented.token) {
            (Some(certificates), Some(own), _, _) => {
                certificates.judge(own, jiff::Timestamp::now())
            }
            (_, _, Some(tokens), Some(token)) => tokens.review(&token).await,
            _ => Err(Denied::Nothing),
        }
    }
}

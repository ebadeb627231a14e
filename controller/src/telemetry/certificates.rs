//! Agents' client certificates, where the API is our own.

use std::time::Duration;

use rustls_pki_types::CertificateDer;
use weir_telemetry::server::{Agent, Denied};

use crate::standalone::identity::{Credential, Identity};

/// Knows agents by certificates of the API's authority.
#[derive(Clone, Debug)]
pub struct Certificates {
    authority: Vec<CertificateDer<'static>>,
}

impl Certificates {
    /// Of this authority: the one that the API server is known by, as a kubeconfig of ours has it.
    #[must_use]
    pub fn new(authority: Vec<CertificateDer<'static>>) -> Self {
        Certificates { authority }
    }

    /// The authority.
    #[must_use]
    pub fn authority(&self) -> &[CertificateDer<'static>] {
        &self.authority
    }

    /// Whose certificate this is. That the authority signed it was seen in the handshake ([`super::OwnCertificate::tls`]).
    ///
    /// # Errors
    /// It is no agent's, or it has ended.
    pub fn judge(&self, own: &CertificateDer<'_>, now: jiff::Timestamp) -> Result<Agent, Denied> {
        let credential = Credential::of_certificate(own);
        let credential = credential.map_err(|error| Denied::Unknown(error.to_string()))?;
        let left = credential.expires.saturating_sub(now.as_second());
        let left = u64::try_from(left).ok().filter(|left| *left > 0);
        let left = left.ok_or_else(|| Denied::Unknown("the certificate has ended".to_owned()))?;
        match credential.identity {
            Identity::Agent(node) => Ok(Agent {
                node,
                valid_for: Duration::from_secs(left),
            }),
            other => Err(Denied::NoAgent(other.user())),
        }
    }
}

//! What an agent shows a leader, and what it wants to see of it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;

use crate::place::Place;

/// What an agent shows a leader: a certificate, a token or both; and by what it knows the leader.
#[derive(Clone, Default)]
pub struct Credentials {
    /// Certificates, as PEM, of which one signed the leader's, where the leader's place names none of its own.
    pub authority: Option<String>,
    /// The agent's certificate and its key, as PEM.
    pub certificate: Option<(String, String)>,
    /// A file with a ServiceAccount token, which is read for each stream: kubelet renews it.
    pub token: Option<PathBuf>,
}

/// Credentials that can't be used.
#[derive(Debug, Error)]
pub enum CredentialsError {
    /// Neither the leader's place nor the agent's configuration names an authority.
    #[error("nothing tells by which authority the leader is known")]
    NoAuthority,
    /// The authority's certificates can't be read.
    #[error("the leader's authority cannot be read")]
    Authority(#[source] rustls_pki_types::pem::Error),
    /// The agent's certificate can't be read.
    #[error("the client certificate or its key cannot be read")]
    Certificate(#[source] rustls_pki_types::pem::Error),
    /// TLS does not take them.
    #[error("the certificates cannot be used")]
    Tls(#[source] rustls::Error),
    /// The token can't be read.
    #[error("cannot read the token `{path}`")]
    Token {
        /// Where it is.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

impl Credentials {
    /// TLS to a leader.
    ///
    /// # Errors
    /// A certificate can't be read or used, or nothing tells by what the leader is known.
    pub fn tls(&self, place: &Place) -> Result<Arc<ClientConfig>, CredentialsError> {
        let authority = place.authority.as_ref().or(self.authority.as_ref());
        let authority = authority.ok_or(CredentialsError::NoAuthority)?;
        let mut roots = RootCertStore::empty();
        for certificate in certificates(authority).map_err(CredentialsError::Authority)? {
            roots.add(certificate).map_err(CredentialsError::Tls)?;
        }
        if roots.is_empty() {
            return Err(CredentialsError::NoAuthority);
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(CredentialsError::Tls)?
            .with_root_certificates(roots);
        let mut config = match &self.certificate {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = certificates(certificate).map_err(CredentialsError::Certificate)?;
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes())
                    .map_err(CredentialsError::Certificate)?;
                let config = builder.with_client_auth_cert(chain, key);
                config.map_err(CredentialsError::Tls)?
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Arc::new(config))
    }

    /// The token as it is now.
    ///
    /// # Errors
    /// There is to be one, and it can't be read.
    pub fn token(&self) -> Result<Option<String>, CredentialsError> {
        let Some(path) = &self.token else {
            return Ok(None);
        };
        let token = std::fs::read_to_string(path);
        let token = token.map_err(|source| CredentialsError::Token {
            path: path.clone(),
            source,
        })?;
        Ok(Some(token.trim().to_owned()))
    }
}

fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, rustls_pki_types::pem::Error> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).collect()
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The key is nobody's business.
        f.debug_struct("Credentials")
            .field("has_authority", &self.authority.is_some())
            .field("has_certificate", &self.certificate.is_some())
            .field("token", &self.token)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_must_be_known_by_something() {
        let place: Place = "https://h:1".parse().unwrap();
        let error = Credentials::default().tls(&place).unwrap_err();
        assert!(matches!(error, CredentialsError::NoAuthority));
        let empty = Credentials {
            authority: Some("no PEM".to_owned()),
            ..Credentials::default()
        };
        assert!(empty.tls(&place).is_err());
    }

    #[test]
    fn the_token_is_read_anew_each_time() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let credentials = Credentials {
            token: Some(file.path().to_owned()),
            ..Credentials::default()
        };
        for text in ["one\n", "two"] {
            std::fs::write(file.path(), text).unwrap();
            assert_eq!(credentials.token().unwrap().unwrap(), text.trim());
        }
        std::fs::remove_file(file.path()).unwrap();
        assert!(credentials.token().is_err());
        assert_eq!(Credentials::default().token().unwrap(), None);
    }
}

//! A certificate of a leader's own, which the Lease tells agents of.

use std::sync::Arc;

use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose,
};
use rustls::crypto::ring;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;

/// A certificate that signs itself, for one name.
pub struct OwnCertificate {
    certificate: String,
    key: String,
}

/// TLS can't be set up.
#[derive(Debug, Error)]
pub enum OwnError {
    /// The certificate can't be made.
    #[error("the certificate cannot be made")]
    Make(#[source] rcgen::Error),
    /// A certificate or key can't be read.
    #[error("a certificate cannot be read")]
    Pem(#[source] rustls_pki_types::pem::Error),
    /// TLS does not take them.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
    /// TLS does not take the authority of clients' certificates.
    #[error("the verification of client certificates cannot be set up")]
    Verifier(#[source] rustls::server::VerifierBuilderError),
}

impl OwnCertificate {
    /// Makes one for a name or an address.
    ///
    /// # Errors
    /// It is no name that a certificate could be for.
    pub fn make(host: &str) -> Result<Self, OwnError> {
        let key = KeyPair::generate().map_err(OwnError::Make)?;
        // Its end is far away: it is trusted for as long as the Lease says so, which is one term, and no longer.
        let params = CertificateParams::new(vec![host.to_owned()]);
        let mut params = params.map_err(OwnError::Make)?;
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, "weir-telemetry");
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = params.self_signed(&key).map_err(OwnError::Make)?;
        Ok(OwnCertificate {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }

    /// The certificate, as PEM.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// TLS with it. A client that shows a certificate must have one of this authority; where there is none, none is asked for.
    ///
    /// # Errors
    /// A certificate can't be read or used.
    pub fn tls(
        &self,
        clients: Option<&[CertificateDer<'static>]>,
    ) -> Result<Arc<ServerConfig>, OwnError> {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(OwnError::Tls)?;
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(authority) => {
                let mut roots = RootCertStore::empty();
                for root in authority {
                    roots.add(root.clone()).map_err(OwnError::Tls)?;
                }
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                // Whoever shows none is told so by a status, which is easier to read than an alert.
                let verifier = verifier.allow_unauthenticated().build();
                builder.with_client_cert_verifier(verifier.map_err(OwnError::Verifier)?)
            }
        };
        let own = CertificateDer::from_pem_slice(self.certificate.as_bytes());
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes());
        let mut config = builder
            .with_single_cert(
                vec![own.map_err(OwnError::Pem)?],
                key.map_err(OwnError::Pem)?,
            )
            .map_err(OwnError::Tls)?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Arc::new(config))
    }
}

//! Client certificates: asked for, not demanded, and judged after the handshake.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, UnixTime};

/// Takes any certificate whose key the client holds. [`ClientVerifier::is_ours`] then tells whether
/// the authority made it.
///
/// A real API server answers 401 to a certificate that it does not know. One that is refused within
/// the handshake would be a TLS alert, of which clients make nothing that a person can read.
#[derive(Debug)]
pub(super) struct ClientVerifier {
    judge: Arc<dyn ClientCertVerifier>,
}

impl ClientVerifier {
    pub(super) fn new(roots: RootCertStore) -> Result<Self, rustls::server::VerifierBuilderError> {
        let judge = WebPkiClientVerifier::builder(Arc::new(roots))
            .allow_unauthenticated()
            .build()?;
        Ok(Self { judge })
    }

    /// Whether the authority made a certificate, for a client, and it is valid now.
    pub(super) fn is_ours(&self, chain: &[CertificateDer<'_>]) -> bool {
        let Some((first, rest)) = chain.split_first() else {
            return false;
        };
        self.judge
            .verify_client_cert(first, rest, UnixTime::now())
            .is_ok()
    }
}

impl ClientCertVerifier for ClientVerifier {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.judge.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.judge.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.judge.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.judge.supported_verify_schemes()
    }
}

//! Certificates: the authority that the server makes for itself, and a kubeconfig for each identity.
//!
//! Everything lies in `DIR/pki` and in `DIR/*.kubeconfig`, which only their owner reads. Whoever reads
//! the authority's key is admin. There are no revocations: a client's certificate is valid until it
//! ends, or until the whole `pki` directory is removed and every kubeconfig made anew.

mod certificate;
mod keep;
mod kubeconfig;
mod verifier;

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::fcntl::{Flock, FlockArg};
use rustls::crypto::ring;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;

use certificate::Pair;
use verifier::ClientVerifier;

use super::identity::{Credential, Identity};

/// How long the kubeconfigs in the directory are good for; they are made anew in time.
const CLIENT_DAYS: u32 = 365;

/// Certificates could not be made or kept.
#[derive(Debug, Error)]
pub enum AuthorityError {
    /// A file of the authority's.
    #[error("cannot use `{path}`")]
    File {
        /// Which one.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// One of the two files of the authority is there without the other.
    #[error(
        "`{there}` is there and `{missing}` is not: put it back, or remove the whole directory to begin \
         with a new authority (every kubeconfig is then made anew)"
    )]
    Half {
        /// The file that is there.
        there: PathBuf,
        /// The one that is not.
        missing: PathBuf,
    },
    /// The authority can't be used any longer.
    #[error("the authority in `{0}` is near its end: remove the directory to begin with a new one")]
    Ended(PathBuf),
    /// A certificate was not made.
    #[error("cannot make a certificate for {whom}")]
    Make {
        /// For whom.
        whom: String,
        /// Why not.
        #[source]
        source: rcgen::Error,
    },
    /// A kubeconfig was not made.
    #[error("cannot write a kubeconfig")]
    Kubeconfig(#[source] serde_yaml_ng::Error),
    /// TLS does not take what was made.
    #[error("cannot set up TLS")]
    Tls(#[source] rustls::Error),
    /// TLS does not take the authority.
    #[error("cannot set up the verification of client certificates")]
    Verifier(#[source] rustls::server::VerifierBuilderError),
}

/// The authority of one directory.
pub struct Authority {
    directory: PathBuf,
    own: Pair,
}

/// What connections are secured with.
#[derive(Clone)]
pub struct Tls {
    /// For `tokio_rustls::TlsAcceptor`.
    pub config: Arc<ServerConfig>,
    verifier: Arc<ClientVerifier>,
}

impl Tls {
    /// Who a peer is that showed these certificates; `None`: they are not of our making.
    #[must_use]
    pub fn credential(&self, chain: &[CertificateDer<'_>]) -> Option<Credential> {
        if !self.verifier.is_ours(chain) {
            return None;
        }
        Credential::of_certificate(chain.first()?).ok()
    }
}

impl Authority {
    /// The authority of a directory; a new one if there is none.
    ///
    /// # Errors
    /// Its files can't be read or written, or it ended.
    pub fn open(directory: &Path, now: jiff::Timestamp) -> Result<Self, AuthorityError> {
        let pki = directory.join("pki");
        for path in [directory, &pki] {
            keep::directory(path).map_err(|source| file(path, source))?;
        }
        // A server and a `kubeconfig` command may be the first at the same time.
        let lock = pki.join("lock");
        let claim = File::create(&lock).map_err(|source| file(&lock, source))?;
        let _claim = Flock::lock(claim, FlockArg::LockExclusive)
            .map_err(|(_, errno)| file(&lock, errno.into()))?;
        let (certificate, key) = (pki.join("ca.crt"), pki.join("ca.key"));
        let own = match (read(&certificate)?, read(&key)?) {
            (Some(certificate), Some(key)) => Pair { certificate, key },
            (None, None) => {
                let made = certificate::authority(now).map_err(make("the authority"))?;
                write(&key, &made.key)?;
                write(&certificate, &made.certificate)?;
                made
            }
            // The key alone is what a crash between the two writes leaves: nobody saw it yet.
            (None, Some(_)) => {
                let made = certificate::authority(now).map_err(make("the authority"))?;
                write(&key, &made.key)?;
                write(&certificate, &made.certificate)?;
                made
            }
            (Some(_), None) => {
                return Err(AuthorityError::Half {
                    there: certificate,
                    missing: key,
                });
            }
        };
        if certificate::is_near_end(&own.certificate, now) {
            return Err(AuthorityError::Ended(pki));
        }
        Ok(Self {
            directory: directory.to_owned(),
            own,
        })
    }

    /// TLS for a server that is reached under these names and addresses. The certificate is made
    /// anew when they changed or it is near its end.
    ///
    /// # Errors
    /// A file can't be read or written.
    pub fn tls(
        &self,
        names: &BTreeSet<String>,
        now: jiff::Timestamp,
    ) -> Result<Tls, AuthorityError> {
        let pki = self.directory.join("pki");
        let (certificate, key) = (pki.join("server.crt"), pki.join("server.key"));
        let kept = read(&certificate)?.zip(read(&key)?);
        let is_good = |(certificate, _): &(String, String)| {
            certificate::has_names(certificate, names)
                && certificate::is_issued_by(certificate, &self.own.certificate)
                && !certificate::is_near_end(certificate, now)
        };
        let kept = kept.filter(is_good).and_then(|(certificate, key)| {
            // The two are of one piece unless a crash came between their writes.
            self.configure(&Pair { certificate, key }).ok()
        });
        if let Some(kept) = kept {
            return Ok(kept);
        }
        let made = certificate::server(&self.own, names, now).map_err(make("the server"))?;
        write(&key, &made.key)?;
        write(&certificate, &made.certificate)?;
        self.configure(&made)
    }

    fn configure(&self, pair: &Pair) -> Result<Tls, AuthorityError> {
        let unusable = |_| AuthorityError::Tls(rustls::Error::General("bad PEM".to_owned()));
        let authority = CertificateDer::from_pem_slice(self.own.certificate.as_bytes())
            .map_err(unusable)?
            .into_owned();
        let certificate = CertificateDer::from_pem_slice(pair.certificate.as_bytes())
            .map_err(unusable)?
            .into_owned();
        let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).map_err(unusable)?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone()).map_err(AuthorityError::Tls)?;
        let verifier = Arc::new(ClientVerifier::new(roots).map_err(AuthorityError::Verifier)?);
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(AuthorityError::Tls)?
            .with_client_cert_verifier(Arc::clone(&verifier) as _)
            .with_single_cert(vec![certificate, authority], key)
            .map_err(AuthorityError::Tls)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Tls {
            config: Arc::new(config),
            verifier,
        })
    }

    /// Keeps `admin.kubeconfig` and `controller.kubeconfig` in the directory; they are written when
    /// they are not there, name another server or authority, or are near their end. Returns the
    /// admin's, and whether it is new.
    ///
    /// # Errors
    /// A file can't be read or written.
    pub fn keep_kubeconfigs(
        &self,
        server: &str,
        now: jiff::Timestamp,
    ) -> Result<(PathBuf, bool), AuthorityError> {
        let _ = self.keep(&Identity::Controller, server, now)?;
        self.keep(&Identity::Admin, server, now)
    }

    fn keep(
        &self,
        identity: &Identity,
        server: &str,
        now: jiff::Timestamp,
    ) -> Result<(PathBuf, bool), AuthorityError> {
        let path = self.directory.join(format!("{identity}.kubeconfig"));
        let kept = read(&path)?;
        let is_good = |kept: kubeconfig::Contents| {
            kept.server == server
                && kept.authority == self.own.certificate
                && !certificate::is_near_end(&kept.certificate, now)
        };
        if kept
            .as_deref()
            .and_then(kubeconfig::read)
            .is_some_and(is_good)
        {
            return Ok((path, false));
        }
        write(&path, &self.kubeconfig(identity, server, CLIENT_DAYS, now)?)?;
        Ok((path, kept.is_none()))
    }

    /// A kubeconfig for an identity, with a certificate of its own.
    ///
    /// # Errors
    /// It can't be made.
    pub fn kubeconfig(
        &self,
        identity: &Identity,
        server: &str,
        days: u32,
        now: jiff::Timestamp,
    ) -> Result<String, AuthorityError> {
        let client = certificate::client(&self.own, identity, certificate::days(days), now)
            .map_err(make(&identity.to_string()))?;
        kubeconfig::text(identity, server, &self.own.certificate, &client)
            .map_err(AuthorityError::Kubeconfig)
    }

    /// The authority's certificate, as PEM.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.own.certificate
    }
}

fn file(path: &Path, source: io::Error) -> AuthorityError {
    AuthorityError::File {
        path: path.to_owned(),
        source,
    }
}

fn read(path: &Path) -> Result<Option<String>, AuthorityError> {
    keep::read(path).map_err(|source| file(path, source))
}

fn write(path: &Path, text: &str) -> Result<(), AuthorityError> {
    keep::replace(path, text).map_err(|source| file(path, source))
}

fn make(whom: &str) -> impl FnOnce(rcgen::Error) -> AuthorityError + use<> {
    let whom = whom.to_owned();
    |source| AuthorityError::Make { whom, source }
}

#[cfg(test)]
mod tests;

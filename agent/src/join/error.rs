//! What may go wrong between an agent and an API.

use std::path::PathBuf;
use std::time::Duration;

use kube::config::KubeconfigError;
use thiserror::Error;

/// The API could not be used.
#[derive(Debug, Error)]
pub enum JoinError {
    /// The kubeconfig can't be read or understood.
    #[error("cannot use the kubeconfig `{path}`")]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: Box<KubeconfigError>,
    },
    /// The API refused, or was not reached.
    #[error("failed to {verb}")]
    Api {
        /// What was to be done.
        verb: &'static str,
        /// Why not.
        #[source]
        source: Box<kube::Error>,
    },
    /// No answer came.
    #[error("failed to {0}: no answer came in time")]
    Late(&'static str),
    /// The API does not say whose it is.
    #[error("the namespace kube-system has no UID by which to tell the cluster")]
    Nameless,
    /// The leader's Lease names no place.
    #[error("the controllers' Lease says where telemetry is taken, and it can't be read")]
    Leader(#[source] weir_telemetry::PlaceError),
    /// The kubeconfig's certificate or key is no text.
    #[error("the kubeconfig's client certificate or key is no base64 of PEM")]
    Credentials,
    /// A file that the kubeconfig names can't be read.
    #[error("cannot read `{path}`, which the kubeconfig names")]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// It is another cluster's now.
    #[error("the API is another cluster's now")]
    Moved,
    /// An object is not what it should be.
    #[error("the object can't be read")]
    Object(#[source] serde_json::Error),
    /// There is no connection yet.
    #[error("the API was not reached yet")]
    Away,
    /// The API ended a watch with an error.
    #[error("the watch ended: {0}")]
    Watch(String),
}

/// How long an answer may take, other than that of a watch.
const PATIENCE: Duration = Duration::from_secs(30);

impl JoinError {
    /// What an error while doing this becomes.
    pub(super) fn api(verb: &'static str) -> impl FnOnce(kube::Error) -> Self {
        move |source| Self::Api {
            verb,
            source: Box::new(source),
        }
    }

    /// The status code that the API answered with, if it did.
    pub(super) fn code(&self) -> Option<u16> {
        match self {
            Self::Api { source, .. } => match source.as_ref() {
                kube::Error::Api(status) => Some(status.code),
                _ => None,
            },
            _ => None,
        }
    }
}

/// Waits for an answer, and not for ever.
pub(super) async fn answered<T>(
    verb: &'static str,
    asked: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, JoinError> {
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(answer) => answer.map_err(JoinError::api(verb)),
        Err(_) => Err(JoinError::Late(verb)),
    }
}

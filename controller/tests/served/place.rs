//! An API to test against: our own, started for the test, or the one that `WEIR_TEST_KUBECONFIG` names.

use std::env;
use std::path::{Path, PathBuf};

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tempfile::TempDir;

use crate::process::Process;

/// The API.
pub(crate) struct Place {
    /// `None`: it is not ours.
    pub(crate) process: Option<Process>,
    kubeconfig: PathBuf,
    _dir: TempDir,
}

impl Place {
    /// The one that is given, or a new one of ours.
    pub(crate) fn open() -> Self {
        let given = env::var_os("WEIR_TEST_KUBECONFIG").map(PathBuf::from);
        given.map_or_else(Self::ours, |kubeconfig| Self {
            process: None,
            kubeconfig,
            _dir: TempDir::new().unwrap(),
        })
    }

    /// A new one of ours, whatever is given.
    pub(crate) fn ours() -> Self {
        let dir = TempDir::new().unwrap();
        let process = Process::start(dir.path());
        Self {
            kubeconfig: process.kubeconfig(),
            process: Some(process),
            _dir: dir,
        }
    }

    /// Our own, to be ended and started.
    pub(crate) fn process(&mut self) -> &mut Process {
        self.process.as_mut().unwrap()
    }

    /// A client, as programs make one.
    pub(crate) async fn client(&self) -> Client {
        Client::try_from(config(&self.kubeconfig).await).unwrap()
    }

    /// A client that tries nothing twice.
    pub(crate) async fn plain_client(&self) -> Client {
        plain_client(&self.kubeconfig).await
    }
}

/// What a kubeconfig says.
pub(crate) async fn config(kubeconfig: &Path) -> Config {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).unwrap();
    let options = KubeConfigOptions::default();
    Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .unwrap()
}

/// A client that tries nothing twice.
pub(crate) async fn plain_client(kubeconfig: &Path) -> Client {
    let mut config = config(kubeconfig).await;
    config.default_retry = false;
    Client::try_from(config).unwrap()
}

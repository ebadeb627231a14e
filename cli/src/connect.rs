//! Where the API is, and who we are there.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use thiserror::Error;

/// How long a connection may take. A person waits.
const CONNECT: Duration = Duration::from_secs(10);

/// How a command reaches the API.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ApiArguments {
    /// The API's kubeconfig [default: what KUBECONFIG names, ~/.kube/config, or in a pod its service account]
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Which of the kubeconfig's contexts [default: its current-context]
    #[arg(long, value_name = "NAME")]
    pub(crate) context: Option<String>,
}

/// A connection to the API.
#[derive(Clone)]
pub(crate) struct Connection {
    pub(crate) client: Client,
    /// Where it is, and what says so.
    pub(crate) place: String,
}

/// There is no way to the API. Causes are text: kube's errors name theirs already, and a chain would say all twice.
#[derive(Debug, Error)]
pub(crate) enum ConnectError {
    /// Nothing names an API.
    #[error(
        "no kubeconfig is found: --kubeconfig is not given, KUBECONFIG is not set, {home}, and this is no pod \
         (KUBERNETES_SERVICE_HOST is not set). Give --kubeconfig FILE, or set KUBECONFIG: a standalone \
         controller keeps one for people in its directory, DIR/admin.kubeconfig"
    )]
    Nowhere {
        /// What is known of the file at its usual place.
        home: String,
    },
    /// The kubeconfig can't be read.
    #[error("the kubeconfig {named} can't be used: {cause}")]
    Kubeconfig {
        /// Which, and what names it.
        named: String,
        /// Why.
        cause: String,
    },
    /// A context is asked for where there is no kubeconfig.
    #[error("--context {0} has no meaning here: the API is that of this pod's service account")]
    Context(String),
    /// The pod's service account can't be used.
    #[error(
        "this pod's service account can't be used: {0}. See automountServiceAccountToken in the pod's spec"
    )]
    InCluster(String),
    /// No client can be made.
    #[error("no connection can be made to the API that {named} names: {cause}")]
    Client {
        /// What names it.
        named: String,
        /// Why.
        cause: String,
    },
}

/// What names the API.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Origin {
    Flag(PathBuf),
    Environment(OsString),
    Home(PathBuf),
    Pod,
}

/// What there is to choose from.
#[derive(Clone, Debug, Default)]
struct Choice {
    flag: Option<PathBuf>,
    environment: Option<OsString>,
    /// The file in the home directory, and whether it is there.
    home: Option<(PathBuf, bool)>,
    is_pod: bool,
}

impl Choice {
    fn of(arguments: &ApiArguments) -> Self {
        let home = env::var_os("HOME").filter(|home| !home.is_empty());
        let file = home.map(|home| Path::new(&home).join(".kube/config"));
        Choice {
            flag: arguments.kubeconfig.clone(),
            environment: env::var_os("KUBECONFIG"),
            home: file.map(|file| (file.clone(), file.exists())),
            is_pod: env::var_os("KUBERNETES_SERVICE_HOST").is_some(),
        }
    }

    /// The order is kubectl's.
    fn origin(self) -> Result<Origin, ConnectError> {
        if let Some(flag) = self.flag {
            return Ok(Origin::Flag(flag));
        }
        if let Some(paths) = self.environment.filter(|paths| !paths.is_empty()) {
            return Ok(Origin::Environment(paths));
        }
        let home = match self.home {
            Some((file, true)) => return Ok(Origin::Home(file)),
            Some((file, false)) => format!("`{}` does not exist", file.display()),
            None => "HOME is not set, where .kube/config might be".to_owned(),
        };
        match self.is_pod {
            true => Ok(Origin::Pod),
            false => Err(ConnectError::Nowhere { home }),
        }
    }
}

impl Origin {
    fn named(&self) -> String {
        match self {
            Origin::Flag(path) => format!("`{}` (--kubeconfig)", path.display()),
            Origin::Environment(paths) => format!("`{}` (KUBECONFIG)", paths.to_string_lossy()),
            Origin::Home(path) => format!("`{}`", path.display()),
            Origin::Pod => "the pod's environment".to_owned(),
        }
    }

    async fn config(&self, context: Option<&str>) -> Result<Config, ConnectError> {
        let unusable = |error: KubeconfigError| ConnectError::Kubeconfig {
            named: self.named(),
            cause: error.to_string(),
        };
        let file = match self {
            Origin::Flag(path) | Origin::Home(path) => Kubeconfig::read_from(path),
            // Several files may be named there; they are merged.
            Origin::Environment(_) => Kubeconfig::from_env().map(Option::unwrap_or_default),
            Origin::Pod => {
                if let Some(context) = context {
                    return Err(ConnectError::Context(context.to_owned()));
                }
                let config = Config::incluster();
                return config.map_err(|error| ConnectError::InCluster(error.to_string()));
            }
        };
        let options = KubeConfigOptions {
            context: context.map(str::to_owned),
            ..KubeConfigOptions::default()
        };
        let file = file.map_err(unusable)?;
        let config = Config::from_custom_kubeconfig(file, &options).await;
        config.map_err(unusable)
    }
}

impl ApiArguments {
    /// A connection; whether anybody answers, the first request tells.
    pub(crate) async fn connect(&self) -> Result<Connection, ConnectError> {
        let origin = Choice::of(self).origin()?;
        let named = origin.named();
        let mut config = origin.config(self.context.as_deref()).await?;
        config.connect_timeout = Some(CONNECT);
        let place = format!("{}, which {named} names", config.cluster_url);
        let client = Client::try_from(config).map_err(|error| ConnectError::Client {
            named,
            cause: error.to_string(),
        })?;
        Ok(Connection { client, place })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_is_looked_for_as_kubectl_does() {
        let full = Choice {
            flag: Some("f".into()),
            environment: Some("e".into()),
            home: Some(("h".into(), true)),
            is_pod: true,
        };
        let without_flag = Choice {
            flag: None,
            ..full.clone()
        };
        let unset = Choice {
            environment: Some("".into()),
            ..without_flag.clone()
        };
        let without_home = Choice {
            home: Some(("h".into(), false)),
            ..unset.clone()
        };
        let rows = [
            (full, Origin::Flag("f".into())),
            (without_flag, Origin::Environment("e".into())),
            (unset, Origin::Home("h".into())),
            (without_home, Origin::Pod),
        ];
        for (choice, origin) in rows {
            assert_eq!(choice.origin().unwrap(), origin);
        }
    }

    #[test]
    fn nowhere_says_where_it_looked() {
        let choice = Choice {
            home: Some(("/root/.kube/config".into(), false)),
            ..Choice::default()
        };
        let said = choice.origin().unwrap_err().to_string();
        for place in [
            "--kubeconfig",
            "KUBECONFIG",
            "`/root/.kube/config`",
            "no pod",
            "admin.kubeconfig",
        ] {
            assert!(said.contains(place), "{place}: {said}");
        }
    }
}

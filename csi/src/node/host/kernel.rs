//! The node that this is.

use std::path::Path;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::child::{Helpers, SELF};
use super::{Host, Roots, Trouble, Usage};
use crate::node::format::Found;
use crate::node::helper::Job;
use crate::node::seen::{Seen, Subject};
use crate::node::step::{DeviceOf, Step};

/// How long looking at a device may take.
const PROBE: Duration = Duration::from_secs(30);
/// How long a file system may take to say how full it is.
const USAGE: Duration = Duration::from_secs(5);

/// The running kernel.
#[derive(Clone, Debug, Default)]
pub struct Kernel {
    roots: Roots,
    helpers: Helpers,
}

impl Kernel {
    async fn have<T: DeserializeOwned>(&self, job: &Job, limit: Duration) -> Result<T, Trouble> {
        self.helpers.have(Path::new(SELF), job, limit).await
    }
}

impl Host for Kernel {
    async fn look(&self, subject: &Subject) -> Result<Seen, Trouble> {
        let (roots, subject) = (self.roots.clone(), subject.clone());
        let seen = tokio::task::spawn_blocking(move || roots.look(&subject)).await;
        seen.map_err(|error| Trouble::Failed(error.to_string()))?
    }

    async fn act(&self, step: &Step) -> Result<(), Trouble> {
        self.have(&Job::Do(step.clone()), step.limit()).await
    }

    async fn probe(&self, device: &DeviceOf) -> Found {
        let found = self.have(&Job::Probe(device.clone()), PROBE).await;
        found.unwrap_or_else(|trouble| Found::Unreadable(trouble.to_string()))
    }

    async fn usage(&self, path: &Path) -> Result<Usage, Trouble> {
        self.have(&Job::Usage(path.to_owned()), USAGE).await
    }
}
